"""Deletion, insertion and ROAD by hand on fake models, and what the sentence may claim."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from explain.faithfulness import (
    RANDOM_MAPS,
    Curves,
    Faithfulness,
    area,
    centre_prior,
    deletion,
    evaluate_faithfulness,
    insertion,
    random_map,
    ranking,
)
from explain.maps import attention
from explain.road import Road, road
from fer_models.analyzer import Analyzer
from fer_models.errors import UnknownNameError
from fer_models.models.architectures import PooledClassifier
from fer_models.models.card import ModelCard
from fer_models.models.classifier import Classifier
from fer_models.models.preprocessing import InputSpec
from tests.unit.explain.test_occlusion import Weighing

CROP = np.array([[0, 40], [80, 120]], np.uint8)  # its mean is 60
HEAT = np.array([[0, 1], [2, 3]], np.float32)  # the order: lower right, lower left, upper right, upper left


def test_deletion_by_hand() -> None:
    model = Weighing([[0, 0.001], [0.002, 0.004]])
    # 0.68 as it is; then 120 -> 60 costs 0.24, 80 -> 60 costs 0.04, 40 -> 60 adds 0.02, the last pixel counts nothing.
    curve = deletion(model, CROP, "fear", HEAT, steps=4)
    np.testing.assert_allclose(curve, [0.68, 0.44, 0.40, 0.42, 0.42], atol=1e-6)
    np.testing.assert_allclose(deletion(model, CROP, "fear", HEAT, steps=2), [0.68, 0.40, 0.42], atol=1e-6)
    np.testing.assert_allclose(deletion(model, CROP, "fear", HEAT, 1, "grey"), [0.68, 128 * 0.007], atol=1e-6)
    assert area(curve) == pytest.approx((0.34 + 0.44 + 0.40 + 0.42 + 0.21) / 4)


def test_insertion_by_hand() -> None:
    model = Weighing([[0, 0.001], [0.002, 0.004]])
    # From all pixels at 60, 0.42: the steps of deletion, the other way.
    curve = insertion(model, CROP, "fear", HEAT, steps=4, fill="mean")
    np.testing.assert_allclose(curve, [0.42, 0.66, 0.70, 0.68, 0.68], atol=1e-6)
    assert insertion(model, CROP, "fear", HEAT)[-1] == pytest.approx(0.68)
    assert model.batches == [5, 17]


@given(arrays(np.uint8, (4, 4)), arrays(np.float32, (2, 2), elements=st.floats(-5, 5, width=16)))
def test_uncovering_undoes_covering_in_the_opposite_order(crop: NDArray[np.uint8], heat: NDArray[np.float32]) -> None:
    """From one baseline, n pixels uncovered is the same picture as 16 - n covered in the opposite order."""
    model = Weighing(np.random.default_rng(0).random((4, 4)) / 4096)
    ranks = ranking(heat, 4).astype(np.float32)
    shown = insertion(model, crop, "fear", -ranks, fill="mean")
    hidden = deletion(model, crop, "fear", ranks)
    np.testing.assert_allclose(shown, hidden[::-1], atol=1e-6)


def test_no_map_beats_the_true_order_and_none_is_worse_than_its_opposite() -> None:
    generator = np.random.default_rng(1)
    weights = generator.random((6, 6)) / 3000
    crop = generator.integers(100, 256, (6, 6)).astype(np.uint8)
    model = Weighing(weights)
    truth = (weights * (crop - np.rint(crop.mean()))).astype(np.float32)  # what covering each pixel costs
    best, worst = (area(deletion(model, crop, "fear", heat, 36)) for heat in (truth, -truth))
    for seed in range(20):
        assert best <= area(deletion(model, crop, "fear", random_map((6, 6), seed), 36)) <= worst


@pytest.mark.parametrize("steps", [0, -1])
def test_curves_need_a_step(steps: int) -> None:
    with pytest.raises(ValueError, match="at least 1 step"):
        deletion(Weighing([[0]]), CROP, "fear", HEAT, steps)


@pytest.mark.parametrize(("curve", "expected"), [([1, 1, 1], 1), ([1, 0], 0.5), ([1, 0, 0], 0.25), ([0, 1, 0], 0.5)])
def test_area(curve: list[float], expected: float) -> None:
    assert area(np.array(curve, np.float64)) == expected


@given(arrays(np.float32, (3, 4), elements=st.floats(width=32)), st.integers(1, 12))
def test_every_pixel_has_a_rank_of_its_own(heat: NDArray[np.float32], side: int) -> None:
    ranks = ranking(np.clip(heat, -1e30, 1e30), side)
    np.testing.assert_array_equal(np.sort(ranks.ravel()), np.arange(side * side))


def test_ranks_follow_the_evidence_with_its_sign_and_ties_are_scattered() -> None:
    np.testing.assert_array_equal(ranking(np.array([[-1, 3], [0, np.nan]], np.float32), 2)[0], [3, 0])
    half = np.zeros((1, 2), np.float32)
    half[0, 1] = 1
    ranks = ranking(np.repeat(half, 16, 1).astype(np.float32), 32)
    assert ranks[:, 16:].max() == 511 and ranks[:, :16].min() == 512
    rows = np.argsort(ranks[:, :16], axis=None)[:64] // 16  # of the zeros, those that come first
    assert len(np.unique(rows)) > 16


def test_baselines() -> None:
    noise = random_map((7, 5), 3)
    assert noise.shape == (7, 5) and noise.dtype == np.float32 and 0 <= noise.min() < noise.max() < 1
    np.testing.assert_array_equal(noise, random_map((7, 5), 3))
    assert (noise != random_map((7, 5), 4)).any()
    centre = centre_prior((7, 5))
    assert centre.shape == (7, 5) and centre.dtype == np.float32 and centre[3, 2] == centre.max() == 1
    np.testing.assert_allclose(centre, centre[::-1, ::-1])
    # One sigma, a quarter of the side, off the middle: exp(-1 / 2).
    assert centre_prior((4, 4))[1, 1] == pytest.approx(np.exp(-2 * 0.5**2 / 2))


def results_of(own: tuple[float, float], noise: tuple[float, float], centre: tuple[float, float]) -> Faithfulness:
    first, second, third = (Curves(np.full(3, down), np.full(3, up)) for down, up in (own, noise, centre))
    return Faithfulness("tiny", "fear", first, second, third)


@pytest.mark.parametrize(
    ("own", "noise", "centre", "deleting", "inserting"),
    [
        (
            (0.31, 0.70), (0.52, 0.40), (0.30, 0.60),
            "faster than a random map (area 0.31 against 0.52) but no faster than the centre prior (0.30)",
            "faster than a random map (area 0.70 against 0.40) and faster than the centre prior (0.60)",
        ),
        (
            (0.50, 0.40), (0.505, 0.405), (0.60, 0.60),
            "no faster than a random map (area 0.50 against 0.51) but faster than the centre prior (0.60)",
            "no faster than a random map (area 0.40 against 0.41) and no faster than the centre prior (0.60)",
        ),
    ],
)  # fmt: skip
def test_the_sentence_claims_what_the_areas_show(
    own: tuple[float, float], noise: tuple[float, float], centre: tuple[float, float], deleting: str, inserting: str
) -> None:
    assert results_of(own, noise, centre).sentence == (
        f"Deleting what the map marks lowers the confidence {deleting}. "
        f"Inserting only what it marks raises the confidence {inserting}."
    )


def test_an_evaluation_holds_what_the_single_functions_give(analyzer: Analyzer) -> None:
    classifier = analyzer.classifiers["eac_resnet50"]
    crop = np.random.default_rng(6).integers(0, 256, (8, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    (answer,) = classifier.predict([crop], features=True)
    heat = attention(answer, classifier.class_weights)[answer.label].heat
    result = evaluate_faithfulness(classifier, crop, answer.label, heat, steps=4, seed=5, percentages=[50])
    assert (result.model, result.target) == (classifier.name, answer.label)
    np.testing.assert_allclose(
        result.map.deletion, deletion(classifier, crop, answer.label, heat, 4), rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(
        result.map.insertion, insertion(classifier, crop, answer.label, heat, 4), rtol=1e-3, atol=1e-4
    )
    centre = centre_prior((heat.shape[0], heat.shape[1]))
    np.testing.assert_allclose(
        result.centre_prior.deletion, deletion(classifier, crop, answer.label, centre, 4), rtol=1e-3, atol=1e-4
    )
    maps = [random_map((heat.shape[0], heat.shape[1]), 5 + number) for number in range(RANDOM_MAPS)]
    areas = [area(insertion(classifier, crop, answer.label, one, 4)) for one in maps]
    assert result.random.insertion_area == pytest.approx(np.mean(areas), rel=1e-3)
    assert result.map.deletion[0] == pytest.approx(answer.confidence, rel=1e-3)
    assert result.map.road is not None and result.map.road.percentages == (50,)
    assert evaluate_faithfulness(classifier, crop, answer.label, heat, steps=1, percentages=()).map.road is None


class BrightLeft(torch.nn.Module):
    """Features (N, 1, 1, 1): how much brighter than mid grey the left half is, on the input's own scale."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :1, :, : x.shape[-1] // 2].mean((2, 3), keepdim=True)


