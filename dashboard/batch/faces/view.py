"""Every face of a batch as view models and HTML. No Gradio here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from dashboard.batch.faces.rows import ALL, Filters, Order, model_column, most_different, ordered_rows
from dashboard.batch.session import AnalyzedBatch, answer_text, notes
from dashboard.batch.view import MAX_CARDS, FaceCard, description, face_card, plural, thumbnail
from dashboard.components.display import ModelDisplay
from dashboard.components.templates import render
from fer_models.batch.table import column
from fer_models.formatting import percent, percent_of
from fer_models.registry import ModelStyle

#: Rows of a page of the table, and so thumbnails sent at once.
PAGE_ROWS: Final = 50


@dataclass(frozen=True)
class Heading:
    """A column of the table; kind: text, word, number or answer; sorted: ascending, descending or empty."""

    column: str
    title: str
    kind: str
    sorted: str
    style: ModelStyle | None = None


@dataclass(frozen=True)
class TableRow:
    """A row of the table; thumbnail: a JPEG data URI, empty where there is no face to open by the row's index."""

    row: int
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


def table(analyzed: AnalyzedBatch, indices: Sequence[int], order: Order, display: ModelDisplay) -> Table:
    """One page of these rows, in that order, with their faces."""
    pages = max(1, -(-len(indices) // PAGE_ROWS))
    page = min(max(order.page, 0), pages - 1)
    start = page * PAGE_ROWS
    shown = ordered_rows(analyzed, indices, order)[start : start + PAGE_ROWS]
    label = [("label", "Label", "word")] if analyzed.labelled else []
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
    return TableRow(index, thumbnail(analyzed, index) if has_face else "", description(analyzed, index), cells)


def gallery(analyzed: AnalyzedBatch, indices: Sequence[int], display: ModelDisplay) -> Markup:
    """The faces among these rows with every model's answer, those on which the models differ most first."""
    faces = most_different(analyzed, indices)
    order = "those whose models predict different expressions first, then by disagreement"
    hint = f"{plural(len(faces), 'face')}: {order}."
    poor = sum(analyzed.thumbs[index] is not None for index in indices) - len(faces)
    if not faces:
        hint = "No face to show."
    elif len(faces) > MAX_CARDS:
        hint = f"{MAX_CARDS} of {len(faces)} faces: {order}."
    if poor:
        hint += f" {plural(poor, 'face')} hard to read left out; Show has them."
    cards = [_card(analyzed, index, display) for index in faces[:MAX_CARDS]]
    return render("batch/faces.html", hint=hint, faces=cards)


def _card(analyzed: AnalyzedBatch, index: int, display: ModelDisplay) -> FaceCard:
    """One row of the table as a card of the gallery."""
    row = analyzed.rows[index]
    lines = [f"Face {row['face']}", f"Disagreement {float(row['disagreement'] or 0):.2f}"]
    if row.get("label"):
        lines.append(f"Labelled {row['label']}")
    return face_card(analyzed, index, lines, display)


def chips(filters: Filters, display: ModelDisplay) -> Markup:
    """What the faces were filtered by, each with a button that removes it; nothing if all are shown."""
    who = display.titles.get(filters.model, "Some model")
    found = {}
    if filters.answer != ALL:
        found["answer"] = f"{who} answers {filters.answer}"
    if filters.label != ALL:
        found["label"] = f"Labelled {filters.label}"
    if filters.least and filters.model != ALL:
        found["least"] = f"{who} at least {percent_of(filters.least)} confident"
    return render("batch/faces/chips.html", chips=found)
