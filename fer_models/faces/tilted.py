"""Landmarks of faces that are far from upright: the detector sees such a face again, turned."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_models.faces.alignment import TEMPLATE
from fer_models.results import Face

#: Up to so many faces of a picture, the largest: one costs up to five runs of the detector, each of about 2 ms.
MOST_FACES: Final = 6
#: px of the longer side of a box; smaller faces, of which a group may have many, show too little to be seen better.
SMALLEST: Final = 40.0
_SIDE: Final = 96  # px of the square in which a face is seen turned
_FACE: Final = 48  # px of the longer side of its box there
# Of nine in ten faces of the example pictures the misfit is below 0.025 where they are turned by up to 15 degrees, and
# above 0.05 from 60 on.
_MISFIT: Final = 0.04  # from which on landmarks are not believed
_GOOD: Final = 0.02  # below which no third look can make them better
_BETTER: Final = 0.8  # share of a larger misfit that may be left
#: An upright face with its head turned to the side fits badly, too, but scores more than a tilted one.
_UPRIGHT: Final = math.radians(30)
_SURE: Final = 0.75


def with_sure_landmarks(
    image: NDArray[np.uint8], face: Face, detect: Callable[[NDArray[np.uint8]], Sequence[Face]], crowd: bool = False
) -> Face:
    """A face with landmarks that can be believed, if the detector sees better ones where the face is upright.

    The detector learned from upright faces. It finds others, but the landmarks of a face that lies on its side are
    wrong by 10 to 50 degrees, differently in each frame. So the face is turned as they say, or by a quarter turn more
    where that was wrong, and seen again. How wrong landmarks are is told by their misfit to those of a face.

    Args:
        image: (H, W, 3) uint8 RGB.
        face: found in it.
        detect: finds the faces of a small picture.
        crowd: whether there are many faces, of which some are always blurred: only a tilted one is seen again.

    Returns:
        The face, perhaps with other landmarks and a higher score.
    """
    if face.landmarks is None or float(max(face.box[2:] - face.box[:2])) < SMALLEST:
        return face
    roll, misfit = _fit(face.landmarks)
    if abs(roll) < _UPRIGHT and (crowd or misfit <= _MISFIT or face.score > _SURE):
        return face
    look = _Look(image, face, detect)
    best, least = face, max(_BETTER * misfit, _MISFIT)  # of two that fit well, the upright one is believed
    quarters = [0, 1, -1, 2] if abs(roll) >= _UPRIGHT else [1, -1, 2]  # without a turn it was just seen about so
    for turn in (quarter * math.pi / 2 for quarter in quarters):
        best, least = look.better(roll + turn, best, least)
        if best is not face and least <= _MISFIT:
            break
    if best.landmarks is not None and best is not face and least > _GOOD:
        best, _ = look.better(_fit(best.landmarks)[0], best, least)
    return best


class _Look:
    """A face and its surroundings, to be seen turned."""

    def __init__(
        self, image: NDArray[np.uint8], face: Face, detect: Callable[[NDArray[np.uint8]], Sequence[Face]]
    ) -> None:
        self.face, self.detect = face, detect
        height, width = image.shape[:2]
        longest = float(max(face.box[2:] - face.box[:2]))
        centre = (face.box[:2] + face.box[2:]).astype(np.float64) / 2
        half = longest * _SIDE / _FACE / math.sqrt(2)  # the corners of the square, however it is turned
        left, top = (max(math.floor(c - half), 0) for c in centre)
        right, bottom = (min(math.ceil(c + half), side) for c, side in zip(centre, (width, height), strict=True))
        w, h = (max(round(side * _FACE / longest), 1) for side in (right - left, bottom - top))
        way = cv2.INTER_AREA if w < right - left else cv2.INTER_LINEAR
        self.part: Any = cv2.resize(image[top:bottom, left:right], (w, h), interpolation=way)
        self.corner, self.scale = np.array([left, top]), np.array([w / (right - left), h / (bottom - top)])
        self.centre = (centre - self.corner) * self.scale

    def better(self, roll: float, best: Face, least: float) -> tuple[Face, float]:
        """The face as it is seen with a tilt undone, and its misfit, if that is below the least one; else the best."""
        cosine, sine = math.cos(roll), math.sin(roll)
        turn = np.array([[cosine, sine], [-sine, cosine]])
        shift = _SIDE / 2 - turn @ self.centre
        matrix = np.column_stack([turn, shift + turn @ [0.5, 0.5] - 0.5])  # cv2 counts from pixel centres
        border = cv2.BORDER_REPLICATE
        square = np.asarray(cv2.warpAffine(self.part, matrix, (_SIDE, _SIDE), borderMode=border), np.uint8)
        for seen in self.detect(square):
            middle = (seen.box[:2] + seen.box[2:]) / 2 - _SIDE / 2
            if seen.landmarks is None or float(np.linalg.norm(middle)) > _FACE / 2:
                continue
            if (misfit := _fit(seen.landmarks)[1]) < least:
                landmarks = (seen.landmarks - shift) @ turn / self.scale + self.corner
                score = max(seen.score, self.face.score)
                best, least = Face(self.face.box, landmarks.astype(np.float32), score), misfit
        return best, least


def _fit(landmarks: NDArray[Any]) -> tuple[float, float]:
    """By how much a face is tilted, in radians, clockwise, and how far its landmarks are from those of an upright one.

    The misfit is the root mean square of their distances once aligned, in sides of the aligned crop; 0 if all coincide.
    """
    z, w = (np.asarray(points, np.float64) @ np.array([1, 1j]) for points in (landmarks, TEMPLATE))
    z, w = z - z.mean(), w - w.mean()
    spread = np.vdot(z, z).real
    if spread < 1e-9:
        return 0.0, 0.0
    factor = np.vdot(z, w) / spread  # as in `alignment.similarity`
    return -float(np.angle(factor)), float(np.sqrt(np.mean(np.abs(factor * z - w) ** 2)))
