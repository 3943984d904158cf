"""What was measured about attention on a test set, as figures and pictures. No Gradio here."""

import textwrap
from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.attention.test_set import AttentionResults, Test
from dashboard.components.charts import base_layout, marker
from explain.drawing.overlay import draw_map, shared_peak
from explain.maps import Explanation
from explain.regions import REGIONS
from fer_models.evaluation.records import Distribution
from fer_models.registry import ModelStyle

Consistency = Literal["relative_loss", "correlation", "loss"]
Atlas = Literal["labelled", "answered"]

_CONSISTENCY: Final[dict[str, str]] = {
    "relative_loss": "Relative flip loss<br>(0 is perfect)",
    "correlation": "Correlation<br>(1 is perfect)",
    "loss": "Flip loss<br>(squared logits)",
}
_TESTS: Final[dict[str, str]] = {
    "deletion": "Area under the curve<br>(lower is better)",
    "insertion": "Area under the curve<br>(higher is better)",
    "road": "ROAD<br>(above 0 the order helps)",
    "arcc": "ARCC<br>(0 to 1, higher is better)",
}
#: Map and baselines: name in the file, what people read, opacity of the bar.
_MAPS: Final = (
    ("map", "The model’s map", 1.0),
    ("random", "Random maps", 0.35),
    ("blob", "Centre prior", 0.65),
)
#: Side in px of an atlas picture.
SIDE: Final = 160
_PLAIN: Final = 170  # grey level where no mean face may be shown
#: Characters of a line in the legend, for a phone.
_LEGEND: Final = 30


def consistency_figure(
    results: AttentionResults, styles: Mapping[str, ModelStyle], figure: Consistency = "relative_loss"
) -> go.Figure:
    """How well each model's maps flip with the face: one box per model.

    The box holds the middle half of the faces, with their median; the whiskers reach from the 5th to the 95th
    percentile, and the dashed line is the mean.

    Args:
        results: of the command.
        styles: by model name.
        figure: which of the figures.
    """
    chart = _horizontal(_CONSISTENCY[figure], 90 + 52 * len(results.models))
    chart.update_layout(hovermode="closest", showlegend=False)
    for name, model in results.models.items():
        summary = getattr(model.consistency, figure)
        low, first, median, third, high = (summary.quantiles[key] for key in ("5", "25", "50", "75", "95"))
        chart.add_box(
            name=results.titles[name],
            y=[_wrapped(results.titles[name])],
            orientation="h",
            lowerfence=[low],
            q1=[first],
            median=[median],
            q3=[third],
            upperfence=[high],
            mean=[summary.mean],
            boxmean=True,
            marker={"color": styles[name].colour},
            line={"width": 2},
        )
    return chart


def faithfulness_figure(
    results: AttentionResults, styles: Mapping[str, ModelStyle], test: Test = "deletion"
) -> go.Figure:
    """Each model's map against random maps and the centre prior: means with their 95 % intervals.

    Models whose maps were not tested are missing.

    Args:
        results: of the command.
        styles: by model name.
        test: which of the four.
    """
    measured = results.measured(test)
    chart = _horizontal(_TESTS[test], 120 + 72 * len(measured))
    if test != "road":
        chart.update_xaxes(range=[0, 1])
    for key, title, opacity in _MAPS:
        summaries = [figures[key] for figures in measured.values()]
        chart.add_bar(
            name=title,
            y=[_wrapped(results.titles[name]) for name in measured],
            x=[summary.mean for summary in summaries],
            orientation="h",
            error_x=_errors(summaries),
            marker={"color": [styles[name].colour for name in measured], "line": {"width": 0}},
            opacity=opacity,
            hovertemplate=f"{title}: <b>%{{x:.3f}}</b><extra></extra>",
        )
    return chart


