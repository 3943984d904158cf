"""Covered crops by hand, on a fake model whose probability is a known function of the pixels."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from explain.occlusion import filled, occlude, region_effects, sensitivity_map, target_probabilities
from fer_models.analyzer import Analyzer
from fer_models.errors import ImageError, UnknownNameError
from fer_models.results import Prediction


class Weighing:
    """The probability of fear is the sum of the pixels times given weights."""

    def __init__(self, weights: object) -> None:
        self.weights = np.array(weights, np.float64)
        self.batches: list[int] = []

    def predict(self, crops: Sequence[NDArray[np.uint8]], *, features: bool = False) -> list[Prediction]:
        self.batches.append(len(crops))
        grey = [crop if crop.ndim == 2 else crop[..., 0] for crop in crops]
        fear = [float((pixels * self.weights).sum()) for pixels in grey]
        rows = [np.array([value, 1 - value], np.float32) for value in fear]
        return [Prediction("fake", ("fear", "anger"), row, row, 1.0, 0.0) for row in rows]


CROP = np.array([[0, 40], [80, 120]], np.uint8)  # its mean is 60
LEFT = np.array([[True, False], [True, False]])


def test_fills() -> None:
    colours = np.stack([CROP, CROP + 10, CROP * 0], axis=-1).astype(np.uint8)
    assert (filled(colours, "mean") == [60, 70, 0]).all()
    assert (filled(CROP, "mean") == 60).all() and filled(CROP, "mean").shape == (2, 2)
    assert (filled(colours, "grey") == 128).all()
    with pytest.raises(UnknownNameError, match="Unknown fill 'noise'. Known: mean, grey, blur"):
        filled(CROP, "noise")  # type: ignore[arg-type]


def test_the_blur_leaves_no_part_of_a_face() -> None:
    """A chessboard of squares as large as an eye keeps less than a tenth of its contrast; large shades stay."""
    board = np.kron(np.indices((8, 8)).sum(0) % 2, np.ones((8, 8))).astype(np.uint8) * 200
    blurred = filled(board, "blur")
    assert blurred.std() < 0.1 * board.std() and abs(blurred.mean() - board.mean()) < 2
    shade = np.repeat(np.linspace(0, 255, 64)[None], 64, 0).astype(np.uint8)
    assert filled(shade, "blur").std() > 0.7 * shade.std()
    np.testing.assert_array_equal(blurred, cv2.GaussianBlur(board, (0, 0), 8))


def test_occlusion_changes_what_is_masked_and_nothing_else() -> None:
    before = CROP.copy()
    np.testing.assert_array_equal(occlude(CROP, LEFT), [[60, 40], [60, 120]])
    np.testing.assert_array_equal(occlude(CROP, LEFT, "grey"), [[128, 40], [128, 120]])
    np.testing.assert_array_equal(CROP, before)
    with pytest.raises(ValueError, match=r"Expected a mask of shape \(2, 2\), the crop's; got \(3, 3\)"):
        occlude(CROP, np.ones((3, 3), bool))


@given(arrays(np.uint8, (6, 6, 3)), arrays(np.bool_, (6, 6)), st.sampled_from(["mean", "grey", "blur"]))
def test_nothing_masked_is_the_crop_and_all_masked_is_the_fill(
    crop: NDArray[np.uint8], mask: NDArray[np.bool_], fill: str
) -> None:
    covered = occlude(crop, mask, fill)  # type: ignore[arg-type]
    np.testing.assert_array_equal(covered[~mask], crop[~mask])
    np.testing.assert_array_equal(covered[mask], filled(crop, fill)[mask])  # type: ignore[arg-type]


def test_region_effects_by_hand_in_one_batch() -> None:
    model = Weighing([[0, 0], [0.01, 0]])  # looks at the lower left pixel only
    masks = {"left": LEFT, "right": ~LEFT, "none": np.zeros((2, 2), bool)}
    effects = region_effects(model, CROP, masks, "fear")
    assert effects.target == "fear" and effects.before == pytest.approx(0.8)
    assert effects.after == pytest.approx({"left": 0.6, "right": 0.8, "none": 0.8})
    opposite = region_effects(model, CROP, masks, "anger")
    assert opposite.after["left"] - opposite.before == pytest.approx(0.2)
    assert region_effects(model, CROP, masks, "fear", "grey").after["left"] == pytest.approx(1.28)
    assert model.batches == [4, 4, 4]


def test_sensitivity_by_hand() -> None:
    crop = np.zeros((4, 4), np.uint8)
    crop[:, 2:] = 100  # mean 50
    weights = np.zeros((4, 4))
    weights[0, 3] = 0.01
    model = Weighing(weights)
    # Windows as large as their step tile the crop; only the upper right one covers the pixel that counts: 1 -> 0.5.
    tiles = sensitivity_map(model, crop, "fear", window=2, stride=2)
    np.testing.assert_allclose(tiles, np.array([[0, 0.5], [0, 0]]), atol=1e-6)
    assert tiles.dtype == np.float32 and model.batches == [5]
    # Windows of 2 px around single pixels reach one pixel up and left: rows 0 and 1 and column 3 hold the pixel.
    fine = sensitivity_map(model, crop, "fear", window=2, stride=1)
    assert fine.shape == (4, 4)
    assert sorted(zip(*np.nonzero(fine > 0.4), strict=True)) == [(0, 3), (1, 3)]


def test_windows_cover_every_pixel_of_any_crop() -> None:
    for side in (1, 5, 48):
        crop = np.full((side, side), 100, np.uint8)
        crop[0] = 0
        size = side * side
        model = Weighing(np.full((side, side), 1 / (255 * size)))
        heat = sensitivity_map(model, crop, "fear")
        assert heat.shape[0] == heat.shape[1] and np.isfinite(heat).all()
    assert heat.shape == (8, 8)  # a window of 12 px, every 6 px


@pytest.mark.parametrize(("window", "stride"), [(0, 1), (1, 0)])
def test_windows_need_a_size(window: int, stride: int) -> None:
    with pytest.raises(ValueError, match="at least 1 px"):
        sensitivity_map(Weighing([[0]]), CROP, "fear", window=window, stride=stride)


def test_a_model_says_what_it_does_not_know(analyzer: Analyzer) -> None:
    classifier = analyzer.classifiers["vgg16"]
    with pytest.raises(UnknownNameError, match="Unknown expression for model vgg16 'contempt'"):
        sensitivity_map(classifier, np.zeros((16, 16, 3), np.uint8), "contempt")
    with pytest.raises(ImageError, match="Expected a crop"):
        target_probabilities(classifier, [np.zeros((4, 5, 3), np.uint8)], "fear")
    crop = np.random.default_rng(5).integers(0, 256, (8, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    heat = sensitivity_map(classifier, crop, "fear")
    assert heat.shape == (8, 8) and np.ptp(heat) > 0
