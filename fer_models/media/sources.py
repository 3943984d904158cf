"""Where a batch's pictures come from: a folder, a list of files, or a zip that is read in place and never unpacked."""

import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Final

from fer_models.errors import BatchError, ImageError, VideoError
from fer_models.formatting import examples, printable
from fer_models.media.files import first_bytes
from fer_models.media.image_formats import START, SUFFIXES, begins_like_a_picture
from fer_models.media.images import Picture, read_picture
from fer_models.media.video_files import VideoFile, is_video_file
from fer_models.media.zip_names import entry_names

_ENTRY: Final = b"PK\x01\x02"  # begins each entry of a zip's directory
_PACKED: Final = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2}  # LZMA may ask for 4 GB at once
#: Below this many unpacked bytes the ratio does not matter: a few plain drawings may shrink a thousandfold.
_HARMLESS: Final = 64 * 2**20
#: What reading a damaged, missing or encrypted file raises, in a folder or a zip.
_UNREADABLE: Final = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)
_LEADS_OUT: Final = "This is a link that leads out of the folder. Put the {} itself there."
_REPACK: Final = "Pack the pictures anew into a zip, or unpack it yourself and give the folder."


@dataclass(frozen=True)
class PictureFile:
    """One file of a batch, not yet opened.

    Attributes:
        name: relative to the root of the batch, with forward slashes, printable, and of this file alone.
        stamp: changes when the file does.
        read: gives its picture, or raises ImageError. Safe to call from any thread.
    """

    name: str
    stamp: str
    read: Callable[[], Picture]


@dataclass(frozen=True)
class Pictures:
    """A batch's files.

    Attributes:
        files: sorted by name.
        left_out: names of the other files, sorted: neither pictures nor hidden.
        videos: sorted by name, where they were asked for.
    """

    files: tuple[PictureFile, ...]
    left_out: tuple[str, ...] = ()
    videos: tuple[VideoFile, ...] = ()


@dataclass(frozen=True)
class ZipLimits:
    """What a zip may hold at most; it is refused whole beyond the first three, a larger picture alone.

    Attributes:
        entries: files and folders of any kind.
        unpacked: bytes of all its pictures together.
        ratio: unpacked bytes of its pictures over the bytes of the zip.
        picture: bytes of one picture file.
    """

    entries: int = 200_000
    unpacked: int = 64 * 2**30
    ratio: float = 100.0
    picture: int = 256 * 2**20


@contextmanager
def open_pictures(
    path: Path, limits: ZipLimits | None = None, *, name: str | None = None, videos: bool = False
) -> Iterator[Pictures]:
    """The pictures of a folder, searched to its depth, or of a zip, which stays open as long as the context.

    Args:
        path: where it lies.
        limits: of a zip.
        name: what people call it, if not by the end of its path.
        videos: take a folder's videos as well, and a video alone.

    Raises:
        BatchError: it is neither, holds no picture or video, cannot be read, is encrypted, broken or beyond the limits.
    """
    if path.is_dir():
        found = _in_folder(path, videos)
        kind = "folder"
    elif videos and is_video_file(path):
        found = Pictures((), videos=(VideoFile(printable(path.name), _stamp(path), partial(Path, path)),))
        kind = "file"
    elif path.is_file():
        kind = "zip"
        with _opened(path, limits or ZipLimits(), name or path.name) as archive:
            found = _in_zip(archive, path, limits or ZipLimits())
            _check_any(found, name or path.name, kind)
            yield found
        return
    else:
        raise BatchError(f"There is no folder or zip {printable(str(path))}. Check its name.")
    _check_any(found, name or path.name, kind)
    yield found


def list_files(named: Iterable[tuple[str, Path]]) -> Pictures:
    """Given files in their order; a name that comes again gets a number, so that every file has a name of its own.

    Args:
        named: what each file is called, and where it lies.
    """
    taken: set[str] = set()
    files = [
        PictureFile(unique_name(printable(name), taken), _stamp(path), partial(_read_given, path))
        for name, path in named
    ]
    return Pictures(tuple(files))


