"""View models of the leaderboard: what was measured on a set of faces. No Gradio, no HTML here."""

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from dashboard.leaderboard.board import Board
from dashboard.leaderboard.csv_tables import Rows, csv_text
from dashboard.leaderboard.sentences import FEW, cell_sentence, interval_text, ranks, share, signed
from fer_models.evaluation.records import Calibration, FaceSetComparison, ModelComparison, RobustnessRecord
from fer_models.evaluation.store import Problem
from fer_models.media.files import CSV_ENCODING
from fer_models.registry import ModelStyle, model_styles

#: What stands where there is no figure.
DASH: Final = "\u2013"


@dataclass(frozen=True)
class ModelLabel:
    """How a model is named in a table.

    Attributes:
        title: what people read.
        style: of its swatch.
        stale: whether its figures are out of date.
    """

    title: str
    style: ModelStyle
    stale: bool = False


@dataclass(frozen=True)
class Download:
    """Figures to save as CSV, and a chart as PNG and SVG. The file is part of the page: the server keeps none.

    Attributes:
        name: of the files, without suffix.
        rows: the table, header first.
        chart: key of the chart; "" where there is none.
    """

    name: str
    rows: Rows
    chart: str = ""

    @property
    def uri(self) -> str:
        """The CSV file as a data URI."""
        content = base64.b64encode(csv_text(self.rows).encode(CSV_ENCODING)).decode()
        return f"data:text/csv;charset=utf-8;base64,{content}"


@dataclass(frozen=True)
class Best:
    """The best models by one figure.

    Attributes:
        titles: of the models; several where they are equal.
        value: in [0, 1].
    """

    titles: tuple[str, ...]
    value: float

    @property
    def share(self) -> str:
        """The value in percent."""
        return share(self.value)


@dataclass(frozen=True)
class ExpressionRow:
    """Which model to choose for an expression.

    Attributes:
        expression: its name.
        faces: how many carry it.
        recall: the highest; None where it is unknown.
        precision: the highest of the models that predict it often enough; None where none does.
    """

    expression: str
    faces: int
    recall: Best | None
    precision: Best | None


@dataclass(frozen=True)
class AccuracyRow:
    """A model's accuracy.

    Attributes:
        rank: by accuracy, as `ranks` words it.
        model: the model.
        accuracy: in percent.
        best: whether no model has a higher one.
        interval: its 95 % interval.
        without_duplicates: accuracy without train/test duplicates; a dash where there are none.
        macro_f1: in [0, 1].
        flip_averaged: accuracy of the mean over each face and its mirror image; None where that was not measured.
        flip_averaged_interval: its 95 % interval.
    """

    rank: str
    model: ModelLabel
    accuracy: str
    best: bool
    interval: str
    without_duplicates: str
    macro_f1: str
    flip_averaged: str | None = None
    flip_averaged_interval: str = ""


@dataclass(frozen=True)
class ConfusionCell:
    """A cell of a confusion matrix.

    Attributes:
        share: of the row's faces, in [0, 1].
        correct: whether it lies on the diagonal.
        sentence: what it means.
    """

    share: float
    correct: bool
    sentence: str


@dataclass(frozen=True)
class ConfusionMatrix:
    """A model's confusion matrix.

    Attributes:
        name: of the model.
        title: what people read.
        rows: by label, in the order of the columns.
    """

    name: str
    title: str
    rows: Mapping[str, tuple[ConfusionCell, ...]]


@dataclass(frozen=True)
class Change:
    """A figure before and after the temperature.

    Attributes:
        before: None for the ensemble.
        after: the figure.
    """

    before: str | None
    after: str


@dataclass(frozen=True)
class CalibrationRow:
    """A model's calibration.

    Attributes:
        model: the model.
        temperature: that its logits are divided by; a dash for the ensemble.
        changes: of its expected calibration error (percentage points), negative log likelihood (nats) and Brier score.
    """

    model: ModelLabel
    temperature: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class CorruptionRow:
    """Accuracy on faces corrupted in one way.

    Attributes:
        kind: of corruption.
        cells: by model: mean accuracy over all strengths in percent, its difference to clean faces in points.
    """

    kind: str
    cells: tuple[tuple[str, str], ...]


def model_label(board: Board, names: Iterable[str], name: str, stale: Iterable[str] = ()) -> ModelLabel:
    """A model among others.

    Args:
        board: for its title.
        names: of all models shown beside it.
        name: of the model.
        stale: names of the models whose figures are out of date.
    """
    return ModelLabel(board.title(name), model_styles(names)[name], name in stale)


