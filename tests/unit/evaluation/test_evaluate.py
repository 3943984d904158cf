"""Measured figures by hand, and that evaluation feeds the networks exactly what the app feeds them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fer_models.analyzer import Analyzer
from fer_models.datasets.dataset import FaceData
from fer_models.errors import FerError
from fer_models.evaluation.metrics import measure
from fer_models.evaluation.predictions import load_test_predictions, predict_test_set
from fer_models.expressions import EXPRESSIONS
from fer_models.media.images import read_image
from fer_models.models.preprocessing import InputSpec

ANGER, FEAR, HAPPINESS = (EXPRESSIONS.index(name) for name in ("anger", "fear", "happiness"))


def rows(*entries: tuple[int, float]) -> NDArray[np.float32]:
    """Probabilities: the given class at the given height, the rest spread evenly."""
    table = np.zeros((len(entries), 7), np.float32)
    for row, (label, probability) in zip(table, entries, strict=True):
        row[:] = (1 - probability) / 6
        row[label] = probability
    return table


def test_figures_by_hand() -> None:
    targets = np.array([ANGER, ANGER, HAPPINESS, HAPPINESS])
    report = measure(targets, rows((ANGER, 0.9), (FEAR, 0.7), (HAPPINESS, 0.9), (HAPPINESS, 0.9)))
    assert report.count == 4
    assert report.accuracy == 0.75
    # F1: anger 2/3 (precision 1, recall 1/2), fear 0, happiness 1; mean of the three that occur
    assert report.macro_f1 == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert report.recall["anger"] == 0.5
    assert report.recall["happiness"] == 1.0
    assert report.recall["fear"] is None
    # two bins: three faces at 0.9, all right: gap 0.1; one at 0.7, wrong: gap 0.7
    assert report.expected_calibration_error == pytest.approx(0.75 * 0.1 + 0.25 * 0.7)
    assert report.negative_log_likelihood == pytest.approx(-(3 * np.log(0.9) + np.log(0.05)) / 4, rel=1e-5)
    confusion = np.array(report.confusion)
    assert confusion.sum() == 4
    assert confusion[ANGER, FEAR] == 1  # rows are the truth
    assert confusion[FEAR, ANGER] == 0


def test_models_can_be_measured_into_one_file_one_after_the_other(weights_dir: Path, tmp_path: Path) -> None:
    from PIL import Image

    from fer_models.cli.main import main

    generator = np.random.default_rng(3)
    for folder in ("fear", "happy"):
        (tmp_path / folder).mkdir()
        Image.fromarray(generator.integers(0, 256, (48, 48), np.uint8)).save(tmp_path / folder / "a.png")
    report = tmp_path / "report.json"
    words = ["evaluate", "--data", str(tmp_path), "--labels", "folder", "--weights", str(weights_dir)]
    for name in ("vgg16", "resnet50"):
        assert main([*words, "--json", str(report), "--device", "cpu", "--models", name]) == 0
    document = json.loads(report.read_text())
    assert list(document["models"]) == ["resnet50", "vgg16"]  # the project's order
    predictions = load_test_predictions(tmp_path / "report.npz")
    mean = ((predictions.probabilities("resnet50") + predictions.probabilities("vgg16")) / 2).astype(np.float32)
    assert document["ensemble"]["members"] == ["resnet50", "vgg16"]
    assert document["ensemble"]["accuracy"] == measure(predictions.targets, mean).accuracy
    for name in ("resnet50", "vgg16"):
        expected = measure(predictions.targets, predictions.probabilities(name))
        assert document["models"][name]["accuracy"] == expected.accuracy
        before = measure(predictions.targets, predictions.probabilities(name, calibrated=False))
        likelihood = document["models"][name]["before_temperature"]["negative_log_likelihood"]
        assert likelihood == before.negative_log_likelihood != expected.negative_log_likelihood


def test_figures_go_onto_the_cards(weights_dir: Path, tmp_path: Path) -> None:
    """Also how much a forward pass costs: MobileNetV2 at 64 px, whose last strides are 1."""
    import shutil

    from PIL import Image

    from fer_models.cli.main import main
    from fer_models.models.card import read_card

    weights = tmp_path / "weights"
    weights.mkdir()
    for suffix in ("json", "safetensors"):
        shutil.copy(weights_dir / f"vgg16.{suffix}", weights)
    (tmp_path / "data" / "fear").mkdir(parents=True)
    Image.fromarray(np.zeros((48, 48), np.uint8)).save(tmp_path / "data" / "fear" / "a.png")
    words = ["evaluate", "--data", str(tmp_path / "data"), "--labels", "folder", "--weights", str(weights)]
    assert main([*words, "--device", "cpu", "--cards"]) == 0
    card = read_card(weights / "vgg16.json")
    assert card.metrics["folder_test"]["count"] == 1
    assert card.metrics["folder_test"]["recall"]["anger"] is None
    assert 25_000_000 < card.multiply_adds < 45_000_000


def test_files_that_hold_no_predictions(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with pytest.raises(FerError, match="holds no predictions"):
        load_test_predictions(path)
    path.write_bytes(b"PK nothing")
    with pytest.raises(FerError, match="holds no predictions"):
        load_test_predictions(path)
    np.savez(path, rows=np.array([{}], dtype=object))
    with pytest.raises(FerError, match="holds no predictions"):
        load_test_predictions(path)


def test_evaluation_and_app_feed_the_same_tensors(tmp_path: Path) -> None:
    """A grey 48x48 dataset face, and the same face as a picture file read whole by the app."""
    from PIL import Image

    from fer_models.faces.alignment import align, whole_picture

    face = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    Image.fromarray(face).save(tmp_path / "face.png")
    image = read_image(tmp_path / "face.png")
    crop = align(image, whole_picture(image))
    spec = InputSpec(size=112)
    assert torch.equal(spec.transform([crop]), spec.transform([face]))


def test_predictions_are_joined_by_name_and_cut_outs_taken_whole(analyzer: Analyzer) -> None:
    faces = np.random.default_rng(1).integers(0, 256, (3, 48, 48), np.uint8)
    data = FaceData("fer2013", "test", faces, np.zeros(3, np.int64), np.arange(3))
    predictions, missed = predict_test_set(analyzer, data)
    assert missed == 0
    for name, classifier in analyzer.classifiers.items():
        expected = classifier.predict(list(faces))
        for row, prediction in enumerate(expected):
            for column, label in enumerate(EXPRESSIONS):
                value = predictions.probabilities(name)[row, column]
                assert value == pytest.approx(prediction.probability(label), abs=1e-5)


def test_photos_count_their_largest_face_and_missed_ones_are_counted(analyzer: Analyzer) -> None:
    generator = np.random.default_rng(2)
    photos = [generator.integers(0, 256, shape, np.uint8) for shape in ((120, 210, 3), (90, 60, 3))]
    data = FaceData("folder", "test", photos, np.zeros(2, np.int64), np.arange(2))
    predictions, missed = predict_test_set(analyzer, data, "detect")
    assert missed == 1  # the fake detector sees nothing below 100 px
    assert all(np.isfinite(values).all() for values in predictions.logits.values())
