"""Temperature scaling."""

from pathlib import Path

import numpy as np
import pytest

from fer_models.analyzer import Analyzer
from fer_models.datasets.dataset import FaceData
from fer_models.evaluation.calibration import calibrated, fit_temperature
from fer_models.expressions import EXPRESSIONS


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_recovered(factor: float) -> None:
    """Two classes, logits log(3) apart, right three times of four: calibrated at 1, and at `factor` when multiplied."""
    logits = np.tile(np.array([[np.log(3.0), 0.0]], np.float32) * factor, (4, 1))
    assert fit_temperature(logits, np.array([0, 0, 0, 1])) == pytest.approx(factor, rel=1e-2)


def test_it_lowers_the_likelihood_and_joins_by_name(analyzer: Analyzer) -> None:
    """The fixture's models have their labels in different orders."""
    generator = np.random.default_rng(0)
    faces = generator.integers(0, 256, (12, 48, 48), np.uint8)
    for classifier in analyzer.classifiers.values():
        predicted = [EXPRESSIONS.index(prediction.label) for prediction in classifier.predict(list(faces))]
        data = FaceData("fer2013", "validation", faces, np.array(predicted), np.arange(12))
        temperature, figures = calibrated(classifier, data)
        assert temperature < 1  # always right: be surer
        before, after = figures["before"], figures["after"]
        assert isinstance(before, dict) and isinstance(after, dict)
        assert after["negative_log_likelihood"] < before["negative_log_likelihood"]


def test_the_command_needs_to_know_the_label_set(weights_dir: Path, tmp_path: Path) -> None:
    from fer_models.cli.main import main

    words = ["calibrate", "--data", str(tmp_path), "--weights", str(weights_dir), "--models", "vgg16"]
    assert main([*words, "--device", "cpu"]) == 2
