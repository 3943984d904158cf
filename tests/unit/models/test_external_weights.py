"""Files of the EAC authors' code and of VGGFace2, built here in their layouts, dropped into weights/."""

import argparse
import json
import os
import pickle
import struct
import warnings
from collections import OrderedDict
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dashboard.leaderboard.board import read_board
from dashboard.server.measured_analyzer import MeasuredAnalyzer
from dashboard.server.metrics import Metrics
from fer_models.analyzer import list_models, load_analyzer
from fer_models.cli.main import main
from fer_models.datasets.rafdb import NATIVE
from fer_models.errors import CardError, WeightsError
from fer_models.expressions import EXPRESSIONS
from fer_models.models.architectures import build_network
from fer_models.models.card import ModelCard, read_card
from fer_models.models.classifier import load_classifier
from fer_models.models.external_weights import RAFDB_ORDER, external_file, load_external, read_external
from fer_models.models.weights import save_weights, sha256_of
from fer_models.training.initial_weights import architecture_for, start_from

State = dict[str, Tensor]
#: Blocks and width of ResNet-50's stages (He et al., CVPR 2016, table 1).
STAGES = [(3, 64), (4, 128), (6, 256), (3, 512)]


def face_resnet(classes: int) -> State:
    """VGGFace2's ResNet-50 by its children's names, from its table rather than from this project's network."""
    generator = torch.Generator().manual_seed(5)
    state: State = {}

    def conv(name: str, out: int, into: int, side: int) -> None:
        state[f"{name}.weight"] = torch.randn(out, into, side, side, generator=generator) * (into * side**2) ** -0.5

    def norm(name: str, width: int) -> None:
        state[f"{name}.weight"] = torch.rand(width, generator=generator) + 0.5
        state[f"{name}.bias"] = torch.randn(width, generator=generator) * 0.1
        state[f"{name}.running_mean"] = torch.randn(width, generator=generator) * 0.1
        state[f"{name}.running_var"] = torch.rand(width, generator=generator) + 0.5
        state[f"{name}.num_batches_tracked"] = torch.tensor(3)

    conv("conv1", 64, 3, 7)
    norm("bn1", 64)
    width = 64
    for stage, (blocks, inner) in enumerate(STAGES, 1):
        for block in range(blocks):
            place = f"layer{stage}.{block}"
            shapes = [(width, inner, 1), (inner, inner, 3), (inner, 4 * inner, 1)]
            for number, (into, out, side) in enumerate(shapes, 1):
                conv(f"{place}.conv{number}", out, into, side)
                norm(f"{place}.bn{number}", out)
            if block == 0:
                conv(f"{place}.downsample.0", 4 * inner, width, 1)
                norm(f"{place}.downsample.1", 4 * inner)
            width = 4 * inner
    state["fc.weight"] = torch.randn(classes, 2048, generator=generator) * 0.02
    state["fc.bias"] = torch.randn(classes, generator=generator)
    return state


def forward_by_hand(state: State, x: Tensor) -> tuple[Tensor, Tensor]:
    """The network of the EAC authors' src/resnet.py on x (N, 3, 224, 224): its feature maps and its logits."""

    def norm(name: str, x: Tensor) -> Tensor:
        scale = state[f"{name}.weight"] / (state[f"{name}.running_var"] + 1e-5).sqrt()
        shift = state[f"{name}.bias"] - state[f"{name}.running_mean"] * scale
        return x * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)

    x = F.relu(norm("bn1", F.conv2d(x, state["conv1.weight"], stride=2, padding=3)))
    assert x.shape[-1] == 112
    x = F.pad(x, (0, 1, 0, 1), value=float("-inf"))  # rounding up: the last window hangs over the right and lower edge
    x = F.max_pool2d(x, 3, 2)
    for stage, (blocks, _) in enumerate(STAGES, 1):
        for block in range(blocks):
            place = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            y = x[:, :, ::stride, ::stride]  # a strided 1x1 convolution sees every second cell
            y = F.relu(norm(f"{place}.bn1", F.conv2d(y, state[f"{place}.conv1.weight"])))
            y = F.relu(norm(f"{place}.bn2", F.conv2d(y, state[f"{place}.conv2.weight"], padding=1)))
            y = norm(f"{place}.bn3", F.conv2d(y, state[f"{place}.conv3.weight"]))
            if block == 0:
                skip = F.conv2d(x[:, :, ::stride, ::stride], state[f"{place}.downsample.0.weight"])
                x = norm(f"{place}.downsample.1", skip)
            x = F.relu(x + y)
    return x, x.mean((2, 3)) @ state["fc.weight"].T + state["fc.bias"]


