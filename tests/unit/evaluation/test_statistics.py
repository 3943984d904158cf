"""Statistics of models on the same faces, by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest

from fer_models.evaluation.metrics import measure
from fer_models.evaluation.statistics import (
    COVERAGES,
    Interval,
    brier_score,
    calibration_gap,
    equal_mass_bins,
    mean_with_interval,
    oracle_accuracy,
    paired_tests,
    reliability,
    risk_coverage,
    share_with_interval,
    wilson,
)


def sure(labels: list[int], confidences: list[float], classes: int = 7) -> NDArray[np.float32]:
    table = np.zeros((len(labels), classes), np.float32)
    for row, label, confidence in zip(table, labels, confidences, strict=True):
        row[:] = (1 - confidence) / (classes - 1)
        row[label] = confidence
    return table


@pytest.mark.parametrize(("successes", "count"), [(1, 1), (0, 3), (50, 100), (998, 1000)])
def test_wilsons_interval_is_scipys(successes: int, count: int) -> None:
    reference = binomtest(successes, count).proportion_ci(method="wilson")
    interval = wilson(successes, count)
    assert (interval.value, interval.low, interval.high) == pytest.approx(
        (successes / count, reference.low, reference.high), abs=1e-9
    )


def test_equal_mass_bins_by_hand() -> None:
    """Seven faces in three bins: the three least confident ones, then two, then two."""
    table = sure([0, 1, 1, 0, 0, 1, 0], [0.9, 0.5, 0.6, 0.4, 0.8, 0.99, 0.7])
    low, middle, high = equal_mass_bins(np.zeros(7, np.int64), table, 3)
    assert [each.count for each in (low, middle, high)] == [3, 2, 2]
    assert [each.accuracy for each in (low, middle, high)] == pytest.approx([1 / 3, 1, 0.5])
    assert [each.confidence for each in (low, middle, high)] == pytest.approx([0.5, 0.75, 0.945])
    assert (low.low, low.high, high.low) == pytest.approx((0.4, 0.6, 0.9))
    assert len(equal_mass_bins(np.zeros(1, np.int64), table[:1])) == 1  # one face is one bin


def test_the_interval_of_a_share() -> None:
    right = np.arange(400) < 300
    interval = share_with_interval(right)
    assert interval.value == 0.75
    spread = 1.96 * math.sqrt(0.75 * 0.25 / 400)  # the normal approximation
    assert interval.low == pytest.approx(0.75 - spread, abs=0.008)
    assert interval.high == pytest.approx(0.75 + spread, abs=0.008)
    assert share_with_interval(right) == interval  # seeded
    assert share_with_interval(np.ones(5, bool)).low == 1.0


def test_mcnemar_by_hand() -> None:
    """Two faces only A gets right, none only B: 2 heads of 2, two-sided p = 1/2."""
    targets = np.array([0, 1, 2, 3])
    (test,) = paired_tests(targets, {"a": np.array([0, 1, 2, 0]), "b": np.array([0, 1, 0, 0]) * [1, 0, 1, 1]})
    assert (test.first, test.second, test.only_first, test.only_second) == ("a", "b", 2, 0)
    assert test.p_value == pytest.approx(0.5)
    assert test.agreement == 0.5
    same = paired_tests(targets, {"a": targets, "b": targets})[0]
    assert (same.p_value, same.agreement, same.kappa) == (1.0, 1.0, 1.0)
    constant = paired_tests(targets, {"a": np.zeros(4, int), "b": np.zeros(4, int)})[0]
    assert math.isnan(constant.kappa)


def test_a_paired_mean_is_surer_than_its_parts() -> None:
    """Two models that are right on the same faces, but for ten of a hundred: the difference is surely above 0."""
    first = np.tile([1.0, 0.0], 50)
    second = first - (np.arange(100) % 10 == 0)
    found = mean_with_interval(first - second)
    assert found.value == pytest.approx(0.1) and 0.03 < found.low < 0.1 < found.high < 0.17
    assert mean_with_interval(np.zeros(3)) == Interval(0, 0, 0)


def test_the_gap_of_two_calibration_errors() -> None:
    """Both sure at 0.9; one is always right (error 0.1), one half of the time (0.4)."""
    targets = np.zeros(400, np.int64)
    always, half = sure([0] * 400, [0.9] * 400), sure([0, 1] * 200, [0.9] * 400)
    found = calibration_gap(targets, half, always)
    assert found.value == pytest.approx(0.3, abs=1e-6) and 0.23 < found.low < 0.3 < found.high < 0.37
    assert calibration_gap(targets, always, always) == Interval(0, 0, 0)
    assert calibration_gap(targets[:1], half[:1], always[:1]).value == 0


def test_oracle_and_brier_by_hand() -> None:
    targets = np.array([0, 1, 2])
    assert oracle_accuracy(targets, [np.array([0, 0, 0]), np.array([1, 1, 0])]) == pytest.approx(2 / 3)
    # right at 0.8 of two classes: 0.2^2 + 0.2^2; wrong at 0.6: 0.6^2 + 0.6^2
    probabilities = sure([0, 0], [0.8, 0.6], classes=2)
    assert brier_score(np.array([0, 1]), probabilities) == pytest.approx((0.08 + 0.72) / 2)


def test_risk_falls_with_abstention() -> None:
    """Twenty faces, the five least sure are wrong."""
    targets = np.zeros(20, int)
    labels = [0] * 15 + [1] * 5
    probabilities = sure(labels, [0.99 - 0.01 * index for index in range(20)])
    curve = {coverage: (risk, least) for coverage, risk, least in risk_coverage(targets, probabilities)}
    assert list(curve) == list(COVERAGES)
    assert curve[0.75][0] == 0
    assert curve[1.0][0] == pytest.approx(0.25)
    assert curve[0.05][1] == pytest.approx(0.99)
    assert curve[1.0][1] == pytest.approx(0.80)


@given(st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_bins_hold_every_face_and_give_the_calibration_error(count: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(7), count).astype(np.float32)
    targets = generator.integers(0, 7, count)
    bins = reliability(targets, probabilities)
    assert sum(each.count for each in bins) == count
    assert all(each.low - 1e-6 <= each.confidence <= each.high + 1e-6 for each in bins)
    error = sum(abs(each.accuracy - each.confidence) * each.count for each in bins) / count
    assert error == pytest.approx(measure(targets, probabilities).expected_calibration_error, abs=1e-5)