def stale_problems(board: Board, stale: Mapping[str, Problem]) -> list[Problem]:
    """One problem for all models with the same reason, which names them.

    Args:
        board: for the titles.
        stale: by model name.
    """
    reasons: dict[Problem, list[str]] = {}
    for name, problem in stale.items():
        reasons.setdefault(problem, []).append(board.title(name))
    return [Problem(f"{', '.join(titles)}. {reason.text}", reason.commands) for reason, titles in reasons.items()]


def expression_rows(board: Board, face_set: FaceSetComparison) -> list[ExpressionRow]:
    """For each expression, the models with the highest recall and precision."""
    first = next(iter(face_set.models.values()))
    rows = []
    for label in first.labels:
        models = {name: model for name, model in face_set.shipped.items() if label in model.labels}
        recalls = {name: model.recall_of(label) for name, model in models.items()}
        precisions = {name: model.precision(label) for name, model in models.items() if model.predicted(label) >= FEW}
        rows.append(ExpressionRow(label, first.faces(label), _best(board, recalls), _best(board, precisions)))
    return rows


def _best(board: Board, values: Mapping[str, float | None]) -> Best | None:
    known = {name: value for name, value in values.items() if value is not None}
    if not known:
        return None
    best = max(known.values())
    return Best(tuple(board.title(name) for name, value in known.items() if value == best), best)


def accuracy_rows(board: Board, face_set: FaceSetComparison) -> list[AccuracyRow]:
    """Rank, accuracy with its interval, without train/test duplicates, macro-F1; one row per model, by accuracy."""
    best = max(model.accuracy.value for model in face_set.models.values())
    return [
        AccuracyRow(
            rank=rank,
            model=model_label(board, face_set.models, name, board.stale(face_set)),
            accuracy=share(model.accuracy.value),
            best=model.accuracy.value == best,
            interval=interval_text(model.accuracy),
            without_duplicates=share(model.accuracy_without_copies.value)
            if model.accuracy_without_copies and face_set.copies
            else DASH,
            macro_f1=f"{model.macro_f1:.3f}",
            flip_averaged=share(both.value) if (both := model.accuracy_flip_averaged) else None,
            flip_averaged_interval=interval_text(both) if both else "",
        )
        for name, rank in ranks(face_set).items()
        for model in [face_set.models[name]]
    ]


def confusion_matrices(board: Board, face_set: FaceSetComparison) -> list[ConfusionMatrix]:
    """One confusion matrix per model."""
    return [_confusion(name, board.title(name), model) for name, model in face_set.models.items()]


def _confusion(name: str, title: str, model: ModelComparison) -> ConfusionMatrix:
    rows = {}
    for truth, counts in zip(model.labels, model.confusion, strict=True):
        total = sum(counts)
        rows[truth] = tuple(
            ConfusionCell(count / total if total else 0.0, truth == answer, cell_sentence(model, title, truth, answer))
            for answer, count in zip(model.labels, counts, strict=True)
        )
    return ConfusionMatrix(name, title, rows)


def calibration_rows(board: Board, face_set: FaceSetComparison) -> list[CalibrationRow]:
    """ECE, NLL and Brier score, before and after the temperature; one row per model."""
    rows = []
    for name, model in face_set.models.items():
        before, after = model.before_temperature, model.after_temperature
        changes = (
            _change(before, after, lambda figures: f"{100 * figures.expected_calibration_error:.1f}"),
            _change(before, after, lambda figures: f"{figures.negative_log_likelihood:.3f}"),
            _change(before, after, lambda figures: f"{figures.brier:.3f}"),
        )
        temperature = DASH if model.temperature is None else f"{model.temperature:.2f}"
        label = model_label(board, face_set.models, name, board.stale(face_set))
        rows.append(CalibrationRow(label, temperature, changes))
    return rows


def _change(before: Calibration | None, after: Calibration, figure: Callable[[Calibration], str]) -> Change:
    return Change(figure(before) if before else None, figure(after))


def corruption_rows(record: RobustnessRecord) -> list[CorruptionRow]:
    """Mean accuracy over all strengths by kind of corruption, the mean of all kinds last."""
    means = {name: record.mean_by_strength(name) for name in record.clean}
    rows = []
    corrupted = {corruption_title(kind): curves for kind, curves in record.corrupted.items()}
    for kind, curves in [*corrupted.items(), ("Mean of all kinds", means)]:
        accuracies = {name: sum(curves[name]) / len(curves[name]) for name in record.clean}
        cells = tuple((share(value), signed(value - record.clean[name])) for name, value in accuracies.items())
        rows.append(CorruptionRow(kind, cells))
    return rows


def corruption_title(kind: str) -> str:
    """What people read for a kind of corruption."""
    return "JPEG" if kind == "jpeg" else kind.capitalize()
