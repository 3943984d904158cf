"""Pictures in: files and bytes of any common format to (H, W, 3) uint8 RGB, or an error that says what to do."""

import os
import stat
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.ExifTags import Base

from fer_models.errors import ImageError

#: Largest picture that is decoded, in pixels: a 64-megapixel photo, 192 MB as RGB. Larger ones are refused by header.
MAX_PIXELS: Final = 64_000_000
#: Smallest side in pixels: below it no expression can be recognised, even if the face fills the picture.
MIN_SIDE: Final = 16

#: File name suffixes of those formats: what counts as a picture in a folder or a zip.
SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
)

#: The decoders that are tried; Pillow knows 40 more, rarely used and rarely tested against hostile files.
_FORMATS: Final = ("JPEG", "PNG", "WEBP", "AVIF", "BMP", "GIF", "TIFF", "PPM")
_ADVICE: Final = "Use a JPEG, PNG, WebP, AVIF, BMP, GIF or TIFF picture."
_TOO_LARGE: Final = f"the limit is {MAX_PIXELS // 1_000_000} megapixels. Save a smaller copy and use that."
_DAMAGED: Final = "It is damaged or incomplete: copy or download it again, or open and re-save it in a picture editor."

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


def read_image(source: str | os.PathLike[str] | bytes) -> NDArray[np.uint8]:
    """Read a picture, upright and in RGB whatever its file holds.

    EXIF orientation is applied. Grey, palette, CMYK, 16-bit and floating-point pictures become 8-bit RGB, scaled and
    not clipped; transparent parts are laid on white, as browsers show them; of an animation the first frame is read.

    Args:
        source: a path, or the bytes of a picture file.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ImageError: the file is missing, empty, damaged or no picture, or the picture is smaller than `MIN_SIDE` or
            larger than `MAX_PIXELS` (refused from the header, before decoding). Names the file without its folder.
    """
    name, file = _open(source)
    try:
        with _header(file, name) as picture:
            _check_size(picture.width, picture.height, name)
            try:
                picture.load()
                return np.array(_to_rgb(_upright(picture)))
            except Exception as error:  # Pillow's decoders meet damaged files with a dozen kinds of exceptions
                raise ImageError(f"{name} cannot be decoded. {_DAMAGED}") from error
    finally:
        if isinstance(file, BytesIO):
            file.close()


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
        raise ImageError(f"{path.name!r} is not a file. Name a picture file.")
    if status.st_size == 0:
        raise ImageError(f"{path.name!r} is empty (0 bytes). {_DAMAGED}")
    return repr(path.name), path


def _header(file: Path | BytesIO, name: str) -> Image.Image:
    """Open a picture, which reads its header only."""
    try:
        return Image.open(file, formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # the latter where warnings are errors
        raise ImageError(f"{name} is too large: {_TOO_LARGE}") from None
    except PermissionError:
        raise ImageError(f"{name} may not be read. Check its permissions.") from None
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not a picture that can be read{_hint(file)}. {_ADVICE}") from None
    except Exception as error:  # as above: headers can be damaged, too
        raise ImageError(f"{name} cannot be read. {_DAMAGED}") from error


def _hint(file: Path | BytesIO) -> str:
    """What an unreadable file seems to be."""
    if isinstance(file, BytesIO):
        start = file.getvalue()[:512]
    else:
        with file.open("rb") as stream:
            start = stream.read(512)
    if b"<svg" in start:
        return ": SVG is a drawing, export it as PNG"
    if start[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1"):
        return ": HEIC is not supported, export it as JPEG"
    if start.startswith((b"\xff\xd8", b"\x89PNG", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*")):
        return ": it is damaged or incomplete"
    return ""


def _check_size(width: int, height: int, name: str) -> None:
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            f"{name} has {width} x {height} pixels, too few to read a face: use one of at least "
            f"{MIN_SIDE} x {MIN_SIDE}."
        )
    if width * height > MAX_PIXELS:
        raise ImageError(f"{name} is too large: it has {width} x {height} pixels, {_TOO_LARGE}")


def _upright(picture: Image.Image) -> Image.Image:
    """Undo the camera's orientation. A damaged EXIF block is no reason to refuse the picture."""
    try:
        transposition = _UPRIGHT.get(picture.getexif().get(Base.Orientation, 1))
    except Exception:  # the parser raises many kinds
        transposition = None
    return picture if transposition is None else picture.transpose(transposition)


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        picture = Image.fromarray(_to_8_bit(picture))
    if picture.has_transparency_data:
        rgba = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        picture = Image.new("RGB", rgba.size, "white")
        picture.paste(rgba, mask=rgba.getchannel("A"))  # alpha_composite would hold a large picture three times
    return picture.convert("RGB")


def _to_8_bit(picture: Image.Image) -> NDArray[np.uint8]:
    """(H, W) uint8 from a deep grey picture, on the scale its mode and its values imply.

    Whole numbers span 16 bits, unless a 32-bit file holds values beyond it or only values of 8 bits; floating-point
    numbers span [0, 1] or [0, 255]. What fits none of these is stretched from its least to its greatest value.
    """
    values = np.nan_to_num(np.asarray(picture, np.float32), posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    scales = {"I": (255.0, 65535.0), "F": (1.0, 255.0)}.get(picture.mode, (65535.0,))
    top = next((scale for scale in scales if high <= scale), None)
    if top is None or low < 0:
        values, top = values - low, max(high - low, 1e-12)
    return np.asarray(np.rint(values * (255 / top)), np.uint8)
