"""What the world does to a face picture, in five strengths (after Hendrycks and Dietterich, ICLR 2019)."""

from collections.abc import Callable
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_models.faces.alignment import TEMPLATE

Picture = NDArray[np.uint8]

#: Sides in px that a face is shrunk to.
_SIDES: Final = (40, 32, 24, 16, 12)
_QUALITIES: Final = (50, 30, 20, 10, 5)
#: Heights of eyes and mouth in an aligned face, as shares of its side.
EYES: Final = float(TEMPLATE[:2, 1].mean())
MOUTH: Final = float(TEMPLATE[3:, 1].mean())


def blurred(face: Picture, share: float) -> Picture:
    """A face (S, S) or (S, S, 3) under a Gaussian blur whose sigma is a share of its side."""
    return as_bytes(cv2.GaussianBlur(face, (0, 0), share * face.shape[0], borderType=cv2.BORDER_REFLECT))


def noisy(face: Picture, deviation: float, generator: np.random.Generator) -> Picture:
    """A face (S, S) or (S, S, 3) with Gaussian noise of a standard deviation in grey levels."""
    return as_bytes(face + generator.normal(0, deviation, face.shape))


def compressed(face: Picture, quality: int) -> Picture:
    """A face (S, S) or (S, S, 3) after JPEG compression of a quality from 1 to 100."""
    code = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(code, cv2.IMREAD_GRAYSCALE if face.ndim == 2 else cv2.IMREAD_COLOR)
    return np.asarray(decoded, np.uint8)


def shrunk(face: Picture, side: int) -> Picture:
    """A face (S, S) or (S, S, 3) shrunk to a side in px and enlarged again."""
    small = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
    return as_bytes(cv2.resize(small, face.shape[1::-1], interpolation=cv2.INTER_LINEAR))


def covered(face: Picture, middle: float, half: float) -> Picture:
    """A face (S, S) or (S, S, 3) under a bar of its mean brightness: the bar's middle and half its height as shares."""
    side, result = face.shape[0], face.copy()
    result[max(0, round((middle - half) * side)) : round((middle + half) * side)] = round(float(face.mean()))
    return result


def rotated(face: Picture, degrees: float) -> Picture:
    """A face (S, S) or (S, S, 3) turned counter-clockwise about its middle; its border pixels are repeated."""
    side = face.shape[0]
    return _warp(face, cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), float(degrees), 1.0))


def moved(face: Picture, right: float, down: float, scale: float = 1.0) -> Picture:
    """A face (S, S) or (S, S, 3) scaled about its middle and shifted by shares of its side; border pixels repeat."""
    side = face.shape[0]
    rest = (side - 1) / 2 * (1 - scale)
    return _warp(face, np.array([[scale, 0, rest + right * side], [0, scale, rest + down * side]]))


def _blur(face: Picture, strength: int, _: np.random.Generator) -> Picture:
    return blurred(face, (0.01, 0.02, 0.03, 0.05, 0.08)[strength - 1])


def _noise(face: Picture, strength: int, generator: np.random.Generator) -> Picture:
    return noisy(face, (5, 10, 20, 35, 50)[strength - 1], generator)


def _jpeg(face: Picture, strength: int, _: np.random.Generator) -> Picture:
    return compressed(face, _QUALITIES[strength - 1])


def _low_light(face: Picture, strength: int, generator: np.random.Generator) -> Picture:
    """Fewer photons: darker, and their shot noise stays (Poisson; 255 is 400 photons in full light)."""
    photons = face * ((0.7, 0.5, 0.3, 0.2, 0.1)[strength - 1] * 400 / 255)
    return as_bytes(generator.poisson(photons) * (255 / 400))


def _low_resolution(face: Picture, strength: int, _: np.random.Generator) -> Picture:
    return shrunk(face, _SIDES[strength - 1])


def _bar(middle: float) -> Callable[[Picture, int, np.random.Generator], Picture]:
    def cover(face: Picture, strength: int, _: np.random.Generator) -> Picture:
        return covered(face, middle, 0.035 * strength)

    return cover


def _rotation(face: Picture, strength: int, generator: np.random.Generator) -> Picture:
    return rotated(face, (10, 20, 30, 45, 60)[strength - 1] * generator.choice([-1, 1]))


def _jitter(face: Picture, strength: int, generator: np.random.Generator) -> Picture:
    """The detector is off: the crop is shifted and scaled."""
    most = 0.04 * strength
    scale = 1 + generator.choice([-1, 1]) * most
    right, down = generator.choice([-1, 1], 2) * most
    return moved(face, right, down, scale)


def _warp(face: Picture, matrix: NDArray[Any]) -> Picture:
    size = face.shape[1::-1]
    return as_bytes(cv2.warpAffine(face, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def as_bytes(pixels: NDArray[Any]) -> Picture:
    """Brightness values of any type as bytes, rounded and clipped to 0 to 255."""
    return np.clip(np.rint(np.asarray(pixels, np.float64)), 0, 255).astype(np.uint8)


#: By name, in the order they are shown: (face, strength 1 to 5, generator) -> face.
CORRUPTIONS: Final[dict[str, Callable[[Picture, int, np.random.Generator], Picture]]] = {
    "blur": _blur,
    "noise": _noise,
    "jpeg": _jpeg,
    "low light": _low_light,
    "low resolution": _low_resolution,
    "eyes covered": _bar(EYES),
    "mouth covered": _bar(MOUTH),
    "rotation": _rotation,
    "detector jitter": _jitter,
}
STRENGTHS: Final = (1, 2, 3, 4, 5)


def side_left(strength: int) -> int:
    """The side in pixels that "low resolution" of a strength leaves of a face."""
    return _SIDES[strength - 1]


def corrupt(face: Picture, kind: str, strength: int, generator: np.random.Generator) -> Picture:
    """One corrupted face.

    Args:
        face: (S, S) or (S, S, 3) uint8, aligned as the training faces are.
        kind: a key of `CORRUPTIONS`.
        strength: 1 (mild) to 5 (severe).
        generator: decides noise, the side of a turn and where a crop is shifted to.

    Returns:
        A new picture of the same shape.
    """
    return CORRUPTIONS[kind](face, strength, generator)
