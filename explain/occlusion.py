"""Occlusion: a model's predictions for a face of which parts are covered, by region and window by window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_models.errors import UnknownNameError
from fer_models.results import Prediction

#: What covered pixels become: the crop's mean colour, mid grey, or the crop blurred until no part can be made out.
#: None is neutral. A flat patch is an object of its own, with edges; a blur keeps shades. The models saw such patches
#: only where their training augmentation erased or mixed parts of faces.
Fill = Literal["mean", "grey", "blur"]
FILLS: Final[tuple[str, ...]] = get_args(Fill)
#: Standard deviation of the blur, as a fraction of the side: a third of the distance of the eyes.
BLUR: Final = 0.125
_GREY: Final = 128


class Predictor(Protocol):
    """The part of `fer_models.models.classifier.Classifier` that occlusion needs."""

    def predict(self, crops: Sequence[NDArray[np.uint8]], *, features: bool = False) -> list[Prediction]:
        """One prediction per crop, in the crops' order."""
        ...


@dataclass(frozen=True)
class RegionEffects:
    """The effect of occluding each facial region on one expression's probability.

    Attributes:
        target: the expression.
        before: its probability on the uncovered face.
        after: by region, its probability with that region covered.
    """

    target: str
    before: float
    after: Mapping[str, float]


def filled(crop: NDArray[np.uint8], fill: Fill) -> NDArray[np.uint8]:
    """A crop with all of its pixels covered.

    Args:
        crop: (S, S, 3) RGB or (S, S) grey, uint8.
        fill: what covers them.

    Returns:
        The crop's shape, uint8.

    Raises:
        UnknownNameError: no such fill.
    """
    if fill == "blur":
        # Beyond the crop its border is mirrored, cv2's default; the kernel is as wide as cv2 thinks right for uint8.
        sigma = max(BLUR * crop.shape[0], 1e-3)
        return np.asarray(cv2.GaussianBlur(crop, (0, 0), sigma), np.uint8)
    if fill == "mean":
        return np.broadcast_to(np.rint(crop.mean((0, 1))).astype(np.uint8), crop.shape).copy()
    if fill == "grey":
        return np.full_like(crop, _GREY)
    raise UnknownNameError("fill", fill, FILLS)


def occlude(crop: NDArray[np.uint8], mask: NDArray[np.bool_], fill: Fill = "mean") -> NDArray[np.uint8]:
    """Cover part of a crop.

    Args:
        crop: (S, S, 3) RGB or (S, S) grey, uint8; it is not changed.
        mask: (S, S) bool, true where it is covered.
        fill: what covers them.

    Returns:
        The crop's shape, uint8.

    Raises:
        ValueError: the mask does not fit the crop.
        UnknownNameError: no such fill.
    """
    if mask.shape != crop.shape[:2]:
        raise ValueError(f"Expected a mask of shape {crop.shape[:2]}, the crop's; got {mask.shape}.")
    result = crop.copy()
    result[mask] = filled(crop, fill)[mask]
    return result


def target_probabilities(classifier: Predictor, crops: Sequence[NDArray[np.uint8]], target: str) -> NDArray[np.float64]:
    """One expression's probability on each crop, (N,) float64.

    Raises:
        ImageError: a crop is not a square uint8 picture.
        UnknownNameError: the model does not know the expression.
    """
    return np.array([prediction.probability(target) for prediction in classifier.predict(crops)], np.float64)


def region_effects(
    classifier: Predictor,
    crop: NDArray[np.uint8],
    masks: Mapping[str, NDArray[np.bool_]],
    target: str,
    fill: Fill = "mean",
) -> RegionEffects:
    """Occlude one region after the other, and measure an expression's probability.

    Args:
        classifier: the model.
        crop: (S, S, 3) RGB or (S, S) grey, uint8.
        masks: by region, (S, S) bool, such as `explain.regions.region_masks` gives.
        target: the expression.
        fill: what covers the region.

    Raises:
        ImageError: the crop is not a square uint8 picture.
        UnknownNameError: the model does not know the expression, or no such fill.
        ValueError: a mask does not fit the crop.
    """
    covered = [occlude(crop, mask, fill) for mask in masks.values()]
    before, *after = target_probabilities(classifier, [crop, *covered], target).tolist()
    return RegionEffects(target, before, dict(zip(masks, after, strict=True)))


def sensitivity_map(
    classifier: Predictor,
    crop: NDArray[np.uint8],
    target: str,
    *,
    window: int | None = None,
    stride: int | None = None,
    fill: Fill = "mean",
) -> NDArray[np.float32]:
    """How far an expression's probability falls when a window around each place is covered.

    Occlusion sensitivity (Zeiler and Fergus, ECCV 2014, section 4.2). It needs nothing but the model's outputs, so it
    can be compared with maps that are made from the model's features and gradients.

    Args:
        classifier: the model.
        crop: (S, S, 3) RGB or (S, S) grey, uint8.
        target: the expression.
        window: side of the covered square in px; None is a quarter of the crop's side.
        stride: px from one window to the next, about: the crop is divided into ceil(S / stride) equal cells per side;
            a window is centred on each of them and cut off at the crop's edge. None is an eighth of the crop's side.
        fill: what covers the window.

    Returns:
        (h, w) float32, the drop in probability in [-1, 1], negative where covering helps; h = w = ceil(S / stride).

    Raises:
        ValueError: the window or the stride is below 1 px.
        ImageError: the crop is not a square uint8 picture.
        UnknownNameError: the model does not know the expression, or no such fill.
    """
    side = crop.shape[0]
    window = max(1, side // 4) if window is None else window
    stride = max(1, side // 8) if stride is None else stride
    if window < 1 or stride < 1:
        raise ValueError(f"Expected a window and a stride of at least 1 px; got {window} and {stride}.")
    cells = -(-side // stride)
    # A cell's middle minus half a window, in whole numbers: rounding must not depend on floating point.
    starts = [((2 * cell + 1) * side - window * cells) // (2 * cells) for cell in range(cells)]
    spans = [slice(max(start, 0), start + window) for start in starts]
    cover = filled(crop, fill)
    covered = []
    for rows in spans:
        for columns in spans:
            picture = crop.copy()
            picture[rows, columns] = cover[rows, columns]
            covered.append(picture)
    probabilities = target_probabilities(classifier, [crop, *covered], target)
    return np.asarray((probabilities[0] - probabilities[1:]).reshape(cells, cells), np.float32)
