"""Section of the attention lab: what was measured over a test split, read from its file when it is opened."""

import logging
from pathlib import Path
from typing import Any, Final

import gradio as gr

from dashboard.attention import test_set_figures as figures
from dashboard.attention import test_set_view as html
from dashboard.attention.test_set import AttentionResults, read_results
from dashboard.components.chart_tools import chart_tools
from dashboard.components.charts import model_styles
from dashboard.components.face_view import busy, message
from dashboard.leaderboard.view import advice, heading, text
from fer_models.evaluation.store import read_cards
from fer_models.expressions import EXPRESSIONS

_log = logging.getLogger(__name__)
_UNEXPECTED: Final = "The results cannot be shown: their file is damaged. Write it anew with the attention command."

Updates = dict[Any, Any]


class TestSetSection:
    """Collapsed until it is opened; then it only reads a file. Nothing of any session is kept here."""

    def __init__(self, weights: Path) -> None:
        """Lay the section out inside the current `gr.Blocks` and connect it.

        Args:
            weights: folder of the cards, with results/ below.
        """
        self.weights = weights
        with gr.Accordion("Over the test split", open=False, elem_id="attention-study") as self.accordion:
            self.note = gr.HTML(busy("Reading the results …"), elem_id="attention-study-note")
            with gr.Column(visible=False, elem_id="attention-study-body") as self.body:
                self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        gr.HTML(
            text(
                heading(
                    "Do the maps flip with the face?",
                    "The mirror test on every face: a box holds the middle half of the faces, whiskers 90 % of them.",
                )
            )
        )
        self.figure = gr.Radio(
            [("Relative flip loss", "relative_loss"), ("Correlation", "correlation")],
            value="relative_loss",
            label="Measured by",
            elem_id="attention-study-figure",
        )
        self.flips = self._chart("flips")
        self.flip_table = gr.HTML()
        gr.HTML(
            text(
                heading(
                    "Do the maps beat maps that know nothing?",
                    "Each model’s own map, random maps and a blob in the middle, put to the same test.",
                )
            )
        )
        self.test = gr.Radio(
            [("Hidden first", "deletion"), ("Shown first", "insertion"), ("ROAD", "road"), ("ARCC", "arcc")],
            value="deletion",
            label="Test",
            elem_id="attention-study-test",
        )
        self.honesty = self._chart("honesty")
        self.sentences = gr.HTML(elem_id="attention-study-sentences")
        gr.HTML(text(heading("Where on the face?", "The evidence for an expression, over the faces labelled with it.")))
        self.expression = gr.Radio(
            [(name.capitalize(), name) for name in EXPRESSIONS],
            value="happiness",
            label="Evidence for",
            elem_id="attention-study-expression",
        )
        self.regions = self._chart("regions")
        gr.HTML(text(heading("Attention atlas", "Mean maps, drawn on the mean of many faces: nobody’s face.")))
        with gr.Row():
            self.kind = gr.Radio(
                [("Faces labelled so", "labelled"), ("Faces the model reads so", "answered")],
                value="labelled",
                label="Mean over",
                elem_id="attention-study-kind",
            )
            self.scale = gr.Radio(
                [("Each map its own", False), ("One for all models", True)],
                value=False,
                label="Colour scale",
                elem_id="attention-study-scale",
            )
        self.atlas = gr.HTML(elem_id="attention-study-atlas")

    def _chart(self, key: str) -> gr.Plot:
        chart = gr.Plot(
            show_label=False, container=False, elem_classes="fer-chart", elem_id=f"attention-study-{key}-chart"
        )
        chart_tools(f"attention-{key}", f"attention-study-{key}-chart")
        return chart

    def _connect(self) -> None:
        controls = [self.figure, self.test, self.expression, self.kind, self.scale]
        charts = [self.flips, self.honesty, self.regions]
        outputs = [self.note, self.body, *charts, self.flip_table, self.sentences, self.atlas]
        hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        for event in (self.accordion.expand, *(control.input for control in controls)):
            event(self.show, controls, outputs, **hidden)

    def show(self, figure: Any, test: Any, expression: str, kind: Any, same_scale: bool) -> Updates:
        """Everything, from the file as it is now."""
        source = read_results(self.weights)
        if source.record is None:
            return {self.note: text(advice(source.problem)), self.body: gr.update(visible=False)}
        results, (cards, _) = AttentionResults(source.record), read_cards(self.weights)
        styles = model_styles(results.models)
        try:
            return {
                self.note: text(html.notes(results, cards)),
                self.body: gr.update(visible=True),
                self.flips: figures.consistency_figure(results, styles, figure),
                self.flip_table: text(html.flip_table(results, styles)),
                self.honesty: figures.faithfulness_figure(results, styles, test),
                self.sentences: text(html.honesty_sentences(results, test)),
                self.regions: figures.regions_figure(results, styles, expression),
                self.atlas: text(html.atlas(results, styles, expression, kind, same_scale=same_scale)),
            }
        except Exception:  # whatever is wrong inside the file, the user gets words and not a stack trace
            _log.exception("showing the attention results failed")
            return {self.note: message(_UNEXPECTED), self.body: gr.update(visible=False)}
