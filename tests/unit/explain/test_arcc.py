"""ARCC by hand, its baselines, and against the grad-cam library's own."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from explain.arcc import Arcc, arcc, coherency, complexity, mean_arcc, seen_through, unit
from explain.faithfulness import centre_prior, evaluate_faithfulness, ranking
from explain.maps import attention
from explain.road import Road, mean_road, road
from fer_models.analyzer import Analyzer
from fer_models.models.architectures import PooledClassifier
from fer_models.models.card import ModelCard
from fer_models.models.classifier import Classifier
from fer_models.models.preprocessing import InputSpec
from tests.unit.explain.test_faithfulness import BrightLeft

ROAD = Road((20, 40), (0.5, 0.3), (0.8, 0.8))  # (0.3 + 0.5) / 2 / 2 = 0.2
HEAT = np.array([[0, 1], [2, 4]], np.float32)


def test_the_score_is_the_harmonic_mean_and_nothing_makes_up_for_a_zero() -> None:
    assert Arcc(0.5, 0.25, 1.0).score == pytest.approx(3 / (2 + 4 + 1))
    assert Arcc(1, 1, 1).score == 1
    assert Arcc(1, 1, 0).score == 0


def test_parts_by_hand() -> None:
    np.testing.assert_allclose(unit(HEAT, 2), [[0, 0.25], [0.5, 1]])
    np.testing.assert_allclose(unit(HEAT - 2, 2), [[0, 0], [0, 1]])  # what speaks against it is no evidence
    np.testing.assert_allclose(unit(HEAT + 4, 2), [[0, 0.25], [0.5, 1]])  # as in the library: the least becomes 0
    assert complexity(unit(HEAT, 2)) == pytest.approx(1.75 / 4)
    # Deviations (-7, -3, 1, 9) / 16 and, of the map turned by a quarter, (1, -7, 9, -3) / 16.
    assert coherency(unit(HEAT, 2), unit(np.rot90(HEAT, -1), 2)) == pytest.approx((1 + (-7 + 21 + 9 - 27) / 140) / 2)
    found = arcc(HEAT, 3 * HEAT, ROAD, 2)
    assert (found.coherency, found.simplicity, found.road) == pytest.approx((1, 2.25 / 4, 0.4))
    assert found.score == pytest.approx(3 / (1 + 4 / 2.25 + 1 / 0.4))
    assert arcc(HEAT, 4 - HEAT, ROAD, 2).coherency == pytest.approx(0)
    mean = mean_arcc([Arcc(1, 1, 0.5), Arcc(0.2, 1, 1)])
    assert (mean.coherency, mean.simplicity, mean.road) == pytest.approx((0.6, 1, 0.75))
    assert mean.score == pytest.approx((3 / 4 + 3 / 7) / 2)  # the harmonic mean of the mean parts would be 0.75


def test_an_order_that_does_harm_scores_nothing() -> None:
    assert arcc(HEAT, HEAT, Road((50,), (0.9,), (0.1,)), 2).score == 0


@pytest.mark.parametrize("heat", [np.zeros((2, 2)), np.full((2, 2), 3.0), np.array([[np.nan, -1], [0, -np.inf]])])
def test_a_blank_map_has_nothing_in_common_with_any(heat: np.ndarray) -> None:
    found = arcc(heat.astype(np.float32), HEAT, ROAD, 2)
    assert (found.coherency, found.simplicity) == (0.5, 1)


def test_a_face_seen_through_a_map_keeps_what_is_marked() -> None:
    spec = InputSpec(2, mean=(0.4,) * 3)
    grey = np.array([[200, 200], [200, 200]], np.uint8)
    # 102 is what the network is fed as zero; the map from 0 to 1 is 0, 0.25, 0.5, 1.
    expected = [[102, round(102 + 0.25 * 98)], [151, 200]]
    np.testing.assert_array_equal(seen_through(grey, HEAT, spec), expected)
    colour = seen_through(np.repeat(grey[..., None], 3, 2), HEAT, spec)
    assert colour.shape == (2, 2, 3) and colour.dtype == np.uint8
    np.testing.assert_array_equal(colour[..., 1], expected)


def test_seeing_through_is_multiplying_the_networks_input(analyzer: Analyzer) -> None:
    classifier = analyzer.classifiers["vgg16"]
    crop = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    heat = np.random.default_rng(1).random((4, 4), np.float32)
    expected = classifier.inputs([crop]) * torch.from_numpy(unit(heat, 64)).float()
    found = classifier.inputs([seen_through(crop, heat, classifier.card.input)])
    assert float((found - expected).abs().max()) <= 0.51 / 255 / classifier.card.input.std[0]


@pytest.fixture
def bright_left() -> Classifier:
    network = PooledClassifier(BrightLeft(), 1, 2)
    with torch.no_grad():
        network.fc.weight.copy_(torch.tensor([[2.0], [0.0]]))
        network.fc.bias.zero_()
    spec = InputSpec(16, mean=(0.5,) * 3, std=(0.5,) * 3)
    card = ModelCard("fake", "Fake", "mobilenet_v2", ("fear", "anger"), spec, "none", "none", "MIT", 3, "")
    return Classifier(card, network, torch.device("cpu"))


def test_the_librarys_own_gives_the_same(bright_left: Classifier) -> None:
    """With a map whose pixels all differ, so that the library's percentiles hold."""
    from pytorch_grad_cam.metrics.arcc import ARCC

    generator = np.random.default_rng(3)
    crop = np.full((16, 16), 20, np.uint8)
    crop[:, :8] = 255
    heat, again = (generator.random((16, 16), np.float32) for _ in range(2))
    heat[:, :8] += 0.5
    cams = unit(heat, 16)[None].astype(np.float32)
    library = ARCC(lambda **_: unit(again, 16)[None].astype(np.float32))
    chosen: Callable[[torch.Tensor], torch.Tensor] = lambda row: row.softmax(0)[0]  # noqa: E731
    with torch.random.fork_rng(devices=[]):
        (expected,) = library(bright_left.inputs([crop]), cams, [chosen], bright_left.network)
    removed = road(bright_left, crop, "fear", -ranking(heat, 16))
    ours = arcc(heat, again, removed, 16)
    assert 0.3 < ours.score == pytest.approx(float(expected), abs=0.03)  # ROAD's noise differs


