"""Pictures in: files and bytes of any common format to (H, W, 3) uint8 RGB, or an error that says what to do."""

import math
import os
import re
import stat
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ExifTags import Base

from fer_models.errors import ImageError
from fer_models.media.deep_samples import (
    declared_depth,
    decode_colours,
    has_deep_colours,
    has_deep_planes,
    has_white_at_zero,
    is_deep,
    to_8_bit,
)
from fer_models.media.image_formats import (
    START,
    SUFFIXES,
    TIFF,
    begins_like_a_picture,
    is_preview,
    open_header,
    tiff_size,
)

__all__ = ["MAX_PIXELS", "MIN_SIDE", "SUFFIXES", "Picture", "as_image", "begins_like_a_picture", "read_image"]

#: Largest picture in pixels after decoding: a 64-megapixel photo, 192 MB as RGB. Larger ones are refused by header,
#: but for JPEGs up to `MAX_JPEG_PIXELS`, which are decoded at a half, a quarter or an eighth of their size.
MAX_PIXELS: Final = 64_000_000
#: Largest JPEG: phones give 200 megapixels. Decoding a progressive one takes up to 6 bytes a pixel.
MAX_JPEG_PIXELS: Final = 220_000_000
#: Smallest side in pixels: below it no expression can be recognised, even if the face fills the picture.
MIN_SIDE: Final = 16

_ADVICE: Final = "Use a JPEG, PNG, WebP, AVIF, HEIC, JPEG XL, BMP, GIF or TIFF picture."
_DAMAGED: Final = "It is damaged or incomplete: copy or download it again, or open and re-save it in a picture editor."
_MOST_MISSING: Final = 0.75  # share of the rows of a JPEG beyond which it counts as damaged
_END_OF_JPEG: Final = b"\xff\xd9"

