"""Where a tab gets its picture: uploaded, pasted, taken with the camera or chosen from examples."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import gradio as gr

from dashboard.components.analyzed_image import AnalyzedImage, analyze_picture, load_examples
from dashboard.components.events import CHOOSE_EXAMPLE, PICTURE_SCRIPT
from dashboard.components.failures import as_message
from dashboard.components.templates import busy, message, render
from dashboard.components.uploads import uploaded_path
from fer_models.analyzer import Analyzer
from fer_models.media.images import read_picture

#: Pictures that anyone may try.
EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples"
#: Seconds after which an idle session's results are discarded.
FORGET: Final = 3600
FORGOTTEN: Final = "This picture was discarded after an hour of inactivity. Try it again."
UNEXPECTED: Final = "Something went wrong while analysing this picture. Try again, or try another picture."
NO_FACE: Final = (
    "No face was found in this picture. Try one where a face is larger, sharper, brighter or turned to the camera. If "
    "the picture is itself a single cropped face, as in many datasets, it can be classified as it is."
)

Updates: TypeAlias = dict[Any, Any]

#: Out of sight, but still there to take the next picture. Gradio loses `visible="hidden"` for what is in a tab that was
#: never open, as when another tab hands a picture over.
_AWAY: Final = "fer-away"


class PictureInput:
    """A tab's picture input and what it looks like in each state. Nothing of any session is kept here."""

    def __init__(
        self, name: str, analyzer: Analyzer, examples: Path, uploads: Path, above: str = "", below: str = ""
    ) -> None:
        """Lay it out inside the current `gr.Blocks`.

        Args:
            name: of the tab, in front of the elements' ids.
            analyzer: detects and classifies the faces.
            examples: folder of example pictures; may be empty or missing.
            uploads: folder where Gradio puts uploads.
            above: HTML above the input, shown as long as there is no picture.
            below: HTML below it.
        """
        self.analyzer, self.examples, self.uploads = analyzer, load_examples(examples), uploads
        self.notice = gr.HTML(visible=False, elem_id=f"{name}-notice")
        with gr.Row(elem_classes="fer-actions"):
            self.whole = gr.Button(
                "Classify the whole picture as one face", variant="primary", visible=False, elem_id=f"{name}-whole"
            )
            self.clear = gr.Button("Try another picture", visible=False, elem_id=f"{name}-clear")
        with gr.Column(elem_id=f"{name}-start") as self.start:
            gr.HTML(above, visible=bool(above))
            # The file as it was sent: `read_picture` decides what is decoded and how, not Gradio.
            self.image = gr.HTML(
                render("components/picture_input.html"), js_on_load=PICTURE_SCRIPT, elem_id=f"{name}-image"
            )
            self.gallery = gr.HTML(
                render("components/examples.html", examples=self.examples),
                visible=bool(self.examples),
                js_on_load=CHOOSE_EXAMPLE,
                elem_id=f"{name}-examples",
            )
            gr.HTML(below, visible=bool(below))
        self.outputs = [self.notice, self.whole, self.clear, self.start]

    def idle(self, text: str = "") -> Updates:
        """Ready for a picture; with a message if the last one could not be read."""
        return {
            self.notice: gr.update(value=message(text), visible=bool(text)),
            self.start: gr.update(elem_classes=[]),
            **{part: gr.update(visible=False) for part in (self.whole, self.clear)},
        }

    def busy(self) -> Updates:
        """A picture is being analysed."""
        return {
            self.notice: gr.update(value=busy("Detecting and classifying faces …"), visible=True),
            self.start: gr.update(elem_classes=[_AWAY]),
            self.clear: gr.update(value="Cancel", visible=True),
        }

    def done(self, *, has_faces: bool = True) -> Updates:
        """A picture has been analysed; without a face in it, the offer to classify it whole."""
        return {
            self.notice: gr.update(value="" if has_faces else message(NO_FACE), visible=not has_faces),
            self.whole: gr.update(visible=not has_faces),
            self.clear: gr.update(value="Try another picture", visible=True),
            self.start: gr.update(elem_classes=[_AWAY]),
        }

    def sent(self, event: gr.EventData) -> Path:
        """Where the picture lies that was sent.

        Raises:
            ImageError: it lies elsewhere.
        """
        return self.path({"path": getattr(event, "path", None)})

    def path(self, payload: Mapping[str, Any] | None) -> Path:
        """Where an upload lies.

        Raises:
            ImageError: there is none, or it lies elsewhere.
        """
        return uploaded_path(payload, self.uploads)

    def example(self, event: gr.EventData) -> Path:
        """Where the example that was clicked lies."""
        return self.examples[int(event.index)].path

    def analyze(
        self, source: Callable[[], Path], done: Callable[[AnalyzedImage], Updates], idle: Callable[[str], Updates]
    ) -> Iterator[Updates]:
        """Analyse a picture: that it is being analysed, with nothing of the last one, then what was found or a message.

        Args:
            source: says where it lies; may raise a FerError.
            done: the tab with its faces.
            idle: the tab without a picture, with a message.
        """
        yield {**idle(""), **self.busy()}
        try:
            path = source()
            picture = read_picture(path)
            yield done(analyze_picture(self.analyzer, picture.pixels, picture.notes, path.name))
        except Exception as error:
            yield idle(as_message(error, UNEXPECTED))
