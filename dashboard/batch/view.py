"""A batch as view models and HTML. No Gradio here."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from dashboard.batch.session import (
    MAX_FACES,
    AnalyzedBatch,
    Order,
    answer_text,
    model_column,
    most_different,
    notes,
    ordered_rows,
)
from dashboard.batch.uploads import MAX_BYTES, MAX_PICTURES
from dashboard.components.display import ModelDisplay
from dashboard.components.templates import render
from fer_models.batch.labels import SURE
from fer_models.batch.table import column
from fer_models.formatting import examples, percent, percent_of
from fer_models.metrics import ClassificationMetrics
from fer_models.registry import ModelStyle

#: A gallery has at most this many faces: the page stays quick.
MAX_CARDS: Final = 24
#: Rows of a page of the table, and so thumbnails sent at once.
PAGE_ROWS: Final = 50


@dataclass(frozen=True)
class Answer:
    """One model's answer about a face, with what is tied; confidence in [0, 1]."""

    style: ModelStyle
    label: str
    confidence: float


@dataclass(frozen=True)
class FaceCard:
    """A face in a gallery.

    Attributes:
        file: its file with its folders.
        thumbnail: a JPEG data URI.
        description: what the thumbnail shows.
        lines: what is said about the face.
        answers: of every model.
        row: of the table; None where the gallery does not follow the table.
    """

    file: str
    thumbnail: str
    description: str
    lines: tuple[str, ...]
    answers: tuple[Answer, ...] = ()
    row: int | None = None

    @property
    def name(self) -> str:
        """The file's name without its folders."""
        return self.file.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Heading:
    """A column of the table; kind: text, number or answer; sorted: ascending, descending or empty."""

    column: str
    title: str
    kind: str
    sorted: str
    style: ModelStyle | None = None