@pytest.fixture
def bright_left() -> Classifier:
    network = PooledClassifier(BrightLeft(), 1, 2)
    with torch.no_grad():
        network.fc.weight.copy_(torch.tensor([[2.0], [0.0]]))
        network.fc.bias.zero_()
    spec = InputSpec(16, mean=(0.5,) * 3, std=(0.5,) * 3)
    card = ModelCard("fake", "Fake", "mobilenet_v2", ("fear", "anger"), spec, "none", "none", "MIT", 3, "")
    return Classifier(card, network, torch.device("cpu"))


def test_road_removes_what_the_map_marks(bright_left: Classifier) -> None:
    """Bright on the left, black on the right: removing the left half makes it dark, removing the right nothing."""
    crop = np.zeros((16, 16), np.uint8)
    crop[:, :8] = 255
    left = np.repeat(np.arange(16)[None] < 8, 16, 0)
    scattered = np.random.default_rng(0).permutation(256).reshape(16, 16) / 256
    result = road(bright_left, crop, "fear", left + scattered, [50, 25], seed=1)
    before = 1 / (1 + np.exp(-2))  # the left half is 1, the logits are 2 and 0
    assert result.percentages == (50, 25)
    # Half of the pixels, all of the left half, take the value of the black right half beside them: -1.
    assert result.most_first[0] == pytest.approx(1 / (1 + np.exp(2)), abs=0.01)
    assert list(result.least_first) == pytest.approx([before, before], abs=0.01)
    # A scattered half of the left half is filled from its bright neighbours: nothing is lost that could be guessed.
    assert result.most_first[1] == pytest.approx(before, abs=0.05)
    assert result.combined == pytest.approx(np.subtract(result.least_first, result.most_first).mean() / 2)