def test_an_evaluation_scores_the_map_and_the_baselines(bright_left: Classifier) -> None:
    crop = np.full((16, 16), 20, np.uint8)
    crop[:, :8] = 255
    left = np.zeros((4, 4), np.float32)
    left[:, :2] = 1
    asked: list[np.ndarray] = []

    def recompute(picture: np.ndarray) -> np.ndarray:
        asked.append(picture)
        return left

    result = evaluate_faithfulness(bright_left, crop, "fear", left, steps=2, percentages=(50,), recompute=recompute)
    scores = [curves.arcc for curves in (result.map, result.random, result.centre_prior)]
    own, chance, centre = [score for score in scores if score is not None]
    (picture,) = asked
    assert picture[8, 0] == 255 and picture[8, 15] == 128  # seen through the map: mid grey is zero to the network
    assert own.coherency == pytest.approx(1) and own.simplicity == pytest.approx(0.5)
    assert own.road > 0.5 > chance.road
    assert centre.coherency == pytest.approx(1) and chance.coherency == pytest.approx(0.5, abs=0.25)
    assert centre.simplicity == pytest.approx(1 - complexity(unit(centre_prior((4, 4)), 16)))
    assert own.score > max(chance.score, centre.score)
    assert f"Overall (ARCC) the map scores {own.score:.2f}" in result.sentence and "it beats both" in result.sentence
    bare = evaluate_faithfulness(bright_left, crop, "fear", left, steps=2, percentages=(50,))
    assert bare.map.arcc is None and bare.random.road is not None and "ARCC" not in bare.sentence


def test_mean_road() -> None:
    mean = mean_road([ROAD, Road((20, 40), (0.1, 0.1), (0.2, 0.4))])
    assert mean.most_first == pytest.approx((0.3, 0.2)) and mean.least_first == pytest.approx((0.5, 0.6))


def test_native_maps_are_made_again_of_the_face_seen_through_them(analyzer: Analyzer) -> None:
    """Coherency is 1 where the map hides nothing the network sees, and falls where it hides what the map rests on."""
    classifier = analyzer.classifiers["resnet50"]
    crop = np.random.default_rng(4).integers(0, 256, (8, 8), np.uint8).repeat(8, 0).repeat(8, 1)

    def made(picture: np.ndarray) -> np.ndarray:
        (answer,) = classifier.predict([picture], features=True)
        return attention(answer, classifier.class_weights)["happiness"].heat

    heat = made(crop)
    blank = np.full_like(crop, 128)
    same = arcc(heat, made(crop.copy()), ROAD, 64)
    through = arcc(heat, made(seen_through(crop, heat, classifier.card.input)), ROAD, 64)
    assert same.coherency == pytest.approx(1) and 0 < same.simplicity < 1
    assert arcc(heat, made(blank), ROAD, 64).coherency < through.coherency < same.coherency
