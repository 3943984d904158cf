"""Section of the Compare tab: the chosen face beside a second one, and the morph from the one to the other."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import gradio as gr

from dashboard.compare.what_if.bench import SWEEPING, UNEXPECTED, Bench
from dashboard.compare.what_if.sweep import morph_to
from dashboard.compare.what_if.view import pair_view
from dashboard.components.analyzed_image import AnalyzedImage, Example, analyze_picture
from dashboard.components.display import ModelDisplay
from dashboard.components.events import CHOOSE_FACE, CLICKED, HIDDEN
from dashboard.components.failures import yield_errors
from dashboard.components.jobs import COMPARE_AT_ONCE
from dashboard.components.picture_input import FORGET, FORGOTTEN, Updates
from dashboard.components.picture_view import picture_view, position
from dashboard.components.templates import macro, render
from dashboard.components.uploads import uploaded_path
from fer_models.analyzer import Analyzer
from fer_models.errors import ImageError
from fer_models.media.images import read_picture

_INTRODUCTION: Final = (
    "Every model’s answer for the chosen face and for a second one, and the way from the one to the other. Both faces "
    "are aligned by eyes, nose and mouth corners; the morph blends their pixels linearly, as a cross-fade does. "
    "You can also drop the second picture here, or click here and paste it."
)
_NO_FACE: Final = (
    "No face was found in {name}. Choose a picture where a face is larger, sharper, brighter or turned to the camera."
)


class SecondFaceSection:
    """Computes once there is a second face. Nothing of any session is kept here."""

    def __init__(self, analyzer: Analyzer, display: ModelDisplay, examples: Sequence[Example], uploads: Path) -> None:
        """Lay the section out inside the current `gr.Blocks`.

        Args:
            analyzer: the loaded models and the detector.
            display: cards, styles and ensembles.
            examples: pictures that anyone may try.
            uploads: folder where Gradio puts uploads.
        """
        self.analyzer, self.display, self.examples, self.uploads = analyzer, display, examples, uploads
        with gr.Accordion(
            "What if it were a different face?", open=False, elem_id="compare-second", elem_classes="fer-takes-picture"
        ):
            gr.HTML(macro("heading", "", _INTRODUCTION))
            with gr.Row(elem_classes="fer-actions"):
                self.upload = gr.UploadButton("Choose a second picture", size="md", elem_id="compare-second-upload")
                self.other = gr.Button(
                    "Another face of this picture", size="md", visible=False, elem_id="compare-second-other"
                )
            self.example = gr.Dropdown(
                [(each.title, number) for number, each in enumerate(examples)],
                value=None,
                label="Or an example",
                visible=bool(examples),
                elem_id="compare-second-example",
            )
            self.faces = gr.HTML(js_on_load=CHOOSE_FACE, elem_id="compare-second-faces")
            self.pair = gr.HTML(elem_id="compare-second-pair")
            self.bench = Bench("compare-morph", "morph", analyzer, display)
        self.second = gr.State(None, time_to_live=FORGET)
        self.index = gr.State(0, time_to_live=FORGET)
        self.chosen = [self.other, self.example, self.faces, self.pair, self.second, self.index]
        self.outputs = [*self.chosen, *self.bench.outputs]

    def connect(self, analyzed: gr.State, index: gr.State, chosen: Any, replaced: Sequence[Any]) -> list[Any]:
        """Connect the section to the tab's face.

        Args:
            analyzed: holds an `AnalyzedImage` or None.
            index: holds the index of the chosen face.
            chosen: the event after which another face of the same picture is shown.
            replaced: events after which another picture, or none, is shown: they end what is shown of two.

        Returns:
            The events that compute. Whatever begins to replace the picture must cancel them, or their answer about the
            former one may come last.
        """
        face = [analyzed, index]
        reads = {"outputs": self.outputs, "concurrency_limit": COMPARE_AT_ONCE, "concurrency_id": "compare", **HIDDEN}
        computing = [
            self.upload.upload(self.read_upload, [*face, self.upload], **reads),
            self.example.input(self.read_example, [*face, self.example], **reads),
            self.other.click(self.take_other, face, self.outputs, **SWEEPING),
            self.faces.select(self.choose_face, [*face, self.second], self.outputs, **CLICKED, **SWEEPING),
            chosen.then(self.show, [*face, self.second, self.index], self.outputs, **SWEEPING),
        ]
        for event in replaced:
            event.then(self.fresh, analyzed, self.outputs, **HIDDEN)
        self.bench.connect()
        return computing

    def fresh(self, analyzed: AnalyzedImage | None = None, text: str = "") -> Updates:
        """No second face; with a message, if there is one."""
        return {
            self.other: gr.update(visible=analyzed is not None and len(analyzed.faces) > 1),
            self.example: None,
            **{part: "" for part in (self.faces, self.pair)},
            self.second: None,
            self.index: 0,
            **self.bench.empty(text),
        }

    @yield_errors(UNEXPECTED, lambda self, text: self.bench.empty(text))
    def read_upload(self, analyzed: AnalyzedImage | None, index: int, path: str | None) -> Iterator[Updates]:
        """Take the largest face of a picture that was sent."""
        yield self.fresh(analyzed)
        yield self.bench.busy("Detecting and classifying faces …")
        yield from self._read(analyzed, index, uploaded_path({"path": path}, self.uploads))

    @yield_errors(UNEXPECTED, lambda self, text: self.bench.empty(text))
    def read_example(self, analyzed: AnalyzedImage | None, index: int, number: int | None) -> Iterator[Updates]:
        """Take the largest face of an example."""
        yield self.fresh(analyzed) | {self.example: number}
        if number is None:
            return
        yield self.bench.busy("Detecting and classifying faces …")
        yield from self._read(analyzed, index, self.examples[number].path)

    def _read(self, analyzed: AnalyzedImage | None, index: int, path: Path) -> Iterator[Updates]:
        read = read_picture(path)
        second = analyze_picture(self.analyzer, read.pixels, read.notes, path.name)
        if not second.faces:
            raise ImageError(_NO_FACE.format(name=path.name))
        yield from self._compare(analyzed, index, second, 0)

    @yield_errors(UNEXPECTED, lambda self, text: self.bench.empty(text))
    def take_other(self, analyzed: AnalyzedImage | None, index: int) -> Iterator[Updates]:
        """Take another face of the same picture."""
        if analyzed is not None:
            yield {self.example: None}
        yield from self._compare(analyzed, index, analyzed, 1 if index == 0 else 0)

    @yield_errors(UNEXPECTED, lambda self, text: self.bench.empty(text))
    def choose_face(
        self, analyzed: AnalyzedImage | None, index: int, second: AnalyzedImage | None, event: gr.EventData
    ) -> Iterator[Updates]:
        """Take another face of the second picture; the browser has marked it already."""
        yield from self._compare(analyzed, index, second, int(event.index), anew=False)

    @yield_errors(UNEXPECTED, lambda self, text: self.bench.empty(text))
    def show(
        self, analyzed: AnalyzedImage | None, index: int, second: AnalyzedImage | None, other: int
    ) -> Iterator[Updates]:
        """Another first face; nothing while there is no second one."""
        if second is not None:
            yield from self._compare(analyzed, index, second, other, anew=False)

    def _compare(
        self,
        analyzed: AnalyzedImage | None,
        index: int,
        second: AnalyzedImage | None,
        other: int,
        *,
        anew: bool = True,
    ) -> Iterator[Updates]:
        """Both faces side by side, then the morph.

        Args:
            analyzed: the tab's picture.
            index: of its face.
            second: the second picture.
            other: index of its face.
            anew: whether the second picture is another one than the page shows.

        Raises:
            ImageError: a picture was discarded, or has no such face.
        """
        pictures = ((analyzed, index), (second, other))
        if analyzed is None or second is None or any(not 0 <= at < len(one.faces) for one, at in pictures if one):
            raise ImageError(FORGOTTEN)
        first_face, second_face = analyzed.faces[index], second.faces[other]
        captions = (_caption("First", analyzed, index), _caption("Second", second, other))
        if anew:
            strip = render("compare/what_if/faces.html", faces=picture_view(second).faces, chosen=other)
            # Never hidden: what comes right after it is shown again may be lost.
            yield {self.faces: strip if len(second.faces) > 1 else "", self.second: second}
        pair = pair_view(first_face, second_face, captions, self.display)
        yield {
            self.pair: render("compare/what_if/pair.html", pair=pair),
            self.index: other,
            **self.bench.busy("Blending the faces …"),
        }
        yield self.bench.run(first_face, morph_to(second_face))


def _caption(which: str, analyzed: AnalyzedImage, index: int) -> str:
    place = position(analyzed, index)
    return f"{which}: {place[0].lower()}{place[1:]}{f' in {analyzed.name}' if analyzed.name else ''}"
