"""View models of the attention lab: one face's evidence maps. Templates beside make them HTML. No Gradio here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from dashboard.attention.figures import REGION_STYLES
from dashboard.attention.map_files import MapFile, Panel, map_files, map_svg
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.display import ModelDisplay
from explain.drawing.colormaps import css_gradient, sequential
from explain.drawing.overlay import draw_cells, draw_map, map_colours, shared_peak
from explain.maps import NO_MAP
from fer_models.formatting import percent
from fer_models.registry import ModelStyle

#: Side in px of the pictures in a grid and of enlarged ones.
_SMALL, _LARGE = 168, 420
#: Cells per side of the grid that is painted on.
BRUSH: Final = 28


@dataclass(frozen=True)
class MapStyle:
    """How maps are drawn.

    Attributes:
        colours: a key of `explain.drawing.colormaps.SEQUENTIAL`.
        opacity: of the strongest evidence, in [0, 1].
        shared: one colour scale for all models; else one for each, since logits have no common scale.
    """

    colours: str = "viridis"
    opacity: float = 0.75
    shared: bool = False


@dataclass(frozen=True)
class Legend:
    """A colour scale with the words for its ends.

    Attributes:
        low: the left end.
        high: the right end.
        gradient: the colours, as CSS.
    """

    low: str
    high: str
    gradient: str


@dataclass(frozen=True, eq=False)
class GridCell:
    """One model's map of one expression.

    Attributes:
        expression: whose evidence.
        image: (S, S, 3) uint8 RGB; None where the model does not know the expression.
        peak: the strongest raw value in logits, in words.
        probability: in [0, 1].
        predicted: whether the model predicts this expression.
    """

    expression: str
    image: NDArray[np.uint8] | None = None
    peak: str = ""
    probability: float = 0.0
    predicted: bool = False


@dataclass(frozen=True, eq=False)
class GridRow:
    """One model's maps; `scale` is the raw value in logits that is drawn strongest; `note` says why there are none."""

    model: str
    title: str
    style: ModelStyle
    scale: str
    cells: Sequence[GridCell]
    note: str = ""


@dataclass(frozen=True, eq=False)
class MapGrid:
    """Models x expressions."""

    expressions: Sequence[str]
    rows: Sequence[GridRow]
    legend: Legend


@dataclass(frozen=True, eq=False)
class EnlargedMap:
    """One map, large.

    Attributes:
        model: its name.
        title: what people read.
        style: the model's.
        expression: whose evidence.
        drawn: (S, S, 3) uint8 RGB, on the face.
        cells: (S, S, 3) uint8 RGB, alone, cell by cell.
        files: that save it.
        text: the numbers in words.
    """

    model: str
    title: str
    style: ModelStyle
    expression: str
    drawn: NDArray[np.uint8]
    cells: NDArray[np.uint8]
    files: Sequence[MapFile]
    text: str


def map_scale(face: AnalyzedFace, name: str, style: MapStyle) -> float:
    """The raw value drawn strongest: the largest of all models' maps, or of one model's."""
    chosen = face.maps.values() if style.shared else (face.maps[name],)
    return shared_peak(one for maps in chosen for one in maps.values())


def legend(low: str, high: str, table: NDArray[np.uint8]) -> Legend:
    """A colour scale from a table (N, 3) uint8 RGB."""
    return Legend(low, high, css_gradient(table))


def map_grid(face: AnalyzedFace, expressions: Sequence[str], style: MapStyle, display: ModelDisplay) -> MapGrid:
    """Models x expressions of native maps."""
    names = [name for name in display.cards if name in face.maps]
    rows = [
        GridRow(
            name,
            display.titles[name],
            display.styles[name],
            number(map_scale(face, name, style)) if face.maps[name] else "",
            [_cell(face, name, one, style) for one in expressions],
            "" if face.maps[name] else NO_MAP,
        )
        for name in names
    ]
    return MapGrid(expressions, rows, scale_legend(map_scale(face, names[0], style), style))


def scale_legend(top: float, style: MapStyle) -> Legend:
    """The colour scale of models x expressions.

    Args:
        top: the raw value in logits that is drawn strongest, where the scale is shared.
        style: how maps are drawn.
    """
    high = (
        f"Strongest evidence of any model ({number(top)} logits)"
        if style.shared
        else "Strongest evidence of each model"
    )
    return legend("No evidence", high, sequential(style.colours))


def _cell(face: AnalyzedFace, name: str, expression: str, style: MapStyle) -> GridCell:
    prediction = face.predictions[name]
    if expression not in face.maps[name]:
        return GridCell(expression)
    explanation = face.maps[name][expression]
    peak = map_scale(face, name, style)
    crop = face.crop_of(name)
    image = draw_map(crop, explanation, peak=peak, side=_SMALL, opacity=style.opacity, colours=style.colours)
    probability = prediction.probability(expression)
    return GridCell(expression, image, number(explanation.peak), probability, expression == prediction.label)


def enlarged_map(face: AnalyzedFace, name: str, expression: str, style: MapStyle, display: ModelDisplay) -> EnlargedMap:
    """One map, large: on the face, and alone cell by cell; in words and numbers."""
    explanation, prediction, title = face.maps[name][expression], face.predictions[name], display.titles[name]
    peak = map_scale(face, name, style)
    crop = face.crop_of(name)
    drawn = draw_map(crop, explanation, peak=peak, side=_LARGE, opacity=style.opacity, colours=style.colours)
    cells = draw_cells(explanation, _LARGE, peak=peak, colours=style.colours)
    height, width = explanation.heat.shape
    against = float(-np.minimum(explanation.heat, 0).sum() / max(np.abs(explanation.heat).sum(), 1e-12))
    text = (
        f"{title} gives {expression} a probability of {percent(prediction.probability(expression))}. The strongest "
        f"cell has {number(explanation.peak)} logits; the strongest one on this colour scale has {number(peak)}. "
        f"The map has {height} x {width} cells. {percent(against).capitalize()} of the map’s weight counts against "
        f"{expression} and is not shown."
    )
    panel = Panel("", drawn, map_colours(explanation, peak=peak, colours=style.colours))
    files = map_files(f"{name}-{expression}", drawn, cells, map_svg(f"{title}: evidence for {expression}", panel))
    return EnlargedMap(name, title, display.styles[name], expression, drawn, cells, files, text)


def regions_key(masks: Mapping[str, NDArray[np.bool_]]) -> list[tuple[ModelStyle, str]]:
    """The key of the regions chart: each region's style and title."""
    return [(REGION_STYLES[name], name.capitalize()) for name in masks]


def draw_regions(crop: NDArray[np.uint8], masks: Mapping[str, NDArray[np.bool_]], side: int = 260) -> NDArray[np.uint8]:
    """A face with its regions outlined.

    Args:
        crop: (S, S, 3) uint8 RGB.
        masks: by region, (S, S) bool.
        side: of the picture in px.

    Returns:
        (side, side, 3) uint8 RGB.
    """
    scale = side / crop.shape[0]
    image = cv2.resize(crop, (side, side), interpolation=cv2.INTER_CUBIC)
    for name, mask in masks.items():
        if name == "background":
            continue
        large = cv2.resize(mask.astype(np.uint8), None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
        outlines, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(image, outlines, -1, (24, 24, 27), 3, cv2.LINE_AA)
        cv2.drawContours(image, outlines, -1, (255, 255, 255), 1, cv2.LINE_AA)
    return np.asarray(image, np.uint8)


def number(value: float) -> str:
    """A raw value as people read it: three digits, a true minus sign."""
    text = f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}"
    return text.replace("-", "\u2212") if float(text) else "0"
