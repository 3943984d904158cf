"""View models of the attention lab's cards, one per model: any method's map, and an occluded face. No Gradio here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboard.attention.map_files import MapFile, Panel, map_files, map_svg
from dashboard.attention.view import Legend, MapStyle, legend, number
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.display import ModelDisplay
from explain.drawing.colormaps import sequential
from explain.drawing.overlay import draw_cells, draw_map, map_colours, shared_peak
from explain.maps import NO_MAP, Explanation
from explain.methods import METHODS, PERTURBATION
from fer_models.formatting import percent
from fer_models.registry import ModelStyle
from fer_models.results import Prediction

_SIDE: Final = 320  # px


@dataclass(frozen=True, eq=False)
class MethodMap:
    """One model's map by a method of choice.

    Attributes:
        drawn: (S, S, 3) uint8 RGB, on the face.
        expression: whose evidence.
        probability: of that expression, in [0, 1].
        cost_ms: what it took; None where it came with the prediction.
        peak: the strongest raw value, in words.
        shape: of the raw map.
        files: that save it.
    """

    drawn: NDArray[np.uint8]
    expression: str
    probability: float
    cost_ms: float | None
    peak: str
    shape: tuple[int, ...]
    files: Sequence[MapFile]


@dataclass(frozen=True, eq=False)
class MethodCard:
    """One model in the method picker: its map, why there is none, or neither while it is still to come."""

    model: str
    title: str
    style: ModelStyle
    map: MethodMap | None = None
    error: str = ""


@dataclass(frozen=True, eq=False)
class OccludedCard:
    """One model's answer for an occluded face beside the one it gave before.

    Attributes:
        model: its name.
        title: what people read.
        style: the model's.
        drawn: (S, S, 3) uint8 RGB: the evidence for `now` on the occluded face, or that face alone.
        caption: of the picture.
        now: the expression that is predicted for the occluded face.
        before: the expression that was predicted for the whole face.
        bars: the probability of `before`, first for the whole face and then for the occluded one.
        text: whether the answer changed.
    """

    model: str
    title: str
    style: ModelStyle
    drawn: NDArray[np.uint8]
    caption: str
    now: str
    before: str
    bars: tuple[float, float]
    text: str


def method_facts(method: str, reasons: Mapping[str, str], titles: Mapping[str, str]) -> list[str]:
    """What a method does, how slow it is and what its numbers mean; and which models it cannot explain.

    Args:
        method: a key of `METHODS`.
        reasons: by model name, why the method cannot explain it; "" where it can.
        titles: what people read, by model name.
    """
    facts = METHODS[method]
    speed = {
        "at once": "Comes with the model's answer.",
        "fast": "Takes less than a second per model.",
        "slow": "Takes seconds per model.",
        "very slow": "Takes up to a minute per model.",
    }[facts.speed]
    target = "" if facts.uses_target else " The map is the same for every expression."
    kind = ""
    if facts.kind == PERTURBATION:
        kind = " A perturbation map needs nothing but answers: do not compare its numbers with class activation maps."
    models: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        if reason:
            models.setdefault(reason, []).append(titles[name])
    without = [f"{', '.join(names)}: {reason}" for reason, names in models.items()]
    return [f"{facts.idea} {speed} Its numbers: {facts.scale}.{target}{kind}", *without]


def method_cards(
    face: AnalyzedFace,
    results: Mapping[str, Explanation],
    errors: Mapping[str, str],
    waiting: Sequence[str],
    style: MapStyle,
    display: ModelDisplay,
) -> list[MethodCard]:
    """One card per model: its map by the chosen method, or why there is none.

    Args:
        face: the face.
        results: by model name.
        errors: by model name.
        waiting: models whose map is still to come.
        style: how maps are drawn. Raw scales differ between models, so each has its own colour scale.
        display: cards and styles.
    """
    names = [name for name in display.cards if name in (*results, *errors, *waiting)]
    maps = {name: _method_map(face, explanation, style, display) for name, explanation in results.items()}
    return [
        MethodCard(name, display.titles[name], display.styles[name], maps.get(name), errors.get(name, ""))
        for name in names
    ]


def _method_map(face: AnalyzedFace, explanation: Explanation, style: MapStyle, display: ModelDisplay) -> MethodMap:
    name, expression = explanation.model, explanation.expression
    drawn = draw_map(face.crop, explanation, side=_SIDE, opacity=style.opacity, colours=style.colours)
    title = f"{display.titles[name]}, {explanation.method}: evidence for {expression}"
    svg = map_svg(title, Panel("", drawn, map_colours(explanation, colours=style.colours)))
    cells = draw_cells(explanation, _SIDE, colours=style.colours)
    return MethodMap(
        drawn,
        expression,
        face.predictions[name].probability(expression),
        explanation.cost_ms,
        number(explanation.peak),
        explanation.heat.shape,
        map_files(f"{name}-{explanation.method}-{expression}", drawn, cells, svg),
    )


def method_legend(style: MapStyle) -> Legend:
    """The colour scale of maps that have one each."""
    return legend("No evidence", "Strongest spot of each map", sequential(style.colours))


def occluded_cards(
    face: AnalyzedFace,
    occluded: NDArray[np.uint8],
    after: Mapping[str, tuple[Prediction, Mapping[str, Explanation]]],
    style: MapStyle,
    display: ModelDisplay,
) -> list[OccludedCard]:
    """One card per model: its answer and its evidence for the occluded face, beside its answer for the whole one.

    Args:
        face: the whole face.
        occluded: (S, S, 3) uint8 RGB.
        after: by model name, the prediction and the maps for the occluded face.
        style: how maps are drawn; each model's scale stays that of the whole face.
        display: cards and styles.
    """
    cards = []
    for name, (now, maps) in after.items():
        before, peak = face.predictions[name], shared_peak(face.maps[name].values())
        drawn, caption = occluded, NO_MAP
        if maps:
            caption, heat = f"Evidence for {now.label}", maps[now.label]
            drawn = draw_map(occluded, heat, peak=peak, side=_SIDE, opacity=style.opacity, colours=style.colours)
        text = f"Still {now.label}."
        if now.label != before.label:
            text = f"Now {now.label} ({percent(now.confidence)}) instead of {before.label}."
        bars = (before.confidence, now.probability(before.label))
        cards.append(
            OccludedCard(
                *(name, display.titles[name], display.styles[name], drawn, caption), now.label, before.label, bars, text
            )
        )
    return cards
