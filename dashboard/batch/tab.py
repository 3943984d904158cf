"""The Batch tab: many pictures or a zip in, one table of all faces out, and where the models differ most."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final

import gradio as gr

from dashboard.batch import view
from dashboard.batch.faces.section import FacesSection
from dashboard.batch.figures import distribution_figure
from dashboard.batch.labels.section import LabelsSection
from dashboard.batch.quiz.section import QuizSection
from dashboard.batch.session import GONE, AnalyzedBatch, document, read_batch
from dashboard.batch.uploads import BatchPictures, Payload, keep_uploads
from dashboard.components.display import model_display
from dashboard.components.events import HIDDEN, sent_value
from dashboard.components.failures import as_message
from dashboard.components.file_download import FileDownload
from dashboard.components.picture_input import EXAMPLES, Updates
from dashboard.components.templates import busy, macro, message
from dashboard.components.uploads import uploaded_path
from fer_models.analyzer import Analyzer
from fer_models.batch.labels import labels_from_folders, read_labels
from fer_models.batch.table import table_columns, to_frame, write_table
from fer_models.errors import BatchError
from fer_models.media.images import Picture

_UNEXPECTED: Final = "Something went wrong while analysing this batch. Try again, or try fewer pictures."
_UNWRITTEN: Final = "The file could not be made. Try again, or try fewer pictures."
#: Seconds after which an idle session's results are forgotten.
_FORGET: Final = 3600
#: Batches analysed at the same time; others wait.
_AT_ONCE: Final = 2
_DOWNLOADS: Final = {"CSV": "expressions.csv", "JSON": "expressions.json", "Parquet": "expressions.parquet"}

# The chart has no event of its own: which bar was clicked follows from where the bars are.
_CLICK_BARS: Final = """
document.addEventListener('click', (event) => {
  const plot = event.target.closest?.('#batch-chart .js-plotly-plot');
  if (!plot) return;
  [...plot.querySelectorAll('.trace.bars')].forEach((trace, index) => {
    [...trace.querySelectorAll('.point')].forEach((bar, place) => {
      const {left, right} = bar.getBoundingClientRect();
      if (right === left || event.clientX < left || event.clientX >= right) return;
      const {meta, customdata} = plot.data[index];
      trigger('select', {model: meta, answer: customdata[place]});
    });
  });
}, true);
"""


class BatchTab:
    """The components of one page and what each callback does to them. Nothing of any session is kept here."""

    def __init__(self, analyzer: Analyzer, uploads: Path, example: Path) -> None:
        """Lay the tab out inside the current `gr.Blocks` and connect it."""
        self.analyzer, self.uploads, self.zip = analyzer, uploads, example
        self.display = model_display({name: model.card for name, model in analyzer.classifiers.items()})
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        self.notice = gr.HTML(visible=False, elem_id="batch-notice")
        with gr.Column(elem_id="batch-start") as self.start:
            gr.HTML(view.introduction())
            self.files = gr.File(
                file_count="multiple",
                label="Pictures, or one zip of them",
                height=220,
                elem_id="batch-files",
            )
            with gr.Accordion("Options", open=False, elem_id="batch-options"):
                self.models = gr.CheckboxGroup(
                    [(card.title, name) for name, card in self.display.cards.items()],
                    value=list(self.display.cards),
                    label="Models",
                    elem_id="batch-models",
                )
                self.whole = gr.Checkbox(
                    label="Analyse a picture in which no face is found as one face", elem_id="batch-whole"
                )
                gr.HTML(view.labels_hint())
                self.labels = gr.File(label="Labels (a CSV)", height=120, elem_id="batch-labels")
            with gr.Row(elem_classes="fer-actions"):
                self.read = gr.Button("Analyse the pictures", variant="primary", elem_id="batch-read")
                self.example = gr.Button("Try the example", visible=self.zip.is_file(), elem_id="batch-example")
        with gr.Row(elem_classes="fer-actions"):
            self.stop = gr.Button("Stop and keep what is done", visible=False, elem_id="batch-stop")
            self.clear = gr.Button("Analyse other pictures", visible=False, elem_id="batch-clear")
        self.quiz = QuizSection(self.display, self.uploads)
        with gr.Column(visible=False, elem_id="batch-results") as self.results:
            self._lay_out_results()
        self.analyzed = gr.State(None, time_to_live=_FORGET)

    def _lay_out_results(self) -> None:
        with gr.Column(elem_classes="fer-panel"):
            self.summary = gr.HTML(elem_id="batch-summary")
            gr.HTML(macro("heading", "", "Download every row with every probability:"))
            with gr.Row(elem_classes="fer-actions"):
                self.downloads = {kind: gr.Button(kind, elem_id=f"batch-{kind.lower()}") for kind in _DOWNLOADS}
                self.download = FileDownload(self.uploads, "batch-file")
        with gr.Column(elem_classes="fer-panel"):
            self.quiz.lay_out_start()
        with gr.Column(elem_classes="fer-panel"):
            gr.HTML(macro("heading", "How often each model gives each answer"))
            self.key = gr.HTML(js_on_load=_CLICK_BARS)
            self.chart = gr.Plot(show_label=False, container=False, elem_classes="fer-chart", elem_id="batch-chart")
        with gr.Column(visible=False, elem_classes="fer-panel", elem_id="batch-figures") as self.labelled:
            self.against = LabelsSection(self.display, self.uploads)
        with gr.Column(elem_classes="fer-panel", elem_id="batch-faces"):
            self.faces = FacesSection(self.display)

    def _connect(self) -> None:
        stages = [self.notice, self.start, self.stop, self.clear, self.results, self.labelled]
        parts = [self.summary, self.key, self.chart, *self.against.outputs, *self.faces.outputs]
        everything = [*stages, *parts, *self.quiz.outputs, self.files, self.labels, self.analyzed]
        # preprocess=False hands over where the uploads lie instead of what Gradio makes of them.
        one_of_few: dict[str, Any] = {"preprocess": False, "concurrency_limit": _AT_ONCE, "concurrency_id": "batch"}
        options = [self.models, self.whole]
        runs = [
            button.click(self.waiting, outputs=everything, queue=False, **HIDDEN).then(
                run, inputs, everything, **one_of_few, **HIDDEN
            )
            for button, run, inputs in (
                (self.read, self.run, [self.files, self.labels, *options]),
                (self.example, self.run_example, options),
            )
        ]
        self.stop.click(self.finished, self.analyzed, everything, cancels=runs, queue=False, **HIDDEN)
        self.clear.click(self.idle, outputs=everything, queue=False, **HIDDEN)
        self.faces.connect(self.analyzed)
        self.faces.follow(self.key, self.analyzed)
        self.against.connect(self.analyzed)
        self.faces.follow(self.against.figures, self.analyzed, self.against.least)
        self.quiz.connect(self.analyzed, self.results)
        #: What shows faces that can be opened elsewhere, see `opened_face`.
        self.opens = [self.faces.table, self.faces.gallery, self.against.wrong, self.quiz.shown]
        for kind, button in self.downloads.items():
            self.download.connect(button, partial(self.write, kind), [self.analyzed], _UNWRITTEN)

    # What the page can look like. Each is the one renderer of its state.

    def idle(self, text: str = "", *, keep: bool = False) -> Updates:
        """Ready for pictures, everything else forgotten.

        Args:
            text: a message, if the last ones could not be analysed.
            keep: leave the chosen files where they are, so that only what is wrong needs a change.
        """
        return {
            self.notice: gr.update(value=message(text), visible=bool(text)),
            self.start: gr.update(visible=True),
            **{part: gr.update(visible=False) for part in (self.stop, self.clear, self.results, self.labelled)},
            **{part: "" for part in (self.summary, self.key)},
            **{part: None for part in (self.chart, self.analyzed)},
            # Here and not with the next results: the text's change would filter those by what the others were before.
            **self.faces.empty(),
            **self.against.empty(),
            **self.quiz.empty(),
            **({} if keep else {self.files: None, self.labels: None}),
        }

    def waiting(self) -> Updates:
        """The pictures are about to be analysed, or wait for a free place; nothing of an earlier batch is left."""
        return {
            self.notice: gr.update(value=busy("Getting the pictures ready …"), visible=True),
            self.start: gr.update(visible=False),
            self.stop: gr.update(visible=True),
            self.analyzed: None,
        }

    def progress(self, analyzed: AnalyzedBatch) -> Updates:
        """Some pictures are analysed."""
        return {self.notice: gr.update(value=view.progress(analyzed)), self.analyzed: analyzed}

    def finished(self, analyzed: AnalyzedBatch | None) -> Updates:
        """All pictures are analysed, or the analysis was stopped."""
        if analyzed is None or not analyzed.done:
            return self.idle(keep=True)
        models = list(analyzed.models)
        return {
            self.notice: gr.update(value="", visible=False),
            self.start: gr.update(visible=False),
            self.stop: gr.update(visible=False),
            self.clear: gr.update(visible=True),
            self.results: gr.update(visible=True),
            self.summary: view.summary(analyzed),
            self.key: macro("key", [(self.display.styles[name], self.display.cards[name].title) for name in models]),
            self.chart: distribution_figure(analyzed.rows, models, self.display.titles, self.display.styles),
            self.labelled: gr.update(visible=bool(analyzed.labelled)),
            **self.against.done(analyzed),
            **self.quiz.empty(),
            **self.faces.done(analyzed),
            self.files: None,
            self.labels: None,
            self.analyzed: analyzed,
        }

    # What the user can do.

    def run(
        self, payload: Sequence[Payload] | None, labels: Payload | None, models: Sequence[str], whole: bool
    ) -> Generator[Updates]:
        """Analyse the uploads; progress now and then, everything in the end."""
        yield from self._analyse(lambda: keep_uploads(payload or (), self.uploads), labels, models, whole)

    def run_example(self, models: Sequence[str], whole: bool) -> Generator[Updates]:
        """Analyse the example zip in the same way."""
        yield from self._analyse(lambda: BatchPictures([(self.zip.name, self.zip)]), None, models, whole)

    def _analyse(
        self, source: Callable[[], BatchPictures], labels: Payload | None, models: Sequence[str], whole: bool
    ) -> Generator[Updates]:
        try:
            kept = source()
            with kept.opened() as pictures:
                names = [file.name for file in pictures.files]
                if labels:
                    given = read_labels(uploaded_path(labels, self.uploads), names)
                else:
                    given = labels_from_folders(names)
                chosen = [name for name in self.display.cards if name in models]
                if not chosen:
                    raise BatchError("No model is chosen. Tick at least one under Options.")
                last = None
                options: dict[str, Any] = {"models": chosen, "whole_if_none": bool(whole), "kept": kept}
                with closing(read_batch(self.analyzer, pictures, given, **options)) as readings:
                    for last in readings:
                        yield self.progress(last)
            yield self.finished(last)
        except Exception as error:
            yield self.idle(as_message(error, _UNEXPECTED), keep=True)

    def opened_face(self, analyzed: AnalyzedBatch | None, event: gr.EventData) -> tuple[Picture, str, int]:
        """The picture of the face that was clicked, its file's name, and the number of the face, counted from 0.

        Raises:
            FerError: the batch was forgotten, or the picture cannot be read any more.
        """
        if analyzed is None:
            raise BatchError(GONE)
        return analyzed.face(sent_value(event, "row"))

    def write(self, kind: str, folder: Path, analyzed: AnalyzedBatch | None) -> Path:
        """Write one kind of file into a folder; its path.

        Raises:
            BatchError: the batch was forgotten, or the file cannot be written.
        """
        if analyzed is None:
            raise BatchError(GONE)
        path = folder / _DOWNLOADS[kind]
        if kind == "JSON":
            path.write_text(document(analyzed), encoding="utf-8")
        else:
            columns = table_columns(analyzed.models, labelled=bool(analyzed.labelled))
            write_table(to_frame(analyzed.rows, columns), path)
        return path


def build(analyzer: Analyzer, uploads: Path, example: Path = EXAMPLES / "batch.zip") -> BatchTab:
    """Build the tab inside the current `gr.Blocks`.

    Args:
        analyzer: shared by all sessions.
        uploads: folder where Gradio puts uploads.
        example: a zip to try; may be missing.
    """
    return BatchTab(analyzer, uploads, example)
