"""Where a picture comes into a tab: uploaded, pasted, taken or chosen from examples; and the words around it."""

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import gradio as gr

from dashboard.components import face_view as markup
from dashboard.components.analyzed_image import AnalyzedImage, load_examples, read_faces
from dashboard.components.events import CHOOSE_EXAMPLE
from dashboard.components.uploads import uploaded_path
from fer_models.analyzer import Analyzer
from fer_models.errors import FerError
from fer_models.media.images import read_image

_log = logging.getLogger(__name__)

#: Pictures that anyone may try.
EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples"
#: Seconds after which an idle session's results are forgotten.
FORGET: Final = 3600
FORGOTTEN: Final = "This picture was forgotten after an hour without a change. Try it again."
UNEXPECTED: Final = "Something went wrong while reading this picture. Try again, or try another picture."

Updates: TypeAlias = dict[Any, Any]


class PictureInput:
    """A tab's picture input and what it looks like in each state. Nothing of any session is kept here."""

    def __init__(self, name: str, analyzer: Analyzer, examples: Path, uploads: Path) -> None:
        """Lay it out inside the current `gr.Blocks`.

        Args:
            name: of the tab, in front of the elements' ids.
            analyzer: reads the pictures.
            examples: folder of example pictures; may be empty or missing.
            uploads: folder where Gradio puts uploads.
        """
        self.analyzer, self.examples, self.uploads = analyzer, load_examples(examples), uploads
        self.notice = gr.HTML(visible=False, elem_id=f"{name}-notice")
        with gr.Row(elem_classes="fer-actions"):
            self.whole = gr.Button(
                "Read the whole picture as one face", variant="primary", visible=False, elem_id=f"{name}-whole"
            )
            self.clear = gr.Button("Try another picture", visible=False, elem_id=f"{name}-clear")
        with gr.Column(elem_id=f"{name}-start") as self.start:
            self.image = gr.Image(
                # The file as it was sent: `read_image` decides what is decoded and how, not Gradio.
                type="filepath",
                image_mode=None,
                sources=["upload", "clipboard", "webcam"],
                show_label=False,
                buttons=[],
                height=320,
                placeholder="Drop a photo here, or click to choose one",
                elem_id=f"{name}-image",
            )
            thumbs = [(example.title, example.thumbnail) for example in self.examples]
            self.gallery = gr.HTML(
                markup.examples(thumbs), visible=bool(thumbs), js_on_load=CHOOSE_EXAMPLE, elem_id=f"{name}-examples"
            )
        self.outputs = [self.notice, self.whole, self.clear, self.start, self.image]

    def idle(self, text: str = "") -> Updates:
        """Ready for a picture; with a message if the last one could not be read."""
        return {
            self.notice: gr.update(value=markup.message(text), visible=bool(text)),
            self.start: gr.update(visible=True),
            **{part: gr.update(visible=False) for part in (self.whole, self.clear)},
            self.image: None,
        }

    def busy(self) -> Updates:
        """A picture is being read."""
        return {
            self.notice: gr.update(value=markup.busy("Looking for faces and reading them …"), visible=True),
            self.start: gr.update(visible=False),
            self.clear: gr.update(value="Cancel", visible=True),
        }

    def taken(self, *, found: bool = True) -> Updates:
        """A picture has been read; without a face in it, the offer to read it whole."""
        return {
            self.notice: gr.update(value="" if found else markup.message(markup.NO_FACE), visible=not found),
            self.whole: gr.update(visible=not found),
            self.clear: gr.update(value="Try another picture", visible=True),
            self.start: gr.update(visible=False),
            self.image: None,
        }

    def path(self, payload: Mapping[str, Any] | None) -> Path:
        """Where an upload lies.

        Raises:
            ImageError: there is none, or it lies elsewhere.
        """
        return uploaded_path(payload, self.uploads)

    def example(self, event: gr.EventData) -> Path:
        """Where the example that was clicked lies."""
        return self.examples[int(event.index)].path

    def read(
        self, source: Callable[[], Path], done: Callable[[AnalyzedImage], Updates], idle: Callable[[str], Updates]
    ) -> Iterator[Updates]:
        """Read a picture: that it is being read, then what was found or a message.

        Args:
            source: says where it lies; may raise a FerError.
            done: the tab with its faces.
            idle: the tab without a picture, with a message.
        """
        yield self.busy()
        try:
            yield done(read_faces(self.analyzer, read_image(source())))
        except FerError as error:
            yield idle(str(error))
        except Exception:  # whatever it is, the user gets words and not a stack trace
            _log.exception("reading a picture failed")
            yield idle(UNEXPECTED)
