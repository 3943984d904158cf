"""Section of the attention lab: in which facial regions the evidence lies."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from dashboard.attention.figures import regions_figure
from dashboard.attention.sections.job_status import Updates
from dashboard.attention.view import draw_regions, regions_key
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.chart_tools import chart_tools
from dashboard.components.display import ModelDisplay
from dashboard.components.events import CHANGED, HIDDEN
from dashboard.components.templates import message, render
from explain.explain_picture import OWN
from explain.maps import NO_MAP
from explain.regions import area_shares, attention_shares, crop_landmarks, region_masks
from fer_models.errors import FerError


class RegionsSection:
    """The stacked bars. Nothing of any session is kept here."""

    def __init__(self, display: ModelDisplay, expressions: Sequence[str]) -> None:
        """Lay the section out inside the current `gr.Blocks`."""
        self.display = display
        gr.HTML(
            render(
                "attention/hint.html",
                text="How much of each native map’s evidence lies in which facial region. The last bar is what a "
                "uniform map would give: only differences from it mean something. The maps are coarse, 4 to 7 cells "
                "per side, so a small region shares its evidence with its neighbours.",
            )
        )
        self.expression = gr.Radio(
            [("Each model’s predicted class", OWN), *((one.capitalize(), one) for one in expressions)],
            value=OWN,
            label="Evidence for",
            elem_id="attention-regions-expression",
        )
        with gr.Row():
            with gr.Column(scale=1, min_width=220):
                self.picture = gr.HTML(elem_id="attention-regions-parts")
            with gr.Column(scale=3, min_width=300):
                self.chart = gr.Plot(
                    show_label=False, elem_classes=["fer-chart", "fer-lab-chart"], elem_id="attention-regions-chart"
                )
                chart_tools("attention-parts", "attention-regions-chart")
        self.outputs = [self.picture, self.chart, self.expression]

    def connect(self, face: gr.State) -> None:
        """Connect the section to the lab's face."""
        self.expression.input(self.show, [face, self.expression], [self.picture, self.chart], **CHANGED, **HIDDEN)

    def fresh(self, face: AnalyzedFace | None) -> Updates:
        """The section for another face."""
        picture, chart = self.show(face, OWN)
        return {self.picture: picture, self.chart: chart, self.expression: OWN}

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
                spec, length = face.spec_of(name), len(face.crop_of(name))
                own = region_masks(crop_landmarks(face.face, length, spec), length) if name in face.own_crops else masks
                shares[self.display.titles[name]] = attention_shares(maps[target].heat, own)
        drawn, key = draw_regions(face.crop, masks), regions_key(masks)
        notes = [f"{self.display.titles[name]}: {NO_MAP}" for name, maps in face.maps.items() if not maps]
        picture = render("attention/regions.html", drawn=drawn, key=key, turned=face.quality.turned, notes=notes)
        return picture, regions_figure(shares, area_shares(masks))
