"""Two networks of the label noise study on one face, as HTML; every text is escaped. No Gradio here."""

from html import escape
from typing import Final

from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.charts import METHOD_STYLES, ModelStyle
from dashboard.components.face_view import data_uri, swatch
from explain.drawing.overlay import draw_map, shared_peak
from explain.maps import attention
from fer_models.expressions import in_display_order
from fer_models.formatting import percent
from fer_models.models.classifier import Classifier
from fer_models.models.noise_pairs import NoisePair
from fer_models.results import Prediction

_TITLES: Final = {"plain": "Plain training", "eac": "With EAC"}


def noise_columns(face: AnalyzedFace, pair: NoisePair) -> str:
    """Both networks' probabilities and attention on one face, side by side.

    Args:
        face: the face; both networks are given what the models were given.
        pair: the two networks.
    """
    cells, answers = "", []
    for method, classifier in (("plain", pair.plain), ("eac", pair.eac)):
        (prediction,) = classifier.predict([face.given], features=True)
        cells += _column(face, method, classifier, prediction)
        answers.append(prediction)
    return (
        f'<p class="fer-noise-says" aria-live="polite">{escape(sentence(pair.noise, *answers))}</p>'
        f'<div class="fer-grid fer-noise" data-noise="{pair.noise}">{cells}</div>'
    )


def sentence(noise: int, plain: Prediction, eac: Prediction) -> str:
    """What the two say, in plain words."""
    lead = f"With {noise}\u00a0% of the training labels wrong" if noise else "With no label made wrong"
    if plain.label == eac.label:
        return (
            f"{lead}, both say {plain.label}: {percent(plain.confidence)} after plain training, "
            f"{percent(eac.confidence)} with EAC."
        )
    return (
        f"{lead}, the network trained plainly says {plain.label} ({percent(plain.confidence)}), the one trained with "
        f"EAC {eac.label} ({percent(eac.confidence)})."
    )


def _column(face: AnalyzedFace, method: str, classifier: Classifier, prediction: Prediction) -> str:
    style, maps = METHOD_STYLES[method], attention(prediction, classifier.class_weights)
    image = draw_map(face.crop, maps[prediction.label], peak=shared_peak(maps.values()), side=320)
    bars = "".join(_bar(label, prediction, style) for label in in_display_order(prediction.labels))
    alt = f"Where the network trained {'with EAC' if method == 'eac' else 'plainly'} finds evidence"
    return (
        f'<article class="fer-card" data-method="{method}"><header>{swatch(style)}<span>{_TITLES[method]}</span>'
        f'</header><figure class="fer-map"><img src="{data_uri(image)}" width="320" height="320" alt="{alt} for '
        f'{escape(prediction.label)}"><figcaption>Evidence for {escape(prediction.label)}</figcaption></figure>'
        f'<div class="fer-body"><ul class="fer-noise-bars">{bars}</ul></div></article>'
    )


def _bar(label: str, prediction: Prediction, style: ModelStyle) -> str:
    chance, mark = prediction.probability(label), " data-answer" if label == prediction.label else ""
    return (
        f'<li{mark}><span>{escape(label.capitalize())}</span><div class="fer-bar">'
        f'<i style="width:{100 * chance:.1f}%;background:{style.colour}"></i></div><b>{percent(chance)}</b></li>'
    )
