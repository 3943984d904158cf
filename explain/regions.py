"""Facial regions as masks, and how a map's evidence is distributed over them."""

from collections.abc import Mapping
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from explain.drawing.overlay import BLANK
from fer_models.errors import ImageError
from fer_models.faces.alignment import TEMPLATE, spec_transform
from fer_models.results import SHARED_CROP, CropSpec, Face

#: The regions, in the order of every table and chart. Background is the rest: forehead, chin, hair, surroundings.
REGIONS: Final = ("brows", "eyes", "nose", "cheeks", "mouth", "background")


def crop_landmarks(face: Face, side: int, spec: CropSpec = SHARED_CROP) -> NDArray[np.float32]:
    """A face's landmarks in its crop's pixels, by the transform that cut the crop out.

    Args:
        face: with landmarks in the picture's pixels. A face read whole, such as a dataset's, has none: they are taken
            to lie where the landmark template has them, as in the training faces.
        side: of the crop in px.
        spec: how it was cut out.

    Returns:
        (5, 2) float32 xy: left eye, right eye, nose, left and right mouth corner as seen in the picture.

    Raises:
        ImageError: the landmarks all coincide.
    """
    if face.landmarks is None:
        return TEMPLATE * np.float32(side)
    matrix = spec_transform(face, spec, side)
    return np.asarray(face.landmarks @ matrix[:, :2].T + matrix[:, 2], np.float32)


