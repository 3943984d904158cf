"""Faces that lie on their side: landmarks as exact as those of upright ones, and one track through a video."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fer_models.faces.alignment import TEMPLATE, align
from fer_models.faces.detector import CenterFace
from fer_models.faces.following import FaceFollower
from fer_models.faces.tilted import with_sure_landmarks
from fer_models.faces.tracking import Tracker
from fer_models.media.images import read_image
from fer_models.results import Face

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
#: Landmarks of a face that lies on its side, as a detector may see them: none of a face.
BENT = np.array([[0.4, 0.2], [0.6, 0.3], [0.4, 0.5], [0.7, 0.5], [0.2, 0.8]], np.float32)


@pytest.fixture(scope="module")
def centerface() -> CenterFace:
    return CenterFace()


@pytest.mark.parametrize("name", ["astronaut", "fear", "girl", "disgust"])
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_landmarks_turn_with_the_picture(centerface: CenterFace, name: str, quarters: int) -> None:
    image = read_image(EXAMPLES / f"{name}.jpg")
    upright, turned = (max(centerface.detect(each), key=lambda face: face.score) for each in turns(image, quarters))
    assert upright.landmarks is not None and turned.landmarks is not None
    height, width = image.shape[:2]
    expected = quarter_turns(upright.landmarks - [width / 2, height / 2], quarters)
    expected += np.array([width, height] if quarters == 2 else [height, width]) / 2
    side = float(max(upright.box[2:] - upright.box[:2]))
    assert np.linalg.norm(turned.landmarks - expected, axis=1).mean() < 0.1 * side
    assert turned.score > 0.7


def quarter_turns(points: NDArray[Any], count: int) -> NDArray[Any]:
    """Points around the middle of a picture, as `np.rot90` turns it."""
    for _ in range(count):
        points = np.column_stack([points[:, 1], -points[:, 0]])
    return points


def turns(image: NDArray[np.uint8], quarters: int) -> list[NDArray[np.uint8]]:
    return [image, np.ascontiguousarray(np.rot90(image, quarters))]


@pytest.mark.parametrize("quarters", [1, 3])
def test_a_sideways_face_keeps_its_track(centerface: CenterFace, quarters: int) -> None:
    _, image = turns(read_image(EXAMPLES / "fear.jpg"), quarters)
    height, width = image.shape[:2]
    tracker, follower = Tracker(), FaceFollower()
    numbers = []
    for index in range(16):
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 5 * np.sin(index / 5), 1)
        frame = np.asarray(cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)
        faces = follower.detect(centerface, frame, index / 10)
        seen = [SimpleNamespace(face=face, crop=align(frame, face)) for face in faces]
        numbers += tracker.update(seen, index / 10)
    assert numbers == [1] * 16


def half_lit(quarters: int) -> NDArray[np.uint8]:
    """A picture that is bright above, turned."""
    image = np.zeros((200, 200, 3), np.uint8)
    image[:100] = 200
    return np.ascontiguousarray(np.rot90(image, quarters))


class TopLit:
    """Sees a face only where a picture is bright above, otherwise landmarks that are none of a face."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, image: NDArray[np.uint8]) -> Sequence[Face]:
        self.calls += 1
        grey = image.mean(2)
        height = len(grey)
        upright = grey[: height // 3].mean() > 190 and grey[-height // 3 :].mean() < 10
        box = np.array([height / 4, height / 4, 3 * height / 4, 3 * height / 4], np.float32)
        points = (TEMPLATE if upright else BENT) * height / 2 + height / 4
        return [Face(box, points.astype(np.float32), 0.9 if upright else 0.5)]


@pytest.mark.parametrize(("seems", "quarters"), [(0, 1), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3)])
def test_a_face_whose_landmarks_fit_none_is_seen_in_other_quarter_turns(seems: int, quarters: int) -> None:
    """However it lies, and whether its landmarks seem level or not."""
    level = np.array([[0.3, 0.3], [0.7, 0.3], [0.5, 0.3], [0.45, 0.8], [0.55, 0.8]], np.float32)
    found = quarter_turns(level * 100 - 50, seems) + 100
    face = Face(np.array([50, 50, 150, 150], np.float32), found.astype(np.float32), 0.5)
    turned = with_sure_landmarks(half_lit(quarters), face, TopLit())
    assert turned.landmarks is not None and turned.score == 0.9
    np.testing.assert_array_equal(turned.box, face.box)
    np.testing.assert_allclose(turned.landmarks, quarter_turns(TEMPLATE * 100 - 50, quarters) + 100, atol=0.01)


def test_an_upright_face_is_not_seen_again() -> None:
    detect = TopLit()
    box = np.array([50, 50, 150, 150], np.float32)
    for landmarks, score in ((TEMPLATE, 0.5), (np.array([(0.5, 0.4), *TEMPLATE[1:]]), 0.9)):
        face = Face(box, (landmarks * 100 + 50).astype(np.float32), score)
        assert with_sure_landmarks(half_lit(1), face, detect) is face
    whole, point = Face(box, None, 1.0), Face(box, np.full((5, 2), 9, np.float32), 0.5)
    assert with_sure_landmarks(half_lit(1), whole, detect) is whole
    assert with_sure_landmarks(half_lit(1), point, detect) is point
    assert detect.calls == 0


def test_in_a_crowd_only_tilted_faces_are_seen_again() -> None:
    level = np.array([[0.3, 0.3], [0.7, 0.3], [0.5, 0.3], [0.45, 0.8], [0.55, 0.8]], np.float32)
    box = np.array([50, 50, 150, 150], np.float32)
    for quarters, crowd, again in ((0, False, True), (0, True, False), (1, True, True)):
        detect = TopLit()
        face = Face(box, (quarter_turns(level * 100 - 50, quarters) + 100).astype(np.float32), 0.5)
        with_sure_landmarks(half_lit(quarters), face, detect, crowd)
        assert (detect.calls > 0) == again


@pytest.mark.parametrize(("side", "again"), [(39, False), (41, True)])
def test_faces_of_a_few_pixels_are_not_seen_again(side: int, again: bool) -> None:
    detect = TopLit()
    box = np.array([50, 50, 50 + side, 50 + side], np.float32)
    with_sure_landmarks(half_lit(1), Face(box, BENT * side + 50, 0.5), detect)
    assert (detect.calls > 0) == again
