"""The Batch tab: many pictures or a zip in, one table of all faces out, and where the models differ most."""

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import gradio as gr

from dashboard.batch import view
from dashboard.batch.figures import distribution_figure
from dashboard.batch.session import (
    ALL,
    DIFFER,
    NO_RESULT,
    POOR,
    AnalyzedBatch,
    Order,
    chosen_rows,
    document,
    read_batch,
)
from dashboard.batch.uploads import ZIP_LIMITS, Payload, uploaded_pictures
from dashboard.components.display import model_display
from dashboard.components.events import CHANGED, CLICKED, sent_value
from dashboard.components.failures import as_message
from dashboard.components.file_download import FileDownload
from dashboard.components.picture_input import EXAMPLES
from dashboard.components.templates import busy, macro, message, render
from dashboard.components.uploads import uploaded_path
from fer_models.analyzer import Analyzer
from fer_models.batch.labels import labels_from_folders, read_labels
from fer_models.batch.table import table_columns, to_frame, write_table
from fer_models.errors import BatchError
from fer_models.expressions import in_display_order
from fer_models.media.sources import Pictures, open_pictures

_UNEXPECTED: Final = "Something went wrong while analysing this batch. Try again, or try fewer pictures."
_UNWRITTEN: Final = "The file could not be made. Try again, or try fewer pictures."
_FORGOTTEN: Final = "This batch was forgotten after an hour without a change. Analyse it again."
#: Seconds after which an idle session's results are forgotten.
_FORGET: Final = 3600
#: Batches analysed at the same time; others wait.
_AT_ONCE: Final = 2
_DOWNLOADS: Final = {"CSV": "expressions.csv", "JSON": "expressions.json", "Parquet": "expressions.parquet"}

# The heading or button that was pressed is written anew: it keeps the focus.
_TABLE: Final = """
let pressed = null;
const same = ({dataset}) => dataset.sort === pressed?.sort && dataset.page === pressed?.page;
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-sort], [data-page]');
  if (!button) return;
  pressed = {...button.dataset};
  trigger('select', {sort: pressed.sort ?? null, page: Number(pressed.page ?? 0)});
});
watch('value', () => {
  if (pressed) [...element.querySelectorAll('[data-sort], [data-page]')].find(same)?.focus({preventScroll: true});
  pressed = null;
});
"""