def mask_in_crop(mask: NDArray[np.bool_], face: Face, side: int, spec: CropSpec) -> NDArray[np.bool_]:
    """The same part of a picture in another crop of it.

    Args:
        mask: (N, N) bool, on the crop that the models share.
        face: as for `crop_landmarks`.
        side: of the other crop in px.
        spec: how that one was cut out.

    Returns:
        (side, side) bool. What the shared crop does not show is not in it.

    Raises:
        ImageError: the landmarks all coincide.
    """
    if face.landmarks is None or spec == SHARED_CROP:
        scaled = cv2.resize(mask.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
        return np.asarray(scaled, bool)
    here, there = (
        np.vstack([spec_transform(face, each, length), [0, 0, 1]])
        for each, length in ((SHARED_CROP, len(mask)), (spec, side))
    )
    matrix = (there @ np.linalg.inv(here))[:2]
    matrix[:, 2] += matrix[:, :2].sum(1) / 2 - 0.5  # cv2 counts from pixel centres
    moved = cv2.warpAffine(mask.astype(np.uint8), matrix, (side, side), flags=cv2.INTER_NEAREST)
    return np.asarray(moved, bool)


def region_masks(landmarks: NDArray[np.float32], side: int) -> dict[str, NDArray[np.bool_]]:
    """Masks of the facial regions, from five landmarks.

    Lengths are in inter-ocular distances d, the distance of the two eyes. x runs from the left eye to the right one, y
    is perpendicular to it, downwards in the face, and (0, 0) is midway between the eyes; so the parts turn with the
    head. A pixel belongs to the first region that holds its centre:

    - eyes: an ellipse around each eye, 0.34 d to either side and 0.2 d up and down;
    - mouth: an ellipse around the middle of the mouth corners and along the line through them, 0.2 d longer on either
      side than the mouth and 0.34 d up and down;
    - nose: from 0.15 d above the line of the eyes to 0.14 d below the nose landmark, around the line from (0, 0) to
      that landmark, 0.12 d to either side at the top, widening to 0.3 d at the landmark;
    - brows: up to 0.95 d to either side, from 0.55 d above the line of the eyes down to that line; with the skin
      between the brows, which frowns;
    - cheeks: what is left of the face below the line of the eyes and above the middle of the mouth, at most 0.95 d
      from the face's middle line, which goes from (0, 0) through the middle of the mouth;
    - background: everything else: forehead, chin, temples, hair and what is behind.

    The sizes were set by eye on aligned faces; five landmarks say nothing about brows or the outline of the face.

    Args:
        landmarks: (5, 2) xy in the crop's pixels, as `crop_landmarks` gives them.
        side: of the crop in px.

    Returns:
        By name in the order of `REGIONS`, (side, side) bool each: disjoint, and together they cover the crop. A
        region outside of the crop is empty.

    Raises:
        ImageError: the landmarks are not finite, or the eyes coincide.
    """
    points = landmarks.astype(np.float64)
    if not np.isfinite(points).all() or not np.linalg.norm(points[1] - points[0]) > 0:
        raise ImageError("The landmarks of this face do not tell its two eyes apart, so its regions cannot be found.")
    centre = (points[0] + points[1]) / 2
    across = points[1] - points[0]
    down = np.array([-across[1], across[0]])
    axes = np.stack([across, down]) / (across @ across)  # to units of d in the turned frame
    x, y = np.moveaxis(_centres(side) - centre, -1, 0)
    x, y = axes[0, 0] * x + axes[0, 1] * y, axes[1, 0] * x + axes[1, 1] * y
    _, _, nose, left, right = (points - centre) @ axes.T
    middle, half = (left + right) / 2, (right - left) / 2

    eyes = ((np.abs(x) - 0.5) / 0.34) ** 2 + (y / 0.2) ** 2 <= 1
    length = float(np.linalg.norm(half))
    along = half / length if length > 0 else np.array([1.0, 0.0])
    u = (x - middle[0]) * along[0] + (y - middle[1]) * along[1]
    v = (y - middle[1]) * along[0] - (x - middle[0]) * along[1]
    mouth = (u / (length + 0.2)) ** 2 + (v / 0.34) ** 2 <= 1
    progress = np.clip(y / nose[1], 0, 1) if nose[1] > 0 else np.ones_like(y)
    bridge = np.abs(x - progress * nose[0]) <= 0.12 + 0.18 * progress
    low = max(nose[1], 0) + 0.14
    middle_line = np.clip(y / middle[1], 0, 1) * middle[0] if middle[1] > 0 else np.zeros_like(y)
    regions = {
        "eyes": eyes,
        "mouth": mouth,
        "nose": bridge & (y >= -0.15) & (y <= low),
        "brows": (np.abs(x) <= 0.95) & (y >= -0.55) & (y <= 0),
        "cheeks": (np.abs(x - middle_line) <= 0.95) & (y > 0) & (y <= middle[1]),
    }
    rest = np.ones((side, side), bool)
    for name, mask in regions.items():
        regions[name] = mask & rest
        rest &= ~mask
    return {name: regions.get(name, rest) for name in REGIONS}


def attention_shares(heat: NDArray[np.float32], masks: Mapping[str, NDArray[np.bool_]]) -> dict[str, float]:
    """Which share of a map's positive evidence lies in each region.

    A coarse map says little about small regions: of 7 cells per side, one is as wide as an eye. And a large region gets
    much of any map: compare with `area_shares`, what a uniform map would give.

    Args:
        heat: (h, w) float32, raw and signed. Negative values, and those that are not finite, count as no evidence.
        masks: by region, (S, S) bool, disjoint and covering everything.

    Returns:
        By region, in the order of the masks. They sum to 1; all are 0 if nothing in the map is above `BLANK`.
    """
    side = next(iter(masks.values())).shape[0]
    evidence = np.maximum(np.nan_to_num(heat.astype(np.float64), nan=0, posinf=0, neginf=0), 0)
    if not evidence.max(initial=0) > BLANK:
        return dict.fromkeys(masks, 0.0)
    evidence = resized(evidence / evidence.max(), side)
    total = evidence.sum()
    return {name: float(evidence[mask].sum() / total) for name, mask in masks.items()}


def area_shares(masks: Mapping[str, NDArray[np.bool_]]) -> dict[str, float]:
    """Which share of the crop each region is: the shares of a uniform map. Masks as for `attention_shares`."""
    return {name: float(mask.mean()) for name, mask in masks.items()}


def resized(heat: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """A map (h, w) at (side, side) float64: linear between cells when enlarging, averaged when shrinking."""
    shrinks = heat.size > side * side
    result = cv2.resize(heat, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(result, np.float64)


def _centres(side: int) -> NDArray[np.float64]:
    """(side, side, 2): xy of the pixels' centres."""
    steps = np.arange(side) + 0.5
    return np.stack(np.meshgrid(steps, steps), axis=-1)
