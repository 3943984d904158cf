"""The section of the Batch tab for labels: the models measured against them, and likely wrong ones corrected."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import gradio as gr

from dashboard.batch.labels import view
from dashboard.batch.labels.review import Review, write_decisions
from dashboard.batch.session import GONE, AnalyzedBatch
from dashboard.components.display import ModelDisplay
from dashboard.components.events import CHANGED, CLICKED, HIDDEN, LEAST_CONFIDENCE, OPEN_FACE, sent_value
from dashboard.components.file_download import FileDownload
from dashboard.components.picture_input import Updates
from dashboard.components.templates import macro, message
from fer_models.errors import BatchError
from fer_models.expressions import EXPRESSIONS

_UNWRITTEN: Final = "The file could not be made. Try again."
_CELLS: Final = """
element.addEventListener('click', (event) => {
  const cell = event.target.closest('td')?.querySelector('[data-answer]');
  if (cell) trigger('select', {...cell.dataset});
});
"""
# What was pressed is written anew: it keeps the focus.
_DECIDE: Final = """
let pressed = null;
const same = ({tagName, dataset}) => tagName === pressed.tagName && dataset.row === pressed.dataset.row
  && dataset.decide === pressed.dataset.decide && dataset.page === pressed.dataset.page;
const send = (node, data) => { pressed = node; trigger('select', data); };
element.addEventListener('click', ({target}) => {
  const button = target.closest('[data-decide], [data-page]');
  if (button?.dataset.page) send(button, {page: Number(button.dataset.page)});
  else if (button) send(button, {row: Number(button.dataset.row), label: button.dataset.decide});
});
element.addEventListener('change', ({target}) => {
  const {value, dataset} = target;
  send(target, {row: Number(dataset.row), label: value || null});
});
watch('value', () => {
  if (pressed) [...element.querySelectorAll('button, select')].find(same)?.focus({preventScroll: true});
  pressed = null;
});
"""


class LabelsSection:
    """The components and what each callback does to them. Nothing of any session is kept here."""

    def __init__(self, display: ModelDisplay, uploads: Path) -> None:
        """Lay the section out inside the current `gr.Blocks`.

        Args:
            display: of the models.
            uploads: folder where Gradio puts uploads.
        """
        self.display = display
        gr.HTML(macro("heading", "Against the labels"))
        self.least = gr.Slider(
            **LEAST_CONFIDENCE,
            info="At 0 every answer counts. At higher values the models abstain more often and make fewer errors.",
            elem_id="batch-least",
        )
        self.figures = gr.HTML(js_on_load=_CELLS, elem_id="batch-metrics")
        gr.HTML(macro("heading", "Labels that are likely wrong"))
        self.wrong = gr.HTML(js_on_load=_DECIDE + OPEN_FACE, elem_id="batch-wrong")
        with gr.Row(elem_classes="fer-actions"):
            self.export = gr.Button("Download decisions (CSV)", visible=False, elem_id="batch-decisions")
            self.file = FileDownload(uploads, "batch-decisions-file")
        self.review = gr.State(Review())
        self.outputs = [self.least, self.figures, self.wrong, self.export, self.review]

    def connect(self, analyzed: gr.State) -> None:
        """Connect the section to the batch, an `AnalyzedBatch` or None."""
        self.least.input(self.measured, [analyzed, self.least], self.figures, **CHANGED, **HIDDEN)
        decided = [self.wrong, self.export, self.review]
        # One after the other: each click adds to what the last one decided.
        turns = {"concurrency_limit": 1, "concurrency_id": "batch-labels", **CLICKED, **HIDDEN}
        self.wrong.select(self.decide, [analyzed, self.review], decided, **turns)
        self.file.connect(self.export, self.write, [analyzed, self.review], _UNWRITTEN)

    # What the section can look like.

    def empty(self) -> Updates:
        """Without labels."""
        return {
            self.least: 0,
            self.figures: "",
            self.wrong: "",
            self.export: gr.update(visible=False),
            self.review: Review(),
        }

    def done(self, analyzed: AnalyzedBatch) -> Updates:
        """A new batch, nothing decided."""
        if not analyzed.labelled:
            return self.empty()
        return {
            **self.empty(),
            self.figures: view.metrics(analyzed, 0.0, self.display),
            **self._reviewed(analyzed, Review()),
        }

    def _reviewed(self, analyzed: AnalyzedBatch, review: Review) -> Updates:
        return {
            self.wrong: view.likely_wrong(analyzed, review),
            self.export: gr.update(visible=bool(review.decided)),
            self.review: review,
        }

    # What the user can do.

    def measured(self, analyzed: AnalyzedBatch | None, least: float) -> str:
        """The models on what they are confident about."""
        if analyzed is None or not analyzed.labelled:
            return ""
        return view.metrics(analyzed, float(least or 0), self.display)

    def decide(self, analyzed: AnalyzedBatch | None, review: Review, event: gr.EventData) -> Updates:
        """Keep or correct the label that was clicked, or show another page."""
        if analyzed is None:
            return {self.wrong: message(GONE)}
        page, index, label = (sent_value(event, name) for name in ("page", "row", "label"))
        files = {item.file for item in analyzed.wrong}
        known = isinstance(index, int) and 0 <= index < len(analyzed.rows)
        file = str(analyzed.rows[index]["file"]) if known else ""
        if isinstance(page, int):
            review = replace(review, page=page)
        elif file in files and label in (*EXPRESSIONS, None):
            review = review.decide(file, label or review.decided.get(file, ""))
        return self._reviewed(analyzed, review)

    def write(self, folder: Path, analyzed: AnalyzedBatch | None, review: Review) -> Path:
        """Write the decisions into a folder; the file's path.

        Raises:
            BatchError: there is none, or the file cannot be written.
        """
        if analyzed is None:
            raise BatchError(GONE)
        path = folder / "label-decisions.csv"
        write_decisions(analyzed, review, path)
        return path
