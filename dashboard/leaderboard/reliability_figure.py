"""The reliability diagrams of all models. No Gradio here."""

from collections.abc import Sequence
from typing import Any, Final

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.components.charts import GRID, page_layout
from dashboard.leaderboard.board import Board
from dashboard.leaderboard.figures import add_choices, model_line, model_name, point_marker
from dashboard.leaderboard.sentences import FEW
from fer_models.evaluation.records import FaceSetComparison
from fer_models.evaluation.statistics import ReliabilityBin, wilson
from fer_models.registry import model_styles

_COLUMNS: Final = 2
_ROW: Final = 300  # px
_GREY: Final = "#8a8a94"


def reliability_figure(board: Board, face_set: FaceSetComparison) -> go.Figure:
    """Accuracy by confidence in %, a diagram per model, after and before the temperature.

    Each point has its number of faces and its 95 % interval (Wilson); points of fewer than `FEW` faces are grey.
    """
    names = [*face_set.models]
    rows = -(-len(names) // _COLUMNS)
    figure = make_subplots(
        rows=rows,
        cols=_COLUMNS,
        horizontal_spacing=0.09,
        vertical_spacing=0.27 / rows,
        subplot_titles=[model_name(board, name, face_set) for name in names],
    )
    figure.update_layout(page_layout(90 + _ROW * rows, hovermode="closest", showlegend=False))
    styles, groups = model_styles(face_set.models), []
    for index, name in enumerate(names):
        place = {"row": index // _COLUMNS + 1, "col": index % _COLUMNS + 1}
        figure.add_scatter(
            x=[0, 100],
            y=[0, 100],
            mode="lines",
            line={"color": _GREY, "width": 1},
            name="Perfect calibration",
            hoverinfo="name",
            **place,
        )
        groups.append(0)
        for choice, calibrated in ((1, True), (2, False)):
            bins = board.reliability(face_set, name, calibrated=calibrated)
            enough = [each for each in bins if each.count >= FEW]
            few = [each for each in bins if 0 < each.count < FEW]
            looks: dict[str, Any] = {"line": model_line(styles[name]), "marker": point_marker(styles[name])}
            figure.add_trace(_points(enough, styles[name].colour, mode="lines+markers", **looks), **place)
            grey = {"color": _GREY, "symbol": "circle-open", "size": 7}
            figure.add_trace(_points(few, _GREY, mode="markers", marker=grey), **place)
            groups += [choice, choice]
    axis = {
        "range": [-2, 102],
        "fixedrange": True,
        "gridcolor": GRID,
        "zeroline": False,
        "tickvals": [0, 25, 50, 75, 100],
    }
    figure.update_xaxes(title={"text": "Confidence (%)", "standoff": 4, "font": {"size": 12}}, **axis)
    figure.update_yaxes(automargin=True, **axis)
    figure.update_yaxes(title={"text": "Accuracy (%)", "standoff": 4, "font": {"size": 12}}, col=1)
    figure.update_annotations(font={"size": 13})
    add_choices(figure, groups, ["After the temperature", "Before the temperature"])
    # The menu stands above the titles of the first row, whatever the height.
    figure.update_layout(margin_t=74)
    figure.layout.updatemenus[0].update(y=1 + 42 / (_ROW * rows), yanchor="bottom")
    return figure


def _points(bins: Sequence[ReliabilityBin], colour: str, **looks: Any) -> go.Scatter:
    """The bins of one diagram with their intervals; without any, nothing to see."""
    shares = [wilson(round(each.accuracy * each.count), each.count) for each in bins]
    return go.Scatter(
        x=[100 * each.confidence for each in bins],
        y=[100 * share.value for share in shares],
        customdata=[[each.count, 100 * share.low, 100 * share.high] for each, share in zip(bins, shares, strict=True)],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [100 * (share.high - share.value) for share in shares],
            "arrayminus": [100 * (share.value - share.low) for share in shares],
            "color": colour,
            "thickness": 1.5,
            "width": 4,
        },
        hovertemplate="Confidence %{x:.0f} %: <b>%{y:.0f} %</b> of %{customdata[0]:,} faces correct,<br>"
        "95 % interval %{customdata[1]:.0f} to %{customdata[2]:.0f} %<extra></extra>",
        **looks,
    )
