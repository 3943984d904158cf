"""The charts of the label noise study. No Gradio here."""

from typing import Final

import plotly.graph_objects as go

from dashboard.components.charts import METHOD_STYLES
from dashboard.leaderboard.eac.noise import method_title, noise_label, noise_order, noise_points
from dashboard.leaderboard.figures import add_choices, percent_chart, range_around
from dashboard.leaderboard.published import NOISE, QUOTED
from fer_models.evaluation.records import NoiseStudyRecord
from fer_models.registry import style_at

#: By share of wrong labels, in their order.
_DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash")


def noise_figure(study: NoiseStudyRecord) -> go.Figure:
    """Test accuracy by share of wrong training labels, in %; unfinished runs open, the paper's figures thin."""
    figure = percent_chart(height=540)
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
                name=f"{method_title(method)}, measured",
                hovertemplate="%{fullData.name}: <b>%{y:.1f} %</b>%{customdata}<extra></extra>",
            )
            groups.append(choice)
    for number, curve in enumerate(NOISE):
        figure.add_scatter(
            x=[noise_label(noise) for noise in curve.accuracy],
            y=[*curve.accuracy.values()],
            mode="lines+markers",
            line={"color": METHOD_STYLES[curve.method].colour, "dash": "dot", "width": 1.5},
            marker={"symbol": ("circle-open", "square-open")[number // 2], "size": 7},
            name=f"{curve.title}, quoted",
            hovertemplate=f"%{{fullData.name}}: <b>%{{y:.2f}} %</b> on RAF-DB, {QUOTED}<extra></extra>",
        )
        groups.append(0)
    add_choices(figure, groups, ["Best epoch", "Last epoch"])
    order = sorted({noise_order(run.noise) for run in study.runs} | {(0, n, "") for n in NOISE[0].accuracy})
    names = [noise_label(word or number) for _, number, word in order]
    figure.update_xaxes(
        title={"text": "Wrong training labels", "standoff": 8},
        type="category",
        categoryorder="array",
        categoryarray=names,
        tickangle=0,
    )
    figure.update_yaxes(
        title={"text": "Test accuracy (%)", "standoff": 8}, range=range_around(figure, "y"), tickvals=None
    )
    return figure


def memory_figure(study: NoiseStudyRecord) -> go.Figure:
    """Share of the wrong training labels that a network has memorised, by epoch, in %."""
    figure = percent_chart()
    noises = sorted({run.noise for run in study.runs}, key=noise_order)
    for run in study.runs:
        points = [(p.epoch, 100 * p.wrong_labels_held) for p in run.curve if p.wrong_labels_held is not None]
        if not points:
            continue
        seed = f", seed {run.seed}" if len({other.seed for other in study.runs}) > 1 else ""
        figure.add_scatter(
            x=[epoch for epoch, _ in points],
            y=[held for _, held in points],
            mode="lines",
            line={
                "color": METHOD_STYLES.get(run.method, style_at(0)).colour,
                "dash": _DASHES[noises.index(run.noise) % len(_DASHES)],
                "width": 2,
            },
            name=f"{method_title(run.method)}, {noise_label(run.noise)}{seed}"
            f"{'' if run.finished else ' (not finished)'}",
            hovertemplate="%{fullData.name}: <b>%{y:.1f} %</b><extra></extra>",
        )
    figure.update_xaxes(title={"text": "Epoch", "standoff": 8}, rangemode="tozero")
    figure.update_yaxes(title={"text": "Memorised labels (%)", "standoff": 8})
    return figure
