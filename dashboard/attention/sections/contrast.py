"""Section of the attention lab: why each model gives one expression rather than another."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from dashboard.attention.pair_view import contrast_results
from dashboard.attention.sections.job_status import Updates
from dashboard.attention.sections.maps import map_style_of
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.display import ModelDisplay
from dashboard.components.events import CHANGED, HIDDEN
from dashboard.components.picture_input import FORGOTTEN
from dashboard.components.templates import message, render
from explain.explain_picture import OWN, SECOND


class ContrastSection:
    """Two expressions and the maps between them. Nothing of any session is kept here."""

    def __init__(self, display: ModelDisplay, expressions: Sequence[str]) -> None:
        """Lay the section out inside the current `gr.Blocks`."""
        self.display = display
        gr.HTML(
            render(
                "attention/hint.html",
                text="Why one expression rather than another? What counts for both cancels out: the map in the middle "
                "is the difference of both maps. Orange cells count for the first expression, blue ones for the "
                "second. The mean of that map and the difference of the biases add up to the difference of the "
                "logits, so nothing is left out. Each model has a colour scale of its own.",
            )
        )
        choices = [(one.capitalize(), one) for one in expressions]
        with gr.Row():
            self.first = gr.Dropdown(
                [("Each model’s first answer", OWN), *choices],
                value=OWN,
                label="Why",
                elem_id="attention-contrast-first",
                min_width=260,
            )
            self.second = gr.Dropdown(
                [("Each model’s next answer", SECOND), *choices],
                value=SECOND,
                label="rather than",
                elem_id="attention-contrast-second",
                min_width=260,
            )
        self.cards = gr.HTML(elem_id="attention-contrast-results")
        self.chosen = [self.first, self.second]
        self.outputs = [*self.chosen, self.cards]

    def connect(self, face: gr.State, style: Sequence[Any]) -> None:
        """Connect the section to the lab's face and to the controls of the maps' style."""
        for choice in self.chosen:
            choice.input(self.show, [face, *self.chosen, *style], self.cards, **CHANGED, **HIDDEN)
        _, colours, opacity = style  # each model has a scale of its own
        for changed in (colours.input, opacity.release):
            changed(self.show, [face, *self.chosen, *style], self.cards, **CHANGED, **HIDDEN)

    def fresh(self, face: AnalyzedFace | None, *style: Any) -> Updates:
        """The section for another face or none."""
        cards = "" if face is None else self.show(face, OWN, SECOND, *style)
        return {self.first: OWN, self.second: SECOND, self.cards: cards}

    def show(self, face: AnalyzedFace | None, first: str, second: str, *style: Any) -> str:
        """The maps of all models for two expressions."""
        if face is None:
            return message(FORGOTTEN)
        if first == second:
            return message("Choose two expressions.")
        results = contrast_results(face, first, second, map_style_of(*style), self.display)
        return render("attention/contrast.html", results=results)