def eac_layout(state: State) -> State:
    """As `nn.Sequential(*list(resnet50.children())[:-2])` names it; relu and max pool hold the places 2 and 3."""
    places = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
    return {
        key if key.startswith("fc.") else f"features.{places[key.split('.')[0]]}.{key.split('.', 1)[1]}": value
        for key, value in state.items()
    }


def mobilenet(classes: int = 7) -> State:
    torch.manual_seed(0)
    return build_network("mobilenet_v2_stride32", classes).state_dict()


def mobilenet_with(state: State) -> torch.nn.Module:
    network = build_network("mobilenet_v2_stride32", state["fc.weight"].shape[0])
    network.load_state_dict(state)
    return network.eval()


def mobilenet_logits(network: torch.nn.Module) -> Tensor:
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        logits: Tensor = network(x)
    return logits


def prefixed(state: State, prefix: str) -> State:
    return {f"{prefix}{key}": value for key, value in state.items()}


#: As an optimiser's state dict lies beside a network's.
ADAM: dict[str, Any] = {
    "state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.ones(4, 4)}},
    "param_groups": [{"lr": 1e-3, "params": [0]}],
}


@pytest.fixture(scope="module")
def face_state() -> State:
    return face_resnet(7)


class Python2Pickler(pickle._Pickler):
    """Writes byte strings as Python 2 did, for text and arrays' bytes, and NumPy's flags as numbers, as it did then."""

    write: Callable[[bytes], None]
    dispatch: ClassVar[dict[type, Callable[..., None]]] = dict(pickle._Pickler.dispatch)

    def save_string(self, obj: str | bytes) -> None:
        data = obj.encode("latin1") if isinstance(obj, str) else obj
        self.write(b"T" + struct.pack("<i", len(data)) + data)

    def save_flag(self, obj: bool) -> None:
        self.write(b"K" + bytes([obj]))

    dispatch[str] = dispatch[bytes] = save_string
    dispatch[bool] = save_flag


def python2_pickle(arrays: dict[str, NDArray[Any]]) -> bytes:
    file = BytesIO()
    Python2Pickler(file, protocol=2).dump(arrays)
    return file.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


@pytest.fixture(scope="module")
def vggface2(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, State]:
    """resnet50_ft_weight.pkl as its converter wrote it: no batch counters, a head for people, here for nine."""
    state = {key: value for key, value in face_resnet(9).items() if not key.endswith("num_batches_tracked")}
    path = tmp_path_factory.mktemp("vggface2") / "resnet50_ft_weight.pkl"
    path.write_bytes(python2_pickle({key: value.numpy() for key, value in state.items()}))
    return path, state