@dataclass(frozen=True)
class TableRow:
    """A row of the table; thumbnail: a JPEG data URI, empty where there is no face."""

    thumbnail: str
    description: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A page of the table: first and last count its rows from 1 among all of them."""

    headings: tuple[Heading, ...]
    rows: tuple[TableRow, ...]
    first: int
    last: int
    total: int
    page: int
    pages: int


@dataclass(frozen=True)
class Cell:
    """A cell of a confusion matrix; shade: the share of its row, in percent of the strongest colour."""

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
    """How one model does against the labels, as the page words it."""

    style: ModelStyle
    title: str
    accuracy: str
    macro_f1: str
    recalls: tuple[str, ...]
    labels: tuple[str, ...]
    matrix: tuple[MatrixRow, ...]


def introduction() -> Markup:
    """What the tab is for and its limits."""
    return render("batch/introduction.html", pictures=MAX_PICTURES, megabytes=MAX_BYTES // 10**6, faces=MAX_FACES)


def labels_hint() -> Markup:
    """How labels can be given."""
    return render("batch/labels_hint.html")


def progress(analyzed: AnalyzedBatch) -> Markup:
    """How far the batch is: counts, a bar and the time that is left."""
    left = "" if analyzed.seconds_left is None else f", {_duration(analyzed.seconds_left)} left"
    text = f"{analyzed.done} of {analyzed.total} pictures, {_plural(analyzed.faces, 'face')}{left}"
    percentage = 100 * analyzed.done / max(analyzed.total, 1)
    return render("batch/progress.html", text=text, total=analyzed.total, done=analyzed.done, percent=percentage)


def summary(analyzed: AnalyzedBatch) -> Markup:
    """What came of the batch, in a sentence or two."""
    without = sum(row.get("face") is None for row in analyzed.rows) - analyzed.failed
    faces = [row for row in analyzed.rows if row.get("face") is not None]
    alike = sum(row["agreement"] == 1 for row in faces)
    parts = [f"{_plural(analyzed.faces, 'face')} in {_plural(analyzed.done, 'picture')}"]
    if without:
        parts.append(f"no face in {without}")
    if analyzed.failed:
        parts.append(f"{analyzed.failed} could not be read")
    text = ", ".join(parts) + "."
    if faces and len(analyzed.models) > 1:
        text += f" All models agree on {alike} of {_plural(len(faces), 'face')} ({percent_of(alike / len(faces))})."
    notes = []
    if analyzed.cut:
        notes.append(f"Analysis ended at {MAX_FACES:,} faces, after {analyzed.done} of {analyzed.total} pictures.")
    elif analyzed.done < analyzed.total:
        notes.append(f"Stopped after {analyzed.done} of {analyzed.total} pictures.")
    if analyzed.left_out:
        count = _plural(len(analyzed.left_out), "other file")
        notes.append(f"{count} in the zip left out: {examples(analyzed.left_out)}.")
    notes += analyzed.labels.notes()
    return render("batch/summary.html", text=text, note=" ".join(notes))


def table(analyzed: AnalyzedBatch, indices: Sequence[int], order: Order, display: ModelDisplay) -> Table:
    """One page of these rows, in that order, with their faces."""
    pages = max(1, -(-len(indices) // PAGE_ROWS))
    page = min(max(order.page, 0), pages - 1)
    start = page * PAGE_ROWS
    shown = ordered_rows(analyzed, indices, order)[start : start + PAGE_ROWS]
    label = [("label", "Label", "text")] if analyzed.labelled else []
    columns = [
        ("file", "File", "text"),
        ("face", "Face", "number"),
        *label,
        *((model_column(model), display.titles[model], "answer") for model in analyzed.models),
        ("agreement", "Agreement", "number"),
        ("disagreement", "Disagreement", "number"),
        ("note", "Note", "text"),
    ]
    styles = {model_column(model): display.styles[model] for model in analyzed.models}
    direction = "descending" if order.descending else "ascending"
    headings = tuple(
        Heading(name, title, kind, direction if name == order.column else "", styles.get(name))
        for name, title, kind in columns
    )
    rows = tuple(_table_row(analyzed, index) for index in shown)
    return Table(headings, rows, start + 1, start + len(rows), len(indices), page, pages)


def _table_row(analyzed: AnalyzedBatch, index: int) -> TableRow:
    row = analyzed.rows[index]
    has_face = row.get("face") is not None
    label = [str(row.get("label") or "").capitalize()] if analyzed.labelled else []
    answers = [
        f"{answer_text(row, model, labels).capitalize()} {percent(float(row[column(model, 'confidence')] or 0))}"
        if has_face
        else ""
        for model, labels in analyzed.models.items()
    ]
    shares = ["" if row.get(name) is None else f"{float(row[name] or 0):.2f}" for name in ("agreement", "disagreement")]
    cells = (str(row["file"]), str(row["face"]) if has_face else "", *label, *answers, *shares, notes(row))
    return TableRow(_thumbnail(analyzed, index) if has_face else "", _description(analyzed, index), cells)


def gallery(analyzed: AnalyzedBatch, indices: Sequence[int], display: ModelDisplay) -> Markup:
    """The faces among these rows with every model's answer, those on which the models differ most first."""
    faces = most_different(analyzed, indices)
    order = "those whose models predict different expressions first, then by disagreement"
    hint = f"{_plural(len(faces), 'face')}: {order}."
    poor = sum(analyzed.thumbs[index] is not None for index in indices) - len(faces)
    if not faces:
        hint = "No face to show."
    elif len(faces) > MAX_CARDS:
        hint = f"{MAX_CARDS} of {len(faces)} faces: {order}."
    if poor:
        hint += f" {_plural(poor, 'face')} hard to read left out; Show has them."
    cards = [face_card(analyzed, index, display) for index in faces[:MAX_CARDS]]
    return render("batch/faces.html", hint=hint, faces=cards)


