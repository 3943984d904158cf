"""Section of the attention lab: do the maps depend on what the models learned?"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import gradio as gr

from dashboard.attention.randomisation_view import randomised_cards
from dashboard.attention.sections.job_status import EXPLAINING, JobStatus, Updates
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.display import ModelDisplay
from dashboard.components.jobs import Jobs
from dashboard.components.picture_input import FORGOTTEN
from dashboard.components.templates import render
from explain.methods import METHODS
from explain.randomisation import DRAWS, Randomisation, randomisation
from fer_models.analyzer import Analyzer

_SECTION: Final = "randomisation"
_UNEXPECTED: Final = "The check failed. Try again, or try other methods."
_MOST: Final = 3  # methods at a time


class RandomisationSection:
    """The check and its results. Nothing of any session is kept here."""

    def __init__(self, analyzer: Analyzer, display: ModelDisplay, jobs: Jobs) -> None:
        """Lay the section out inside the current `gr.Blocks`."""
        self.analyzer, self.display, self.jobs = analyzer, display, jobs
        self.status = JobStatus(
            *(jobs, _SECTION, display.titles),
            cancel_id="attention-randomise-cancel",
            notice_id="attention-randomise-notice",
        )
        gr.HTML(
            render(
                "attention/hint.html",
                title="Do the maps depend on what the model learned?",
                text="A copy of each model gets random weights: first the classifier, then also the last stage, and "
                "so on, until nothing learned is left (Adebayo et al., NeurIPS 2018). Below each map stands how "
                "similar it is to the true one: the rank correlation of their cells, mean and range over "
                f"{DRAWS} draws. Good: the map changes, and the mean is near 0. Bad: it stays near 1, so the map would "
                "look the same had the model learned nothing. Methods that count positive values alone, such as "
                "Layer-CAM, often change little: they mostly show where the features are strong.",
            )
        )
        names = [name for name, facts in METHODS.items() if facts.speed in ("at once", "fast")]
        self.methods = gr.Dropdown(
            [(METHODS[name].title, name) for name in names],
            value=["native", "layercam"],
            multiselect=True,
            max_choices=_MOST,
            label=f"Maps made by (up to {_MOST})",
            elem_id="attention-randomise-methods",
        )
        with gr.Row(elem_classes="fer-actions"):
            self.start = gr.Button("Randomise the weights", variant="primary", elem_id="attention-randomise-start")
            self.status.cancel.render()
        self.status.notice.render()
        self.cards = gr.HTML(elem_id="attention-randomise-cards")
        self.outputs = [*self.status.outputs, self.cards]

    def connect(self, face: gr.State) -> None:
        """Connect the section to the lab's face."""
        self.start.click(self.run, [face, self.methods], self.outputs, **EXPLAINING)
        self.status.connect()

    def fresh(self, text: str = "") -> Updates:
        """The section for another face; with a message, if there is one."""
        return {**self.status.idle(text), self.cards: ""}

    def run(self, face: AnalyzedFace | None, request: gr.Request, methods: Sequence[str]) -> Iterator[Updates]:
        """Check one model after the other, and show each as soon as its maps are there."""
        yield self.fresh()
        if face is None or not methods:
            yield self.fresh("Choose at least one method." if face is not None else FORGOTTEN)
            return

        def step(name: str, report: Callable[[float], None]) -> dict[str, Randomisation]:
            target = face.predictions[name].label
            return randomisation(self.analyzer.classifiers[name], face.input_of(name), target, methods, progress=report)

        names = list(face.predictions)
        for progress in self.jobs.run_per_model(request.session_hash, _SECTION, names, step, _UNEXPECTED):
            updates = self.status.of(progress, "Randomising ")
            if progress.results and not progress.share:
                cards = randomised_cards(face, progress.results, self.display)
                updates[self.cards] = render("attention/randomisation.html", cards=cards)
            yield updates
