"""Attention on a test set: flip consistency, faithfulness, facial regions, and mean maps.

Everything is plain data, ready for JSON, and none of it is a face: maps and pictures are means over many faces.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from explain.faithfulness import RANDOM_MAPS, Curves, Faithfulness, evaluate_faithfulness
from explain.flip_consistency import FlipConsistency, compared
from explain.maps import NO_MAP, attention
from explain.regions import attention_shares, region_masks
from explain.road import PERCENTAGES
from fer_models.errors import ExplanationError
from fer_models.expressions import in_display_order
from fer_models.faces.alignment import TEMPLATE
from fer_models.models.classifier import Classifier
from fer_models.results import Prediction

#: A mean face of fewer faces is left out: it might show one of them.
LEAST_FACES: Final = 30
#: Side in px of a mean face.
MEAN_SIDE: Final = 32
#: What each figure means; it stands in the file beside them.
WHAT: Final[dict[str, str]] = {
    "interval": "95 % bootstrap interval of the mean over faces (percentile method)",
    "consistency.loss": "mean squared difference of the class attention maps of a face and of its mirror image, "
    "flipped back, over all expressions (Zhang et al., ECCV 2022, equation 4); in squared units of the model's logits, "
    "so not comparable between models",
    "consistency.relative_loss": "loss over the mean square of the maps: 0 equal, 2 nothing in common, 4 opposed",
    "consistency.correlation": "Pearson's correlation over the same entries: of the maps of all expressions together, "
    "so differences of level between them, which are the logits', count too",
    "faithfulness": "native map of the predicted class; areas under the deletion curve (covered with the "
    "mean colour; lower is better) and the insertion curve (uncovered from the blurred face; higher is better) "
    "(Petsiuk et al., BMVC 2018); random: mean of random maps of the same shape; blob: the centre prior, a Gaussian in "
    "the middle; gain: how much better than these, per face",
    "faithfulness.road": "half of (least - most relevant first), mean over percentages (Rong et al., ICML 2022); "
    "higher is better",
    "faithfulness.arcc": "harmonic mean of coherency, simplicity and ROAD (Domeniconi et al., ICPR 2026, arXiv "
    "2605.14641), in [0, 1]; higher is better; random: mean of the random maps' scores; the centre prior's coherency "
    "is 1 by definition",
    "regions": "shares of the positive evidence for the labelled expression, by label; faces whose map has none are "
    "counted, not averaged; areas: each region's share of the crop",
    "atlas.labelled": "mean map of an expression over the faces labelled with it",
    "atlas.answered": "mean map of an expression over the faces the model predicts it for",
    "mean_faces": f"mean grey levels of the faces with one label, {MEAN_SIDE} px, {LEAST_FACES} faces at least",
}
_CHUNK: Final = 16  # crops per pass; each comes with its mirror image
_QUANTILES: Final = (5, 25, 50, 75, 95)
_RESAMPLES: Final = 2000


def study(
    classifier: Classifier,
    crops: Sequence[NDArray[np.uint8]],
    labels: Sequence[str],
    *,
    tested: int,
    steps: int,
    seed: int,
    road: bool = False,
    progress: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """All figures of one model.

    Args:
        classifier: the model.
        crops: at least one, square, uint8, of one side; their landmarks lie on the template.
        labels: the true expression of each.
        tested: how many of them, from the first, are tested for faithfulness.
        steps: of the deletion and insertion curves.
        seed: of the bootstrap and the random maps.
        road: whether ROAD and ARCC are measured too; some seconds per face.
        progress: called after every crop's maps and after every test of faithfulness.

    Returns:
        Plain data, as `WHAT` describes it: "accuracy", "consistency", "faithfulness", "regions", "atlas".

    Raises:
        ExplanationError: the model has no class attention maps.
    """
    weights = classifier.class_weights
    if weights is None:
        raise ExplanationError(NO_MAP)
    masks = region_masks(TEMPLATE * np.float32(crops[0].shape[0]), crops[0].shape[0])
    consistencies: list[FlipConsistency] = []
    shares: dict[str, list[dict[str, float]]] = {}
    atlas: dict[str, dict[str, list[NDArray[np.float32]]]] = {"labelled": {}, "answered": {}}
    evaluations: list[Faithfulness] = []
    correct = 0
    for row, (prediction, mirror) in enumerate(_predictions(classifier, crops)):
        label = labels[row]
        consistencies.append(compared(prediction, mirror, weights))
        maps = attention(prediction, weights)
        correct += prediction.label == label
        atlas["answered"].setdefault(prediction.label, []).append(maps[prediction.label].heat)
        if label in maps:
            atlas["labelled"].setdefault(label, []).append(maps[label].heat)
            shares.setdefault(label, []).append(attention_shares(maps[label].heat, masks))
        progress()
        if row < tested:
            heat, percentages = maps[prediction.label].heat, PERCENTAGES if road else ()
            # Other random maps for every face: they must not favour the same corner of all of them.
            own_seed, recompute = seed + RANDOM_MAPS * row, partial(_native, classifier, prediction.label)
            evaluations.append(
                evaluate_faithfulness(
                    *(classifier, crops[row], prediction.label, heat),
                    steps=steps,
                    seed=own_seed,
                    percentages=percentages,
                    recompute=recompute,
                )
            )
            progress()
    return {
        "accuracy": correct / len(crops),
        "consistency": {
            name: summary([getattr(one, name) for one in consistencies], seed)
            for name in ("loss", "relative_loss", "correlation")
        },
        "faithfulness": _faithfulness(evaluations, steps, seed),
        "regions": {name: _regions(shares[name], seed) for name in in_display_order(shares)},
        "atlas": {kind: _atlas(maps) for kind, maps in atlas.items()},
    }


def summary(values: Sequence[float], seed: int) -> dict[str, Any]:
    """Mean with its interval, and quantiles.

    Args:
        values: at least one.
        seed: of the bootstrap.

    Returns:
        "count", "mean", "interval" (of the mean; None for a single value) and "quantiles" by percentage.
    """
    numbers = np.asarray(values, np.float64)
    interval = None
    if len(numbers) > 1:
        from scipy.stats import bootstrap  # slow to import

        generator = np.random.default_rng(seed)
        result = bootstrap((numbers,), np.mean, n_resamples=_RESAMPLES, batch=100, method="percentile", rng=generator)
        interval = [_short(bound) for bound in result.confidence_interval]
    quantiles = dict(zip(map(str, _QUANTILES), map(_short, np.percentile(numbers, _QUANTILES)), strict=True))
    return {"count": len(numbers), "mean": _short(numbers.mean()), "interval": interval, "quantiles": quantiles}


def mean_faces(crops: Sequence[NDArray[np.uint8]], labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The mean face of each expression, and of all as "all"; those of fewer than `LEAST_FACES` are left out.

    Args:
        crops: (S, S) grey uint8, of one side.
        labels: the expression of each.

    Returns:
        By expression: "count", and "pixels", MEAN_SIDE rows of whole grey levels.
    """
    groups = {name: [crop for crop, label in zip(crops, labels, strict=True) if label == name]
              for name in in_display_order(set(labels))} | {"all": list(crops)}  # fmt: skip
    found = {}
    for name, group in groups.items():
        if len(group) >= LEAST_FACES:
            mean: NDArray[np.float64] = np.asarray(np.mean(np.stack(group), axis=0, dtype=np.float64))
            small = cv2.resize(mean, (MEAN_SIDE, MEAN_SIDE), interpolation=cv2.INTER_AREA)
            found[name] = {"count": len(group), "pixels": np.rint(small).astype(int).tolist()}
    return found


