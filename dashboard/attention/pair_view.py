"""View models of two maps and their difference: of two models, two expressions, a face and its mirror image.

No Gradio here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dashboard.attention.map_files import MapFile, Panel, panel_files
from dashboard.attention.view import Legend, MapStyle, legend, number
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.display import ModelDisplay
from explain.drawing.colormaps import diverging
from explain.drawing.overlay import (
    difference,
    difference_colours,
    draw_difference,
    draw_map,
    map_colours,
    shared_peak,
    shared_reach,
    signed,
)
from explain.explain_picture import OWN, SECOND
from explain.flip_consistency import FlipConsistency
from explain.maps import NO_MAP, Explanation, contrast_of, likeliest_other, why_no_contrast
from fer_models.formatting import percent
from fer_models.registry import ModelStyle


@dataclass(frozen=True, eq=False)
class MapDifference:
    """The maps of two models for one expression, and their difference between them.

    Attributes:
        panels: first map, difference, second map.
        legend: of the difference.
        files: that save all three.
        text: what the colours mean, and how far the maps differ.
    """

    panels: Sequence[Panel]
    legend: Legend
    files: Sequence[MapFile]
    text: str


@dataclass(frozen=True, eq=False)
class PairResult:
    """Two maps of one model and their difference.

    Attributes:
        model: its name.
        title: what people read.
        style: the model's.
        text: what the numbers mean, or why there are no maps.
        panels: the three, as the subclasses say; none without maps.
        numbers: terms with their values.
        files: that save all three.
    """

    model: str
    title: str
    style: ModelStyle
    text: str
    panels: Sequence[Panel] = ()
    numbers: Sequence[tuple[str, str]] = ()
    files: Sequence[MapFile] = ()


class FlipResult(PairResult):
    """One model's maps of a face and of its mirror image; panels: the face, its mirror image, their difference."""


@dataclass(frozen=True, eq=False)
class FlipResults:
    """All models' maps of a face and of its mirror image."""

    models: Sequence[FlipResult]
    legend: Legend


@dataclass(frozen=True, eq=False)
class ContrastResult(PairResult):
    """Why one model gives one expression rather than another.

    Panels: evidence for the first expression, the contrast, evidence for the second.

    Attributes:
        legend: of the contrast; None without maps.
    """

    legend: Legend | None = None


def map_difference(
    face: AnalyzedFace, first: str, second: str, expression: str, style: MapStyle, display: ModelDisplay
) -> MapDifference | str:
    """Where two models' evidence for one expression differs; in words if one of them has no map for it.

    Each map counts as a share of its own model's strongest cell: models scale their logits differently.
    """
    titles = [display.titles[name] for name in (first, second)]
    for name, title in zip((first, second), titles, strict=True):
        if not face.maps[name]:
            return f"{title}: {NO_MAP}"
        if expression not in face.maps[name]:
            return f"{title} does not know {expression}."
    if face.spec_of(first) != face.spec_of(second):
        return (
            f"{titles[0]} and {titles[1]} are given different crops of the face, so their maps have no common places."
        )
    peaks = [shared_peak(face.maps[name].values()) for name in (first, second)]
    maps = [face.maps[name][expression] for name in (first, second)]
    panels = _panels(face, titles, maps, peaks, style, side=320)
    share = float(np.abs(difference(maps[0], maps[1], peaks[0], peaks[1])).mean())
    text = "This is one and the same model: choose two."
    if first != second:
        text = (
            f"Orange: {titles[0]} has more evidence for {expression} there; blue: {titles[1]} has. Each map counts as "
            f"a share of its model’s strongest evidence. On average they differ by {percent(share)} of that."
        )
    return MapDifference(
        [panels[0], panels[2], panels[1]],
        legend(f"{titles[1]} more", f"{titles[0]} more", diverging()),
        panel_files(
            f"difference-{first}-{second}-{expression}",
            f"Evidence for {expression}",
            [panels[0], panels[2], panels[1]],
        ),
        text,
    )


def face_contrasts(face: AnalyzedFace, first: str = OWN, second: str = SECOND) -> dict[str, Explanation | str]:
    """Why each model gives one expression rather than another, or why it has no map for that.

    Args:
        face: the face.
        first: an expression, or `OWN`.
        second: an expression, or `SECOND`.

    Returns:
        By model name.
    """
    found: dict[str, Explanation | str] = {}
    for name, prediction in face.predictions.items():
        one = prediction.label if first == OWN else first
        other = likeliest_other(prediction, one) if second == SECOND else second
        reason = why_no_contrast(prediction.labels, one, other) if face.maps[name] else NO_MAP
        found[name] = reason or contrast_of(face.maps[name], name, one, other)
    return found


def contrast_results(
    face: AnalyzedFace, first: str, second: str, style: MapStyle, display: ModelDisplay
) -> list[ContrastResult]:
    """Each model's evidence for two expressions, and between them the evidence for the one rather than the other.

    Args:
        face: the face.
        first: an expression, or `OWN`.
        second: an expression, or `SECOND`.
        style: how maps are drawn. Logits have no common scale, so each model has its own colour scales.
        display: cards and styles.
    """
    contrasts, results = face_contrasts(face, first, second), []
    for name in [name for name in display.cards if name in contrasts]:
        title, model_style, one = display.titles[name], display.styles[name], contrasts[name]
        if isinstance(one, str):
            results.append(ContrastResult(name, title, model_style, one))
            continue
        panels = _contrast_panels(face, one, style)
        pair = f"{one.expression}-rather-than-{one.rather_than}"
        results.append(
            ContrastResult(
                *(name, title, model_style, contrast_sentence(face, one), panels, contrast_numbers(face, one)),
                panel_files(f"{name}-contrast-{pair}", f"{title}: {pair.replace('-', ' ')}", panels),
                contrast_legend(one),
            )
        )
    return results


