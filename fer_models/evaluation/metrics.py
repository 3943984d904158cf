"""Metrics of one model on one set of labelled faces: its predictions and how far its confidences can be believed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_models.expressions import EXPRESSIONS
from fer_models.metrics import ClassificationMetrics, classification_metrics


@dataclass(frozen=True)
class EvaluationMetrics(ClassificationMetrics):
    """Classification metrics, and the errors of the confidences.

    Attributes:
        expected_calibration_error: mean gap of confidence and accuracy over 15 equal bins (Guo et al., ICML 2017).
        negative_log_likelihood: mean of -log of the label's probability, in nats.
    """

    expected_calibration_error: float
    negative_log_likelihood: float


def measure(targets: NDArray[np.int64], probabilities: NDArray[np.float32]) -> EvaluationMetrics:
    """The metrics of one model.

    Args:
        targets: (N,) int64, indices into `EXPRESSIONS`; N at least 1.
        probabilities: (N, 7) float32, columns in the order of `EXPRESSIONS`.
    """
    predicted = probabilities.argmax(1)
    of_label = probabilities[np.arange(len(targets)), targets]
    return EvaluationMetrics(
        **vars(classification_metrics([EXPRESSIONS[i] for i in targets], [EXPRESSIONS[i] for i in predicted])),
        expected_calibration_error=calibration_error(probabilities.max(1), predicted == targets),
        negative_log_likelihood=float(-np.log(np.maximum(of_label, 1e-12)).mean()),
    )


def calibration_error(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    """The expected calibration error over 15 equal bins, in [0, 1] (Guo et al., ICML 2017, equation 3).

    Args:
        confidence: (N,) float32, of the predicted expression; N at least 1.
        right: (N,) bool, whether it is the label.
    """
    bins = np.minimum((confidence * 15).astype(int), 14)
    gaps = np.bincount(bins, right.astype(np.float64)) - np.bincount(bins, confidence.astype(np.float64))
    return float(np.abs(gaps).sum() / len(bins))
