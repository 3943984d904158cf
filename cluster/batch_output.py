"""What a batch on a cluster writes: a folder of Parquet files, each a part of the files, whole or not at all.

A part's name has its number and a digest of all that decides about the rows. So a run that was stopped in any way goes
on with the parts that are missing, and a part that two workers write is the same file.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cluster.batch_sources import filesystem, local_path
from fer_models.batch.run import Counts, count_rows
from fer_models.batch.table import Row
from fer_models.errors import BatchError
from fer_models.media.sources import Pictures

_FORMAT: Final = 1
#: Readers of Parquet folders leave out names that begin like this.
_RUN: Final = "_run.json"


@dataclass(frozen=True)
class Output:
    """A batch's folder of parts. Can be pickled.

    Attributes:
        location: an absolute path, or a URI.
        digest: of the files and settings.
        files: how many pictures there are.
        part: pictures per part; the last one may have fewer.
    """

    location: str
    digest: str
    files: int
    part: int

    @property
    def parts(self) -> int:
        """How many parts of pictures there are in the end."""
        return -(-self.files // self.part)

    def slice(self, number: int) -> slice:
        """Which of the pictures are in a part."""
        return slice(number * self.part, (number + 1) * self.part)

    def missing(self) -> list[int]:
        """Numbers of the parts of pictures that are not written yet."""
        names = set(self.names())
        return [number for number in range(self.parts) if self.part_name(number) not in names]

    def part_name(self, number: int) -> str:
        """The name of a part of pictures."""
        return f"part-{number:06}-{self.digest}.parquet"

    def names(self) -> list[str]:
        """The names of all files that are there."""
        return _names(self.location)

    def read(self, name: str, columns: Sequence[str] | None = None) -> list[Row]:
        """The rows of a part; what is missing is None.

        Args:
            name: of the part.
            columns: only these; None means all.
        """
        import pyarrow.parquet

        system, base = _opened(self.location)
        wanted = None if columns is None else list(columns)
        table = pyarrow.parquet.read_table(f"{base}/{name}", columns=wanted, filesystem=system, partitioning=None)
        rows: list[Row] = table.to_pylist()
        return rows

    def write(self, name: str, frame: Any) -> None:
        """Write a part: under a name of its own first, then moved, so that it is there whole or not at all.

        Raises:
            BatchError: it cannot be written.
        """
        system, base = _opened(self.location)
        partial, path = f"{base}/_{uuid.uuid4().hex}.partial", f"{base}/{name}"
        try:
            frame.to_parquet(partial, index=False, filesystem=system)
            if local_path(self.location):
                with open(partial, "rb+") as file:
                    os.fsync(file.fileno())
            system.move(partial, path)
        except OSError as error:
            raise BatchError(f"Cannot write {path}: {error}. What is done so far is kept.") from error

    def finish(self, of_videos: Sequence[str] = ()) -> Counts:
        """Count what the parts hold, and remove what is none: steps on the way, and leftovers of killed workers.

        Args:
            of_videos: the names of the videos' parts.
        """
        system, base = _opened(self.location)
        own = [*map(self.part_name, range(self.parts)), *of_videos]
        for name in set(self.names()).difference(own, [_RUN]):
            if _is_ours(name):
                system.delete_file(f"{base}/{name}")
        counts = Counts(0, 0, ())
        for name in own:
            time = ["time_s"] if of_videos else []
            counts += count_rows(self.read(name, ["file", *time, "face", "reason"]))
        return counts

    def rows(self, columns: Sequence[str]) -> list[Row]:
        """These columns of the pictures' rows, in their order; what is missing is None."""
        return [row for number in range(self.parts) for row in self.read(self.part_name(number), columns)]


def open_output(
    location: str | Path, pictures: Pictures, settings: Mapping[str, Any], part: int, *, restart: bool = False
) -> Output:
    """Begin a batch's output, or go on with one that was begun with the same files and settings.

    Args:
        location: a folder, made if it is missing, or a URI. Its name ends in .parquet.
        pictures: the files, in the rows' order.
        settings: all else that decides about the rows, as plain JSON.
        part: pictures per part, for a new output: one that was begun keeps its own.
        restart: forget what is there of an earlier batch.

    Raises:
        BatchError: it was begun with something else, is another program's folder, or cannot be written.
    """
    place = local_path(location)
    named = str(place) if place else str(location).rstrip("/")
    if not named.partition("?")[0].lower().endswith(".parquet"):
        raise BatchError(f"Cannot write {location}: --engine ray writes a folder whose name ends in .parquet.")
    if place and place.is_file():
        raise BatchError(f"Cannot write {location}: --engine ray writes a folder, and this is a file. Name another.")
    document = json.loads(json.dumps({"format": _FORMAT, **settings, "files": _digest(pictures)}))
    system, base = _opened(named)
    try:
        names = _names(named)
        if _RUN not in names and not all(map(_is_ours, names)):
            raise BatchError(f"{location} is there already, and no output of --engine ray. Name another --out.")
        if restart:
            for name in filter(_is_ours, names):
                system.delete_file(f"{base}/{name}")
        elif _RUN in names:
            return _continued(location, named, pictures, document)
        system.create_dir(base, recursive=True)
        output = Output(named, _short(document | {"part": part}), len(pictures.files), part)
        partial = f"{base}/_{uuid.uuid4().hex}.partial"
        with system.open_output_stream(partial) as stream:
            stream.write(json.dumps({"part": part, "begun_with": document}, indent=1).encode())
        system.move(partial, f"{base}/{_RUN}")
    except OSError as error:
        raise BatchError(f"Cannot write {location}: {error}.") from error
    return output


def _continued(location: str | Path, named: str, pictures: Pictures, document: Mapping[str, Any]) -> Output:
    system, base = _opened(named)
    with system.open_input_file(f"{base}/{_RUN}") as stream:
        text = stream.read()
    try:
        run = json.loads(text)
        part, before = int(run["part"]), dict(run["begun_with"])
    except (ValueError, KeyError, TypeError):
        raise BatchError(f"{location}/{_RUN} is damaged. Begin anew with --restart.") from None
    if before != document:
        keys = [key for key in {**document, **before} if before.get(key) != document.get(key)]
        words = {"format": "software", "version": "software"}
        differing = " and ".join(dict.fromkeys(words.get(key, key) for key in keys))
        raise BatchError(
            f"{location} was begun with other {differing}. Give the same as then to continue, or begin anew with "
            "--restart."
        )
    return Output(named, _short({**document, "part": part}), len(pictures.files), part)


def _opened(location: str) -> tuple[Any, str]:
    from pyarrow.fs import LocalFileSystem

    return (LocalFileSystem(), location) if "://" not in location else filesystem(location)


def _names(location: str) -> list[str]:
    from pyarrow.fs import FileSelector

    system, base = _opened(location)
    return [info.base_name for info in system.get_file_info(FileSelector(base, allow_not_found=True))]


def _is_ours(name: str) -> bool:
    parts = ("part-", "video-", "_video-")
    return name == _RUN or name.endswith(".partial") or (name.startswith(parts) and name.endswith(".parquet"))


def _digest(pictures: Pictures) -> str:
    listed = hashlib.sha256()
    for name, stamp in [(each.name, each.stamp) for files in (pictures.files, pictures.videos) for each in files]:
        listed.update(json.dumps([name, stamp]).encode())
    return listed.hexdigest()


def _short(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:12]
