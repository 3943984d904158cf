"""HDR frames (ITU-R BT.2100: PQ and HLG, BT.2020 colours) converted to what screens and models expect, 8 bit BT.709.

FFmpeg's own way needs zscale, which PyAV's builds lack. Up to 80 % of reference white, 203 cd/m² as in ITU-R BT.2408,
light is kept as it is; what is brighter, such as reflections, is compressed into the rest instead of cut off.
"""

from functools import cache
from typing import Any, Final

import av
import cv2
import numpy as np
from numpy.typing import NDArray

#: HDR transfer functions by FFmpeg's numbers (AVColorTransferCharacteristic).
TRANSFERS: Final = {16: "PQ", 18: "HLG"}
_WHITE: Final = 203.0  # cd/m²: what a white sheet of paper has
_PEAK: Final = 1000.0  # cd/m²: of the screen that HLG assumes and most PQ is made for; brighter is white
_KNEE: Final = 0.8  # of reference white
_CODES: Final = 65536
_ROWS: Final = 128  # converted together: stays in the processor's cache, and takes little memory
_BT2020: Final = np.array([0.2627, 0.6780, 0.0593], np.float32)  # share of red, green and blue in luminance
_TO_BT709: Final = np.array(
    [[1.6605, -0.5876, -0.0729], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)


def tone_mapped(frame: av.VideoFrame, transfer: str, width: int, height: int) -> NDArray[np.uint8]:
    """An HDR frame as (height, width, 3) uint8 RGB: BT.709 colours, for a display of gamma 2.4 (BT.1886).

    Args:
        frame: with BT.2020 colours.
        transfer: "PQ" or "HLG".
        width: of the result in px.
        height: likewise.
    """
    pixels: Any = frame.to_ndarray(format="rgb48le", width=width, height=height)
    result = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _ROWS):
        band = slice(top, top + _ROWS)
        result[band] = _display(_light(pixels[band], transfer))
    return result


def _light(pixels: NDArray[np.uint16], transfer: str) -> NDArray[np.float32]:
    """Linear light (h, w, 3) float32 with BT.709 primaries, reference white 1, of R'G'B' codes."""
    if transfer == "PQ":
        light = _pq()[pixels]
    else:
        scene = _hlg()[pixels]
        # The screen's part in HLG (OOTF): luminance to the power of 1.2.
        luminance = cv2.transform(scene, _BT2020[None])
        light = scene * (cv2.pow(luminance, 0.2) * (_PEAK / _WHITE)).reshape(*luminance.shape[:2], 1)
    return np.asarray(cv2.transform(light, _TO_BT709), np.float32)


def _display(light: NDArray[np.float32]) -> NDArray[np.uint8]:
    """8 bit codes of linear light. By its root, for a table in equal steps would be too coarse where it is dark."""
    root = cv2.sqrt(np.clip(light * (_WHITE / _PEAK), 0, 1))
    codes: NDArray[np.uint8] = _curve()[np.rint(root * (_CODES - 1)).astype(np.uint16)]
    return codes


@cache
def _pq() -> NDArray[np.float32]:
    """Light by code (SMPTE ST 2084)."""
    root = np.linspace(0, 1, _CODES) ** (1 / 78.84375)
    light = 10_000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
    return (light / _WHITE).astype(np.float32)


@cache
def _hlg() -> NDArray[np.float32]:
    """The scene's light in [0, 1] by code (ARIB STD-B67)."""
    code = np.linspace(0, 1, _CODES)
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - 0.55991073) / 0.17883277) + 0.28466892) / 12).astype(
        np.float32
    )


@cache
def _curve() -> NDArray[np.uint8]:
    """8 bit code by the root of light, where 1 is the peak: as it is up to the knee, then bent smoothly to white."""
    light = np.linspace(0, 1, _CODES) ** 2 * (_PEAK / _WHITE)
    steep = (_PEAK / _WHITE - _KNEE) / (1 - _KNEE)
    above = np.maximum(light - _KNEE, 0) / (_PEAK / _WHITE - _KNEE)
    mapped = np.where(light <= _KNEE, light, _KNEE + (1 - _KNEE) * steep * above / (1 + (steep - 1) * above))
    return np.asarray(np.rint(255 * mapped ** (1 / 2.4)), np.uint8)
