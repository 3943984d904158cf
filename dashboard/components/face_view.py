"""Results as HTML: pictures are data URIs, every text is escaped. No Gradio here."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from dashboard.components.analyzed_image import AnalyzedFace, AnalyzedImage, agreement_sentence
from dashboard.components.charts import ModelStyle
from dashboard.components.display import ModelDisplay as ModelDisplay
from dashboard.components.display import model_display as model_display
from dashboard.components.templates import busy as busy
from dashboard.components.templates import data_uri as data_uri
from dashboard.components.templates import macro
from dashboard.components.templates import message as message
from explain.drawing.overlay import draw_map, shared_peak
from fer_models.formatting import percent
from fer_models.models.card import ModelCard
from fer_models.models.ensemble import ENSEMBLE, ensemble
from fer_models.registry import LABEL_SETS
from fer_models.results import Prediction

#: The choice that shows, for each model, the map of its own most probable expression.
OWN: Final = "own"
NO_FACE: Final = (
    "No face was found in this picture. Try one where a face is larger, sharper, brighter or turned to the camera. If "
    "the picture is itself a single cropped face, as in many datasets, it can be read as it is."
)


def picture(analyzed: AnalyzedImage) -> str:
    """The picture with its numbered boxes; each box and each thumbnail is a button with data-face, the face's index."""
    width, height = analyzed.size
    several = analyzed.faces if len(analyzed.faces) > 1 else ()
    hits = "".join(_hit(index, face, analyzed.size) for index, face in enumerate(several))
    thumbs = "".join(_thumb(index, face) for index, face in enumerate(several))
    strip = f'<div class="fer-strip" role="group" aria-label="Faces">{thumbs}</div>' if thumbs else ""
    return (
        f'<div class="fer-panel"><div class="fer-picture"><img src="{data_uri(analyzed.picture)}" '
        f'width="{analyzed.picture.shape[1]}" height="{analyzed.picture.shape[0]}" '
        f'alt="{escape(_alt(analyzed))}">{hits}'
        f'</div><p class="fer-picture-note">{escape(_note(analyzed))} {width} &times; {height} px.</p>{strip}</div>'
    )


def with_ensemble(face: AnalyzedFace, names: Sequence[str]) -> dict[str, Prediction]:
    """The chosen predictions of a face, by model name, the mean of the models last if it is chosen.

    Args:
        face: the face.
        names: of models; `ENSEMBLE` among them counts where at least two models are.
    """
    models = {name: face.predictions[name] for name in names if name != ENSEMBLE}
    return models | {ENSEMBLE: ensemble(models)} if ENSEMBLE in names and len(models) > 1 else models


def verdict(analyzed: AnalyzedImage, index: int, names: Sequence[str], display: ModelDisplay) -> str:
    """The chosen face and where the chosen models agree or disagree about it; the chart's key."""
    face = analyzed.faces[index]
    every = with_ensemble(face, names)
    predictions = {name: prediction for name, prediction in every.items() if name != ENSEMBLE}
    sentence = agreement_sentence(predictions, display.titles, display.training)
    where = f"Face {index + 1} of {len(analyzed.faces)}" if len(analyzed.faces) > 1 else "The face"
    if face.face.landmarks is None:
        where = "The whole picture as one face"
    key = "".join(f"<li>{swatch(display.styles[name])}{escape(display.column_titles[name])}</li>" for name in every)
    return (
        f'<div class="fer-verdict" data-face-shown="{index}"><img src="{data_uri(face.crop)}" width="84" height="84" '
        f'alt="The aligned face, as every model was given it"><div><p class="fer-eyebrow">{escape(where)}</p>'
        f'<p class="fer-sentence" aria-live="polite">{escape(sentence)}</p></div></div><ul class="fer-key">{key}</ul>'
    )


def columns(face: AnalyzedFace, names: Sequence[str], expression: str, display: ModelDisplay) -> str:
    """One column a model: where it looked, its top label with confidence, what it was trained on.

    Args:
        face: the face.
        names: of the models, in the order of the columns; perhaps `ENSEMBLE`.
        expression: whose map is shown; `OWN` means each model's own most probable one.
        display: cards and styles.
    """
    predictions = with_ensemble(face, names)
    cells = "".join(
        _ensemble_column(face, predictions, display) if name == ENSEMBLE else _column(face, name, expression, display)
        for name in predictions
    )
    legend = (
        '<div class="fer-legend"><span>No evidence <i></i> Strongest evidence</span><span>Each map is '
        "scaled to the strongest evidence its model finds for any expression in this face: a pale map means little."
        "</span></div>"
    )
    return f'<div class="fer-grid" data-models="{len(predictions)}">{cells}</div>{legend if predictions else ""}'


def examples(pictures: Sequence[tuple[str, NDArray[np.uint8]]]) -> str:
    """Titled example pictures (H, W, 3) uint8 RGB as buttons with data-example, the picture's index."""
    if not pictures:
        return ""
    thumbs = "".join(
        f'<button type="button" class="fer-thumb" data-example="{index}" title="{escape(title)}" '
        f'aria-label="Example: {escape(title)}"><img src="{data_uri(image)}" alt=""></button>'
        for index, (title, image) in enumerate(pictures)
    )
    hint = '<p class="fer-hint">Or try an example</p>'
    return f'<div class="fer-examples">{hint}<div class="fer-strip">{thumbs}</div></div>'


