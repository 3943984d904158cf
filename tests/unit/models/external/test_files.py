"""Files dropped into weights/ as models of the analyzer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dashboard.leaderboard.board import read_board
from dashboard.server.measured_analyzer import MeasuredAnalyzer
from dashboard.server.metrics import Metrics
from fer_models.analyzer import list_models, load_analyzer
from fer_models.errors import CardError, WeightsError
from fer_models.expressions import EXPRESSIONS
from fer_models.models.architectures import build_network
from fer_models.models.card import ModelCard, read_card
from fer_models.models.classifier import load_classifier
from fer_models.models.external.files import external_file
from fer_models.models.external.torch_files.load import RAFDB_ORDER
from fer_models.models.weights import save_weights
from fer_models.training.initial_weights import start_from
from tests.conftest import network_of
from tests.helpers.checkpoints import mobilenet, mobilenet_logits, mobilenet_with, prefixed


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt", ".pth.tar", ".PTH"])
def test_every_suffix_is_a_model_of_that_name(
    tmp_path: Path, suffix: str, fake_detector: Any, picture: NDArray[np.uint8]
) -> None:
    state = mobilenet(2)
    checkpoint = {"state_dict": prefixed(state, "model."), "epoch": 3}
    older = suffix in (".pt", ".pth.tar")  # PyTorch's format before its zips
    torch.save(checkpoint, tmp_path / f"my.net{suffix}", _use_new_zipfile_serialization=not older)
    (tmp_path / "my.net.json").write_text(json.dumps({"labels": ["anger", "fear"]}))
    assert list_models(tmp_path) == ["my.net"]
    analyzer = load_analyzer(weights=tmp_path, device="cpu", detector=fake_detector)
    classifier = analyzer.classifiers["my.net"]
    assert analyzer.left_out == () and classifier.card.labels == ("anger", "fear")
    assert torch.equal(mobilenet_logits(network_of(classifier)), mobilenet_logits(mobilenet_with(state)))
    assert analyzer.analyze([picture])[0].predictions["my.net"].label in ("anger", "fear")
    if suffix != ".PTH":
        network = build_network("mobilenet_v2_stride32", 7)
        start_from(network, "my.net", [tmp_path])
        assert torch.equal(network.state_dict()["features.0.0.weight"], state["features.0.0.weight"])


def test_a_dropped_file_is_one_more_model(
    tmp_path: Path, write_model: Callable[..., ModelCard], fake_detector: Any, picture: NDArray[np.uint8]
) -> None:
    write_model(tmp_path, "vgg16")
    torch.save(mobilenet(), tmp_path / "an_eac.pth")
    assert list_models(tmp_path) == ["vgg16", "an_eac"]
    analyzer = load_analyzer(weights=tmp_path, device="cpu", detector=fake_detector)
    analysis = analyzer.analyze([picture], features=True)[0]
    prediction = analysis.predictions["an_eac"]
    assert prediction.labels == RAFDB_ORDER
    assert {name for name in EXPRESSIONS if prediction.probability(name) > 0} == set(EXPRESSIONS)
    assert prediction.features is not None and prediction.features.shape == (1280, 7, 7)


def test_a_wrong_file_stops_only_those_who_name_it(
    tmp_path: Path,
    write_model: Callable[..., ModelCard],
    fake_detector: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "broken.pth").write_bytes(b"not weights")
    with pytest.raises(WeightsError, match="None of the models in .* can be used"):
        load_analyzer(weights=tmp_path, device="cpu", detector=fake_detector)
    write_model(tmp_path, "vgg16")
    caplog.clear()
    assert list(load_analyzer(weights=tmp_path, device="cpu", detector=fake_detector).classifiers) == ["vgg16"]
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "The model broken is left out" in record.message and "not a PyTorch checkpoint" in record.message
    with pytest.raises(WeightsError, match="not a PyTorch checkpoint"):
        load_analyzer(["vgg16", "broken"], weights=tmp_path, device="cpu", detector=fake_detector)
    (tmp_path / "vgg16.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError, match="is truncated"):  # this project's own models are not left out silently
        load_analyzer(weights=tmp_path, device="cpu", detector=fake_detector)


def test_a_file_with_a_taken_name_is_not_read_and_named(
    tmp_path: Path,
    write_model: Callable[..., ModelCard],
    fake_detector: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_model(tmp_path, "vgg16")
    torch.save(mobilenet(), tmp_path / "vgg16.pth")
    assert external_file(tmp_path, "vgg16") is None
    analyzer = load_analyzer(weights=tmp_path, device="cpu", detector=fake_detector)
    assert analyzer.classifiers["vgg16"].card == read_card(tmp_path / "vgg16.json")
    assert [record.message for record in caplog.records] == [
        f"{tmp_path / 'vgg16.pth'} is not read: another file has its name. Rename one of them."
    ]


def test_weights_without_a_card_are_named_with_what_to_write(
    tmp_path: Path,
    write_model: Callable[..., ModelCard],
    fake_detector: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_model(tmp_path, "vgg16")
    write_model(tmp_path, "bare")
    card = (tmp_path / "bare.json").read_text()
    (tmp_path / "bare.json").unlink()
    (tmp_path / "other.h5").write_bytes(b"h5")
    (tmp_path / "other.bin").write_bytes(b"bin")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "config.json").write_text("{}")
    analyzer = load_analyzer(weights=tmp_path, device="cpu", detector=fake_detector)
    assert list(analyzer.classifiers) == ["vgg16"]
    assert [record.message for record in caplog.records] == list(analyzer.left_out)
    bare, other, keras, folder = analyzer.left_out
    assert "bare.safetensors" in bare and str(tmp_path / "bare.json") in bare and "sha256" in bare
    assert "other.bin" in other and "state_dict" in other
    assert "other.h5" in keras and "ONNX or TFLite" in keras and "state_dict" not in keras
    assert f"--model {tmp_path / 'folder'}" in folder
    assert read_board(tmp_path, analyzer.left_out).card_problems == analyzer.left_out
    assert MeasuredAnalyzer(analyzer, Metrics()).left_out == analyzer.left_out
    with pytest.raises(CardError, match=r"bare\.safetensors .*has no card"):
        load_analyzer(["bare"], weights=tmp_path, device="cpu", detector=fake_detector)
    torch.save(mobilenet(), tmp_path / "bare.pth")  # which needs no card, and takes the name
    analyzer = load_analyzer(weights=tmp_path, device="cpu", detector=fake_detector)
    assert list(analyzer.classifiers) == ["vgg16", "bare"] and bare in analyzer.left_out
    (tmp_path / "bare.pth").unlink()
    (tmp_path / "bare.json").write_text(card)
    analyzer = load_analyzer(weights=tmp_path, device="cpu", detector=fake_detector)
    assert list(analyzer.classifiers) == ["vgg16", "bare"] and bare not in analyzer.left_out


def test_the_documentations_card_fits_safetensors(tmp_path: Path) -> None:
    """What is to be written beside a safetensors file, filled in."""
    page = (Path(__file__).parents[4] / "docs" / "your-model.md").read_text(encoding="utf-8")
    fields = next(json.loads(block.split("```")[0]) for block in page.split("```json")[1:] if '"sha256"' in block)
    network = build_network(fields["architecture"], len(fields["labels"]))
    fields["sha256"] = save_weights(network, tmp_path / "NAME.safetensors")
    (tmp_path / "NAME.json").write_text(json.dumps(fields))
    card = load_classifier("NAME", tmp_path, "cpu").card
    assert card.parameters == sum(parameter.numel() for parameter in network.parameters())
