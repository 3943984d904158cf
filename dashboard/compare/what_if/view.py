"""What the what-if bench shows, for its templates, and its chart. No Gradio here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.compare.view import VERSION, with_ensembles
from dashboard.compare.what_if.sweep import Run, Step, Sweep, answer_runs
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.charts import base_layout
from dashboard.components.display import ModelDisplay
from explain.drawing.overlay import draw_map, shared_peak
from explain.maps import NO_MAP
from fer_models.evaluation.changes import Change
from fer_models.formatting import percent
from fer_models.registry import ModelStyle
from fer_models.results import Prediction

_SIDE: Final = 200  # px of the face and the maps
_HEIGHT: Final = 340  # px of the chart


@dataclass(frozen=True)
class Answers:
    """One model's answers over the range.

    Attributes:
        title: what people read.
        style: the model's colour and pattern.
        text: which answer at which strengths.
    """

    title: str
    style: ModelStyle
    text: str


@dataclass(frozen=True, eq=False)
class StepCard:
    """One model at one strength.

    Attributes:
        model: its name.
        title: what people read.
        style: its colour and pattern.
        prediction: its answer.
        before: its answer about the face as it is, if that is another; else "".
        image: (200, 200, 3) uint8 RGB: the changed face under the evidence map for the answer, if there is one.
        caption: of the image.
    """

    model: str
    title: str
    style: ModelStyle
    prediction: Prediction
    before: str
    image: NDArray[np.uint8]
    caption: str


@dataclass(frozen=True, eq=False)
class StepView:
    """The changed face and what every model makes of it.

    Attributes:
        value: the strength in words.
        face: (S, S, 3) uint8 RGB, as the models receive it.
        cards: of the models.
    """

    value: str
    face: NDArray[np.uint8]
    cards: Sequence[StepCard]


def strength(change: Change, value: float) -> str:
    """A strength in words, such as "2.5 % of the width"; "as it is" where the face is unchanged."""
    if value == change.neutral:
        return "as it is"
    if change.name == "mirror":
        return "mirrored"
    if change.name == "morph" and value == change.high:
        return "the second face"
    if change.name == "jpeg":
        return f"quality {value:g}"
    space = "\u00a0" if change.unit.startswith("%") else " "
    return f"{value:g}{space}{change.unit}"


def answers_over_range(result: Sweep, display: ModelDisplay) -> list[Answers]:
    """Which model gives which answer at which strengths."""
    return [
        Answers(display.titles[name], display.styles[name], _runs(answer_runs(result, name)))
        for name in result.steps[0].predictions
    ]


def _runs(runs: Sequence[Run]) -> str:
    if len(runs) == 1:
        return f"{runs[0].label} throughout"
    return ", ".join(f"{run.label} {_range(run)}" for run in runs)


def _range(run: Run) -> str:
    return f"at {run.low:g}" if run.low == run.high else f"from {run.low:g} to {run.high:g}"


def step_view(face: AnalyzedFace, result: Sweep, value: float, display: ModelDisplay) -> StepView:
    """The face at a strength, and every model's answer and map.

    Args:
        face: as it is.
        result: of the change.
        value: the strength.
        display: cards and styles.
    """
    step, neutral = result.at(value), result.at(result.change.neutral)
    crop = result.change.apply(face.model_input, step.value)
    cards = [_card(name, step, neutral, result.crop_of(face, name, step.value), display) for name in step.predictions]
    return StepView(strength(result.change, step.value), crop, cards)


def _card(name: str, step: Step, neutral: Step, crop: NDArray[np.uint8], display: ModelDisplay) -> StepCard:
    prediction, maps, first = step.predictions[name], step.maps[name], neutral.predictions[name].label
    image, caption = crop, NO_MAP
    if maps:
        image = draw_map(crop, maps[prediction.label], peak=shared_peak(maps.values()), side=_SIDE)
        caption = f"Evidence for {prediction.label} ({percent(prediction.confidence)})"
    before = "" if first == prediction.label else first
    return StepCard(name, display.titles[name], display.styles[name], prediction, before, image, caption)


@dataclass(frozen=True)
class PairRow:
    """What one model or ensemble makes of two faces.

    Attributes:
        title: what people read.
        style: its colour and pattern.
        answers: its answers about the first and the second face.
        expression: whose probability differs most.
        points: the second face's minus the first's, in percentage points.
    """

    title: str
    style: ModelStyle
    answers: tuple[Prediction, Prediction]
    expression: str
    points: float

    @property
    def same(self) -> bool:
        """Whether both answers are the same."""
        return self.answers[0].label == self.answers[1].label

    @property
    def difference(self) -> str:
        """The difference in words, such as "happiness \u221286 points"."""
        points = f"{self.points:+.0f}".replace("-", "\u2212")
        return f"{self.expression} {points} points" if abs(self.points) >= 0.5 else "less than 1 point"


@dataclass(frozen=True, eq=False)
class PairView:
    """Two faces side by side.

    Attributes:
        faces: crop (S, S, 3) uint8 RGB and caption of each.
        sentence: how many models give both the same answer.
        rows: the models, then the ensembles.
    """

    faces: Sequence[tuple[NDArray[np.uint8], str]]
    sentence: str
    rows: Sequence[PairRow]


def pair_view(first: AnalyzedFace, second: AnalyzedFace, captions: tuple[str, str], display: ModelDisplay) -> PairView:
    """What all models and ensembles make of two faces, and where they differ most.

    Args:
        first: a face.
        second: another one.
        captions: of both.
        display: cards, styles and ensembles.
    """
    names = [*display.cards, *display.ensembles]
    before, after = (with_ensembles(face, names, display) for face in (first, second))
    rows = [_pair_row(name, one, after[name], display) for name, one in before.items()]
    same = sum(row.same for row, name in zip(rows, before, strict=True) if name in display.cards)
    sentence = f"{same} of {len(first.predictions)} models give both faces the same answer."
    return PairView([(first.crop, captions[0]), (second.crop, captions[1])], sentence, rows)


def _pair_row(name: str, first: Prediction, second: Prediction, display: ModelDisplay) -> PairRow:
    points = {label: 100 * (second.probability(label) - first.probability(label)) for label in first.labels}
    most = max(points, key=lambda label: abs(points[label]))
    return PairRow(display.column_titles[name], display.styles[name], (first, second), most, points[most])


def sweep_figure(result: Sweep, display: ModelDisplay) -> go.Figure:
    """Each model's confidence over the range; large marks where its answer differs from the strength before."""
    change = result.change
    figure = go.Figure(layout=base_layout("Confidence (%)"), layout_height=_HEIGHT, layout_hovermode="closest")
    figure.update_layout(legend_title_text="", meta={"alone": _words(change)})
    figure.update_xaxes(title={"text": f"{change.title} ({change.unit})", "standoff": 10})
    figure.update_yaxes(range=[0, 102], tickvals=[0, 25, 50, 75, 100])
    figure.add_vline(x=change.neutral, line={"color": "rgba(128,128,128,0.6)", "width": 1, "dash": "dot"})
    values = [step.value for step in result.steps]
    for name in result.steps[0].predictions:
        answers, style = [step.predictions[name] for step in result.steps], display.styles[name]
        labels = [one.label for one in answers]
        turned = [index > 0 and label != labels[index - 1] for index, label in enumerate(labels)]
        figure.add_scatter(
            name=display.titles[name],
            x=values,
            y=[100 * one.confidence for one in answers],
            customdata=labels,
            mode="lines+markers",
            line={"color": style.colour, "dash": style.dash, "width": 2},
            marker={
                "color": style.colour,
                "symbol": style.marker,
                "size": [13 if each else 5 for each in turned],
                "opacity": 1,
            },
            hovertemplate="%{fullData.name} at %{x:g}: <b>%{customdata} %{y:.0f} %</b><extra></extra>",
        )
    return figure


def _words(change: Change) -> dict[str, str]:
    """What the saved chart says of itself."""
    note = f"Large marks: another answer than at the strength before. Dotted line: the face as it is. {VERSION}"
    return {"title": f"{change.title}: each model’s confidence in its answer", "note": note}
