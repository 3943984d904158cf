"""What a batch on a cluster reads: a folder that all nodes see, a bucket, or a manifest that lists files of either."""

import atexit
import posixpath
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from fer_models.errors import BatchError, FerError, ImageError, VideoError
from fer_models.formatting import printable
from fer_models.media.files import read_csv
from fer_models.media.image_formats import START, SUFFIXES
from fer_models.media.images import Picture, read_picture
from fer_models.media.sources import (
    PictureFile,
    Pictures,
    ZipLimits,
    is_hidden,
    is_picture,
    open_pictures,
    unique_name,
)
from fer_models.media.video_files import HEAD, VideoFile, is_video, is_video_file
from fer_models.media.video_files import SUFFIXES as VIDEO_SUFFIXES

T = TypeVar("T")

#: Until a bucket at Google must answer.
_GOOGLE_S: Final = 20

_MANIFESTS: Final = (".csv", ".parquet")
#: A manifest's entries are videos if they end so: they are not opened to find out, and GIFs are pictures.
_VIDEOS: Final = tuple(suffix for suffix in VIDEO_SUFFIXES if suffix not in SUFFIXES)
#: Where this process has a copy of a bucket's video, by filesystem and path.
_copies: dict[tuple[str, str], Path] = {}
#: The column of a manifest, as of a batch's table and labels.
_COLUMN: Final = "file"


def list_pictures(source: str | Path) -> Pictures:
    """The pictures and videos of a source, each of which any process of the cluster can read: they can be pickled.

    Args:
        source: a folder, searched to its depth by the rules of `open_pictures`; a video; the URI of either, such as
            s3://bucket/folder or gs://bucket/folder; or the path or URI of a manifest: a CSV or Parquet file whose
            column `file` has paths, relative to the manifest or absolute, or URIs.

    Raises:
        BatchError: there is no such source, it holds no picture or video, or it goes through one process alone.
        DatasetError: a manifest that is no such table.
    """
    place = local_path(source)
    suffix = posixpath.splitext(urlsplit(str(source)).path)[1].lower()
    if suffix in _MANIFESTS and not (place and place.is_dir()):
        return _in_manifest(source)
    if place is None and suffix in _VIDEOS:
        name = posixpath.basename(urlsplit(str(source)).path)
        return Pictures((), videos=(VideoFile(printable(name), "", _reader("", str(source), _copied, Path)),))
    if place is None:
        return _in_bucket(str(source))
    if place.is_file() and not is_video_file(place):
        raise BatchError(
            f"{source} is a file. A cluster reads a folder, a bucket, a video or a manifest (.csv or .parquet); a zip "
            "goes through one process: leave out --engine ray."
        )
    with open_pictures(place, videos=True) as pictures:  # of a folder nothing stays open
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

    uri = root
    if root.startswith(("gs://", "gcs://")) and "retry_limit_seconds=" not in root:  # a quarter of an hour otherwise
        uri += f"{'&' if '?' in root else '?'}retry_limit_seconds={_GOOGLE_S}"
    try:
        system, path = FileSystem.from_uri(uri)
    except (OSError, ValueError, NotImplementedError) as error:
        raise BatchError(f"{root} cannot be opened: {error}") from error
    return system, path.rstrip("/")


def _in_bucket(root: str) -> Pictures:
    from pyarrow.fs import FileSelector, FileType

    system, base = filesystem(root)
    try:
        found = system.get_file_info(FileSelector(base, recursive=True))
    except OSError as error:
        raise BatchError(f"{root} cannot be listed: {_reason(error)}") from error
    files, videos, left_out = [], [], []
    for info in found:
        name = posixpath.relpath(info.path, base)
        if info.type != FileType.File or is_hidden(name):
            continue
        stamp, start = f"{info.size}-{info.mtime_ns}", partial(_start, system, info.path)
        if is_picture(name, start):
            files.append(PictureFile(printable(name), stamp, partial(_read, root, info.path)))
        elif is_video(name, start):
            videos.append(VideoFile(printable(name), stamp, partial(_copied, root, info.path)))
        else:
            left_out.append(printable(name))
    if not files and not videos:
        raise BatchError(f"There is no picture and no video under {root}. It has {len(left_out)} other files.")
    by_name = attrgetter("name")
    return Pictures(
        tuple(sorted(files, key=by_name)), tuple(sorted(left_out)), videos=tuple(sorted(videos, key=by_name))
    )


