"""The Compare tab: every face of a picture, classified by every model side by side. And the endpoint /compare."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import gradio as gr

from dashboard.compare import view
from dashboard.compare.keep_section import KeepSection
from dashboard.compare.noise_section import NoiseSection
from dashboard.compare.what_if.second import SecondFaceSection
from dashboard.compare.what_if.section import WhatIfSection
from dashboard.components.analyzed_image import MAX_FACES, AnalyzedImage, analyze_picture, as_whole
from dashboard.components.chart_tools import chart_tools
from dashboard.components.charts import compare_figure
from dashboard.components.display import model_display
from dashboard.components.events import CHANGED, CHOOSE_FACE, CLICKED, HIDDEN
from dashboard.components.failures import as_message
from dashboard.components.jobs import COMPARE_AT_ONCE
from dashboard.components.picture_input import EXAMPLES, FORGET, FORGOTTEN, UNEXPECTED, PictureInput, Updates
from dashboard.components.picture_view import picture
from dashboard.components.templates import macro, message, render
from explain.explain_picture import OWN
from fer_models.analyzer import WEIGHTS, Analyzer
from fer_models.errors import ImageError
from fer_models.expressions import in_display_order
from fer_models.media.images import Picture, read_picture
from fer_models.models.noise_pairs import find_noise_pairs
from fer_models.schema import to_json

_ANSWERS_SCRIPT: Final = (Path(__file__).parents[1] / "static" / "compare.js").read_text(encoding="utf-8")
_PRESENT: Final = "() => { document.body.classList.add('fer-presenting'); scrollTo(0, 0); }"
_CHART_HEIGHT: Final = 270  # px
_MAPS_HINT: Final = (
    "What each model predicts, and which parts of the face count as evidence for it. Choose an expression to see the "
    "evidence for it."
)


class CompareTab:
    """The components of one page and what each callback does to them. Nothing of any session is kept here."""

    def __init__(self, analyzer: Analyzer, uploads: Path, examples: Path, weights: Path) -> None:
        """Lay the tab out inside the current `gr.Blocks` and connect it."""
        self.analyzer = analyzer
        self.display = model_display({name: model.card for name, model in analyzer.classifiers.items()})
        self._lay_out(examples, uploads, weights)
        self._connect()

    def _lay_out(self, examples: Path, uploads: Path, weights: Path) -> None:
        cards = self.display.cards
        #: Every model, and every mean of models that learned the same labels.
        self.columns_offered = [*cards, *self.display.ensembles]
        expressions = in_display_order({label for card in cards.values() for label in card.labels})
        hero, about = render("compare/hero.html"), render("compare/about.html")
        self.picture_input = PictureInput("compare", self.analyzer, examples, uploads, hero, about)
        with gr.Row(visible=False, elem_id="compare-results") as self.results:
            with gr.Column(scale=4, min_width=300):
                self.picture = gr.HTML(js_on_load=CHOOSE_FACE, elem_id="compare-picture")
            with gr.Column(scale=6, min_width=300, elem_classes="fer-panel", elem_id="compare-report") as self.report:
                self.verdict = gr.HTML(js_on_load=_ANSWERS_SCRIPT, elem_id="compare-verdict")
                with gr.Row(elem_classes="fer-actions"):
                    self.lab = gr.Button("Open in the attention lab", size="md", elem_id="compare-lab")
                    self.flips = gr.Button("Flip consistency", size="md", elem_id="compare-flips")
                    present = gr.Button("Present", size="md", elem_id="compare-present")
        with gr.Column(visible=False, elem_classes="fer-panel", elem_id="compare-probabilities") as self.probabilities:
            self.chart = gr.Plot(show_label=False, container=False, elem_classes="fer-chart", elem_id="compare-chart")
            chart_tools("probabilities", "compare-chart")
        with gr.Column(visible=False, elem_classes="fer-panel", elem_id="compare-keep") as self.files:
            self.keep = KeepSection(uploads, self.display)
        present.click(None, js=_PRESENT, api_visibility="private")
        with gr.Column(visible=False, elem_id="compare-maps") as self.maps:
            gr.HTML(macro("heading", "Evidence maps", _MAPS_HINT))
            self.expression = gr.Radio(
                [("Each model’s predicted class", OWN), *((name.capitalize(), name) for name in expressions)],
                value=OWN,
                label="Show evidence for",
                elem_id="compare-expression",
            )
            self.models = gr.CheckboxGroup(
                [(self.display.column_titles[name], name) for name in self.columns_offered],
                value=self.columns_offered,
                label="Models",
                elem_id="compare-models",
            )
            self.columns = gr.HTML(elem_id="compare-columns")
            self.what_if = WhatIfSection(self.analyzer, self.display)
            self.second = SecondFaceSection(self.analyzer, self.display, self.picture_input.examples, uploads)
            levels = list(find_noise_pairs(weights))
            device = str(next(iter(self.analyzer.classifiers.values())).device)
            self.noise = NoiseSection(weights, levels, device) if levels else None
        self.one_face = [self.report, self.probabilities, self.files, self.maps]
        self.analyzed = gr.State(None, time_to_live=FORGET)
        self.index = gr.State(0, time_to_live=FORGET)
        #: When another tab handed the face over.
        self.handed_over = gr.State(0.0)

    def _connect(self) -> None:
        face = [self.verdict, self.chart, self.columns]
        controls = [*self.picture_input.outputs, self.expression, self.models]
        stages = [self.results, *self.one_face]
        self.everything = everything = [*stages, *controls, self.picture, *face, self.analyzed, self.index]
        choices = [self.analyzed, self.index, self.models, self.expression]
        self.at_once = {"concurrency_limit": COMPARE_AT_ONCE, "concurrency_id": "compare", **HIDDEN}
        analysis = {"outputs": everything, **self.at_once}
        sent = self.picture_input.image.upload(self.analyze_upload, **analysis)
        tried = self.picture_input.gallery.select(self.analyze_example, **analysis)
        cleared = self.picture_input.clear.click(
            self.idle, outputs=everything, cancels=[sent, tried], queue=False, **HIDDEN
        )
        whole = self.picture_input.whole.click(self.analyze_whole, self.analyzed, everything, **HIDDEN)
        chosen = [self.analyzed, self.models, self.expression]
        picked = self.picture.select(self.choose_face, chosen, [self.index, *face], **CLICKED, **HIDDEN)
        self.models.input(self.show_face, choices, face, **CHANGED, **HIDDEN)
        self.expression.input(self.show_maps, choices, self.columns, **CHANGED, **HIDDEN)
        handed = self.handed_over.change(lambda: None, **HIDDEN)
        another_picture = [sent, tried, whole, handed]
        another_face = [*another_picture, picked]
        self.what_if.connect(self.analyzed, self.index, another_face)
        self.of_two = self.second.connect(self.analyzed, self.index, picked, [*another_picture, cleared])
        given = self.picture_input
        for replaces in (given.image.upload, given.gallery.select, given.whole.click, given.clear.click):
            replaces(None, cancels=self.of_two, queue=False, **HIDDEN)
        if self.noise is not None:
            self.noise.connect(self.analyzed, self.index, another_face)
        self.keep.connect(self.analyzed, self.index, self.models)
        self._connect_endpoint()

    def opened_from(
        self,
        parts: Sequence[gr.HTML],
        state: gr.State,
        face: Callable[[Any, gr.EventData], tuple[Picture, str, int]],
        opened: Mapping[gr.Tabs, str],
    ) -> None:
        """Let another tab hand over a picture with one of its faces.

        Args:
            parts: of the other tab, whose "submit" asks for it.
            state: of the other tab.
            face: called with the state's value and the event; gives the picture, its file's name and the number of the
                face, counted from 0; may raise a FerError.
            opened: the ids of the tabs that are opened, by what they are tabs of.
        """

        def hand_over(value: Any, event: gr.EventData) -> Iterator[Updates]:
            shown = {each: gr.Tabs(selected=name) for each, name in opened.items()}
            yield {**shown, **self.idle(), **self.picture_input.busy()}
            yield {**self._handed_over(lambda: face(value, event)), self.handed_over: time.monotonic()}

        outputs = [*opened, *self.everything, self.handed_over]
        handed: list[Any] = [part.submit(hand_over, state, outputs, **CLICKED, **self.at_once) for part in parts]
        for part in parts:
            part.submit(None, cancels=self.of_two, queue=False, **HIDDEN)
        self.picture_input.clear.click(None, cancels=handed, queue=False, **HIDDEN)

    def _connect_endpoint(self) -> None:
        """/compare needs components for its types; nobody sees them."""
        with gr.Row(visible=False):
            image, answer, button = gr.Image(type="filepath", label="Image"), gr.JSON(label="Faces"), gr.Button()

        def compare(image: Mapping[str, Any] | None) -> dict[str, Any]:
            """Every face of one picture, classified by every model: boxes in px, probabilities as fractions."""
            return self.compare(image)

        limits: dict[str, Any] = {"concurrency_limit": COMPARE_AT_ONCE, "concurrency_id": "compare"}
        button.click(compare, image, answer, api_name="compare", preprocess=False, **limits)

    # What the page can look like. Each is the one renderer of its state.

    def idle(self, text: str = "") -> Updates:
        """Ready for a picture, everything else cleared; with a message if the last one could not be read."""
        return {
            **self.picture_input.idle(text),
            **{part: gr.update(visible=False) for part in (self.results, *self.one_face)},
            **{part: "" for part in (self.picture, self.verdict, self.columns)},
            **{part: None for part in (self.chart, self.analyzed)},
            self.index: 0,
            self.expression: OWN,
            self.models: self.columns_offered,
        }

    def done(self, analyzed: AnalyzedImage, index: int = 0) -> Updates:
        """The faces of a picture, one of them chosen; or the offer to classify the whole picture as one face."""
        has_faces = bool(analyzed.faces)
        updates = {
            **self.picture_input.done(has_faces=has_faces),
            self.results: gr.update(visible=True),
            self.picture: picture(analyzed, index),
            **{part: gr.update(visible=has_faces) for part in self.one_face},
            self.analyzed: analyzed,
            self.index: index,
        }
        if has_faces:
            parts = self.show_face(analyzed, index, self.columns_offered, OWN)
            updates |= dict(zip((self.verdict, self.chart, self.columns), parts, strict=True))
        return updates

    # What the user can do.

    def analyze_upload(self, event: gr.EventData) -> Iterator[Updates]:
        """Analyse a picture that was chosen, dropped, pasted or taken."""
        yield from self.picture_input.analyze(lambda: self.picture_input.sent(event), self.done, self.idle)

    def analyze_example(self, event: gr.EventData) -> Iterator[Updates]:
        """Analyse the example that was clicked."""
        yield from self.picture_input.analyze(lambda: self.picture_input.example(event), self.done, self.idle)

    def analyze_whole(self, analyzed: AnalyzedImage | None) -> Updates:
        """Show the picture without faces as one face."""
        return self.idle(FORGOTTEN) if analyzed is None else self.done(as_whole(analyzed))

    def _handed_over(self, face: Callable[[], tuple[Picture, str, int]]) -> Updates:
        """Another tab's face, among those of its picture."""
        try:
            found, name, index = face()
            analyzed = as_whole(analyze_picture(self.analyzer, found.pixels, found.notes, name))
            if index >= len(analyzed.faces):
                raise ImageError(
                    f"This face is number {index + 1} of its picture; here the {MAX_FACES} largest are shown."
                )
            return self.done(analyzed, index)
        except Exception as error:
            return self.idle(as_message(error, UNEXPECTED))

    def choose_face(
        self, analyzed: AnalyzedImage | None, names: Sequence[str], expression: str, event: gr.EventData
    ) -> tuple[Any, ...]:
        """Show another face of the same picture."""
        index = int(event.index)
        return index, *self.show_face(analyzed, index, names, expression)

    def show_face(
        self, analyzed: AnalyzedImage | None, index: int, names: Sequence[str], expression: str
    ) -> tuple[Any, ...]:
        """One face: where the models agree, the chart, the columns."""
        if analyzed is None or not 0 <= index < len(analyzed.faces):
            return message(FORGOTTEN), None, ""
        face, chosen = analyzed.faces[index], self._chosen(names)
        predictions = view.with_ensembles(face, chosen, self.display)
        chart = compare_figure(predictions, self.display.column_titles, self.display.styles, legend=False)
        chart.update_layout(height=_CHART_HEIGHT, meta={"alone": view.chart_words(analyzed, index)})
        return (
            render("compare/verdict.html", verdict=view.verdict(analyzed, index, chosen, self.display)),
            chart,
            self.show_maps(analyzed, index, names, expression),
        )

    def show_maps(self, analyzed: AnalyzedImage | None, index: int, names: Sequence[str], expression: str) -> str:
        """The columns of one face, with another expression's maps."""
        if analyzed is None or not 0 <= index < len(analyzed.faces):
            return message(FORGOTTEN)
        columns = view.columns(analyzed.faces[index], self._chosen(names), expression, self.display)
        return render("compare/columns.html", columns=columns)

    def compare(self, payload: Mapping[str, Any] | None) -> dict[str, Any]:
        """The endpoint: an upload in, the JSON of `fer_models.schema` out.

        Raises:
            gr.Error: the picture cannot be used; its message says why.
        """
        try:
            picture = read_picture(self.picture_input.path(payload))
            return to_json(picture.pixels, self.analyzer.analyze([picture.pixels]), picture.notes)
        except Exception as error:
            raise gr.Error(as_message(error, UNEXPECTED), print_exception=False) from None

    def _chosen(self, names: Sequence[str]) -> list[str]:
        """The ticked models and ensembles, in the order of the columns."""
        return [name for name in self.columns_offered if name in names]


def build(analyzer: Analyzer, uploads: Path, examples: Path = EXAMPLES, weights: Path = WEIGHTS) -> CompareTab:
    """Build the tab inside the current `gr.Blocks`.

    Args:
        analyzer: shared by all sessions.
        uploads: folder where Gradio puts uploads.
        examples: folder of example pictures; may be empty or missing.
        weights: folder whose noise/ has the label noise study's networks; without any, their section is not there.
    """
    return CompareTab(analyzer, uploads, examples, weights)
