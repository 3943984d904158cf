"""What a session keeps of a picture: small arrays, never the full picture or any feature maps."""

import logging
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from explain.drawing.overlay import draw_boxes, fit
from explain.maps import Explanation, attention
from fer_models.analyzer import Analyzer
from fer_models.errors import ImageError
from fer_models.faces.alignment import align
from fer_models.faces.quality import FaceQuality, face_quality
from fer_models.media.images import read_image
from fer_models.models.classifier import Classifier
from fer_models.results import SHARED_CROP, CropSpec, Face, FaceAnalysis, Prediction, is_beyond, votes

_log = logging.getLogger(__name__)
_SUFFIXES: Final = {".jpg", ".jpeg", ".png", ".webp"}

#: Names the pictures of a folder of examples, with what each shows; optional.
LISTING: Final = "examples.toml"
#: Faces of one picture that the page shows; the command line and the API give all.
MAX_FACES: Final = 100
#: Side in px of the crops that are kept for drawing.
CROP_SIDE: Final = 224


@dataclass(frozen=True, eq=False)
class AnalyzedFace:
    """One face as the page shows it.

    Attributes:
        face: where it is.
        crop: (S, S, 3) uint8 RGB, S at most `CROP_SIDE`: the crop the models received, but sharper.
        model_input: (S, S, 3) uint8 RGB, S at most `CROP_SIDE`: the crop the models received.
        predictions: by model name, without features.
        maps: by model name and expression; none for a model that gives no feature maps.
        own_crops: by model name, the crops of those that asked for another one, S at most `CROP_SIDE`, and how they
            were cut out.
    """

    face: Face
    crop: NDArray[np.uint8]
    model_input: NDArray[np.uint8]
    predictions: Mapping[str, Prediction]
    maps: Mapping[str, Mapping[str, Explanation]]
    own_crops: Mapping[str, tuple[NDArray[np.uint8], CropSpec]] = field(default_factory=dict)

    def crop_of(self, model: str) -> NDArray[np.uint8]:
        """(S, S, 3) uint8 RGB: what a model's maps are drawn on."""
        return self.own_crops[model][0] if model in self.own_crops else self.crop

    def input_of(self, model: str) -> NDArray[np.uint8]:
        """(S, S, 3) uint8 RGB, S at most `CROP_SIDE`: the crop that a model received."""
        return self.own_crops[model][0] if model in self.own_crops else self.model_input

    def spec_of(self, model: str) -> CropSpec:
        """How that crop was cut out."""
        return self.own_crops[model][1] if model in self.own_crops else SHARED_CROP

    @property
    def quality(self) -> FaceQuality:
        """How well it can be read."""
        return face_quality(self.face, self.model_input)

    @property
    def votes(self) -> tuple[int, int]:
        """How many of the models give the most frequent answer, and of how many; as `fer_models.results.votes`."""
        return votes([prediction.tied_labels for prediction in self.predictions.values()])


@dataclass(frozen=True, eq=False)
class AnalyzedImage:
    """One picture as the page shows it.

    Attributes:
        picture: (H, W, 3) uint8 RGB with numbered boxes, at most 1280 px on its longest side.
        faces: at most `MAX_FACES`, in the order of their numbers.
        total: how many faces were detected.
        whole: the whole picture as one face; only if no face was detected, to be shown if the user asks for it.
        size: width and height of the original in px.
        notes: what the file was not as it should be in.
        name: of the file; "" if it is not known.
    """

    picture: NDArray[np.uint8]
    faces: tuple[AnalyzedFace, ...]
    total: int
    whole: AnalyzedFace | None
    size: tuple[int, int]
    notes: tuple[str, ...] = ()
    name: str = ""


def analyzed_face(
    image: NDArray[np.uint8], analysis: FaceAnalysis, classifiers: Mapping[str, Classifier]
) -> AnalyzedFace:
    """Reduce an analysis with features to what is shown: features (K, h, w) become one map (h, w) per expression.

    Args:
        image: (H, W, 3) uint8 RGB, the picture with the face.
        analysis: made with features=True.
        classifiers: that made it, by name.
    """
    crop, model_input = _bounded(align(image, analysis.face, CROP_SIDE)), _bounded(analysis.crop)
    maps = {
        name: attention(prediction, classifiers[name].class_weights)
        for name, prediction in analysis.predictions.items()
    }
    small = {name: replace(prediction, features=None) for name, prediction in analysis.predictions.items()}
    own = {name: (_bounded(own), classifiers[name].card.crop) for name, own in analysis.own_crops.items()}
    return AnalyzedFace(analysis.face, crop, model_input, small, maps, own)


