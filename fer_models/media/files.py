"""Output files that appear whole or not at all."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from fer_models.errors import FerError


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
