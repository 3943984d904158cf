"""Pictures of results: a heat map on its crop, numbered boxes on a photo. NumPy and OpenCV only."""

from collections.abc import Iterable, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from explain.drawing.colormaps import diverging, sequential
from explain.maps import Explanation

#: Below this a raw map counts as blank: dividing by it would show rounding errors as evidence.
BLANK: Final = 1e-6
_INK: Final = (24, 24, 27)
_PAPER: Final = (255, 255, 255)


def shared_peak(explanations: Iterable[Explanation]) -> float:
    """The largest positive raw value of several maps; 0 if none has any. Maps drawn with it can be compared."""
    return max((float(explanation.positive.max(initial=0)) for explanation in explanations), default=0.0)


def shared_reach(explanations: Iterable[Explanation]) -> float:
    """The largest absolute raw value of several maps. Contrasts drawn with it can be compared."""
    return max((float(np.abs(explanation.heat).max(initial=0)) for explanation in explanations), default=0.0)


def signed(explanation: Explanation, reach: float | None = None) -> NDArray[np.float32]:
    """Evidence for and against on the [-1, 1] scale, as `draw_difference` takes it.

    Args:
        explanation: with heat (h, w); values that are not finite count as no evidence.
        reach: the absolute raw value drawn as 1, such as a `shared_reach`; None means this map's own largest one.

    Returns:
        (h, w) float32 in [-1, 1]; all zero if the reach is not above `BLANK`.
    """
    heat = np.nan_to_num(explanation.heat, nan=0, posinf=0, neginf=0)
    top = float(np.abs(heat).max(initial=0)) if reach is None else reach
    if not top > BLANK:
        return np.zeros_like(heat)
    return np.asarray(np.clip(heat / top, -1, 1), np.float32)


def scaled(explanation: Explanation, peak: float | None = None) -> NDArray[np.float32]:
    """Positive evidence on the [0, 1] scale.

    Args:
        explanation: with heat (h, w); values that are not finite count as no evidence.
        peak: the raw value drawn as 1, such as a `shared_peak`; None means this map's own largest value.

    Returns:
        (h, w) float32 in [0, 1]; all zero if the peak is not above `BLANK`.
    """
    positive = np.nan_to_num(explanation.positive, nan=0, posinf=0, neginf=0)
    top = float(positive.max(initial=0)) if peak is None else peak
    if not top > BLANK:
        return np.zeros_like(positive)
    return np.asarray(np.clip(positive / top, 0, 1), np.float32)


