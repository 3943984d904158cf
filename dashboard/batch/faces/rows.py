"""Which rows of a batch are shown, and in which order. No Gradio here."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from dashboard.batch.session import AnalyzedBatch, answer_text, notes
from fer_models.batch.labels import labelled_faces
from fer_models.batch.table import Row, column, tied_labels

ALL: Final = "all"
DIFFER: Final = "differ"
NO_RESULT: Final = "none"
POOR: Final = "poor"
#: Columns in which a word is searched.
_SEARCHED: Final = ("file", "label", "reason", "file_notes", "face_notes")


@dataclass(frozen=True)
class Filters:
    """What a row must have to be shown; `ALL` is no condition.

    Attributes:
        text: stands in the file's name, its label, the reason or a note, in any case.
        show: `ALL`, `DIFFER` (faces on which the models do not all agree), `POOR` (faces that are hard to read) or
            `NO_RESULT` (files without a face).
        answer: what the model answers; without a model, what at least one answers, if only as a tie.
        model: whose most probable expression and confidence count, as charts and confusion matrices count them.
        label: the label of the face; only faces that are measured have one.
        least: the model's confidence, in [0, 1]; nothing without a model.
    """

    text: str = ""
    show: str = ALL
    answer: str = ALL
    model: str = ALL
    label: str = ALL
    least: float = 0.0


def chosen_rows(analyzed: AnalyzedBatch, filters: Filters) -> list[int]:
    """Indices of the rows that pass every filter, in the table's order."""
    word = filters.text.strip().casefold()

    def passes(row: Row) -> bool:
        if word and not any(word in str(row.get(name) or "").casefold() for name in _SEARCHED):
            return False
        if filters.show == DIFFER and not _differ(row):
            return False
        if filters.show == NO_RESULT and row.get("face") is not None:
            return False
        if filters.show == POOR and not _poor(row):
            return False
        if filters.label != ALL and not (labelled_faces([row]) and row["label"] == filters.label):
            return False
        return _answered(analyzed, row, filters)

    return [index for index, row in enumerate(analyzed.rows) if passes(row)]


def _answered(analyzed: AnalyzedBatch, row: Row, filters: Filters) -> bool:
    """Whether the models answer about a row what the filters ask for."""
    if filters.model in analyzed.models:
        if row.get("face") is None:
            return False
        answer, confidence = row[column(filters.model, "label")], row[column(filters.model, "confidence")]
        return filters.answer in (ALL, answer) and float(confidence or 0) >= filters.least
    if filters.answer == ALL:
        return True
    models = analyzed.models.items() if row.get("face") is not None else ()
    return any(filters.answer in tied_labels(row, model, labels) for model, labels in models)


def most_different(analyzed: AnalyzedBatch, indices: Sequence[int]) -> list[int]:
    """Those of the rows that have a face: first those whose models predict different expressions, as `DIFFER` has them.

    Within both, the largest disagreement comes first. Faces that are hard to read are left out, unless all are: models
    differ most where there is nothing to see.
    """

    def place(index: int) -> tuple[bool, float, int]:
        row = analyzed.rows[index]
        return not _differ(row), -float(row["disagreement"] or 0), index

    faces = [index for index in indices if analyzed.thumbs[index] is not None]
    good = [index for index in faces if not _poor(analyzed.rows[index])]
    return sorted(good or faces, key=place)


def _differ(row: Row) -> bool:
    """Whether a row is of a face on which the models do not all agree."""
    return row.get("face") is not None and float(row["agreement"] or 0) < 1


def _poor(row: Row) -> bool:
    """Whether a row is of a face that is hard to read."""
    return bool(row.get("face_notes"))


@dataclass(frozen=True)
class Order:
    """What the table shows first: a column's values, ascending or descending, and the page, from 0.

    The column is "file", "face", "label", "agreement", "disagreement", "note", or `model_column` of a model. Without
    one the rows are in the order of the files.
    """

    column: str = ""
    descending: bool = False
    page: int = 0

    def by(self, column: str) -> "Order":
        """This column's order; the other way round if it is the one already."""
        return Order(column, self.column == column and not self.descending)


def model_column(model: str) -> str:
    """The column of a model's answers."""
    return f"model {model}"


def ordered_rows(analyzed: AnalyzedBatch, indices: Sequence[int], order: Order) -> list[int]:
    """These rows in that order; those without a value come last, whichever way round.

    Numbers are compared as numbers, also inside of file names. Answers are compared by expression, then by confidence.
    """
    values = {index: _value(analyzed, index, order.column) for index in indices}
    known = [index for index in indices if values[index] is not None]
    known.sort(key=lambda index: values[index], reverse=order.descending)
    return known + [index for index in indices if values[index] is None]


def _value(analyzed: AnalyzedBatch, index: int, name: str) -> Any:
    """What a row is sorted by; None if it has none."""
    row = analyzed.rows[index]
    if name == "file":
        parts = re.split(r"(\d+)", str(row["file"]).casefold())
        return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]
    if name == "note":
        return notes(row) or None
    for model, labels in analyzed.models.items():
        if name == model_column(model) and row.get("face") is not None:
            return answer_text(row, model, labels), float(row[column(model, "confidence")] or 0)
    return row.get(name) if name in {"face", "label", "agreement", "disagreement"} else None
