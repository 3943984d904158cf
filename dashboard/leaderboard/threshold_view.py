"""Selective prediction at one confidence, from what was predicted for each face, as view models. No Gradio here."""

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.leaderboard.board import Board
from dashboard.leaderboard.sentences import interval_text, share
from dashboard.leaderboard.view import DASH, ConfusionMatrix, ModelLabel, confusion_matrices, model_label
from fer_models.evaluation.records import FaceSetComparison
from fer_models.evaluation.statistics import wilson
from fer_models.expressions import EXPRESSIONS
from fer_models.metrics import classification_metrics


@dataclass(frozen=True)
class ThresholdRow:
    """A model on the faces it is confident about: coverage, accuracy on them and its 95 % interval, in percent."""

    model: ModelLabel
    coverage: str
    accuracy: str
    interval: str


def above_threshold(
    board: Board, face_set: FaceSetComparison, least: float
) -> tuple[Sequence[ThresholdRow], Sequence[ConfusionMatrix]]:
    """Every model on the faces it is confident about, and its confusion matrix on them.

    Args:
        board: with the predictions for each face; models without are left out.
        face_set: one of the board's.
        least: the lowest confidence that counts, in [0, 1].
    """
    rows, kept_models = [], {}
    for name, model in face_set.models.items():
        predicted = board.predicted(face_set, name)
        if predicted is None:
            continue
        targets, probabilities = predicted
        kept = probabilities.max(1) >= least
        label = model_label(board, face_set.models, name, board.stale(face_set))
        coverage = share(float(kept.mean()))
        if not kept.any():
            rows.append(ThresholdRow(label, coverage, DASH, DASH))
            continue
        truth = [EXPRESSIONS[index] for index in targets[kept]]
        figures = classification_metrics(truth, [EXPRESSIONS[index] for index in probabilities[kept].argmax(1)])
        right = sum(counts[index] for index, counts in enumerate(figures.confusion))
        rows.append(ThresholdRow(label, coverage, share(figures.accuracy), interval_text(wilson(right, figures.count))))
        kept_models[name] = model.model_copy(update={"labels": figures.labels, "confusion": figures.confusion})
    return rows, confusion_matrices(board, face_set.model_copy(update={"models": kept_models}))
