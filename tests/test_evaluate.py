"""Measured figures by hand, and that evaluation feeds the networks exactly what the app feeds them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fer_models.analyzer import Analyzer
from fer_models.expressions import EXPRESSIONS
from fer_models.images import read_image
from fer_models.preprocessing import InputSpec
from fer_models.training.data import FaceData
from fer_models.training.evaluate import measure, read_faces

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

    from fer_models.__main__ import main

    generator = np.random.default_rng(3)
    for folder in ("fear", "happy"):
        (tmp_path / folder).mkdir()
        Image.fromarray(generator.integers(0, 256, (48, 48), np.uint8)).save(tmp_path / folder / "a.png")
    report = tmp_path / "report.json"
    words = ["evaluate", "--data", str(tmp_path), "--labels", "folder", "--weights", str(weights_dir)]
    for name in ("vgg16", "resnet50"):
        assert main([*words, "--json", str(report), "--device", "cpu", "--models", name]) == 0
    assert set(json.loads(report.read_text())["models"]) == {"vgg16", "resnet50"}


def test_evaluation_and_app_feed_the_same_tensors(tmp_path: Path) -> None:
    """A grey 48x48 dataset face, and the same face as a picture file read whole by the app."""
    from PIL import Image

    from fer_models.faces import align, whole_picture

    face = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    Image.fromarray(face).save(tmp_path / "face.png")
    image = read_image(tmp_path / "face.png")
    crop = align(image, whole_picture(image))
    spec = InputSpec(size=112)
    assert torch.equal(spec.transform([crop]), spec.transform([face]))


def test_read_faces_joins_by_name_and_reads_cut_outs_whole(analyzer: Analyzer) -> None:
    faces = np.random.default_rng(1).integers(0, 256, (3, 48, 48), np.uint8)
    data = FaceData("fer2013", "test", faces, np.zeros(3, np.int64), np.arange(3))
    probabilities, missed = read_faces(analyzer, data)
    assert missed == 0
    for name, classifier in analyzer.classifiers.items():
        expected = classifier.predict(list(faces))
        for row, prediction in enumerate(expected):
            for column, label in enumerate(EXPRESSIONS):
                assert probabilities[name][row, column] == pytest.approx(prediction.probability(label), abs=1e-5)


def test_photos_count_their_largest_face_and_missed_ones_are_told(analyzer: Analyzer) -> None:
    generator = np.random.default_rng(2)
    photos = [generator.integers(0, 256, shape, np.uint8) for shape in ((120, 210, 3), (90, 60, 3))]
    data = FaceData("folder", "test", photos, np.zeros(2, np.int64), np.arange(2))
    probabilities, missed = read_faces(analyzer, data, "detect")
    assert missed == 1  # the fake detector sees nothing below 100 px
    assert all(np.allclose(values.sum(1), 1, atol=1e-5) for values in probabilities.values())