def _read_given(path: Path) -> Picture:
    """As bytes, so that no message calls the picture by a path its user never saw."""
    try:
        content = path.read_bytes()
    except OSError:
        raise ImageError("The picture is not there any more, or may not be read.") from None
    return read_picture(content)


def unique_name(name: str, taken: set[str]) -> str:
    """The name, or, where it is taken, the name with the first free number."""
    own, number = name, 1
    while own in taken:
        number += 1
        own = f"{name} ({number})"
    taken.add(own)
    return own


def _check_any(found: Pictures, name: str, kind: str) -> None:
    if not found.files and not found.videos:
        known = ", ".join(sorted(SUFFIXES))
        others = f" It has {len(found.left_out)} other files: {examples(found.left_out)}." if found.left_out else ""
        raise BatchError(f"There is no picture in the {kind} {printable(name)} ({known}).{others}")


def _refused(reason: str) -> Picture:
    raise ImageError(reason)


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_size}-{status.st_mtime_ns}"


def is_hidden(name: str) -> bool:
    """Whether a name with forward slashes is of a hidden file, or of one in a hidden folder."""
    parts = name.split("/")
    return "__MACOSX" in parts or any(part.startswith(".") and part not in {".", ".."} for part in parts)


def is_picture_file(path: Path) -> bool:
    """Whether a file counts as a picture: by its suffix, or else by its first bytes. It need not be a readable one."""
    return is_picture(path.name, lambda: first_bytes(path, START))


def is_picture(name: str, start: Callable[[], bytes]) -> bool:
    """As `is_picture_file`, of a file that `start` gives the first `START` bytes of."""
    if os.path.splitext(name)[1].lower() in SUFFIXES:
        return True
    try:
        return begins_like_a_picture(start())
    except _UNREADABLE:
        return False


# Folders


def _in_folder(root: Path, with_videos: bool) -> Pictures:
    files: list[PictureFile] = []
    videos: list[VideoFile] = []
    left_out: list[str] = []

    def name_of(path: str) -> str:
        relative = os.path.relpath(path, root)
        return printable(relative.replace(os.sep, "/"))

    def refuse(path: str, reason: str) -> None:
        files.append(PictureFile(name_of(path), "", partial(_refused, reason)))

    def unreadable(error: OSError) -> None:
        if Path(error.filename) == root:
            raise BatchError(f"The folder {printable(root.name)} cannot be read: {error.strerror}.") from error
        refuse(error.filename, "This folder may not be read. Check its permissions.")

    for folder, folders, names in os.walk(root, onerror=unreadable):
        for name in folders:
            if os.path.islink(os.path.join(folder, name)) and not is_hidden(name):
                refuse(os.path.join(folder, name), "This is a link to a folder, and links to folders are not followed.")
        folders[:] = [name for name in folders if not is_hidden(name)]
        for name in names:
            if is_hidden(name):
                continue
            path = Path(folder, name)
            if not is_picture_file(path):
                if with_videos and is_video_file(path):
                    videos.append(VideoFile(name_of(str(path)), _stamp(path), partial(_inside, path, root)))
                else:
                    left_out.append(name_of(str(path)))
            elif path.is_symlink() and not _leads_inside(path, root):
                refuse(str(path), _LEADS_OUT.format("picture"))
            else:
                files.append(PictureFile(name_of(str(path)), _stamp(path), partial(read_picture, path)))
    return _sorted(files, left_out, videos)


def _sorted(files: Iterable[PictureFile], left_out: Iterable[str], videos: Iterable[VideoFile] = ()) -> Pictures:
    name = attrgetter("name")
    return Pictures(tuple(sorted(files, key=name)), tuple(sorted(left_out)), tuple(sorted(videos, key=name)))


