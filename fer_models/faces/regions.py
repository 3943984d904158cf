"""Which parts of a picture a detector should see again at a finer scale."""

import math

import numpy as np
from numpy.typing import NDArray

#: Left, top, right, bottom in whole pixels of the picture.
Region = tuple[int, int, int, int]


def regions_around(
    boxes: NDArray[np.float32], size: tuple[int, int], *, margin: float, step: float, most: float
) -> list[Region]:
    """Rectangles of a picture that hold all boxes and their surroundings, and together few pixels.

    Two rectangles become one where that has no more pixels; others may overlap, so a face may be found in several.

    Args:
        boxes: (N, 4), xyxy in px; they may reach beyond the picture.
        size: width and height of the picture in px.
        margin: what must be seen around a box, in px; half of its longer side if that is more.
        step: sides are rounded up to multiples of this many px, for a network takes no others.
        most: share of the picture, in [0, 1], from which on it is one region.
    """
    rectangles: list[Region] = []
    for box in boxes:
        wanted = _region(box, size, margin, step)
        while (other := _worth_joining(wanted, rectangles)) is not None:
            rectangles.remove(other)
            wanted = _padded(_union(wanted, other), size, step)
        rectangles.append(wanted)
    whole = (0, 0, *size)
    return [whole] if sum(map(_area, rectangles)) > most * _area(whole) else rectangles


def _region(box: NDArray[np.float32], size: tuple[int, int], margin: float, step: float) -> Region:
    left, top, right, bottom = map(float, box)
    around = max(margin, max(right - left, bottom - top) / 2)
    return _padded((left - around, top - around, right + around, bottom + around), size, step)


def _padded(rectangle: tuple[float, ...], size: tuple[int, int], step: float) -> Region:
    """A rectangle with its sides rounded up, inside of the picture."""
    starts, ends = [], []
    for start, end, limit in zip(rectangle[:2], rectangle[2:], size, strict=True):
        side = min(math.floor(max(math.ceil((end - start) / step - 1e-6), 1) * step), limit)
        first = min(max(math.floor((start + end - side) / 2), 0), limit - side)
        starts.append(first)
        ends.append(first + side)
    return starts[0], starts[1], ends[0], ends[1]


def _worth_joining(rectangle: Region, others: list[Region]) -> Region | None:
    return next((o for o in others if _area(_union(rectangle, o)) <= _area(rectangle) + _area(o)), None)


def _union(a: Region, b: Region) -> Region:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def _area(region: Region) -> int:
    return (region[2] - region[0]) * (region[3] - region[1])
