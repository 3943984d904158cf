"""The Add a model tab: choose a file, fill in its card, try it on an example, save both in the weights folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import gradio as gr

from dashboard.add_model.session import ChosenFile, choose
from dashboard.add_model.view import BOX, FIELDS, LANDMARKS, UPRIGHT, CardForm, card_of, form_of, trial
from dashboard.components.analyzed_image import analyze_picture, as_whole, load_examples
from dashboard.components.display import model_display
from dashboard.components.events import CHOOSE_EXAMPLE, HIDDEN
from dashboard.components.failures import as_message, show_errors
from dashboard.components.picture_input import EXAMPLES
from dashboard.components.templates import macro, message, render
from dashboard.components.uploads import uploaded_path
from fer_models.analyzer import Analyzer
from fer_models.errors import ImageError
from fer_models.media.images import read_picture
from fer_models.models.external.files import external_name
from fer_models.registry import model_styles

_UNEXPECTED: Final = "Something went wrong with this file. Choose it again, or write its card by hand."
_FORGOTTEN: Final = "Choose a file first. One that was chosen is forgotten after an hour without a change."
_TRY: Final = (
    "Choose an example. If a clear expression is answered wrongly, check the order of the labels first, then colours, "
    "mean and deviation."
)
_FORGET: Final = 3600
_ARCHITECTURE: Final = FIELDS.index("architecture")

Updates: TypeAlias = dict[Any, Any]


class AddModelTab:
    """The components of one page and what each callback does to them. Nothing of any session is kept here."""

    def __init__(self, analyzer: Analyzer, uploads: Path, weights: Path) -> None:
        """Lay the tab out inside the current `gr.Blocks` and connect it."""
        self.analyzer, self.uploads, self.weights = analyzer, uploads, weights
        self.display = model_display({name: model.card for name, model in analyzer.classifiers.items()})
        self.examples = load_examples(EXAMPLES)
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        gr.HTML(render("add_model/introduction.html"))
        self.file = gr.File(label="A model file", height=140, elem_id="add-file")
        self.notice = gr.HTML(elem_id="add-notice")
        with gr.Column(visible=False, elem_id="add-form") as self.form:
            with gr.Column(elem_classes="fer-panel"):
                self.told = gr.HTML(elem_id="add-told")
                self._lay_out_fields()
            with gr.Column(elem_classes="fer-panel"):
                gr.HTML(macro("heading", "Try it"))
                self.gallery = gr.HTML(
                    render("components/examples.html", examples=self.examples, lead=_TRY),
                    js_on_load=CHOOSE_EXAMPLE,
                    elem_id="add-examples",
                )
                self.result = gr.HTML(elem_id="add-result")
            with gr.Row(elem_classes="fer-actions"):
                self.save = gr.Button("Save in the weights folder", variant="primary", elem_id="add-save")
            self.saved = gr.HTML(elem_id="add-saved")
        self.chosen = gr.State(None, time_to_live=_FORGET, delete_callback=_close)

    def _lay_out_fields(self) -> None:
        box = gr.Textbox
        made: dict[str, Any] = {}
        with gr.Row():
            made["name"] = box(label="Name", info="Used for its files and in commands", elem_id="add-name")
            made["title"] = box(label="Title", info="Shown on the page")
        made["labels"] = box(
            label="Labels",
            info="In the order of the outputs, separated by commas. A wrong order cannot be detected.",
        )
        with gr.Column() as self.fed:
            with gr.Row():
                made["mode"] = gr.Radio(["rgb", "bgr", "grey"], label="Colours")
                made["size"] = gr.Number(label="Size in px", minimum=8, maximum=1024, precision=0)
                made["outputs"] = gr.Radio(["logits", "probabilities", "sigmoid"], label="Outputs")
            with gr.Row():
                made["scale"] = gr.Radio(["0-1", "0-255"], label="Pixel range of mean and deviation")
                made["mean"] = box(label="Mean", info="One number, or one per channel")
                made["std"] = box(label="Standard deviation", info="One number, or one per channel")
            with gr.Row():
                made["crop"] = gr.Radio(
                    [("Aligned, tight", LANDMARKS), ("Detector’s box", BOX), ("Box, turned upright", UPRIGHT)],
                    label="Face crop",
                )
                made["margin"] = gr.Slider(0, 100, step=5, label="Margin around the box in %")
            made["architecture"] = box(label="Architecture", info="torchvision:NAME or timm:NAME")
        with gr.Row():
            made["training_labels"] = box(label="Training labels", info="Such as AffectNet (8 expressions)")
            made["training_data"] = box(label="Training pictures")
            made["licence"] = box(label="Licence")
        self.fields = [made[name] for name in FIELDS]

    def _connect(self) -> None:
        form = [self.notice, self.form, self.told, self.fed, *self.fields, self.result, self.saved, self.chosen]
        forgotten = self.file.upload(self.forget, self.chosen, self.chosen, **HIDDEN)
        # preprocess=False hands over where the upload lies instead of what Gradio makes of it.
        forgotten.then(self.choose, self.file, form, preprocess=False, **HIDDEN)
        self.file.clear(self.forget, self.chosen, self.chosen, **HIDDEN).then(self.start, outputs=form, **HIDDEN)
        inputs = [self.chosen, *self.fields]
        self.gallery.select(self.attempt, inputs, self.result, **HIDDEN | {"show_progress": "minimal"})
        self.save.click(self.keep, inputs, self.saved, **HIDDEN)

    def start(self, text: str = "") -> Updates:
        """Ready for a file; with a message if the last one is no model."""
        return {
            self.notice: message(text),
            self.form: gr.update(visible=False),
            self.result: "",
            self.saved: "",
            self.chosen: None,
        }

    def forget(self, chosen: ChosenFile | None) -> None:
        """Delete the file that was chosen before."""
        _close(chosen)

    @show_errors(_UNEXPECTED, lambda tab, text: tab.start(text))
    def choose(self, payload: Mapping[str, Any] | None) -> Updates:
        """The form for a file, filled in as far as the file tells."""
        if payload is None:
            return self.start()
        try:
            path = uploaded_path(payload, self.uploads)
        except ImageError:
            return self.start(_FORGOTTEN)
        chosen = choose(path, str(payload.get("orig_name") or path.name), self.uploads)
        form = form_of(external_name(chosen.path), chosen.draft)
        return {
            self.notice: "",
            self.form: gr.update(visible=True),
            self.told: render("add_model/told.html", draft=chosen.draft, name=chosen.path.name),
            self.fed: gr.update(visible=chosen.draft.fed),
            **{field: getattr(form, name) for name, field in zip(FIELDS, self.fields, strict=True)},
            self.fields[_ARCHITECTURE]: gr.update(value=form.architecture, visible=bool(form.architecture)),
            self.result: "",
            self.saved: "",
            self.chosen: chosen,
        }

    @show_errors(_UNEXPECTED, lambda _, text: str(message(text)))
    def attempt(self, chosen: ChosenFile | None, event: gr.EventData, *values: Any) -> str:
        """What the model answers for the face of an example."""
        return self._attempt(chosen, CardForm(*values), self.examples[int(event.index)].path)

    def _attempt(self, chosen: ChosenFile | None, form: CardForm, picture: Path) -> str:
        if chosen is None:
            return message(_FORGOTTEN)
        model = chosen.load(form.name, card_of(form, chosen.draft))
        known = [each for name, each in self.analyzer.classifiers.items() if name != model.name]
        everyone = Analyzer([model, *known], self.analyzer.detector)
        analyzed = as_whole(analyze_picture(everyone, read_picture(picture).pixels))
        titles = {name: title for name, title in self.display.titles.items() if name != model.name}
        result = trial(analyzed.faces[0], model.name, model.card.architecture, titles)
        style = model_styles([*self.analyzer.classifiers, model.name])[model.name]
        return render("add_model/result.html", trial=result, title=model.card.title, style=style)

    def keep(self, chosen: ChosenFile | None, *values: Any) -> str:
        """Save the file and its card, if they are a model."""
        if chosen is None:
            return message(_FORGOTTEN)
        form = CardForm(*values)
        try:
            card = card_of(form, chosen.draft)
            chosen.load(form.name, card)
            file, beside = chosen.save(form.name, card, self.weights)
        except Exception as error:
            return message(as_message(error, _UNEXPECTED))
        return render("add_model/saved.html", file=file.name, card=beside.name, name=form.name)


def _close(chosen: ChosenFile | None) -> None:
    if chosen is not None:
        chosen.close()


def build(analyzer: Analyzer, uploads: Path, weights: Path) -> AddModelTab:
    """Build the tab inside the current `gr.Blocks`.

    Args:
        analyzer: the loaded models and the detector.
        uploads: folder where Gradio puts uploads.
        weights: folder that models are saved in.
    """
    return AddModelTab(analyzer, uploads, weights)
