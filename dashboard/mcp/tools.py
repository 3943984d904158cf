"""What MCP clients can ask for: compare, predict and explain. No protocol here, and nothing is kept between calls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from dashboard.mcp.answers import (
    Compared,
    ComparedFace,
    Explained,
    ExplainedFace,
    ExplainedMap,
    ExplainedModel,
    ModelAnswer,
    Place,
    Predicted,
    PredictedFace,
    Size,
)
from dashboard.mcp.pictures import MAX_PICTURE, picture_from
from explain.drawing.overlay import draw_map, shared_peak
from explain.explain_picture import OWN, explain_picture
from explain.maps import Explanation
from explain.methods import METHODS
from explain.regions import area_shares, attention_shares, crop_landmarks, region_masks
from fer_models.analyzer import Analyzer
from fer_models.errors import UnknownNameError
from fer_models.expressions import in_display_order
from fer_models.models.ensemble import ENSEMBLE, ensemble
from fer_models.results import FaceAnalysis
from fer_models.schema import face_to_json, to_json

#: Side in px of the pictures of maps.
_SIDE: Final = 448


@dataclass(frozen=True)
class MapPicture:
    """A map drawn on its face.

    Attributes:
        title: model, method and expression.
        png: the file.
    """

    title: str
    png: bytes


class Tools:
    """The three tools on one analyzer. Safe to call from several threads."""

    def __init__(self, analyzer: Analyzer, most: int = MAX_PICTURE) -> None:
        """Read pictures with `analyzer`, of files of at most `most` bytes."""
        self.analyzer = analyzer
        self.most = min(most, MAX_PICTURE)

    def compare(self, image: str, models: Sequence[str] | None = None, whole: bool = False) -> Compared:
        """Every face, read by every model.

        Args:
            image: the picture file as base64.
            models: only these; None or empty means all.
            whole: read the picture as one face instead of looking for faces.

        Raises:
            ImageError: the picture cannot be used.
            UnknownNameError: no such model.
        """
        pixels = picture_from(image, self.most)
        analyses = self.analyzer.analyze([pixels], whole=whole, models=models or None)
        return {"image": _size(pixels), "faces": [_compared(analysis) for analysis in analyses]}

    def predict(self, image: str, model: str = ENSEMBLE, whole: bool = False) -> Predicted:
        """One answer a face.

        Args:
            image: the picture file as base64.
            model: a name, or "ensemble": the mean of all models' calibrated probabilities.
            whole: read the picture as one face instead of looking for faces.

        Raises:
            ImageError: the picture cannot be used.
            UnknownNameError: no such model.
        """
        known = (*self.analyzer.classifiers, ENSEMBLE)
        if model not in known:
            raise UnknownNameError("model", model, known)
        pixels = picture_from(image, self.most)
        chosen = None if model == ENSEMBLE else [model]
        analyses = self.analyzer.analyze([pixels], whole=whole, models=chosen)
        faces = [_predicted(analysis, model) for analysis in analyses]
        return {"image": _size(pixels), "model": model, "faces": faces}

    def explain(
        self,
        image: str,
        models: Sequence[str] | None = None,
        expression: str = OWN,
        method: str = "native",
        face: int = 1,
        whole: bool = False,
    ) -> tuple[Explained, list[MapPicture]]:
        """Where models look in one face.

        Args:
            image: the picture file as base64.
            models: only these; None or empty means all.
            expression: whose evidence is shown: a name, "own" (each model's answer) or "all".
            method: as in `explain.methods.METHODS`.
            face: number of the face, from 1, the largest.
            whole: read the picture as one face instead of looking for faces.

        Returns:
            The figures, and a picture a map in their order. A model's maps share one colour scale.

        Raises:
            ImageError: the picture cannot be used, or has no such face.
            UnknownNameError: no such model, method or expression.
            ExplanationError: the method is not installed or gives no map.
        """
        pixels = picture_from(image, self.most)
        explained = explain_picture(
            self.analyzer,
            pixels,
            models=models or None,
            method=method,
            target=expression,
            face=face,
            whole=whole,
        )
        analysis = explained.analysis
        masks = region_masks(crop_landmarks(analysis.face, len(analysis.crop)), len(analysis.crop))
        answers: dict[str, ExplainedModel] = {}
        pictures = []
        for name, maps in explained.maps.items():
            said, peak = _answer(analysis, name), shared_peak(maps.values())
            answers[name] = {
                "label": said["label"],
                "probabilities": said["probabilities"],
                "maps": {target: _map(one, attention_shares(one.heat, masks)) for target, one in maps.items()},
            }
            for target, one in maps.items():
                drawn = draw_map(analysis.crop, one, peak=peak, side=_SIDE)
                _, code = cv2.imencode(".png", drawn[..., ::-1])
                pictures.append(MapPicture(f"{name}, {method}, {target}", code.tobytes()))
        where: ExplainedFace = {"number": explained.number, **_place(analysis)}
        return {"image": _size(pixels), "face": where, "areas": area_shares(masks), "models": answers}, pictures


def _size(image: NDArray[np.uint8]) -> Size:
    size: Size = to_json(image, [])["image"]
    return size


def _place(analysis: FaceAnalysis) -> Place:
    face = face_to_json(analysis)
    return {"box": face["box"], "score": face["score"]}


def _answer(analysis: FaceAnalysis, name: str) -> ModelAnswer:
    answer: ModelAnswer = face_to_json(analysis)["models"][name]
    return answer


def _compared(analysis: FaceAnalysis) -> ComparedFace:
    models = {name: _answer(analysis, name) for name in analysis.predictions}
    return {**_place(analysis), "agreement": analysis.agreement, "models": models}


def _predicted(analysis: FaceAnalysis, model: str) -> PredictedFace:
    prediction = ensemble(analysis.predictions) if model == ENSEMBLE else analysis.predictions[model]
    return {
        **_place(analysis),
        "label": prediction.label,
        "confidence": prediction.confidence,
        "probabilities": {name: prediction.probability(name) for name in in_display_order(prediction.labels)},
    }


def _map(explanation: Explanation, shares: dict[str, float]) -> ExplainedMap:
    scale = METHODS[explanation.method].scale
    return {"method": explanation.method, "scale": scale, "peak": explanation.peak, "shares": shares}