def test_road_is_the_librarys_repeatable_and_leaves_the_generator_alone(bright_left: Classifier) -> None:
    from pytorch_grad_cam.metrics.road import ROADCombined

    crop = np.random.default_rng(2).integers(0, 256, (16, 16), np.uint8)
    ranks = np.random.default_rng(3).permutation(256).reshape(16, 16) / 256
    state = torch.get_rng_state()
    first, second = (road(bright_left, crop, "fear", ranks, (20, 40, 60, 80), seed=7) for _ in range(2))
    assert first == second != road(bright_left, crop, "fear", ranks, (20, 40, 60, 80), seed=8)
    assert torch.equal(torch.get_rng_state(), state)
    target: Callable[[torch.Tensor], torch.Tensor] = lambda row: row.softmax(0)[0]  # noqa: E731
    with torch.random.fork_rng(devices=[]):
        library = ROADCombined([20, 40, 60, 80])
        (expected,) = library(bright_left.inputs([crop]), ranks[None], [target], bright_left.network)
    assert first.combined == pytest.approx(expected, abs=0.01)  # the noise differs


def test_road_says_what_does_not_fit(bright_left: Classifier) -> None:
    crop = np.zeros((16, 16), np.uint8)
    with pytest.raises(UnknownNameError, match="contempt"):
        road(bright_left, crop, "contempt", np.zeros((16, 16)))
    with pytest.raises(ValueError, match=r"Expected ranks of shape \(16, 16\), the network's input; got \(7, 7\)"):
        road(bright_left, crop, "fear", np.zeros((7, 7)))


@pytest.mark.parametrize("value", [0, -1])
def test_a_blank_map_is_evaluated_like_a_random_one(bright_left: Classifier, value: float) -> None:
    crop = np.random.default_rng(2).integers(0, 256, (16, 16), np.uint8)
    result = evaluate_faithfulness(bright_left, crop, "fear", np.full((2, 2), value, np.float32), steps=2)
    assert np.isfinite(result.map.deletion).all()
    assert result.map.road is not None and np.isfinite(result.map.road.combined)


def test_combined_by_hand() -> None:
    assert Road((20, 40), (0.25, 0.0), (0.75, 1.0)).combined == 0.375
