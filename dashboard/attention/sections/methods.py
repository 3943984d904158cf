"""Section of the attention lab: any method, layer and smoothing, all models side by side."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import gradio as gr

from dashboard.attention.cards_view import method_cards, method_facts, method_legend
from dashboard.attention.sections.job_status import EXPLAINING, JobStatus, Updates
from dashboard.attention.sections.maps import map_style_of
from dashboard.attention.view import MapStyle
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.display import ModelDisplay
from dashboard.components.events import CHANGED, HIDDEN
from dashboard.components.jobs import Jobs, Progress
from dashboard.components.picture_input import FORGOTTEN
from dashboard.components.templates import render
from explain.explain_picture import OWN
from explain.gradcam import explain
from explain.maps import Explanation
from explain.methods import LAST, METHODS, SMOOTHING, supported
from fer_models.analyzer import Analyzer
from fer_models.models.architectures import STAGES

_SECTION: Final = "methods"
_UNEXPECTED: Final = "This map could not be made. Try another method."
_NONE: Final = "none"
_SMOOTHED: Final = {
    _NONE: "None",
    "aug": "Average of six augmented copies",
    "eigen": "First principal component",
    "aug+eigen": "Both",
}


class MethodsSection:
    """The method picker and its results. Nothing of any session is kept here."""

    def __init__(self, analyzer: Analyzer, display: ModelDisplay, expressions: Sequence[str], jobs: Jobs) -> None:
        """Lay the section out inside the current `gr.Blocks`."""
        self.analyzer = analyzer
        self.display = display
        self.jobs = jobs
        self.status = JobStatus(
            jobs, _SECTION, display.titles, cancel_id="attention-cancel", notice_id="attention-methods-notice"
        )
        #: By model name and method, why it cannot explain the model; "" where it can.
        self.reasons = {name: supported(analyzer.classifiers[name]) for name in display.cards}
        usable = [name for name in METHODS if not all(reasons[name] for reasons in self.reasons.values())]
        start = "gradcam" if "gradcam" in usable else usable[0]
        layers = list(dict.fromkeys(name for stages in STAGES.values() for name in stages))
        gr.HTML(
            render(
                "attention/hint.html",
                text="There are many ways to map a model’s evidence, and they do not always agree. Make the maps "
                "of all models by one of them.",
            )
        )
        with gr.Row():
            self.method = gr.Dropdown(
                [
                    (f"{facts.title} – {facts.speed if name in usable else 'not for these models'}", name)
                    for name, facts in METHODS.items()
                ],
                value=start,
                label="Method",
                elem_id="attention-method",
                min_width=240,
            )
            self.target = gr.Dropdown(
                [("Each model’s predicted class", OWN), *((one.capitalize(), one) for one in expressions)],
                value=OWN,
                label="Expression",
                elem_id="attention-target",
                min_width=240,
            )
            self.layer = gr.Dropdown(
                [(f"{name[:-1].capitalize()} {name[-1]}{' (last)' if name == LAST else ''}", name) for name in layers],
                value=LAST,
                label="Layer",
                elem_id="attention-layer",
            )
            self.smooth = gr.Dropdown(
                [(_SMOOTHED[name], name) for name in (_NONE, *SMOOTHING)],
                value=_NONE,
                label="Smoothing",
                elem_id="attention-smooth",
            )
        self.facts = gr.HTML(self._facts(start), elem_id="attention-facts")
        with gr.Row(elem_classes="fer-actions"):
            self.make = gr.Button("Make the maps", variant="primary", elem_id="attention-make")
            self.status.cancel.render()
        self.status.notice.render()
        self.cards = gr.HTML(elem_id="attention-methods-results")
        self.outputs = [self.make, *self.status.outputs, self.cards]

    def connect(self, face: gr.State, style: Sequence[Any]) -> None:
        """Connect the section to the lab's face and to the controls of the maps' style."""
        chosen = [self.method, self.target, self.layer, self.smooth]
        self.method.input(
            self.choose, self.method, [self.facts, self.layer, self.smooth, self.make], **CHANGED, **HIDDEN
        )
        self.make.click(self.run, [face, *chosen, *style], self.outputs, **EXPLAINING)
        self.status.connect()

    def fresh(self, text: str = "") -> Updates:
        """The section for another face; with a message, if there is one."""
        return {**self.status.idle(text), self.make: gr.update(interactive=True), self.cards: ""}

    def choose(self, method: str) -> tuple[Any, ...]:
        """What another method takes."""
        facts = METHODS[method]
        smoothing = [(_SMOOTHED[name], name) for name in (_NONE, *facts.smoothing)]
        return (
            self._facts(method),
            gr.update(value=LAST, interactive=facts.layers),
            gr.update(choices=smoothing, value=_NONE, interactive=len(smoothing) > 1),
            gr.update(interactive=any(not reasons[method] for reasons in self.reasons.values())),
        )

    def run(
        self,
        face: AnalyzedFace | None,
        request: gr.Request,
        method: str,
        target: str,
        layer: str,
        smooth: str,
        *style: Any,
    ) -> Iterator[Updates]:
        """Make the maps of one model after the other, and show each as soon as it is there."""
        if face is None:
            yield self.fresh(FORGOTTEN)
            return

        def step(name: str, report: Callable[[float], None]) -> Explanation:
            classifier = self.analyzer.classifiers[name]
            return explain(
                classifier,
                face.model_input,
                face.predictions[name].label if target == OWN else target,
                method,
                layer=layer if layer in STAGES.get(classifier.card.architecture, ()) else LAST,
                smooth=None if smooth == _NONE else smooth,
                progress=report,
            )

        names = [name for name in self.display.cards if name in face.predictions and not self.reasons[name][method]]
        for progress in self.jobs.run_per_model(request.session_hash, _SECTION, names, step, _UNEXPECTED):
            yield self._rendered(progress, face, method, map_style_of(*style))

    def _rendered(self, progress: Progress[Explanation], face: AnalyzedFace, method: str, style: MapStyle) -> Updates:
        """The section while maps are made, and at the end. What failed is said on the model's card."""
        if progress.share:  # nothing but the share has changed
            return self.status.of(progress, f"{METHODS[method].title}, ")
        reasons = {name: reasons[method] for name, reasons in self.reasons.items() if reasons[method]}
        errors = {**reasons, **progress.errors}
        cards = method_cards(face, progress.results, errors, progress.waiting, style, self.display)
        updates = {self.cards: render("attention/method_cards.html", cards=cards, legend=method_legend(style))}
        if progress.running is None:
            return self.fresh("Stopped." if progress.cancelled else "") | (updates if cards else {})
        return updates | {
            **self.status.of(progress, f"{METHODS[method].title}, "),
            self.make: gr.update(interactive=False),
        }

    def _facts(self, method: str) -> str:
        reasons = {name: reasons[method] for name, reasons in self.reasons.items()}
        return render("attention/method_facts.html", lines=method_facts(method, reasons, self.display.titles))
