"""What the tools answer, as types: their names and meanings are what an MCP client is told."""

from typing_extensions import TypedDict


class Size(TypedDict):
    """A picture's size in px, after its EXIF orientation was applied."""

    width: int
    height: int


class ModelAnswer(TypedDict):
    """What one model says: its most probable expression, all probabilities (they sum to 1), its time in ms."""

    label: str
    probabilities: dict[str, float]
    latency_ms: float


class Place(TypedDict):
    """Where a face is: its box [x1, y1, x2, y2] in px and the detector's score in [0, 1]."""

    box: list[float]
    score: float


class ComparedFace(Place):
    """One face, each model's answer, and the share of the models that give the most frequent one."""

    agreement: float
    models: dict[str, ModelAnswer]


class Compared(TypedDict):
    """Every face of a picture, read by every model."""

    image: Size
    faces: list[ComparedFace]


class PredictedFace(Place):
    """One face: the most probable expression, its probability, and those of all expressions."""

    label: str
    confidence: float
    probabilities: dict[str, float]


class Predicted(TypedDict):
    """Every face of a picture, read by one model or by the models' mean."""

    image: Size
    model: str
    faces: list[PredictedFace]


class ExplainedMap(TypedDict):
    """One map: what its values mean, its largest one, and how its positive evidence spreads over the face's parts."""

    method: str
    scale: str
    peak: float
    shares: dict[str, float]


class ExplainedModel(TypedDict):
    """What one model says about the face, and its maps by expression."""

    label: str
    probabilities: dict[str, float]
    maps: dict[str, ExplainedMap]


class ExplainedFace(Place):
    """Which face of the picture, by its number from 1."""

    number: int


class Explained(TypedDict):
    """One face, each model's maps of it, and how much of the face each part covers: what an even map would give."""

    image: Size
    face: ExplainedFace
    areas: dict[str, float]
    models: dict[str, ExplainedModel]
