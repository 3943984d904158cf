"""Section of the attention lab: cover parts of the face, by hand or by name, and see what the models say then."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import cv2
import gradio as gr
import numpy as np
from numpy.typing import NDArray

from dashboard.attention import view as markup
from dashboard.attention.figures import effects_figure
from dashboard.attention.sections.maps import map_style_of
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.chart_tools import chart_tools
from dashboard.components.events import CHANGED, CLICKED
from dashboard.components.face_view import ModelDisplay, busy, message
from dashboard.components.jobs import Job, Jobs, Stopped, run_watched
from dashboard.components.picture_input import FORGOTTEN
from explain.maps import Explanation, attention
from explain.occlusion import RegionEffects, occlude, region_effects, sensitivity_map
from explain.regions import REGIONS, crop_landmarks, region_masks
from fer_models.analyzer import Analyzer
from fer_models.errors import FerError

_log = logging.getLogger(__name__)
#: Whose jobs its Cancel stops.
_SECTION: Final = "erase"
_UNEXPECTED: Final = "This could not be worked out. Try it again, or try another picture."
_FILLS: Final = {"Average colour": "mean", "Grey": "grey", "Blur": "blur"}

# Strokes are painted in the browser; the server learns which cells they cover when the pointer is lifted.
_BRUSH: Final = f"""
const SIDE = {markup.BRUSH};
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
// The page patches what is there instead of replacing it: strokes stay unless they are wiped.
watch('value', () => {{
  const canvas = element.querySelector('canvas');
  if (canvas) canvas.getContext('2d').clearRect(0, 0, SIDE, SIDE);
}});
element.addEventListener('pointerup', lift);
element.addEventListener('pointercancel', lift);
"""


class OcclusionSection:
    """The brush, the parts, and what the models say. Nothing of any session is kept here."""

    def __init__(self, analyzer: Analyzer, display: ModelDisplay, jobs: Jobs) -> None:
        """Lay the section out inside the current `gr.Blocks`."""
        self.analyzer = analyzer
        self.display = display
        self.jobs = jobs
        gr.HTML(
            '<p class="fer-hint">Paint over a part of the face, or tick parts, and see what the models say when they '
            "cannot see it. If a map marks the mouth, covering the mouth should change the answer. What covers a part "
            "is never quite neutral, so try another cover, too.</p>"
        )
        with gr.Row():
            with gr.Column(scale=2, min_width=260):
                self.brush = gr.HTML(js_on_load=_BRUSH, elem_id="attention-brush")
                self.again = gr.Button("Uncover everything", size="sm", elem_id="attention-uncover")
            with gr.Column(scale=3, min_width=260):
                self.parts = gr.CheckboxGroup(
                    [(name.capitalize(), name) for name in REGIONS], label="Cover", elem_id="attention-parts"
                )
                self.fill = gr.Radio(list(_FILLS.items()), value="mean", label="With", elem_id="attention-fill")
        self.results = gr.HTML(elem_id="attention-erase-results")
        gr.HTML(
            '<h2 class="fer-title">Which part matters?</h2><p class="fer-hint">Each part is covered alone, and then '
            "each spot of the face by a small square. Both need nothing but the models’ answers, so they can be held "
            "against the maps.</p>"
        )
        with gr.Row(elem_classes="fer-actions"):
            self.each = gr.Button("Erase each part in turn", variant="primary", elem_id="attention-each")
            self.spots = gr.Button("Erase each spot in turn", elem_id="attention-spots")
            self.cancel = gr.Button("Cancel", visible=False, elem_id="attention-erase-cancel")
        self.notice = gr.HTML(visible=False, elem_id="attention-erase-notice")
        self.chart = gr.Plot(
            show_label=False,
            visible=False,
            elem_classes=["fer-chart", "fer-lab-chart"],
            elem_id="attention-erase-chart",
        )
        self.tools = chart_tools("attention-erase", "attention-erase-chart", visible=False)
        self.sensitivity = gr.HTML(elem_id="attention-sensitivity")
        self.strokes = gr.State(None, time_to_live=3600)
        self.busy = [self.notice, self.cancel]
        self.outputs = [
            self.brush, self.parts, self.results, self.chart, self.tools, self.sensitivity, self.strokes, *self.busy,
        ]  # fmt: skip

    def connect(self, face: gr.State, look: Sequence[Any]) -> None:
        """Connect the section to the lab's face."""
        hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        limits: dict[str, Any] = {"concurrency_limit": 2, "concurrency_id": "attention"}
        chosen = [face, self.parts, self.fill, self.strokes, *look]
        self.brush.select(self.paint, chosen, [self.strokes, self.results], **CLICKED, **hidden)
        for choice in (self.parts.input, self.fill.input):
            choice(self.cover, chosen, self.results, **CHANGED, **hidden)
        self.again.click(self.uncover, face, [self.brush, self.parts, self.strokes, self.results], **hidden)
        self.each.click(self.run_parts, [face, self.fill], [self.chart, self.tools, *self.busy], **limits, **hidden)
        self.spots.click(self.run_spots, [face, self.fill, *look], [self.sensitivity, *self.busy], **limits, **hidden)
        self.cancel.click(self.stop, queue=False, **hidden)

    def fresh(self, face: AnalyzedFace | None) -> dict[Any, Any]:
        """The section for another face."""
        return {
            self.brush: "" if face is None else markup.brush(face),
            self.parts: [],
            self.results: "",
            self.chart: gr.update(value=None, visible=False),
            self.tools: gr.update(visible=False),
            self.sensitivity: "",
            self.strokes: None,
            **self.idle(),
        }

    def idle(self, text: str = "") -> dict[Any, Any]:
        """Nothing is being worked out."""
        return {
            self.notice: gr.update(value=message(text), visible=bool(text)),
            self.cancel: gr.update(visible=False),
        }

    def stop(self, request: gr.Request) -> None:
        """The user has seen enough."""
        self.jobs.stop(request.session_hash, _SECTION)

    def uncover(self, face: AnalyzedFace | None) -> tuple[Any, ...]:
        """The bare face again."""
        return ("", [], None, message(FORGOTTEN)) if face is None else (markup.brush(face), [], None, "")

    def paint(
        self,
        face: AnalyzedFace | None,
        parts: Sequence[str],
        fill: str,
        strokes: NDArray[np.bool_] | None,
        scale: str,
        colours: str,
        opacity: float,
        event: gr.EventData,
    ) -> tuple[Any, str]:
        """Cover what was painted."""
        cells = str(event._data["cells"])
        if len(cells) == markup.BRUSH**2 and set(cells) <= {"0", "1"}:
            strokes = np.array([cell == "1" for cell in cells]).reshape(markup.BRUSH, markup.BRUSH)
        return strokes, self.cover(face, parts, fill, strokes, scale, colours, opacity)

    def cover(
        self,
        face: AnalyzedFace | None,
        parts: Sequence[str],
        fill: str,
        strokes: NDArray[np.bool_] | None,
        *look: Any,
    ) -> str:
        """What the models say about the covered face, before and after."""
        if face is None:
            return message(FORGOTTEN)
        side = face.given.shape[0]
        hidden = np.zeros((side, side), bool)
        if strokes is not None:
            enlarged = cv2.resize(strokes.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
            hidden |= enlarged.astype(bool)
        try:
            for name, mask in _masks(face).items():
                if name in parts:
                    hidden |= mask
            if not hidden.any():
                return ""
            covered = occlude(face.given, hidden, fill)  # type: ignore[arg-type]
            after = {}
            for name in face.predictions:
                (prediction,) = self.analyzer.classifiers[name].predict([covered], features=True)
                after[name] = (prediction, attention(prediction, self.analyzer.classifiers[name].class_weights))
            return markup.covered_cards(face, covered, after, map_style_of(*look), self.display)
        except FerError as error:
            return message(str(error))
        except Exception:
            _log.exception("covering a face failed")
            return message(_UNEXPECTED)

    def run_parts(self, face: AnalyzedFace | None, request: gr.Request, fill: str) -> Iterator[dict[Any, Any]]:
        """Cover each part in turn, one model after the other."""
        if face is None:
            yield self.idle(FORGOTTEN)
            return
        effects: dict[str, RegionEffects] = {}

        def step(name: str, _: Callable[[float], None]) -> RegionEffects:
            target = face.predictions[name].label
            masks = {part: mask for part, mask in _masks(face).items() if part != "background"}
            return region_effects(self.analyzer.classifiers[name], face.given, masks, target, fill)  # type: ignore[arg-type]

        with self.jobs.running(request.session_hash, _SECTION) as job:
            yield from self._each_model(face, step, effects, job)
        if effects:
            figure = effects_figure(effects, self.display.titles, self.display.styles)
            parts = {self.chart: gr.update(value=figure, visible=True), self.tools: gr.update(visible=True)}
            yield {**parts, **self.idle()}

    def run_spots(
        self, face: AnalyzedFace | None, request: gr.Request, fill: str, *look: Any
    ) -> Iterator[dict[Any, Any]]:
        """Cover each spot in turn, one model after the other."""
        if face is None:
            yield self.idle(FORGOTTEN)
            return
        maps: dict[str, Explanation | str] = {}

        def step(name: str, _: Callable[[float], None]) -> Explanation:
            began, target = time.perf_counter(), face.predictions[name].label
            heat = sensitivity_map(self.analyzer.classifiers[name], face.given, target, fill=fill)  # type: ignore[arg-type]
            cost_ms = (time.perf_counter() - began) * 1000
            return Explanation(name, "occlusion", target, heat, cost_ms=cost_ms)

        with self.jobs.running(request.session_hash, _SECTION) as job:
            yield from self._each_model(face, step, maps, job)
        if maps:
            yield {
                self.sensitivity: markup.method_cards(face, maps, (), map_style_of(*look), self.display),
                **self.idle(),
            }

    def _each_model(
        self, face: AnalyzedFace, step: Callable[..., Any], results: dict[str, Any], job: Job
    ) -> Iterator[dict[Any, Any]]:
        """Run a step for each model, tell which one is at work, and fill in the results."""
        try:
            for number, name in enumerate(face.predictions):
                text = f"{self.display.cards[name].title} ({number + 1} of {len(face.predictions)}) …"
                for _, one in run_watched(partial(step, name), job):
                    if one is not None:
                        results[name] = one
                    else:
                        yield {
                            self.notice: gr.update(value=busy(text), visible=True),
                            self.cancel: gr.update(visible=True),
                        }
        except Stopped:
            results.clear()
            if not job.forgotten:
                yield self.idle("Stopped.")
        except FerError as error:
            results.clear()
            yield self.idle(str(error))
        except Exception:  # whatever it is, the user gets words and not a stack trace
            _log.exception("covering parts of a face failed")
            results.clear()
            yield self.idle(_UNEXPECTED)


def _masks(face: AnalyzedFace) -> dict[str, NDArray[np.bool_]]:
    side = face.given.shape[0]
    return region_masks(crop_landmarks(face.face, side), side)
