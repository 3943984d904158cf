"""Face numbers through hand-made frames: each face is a box and a random pattern as its appearance."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fer_models.faces.tracking import MEMORY, Tracker, _appearance
from fer_models.results import Face


@dataclass(frozen=True)
class Seen:
    face: Face
    crop: NDArray[np.uint8]


def person(seed: int) -> NDArray[np.uint8]:
    """(48, 48, 3) uint8: two seeds correlate by less than 0.35."""
    return np.random.default_rng(seed).integers(60, 200, (8, 8, 3), np.uint8).repeat(6, 0).repeat(6, 1)


def at(x: float, crop: NDArray[np.uint8], *, y: float = 0, size: float = 100) -> Seen:
    return Seen(Face(np.array([x, y, x + size, y + size], np.float32), None, 0.9), crop)


ANNA, BEN, CORA = (person(seed) for seed in range(3))


def test_still_faces_keep_their_numbers_in_any_order() -> None:
    tracker = Tracker()
    assert tracker.update([at(0, ANNA), at(300, BEN)], 0) == [1, 2]
    assert tracker.update([at(300, BEN), at(0, ANNA)], 0.2) == [2, 1]
    assert tracker.update([], 0.4) == []
    assert tracker.update([at(0, ANNA)], 0.6) == [1]


def test_a_moving_and_growing_face_keeps_its_number() -> None:
    tracker = Tracker()
    boxes = [at(80 * step, ANNA, size=100 + 20 * step) for step in range(10)]
    assert [tracker.update([box], 0.2 * step) for step, box in enumerate(boxes)] == [[1]] * 10


def test_a_change_of_brightness_and_contrast_is_no_other_face() -> None:
    tracker = Tracker()
    darker = (ANNA // 2 + 5).astype(np.uint8)
    assert tracker.update([at(0, ANNA)], 0) == tracker.update([at(900, darker)], 0.2) == [1]


def test_people_who_cross_keep_their_numbers() -> None:
    tracker = Tracker()
    for step in range(11):
        left, right = at(40 * step, ANNA), at(400 - 40 * step, BEN)
        assert tracker.update([left, right], 0.2 * step) == [1, 2]


def test_a_swap_of_places_between_two_frames_is_seen() -> None:
    tracker = Tracker()
    assert tracker.update([at(0, ANNA), at(60, BEN)], 0) == [1, 2]
    assert tracker.update([at(0, BEN), at(60, ANNA)], 0.2) == [2, 1]


def test_a_gap_is_survived_elsewhere_too() -> None:
    tracker = Tracker()
    assert tracker.update([at(0, ANNA), at(300, BEN)], 0) == [1, 2]
    assert tracker.update([at(300, BEN)], 1) == [2]
    assert tracker.update([at(310, BEN), at(700, ANNA, size=160)], 4) == [2, 1]


def test_a_cut_to_another_person_in_the_same_place_is_a_new_face_and_back_again_the_old_one() -> None:
    tracker = Tracker()
    assert tracker.update([at(0, ANNA)], 0) == [1]
    assert tracker.update([at(0, CORA)], 0.2) == [2]
    assert tracker.update([at(0, ANNA)], 0.4) == [1]


def test_a_newcomer_gets_the_next_number_and_takes_nobodys() -> None:
    tracker = Tracker()
    assert tracker.update([at(0, ANNA)], 0) == [1]
    assert tracker.update([at(20, BEN), at(0, ANNA), at(500, CORA)], 0.2) == [2, 1, 3]


def test_a_face_is_forgotten_and_its_number_never_given_again() -> None:
    tracker = Tracker(forget_s=5)
    assert tracker.update([at(0, ANNA)], 0) == [1]
    assert tracker.update([at(0, ANNA)], 5) == [1]
    assert tracker.update([at(0, ANNA)], 10.1) == [2]
    assert tracker.update([at(0, BEN)], 10.2) == [3]


def like(crop: NDArray[np.uint8], other: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """A crop whose look is that much another's."""
    return (crop * (1 - share) + other * share).astype(np.uint8)


#: How Anna looks with her head turned: too different for appearance alone, not for appearance and place.
TURNED = like(ANNA, CORA, 0.5)


def test_turned_is_between_the_thresholds() -> None:
    assert 0.6 < float(_appearance(ANNA) @ _appearance(TURNED)) < 0.72


