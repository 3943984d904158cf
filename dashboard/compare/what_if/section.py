"""Section of the Compare tab: how the models' answers change as the chosen face does."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import gradio as gr

from dashboard.compare.what_if.bench import SWEEPING, UNEXPECTED, Bench
from dashboard.components.analyzed_image import AnalyzedImage
from dashboard.components.display import ModelDisplay
from dashboard.components.events import CHANGED, HIDDEN
from dashboard.components.failures import yield_errors
from dashboard.components.picture_input import FORGET, Updates
from dashboard.components.templates import macro
from fer_models.analyzer import Analyzer
from fer_models.evaluation.changes import CHANGES
from fer_models.results import SHARED_CROP

_INTRODUCTION: Final = (
    "Change the chosen face and see when a model’s answer changes with it. The change is made on the aligned crop that "
    "the models receive, so the face is not detected anew: alignment would turn a rotated photo back. Large marks in "
    "the chart show where an answer changes."
)


class WhatIfSection:
    """Closed at first; computed only once it is opened. Nothing of any session is kept here."""

    def __init__(self, analyzer: Analyzer, display: ModelDisplay) -> None:
        """Lay the section out inside the current `gr.Blocks`."""
        with gr.Accordion("What if the picture changed?", open=False, elem_id="compare-what-if") as self.accordion:
            gr.HTML(macro("heading", "", _INTRODUCTION))
            self.change = gr.Radio(
                [(change.title, name) for name, change in CHANGES.items()],
                value=next(iter(CHANGES)),
                label="Change",
                elem_id="compare-what-if-change",
            )
            self.bench = Bench("compare-what-if", "what-if", analyzer, display)
        self.opened = gr.State(False, time_to_live=FORGET)

    def connect(self, analyzed: gr.State, index: gr.State, chosen: Sequence[Any]) -> None:
        """Connect the section to the tab's face.

        Args:
            analyzed: holds an `AnalyzedImage` or None.
            index: holds the index of the chosen face.
            chosen: events after which another face may be shown.
        """
        inputs = [analyzed, index, self.change, self.opened]
        opened = self.accordion.expand(lambda: True, outputs=self.opened, **HIDDEN)
        self.accordion.collapse(lambda: False, outputs=self.opened, **HIDDEN)
        for event in (opened, *chosen):
            event.then(self.run, inputs, self.bench.outputs, **SWEEPING)
        self.change.input(self.run, inputs, self.bench.outputs, **CHANGED, **SWEEPING)
        self.bench.connect()

    @yield_errors(UNEXPECTED, lambda self, text: self.bench.empty(text))
    def run(self, analyzed: AnalyzedImage | None, index: int, name: str, opened: bool) -> Iterator[Updates]:
        """All models on the chosen face over the range of a change; nothing while the section is closed."""
        if not opened:
            return
        if analyzed is None or not 0 <= index < len(analyzed.faces):
            yield self.bench.empty()
            return
        yield self.bench.busy("Changing the face …")
        yield self.bench.run(analyzed.faces[index], {SHARED_CROP: CHANGES[name]})
