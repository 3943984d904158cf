"""A video's results as Plotly figures. No Gradio here."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from dashboard.components.charts import GRID, page_layout
from dashboard.theme import FONT_STACK
from dashboard.video.session import Timeline, agreement
from fer_models.expressions import COLOURS

#: Points in time a chart has at most; more could not be distinguished and would make it slow.
POINTS: Final = 600
_OTHER: Final = "#B0B0B0"
_ROW_PX: Final = 92
_STRIP_PX: Final = 26
#: From "all agree" to "all differ": nothing to strong, so that disagreement stands out.
_STRIP: Final = [[0.0, "#4338CA"], [0.999, "#C7D2FE"], [1.0, "rgba(128,128,128,0.18)"]]


def timeline_figure(timeline: Timeline, face: int, end_s: float, titles: Mapping[str, str]) -> go.Figure:
    """One face over time: one row per model with its probabilities stacked to 100 %, and a strip of their agreement.

    Where the face was not seen there is nothing. Each analysed frame holds until the next one.

    Args:
        timeline: of the video.
        face: its number.
        end_s: when the last analysed frame's time ends.
        titles: what people read, by model name.
    """
    times, values = _thinned(timeline.times, timeline.probabilities(face))
    shares = agreement(values, timeline.expressions)
    edges = np.append(times, max(end_s, times[-1] + 1e-3 if len(times) else 0))
    names = list(timeline.labels)
    rows = len(names) + 1
    heights = [_ROW_PX] * len(names) + [_STRIP_PX]
    total = sum(heights) + 26 * (rows - 1) + 80
    figure = make_subplots(
        rows, 1, shared_xaxes=True, row_heights=heights, vertical_spacing=26 / max(total - 80, 1),
        subplot_titles=[*(titles[name] for name in names), "Agreement"],
    )  # fmt: skip
    held = np.append(np.nan_to_num(values), np.nan_to_num(values[-1:]), axis=0)
    for row, name in enumerate(names, 1):
        for index, expression in enumerate(timeline.expressions):
            figure.add_scatter(
                x=edges,
                y=100 * held[:, row - 1, index],
                name=expression.capitalize(),
                stackgroup=name,
                mode="lines",
                line={"width": 0, "shape": "hv", "color": COLOURS.get(expression, _OTHER)},
                fillcolor=COLOURS.get(expression, _OTHER),
                hovertemplate="%{fullData.name} <b>%{y:.0f} %</b><extra></extra>",
                row=row,
                col=1,
            )
    figure.add_heatmap(
        x=edges,
        y=[0, 1],
        z=[shares],
        zmin=0,
        zmax=1,
        colorscale=_STRIP,
        showscale=False,
        hoverongaps=False,
        hovertemplate="%{z:.0%} of the models agree<extra></extra>",
        row=rows,
        col=1,
    )
    _style(figure, total, rows, float(edges[-1]) if len(edges) else 1.0)
    return figure


def _style(figure: go.Figure, height: int, rows: int, end_s: float) -> None:
    figure.update_layout(page_layout(height, showlegend=False, hovermode="x", margin_r=12, margin_t=26))
    figure.update_layout(template="none")  # an empty template changes nothing when it is merged
    figure.update_annotations(x=0, xanchor="left", font={"size": 13, "family": FONT_STACK})
    ticks = _ticks(end_s)
    figure.update_xaxes(
        range=[0, end_s], fixedrange=True, showgrid=False, zeroline=False, ticks="", tickvals=ticks,
        ticktext=[clock(tick) for tick in ticks],
    )  # fmt: skip
    figure.update_xaxes(automargin=True, title={"text": "Time in the video", "standoff": 6}, row=rows, col=1)
    figure.update_yaxes(
        range=[0, 100], tickvals=[0, 50, 100], fixedrange=True, automargin=True, gridcolor=GRID, zeroline=False,
        ticks="",
    )  # fmt: skip
    figure.update_yaxes(range=[0, 1], showticklabels=False, showgrid=False, row=rows, col=1)


def clock(seconds: float) -> str:
    """A time in the video as players show it, such as 0:03 or 0:03.4."""
    tenths = round(10 * seconds)
    rest = f".{tenths % 10}" if tenths % 10 else ""
    return f"{tenths // 600}:{tenths // 10 % 60:02d}{rest}"


def _ticks(end_s: float) -> list[float]:
    """About six round times from 0 to the end."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600)
    step = next((step for step in steps if end_s / step <= 6), 1200)
    return [round(step * index, 1) for index in range(int(end_s / step + 0.05) + 1)]


def _thinned(
    times: NDArray[np.float64], values: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """At most `POINTS` points: of each run of neighbours the first, as the sampling at a lower rate would give."""
    step = -(-len(times) // POINTS) or 1
    return times[::step], values[::step]
