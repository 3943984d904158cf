"""Buttons below a chart that save it as PNG and SVG."""

import gradio as gr

from dashboard.components.events import SAVE_SCRIPT
from dashboard.components.templates import macro


def chart_tools(name: str, chart: str, *, visible: bool = True) -> gr.HTML:
    """The buttons, inside the current `gr.Blocks`.

    Args:
        name: of the files, without suffix.
        chart: the id of the `gr.Plot`.
        visible: whether they show from the start.
    """
    return gr.HTML(macro("chart_tools", name, chart), js_on_load=SAVE_SCRIPT, visible=visible)
