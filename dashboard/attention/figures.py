"""The attention lab's charts. No Gradio here."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.components.charts import GRID, ModelStyle, marker, page_layout
from explain.faithfulness import Faithfulness
from explain.occlusion import RegionEffects
from explain.regions import REGIONS

#: Parts of the face: colour and pattern, so that either is enough; after Okabe and Ito (2008).
REGION_STYLES: Final = {
    "brows": ModelStyle("#0072B2", ""),
    "eyes": ModelStyle("#56B4E9", "/"),
    "nose": ModelStyle("#E69F00", ""),
    "cheeks": ModelStyle("#CC79A7", "."),
    "mouth": ModelStyle("#D55E00", ""),
    "background": ModelStyle("#9A9AA3", "x"),
}
_TITLE: Final = {"size": 13}
#: A legend as wide as the chart, so that it wraps instead of taking a line an entry on a phone.
_NARROW: Final = {"x": 0, "xref": "container", "entrywidthmode": "pixels"}
#: The judged map, and what it is judged against.
_LINES: Final = {"map": "solid", "random": "dot", "blob": "dash"}
_LINE_NAMES: Final = {"map": "This map", "random": "A random map", "blob": "A blob in the middle"}


def regions_figure(shares: Mapping[str, Mapping[str, float]], areas: Mapping[str, float]) -> go.Figure:
    """Stacked bars: which share of each map's evidence lies in which part of the face, in %.

    Args:
        shares: by title, then by region; the first is drawn on top.
        areas: by region: what a map that is the same everywhere would give; drawn last.
    """
    rows = dict(shares) | {"An even map": areas}
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
    """Bars: how far each model's confidence falls when a part of the face is covered, in percentage points.

    Args:
        effects: by model name.
        titles: what people read, by model name.
        styles: by model name.
    """
    figure = go.Figure(layout=_layout(340))
    for name, one in effects.items():
        figure.add_bar(
            name=titles[name],
            x=[region.capitalize() for region in one.after],
            y=[100 * (after - one.before) for after in one.after.values()],
            customdata=[[100 * one.before, 100 * after] for after in one.after.values()],
            marker=marker(styles[name]),
            hovertemplate="%{fullData.name}: %{customdata[0]:.0f} % → <b>%{customdata[1]:.0f} %</b><extra></extra>",
        )
    figure.update_layout(barmode="group", bargap=0.22, bargroupgap=0.06, hovermode="x unified")
    figure.update_yaxes(
        title={"text": "Change in confidence (points)", "font": _TITLE, "standoff": 8},
        gridcolor=GRID,
        zerolinecolor="#8a8a94",
    )
    figure.update_xaxes(showgrid=False)
    return figure


def curves_figure(
    found: Mapping[str, Faithfulness], titles: Mapping[str, str], styles: Mapping[str, ModelStyle]
) -> go.Figure:
    """A row a model: deletion left, insertion right; confidence in % over the share of pixels, for its map and others.

    Args:
        found: what was measured, by model name.
        titles: what people read, by model name.
        styles: by model name.
    """
    rows = list(found)
    figure = make_subplots(
        rows=len(rows),
        cols=2,
        shared_yaxes=True,
        vertical_spacing=0.4 / max(len(rows), 1),
        horizontal_spacing=0.12,
        subplot_titles=[text for name in rows for text in (titles[name], "")],
    )
    figure.update_layout(_layout(80 + 230 * len(rows)))
    for row, name in enumerate(rows, start=1):
        one = found[name]
        for key, each in {"map": one.map, "random": one.random, "blob": one.blob}.items():
            line = {
                "color": styles[name].colour if key == "map" else "#8a8a94",
                "dash": _LINES[key],
                "width": 3 if key == "map" else 2,
            }
            for column, values in enumerate((each.deletion, each.insertion), start=1):
                figure.add_scatter(
                    name=_LINE_NAMES[key],
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
    for column, text in enumerate(("Hidden (%)", "Shown (%)"), start=1):
        figure.update_xaxes(title={"text": text, "font": _TITLE, "standoff": 6}, col=column)
    figure.update_yaxes(title={"text": "Confidence (%)", "font": _TITLE, "standoff": 10}, col=1)
    # Above the first row's titles, whatever the height.
    figure.update_layout(margin_t=62, legend={"y": 1, "yref": "container", "yanchor": "top"} | _NARROW)
    return figure


def _layout(height: int) -> go.Layout:
    buttons = ["zoom", "pan", "select", "lasso", "zoomin", "zoomout", "autoscale", "reset"]
    return page_layout(height, margin_r=18, margin_b=12, modebar_remove=buttons)
