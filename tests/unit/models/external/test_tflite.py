"""TFLite files dropped into weights/, with a card beside them."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fer_models.analyzer import list_models, load_analyzer
from fer_models.errors import CardError, EngineError, WeightsError
from fer_models.models.card import ModelCard
from fer_models.models.classifier import load_classifier
from tests.helpers.tflite_files import mean_model

SIZE = 8
LABELS = ["fear", "Angry", "neutral"]
CROP = np.random.default_rng(5).integers(0, 256, (SIZE, SIZE, 3), np.uint8)


def write(folder: Path, model: bytes, **changes: Any) -> Path:
    """A model and its card, with `input` merged into the usual one."""
    given = {"mode": "rgb", "mean": 0.5, "std": 0.25} | changes.pop("input", {})
    card = {"labels": LABELS, "input": given, "outputs": "logits"} | changes
    (folder / "theirs.tflite").write_bytes(model)
    (folder / "theirs.json").write_text(json.dumps({key: value for key, value in card.items() if value is not None}))
    return folder


@pytest.mark.parametrize("mode", ["rgb", "bgr"])
def test_it_is_fed_as_its_card_says(tmp_path: Path, mode: str) -> None:
    classifier = load_classifier("theirs", write(tmp_path, mean_model(SIZE), input={"mode": mode}), "cpu")
    (prediction,) = classifier.predict([CROP], features=True)
    means = (CROP.mean((0, 1)) / 255 - 0.5) / 0.25
    np.testing.assert_allclose(prediction.logits, means if mode == "rgb" else means[::-1], rtol=1e-4, atol=1e-5)
    assert prediction.labels == ("fear", "anger", "neutral")
    assert prediction.features is None and classifier.class_weights is None
    assert classifier.card.architecture == "tflite" and classifier.engine.name == "tflite"


def test_a_softmax_at_its_end_is_seen(tmp_path: Path) -> None:
    weights = write(tmp_path, mean_model(SIZE, softmax=True), outputs=None)
    (prediction,) = load_classifier("theirs", weights, "cpu").predict([CROP])
    scores = np.exp((CROP.mean((0, 1)) / 255 - 0.5) / 0.25)
    np.testing.assert_allclose(prediction.probabilities, scores / scores.sum(), rtol=1e-4)


def test_it_is_one_more_model(tmp_path: Path, write_model: Callable[..., ModelCard], fake_detector: Any) -> None:
    write_model(write(tmp_path, mean_model(SIZE)), "vgg16")
    assert list_models(tmp_path) == ["vgg16", "theirs"]
    analyzer = load_analyzer(weights=tmp_path, device="cpu", detector=fake_detector)
    assert list(analyzer.classifiers) == ["vgg16", "theirs"] and analyzer.left_out == ()


def test_without_litert_it_alone_is_left_out(
    tmp_path: Path, write_model: Callable[..., ModelCard], fake_detector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(write(tmp_path, mean_model(SIZE)), "vgg16")
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    analyzer = load_analyzer(weights=tmp_path, device="cpu", detector=fake_detector)
    assert list(analyzer.classifiers) == ["vgg16"]
    assert len(analyzer.left_out) == 1 and "requirements-tflite" in analyzer.left_out[0]
    with pytest.raises(EngineError, match="requirements-tflite"):
        load_analyzer(["theirs"], weights=tmp_path, device="cpu", detector=fake_detector)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"labels": ["fear", "anger"]}, "lists 2 labels, but the graph gives 3"),
        ({"input": {"size": 16}}, "input.size = 16, but the graph has 8"),
        ({"outputs": "probabilities"}, "not between 0 and 1"),
        ({"output": "means"}, "names an output"),
        ({"sha256": "0" * 64}, "not the file its card describes"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(CardError, match=problem):
        load_classifier("theirs", write(tmp_path, mean_model(SIZE), **changes), "cpu")


@pytest.mark.parametrize("content", [b"", b"no model", b"\x1c\0\0\0TFL3" + b"\xff" * 99])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("ai_edge_litert", reason="LiteRT is optional: requirements-tflite.txt")
    with pytest.raises(WeightsError, match=r"theirs\.tflite is not a TFLite file"):
        load_classifier("theirs", write(tmp_path, content), "cpu")
