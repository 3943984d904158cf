"""Section of the attention lab: does a model find its evidence at the same places in the mirror image?"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import gradio as gr

from dashboard.attention.pair_view import flip_results
from dashboard.attention.sections.job_status import EXPLAINING, Updates
from dashboard.attention.sections.maps import map_style_of
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.display import ModelDisplay
from dashboard.components.events import CHANGED, HIDDEN
from dashboard.components.jobs import Jobs
from dashboard.components.picture_input import FORGOTTEN
from dashboard.components.templates import busy, message, render
from explain.explain_picture import OWN
from explain.flip_consistency import FlipConsistency, flip_consistency
from fer_models.analyzer import Analyzer

_UNEXPECTED: Final = "The flip consistency could not be measured. Try again, or try another picture."


class FlipConsistencySection:
    """Flip consistency and its maps. Nothing of any session is kept here."""

    def __init__(self, analyzer: Analyzer, display: ModelDisplay, expressions: Sequence[str], jobs: Jobs) -> None:
        """Lay the section out inside the current `gr.Blocks`."""
        self.analyzer = analyzer
        self.display = display
        self.jobs = jobs
        gr.HTML(
            render(
                "attention/hint.html",
                text="A face and its mirror image show the same expression, so a model should find its evidence at "
                "the same places. EAC is trained for just that: its loss is the mean squared difference between the "
                "maps of the face and of its mirror image, flipped back, over all expressions. The loss grows with "
                "the scale of a model’s logits; to compare models, look at the correlation.",
            )
        )
        with gr.Row(elem_classes="fer-actions"):
            self.start = gr.Button("Measure flip consistency", variant="primary", elem_id="attention-mirror-start")
        self.expression = gr.Dropdown(
            [("Each model’s predicted class", OWN), *((one.capitalize(), one) for one in expressions)],
            value=OWN,
            label="Show the maps for",
            visible=False,
            elem_id="attention-mirror-expression",
        )
        self.notice = gr.HTML(visible=False, elem_id="attention-mirror-notice")
        self.cards = gr.HTML(elem_id="attention-mirror-results")
        self.results = gr.State(None, time_to_live=3600)
        self.outputs = [self.expression, self.notice, self.cards, self.results]

    def connect(self, face: gr.State, style: Sequence[Any]) -> None:
        """Connect the section to the lab's face and to the controls of the maps' style."""
        self.start.click(self.run, [face, self.expression, *style], self.outputs, **EXPLAINING)
        shown = [face, self.results, self.expression, *style]
        self.expression.input(self.show, shown, self.cards, **CHANGED, **HIDDEN)

    def fresh(self, text: str = "") -> Updates:
        """The section for another face; with a message, if there is one."""
        return {
            self.expression: gr.update(value=OWN, visible=False),
            self.notice: gr.update(value=message(text), visible=bool(text)),
            self.cards: "",
            self.results: None,
        }

    def run(self, face: AnalyzedFace | None, request: gr.Request, expression: str, *style: Any) -> Iterator[Updates]:
        """Measure one model after the other."""
        if face is None:
            yield self.fresh(FORGOTTEN)
            return

        def step(name: str, _: Any) -> FlipConsistency:
            return flip_consistency(self.analyzer.classifiers[name], face.model_input)

        titles = self.display.titles
        for progress in self.jobs.run_per_model(
            request.session_hash, "mirror", list(face.predictions), step, _UNEXPECTED
        ):
            problems = progress.problems(titles)
            if progress.running is not None:
                yield {self.notice: gr.update(value=busy(progress.text(titles)), visible=True)}
            elif not progress.results:
                yield self.fresh(problems)
            else:
                yield {
                    self.expression: gr.update(visible=True),
                    self.notice: gr.update(value=message(problems), visible=bool(problems)),
                    self.cards: self.show(face, progress.results, expression, *style),
                    self.results: progress.results,
                }

    def show(
        self, face: AnalyzedFace | None, results: Mapping[str, FlipConsistency] | None, expression: str, *style: Any
    ) -> str:
        """The maps for one expression."""
        if face is None:
            return message(FORGOTTEN)
        if results is None:
            return ""
        target = None if expression == OWN else expression
        flips = flip_results(face, results, target, map_style_of(*style), self.display)
        return render("attention/flip_consistency.html", results=flips)
