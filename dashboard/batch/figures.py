"""Charts of a batch. No Gradio here."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from dashboard.components.charts import expression_bars
from fer_models.batch.table import Row, column
from fer_models.expressions import EXPRESSIONS, in_display_order
from fer_models.registry import ModelStyle


def label_counts(rows: Sequence[Row], models: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many faces each model gives each label, by model and expression."""
    counts: dict[str, dict[str, int]] = {model: {} for model in models}
    for row in rows:
        for model in models:
            label = row.get(column(model, "label"))
            if label is not None:
                counts[model][str(label)] = counts[model].get(str(label), 0) + 1
    return counts


def distribution_figure(
    rows: Sequence[Row],
    models: Sequence[str],
    titles: Mapping[str, str],
    styles: Mapping[str, ModelStyle],
) -> go.Figure:
    """How often each model predicts each label: a group of bars per expression, one bar per model, in faces.

    Args:
        rows: of the batch.
        models: in the order of the bars.
        titles: what people read, by model name.
        styles: by model name.
    """
    counts = label_counts(rows, models)
    known = {label for heights in counts.values() for label in heights}
    zeros = dict.fromkeys(known, 0)
    values = {model: {**zeros, **heights} for model, heights in counts.items()}
    figure = expression_bars(values, known, titles, styles, hover="%{y} faces")
    for bars, model in zip(figure.data, models, strict=True):
        bars.update(meta=model, customdata=in_display_order({*known, *EXPRESSIONS}))  # a click asks for them
    figure.update_yaxes(
        title_text="Faces", range=None, tickmode="auto", tickvals=None, tickformat="d", rangemode="tozero", nticks=6
    )
    return figure