def regions_figure(results: AttentionResults, styles: Mapping[str, ModelStyle], expression: str) -> go.Figure:
    """Which share of the evidence for an expression lies in which facial region, in %, with 95 % intervals.

    The grey marks are each region's share of the picture: where a uniform map would be.

    Args:
        results: of the command.
        styles: by model name.
        expression: by label; models that were shown none of its faces have no bars.
    """
    words = [name.capitalize() for name in REGIONS]
    chart = _horizontal("Share of the evidence (%)", 200 + 24 * len(REGIONS) * len(results.models) // 2)
    for name, model in results.models.items():
        figures = model.regions.get(expression)
        if figures is None or not figures.shares:
            continue
        summaries = [figures.shares[region] for region in REGIONS]
        chart.add_bar(
            name=_wrapped(results.titles[name], _LEGEND),
            y=words,
            x=[100 * (summary.mean or 0) for summary in summaries],
            orientation="h",
            error_x=_errors(summaries, 100),
            marker=marker(styles[name]),
            hovertemplate=f"{results.titles[name]}: <b>%{{x:.1f}} %</b><extra></extra>",
        )
    chart.add_scatter(
        name="Share of the picture",
        y=words,
        x=[100 * results.record.areas[region] for region in REGIONS],
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 46, "color": "#71717a", "line": {"width": 2}},
        hovertemplate="%{fullData.name}: <b>%{x:.1f} %</b><extra></extra>",
    )
    return chart


def atlas_pictures(
    results: AttentionResults, expression: str, kind: Atlas = "labelled", *, same_scale: bool = False
) -> dict[str, NDArray[np.uint8]]:
    """Each model's mean map of an expression, drawn on the mean face.

    Args:
        results: of the command.
        expression: whose evidence.
        kind: over the faces with this label, or over those for which the model predicts it.
        same_scale: draw all models up to their common peak; their logits differ in scale, so a pale map is not a weak
            one. Else each up to its own.

    Returns:
        By model name, (SIDE, SIDE, 3) uint8 RGB; models without such a map are missing. The face is the mean of that
        expression's faces; of all faces where those are too few to be shown, and plain grey where all are.
    """
    faces = results.record.mean_faces
    entry = faces.get(expression) or faces.get("all")
    grey = np.array(entry.pixels, np.uint8) if entry else np.full((32, 32), _PLAIN, np.uint8)
    face = np.repeat(grey[..., None], 3, axis=2)
    maps = {
        name: Explanation(name, "attention", expression, np.array(model.atlas[kind][expression].map, np.float32))
        for name, model in results.models.items()
        if expression in model.atlas[kind]
    }
    peak = shared_peak(maps.values()) if same_scale else None
    return {name: draw_map(face, explanation, peak=peak, side=SIDE) for name, explanation in maps.items()}


def atlas_counts(results: AttentionResults, expression: str, kind: Atlas = "labelled") -> dict[str, int]:
    """By model name, of how many faces its picture in the atlas is the mean."""
    entries = {name: model.atlas[kind].get(expression) for name, model in results.models.items()}
    return {name: entry.faces for name, entry in entries.items() if entry}


def _horizontal(title: str, height: int) -> go.Figure:
    """A chart with bars from top to bottom: on a phone their names have room there, and none below.

    Args:
        title: of the x axis.
        height: in px.
    """
    chart = go.Figure(layout=base_layout(""))
    # Long titles wrap below the narrowest chart, and bars lie in the order of the legend.
    chart.update_layout(height=height, hovermode="y unified", legend_traceorder="normal")
    chart.update_xaxes(
        rangemode="tozero",
        title={"text": title, "standoff": 8, "font": {"size": 13}},
        showgrid=True,
        gridcolor=chart.layout.yaxis.gridcolor,
    )
    chart.update_yaxes(title=None, autorange="reversed", showgrid=False)
    return chart


def _wrapped(title: str, characters: int = 16) -> str:
    """A title in lines of at most so many characters; 16 are short enough for the margin of a phone's chart."""
    return "<br>".join(textwrap.wrap(title, characters))


def _errors(summaries: list[Distribution], factor: float = 1) -> dict[str, Any]:
    """Plotly's error bars of the intervals; none where there is no interval."""
    means = [summary.mean or 0 for summary in summaries]
    bounds = [summary.interval or (mean, mean) for summary, mean in zip(summaries, means, strict=True)]
    return {
        "type": "data",
        "symmetric": False,
        "array": [factor * (high - mean) for (_, high), mean in zip(bounds, means, strict=True)],
        "arrayminus": [factor * (mean - low) for (low, _), mean in zip(bounds, means, strict=True)],
        "thickness": 1.5,
        "width": 3,
        "color": "#71717a",
    }
