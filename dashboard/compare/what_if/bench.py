"""What sections of the what-if bench share: the models' answers over the range of a change, and at one strength."""

from collections.abc import Mapping
from typing import Any, Final

import gradio as gr

from dashboard.compare.what_if.sweep import Sweep, sweep
from dashboard.compare.what_if.view import answers_over_range, step_view, sweep_figure
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.chart_tools import chart_tools
from dashboard.components.display import ModelDisplay
from dashboard.components.events import CHANGED, HIDDEN
from dashboard.components.failures import show_errors
from dashboard.components.jobs import EXPLAIN_AT_ONCE
from dashboard.components.picture_input import FORGET, FORGOTTEN, Updates
from dashboard.components.templates import busy, message, render
from fer_models.analyzer import Analyzer
from fer_models.evaluation.changes import Change
from fer_models.results import CropSpec

#: For listeners that run all models over a range.
SWEEPING: Final[dict[str, Any]] = {"concurrency_limit": EXPLAIN_AT_ONCE, "concurrency_id": "attention", **HIDDEN}
UNEXPECTED: Final = "This could not be computed. Try again, or try another picture."


class Bench:
    """A chart over the range of a change, a slider, and the changed face with every model's map."""

    def __init__(self, name: str, files: str, analyzer: Analyzer, display: ModelDisplay) -> None:
        """Lay it out inside the current `gr.Blocks`.

        Args:
            name: in front of the elements' ids.
            files: the name of a saved chart, without suffix.
            analyzer: the loaded models.
            display: cards and styles.
        """
        self.analyzer, self.display = analyzer, display
        self.notice = gr.HTML(visible=False, elem_id=f"{name}-notice")
        with gr.Column(visible=False, elem_id=f"{name}-results") as self.results:
            self.chart = gr.Plot(show_label=False, container=False, elem_classes="fer-chart", elem_id=f"{name}-chart")
            chart_tools(files, f"{name}-chart")
            self.answers = gr.HTML(elem_id=f"{name}-answers")
            self.strength = gr.Slider(0, 1, elem_id=f"{name}-strength")  # the change sets its range
            self.step = gr.HTML(elem_id=f"{name}-step")
        #: What was computed, and the face that was changed.
        self.swept = gr.State(None, time_to_live=FORGET)
        self.face = gr.State(None, time_to_live=FORGET)
        self.outputs = [
            *(self.notice, self.results, self.chart, self.answers, self.strength, self.step),
            *(self.swept, self.face),
        ]

    def connect(self) -> None:
        """Connect the slider."""
        self.strength.input(self.show, [self.face, self.swept, self.strength], self.step, **CHANGED, **HIDDEN)

    def empty(self, text: str = "") -> Updates:
        """No results; with a message, if there is one."""
        return {
            self.notice: gr.update(value=message(text), visible=bool(text)),
            self.results: gr.update(visible=False),
            **{part: "" for part in (self.answers, self.step)},
            **{part: None for part in (self.chart, self.swept, self.face)},
        }

    def busy(self, text: str) -> Updates:
        """Something is being computed; what there is stays."""
        return {self.notice: gr.update(value=busy(text), visible=True)}

    def run(self, face: AnalyzedFace, changes: Mapping[CropSpec, Change]) -> Updates:
        """All models on a face over the range of a change; arguments as for `sweep`."""
        result = sweep(self.analyzer, face, changes)
        change, answers = result.change, answers_over_range(result, self.display)
        return {
            self.notice: gr.update(value="", visible=False),
            self.results: gr.update(visible=True),
            self.chart: sweep_figure(result, self.display),
            self.answers: render("compare/what_if/answers.html", answers=answers),
            self.strength: gr.update(
                minimum=change.low,
                maximum=change.high,
                step=change.step,
                value=change.neutral,
                label=f"{change.title}: {change.unit}",
            ),
            self.step: self._step(face, result, change.neutral),
            self.swept: result,
            self.face: face,
        }

    @show_errors(UNEXPECTED, lambda _, text: str(message(text)))
    def show(self, face: AnalyzedFace | None, result: Sweep | None, value: float) -> str:
        """The changed face and every model's map at a strength."""
        return message(FORGOTTEN) if face is None or result is None else self._step(face, result, value)

    def _step(self, face: AnalyzedFace, result: Sweep, value: float) -> str:
        return render("compare/what_if/step.html", step=step_view(face, result, value, self.display))
