"""A batch's journal: what is done so far, so that a run that was stopped in any way is gone on with.

A file of JSON lines that only grows: first what the run was begun with, then one line a finished picture file. What a
power cut or `kill -9` leaves half-written is dropped, and that picture is read again.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from fer_models.batch.table import Row
from fer_models.errors import BatchError
from fer_models.media.sources import PictureFile

#: Raised when the lines change, so that no older journal is gone on with.
_FORMAT: Final = 1
_BEGINNING: Final = b'{"journal": '
_ADVICE: Final = "Give the same as then to go on with it, or begin anew with --restart."


def journal_path(output: Path) -> Path:
    """Where the journal of an output lies: beside it."""
    return output.with_name(output.name + ".journal")


@dataclass(frozen=True)
class _Record:
    stamp: str
    rows: list[Row]


class Journal:
    """An open journal. Close it, or use it as a context manager."""

    def __init__(self, path: Path, begun_with: Mapping[str, Any], *, restart: bool = False, every: int = 32) -> None:
        """Open a journal to go on with, or begin one.

        Args:
            path: its file.
            begun_with: all that decides about the results, as plain JSON: a journal of other values is refused.
            restart: forget an older journal.
            every: lines after which the disk is waited for.

        Raises:
            BatchError: an older journal was begun with something else or is no journal, or it cannot be written.
        """
        self._path = path
        self._every = every
        self._unsynced = 0
        self._records: dict[str, _Record] = {}
        header = {"journal": _FORMAT, **json.loads(json.dumps(begun_with))}
        try:
            if restart:
                path.unlink(missing_ok=True)
            self._file = path.open("ab+", buffering=0)
            try:
                self._open(header)
            except BaseException:
                self._file.close()
                raise
        except OSError as error:
            raise BatchError(f"Cannot write {path}: {error.strerror}.") from error

    def _open(self, header: dict[str, Any]) -> None:
        self._file.seek(0)
        lines = self._file.read().split(b"\n")
        begun = _parsed(lines[0]) if len(lines) > 1 else None
        if begun is None and (len(lines) > 1 or not _BEGINNING.startswith(lines[0][: len(_BEGINNING)])):
            raise BatchError(f"{self._path} is no journal of a batch. Remove it, or begin anew with --restart.")
        if begun is None:  # empty, or stopped while its first line was written
            self._file.truncate(0)
            self._write(header)
            self.sync()
            return
        if begun != header:
            raise BatchError(f"{self._path} was begun with other {_differing(begun, header)}. {_ADVICE}")
        whole = len(lines[0]) + 1
        for line in lines[1:-1]:  # what follows the last line break is half a line
            record = _parsed(line)
            if record is None:
                break
            self._records[record["file"]] = _Record(record["stamp"], record["rows"])
            whole += len(line) + 1
        self._file.truncate(whole)

    def __enter__(self) -> "Journal":
        """Use it in a `with`."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it; the file stays."""
        self._file.close()

    def has(self, file: PictureFile) -> bool:
        """Whether this file is done, and has not changed since."""
        return file.name in self._records and self._records[file.name].stamp == file.stamp

    def rows(self, files: Sequence[PictureFile]) -> list[Row]:
        """The rows of these files, in their order. All of them must be done."""
        return [row for file in files for row in self._records[file.name].rows]

    def add(self, file: PictureFile, rows: Sequence[Row]) -> None:
        """Write down that a file is done.

        Raises:
            BatchError: the disk is full, or the like.
        """
        try:
            self._write({"file": file.name, "stamp": file.stamp, "rows": list(rows)})
            self._records[file.name] = _Record(file.stamp, list(rows))
            self._unsynced += 1
            if self._unsynced >= self._every:
                self.sync()
        except OSError as error:
            raise BatchError(f"Cannot write {self._path}: {error.strerror}. What is done so far is kept.") from error

    def sync(self) -> None:
        """Wait until all that was added is on the disk."""
        os.fsync(self._file.fileno())
        self._unsynced = 0

    def remove(self) -> None:
        """Delete it, once the output is written."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _write(self, line: Mapping[str, Any]) -> None:
        content = memoryview(json.dumps(line, allow_nan=False).encode("ascii") + b"\n")
        while content:  # a nearly full disk takes a part
            content = content[self._file.write(content) :]


def _parsed(line: bytes) -> dict[str, Any] | None:
    """A line's object, or None if it is not whole."""
    try:
        content = json.loads(line)
    except ValueError:
        return None
    return content if isinstance(content, dict) and ("journal" in content or "file" in content) else None


def _differing(begun: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    keys = [key for key in {**now, **begun} if begun.get(key) != now.get(key)]
    words = {"journal": "software", "version": "software"}
    return " and ".join(dict.fromkeys(words.get(key, key) for key in keys))