def _reason(error: OSError) -> str:
    """What a bucket said, without the details that only its makers read."""
    text = str(error).partition(" error_info={")[0]
    if "OAuth2 access token" in text:
        return (
            "Google Cloud gave no access. Log in with gcloud auth application-default login, or name the file of a "
            "service account in GOOGLE_APPLICATION_CREDENTIALS. Public buckets take gs://anonymous@bucket/folder."
        )
    return text


def _start(system: Any, path: str) -> bytes:
    with system.open_input_file(path) as stream:
        return bytes(stream.read(max(START, HEAD)))


def _read(root: str, path: str) -> Picture:
    system, _ = filesystem(root)
    limit = ZipLimits().picture
    with _blamed(root, "picture", ImageError), system.open_input_file(path) as stream:
        content = bytes(stream.read(limit + 1))
    if len(content) > limit:
        raise ImageError(f"It has more than {limit / 1e6:,.0f} MB, the limit for one picture.")
    return read_picture(content)


def _copied(root: str, path: str) -> Path:
    """A copy of a bucket's video on this machine: FFmpeg reads files. The last one is kept for its next segment."""
    if (root, path) not in _copies:
        for folder in _copies.values():
            shutil.rmtree(folder, ignore_errors=True)
        _copies.clear()
        folder = Path(tempfile.mkdtemp(prefix="fer-video-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _copy(root, path, folder / posixpath.basename(path))
        _copies[root, path] = folder
    return _copies[root, path] / posixpath.basename(path)


def _copy(root: str, path: str, target: Path) -> None:
    system, _ = filesystem(root)
    with _blamed(root, "video", VideoError), system.open_input_stream(path) as stream, target.open("wb") as file:
        shutil.copyfileobj(stream, file, 2**22)


@contextmanager
def _blamed(root: str, kind: str, blame: type[FerError]) -> Iterator[None]:
    """Errors of reading a file: of one that is not there it is at fault; of a bucket that does not answer the run."""
    try:
        yield
    except (FileNotFoundError, IsADirectoryError):
        raise blame(f"The {kind} is not there.") from None
    except PermissionError:
        raise blame(f"The {kind} may not be read. Check its permissions.") from None
    except OSError as error:
        raise BatchError(f"{root} does not answer: {_reason(error)}. The same command continues from here.") from error


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
                raise BatchError(f"{source} cannot be read: {_reason(error)}") from error
            entries = _entries(copy, str(source))
    if not entries:
        raise BatchError(f"The manifest {source} lists no file.")
    # Without stamps: the list itself says what is to be read, and asking for each file would take hours in a bucket.
    files, videos = [], []
    for entry in entries:
        name = unique_name(printable(entry), taken)
        if posixpath.splitext(urlsplit(entry).path)[1].lower() in _VIDEOS:
            videos.append(VideoFile(name, "", _reader(parent, entry, _copied, Path)))
        else:
            files.append(PictureFile(name, "", _reader(parent, entry, _read, _read_file)))
    return Pictures(tuple(files), videos=tuple(videos))


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


def _reader(parent: str, name: str, remote: Callable[[str, str], T], local: Callable[[Path], T]) -> Callable[[], T]:
    """What reads a manifest's entry: a URI, or a path from the folder of the manifest on.

    Args:
        parent: that folder, or its URI.
        name: the entry.
        remote: reads the file of a filesystem's URI and a path in it.
        local: reads a file.
    """
    place = local_path(name) if "://" in name or posixpath.isabs(name) else None
    if place is None and "://" in name:
        parent, name = _parent(name), posixpath.basename(urlsplit(name).path)
    if place is None and "://" in parent:
        return partial(remote, parent, posixpath.join(filesystem(parent)[1], name))
    return partial(local, place or Path(parent, name))


def _read_file(path: Path) -> Picture:
    """A missing file is named by its entry alone, as in a batch of given files."""
    try:
        content = path.read_bytes()
    except OSError:
        raise ImageError("The picture is not there, or may not be read.") from None
    return read_picture(content)
