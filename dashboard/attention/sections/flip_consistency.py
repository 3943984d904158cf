"""EAC on one face: its idea in pictures, and whether each model finds its evidence at the same places when mirrored.

The page places it where it tells what EAC brings.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import gradio as gr

from dashboard.attention.eac_view import eac_steps
from dashboard.attention.pair_view import flip_results
from dashboard.attention.sections.job_status import EXPLAINING, Updates
from dashboard.attention.sections.maps import map_style_of
from dashboard.components.analyzed_image import AnalyzedFace, analyze_picture
from dashboard.components.display import ModelDisplay
from dashboard.components.events import CHANGED, HIDDEN
from dashboard.components.failures import as_message
from dashboard.components.jobs import Jobs
from dashboard.components.templates import busy, message, render
from explain.explain_picture import OWN
from explain.flip_consistency import FlipConsistency, flip_consistency
from fer_models.analyzer import Analyzer
from fer_models.errors import ImageError
from fer_models.media.images import read_picture

_UNEXPECTED: Final = "The flip consistency could not be measured. Try again, or try another picture."


class FlipConsistencySection:
    """Flip consistency and its maps. Nothing of any session is kept here."""

    def __init__(
        self,
        analyzer: Analyzer,
        display: ModelDisplay,
        expressions: Sequence[str],
        jobs: Jobs,
        example: Path | None,
    ) -> None:
        """Lay the section out inside the current `gr.Blocks`.

        Args:
            analyzer: the models.
            display: cards and styles.
            expressions: that a map can be shown for.
            jobs: of all sessions.
            example: a picture with a face, for sessions that have none.
        """
        self.analyzer = analyzer
        self.example = example
        self.display = display
        self.jobs = jobs
        gr.HTML(render("attention/eac_links.html"))
        gr.HTML(
            render(
                "attention/hint.html",
                title="On a face",
                text="A face and its mirror image show the same expression, so a model should find its evidence at "
                "the same places. EAC is trained for just that: its loss is the mean squared difference between the "
                "maps of the face and of its mirror image, flipped back, over all expressions. The loss grows with "
                "the scale of a model’s logits; to compare models, look at the correlation.",
            )
        )
        with gr.Row(elem_classes="fer-actions"):
            self.start = gr.Button("Show EAC on a face", variant="primary", elem_id="attention-mirror-start")
        self.expression = gr.Dropdown(
            [("Each model’s predicted class", OWN), *((one.capitalize(), one) for one in expressions)],
            value=OWN,
            label="Show the maps for",
            visible=False,
            elem_id="attention-mirror-expression",
        )
        self.notice = gr.HTML(visible=False, elem_id="attention-mirror-notice")
        self.source = gr.HTML(elem_id="attention-mirror-source")
        self.cards = gr.HTML(elem_id="attention-mirror-results")
        self.results = gr.State(None, time_to_live=3600)
        #: The face that is shown: another one than the lab's if the lab has none.
        self.shown = gr.State(None, time_to_live=3600)
        self.outputs = [self.expression, self.notice, self.source, self.cards, self.results, self.shown]

    def connect(self, face: gr.State, style: Sequence[Any]) -> None:
        """Connect the section to the lab's face and to the controls of the maps' style."""
        self.start.click(self.run, [face, self.expression, *style], self.outputs, **EXPLAINING)
        shown = [self.shown, self.results, self.expression, *style]
        self.expression.input(self.show, shown, self.cards, **CHANGED, **HIDDEN)

    def fresh(self, text: str = "") -> Updates:
        """The section for another face; with a message, if there is one."""
        return {
            self.expression: gr.update(value=OWN, visible=False),
            self.notice: gr.update(value=message(text), visible=bool(text)),
            self.source: "",
            self.cards: "",
            self.results: None,
            self.shown: None,
        }

    def run(self, face: AnalyzedFace | None, request: gr.Request, expression: str, *style: Any) -> Iterator[Updates]:
        """Measure one model after the other, on the lab's face or, without one, on an example."""
        try:
            shown = self._example() if face is None else face
        except Exception as error:
            yield self.fresh(as_message(error, _UNEXPECTED))
            return

        def step(name: str, _: Any) -> FlipConsistency:
            return flip_consistency(self.analyzer.classifiers[name], shown.input_of(name))

        source = "The face you analysed in Attention."
        if face is None:
            source = "An example: analyse a picture in Attention to see your own."
        titles = self.display.titles
        for progress in self.jobs.run_per_model(
            request.session_hash, "mirror", list(shown.predictions), step, _UNEXPECTED
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
                    self.source: render("attention/hint.html", text=source),
                    self.cards: self.show(shown, progress.results, expression, *style),
                    self.results: progress.results,
                    self.shown: shown,
                }

    def _example(self) -> AnalyzedFace:
        """The first face of the example.

        Raises:
            FerError: there is none.
        """
        found = () if self.example is None else analyze_picture(self.analyzer, read_picture(self.example).pixels).faces
        if not found:
            raise ImageError("There is no example with a face here: analyse a picture in Attention first.")
        return found[0]

    def show(
        self, face: AnalyzedFace | None, results: Mapping[str, FlipConsistency] | None, expression: str, *style: Any
    ) -> str:
        """The steps of EAC and the maps for one expression."""
        if face is None or results is None:
            return ""
        target = None if expression == OWN else expression
        flips = flip_results(face, results, target, map_style_of(*style), self.display)
        steps = render("attention/eac_steps.html", steps=eac_steps(face, flips))
        return steps + render("attention/flip_consistency.html", results=flips)
