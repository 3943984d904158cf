"""A labelled batch as view models and HTML. No Gradio here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from dashboard.batch.labels.review import Review
from dashboard.batch.session import AnalyzedBatch
from dashboard.batch.view import MAX_CARDS, FaceCard, face_card, plural
from dashboard.components.display import ModelDisplay
from dashboard.components.templates import render
from fer_models.batch.labels import SURE, ConfidentMetrics, LikelyWrong, measure_confident
from fer_models.evaluation.statistics import wilson
from fer_models.expressions import EXPRESSIONS
from fer_models.formatting import percent, percent_of
from fer_models.registry import ModelStyle

_NONE: Final = "–"


@dataclass(frozen=True)
class Cell:
    """A cell of a confusion matrix; shade: the share of its row, in percent of the strongest colour."""

    answer: str
    count: int
    right: bool
    shade: str
    description: str


@dataclass(frozen=True)
class MatrixRow:
    """The faces with one label."""

    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class ModelMetrics:
    """How one model does against the labels, as the page words it; without a matrix if no answer counts."""

    name: str
    style: ModelStyle
    title: str
    coverage: str
    recalls: tuple[str, ...]
    accuracy: str = _NONE
    interval: str = _NONE
    macro_f1: str = _NONE
    labels: tuple[str, ...] = ()
    matrix: tuple[MatrixRow, ...] = ()


def metrics(analyzed: AnalyzedBatch, least: float, display: ModelDisplay) -> Markup:
    """Coverage, accuracy with its interval, macro-F1, recalls and confusion matrix of every model.

    Args:
        analyzed: the labelled batch.
        least: the lowest confidence of an answer that counts, in [0, 1].
        display: titles and styles.
    """
    figures = measure_confident(analyzed.rows, list(analyzed.models), least)
    if not figures:
        return render("batch/faces.html", hint="None of the labelled pictures has a face that was analysed.", faces=())
    faces = next(iter(figures.values())).faces
    missed = analyzed.labelled - faces
    hint = f"Measured on {plural(faces, 'labelled face')}: in each labelled picture, the largest."
    if missed > 0:
        hint += f" {missed} labelled files have no face that was analysed."
    if least:
        hint += f" Only answers with a confidence of {percent_of(least)} or more count; coverage is their share."
    hint += " Below an expression stands its recall: the share of its faces that the model recognises."
    found = [each.metrics for each in figures.values() if each.metrics]
    expressions = tuple(dict.fromkeys([*EXPRESSIONS, *(name for each in found for name in each.recall)]))
    models = [model_metrics(name, item, expressions, display) for name, item in figures.items()]
    return render("batch/labels/metrics.html", hint=hint, expressions=expressions, models=models)


def model_metrics(
    name: str, figures: ConfidentMetrics, expressions: Sequence[str], display: ModelDisplay
) -> ModelMetrics:
    """One model's metrics as the page words them.

    Args:
        name: of the model.
        figures: what was measured.
        expressions: whose recalls are shown, in this order.
        display: titles and styles.
    """
    measured = figures.metrics
    coverage = f"{figures.covered} of {figures.faces} ({percent_of(figures.coverage)})"
    shared: dict[str, Any] = {"style": display.styles[name], "title": display.titles[name], "coverage": coverage}
    if measured is None:
        return ModelMetrics(name, **shared, recalls=(_NONE,) * len(expressions))
    interval = wilson(figures.right, figures.covered)
    recalls = (measured.recall.get(expression) for expression in expressions)
    return ModelMetrics(
        name,
        **shared,
        accuracy=f"{100 * measured.accuracy:.1f}\u00a0%",
        interval=f"{100 * interval.low:.0f} to {100 * interval.high:.0f}\u00a0%",
        macro_f1=f"{measured.macro_f1:.2f}",
        recalls=tuple(_NONE if recall is None else f"{100 * recall:.0f}\u00a0%" for recall in recalls),
        labels=tuple(measured.labels),
        matrix=tuple(
            MatrixRow(label, _cells(counts, label, measured.labels))
            for label, counts in zip(measured.labels, measured.confusion, strict=True)
        ),
    )


def _cells(counts: Sequence[int], label: str, labels: Sequence[str]) -> tuple[Cell, ...]:
    total = sum(counts)
    return tuple(
        Cell(
            answer,
            count,
            answer == label,
            f"{45 * count / max(total, 1):.0f}",
            f"{count} of {total} labelled {label}, classified as {answer}",
        )
        for answer, count in zip(labels, counts, strict=True)
    )


@dataclass(frozen=True)
class Choice:
    """A button that decides about a label."""

    label: str
    text: str
    chosen: bool


@dataclass(frozen=True)
class Suspect:
    """A label that is likely wrong.

    Attributes:
        card: its face.
        choices: to keep it, or to take the models' answer.
        others: every other expression.
        other: which of those was chosen; "" if none.
    """

    card: FaceCard
    choices: tuple[Choice, ...]
    others: tuple[str, ...]
    other: str


def likely_wrong(analyzed: AnalyzedBatch, review: Review) -> Markup:
    """The labels that all models contradict, with the faces and what was decided."""
    rule = f"all models give the same other answer, with a mean confidence of {percent(SURE)} or more"
    wrong = analyzed.wrong
    if not wrong:
        return render("batch/faces.html", hint=f"None: there is no labelled face on which {rule}.", faces=())
    pages = -(-len(wrong) // MAX_CARDS)
    page = min(max(review.page, 0), pages - 1)
    shown = wrong[page * MAX_CARDS : (page + 1) * MAX_CARDS]
    places = {str(row["file"]): index for index, row in enumerate(analyzed.rows) if row.get("face") == 1}
    kept, corrected = review.counts(analyzed)
    return render(
        "batch/labels/likely_wrong.html",
        hint=f"{plural(len(wrong), 'label')}: {rule}. Models err alike, too, so look before you change a label.",
        suspects=[_suspect(analyzed, places[item.file], item, review) for item in shown],
        progress=f"{kept + corrected} of {len(wrong)} decided: {kept} kept, {corrected} corrected.",
        page=page,
        pages=pages,
    )


def _suspect(analyzed: AnalyzedBatch, index: int, item: LikelyWrong, review: Review) -> Suspect:
    decided = review.decided.get(item.file, "")
    lines = (f"Labelled {item.given}", f"All models: {item.answer} ({percent(item.confidence)})")
    choices = (
        Choice(item.given, f"Keep {item.given}", decided == item.given),
        Choice(item.answer, f"Correct to {item.answer}", decided == item.answer),
    )
    others = tuple(name for name in EXPRESSIONS if name not in (item.given, item.answer))
    return Suspect(face_card(analyzed, index, lines), choices, others, decided if decided in others else "")
