"""Tracker: which face in this frame continues which face of earlier frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_models.results import Face

#: At most this many faces are remembered; the one seen longest ago is dropped first.
MEMORY: Final = 256
#: Side in px of the grey thumbnail that stands for a face's appearance: at 12 px the crops of two people correlate
#: below 0.52 in 95 % of the pairs of 600 FER2013 faces, a crop and itself moved by 2 px of 48 above 0.75 in 99 %.
SIDE: Final = 12
_ALIKE: Final = 0.72  # correlation from which appearance alone decides, wherever the face is
_UNLIKE: Final = 0.35  # correlation below which it is another person, even in the same place
_REACH: Final = 1.5  # how many face sizes a face may have moved to still be called near
_RECENT_S: Final = 1.0  # how long a place says something about who is there
#: A face that is back where it was, within a few seconds: 2 % of the pairs of 1,500 FER2013 faces correlate above that,
#: and a head that left turned to one side and returns turned to the other stays above it.
_ALIKE_BACK: Final = 0.6
_BACK_S: Final = 4.0
_REACH_BACK: Final = 2.5  # how many face sizes from where it was last seen
_CLEAR: Final = 0.1  # by how much more it must be like that face than like any other


class Seen(Protocol):
    """A face and its crop; a `FaceAnalysis` is one."""

    @property
    def face(self) -> Face:
        """Where the face is."""
        ...

    @property
    def crop(self) -> NDArray[np.uint8]:
        """(S, S, 3) uint8 RGB, aligned, or its `thumbnail`."""
        ...


@dataclass
class _Track:
    number: int
    box: NDArray[np.float32]
    appearance: NDArray[np.float32]  # of the last few times it was seen
    lasting: NDArray[np.float32]  # sum of all times
    seen_s: float
    update: int


class Tracker:
    """Gives each person's face one number through the frames of a video or a camera.

    Two signals decide. Place: overlap of the boxes (IoU) and distance of their centres, relative to the faces' size; it
    counts against the last frame and for a second after. Appearance: correlation of tiny grey thumbnails of the aligned
    crops, which position, size and brightness do not change. A near face is the same one unless it looks different; a
    face that looks very much alike is the same one even elsewhere or later, so numbers survive short gaps, people
    crossing and cuts. All pairs of a frame are decided together (Hungarian assignment, Kuhn 1955). A face that is left
    and appears within seconds about where another was lost is that one if it looks alike, and like no other: people
    often leave and come back with their head turned.

    Limits: this is no face recognition. Two people who look alike in a 12 px grey thumbnail can swap when they cross or
    at a cut; one who comes back turned, lit differently, or after `forget_s` gets a new number. A crop without any
    contrast has no appearance: then place alone decides.

    It holds at most `MEMORY` faces, 288 numbers each, and no pictures. Use one tracker a video, from one thread.
    """

    def __init__(self, forget_s: float = 10.0) -> None:
        """Start at face number 1.

        Args:
            forget_s: seconds after which a face that was not seen again is forgotten.
        """
        self.forget_s = forget_s
        self._tracks: list[_Track] = []
        self._next = 1
        self._updates = 0
        self._now = -np.inf

    def update(self, analyses: Sequence[Seen], time_s: float) -> list[int]:
        """Number the faces of one frame.

        Args:
            analyses: all faces of this frame, and of no other.
            time_s: the frame's time in seconds; one before the last frame's counts as the last frame's.

        Returns:
            One number a face, in the order given: from 1, never twice in a frame, never given to another face again.
        """
        self._now = max(self._now, time_s)
        self._updates += 1
        self._tracks = [track for track in self._tracks if self._now - track.seen_s <= self.forget_s]
        boxes = np.array([seen.face.box for seen in analyses], np.float32).reshape(-1, 4)
        appearances = np.array([_appearance(seen.crop) for seen in analyses], np.float32).reshape(-1, SIDE * SIDE)
        matched = self._match(boxes, appearances)
        return [self._remember(matched.get(row), boxes[row], appearances[row]) for row in range(len(analyses))]

    def _match(self, boxes: NDArray[np.float32], appearances: NDArray[np.float32]) -> dict[int, _Track]:
        """Row of a face -> the track it continues."""
        from scipy.optimize import linear_sum_assignment  # slow to import

        tracks = list(self._tracks)
        if not tracks or not len(boxes):
            return {}
        similarity = appearances @ np.array([track.appearance for track in tracks]).T
        # Whoever left may have turned away last: what it looked like most of the time counts as well.
        lost = np.array([track.update < self._updates - 1 for track in tracks])
        lasting = appearances @ np.array([_unit(track.lasting) for track in tracks]).T
        similarity = np.where(lost, np.maximum(similarity, lasting), similarity)
        blank = np.logical_or.outer(~appearances.any(1), [not track.appearance.any() for track in tracks])
        similarity = np.where(blank, _UNLIKE, similarity)
        overlap, apart = _places(boxes, np.array([track.box for track in tracks]))
        recent = np.array(
            [track.update == self._updates - 1 or self._now - track.seen_s <= _RECENT_S for track in tracks]
        )
        near = recent & (apart <= _REACH)
        place = np.where(near, (overlap + 1 - apart / _REACH) / 2, 0)
        allowed = (near & (similarity >= _UNLIKE)) | (similarity >= _ALIKE)
        # Appearance counts double: when people cross, the place favours the wrong one.
        score = np.where(allowed, 2 * similarity + place, 0)
        rows, columns = linear_sum_assignment(score, maximize=True)
        pairs = [pair for pair in zip(rows.tolist(), columns.tolist(), strict=True) if allowed[pair]]
        lately = np.array([self._now - track.seen_s <= _BACK_S for track in tracks])
        candidates = np.where(lost & lately & (apart <= _REACH_BACK), similarity, -1)
        return {row: tracks[column] for row, column in [*pairs, *_back(candidates, pairs)]}

    def _remember(self, track: _Track | None, box: NDArray[np.float32], appearance: NDArray[np.float32]) -> int:
        """Remember a face where and as it is now; its number."""
        if track is None:
            track = _Track(self._next, box, appearance, appearance, self._now, self._updates)
            self._next += 1
        else:
            # The mean of now and before: one blurred frame must not replace a face's appearance.
            track.box, track.appearance = box, _unit(track.appearance + appearance)
            track.lasting = track.lasting + appearance
            track.seen_s, track.update = self._now, self._updates
            self._tracks = [other for other in self._tracks if other is not track]
        self._tracks = [*self._tracks, track][-MEMORY:]  # the last seen is last
        return track.number


def thumbnail(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(12, 12) uint8, all that a `Tracker` takes from a crop: it stands for the crop, and for itself."""
    grey = crop if crop.ndim == 2 else cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def _back(similarity: NDArray[np.float32], matched: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pairs of a face and a lost track that are like each other, and clearly more than either is like any other.

    Args:
        similarity: (faces, tracks), below 0 where they cannot be the same.
        matched: pairs that are decided already.
    """
    left = similarity.copy()
    for row, column in matched:
        left[row], left[:, column] = -1, -1
    pairs = []
    for row, column in zip(*np.nonzero(left >= _ALIKE_BACK), strict=True):
        rivals = np.concatenate([np.delete(left[row], column), np.delete(left[:, column], row)])
        if left[row, column] >= rivals.max(initial=-1) + _CLEAR:
            pairs.append((int(row), int(column)))
    return pairs


def _appearance(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(144,) float32 of mean 0 and length 1, so that a product of two is their correlation; zeros if it is flat."""
    small = thumbnail(crop).astype(np.float32).ravel()
    return _unit(small - small.mean())


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    length = float(np.linalg.norm(vector))
    return np.asarray(vector / length if length > 1e-3 else np.zeros_like(vector), np.float32)


def _places(boxes: NDArray[np.float32], others: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of boxes (N, 4) and (M, 4): IoU (N, M), and the distance of centres in mean face sizes (N, M)."""
    a, b = boxes[:, None], others[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.maximum(sides, 0).prod(-1)
    areas = [np.maximum((box[..., 2:] - box[..., :2]).prod(-1), 1e-6) for box in (a, b)]
    distance = np.linalg.norm((a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2, axis=-1)
    size = (np.sqrt(areas[0]) + np.sqrt(areas[1])) / 2
    return shared / (areas[0] + areas[1] - shared), distance / size
