"""RISE by hand, on the fake model of test_occlusion whose probability is a known function of the pixels."""

import numpy as np
import pytest

from explain.rise import random_masks, rise
from fer_models.errors import UnknownNameError
from tests.unit.explain.test_occlusion import CROP, Weighing

# The fill is mid grey, 128; only the upper left pixel counts, and it is white.
PIXEL = np.array([[255, 128], [128, 128]], np.uint8)
UPPER_LEFT = Weighing([[1 / 255, 0], [0, 0]])


def test_masks_are_shifted_grids_with_soft_edges() -> None:
    masks = random_masks(np.random.default_rng(3), 4000, 12, 3)
    assert masks.shape == (4000, 12, 12) and masks.dtype == np.float32
    assert masks.min() == 0 and masks.max() == 1 and ((masks > 0) & (masks < 1)).any()
    np.testing.assert_allclose(masks.mean(0), 0.5, atol=0.05)  # a place near an edge is seen as often as any other
    fewer = random_masks(np.random.default_rng(3), 4000, 12, 3, keep=0.25)
    np.testing.assert_allclose(fewer.mean(0), 0.25, atol=0.05)
    neighbours = np.corrcoef(masks[:, 6, 6], masks[:, 6, 7])[0, 1]
    assert neighbours > 0.8 > abs(np.corrcoef(masks[:, 6, 0], masks[:, 6, 11])[0, 1]) + 0.7
    np.testing.assert_array_equal(masks, random_masks(np.random.default_rng(3), 4000, 12, 3))


def test_a_grid_as_fine_as_the_picture_is_enlarged_by_hand() -> None:
    """Two cells become three pixels: the first, their mean, the second. A cell of one pixel leaves nothing to shift."""
    cells = (np.random.default_rng(5).random((1, 2, 2)) < 0.5).astype(float)[0]
    (mask,) = random_masks(np.random.default_rng(5), 1, 2, 2)
    rows = np.array([[1, 0], [0.5, 0.5]])
    np.testing.assert_allclose(mask, rows @ cells @ rows.T, atol=1e-6)


def test_the_map_is_the_definition() -> None:
    weights = np.array([[1, 2], [3, 4]]) / 2550
    model = Weighing(weights)
    heat = rise(model, CROP, "fear", masks=50, grid=2, fill="grey", seed=7)
    generator = np.random.default_rng(7)
    masks = np.concatenate([random_masks(generator, count, 2, 2) for count in (32, 18)]).astype(float)
    views = np.rint(128 + masks * (CROP.astype(float) - 128))
    scores = (views * weights).sum((1, 2))
    expected = (scores[:, None, None] * masks).sum(0) / (50 * 0.5)
    np.testing.assert_allclose(heat, expected, rtol=1e-5)
    assert heat.dtype == np.float32 and model.batches == [32, 18]
    centred = rise(model, CROP, "fear", masks=50, grid=2, fill="grey", seed=7, centred=True)
    expected = ((scores - scores.mean())[:, None, None] * masks).sum(0) / (50 * 0.5)
    np.testing.assert_allclose(centred, expected, atol=1e-6)


def test_the_place_that_counts_stands_out() -> None:
    heat = rise(UPPER_LEFT, PIXEL, "fear", masks=640, grid=2, fill="grey", centred=True)
    assert heat.argmax() == 0 and heat[0, 0] > 0.1
    against = rise(UPPER_LEFT, PIXEL, "anger", masks=640, grid=2, fill="grey", centred=True)
    np.testing.assert_allclose(against, -heat, atol=1e-5)


def test_seeds_progress_and_stopping() -> None:
    shares: list[float] = []
    one = rise(UPPER_LEFT, PIXEL, "fear", masks=64, grid=2, seed=1, progress=shares.append)
    assert shares == [0, 0.5]
    np.testing.assert_array_equal(one, rise(UPPER_LEFT, PIXEL, "fear", masks=64, grid=2, seed=1))
    assert (one != rise(UPPER_LEFT, PIXEL, "fear", masks=64, grid=2, seed=2)).any()

    def stop(share: float) -> None:
        if share:
            raise InterruptedError

    model = Weighing([[1 / 255, 0], [0, 0]])
    with pytest.raises(InterruptedError):
        rise(model, PIXEL, "fear", masks=640, grid=2, progress=stop)
    assert model.batches == [32]


def test_what_it_takes() -> None:
    colours = np.stack([PIXEL] * 3, axis=-1)
    grey, coloured = (rise(UPPER_LEFT, crop, "fear", masks=8, grid=2, fill="grey") for crop in (PIXEL, colours))
    np.testing.assert_array_equal(grey, coloured)
    for options in ({"masks": 0}, {"grid": 0}, {"keep": 0}, {"keep": 1.5}):
        with pytest.raises(ValueError, match="at least one mask"):
            rise(UPPER_LEFT, PIXEL, "fear", **options)
    with pytest.raises(UnknownNameError):
        rise(UPPER_LEFT, PIXEL, "joy", masks=1)
