"""Changes of one aligned face over a range of strengths: what would the models answer if the picture were another?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np

from fer_models.evaluation.corruptions import (
    EYES,
    MOUTH,
    Picture,
    as_bytes,
    blurred,
    compressed,
    covered,
    moved,
    noisy,
    rotated,
    shrunk,
)


@dataclass(frozen=True)
class Change:
    """One way to change a face.

    Attributes:
        name: what files and commands would call it, such as "blur".
        title: what people read.
        unit: of its strength, with what it is a share of.
        low: the smallest strength.
        high: the largest strength.
        step: between two strengths.
        neutral: the strength that leaves the face as it is.
        change: the face at a strength other than that.
    """

    name: str
    title: str
    unit: str
    low: float
    high: float
    step: float
    neutral: float
    change: Callable[[Picture, float], Picture]

    @cached_property
    def values(self) -> tuple[float, ...]:
        """Every strength, from the smallest to the largest."""
        return tuple(self.low + self.step * index for index in range(round((self.high - self.low) / self.step) + 1))

    def apply(self, face: Picture, value: float) -> Picture:
        """A face (S, S, 3) uint8 RGB, aligned, at a strength: a new picture of the same shape.

        The same face and strength give the same picture.
        """
        return face.copy() if value == self.neutral else self.change(face, value)


def _noisy(face: Picture, deviation: float) -> Picture:
    return noisy(face, deviation, np.random.default_rng(0))


def _brighter(face: Picture, percent: float) -> Picture:
    return as_bytes(face * (1 + percent / 100))


def _contrasted(face: Picture, percent: float) -> Picture:
    """Distances from the mean brightness, larger or smaller."""
    mean = float(face.mean())
    return as_bytes(mean + (face.astype(np.float64) - mean) * (1 + percent / 100))


def _sideways(face: Picture, percent: float) -> Picture:
    return moved(face, percent / 100, 0)


def _downwards(face: Picture, percent: float) -> Picture:
    return moved(face, 0, percent / 100)


def _mirrored(face: Picture, _: float) -> Picture:
    return np.ascontiguousarray(face[:, ::-1])


def morph_into(other: Picture) -> Change:
    """A linear blend of the pixels of a face with those of another one that is aligned alike: a cross-fade, no warp.

    Args:
        other: (S, S, 3) uint8 RGB, aligned; resized where the face has another size.
    """

    def blended(face: Picture, percent: float) -> Picture:
        side = face.shape[0]
        shrinks = other.shape[0] > side
        same = other.shape[0] == side
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        second = other if same else cv2.resize(other, (side, side), interpolation=method)
        return as_bytes(face * (1 - percent / 100) + second * (percent / 100))

    return Change("morph", "Morph", "% of the second face", 0, 100, 5, 0, blended)


#: By name, in the order they are shown.
CHANGES: Final[Mapping[str, Change]] = MappingProxyType(
    {
        change.name: change
        for change in (
            Change("blur", "Blur", "% of the face’s width", 0, 8, 0.5, 0, lambda face, x: blurred(face, x / 100)),
            Change("noise", "Noise", "grey levels of 255", 0, 60, 5, 0, _noisy),
            Change("jpeg", "JPEG", "quality", 5, 100, 5, 100, lambda face, x: compressed(face, round(x))),
            Change("brightness", "Brightness", "%", -80, 80, 10, 0, _brighter),
            Change("contrast", "Contrast", "%", -80, 80, 10, 0, _contrasted),
            Change("rotation", "Rotation", "degrees counter-clockwise", -45, 45, 5, 0, rotated),
            Change("sideways", "Crop offset sideways", "% of the width", -20, 20, 2, 0, _sideways),
            Change("downwards", "Crop offset up or down", "% of the height", -20, 20, 2, 0, _downwards),
            Change("resolution", "Resolution", "px per side", 8, 96, 4, 96, lambda face, x: shrunk(face, round(x))),
            Change("mirror", "Mirror", "0 as it is, 1 mirrored", 0, 1, 1, 0, _mirrored),
            Change("eyes", "Eyes covered", "% of the height", 0, 40, 2, 0, lambda f, x: covered(f, EYES, x / 200)),
            Change("mouth", "Mouth covered", "% of the height", 0, 40, 2, 0, lambda f, x: covered(f, MOUTH, x / 200)),
        )
    }
)
