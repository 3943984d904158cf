"""Drawing: heat maps on crops, numbered boxes on pictures."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from explain.drawing.overlay import BLANK, draw_boxes, draw_map, fit, scaled, shared_peak
from explain.maps import Explanation


def explanation(heat: NDArray[np.float32] | list[list[float]]) -> Explanation:
    return Explanation("vgg16", "attention", "fear", np.asarray(heat, np.float32))


@pytest.fixture
def crop() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)


def grey_of(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[..., None], 3, 2).astype(np.uint8)


def test_scaling_keeps_the_positive_part_on_its_own_or_a_shared_peak() -> None:
    heat = explanation([[-4, 0], [1, 2]])
    np.testing.assert_array_equal(scaled(heat), np.array([[0, 0], [0.5, 1]]))
    np.testing.assert_array_equal(scaled(heat, peak=8), np.array([[0, 0], [0.125, 0.25]]))
    np.testing.assert_array_equal(scaled(heat, peak=1), np.array([[0, 0], [1, 1]]))


def test_the_shared_peak_is_the_largest_positive_value() -> None:
    assert shared_peak([explanation([[-9, 1]]), explanation([[3, 2]])]) == 3
    assert shared_peak([explanation([[-9, -1]])]) == 0
    assert shared_peak([]) == 0


@pytest.mark.parametrize(
    "heat",
    [
        np.zeros((7, 7)),
        np.full((7, 7), -3.0),
        np.full((7, 7), BLANK / 2),
        np.full((7, 7), np.nan),
        np.full((7, 7), np.inf),
    ],
    ids=["zero", "negative", "rounding errors", "not a number", "infinite"],
)
def test_a_blank_map_leaves_the_grey_crop(crop: NDArray[np.uint8], heat: NDArray[np.float32]) -> None:
    assert (draw_map(crop, explanation(heat)) == grey_of(crop)).all()


def test_a_weak_map_looks_weak_beside_a_strong_one(crop: NDArray[np.uint8]) -> None:
    heat = np.zeros((7, 7), np.float32)
    heat[3, 3] = 1
    grey = grey_of(crop).astype(int)
    strong, weak = (
        np.abs(draw_map(crop, explanation(heat * factor), peak=1).astype(int) - grey).sum() for factor in (1, 0.01)
    )
    assert 0 < weak < strong / 5


def test_evidence_is_drawn_where_it_is(crop: NDArray[np.uint8]) -> None:
    heat = np.zeros((7, 7), np.float32)
    heat[0, 6] = 1  # the upper right corner
    drawn = draw_map(crop, explanation(heat))
    changed = np.abs(drawn.astype(int) - grey_of(crop)).sum(2) > 30
    assert changed[:16, -16:].mean() > 0.9
    assert not changed[40:, :60].any()
    red, green, blue = drawn[2, -3].astype(int)
    assert min(red, green) > blue + 60  # yellow: the colours are RGB, not BGR


def test_a_map_is_drawn_at_the_side_asked_for(crop: NDArray[np.uint8]) -> None:
    before = crop.copy()
    drawn = draw_map(crop, explanation(np.eye(7, dtype=np.float32)), side=320)
    assert drawn.shape == (320, 320, 3) and drawn.dtype == np.uint8
    assert (crop == before).all()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((48, 48), (480, 480)), ((600, 900), (600, 900)), ((3000, 4000), (960, 1280)), ((16, 4000), (5, 1280))],
)
def test_pictures_are_fit_for_drawing(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    image = np.zeros((*shape, 3), np.uint8)
    fitted, scale = fit(image)
    assert fitted.shape[:2] == expected and fitted is not image
    assert scale == pytest.approx(expected[1] / shape[1])


@pytest.mark.parametrize("value", [0, 255], ids=["dark", "light"])
@pytest.mark.parametrize("side", [48, 300, 1280, 4000])
def test_boxes_are_seen_on_dark_and_light_pictures_of_any_size(side: int, value: int) -> None:
    image = np.full((side, side, 3), value, np.uint8)
    box = np.array([0.25, 0.25, 0.75, 0.75], np.float32) * side
    drawn = draw_boxes(image, [box])
    assert (image == value).all()
    contrast = np.abs(drawn.astype(int) - value).max(2) > 200
    middle, edge = drawn.shape[0] // 2, drawn.shape[0] // 4
    assert contrast[middle, edge - 8 : edge + 8].any() and contrast[edge - 8 : edge + 8, middle].any()
    assert not contrast[middle - 20 : middle + 20, middle - 20 : middle + 20].any()


def test_every_box_has_its_own_number() -> None:
    image = np.full((600, 900, 3), 90, np.uint8)
    box = np.array([300, 300, 500, 500], np.float32)
    other = np.array([600, 300, 800, 500], np.float32)
    first, second = (draw_boxes(image, [a, b])[:, :580] for a, b in ((box, other), (other, box)))
    assert (first != second).any()  # the same box, once as 1 and once as 2


def test_boxes_at_and_beyond_the_border_and_a_crowd_can_be_drawn() -> None:
    image = np.full((200, 300, 3), 90, np.uint8)
    boxes = [np.array(box, np.float32) for box in ([0, 0, 300, 200], [-50, -50, 20, 20], [290, 190, 400, 400])]
    crowd = [np.array([x, y, x + 3, y + 3], np.float32) for x in range(0, 300, 30) for y in range(0, 200, 20)]
    assert len(crowd) == 100
    assert draw_boxes(image, boxes + crowd).shape == (320, 480, 3)
    assert (draw_boxes(image, [], least=1) == image).all()
