"""Two maps and their difference as HTML: of two models, and of a face and its mirror image. No Gradio here."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from dashboard.attention.map_files import Panel, keep_panels
from dashboard.attention.view import MapStyle, figure, legend, number
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.face_view import ModelDisplay, swatch
from explain.drawing.colormaps import diverging
from explain.drawing.overlay import difference, difference_colours, draw_difference, draw_map, map_colours, shared_peak
from explain.flip_consistency import FlipConsistency
from explain.maps import Explanation
from fer_models.formatting import percent


def difference_panel(
    face: AnalyzedFace, first: str, second: str, expression: str, look: MapStyle, display: ModelDisplay
) -> str:
    """Where one model looks more than another, and both maps beside it."""
    missing = [name for name in (first, second) if expression not in face.maps[name]]
    if missing:
        return f'<p class="fer-hint">{escape(display.cards[missing[0]].title)} does not know {escape(expression)}.</p>'
    # Each map as a share of its own model's strongest spot: models scale their logits differently.
    peaks = [shared_peak(face.maps[name].values()) for name in (first, second)]
    maps = [face.maps[name][expression] for name in (first, second)]
    values = difference(maps[0], maps[1], peaks[0], peaks[1])
    titles = [display.cards[name].title for name in (first, second)]
    drawn = [
        draw_map(face.crop, one, peak=peak, side=320, opacity=look.opacity, colours=look.colours)
        for one, peak in zip(maps, peaks, strict=True)
    ]
    between = draw_difference(face.crop, values, side=320, opacity=look.opacity)
    cells = [map_colours(one, peak=peak, colours=look.colours) for one, peak in zip(maps, peaks, strict=True)]
    panels = [
        Panel(titles[0], drawn[0], cells[0]),
        Panel("Difference", between, difference_colours(values)),
        Panel(titles[1], drawn[1], cells[1]),
    ]
    keep = keep_panels(f"difference-{first}-{second}-{expression}", f"Evidence for {expression}", panels)
    share = float(np.abs(values).mean())
    if first == second:
        text = "This is one and the same model: choose two."
    else:
        text = (
            f"Orange: {titles[0]} finds more evidence for {expression} there; blue: {titles[1]} does. Each map counts "
            f"as a share of its model's strongest spot. On average they differ by {percent(share)} of that."
        )
    ends = (f"{titles[1]} more", f"{titles[0]} more")
    return (
        f'<div class="fer-panel"><div class="fer-lab-pair fer-lab-three">{_row(panels)}</div>'
        f'{legend(ends, diverging())}{keep}<p class="fer-hint">{escape(text)}</p></div>'
    )


def flip_cards(
    face: AnalyzedFace,
    results: Mapping[str, FlipConsistency],
    expression: str | None,
    look: MapStyle,
    display: ModelDisplay,
) -> str:
    """One panel a model: the map of the face, that of its mirror image flipped back, and the difference.

    Args:
        face: the face.
        results: by model name.
        expression: whose maps are shown; None means each model's own most probable one.
        look: how maps are drawn.
        display: cards and styles.
    """
    panels = "".join(_mirror_panel(face, one, expression, look, display) for one in results.values())
    return panels + legend(("Only in the mirror image", "Only in the face"), diverging())


def _mirror_panel(
    face: AnalyzedFace, one: FlipConsistency, expression: str | None, look: MapStyle, display: ModelDisplay
) -> str:
    card, target = display.cards[one.model], expression or face.predictions[one.model].label
    head = f'<p class="fer-lab-heading">{swatch(display.styles[one.model])}<span>{escape(card.title)}</span></p>'
    if target not in one.labels:
        return f'<div class="fer-panel">{head}<p class="fer-hint">This model does not know {escape(target)}.</p></div>'
    index = one.labels.index(target)
    maps = [Explanation(one.model, "native", target, heat) for heat in (one.maps[index], one.mirrored[index])]
    peak = shared_peak(maps)
    drawn = [
        draw_map(face.crop, each, peak=peak, side=260, opacity=look.opacity, colours=look.colours) for each in maps
    ]
    values = difference(maps[0], maps[1], peak, peak)
    cells = [map_colours(each, peak=peak, colours=look.colours) for each in maps]
    panels = [
        Panel("The face", drawn[0], cells[0]),
        Panel("Its mirror image, flipped back", drawn[1], cells[1]),
        Panel(
            "Difference",
            draw_difference(face.crop, values, side=260, opacity=look.opacity),
            difference_colours(values),
        ),
    ]
    keep = keep_panels(f"mirror-{one.model}-{target}", f"{card.title}, mirror test: evidence for {target}", panels)
    return (
        f'<div class="fer-panel" data-mirror="{escape(one.model)}">{head}'
        f'<div class="fer-lab-pair fer-lab-three">{_row(panels)}</div><dl class="fer-lab-numbers">'
        f"<div><dt>Correlation</dt><dd>{one.correlation:.2f}</dd></div>"
        f"<div><dt>EAC’s loss</dt><dd>{number(one.loss)}</dd></div></dl>"
        f'{keep}<p class="fer-hint">{escape(flip_sentence(card.title, one))}</p></div>'
    )


def flip_sentence(title: str, one: FlipConsistency) -> str:
    """What the two numbers mean for one model, in one sentence."""
    if one.correlation > 0.9:
        found = "looks at the same places in the mirror image"
    elif one.correlation > 0.6:
        found = "looks at roughly the same places in the mirror image"
    else:
        found = "looks at other places in the mirror image: its map is no firm ground for a reason"
    return f"{title} {found} (1 would be perfect agreement, 0 none)."


def _row(panels: Sequence[Panel]) -> str:
    return "".join(figure(one.drawn, one.caption) for one in panels)