def _inside(path: Path, root: Path) -> Path:
    if path.is_symlink() and not _leads_inside(path, root):
        raise VideoError(_LEADS_OUT.format("video"))
    return path


def _leads_inside(path: Path, root: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # it leads nowhere, or round in a circle
        return False


# Zips. Nothing of one is ever written to the disk, so none of its names can lead anywhere.


@contextmanager
def _opened(path: Path, limits: ZipLimits, name: str) -> Iterator[zipfile.ZipFile]:
    try:
        if _entries(path) > limits.entries:  # counted before they are parsed, which takes memory for each
            raise BatchError(f"The zip holds more than {limits.entries:,} files. Split it, or unpack it yourself.")
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError):
        raise BatchError(
            f"{printable(name)} is neither a folder nor a zip that can be read: it is damaged or of another kind. "
            "Give the pictures, or a whole .zip file."
        ) from None
    except OSError as error:
        raise BatchError(f"{printable(name)} cannot be read: {error.strerror}.") from error
    with archive:
        yield archive


def _entries(path: Path) -> int:
    """How often the mark of an entry stands in a file: no fewer times than its directory has entries."""
    count, tail = 0, b""
    with path.open("rb") as file:
        while block := file.read(2**20):
            block = tail + block
            count += block.count(_ENTRY)
            tail = block[-3:]  # shorter than the mark: none is counted twice, none is missed
    return count


def _in_zip(archive: zipfile.ZipFile, path: Path, limits: ZipLimits) -> Pictures:
    files: list[PictureFile] = []
    left_out: list[str] = []
    taken: set[str] = set()
    unpacked = 0
    entries = archive.infolist()
    for entry, decoded in zip(entries, entry_names(entries), strict=True):
        name = re.sub(r"^(\./+)+", "", decoded.replace("\\", "/"))  # some Windows programs write backslashes
        if not name or name.endswith("/") or is_hidden(name):
            continue
        if not is_picture(name, partial(_start, archive, entry)):
            left_out.append(printable(name))
            continue
        if entry.flag_bits & 1:
            raise BatchError("The zip is encrypted. Unpack it with its password and give the folder.")
        reason = _objection(entry, name, limits)
        if reason is None:
            unpacked += entry.file_size
        stamp = f"{entry.file_size}-{entry.CRC}"
        read = partial(_refused, reason) if reason else partial(_read, archive, entry, limits.picture)
        files.append(PictureFile(unique_name(printable(name), taken), stamp, read))
    if unpacked > limits.unpacked:
        raise BatchError(
            f"The zip's pictures have {_mega(unpacked)} unpacked, the limit is {_mega(limits.unpacked)}. Split it."
        )
    if unpacked > _HARMLESS and unpacked > limits.ratio * path.stat().st_size:
        raise BatchError(
            f"The zip would grow more than {limits.ratio:.0f} times when unpacked, which pictures do not. {_REPACK}"
        )
    return _sorted(files, left_out)


def _objection(entry: zipfile.ZipInfo, name: str, limits: ZipLimits) -> str | None:
    """Why an entry is not read, or None."""
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/"):
        return f"Its name in the zip leads out of the zip. {_REPACK}"
    if kind not in (0, stat.S_IFREG):
        return "It is a link or a device and not a file. Put the picture itself into the zip."
    if entry.compress_type not in _PACKED:
        return f"It is packed in a way that is not supported. {_REPACK}"
    if entry.file_size > limits.picture:
        return f"It has {_mega(entry.file_size)}, the limit for one picture is {_mega(limits.picture)}."
    return None


def _start(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    if entry.compress_type not in _PACKED:
        return b""
    with archive.open(entry) as stream:
        return stream.read(START)


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int) -> Picture:
    try:
        with archive.open(entry) as stream:
            content = stream.read(limit)  # never more than that, whatever the entry says of itself
    except _UNREADABLE:
        raise ImageError("It is damaged in the zip. Pack it anew.") from None
    return read_picture(content)


def _mega(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
