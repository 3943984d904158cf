"""A crop's map laid back onto its picture."""

import numpy as np
import pytest
from numpy.typing import NDArray

from explain.drawing.paste import paste_map
from explain.maps import Explanation
from fer_models.faces.alignment import TEMPLATE, align, similarity
from fer_models.results import Face

SIDE = 7


def explanation(row: int, column: int) -> Explanation:
    heat = np.zeros((SIDE, SIDE), np.float32)
    heat[row, column] = 1
    return Explanation("m", "attention", "fear", heat)


def face(size: float, angle: float, x: float, y: float) -> Face:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * size
    points = ((TEMPLATE - 0.5) @ turn.T + [x, y]).astype(np.float32)
    return Face(np.concatenate([points.min(0), points.max(0)]), points, 0.9)


def yellow(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Centre (x, y) of what is drawn, on continuous coordinates."""
    strength = np.clip(image[..., 1].astype(int) - image[..., 2], 0, None).astype(np.float64) ** 2
    rows, columns = np.indices(strength.shape)
    x, y = (float((strength * (places + 0.5)).sum() / strength.sum()) for places in (columns, rows))
    return np.array([x, y])


@pytest.mark.parametrize("angle", [0.0, 0.4, -1.2])
@pytest.mark.parametrize(("row", "column"), [(3, 3), (1, 2), (5, 4)])
def test_a_cell_is_drawn_where_the_crop_was_cut(angle: float, row: int, column: int) -> None:
    where = face(100, angle, 160, 120)
    image = paste_map(np.full((240, 320, 3), 128, np.uint8), where, explanation(row, column))
    assert where.landmarks is not None
    to_crop = similarity(where.landmarks, TEMPLATE)
    expected = np.linalg.solve(to_crop[:, :2], (np.array([column, row]) + 0.5) / SIDE - to_crop[:, 2])
    np.testing.assert_allclose(yellow(image), expected, atol=1.0)


def test_aligning_the_drawing_gives_the_cell_back() -> None:
    where = face(80, 0.5, 150, 110)
    image = paste_map(np.full((240, 320, 3), 128, np.uint8), where, explanation(2, 5))
    np.testing.assert_allclose(yellow(align(image, where, 112)), (np.array([5, 2]) + 0.5) / SIDE * 112, atol=1.5)


def test_outside_of_the_face_nothing_changes_and_inside_no_colour_stays() -> None:
    image = np.full((240, 320, 3), (200, 40, 40), np.uint8)
    drawn = paste_map(image, face(80, 0, 160, 120), explanation(0, 0), peak=1e9)
    assert (image == (200, 40, 40)).all()
    changed = (drawn != (200, 40, 40)).any(-1)
    rows, columns = np.nonzero(changed)
    assert 78 <= np.ptp(rows) + 1 <= 84 and 78 <= np.ptp(columns) + 1 <= 84
    assert np.ptp(drawn[100:140, 140:180], axis=-1).max() == 0


@pytest.mark.parametrize("where", [face(80, 0.3, 5, 5), face(80, 0, 318, 100), face(500, 1, 160, 120)])
def test_faces_over_the_edge_are_drawn_as_far_as_they_are_seen(where: Face) -> None:
    image = paste_map(np.full((240, 320, 3), 128, np.uint8), where, explanation(3, 3))
    assert (image != 128).any()


def test_no_landmarks_or_no_pixel_draws_nothing() -> None:
    image = np.full((240, 320, 3), 128, np.uint8)
    for where in (face(50, 0, 1000, 1000), Face(np.array([0, 0, 50, 50], np.float32), None, 1.0)):
        np.testing.assert_array_equal(paste_map(image, where, explanation(3, 3)), image)
