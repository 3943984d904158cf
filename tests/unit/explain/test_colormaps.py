import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from explain.drawing.colormaps import SEQUENTIAL, css_gradient, diverging, sequential
from explain.drawing.overlay import difference, draw_cells, draw_difference, draw_map
from explain.maps import Explanation
from fer_models.errors import UnknownNameError


def lab(table: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(table[None].astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[0])


def one(heat: list[list[float]]) -> Explanation:
    return Explanation("tiny", "native", "fear", np.array(heat, np.float32))


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_lightness_rises_evenly(name: str) -> None:
    lightness = lab(sequential(name))[:, 0]
    assert lightness.shape == (256,) and (np.diff(lightness[::8]) > 0).all()
    assert lightness[-1] - lightness[0] > 50


def test_the_diverging_table_is_even_and_symmetric() -> None:
    table = lab(diverging())
    steps = np.linalg.norm(table[8::8] - table[:-8:8], axis=1)
    blue, orange = steps[: len(steps) // 2], steps[len(steps) // 2 + 1 :]
    for arm in (blue, orange):
        assert np.allclose(arm, arm.mean(), rtol=0.25)
    np.testing.assert_allclose(table[:, 0], table[::-1, 0], atol=1.5)
    assert table[127, 0] > 94 and np.abs(table[127, 1:]).max() < 1
    assert np.linalg.norm(table[0] - table[-1]) > 90


def test_gradients_run_from_the_first_to_the_last_colour() -> None:
    table = np.array([[0, 0, 0], [255, 0, 16]], np.uint8)
    assert css_gradient(table, 2) == "linear-gradient(90deg, #000000, #ff0010)"


def test_unknown_colours_are_told() -> None:
    with pytest.raises(UnknownNameError, match="Unknown colour map 'jet'. Known: viridis, magma, cividis"):
        draw_map(np.zeros((8, 8, 3), np.uint8), one([[1, 0], [0, 0]]), colours="jet")


def test_cells_are_squares_of_their_colour() -> None:
    drawn = draw_cells(one([[4, 2], [-1, 0]]), 8, colours="magma")
    table = sequential("magma")
    assert drawn.shape == (8, 8, 3)
    for (row, column), value in {(0, 0): 255, (0, 4): 128, (4, 0): 0, (7, 7): 0}.items():
        np.testing.assert_array_equal(drawn[row, column], table[value])
    np.testing.assert_array_equal(draw_cells(one([[4, 2], [-1, 0]]), 8, peak=8)[0, 0], sequential("viridis")[128])


def test_differences_worked_out_by_hand() -> None:
    values = difference(one([[4, 2], [-1, 0]]), one([[0, 5], [5, 1]]))
    np.testing.assert_allclose(values, [[1, -0.5], [-1, -0.2]])
    np.testing.assert_allclose(difference(one([[4, 2]]), one([[4, 2]]), 8, 4), [[-0.5, -0.25]])
    assert difference(one([[1, 0], [0, 0]]), one([[1]])).shape == (2, 2)


def test_drawn_differences_are_orange_blue_or_clear() -> None:
    crop = np.full((8, 8, 3), 100, np.uint8)
    values = np.repeat(np.array([[1, 0, -1]], np.float32), 3, 0).repeat(3, 0).repeat(3, 1)
    drawn = draw_difference(crop, values, side=9, opacity=1)
    np.testing.assert_array_equal(drawn[4, 1], diverging()[254])
    np.testing.assert_array_equal(drawn[4, 4], [100, 100, 100])
    np.testing.assert_array_equal(drawn[4, 7], diverging()[0])