def test_the_eac_authors_resnet_computes_what_theirs_does(tmp_path: Path, face_state: State) -> None:
    path = tmp_path / "my_eac.pth"
    torch.save(eac_layout(face_state), path)
    card, network = load_external(path)
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        features, logits = forward_by_hand(face_state, x)
        found = network.forward_features(x)
        assert found.shape == features.shape == (1, 2048, 7, 7)
        torch.testing.assert_close(found, features, rtol=1e-3, atol=1e-3 * float(features.abs().max()))
        torch.testing.assert_close(network(x), logits, rtol=1e-3, atol=1e-3 * float(logits.abs().max()))
        other = build_network("resnet50", 7).eval()  # the same tensors behind other strides
        other.load_state_dict(network.state_dict())
        assert not torch.allclose(other(x), logits, atol=0.05 * float(logits.abs().max()))
    assert (card.name, card.title, card.architecture) == ("my_eac", "my eac", "resnet50_caffe")
    assert card.labels == RAFDB_ORDER == NATIVE
    assert card.training_labels.startswith("RAF-DB (assumed")
    assert (card.input.size, card.input.mode, card.input.source_size) == (224, "rgb", None)
    assert card.input.mean == (0.485, 0.456, 0.406) and card.input.std == (0.229, 0.224, 0.225)
    assert card.sha256 == sha256_of(path)
    assert card.parameters == 25_557_032 - 1000 * 2049 + 7 * 2049
    assert not network.training and not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 60},
        lambda state: {"iter": 3, "model_state_dict": state, "optimizer_state_dict": {"lr": [0.1]}},
        lambda state: {"model": {"state_dict": state}},
        lambda state: {"epoch": 60, "best_acc": torch.tensor(0.89), "state_dict": state},
        lambda state: OrderedDict((f"module.{key}", value) for key, value in state.items()),
        lambda state: {"state_dict": {f"module.{key}": value.double() for key, value in state.items()}},
        lambda state: {key.replace("fc.", "classifier.1."): value for key, value in state.items()},
        lambda state: {key.replace("fc.", "classifier."): value for key, value in state.items()},
        lambda state: {key.replace("features.", "features.0."): value for key, value in state.items()},
        lambda state: {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")},
        lambda state: prefixed(state, "_orig_mod."),
        lambda state: prefixed(state, "module._orig_mod."),
        lambda state: prefixed(state, "_orig_mod.module."),
        lambda state: {"state_dict": prefixed(state, "model.")},
        lambda state: {"state_dict": prefixed(state, "model.net._orig_mod.")},
        lambda state: prefixed(state, "net."),
        lambda state: prefixed(state, "backbone."),
        lambda state: {f"backbone.{key}" if key.startswith("features.") else key: state[key] for key in state},
        lambda state: {**prefixed(state, "module."), "n_averaged": torch.tensor(7)},
        lambda state: {"net": state},
        lambda state: {"weights": state},
        lambda state: {"model_state": state, "optimizer": ADAM},
        lambda state: {"anything": {"else": state}, "metrics": {"confusion": torch.eye(7)}},
        lambda state: {"model": state, "best": state},
    ],
    ids=[
        "plain",
        "dict",
        "optimiser",
        "twice",
        "tensor beside it",
        "module",
        "both",
        "torchvision",
        "classifier",
        "nested",
        "no counters",
        "compiled",
        "compiled in parallel",
        "parallel compiled",
        "lightning",
        "three prefixes",
        "net prefix",
        "backbone prefix",
        "backbone beside its head",
        "averaged",
        "net",
        "weights",
        "model_state",
        "unknown keys",
        "one object twice",
    ],
)
def test_every_wrapping_gives_the_same_mobilenet(tmp_path: Path, change: Callable[[State], dict[str, Any]]) -> None:
    state = mobilenet()
    torch.save(change(state), tmp_path / "m.pth")
    card, network = load_external(tmp_path / "m.pth")
    assert (card.name, card.architecture, card.labels) == ("m", "mobilenet_v2_stride32", RAFDB_ORDER)
    assert torch.equal(mobilenet_logits(network), mobilenet_logits(mobilenet_with(state)))
    loaded = network.state_dict()
    assert list(loaded) == list(state)
    for key, value in state.items():
        assert torch.equal(loaded[key], value) and loaded[key].dtype == value.dtype, key


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
    assert torch.equal(mobilenet_logits(classifier.network), mobilenet_logits(mobilenet_with(state)))
    assert analyzer.analyze([picture])[0].predictions["my.net"].label in ("anger", "fear")
    if suffix != ".PTH":
        network = build_network("mobilenet_v2_stride32", 7)
        start_from(network, "my.net", [tmp_path])
        assert torch.equal(network.state_dict()["features.0.0.weight"], state["features.0.0.weight"])


