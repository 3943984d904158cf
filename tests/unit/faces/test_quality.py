from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.face_quality import limit_of
from fer_models.analyzer import WEIGHTS
from fer_models.evaluation.records.benchmarks import FaceQualityRecord
from fer_models.faces import quality
from fer_models.faces.alignment import align
from fer_models.faces.detector import CenterFace
from fer_models.faces.quality import FaceQuality, face_quality
from fer_models.media.images import read_image
from fer_models.results import Face

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def face_at(points: list[list[float]]) -> Face:
    return Face(np.zeros(4, np.float32), np.array(points, np.float32), 1.0)


@pytest.fixture(scope="module")
def astronaut() -> tuple[NDArray[np.uint8], Face]:
    image = read_image(EXAMPLES / "astronaut.jpg")
    return image, CenterFace().detect(image)[0]


def test_measures_by_hand() -> None:
    crop = np.full((48, 48), 100, np.uint8)
    crop[:, 24:] = 140
    measured = face_quality(face_at([[10, 20], [30, 20], [26, 30], [12, 40], [28, 40]]), crop)
    assert (measured.eye_distance, measured.contrast) == (20, 20)
    assert measured.turn == pytest.approx(0.6)  # the nose is 6 px off the middle, half the distance is 10 px
    # The Laplacian is 40 in one column left of the edge, -40 in one right of it, and 0 in the other 46.
    assert measured.sharpness == pytest.approx(40 * np.sqrt(2 / 48) / 20)


def test_the_turn_does_not_depend_on_the_heads_tilt() -> None:
    points = np.array([[10, 20], [30, 20], [26, 30], [12, 40], [28, 40]], np.float64)
    turn = np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    level, tilted = (face_quality(face_at(p.tolist()), np.zeros((48, 48), np.uint8)) for p in (points, points @ turn.T))
    assert tilted.turn == pytest.approx(level.turn, abs=1e-5)


def test_a_black_square_has_no_contrast_and_a_whole_picture_no_landmarks() -> None:
    measured = face_quality(Face(np.array([0, 0, 64, 64], np.float32), None, 1.0), np.zeros((64, 64, 3), np.uint8))
    assert measured == FaceQuality(None, 0.0, 0.0, None)
    assert measured.poor and "contrast" in measured.notes[0]


def test_a_good_photo_has_no_notes_and_a_worse_one_has_its_own(astronaut: tuple[NDArray[np.uint8], Face]) -> None:
    image, face = astronaut
    assert not face_quality(face, align(image, face)).notes
    blurred = np.asarray(cv2.GaussianBlur(image, (0, 0), 6), np.uint8)
    assert "blurred" in face_quality(face, align(blurred, face)).notes[0]
    dim = (image * 0.1).astype(np.uint8)
    assert "contrast" in face_quality(face, align(dim, face)).notes[0]
    assert face.landmarks is not None
    small = np.asarray(cv2.resize(image, (80, 80), interpolation=cv2.INTER_AREA), np.uint8)
    shrink = np.float32(80 / 512)
    far = Face(face.box * shrink, face.landmarks * shrink, 1.0)
    assert "small" in face_quality(far, align(small, far)).notes[0]


def test_a_face_that_the_pictures_edge_cuts_off_is_noted(astronaut: tuple[NDArray[np.uint8], Face]) -> None:
    """Without its mouth nothing can be told from it, and the models answer all the same."""
    image, whole = astronaut
    left, top, right, bottom = whole.box
    cut = np.ascontiguousarray(image[: round(bottom - 0.4 * (bottom - top))])
    face = CenterFace().detect(cut)[0]
    assert left < face.box[[0, 2]].mean() < right
    (note,) = face_quality(face, align(cut, face)).notes
    assert "cut off" in note


def test_how_far_landmarks_lie_beyond_the_box_by_hand() -> None:
    points = np.array([[10, 20], [30, 20], [20, 30], [12, 46], [28, 44]], np.float32)
    for box, outside in (([0, 0, 40, 40], 6 / 40), ([0, 0, 40, 50], 0.0), ([15, 0, 40, 50], 5 / 50)):
        face = Face(np.array(box, np.float32), points, 1.0)
        assert face_quality(face, np.zeros((48, 48), np.uint8)).outside == pytest.approx(outside)


def test_a_darker_skin_alone_is_no_fault(astronaut: tuple[NDArray[np.uint8], Face]) -> None:
    image, face = astronaut
    darker = np.clip(image.astype(np.int16) - 60, 0, 255).astype(np.uint8)
    assert not face_quality(face, align(darker, face)).notes


def test_the_limits_are_those_of_the_record() -> None:
    record = FaceQualityRecord.model_validate_json((WEIGHTS / "results" / "face_quality.json").read_text())
    limits = {name: curve.limit for name, curve in record.curves.items()}
    assert limits == pytest.approx(
        {
            "eye_distance": quality.LEAST_EYE_DISTANCE,
            "sharpness": quality.LEAST_SHARPNESS,
            "contrast": quality.LEAST_CONTRAST,
        },
        rel=0.05,
    )


@pytest.mark.parametrize(
    ("accuracy", "expected"),
    [([0.7, 0.65, 0.55, 0.3], 15.0), ([0.7, 0.7, 0.69, 0.68], 5.0), ([0.7, 0.72, 0.5, 0.1], 20 - 10 * 0.12 / 0.22)],
)
def test_the_limit_is_where_ten_points_are_lost(accuracy: list[float], expected: float) -> None:
    measure = [30.0, 20.0, 10.0, 5.0]
    if accuracy[1] > accuracy[0]:  # a rise counts as no fall
        expected = 20 - 10 * (0.7 - 0.6) / (0.7 - 0.5)
    assert limit_of(measure, accuracy) == pytest.approx(expected)
