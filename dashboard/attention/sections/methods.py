"""Section of the attention lab: any method, layer and smoothing, all models side by side."""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import gradio as gr

from dashboard.attention import view as markup
from dashboard.attention.sections.maps import map_style_of
from dashboard.attention.view import MapStyle
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.events import CHANGED
from dashboard.components.face_view import OWN, ModelDisplay, busy, message
from dashboard.components.jobs import Job, Jobs, Stopped, run_watched
from dashboard.components.picture_input import FORGOTTEN
from explain.gradcam import explain
from explain.maps import Explanation
from explain.methods import LAST, METHODS, SMOOTHING
from fer_models.analyzer import Analyzer
from fer_models.errors import FerError
from fer_models.models.architectures import STAGES

_log = logging.getLogger(__name__)
#: Whose jobs its Cancel stops.
_SECTION: Final = "methods"
_UNEXPECTED: Final = "This map could not be made. Try another method."
_NONE: Final = "none"
_SMOOTHED: Final = {
    _NONE: "None",
    "aug": "Average of six altered copies",
    "eigen": "Main pattern only",
    "aug+eigen": "Both",
}


class MethodsSection:
    """The method picker and its results. Nothing of any session is kept here."""

    def __init__(self, analyzer: Analyzer, display: ModelDisplay, expressions: Sequence[str], jobs: Jobs) -> None:
        """Lay the section out inside the current `gr.Blocks`."""
        self.analyzer = analyzer
        self.display = display
        self.jobs = jobs
        names = [name for name, facts in METHODS.items() if facts.available]
        layers = list(dict.fromkeys(name for stages in STAGES.values() for name in stages))
        gr.HTML(
            '<p class="fer-hint">There are many ways to ask a network where it looks, and they do not always agree. '
            "Make the maps of all models by one of them.</p>"
        )
        with gr.Row():
            self.method = gr.Dropdown(
                [(f"{METHODS[name].title} – {METHODS[name].speed}", name) for name in names],
                value="gradcam",
                label="Method",
                elem_id="attention-method",
            )
            self.target = gr.Dropdown(
                [("Each model’s answer", OWN), *((one.capitalize(), one) for one in expressions)],
                value=OWN,
                label="Expression",
                elem_id="attention-target",
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
        self.facts = gr.HTML(markup.method_facts("gradcam"), elem_id="attention-facts")
        with gr.Row(elem_classes="fer-actions"):
            self.make = gr.Button("Make the maps", variant="primary", elem_id="attention-make")
            self.cancel = gr.Button("Cancel", visible=False, elem_id="attention-cancel")
        self.notice = gr.HTML(visible=False, elem_id="attention-methods-notice")
        self.results = gr.HTML(elem_id="attention-methods-results")
        self.outputs = [self.make, self.cancel, self.notice, self.results]

    def connect(self, face: gr.State, look: Sequence[Any]) -> None:
        """Connect the section to the lab's face."""
        hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        chosen = [self.method, self.target, self.layer, self.smooth]
        self.method.input(self.choose, self.method, [self.facts, self.layer, self.smooth], **CHANGED, **hidden)
        self.make.click(
            self.run,
            [face, *chosen, *look],
            self.outputs,
            concurrency_limit=2,
            concurrency_id="attention",
            **hidden,
        )
        self.cancel.click(self.stop, queue=False, **hidden)

    def fresh(self) -> dict[Any, Any]:
        """The section for another face."""
        return {
            self.make: gr.update(interactive=True),
            self.cancel: gr.update(visible=False),
            self.notice: gr.update(visible=False),
            self.results: "",
        }

    def choose(self, method: str) -> tuple[Any, ...]:
        """What another method takes."""
        facts = METHODS[method]
        smoothing = [(_SMOOTHED[name], name) for name in (_NONE, *facts.smoothing)]
        return (
            markup.method_facts(method),
            gr.update(value=LAST, interactive=facts.layers),
            gr.update(choices=smoothing, value=_NONE, interactive=len(smoothing) > 1),
        )

    def stop(self, request: gr.Request) -> None:
        """The user has seen enough; what is done stays."""
        self.jobs.stop(request.session_hash, _SECTION)

    def run(
        self,
        face: AnalyzedFace | None,
        request: gr.Request,
        method: str,
        target: str,
        layer: str,
        smooth: str,
        *look: Any,
    ) -> Iterator[dict[Any, Any]]:
        """Make the maps of one model after the other, and show each as soon as it is there."""
        if face is None:
            yield self.fresh() | {self.notice: gr.update(value=message(FORGOTTEN), visible=True)}
            return
        results: dict[str, Explanation | str] = {}
        with self.jobs.running(request.session_hash, _SECTION) as job:
            try:
                yield from self._steps(job, face, method, target, layer, smooth, results, map_style_of(*look))
                notice = gr.update(visible=False)
            except Stopped:
                if job.forgotten:
                    return
                notice = gr.update(value=message("Stopped."), visible=True)
        cards = markup.method_cards(face, results, (), map_style_of(*look), self.display) if results else ""
        yield self.fresh() | {self.results: cards, self.notice: notice}

    def _steps(
        self,
        job: Job,
        face: AnalyzedFace,
        method: str,
        target: str,
        layer: str,
        smooth: str,
        results: dict[str, Explanation | str],
        look: MapStyle,
    ) -> Iterator[dict[Any, Any]]:
        """Fill in the results and tell how far it is."""
        names = [name for name in self.display.cards if name in face.predictions]
        for number, name in enumerate(names):
            title = self.display.cards[name].title
            classifier = self.analyzer.classifiers[name]
            expression = face.predictions[name].label if target == OWN else target
            work = partial(
                self._one,
                face,
                name,
                expression,
                method,
                layer if layer in STAGES[classifier.card.architecture] else LAST,
                None if smooth == _NONE else smooth,
            )
            yield {self.results: markup.method_cards(face, results, names[number:], look, self.display)}
            for share, one in run_watched(work, job):
                if one is not None:
                    results[name] = one
                    continue
                part = f": {share:.0%}" if share else ""
                yield {
                    self.make: gr.update(interactive=False),
                    self.cancel: gr.update(visible=True),
                    self.notice: gr.update(
                        value=busy(f"{METHODS[method].title}, {title} ({number + 1} of {len(names)}){part} …"),
                        visible=True,
                    ),
                }

    def _one(
        self,
        face: AnalyzedFace,
        name: str,
        expression: str,
        method: str,
        layer: str,
        smooth: str | None,
        report: Callable[[float], None],
    ) -> Explanation | str:
        """One model's map, or why there is none: it never takes the others with it."""
        classifier = self.analyzer.classifiers[name]
        try:
            return explain(classifier, face.given, expression, method, layer=layer, smooth=smooth, progress=report)
        except Stopped:
            raise
        except FerError as error:
            return str(error)
        except Exception:
            _log.exception("a map could not be made")
            return _UNEXPECTED
