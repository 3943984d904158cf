"""Results as Plotly figures. No Gradio here."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import plotly.graph_objects as go

from dashboard.theme import FONT_STACK
from fer_models.expressions import EXPRESSIONS, in_display_order
from fer_models.registry import MODELS, ModelStyle, style_at
from fer_models.results import Prediction

#: Colour of grid lines on the light and the dark surface.
GRID: Final = "rgba(128,128,128,0.25)"
#: How the label noise study's methods look. Its network is a MobileNetV2: EAC looks as that model does, plain training
#: as no shipped model does.
METHOD_STYLES: Final = {"plain": style_at(len(MODELS)), "eac": style_at(MODELS.index("eac_mobilenet_v2"))}


def compare_figure(
    predictions: Mapping[str, Prediction],
    titles: Mapping[str, str],
    styles: Mapping[str, ModelStyle],
    *,
    legend: bool = True,
) -> go.Figure:
    """All models on one face: a group of bars for each expression in the vocabulary's order, one bar per model, in %.

    Models are joined by the expressions' names; where a model does not know an expression, its bar is missing.

    Args:
        predictions: by model name, in the order of the bars.
        titles: what people read, by model name.
        styles: by model name.
        legend: whether the chart names its models; the page does so itself, with room to wrap.
    """
    known = {label for prediction in predictions.values() for label in prediction.labels}
    values = {
        name: {label: 100 * prediction.probability(label) for label in prediction.labels}
        for name, prediction in predictions.items()
    }
    return expression_bars(values, known, titles, styles, hover="%{y:.1f} %", legend=legend)


def expression_bars(
    values: Mapping[str, Mapping[str, float]],
    known: Iterable[str],
    titles: Mapping[str, str],
    styles: Mapping[str, ModelStyle],
    *,
    hover: str,
    legend: bool = False,
) -> go.Figure:
    """A group of bars for each expression in the vocabulary's order, one bar per model, on a scale of percent.

    Args:
        values: the bars' heights by model name and expression; one that is missing has no bar.
        known: expressions beyond the vocabulary that are shown, too.
        titles: what people read, by model name.
        styles: by model name.
        hover: Plotly's template of a bar's value.
        legend: whether the chart names its models.
    """
    shown = in_display_order({*known, *EXPRESSIONS})
    figure = go.Figure(layout=base_layout("Probability (%)"), layout_showlegend=legend)
    # A little more than 100: at the very end of the range Plotly may leave out the line and its number.
    figure.update_yaxes(range=[0, 100.5], tickvals=[0, 25, 50, 75, 100])
    for name, heights in values.items():
        figure.add_bar(
            name=titles[name],
            x=[label.capitalize() for label in shown],
            y=[heights.get(label) for label in shown],
            marker=marker(styles[name]),
            hovertemplate=f"%{{fullData.name}}: <b>{hover}</b><extra></extra>",
        )
    return figure


def marker(style: ModelStyle) -> dict[str, Any]:
    """A model's bars as Plotly's marker: its colour under its pattern."""
    pattern = {"shape": style.pattern, "fillmode": "overlay", "fgcolor": "rgba(255,255,255,0.75)", "size": 6}
    return {"color": style.colour, "pattern": pattern | {"solidity": 0.3}, "line": {"width": 0}}


def base_layout(title: str) -> go.Layout:
    """What charts of bars and lines over one axis share.

    Args:
        title: of the y axis.
    """
    layout = page_layout(360, barmode="group", bargap=0.22, bargroupgap=0.06, hovermode="x unified", legend_y=1.04)
    layout.xaxis.update(autotickangles=[0, 45, 90], ticks="", showgrid=False)
    layout.yaxis.update(title={"text": title, "standoff": 8}, gridcolor=GRID, zerolinecolor=GRID)
    return layout


def page_layout(height: int, **changes: Any) -> go.Layout:
    """What all charts share. Transparent, so that the page's light or dark surface shows; the style sheet colours it.

    Args:
        height: in px.
        changes: as for `plotly.graph_objects.Layout`.
    """
    font = {"family": FONT_STACK, "size": 13, "color": "#71717a"}
    layout = go.Layout(
        template="none",
        height=height,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font=font,
        margin={"l": 8, "r": 8, "t": 8, "b": 8, "autoexpand": True},
        legend={
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "yanchor": "bottom",
            "itemclick": False,
            "itemdoubleclick": False,
        },
        hoverlabel={"bgcolor": "#18181b", "bordercolor": "#3f3f46", "font": {"color": "#fafafa", "family": FONT_STACK}},
        dragmode=False,
        # Fixed axes: on a phone a swipe over the chart scrolls the page instead of zooming by accident.
        xaxis={"fixedrange": True, "automargin": True},
        yaxis={"fixedrange": True, "automargin": True},
        uirevision="constant",
    )
    layout.update(**changes)
    return layout
