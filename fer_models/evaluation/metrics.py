"""Measured figures of one model on one set of faces. scikit-learn computes what it has."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, f1_score, recall_score

from fer_models.expressions import EXPRESSIONS


@dataclass(frozen=True)
class EvaluationReport:
    """One model's measured figures on one set of faces.

    Attributes:
        count: faces measured.
        accuracy: share of faces whose most probable expression is their label, in [0, 1].
        macro_f1: mean F1 of the expressions that occur in truth or predictions (scikit-learn).
        recall: by expression, share of its faces found; None where the set has none.
        expected_calibration_error: mean gap of confidence and accuracy over 15 equal bins (Guo et al., ICML 2017).
        negative_log_likelihood: mean of -log of the label's probability, in nats.
        labels: order of the confusion matrix's rows and columns.
        confusion: (C, C) counts; rows are the truth.
    """

    count: int
    accuracy: float
    macro_f1: float
    recall: dict[str, float | None]
    expected_calibration_error: float
    negative_log_likelihood: float
    labels: tuple[str, ...] = EXPRESSIONS
    confusion: list[list[int]] = field(default_factory=list)


def measure(targets: NDArray[np.int64], probabilities: NDArray[np.float32]) -> EvaluationReport:
    """The figures of one model.

    Args:
        targets: (N,) int64, indices into `EXPRESSIONS`; N at least 1.
        probabilities: (N, 7) float32, columns in the order of `EXPRESSIONS`.
    """
    chosen = probabilities.argmax(1)
    confidence = probabilities.max(1)
    right = chosen == targets
    classes = np.arange(len(EXPRESSIONS))
    counts = np.bincount(targets, minlength=len(EXPRESSIONS))
    recalls = recall_score(targets, chosen, labels=classes, average=None, zero_division=0.0)
    of_label = probabilities[np.arange(len(targets)), targets]
    present = np.union1d(targets, chosen)
    return EvaluationReport(
        count=len(targets),
        accuracy=float(right.mean()),
        macro_f1=float(f1_score(targets, chosen, labels=present, average="macro", zero_division=0.0)),
        recall={name: float(recalls[i]) if counts[i] else None for i, name in enumerate(EXPRESSIONS)},
        expected_calibration_error=calibration_error(confidence, right),
        negative_log_likelihood=float(-np.log(np.maximum(of_label, 1e-12)).mean()),
        confusion=confusion_matrix(targets, chosen, labels=classes).tolist(),
    )


def calibration_error(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    """The expected calibration error over 15 equal bins, in [0, 1] (Guo et al., ICML 2017, equation 3).

    Args:
        confidence: (N,) float32, of the chosen expression; N at least 1.
        right: (N,) bool, whether it is the label.
    """
    bins = np.minimum((confidence * 15).astype(int), 14)
    gaps = np.bincount(bins, right.astype(np.float64)) - np.bincount(bins, confidence.astype(np.float64))
    return float(np.abs(gaps).sum() / len(bins))
