"""Section of the Compare tab: how the models' answers change as the chosen face does."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import gradio as gr

from dashboard.compare.what_if.sweep import Sweep, sweep
from dashboard.compare.what_if.view import answers_over_range, step_view, sweep_figure
from dashboard.components.analyzed_image import AnalyzedFace, AnalyzedImage
from dashboard.components.chart_tools import chart_tools
from dashboard.components.display import ModelDisplay
from dashboard.components.events import CHANGED, HIDDEN
from dashboard.components.failures import show_errors, yield_errors
from dashboard.components.jobs import EXPLAIN_AT_ONCE
from dashboard.components.picture_input import FORGET, FORGOTTEN, Updates
from dashboard.components.templates import busy, macro, message, render
from fer_models.analyzer import Analyzer
from fer_models.evaluation.changes import CHANGES

_UNEXPECTED: Final = "This could not be computed. Try again, or try another picture."
_INTRODUCTION: Final = (
    "Change the chosen face and see when a model’s answer changes with it. The change is made on the aligned crop that "
    "the models receive, so the face is not detected anew: alignment would turn a rotated photo back. Large marks in "
    "the chart show where an answer changes."
)


class WhatIfSection:
    """Closed at first; computed only once it is opened. Nothing of any session is kept here."""

    def __init__(self, analyzer: Analyzer, display: ModelDisplay) -> None:
        """Lay the section out inside the current `gr.Blocks`."""
        self.analyzer, self.display = analyzer, display
        first = next(iter(CHANGES.values()))
        with gr.Accordion("What if the picture were another?", open=False, elem_id="compare-what-if") as self.accordion:
            gr.HTML(macro("heading", "", _INTRODUCTION))
            self.change = gr.Radio(
                [(change.title, name) for name, change in CHANGES.items()],
                value=first.name,
                label="Change",
                elem_id="compare-what-if-change",
            )
            self.notice = gr.HTML(visible=False, elem_id="compare-what-if-notice")
            with gr.Column(visible=False, elem_id="compare-what-if-results") as self.results:
                self.chart = gr.Plot(
                    show_label=False,
                    container=False,
                    elem_classes="fer-chart",
                    elem_id="compare-what-if-chart",
                )
                chart_tools("what-if", "compare-what-if-chart")
                self.answers = gr.HTML(elem_id="compare-what-if-answers")
                self.strength = gr.Slider(
                    first.low, first.high, first.neutral, step=first.step, elem_id="compare-what-if-strength"
                )
                self.step = gr.HTML(elem_id="compare-what-if-step")
        self.opened = gr.State(False, time_to_live=FORGET)
        self.swept = gr.State(None, time_to_live=FORGET)
        self.outputs = [self.notice, self.results, self.chart, self.answers, self.strength, self.step, self.swept]

    def connect(self, analyzed: gr.State, index: gr.State, chosen: Sequence[Any]) -> None:
        """Connect the section to the tab's face.

        Args:
            analyzed: holds an `AnalyzedImage` or None.
            index: holds the index of the chosen face.
            chosen: events after which another face may be shown.
        """
        inputs = [analyzed, index, self.change, self.opened]
        computes = {"concurrency_limit": EXPLAIN_AT_ONCE, "concurrency_id": "attention", **HIDDEN}
        opened = self.accordion.expand(lambda: True, outputs=self.opened, **HIDDEN)
        self.accordion.collapse(lambda: False, outputs=self.opened, **HIDDEN)
        opened.then(self.run, inputs, self.outputs, **computes)
        self.change.input(self.run, inputs, self.outputs, **CHANGED, **computes)
        for event in chosen:
            event.then(self.run, inputs, self.outputs, **computes)
        shown = [analyzed, index, self.swept, self.strength]
        self.strength.input(self.show, shown, self.step, **CHANGED, **HIDDEN)

    def _empty(self, text: str = "") -> Updates:
        """No results; with a message, if there is one."""
        return {
            self.notice: gr.update(value=message(text), visible=bool(text)),
            self.results: gr.update(visible=False),
            **{part: "" for part in (self.answers, self.step)},
            **{part: None for part in (self.chart, self.swept)},
        }

    @yield_errors(_UNEXPECTED, _empty)
    def run(self, analyzed: AnalyzedImage | None, index: int, name: str, opened: bool) -> Iterator[Updates]:
        """All models on the chosen face over the range of a change; nothing while the section is closed."""
        if not opened:
            return
        face = _face(analyzed, index)
        if face is None:
            yield self._empty()
            return
        yield {self.notice: gr.update(value=busy("Changing the face …"), visible=True)}
        change = CHANGES[name]
        result = sweep(self.analyzer, face, change)
        yield {
            self.notice: gr.update(value="", visible=False),
            self.results: gr.update(visible=True),
            self.chart: sweep_figure(result, self.display),
            self.answers: render("compare/what_if/answers.html", answers=answers_over_range(result, self.display)),
            self.strength: gr.update(
                minimum=change.low,
                maximum=change.high,
                step=change.step,
                value=change.neutral,
                label=f"{change.title}: {change.unit}",
            ),
            self.step: self._step(face, result, change.neutral),
            self.swept: result,
        }

    @show_errors(_UNEXPECTED, lambda _, text: str(message(text)))
    def show(self, analyzed: AnalyzedImage | None, index: int, result: Sweep | None, value: float) -> str:
        """The changed face and every model's map at a strength."""
        face = _face(analyzed, index)
        return message(FORGOTTEN) if face is None or result is None else self._step(face, result, value)

    def _step(self, face: AnalyzedFace, result: Sweep, value: float) -> str:
        return render("compare/what_if/step.html", step=step_view(face, result, value, self.display))


def _face(analyzed: AnalyzedImage | None, index: int) -> AnalyzedFace | None:
    """The chosen face; None if there is none."""
    return analyzed.faces[index] if analyzed is not None and 0 <= index < len(analyzed.faces) else None