def likely_wrong(analyzed: AnalyzedBatch) -> Markup:
    """The labels that all models contradict, with the faces."""
    rule = f"all models give the same other answer, with a mean confidence of {percent(SURE)} or more"
    wrong = analyzed.wrong
    if not wrong:
        return render("batch/faces.html", hint=f"None: there is no labelled face on which {rule}.", faces=())
    places = {str(row["file"]): index for index, row in enumerate(analyzed.rows) if row.get("face") == 1}
    cards = [
        FaceCard(
            item.file,
            _thumbnail(analyzed, places[item.file]),
            _description(analyzed, places[item.file]),
            (f"Labelled {item.given}", f"All models: {item.answer} ({percent(item.confidence)})"),
        )
        for item in wrong[:MAX_CARDS]
    ]
    more = f" The {MAX_CARDS} most confident are shown; the downloads have all." if len(wrong) > MAX_CARDS else ""
    hint = f"{_plural(len(wrong), 'label')}: {rule}. Models err alike, too, so look before you change a label.{more}"
    return render("batch/faces.html", hint=hint, faces=cards)


def metrics(analyzed: AnalyzedBatch, figures: Mapping[str, ClassificationMetrics], display: ModelDisplay) -> Markup:
    """Accuracy, macro-F1 and recalls of every model, and its confusion matrix."""
    if not figures:
        return render("batch/faces.html", hint="None of the labelled pictures has a face that was analysed.", faces=())
    first = next(iter(figures.values()))
    missed = analyzed.labelled - first.count
    hint = f"Measured on {_plural(first.count, 'labelled face')}: in each labelled picture, the largest."
    if missed > 0:
        hint += f" {missed} labelled files have no face that was analysed."
    hint += " Below an expression stands its recall: the share of its faces that the model recognises."
    models = [model_metrics(name, item, tuple(first.recall), display) for name, item in figures.items()]
    return render("batch/metrics.html", hint=hint, expressions=tuple(first.recall), models=models)


def face_card(analyzed: AnalyzedBatch, index: int, display: ModelDisplay) -> FaceCard:
    """One row of the table as a card of the gallery."""
    row = analyzed.rows[index]
    lines = [f"Face {row['face']}", f"Disagreement {float(row['disagreement'] or 0):.2f}"]
    if row.get("label"):
        lines.append(f"Labelled {row['label']}")
    answers = tuple(
        Answer(display.styles[name], answer_text(row, name, labels), float(row[column(name, "confidence")] or 0))
        for name, labels in analyzed.models.items()
    )
    thumbnail, description = _thumbnail(analyzed, index), _description(analyzed, index)
    return FaceCard(str(row["file"]), thumbnail, description, tuple(lines), answers, index)


def model_metrics(
    name: str, figures: ClassificationMetrics, expressions: Sequence[str], display: ModelDisplay
) -> ModelMetrics:
    """One model's metrics as the page words them.

    Args:
        name: of the model.
        figures: what was measured.
        expressions: whose recalls are shown, in this order.
        display: titles and styles.
    """
    recalls = (figures.recall.get(expression) for expression in expressions)
    return ModelMetrics(
        style=display.styles[name],
        title=display.cards[name].title,
        accuracy=f"{figures.accuracy:.1%}",
        macro_f1=f"{figures.macro_f1:.2f}",
        recalls=tuple("–" if recall is None else f"{recall:.0%}" for recall in recalls),
        labels=tuple(figures.labels),
        matrix=tuple(
            MatrixRow(label, _cells(counts, label, figures.labels))
            for label, counts in zip(figures.labels, figures.confusion, strict=True)
        ),
    )


def _cells(counts: Sequence[int], label: str, labels: Sequence[str]) -> tuple[Cell, ...]:
    total = sum(counts)
    return tuple(
        Cell(
            count,
            answer == label,
            f"{45 * count / max(total, 1):.0f}",
            f"{count} of {total} labelled {label}, classified as {answer}",
        )
        for answer, count in zip(labels, counts, strict=True)
    )


def _thumbnail(analyzed: AnalyzedBatch, index: int) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(analyzed.thumbs[index] or b"").decode("ascii")


def _description(analyzed: AnalyzedBatch, index: int) -> str:
    row = analyzed.rows[index]
    return f"Face {row.get('face')} of {row['file']}"


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _duration(seconds: float) -> str:
    """Roughly, as people say it."""
    if seconds < 10:
        return "a few seconds"
    if seconds < 90:
        return f"about {round(seconds / 5) * 5} s"
    return f"about {round(seconds / 60)} min"
