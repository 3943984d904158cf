"""Face, Prediction and FaceAnalysis: the frozen records that every layer shares; when models agree.

Expressions are tied where a model gives them probabilities that differ by less than `TIE`. Models disagree where they
share none of their tied expressions.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray

from fer_models.errors import UnknownNameError
from fer_models.expressions import EXPRESSIONS

#: Probabilities that differ by less are tied: all that are the same in whole percent, as people read them, are.
TIE: Final = 0.01


def is_tied(probability: float, highest: float) -> bool:
    """Whether a probability is tied with a model's highest one, both in [0, 1]; the highest is tied with itself."""
    return round(float(highest) - float(probability), 6) < TIE  # float32 puts 0.24 - 0.23 on either side of it


def is_beyond(answer: Collection[str]) -> bool:
    """Whether an answer is none of the seven expressions, such as another system's contempt.

    Args:
        answer: a model's expression and those tied with it.
    """
    return not set(answer) & set(EXPRESSIONS)


def votes(answers: Collection[Collection[str]]) -> tuple[int, int]:
    """How many models give the most frequent answer, and of how many.

    A model whose answer is none of the seven expressions, such as contempt, cannot agree with those that do not know
    it, so it is left out; where all are, they are compared as they are.

    Args:
        answers: for each model, its expression and those tied with it; at least one model.
    """
    answers = [tied for tied in answers if not is_beyond(tied)] or answers
    return max(Counter(label for tied in answers for label in tied).values()), len(answers)


def agreement(answers: Collection[Collection[str]]) -> float:
    """Share of the models that give the most frequent answer, in (0, 1]; models and answers as for `votes`."""
    agreed, models = votes(answers)
    return agreed / models


@dataclass(frozen=True, eq=False)
class Face:
    """Where one face is in its picture.

    Attributes:
        box: (4,) float32, x1 y1 x2 y2 in source pixels.
        landmarks: (5, 2) float32, xy in source pixels: left eye, right eye, nose, left and right mouth corner as seen
            in the picture; None when the whole picture was read as one face.
        score: the detector's confidence in [0, 1]; 1 when the whole picture was read as one face.
    """

    box: NDArray[np.float32]
    landmarks: NDArray[np.float32] | None
    score: float


@dataclass(frozen=True)
class CropSpec:
    """How a model wants its face cut out of a picture.

    Attributes:
        kind: "landmarks" puts the landmarks where the training faces of this project have them; "box" is a square
            around the middle of the detector's box.
        margin: of a box, what is added on every side, as a share of the box's longer side.
        aligned: of a box, whether the picture is turned first so that the eyes are level.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: Literal["landmarks", "box"] = "landmarks"
    margin: float = 0.0
    aligned: bool = False

    def __post_init__(self) -> None:
        """Check that the fields fit.

        Raises:
            ValueError: the margin is not in [0, 1], or is not of a box.
        """
        if not 0 <= self.margin <= 1:
            raise ValueError(f"margin {self.margin} is not from 0 to 1")
        if self.kind == "landmarks" and (self.margin or self.aligned):
            raise ValueError('a crop by landmarks has no margin and is always aligned; say "kind": "box"')


#: What a model is given whose card says nothing else.
SHARED_CROP: Final = CropSpec()
#: Crops of one face, each (S, S, 3) uint8 RGB; `SHARED_CROP` is always among them.
FaceCrops = Mapping[CropSpec, NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What one model says about one face.

    Attributes:
        model: the model's name, as on its card.
        labels: the model's expressions in the order of its logits.
        logits: (C,) float32.
        probabilities: (C,) float32, softmax(logits / temperature).
        temperature: what the logits were divided by (Guo et al., ICML 2017); 1 leaves them as they are.
        latency_ms: this face's share of the model's time.
        features: (K, h, w) float32, the last feature maps of the same pass; None unless asked for.
    """

    #: What `latency_ms` covers, in words for the reader.
    LATENCY_COVERS = "resizing, normalisation and forward pass of one batch, divided by its faces"

    model: str
    labels: tuple[str, ...]
    logits: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    temperature: float
    latency_ms: float
    features: NDArray[np.float32] | None = None

    @cached_property
    def label(self) -> str:
        """The most probable expression."""
        return self.labels[int(self.probabilities.argmax())]

    @cached_property
    def tied_labels(self) -> tuple[str, ...]:
        """The most probable expression and those tied with it (`is_tied`), by probability; mostly one."""
        order = np.argsort(-self.probabilities, kind="stable")
        return tuple(self.labels[index] for index in order if is_tied(self.probabilities[index], self.confidence))

    @property
    def confidence(self) -> float:
        """The probability of the most probable expression."""
        return float(self.probabilities.max())

    def probability(self, expression: str) -> float:
        """The probability of one expression, by name.

        Raises:
            UnknownNameError: this model does not know the expression.
        """
        if expression not in self.labels:
            raise UnknownNameError(f"expression for model {self.model}", expression, self.labels)
        return float(self.probabilities[self.labels.index(expression)])


@dataclass(frozen=True, eq=False)
class FaceAnalysis:
    """One face and what every model says about it.

    Attributes:
        image: index of the face's picture in the list given to the analyzer.
        face: where it is.
        crop: (S, S, 3) uint8 RGB, aligned; what every model was given but those in `own_crops`.
        predictions: by model name, in the order the models were loaded.
        own_crops: by model name, what a model was given whose card asks for another crop.
    """

    image: int
    face: Face
    crop: NDArray[np.uint8]
    predictions: Mapping[str, Prediction]
    own_crops: Mapping[str, NDArray[np.uint8]] = field(default_factory=lambda: MappingProxyType({}))

    def crop_of(self, model: str) -> NDArray[np.uint8]:
        """(S, S, 3) uint8 RGB: what a model was given."""
        return self.own_crops.get(model, self.crop)

    @property
    def agreement(self) -> float:
        """Share of the models that give the most frequent label, in (0, 1]; a tied label counts as given."""
        return agreement([prediction.tied_labels for prediction in self.predictions.values()])
