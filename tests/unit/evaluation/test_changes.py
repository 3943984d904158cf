"""Changes of a face over a range: exact where pixels can be counted, repeatable, nothing at the neutral strength."""

import numpy as np
import pytest
from numpy.typing import NDArray

from fer_models.evaluation.changes import CHANGES, Change, morph_into


@pytest.fixture(scope="module")
def face() -> NDArray[np.uint8]:
    """(100, 100, 3): soft stripes between 28 and 228, brighter to the right."""
    y, x = np.mgrid[:100, :100]
    grey = 128 + 50 * np.sin(x / 7) + 20 * np.cos(y / 5) + 0.3 * x
    return np.asarray(grey, np.uint8)[..., None].repeat(3, 2)


@pytest.mark.parametrize("change", CHANGES.values(), ids=lambda change: change.name)
def test_each_covers_its_range_and_is_repeatable(change: Change, face: NDArray[np.uint8]) -> None:
    values, before = change.values, face.copy()
    assert values[0] == change.low and values[-1] == pytest.approx(change.high) and change.neutral in values
    assert 2 <= len(values) <= 32  # one batch
    for value in values:
        once = change.apply(face, value)
        assert once.shape == face.shape and once.dtype == np.uint8 and not np.shares_memory(once, face)
        np.testing.assert_array_equal(once, change.apply(face, value))
        assert np.array_equal(once, face) == (value == change.neutral)
    np.testing.assert_array_equal(face, before)


def test_strengths_are_evenly_spaced() -> None:
    assert CHANGES["rotation"].values == tuple(float(angle) for angle in range(-45, 46, 5))
    assert CHANGES["mirror"].values == (0, 1) and CHANGES["resolution"].values[-2:] == (92, 96)


def test_exact_changes(face: NDArray[np.uint8]) -> None:
    flat = np.full((10, 10, 3), 100, np.uint8)
    assert (CHANGES["brightness"].apply(flat, 50) == 150).all() and (CHANGES["brightness"].apply(flat, -80) == 20).all()
    assert (CHANGES["brightness"].apply(np.full_like(flat, 200), 80) == 255).all()
    steps = np.array([50, 150], np.uint8).repeat(150).reshape(10, 10, 3)  # their mean is 100
    np.testing.assert_array_equal(np.unique(CHANGES["contrast"].apply(steps, 40)), [30, 170])
    np.testing.assert_array_equal(np.unique(CHANGES["contrast"].apply(steps, -80)), [90, 110])
    np.testing.assert_array_equal(CHANGES["mirror"].apply(face, 1), face[:, ::-1])
    np.testing.assert_array_equal(CHANGES["sideways"].apply(face, 10)[:, 10:], face[:, :-10])
    np.testing.assert_array_equal(CHANGES["downwards"].apply(face, -10)[:-10], face[10:])
    eyes = CHANGES["eyes"].apply(face, 20)  # 10 rows to either side of the template's 40.14
    assert (eyes[30:50] == round(float(face.mean()))).all()
    np.testing.assert_array_equal(eyes[50:], face[50:])
    np.testing.assert_array_equal(eyes[:30], face[:30])
    noise = CHANGES["noise"].apply(np.full((100, 100, 3), 128, np.uint8), 20).astype(float) - 128
    assert noise.std() == pytest.approx(20, rel=0.03) and noise.mean() == pytest.approx(0, abs=0.5)


def test_a_morph_is_a_linear_blend_of_two_faces(face: NDArray[np.uint8]) -> None:
    other = np.full((100, 100, 3), 100, np.uint8)
    morph = morph_into(other)
    assert morph.values == tuple(range(0, 101, 5))
    dark = np.full((100, 100, 3), 20, np.uint8)
    assert (morph.apply(dark, 25) == 40).all() and (morph.apply(dark, 50) == 60).all()
    np.testing.assert_array_equal(morph.apply(face, 0), face)
    np.testing.assert_array_equal(morph.apply(face, 100), other)
    small = morph_into(np.full((50, 50, 3), 100, np.uint8))  # from a picture of another size
    np.testing.assert_array_equal(small.apply(face, 100), other)
