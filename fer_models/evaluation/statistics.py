"""How models compare on the same faces: intervals, tests, agreement, calibration, risk; by SciPy and scikit-learn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_models.evaluation.metrics import calibration_error

_RESAMPLES: Final = 2000
_BINS: Final = 15
#: Coverages of a risk-coverage curve.
COVERAGES: Final = tuple(round(0.05 * step, 2) for step in range(1, 21))


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % bootstrap interval; all in [0, 1], or in [-1, 1] for a difference.

    Attributes:
        value: on all faces.
        low: 2.5 % of the resamples lie below.
        high: 2.5 % of the resamples lie above.
    """

    value: float
    low: float
    high: float


def wilson(successes: int, count: int) -> Interval:
    """A share with its 95 % score interval (Wilson, 1927), which stays within [0, 1] and is wide for few faces.

    Args:
        successes: how many of them are true.
        count: faces, at least 1.
    """
    share, spread = successes / count, 1.959963985**2 / count
    middle = (share + spread / 2) / (1 + spread)
    half = ((share * (1 - share) + spread / 4) * spread) ** 0.5 / (1 + spread)
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


def share_with_interval(right: NDArray[np.bool_], *, seed: int = 0) -> Interval:
    """The share of true entries with its percentile bootstrap interval (Efron and Tibshirani, 1993, chapter 13).

    Args:
        right: (N,) bool, N at least 1.
        seed: of the resampling.
    """
    return mean_with_interval(right.astype(np.float64), seed=seed)


def mean_with_interval(values: NDArray[np.float64], *, seed: int = 0) -> Interval:
    """The mean with its percentile bootstrap interval; of paired differences, whether chance alone may explain them.

    Args:
        values: (N,) float64, N at least 1.
        seed: of the resampling.
    """
    mean = float(values.mean())
    if len(np.unique(values)) < 2:  # every resample is the same
        return Interval(mean, mean, mean)
    from scipy.stats import bootstrap  # slow to import

    result = bootstrap(
        (values,),
        np.mean,
        n_resamples=_RESAMPLES,
        method="percentile",
        batch=100,
        rng=np.random.default_rng(seed),
    )
    return Interval(mean, float(result.confidence_interval.low), float(result.confidence_interval.high))


def gap_with_interval(first: NDArray[np.bool_], second: NDArray[np.bool_], *, seed: int = 0) -> Interval:
    """How much larger one share of true entries is than another's, of other faces; both are resampled.

    Args:
        first: (N,) bool, N at least 1.
        second: (M,) bool, M at least 1.
        seed: of the resampling.

    Returns:
        The difference, first minus second, in [-1, 1], with its percentile bootstrap interval.
    """
    gap = float(first.mean() - second.mean())
    if len(np.unique(first)) < 2 and len(np.unique(second)) < 2:  # every resample is the same
        return Interval(gap, gap, gap)
    from scipy.stats import bootstrap  # slow to import

    result = bootstrap(
        (first.astype(np.float64), second.astype(np.float64)),
        lambda one, other, axis: one.mean(axis=axis) - other.mean(axis=axis),
        n_resamples=_RESAMPLES,
        method="percentile",
        batch=100,
        rng=np.random.default_rng(seed),
    )
    return Interval(gap, float(result.confidence_interval.low), float(result.confidence_interval.high))


@dataclass(frozen=True)
class PairedTest:
    """McNemar's exact test of two models on the same faces (McNemar, 1947; two-sided binomial).

    Attributes:
        first: name of a model.
        second: name of another.
        only_first: faces that only the first gets right.
        only_second: faces that only the second gets right.
        p_value: probability of so uneven a split if both were equally good.
        agreement: share of faces both give the same label.
        kappa: Cohen's kappa of their labels; NaN where it is not defined.
    """

    first: str
    second: str
    only_first: int
    only_second: int
    p_value: float
    agreement: float
    kappa: float


def paired_tests(targets: NDArray[np.int64], chosen: Mapping[str, NDArray[np.int64]]) -> list[PairedTest]:
    """Every pair of models.

    Args:
        targets: (N,) int64.
        chosen: by model, (N,) int64, the most probable expression.
    """
    from scipy.stats import binomtest  # slow to import
    from sklearn.metrics import cohen_kappa_score

    tests = []
    for first, second in combinations(chosen, 2):
        right, other = chosen[first] == targets, chosen[second] == targets
        only_first, only_second = int((right & ~other).sum()), int((~right & other).sum())
        uneven = only_first + only_second
        p_value = float(binomtest(only_first, uneven).pvalue) if uneven else 1.0
        same = float((chosen[first] == chosen[second]).mean())
        constant = len(np.union1d(chosen[first], chosen[second])) < 2
        kappa = float("nan") if constant else float(cohen_kappa_score(chosen[first], chosen[second]))
        tests.append(PairedTest(first, second, only_first, only_second, p_value, same, kappa))
    return tests


