"""Classification metrics and agreement, by scikit-learn: the one place where predicted expressions meet labels."""

from collections.abc import Sequence
from dataclasses import dataclass

from fer_models.expressions import EXPRESSIONS, in_display_order


@dataclass(frozen=True)
class ClassificationMetrics:
    """How the expressions that one model predicts compare with the labels.

    Attributes:
        count: labelled faces.
        accuracy: share of faces whose prediction is their label, in [0, 1].
        macro_f1: mean F1 of the expressions that occur among the labels or the predictions.
        recall: by expression, in [0, 1]; None where no face has that label.
        labels: order of the confusion matrix's rows and columns.
        confusion: (C, C) counts; rows are the truth.
    """

    count: int
    accuracy: float
    macro_f1: float
    recall: dict[str, float | None]
    labels: tuple[str, ...]
    confusion: list[list[int]]

    @property
    def right(self) -> int:
        """How many faces are answered as labelled."""
        return sum(row[index] for index, row in enumerate(self.confusion))


def classification_metrics(
    truth: Sequence[str], predicted: Sequence[str], vocabulary: Sequence[str] = EXPRESSIONS
) -> ClassificationMetrics:
    """Compare predictions with labels.

    Args:
        truth: the label of each face; at least one.
        predicted: the expression predicted for each face, in the same order. A name outside the vocabulary gets a
            row and a column of its own, after the others.
        vocabulary: the names that have a row and a column in any case, in their order.
    """
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score  # slow to import

    labels = [*vocabulary, *in_display_order(sorted({*truth, *predicted}.difference(vocabulary)))]
    occurring = [name for name in labels if name in {*truth, *predicted}]
    recalls = recall_score(truth, predicted, labels=labels, average=None, zero_division=0.0)
    return ClassificationMetrics(
        count=len(truth),
        accuracy=float(accuracy_score(truth, predicted)),
        macro_f1=float(f1_score(truth, predicted, labels=occurring, average="macro", zero_division=0.0)),
        recall={name: float(recall) if name in truth else None for name, recall in zip(labels, recalls, strict=True)},
        labels=tuple(labels),
        confusion=confusion_matrix(truth, predicted, labels=labels).tolist(),
    )


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """How far two raters agree beyond chance, in [-1, 1]; None where both gave one and the same label to all faces.

    1 is perfect agreement; 0 is what chance gives raters who use the labels as often (Cohen, 1960).

    Args:
        first: one rater's label of each face; at least one face.
        second: the other's, in the same order.
    """
    if len({*first, *second}) < 2:
        return None
    from sklearn.metrics import cohen_kappa_score  # slow to import

    return float(cohen_kappa_score(first, second))
