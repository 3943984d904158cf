"""What a batch on a cluster reads: a folder that all nodes see, a bucket, or a manifest that lists files of either."""

import posixpath
import tempfile
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from fer_models.errors import BatchError, ImageError
from fer_models.media.files import read_csv
from fer_models.media.image_formats import START
from fer_models.media.images import Picture, read_picture
from fer_models.media.sources import (
    PictureFile,
    Pictures,
    ZipLimits,
    is_hidden,
    is_picture,
    open_pictures,
    printable,
    unique_name,
)

_MANIFESTS: Final = (".csv", ".parquet")
_VIDEOS: Final = (".mp4", ".mov", ".webm", ".mkv", ".avi", ".mts", ".m2ts", ".ts", ".mpg", ".mpeg", ".vob")
#: The column of a manifest, as of a batch's table and labels.
_COLUMN: Final = "file"


def list_pictures(source: str | Path) -> Pictures:
    """The pictures of a source, each of which any process of the cluster can read: they can be pickled.

    Args:
        source: a folder, searched to its depth by the rules of `open_pictures`; the URI of one, such as
            s3://bucket/folder or gs://bucket/folder; or the path or URI of a manifest: a CSV or Parquet file whose
            column `file` has paths, relative to the manifest or absolute, or URIs.

    Raises:
        BatchError: there is no such source, it holds no picture, or it goes through one process alone.
        DatasetError: a manifest that is no such table.
    """
    place = local_path(source)
    suffix = posixpath.splitext(urlsplit(str(source)).path)[1].lower()
    if suffix in _VIDEOS:
        raise BatchError(
            f"{source} is a video, and a batch on a cluster takes pictures. Analyse it on one machine: "
            f"python -m fer_models video {source} --out DIR"
        )
    if suffix in _MANIFESTS and not (place and place.is_dir()):
        return _in_manifest(source)
    if place is None:
        return _in_bucket(str(source))
    if place.is_file():
        raise BatchError(
            f"{source} is a file. A cluster reads a folder, a bucket or a manifest (.csv or .parquet); a zip goes "
            "through one process: leave out --engine ray."
        )
    with open_pictures(place) as pictures:  # of a folder nothing stays open
        return pictures


def local_path(location: str | Path) -> Path | None:
    """The absolute path of a location on disks; None for the URI of one that is elsewhere."""
    if isinstance(location, Path) or "://" not in location:
        return Path(location).resolve()
    parts = urlsplit(location)
    return Path(parts.path).resolve() if parts.scheme == "file" else None


@lru_cache(maxsize=8)
def filesystem(root: str) -> tuple[Any, str]:
    """The pyarrow filesystem of a URI, and the path in it. Credentials are the environment's, as pyarrow finds them.

    Raises:
        BatchError: an unknown kind of URI, or a bucket that does not exist.
    """
    from pyarrow.fs import FileSystem

    try:
        system, path = FileSystem.from_uri(root)
    except (OSError, ValueError, NotImplementedError) as error:
        raise BatchError(f"{root} cannot be opened: {error}") from error
    return system, path.rstrip("/")


def _in_bucket(root: str) -> Pictures:
    from pyarrow.fs import FileSelector, FileType

    system, base = filesystem(root)
    try:
        found = system.get_file_info(FileSelector(base, recursive=True))
    except OSError as error:
        raise BatchError(f"{root} cannot be listed: {error}") from error
    files, left_out = [], []
    for info in found:
        name = posixpath.relpath(info.path, base)
        if info.type != FileType.File or is_hidden(name):
            continue
        if is_picture(name, partial(_start, system, info.path)):
            stamp = f"{info.size}-{info.mtime_ns}"
            files.append(PictureFile(printable(name), stamp, partial(_read, root, info.path)))
        else:
            left_out.append(printable(name))
    if not files:
        raise BatchError(f"There is no picture under {root}. It has {len(left_out)} other files.")
    return Pictures(tuple(sorted(files, key=lambda file: file.name)), tuple(sorted(left_out)))


def _start(system: Any, path: str) -> bytes:
    with system.open_input_file(path) as stream:
        return bytes(stream.read(START))


def _read(root: str, path: str) -> Picture:
    """Of a file that is not there the picture is at fault; of a bucket that does not answer the run."""
    system, _ = filesystem(root)
    limit = ZipLimits().picture
    try:
        with system.open_input_file(path) as stream:
            content = bytes(stream.read(limit + 1))
    except (FileNotFoundError, IsADirectoryError):
        raise ImageError("The picture is not there.") from None
    except PermissionError:
        raise ImageError("The picture may not be read. Check its permissions.") from None
    except OSError as error:
        raise BatchError(f"{root} does not answer: {error}. The same command continues from here.") from error
    if len(content) > limit:
        raise ImageError(f"It has more than {limit / 1e6:,.0f} MB, the limit for one picture.")
    return read_picture(content)


# Manifests


def _in_manifest(source: str | Path) -> Pictures:
    taken: set[str] = set()
    place = local_path(source)
    if place is not None:
        parent = str(place.parent)
        entries = _entries(place, str(source))
    else:
        system, path = filesystem(str(source))
        parent = _parent(str(source))
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, posixpath.basename(path))
            try:
                with system.open_input_file(path) as stream, copy.open("wb") as file:
                    file.write(stream.read())
            except OSError as error:
                raise BatchError(f"{source} cannot be read: {error}") from error
            entries = _entries(copy, str(source))
    if not entries:
        raise BatchError(f"The manifest {source} lists no file.")
    # Without stamps: the list itself says what is to be read, and asking for each file would take hours in a bucket.
    files = [PictureFile(unique_name(printable(name), taken), "", _reader(parent, name)) for name in entries]
    return Pictures(tuple(files))


def _entries(path: Path, called: str) -> Sequence[str]:
    if path.suffix.lower() == ".csv":
        return _complete([row[_COLUMN] for _, row in read_csv(path, (_COLUMN,), f"The manifest {called}")], called)
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path, columns=[_COLUMN])
        return _complete(table[_COLUMN].to_pylist(), called)
    except (OSError, KeyError, pyarrow.ArrowException) as error:
        raise BatchError(f"The manifest {called} is no Parquet file with the column {_COLUMN}: {error}") from error


def _complete(names: Sequence[Any], called: str) -> Sequence[str]:
    wrong = next((row for row, name in enumerate(names, 1) if not isinstance(name, str) or not name), None)
    if wrong is not None:
        raise BatchError(f"The manifest {called} names no file in its row {wrong}. Remove the row, or name one.")
    return names


def _parent(uri: str) -> str:
    """The folder of a URI, which keeps what stands behind a question mark."""
    parts = urlsplit(uri)
    return parts._replace(path=posixpath.dirname(parts.path)).geturl()


def _reader(parent: str, name: str) -> Any:
    """What reads a manifest's entry: a URI, or a path from the folder of the manifest on."""
    place = local_path(name) if "://" in name or posixpath.isabs(name) else None
    if place is None and "://" in name:
        parent, name = _parent(name), posixpath.basename(urlsplit(name).path)
    if place is None and "://" in parent:
        return partial(_read, parent, posixpath.join(filesystem(parent)[1], name))
    return partial(_read_file, place or Path(parent, name))


def _read_file(path: Path) -> Picture:
    """A missing file is named by its entry alone, as in a batch of given files."""
    try:
        content = path.read_bytes()
    except OSError:
        raise ImageError("The picture is not there, or may not be read.") from None
    return read_picture(content)
