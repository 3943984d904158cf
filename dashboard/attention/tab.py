"""The Attention tab: evidence maps of one face, and how faithful they are. And the endpoint /explain."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import gradio as gr
from gradio.events import Dependency

from dashboard.attention.sections.contrast import ContrastSection
from dashboard.attention.sections.export import ExportSection
from dashboard.attention.sections.faithfulness import FaithfulnessSection
from dashboard.attention.sections.flip_consistency import FlipConsistencySection
from dashboard.attention.sections.maps import MapsSection
from dashboard.attention.sections.methods import MethodsSection
from dashboard.attention.sections.occlusion import OcclusionSection
from dashboard.attention.sections.randomisation import RandomisationSection
from dashboard.attention.sections.regions import RegionsSection
from dashboard.attention.sections.test_set import TestSetSection
from dashboard.components.analyzed_image import AnalyzedFace, AnalyzedImage, agreement_sentence, as_whole
from dashboard.components.display import model_display
from dashboard.components.events import CHOOSE_FACE, CLICKED, FILL_CHARTS, HIDDEN
from dashboard.components.failures import as_message
from dashboard.components.jobs import COMPARE_AT_ONCE, EXPLAIN_AT_ONCE, Jobs
from dashboard.components.picture_input import EXAMPLES, FORGET, FORGOTTEN, UNEXPECTED, PictureInput, Updates
from dashboard.components.picture_view import picture, position
from dashboard.components.templates import macro, message, render
from explain.explain_picture import ALL, OWN, explain_picture, to_json
from explain.methods import METHODS
from fer_models.analyzer import WEIGHTS, Analyzer
from fer_models.errors import ExplanationError
from fer_models.expressions import in_display_order
from fer_models.media.images import read_picture

#: The id of the tab, to open it from others.
TAB: Final = "attention"
_TITLE: Final = "Where does each model find its evidence?"
_HINT: Final = "Maps of the evidence for every expression on one face, and tests of whether the maps can be believed."


class AttentionTab:
    """The components of one page and what each callback does to them. Nothing of any session is kept here."""

    def __init__(self, analyzer: Analyzer, uploads: Path, examples: Path, weights: Path) -> None:
        """Lay the tab out inside the current `gr.Blocks` and connect it."""
        self.analyzer = analyzer
        self.display = model_display({name: model.card for name, model in analyzer.classifiers.items()})
        self.jobs = Jobs()
        #: Laid out on another tab, if at all.
        self.eac: FlipConsistencySection | None = None
        self._lay_out(examples, weights, uploads)
        self._connect()

    def _lay_out(self, examples: Path, weights: Path, uploads: Path) -> None:
        labels = {label for card in self.display.cards.values() for label in card.labels}
        self.expressions = expressions = in_display_order(labels)
        above = macro("heading", _TITLE, _HINT)
        self.picture_input = PictureInput("attention", self.analyzer, examples, uploads, above)
        self.picture = gr.HTML(visible=False, js_on_load=CHOOSE_FACE, elem_id="attention-picture")
        with gr.Column(visible=False, elem_id="attention-lab") as self.lab:
            self.card = gr.HTML(js_on_load=FILL_CHARTS, elem_id="attention-face")
            with gr.Tabs(elem_id="attention-sections", elem_classes="fer-sections", overflow_behavior="wrap"):
                with _section("Maps"):
                    self.maps = MapsSection(self.display, expressions)
                with _section("Contrast"):
                    self.contrast = ContrastSection(self.display, expressions)
                with _section("Methods"):
                    self.methods = MethodsSection(self.analyzer, self.display, expressions, self.jobs)
                with _section("Occlusion"):
                    self.occlusion = OcclusionSection(self.analyzer, self.display, self.jobs)
                with _section("Faithfulness"):
                    self.faithfulness = FaithfulnessSection(self.analyzer, self.display, self.jobs)
                    self.randomisation = RandomisationSection(self.analyzer, self.display, self.jobs)
                with _section("Facial regions"):
                    self.regions = RegionsSection(self.display, expressions)
                with _section("Export"):
                    self.export = ExportSection(self.analyzer, self.display, self.jobs)
        TestSetSection(weights)
        self.analyzed = gr.State(None, time_to_live=FORGET)
        self.face = gr.State(None, time_to_live=FORGET)

    def _connect(self) -> None:
        per_face = (
            *(self.maps, self.contrast, self.methods),
            *(self.occlusion, self.faithfulness, self.randomisation, self.regions, self.export),
        )
        self.one_face = [self.card, self.face, *(part for section in per_face for part in section.outputs)]
        self.everything = [
            *(*self.picture_input.outputs, self.lab, self.picture, self.analyzed),
            *self.one_face,
        ]
        self.controls = [self.maps.first, self.maps.second, *self.maps.style]
        self.maps.connect(self.face)
        self.contrast.connect(self.face, self.maps.style)
        self.methods.connect(self.face, self.maps.style)
        self.occlusion.connect(self.face, self.maps.style)
        self.faithfulness.connect(self.face)
        self.randomisation.connect(self.face)
        self.regions.connect(self.face)
        self.export.connect(self.face, self.faithfulness.results, self.contrast.chosen)
        reads = {
            "outputs": self.everything,
            "concurrency_limit": COMPARE_AT_ONCE,
            "concurrency_id": "compare",
            **HIDDEN,
        }
        sent = self.picture_input.image.upload(self.read_upload, self.controls, **reads)
        tried = self.picture_input.gallery.select(self.read_example, self.controls, **reads)
        self.picture_input.clear.click(
            self.start_over, outputs=self.everything, cancels=[sent, tried], queue=False, **HIDDEN
        )
        self.picture_input.whole.click(self.read_whole, [self.analyzed, *self.controls], self.everything, **HIDDEN)
        chosen = [self.analyzed, *self.controls]
        self.picture.select(self.choose_face, chosen, self.one_face, **CLICKED, **HIDDEN)
        self._connect_endpoint()

    def opened_from(
        self, button: gr.Button, analyzed: gr.State, index: gr.State, opened: Mapping[gr.Tabs, str]
    ) -> Dependency:
        """Let a button of another tab hand over a face.

        Args:
            button: of the other tab.
            analyzed: holds a `AnalyzedImage` or None.
            index: holds the index of the chosen face.
            opened: the ids of the tabs that the button opens, by what they are tabs of.
        """

        def hand_over(analyzed: AnalyzedImage | None, request: gr.Request, index: int, *controls: Any) -> Updates:
            self.jobs.stop(request.session_hash, forget=True)
            shown = {each: gr.Tabs(selected=name) for each, name in opened.items()}
            return {**shown, **self.hand_over(analyzed, index, *controls)}

        inputs = [analyzed, index, *self.controls]
        handed = button.click(hand_over, inputs, [*opened, *self.everything], **HIDDEN)
        if self.eac is not None:  # what it shows of the last face is forgotten
            handed.then(self.eac.fresh, outputs=self.eac.outputs, queue=False, **HIDDEN)
        return handed

    def lay_out_eac(self) -> None:
        """Lay out EAC on this tab's face inside the current `gr.Blocks`: on the tab that tells what EAC brings.

        Before `opened_from`.
        """
        examples = [example.path for example in self.picture_input.examples]
        self.eac = section = FlipConsistencySection(
            self.analyzer, self.display, self.expressions, self.jobs, next(iter(examples), None)
        )
        section.connect(self.face, self.maps.style)
        # Another picture or face: what is shown of the last one is forgotten.
        chosen = self.picture_input
        for event in (chosen.image.upload, chosen.gallery.select, chosen.clear.click, self.picture.select):
            event(section.fresh, outputs=section.outputs, queue=False, **HIDDEN)

    def _connect_endpoint(self) -> None:
        """/explain needs components for its types; nobody sees them."""
        with gr.Row(visible=False):
            image, answer, button = gr.Image(type="filepath", label="Image"), gr.JSON(label="Maps"), gr.Button()
            model = gr.Textbox(ALL, label="Model")
            method = gr.Textbox("native", label="Method")
            target = gr.Textbox(OWN, label="Target")

        def explain(
            image: Mapping[str, Any] | None, model: str = ALL, method: str = "native", target: str = OWN
        ) -> dict[str, Any]:
            """Evidence maps of the largest face of one picture, raw.

            model: a name or "all"; method: such as "native" or "gradcam"; target: an expression, "own" or "all".
            """
            return self.explain(image, model, method, target)

        limits: dict[str, Any] = {"concurrency_limit": EXPLAIN_AT_ONCE, "concurrency_id": "attention"}
        sends = [image, model, method, target]
        button.click(explain, sends, answer, api_name="explain", preprocess=False, **limits)

    # What the page can look like. Each is the one renderer of its state.

    def idle(self, text: str = "") -> Updates:
        """Ready for a picture, everything else forgotten; with a message if the last one could not be read."""
        return {
            **self.picture_input.idle(text),
            self.lab: gr.update(visible=False),
            self.picture: gr.update(value="", visible=False),
            **{part: None for part in (self.analyzed, self.face)},
            **{part: "" for part in (self.card, self.maps.grid, self.maps.large, self.maps.difference)},
            **self.contrast.fresh(None),
            **self._fresh(None),
        }

    def done(self, analyzed: AnalyzedImage, *controls: Any) -> Updates:
        """The faces of a picture, the first one chosen; or the offer to read the whole picture as one face."""
        found = bool(analyzed.faces)
        updates = {
            **self.picture_input.done(has_faces=found),
            self.lab: gr.update(visible=found),
            self.picture: gr.update(value=picture(analyzed), visible=not found or len(analyzed.faces) > 1),
            self.analyzed: analyzed,
        }
        return updates | (self.show_face(analyzed, 0, *controls) if found else {})

    def show_face(self, analyzed: AnalyzedImage, index: int, *controls: Any) -> Updates:
        """One face of a picture."""
        return self.show(analyzed.faces[index], position(analyzed, index), *controls)

    def show(self, face: AnalyzedFace, where: str, *controls: Any) -> Updates:
        """One face in every section."""
        sentence = agreement_sentence(face.predictions, self.display.titles, self.display.training)
        return {
            self.card: render("attention/face.html", crop=face.crop, where=where, sentence=sentence),
            self.face: face,
            **self.maps.fresh(face, *controls),
            **self.contrast.fresh(face, *controls[2:]),
            **self._fresh(face),
        }

    def _fresh(self, face: AnalyzedFace | None) -> Updates:
        """Every section but those that are drawn in a style, for another face or none."""
        return {
            **self.methods.fresh(),
            **self.occlusion.fresh(face),
            **self.faithfulness.fresh(),
            **self.randomisation.fresh(),
            **self.regions.fresh(face),
            **self.export.fresh(),
        }

    # What the user can do. Another face ends what is being computed for the last one.

    def start_over(self, request: gr.Request) -> Updates:
        """Forget the picture and wait for another."""
        self.jobs.stop(request.session_hash, forget=True)
        return self.idle()

    def read_upload(self, request: gr.Request, event: gr.EventData, *controls: Any) -> Iterator[Updates]:
        """Read a picture that was chosen, dropped, pasted or taken."""
        self.jobs.stop(request.session_hash, forget=True)
        yield from self._read(lambda: self.picture_input.sent(event), *controls)

    def read_example(self, event: gr.EventData, *controls: Any) -> Iterator[Updates]:
        """Read the example that was clicked."""
        yield from self._read(lambda: self.picture_input.example(event), *controls)

    def _read(self, source: Callable[[], Path], *controls: Any) -> Iterator[Updates]:
        return self.picture_input.analyze(source, lambda analyzed: self.done(analyzed, *controls), self.idle)

    def read_whole(self, analyzed: AnalyzedImage | None, *controls: Any) -> Updates:
        """Show the picture without faces as one face."""
        return self.idle(FORGOTTEN) if analyzed is None else self.done(as_whole(analyzed), *controls)

    def choose_face(
        self, analyzed: AnalyzedImage | None, request: gr.Request, event: gr.EventData, *controls: Any
    ) -> Updates:
        """Show another face of the same picture."""
        self.jobs.stop(request.session_hash, forget=True)
        index = int(event.index)
        if analyzed is None or not 0 <= index < len(analyzed.faces):
            return {self.card: message(FORGOTTEN)}
        return self.show_face(analyzed, index, *controls)

    def hand_over(self, analyzed: AnalyzedImage | None, index: int, *controls: Any) -> Updates:
        """Show a face of another tab: the face alone, not its picture."""
        if analyzed is None or not 0 <= index < len(analyzed.faces):
            return self.idle(FORGOTTEN)
        return {
            **self.idle(),
            **self.picture_input.done(),
            self.lab: gr.update(visible=True),
            **self.show(analyzed.faces[index], "The face from the comparison", *controls),
        }

    def explain(self, payload: Mapping[str, Any] | None, model: str, method: str, target: str) -> dict[str, Any]:
        """The endpoint: an upload in, the JSON of `explain.explain_picture` out.

        Raises:
            gr.Error: the picture cannot be used or a name is unknown; its message says why.
        """
        try:
            picture = read_picture(self.picture_input.path(payload))
            if target == ALL and method in METHODS and METHODS[method].speed == "very slow":
                raise ExplanationError(f"{METHODS[method].title} is too slow for every expression here: name one.")
            models = None if model == ALL else [model]
            explained = explain_picture(self.analyzer, picture.pixels, models=models, method=method, target=target)
            return to_json(explained, picture.pixels, self.analyzer, picture.notes)
        except Exception as error:
            raise gr.Error(as_message(error, UNEXPECTED), print_exception=False) from None


def _section(title: str) -> gr.Tab:
    """A section whose id, as in "facial-regions", is its name in the page's address."""
    name = title.lower().replace(" ", "-")
    return gr.Tab(title, id=name, elem_id=f"attention-section-{name}")


def build(analyzer: Analyzer, uploads: Path, examples: Path = EXAMPLES, weights: Path = WEIGHTS) -> AttentionTab:
    """Build the tab inside the current `gr.Blocks`.

    Args:
        analyzer: shared by all sessions.
        uploads: folder where Gradio puts uploads.
        examples: folder of example pictures; may be empty or missing.
        weights: folder of the cards, with results/ below.
    """
    return AttentionTab(analyzer, uploads, examples, weights)
