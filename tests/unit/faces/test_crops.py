"""Crops by a card's word: a box with a margin, turned upright or not, and landmarks."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from explain.regions import crop_landmarks, mask_in_crop
from fer_models.errors import ImageError
from fer_models.faces.alignment import align, cut_out, spec_transform, whole_picture
from fer_models.results import SHARED_CROP, CropSpec, Face

PICTURE = np.random.default_rng(5).integers(0, 256, (80, 120, 3), np.uint8)
LANDMARKS = np.array([(50, 40), (70, 40), (60, 50), (52, 60), (68, 60)], np.float32)


def face(*box: float, landmarks: NDArray[np.float32] | None = LANDMARKS) -> Face:
    return Face(np.array(box, np.float32), landmarks, 0.9)


def test_a_box_is_those_very_pixels_square_around_its_middle() -> None:
    # 30 x 40: the longer side counts, and half of the missing 10 px lies on either side
    np.testing.assert_array_equal(cut_out(PICTURE, face(45, 20, 75, 60), CropSpec("box")), PICTURE[20:60, 40:80])


def test_a_margin_is_a_share_of_the_longer_side_on_every_side() -> None:
    found = cut_out(PICTURE, face(45, 20, 75, 60), CropSpec("box", margin=0.25))
    np.testing.assert_array_equal(found, PICTURE[10:70, 30:90])


def test_beyond_the_picture_its_border_is_repeated() -> None:
    found = cut_out(PICTURE, face(100, -10, 130, 20), CropSpec("box"))
    expected = cv2.copyMakeBorder(PICTURE[0:20, 100:120], 10, 0, 0, 10, cv2.BORDER_REPLICATE)
    np.testing.assert_array_equal(found, expected)


def test_an_aligned_box_of_a_level_face_is_the_same_and_a_turned_one_stands_upright() -> None:
    box, spec = (40, 20, 80, 60), CropSpec("box", 0.1, aligned=True)
    np.testing.assert_array_equal(
        cut_out(PICTURE, face(*box), spec), cut_out(PICTURE, face(*box), CropSpec("box", 0.1))
    )
    # The picture turned by a quarter: its face lies on its side, and the crop is that of the face before.
    turned = np.ascontiguousarray(np.rot90(PICTURE, -1))  # (x, y) goes to (80 - y, x)
    points = np.column_stack([80 - LANDMARKS[:, 1], LANDMARKS[:, 0]]).astype(np.float32)
    found = cut_out(turned, face(20, 40, 60, 80, landmarks=points), spec)
    np.testing.assert_array_equal(found, cut_out(PICTURE, face(*box), spec))


def test_a_face_read_whole_has_one_crop_only() -> None:
    whole = whole_picture(PICTURE)
    for spec in (CropSpec("box", 0.5), CropSpec("box", 0.2, aligned=True), SHARED_CROP):
        np.testing.assert_array_equal(cut_out(PICTURE, whole, spec), PICTURE[:, 20:100])


def test_landmarks_are_the_projects_crop() -> None:
    np.testing.assert_array_equal(cut_out(PICTURE, face(45, 20, 75, 60), SHARED_CROP), align(PICTURE, face(0, 0, 1, 1)))


def test_a_large_box_is_shrunk_to_1024_px() -> None:
    picture = np.repeat(np.repeat(PICTURE[:80, :80], 30, 0), 30, 1)
    found = cut_out(picture, face(0, 0, 2400, 2400), CropSpec("box", 0.5))
    assert found.shape == (1024, 1024, 3)
    middle = found[256:768, 256:768]  # the box; around it the border is repeated
    np.testing.assert_array_equal(middle, cv2.resize(picture, (512, 512), interpolation=cv2.INTER_AREA))
    np.testing.assert_array_equal(found[:256, 300], np.repeat(found[256:257, 300], 256, 0))


@pytest.mark.parametrize("box", [(5, 5, 5, 5), (7, 7, 3, 3)])
def test_an_empty_box(box: tuple[float, ...]) -> None:
    with pytest.raises(ImageError, match="no pixel"):
        cut_out(PICTURE, face(*box), CropSpec("box"))


@pytest.mark.parametrize(("kind", "margin", "aligned"), [("box", -0.1, False), ("box", float("nan"), False)])
def test_a_margin_out_of_bounds(kind: str, margin: float, aligned: bool) -> None:
    with pytest.raises(ValueError, match="margin"):
        CropSpec("box", margin, aligned)


def test_landmarks_take_no_margin() -> None:
    with pytest.raises(ValueError, match="box"):
        CropSpec("landmarks", 0.2)


def test_landmarks_lie_where_the_transform_of_the_crop_puts_them() -> None:
    spec = CropSpec("box", margin=0.25)
    someone = face(45, 20, 75, 60)
    np.testing.assert_allclose(crop_landmarks(someone, 60, spec), LANDMARKS - [30, 10])
    np.testing.assert_allclose(crop_landmarks(someone, 120, spec), (LANDMARKS - [30, 10]) * 2)


def test_a_mask_moves_to_the_same_part_of_the_picture() -> None:
    someone, spec = face(45, 20, 75, 60), CropSpec("box", margin=0.25)
    side = 112
    points = crop_landmarks(someone, side)
    mask = np.zeros((side, side), bool)
    x, y = np.rint(points[2]).astype(int)  # around the nose, (60, 50) in the picture
    mask[y - 12 : y + 12, x - 12 : x + 12] = True
    rows, columns = np.nonzero(mask_in_crop(mask, someone, 60, spec))
    scale = np.linalg.norm(spec_transform(someone, SHARED_CROP, side)[0, :2])
    assert abs(rows.mean() + 0.5 - 40) < 0.6 and abs(columns.mean() + 0.5 - 30) < 0.6
    assert abs(len(rows) - (24 / scale) ** 2) < 0.15 * (24 / scale) ** 2
    np.testing.assert_array_equal(mask_in_crop(mask, someone, side, SHARED_CROP), mask)
