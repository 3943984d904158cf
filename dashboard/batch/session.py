"""What a session keeps of a batch: its rows and small thumbnails of its faces, both bounded. No Gradio here."""

import json
import re
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_models.analyzer import Analyzer
from fer_models.batch.labels import Labels, LikelyWrong, likely_wrong, measure
from fer_models.batch.run import analyze_files, unreadable
from fer_models.batch.table import Row, column, table_columns, tied_labels
from fer_models.expressions import in_display_order
from fer_models.media.sources import Pictures
from fer_models.metrics import ClassificationMetrics

#: What the page takes at once; the command has no such bound.
MAX_FACES: Final = 2000
#: Side in px of the thumbnails.
THUMB_SIDE: Final = 96
#: Seconds between two updates of what is done so far.
_EVERY: Final = 0.5

ALL: Final = "all"
DIFFER: Final = "differ"
NO_RESULT: Final = "none"
POOR: Final = "poor"


#: Columns in which a word is searched.
_SEARCHED: Final = ("file", "label", "reason", "file_notes", "face_notes")


@dataclass(frozen=True, eq=False)
class AnalyzedBatch:
    """A batch as far as it is analysed.

    Attributes:
        models: names of its models, with their expressions.
        total: files of the batch.
        done: files that are analysed.
        rows: of the files that are analysed, in their order.
        thumbs: for each row a JPEG of its face, None where there is no face.
        left_out: names of the files in a zip that are no pictures.
        labels: of its files; may be none.
        cut: the analysis ended early, as there are more than `MAX_FACES` faces.
        seconds_left: an estimate; None as long as there is none.
    """

    models: Mapping[str, tuple[str, ...]]
    total: int
    done: int = 0
    rows: tuple[Row, ...] = ()
    thumbs: tuple[bytes | None, ...] = ()
    left_out: tuple[str, ...] = ()
    labels: Labels = field(default_factory=Labels)
    cut: bool = False
    seconds_left: float | None = None

    @property
    def labelled(self) -> int:
        """How many files have a label; 0 without labels."""
        return len(self.labels)

    @property
    def faces(self) -> int:
        """How many faces were analysed."""
        return sum(row.get("face") is not None for row in self.rows)

    @property
    def failed(self) -> int:
        """How many files could not be read."""
        return sum(unreadable(row) for row in self.rows)

    @property
    def figures(self) -> dict[str, ClassificationMetrics]:
        """Each model against the labels; empty without labels."""
        return measure(self.rows, list(self.models)) if self.labelled else {}

    @property
    def wrong(self) -> list[LikelyWrong]:
        """Labels that all models contradict."""
        return likely_wrong(self.rows, list(self.models)) if self.labelled else []


def read_batch(
    analyzer: Analyzer,
    pictures: Pictures,
    labels: Labels,
    *,
    models: Sequence[str],
    whole_if_none: bool = False,
) -> Generator[AnalyzedBatch]:
    """Analyse a batch; what is done so far every half second, and in the end all. Close it to stop early.

    Args:
        analyzer: the loaded models.
        pictures: its files.
        labels: of its files; may be none.
        models: names of those to use.
        whole_if_none: analyse a picture in which no face is found as one face.
    """
    known = {name: model.card.labels for name, model in analyzer.classifiers.items() if name in models}
    rows: list[Row] = []
    thumbs: list[bytes | None] = []
    done = 0
    cut = False
    began = time.monotonic()
    updated = float("-inf")  # the first picture counts as an update

    def analyzed() -> AnalyzedBatch:
        spent = time.monotonic() - began
        left = spent / done * (len(pictures.files) - done) if done else None
        return AnalyzedBatch(
            known, len(pictures.files), done, tuple(rows), tuple(thumbs), pictures.left_out, labels, cut, left
        )

    yield analyzed()
    # Small batches: the page shows often how far it is, and Cancel need not wait for many faces.
    results = analyze_files(analyzer, pictures.files, models=list(known), batch=8, whole_if_none=whole_if_none)
    with closing(results):
        for result in results:
            room = MAX_FACES - sum(thumb is not None for thumb in thumbs)
            cut = len(result.crops) > room
            kept = result.rows[:room] if cut else result.rows
            rows += [row | {"label": labels.by_file.get(result.file.name)} if labels else row for row in kept]
            thumbs += [_thumb(crop) for crop in result.crops[:room]] or [None] * len(kept)
            done += 1
            if cut:
                break
            if time.monotonic() - updated >= _EVERY:
                yield analyzed()
                updated = time.monotonic()
    yield analyzed()


def _thumb(crop: NDArray[np.uint8]) -> bytes:
    small = cv2.resize(crop, (THUMB_SIDE, THUMB_SIDE), interpolation=cv2.INTER_AREA)
    _, code = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])
    return code.tobytes()


def chosen_rows(analyzed: AnalyzedBatch, text: str = "", show: str = ALL, expression: str = ALL) -> list[int]:
    """Indices of the rows that pass every filter, in the table's order.

    Args:
        analyzed: the batch.
        text: must stand in the file's name, its label, the reason or a note, in any case.
        show: `ALL`, `DIFFER` (faces on which the models do not all agree), `POOR` (faces that are hard to read) or
            `NO_RESULT` (files without a face).
        expression: what at least one model must predict, if only as a tie; `ALL` is any.
    """
    word = text.strip().casefold()

    def passes(row: Row) -> bool:
        if word and not any(word in str(row.get(name) or "").casefold() for name in _SEARCHED):
            return False
        if show == DIFFER and not _differ(row):
            return False
        if show == NO_RESULT and row.get("face") is not None:
            return False
        if show == POOR and not _poor(row):
            return False
        if expression == ALL:
            return True
        models = analyzed.models.items() if row.get("face") is not None else ()
        return any(expression in tied_labels(row, model, labels) for model, labels in models)

    return [index for index, row in enumerate(analyzed.rows) if passes(row)]


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


def shown_expressions(analyzed: AnalyzedBatch) -> list[str]:
    """Every expression that the batch's models know, in the vocabulary's order."""
    return in_display_order({label for labels in analyzed.models.values() for label in labels})


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


def notes(row: Row) -> str:
    """Why there is no face, what the file is not as it should be in, and what makes the face hard to read."""
    return " ".join(str(row[name]) for name in ("reason", "file_notes", "face_notes") if row.get(name))


def answer_text(row: Row, model: str, labels: Sequence[str]) -> str:
    """A model's answer about the face of a row: an expression, or "fear or anger" where they are tied."""
    return " or ".join(tied_labels(row, model, labels))


def document(analyzed: AnalyzedBatch) -> str:
    """The batch as JSON: one object per row; with labels what became of them, the figures and the likely wrong ones."""
    names = list(table_columns(analyzed.models, labelled=bool(analyzed.labelled)))
    content: dict[str, Any] = {
        "files": {"given": analyzed.total, "read": analyzed.done},
        "rows": [{name: row.get(name) for name in names} for row in analyzed.rows],
    }
    if analyzed.left_out:
        content["left_out"] = list(analyzed.left_out)
    if analyzed.labelled:
        content["labels"] = analyzed.labels.document()
        content["models"] = {name: asdict(figures) for name, figures in analyzed.figures.items()}
        content["likely_wrong"] = [asdict(item) for item in analyzed.wrong]
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
