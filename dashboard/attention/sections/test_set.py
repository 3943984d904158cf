"""Section of the attention lab: results on a test set, read from their file when the section is opened."""

from pathlib import Path
from typing import Any, Final

import gradio as gr

from dashboard.attention import test_set_figures as figures
from dashboard.attention import test_set_view as view
from dashboard.attention.sections.job_status import Updates
from dashboard.attention.test_set import AttentionResults, read_results
from dashboard.components.chart_tools import chart_tools
from dashboard.components.events import HIDDEN
from dashboard.components.failures import show_errors
from dashboard.components.templates import busy, message, render
from fer_models.evaluation.store import read_cards
from fer_models.expressions import EXPRESSIONS
from fer_models.registry import model_styles

_UNEXPECTED: Final = "The results cannot be shown: their file is damaged. Write it anew with the attention command."


class TestSetSection:
    """Collapsed until it is opened; then it only reads a file. Nothing of any session is kept here."""

    def __init__(self, weights: Path) -> None:
        """Lay the section out inside the current `gr.Blocks` and connect it.

        Args:
            weights: folder of the cards, with results/ below.
        """
        self.weights = weights
        with gr.Accordion("Results on the test set", open=False, elem_id="attention-study") as self.accordion:
            self.note = gr.HTML(busy("Reading the results …"), elem_id="attention-study-note")
            with gr.Column(visible=False, elem_id="attention-study-body") as self.body:
                self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        self._heading(
            "Do the maps flip with the face?",
            "Flip consistency on every face: a box holds the middle half of the faces, whiskers 90 % of them.",
        )
        self.figure = gr.Radio(
            [("Relative flip loss", "relative_loss"), ("Correlation", "correlation")],
            value="relative_loss",
            label="Measured by",
            elem_id="attention-study-figure",
        )
        self.flips = self._chart("flips")
        self.flip_table = gr.HTML()
        self._heading(
            "Do the maps beat uninformative baselines?",
            "Each model’s map, random maps and the centre prior in the same tests of faithfulness.",
        )
        self.test = gr.Radio(
            [("Deletion", "deletion"), ("Insertion", "insertion"), ("ROAD", "road"), ("ARCC", "arcc")],
            value="deletion",
            label="Test",
            elem_id="attention-study-test",
        )
        self.faithfulness = self._chart("honesty")
        self.sentences = gr.HTML(elem_id="attention-study-sentences")
        self._heading("Where on the face?", "The evidence for an expression, over the faces labelled with it.")
        self.expression = gr.Radio(
            [(name.capitalize(), name) for name in EXPRESSIONS],
            value="happiness",
            label="Evidence for",
            elem_id="attention-study-expression",
        )
        self.regions = self._chart("regions")
        self._heading("Attention atlas", "Mean maps, drawn on the mean of many faces, which is no person’s face.")
        with gr.Row():
            self.kind = gr.Radio(
                [("Faces labelled with it", "labelled"), ("Faces it is predicted for", "answered")],
                value="labelled",
                label="Mean over",
                elem_id="attention-study-kind",
            )
            self.scale = gr.Radio(
                [("One per map", False), ("One for all models", True)],
                value=False,
                label="Colour scale",
                elem_id="attention-study-scale",
            )
        self.atlas = gr.HTML(elem_id="attention-study-atlas")

    @staticmethod
    def _heading(title: str, hint: str) -> None:
        gr.HTML(render("attention/test_set_heading.html", title=title, hint=hint))

    def _chart(self, key: str) -> gr.Plot:
        chart = gr.Plot(
            show_label=False, container=False, elem_classes="fer-chart", elem_id=f"attention-study-{key}-chart"
        )
        chart_tools(f"attention-{key}", f"attention-study-{key}-chart")
        return chart

    def _connect(self) -> None:
        controls = [self.figure, self.test, self.expression, self.kind, self.scale]
        charts = [self.flips, self.faithfulness, self.regions]
        outputs = [self.note, self.body, *charts, self.flip_table, self.sentences, self.atlas]
        for event in (self.accordion.expand, *(control.input for control in controls)):
            event(self.show, controls, outputs, **HIDDEN)

    @show_errors(_UNEXPECTED, lambda section, text: section.unreadable(message(text)))
    def show(self, figure: Any, test: Any, expression: str, kind: Any, same_scale: bool) -> Updates:
        """Everything, from the file as it is now."""
        source = read_results(self.weights)
        if source.record is None:
            return self.unreadable(render("attention/test_set_note.html", problems=[source.problem], source=""))
        results, cards = AttentionResults(source.record), read_cards(self.weights).cards
        styles = model_styles(results.models)
        problems, sentences = view.stale_results(results, cards), view.faithfulness_sentences(results, test)
        pictures = view.atlas(results, styles, expression, kind, same_scale=same_scale)
        return {
            self.note: render("attention/test_set_note.html", problems=problems, source=view.source_sentence(results)),
            self.body: gr.update(visible=True),
            self.flips: figures.consistency_figure(results, styles, figure),
            self.flip_table: render("attention/test_set_flips.html", rows=view.flip_rows(results, styles)),
            self.faithfulness: figures.faithfulness_figure(results, styles, test),
            self.sentences: render(
                "attention/test_set_faithfulness.html", sentences=sentences, faces=view.faces_tested(results)
            ),
            self.regions: figures.regions_figure(results, styles, expression),
            self.atlas: render("attention/test_set_atlas.html", pictures=pictures, expression=expression),
        }

    def unreadable(self, note: str) -> Updates:
        """Nothing but a note.

        Args:
            note: why, as HTML.
        """
        return {self.note: note, self.body: gr.update(visible=False)}
