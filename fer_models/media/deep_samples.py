"""Pictures with more than 8 bits a sample, brought to 8 on the scale that their file declares or their values imply."""

import struct
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: Bits that cameras, scanners and medical devices give; a file of 16 or 32 bits a sample may hold any of them.
_DEPTHS: Final = (8, 10, 12, 14, 16)
_ALPHA_CHANNELS: Final = 4
_MAX_SAMPLE_VALUE: Final = 281  # tags of TIFF 6.0
_BITS_PER_SAMPLE: Final = 258
_PHOTOMETRIC_INTERPRETATION: Final = 262
_PLANAR_CONFIGURATION: Final = 284


def is_deep(picture: Image.Image) -> bool:
    """Whether an opened, not yet decoded picture has more than 8 bits a sample."""
    return picture.mode.startswith("I") or picture.mode == "F" or has_deep_colours(picture)


def has_deep_colours(picture: Image.Image) -> bool:
    """Whether its colours have 16 bits a sample, of which Pillow would keep the upper eight only."""
    tiles = getattr(picture, "tile", None)
    if not tiles:
        return False
    arguments = tiles[0][3]
    raw_mode = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return isinstance(raw_mode, str) and ";16" in raw_mode and raw_mode.startswith(("RGB", "LA"))


def declared_depth(picture: Image.Image, content: bytes) -> int | None:
    """Significant bits a sample that a file declares: PNG's sBIT chunk or TIFF's MaxSampleValue; None if it does not.

    Args:
        picture: opened.
        content: the file's.
    """
    if picture.format == "PNG":
        at = 8
        while at + 8 <= len(content):
            size, kind = struct.unpack(">I4s", content[at : at + 8])
            if kind == b"sBIT":
                return max(content[at + 8 : at + 8 + size], default=None)
            if kind == b"IDAT":
                break
            at += size + 12
    if picture.format == "TIFF":
        greatest = getattr(picture, "tag_v2", {}).get(_MAX_SAMPLE_VALUE)
        values = greatest if isinstance(greatest, tuple) else (greatest,)
        if all(isinstance(value, int) and value > 0 for value in values):
            return int(max(values)).bit_length()
    return None


def has_white_at_zero(picture: Image.Image) -> bool:
    """Whether a grey TIFF's greatest values are its darkest, as scanners write them; Pillow minds it at 8 bits only."""
    return picture.format == "TIFF" and getattr(picture, "tag_v2", {}).get(_PHOTOMETRIC_INTERPRETATION) == 0


def has_deep_planes(picture: Image.Image) -> bool:
    """Whether a TIFF has each deep colour in a plane of its own, which Pillow and OpenCV both read as noise."""
    tags = getattr(picture, "tag_v2", {}) if picture.format == "TIFF" else {}
    return tags.get(_PLANAR_CONFIGURATION) == 2 and max(tags.get(_BITS_PER_SAMPLE, (8,))) > 8


def decode_colours(content: bytes) -> NDArray[np.generic] | None:
    """(H, W), (H, W, 3) or (H, W, 4) samples in RGB or RGBA order, at their depth; None if they cannot be decoded."""
    try:
        samples = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if samples is None or samples.ndim == 2:
        return samples
    order = cv2.COLOR_BGRA2RGBA if samples.shape[2] == _ALPHA_CHANNELS else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(samples, order))


def to_8_bit(samples: NDArray[np.generic], declared: int | None) -> tuple[NDArray[np.uint8], str | None]:
    """Samples of any depth as uint8, and a note where the scale is not simply that of their type.

    Whole numbers are scaled by the declared depth, if none is beyond it and the file's samples were not brought to its
    full range, else by the least depth of 8, 10, 12, 14 and 16 bits that holds them. Floating-point numbers span [0, 1]
    or [0, 255]. What fits none of these is stretched from its least to its greatest value.

    Args:
        samples: (H, W) or (H, W, C), whole or floating-point numbers.
        declared: bits a sample that the file declares.
    """
    whole = np.issubdtype(samples.dtype, np.integer)
    values = np.nan_to_num(samples.astype(np.float32), posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    note = None
    if whole:
        depths = [*([declared] if declared and high <= 2**declared - 1 else []), *_DEPTHS]
        depth = next((depth for depth in depths if high <= 2**depth - 1), None)
        top = None if depth is None else float(2**depth - 1)
        if depth is not None and depth < 16 and high > 0 and samples.dtype.itemsize > 1:
            note = f"Its values end at {high:,.0f}: they were read as {depth}-bit values."
    else:
        top = next((scale for scale in (1.0, 255.0) if high <= scale), None)
    if top is None or low < 0:
        note = f"Its values, from {low:g} to {high:g}, were stretched between black and white."
        values, top = values - low, max(high - low, 1e-12)
    return np.rint(values * (255 / top)).astype(np.uint8), note
