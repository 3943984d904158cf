"""The one JSON schema of a face, for the `predict` and `video` commands and the `/compare` endpoint."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_models.expressions import in_display_order
from fer_models.faces.quality import face_quality
from fer_models.results import FaceAnalysis, Prediction


def to_json(image: NDArray[np.uint8], analyses: Sequence[FaceAnalysis], notes: Sequence[str] = ()) -> dict[str, Any]:
    """One picture and its faces as plain dicts, lists, strings and floats, ready for `json.dumps`.

        {"image": {"width", "height"},
         "faces": [{"box": [x1, y1, x2, y2], "score",
                    "models": {NAME: {"label", "probabilities": {EXPRESSION: p}, "latency_ms"}},
                    "quality": {"eye_distance", "sharpness", "contrast", "turn", "outside", "notes"}}],
         "notes": [sentences, only if there are any]}

    Boxes are in source pixels, to 1/100 of one. Probabilities keep their precision, come in the vocabulary's order and
    sum to 1 within a model. An expression that a model does not know is absent, not 0.
    "quality" is `fer_models.faces.quality.FaceQuality`; its "notes" are empty for a face that can be read well.

    Args:
        image: (H, W, 3) uint8 RGB.
        analyses: the faces of this picture alone, in order.
        notes: what its file was not as it should be in (`fer_models.media.images.Picture`).
    """
    height, width = image.shape[:2]
    document: dict[str, Any] = {"image": {"width": int(width), "height": int(height)}}
    document["faces"] = [face_to_json(face) for face in analyses]
    return document | ({"notes": list(notes)} if notes else {})


def face_to_json(analysis: FaceAnalysis) -> dict[str, Any]:
    """One entry of "faces" in `to_json`."""
    return {
        "box": [round(float(side), 2) for side in analysis.face.box],
        "score": float(analysis.face.score),
        "models": {name: _model(prediction) for name, prediction in analysis.predictions.items()},
        "quality": face_quality(analysis.face, analysis.crop).to_json(),
    }


def _model(prediction: Prediction) -> dict[str, Any]:
    return {
        "label": prediction.label,
        "probabilities": {name: prediction.probability(name) for name in in_display_order(prediction.labels)},
        "latency_ms": round(prediction.latency_ms, 3),
    }
