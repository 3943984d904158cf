"""Two networks of the label noise study on one face, for a template. No Gradio here."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.charts import METHOD_STYLES
from explain.drawing.overlay import draw_map, shared_peak
from explain.maps import attention
from fer_models.expressions import in_display_order
from fer_models.formatting import percent
from fer_models.models.classifier import Classifier
from fer_models.models.noise_pairs import NoisePair
from fer_models.registry import ModelStyle
from fer_models.results import Prediction

#: By method: the title of its column, and which network it is.
_TITLES: Final = {"plain": ("Plain training", "trained plainly"), "eac": ("With EAC", "trained with EAC")}


@dataclass(frozen=True, eq=False)
class NoiseColumn:
    """One network's answer.

    Attributes:
        method: "plain" or "eac".
        title: what people read.
        style: colour and pattern of the method.
        prediction: its answer.
        labels: its expressions in the order they are shown.
        image: (320, 320, 3) uint8 RGB: the face under the evidence map for the predicted class.
        alt: what the image shows, for those who cannot see it.
    """

    method: str
    title: str
    style: ModelStyle
    prediction: Prediction
    labels: tuple[str, ...]
    image: NDArray[np.uint8]
    alt: str


@dataclass(frozen=True, eq=False)
class NoiseComparison:
    """Both networks side by side.

    Attributes:
        noise: percentage of wrong training labels.
        sentence: what the two predict.
        columns: plain training, then EAC.
    """

    noise: int
    sentence: str
    columns: tuple[NoiseColumn, NoiseColumn]


def compare_networks(face: AnalyzedFace, pair: NoisePair) -> NoiseComparison:
    """Both networks' probabilities and evidence maps on one face, given the same crop as the models."""
    plain, eac = _column(face, "plain", pair.plain), _column(face, "eac", pair.eac)
    return NoiseComparison(pair.noise, sentence(pair.noise, plain.prediction, eac.prediction), (plain, eac))


def sentence(noise: int, plain: Prediction, eac: Prediction) -> str:
    """What the two predict, in plain words."""
    lead = f"With {noise}\u00a0% of the training labels wrong" if noise else "Without wrong training labels"
    shared = next((label for label in plain.tied_labels if label in eac.tied_labels), None)
    if shared:
        return (
            f"{lead}, both predict {shared}: {percent(plain.probability(shared))} after plain training, "
            f"{percent(eac.probability(shared))} with EAC."
        )
    return (
        f"{lead}, the plainly trained network predicts {plain.label} ({percent(plain.confidence)}), the one trained "
        f"with EAC {eac.label} ({percent(eac.confidence)})."
    )


def _column(face: AnalyzedFace, method: str, classifier: Classifier) -> NoiseColumn:
    (prediction,) = classifier.predict([face.model_input], features=True)
    maps, (title, training) = attention(prediction, classifier.class_weights), _TITLES[method]
    return NoiseColumn(
        method,
        title,
        METHOD_STYLES[method],
        prediction,
        tuple(in_display_order(prediction.labels)),
        draw_map(face.crop, maps[prediction.label], peak=shared_peak(maps.values()), side=320),
        f"Network {training}: evidence map for {prediction.label}",
    )