#: EXIF orientation to the transposition that undoes it (EXIF 2.32, tag 0x0112).
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as it was read.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, upright.
        notes: sentences about what may have changed what is seen: a part that is missing, a guessed scale of values.
    """

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...] = ()


def read_picture(source: str | os.PathLike[str] | bytes) -> Picture:
    """Read a picture, upright and in RGB whatever its file holds, with notes on what is not as it should be.

    EXIF orientation is applied. Grey, palette, CMYK, deep and floating-point pictures become 8-bit RGB, scaled and not
    clipped (`deep_samples`); transparent parts are laid on white, as browsers show them; of an animation, and of a file
    with several pages, the first one is read. Of a JPEG that is cut off, what is there is read.

    Args:
        source: a path, or the bytes of a picture file.

    Raises:
        ImageError: the file is missing, empty, damaged or no picture, or the picture is smaller than `MIN_SIDE` or
            larger than `MAX_PIXELS` (a JPEG: `MAX_JPEG_PIXELS`; refused from the header, before decoding). Names the
            file without its folder.
    """
    name, file = _open(source)
    try:
        return _Reader(name, file).read()
    finally:
        if isinstance(file, BytesIO):
            file.close()


def read_image(source: str | os.PathLike[str] | bytes) -> NDArray[np.uint8]:
    """The pixels of `read_picture`, for callers that have no place for its notes: (H, W, 3) uint8 RGB.

    Raises:
        ImageError: as there.
    """
    return read_picture(source).pixels


def as_image(array: Any) -> NDArray[np.uint8]:
    """Check an array that a caller hands over directly; it is returned as it is, without a copy.

    Args:
        array: expected (H, W, 3) uint8 RGB.

    Raises:
        ImageError: no array, another shape or dtype, a side below `MIN_SIDE`, or more than `MAX_PIXELS`.
    """
    if not isinstance(array, np.ndarray):
        raise ImageError(f"Expected an image of shape (H, W, 3), uint8 RGB; got {type(array).__name__}.")
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise ImageError(f"Expected an image of shape (H, W, 3), uint8 RGB; got {array.shape}, {array.dtype}.")
    _check_size(array.shape[1], array.shape[0], "The picture")
    return array


def _open(source: str | os.PathLike[str] | bytes) -> tuple[str, Path | BytesIO]:
    """What to call the picture in messages, and what Pillow opens."""
    if isinstance(source, bytes):
        if not source:
            raise ImageError(f"The picture is empty (0 bytes). {_ADVICE}")
        return "The picture", BytesIO(source)
    path = Path(source)
    try:
        status = path.stat()
    except (OSError, ValueError):
        raise ImageError(f"There is no file {path.name!r}, or it may not be read. Check the name and folder.") from None
    if not stat.S_ISREG(status.st_mode):  # a pipe would block for ever
        raise ImageError(f"{path.name!r} is not a file. Name a picture file; the command batch takes folders.")
    if status.st_size == 0:
        raise ImageError(f"{path.name!r} is empty (0 bytes). {_DAMAGED}")
    return repr(path.name), path


class _Reader:
    """One reading of one file."""

    def __init__(self, name: str, file: Path | BytesIO) -> None:
        self.name, self.file = name, file
        self.notes: list[str] = []

    def read(self) -> Picture:
        try:
            start = self._start()
            with open_header(self.file, start, self._check) as picture:
                read = self._decode(picture)
                self._note_further(picture)
                return Picture(read, tuple(self.notes))
        except ImageError:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # the latter where warnings are errors
            raise ImageError(f"{self.name} is too large: {_too_large(MAX_PIXELS)}") from None
        except PermissionError:
            raise ImageError(f"{self.name} may not be read. Check its permissions.") from None
        except UnidentifiedImageError:
            return self._unusual_tiff(start)
        except Exception as error:  # Pillow's parsers and decoders meet damaged files with a dozen kinds of exceptions
            raise ImageError(f"{self.name} cannot be decoded. {_DAMAGED}") from error

    def _decode(self, picture: Image.Image) -> NDArray[np.uint8]:
        self._check(picture.width, picture.height, jpeg=picture.format == "JPEG")
        if has_deep_planes(picture):
            raise ImageError(f"{self.name} stores deep colours in separate planes. Save it as a PNG, or interleaved.")
        deep = is_deep(picture)
        if has_deep_colours(picture):
            samples = decode_colours(self._content())
            if samples is None:
                raise ImageError(f"{self.name} cannot be decoded. {_DAMAGED}")
            # OpenCV has turned a TIFF, but no PNG.
            transposition = None if picture.format == "TIFF" else _transposition(picture)
            return _pixels(_turned(self._shallow(samples, declared_depth(picture, self._content())), transposition))
        if picture.format == "JPEG":
            picture = self._jpeg(picture)
        else:
            picture.load()
        transposition = _transposition(picture)
        if deep:
            shallow = self._shallow(np.asarray(picture), declared_depth(picture, self._content()))
            picture = ImageOps.invert(shallow) if has_white_at_zero(picture) else shallow
        return _pixels(_turned(picture, transposition))

    def _jpeg(self, picture: Image.Image) -> Image.Image:
        """Decode a JPEG, at a reduced size if it is large, and what is there of it if it is cut off."""
        size = picture.size
        self._reduce(picture, size)
        try:
            picture.load()
            return picture
        except OSError:  # it ends too early: with an end mark the decoder gives what it has, and grey below
            whole = open_header(BytesIO(self._content() + _END_OF_JPEG), self._content()[:4], self._check)
            self._reduce(whole, size)
            whole.load()
        missing = _empty_rows(np.asarray(whole)) / whole.height
        if missing > _MOST_MISSING:
            raise ImageError(f"{self.name} cannot be decoded. {_DAMAGED}") from None
        what = f"the lower {math.ceil(100 * missing)} % of the picture are missing"
        self.notes.append(f"The file is cut off: {what if missing else 'a few pixels at its end may be missing'}.")
        return whole

    def _reduce(self, picture: Image.Image, size: tuple[int, int]) -> None:
        divisor = next((d for d in (1, 2, 4, 8) if math.prod(size) <= MAX_PIXELS * d * d), 8)
        if divisor > 1:
            picture.draft(None, (size[0] // divisor, size[1] // divisor))
            note = f"It has {size[0]} x {size[1]} pixels and was read at 1/{divisor} of its width and height."
            self.notes[:] = [note]

    def _unusual_tiff(self, start: bytes) -> Picture:
        """A TIFF whose kind of samples Pillow does not know, such as floating-point colours."""
        size = tiff_size(self._content()) if start.startswith(TIFF) else None
        if size is not None:
            self._check(*size)
            samples = decode_colours(self._content())
            if samples is not None:
                return Picture(_pixels(self._shallow(samples, None)), tuple(self.notes))
        raise ImageError(f"{self.name} is not a picture that can be read{_hint(start)}. {_ADVICE}")

    def _shallow(self, samples: NDArray[np.generic], declared: int | None) -> Image.Image:
        pixels, note = to_8_bit(samples, declared)
        if note:
            self.notes.append(note)
        return Image.fromarray(pixels)

    def _note_further(self, picture: Image.Image) -> None:
        """What else the file has may be what was meant: an animation, a scan of several pages, a camera's raw file."""
        if is_preview(picture):
            width, height = picture.size
            self.notes.append(f"A preview of {width} x {height} pixels was read, as raw files hold: export a JPEG.")
            return
        try:
            count = getattr(picture, "n_frames", 1)
        except Exception:  # what follows the picture that was read is damaged: the parsers raise many kinds
            return
        if count > 1:
            self.notes.append(f"The file holds {count} pictures (frames or pages), of which this is the first.")

    def _start(self) -> bytes:
        if isinstance(self.file, BytesIO):
            return self.file.getvalue()[:START]
        with self.file.open("rb") as stream:
            return stream.read(START)

    def _content(self) -> bytes:
        return self.file.getvalue() if isinstance(self.file, BytesIO) else self.file.read_bytes()

    def _check(self, width: int, height: int, jpeg: bool = False) -> None:
        _check_size(width, height, self.name, MAX_JPEG_PIXELS if jpeg else MAX_PIXELS)


