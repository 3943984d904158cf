"""Faithfulness: does a map mark what a model relies on? Deletion and insertion, beside uninformative baselines.

Deletion and insertion (Petsiuk et al., BMVC 2018, RISE, section 4.3) cover a face's pixels in the order of the map, or
uncover them, and follow the probability of the expression. The areas depend on the model and the face more than on the
map, so an area alone says little: the same is measured for random maps and for a centre prior, a Gaussian in the middle
of the crop, where faces are. A map that is no better than the centre prior may carry no more information than that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from explain.arcc import Arcc, MapMethod, arcc, mean_arcc, seen_through
from explain.occlusion import Fill, Predictor, filled, target_probabilities
from explain.regions import resized
from explain.road import PERCENTAGES, Road, mean_road, road
from fer_models.models.classifier import Classifier

Curve = NDArray[np.float64]

#: Random maps whose curves are averaged.
RANDOM_MAPS: Final = 3
#: Areas closer than this are called equal in words.
MARGIN: Final = 0.01
#: Standard deviation of the centre prior, as a fraction of the side.
_CENTRE_SIGMA: Final = 0.25


@dataclass(frozen=True, eq=False)
class Curves:
    """One map's curves and scores.

    Attributes:
        deletion: (steps + 1,) float64, as `deletion` returns it.
        insertion: (steps + 1,) float64, as `insertion` returns it.
        road: of the same map; None if it was not measured.
        arcc: of the same map; None if it was not measured.
    """

    deletion: Curve
    insertion: Curve
    road: Road | None = None
    arcc: Arcc | None = None

    @cached_property
    def deletion_area(self) -> float:
        """Area under the deletion curve; low for a good map."""
        return area(self.deletion)

    @cached_property
    def insertion_area(self) -> float:
        """Area under the insertion curve; high for a good map."""
        return area(self.insertion)


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """How faithful one map is to what one model relies on, for one expression on one face.

    Attributes:
        model: the model's name.
        target: the expression.
        map: of the map itself.
        random: the mean of `RANDOM_MAPS` random maps of the same shape; the areas are the mean areas.
        centre_prior: of the centre prior.
    """

    model: str
    target: str
    map: Curves
    random: Curves
    centre_prior: Curves

    @property
    def sentence(self) -> str:
        """The result for this face in plain words, with the areas."""
        deletion = _comparison(
            "Deleting what the map marks lowers the confidence",
            -self.map.deletion_area,
            -self.random.deletion_area,
            -self.centre_prior.deletion_area,
        )
        insertion = _comparison(
            "Inserting only what it marks raises the confidence",
            self.map.insertion_area,
            self.random.insertion_area,
            self.centre_prior.insertion_area,
        )
        scores = [curves.arcc.score for curves in (self.map, self.random, self.centre_prior) if curves.arcc is not None]
        return f"{deletion} {insertion} {_arcc_comparison(*scores)}" if len(scores) == 3 else f"{deletion} {insertion}"


def ranking(heat: NDArray[np.float32], side: int) -> NDArray[np.float64]:
    """The rank of every pixel of a crop by a map's evidence: 0 is the most relevant one.

    The map is enlarged linearly. It is taken with its sign, so that what speaks against the expression comes last;
    values that are not finite count as 0. Equal pixels, such as the zeros of a map after a ReLU, come in a random but
    fixed order: in rows from the top, they would draw a bar across the forehead first.

    Args:
        heat: (h, w).
        side: of the crop in px.

    Returns:
        (side, side) float64 holding each of 0 to side * side - 1 once.
    """
    values = resized(np.nan_to_num(heat.astype(np.float64), nan=0, posinf=0, neginf=0), side).ravel()
    order = np.lexsort((np.random.default_rng(0).permutation(values.size), -values))
    ranks = np.empty(values.size)
    ranks[order] = np.arange(values.size)
    return ranks.reshape(side, side)


def deletion(
    classifier: Predictor,
    crop: NDArray[np.uint8],
    target: str,
    heat: NDArray[np.float32],
    steps: int = 16,
    fill: Fill = "mean",
) -> Curve:
    """The deletion curve: an expression's probability while pixels are covered, the most relevant first.

    Args:
        classifier: the model.
        crop: (S, S, 3) RGB or (S, S) grey, uint8.
        target: the expression.
        heat: (h, w), the map.
        steps: how many equal steps it takes to cover all pixels.
        fill: what covers them.

    Returns:
        (steps + 1,) float64: entry i has the share i / steps of the pixels covered, so the first is the face itself.

    Raises:
        ValueError: steps is below 1.
        ImageError: the crop is not a square uint8 picture.
        UnknownNameError: the model does not know the expression, or no such fill.
    """
    return target_probabilities(classifier, _deleted(crop, heat, steps, fill), target)


def insertion(
    classifier: Predictor,
    crop: NDArray[np.uint8],
    target: str,
    heat: NDArray[np.float32],
    steps: int = 16,
    fill: Fill = "blur",
) -> Curve:
    """The insertion curve: an expression's probability while pixels are uncovered, the most relevant first.

    By default it starts from the blurred crop, as in the paper: pieces of a face on a flat patch have outlines of their
    own.

    Args:
        classifier: the model.
        crop: (S, S, 3) RGB or (S, S) grey, uint8.
        target: the expression.
        heat: (h, w), the map.
        steps: how many equal steps it takes to uncover all pixels.
        fill: what the crop is covered with at the start.

    Returns:
        (steps + 1,) float64: entry i has the share i / steps of the pixels uncovered, so the last is the face itself.

    Raises:
        ValueError: steps is below 1.
        ImageError: the crop is not a square uint8 picture.
        UnknownNameError: the model does not know the expression, or no such fill.
    """
    return target_probabilities(classifier, _inserted(crop, heat, steps, fill), target)


def area(curve: Curve) -> float:
    """Area under a curve over shares 0 to 1 in equal steps, by trapezoids: about its mean probability, in [0, 1]."""
    return float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))


def random_map(shape: tuple[int, int], seed: int) -> NDArray[np.float32]:
    """(h, w) float32 of independent values in [0, 1): an uninformative map of the same coarseness."""
    return np.random.default_rng(seed).random(shape, np.float32)


def centre_prior(shape: tuple[int, int]) -> NDArray[np.float32]:
    """(h, w) float32: a Gaussian in the middle, 1 at its peak: evidence wherever faces are."""
    y, x = (((np.arange(count) + 0.5) / count - 0.5) / _CENTRE_SIGMA for count in shape)
    return np.exp(-(y[:, None] ** 2 + x[None] ** 2) / 2).astype(np.float32)


def evaluate_faithfulness(
    classifier: Classifier,
    crop: NDArray[np.uint8],
    target: str,
    heat: NDArray[np.float32],
    *,
    steps: int = 16,
    seed: int = 0,
    percentages: Sequence[int] = PERCENTAGES,
    recompute: MapMethod | None = None,
) -> Faithfulness:
    """Measure one map on one face: deletion, insertion, ROAD and ARCC, beside random maps and the centre prior.

    It takes about 2 * (RANDOM_MAPS + 2) * (steps + 1) predictions, in batches, and ROAD some seconds.

    The baselines are treated as methods where coherency is concerned: the centre prior is the same on any face (1 by
    definition, the largest part of its ARCC), and the random map of another face is another random map (about 0.5).

    Args:
        classifier: the model.
        crop: (S, S, 3) RGB or (S, S) grey, uint8.
        target: the expression.
        heat: (h, w) float32, the map; any method's.
        steps: of the curves.
        seed: of the random maps and of ROAD's noise.
        percentages: of the pixels that ROAD removes; empty leaves ROAD and ARCC out.
        recompute: the method that made the map, for ARCC; None leaves ARCC out.

    Raises:
        ValueError: steps is below 1.
        ImageError: the crop is not a square uint8 picture.
        UnknownNameError: the model does not know the expression.
    """
    shape = (heat.shape[0], heat.shape[1])
    random = [random_map(shape, seed + number) for number in range(RANDOM_MAPS)]
    centre = centre_prior(shape)
    pictures = []
    for one in (heat, *random, centre):
        pictures += _deleted(crop, one, steps, "mean") + _inserted(crop, one, steps, "blur")
    curves = target_probabilities(classifier, pictures, target).reshape(-1, 2, steps + 1)
    roads: Sequence[Road | None] = (None,) * 3
    scores: Sequence[Arcc | None] = (None,) * 3
    if percentages:
        size = classifier.card.input.size

        def removed(one: NDArray[np.float32]) -> Road:
            return road(classifier, crop, target, -ranking(one, size), percentages, seed)

        own_road, random_roads, centre_road = removed(heat), [removed(one) for one in random], removed(centre)
        roads = (own_road, mean_road(random_roads), centre_road)
        if recompute is not None:
            again = recompute(seen_through(crop, heat, classifier.card.input))
            triples = zip(random, [*random[1:], random[0]], random_roads, strict=True)
            scores = (
                arcc(heat, again, own_road, size),
                mean_arcc([arcc(one, other, its_road, size) for one, other, its_road in triples]),
                arcc(centre, centre, centre_road, size),
            )
    means = (curves[0], curves[1:-1].mean(0), curves[-1])
    results = [
        Curves(deleted, inserted, one_road, score)
        for (deleted, inserted), one_road, score in zip(means, roads, scores, strict=True)
    ]
    return Faithfulness(classifier.name, target, *results)


def _deleted(crop: NDArray[np.uint8], heat: NDArray[np.float32], steps: int, fill: Fill) -> list[NDArray[np.uint8]]:
    return _blends(crop, filled(crop, fill), heat, steps)


def _inserted(crop: NDArray[np.uint8], heat: NDArray[np.float32], steps: int, fill: Fill) -> list[NDArray[np.uint8]]:
    return _blends(filled(crop, fill), crop, heat, steps)


def _blends(
    first: NDArray[np.uint8], second: NDArray[np.uint8], heat: NDArray[np.float32], steps: int
) -> list[NDArray[np.uint8]]:
    """From the first picture to the second in steps + 1 pictures, the most relevant pixels first."""
    if steps < 1:
        raise ValueError(f"Expected at least 1 step; got {steps}.")
    ranks = ranking(heat, first.shape[0])
    if first.ndim == 3:
        ranks = ranks[..., None]
    limits = [round(ranks.size * step / steps) for step in range(steps + 1)]
    return [np.where(ranks < limit, second, first) for limit in limits]


def _comparison(what: str, own: float, random: float, centre: float) -> str:
    """A map's area beside those of the baselines; larger is better, the sign of an area is not shown."""
    beats_random, beats_centre = (own - other > MARGIN for other in (random, centre))
    speed = {True: "faster", False: "no faster"}
    first = f"{speed[beats_random]} than a random map (area {abs(own):.2f} against {abs(random):.2f})"
    joint = "and" if beats_random == beats_centre else "but"
    second = f"{speed[beats_centre]} than the centre prior ({abs(centre):.2f})"
    return f"{what} {first} {joint} {second}."


def _arcc_comparison(own: float, random: float, centre: float) -> str:
    """A map's ARCC beside those of the baselines."""
    against = f"against {random:.2f} for a random map and {centre:.2f} for the centre prior"
    beaten = [
        name for name, other in (("the random map", random), ("the centre prior", centre)) if own - other > MARGIN
    ]
    text = ("it beats neither", f"it beats only {beaten[0]}" if beaten else "", "it beats both")[len(beaten)]
    return f"Overall (ARCC) the map scores {own:.2f}, {against}: {text}."
