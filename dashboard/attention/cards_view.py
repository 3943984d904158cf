"""View models of the attention lab's cards, one per model: any method's map, and an occluded face. No Gradio here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
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
from explain.occlusion import Fill, occlude
from explain.regions import REGIONS
from fer_models.formatting import percent
from fer_models.registry import ModelStyle
from fer_models.results import Prediction

_SIDE: Final = 320  # px
_SMALL: Final = 168  # px of a map in the matrix of methods


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
        before: the expression that was predicted for the whole face.
        now: the expression that is predicted for the occluded face.
        confidences: of `before` on the whole face and of `now` on the occluded one, in [0, 1].
        text: whether the answer changed, and what became of the one before.
    """

    model: str
    title: str
    style: ModelStyle
    drawn: NDArray[np.uint8]
    caption: str
    before: str
    now: str
    confidences: tuple[float, float]
    text: str

    @property
    def changed(self) -> bool:
        """Whether the occluded face gets another expression than the whole one."""
        return self.now != self.before


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
        "fast": "Under a second per model.",
        "slow": "Seconds per model.",
        "very slow": "Up to a minute per model.",
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
    drawn = draw_map(face.crop_of(name), explanation, side=_SIDE, opacity=style.opacity, colours=style.colours)
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


@dataclass(frozen=True, eq=False)
class MatrixCell:
    """One method's map of one model, small.

    Attributes:
        drawn: (S, S, 3) uint8 RGB, on the face; None while it is to come or where there is none.
        note: why there is none; "" while it is to come.
        alt: what the picture shows, for those who cannot see it.
    """

    drawn: NDArray[np.uint8] | None = None
    note: str = ""
    alt: str = ""


@dataclass(frozen=True, eq=False)
class MethodMatrix:
    """Methods x models.

    Attributes:
        heads: each model's style, title and the expression whose evidence is shown.
        rows: each method's title and cells, one per model.
        legend: of every map.
    """

    heads: Sequence[tuple[ModelStyle, str, str]]
    rows: Sequence[tuple[str, Sequence[MatrixCell]]]
    legend: Legend


def method_matrix(
    face: AnalyzedFace,
    maps: Mapping[str, Mapping[str, Explanation | str]],
    targets: Mapping[str, str],
    methods: Sequence[str],
    style: MapStyle,
    display: ModelDisplay,
) -> MethodMatrix:
    """All maps that several methods make of one face.

    Args:
        face: the face.
        maps: by model name, then by method, the map or why there is none; what is still to come is missing.
        targets: by model name, in the order of the columns, the expression.
        methods: keys of `METHODS`, in the order of the rows.
        style: how maps are drawn; each has its own colour scale.
        display: cards and styles.
    """

    def cell(name: str, method: str) -> MatrixCell:
        found = maps.get(name, {}).get(method)
        if found is None or isinstance(found, str):
            return MatrixCell(note=found or "")
        drawn = draw_map(face.crop_of(name), found, side=_SMALL, opacity=style.opacity, colours=style.colours)
        return MatrixCell(drawn, alt=f"{METHODS[method].title}, {display.titles[name]}: evidence for {targets[name]}")

    heads = [(display.styles[name], display.titles[name], target) for name, target in targets.items()]
    rows = [(METHODS[method].title, [cell(name, method) for name in targets]) for method in methods]
    return MethodMatrix(heads, rows, method_legend(style))


def method_legend(style: MapStyle) -> Legend:
    """The colour scale of maps that have one each."""
    return legend("No evidence", "Strongest evidence of each map", sequential(style.colours))


def occluded_cards(
    face: AnalyzedFace,
    occluded: Mapping[str, NDArray[np.uint8]],
    after: Mapping[str, tuple[Prediction, Mapping[str, Explanation]]],
    style: MapStyle,
    display: ModelDisplay,
) -> list[OccludedCard]:
    """One card per model: its answer and its evidence for the occluded face, beside its answer for the whole one.

    Args:
        face: the whole face.
        occluded: by model name, (S, S, 3) uint8 RGB.
        after: by model name, the prediction and the maps for the occluded face.
        style: how maps are drawn; each model's scale stays that of the whole face.
        display: cards and styles.
    """
    cards = []
    for name, (now, maps) in after.items():
        before, peak = face.predictions[name], shared_peak(face.maps[name].values())
        drawn, caption = occluded[name], NO_MAP
        if maps:
            caption, heat = f"Evidence for {now.label}", maps[now.label]
            drawn = draw_map(occluded[name], heat, peak=peak, side=_SIDE, opacity=style.opacity, colours=style.colours)
        text = "Same answer as for the whole face"
        if now.label != before.label:
            text = f"Changed: {before.label} fell to {percent(now.probability(before.label))}"
        confidences, title = (before.confidence, now.confidence), display.titles[name]
        answers = (before.label, now.label, confidences, text)
        cards.append(OccludedCard(name, title, display.styles[name], drawn, caption, *answers))
    return cards


def draw_hidden(crop: NDArray[np.uint8], mask: NDArray[np.bool_], fill: Fill) -> NDArray[np.uint8]:
    """A face with its hidden part filled as the models see it, and outlined.

    Args:
        crop: (S, S, 3) uint8 RGB.
        mask: (N, N) bool, true where it is hidden.
        fill: what hides it.

    Returns:
        (S, S, 3) uint8 RGB.
    """
    side = crop.shape[0]
    large = cv2.resize(mask.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
    drawn = occlude(crop, large.astype(bool), fill).copy()
    outlines, _ = cv2.findContours(large, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, outlines, -1, (24, 24, 27), 3, cv2.LINE_AA)
    cv2.drawContours(drawn, outlines, -1, (255, 255, 255), 1, cv2.LINE_AA)
    return drawn


def hidden_words(regions: Sequence[str], *, painted: bool) -> str:
    """What is occluded, in words; "" for nothing.

    Args:
        regions: keys of `explain.regions.REGIONS`.
        painted: whether something was painted over, too.
    """
    words = [f"the {name}" for name in REGIONS if name in regions] + ["the painted part"] * painted
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def occlusion_sentence(cards: Sequence[OccludedCard], hidden: str) -> str:
    """How many models change their answer.

    Args:
        cards: one per model.
        hidden: what is occluded, in words.
    """
    changed, total = sum(card.changed for card in cards), len(cards)
    who = (
        "the model"
        if total == 1
        else f"all {total} models"
        if changed in (0, total)
        else f"{changed} of {total} models"
    )
    one = total == 1 or changed == 1
    verb = ("changes its" if one else "change their") if changed else ("keeps its" if one else "keep their")
    return f"Without {hidden}, {who} {verb} answer."
