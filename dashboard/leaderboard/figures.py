"""The leaderboard's charts. No Gradio here."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import plotly.graph_objects as go

from dashboard.components.charts import GRID, METHOD_STYLES, ModelStyle, base_layout, marker, model_styles
from dashboard.leaderboard.board import Board
from dashboard.leaderboard.published import NOISE, QUOTED, Quoted
from fer_models.evaluation.records import FaceSetComparison, LatencyRecord, NoiseStudyRecord, RobustnessRecord
from fer_models.models.ensemble import ENSEMBLE
from fer_models.registry import style_at

_QUOTED_COLOUR: Final = "#808080"
_METHOD_TITLES: Final = {"plain": "Plain", "eac": "EAC"}
_NOISE_DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash")


def accuracy_figure(board: Board, face_set: FaceSetComparison, quoted: Sequence[Quoted]) -> go.Figure:
    """Measured accuracies with their intervals, and below them quoted ones as open grey diamonds, in %."""
    figure = _figure(height=110 + 34 * (len(face_set.models) + len(quoted)))
    styles = model_styles(face_set.models)
    for name, row in face_set.models.items():
        each = row.accuracy
        figure.add_scatter(
            x=[100 * each.value],
            y=[_name(board, name, stale=name in board.stale(face_set))],
            mode="markers",
            marker={**_marker(styles[name]), "size": 11},
            error_x=_bar(styles[name].colour, each.value - each.low, each.high - each.value),
            name="Measured here",
            customdata=[[100 * each.low, 100 * each.high]],
            hovertemplate="%{y}: <b>%{x:.1f} %</b>, 95 % interval %{customdata[0]:.1f} to %{customdata[1]:.1f} %"
            "<extra></extra>",
        )
    for figures in quoted:
        spread = figures.spread / 100
        figure.add_scatter(
            x=[figures.accuracy],
            y=[f"{figures.title}{'' if figures.year is None else f' ({figures.year})'}"],
            mode="markers",
            marker={"symbol": "diamond-open", "size": 10, "color": _QUOTED_COLOUR, "line": {"width": 2}},
            error_x=_bar(_QUOTED_COLOUR, spread, spread) if spread else None,
            name="Quoted",
            hovertemplate=f"%{{y}}: <b>%{{x:.2f}} %</b>, {QUOTED}<extra></extra>",
        )
    figure.update_layout(showlegend=False, hovermode="closest")
    _x_in_percent(figure, "Accuracy (%)", _around(figure))
    figure.update_yaxes(autorange="reversed", range=None, title=None, tickvals=None, showgrid=True)
    return figure


def recall_figure(board: Board, face_set: FaceSetComparison) -> go.Figure:
    """Share of each expression's faces that each model finds, in %."""
    figure = _figure()
    styles = model_styles(face_set.models)
    for name, row in face_set.models.items():
        recalls = [row.recall_of(label) for label in row.labels]
        figure.add_bar(
            name=_name(board, name, stale=name in board.stale(face_set)),
            x=[label.capitalize() for label in row.labels],
            y=[None if value is None else 100 * value for value in recalls],
            marker=marker(styles[name]),
            hovertemplate="%{fullData.name}: <b>%{y:.1f} %</b><extra></extra>",
        )
    figure.update_yaxes(title={"text": "Faces found (%)", "standoff": 8})
    return figure


def reliability_figure(board: Board, face_set: FaceSetComparison) -> go.Figure:
    """Accuracy by confidence, after and before the temperature; on the diagonal a model is as right as it is sure."""
    figure = _figure(height=480)
    figure.add_scatter(
        x=[0, 100], y=[0, 100], mode="lines", line={"color": "#808080", "width": 1}, name="As sure as right"
    )
    styles = model_styles(face_set.models)
    groups = [0]
    for choice, attribute in ((1, "after_temperature"), (2, "before_temperature")):
        for name, row in face_set.models.items():
            calibration = getattr(row, attribute)
            if calibration is None:
                continue
            figure.add_scatter(
                x=[100 * each.confidence for each in calibration.reliability],
                y=[100 * each.accuracy for each in calibration.reliability],
                customdata=[each.count for each in calibration.reliability],
                mode="lines+markers",
                line=_line(styles[name]),
                marker=_marker(styles[name]),
                name=_name(board, name, stale=name in board.stale(face_set)),
                hovertemplate="%{fullData.name}: right on <b>%{y:.0f} %</b> where %{x:.0f} % sure "
                "(%{customdata:,} faces)<extra></extra>",
            )
            groups.append(choice)
    figure.update_layout(hovermode="closest")
    _choices(figure, groups, ["After the temperature", "Before the temperature"])
    _x_in_percent(figure, "Confidence (%)", [0, 100])
    figure.update_yaxes(title={"text": "Right (%)", "standoff": 8})
    return figure


