"""The leaderboard's charts of models on test faces. No Gradio here."""

import textwrap
from collections.abc import Sequence
from typing import Any, Final

import plotly.graph_objects as go

from dashboard.components.charts import GRID, base_layout, marker
from dashboard.leaderboard.board import Board
from dashboard.leaderboard.cost.cost_view import cost_of, frontier
from dashboard.leaderboard.published import QUOTED, Quoted
from dashboard.leaderboard.sentences import ranks
from dashboard.leaderboard.view import corruption_title
from fer_models.evaluation.records import FaceSetComparison, RobustnessRecord
from fer_models.registry import ModelStyle, model_styles

_QUOTED_COLOUR: Final = "#808080"


def accuracy_figure(board: Board, face_set: FaceSetComparison, quoted: Sequence[Quoted]) -> go.Figure:
    """Measured accuracies with their intervals, by accuracy, and below them quoted ones as open grey diamonds, in %."""
    figure = percent_chart(height=110 + 34 * (len(face_set.models) + len(quoted)))
    styles = model_styles(face_set.models)
    for name in ranks(face_set):
        accuracy = face_set.models[name].accuracy
        figure.add_scatter(
            x=[100 * accuracy.value],
            y=[model_name(board, name, face_set)],
            mode="markers",
            marker={**point_marker(styles[name]), "size": 11},
            error_x=_bar(styles[name].colour, accuracy.value - accuracy.low, accuracy.high - accuracy.value),
            name="Measured here",
            customdata=[[100 * accuracy.low, 100 * accuracy.high]],
            hovertemplate="%{y}: <b>%{x:.1f} %</b>, 95 % interval %{customdata[0]:.1f} to %{customdata[1]:.1f} %"
            "<extra></extra>",
        )
    for figures in quoted:
        spread = figures.spread / 100
        figure.add_scatter(
            x=[figures.accuracy],
            y=[_wrapped(f"{figures.title}{'' if figures.year is None else f' ({figures.year})'}")],
            mode="markers",
            marker={"symbol": "diamond-open", "size": 10, "color": _QUOTED_COLOUR, "line": {"width": 2}},
            error_x=_bar(_QUOTED_COLOUR, spread, spread) if spread else None,
            name="Quoted",
            hovertemplate=f"%{{y}}: <b>%{{x:.2f}} %</b>, {QUOTED}<extra></extra>",
        )
    figure.update_layout(showlegend=False, hovermode="closest")
    _x_in_percent(figure, "Accuracy (%)", range_around(figure))
    figure.update_yaxes(autorange="reversed", range=None, title=None, tickvals=None, showgrid=True)
    return figure


def recall_figure(board: Board, face_set: FaceSetComparison) -> go.Figure:
    """Recall of each expression by model, in %."""
    figure = percent_chart()
    styles = model_styles(face_set.models)
    for name, row in face_set.models.items():
        recalls = [row.recall_of(label) for label in row.labels]
        figure.add_bar(
            name=model_name(board, name, face_set),
            x=[label.capitalize() for label in row.labels],
            y=[None if value is None else 100 * value for value in recalls],
            marker=marker(styles[name]),
            hovertemplate="%{fullData.name}: <b>%{y:.1f} %</b><extra></extra>",
        )
    figure.update_yaxes(title={"text": "Recall (%)", "standoff": 8})
    return figure


def risk_figure(board: Board, face_set: FaceSetComparison) -> go.Figure:
    """Error rate among the most confident predictions, by coverage, in %."""
    figure = percent_chart()
    styles = model_styles(face_set.models)
    for name, row in face_set.models.items():
        figure.add_scatter(
            x=[100 * coverage for coverage, _, _ in row.risk_coverage],
            y=[100 * risk for _, risk, _ in row.risk_coverage],
            customdata=[100 * confidence for _, _, confidence in row.risk_coverage],
            mode="lines+markers",
            line=model_line(styles[name]),
            marker={**point_marker(styles[name]), "size": 6},
            name=model_name(board, name, face_set),
            hovertemplate="%{fullData.name}: <b>%{y:.1f} %</b> wrong, confidence of at least %{customdata:.0f} %"
            "<extra></extra>",
        )
    _x_in_percent(figure, "Coverage (%)", [0, 102])
    figure.update_yaxes(title={"text": "Error rate (%)", "standoff": 8}, range=None, rangemode="tozero", tickvals=None)
    return figure


def corruption_figure(board: Board, record: RobustnessRecord) -> go.Figure:
    """Accuracy by strength, in %; one kind of corruption at a time, the mean of all first."""
    figure = percent_chart(height=480)
    styles = model_styles(record.clean)
    groups = []
    for choice, kind in enumerate([None, *record.corrupted], 1):
        for name in record.clean:
            curve = record.mean_by_strength(name) if kind is None else record.corrupted[kind][name]
            figure.add_scatter(
                x=["none", *map(str, record.strengths)],
                y=[100 * record.clean[name], *(100 * value for value in curve)],
                mode="lines+markers",
                line=model_line(styles[name]),
                marker=point_marker(styles[name]),
                name=model_name(board, name, record),
                hovertemplate="%{fullData.name}: <b>%{y:.1f} %</b><extra></extra>",
            )
            groups.append(choice)
    add_choices(figure, groups, ["Mean of all kinds", *map(corruption_title, record.corrupted)])
    figure.update_xaxes(title={"text": "Strength of the corruption", "standoff": 8}, type="category")
    figure.update_yaxes(title={"text": "Accuracy (%)", "standoff": 8})
    return figure


