"""Every model's answer about one face in a row, grouped by the labels that the models learned. No Gradio here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.display import NO_LABELS, ModelDisplay, training_note
from explain.drawing.overlay import draw_map, shared_peak
from explain.maps import likeliest_other
from fer_models.registry import ModelStyle, label_set_title
from fer_models.results import Prediction

_SIDE: Final = 96  # px of a map, shown at half that size


@dataclass(frozen=True)
class Margin:
    """How far a model's first answer is ahead of its second.

    Attributes:
        points: difference of the probabilities in percentage points.
        second: the second answer.
        tied: whether both count as one answer (`fer_models.results.is_tied`).
    """

    points: float
    second: str
    tied: bool

    @property
    def text(self) -> str:
        """The points in whole ones, but never 100 for what is only close to it."""
        return "over 99" if self.points > 99.5 else f"+{self.points:.0f}"


@dataclass(frozen=True, eq=False)
class AnswerRow:
    """The answer of one model or ensemble.

    Attributes:
        model: its name, or the ensemble's.
        title: what people read.
        style: its colour and pattern.
        prediction: its answer.
        margin: to its second answer; None for a model of one expression.
        image: (96, 96, 3) uint8 RGB: the face under the evidence map for the answer; None without a map.
    """

    model: str
    title: str
    style: ModelStyle
    prediction: Prediction
    margin: Margin | None
    image: NDArray[np.uint8] | None


@dataclass(frozen=True, eq=False)
class AnswerGroup:
    """Models that learned the same labels.

    Attributes:
        title: which labels.
        rows: of the models, then of their ensemble.
    """

    title: str
    rows: tuple[AnswerRow, ...]


def margin(prediction: Prediction) -> Margin | None:
    """How far a prediction's first answer is ahead of its second; None if it has no second."""
    if len(prediction.labels) < 2:
        return None
    second = likeliest_other(prediction, prediction.label)
    points = 100 * (prediction.confidence - prediction.probability(second))
    return Margin(points, second, second in prediction.tied_labels)


def answer_groups(
    face: AnalyzedFace, predictions: Mapping[str, Prediction], display: ModelDisplay
) -> tuple[AnswerGroup, ...]:
    """The answers about a face by the labels that the models learned.

    Args:
        face: the face, with maps.
        predictions: by name of the model or ensemble, as `dashboard.compare.view.with_ensembles` gives them.
        display: cards, styles and ensembles.

    Returns:
        In the order in which the labels first occur; models whose cards name no labels come last.
    """
    groups: dict[str, list[AnswerRow]] = {}
    for name, prediction in predictions.items():
        row = AnswerRow(
            name,
            display.column_titles[name],
            display.styles[name],
            prediction,
            margin(prediction),
            _map(face, name, prediction),
        )
        groups.setdefault(_group_title(name, display), []).append(row)
    titles = sorted(groups, key=lambda title: title.lower() == NO_LABELS)
    return tuple(AnswerGroup(title, tuple(groups[title])) for title in titles)


def _group_title(name: str, display: ModelDisplay) -> str:
    """The labels that a model learned, or that the members of an ensemble did."""
    models: Sequence[str] = display.ensembles[name].members if name in display.ensembles else (name,)
    note = training_note(label_set_title(display.training[models[0]]))
    return note[0].upper() + note[1:]


def _map(face: AnalyzedFace, name: str, prediction: Prediction) -> NDArray[np.uint8] | None:
    maps = face.maps.get(name)  # an ensemble has none
    if not maps:
        return None
    return draw_map(face.crop_of(name), maps[prediction.label], peak=shared_peak(maps.values()), side=_SIDE)
