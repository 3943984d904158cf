"""Corruptions of faces, and accuracy under them."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fer_models.analyzer import Analyzer
from fer_models.cli.main import main
from fer_models.datasets.dataset import FaceData
from fer_models.evaluation.corruptions import CORRUPTIONS, STRENGTHS, corrupt
from fer_models.evaluation.robustness import measure_robustness


@pytest.fixture(scope="module")
def face() -> NDArray[np.uint8]:
    """Soft stripes and blobs, 48x48 grey."""
    y, x = np.mgrid[:48, :48]
    return np.asarray(128 + 60 * np.sin(x / 4) + 40 * np.cos(y / 5), np.uint8)


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_each_keeps_the_shape_is_seeded_and_grows_with_strength(
    kind: str, colour: bool, face: NDArray[np.uint8]
) -> None:
    picture = np.repeat(face[..., None], 3, axis=2) if colour else face
    before = picture.copy()
    damage = []
    for strength in STRENGTHS:
        worse = corrupt(picture, kind, strength, np.random.default_rng(0))
        assert worse.shape == picture.shape and worse.dtype == np.uint8
        again = corrupt(picture, kind, strength, np.random.default_rng(0))
        np.testing.assert_array_equal(worse, again)
        damage.append(float(np.abs(worse.astype(float) - picture).mean()))
    np.testing.assert_array_equal(picture, before)
    assert damage[0] > 0
    assert damage[-1] > damage[0]


def test_bars_cover_eyes_and_mouth(face: NDArray[np.uint8]) -> None:
    """Rows of the template: eyes at 0.40, mouth at 0.76 of the side; strength 5 covers 0.175 to either side."""
    for kind, rows in (("eyes covered", slice(11, 27)), ("mouth covered", slice(28, 44))):
        covered = corrupt(face, kind, 5, np.random.default_rng(0))
        assert (covered[rows] == round(float(face.mean()))).all()
        np.testing.assert_array_equal(covered[:10], face[:10])


def test_the_command(weights_dir: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "out" / "robustness.json"
    words = ["robustness", "--data", str(data_dir), "--labels", "fer2013", "--weights", str(weights_dir)]
    words += ["--models", "vgg16", "resnet50", "--device", "cpu", "--count", "3"]
    assert main([*words, "--json", str(file)]) == 0
    document = json.loads(file.read_text())
    assert document["count"] == 3 and document["members"] == ["vgg16", "resnet50"]
    assert list(document["corrupted"]) == list(CORRUPTIONS)
    for curves in document["corrupted"].values():
        assert set(curves) == {"vgg16", "resnet50", "ensemble"}
        assert all(len(curve) == 5 and all(0 <= value <= 1 for value in curve) for curve in curves.values())
    for name, interval in document["mean"].items():
        values = [value for curves in document["corrupted"].values() for value in curves[name]]
        assert interval["value"] == pytest.approx(np.mean(values))
        assert interval["low"] <= interval["value"] <= interval["high"]
    singles = {name: document["mean"][name]["value"] for name in ("vgg16", "resnet50")}
    ((worse, behind),) = document["behind"].items()
    assert behind["value"] == pytest.approx(max(singles.values()) - singles[worse])
    assert "clean" in capsys.readouterr().out
    assert main([*words, "--count", "0"]) == 2


def test_models_that_learned_other_labels_are_no_ensemble(analyzer: Analyzer, face: NDArray[np.uint8]) -> None:
    pair = Analyzer([analyzer.classifiers[name] for name in ("vgg16", "eac_mobilenet_v2")], analyzer.detector)
    data = FaceData("fer2013", "test", face[None], np.zeros(1, np.int64), np.arange(1))
    record = measure_robustness(pair, data)
    assert record.members == () and set(record.clean) == set(record.mean) == {"vgg16", "eac_mobilenet_v2"}
