"""What MCP clients can ask for: compare, predict and explain, and the types of the answers. No protocol here.

Pictures come as text and are decoded in memory: no path and no address is ever read, nothing is written, and nothing is
kept between calls. Clients see the types' names and docstrings in the tools' output schemas.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
from pydantic import BaseModel

from explain.drawing.overlay import draw_map, shared_peak
from explain.explain_picture import OWN, explain_picture
from explain.maps import Explanation
from explain.methods import METHODS
from explain.regions import area_shares, attention_shares, crop_landmarks, region_masks
from fer_models.analyzer import Analyzer
from fer_models.errors import ImageError, UnknownNameError
from fer_models.expressions import in_display_order
from fer_models.media.images import Picture, read_picture
from fer_models.models.ensemble import ENSEMBLE, ensemble
from fer_models.registry import ensembles_of
from fer_models.results import FaceAnalysis
from fer_models.schema import face_to_json, to_json

#: Bytes of the largest picture file that is decoded: a photo of 64 megapixels as JPEG.
MAX_PICTURE: Final = 20_000_000
#: Side in px of the pictures of maps.
_SIDE: Final = 448
#: What browsers put in front of base64; anything else with a colon in front is an address.
_DATA: Final = re.compile(r"data:[\w.+/-]*;base64,")
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_REFUSED: Final = "The picture is no base64. Send the picture file itself as base64: paths and addresses are not read."


class Size(BaseModel):
    """A picture's size in px, after its EXIF orientation was applied."""

    width: int
    height: int


class ModelAnswer(BaseModel):
    """What one model says: its most probable expression, all probabilities (they sum to 1), its time in ms."""

    label: str
    probabilities: dict[str, float]
    latency_ms: float


class Place(BaseModel):
    """Where a face is: its box [x1, y1, x2, y2] in px and the detector's score in [0, 1]."""

    box: list[float]
    score: float


class Quality(BaseModel):
    """How well a face can be read, as `fer_models.faces.quality` measures it, and sentences on what makes it hard."""

    eye_distance: float | None
    sharpness: float
    contrast: float
    turn: float | None
    outside: float | None
    notes: list[str]


class ComparedFace(Place):
    """One face, each model's answer, and the share of the models that give the most frequent one, tied or not."""

    agreement: float
    models: dict[str, ModelAnswer]
    quality: Quality


class Compared(BaseModel):
    """Every face of a picture, read by every model, and sentences on what its file was not as it should be in."""

    image: Size
    notes: list[str]
    faces: list[ComparedFace]


class PredictedFace(Place):
    """One face: the most probable expression, its probability, and those of all expressions."""

    label: str
    confidence: float
    probabilities: dict[str, float]


class Predicted(BaseModel):
    """Every face of a picture, read by one model or by a mean of models, and notes as in `Compared`."""

    image: Size
    notes: list[str]
    model: str
    faces: list[PredictedFace]


class ExplainedMap(BaseModel):
    """One map: what its values mean, its largest one, and how its positive evidence spreads over the face's parts."""

    method: str
    scale: str
    peak: float
    shares: dict[str, float]


class ExplainedModel(BaseModel):
    """What one model says about the face, and its maps by expression; or why it has none."""

    label: str
    probabilities: dict[str, float]
    maps: dict[str, ExplainedMap]
    no_map: str | None = None


class ExplainedFace(Place):
    """Which face of the picture, by its number from 1."""

    number: int