def test_several_networks_are_named_and_none_is_chosen(tmp_path: Path) -> None:
    state = mobilenet()
    moved = {key: value + 1 for key, value in state.items()}
    torch.save({"model": state, "ema": {"state_dict": moved}, "epoch": 2}, tmp_path / "m.pth")
    with pytest.raises(WeightsError, match=r"holds 2 networks.*\['model'\].*\['ema'\]\['state_dict'\]"):
        load_external(tmp_path / "m.pth")
    torch.save({"teacher": {"a.weight": torch.ones(2, 2)}, "student": state}, tmp_path / "m.pth")
    _, network = load_external(tmp_path / "m.pth")  # only one of these is a network here
    assert torch.equal(mobilenet_logits(network), mobilenet_logits(mobilenet_with(state)))
    torch.save(prefixed(state, "net.") | prefixed(moved, "model."), tmp_path / "m.pth")
    with pytest.raises(WeightsError, match=r"features\.0\.0\.weight more than once"):
        load_external(tmp_path / "m.pth")


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


def test_a_card_beside_it_overrides(tmp_path: Path) -> None:
    torch.save(mobilenet(3), tmp_path / "m.pth")
    with pytest.raises(WeightsError, match=r"m\.pth has 3 classes, 7 expected .*m\.json"):
        load_classifier("m", tmp_path, "cpu")
    fields = {"title": "Mine", "labels": ["neutral", "anger", "happiness"], "input": {"size": 96}, "temperature": 2}
    (tmp_path / "m.json").write_text(json.dumps(fields))
    card = load_classifier("m", tmp_path, "cpu").card
    assert (card.title, card.labels, card.temperature) == ("Mine", ("neutral", "anger", "happiness"), 2)
    assert (card.input.size, card.input.mode) == (96, "rgb")
    assert card.sha256 == sha256_of(tmp_path / "m.pth")
    assert list_models(tmp_path) == ["m"]


def test_labels_in_other_words_are_joined_by_the_vocabularys(tmp_path: Path) -> None:
    torch.save(mobilenet(8), tmp_path / "m.pth")
    words = ["Surprise", "Fear", "Disgust", "Happy", "Sad", "Angry", "Neutral", "Contempt"]
    (tmp_path / "m.json").write_text(json.dumps({"labels": words}))
    labels = load_classifier("m", tmp_path, "cpu").card.labels
    assert labels == ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral", "Contempt")


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"architecture": "vit"}, CardError, r"m\.json must name the architecture .*resnet50_caffe"),
        ({"architecture": "vgg16"}, WeightsError, "does not fit its card .*is missing"),
        ({"labels": ["anger"]}, WeightsError, r"has 7 classes, 1 expected \(anger\)"),
        ({"labels": [0, 1, 2, 3, 4, 5, 6]}, CardError, r"malformed: labels\.0: Input should be a valid string"),
        ({"recipe": None}, CardError, "malformed: recipe"),
        ({"metrics": []}, CardError, "malformed: metrics"),
        ({"input": {"mode": "purple"}}, CardError, r"malformed: input\.mode"),
        ({"sha256": "0" * 64}, WeightsError, "is not the file its card"),
        ({"name": "other"}, CardError, "is the card of other"),
        ({"colour": "red"}, CardError, "malformed: .*colour"),
        ([1], CardError, "malformed"),
    ],
)
def test_a_wrong_card_is_named(tmp_path: Path, fields: Any, error: type[Exception], message: str) -> None:
    torch.save(mobilenet(), tmp_path / "m.pth")
    (tmp_path / "m.json").write_text(json.dumps(fields))
    with pytest.raises(error, match=message):
        load_classifier("m", tmp_path, "cpu")