def oracle_accuracy(targets: NDArray[np.int64], chosen: Sequence[NDArray[np.int64]]) -> float:
    """Share of faces at least one model gets right: no way of choosing among them can do better."""
    return float(np.any([labels == targets for labels in chosen], axis=0).mean())


def brier_score(targets: NDArray[np.int64], probabilities: NDArray[np.float32]) -> float:
    """Mean squared distance of the probabilities from the truth, in [0, 2] (Brier, 1950).

    Args:
        targets: (N,) int64.
        probabilities: (N, C).
    """
    truth = np.eye(probabilities.shape[1])[targets]
    return float(((probabilities - truth) ** 2).sum(1).mean())


@dataclass(frozen=True)
class ReliabilityBin:
    """Faces of similar top confidence.

    Attributes:
        low: the bin's lower edge.
        high: its upper edge.
        count: faces in it.
        confidence: their mean confidence.
        accuracy: the share of them that is right.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def reliability(targets: NDArray[np.int64], probabilities: NDArray[np.float32]) -> list[ReliabilityBin]:
    """The reliability diagram's bins that hold faces (Guo et al., ICML 2017, section 2); edges as in `measure`."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == targets
    index = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    return [
        ReliabilityBin(
            low=number / _BINS,
            high=(number + 1) / _BINS,
            count=int((index == number).sum()),
            confidence=float(confidence[index == number].mean()),
            accuracy=float(right[index == number].mean()),
        )
        for number in np.unique(index).tolist()
    ]


def equal_mass_bins(
    targets: NDArray[np.int64], probabilities: NDArray[np.float32], bins: int = 10
) -> tuple[ReliabilityBin, ...]:
    """Bins with equally many faces, but for one: no point of a reliability diagram stands for a handful of faces.

    Args:
        targets: (N,) int64, N at least 1.
        probabilities: (N, C).
        bins: how many; fewer if there are fewer faces.
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == targets
    parts = np.array_split(np.argsort(confidence, kind="stable"), min(bins, len(targets)))
    return tuple(
        ReliabilityBin(
            low=float(confidence[rows[0]]),
            high=float(confidence[rows[-1]]),
            count=len(rows),
            confidence=min(1.0, float(confidence[rows].mean(dtype=np.float64))),
            accuracy=float(right[rows].mean()),
        )
        for rows in parts
    )


def calibration_gap(
    targets: NDArray[np.int64], first: NDArray[np.float32], second: NDArray[np.float32], *, seed: int = 0
) -> Interval:
    """How much larger the first model's expected calibration error is; faces are resampled, for both alike.

    Args:
        targets: (N,) int64.
        first: (N, C) probabilities.
        second: (N, C) probabilities of another model on the same faces.
        seed: of the resampling.

    Returns:
        The difference in [-1, 1] with its percentile bootstrap interval.
    """
    sure = [each.max(1) for each in (first, second)]
    right = [each.argmax(1) == targets for each in (first, second)]

    def gap(rows: NDArray[np.int64]) -> float:
        errors = [calibration_error(one[rows], other[rows]) for one, other in zip(sure, right, strict=True)]
        return errors[0] - errors[1]

    rows = np.arange(len(targets))
    if len(rows) < 2:
        return Interval(gap(rows), gap(rows), gap(rows))
    from scipy.stats import bootstrap  # slow to import

    result = bootstrap(
        (rows,), gap, n_resamples=500, method="percentile", vectorized=False, rng=np.random.default_rng(seed)
    )
    return Interval(gap(rows), float(result.confidence_interval.low), float(result.confidence_interval.high))


def risk_coverage(targets: NDArray[np.int64], probabilities: NDArray[np.float32]) -> list[tuple[float, float, float]]:
    """What is gained by abstaining below a confidence (Geifman and El-Yaniv, NeurIPS 2017).

    Returns:
        For each of `COVERAGES`: the coverage, the share of errors among the surest faces, and the least confidence
        among them.
    """
    confidence, wrong = probabilities.max(1), probabilities.argmax(1) != targets
    order = np.argsort(-confidence, kind="stable")
    curve = []
    for coverage in COVERAGES:
        kept = order[: max(1, round(coverage * len(order)))]
        curve.append((coverage, float(wrong[kept].mean()), float(confidence[kept[-1]])))
    return curve
