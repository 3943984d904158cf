"""Parts of a face: where they lie, that they partition the crop, and how evidence is shared among them."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from explain.regions import REGIONS, area_shares, attention_shares, crop_landmarks, region_masks
from fer_models.errors import ImageError
from fer_models.faces.alignment import TEMPLATE, align
from fer_models.results import Face

SIDE = 96
POINTS = TEMPLATE * np.float32(SIDE)


def part_at(masks: dict[str, NDArray[np.bool_]], x: float, y: float) -> str:
    (name,) = (name for name, mask in masks.items() if mask[int(y), int(x)])
    return name


def turned(points: NDArray[np.float32], degrees: float) -> NDArray[np.float32]:
    """Clockwise around the crop's middle, as seen."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray((points - SIDE / 2) @ turn.T + SIDE / 2, np.float32)


def face(points: NDArray[np.float32] | None) -> Face:
    return Face(np.array([0, 0, 200, 200], np.float32), points, 1.0)


def test_landmarks_go_where_align_takes_their_pixels() -> None:
    """Coloured dots at the landmarks of a turned, shrunk face are found again at the crop's landmarks."""
    generator = np.random.default_rng(0)
    points = turned(POINTS, 20) * np.float32(2) + generator.uniform(-4, 4, (5, 2)).astype(np.float32)
    for index in range(5):
        image = np.zeros((220, 220, 3), np.uint8)
        cv2.circle(image, tuple(int(round((value - 0.5) * 16)) for value in points[index]), 48, (255, 255, 255), -1,
                   cv2.LINE_AA, 4)  # fmt: skip
        crop = align(image, face(points), SIDE).mean(2)
        rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
        seen = (columns * crop).sum() / crop.sum(), (rows * crop).sum() / crop.sum()
        np.testing.assert_allclose(seen, crop_landmarks(face(points), SIDE)[index], atol=0.3)


def test_landmarks_on_the_template_stay_and_a_whole_picture_has_the_templates() -> None:
    np.testing.assert_allclose(crop_landmarks(face(POINTS * np.float32(3) + 7), SIDE), POINTS, atol=1e-3)
    np.testing.assert_array_equal(crop_landmarks(face(None), 48), TEMPLATE * np.float32(48))


def test_coinciding_landmarks_are_told() -> None:
    with pytest.raises(ImageError, match="coincide"):
        crop_landmarks(face(np.ones((5, 2), np.float32)), SIDE)
    for wrong in (np.ones((5, 2), np.float32), np.full((5, 2), np.nan, np.float32)):
        with pytest.raises(ImageError, match="two eyes"):
            region_masks(wrong, SIDE)


def places(degrees: float) -> dict[str, list[NDArray[np.float32]]]:
    """Points of a face turned by some degrees, and the part each is in. One d is 36 px here, the eyes at y = 38.5."""
    found = {
        "eyes": [(30, 38.5), (66, 38.5), (30, 43), (40, 38.5)],
        "mouth": [(48, 73), (34, 73), (62, 73), (48, 82)],
        "nose": [(48, 40), (48, 58), (56, 58), (48, 59)],
        "brows": [(30, 26), (66, 26), (48, 28)],
        "cheeks": [(24, 55), (72, 55)],
        "background": [(48, 8), (48, 94), (3, 50), (93, 50)],
    }
    corners = {name: np.array(points, np.float32) for name, points in found.items()}
    return {name: list(turned(points, degrees)) for name, points in corners.items()}


@pytest.mark.parametrize("degrees", [0, 15, -25])
def test_parts_lie_where_a_face_has_them_and_turn_with_it(degrees: float) -> None:
    masks = region_masks(turned(POINTS, degrees), SIDE)
    assert tuple(masks) == REGIONS
    for name, points in places(degrees).items():
        assert {part_at(masks, *point) for point in points} == {name}


def test_parts_scale_with_the_crop_and_mirror_with_the_face() -> None:
    small, large = region_masks(POINTS, SIDE), region_masks(POINTS * np.float32(2), 2 * SIDE)
    for name in REGIONS:
        assert small[name].mean() == pytest.approx(large[name].mean(), abs=0.01)
        np.testing.assert_array_equal(small[name], small[name][:, ::-1])  # the template is symmetric


@given(arrays(np.float32, (5, 2), elements=st.floats(-20, 80, width=16)), st.integers(1, 60))
def test_parts_partition_any_crop(points: NDArray[np.float32], side: int) -> None:
    if (points[0] == points[1]).all():
        return
    masks = region_masks(points, side)
    stack = np.stack(list(masks.values()))
    assert stack.shape == (6, side, side) and stack.dtype == np.bool_
    assert (stack.sum(0) == 1).all()
    assert sum(area_shares(masks).values()) == pytest.approx(1)


QUARTERS = {"left": np.array([[True, False], [True, False]]), "right": np.array([[False, True], [False, True]])}


@pytest.mark.parametrize(
    ("heat", "left"),
    [
        ([[3, 1], [0, 0]], 0.75),
        ([[3, 1], [-9, 0]], 0.75),  # what speaks against the expression is no evidence for it
        ([[1, np.nan], [0, np.inf]], 1),
        ([[1, 1, 3, 3], [1, 1, 3, 3]], 0.25),  # larger than the masks: averaged
    ],
)
def test_shares_by_hand(heat: object, left: float) -> None:
    shares = attention_shares(np.array(heat, np.float32), QUARTERS)
    assert list(shares) == ["left", "right"]
    assert shares == {"left": pytest.approx(left), "right": pytest.approx(1 - left)}


def test_a_coarse_map_is_enlarged_linearly() -> None:
    # Two cells over four columns, centres at 1 and 3: 1, 0.75, 0.25, 0.
    columns = np.arange(4)[None].repeat(4, 0)
    masks = {str(index): columns == index for index in range(4)}
    shares = attention_shares(np.array([[1, 0]], np.float32), masks)
    assert shares == {"0": pytest.approx(0.5), "1": pytest.approx(0.375), "2": pytest.approx(0.125), "3": 0}


@pytest.mark.parametrize("value", [0, -1, 1e-7, np.nan])
def test_a_map_without_evidence_has_no_shares(value: float) -> None:
    assert attention_shares(np.full((2, 2), value, np.float32), QUARTERS) == {"left": 0, "right": 0}


@given(arrays(np.float32, (4, 5), elements=st.floats(-50, 50, width=16)))
def test_shares_sum_to_one_and_an_even_map_has_those_of_the_area(heat: NDArray[np.float32]) -> None:
    masks = region_masks(POINTS / np.float32(2), SIDE // 2)
    shares = attention_shares(heat, masks)
    assert min(shares.values()) >= 0
    assert sum(shares.values()) == pytest.approx(1 if heat.max() > 1e-6 else 0)
    assert attention_shares(np.ones((3, 3), np.float32), masks) == pytest.approx(area_shares(masks))
