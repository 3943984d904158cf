"""View models of the page that adds a model: a card as a form, and what a model answers. No Gradio, no HTML here."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dashboard.components.analyzed_image import AnalyzedFace
from explain.drawing.overlay import draw_map, shared_peak
from explain.maps import NO_MAP
from fer_models.errors import CardError
from fer_models.expressions import is_expression
from fer_models.models.external.draft import Draft

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
#: How a face can be cut out, as the form offers it.
LANDMARKS, BOX, UPRIGHT = "landmarks", "box", "upright"


@dataclass(frozen=True)
class CardForm:
    """A card as people fill it in.

    Attributes:
        name: of the model and its files.
        title: what people read.
        labels: in the order of the outputs, separated by commas.
        mode: "grey", "rgb" or "bgr".
        size: side of the input in px.
        scale: "0-1" or "0-255".
        mean: one number or three, separated by commas.
        std: as the mean.
        outputs: "logits" or "probabilities".
        crop: `LANDMARKS`, `BOX` or `UPRIGHT`.
        margin: of a box, in percent of its longer side.
        architecture: of weights.
        training_labels: which labels it learned.
        training_data: which pictures.
        licence: of the file.
    """

    name: str
    title: str = ""
    labels: str = ""
    mode: str = "rgb"
    size: float | None = 224
    scale: str = "0-1"
    mean: str = ""
    std: str = ""
    outputs: str = "logits"
    crop: str = LANDMARKS
    margin: float = 0
    architecture: str = ""
    training_labels: str = ""
    training_data: str = ""
    licence: str = ""


#: Names of the form's fields, in their order.
FIELDS: Final = tuple(field.name for field in fields(CardForm))


@dataclass(frozen=True)
class Answer:
    """A class and its probability.

    Attributes:
        label: the class.
        share: in [0, 1].
        known: whether it is one of the seven expressions.
    """

    label: str
    share: float
    known: bool


@dataclass(frozen=True, eq=False)
class Trial:
    """What the new model answers for a face.

    Attributes:
        image: the crop that it was given, with its evidence map where it has one.
        caption: of that picture.
        answers: all classes, the most probable first.
        others: what each loaded model answers, by title.
        kind: of the model, as on its card.
    """

    image: NDArray[np.uint8]
    caption: str
    answers: Sequence[Answer]
    others: Mapping[str, str]
    kind: str


def form_of(name: str, draft: Draft) -> CardForm:
    """The form for a first card."""
    card = draft.card
    spec = card.get("input", {})
    return CardForm(
        name=re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip("_.-")[:64] or "model",
        title=card.get("title") or name.replace("_", " "),
        labels=", ".join(card["labels"]),
        mode=spec.get("mode", "rgb"),
        size=spec.get("size", 224),
        scale=spec.get("scale", "0-1"),
        mean=_text(spec.get("mean")),
        std=_text(spec.get("std")),
        outputs=card.get("outputs", "logits"),
        architecture=card.get("architecture", ""),
        training_labels=card.get("training_labels", ""),
        training_data=card.get("training_data", ""),
        licence=card.get("licence", ""),
    )


def card_of(form: CardForm, draft: Draft) -> dict[str, Any]:
    """The card that a form describes, to be written beside the file.

    Raises:
        CardError: the name cannot be a file's, or a number is none.
    """
    if not _NAME.fullmatch(form.name):
        raise CardError("The name may have letters, digits, dots, hyphens and underscores, at most 64.")
    card = dict(draft.card)
    card["labels"] = [label.strip() for label in form.labels.split(",") if label.strip()]
    for term in ("title", "training_labels", "training_data", "licence"):
        if text := getattr(form, term).strip():
            card[term] = text
    if not draft.fed:
        return card
    spec = dict(card.get("input", {})) | {"mode": form.mode, "scale": form.scale}
    if form.size:
        spec["size"] = round(form.size)
    for term in ("mean", "std"):
        if numbers := _numbers(term, getattr(form, term)):
            spec[term] = numbers
        else:
            spec.pop(term, None)
    card |= {"input": spec, "outputs": form.outputs}
    if form.crop != LANDMARKS:
        card["crop"] = {"kind": "box", "margin": round(form.margin / 100, 4), "aligned": form.crop == UPRIGHT}
    if form.architecture.strip():
        card["architecture"] = form.architecture.strip()
    return card


def trial(face: AnalyzedFace, name: str, kind: str, titles: Mapping[str, str]) -> Trial:
    """What the new model, and those that are loaded, answer for a face.

    Args:
        face: analysed by all of them.
        name: of the new model.
        kind: as on its card.
        titles: of the loaded models, by name.
    """
    prediction, maps = face.predictions[name], face.maps[name]
    image, caption = face.crop_of(name), NO_MAP
    if prediction.label in maps:
        peak = shared_peak(maps.values())
        image, caption = draw_map(image, maps[prediction.label], peak=peak, side=320), "Evidence for its answer"
    order = np.argsort(-prediction.probabilities, kind="stable")
    answers = [
        Answer(label, float(prediction.probabilities[index]), is_expression(label))
        for index, label in ((index, prediction.labels[index]) for index in order)
    ]
    others = {titles[other]: face.predictions[other].label for other in titles if other in face.predictions}
    return Trial(image, caption, answers, others, kind)


def _text(numbers: Any) -> str:
    values = [] if numbers is None else [numbers] if isinstance(numbers, int | float) else list(numbers)
    return ", ".join(f"{value:g}" for value in values)


def _numbers(term: str, text: str) -> list[float]:
    try:
        return [float(word) for word in text.replace(";", ",").split(",") if word.strip()]
    except ValueError:
        raise CardError(f"{term} must be numbers with commas between, such as 0.485, 0.456, 0.406.") from None