def risk_figure(board: Board, face_set: FaceSetComparison) -> go.Figure:
    """Share of errors if only the surest faces are answered, in %."""
    figure = _figure()
    styles = model_styles(face_set.models)
    for name, row in face_set.models.items():
        figure.add_scatter(
            x=[100 * coverage for coverage, _, _ in row.risk_coverage],
            y=[100 * risk for _, risk, _ in row.risk_coverage],
            customdata=[100 * confidence for _, _, confidence in row.risk_coverage],
            mode="lines+markers",
            line=_line(styles[name]),
            marker={**_marker(styles[name]), "size": 6},
            name=_name(board, name, stale=name in board.stale(face_set)),
            hovertemplate="%{fullData.name}: <b>%{y:.1f} %</b> wrong, at least %{customdata:.0f} % sure<extra></extra>",
        )
    _x_in_percent(figure, "Faces answered, the surest first (%)", [0, 102])
    figure.update_yaxes(title={"text": "Wrong (%)", "standoff": 8}, range=None, rangemode="tozero", tickvals=None)
    return figure


def corruption_figure(board: Board, told: RobustnessRecord) -> go.Figure:
    """Accuracy by strength, in %; one kind of corruption at a time, the mean of all first."""
    figure = _figure(height=480)
    styles = model_styles(told.clean)
    groups = []
    for choice, kind in enumerate([None, *told.corrupted], 1):
        for name in told.clean:
            curve = told.mean_by_strength(name) if kind is None else told.corrupted[kind][name]
            figure.add_scatter(
                x=["as it is", *map(str, told.strengths)],
                y=[100 * told.clean[name], *(100 * value for value in curve)],
                mode="lines+markers",
                line=_line(styles[name]),
                marker=_marker(styles[name]),
                name=_name(board, name, stale=name in board.stale(told)),
                hovertemplate="%{fullData.name}: <b>%{y:.1f} %</b><extra></extra>",
            )
            groups.append(choice)
    _choices(figure, groups, ["Mean of all kinds", *(kind.capitalize() for kind in told.corrupted)])
    figure.update_xaxes(title={"text": "Strength of the corruption", "standoff": 8}, type="category")
    figure.update_yaxes(title={"text": "Accuracy (%)", "standoff": 8})
    return figure


