"""Pictures that come as text: base64 in, pixels out. No path and no address is ever read, and nothing is written."""

import base64
import binascii
import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_models.errors import ImageError
from fer_models.media.images import read_image

#: Bytes of the largest picture file that is decoded: a photo of 64 megapixels as JPEG.
MAX_PICTURE: Final = 20_000_000
#: What browsers put in front of base64; anything else with a colon in front is an address.
_DATA: Final = re.compile(r"data:[\w.+/-]*;base64,")
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_REFUSED: Final = "The picture is no base64. Send the picture file itself as base64: paths and addresses are not read."


def picture_from(text: str, most: int = MAX_PICTURE) -> NDArray[np.uint8]:
    """Decode a picture that was sent as text.

    Args:
        text: base64 of a picture file, with or without "data:image/...;base64," in front; white space is left out.
        most: bytes that the file may have.

    Returns:
        (H, W, 3) uint8 RGB, as `fer_models.media.images.read_image` reads that file.

    Raises:
        ImageError: an address or a path was sent, the text is no base64, the file is too large or no picture.
    """
    found = _DATA.match(text)
    if found is None and _ADDRESS.match(text):
        raise ImageError(_REFUSED)
    coded = "".join(text[found.end() if found else 0 :].split())
    if len(coded) // 4 * 3 > most + 2:  # two bytes may be padding
        raise ImageError(f"The picture is too large: at most {most / 1_000_000:.0f} MB are taken. Send a smaller copy.")
    try:
        data = base64.b64decode(coded, validate=True)
    except (binascii.Error, ValueError):
        raise ImageError(_REFUSED) from None
    return read_image(data)