def _hint(start: bytes) -> str:
    """What an unreadable file seems to be."""
    if re.match(rb"\s*<(!doctype html|html|head|body)\b", start, re.IGNORECASE):
        return ": it is a web page, as servers send where a picture is missing. Download the picture itself"
    if b"<svg" in start:
        return ": SVG is a drawing, export it as PNG"
    if start.startswith(b"%PDF"):
        return ": it is a PDF. Export its picture"
    if start[4:12] == b"ftypcrx ":
        return ": it is a camera's raw file. Export a JPEG from it"
    if start[4:8] == b"ftyp" and not begins_like_a_picture(start):
        return ": it is a video. Use the page's Video tab or the command video"
    if begins_like_a_picture(start) or start.startswith(
        (b"\xff\xd8", b"\x89PNG", b"GIF8", b"RIFF", b"II*\0", b"MM\0*")
    ):
        return ": it is damaged or incomplete"
    return ""


def _too_large(limit: int) -> str:
    return f"the limit is {limit // 1_000_000} megapixels. Save a smaller copy and use that."


def _check_size(width: int, height: int, name: str, limit: int = MAX_PIXELS) -> None:
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            f"{name} has {width} x {height} pixels, too few to read a face: use one of at least "
            f"{MIN_SIDE} x {MIN_SIDE}."
        )
    if width * height > limit:
        raise ImageError(f"{name} is too large: it has {width} x {height} pixels, {_too_large(limit)}")


def _empty_rows(pixels: NDArray[np.uint8]) -> int:
    """How many rows at the bottom have one colour throughout: what a decoder fills in where a JPEG ends early."""
    flat = (pixels == pixels[-1:, :1]).reshape(len(pixels), -1).all(1)
    return int(np.argmin(flat[::-1])) if not flat.all() else len(pixels)


def _transposition(picture: Image.Image) -> Image.Transpose | None:
    """What undoes the camera's orientation. A damaged EXIF block is no reason to refuse the picture.

    HEIF's decoder has turned the picture, and JPEG XL's, too, unless it restored a JPEG.
    """
    if picture.format == "HEIF" or (picture.format == "JXL" and not getattr(picture, "jpeg", False)):
        return None
    try:
        return _UPRIGHT.get(picture.getexif().get(Base.Orientation, 1))
    except Exception:  # the parser raises many kinds
        return None


def _turned(picture: Image.Image, transposition: Image.Transpose | None) -> Image.Image:
    return picture if transposition is None else picture.transpose(transposition)


def _pixels(picture: Image.Image) -> NDArray[np.uint8]:
    return np.array(_to_rgb(picture))


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.has_transparency_data:
        rgba = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        picture = Image.new("RGB", rgba.size, "white")
        picture.paste(rgba, mask=rgba.getchannel("A"))  # alpha_composite would hold a large picture three times
    return picture.convert("RGB")