def test_a_resnet_by_its_childrens_names_needs_a_card(tmp_path: Path, face_state: State) -> None:
    """Torchvision's and VGGFace2's differ in their strides alone, which no file holds."""
    torch.save(face_state, tmp_path / "r.pth")
    with pytest.raises(WeightsError, match=r"does not tell how its network strides.*Write .*r\.json"):
        load_external(tmp_path / "r.pth")
    for architecture in ("resnet50", "resnet50_caffe"):
        (tmp_path / "r.json").write_text(json.dumps({"architecture": architecture}))
        card, network = load_external(tmp_path / "r.pth")
        assert card.architecture == architecture
        assert torch.equal(network.fc.weight, face_state["fc.weight"])


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a page instead of a download": (lambda path: path.write_bytes(b"<!DOCTYPE html>"), "not a PyTorch checkpoint"),
    "nothing": (lambda path: path.touch(), "not a PyTorch checkpoint"),
    "cut off": (lambda path: _cut_off(path), "not a PyTorch checkpoint"),
    "code": (lambda path: torch.save(torch.nn.Linear(2, 2), path), "Python objects besides tensors.*state_dict"),
    "arguments": (lambda path: torch.save({"args": argparse.Namespace()}, path), "Python objects besides tensors"),
    "a list": (lambda path: torch.save([1, 2], path), "holds no state dict"),
    "other keys": (lambda path: torch.save({"weights": {"a": 1}}, path), "holds no state dict|expected tensors"),
    "no tensors": (lambda path: torch.save({"state_dict": {"fc.weight": 3}}, path), "holds no state dict|is int"),
    "another network": (lambda path: torch.save({"a": torch.ones(2)}, path), "no network known here. It has 1 tensor"),
    "a layer too few": (lambda path: _save_changed(path, drop="features.18.0.weight"), "resembles mobilenet.* missing"),
    "a foreign layer": (lambda path: _save_changed(path, extra=torch.ones(1)), "gate.weight is not part of"),
    "no head": (lambda path: _save_changed(path, drop="fc.weight"), "has features but no head.*--init m.pth"),
    "no bias": (lambda path: _save_changed(path, drop="fc.bias"), "fc.bias is missing"),
    "1,000 classes": (lambda path: torch.save(mobilenet(1000), path), "has 1000 classes, 7 expected"),
    "not a number": (lambda path: _save_changed(path, extra=torch.tensor([float("nan")])), "other than finite numbers"),
    "too many numbers": (lambda path: torch.save({"a": torch.ones(1).expand(10**13)}, path), "more than .* numbers"),
    "sparse": (lambda path: torch.save({"a": torch.eye(3).to_sparse()}, path), "is sparse"),
    "no values": (lambda path: torch.save({"a": torch.ones(3, device="meta")}, path), "without values"),
    "unpacks to too much": (lambda path: _zip_bomb(path), "unpacks to .* bytes"),
    "a NumPy number": (lambda path: torch.save({"best": np.float64(1)}, path), r"besides tensors \(numpy.*scalar"),
    "TorchScript": (lambda path: _save_program(path), r"is a TorchScript program.*state_dict\(\), 'm\.pth'"),
    "whole numbers": (lambda path: _save_changed(path, extra=torch.tensor([1])), "other than finite numbers"),
}


def _cut_off(path: Path) -> None:
    torch.save(mobilenet(), path)
    path.write_bytes(path.read_bytes()[:100_000])


def _zip_bomb(path: Path) -> None:
    """A small archive whose directory announces 4 GB."""
    torch.save({"a": torch.ones(2)}, path)
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = (0xFFFFFFF0).to_bytes(4, "little")
    path.write_bytes(data)


def _save_program(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(mobilenet_with(mobilenet())), path)


