"""A batch's checkpoint: the files that are done so far, so that a run that was stopped in any way can be continued.

An SQLite database in WAL mode: a file's rows are there whole or not at all, whatever `kill -9` or a power cut
interrupts.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol

from fer_models.analyzer import Analyzer
from fer_models.batch.table import Row
from fer_models.errors import BatchError

#: Raised when the tables change, so that no older checkpoint is continued.
_FORMAT: Final = 3
_ADVICE: Final = "Give the same as then to continue, or begin anew with --restart."
#: Files that SQLite keeps beside an open database; they stay after a crash and are needed to recover.
_COMPANIONS: Final = ("-wal", "-shm")
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS settings (document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, stamp TEXT NOT NULL, rows TEXT NOT NULL);
"""


def checkpoint_path(output: Path) -> Path:
    """Where the checkpoint of an output lies: beside it."""
    return output.with_name(output.name + ".journal")


class Item(Protocol):
    """What has rows of its own: a picture, or a segment of a video."""

    @property
    def name(self) -> str:
        """Of this item alone."""
        ...

    @property
    def stamp(self) -> str:
        """Changes when the file does."""
        ...


def run_settings(
    source: str, analyzer: Analyzer, version: str, *, whole_if_none: bool, rate: float | None = None
) -> dict[str, Any]:
    """All that decides about the rows, as plain JSON; a batch is continued only if it is the same.

    Args:
        source: where the files are.
        analyzer: the loaded models.
        version: of this software.
        whole_if_none: as for `analyze_files`.
        rate: as for `analyze_segment`; None if there is no video.
    """
    options: dict[str, Any] = {"whole_if_none": whole_if_none}
    return {
        "version": version,
        "source": source,
        "models": model_facts(analyzer),
        "options": options if rate is None else options | {"rate": rate},
    }


def model_facts(analyzer: Analyzer) -> dict[str, list[Any]]:
    """What decides about the models' predictions, by their names."""
    return {
        name: [model.card.sha256, model.card.temperature, list(model.card.labels), asdict(model.card.input)]
        for name, model in analyzer.classifiers.items()
    }


class Checkpoint:
    """An open checkpoint. Close it, or use it as a context manager. For one thread."""

    def __init__(self, path: Path, begun_with: Mapping[str, Any], *, restart: bool = False, every: int = 32) -> None:
        """Open a checkpoint to continue, or begin one.

        Args:
            path: its file.
            begun_with: all that decides about the results, as plain JSON: a checkpoint of other values is refused.
            restart: forget an older checkpoint.
            every: files after which the disk is waited for.

        Raises:
            BatchError: an older checkpoint was begun with something else or is none, or it cannot be written.
        """
        self._path = path
        self._every = every
        self._unsynced = 0
        self._stamps: dict[str, str] = {}
        try:
            if restart:
                _delete(path)
            self._database = sqlite3.connect(path, isolation_level=None)
            try:
                self._open({"format": _FORMAT, **json.loads(json.dumps(begun_with))})
            except BaseException:
                self._database.close()
                raise
        except (OSError, sqlite3.OperationalError) as error:
            raise BatchError(f"Cannot write {path}: {_reason(error)}.") from error
        except sqlite3.DatabaseError as error:
            raise self._not_one() from error

    def _open(self, settings: dict[str, Any]) -> None:
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.executescript(_SCHEMA)
        try:
            begun = self._database.execute("SELECT document FROM settings").fetchone()
        except sqlite3.OperationalError as error:  # another program's table of that name
            raise self._not_one() from error
        if begun is None:
            self._database.execute("INSERT INTO settings VALUES (?)", (json.dumps(settings),))
            self.sync()
        elif (before := json.loads(begun[0])) != settings:
            raise BatchError(f"{self._path} was begun with other {_differing(before, settings)}. {_ADVICE}")
        self._stamps = {
            json.loads(name): stamp for name, stamp in self._database.execute("SELECT name, stamp FROM files")
        }

    def _not_one(self) -> BatchError:
        return BatchError(
            f"{self._path} is no checkpoint of a batch, or one of an older version. Remove it, or begin anew with "
            "--restart."
        )

    def __enter__(self) -> "Checkpoint":
        """Use it in a `with`."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it; the file stays."""
        self._database.close()

    def has(self, file: Item) -> bool:
        """Whether this item is done, and has not changed since."""
        return self._stamps.get(file.name) == file.stamp

    def rows(self, files: Sequence[Item]) -> list[Row]:
        """The rows of these items, in their order. All of them must be done."""
        query = "SELECT rows FROM files WHERE name = ?"
        stored = (self._database.execute(query, (json.dumps(file.name),)).fetchone() for file in files)
        return [row for (rows,) in stored for row in json.loads(rows)]

    def add(self, file: Item, rows: Sequence[Row]) -> None:
        """Keep that an item is done.

        Raises:
            BatchError: the disk is full, or the like.
        """
        entry = (json.dumps(file.name), file.stamp, json.dumps(list(rows), allow_nan=False))
        self._write("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", entry)
        self._stamps[file.name] = file.stamp
        self._unsynced += 1
        if self._unsynced >= self._every:
            self.sync()

    def sync(self) -> None:
        """Wait until all that was added is on the disk.

        Raises:
            BatchError: the disk is full, or the like.
        """
        self._write("PRAGMA wal_checkpoint(FULL)")
        self._unsynced = 0

    def _write(self, statement: str, values: Sequence[str] = ()) -> None:
        try:
            self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise BatchError(f"Cannot write {self._path}: {_reason(error)}. What is done so far is kept.") from error

    def remove(self) -> None:
        """Delete it, once the output is written."""
        self._database.close()
        _delete(self._path)


def _delete(path: Path) -> None:
    for file in (path, *(path.with_name(path.name + suffix) for suffix in _COMPANIONS)):
        file.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _differing(begun: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    keys = [key for key in {**now, **begun} if begun.get(key) != now.get(key)]
    words = {"format": "software", "version": "software"}
    return " and ".join(dict.fromkeys(words.get(key, key) for key in keys))
