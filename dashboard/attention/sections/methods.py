"""Section of the attention lab: any method, layer and smoothing, all models side by side."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import gradio as gr

from dashboard.attention.cards_view import method_cards, method_facts, method_legend, method_matrix
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
from fer_models.errors import FerError
from fer_models.models.architectures import STAGES
from fer_models.models.classifier import Classifier

_SECTION: Final = "methods"
_MATRIX: Final = "matrix"
_UNEXPECTED: Final = "This map could not be made. Try another method."
_NONE: Final = "none"
#: The methods of the matrix by their speed; the slow ones are asked for.
_QUICK: Final = tuple(name for name, facts in METHODS.items() if facts.speed in ("at once", "fast"))
_SLOW: Final = tuple(name for name, facts in METHODS.items() if facts.speed == "slow")
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
        self.matrix_status = JobStatus(
            jobs, _MATRIX, display.titles, cancel_id="attention-matrix-cancel", notice_id="attention-matrix-notice"
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
        gr.HTML(
            render(
                "attention/hint.html",
                title="All methods in one grid",
                text="Where methods agree, a map is more than its method. Each map has a colour scale of its own; the "
                "expression is the one chosen above.",
            )
        )
        label = "Include slow methods (up to a minute per model)"
        self.slow = gr.Checkbox(label=label, elem_id="attention-matrix-slow")
        with gr.Row(elem_classes="fer-actions"):
            self.compare = gr.Button("Compare all methods", variant="primary", elem_id="attention-matrix-start")
            self.matrix_status.cancel.render()
        self.matrix_status.notice.render()
        self.matrix = gr.HTML(elem_id="attention-matrix")
        self.matrix_outputs = [self.compare, *self.matrix_status.outputs, self.matrix]
        self.outputs = [self.make, *self.status.outputs, self.cards, *self.matrix_outputs]

    def connect(self, face: gr.State, style: Sequence[Any]) -> None:
        """Connect the section to the lab's face and to the controls of the maps' style."""
        chosen = [self.method, self.target, self.layer, self.smooth]
        self.method.input(
            self.choose, self.method, [self.facts, self.layer, self.smooth, self.make], **CHANGED, **HIDDEN
        )
        made = [self.make, *self.status.outputs, self.cards]
        self.make.click(self.run, [face, *chosen, *style], made, **EXPLAINING)
        self.status.connect()
        self.compare.click(self.run_matrix, [face, self.target, self.slow, *style], self.matrix_outputs, **EXPLAINING)
        self.matrix_status.connect()

    def fresh(self) -> Updates:
        """The section for another face."""
        return {**self._idle(), **self._matrix_idle(), self.matrix: ""}

    def _idle(self, text: str = "") -> Updates:
        """No map by one method, and none being made; with a message, if there is one."""
        return {**self.status.idle(text), self.make: gr.update(interactive=True), self.cards: ""}

    def _matrix_idle(self, text: str = "") -> Updates:
        return {**self.matrix_status.idle(text), self.compare: gr.update(interactive=True)}

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
            yield self._idle(FORGOTTEN)
            return

        def step(name: str, report: Callable[[float], None]) -> Explanation:
            classifier = self.analyzer.classifiers[name]
            return explain(
                classifier,
                face.input_of(name),
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
            return self._idle("Stopped." if progress.cancelled else "") | (updates if cards else {})
        return updates | {
            **self.status.of(progress, f"{METHODS[method].title}, "),
            self.make: gr.update(interactive=False),
        }

    def run_matrix(
        self, face: AnalyzedFace | None, request: gr.Request, target: str, slow: bool, *style: Any
    ) -> Iterator[Updates]:
        """Make the maps of every method, one model after the other, and show each model's as soon as they are there."""
        if face is None:
            yield self._matrix_idle(FORGOTTEN)
            return
        methods = [name for name in METHODS if name in _QUICK or (slow and name in _SLOW)]
        targets = {
            name: face.predictions[name].label if target == OWN else target
            for name in self.display.cards
            if name in face.predictions
        }

        def step(name: str, report: Callable[[float], None]) -> Mapping[str, Explanation | str]:
            classifier, made = self.analyzer.classifiers[name], {}
            for number, method in enumerate(methods):
                report(number / len(methods))
                made[method] = self.reasons[name][method] or _made(classifier, face, targets[name], method)
            return made

        for progress in self.jobs.run_per_model(request.session_hash, _MATRIX, list(targets), step, _UNEXPECTED):
            updates = self.matrix_status.of(progress, "All methods, ")
            if not progress.share:
                failed = {name: dict.fromkeys(methods, error) for name, error in progress.errors.items()}
                shown = method_matrix(
                    face, {**progress.results, **failed}, targets, methods, map_style_of(*style), self.display
                )
                updates[self.matrix] = render("attention/method_matrix.html", matrix=shown)
            running = progress.running is not None
            yield updates | {self.compare: gr.update(interactive=not running)}

    def _facts(self, method: str) -> str:
        reasons = {name: reasons[method] for name, reasons in self.reasons.items()}
        return render("attention/method_facts.html", lines=method_facts(method, reasons, self.display.titles))


def _made(classifier: Classifier, face: AnalyzedFace, target: str, method: str) -> Explanation | str:
    """One map, or why there is none: a method that fails does not end the others."""
    try:
        return explain(classifier, face.input_of(classifier.name), target, method)
    except FerError as error:
        return str(error)
