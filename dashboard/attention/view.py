"""The attention lab's results as HTML: pictures are data URIs, every text is escaped. No Gradio here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final
from uuid import uuid4

import cv2
import numpy as np
from numpy.typing import NDArray

from dashboard.attention.figures import REGION_STYLES
from dashboard.attention.map_files import Panel, keep_links, map_svg
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.face_view import ModelDisplay, data_uri, swatch
from explain.drawing.colormaps import css_gradient, sequential
from explain.drawing.overlay import draw_cells, draw_map, map_colours, shared_peak
from explain.maps import Explanation
from explain.methods import METHODS
from fer_models.formatting import percent
from fer_models.results import Prediction

#: Side in px of the pictures in a grid and of enlarged ones.
_SMALL, _LARGE = 168, 420
#: Cells a side of the grid that is painted on.
BRUSH: Final = 28


@dataclass(frozen=True)
class MapStyle:
    """How maps are drawn.

    Attributes:
        colours: a key of `explain.drawing.colormaps.SEQUENTIAL`.
        opacity: of the strongest evidence, in [0, 1].
        shared: one colour scale for all models; else one for each.
    """

    colours: str = "viridis"
    opacity: float = 0.75
    shared: bool = True


def face_card(face: AnalyzedFace, where: str, sentence: str) -> str:
    """The face that the lab works on."""
    return (
        f'<div class="fer-panel"><div class="fer-verdict"><img src="{data_uri(face.crop)}" width="84" height="84" '
        f'alt="The aligned face, as every model was given it"><div><p class="fer-eyebrow">{escape(where)}</p>'
        f'<p class="fer-sentence" aria-live="polite">{escape(sentence)}</p></div></div></div>'
    )


def scale_of(face: AnalyzedFace, name: str, look: MapStyle) -> float:
    """The raw value drawn strongest: the largest of all models' maps, or of one model's."""
    chosen = face.maps.values() if look.shared else (face.maps[name],)
    return shared_peak(one for maps in chosen for one in maps.values())


def grid(face: AnalyzedFace, expressions: Sequence[str], look: MapStyle, display: ModelDisplay) -> str:
    """Models x expressions of native maps; each cell is a button with data-model and data-expression."""
    names = [name for name in display.cards if name in face.maps]
    head = "".join(f'<th scope="col">{escape(one.capitalize())}</th>' for one in expressions)
    rows = "".join(
        f'<tr><th scope="row"><span class="fer-lab-model">{swatch(display.styles[name])}'
        f"<span>{escape(display.cards[name].title)}</span></span></th>"
        f"{''.join(_cell(face, name, one, look, display) for one in expressions)}</tr>"
        for name in names
    )
    top = scale_of(face, names[0], look)
    ends = ("No evidence", f"{number(top)}, the strongest of all models" if look.shared else "Strongest of each model")
    return (
        '<div class="fer-panel"><div class="fer-lab-scroll" tabindex="0" role="region" aria-label="Maps of all models">'
        '<table class="fer-lab-grid">'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        f"{legend(ends, sequential(look.colours))}</div>"
    )


def _cell(face: AnalyzedFace, name: str, expression: str, look: MapStyle, display: ModelDisplay) -> str:
    maps, prediction = face.maps[name], face.predictions[name]
    if expression not in maps:
        return '<td class="fer-lab-none">not known</td>'
    one = maps[expression]
    image = draw_map(
        face.crop, one, peak=scale_of(face, name, look), side=_SMALL, opacity=look.opacity, colours=look.colours
    )
    chance = percent(prediction.probability(expression))
    mark = " data-answer" if expression == prediction.label else ""
    label = f"{display.cards[name].title}, {expression}: peak {number(one.peak)}, probability {chance}. Enlarge"
    return (
        f'<td{mark}><button type="button" data-model="{escape(name)}" data-expression="{escape(expression)}" '
        f'aria-label="{escape(label)}"><img src="{data_uri(image, 82)}" alt=""></button>'
        f'<span class="fer-lab-peak">{number(one.peak)}</span><span class="fer-lab-chance">{chance}</span></td>'
    )


def enlarged(face: AnalyzedFace, name: str, expression: str, look: MapStyle, display: ModelDisplay) -> str:
    """One map, large: on the face, and alone cell by cell; in words and numbers."""
    one, prediction, title = face.maps[name][expression], face.predictions[name], display.cards[name].title
    peak = scale_of(face, name, look)
    drawn = draw_map(face.crop, one, peak=peak, side=_LARGE, opacity=look.opacity, colours=look.colours)
    cells = draw_cells(one, _LARGE, peak=peak, colours=look.colours)
    height, width = one.heat.shape
    against = float(-np.minimum(one.heat, 0).sum() / max(np.abs(one.heat).sum(), 1e-12))
    text = (
        f"{title} gives {expression} a probability of {percent(prediction.probability(expression))}. Its strongest "
        f"spot adds {number(one.peak)}; the strongest spot in this colour scale {number(peak)}. "
        f"Of what its {height} x {width} cells say about {expression}, {percent(against)} speaks against it; that part "
        "is not drawn."
    )
    panel = Panel("", drawn, map_colours(one, peak=peak, colours=look.colours))
    svg = map_svg(f"{title}: evidence for {expression}", panel)
    return (
        f'<div class="fer-panel" data-enlarged="{escape(name)}-{escape(expression)}">'
        f'<p class="fer-lab-heading">{swatch(display.styles[name])}<span>{escape(title)}: evidence for '
        f"{escape(expression)}</span></p>"
        f'<div class="fer-lab-pair">{figure(drawn, "On the face")}{figure(cells, "Cell by cell")}</div>'
        f"{keep_links(f'{name}-{expression}', drawn, cells, svg)}"
        f'<p class="fer-hint" aria-live="polite">{escape(text)}</p></div>'
    )


def method_facts(method: str) -> str:
    """What a method does, how slow it is and what its numbers mean."""
    facts = METHODS[method]
    speed = {
        "at once": "Comes with the model's answer.",
        "fast": "Takes less than a second a model.",
        "slow": "Takes seconds a model.",
        "very slow": "Takes up to a minute a model.",
    }[facts.speed]
    target = "" if facts.uses_target else " The map is the same for every expression."
    return f'<p class="fer-hint">{escape(facts.idea)} {speed} Its numbers: {escape(facts.scale)}.{target}</p>'


def method_cards(
    face: AnalyzedFace,
    results: Mapping[str, Explanation | str],
    waiting: Sequence[str],
    look: MapStyle,
    display: ModelDisplay,
) -> str:
    """One card a model: its map by the chosen method, or why there is none.

    Args:
        face: the face.
        results: by model name; a text is a message.
        waiting: models whose map is still to come.
        look: how maps are drawn. Raw scales differ between methods' models, so each has its own colour scale.
        display: cards and styles.
    """
    cells = "".join(_method_card(face, name, one, look, display) for name, one in results.items())
    cells += "".join(
        f'<article class="fer-card" data-waiting="{escape(name)}"><header>{swatch(display.styles[name])}'
        f"<span>{escape(display.cards[name].title)}</span></header>"
        '<div class="fer-body"><p class="fer-hint">Waiting …</p></div></article>'
        for name in waiting
    )
    ends = ("No evidence", "Strongest spot of each map")
    return f'<div class="fer-grid">{cells}</div>{legend(ends, sequential(look.colours))}'


def _method_card(face: AnalyzedFace, name: str, one: Explanation | str, look: MapStyle, display: ModelDisplay) -> str:
    head = (
        f'<article class="fer-card" data-model="{escape(name)}"><header>{swatch(display.styles[name])}'
        f"<span>{escape(display.cards[name].title)}</span></header>"
    )
    if isinstance(one, str):
        return f'{head}<div class="fer-body"><p class="fer-hint">{escape(one)}</p></div></article>'
    drawn = draw_map(face.crop, one, side=320, opacity=look.opacity, colours=look.colours)
    height, width = one.heat.shape
    cost = "" if one.cost_ms is None else f"<dt>Cost</dt><dd>{one.cost_ms:,.0f} ms</dd>"
    chance = percent(face.predictions[name].probability(one.expression))
    cells = draw_cells(one, 320, colours=look.colours)
    title = f"{display.cards[name].title}, {one.method}: evidence for {one.expression}"
    svg = map_svg(title, Panel("", drawn, map_colours(one, colours=look.colours)))
    keep = keep_links(f"{name}-{one.method}-{one.expression}", drawn, cells, svg)
    return (
        f'{head}<figure class="fer-map"><img src="{data_uri(drawn)}" width="320" height="320" alt="Where '
        f'{escape(display.cards[name].title)} looks for {escape(one.expression)}"><figcaption>'
        f"{escape(one.expression.capitalize())} ({chance})</figcaption></figure>"
        f'<div class="fer-body"><dl>{cost}<dt>Peak</dt><dd>{number(one.peak)}</dd>'
        f"<dt>Cells</dt><dd>{height} x {width}</dd></dl>{keep}</div></article>"
    )


def legend(ends: tuple[str, str], table: NDArray[np.uint8]) -> str:
    """A colour scale with the words for its ends."""
    return (
        f'<div class="fer-lab-legend"><span>{escape(ends[0])}</span><i style="background:{css_gradient(table)}"></i>'
        f"<span>{escape(ends[1])}</span></div>"
    )


def figure(image: NDArray[np.uint8], caption: str) -> str:
    """A picture (S, S, 3) uint8 RGB with its caption."""
    return (
        f'<figure class="fer-lab-figure"><img src="{data_uri(image)}" width="{image.shape[1]}" '
        f'height="{image.shape[0]}" alt="{escape(caption)}"><figcaption>{escape(caption)}</figcaption></figure>'
    )


def number(value: float) -> str:
    """A raw value as people read it: three digits, a true minus sign."""
    text = f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}"
    return text.replace("-", "\u2212") if float(text) else "0"


def brush(face: AnalyzedFace) -> str:
    """The face under a canvas to paint on. Each call gives another text, so that setting it wipes the canvas."""
    return (
        f'<div class="fer-brush" data-round="{uuid4().hex}"><img src="{data_uri(face.crop)}" alt="The face">'
        f'<canvas width="{BRUSH}" height="{BRUSH}" role="img" aria-label="Paint here to cover a part of the face; the '
        'boxes beside do the same by name"></canvas></div>'
    )


def covered_cards(
    face: AnalyzedFace,
    covered: NDArray[np.uint8],
    after: Mapping[str, tuple[Prediction, Mapping[str, Explanation]]],
    look: MapStyle,
    display: ModelDisplay,
) -> str:
    """One card a model: what it says of the covered face and where it looks then, beside what it said before.

    Args:
        face: as it was before.
        covered: (S, S, 3) uint8 RGB, the covered face.
        after: by model name, the new prediction and maps.
        look: how maps are drawn; each model's scale stays that of the bare face.
        display: cards and styles.
    """
    cells = "".join(_covered_card(face, covered, name, *now, look, display) for name, now in after.items())
    note = "Colours as strong as on the bare face: what turns pale has lost evidence."
    return f'<div class="fer-grid">{cells}</div><p class="fer-hint fer-lab-note">{escape(note)}</p>'


def _covered_card(
    face: AnalyzedFace,
    covered: NDArray[np.uint8],
    name: str,
    now: Prediction,
    maps: Mapping[str, Explanation],
    look: MapStyle,
    display: ModelDisplay,
) -> str:
    before, card, style = face.predictions[name], display.cards[name], display.styles[name]
    peak = shared_peak(face.maps[name].values())
    drawn = draw_map(covered, maps[now.label], peak=peak, side=320, opacity=look.opacity, colours=look.colours)
    kept = now.probability(before.label)
    if now.label == before.label:
        text = f"Still {now.label}"
    else:
        text = f"Now {now.label} ({percent(now.confidence)}) instead of {before.label}"
    bars = "".join(
        f'<div class="fer-bar"><i style="width:{100 * share:.1f}%;background:{style.colour};opacity:{fade}"></i></div>'
        for share, fade in ((before.confidence, 0.45), (kept, 1))
    )
    return (
        f'<article class="fer-card" data-model="{escape(name)}"><header>{swatch(style)}'
        f'<span>{escape(card.title)}</span></header><figure class="fer-map">'
        f'<img src="{data_uri(drawn)}" width="320" height="320" alt="Where '
        f'{escape(card.title)} finds evidence for {escape(now.label)} in the covered face"><figcaption>Evidence for '
        f'{escape(now.label)}</figcaption></figure><div class="fer-body"><div class="fer-top">'
        f'<span class="fer-lab-before">{escape(before.label.capitalize())}</span><span class="fer-confidence">'
        f"{percent(before.confidence)} → {percent(kept)}</span></div>{bars}"
        f'<p class="fer-hint">{escape(text)}.</p></div></article>'
    )


def parts(face: AnalyzedFace, masks: Mapping[str, NDArray[np.bool_]]) -> str:
    """The face with its parts outlined, and the key of the chart."""
    side = 260
    scale = side / face.crop.shape[0]
    image = cv2.resize(face.crop, (side, side), interpolation=cv2.INTER_CUBIC)
    for name, mask in masks.items():
        if name == "background":
            continue
        large = cv2.resize(mask.astype(np.uint8), None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
        outlines, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(image, outlines, -1, (24, 24, 27), 3, cv2.LINE_AA)
        cv2.drawContours(image, outlines, -1, (255, 255, 255), 1, cv2.LINE_AA)
    key = "".join(f"<li>{swatch(REGION_STYLES[name])}{escape(name.capitalize())}</li>" for name in masks)
    drawn = figure(np.asarray(image, np.uint8), "Brows, eyes, nose, cheeks and mouth, from five landmarks")
    return f'{drawn}<ul class="fer-key">{key}</ul>'
