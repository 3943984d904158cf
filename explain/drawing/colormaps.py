"""Colour tables for maps: perceptually uniform and readable without full colour vision. NumPy and OpenCV only."""

from functools import cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_models.errors import UnknownNameError

#: For evidence, from little to much; lightness rises evenly in each.
SEQUENTIAL: Final = {
    "viridis": cv2.COLORMAP_VIRIDIS,
    "magma": cv2.COLORMAP_MAGMA,
    "cividis": cv2.COLORMAP_CIVIDIS,
}
# The two arms of the diverging table in CIELAB: equally light, equally strong, blue against orange, which the common
# colour vision deficiencies keep apart.
_WHITE: Final = (95.0, 0.0, 0.0)
_BLUE: Final = (42.0, 0.0, -48.0)
_ORANGE: Final = (42.0, 32.0, 48.0)


@cache
def sequential(name: str) -> NDArray[np.uint8]:
    """A table for evidence: (256, 3) uint8 RGB, read only.

    Raises:
        UnknownNameError: not in `SEQUENTIAL`.
    """
    if name not in SEQUENTIAL:
        raise UnknownNameError("colour map", name, SEQUENTIAL)
    ramp = np.arange(256, dtype=np.uint8)[None]
    return _read_only(np.asarray(cv2.applyColorMap(ramp, SEQUENTIAL[name])[0, :, ::-1], np.uint8))


@cache
def diverging() -> NDArray[np.uint8]:
    """A table for differences: (255, 3) uint8 RGB, blue for -1, nearly white for 0 at row 127, orange for 1; read only.

    Both arms are straight lines in CIELAB, so that equal steps look equal.
    """
    share = np.linspace(-1, 1, 255)[:, None]
    arm = np.where(share < 0, np.array(_BLUE), np.array(_ORANGE))
    lab = np.array(_WHITE) + np.abs(share) * (arm - np.array(_WHITE))
    rgb = cv2.cvtColor(lab[None].astype(np.float32), cv2.COLOR_Lab2RGB)[0]
    return _read_only(np.rint(rgb.clip(0, 1) * 255).astype(np.uint8))


def css_gradient(table: NDArray[np.uint8], stops: int = 9) -> str:
    """A table (N, 3) as a CSS linear-gradient from left to right."""
    rows = np.linspace(0, len(table) - 1, stops).round().astype(int)
    colours = ", ".join("#{:02x}{:02x}{:02x}".format(*table[row]) for row in rows)
    return f"linear-gradient(90deg, {colours})"


def _read_only(table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    copy = np.ascontiguousarray(table, np.uint8)
    copy.setflags(write=False)
    return copy
