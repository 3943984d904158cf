"""Section of the attention lab: occlude parts of the face, by hand or by region, and see the models' answers."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from uuid import uuid4

import cv2
import gradio as gr
import numpy as np
from numpy.typing import NDArray

from dashboard.attention.cards_view import (
    draw_hidden,
    hidden_words,
    method_cards,
    method_legend,
    occluded_cards,
    occlusion_sentence,
)
from dashboard.attention.figures import effects_figure
from dashboard.attention.sections.job_status import EXPLAINING, JobStatus, Updates
from dashboard.attention.sections.maps import map_style_of
from dashboard.attention.view import BRUSH
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.chart_tools import chart_tools
from dashboard.components.display import ModelDisplay
from dashboard.components.events import CHANGED, CLICKED, HIDDEN
from dashboard.components.failures import show_errors
from dashboard.components.jobs import Jobs
from dashboard.components.picture_input import FORGOTTEN
from dashboard.components.templates import message, render
from explain.maps import Explanation, attention
from explain.occlusion import Fill, RegionEffects, occlude, region_effects, sensitivity_map
from explain.regions import REGIONS, crop_landmarks, mask_in_crop, region_masks
from fer_models.analyzer import Analyzer
from fer_models.formatting import percent_of

_SECTION: Final = "erase"
_UNEXPECTED: Final = "This could not be computed. Try again, or try another picture."
_FILLS: Final = {"Average colour": "mean", "Grey": "grey", "Blur": "blur"}

# Strokes are painted in the browser; the server learns which cells they cover when the pointer is lifted.
_BRUSH: Final = f"""
const SIDE = {BRUSH};
let down = false;
const paint = (canvas, event) => {{
  const box = canvas.getBoundingClientRect();
  const x = Math.floor((event.clientX - box.left) / box.width * SIDE);
  const y = Math.floor((event.clientY - box.top) / box.height * SIDE);
  const pen = canvas.getContext('2d');
  pen.fillStyle = '#D55E00';
  pen.fillRect(x - 1, y - 1, 3, 3);
}};
element.addEventListener('pointerdown', (event) => {{
  if (event.target.tagName !== 'CANVAS') return;
  down = true;
  event.target.setPointerCapture(event.pointerId);
  paint(event.target, event);
  event.preventDefault();
}});
element.addEventListener('pointermove', (event) => {{
  if (down && event.target.tagName === 'CANVAS') paint(event.target, event);
}});
const lift = (event) => {{
  if (!down) return;
  down = false;
  const canvas = element.querySelector('canvas');
  if (!canvas) return;
  const pixels = canvas.getContext('2d').getImageData(0, 0, SIDE, SIDE).data;
  let cells = '';
  for (let i = 3; i < pixels.length; i += 4) cells += pixels[i] ? '1' : '0';
  trigger('select', {{cells}});
}};
// The page patches what is there instead of replacing it: strokes stay unless a new round wipes them.
watch('value', () => {{
  const canvas = element.querySelector('.fer-brush:not([data-round=""]) canvas');
  if (canvas) canvas.getContext('2d').clearRect(0, 0, SIDE, SIDE);
}});
element.addEventListener('pointerup', lift);
element.addEventListener('pointercancel', lift);
"""


class OcclusionSection:
    """The brush, the regions, and the models' answers. Nothing of any session is kept here."""

    def __init__(self, analyzer: Analyzer, display: ModelDisplay, jobs: Jobs) -> None:
        """Lay the section out inside the current `gr.Blocks`."""
        self.analyzer = analyzer
        self.display = display
        self.jobs = jobs
        self.status = JobStatus(
            jobs,
            _SECTION,
            display.titles,
            cancel_id="attention-erase-cancel",
            notice_id="attention-erase-notice",
        )
        gr.HTML(
            render(
                "attention/hint.html",
                text="Paint over a part of the face, or tick regions, and see what the models predict when they "
                "cannot see it. If a map marks the mouth, occluding the mouth should change the answer. No fill is "
                "quite neutral, so try another one, too.",
            )
        )
        with gr.Row():
            with gr.Column(scale=2, min_width=260):
                self.brush = gr.HTML(js_on_load=_BRUSH, elem_id="attention-brush")
                self.reset = gr.Button("Uncover everything", size="sm", elem_id="attention-uncover")
            with gr.Column(scale=3, min_width=260):
                self.regions = gr.CheckboxGroup(
                    [(name.capitalize(), name) for name in REGIONS], label="Occlude", elem_id="attention-parts"
                )
                self.fill = gr.Radio(list(_FILLS.items()), value="mean", label="Fill with", elem_id="attention-fill")
        self.cards = gr.HTML(elem_id="attention-erase-results")
        gr.HTML(
            render(
                "attention/hint.html",
                title="Which region matters?",
                text="Each region is occluded alone; or a small square is, at each position in turn. Both need "
                "nothing but the models’ answers: compare their results with the maps.",
            )
        )
        with gr.Row(elem_classes="fer-actions"):
            self.each_region = gr.Button("Occlude each region", variant="primary", elem_id="attention-each")
            self.each_position = gr.Button("Occlude each position", elem_id="attention-spots")
            self.status.cancel.render()
        self.status.notice.render()
        self.chart = gr.Plot(
            show_label=False,
            visible=False,
            elem_classes=["fer-chart", "fer-lab-chart"],
            elem_id="attention-erase-chart",
        )
        self.tools = chart_tools("attention-erase", "attention-erase-chart", visible=False)
        self.sensitivity = gr.HTML(elem_id="attention-sensitivity")
        self.strokes = gr.State(None, time_to_live=3600)
        self.outputs = [
            self.brush,
            self.regions,
            self.cards,
            self.chart,
            self.tools,
            self.sensitivity,
            self.strokes,
            *self.status.outputs,
        ]

    def connect(self, face: gr.State, style: Sequence[Any]) -> None:
        """Connect the section to the lab's face and to the controls of the maps' style."""
        chosen = [face, self.regions, self.fill, self.strokes, *style]
        self.brush.select(self.paint, chosen, [self.strokes, self.brush, self.cards], **CLICKED, **HIDDEN)
        for choice in (self.regions.input, self.fill.input):
            choice(self.occlude, chosen, [self.brush, self.cards], **CHANGED, **HIDDEN)
        self.reset.click(self.uncover, face, [self.brush, self.regions, self.strokes, self.cards], **HIDDEN)
        self.each_region.click(
            self.run_regions, [face, self.fill], [self.chart, self.tools, *self.status.outputs], **EXPLAINING
        )
        self.each_position.click(
            self.run_positions, [face, self.fill, *style], [self.sensitivity, *self.status.outputs], **EXPLAINING
        )
        self.status.connect()

    def fresh(self, face: AnalyzedFace | None) -> Updates:
        """The section for another face."""
        return {
            self.brush: "" if face is None else self._brush(face),
            self.regions: [],
            self.cards: "",
            self.chart: gr.update(value=None, visible=False),
            self.tools: gr.update(visible=False),
            self.sensitivity: "",
            self.strokes: None,
            **self.status.idle(),
        }

    def uncover(self, face: AnalyzedFace | None) -> tuple[Any, ...]:
        """The whole face again."""
        return ("", [], None, message(FORGOTTEN)) if face is None else (self._brush(face), [], None, "")

    def paint(
        self,
        face: AnalyzedFace | None,
        regions: Sequence[str],
        fill: Fill,
        strokes: NDArray[np.bool_] | None,
        scale: str,
        colours: str,
        opacity: float,
        event: gr.EventData,
    ) -> tuple[Any, str, str]:
        """Occlude what was painted."""
        cells = str(event.cells)
        if len(cells) == BRUSH**2 and set(cells) <= {"0", "1"}:
            strokes = np.array([cell == "1" for cell in cells]).reshape(BRUSH, BRUSH)
        return strokes, *self.occlude(face, regions, fill, strokes, scale, colours, opacity)

    @show_errors(_UNEXPECTED, lambda _, text: (gr.skip(), str(message(text))))
    def occlude(
        self,
        face: AnalyzedFace | None,
        regions: Sequence[str],
        fill: Fill,
        strokes: NDArray[np.bool_] | None,
        *style: Any,
    ) -> tuple[str, str]:
        """The occluded face as the models see it, and their answers before and after."""
        if face is None:
            return "", message(FORGOTTEN)
        side = face.model_input.shape[0]
        mask = np.zeros((side, side), bool)
        if strokes is not None:
            enlarged = cv2.resize(strokes.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
            mask |= enlarged.astype(bool)
        for name, region in _masks(face).items():
            if name in regions:
                mask |= region
        painted = strokes is not None and bool(strokes.any())
        hidden = hidden_words(regions, painted=painted) if mask.any() else ""
        drawn = draw_hidden(face.crop, mask, fill)
        brush = render(
            "attention/brush.html", face=drawn, hidden=hidden, share=percent_of(mask.mean()), cells=BRUSH, round=""
        )
        if not hidden:
            return brush, ""
        occluded, after = {}, {}
        for name in face.predictions:
            classifier = self.analyzer.classifiers[name]
            crop = face.input_of(name)
            occluded[name] = occlude(crop, mask_in_crop(mask, face.face, len(crop), face.spec_of(name)), fill)
            (prediction,) = classifier.predict([occluded[name]], features=True)
            after[name] = (prediction, attention(prediction, classifier.class_weights))
        cards = occluded_cards(face, occluded, after, map_style_of(*style), self.display)
        sentence = occlusion_sentence(cards, hidden)
        return brush, render("attention/occluded_cards.html", cards=cards, sentence=sentence)

    def run_regions(self, face: AnalyzedFace | None, request: gr.Request, fill: Fill) -> Iterator[Updates]:
        """Occlude each region in turn, one model after the other."""
        if face is None:
            yield self.status.idle(FORGOTTEN)
            return

        def step(name: str, _: Callable[[float], None]) -> RegionEffects:
            masks = {region: mask for region, mask in _masks(face, name).items() if region != "background"}
            classifier = self.analyzer.classifiers[name]
            return region_effects(classifier, face.input_of(name), masks, face.predictions[name].label, fill)

        names = list(face.predictions)
        for progress in self.jobs.run_per_model(request.session_hash, _SECTION, names, step, _UNEXPECTED):
            updates = self.status.of(progress)
            if progress.running is None and progress.results and not progress.cancelled:
                figure = effects_figure(progress.results, self.display.titles, self.display.styles)
                updates[self.chart] = gr.update(value=figure, visible=True)
                updates[self.tools] = gr.update(visible=True)
            yield updates

    def run_positions(
        self, face: AnalyzedFace | None, request: gr.Request, fill: Fill, *style: Any
    ) -> Iterator[Updates]:
        """Occlude each position in turn, one model after the other."""
        if face is None:
            yield self.status.idle(FORGOTTEN)
            return

        def step(name: str, _: Callable[[float], None]) -> Explanation:
            began, target = time.perf_counter(), face.predictions[name].label
            heat = sensitivity_map(self.analyzer.classifiers[name], face.input_of(name), target, fill=fill)
            return Explanation(name, "occlusion", target, heat, cost_ms=1000 * (time.perf_counter() - began))

        names, map_style = list(face.predictions), map_style_of(*style)
        for progress in self.jobs.run_per_model(request.session_hash, _SECTION, names, step, _UNEXPECTED):
            updates = self.status.of(progress)
            if progress.running is None and progress.results and not progress.cancelled:
                cards = method_cards(face, progress.results, {}, (), map_style, self.display)
                updates[self.sensitivity] = render(
                    "attention/method_cards.html", cards=cards, legend=method_legend(map_style)
                )
            yield updates

    @staticmethod
    def _brush(face: AnalyzedFace) -> str:
        return render("attention/brush.html", face=face.crop, hidden="", cells=BRUSH, round=uuid4().hex)


def _masks(face: AnalyzedFace, model: str = "") -> dict[str, NDArray[np.bool_]]:
    """By region, (S, S) bool on the face as a model was given it, or on the crop that models share."""
    side = len(face.input_of(model))
    return region_masks(crop_landmarks(face.face, side, face.spec_of(model)), side)