def noise_figure(study: NoiseStudyRecord) -> go.Figure:
    """Test accuracy by share of wrong training labels, in %; unfinished runs open, the paper's figures thin."""
    figure = _figure(height=540)
    groups = []
    for choice, attribute in ((1, "best_test_accuracy"), (2, "last_test_accuracy")):
        for method in dict.fromkeys(run.method for run in study.runs):
            points = noise_points(study, method, attribute)
            if not points:
                continue
            style = METHOD_STYLES.get(method, style_at(0))
            figure.add_scatter(
                x=[noise_label(noise) for noise, _, _ in points],
                y=[100 * value for _, value, _ in points],
                mode="lines+markers",
                line={"color": style.colour, "dash": style.dash, "width": 2.5},
                marker={
                    "color": style.colour,
                    "size": 10,
                    "symbol": [style.marker if finished else f"{style.marker}-open" for _, _, finished in points],
                },
                customdata=["" if finished else ", not finished" for _, _, finished in points],
                name=f"{_METHOD_TITLES.get(method, method)}, measured",
                hovertemplate="%{fullData.name}: <b>%{y:.1f} %</b>%{customdata}<extra></extra>",
            )
            groups.append(choice)
    for number, curve in enumerate(NOISE):
        figure.add_scatter(
            x=[noise_label(noise) for noise in curve.accuracy],
            y=[*curve.accuracy.values()],
            mode="lines+markers",
            line={"color": METHOD_STYLES[curve.method].colour, "dash": "dot", "width": 1},
            marker={"symbol": ("circle-open", "square-open")[number // 2], "size": 7},
            opacity=0.75,
            name=f"{curve.title}, quoted",
            hovertemplate=f"%{{fullData.name}}: <b>%{{y:.2f}} %</b> on RAF-DB, {QUOTED}<extra></extra>",
        )
        groups.append(0)
    _choices(figure, groups, ["Best epoch", "Last epoch"])
    order = sorted({noise_order(run.noise) for run in study.runs} | {(0, n, "") for n in NOISE[0].accuracy})
    names = [noise_label(word or number) for _, number, word in order]
    figure.update_xaxes(
        title={"text": "Wrong training labels", "standoff": 8},
        type="category",
        categoryorder="array",
        categoryarray=names,
        tickangle=0,
    )
    figure.update_yaxes(title={"text": "Test accuracy (%)", "standoff": 8}, range=_around(figure, "y"), tickvals=None)
    return figure


def noise_points(study: NoiseStudyRecord, method: str, attribute: str) -> list[tuple[int | str, float, bool]]:
    """Noise, mean over the seeds, and whether every run is finished; in the order of the noise.

    Args:
        study: the runs; those without any epoch do not count.
        method: of training.
        attribute: "best_test_accuracy" or "last_test_accuracy".
    """
    runs = [run for run in study.runs if run.method == method and getattr(run, attribute) is not None]
    points = []
    for noise in sorted({run.noise for run in runs}, key=noise_order):
        same = [run for run in runs if run.noise == noise]
        mean = sum(getattr(run, attribute) for run in same) / len(same)
        points.append((noise, mean, all(run.finished for run in same)))
    return points


def noise_order(noise: int | str) -> tuple[int, int, str]:
    """Percents first, named label sets after."""
    return (1, 0, noise) if isinstance(noise, str) else (0, noise, "")


def noise_label(noise: int | str) -> str:
    """What people read."""
    if isinstance(noise, str):
        return "FER2013" if noise == "fer2013" else noise
    return f"{noise}\u00a0%"


def memory_figure(study: NoiseStudyRecord) -> go.Figure:
    """How many of the wrong training labels a network gives back, by epoch, in %."""
    figure = _figure()
    noises = sorted({run.noise for run in study.runs}, key=noise_order)
    for run in study.runs:
        points = [(p.epoch, 100 * p.wrong_labels_held) for p in run.curve if p.wrong_labels_held is not None]
        if not points:
            continue
        seed = f", seed {run.seed}" if len({each.seed for each in study.runs}) > 1 else ""
        figure.add_scatter(
            x=[epoch for epoch, _ in points],
            y=[held for _, held in points],
            mode="lines",
            line={
                "color": METHOD_STYLES.get(run.method, style_at(0)).colour,
                "dash": _NOISE_DASHES[noises.index(run.noise) % len(_NOISE_DASHES)],
                "width": 2,
            },
            name=f"{_METHOD_TITLES.get(run.method, run.method)}, {noise_label(run.noise)}{seed}"
            f"{'' if run.finished else ' (not finished)'}",
            hovertemplate="%{fullData.name}: <b>%{y:.1f} %</b><extra></extra>",
        )
    figure.update_xaxes(title={"text": "Epoch", "standoff": 8}, rangemode="tozero")
    figure.update_yaxes(title={"text": "Wrong labels given back (%)", "standoff": 8})
    return figure


def cost_of(board: Board, face_set: FaceSetComparison, latency: LatencyRecord | None) -> tuple[str, dict[str, float]]:
    """The best known measure of cost that all of a set's models have: its name, and the cost by model.

    The mean of all models costs as much as they do together.
    """
    names = [*face_set.shipped]
    cards = [board.cards[name] for name in names if name in board.cards]
    complete = len(cards) == len(names)
    choices = [
        ("Time of one face (ms)", [latency.models[n].p50_ms for n in names if n in latency.models] if latency else []),
        ("Multiply-adds (billions)", [card.multiply_adds / 1e9 for card in cards]),
        ("Parameters (millions)", [card.parameters / 1e6 for card in cards]),
    ]
    for title, values in choices:
        if len(values) == len(names) and all(values) and (complete or "Time" in title):
            costs = dict(zip(names, values, strict=True))
            return title, costs | ({ENSEMBLE: sum(values)} if ENSEMBLE in face_set.models else {})
    return "", {}


def frontier(costs: Mapping[str, float], accuracies: Mapping[str, float]) -> list[str]:
    """The models that no other is both at most as costly and more accurate than, the cheapest first."""
    best, kept = -1.0, []
    for name in sorted(costs, key=lambda each: (costs[each], -accuracies[each])):
        if accuracies[name] > best:
            best = accuracies[name]
            kept.append(name)
    return kept


def cost_figure(board: Board, face_set: FaceSetComparison) -> go.Figure | None:
    """Accuracy against cost; a line joins the models that are not beaten at their price. None if no cost is known."""
    title, costs = cost_of(board, face_set, board.latency.record)
    if not costs:
        return None
    figure = _figure()
    accuracies = {name: face_set.models[name].accuracy.value for name in costs}
    line = frontier(costs, accuracies)
    figure.add_scatter(
        x=[costs[name] for name in line],
        y=[100 * accuracies[name] for name in line],
        mode="lines",
        line={"color": "#808080", "dash": "dot", "width": 1.5, "shape": "hv"},
        name="Not beaten at this cost",
        hoverinfo="skip",
    )
    styles = model_styles(face_set.models)
    for name, cost in costs.items():
        each = face_set.models[name].accuracy
        figure.add_scatter(
            x=[cost],
            y=[100 * each.value],
            error_y=_bar(styles[name].colour, each.value - each.low, each.high - each.value),
            mode="markers",
            marker={**_marker(styles[name]), "size": 13},
            name=_name(board, name, stale=name in board.stale(face_set)),
            hovertemplate="%{fullData.name}: <b>%{y:.1f} %</b> at %{x:.3g}<extra></extra>",
        )
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(title={"text": title, "standoff": 8}, type="log", showgrid=True, gridcolor=GRID)
    figure.update_xaxes(tickvals=[base * 10.0**power for power in range(-4, 7) for base in (1, 2, 5)])
    figure.update_yaxes(title={"text": "Accuracy (%)", "standoff": 8}, range=_around(figure, "y"), tickvals=None)
    return figure


def _figure(height: int = 430) -> go.Figure:
    figure = go.Figure(layout=base_layout("Share (%)"))
    figure.update_yaxes(range=[0, 100], tickvals=[0, 25, 50, 75, 100])
    return figure.update_layout(height=height, showlegend=True)


def _name(board: Board, name: str, *, stale: bool) -> str:
    return f"{board.title(name)}{' (stale)' if stale else ''}"


def _marker(style: ModelStyle) -> dict[str, Any]:
    return {"color": style.colour, "symbol": style.marker, "size": 8}


def _line(style: ModelStyle) -> dict[str, Any]:
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


def _around(figure: go.Figure, axis: str = "x") -> list[float]:
    """A range around all points and their error bars, within 0 and 100."""
    ends: list[float] = []
    for trace in figure.data:
        error = trace[f"error_{axis}"]
        above, below = (error.array or [0], error.arrayminus or [0]) if error else ([0], [0])
        values = [value for value in trace[axis] if value is not None]
        ends += [max(values) + max(above), min(values) - max(below)] if values else []
    return [max(0.0, min(ends) - 3), min(100.0, max(ends) + 3)] if ends else [0, 100]


def _choices(figure: go.Figure, groups: Sequence[int], titles: Sequence[str]) -> None:
    """A menu that shows one group of traces at a time; group 0 always shows, group 1 at first."""
    shown = [[group in (0, choice) for group in groups] for choice in range(1, len(titles) + 1)]
    buttons = [
        {"label": title, "method": "restyle", "args": [{"visible": each}]}
        for title, each in zip(titles, shown, strict=True)
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
