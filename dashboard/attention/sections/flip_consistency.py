"""Section of the attention lab: does a model look at the same places in the mirror image?"""

import logging
from collections.abc import Iterator, Sequence
from typing import Any, Final

import gradio as gr

from dashboard.attention import pair_view as pairs
from dashboard.attention.sections.maps import map_style_of
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.events import CHANGED
from dashboard.components.face_view import OWN, ModelDisplay, busy, message
from dashboard.components.jobs import Jobs
from dashboard.components.picture_input import FORGOTTEN
from explain.flip_consistency import FlipConsistency, flip_consistency
from fer_models.analyzer import Analyzer

_log = logging.getLogger(__name__)
_UNEXPECTED: Final = "The mirror test failed. Try it again, or try another picture."


class FlipConsistencySection:
    """The mirror test and its results. Nothing of any session is kept here."""

    def __init__(self, analyzer: Analyzer, display: ModelDisplay, expressions: Sequence[str], jobs: Jobs) -> None:
        """Lay the section out inside the current `gr.Blocks`."""
        self.analyzer = analyzer
        self.display = display
        self.jobs = jobs
        gr.HTML(
            '<p class="fer-hint">A face and its mirror image show the same expression, so a model should find its '
            "evidence at the same places. EAC is trained for just that: its loss is the mean squared difference "
            "between the maps of the face and of its mirror image, flipped back, over all expressions. The loss grows "
            "with the size of a model’s numbers; to compare models, look at the correlation.</p>"
        )
        with gr.Row(elem_classes="fer-actions"):
            self.start = gr.Button("Run the mirror test", variant="primary", elem_id="attention-mirror-start")
        self.expression = gr.Dropdown(
            [("Each model’s answer", OWN), *((one.capitalize(), one) for one in expressions)],
            value=OWN,
            label="Show the maps for",
            visible=False,
            elem_id="attention-mirror-expression",
        )
        self.notice = gr.HTML(visible=False, elem_id="attention-mirror-notice")
        self.results = gr.HTML(elem_id="attention-mirror-results")
        self.found = gr.State(None, time_to_live=3600)
        self.outputs = [self.expression, self.notice, self.results, self.found]

    def connect(self, face: gr.State, look: Sequence[Any]) -> None:
        """Connect the section to the lab's face."""
        hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        limits: dict[str, Any] = {"concurrency_limit": 2, "concurrency_id": "attention"}
        self.start.click(self.run, [face, self.expression, *look], self.outputs, **limits, **hidden)
        self.expression.input(self.show, [face, self.found, self.expression, *look], self.results, **CHANGED, **hidden)

    def fresh(self) -> dict[Any, Any]:
        """The section for another face."""
        return {
            self.expression: gr.update(value=OWN, visible=False),
            self.notice: gr.update(visible=False),
            self.results: "",
            self.found: None,
        }

    def run(
        self, face: AnalyzedFace | None, request: gr.Request, expression: str, *look: Any
    ) -> Iterator[dict[Any, Any]]:
        """Test one model after the other."""
        if face is None:
            yield self.fresh() | {self.notice: gr.update(value=message(FORGOTTEN), visible=True)}
            return
        found: dict[str, FlipConsistency] = {}
        try:
            with self.jobs.running(request.session_hash, "mirror") as job:
                for name in face.predictions:
                    yield {self.notice: gr.update(value=busy(f"{self.display.cards[name].title} …"), visible=True)}
                    found[name] = flip_consistency(self.analyzer.classifiers[name], face.given)
                    if job.forgotten:
                        return
            yield {
                self.expression: gr.update(visible=True),
                self.notice: gr.update(visible=False),
                self.results: self.show(face, found, expression, *look),
                self.found: found,
            }
        except Exception:  # whatever it is, the user gets words and not a stack trace
            _log.exception("the mirror test failed")
            yield self.fresh() | {self.notice: gr.update(value=message(_UNEXPECTED), visible=True)}

    def show(
        self, face: AnalyzedFace | None, found: dict[str, FlipConsistency] | None, expression: str, *look: Any
    ) -> str:
        """The results for one expression."""
        if face is None:
            return message(FORGOTTEN)
        if found is None:
            return ""
        target = None if expression == OWN else expression
        cards = pairs.flip_cards(face, found, target, map_style_of(*look), self.display)
        return f'<div class="fer-lab-stack">{cards}</div>'