Updates: TypeAlias = dict[Any, Any]


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
        with gr.Column(visible=False, elem_id="batch-results") as self.results:
            self._lay_out_results()
        self.analyzed = gr.State(None, time_to_live=_FORGET)
        self.order = gr.State(Order())

    def _lay_out_results(self) -> None:
        with gr.Column(elem_classes="fer-panel"):
            self.summary = gr.HTML(elem_id="batch-summary")
            gr.HTML(macro("heading", "", "Download every row with every probability:"))
            with gr.Row(elem_classes="fer-actions"):
                self.downloads = {kind: gr.Button(kind, elem_id=f"batch-{kind.lower()}") for kind in _DOWNLOADS}
                self.download = FileDownload(self.uploads, "batch-file")
        with gr.Column(elem_classes="fer-panel"):
            gr.HTML(macro("heading", "How often each model predicts what"))
            self.key = gr.HTML()
            self.chart = gr.Plot(show_label=False, container=False, elem_classes="fer-chart", elem_id="batch-chart")
        with gr.Column(visible=False, elem_classes="fer-panel", elem_id="batch-figures") as self.labelled:
            gr.HTML(macro("heading", "Against the labels"))
            self.figures = gr.HTML()
            gr.HTML(macro("heading", "Labels that are likely wrong"))
            self.wrong = gr.HTML(elem_id="batch-wrong")
        with gr.Column(elem_classes="fer-panel"):
            hint = "Click a heading to sort by its column. The faces below follow the filters."
            gr.HTML(macro("heading", "Every face", hint))
            with gr.Row():
                self.text = gr.Textbox(
                    label="Find", placeholder="Part of a file name, label or note", elem_id="batch-text"
                )
                self.expression = gr.Dropdown(
                    [("Any", ALL)], value=ALL, label="Some model predicts", elem_id="batch-says"
                )
            self.show = gr.Radio(
                [
                    ("All", ALL),
                    ("Faces the models differ on", DIFFER),
                    ("Faces hard to read", POOR),
                    ("Files without a result", NO_RESULT),
                ],
                value=ALL,
                label="Show",
                elem_id="batch-show",
            )
            self.table = gr.HTML(js_on_load=_TABLE, elem_id="batch-table")
            gr.HTML(macro("heading", "Where the models differ most"))
            self.gallery = gr.HTML(elem_id="batch-gallery")

    def _connect(self) -> None:
        hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        filters = [self.text, self.show, self.expression]
        stages = [self.notice, self.start, self.stop, self.clear, self.results, self.labelled]
        parts = [self.summary, self.key, self.chart, self.figures, self.wrong, self.table, self.gallery]
        everything = [*stages, *parts, *filters, self.files, self.labels, self.analyzed, self.order]
        # preprocess=False hands over where the uploads lie instead of what Gradio makes of them.
        one_of_few: dict[str, Any] = {"preprocess": False, "concurrency_limit": _AT_ONCE, "concurrency_id": "batch"}
        options = [self.models, self.whole]
        runs = [
            button.click(self.waiting, outputs=everything, queue=False, **hidden).then(
                run, inputs, everything, **one_of_few, **hidden
            )
            for button, run, inputs in (
                (self.read, self.run, [self.files, self.labels, *options]),
                (self.example, self.run_example, options),
            )
        ]
        self.stop.click(self.finished, self.analyzed, everything, cancels=runs, queue=False, **hidden)
        self.clear.click(self.idle, outputs=everything, queue=False, **hidden)
        narrow: dict[str, Any] = {"fn": self.filtered, "inputs": [self.analyzed, self.order, *filters]}
        # One after the other, so that no answer to an earlier change undoes a later one.
        in_turn: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "batch-table", **hidden}
        narrow |= {"outputs": [self.table, self.gallery, self.order], **CHANGED, **in_turn}
        # Not text.input: after a reset to the text it has already, Gradio takes the next input for its own.
        for event in (self.text.change, self.show.input, self.expression.input):
            event(**narrow)
        chosen = [self.analyzed, self.order, *filters]
        self.table.select(self.sort_or_turn, chosen, [self.table, self.order], **CLICKED, **in_turn)
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
            **{part: "" for part in (self.summary, self.key, self.figures, self.wrong, self.table, self.gallery)},
            **{part: None for part in (self.chart, self.analyzed)},
            self.order: Order(),
            # Here and not with the next results: the text's change would filter those by what the others were before.
            self.text: "",
            self.show: ALL,
            self.expression: ALL,
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
        known = in_display_order({label for labels in analyzed.models.values() for label in labels})
        figures = analyzed.figures
        table, gallery, order = self.filtered(analyzed, Order(), "", ALL, ALL)
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
            self.figures: view.metrics(analyzed, figures, self.display) if analyzed.labelled else "",
            self.wrong: view.likely_wrong(analyzed) if analyzed.labelled else "",
            self.expression: gr.update(choices=[("Any", ALL), *((name.capitalize(), name) for name in known)]),
            self.table: table,
            self.gallery: gallery,
            self.order: order,
            self.files: None,
            self.labels: None,
            self.analyzed: analyzed,
        }

    # What the user can do.

    def run(
        self, payload: Sequence[Payload] | None, labels: Payload | None, models: Sequence[str], whole: bool
    ) -> Generator[Updates]:
        """Analyse the uploads; progress now and then, everything in the end."""
        yield from self._analyse(uploaded_pictures(payload or (), self.uploads), labels, models, whole)

    def run_example(self, models: Sequence[str], whole: bool) -> Generator[Updates]:
        """Analyse the example zip in the same way."""
        yield from self._analyse(open_pictures(self.zip, ZIP_LIMITS, name=self.zip.name), None, models, whole)

    def _analyse(
        self, source: AbstractContextManager[Pictures], labels: Payload | None, models: Sequence[str], whole: bool
    ) -> Generator[Updates]:
        try:
            with source as pictures:
                names = [file.name for file in pictures.files]
                if labels:
                    given = read_labels(uploaded_path(labels, self.uploads), names)
                else:
                    given = labels_from_folders(names)
                chosen = [name for name in self.display.cards if name in models]
                if not chosen:
                    raise BatchError("No model is chosen. Tick at least one under Options.")
                last = None
                readings = read_batch(self.analyzer, pictures, given, models=chosen, whole_if_none=bool(whole))
                with closing(readings):
                    for last in readings:
                        yield self.progress(last)
            yield self.finished(last)
        except Exception as error:
            yield self.idle(as_message(error, _UNEXPECTED), keep=True)

    def filtered(
        self, analyzed: AnalyzedBatch | None, order: Order, text: str, show: str, expression: str
    ) -> tuple[Any, str, Order]:
        """The first page of the rows that pass the filters, their gallery, and where the table is."""
        order = replace(order, page=0)
        if analyzed is None:
            return "", message(_FORGOTTEN), order
        indices = chosen_rows(analyzed, text, show, expression)
        return self._table(analyzed, indices, order), view.gallery(analyzed, indices, self.display), order

    def sort_or_turn(
        self,
        analyzed: AnalyzedBatch | None,
        order: Order,
        text: str,
        show: str,
        expression: str,
        event: gr.EventData,
    ) -> tuple[str, Order]:
        """The table by the column whose heading was clicked, or its page of that number."""
        if analyzed is None:
            return message(_FORGOTTEN), order
        sort, page = sent_value(event, "sort"), sent_value(event, "page")
        if isinstance(sort, str):
            order = order.by(sort)
        elif isinstance(page, int):
            order = replace(order, page=page)
        return self._table(analyzed, chosen_rows(analyzed, text, show, expression), order), order

    def _table(self, analyzed: AnalyzedBatch, indices: Sequence[int], order: Order) -> str:
        return render("batch/table.html", table=view.table(analyzed, indices, order, self.display))

    def write(self, kind: str, folder: Path, analyzed: AnalyzedBatch | None) -> Path:
        """Write one kind of file into a folder; its path.

        Raises:
            BatchError: the batch was forgotten, or the file cannot be written.
        """
        if analyzed is None:
            raise BatchError(_FORGOTTEN)
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
