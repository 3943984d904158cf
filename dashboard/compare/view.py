"""What the Compare tab shows of one face, for its templates. No Gradio here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboard.compare.answers import AnswerGroup, answer_groups
from dashboard.components.analyzed_image import AnalyzedFace, AnalyzedImage, agreement_sentence
from dashboard.components.display import ModelDisplay
from dashboard.components.picture_view import position
from explain.drawing.overlay import draw_map, shared_peak
from explain.explain_picture import OWN
from explain.maps import NO_MAP
from fer_models import __version__
from fer_models.formatting import percent
from fer_models.models.card import ModelCard
from fer_models.models.ensemble import ensemble
from fer_models.registry import LABEL_SETS, ModelStyle
from fer_models.results import Prediction

#: What every file says it was made with.
VERSION: Final = f"fer-compare {__version__}"
#: Why an ensemble has no map.
NO_MEAN_MAP: Final = "No map: the ensemble averages the models’ answers."
#: A model is weak on an expression if it recognises a smaller share of its test faces than this.
_WEAK: Final = 0.5


@dataclass(frozen=True, eq=False)
class Verdict:
    """The chosen face, where the models agree about it, and what each of them answers: that is the chart's key, too.

    Attributes:
        index: of the face in its picture.
        crop: (S, S, 3) uint8 RGB.
        position: which of the picture's faces it is.
        sentence: where the models agree or disagree.
        notes: what makes the face hard to read.
        groups: the answers, by the labels that the models learned.
    """

    index: int
    crop: NDArray[np.uint8]
    position: str
    sentence: str
    notes: tuple[str, ...]
    groups: tuple[AnswerGroup, ...]


@dataclass(frozen=True, eq=False)
class Column:
    """The answer of one model or ensemble.

    Attributes:
        model: its name, or the ensemble's.
        title: what people read.
        style: its colour and pattern.
        prediction: its answer.
        image: (S, S, 3) uint8 RGB: the face, under an evidence map if the model has one for the expression; None for an
            ensemble.
        alt: what the image shows, for those who cannot see it.
        caption: of the image, or why there is none.
        facts: what is known about the model, by term.
    """

    model: str
    title: str
    style: ModelStyle
    prediction: Prediction
    image: NDArray[np.uint8] | None
    alt: str
    caption: str
    facts: Mapping[str, str]


def members(name: str, names: Sequence[str], display: ModelDisplay) -> list[str]:
    """Which of the chosen models an ensemble is the mean of: its members among them.

    Args:
        name: of the ensemble.
        names: of the chosen models and ensembles.
        display: cards, styles and ensembles.
    """
    return [model for model in display.ensembles[name].members if model in names]


def with_ensembles(face: AnalyzedFace, names: Sequence[str], display: ModelDisplay) -> dict[str, Prediction]:
    """The chosen predictions of a face: by model name, then by ensemble.

    Args:
        face: the face.
        names: of models and ensembles; an ensemble counts where at least two of its members are among them.
        display: cards, styles and ensembles.
    """
    predictions = {name: face.predictions[name] for name in names if name not in display.ensembles}
    averaged = {name: members(name, names, display) for name in names if name in display.ensembles}
    return predictions | {
        name: ensemble({model: predictions[model] for model in models}, name)
        for name, models in averaged.items()
        if len(models) > 1
    }


def verdict(analyzed: AnalyzedImage, index: int, names: Sequence[str], display: ModelDisplay) -> Verdict:
    """The chosen face and where the chosen models agree or disagree about it."""
    face = analyzed.faces[index]
    answers = with_ensembles(face, names, display)
    predictions = {name: prediction for name, prediction in answers.items() if name not in display.ensembles}
    sentence = agreement_sentence(predictions, display.titles, display.training)
    groups = answer_groups(face, answers, display)
    return Verdict(index, face.crop, position(analyzed, index), sentence, face.quality.notes, groups)


def columns(
    face: AnalyzedFace, names: Sequence[str], expression: str, display: ModelDisplay, side: int = 320
) -> list[Column]:
    """One column per model: its evidence map, its predicted class with its confidence, what it was trained on.

    Args:
        face: the face.
        names: of the models and ensembles, in the order of the columns.
        expression: whose map is shown; `OWN` means each model's predicted class.
        display: cards and styles.
        side: of the maps in px.
    """
    return [
        _ensemble_column(prediction, members(name, names, display), display)
        if name in display.ensembles
        else _column(face, name, expression, display, side)
        for name, prediction in with_ensembles(face, names, display).items()
    ]


def _column(face: AnalyzedFace, name: str, expression: str, display: ModelDisplay, side: int) -> Column:
    card, prediction, maps = display.cards[name], face.predictions[name], face.maps[name]
    target = prediction.label if expression == OWN else expression
    if target in maps:
        image = draw_map(face.crop_of(name), maps[target], peak=shared_peak(maps.values()), side=side)
        caption = f"Evidence for {target} ({percent(prediction.probability(target))})"
        alt = f"{card.title}: evidence map for {target}"
    elif not maps:
        image, caption, alt = face.crop_of(name), NO_MAP, "The aligned face"
    else:
        image, caption = face.crop_of(name), f"This model does not know {target}"
        alt = caption
    facts = {"Trained on": card.training_labels, **model_facts(card)}
    return Column(name, card.title, display.styles[name], prediction, image, alt, caption, facts)


def _ensemble_column(prediction: Prediction, models: Sequence[str], display: ModelDisplay) -> Column:
    """The mean of some of the shown models: an answer, but no map, since it has no feature maps of its own."""
    return Column(
        prediction.model,
        display.column_titles[prediction.model],
        display.styles[prediction.model],
        prediction,
        None,
        "",
        NO_MEAN_MAP,
        {"Mean of": ", ".join(display.titles[name] for name in models)},
    )


def chart_words(analyzed: AnalyzedImage, index: int) -> dict[str, str]:
    """What a saved chart of a face says of itself: its "title" and a "note", for `static/downloads.js`."""
    place = position(analyzed, index)
    of = f" in {analyzed.name}" if analyzed.name else ""
    return {"title": f"Probability of every expression: {place[0].lower()}{place[1:]}{of}", "note": VERSION}


def model_facts(card: ModelCard) -> dict[str, str]:
    """The accuracy on the test set of the model's own labels, and where it is weak, as far as its card states them."""
    metrics, facts = card.test_figures, {}
    if metrics.accuracy is not None:
        spec = LABEL_SETS.get(card.label_set or "")
        title = spec.title if spec else card.label_set
        facts["Accuracy"] = f"{100 * metrics.accuracy:.1f}\u00a0% ({title} test set)"
    weak = [name for name, recall in metrics.recall.items() if recall is not None and recall < _WEAK]
    if weak:
        facts["Weakest on"] = ", ".join(weak)
    return facts
