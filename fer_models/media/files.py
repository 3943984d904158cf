"""Output files that appear whole or not at all, CSVs as spreadsheets write them, and how files begin."""

import csv
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TextIO

from fer_models.errors import DatasetError, FerError

#: Of the CSVs that are written: with the mark at their beginning Excel knows that they are UTF-8.
CSV_ENCODING: Final = "utf-8-sig"
_DELIMITERS: Final = ",;\t|"


def first_bytes(path: Path, count: int) -> bytes:
    """At most so many bytes of a file's beginning; none of what is no file: a pipe would block for ever.

    Raises:
        OSError: it cannot be read.
    """
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(count)


@contextmanager
def replacing(path: Path, error: type[FerError] = FerError) -> Iterator[Path]:
    """A temporary path beside a file, moved over it when the block ends without an error.

    Folders that are missing are made. A file that was there before stays as it is until then.

    Args:
        path: the file to write.
        error: what an `OSError` of the block is raised as.

    Raises:
        FerError: of that type: the file cannot be written.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as reason:
        raise error(cannot_write(path, reason)) from reason
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def write_text(path: Path, text: str, error: type[FerError] = FerError) -> None:
    """Write a text file in UTF-8 with line feeds.

    Args:
        path: the file to write.
        text: its content.
        error: raised if the file cannot be written.

    Raises:
        FerError: of that type: the file cannot be written.
    """
    with replacing(path, error) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, document: Any, error: type[FerError] = FerError, *, indent: int | None = 1) -> None:
    """Write a JSON file in UTF-8 that ends with a line feed.

    Args:
        path: the file to write.
        document: what it holds.
        error: raised if the file cannot be written.
        indent: spaces per level; None writes one line.

    Raises:
        FerError: of that type: the file cannot be written.
        ValueError: a number in it is infinite or not a number, which JSON cannot hold.
    """
    write_text(path, json.dumps(document, indent=indent, ensure_ascii=False, allow_nan=False) + "\n", error)


def open_text(path: Path) -> TextIO:
    """Open a text file in UTF-8 that is written line by line.

    Raises:
        FerError: the file cannot be written.
    """
    try:
        return path.open("w", encoding="utf-8")
    except OSError as reason:
        raise FerError(cannot_write(path, reason)) from reason


def check_writable(path: Path) -> None:
    """Find out before long work whether a file can be written; no empty file stays.

    Raises:
        FerError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.exists()
        path.open("a", encoding="utf-8").close()
        if not before:
            path.unlink()
    except OSError as reason:
        raise FerError(cannot_write(path, reason)) from reason


def cannot_write(path: Path, reason: OSError) -> str:
    """The message of an error about a file that cannot be written."""
    return f"Cannot write {path}: {reason.strerror or reason}."


def read_csv(path: Path, columns: Sequence[str], name: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV that may come from any spreadsheet, each with the number of its line.

    Commas, semicolons, tabs or bars separate the cells, as a first line "sep=;" or the heading says. UTF-8 and UTF-16
    are told apart; anything else is taken for Windows' Western European code page. Headings may differ in case and in
    blanks around them. Rows without any text are skipped.

    Args:
        path: its file.
        columns: the wanted columns, the keys of the rows. A cell that is missing is "".
        name: what messages call the file.

    Raises:
        DatasetError: it cannot be read, or lacks a column.
    """
    try:
        with path.open(encoding=_csv_encoding(path), newline="") as file:
            skipped, heading, delimiter = _csv_heading(file, columns)
            places = _csv_places(heading, columns, name)
            reader = csv.reader(file, delimiter=delimiter)
            for cells in reader:
                cells = [cell.strip() for cell in cells]
                if any(cells):
                    row = {column: cells[at] if at < len(cells) else "" for column, at in places.items()}
                    yield skipped + reader.line_num, row
    except (OSError, UnicodeError, csv.Error) as error:
        advice = f"Save it as a CSV in UTF-8 with the columns {', '.join(columns)}."
        raise DatasetError(f"{name} cannot be read. {advice}") from error


def _csv_encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4096)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\0" in start:  # a spreadsheet program's own file, not a CSV
        raise UnicodeError("binary")
    try:
        with path.open(encoding="utf-8") as text:
            while text.read(2**20):
                pass
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _csv_heading(file: TextIO, columns: Sequence[str]) -> tuple[int, list[str], str]:
    """How many lines go before the rows, the cells of the heading, and what separates cells."""
    line, lines = file.readline(), 1
    if told := re.match(r'"?sep=(.)"?\s*$', line, re.IGNORECASE):
        return 2, next(csv.reader([file.readline()], delimiter=told[1]), []), told[1]
    while line and not line.strip(_DELIMITERS + ' "\r\n'):
        line, lines = file.readline(), lines + 1

    def cells(delimiter: str) -> list[str]:
        return next(csv.reader([line], delimiter=delimiter), [])

    def fit(delimiter: str) -> tuple[int, int]:
        folded = {_folded(cell) for cell in cells(delimiter)}
        return len(folded & {_folded(column) for column in columns}), len(folded)

    delimiter = max(_DELIMITERS, key=fit)
    return lines, cells(delimiter), delimiter


def _csv_places(heading: Sequence[str], columns: Sequence[str], name: str) -> dict[str, int]:
    """Where each column stands: the heading of just that name, or else the first that differs in case or blanks."""
    folded = [_folded(cell) for cell in heading]
    missing = [column for column in columns if _folded(column) not in folded]
    if missing:
        found = ", ".join(cell.strip() for cell in heading)[:200] or "none"
        raise DatasetError(
            f"{name}: expected the columns {', '.join(columns)}; missing: {', '.join(missing)}; found: {found}."
        )
    return {column: heading.index(column) if column in heading else folded.index(_folded(column)) for column in columns}


def _folded(heading: str) -> str:
    return " ".join(heading.split()).casefold()
