"""When a frame is searched and when its known faces are followed, with a detector of coloured squares."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fer_models.errors import ImageError
from fer_models.faces.following import EVERY_S, MOST_FACES, FaceFollower
from fer_models.results import Face


class Squares:
    """Finds every red square; what is blue of it, of 255, is its score. Notes the sizes it is given."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        self.sizes.append((image.shape[1], image.shape[0]))
        red = (image[..., 0] > 127).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(red)
        faces = []
        for index in range(1, count):
            x, y, w, h, _ = stats[index]
            score = float(image[labels == index][:, 2].max()) / 255
            corners = np.array([[x, y], [x + w, y], [x + w / 2, y + h / 2], [x, y + h], [x + w, y + h]], np.float32)
            faces.append(Face(np.array([x, y, x + w, y + h], np.float32), corners, score))
        return sorted(faces, key=lambda face: -float((face.box[2:] - face.box[:2]).prod()))


def frame(*corners: tuple[int, int], side: int = 60, score: float = 0.8, shade: int = 0) -> NDArray[np.uint8]:
    image = np.full((480, 640, 3), (shade // 2, shade, 0), np.uint8)
    for x, y in corners:
        image[y : y + side, x : x + side] = (255, 0, round(255 * score))
    return image


def left_of(faces: list[Face]) -> list[float]:
    return sorted(float(face.box[0]) for face in faces)


@pytest.fixture
def squares() -> Squares:
    return Squares()


WHOLE = (640, 480)


def test_frames_are_searched_every_so_often_and_faces_followed_in_between(squares: Squares) -> None:
    follower = FaceFollower()
    for step in range(9):
        faces = follower.detect(squares, frame((200, 100)), step / 10)
        assert left_of(faces) == [200]
    whole = [index for index, size in enumerate(squares.sizes) if size == WHOLE]
    assert pytest.approx(0.4) == EVERY_S and whole == [0, 4, 8]
    assert squares.sizes[1] == (132, 132)  # 2.2 sides


def test_a_followed_face_is_where_it_is_in_the_frame(squares: Squares) -> None:
    follower = FaceFollower()
    follower.detect(squares, frame((200, 100), side=160), 0.0)
    (face,) = follower.detect(squares, frame((220, 120), side=160), 0.1)
    assert squares.sizes == [WHOLE, (160, 160)]  # 352 px shrunk
    assert face.landmarks is not None
    np.testing.assert_allclose(face.box, [220, 120, 380, 280], atol=2.2)
    np.testing.assert_allclose(face.landmarks, [[220, 120], [380, 120], [300, 200], [220, 280], [380, 280]], atol=2.2)


def test_a_fast_face_is_followed_along_its_motion(squares: Squares) -> None:
    follower = FaceFollower()
    for step in range(4):  # at last 40 px: without motion that would be 0.2 of the union
        faces = follower.detect(squares, frame((100 + (0, 20, 55, 95)[step], 100)), step / 10)
    assert left_of(faces) == [195] and squares.sizes.count(WHOLE) == 1


@pytest.mark.parametrize(
    "second",
    [
        frame(),  # gone
        frame((400, 300)),  # elsewhere
        frame((200, 100), score=0.55),  # much weaker
        frame((200, 100), shade=90),  # another scene
        np.ascontiguousarray(frame((200, 100))[:400]),  # another size
    ],
)
def test_a_frame_is_searched_when_a_face_is_not_found_for_sure(squares: Squares, second: NDArray[np.uint8]) -> None:
    follower = FaceFollower()
    follower.detect(squares, frame((200, 100)), 0.0)
    faces = follower.detect(squares, second, 0.1)
    assert squares.sizes[-1] == (second.shape[1], second.shape[0])
    assert left_of(faces) == left_of(squares.detect(second))


def test_one_lost_face_of_two_is_searched_for(squares: Squares) -> None:
    follower = FaceFollower()
    follower.detect(squares, frame((100, 100), (400, 100)), 0.0)
    assert left_of(follower.detect(squares, frame((100, 100), (500, 300)), 0.1)) == [100, 500]


def test_frames_without_a_face_or_with_many_are_all_searched(squares: Squares) -> None:
    for corners in ([], [(100 * index, 100) for index in range(MOST_FACES + 1)]):
        follower, before = FaceFollower(), len(squares.sizes)
        for step in range(4):
            assert len(follower.detect(squares, frame(*corners), step / 25)) == len(corners)
        assert squares.sizes[before:] == [WHOLE] * 4


def test_a_face_that_enters_is_found_at_the_next_search(squares: Squares) -> None:
    follower = FaceFollower()
    follower.detect(squares, frame((100, 100)), 0.0)
    found = [len(follower.detect(squares, frame((100, 100), (400, 100)), step / 10)) for step in range(1, 6)]
    assert found == [1, 1, 1, 2, 2]


def test_times_that_go_back_or_jump_are_searched(squares: Squares) -> None:
    follower = FaceFollower()
    for time_s in (5.0, 4.0, 9.0):
        assert left_of(follower.detect(squares, frame((200, 100)), time_s)) == [200]
    assert squares.sizes == [WHOLE] * 3


def test_faces_keep_the_detectors_order(squares: Squares) -> None:
    first, second = frame((100, 100), side=90), frame((100, 100), side=70)
    for image, side in ((first, 80), (second, 84)):
        image[300 : 300 + side, 400 : 400 + side] = (255, 0, 204)
    follower = FaceFollower()
    assert [face.box[0] for face in follower.detect(squares, first, 0.0)] == [100, 400]
    followed = [float(face.box[0]) for face in follower.detect(squares, second, 0.1)]
    assert followed == pytest.approx([400, 100], abs=2) and squares.sizes.count(WHOLE) == 1


def test_other_arrays_are_refused(squares: Squares) -> None:
    with pytest.raises(ImageError):
        FaceFollower().detect(squares, np.zeros((8, 8), np.uint8), 0.0)
