"""What a session keeps of a batch: its rows and small thumbnails of its faces, both bounded. No Gradio here."""

import json
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from dashboard.batch.uploads import BatchPictures
from fer_models.analyzer import Analyzer
from fer_models.batch.labels import Labels, LikelyWrong, likely_wrong, measure
from fer_models.batch.run import analyze_files, unreadable
from fer_models.batch.table import Row, column, table_columns, tied_labels, to_frame, write_table
from fer_models.errors import BatchError
from fer_models.faces.alignment import CROP_SIZE
from fer_models.media.images import Picture
from fer_models.media.sources import Pictures
from fer_models.metrics import ClassificationMetrics

#: What the page says once a batch is no longer kept.
GONE: Final = "This batch was forgotten after an hour without a change. Analyse it again."
#: What the page takes at once; the command has no such bound.
MAX_FACES: Final = 2000
#: Side in px of the thumbnails: they are what the models received.
THUMB_SIDE: Final = CROP_SIZE
#: Seconds between two updates of what is done so far.
_EVERY: Final = 0.5


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
        pictures: its files, to open one again; None if they are not kept.
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
    pictures: BatchPictures | None = None

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

    def face(self, row: object) -> tuple[Picture, str, int]:
        """The picture of a row's face, its file's name, and the number of the face, counted from 0.

        Args:
            row: index of the row, as a browser sent it.

        Raises:
            FerError: there is no such face, or its picture is not there any more.
        """
        if not isinstance(row, int) or not 0 <= row < len(self.rows) or self.thumbs[row] is None or not self.pictures:
            raise BatchError(GONE)
        found = self.rows[row]
        return self.pictures.read(str(found["file"])), str(found["file"]), int(found["face"] or 1) - 1

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
    kept: BatchPictures | None = None,
) -> Generator[AnalyzedBatch]:
    """Analyse a batch; what is done so far every half second, and in the end all. Close it to stop early.

    Args:
        analyzer: the loaded models.
        pictures: its files.
        labels: of its files; may be none.
        models: names of those to use.
        whole_if_none: analyse a picture in which no face is found as one face.
        kept: the files, where faces are to be opened later.
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
            *(known, len(pictures.files), done, tuple(rows), tuple(thumbs)),
            *(pictures.left_out, labels, cut, left, kept),
        )

    yield analyzed()
    # Small batches: the page shows often how far it is, and Cancel need not wait for many faces.
    results = analyze_files(analyzer, pictures.files, models=list(known), batch=8, whole_if_none=whole_if_none)
    with closing(results):
        for result in results:
            room = MAX_FACES - sum(thumb is not None for thumb in thumbs)
            cut = len(result.crops) > room
            new = result.rows[:room] if cut else result.rows
            rows += [row | {"label": labels.by_file.get(result.file.name)} if labels else row for row in new]
            thumbs += [_thumb(crop) for crop in result.crops[:room]] or [None] * len(new)
            done += 1
            if cut:
                break
            if time.monotonic() - updated >= _EVERY:
                yield analyzed()
                updated = time.monotonic()
    yield analyzed()


def _thumb(crop: NDArray[np.uint8]) -> bytes:
    small = cv2.resize(crop, (THUMB_SIDE, THUMB_SIDE), interpolation=cv2.INTER_AREA)
    _, code = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    return code.tobytes()


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


def answers(analyzed: AnalyzedBatch, row: Row) -> Row:
    """Every model's answer about a face and its confidence."""
    names = (column(model, what) for model in analyzed.models for what in ("label", "confidence"))
    return {name: row[name] for name in names}


def write_answers(analyzed: AnalyzedBatch, rows: list[Row], words: tuple[str, ...], path: Path) -> None:
    """Write rows with each model's answer as a CSV.

    Args:
        analyzed: the batch they are of.
        rows: with a file, a face, the words and `answers`.
        words: columns of labels before the models'.
        path: the file.

    Raises:
        BatchError: it cannot be written.
    """
    columns = {"file": "string", "face": "Int64", **dict.fromkeys(words, "string")}
    for model in analyzed.models:
        columns |= {column(model, "label"): "string", column(model, "confidence"): "float64"}
    write_table(to_frame(rows, columns), path)