class Explained(BaseModel):
    """One face, each model's maps of it, how much of the face each part covers (what an even map would give), notes."""

    image: Size
    notes: list[str]
    face: ExplainedFace
    areas: dict[str, float]
    models: dict[str, ExplainedModel]


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

    def __init__(self, analyzer: Analyzer, max_bytes: int = MAX_PICTURE) -> None:
        """Analyze pictures with `analyzer`, of files of at most `max_bytes` bytes."""
        self.analyzer = analyzer
        self.max_bytes = min(max_bytes, MAX_PICTURE)
        training_labels = {name: model.card.training_labels for name, model in analyzer.classifiers.items()}
        #: The means of models that learned the same labels, by name.
        self.ensembles = {each.name: each for each in ensembles_of(training_labels)}

    def compare(self, image: str, models: Sequence[str] | None = None, whole: bool = False) -> Compared:
        """Every face, as every model predicts it.

        Args:
            image: the picture file as base64.
            models: only these; None or empty means all.
            whole: take the picture as one face instead of detecting faces.

        Raises:
            ImageError: the picture cannot be used.
            UnknownNameError: no such model.
        """
        picture = decode_picture(image, self.max_bytes)
        analyses = self.analyzer.analyze([picture.pixels], whole=whole, models=models or None)
        faces = [ComparedFace(**face_to_json(analysis), agreement=analysis.agreement) for analysis in analyses]
        return Compared(**_about(picture), faces=faces)

    def predict(self, image: str, model: str = ENSEMBLE, whole: bool = False) -> Predicted:
        """One answer per face.

        Args:
            image: the picture file as base64.
            model: a name, one of `ensembles`, or "ensemble": the mean of all models' calibrated probabilities, though
                they learned different labels.
            whole: take the picture as one face instead of detecting faces.

        Raises:
            ImageError: the picture cannot be used.
            UnknownNameError: no such model.
        """
        known = (*self.analyzer.classifiers, ENSEMBLE, *self.ensembles)
        if model not in known:
            raise UnknownNameError("model", model, known)
        picture = decode_picture(image, self.max_bytes)
        averaged = self.ensembles[model].members if model in self.ensembles else None
        chosen = None if model == ENSEMBLE else averaged or [model]
        analyses = self.analyzer.analyze([picture.pixels], whole=whole, models=chosen)
        faces = [_predicted(analysis, model) for analysis in analyses]
        return Predicted(**_about(picture), model=model, faces=faces)

    def explain(
        self,
        image: str,
        models: Sequence[str] | None = None,
        expression: str = OWN,
        method: str = "native",
        face: int = 1,
        whole: bool = False,
    ) -> tuple[Explained, list[MapPicture]]:
        """Where the models find evidence in one face.

        Args:
            image: the picture file as base64.
            models: only these; None or empty means all.
            expression: whose evidence is shown: a name, "own" (each model's predicted class) or "all".
            method: as in `explain.methods.METHODS`.
            face: number of the face, from 1, the largest.
            whole: take the picture as one face instead of detecting faces.

        Returns:
            The figures, and a picture per map in their order. A model's maps share one colour scale.

        Raises:
            ImageError: the picture cannot be used, or has no such face.
            UnknownNameError: no such model, method or expression.
            ExplanationError: the method is not installed or gives no map.
        """
        picture = decode_picture(image, self.max_bytes)
        explained = explain_picture(
            self.analyzer,
            picture.pixels,
            models=models or None,
            method=method,
            target=expression,
            face=face,
            whole=whole,
        )
        analysis = explained.analysis
        document = face_to_json(analysis)
        answers: dict[str, ExplainedModel] = {}
        pictures = []
        for name, maps in explained.maps.items():
            crop, spec = analysis.crop_of(name), self.analyzer.classifiers[name].card.crop
            masks = region_masks(crop_landmarks(analysis.face, len(crop), spec), len(crop))
            records = {
                target: _explained_map(explanation, attention_shares(explanation.heat, masks))
                for target, explanation in maps.items()
            }
            answers[name] = ExplainedModel(
                **document["models"][name], maps=records, no_map=explained.without_map.get(name)
            )
            peak = shared_peak(maps.values())
            for target, explanation in maps.items():
                drawn = draw_map(crop, explanation, peak=peak, side=_SIDE)
                _, png = cv2.imencode(".png", drawn[..., ::-1])
                pictures.append(MapPicture(f"{name}, {method}, {target}", png.tobytes()))
        return Explained(
            **_about(picture),
            face=ExplainedFace(**document, number=explained.number),
            areas=area_shares(masks),
            models=answers,
        ), pictures


def decode_picture(text: str, max_bytes: int = MAX_PICTURE) -> Picture:
    """Decode a picture that was sent as text.

    Args:
        text: base64 of a picture file, with or without "data:image/...;base64," in front; white space is left out.
        max_bytes: bytes that the file may have.

    Returns:
        As `fer_models.media.images.read_picture` reads that file.

    Raises:
        ImageError: an address or a path was sent, the text is no base64, the file is too large or no picture.
    """
    prefix = _DATA.match(text)
    if prefix is None and _ADDRESS.match(text):
        raise ImageError(_REFUSED)
    coded = "".join(text[prefix.end() if prefix else 0 :].split())
    if len(coded) // 4 * 3 > max_bytes + 2:  # two bytes may be padding
        megabytes = max_bytes / 1_000_000
        raise ImageError(f"The picture is too large: at most {megabytes:.0f} MB are taken. Send a smaller copy.")
    try:
        content = base64.b64decode(coded, validate=True)
    except (binascii.Error, ValueError):
        raise ImageError(_REFUSED) from None
    return read_picture(content)


def _about(picture: Picture) -> dict[str, Any]:
    """What every answer says of the picture."""
    return {"image": Size(**to_json(picture.pixels, [])["image"]), "notes": list(picture.notes)}


def _predicted(analysis: FaceAnalysis, model: str) -> PredictedFace:
    predictions = analysis.predictions
    prediction = predictions[model] if model in predictions else ensemble(predictions, model)
    return PredictedFace(
        **face_to_json(analysis),
        label=prediction.label,
        confidence=prediction.confidence,
        probabilities={name: prediction.probability(name) for name in in_display_order(prediction.labels)},
    )


def _explained_map(explanation: Explanation, shares: dict[str, float]) -> ExplainedMap:
    scale = METHODS[explanation.method].scale
    return ExplainedMap(method=explanation.method, scale=scale, peak=explanation.peak, shares=shares)