def cost_figure(board: Board, face_set: FaceSetComparison) -> go.Figure | None:
    """Accuracy against cost; a line shows the Pareto frontier. None if no cost is known."""
    title, costs = cost_of(board, face_set, board.latency.record)
    if not costs:
        return None
    figure = percent_chart()
    accuracies = {name: face_set.models[name].accuracy.value for name in costs}
    line = frontier(costs, accuracies)
    figure.add_scatter(
        x=[costs[name] for name in line],
        y=[100 * accuracies[name] for name in line],
        mode="lines",
        line={"color": "#808080", "dash": "dot", "width": 1.5, "shape": "hv"},
        name="Pareto frontier",
        hoverinfo="skip",
    )
    styles = model_styles(face_set.models)
    for name, cost in costs.items():
        accuracy = face_set.models[name].accuracy
        figure.add_scatter(
            x=[cost],
            y=[100 * accuracy.value],
            error_y=_bar(styles[name].colour, accuracy.value - accuracy.low, accuracy.high - accuracy.value),
            mode="markers",
            marker={**point_marker(styles[name]), "size": 13},
            name=model_name(board, name, face_set),
            hovertemplate="%{fullData.name}: <b>%{y:.1f} %</b> at %{x:.3g}<extra></extra>",
        )
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(title={"text": title, "standoff": 8}, type="log", showgrid=True, gridcolor=GRID)
    figure.update_xaxes(tickvals=[base * 10.0**power for power in range(-4, 7) for base in (1, 2, 5)])
    figure.update_yaxes(title={"text": "Accuracy (%)", "standoff": 8}, range=range_around(figure, "y"), tickvals=None)
    return figure


def percent_chart(height: int = 430) -> go.Figure:
    """An empty chart with a y axis from 0 to 100 %.

    Args:
        height: in px.
    """
    figure = go.Figure(layout=base_layout("Share (%)"))
    figure.update_yaxes(range=[0, 100], tickvals=[0, 25, 50, 75, 100])
    return figure.update_layout(height=height, showlegend=True)


def model_name(board: Board, name: str, record: FaceSetComparison | RobustnessRecord) -> str:
    """A model in a chart: its title, and whether its figures are out of date."""
    return _wrapped(f"{board.title(name)}{' (stale)' if name in board.stale(record) else ''}")


def _wrapped(title: str) -> str:
    """A title in lines that fit beside a chart on a phone."""
    return "<br>".join(textwrap.wrap(title, 24, break_long_words=False, break_on_hyphens=False))


def point_marker(style: ModelStyle) -> dict[str, Any]:
    """Points of a model."""
    return {"color": style.colour, "symbol": style.marker, "size": 8}


def model_line(style: ModelStyle) -> dict[str, Any]:
    """Lines of a model."""
    return {"color": style.colour, "dash": style.dash, "width": 2}


def _bar(colour: str, below: float, above: float) -> dict[str, Any]:
    """An error bar; the distances are shares."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [100 * above],
        "arrayminus": [100 * below],
        "color": colour,
        "thickness": 2,
        "width": 5,
    }


def _x_in_percent(figure: go.Figure, title: str, span: Sequence[float]) -> None:
    figure.update_xaxes(
        title={"text": title, "standoff": 8},
        range=span,
        showgrid=True,
        gridcolor=GRID,
        zeroline=False,
    )


def range_around(figure: go.Figure, axis: str = "x") -> list[float]:
    """A range around all points and their error bars, within 0 and 100."""
    ends: list[float] = []
    for trace in figure.data:
        error = trace[f"error_{axis}"]
        above, below = (error.array or [0], error.arrayminus or [0]) if error else ([0], [0])
        values = [value for value in trace[axis] if value is not None]
        ends += [max(values) + max(above), min(values) - max(below)] if values else []
    return [max(0.0, min(ends) - 3), min(100.0, max(ends) + 3)] if ends else [0, 100]


def add_choices(figure: go.Figure, groups: Sequence[int], titles: Sequence[str]) -> None:
    """A menu that shows one group of traces at a time; group 0 always shows, group 1 at first."""
    shown = [[group in (0, choice) for group in groups] for choice in range(1, len(titles) + 1)]
    buttons = [
        {"label": title, "method": "restyle", "args": [{"visible": visible}]}
        for title, visible in zip(titles, shown, strict=True)
    ]
    for trace, visible in zip(figure.data, shown[0], strict=True):
        trace.visible = visible
    menu = {
        "buttons": buttons,
        "x": 0,
        "xanchor": "left",
        "y": 1.02,
        "yanchor": "bottom",
        "pad": {"t": 0, "b": 0, "l": 0, "r": 0},
        "bgcolor": "#f4f4f5",
        "bordercolor": "#a1a1aa",
        "font": {"size": 13},
    }
    # The menu stands where other charts have their legend.
    figure.update_layout(updatemenus=[menu], legend={"y": -0.22, "yanchor": "top"})
