"""Picture formats: what counts as a picture, and files opened by the one decoder that their first bytes call for."""

import warnings
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import IO, Final

from PIL import Image, TiffImagePlugin, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

#: File name suffixes of the formats that are read. In a folder or a zip, a file of another name is a picture if it
#: begins like one.
SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg", ".pjp", ".png", ".apng", ".webp", ".avif", ".heic", ".heif", ".hif"}
    | {".jxl", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
)
#: How many bytes of a file tell its format.
START: Final = 512
TIFF: Final = (b"II*\0", b"MM\0*")

#: The decoders that are tried; Pillow knows 40 more, rarely used and rarely tested against hostile files.
_FORMATS: Final = ("JPEG", "PNG", "WEBP", "AVIF", "BMP", "GIF", "TIFF", "PPM", "HEIF")
_NEW_SUBFILE_TYPE: Final = 254  # tag of TIFF 6.0
_JPEG: Final = b"\xff\xd8\xff"
_JXL_STREAM: Final = b"\xff\x0a"
_JXL_BOX: Final = b"\x00\x00\x00\x0cJXL \r\n\x87\n"
_HEIF_BRANDS: Final = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis"}
_BMP_HEADERS: Final = {12, 40, 52, 56, 64, 108, 124}

# Sizes are checked here before anything is decoded; Pillow would only warn on standard error.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def begins_like_a_picture(start: bytes) -> bool:
    """Whether a file's first bytes are those of a picture format that is read.

    TIFF's are not among them: cameras' raw files begin alike, and what is read of those is a thumbnail. It needs its
    suffix.

    Args:
        start: at least the first 32 bytes.
    """
    return (
        start.startswith((_JPEG, b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", _JXL_STREAM, _JXL_BOX))
        or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")
        or (start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS)
        or (start[:2] == b"BM" and int.from_bytes(start[14:18], "little") in _BMP_HEADERS)
        or (start[:2] in (b"P5", b"P6") and start[2:3].isspace())
    )


def open_header(file: Path | IO[bytes], start: bytes, check: Callable[[int, int], None]) -> Image.Image:
    """Open a picture, which reads its header only, except for JPEG XL, whose size is checked before it is decoded.

    Args:
        file: its path or content.
        start: its first bytes.
        check: called with the width and height; raises what the caller wants raised of a wrong size.

    Raises:
        UnidentifiedImageError: no picture of a known format.
        Exception: the decoder's own, of many kinds, if the header is damaged.
    """
    if start.startswith((_JXL_STREAM, _JXL_BOX)):
        content = file.read_bytes() if isinstance(file, Path) else file.read()
        check(*jxl_size(content))
        return _jxl_opener()(BytesIO(content))
    # A phone's JPEG may have more pixels than Pillow opens by itself; it is read at a reduced size.
    if start.startswith(_JPEG):
        picture: Image.Image = JpegImageFile(file)
    else:
        _register_heif()
        picture = Image.open(file, formats=_FORMATS)
    return picture


def is_preview(picture: Image.Image) -> bool:
    """Whether a TIFF calls its picture a smaller copy of another one in it, as most cameras' raw files do."""
    kind = getattr(picture, "tag_v2", {}).get(_NEW_SUBFILE_TYPE, 0) if picture.format == "TIFF" else 0
    return bool(kind & 1)


def tiff_size(content: bytes) -> tuple[int, int] | None:
    """Width and height of a TIFF, also of one whose samples Pillow cannot read; None if it is none."""
    if not content.startswith(TIFF):
        return None
    try:
        directory = TiffImagePlugin.ImageFileDirectory_v2(content[:8])
        stream = BytesIO(content)
        stream.seek(directory.next)
        directory.load(stream)
        return int(directory[TiffImagePlugin.IMAGEWIDTH]), int(directory[TiffImagePlugin.IMAGELENGTH])
    except Exception:  # the parser raises many kinds
        return None


def jxl_size(content: bytes) -> tuple[int, int]:
    """Width and height of a JPEG XL file, from its header (ISO/IEC 18181-1, SizeHeader).

    Raises:
        UnidentifiedImageError: there is no such header.
    """
    stream = _jxl_codestream(content) if content.startswith(_JXL_BOX) else content
    if not stream.startswith(_JXL_STREAM):
        raise UnidentifiedImageError("no JPEG XL codestream")
    bits, position = int.from_bytes(stream[2:34], "little"), 0

    def take(count: int) -> int:
        nonlocal position
        position += count
        return (bits >> (position - count)) & ((1 << count) - 1)

    small = take(1)

    def side() -> int:
        return (take(5) + 1) * 8 if small else take((9, 13, 18, 30)[take(2)]) + 1

    height = side()
    ratio = take(3)
    across, down = ((0, 0), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio]
    width = height * across // down if ratio else side()
    return width, height


def _jxl_codestream(content: bytes) -> bytes:
    """The beginning of the codestream in a container of boxes."""
    at = 0
    while at + 8 <= len(content):
        size, kind, header = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8], 8
        if size == 1:
            size, header = int.from_bytes(content[at + 8 : at + 16], "big"), 16
        if kind == b"jxlc":
            return content[at + header : at + header + 64]
        if kind == b"jxlp":  # a part begins with its number
            return content[at + header + 4 : at + header + 68]
        if size < header:
            break
        at += size
    return b""


@cache
def _register_heif() -> None:
    import pillow_heif  # costs time, and few pictures need it

    pillow_heif.register_heif_opener(thumbnails=False)


@cache
def _jxl_opener() -> Callable[[BytesIO], Image.Image]:
    from pillow_jxl.JpegXLImagePlugin import JXLImageFile

    opener: Callable[[BytesIO], Image.Image] = JXLImageFile
    return opener
