"""The attention lab's charts. No Gradio here."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.components.charts import GRID, marker, page_layout
from explain.faithfulness import Faithfulness
from explain.occlusion import RegionEffects
from explain.regions import REGIONS
from fer_models.registry import ModelStyle

#: Facial regions: colour and pattern, so that either is enough; after Okabe and Ito (2008).
REGION_STYLES: Final = {
    "brows": ModelStyle("#0072B2", ""),
    "eyes": ModelStyle("#56B4E9", "/"),
    "nose": ModelStyle("#E69F00", ""),
    "cheeks": ModelStyle("#CC79A7", "."),
    "mouth": ModelStyle("#D55E00", ""),
    "background": ModelStyle("#9A9AA3", "x"),
}
_GREY: Final = "#8a8a94"
_TITLE: Final = {"size": 13}
#: A legend as wide as the chart, so that it wraps on a phone instead of taking a line per entry.
_NARROW: Final = {"x": 0, "xref": "container", "entrywidthmode": "pixels"}


def regions_figure(shares: Mapping[str, Mapping[str, float]], areas: Mapping[str, float]) -> go.Figure:
    """Stacked bars: which share of each map's evidence lies in which facial region, in %.

    Args:
        shares: in [0, 1], by title, then by region; the first is drawn on top.
        areas: in [0, 1], by region: what a uniform map would give; drawn last.
    """
    rows = dict(shares) | {"Uniform map": areas}
    titles = list(rows)[::-1]
    figure = go.Figure(layout=_layout(70 + 44 * len(rows)))
    for region in REGIONS:
        style = REGION_STYLES[region]
        figure.add_bar(
            name=region.capitalize(),
            orientation="h",
            y=titles,
            x=[100 * rows[title].get(region, 0) for title in titles],
            marker=marker(style),
            hovertemplate="%{y}: %{fullData.name} <b>%{x:.0f} %</b><extra></extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.35, showlegend=False)  # the page has a key that wraps
    figure.update_xaxes(
        range=[0, 100],
        title={"text": "Share of the evidence (%)", "font": _TITLE, "standoff": 8},
        dtick=20,
        gridcolor=GRID,
        zeroline=False,
    )
    figure.update_yaxes(showgrid=False)
    return figure


def effects_figure(
    effects: Mapping[str, RegionEffects], titles: Mapping[str, str], styles: Mapping[str, ModelStyle]
) -> go.Figure:
    """Bars: how far each model's confidence changes when a facial region is occluded, in percentage points.

    Args:
        effects: by model name.
        titles: what people read, by model name.
        styles: by model name.
    """
    figure = go.Figure(layout=_layout(340))
    for name, effect in effects.items():
        figure.add_bar(
            name=titles[name],
            x=[region.capitalize() for region in effect.after],
            y=[100 * (after - effect.before) for after in effect.after.values()],
            customdata=[[100 * effect.before, 100 * after] for after in effect.after.values()],
            marker=marker(styles[name]),
            hovertemplate="%{fullData.name}: %{customdata[0]:.0f} % → <b>%{customdata[1]:.0f} %</b><extra></extra>",
        )
    figure.update_layout(barmode="group", bargap=0.22, bargroupgap=0.06, hovermode="x unified")
    figure.update_yaxes(
        title={"text": "Change in confidence<br>(percentage points)", "font": _TITLE, "standoff": 8},
        gridcolor=GRID,
        zerolinecolor=_GREY,
    )
    figure.update_xaxes(showgrid=False)
    return figure


def curves_figure(
    results: Mapping[str, Faithfulness], titles: Mapping[str, str], styles: Mapping[str, ModelStyle]
) -> go.Figure:
    """One row per model: deletion left, insertion right; confidence over the share of pixels, both in %.

    Args:
        results: by model name.
        titles: what people read, by model name.
        styles: by model name.
    """
    rows = list(results)
    figure = make_subplots(
        rows=len(rows),
        cols=2,
        shared_yaxes=True,
        vertical_spacing=0.4 / max(len(rows), 1),
        horizontal_spacing=0.12,
        subplot_titles=[text for name in rows for text in (titles[name], "")],
    )
    figure.update_layout(_layout(80 + 230 * len(rows)))
    for row, (name, result) in enumerate(results.items(), start=1):
        lines = (
            ("This map", result.map, {"color": styles[name].colour, "dash": "solid", "width": 3}),
            ("Random map", result.random, {"color": _GREY, "dash": "dot", "width": 2}),
            ("Centre prior", result.centre_prior, {"color": _GREY, "dash": "dash", "width": 2}),
        )
        for title, curves, line in lines:
            for column, values in enumerate((curves.deletion, curves.insertion), start=1):
                figure.add_scatter(
                    name=title,
                    showlegend=row == column == 1,
                    x=np.linspace(0, 100, len(values)).tolist(),
                    y=(100 * values).tolist(),
                    mode="lines",
                    line=line,
                    hovertemplate="%{fullData.name}: <b>%{y:.0f} %</b><extra></extra>",
                    row=row,
                    col=column,
                )
    figure.update_annotations(font=_TITLE)
    axis = {"range": [0, 100], "fixedrange": True, "gridcolor": GRID, "zeroline": False, "tickvals": [0, 50, 100]}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis, automargin=True)
    for column, text in enumerate(("Deleted (%)", "Inserted (%)"), start=1):
        figure.update_xaxes(title={"text": text, "font": _TITLE, "standoff": 6}, col=column)
    figure.update_yaxes(title={"text": "Confidence (%)", "font": _TITLE, "standoff": 10}, col=1)
    # Above the first row's titles, whatever the height.
    figure.update_layout(margin_t=62, legend={"y": 1, "yref": "container", "yanchor": "top"} | _NARROW)
    return figure


def _layout(height: int) -> go.Layout:
    """What the lab's charts share.

    Args:
        height: in px.
    """
    return page_layout(height, margin_r=18, margin_b=12)
