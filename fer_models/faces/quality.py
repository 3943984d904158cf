"""How well a face can be read: measures of its crop and landmarks, and sentences about what is below its limit.

The limits of size, sharpness and contrast are where the models' mean accuracy is ten points below that on clean
faces; written to weights/results/face_quality.json by python -m benchmarks.face_quality.
"""

from dataclasses import asdict, dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_models.faces.alignment import TEMPLATE
from fer_models.results import Face

#: Distance between the eyes in pixels of the source picture.
LEAST_EYE_DISTANCE: Final = 11.4
#: Standard deviation of the Laplacian over that of the pixels, at 48 px.
LEAST_SHARPNESS: Final = 0.36
#: Standard deviation of the grey levels, of 0 to 255. There is no limit of brightness: skin may be dark.
LEAST_CONTRAST: Final = 15.9
#: How far the nose lies off the middle between the eyes, in half distances of the eyes. Not measured: from about here
#: on, at some 35 degrees, the template of facial regions no longer fits.
MOST_TURN: Final = 0.6
#: How far a landmark lies beyond the box. It is 0 for the faces of FER2013 and of the examples; once the examples were
#: cut so that it is more, most answers had changed where the mouth was missing.
MOST_OUTSIDE: Final = 0.01

_SIDE: Final = 48  # of the faces that the networks learned from


@dataclass(frozen=True)
class FaceQuality:
    """Measures of one face.

    Attributes:
        eye_distance: between the eyes in pixels of the source picture; None if the picture was read whole.
        sharpness: standard deviation of the Laplacian over that of the pixels, at 48 px; 0 if all are alike.
        contrast: standard deviation of the grey levels.
        turn: how far the nose lies off the middle between the eyes, in half distances of the eyes: 0 is seen from the
            front, 1 has the nose below an eye; None if the picture was read whole.
        outside: how far the farthest landmark lies beyond the box, which ends where the picture does, as a share of the
            box's longer side; None if the picture was read whole.
    """

    eye_distance: float | None
    sharpness: float
    contrast: float
    turn: float | None
    outside: float | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what is beyond its limit; empty for a face that can be read well."""
        found = []
        if self.eye_distance is not None and self.eye_distance < LEAST_EYE_DISTANCE:
            found.append(f"The face is small: {self.eye_distance:.0f} px between the eyes.")
        if self.contrast < LEAST_CONTRAST:
            found.append("The face has hardly any contrast: too little or too much light.")
        elif self.sharpness < LEAST_SHARPNESS:
            found.append("The face is blurred.")
        if self.turned:
            found.append("The head is turned far to the side.")
        if self.outside is not None and self.outside > MOST_OUTSIDE:
            found.append("The face is cut off by the edge of the picture.")
        return tuple(found)

    @property
    def turned(self) -> bool:
        """Whether the head is turned so far that the template of facial regions does not fit."""
        return self.turn is not None and self.turn > MOST_TURN

    @property
    def poor(self) -> bool:
        """Whether anything is beyond its limit."""
        return bool(self.notes)

    def to_json(self) -> dict[str, float | list[str] | None]:
        """The measures and "notes", ready for `json.dumps`."""
        measures = {name: None if value is None else round(value, 3) for name, value in asdict(self).items()}
        return measures | {"notes": list(self.notes)}


def face_quality(face: Face, crop: NDArray[np.uint8]) -> FaceQuality:
    """The measures of a face.

    Args:
        face: where it is.
        crop: (S, S, 3) or (S, S) uint8, aligned.
    """
    grey = crop if crop.ndim == 2 else cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    shrink = grey.shape[0] > _SIDE
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)
    contrast = float(grey.std())
    edges = float(cv2.Laplacian(small.astype(np.float32), cv2.CV_32F).std())
    deviation = float(small.std())
    sharpness = edges / deviation if deviation > 0 else 0.0
    if face.landmarks is None:
        return FaceQuality(None, sharpness, contrast, None)
    distance, turn = _eyes_and_turn(face.landmarks)
    return FaceQuality(distance, sharpness, contrast, turn, _outside(face.box, face.landmarks))


def eye_distance_of(side: float) -> float:
    """The distance between the eyes, in pixels, of a face whose aligned crop shows `side` source pixels."""
    return side * float(TEMPLATE[1, 0] - TEMPLATE[0, 0])


def _outside(box: NDArray[np.float32], landmarks: NDArray[np.float32]) -> float:
    beyond = np.maximum(box[:2] - landmarks, landmarks - box[2:]).max()
    return max(float(beyond) / max(float((box[2:] - box[:2]).max()), 1.0), 0.0)


def _eyes_and_turn(landmarks: NDArray[np.float32]) -> tuple[float, float]:
    left, right, nose = (landmarks[i].astype(np.float64) for i in range(3))
    across = right - left
    distance = float(np.hypot(*across))
    if distance == 0:
        return 0.0, 1.0
    along = float((nose - (left + right) / 2) @ across) / distance
    return distance, abs(along) / (distance / 2)
