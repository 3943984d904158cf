"""Files of the EAC authors' code, their cards, and files that are refused."""

import argparse
import hashlib
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fer_models.analyzer import list_models
from fer_models.datasets.rafdb import NATIVE
from fer_models.errors import CardError, WeightsError
from fer_models.models.architectures import build_network
from fer_models.models.classifier import load_classifier
from fer_models.models.external.torch_files.load import RAFDB_ORDER, load_external
from tests.helpers.checkpoints import (
    eac_layout,
    face_resnet,
    forward_by_hand,
    mobilenet,
    mobilenet_with,
)


def test_the_eac_authors_resnet_computes_what_theirs_does(tmp_path: Path) -> None:
    face_state = face_resnet(7)
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
    assert card.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert card.parameters == 25_557_032 - 1000 * 2049 + 7 * 2049
    assert not network.training and not any(parameter.requires_grad for parameter in network.parameters())


def test_a_card_beside_it_overrides(tmp_path: Path) -> None:
    torch.save(mobilenet(3), tmp_path / "m.pth")
    with pytest.raises(WeightsError, match=r"m\.pth has 3 classes, 7 expected .*m\.json"):
        load_classifier("m", tmp_path, "cpu")
    fields = {"title": "Mine", "labels": ["neutral", "anger", "happiness"], "input": {"size": 96}, "temperature": 2}
    (tmp_path / "m.json").write_text(json.dumps(fields))
    card = load_classifier("m", tmp_path, "cpu").card
    assert (card.title, card.labels, card.temperature) == ("Mine", ("neutral", "anger", "happiness"), 2)
    assert (card.input.size, card.input.mode) == (96, "rgb")
    assert card.sha256 == hashlib.sha256((tmp_path / "m.pth").read_bytes()).hexdigest()
    assert list_models(tmp_path) == ["m"]


def test_labels_in_other_words_are_joined_by_the_vocabularys(tmp_path: Path) -> None:
    torch.save(mobilenet(8), tmp_path / "m.pth")
    words = ["Surprise", "Fear", "Disgust", "Happy", "Sad", "Angry", "Neutral", "Contempt"]
    (tmp_path / "m.json").write_text(json.dumps({"labels": words}))
    labels = load_classifier("m", tmp_path, "cpu").card.labels
    assert labels == ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral", "contempt")


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


def test_a_resnet_by_its_childrens_names_needs_a_card(tmp_path: Path) -> None:
    """Torchvision's and VGGFace2's differ in their strides alone, which no file holds."""
    face_state = face_resnet(7)
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
        warnings.simplefilter("ignore", ResourceWarning)  # of other tests' event loops, collected meanwhile
        load_external(path)
    assert str(path) in str(caught.value) and len(str(caught.value)) < 700
    with pytest.raises(WeightsError, match=message):
        load_classifier("m", tmp_path, "cpu")
