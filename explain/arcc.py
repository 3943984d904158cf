"""ARCC (Domeniconi et al., How to Evaluate and Refine your CAM, ICPR 2026, arXiv 2605.14641): one score per map.

The harmonic mean of three figures in [0, 1], so that a map cannot make up for failing at one of them: it is coherent
(seen through the map alone, the face gives the same map again), simple (it marks little), and it marks pixels whose
removal matters (ROAD). Coherency and complexity are those of Poppi et al., CVPRW 2021, whose ADCC has the average drop
of the probability where ARCC has ROAD. The formula is that of `pytorch_grad_cam.metrics.arcc`, and the tests
compare the two; that class itself takes only maps that the library made, and removes every pixel of a map that is zero
in most places.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from explain.drawing.overlay import BLANK
from explain.regions import resized
from explain.road import Road
from fer_models.models.preprocessing import InputSpec

#: Makes the same method's map (h, w) for the same expression on another crop.
MapMethod = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class Arcc:
    """One map's score and its parts, each in [0, 1]; 1 is best.

    Attributes:
        coherency: 1 if the face seen through the map gives the same map, 0.5 if an unrelated one, 0 if its opposite.
        simplicity: 1 minus the complexity: the share of the face's area and strength that the map does not mark.
        road: the effect of removing pixels in the map's order: `Road.combined`, scaled from [-0.5, 0.5] to [-1, 1],
            with values below 0 counted as 0.
        mean_of: the scores of several maps whose mean this is; empty for one map.
    """

    coherency: float
    simplicity: float
    road: float
    mean_of: tuple[float, ...] = ()

    @property
    def score(self) -> float:
        """ARCC: the harmonic mean of the parts; 0 if one of them is 0. Of several maps, the mean of their scores."""
        if self.mean_of:  # not the harmonic mean of the mean parts, which is larger: each map is scored alone
            return float(np.mean(self.mean_of))
        parts = (self.coherency, self.simplicity, self.road)
        return 3 / sum(1 / part for part in parts) if min(parts) > 0 else 0.0


def arcc(heat: NDArray[np.float32], again: NDArray[np.float32], road: Road, side: int) -> Arcc:
    """Score one map.

    Args:
        heat: (h, w) float32, raw and signed.
        again: (h', w') float32, the same method's map of the face seen through the first one (`seen_through`).
        road: of the first map.
        side: in px, at which the maps are compared: the network's input.
    """
    first, second = unit(heat, side), unit(again, side)
    return Arcc(coherency(first, second), 1 - complexity(first), float(np.clip(2 * road.combined, 0, 1)))


def mean_arcc(scores: Sequence[Arcc]) -> Arcc:
    """The mean of the scores, and of their parts, of several maps of a kind, at least one."""
    return Arcc(
        coherency=float(np.mean([one.coherency for one in scores])),
        simplicity=float(np.mean([one.simplicity for one in scores])),
        road=float(np.mean([one.road for one in scores])),
        mean_of=tuple(one.score for one in scores),
    )


def unit(heat: NDArray[np.float32], side: int) -> NDArray[np.float64]:
    """A map's positive evidence from 0 to 1 as (side, side) float64; values that are not finite count as none.

    The least value becomes 0 and the largest 1, as in the library; a uniform map becomes zero.
    """
    positive = np.maximum(np.nan_to_num(heat.astype(np.float64), nan=0, posinf=0, neginf=0), 0)
    span = np.ptp(positive)
    if not span > BLANK:
        return np.zeros((side, side))
    return resized((positive - positive.min()) / span, side)


def seen_through(crop: NDArray[np.uint8], heat: NDArray[np.float32], spec: InputSpec) -> NDArray[np.uint8]:
    """A face seen through a map: as it is where the map is strongest, the network's mean grey where it marks nothing.

    That is what multiplying the network's normalised input with the map gives, up to rounding to whole grey levels.

    Args:
        crop: (S, S, 3) RGB or (S, S) grey, uint8.
        heat: (h, w) float32, raw and signed.
        spec: of the network, for the colour that becomes 0 in its input.

    Returns:
        The crop's shape, uint8.
    """
    through = unit(heat, crop.shape[0])
    zero: NDArray[np.float64] = 255 * np.asarray(spec.mean)
    if crop.ndim == 3:
        through = through[..., None]
    else:
        zero = zero.mean()
    return np.rint(through * crop + (1 - through) * zero).astype(np.uint8)


def complexity(values: NDArray[np.float64]) -> float:
    """The mean of a map from 0 to 1: how much of the face it marks (Poppi et al., equation 4)."""
    return float(np.abs(values).mean())


def coherency(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Pearson's correlation of two maps of one shape, brought from [-1, 1] to [0, 1] (Poppi et al., equation 3).

    Where one of them is uniform it is not defined: then 0.5, nothing in common.
    """
    a, b = (values.ravel() - values.mean() for values in (first, second))
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((np.clip(a @ b / norm, -1, 1) + 1) / 2) if norm > 0 else 0.5