def _contrast_panels(face: AnalyzedFace, one: Explanation, style: MapStyle) -> list[Panel]:
    maps = [face.maps[one.model][name] for name in (one.expression, str(one.rather_than))]
    peak, values = shared_peak(maps), signed(one)
    first, second = (
        Panel(
            f"Evidence for {evidence.expression}",
            draw_map(
                face.crop_of(one.model), evidence, peak=peak, side=260, opacity=style.opacity, colours=style.colours
            ),
            map_colours(evidence, peak=peak, colours=style.colours),
        )
        for evidence in maps
    )
    drawn = draw_difference(face.crop_of(one.model), values, side=260, opacity=style.opacity)
    caption = f"{one.expression.capitalize()} rather than {one.rather_than}"
    return [first, Panel(caption, drawn, difference_colours(values)), second]


def contrast_sentence(face: AnalyzedFace, one: Explanation) -> str:
    """Both probabilities of a contrast."""
    first, second = (face.predictions[one.model].probability(name) for name in (one.expression, str(one.rather_than)))
    return f"{one.expression.capitalize()} {percent(first)}, {one.rather_than} {percent(second)}."


def contrast_legend(one: Explanation) -> Legend:
    """The colour scale of a contrast drawn alone: blue for the second expression, orange for the first."""
    reach = number(shared_reach([one]))
    return legend(f"{reach} for {one.rather_than}", f"{reach} for {one.expression}", diverging())


def contrast_numbers(face: AnalyzedFace, one: Explanation) -> tuple[tuple[str, str], ...]:
    """What a contrast's mean and the biases add up to."""
    prediction = face.predictions[one.model]
    first, second = (prediction.logits[prediction.labels.index(name)] for name in (one.expression, one.rather_than))
    logits, evidence = float(first) - float(second), float(one.heat.mean())
    parts = (("Mean of the map", evidence), ("Biases", logits - evidence), ("Difference of logits", logits))
    return tuple((term, f"{value:+.2f}".replace("-", "\u2212")) for term, value in parts)


def flip_results(
    face: AnalyzedFace,
    results: Mapping[str, FlipConsistency],
    expression: str | None,
    style: MapStyle,
    display: ModelDisplay,
) -> FlipResults:
    """Each model's map of the face, its map of the mirror image flipped back, and their difference.

    Args:
        face: the face.
        results: by model name.
        expression: whose maps are shown; None means each model's predicted class.
        style: how maps are drawn.
        display: cards and styles.
    """
    models = [
        _flip_result(face, result, expression or face.predictions[name].label, style, display)
        for name, result in results.items()
    ]
    return FlipResults(models, legend("Only in the mirror image", "Only in the face", diverging()))


def _flip_result(
    face: AnalyzedFace, result: FlipConsistency, expression: str, style: MapStyle, display: ModelDisplay
) -> FlipResult:
    name, title = result.model, display.titles[result.model]
    if expression not in result.labels:
        return FlipResult(name, title, display.styles[name], f"This model does not know {expression}.")
    index = result.labels.index(expression)
    maps = [Explanation(name, "native", expression, heat) for heat in (result.maps[index], result.mirrored[index])]
    captions = ("The face", "Its mirror image, flipped back")
    panels = _panels(face, captions, maps, [shared_peak(maps)] * 2, style, side=260)
    return FlipResult(
        name,
        title,
        display.styles[name],
        flip_sentence(title, result),
        panels,
        (("Correlation", f"{result.correlation:.2f}"), ("EAC’s loss", number(result.loss))),
        panel_files(f"mirror-{name}-{expression}", f"{title}, flip consistency: evidence for {expression}", panels),
    )


def flip_sentence(title: str, result: FlipConsistency) -> str:
    """What a model's correlation means, in one sentence.

    Args:
        title: the model's.
        result: of the model.
    """
    if result.correlation > 0.9:
        text = "finds its evidence at the same places in the mirror image"
    elif result.correlation > 0.6:
        text = "finds its evidence at roughly the same places in the mirror image"
    else:
        text = "finds its evidence at other places in the mirror image, so do not rely on its map as an explanation"
    return f"{title} {text} (1 is perfect agreement, 0 none)."


def _panels(
    face: AnalyzedFace,
    captions: Sequence[str],
    maps: Sequence[Explanation],
    peaks: Sequence[float],
    style: MapStyle,
    *,
    side: int,
) -> list[Panel]:
    """Two maps on one face, and their difference last, each drawn at side px."""
    panels = [
        Panel(
            caption,
            draw_map(face.crop_of(one.model), one, peak=peak, side=side, opacity=style.opacity, colours=style.colours),
            map_colours(one, peak=peak, colours=style.colours),
        )
        for caption, one, peak in zip(captions, maps, peaks, strict=True)
    ]
    values = difference(maps[0], maps[1], peaks[0], peaks[1])
    drawn = draw_difference(face.crop_of(maps[0].model), values, side=side, opacity=style.opacity)
    return [*panels, Panel("Difference", drawn, difference_colours(values))]