def _save_changed(path: Path, drop: str = "", extra: Tensor | None = None) -> None:
    state = {key: value for key, value in mobilenet().items() if key != drop}
    torch.save(state if extra is None else state | {"gate.weight": extra}, path)


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_wrong_file_is_refused_with_the_reason(tmp_path: Path, kind: str) -> None:
    write, message = BAD_FILES[kind]
    path = tmp_path / "m.pth"
    write(path)
    with warnings.catch_warnings(), pytest.raises(WeightsError, match=message) as caught:
        warnings.simplefilter("error")  # they would show this project's paths on the standard error
        load_external(path)
    assert str(path) in str(caught.value) and len(str(caught.value)) < 700
    with pytest.raises(WeightsError, match=message):
        load_classifier("m", tmp_path, "cpu")


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
    (tmp_path / "other.onnx").write_bytes(b"onnx")
    analyzer = load_analyzer(weights=tmp_path, device="cpu", detector=fake_detector)
    assert list(analyzer.classifiers) == ["vgg16"]
    assert [record.message for record in caplog.records] == list(analyzer.left_out)
    bare, other = analyzer.left_out
    assert "bare.safetensors" in bare and str(tmp_path / "bare.json") in bare and "sha256" in bare
    assert "other.onnx" in other and "state_dict" in other
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
    page = (Path(__file__).parents[3] / "docs" / "your-model.md").read_text(encoding="utf-8")
    fields = next(json.loads(block.split("```")[0]) for block in page.split("```json")[1:] if '"sha256"' in block)
    network = build_network(fields["architecture"], len(fields["labels"]))
    fields["sha256"] = save_weights(network, tmp_path / "NAME.safetensors")
    (tmp_path / "NAME.json").write_text(json.dumps(fields))
    card = load_classifier("NAME", tmp_path, "cpu").card
    assert card.parameters == sum(parameter.numel() for parameter in network.parameters())


def test_vggface2_is_a_start_with_its_own_strides(vggface2: tuple[Path, State], tmp_path: Path) -> None:
    path, state = vggface2
    found = read_external(path)
    assert found.architecture == "resnet50_caffe"
    assert found.tensors["features.7.2.conv3.weight"].dtype == torch.float32
    assert list_models(path.parent) == [], "a start for training is no model"
    for start, folders in ((str(path), []), (path.stem, [tmp_path, path.parent]), (path.name, [path.parent])):
        assert architecture_for("resnet50", start, folders) == "resnet50_caffe"
    assert architecture_for("mobilenet_v2", str(path), []) == "mobilenet_v2"
    network = build_network("resnet50_caffe", 7).eval()
    head = network.fc.weight.clone()
    start_from(network, str(path), [])
    assert torch.equal(network.fc.weight, head), "the head told people apart"
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        features, _ = forward_by_hand(state, x)
        found_features = network.forward_features(x)
    torch.testing.assert_close(found_features, features, rtol=1e-3, atol=1e-3 * float(features.abs().max()))
    with pytest.raises(WeightsError, match="do not fit this network"):
        start_from(build_network("mobilenet_v2", 7), str(path), [])


def test_a_model_trained_from_vggface2_passes_its_strides_on(
    tmp_path: Path, write_model: Callable[..., ModelCard]
) -> None:
    """`train resnet50 --init resnet50_ft_weight.pkl`, then `train eac_resnet50`, which starts from runs/resnet50."""
    for architecture in ("resnet50_caffe", "resnet50"):
        write_model(tmp_path, "resnet50", architecture=architecture)
        assert architecture_for("resnet50", "resnet50", [tmp_path]) == architecture


