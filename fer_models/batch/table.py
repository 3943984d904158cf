"""Rows of a batch as a table: its columns, and files of it that programs and spreadsheets read safely."""

import csv
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from fer_models.errors import BatchError
from fer_models.expressions import EXPRESSIONS, in_display_order
from fer_models.media.files import CSV_ENCODING, cannot_write, replacing
from fer_models.results import is_tied

Cell: TypeAlias = str | int | float | None
#: One row by column; a column that is missing is empty.
Row: TypeAlias = dict[str, Cell]

#: The columns before the models' own, with their pandas types. Boxes are in source pixels.
FIRST: Final[dict[str, str]] = {
    "file": "string",
    "label": "string",
    "face": "Int64",
    "x1": "float64",
    "y1": "float64",
    "x2": "float64",
    "y2": "float64",
    "score": "float64",
    "agreement": "float64",
    "disagreement": "float64",
    "reason": "string",
    "file_notes": "string",
    "face_notes": "string",
}
#: After file and label, where there are videos: the frame's time in seconds, and the face's number through the video.
OF_VIDEOS: Final = {"time_s": "float64", "track": "Int64"}
#: What a table can be written as, by the file's suffix.
SUFFIXES: Final = (".csv", ".parquet")


def column(model: str, what: str) -> str:
    """The column of a model's "label", "confidence" or the probability of an expression."""
    return f"{model}_{what}"


def tied_labels(row: Row, model: str, expressions: Iterable[str]) -> list[str]:
    """A model's answer about the face of a row and the expressions tied with it, as `Prediction.tied_labels`.

    Args:
        row: of a face.
        model: its name.
        expressions: that may be tied.
    """
    label, highest = str(row[column(model, "label")]), float(row[column(model, "confidence")] or 0)
    probabilities = {name: float(row.get(column(model, name)) or 0) for name in expressions if name != label}
    tied = [name for name, probability in probabilities.items() if is_tied(probability, highest)]
    return [label, *sorted(tied, key=lambda name: -probabilities[name])]


def table_columns(
    models: Mapping[str, Sequence[str]], *, labelled: bool = False, videos: bool = False
) -> dict[str, str]:
    """All columns in order, with their pandas types.

    Args:
        models: each model's expressions, by its name.
        labelled: with the given label of each file.
        videos: with the time and the track of faces in videos.
    """
    columns: dict[str, str] = {}
    for name, kind in FIRST.items():
        if videos and name == "face":
            columns |= OF_VIDEOS
        if labelled or name != "label":
            columns[name] = kind
    for model, labels in models.items():
        columns[column(model, "label")] = "string"
        columns[column(model, "confidence")] = "float64"
        columns |= {column(model, name): "float64" for name in in_display_order({*EXPRESSIONS, *labels})}
    return columns


def to_frame(rows: Iterable[Row], columns: Mapping[str, str]) -> Any:
    """Rows as a pandas DataFrame with exactly these columns and types; what a row lacks is missing, never 0."""
    import pandas

    return pandas.DataFrame(list(rows), columns=list(columns)).astype(dict(columns))


def guard(text: str) -> str:
    """A text that no spreadsheet takes for a formula: a ' goes before one that begins like one (OWASP, CSV injection).

    Spreadsheets run a cell that begins with = + - or @, also after spaces; so "=cmd()" becomes "'=cmd()".
    """
    return f"'{text}" if text.lstrip()[:1] in {"=", "+", "-", "@"} or text[:1] in {"\t", "\r", "\n"} else text


def csv_text(frame: Any) -> str:
    """A table as CSV for spreadsheets: texts guarded (see `guard`) and quoted, so that no separator splits them."""
    safe = frame.copy()
    for name, kind in frame.dtypes.items():
        if str(kind) == "string":
            safe[name] = safe[name].map(guard, na_action="ignore")
    safe.columns = [guard(str(name)) for name in safe.columns]
    return str(safe.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n"))


def check_output(path: Path) -> None:
    """Tell at once what would keep a table from being written in the end.

    Raises:
        BatchError: an unknown suffix, or a folder that is missing or may not be written to.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise BatchError(f"Cannot write {path}: the output must end in {' or '.join(SUFFIXES)}.")
    if path.is_dir():
        raise BatchError(f"Cannot write {path}: it is a folder.")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise BatchError(cannot_write(path, error)) from error


def write_table(frame: Any, path: Path) -> None:
    """Write a table as its file's suffix says: CSV in UTF-8, marked as such for Excel, or Parquet.

    The file is there whole or not at all.

    Raises:
        BatchError: it cannot be written.
    """
    with replacing(path, BatchError) as partial:
        if path.suffix.lower() == ".csv":
            partial.write_text(csv_text(frame), encoding=CSV_ENCODING, newline="")
        else:
            frame.to_parquet(partial, index=False)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
