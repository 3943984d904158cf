"""Near copies between splits."""

import numpy as np

from fer_models.datasets.duplicates import find_duplicates


def test_copies_are_found_and_others_are_not() -> None:
    generator = np.random.default_rng(0)
    others = generator.integers(0, 256, (5, 8, 8), np.uint8)
    darker = (others[3] // 2 + 20).astype(np.uint8)  # the same photo, other light
    blank = np.full((8, 8), 9, np.uint8)
    faces = np.stack([others[1], darker, generator.integers(0, 256, (8, 8), np.uint8), blank])
    assert find_duplicates(faces, others).tolist() == [True, True, False, False]
    assert find_duplicates(faces, np.stack([blank])).tolist() == [False] * 4


def test_the_threshold_is_a_correlation() -> None:
    left = np.array([[[10, 20], [30, 40]]], np.uint8)
    right = np.array([[[10, 20], [40, 30]]], np.uint8)  # Pearson correlation 0.8
    assert find_duplicates(left, right, 0.79).tolist() == [True]
    assert find_duplicates(left, right, 0.81).tolist() == [False]