def _column(face: AnalyzedFace, name: str, expression: str, display: ModelDisplay) -> str:
    card, prediction = display.cards[name], face.predictions[name]
    target = prediction.label if expression == OWN else expression
    maps = face.maps[name]
    if target in maps:
        image = draw_map(face.crop, maps[target], peak=shared_peak(maps.values()), side=320)
        caption = f"Evidence for {target} ({percent(prediction.probability(target))})"
        alt = f"Where {card.title} finds evidence for {target}"
    else:
        image, caption = face.crop, f"This model does not know {target}"
        alt = caption
    facts = {"Trained on": card.training_labels, **_measured(card)}
    return _card(name, prediction, image, (alt, caption), facts, display)


def _ensemble_column(face: AnalyzedFace, predictions: Mapping[str, Prediction], display: ModelDisplay) -> str:
    """The mean of the shown models: an answer, and no map, since it has no attention of its own."""
    members = [display.titles[name] for name in predictions if name != ENSEMBLE]
    texts = ("The aligned face", "A mean of models looks nowhere itself")
    facts = {"Mean of": ", ".join(members)}
    return _card(ENSEMBLE, predictions[ENSEMBLE], face.crop, texts, facts, display)


def _card(
    name: str,
    prediction: Prediction,
    image: NDArray[np.uint8],
    texts: tuple[str, str],
    facts: Mapping[str, str],
    display: ModelDisplay,
) -> str:
    """One column: picture with its alternative text and caption, answer, facts."""
    style, (alt, caption) = display.styles[name], texts
    told = "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in facts.items())
    return (
        f'<article class="fer-card" data-model="{escape(name)}">'
        f'<header>{swatch(style)}<span>{escape(display.column_titles[name])}</span></header><figure class="fer-map">'
        f'<img src="{data_uri(image)}" width="320" height="320" '
        f'alt="{escape(alt)}"><figcaption>{escape(caption)}</figcaption></figure><div class="fer-body">'
        '<div class="fer-top">'
        f'<span class="fer-label">{escape(prediction.label.capitalize())}</span>'
        f'<span class="fer-confidence">{percent(prediction.confidence)}</span></div>'
        f'<div class="fer-bar"><i style="width:{100 * prediction.confidence:.1f}%;background:{style.colour}"></i></div>'
        f'<dl>{told}<dt>Time</dt><dd title="{escape(prediction.LATENCY_COVERS)}">{prediction.latency_ms:.0f} ms</dd>'
        "</dl></div></article>"
    )


def _measured(card: ModelCard) -> dict[str, str]:
    """The accuracy on the test set of the model's own labels, and where it is weak, as far as its card states them."""
    figures, facts = card.test_figures, {}
    if figures.accuracy is not None:
        spec = LABEL_SETS.get(card.label_set or "")
        title = spec.title if spec else card.label_set
        facts["Accuracy"] = f"{100 * figures.accuracy:.1f}\u00a0% ({title} test set)"
    weak = [name for name, recall in figures.recall.items() if recall is not None and recall < 0.5]
    if weak:
        facts["Weakest on"] = ", ".join(weak)
    return facts


def swatch(style: ModelStyle) -> str:
    """A small square in a model's colour and pattern, for HTML that is not yet a template."""
    return str(macro("swatch", style))


def _hit(index: int, analyzed: AnalyzedFace, size: tuple[int, int]) -> str:
    """A transparent button over a face's box, in % of the picture, so that it fits at any width."""
    box = np.clip(analyzed.face.box / np.array([*size, *size]), 0, 1) * 100
    left, top, wide, high = box[0], box[1], box[2] - box[0], box[3] - box[1]
    place = f"left:{left:.2f}%;top:{top:.2f}%;width:{wide:.2f}%;height:{high:.2f}%"
    # Hidden from screen readers and the tab order: the thumbnails below say and do the same.
    return (
        f'<button type="button" class="fer-hit" data-face="{index}" aria-pressed="{_true(index == 0)}" tabindex="-1" '
        f'aria-hidden="true" style="{place}"></button>'
    )


def _thumb(index: int, analyzed: AnalyzedFace) -> str:
    small = cv2.resize(analyzed.crop, (96, 96), interpolation=cv2.INTER_AREA)
    return (
        f'<button type="button" class="fer-thumb" data-face="{index}" aria-pressed="{_true(index == 0)}" '
        f'aria-label="Face {index + 1}"><img src="{data_uri(np.asarray(small, np.uint8), 80)}" alt="">'
        f'<span class="fer-number">{index + 1}</span></button>'
    )


def _true(value: bool) -> str:
    return "true" if value else "false"


def _alt(analyzed: AnalyzedImage) -> str:
    return f"Your picture with {len(analyzed.faces)} numbered boxes" if len(analyzed.faces) else "Your picture"


def _note(analyzed: AnalyzedImage) -> str:
    if not analyzed.faces:
        return "No face was found."
    if analyzed.faces[0].face.landmarks is None:
        return "Read as one face, without looking for faces."
    if analyzed.total == 1:
        return "One face found."
    limit = f", the {len(analyzed.faces)} largest are shown" if analyzed.total > len(analyzed.faces) else ""
    return f"{analyzed.total} faces found{limit}. Choose one in the picture or below."
