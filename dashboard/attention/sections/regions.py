"""Section of the attention lab: in which parts of the face the evidence lies."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from dashboard.attention import view as markup
from dashboard.attention.figures import regions_figure
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.chart_tools import chart_tools
from dashboard.components.events import CHANGED
from dashboard.components.face_view import OWN, ModelDisplay, message
from explain.regions import area_shares, attention_shares, crop_landmarks, region_masks
from fer_models.errors import FerError


class RegionsSection:
    """The stacked bars. Nothing of any session is kept here."""

    def __init__(self, display: ModelDisplay, expressions: Sequence[str]) -> None:
        """Lay the section out inside the current `gr.Blocks`."""
        self.display = display
        gr.HTML(
            '<p class="fer-hint">How much of each native map’s evidence lies in which part of the face. The last bar '
            "is what a map that is the same everywhere would give: only what differs from it says something. The maps "
            "are coarse, 4 to 7 cells a side, so a small part shares its evidence with its neighbours.</p>"
        )
        self.expression = gr.Radio(
            [("Each model’s answer", OWN), *((one.capitalize(), one) for one in expressions)],
            value=OWN,
            label="Evidence for",
            elem_id="attention-regions-expression",
        )
        with gr.Row():
            with gr.Column(scale=1, min_width=220):
                self.parts = gr.HTML(elem_id="attention-regions-parts")
            with gr.Column(scale=3, min_width=300):
                self.chart = gr.Plot(
                    show_label=False, elem_classes=["fer-chart", "fer-lab-chart"], elem_id="attention-regions-chart"
                )
                chart_tools("attention-parts", "attention-regions-chart")
        self.outputs = [self.parts, self.chart, self.expression]

    def connect(self, face: gr.State) -> None:
        """Connect the section to the lab's face."""
        hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        self.expression.input(self.show, [face, self.expression], [self.parts, self.chart], **CHANGED, **hidden)

    def fresh(self, face: AnalyzedFace | None) -> dict[Any, Any]:
        """The section for another face."""
        parts, chart = self.show(face, OWN)
        return {self.parts: parts, self.chart: chart, self.expression: OWN}

    def show(self, face: AnalyzedFace | None, expression: str) -> tuple[str, Any]:
        """The bars for one expression."""
        if face is None:
            return "", None
        side = face.crop.shape[0]
        try:
            masks = region_masks(crop_landmarks(face.face, side), side)
        except FerError as error:
            return message(str(error)), None
        shares = {}
        for name, maps in face.maps.items():
            target = face.predictions[name].label if expression == OWN else expression
            if target in maps:
                shares[self.display.cards[name].title] = attention_shares(maps[target].heat, masks)
        return markup.parts(face, masks), regions_figure(shares, area_shares(masks))
