"""Detection in the frames of one camera or video: whole frames now and then, known faces in between."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_models.faces.detector import FaceDetector
from fer_models.media.images import as_image
from fer_models.results import Face

#: Seconds after which the whole frame is searched again: so late is a face that enters beside known ones.
EVERY_S: Final = 0.4
#: Up to so many faces are followed: each costs a fifth of a search in a frame of 640x480.
MOST_FACES: Final = 3
_AROUND: Final = 2.2  # side of the square in which a face is looked for, in longer sides of its box
_SIDE: Final = 160  # px to which larger squares are shrunk: landmarks are the most exact on faces of 40 to 80 px
_SAME: Final = 0.4  # intersection over union with where the face is expected
_SURE: Final = 0.5  # score below which a face may be something else by now
_WEAKER: Final = 0.75  # share of its score in the last frame, alike
_SAMPLES: Final = 64  # along the longer side, of the pixels that are compared with the last frame's
_CUT: Final = 25.0  # mean difference of these, of 255, from which on this is another scene


class FaceFollower:
    """Finds the faces of consecutive frames at a fraction of the cost of searching each.

    A whole frame is searched every `EVERY_S`, after a cut, while there is no face or more than `MOST_FACES`, and
    whenever a known face is not found for sure. In between, each face is looked for around where its motion leads it.
    The result depends on the frames and their times alone. Use one a video, from one thread.
    """

    def __init__(self) -> None:
        """Start without a frame."""
        self._faces: list[Face] = []
        self._motion: list[NDArray[np.float32]] = []  # (2,) of each face's centre in px per second
        self._samples: NDArray[np.int16] | None = None
        self._shape: tuple[int, ...] = ()
        self._time_s = self._searched_s = -np.inf

    def detect(self, detector: FaceDetector, image: NDArray[np.uint8], time_s: float) -> list[Face]:
        """All faces of the next frame, as `FaceDetector.detect` returns them.

        Args:
            detector: searches the frame or what is cut out of it.
            image: (H, W, 3) uint8 RGB.
            time_s: of the frame; if it is before the last one's, the frame is searched.

        Raises:
            ImageError: another shape or dtype.
        """
        samples = _sampled(as_image(image))
        faces = None
        if self._may_follow(image, samples, time_s):
            faces = self._follow(detector, image, time_s - self._time_s)
        if faces is None:
            faces, known = detector.detect(image), self._faces
            self._motion = [np.zeros(2, np.float32)] * len(faces)
            if image.shape == self._shape and time_s > self._time_s:
                self._motion = [_motion(face, known, time_s - self._time_s) for face in faces]
            self._searched_s = time_s
        self._faces, self._samples, self._shape, self._time_s = faces, samples, image.shape, time_s
        return list(faces)

    def _may_follow(self, image: NDArray[np.uint8], samples: NDArray[np.int16], time_s: float) -> bool:
        return (
            self._samples is not None
            and image.shape == self._shape
            and self._time_s <= time_s < self._searched_s + EVERY_S - 1e-6
            and 0 < len(self._faces) <= MOST_FACES
            and float(np.abs(samples - self._samples).mean()) < _CUT
        )

    def _follow(self, detector: FaceDetector, image: NDArray[np.uint8], elapsed_s: float) -> list[Face] | None:
        """The known faces in the next frame; None if one is not found for sure."""
        found: list[Face] = []
        motion = []
        for known, speed in zip(self._faces, self._motion, strict=True):
            expected = known.box + np.tile(speed * np.float32(elapsed_s), 2)
            face = _near(detector, image, expected)
            if face is None or face.score < max(_SURE, _WEAKER * known.score):
                return None
            if any(overlap(face.box, other.box) > _SAME for other in found):
                return None  # two became one
            found.append(face)
            motion.append(_speed(known, face, elapsed_s))
        order = sorted(range(len(found)), key=lambda i: _rank(found[i].box))
        self._motion = [motion[i] for i in order]
        return [found[i] for i in order]


def _near(detector: FaceDetector, image: NDArray[np.uint8], expected: NDArray[np.float32]) -> Face | None:
    """The face nearest to where one is expected; None if there is none."""
    height, width = image.shape[:2]
    half = _AROUND / 2 * float(max(expected[2] - expected[0], expected[3] - expected[1]))
    centre = (expected[:2] + expected[2:]) / 2
    left, top = (max(round(float(c) - half), 0) for c in centre)
    right, bottom = (min(round(float(c) + half), s) for c, s in zip(centre, (width, height), strict=True))
    if min(right - left, bottom - top) < 2:
        return None
    part, factor = image[top:bottom, left:right], min(_SIDE / max(right - left, bottom - top), 1.0)
    w, h = max(round((right - left) * factor), 1), max(round((bottom - top) * factor), 1)
    small = np.asarray(cv2.resize(part, (w, h), interpolation=cv2.INTER_AREA), np.uint8) if factor < 1 else part
    scale = np.array([(right - left) / w, (bottom - top) / h], np.float32)
    corner = np.array([left, top], np.float32)
    faces = [_moved(face, scale, corner) for face in detector.detect(small)]
    best = max(faces, key=lambda face: overlap(face.box, expected), default=None)
    return best if best is not None and overlap(best.box, expected) > _SAME else None


def overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Intersection over union of two boxes (4,)."""
    shared = float(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0).prod())
    return shared / max(float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod()) - shared, 1e-6)


def _sampled(image: NDArray[np.uint8]) -> NDArray[np.int16]:
    step = max(max(image.shape[:2]) // _SAMPLES, 1)
    return image[step // 2 :: step, step // 2 :: step].astype(np.int16)


def _motion(face: Face, known: list[Face], elapsed_s: float) -> NDArray[np.float32]:
    """How fast a face moves that one of the known faces was before; 0 if none was."""
    before = max(known, key=lambda other: overlap(other.box, face.box), default=None)
    if before is None or overlap(before.box, face.box) <= _SAME:
        return np.zeros(2, np.float32)
    return _speed(before, face, elapsed_s)


def _speed(before: Face, face: Face, elapsed_s: float) -> NDArray[np.float32]:
    moved = (face.box[:2] + face.box[2:] - before.box[:2] - before.box[2:]) / 2
    return np.asarray(moved / max(elapsed_s, 1e-3), np.float32)


def _moved(face: Face, scale: NDArray[np.float32], corner: NDArray[np.float32]) -> Face:
    """A face of a part of the frame, in px of the frame."""
    landmarks = None if face.landmarks is None else face.landmarks * scale + corner
    return Face(face.box * np.tile(scale, 2) + np.tile(corner, 2), landmarks, face.score)


def _rank(box: NDArray[np.float32]) -> tuple[float, float, float]:
    """The largest first, then from left to right, then from top to bottom."""
    return -float((box[2:] - box[:2]).prod()), float(box[0]), float(box[1])
