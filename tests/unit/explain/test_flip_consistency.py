"""Flip consistency by hand, against the training objective, and its properties."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from explain.flip_consistency import FlipConsistency, compared, flip_consistency
from explain.maps import attention
from fer_models.analyzer import Analyzer
from fer_models.errors import ImageError
from fer_models.results import Prediction
from fer_models.training.losses import attention_consistency

MAPS = arrays(np.float32, (2, 3, 3), elements=st.floats(-100, 100, width=16))


def consistency(first: object, second: object) -> FlipConsistency:
    maps, mirrored = np.array(first, np.float32), np.array(second, np.float32)
    return FlipConsistency("tiny", ("fear", "anger"), maps, mirrored)


def test_figures_by_hand() -> None:
    result = consistency([[[1, 2]], [[0, 3]]], [[[1, 0]], [[0, 3]]])
    assert result.loss == 1  # (0 + 4 + 0 + 0) / 4
    assert result.relative_loss == pytest.approx(1 / 3)  # mean squares 14 / 4 and 10 / 4, their mean 3
    # Deviations (-0.5, 0.5, -1.5, 1.5) and (0, -1, -1, 2): products 4, squares 5 and 6.
    assert result.correlation == pytest.approx(4 / np.sqrt(5 * 6))


def test_maps_are_flipped_back_and_made_with_the_heads_weights() -> None:
    def prediction(features: object) -> Prediction:
        zeros = np.zeros(2, np.float32)
        return Prediction("tiny", ("fear", "anger"), zeros, zeros, 1.0, 1.0, np.array(features, np.float32))

    weights = np.array([[1], [-2]], np.float32)
    result = compared(prediction([[[1, 2, 3]]]), prediction([[[3, 2, 5]]]), weights)
    np.testing.assert_array_equal(result.maps, [[[1, 2, 3]], [[-2, -4, -6]]])
    np.testing.assert_array_equal(result.mirrored, [[[5, 2, 3]], [[-10, -4, -6]]])
    assert result.loss == pytest.approx((16 + 64) / 6)


@pytest.mark.parametrize(
    ("first", "second", "relative", "correlation"),
    [
        ([[[0, 0]]], [[[0, 0]]], 0, 1),  # no evidence in either: equal
        ([[[2, 2]]], [[[2, 2]]], 0, 1),
        ([[[2, 2]]], [[[4, 4]]], 4 / 10, 0),  # constant, but not equal
        ([[[2, 2]]], [[[1, 3]]], 1 / 4.5, 0),
        ([[[1, -2]]], [[[-1, 2]]], 4, -1),  # opposites
        ([[[1, 0]]], [[[0, 1]]], 2, -1),  # nothing in common
    ],
)
def test_edges(first: object, second: object, relative: float, correlation: float) -> None:
    result = consistency(first, second)
    assert result.relative_loss == pytest.approx(relative)
    assert result.correlation == pytest.approx(correlation)


@given(MAPS, MAPS)
def test_the_loss_is_the_one_that_eac_trains_with(maps: NDArray[np.float32], other: NDArray[np.float32]) -> None:
    result = consistency(maps, other[..., ::-1])
    expected = attention_consistency(torch.from_numpy(maps)[None], torch.from_numpy(other)[None])
    assert result.loss == pytest.approx(float(expected), rel=1e-5, abs=1e-9)
    assert 0 <= result.relative_loss <= 4 + 1e-12 and -1 <= result.correlation <= 1


@given(MAPS)
def test_a_map_that_flips_with_the_face_has_no_loss(maps: NDArray[np.float32]) -> None:
    result = consistency(maps, maps)
    assert result.loss == result.relative_loss == 0
    assert result.correlation == pytest.approx(1)


@given(MAPS, MAPS, st.sampled_from([0.25, 4, 1024]))
def test_the_companion_figures_know_no_scale(
    maps: NDArray[np.float32], other: NDArray[np.float32], factor: float
) -> None:
    small, large = consistency(maps, other), consistency(maps * np.float32(factor), other * np.float32(factor))
    assert large.loss == pytest.approx(small.loss * factor**2)
    assert large.relative_loss == pytest.approx(small.relative_loss)
    assert large.correlation == pytest.approx(small.correlation)


def test_a_model_on_a_face_and_on_one_that_is_its_own_mirror_image(analyzer: Analyzer) -> None:
    crop = np.random.default_rng(4).integers(0, 256, (8, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    symmetric = crop.copy()
    symmetric[:, 32:] = symmetric[:, :32][:, ::-1]
    for classifier in analyzer.classifiers.values():
        result = flip_consistency(classifier, crop)
        assert result.model == classifier.name and result.labels == classifier.card.labels
        (answer,) = classifier.predict([crop], features=True)
        native = attention(answer, classifier.class_weights)
        np.testing.assert_allclose(result.maps, [native[label].heat for label in result.labels], rtol=1e-3, atol=1e-3)
        assert result.maps.dtype == result.mirrored.dtype == np.float32 and result.loss > 0
        # Of a symmetric face both passes see the same pixels, so the loss is that of the map against its own mirror
        # image, and mirroring the result changes nothing.
        even = flip_consistency(classifier, symmetric)
        np.testing.assert_allclose(even.mirrored, even.maps[..., ::-1], rtol=1e-3, atol=1e-3)


def test_a_crop_must_be_square(analyzer: Analyzer) -> None:
    with pytest.raises(ImageError, match="Expected a crop"):
        flip_consistency(analyzer.classifiers["vgg16"], np.zeros((4, 5, 3), np.uint8))