@pytest.mark.parametrize(
    ("x", "away_s", "crop", "number"),
    [
        (40, 2, TURNED, 1),
        (40, 2, ANNA, 1),
        (900, 2, TURNED, 2),  # elsewhere
        (40, 7, TURNED, 2),  # too long ago
        (40, 2, BEN, 2),  # somebody else
    ],
)
def test_who_comes_back_within_seconds_to_the_same_place_is_the_same(
    x: float, away_s: float, crop: NDArray[np.uint8], number: int
) -> None:
    tracker = Tracker()
    for step in range(5):
        assert tracker.update([at(0, ANNA)], step / 5) == [1]
    for step in range(5, 5 + 5 * int(away_s)):
        assert tracker.update([], step / 5) == []
    assert tracker.update([at(x, crop)], 0.8 + away_s) == [number]
    assert tracker.update([at(x, crop)], 1.0 + away_s) == [number]


def test_who_turned_away_when_leaving_is_known_by_how_it_looked_before() -> None:
    tracker = Tracker()
    for step in range(10):
        assert tracker.update([at(0, ANNA)], step / 5) == [1]
    for step in range(10, 14):
        assert tracker.update([at(0, like(ANNA, CORA, (step - 9) / 5))], step / 5) == [1]
    assert tracker.update([], 4) == []
    assert tracker.update([at(700, ANNA)], 5) == [1]


def test_two_faces_at_once_are_two_however_alike() -> None:
    tracker = Tracker()
    assert tracker.update([at(0, ANNA)], 0) == [1]
    assert tracker.update([], 1) == []
    assert sorted(tracker.update([at(0, TURNED), at(120, TURNED)], 2)) == [2, 3]  # either may be the one that left
    assert tracker.update([at(0, TURNED), at(120, TURNED)], 2.2) == [2, 3]


def test_a_face_that_may_be_either_of_two_is_a_new_one() -> None:
    tracker = Tracker()
    both = like(like(ANNA, BEN, 0.5), person(5), 0.3)
    assert all(0.6 < float(_appearance(both) @ _appearance(one)) < 0.72 for one in (ANNA, BEN))
    assert tracker.update([at(0, ANNA), at(120, BEN)], 0) == [1, 2]
    assert tracker.update([], 1) == []
    assert tracker.update([at(60, both)], 2) == [3]


def test_at_a_slow_rate_the_frame_before_still_says_where_a_face_was() -> None:
    tracker = Tracker()
    mixed = ((ANNA.astype(int) + BEN) // 2).astype(np.uint8)  # half way: too far for appearance alone
    assert tracker.update([at(0, ANNA)], 0) == [1]
    assert tracker.update([at(10, mixed)], 3) == [1]


def test_crops_without_contrast_are_told_by_their_place() -> None:
    grey, black = np.full((48, 48, 3), 128, np.uint8), np.zeros((48, 48, 3), np.uint8)
    tracker = Tracker()
    assert tracker.update([at(0, grey), at(300, black)], 0) == [1, 2]
    assert tracker.update([at(310, black), at(10, grey)], 0.2) == [2, 1]
    assert tracker.update([at(900, grey)], 0.4) == [3]


def test_time_that_runs_backwards_does_no_harm() -> None:
    tracker = Tracker()
    assert tracker.update([at(0, ANNA)], 3) == tracker.update([at(0, ANNA)], 1) == [1]


def test_memory_is_bounded() -> None:
    tracker = Tracker(forget_s=1e9)
    for frame in range(3):
        tracker.update([at(0, person(1000 * frame + i)) for i in range(MEMORY)], frame)
    assert len(tracker._tracks) == MEMORY


@given(st.lists(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 5)), max_size=6), max_size=12))
def test_numbers_are_unique_in_a_frame_and_new_ones_count_up(frames: list[list[tuple[int, int]]]) -> None:
    tracker, known = Tracker(), 0
    for step, faces in enumerate(frames):
        numbers = tracker.update([at(x, person(seed)) for x, seed in faces], step / 5)
        assert len(set(numbers)) == len(numbers) == len(faces)
        fresh = [number for number in numbers if number > known]
        assert fresh == list(range(known + 1, known + 1 + len(fresh)))
        known += len(fresh)


@pytest.mark.parametrize("shape", [(48, 48), (48, 48, 3), (7, 7, 3)])
def test_crops_of_any_size_and_grey_ones(shape: tuple[int, ...]) -> None:
    crop = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert Tracker().update([at(0, crop)], 0) == [1]