def draw_map(
    crop: NDArray[np.uint8],
    explanation: Explanation,
    *,
    peak: float | None = None,
    side: int | None = None,
    opacity: float = 0.75,
    colours: str = "viridis",
) -> NDArray[np.uint8]:
    """Draw positive evidence on a crop: clear where there is none, in the lightest colour where it is most.

    The crop turns grey, so that no colour of the face can be taken for evidence.

    Args:
        crop: (S, S, 3) uint8 RGB.
        explanation: with heat (h, w).
        peak: the raw value drawn strongest; None means this map's own largest value. A map far below a shared peak
            looks as weak as it is.
        side: of the result in px; None keeps the crop's.
        opacity: of the strongest evidence, in [0, 1].
        colours: a key of `explain.drawing.colormaps.SEQUENTIAL`.

    Returns:
        (side, side, 3) uint8 RGB.

    Raises:
        UnknownNameError: no such colour map.
    """
    side = side or crop.shape[0]
    # Cubic interpolation overshoots beside steep cells, hence the clip.
    heat = cv2.resize(scaled(explanation, peak), (side, side), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    return _blended(crop, sequential(colours)[np.rint(heat * 255).astype(int)], opacity * np.sqrt(heat))


def draw_cells(
    explanation: Explanation, side: int, *, peak: float | None = None, colours: str = "viridis"
) -> NDArray[np.uint8]:
    """Draw the map alone, every cell a square as it is, without smoothing and without the face.

    Args:
        explanation: with heat (h, w).
        side: of the result in px.
        peak: the raw value drawn strongest; None means this map's own largest value.
        colours: a key of `explain.drawing.colormaps.SEQUENTIAL`.

    Returns:
        (side, side, 3) uint8 RGB.

    Raises:
        UnknownNameError: no such colour map.
    """
    return enlarged_cells(map_colours(explanation, peak=peak, colours=colours), side)


def enlarged_cells(colours: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The colours of cells (h, w, 3) uint8 RGB as squares: (side, side, 3)."""
    return np.asarray(cv2.resize(colours, (side, side), interpolation=cv2.INTER_NEAREST), np.uint8)


def map_colours(explanation: Explanation, *, peak: float | None = None, colours: str = "viridis") -> NDArray[np.uint8]:
    """The colour of every cell of a map (h, w): (h, w, 3) uint8 RGB. Arguments and errors as for `draw_cells`."""
    return np.asarray(sequential(colours)[np.rint(scaled(explanation, peak) * 255).astype(int)])


def difference_colours(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The colour of every cell of a difference (h, w): (h, w, 3) uint8 RGB; beyond -1 and 1 as at them."""
    return np.asarray(diverging()[np.rint(values.clip(-1, 1) * 127 + 127).astype(int)])


def difference(
    first: Explanation, second: Explanation, peak: float | None = None, other: float | None = None
) -> NDArray[np.float32]:
    """Where one map shows more positive evidence than another, each as a share of its peak.

    Args:
        first: with heat (h, w).
        second: with heat of any size; the smaller of both is enlarged.
        peak: the raw value of the first that counts as 1; None means its own largest value.
        other: the same for the second.

    Returns:
        (h, w) float32 in [-1, 1]: positive where the first has more.
    """
    maps = scaled(first, peak), scaled(second, other)
    height, width = (max(one.shape[axis] for one in maps) for axis in (0, 1))
    large = [cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR) for one in maps]
    return np.asarray(large[0] - large[1], np.float32)


def draw_difference(
    crop: NDArray[np.uint8], values: NDArray[np.float32], *, side: int | None = None, opacity: float = 0.75
) -> NDArray[np.uint8]:
    """Draw signed values on a crop: orange where they are positive, blue where negative, clear at 0.

    Args:
        crop: (S, S, 3) uint8 RGB.
        values: (h, w) float32; -1 and 1 are drawn strongest, what is beyond alike.
        side: of the result in px; None keeps the crop's.
        opacity: of the strongest values, in [0, 1].

    Returns:
        (side, side, 3) uint8 RGB.
    """
    side = side or crop.shape[0]
    smooth = cv2.resize(values, (side, side), interpolation=cv2.INTER_CUBIC).clip(-1, 1)
    return _blended(crop, difference_colours(smooth), opacity * np.sqrt(np.abs(smooth)))


def _blended(crop: NDArray[np.uint8], colours: NDArray[np.uint8], opacity: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Lay colours (side, side, 3) on a crop that turns grey, with an opacity (side, side) in [0, 1]."""
    side = len(colours)
    if crop.shape[0] != side:
        crop = _resized(crop, (side, side))
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    blended: NDArray[np.uint8] = np.rint(grey + (colours - grey) * opacity[..., None]).astype(np.uint8)
    return blended


def fit(image: NDArray[np.uint8], least: int = 480, most: int = 1280) -> tuple[NDArray[np.uint8], float]:
    """Bring a picture to a size fit for drawing on: its longest side between `least` and `most` px.

    Returns:
        (H', W', 3) uint8 RGB, a copy, and the factor it was resized by.
    """
    longest = max(image.shape[:2])
    scale = min(max(longest, least), most) / longest
    if scale == 1:
        return image.copy(), 1.0
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return _resized(image, (width, height)), scale


def draw_boxes(
    image: NDArray[np.uint8], boxes: Sequence[NDArray[np.float32]], *, least: int = 480, most: int = 1280
) -> NDArray[np.uint8]:
    """Draw numbered boxes, the first is 1. Lines and numbers are white edged with black: they show on any picture.

    Args:
        image: (H, W, 3) uint8 RGB; it is not changed.
        boxes: each (4,), x1 y1 x2 y2 in the picture's pixels; parts outside the picture are clipped.
        least: px; a picture whose longest side is shorter is enlarged, or its numbers could not be read.
        most: px; a picture whose longest side is longer is shrunk.

    Returns:
        (H', W', 3) uint8 RGB.
    """
    canvas, scale = fit(image, least, most)
    height, width = canvas.shape[:2]
    line = max(2, round(max(height, width) / 420))
    corners = [_corners(box * scale, width, height, line) for box in boxes]
    for x1, y1, x2, y2 in corners:
        cv2.rectangle(canvas, (x1, y1), (x2, y2), _INK, line + 4, cv2.LINE_AA)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), _PAPER, line, cv2.LINE_AA)
    # Numbers after all boxes, so that no neighbour's line crosses them; in a crowd small ones, or they hide neighbours.
    least_tall = (0.03 if len(boxes) <= 12 else 0.015) * max(height, width)
    for number, corner in enumerate(corners, start=1):
        _draw_number(canvas, str(number), corner, line, least_tall)
    return canvas


def _corners(box: NDArray[np.float32], width: int, height: int, line: int) -> tuple[int, int, int, int]:
    x1, x2 = (int(np.clip(value, line, max(line, width - 1 - line))) for value in (box[0], box[2]))
    y1, y2 = (int(np.clip(value, line, max(line, height - 1 - line))) for value in (box[1], box[3]))
    return x1, y1, x2, y2


def _draw_number(
    canvas: NDArray[np.uint8], text: str, box: tuple[int, int, int, int], line: int, least_tall: float
) -> None:
    """A tag above the box, or inside its upper left corner where there is no room above."""
    x1, y1, _, y2 = box
    height, width = canvas.shape[:2]
    # Large enough to be read on a phone, where the picture is a quarter of this size.
    tall = int(np.clip(0.35 * (y2 - y1), least_tall, 0.042 * max(height, width)))
    font, pad = cv2.FONT_HERSHEY_DUPLEX, max(2, tall // 4)
    stroke = max(1, round(tall / 14))
    size = cv2.getFontScaleFromHeight(font, max(6, tall - pad), stroke)
    (wide, high), _ = cv2.getTextSize(text, font, size, stroke)
    tag_width, tag_height = max(wide + 2 * pad, tall), high + 2 * pad
    left = max(0, min(x1 - line, width - tag_width))
    top = y1 - tag_height if y1 >= tag_height else y1
    cv2.rectangle(canvas, (left, top), (left + tag_width, top + tag_height), _PAPER, -1)
    cv2.rectangle(canvas, (left, top), (left + tag_width, top + tag_height), _INK, max(1, line // 2), cv2.LINE_AA)
    origin = (left + (tag_width - wide) // 2, top + pad + high)
    cv2.putText(canvas, text, origin, font, size, _INK, stroke, cv2.LINE_AA)


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """To (width, height): averaged when shrinking, smooth when enlarging."""
    shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
    result = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.asarray(result, np.uint8)