def test_other_starts_keep_the_recipes_architecture(tmp_path: Path, face_state: State) -> None:
    torch.save({key: value for key, value in face_state.items() if key[:2] != "fc"}, tmp_path / "imagenet.pth")
    assert architecture_for("resnet50", "imagenet", [tmp_path]) == "resnet50"
    assert architecture_for("resnet50", None, []) == "resnet50"
    torchvisions = str(tmp_path / "imagenet.pth")
    assert architecture_for("resnet50", torchvisions, []) == "resnet50"
    network = build_network("resnet50", 7)
    start_from(network, torchvisions, [])
    assert torch.equal(network.state_dict()["features.0.weight"], face_state["conv1.weight"])
    with pytest.raises(WeightsError, match=r"There are no weights to start from: gone\.pkl, .*gone\.pkl"):
        start_from(network, "gone.pkl", [tmp_path])


def test_training_begins_with_an_eac_checkpoint(tmp_path: Path) -> None:
    """The command, from a .pth on: one epoch on a synthetic RAF-DB."""
    raf = tmp_path / "raf"
    (raf / "EmoLabel").mkdir(parents=True)
    (raf / "Image" / "aligned").mkdir(parents=True)
    names = [f"{split}_{number:02}" for split in ("train", "test") for number in range(20)]
    for name in names:
        cv2.imwrite(str(raf / "Image" / "aligned" / f"{name}_aligned.jpg"), np.full((100, 100, 3), 90, np.uint8))
    listed = "".join(f"{name}.jpg {index % 7 + 1}\n" for index, name in enumerate(names))
    (raf / "EmoLabel" / "list_patition_label.txt").write_text(listed)
    torch.save({"state_dict": mobilenet()}, tmp_path / "eac.pth")
    words = ["train", "eac_mobilenet_v2", "--labels", "rafdb", "--data", str(raf), "--out", str(tmp_path / "run")]
    words += ["--init", str(tmp_path / "eac.pth"), "--stages", "32x1", "--batch", "4", "--device", "cpu"]
    assert main([*words, "--threads", "1"]) == 0
    card = read_card(tmp_path / "run" / "eac_mobilenet_v2.json")
    assert card.architecture == "mobilenet_v2_stride32"
    assert card.recipe["settings"]["start"] == str(tmp_path / "eac.pth")


class Attack:
    """Would make a file when unpickled."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call, self.arguments


def test_a_pickle_runs_nothing(tmp_path: Path) -> None:
    path, mark = tmp_path / "evil.pkl", tmp_path / "mark"
    attacks = [
        ({"conv1.weight": Attack(os.mkdir, str(mark))}, r"asks for (posix|os|nt)\.mkdir; only NumPy arrays"),
        (Attack(eval, f"__import__('os').mkdir({str(mark)!r})"), r"asks for builtins\.eval"),
        (Attack(np.load, str(path)), r"asks for numpy\.load"),
        (OrderedDict(a=1), r"asks for collections\.OrderedDict"),
        (np.array([Attack(os.mkdir, str(mark))], dtype=object), r"asks for (posix|os|nt)\.mkdir"),
    ]
    for content, message in attacks:
        path.write_bytes(pickle.dumps(content, protocol=4))
        with pytest.raises(WeightsError, match=message):
            read_external(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a pickle of NumPy arrays"),
        (b"<html>", "not a pickle of NumPy arrays"),
        (pickle.dumps([1]), "holds no state dict"),
        (pickle.dumps({1: np.ones(2)}, protocol=4), "1 is Tensor, expected tensors by name"),
        (pickle.dumps({"a": np.array(["x"])}, protocol=4), "'a' is ndarray, expected tensors"),
        (pickle.dumps({"a": np.array([None])}, protocol=4), "'a' is ndarray, expected tensors"),
        (python2_pickle({"a": np.ones(2)}), "no network known here. It has 1 tensors: a"),
        (python2_pickle({"a": np.ones(99)})[:-30], "not a pickle of NumPy arrays"),
    ],
    ids=["empty", "page", "list", "numbered", "texts", "objects", "another network", "cut off"],
)
def test_a_wrong_pickle_is_refused_with_the_reason(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "start.pkl"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=message):
        read_external(path)
    with pytest.raises(WeightsError, match="Cannot read the weight file"):
        read_external(tmp_path / "gone.pkl")