def _bounded(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A crop of at most `CROP_SIDE` px per side: that of a whole picture can have any size."""
    if crop.shape[0] <= CROP_SIDE:
        return crop
    return np.asarray(cv2.resize(crop, (CROP_SIDE, CROP_SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def analyze_picture(
    analyzer: Analyzer, image: NDArray[np.uint8], notes: tuple[str, ...] = (), name: str = ""
) -> AnalyzedImage:
    """Detect and classify every face of a picture; if there is none, classify the whole picture.

    The latter is done right away and not on request, so that the picture need not be kept until then.

    Args:
        analyzer: the loaded models and the detector.
        image: (H, W, 3) uint8 RGB.
        notes: what its file was not as it should be in.
        name: of its file.
    """
    analyses = analyzer.analyze([image], features=True)
    faces = tuple(analyzed_face(image, analysis, analyzer.classifiers) for analysis in analyses[:MAX_FACES])
    whole = None
    if not faces:
        whole = analyzed_face(image, analyzer.analyze([image], whole=True, features=True)[0], analyzer.classifiers)
    picture = draw_boxes(image, [face.face.box for face in faces])
    return AnalyzedImage(picture, faces, len(analyses), whole, (image.shape[1], image.shape[0]), notes, name)


def as_whole(analyzed: AnalyzedImage) -> AnalyzedImage:
    """A picture without faces, with the whole picture as its one face."""
    if analyzed.whole is None:
        return analyzed
    return replace(analyzed, faces=(analyzed.whole,), total=1)


def agreement_sentence(
    predictions: Mapping[str, Prediction], titles: Mapping[str, str], training: Mapping[str, str]
) -> str:
    """Where the models agree or disagree about one face, in plain words, and which of them hold it for a tie.

    A model with tied expressions stands with those it shares one of them with, so the sentence agrees with
    `FaceAnalysis.agreement`.

    Args:
        predictions: by model name.
        titles: what people read, by model name.
        training: which labels each model was trained on, by model name.
    """
    if not predictions:
        return "No model is chosen."
    beyond = {name: each for name, each in predictions.items() if is_beyond(each.tied_labels)}
    if beyond and len(beyond) < len(predictions):
        rest = {name: each for name, each in predictions.items() if name not in beyond}
        lead = agreement_sentence(rest, titles, training)
        answers = _join([f"{titles[name]} predicts {each.label}" for name, each in beyond.items()])
        return f"{lead} {answers}: not one of the seven expressions, so it is left out of agreement."
    ties: dict[frozenset[str], list[str]] = {}
    for name, prediction in predictions.items():
        if len(prediction.tied_labels) > 1:
            ties.setdefault(frozenset(prediction.tied_labels), []).append(name)
    notes = [
        f"{_join([titles[name] for name in names])} {'are' if len(names) > 1 else 'is'} tied between "
        f"{_join(predictions[names[0]].tied_labels)}."
        for names in ties.values()
    ]
    if len(notes) == 1 and len(next(iter(ties.values()))) == len(predictions):
        return notes[0]  # they all share the same tie, or there is one model
    return " ".join([_votes_sentence(predictions, titles, training), *notes])


def _votes_sentence(
    predictions: Mapping[str, Prediction], titles: Mapping[str, str], training: Mapping[str, str]
) -> str:
    """How many models predict what; at least one of them."""
    counts = Counter(label for prediction in predictions.values() for label in prediction.tied_labels)
    order = [label for label, _ in counts.most_common()]
    votes: dict[str, list[str]] = {}
    for name, prediction in predictions.items():
        votes.setdefault(min(prediction.tied_labels, key=order.index), []).append(name)
    ranked = sorted(votes.items(), key=lambda vote: -len(vote[1]))
    label, names = ranked[0]
    if len(predictions) == 1:
        return f"{titles[names[0]]} predicts {label}."
    if len(ranked) == 1:
        return f"{'Both' if len(names) == 2 else f'All {_count(len(names))}'} models predict {label}."
    camps = [
        (_join([titles[name] for name in who]), "predict" if len(who) > 1 else "predicts", what) for what, who in ranked
    ]
    others = [" ".join(camp) for camp in camps]
    if len(names) == 1:
        return f"The models disagree: {_join(others)}."
    if len(names) == len(ranked[1][1]):
        return f"The models are split: {_join(others)}." + _by_training(ranked, training)
    start = f"{_count(len(names)).capitalize()} of {_count(len(predictions))} models predict {label}"
    return f"{start}; {_join(others[1:])}."


def _by_training(ranked: Sequence[tuple[str, list[str]]], training: Mapping[str, str]) -> str:
    """A hint if the camps match the training labels: then the labels differ, not only the models."""
    camps = [{training[name] for name in names} for _, names in ranked]
    if len(camps) == 2 and all(len(camp) == 1 for camp in camps) and camps[0] != camps[1]:
        return " Models trained on the same labels agree; the split follows the training data."
    return ""


def _count(number: int) -> str:
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return words[number] if number < len(words) else str(number)


def _join(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


@dataclass(frozen=True, eq=False)
class Example:
    """A picture to try.

    Attributes:
        path: its file.
        title: what people read.
        thumbnail: (H, W, 3) uint8 RGB, at most 240 px on its longest side.
        caption: what the models answer, in a few words.
    """

    path: Path
    title: str
    thumbnail: NDArray[np.uint8]
    caption: str = ""


def load_examples(folder: Path) -> list[Example]:
    """The readable pictures that `LISTING` in the folder names, in its order; all by name if it has none.

    Nothing if the folder is missing. A bad file is left out, not fatal.
    """
    examples = []
    for path, title, caption in _listed(folder):
        try:
            thumbnail, _ = fit(read_image(path), least=1, most=240)
        except ImageError as error:
            _log.warning("example left out: %s", error)
            continue
        examples.append(Example(path, title, thumbnail, caption))
    return examples


def _listed(folder: Path) -> list[tuple[Path, str, str]]:
    """Path, title and caption of each picture to show."""
    try:
        listing = tomllib.loads((folder / LISTING).read_text(encoding="utf-8"))
        return [(folder / each["file"], each["title"], each["caption"]) for each in listing["picture"]]
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        if (folder / LISTING).exists():
            _log.warning("%s is not used: %s", LISTING, error)
    pictures = [path for path in sorted(folder.glob("*")) if path.suffix.lower() in _SUFFIXES]
    return [(path, path.stem.replace("_", " ").replace("-", " ").capitalize(), "") for path in pictures]
