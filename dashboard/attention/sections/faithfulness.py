"""Section of the attention lab: do the maps show what the models rely on?"""

from collections.abc import Callable, Iterator
from typing import Final

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from dashboard.attention.faithfulness_view import STEPS, FaithfulnessResults, deleted_faces, faithfulness_cards
from dashboard.attention.figures import curves_figure
from dashboard.attention.sections.job_status import EXPLAINING, JobStatus, Updates
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.chart_tools import chart_tools
from dashboard.components.display import ModelDisplay
from dashboard.components.jobs import Jobs
from dashboard.components.picture_input import FORGOTTEN
from dashboard.components.templates import render
from explain.faithfulness import Faithfulness, evaluate_faithfulness
from explain.gradcam import explain
from explain.methods import METHODS
from fer_models.analyzer import Analyzer

_SECTION: Final = "trust"
_UNEXPECTED: Final = "The test failed. Try again, or try another method."

# The face at each step is part of the page: the slider needs no answer of the server.
_SCRUB: Final = """
element.addEventListener('input', (event) => {
  const panel = event.target.closest('.fer-scrub');
  if (!panel) return;
  const step = Number(event.target.value), last = Number(event.target.max);
  panel.querySelectorAll('img').forEach((image, number) => { image.hidden = number !== step; });
  const confidence = Number(panel.dataset.confidences.split(' ')[step]);
  const dot = panel.querySelector('circle');
  dot.setAttribute('cx', 300 * step / last);
  dot.setAttribute('cy', 150 * (1 - confidence));
  const confident = panel.dataset.words.split('|')[step];
  const words = `${Math.round(100 * step / last)}\u00a0% hidden: confidence ${confident}`;
  panel.querySelector('output').textContent = words;
  event.target.setAttribute('aria-valuetext', words);
});
"""


class FaithfulnessSection:
    """The tests of the maps. Nothing of any session is kept here."""

    def __init__(self, analyzer: Analyzer, display: ModelDisplay, jobs: Jobs) -> None:
        """Lay the section out inside the current `gr.Blocks`."""
        self.analyzer = analyzer
        self.display = display
        self.jobs = jobs
        self.status = JobStatus(
            jobs,
            _SECTION,
            display.titles,
            cancel_id="attention-trust-cancel",
            notice_id="attention-trust-notice",
        )
        quick = [name for name, facts in METHODS.items() if facts.speed in ("at once", "fast")]
        names = [*quick, "occlusion"]  # slower, but it can explain any model
        gr.HTML(
            render(
                "attention/hint.html",
                text="A colourful map proves nothing. Deletion covers the pixels that a map marks, the most relevant "
                "first; insertion uncovers them in the same order. With a faithful map the confidence falls fast "
                "under deletion and rises fast under insertion: faster than with a random map, and faster than with "
                "the centre prior, which only knows that faces are in the middle. ROAD removes pixels without "
                "leaving outlines. ARCC combines it with two more questions: does the face, seen through the map, "
                "give the same map again, and does the map mark little? This takes some seconds per model.",
            )
        )
        self.method = gr.Dropdown(
            [(METHODS[name].title, name) for name in names],
            value="native",
            label="Maps made by",
            elem_id="attention-trust-method",
        )
        with gr.Row(elem_classes="fer-actions"):
            self.start = gr.Button("Test the maps", variant="primary", elem_id="attention-trust-start")
            self.status.cancel.render()
        self.status.notice.render()
        self.cards = gr.HTML(js_on_load=_SCRUB, elem_id="attention-trust-cards")
        self.chart = gr.Plot(
            show_label=False,
            visible=False,
            elem_classes=["fer-chart", "fer-lab-chart"],
            elem_id="attention-trust-chart",
        )
        self.tools = chart_tools("attention-trust", "attention-trust-chart", visible=False)
        self.results = gr.State(None, time_to_live=3600)
        self.outputs = [*self.status.outputs, self.results, self.cards, self.chart, self.tools]

    def connect(self, face: gr.State) -> None:
        """Connect the section to the lab's face."""
        self.start.click(self.run, [face, self.method], self.outputs, **EXPLAINING)
        self.status.connect()

    def fresh(self) -> Updates:
        """The section for another face."""
        return {
            **self.status.idle(),
            self.results: None,
            self.cards: "",
            self.chart: gr.update(value=None, visible=False),
            self.tools: gr.update(visible=False),
        }

    def run(self, face: AnalyzedFace | None, request: gr.Request, method: str) -> Iterator[Updates]:
        """Test one model after the other, and show each as soon as its results are there."""
        yield self.fresh()
        if face is None:
            yield self.status.idle(FORGOTTEN)
            return

        def step(name: str, report: Callable[[float], None]) -> tuple[Faithfulness, list[NDArray[np.uint8]]]:
            return self._evaluate(face, name, method, report)

        names = list(face.predictions)
        for progress in self.jobs.run_per_model(request.session_hash, _SECTION, names, step, _UNEXPECTED):
            updates = self.status.of(progress, "Testing ")
            results = {name: result for name, (result, _) in progress.results.items()}
            if results and not progress.share:
                frames = {name: pictures for name, (_, pictures) in progress.results.items()}
                cards = faithfulness_cards(results, METHODS[method].title, self.display, frames)
                updates[self.cards] = render("attention/faithfulness.html", cards=cards)
            if results and progress.running is None:
                figure = curves_figure(results, self.display.titles, self.display.styles)
                updates |= {
                    self.results: FaithfulnessResults(method, results),
                    self.chart: gr.update(value=figure, visible=True),
                    self.tools: gr.update(visible=True),
                }
            yield updates

    def _evaluate(
        self, face: AnalyzedFace, name: str, method: str, report: Callable[[float], None]
    ) -> tuple[Faithfulness, list[NDArray[np.uint8]]]:
        """The test, and the face at each step of its deletion."""
        classifier, target = self.analyzer.classifiers[name], face.predictions[name].label
        explanation = explain(classifier, face.input_of(name), target, method, progress=report)

        def recompute(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
            return explain(classifier, crop, target, method).heat

        heat, crop = explanation.heat, face.input_of(name)
        result = evaluate_faithfulness(classifier, crop, target, heat, steps=STEPS, recompute=recompute)
        return result, deleted_faces(crop, heat)