def _predictions(classifier: Classifier, crops: Sequence[NDArray[np.uint8]]) -> Iterator[tuple[Prediction, Prediction]]:
    """Each crop's prediction and its mirror image's, with features, a few at a time to bound the memory."""
    for start in range(0, len(crops), _CHUNK):
        chunk = crops[start : start + _CHUNK]
        answers = classifier.predict([*chunk, *(crop[:, ::-1] for crop in chunk)], features=True)
        yield from zip(answers[: len(chunk)], answers[len(chunk) :], strict=True)


def _native(classifier: Classifier, target: str, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    (prediction,) = classifier.predict([crop], features=True)
    return attention(prediction, classifier.class_weights)[target].heat


def _faithfulness(evaluations: Sequence[Faithfulness], steps: int, seed: int) -> dict[str, Any] | None:
    if not evaluations:
        return None

    def beside(of: Callable[[Curves], float], better: int = 1) -> dict[str, Any]:
        own, random, centre = (
            np.array([of(curves) for curves in group])
            for group in zip(*((one.map, one.random, one.centre_prior) for one in evaluations), strict=True)
        )
        figures = {"map": own, "random": random, "blob": centre}
        figures |= {"gain_over_random": better * (own - random), "gain_over_blob": better * (own - centre)}
        return {name: summary(values.tolist(), seed) for name, values in figures.items()}

    measured = all(one.map.road is not None for one in evaluations)
    return {
        "faces": len(evaluations),
        "steps": steps,
        "deletion": beside(lambda curves: curves.deletion_area, -1),
        "insertion": beside(lambda curves: curves.insertion_area),
        "road": beside(lambda curves: curves.road.combined if curves.road else 0.0) if measured else None,
        "arcc": beside(lambda curves: curves.arcc.score if curves.arcc else 0.0) if measured else None,
    }


def _regions(shares: Sequence[Mapping[str, float]], seed: int) -> dict[str, Any]:
    shown = [one for one in shares if any(one.values())]
    means = {name: summary([one[name] for one in shown], seed) for name in shares[0]} if shown else {}
    return {"faces": len(shares), "without_evidence": len(shares) - len(shown), "shares": means}


def _atlas(maps: Mapping[str, Sequence[NDArray[np.float32]]]) -> dict[str, Any]:
    return {
        name: {
            "faces": len(maps[name]),
            "map": [[_short(value) for value in row] for row in np.mean(np.stack(maps[name]), axis=0)],
        }
        for name in in_display_order(maps)
    }


def _short(value: float) -> float:
    """Five significant digits: more would be noise, and a file twice as long."""
    return float(f"{value:.5g}")
