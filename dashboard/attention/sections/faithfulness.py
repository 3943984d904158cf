"""Section of the attention lab: do the maps tell what the models rely on?"""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from dashboard.attention.faithfulness_view import FaithfulnessResults, faithfulness_cards
from dashboard.attention.figures import curves_figure
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.chart_tools import chart_tools
from dashboard.components.face_view import ModelDisplay, busy, message
from dashboard.components.jobs import Jobs, Stopped, run_watched
from dashboard.components.picture_input import FORGOTTEN
from explain.faithfulness import Faithfulness, evaluate_faithfulness
from explain.gradcam import explain
from explain.methods import METHODS
from fer_models.analyzer import Analyzer
from fer_models.errors import FerError

_log = logging.getLogger(__name__)
#: Whose jobs its Cancel stops.
_SECTION: Final = "trust"
_UNEXPECTED: Final = "The test failed. Try it again, or try another method."


class FaithfulnessSection:
    """The honesty card. Nothing of any session is kept here."""

    def __init__(self, analyzer: Analyzer, display: ModelDisplay, jobs: Jobs) -> None:
        """Lay the section out inside the current `gr.Blocks`."""
        self.analyzer = analyzer
        self.display = display
        self.jobs = jobs
        names = [name for name, facts in METHODS.items() if facts.available and facts.speed in ("at once", "fast")]
        gr.HTML(
            '<p class="fer-hint">A colourful map proves nothing. Here each map is put to the test: the spots it marks '
            "are hidden first, and shown first. A good map makes the confidence fall fast when its spots are hidden "
            "and rise fast when they are shown; faster than a random map, and faster than a blob in the middle of the "
            "face, which knows nothing but where faces are. ROAD removes pixels without leaving outlines. ARCC joins "
            "it with two more questions: does the face, seen through the map, give the same map again, and does the "
            "map mark little? It takes some seconds a model.</p>"
        )
        self.method = gr.Dropdown(
            [(METHODS[name].title, name) for name in names],
            value="native",
            label="Maps made by",
            elem_id="attention-trust-method",
        )
        with gr.Row(elem_classes="fer-actions"):
            self.start = gr.Button("Test the maps", variant="primary", elem_id="attention-trust-start")
            self.cancel = gr.Button("Cancel", visible=False, elem_id="attention-trust-cancel")
        self.notice = gr.HTML(visible=False, elem_id="attention-trust-notice")
        self.cards = gr.HTML(elem_id="attention-trust-cards")
        self.chart = gr.Plot(
            show_label=False,
            visible=False,
            elem_classes=["fer-chart", "fer-lab-chart"],
            elem_id="attention-trust-chart",
        )
        self.tools = chart_tools("attention-trust", "attention-trust-chart", visible=False)
        self.found = gr.State(None, time_to_live=3600)
        self.outputs = [self.notice, self.cancel, self.found, self.cards, self.chart, self.tools]

    def connect(self, face: gr.State) -> None:
        """Connect the section to the lab's face."""
        hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        limits: dict[str, Any] = {"concurrency_limit": 2, "concurrency_id": "attention"}
        self.start.click(self.run, [face, self.method], self.outputs, **limits, **hidden)
        self.cancel.click(self.stop, queue=False, **hidden)

    def fresh(self) -> dict[Any, Any]:
        """The section for another face."""
        return {
            **self.idle(),
            self.found: None,
            self.cards: "",
            self.chart: gr.update(value=None, visible=False),
            self.tools: gr.update(visible=False),
        }

    def idle(self, text: str = "") -> dict[Any, Any]:
        """No test is running."""
        return {
            self.notice: gr.update(value=message(text), visible=bool(text)),
            self.cancel: gr.update(visible=False),
        }

    def stop(self, request: gr.Request) -> None:
        """The user has seen enough; what is done stays."""
        self.jobs.stop(request.session_hash, _SECTION)

    def run(self, face: AnalyzedFace | None, request: gr.Request, method: str) -> Iterator[dict[Any, Any]]:
        """Test one model after the other, and show each as soon as it is there."""
        yield self.fresh()
        if face is None:
            yield self.idle(FORGOTTEN)
            return
        found: dict[str, Faithfulness] = {}
        text = ""
        with self.jobs.running(request.session_hash, _SECTION) as job:
            try:
                for number, name in enumerate(face.predictions):
                    title = self.display.cards[name].title
                    note = busy(f"Testing {title} ({number + 1} of {len(face.predictions)}) …")
                    for _, one in run_watched(partial(self._one, face, name, method), job):
                        if one is None:
                            yield {
                                self.notice: gr.update(value=note, visible=True),
                                self.cancel: gr.update(visible=True),
                            }
                            continue
                        found[name] = one
                        yield {self.cards: faithfulness_cards(found.values(), METHODS[method].title, self.display)}
            except Stopped:
                if job.forgotten:
                    return
                text = "Stopped."
            except FerError as error:
                text = str(error)
            except Exception:  # whatever it is, the user gets words and not a stack trace
                _log.exception("testing maps failed")
                text = _UNEXPECTED
        updates = {**self.idle(text), self.found: FaithfulnessResults(method, found) if found else None}
        if found:
            figure = curves_figure(found, self.display.titles, self.display.styles)
            updates |= {self.chart: gr.update(value=figure, visible=True), self.tools: gr.update(visible=True)}
        yield updates

    def _one(self, face: AnalyzedFace, name: str, method: str, report: Callable[[float], None]) -> Faithfulness:
        classifier, target = self.analyzer.classifiers[name], face.predictions[name].label
        one = explain(classifier, face.given, target, method, progress=report)

        def recompute(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
            return explain(classifier, crop, target, method).heat

        return evaluate_faithfulness(classifier, face.given, target, one.heat, recompute=recompute)
