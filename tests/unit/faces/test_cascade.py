"""Which parts of a picture the detector sees at which scale, with a network whose answers are given."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fer_models.faces.detector import CenterFace, _Detections
from fer_models.faces.regions import regions_around

#: x, y of the centre, width and score of what is seen in a 640 x 480 picture.
Spot = tuple[float, float, float, float]


def detections(spots: list[Spot]) -> _Detections:
    boxes = np.array([[x - w / 2, y - w / 2, x + w / 2, y + w / 2] for x, y, w, _ in spots], np.float32).reshape(-1, 4)
    scores = np.array([score for *_, score in spots], np.float32)
    landmarks = np.repeat(boxes[:, None, :2], 5, axis=1)
    return _Detections(boxes, landmarks, scores)


class Scripted(CenterFace):
    """Answers by scale; notes the scale and the part of the picture that each run of the network gets.

    A picture must hold its own coordinates: x in the first channel and y in the second, both in units of 8 px.
    """

    def __init__(self, answers: Mapping[float, list[Spot]]) -> None:
        super().__init__()
        self.answers = answers
        self.runs: list[tuple[float, tuple[int, int], tuple[int, int]]] = []

    def _run(self, image: NDArray[np.uint8], factor: float) -> _Detections:
        height, width = image.shape[:2]
        x, y = (8 * int(value) for value in image[0, 0, :2])
        self.runs.append((round(factor, 3), (x, y), (width, height)))
        return detections([(cx - x, cy - y, w, s) for cx, cy, w, s in self.answers[round(factor, 3)]])


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    rows, columns = np.mgrid[:480, :640] // 8
    return np.dstack([columns, rows, rows]).astype(np.uint8)


@pytest.mark.parametrize(
    ("size", "factors"),
    [
        ((640, 480), (None, 0.6, 1.0)),
        ((320, 240), (None, 1.0, None)),  # nothing to gain
        ((400, 300), (None, 0.8, 1.0)),  # at least 320 px
        ((100, 50), (None, 1.6, None)),  # enlarged to 160 px
        ((1280, 960), (None, 0.3, 0.5)),
        ((1920, 1080), (None, 0.2, 1 / 3)),
        ((4000, 3000), (0.064, 0.65 * 0.375, 0.375)),  # faces of 48 px become 18 px; the first has 975 px
        ((2200, 1000), (None, 0.65 * 0.375, 0.375)),  # the first has 536 px
        ((2000, 1000), (None, 0.192, 0.32)),  # 0.375 would be too little more
    ],
)
def test_scales_by_hand(size: tuple[int, int], factors: tuple[float | None, ...]) -> None:
    for scale, expected in zip(CenterFace()._factors(*size), factors, strict=True):
        assert (scale is None) == (expected is None)
        assert scale is None or scale == pytest.approx(expected)


def test_sure_faces_are_taken_from_the_first_pass(picture: NDArray[np.uint8]) -> None:
    detector = Scripted({0.6: [(100, 100, 80, 0.9), (400, 200, 44, 0.5)]})  # 44 px are 26.4 at that scale
    faces = detector.detect(picture)
    assert detector.runs == [(0.6, (0, 0), (640, 480))]
    assert [face.box.tolist() for face in faces] == [[60, 60, 140, 140], [378, 178, 422, 222]]


@pytest.mark.parametrize("score", [0.041, 0.39, 0.9])
def test_whatever_is_small_is_seen_again_in_a_part(picture: NDArray[np.uint8], score: float) -> None:
    detector = Scripted({0.6: [(400, 200, 30, score)], 1.0: [(402, 201, 24, 0.7)]})
    (face,) = detector.detect(picture)
    # 30 px and 16 on both sides, rounded up to 64.
    assert detector.runs[1:] == [(1.0, (368, 168), (64, 64))]
    assert face.box.tolist() == [390, 189, 414, 213] and face.score == pytest.approx(0.7)
    assert face.landmarks is not None and face.landmarks[0].tolist() == [390, 189]


def test_what_is_no_face_at_the_finest_scale_is_none(picture: NDArray[np.uint8]) -> None:
    assert Scripted({0.6: [(400, 200, 30, 0.6)], 1.0: [(400, 200, 30, 0.3)]}).detect(picture) == []


@pytest.mark.parametrize(("score", "runs"), [(0.039, 1), (0.041, 2)])
def test_what_scores_too_little_is_not_seen_again(picture: NDArray[np.uint8], score: float, runs: int) -> None:
    detector = Scripted({0.6: [(400, 200, 30, score)], 1.0: []})
    assert detector.detect(picture) == [] and len(detector.runs) == runs


@pytest.mark.parametrize(("score", "runs"), [(0.149, 1), (0.151, 2)])
def test_something_larger_must_score_more_to_be_seen_again(picture: NDArray[np.uint8], score: float, runs: int) -> None:
    detector = Scripted({0.6: [(300, 200, 60, score)], 1.0: []})
    assert detector.detect(picture) == [] and len(detector.runs) == runs


def test_parts_of_a_sure_face_are_not_seen_again(picture: NDArray[np.uint8]) -> None:
    detector = Scripted({0.6: [(300, 200, 200, 0.9), (320, 240, 20, 0.3)]})
    assert len(detector.detect(picture)) == 1 and len(detector.runs) == 1


def test_a_face_in_two_parts_is_found_once(picture: NDArray[np.uint8]) -> None:
    near: list[Spot] = [(200.0, 200.0, 24.0, 0.3), (264.0, 248.0, 24.0, 0.3)]
    detector = Scripted({0.6: near, 1.0: [(x, y, w, 0.8) for x, y, w, _ in near]})
    assert len(detector.detect(picture)) == 2


def test_many_suspicions_are_the_whole_picture_at_once(picture: NDArray[np.uint8]) -> None:
    crowd: list[Spot] = [(x, y, 30.0, 0.5) for x in range(40, 640, 80) for y in range(40, 480, 80)]
    detector = Scripted({0.6: crowd, 1.0: crowd})
    assert len(detector.detect(picture)) == len(crowd)
    assert detector.runs == [(0.6, (0, 0), (640, 480)), (1.0, (0, 0), (640, 480))]


def test_a_face_too_large_for_the_first_pass_comes_from_the_coarse_one() -> None:
    picture = np.zeros((3000, 4000, 3), np.uint8)
    huge, fragment = (2000.0, 1500.0, 2000.0, 0.8), (2100.0, 1500.0, 300.0, 0.9)
    detector = Scripted({0.064: [huge, (300, 300, 400, 0.9)], 0.244: [fragment, (300, 300, 420, 0.9)]})
    # 400 px are 97 at the first scale, which finds them better itself.
    assert [face.box[2] - face.box[0] for face in detector.detect(picture)] == [2000, 420]
    assert [factor for factor, *_ in detector.runs] == [0.064, 0.244]


def test_regions_by_hand() -> None:
    def regions(*boxes: list[float], most: float = 1.0) -> list[tuple[int, int, int, int]]:
        return regions_around(np.array(boxes, np.float32), (640, 480), margin=16, step=32, most=most)

    assert regions() == []
    assert regions([100, 100, 132, 132]) == [(84, 84, 148, 148)]
    assert regions([100, 100, 200, 150]) == [(38, 45, 262, 205)]  # half of 100 around: 200 x 150, so 224 x 160
    assert regions([-10, 470, 20, 500]) == [(0, 416, 64, 480)]  # inside of the picture
    assert regions([100, 100, 132, 132], [104, 100, 136, 132]) == [
        (70, 84, 166, 148)
    ]  # 96 x 64 are fewer than twice 64
    assert len(regions([100, 100, 132, 132], [300, 300, 332, 332])) == 2
    assert regions([100, 100, 400, 400], most=0.5) == [(0, 0, 640, 480)]


@given(
    st.lists(st.tuples(st.floats(-50, 700), st.floats(-50, 500), st.floats(1, 200)), max_size=12),
    st.floats(20, 300),
)
def test_regions_hold_every_box_inside_of_the_picture(spots: list[tuple[float, float, float]], step: float) -> None:
    boxes = np.array([[x, y, x + w, y + w] for x, y, w in spots], np.float32).reshape(-1, 4)
    found = regions_around(boxes, (640, 480), margin=10, step=step, most=1.0)
    assert all(0 <= left < right <= 640 and 0 <= top < bottom <= 480 for left, top, right, bottom in found)
    for box in np.clip(boxes, 0, [640, 480, 640, 480]):
        if (box[2:] - box[:2]).min() > 0:
            inside = [(box[:2] >= r[:2]).all() and (box[2:] <= r[2:]).all() for r in np.array(found)]
            assert any(inside)
