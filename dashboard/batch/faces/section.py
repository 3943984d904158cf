"""The section of the Batch tab with every face: filters, table, and the faces on which the models differ most."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, Final

import gradio as gr

from dashboard.batch.faces import view
from dashboard.batch.faces.rows import ALL, DIFFER, NO_RESULT, POOR, Filters, Order, chosen_rows
from dashboard.batch.session import GONE, AnalyzedBatch
from dashboard.components.display import ModelDisplay
from dashboard.components.events import CHANGED, CLICKED, HIDDEN, OPEN_FACE, sent_value
from dashboard.components.picture_input import Updates
from dashboard.components.templates import macro, message, render
from fer_models.expressions import in_display_order

_HINT: Final = (
    "Click a face to open it in Compare, and a heading to sort by its column. A click on a bar of the chart, or on a "
    "cell of a confusion matrix, shows only its faces."
)
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
_CHIPS: Final = """
element.addEventListener('click', (event) => {
  const clear = event.target.closest('[data-clear]')?.dataset.clear;
  if (clear !== undefined) trigger('select', {clear});
});
"""
# What was clicked to filter the faces is far above them.
_SHOW_FACES: Final = """() => {
  const chips = document.querySelector('#batch-chips');
  chips.querySelector('.fer-filters')?.focus({preventScroll: true});
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  chips.scrollIntoView({block: 'start', behavior: calm ? 'auto' : 'smooth'});
}"""
# One after the other, so that no answer to an earlier change undoes a later one.
_IN_TURN: Final[dict[str, Any]] = {"concurrency_limit": 1, "concurrency_id": "batch-table", **HIDDEN}


class FacesSection:
    """The components and what each callback does to them. Nothing of any session is kept here."""

    def __init__(self, display: ModelDisplay) -> None:
        """Lay the section out inside the current `gr.Blocks`."""
        self.display = display
        gr.HTML(macro("heading", "Every face", _HINT))
        with gr.Row():
            self.text = gr.Textbox(
                label="Find", placeholder="Part of a file name, label or note", elem_id="batch-text", min_width=200
            )
            self.answer, self.model, self.label = (
                gr.Dropdown([("Any", ALL)], value=ALL, label=label, elem_id=f"batch-{name}", min_width=120)
                for label, name in (("Answer", "answer"), ("Answered by", "model"), ("Label", "label"))
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
        self.chips = gr.HTML(js_on_load=_CHIPS, elem_id="batch-chips")
        self.table = gr.HTML(js_on_load=_TABLE + OPEN_FACE, elem_id="batch-table")
        gr.HTML(macro("heading", "Where the models differ most"))
        self.gallery = gr.HTML(js_on_load=OPEN_FACE, elem_id="batch-gallery")
        self.order, self.least = gr.State(Order()), gr.State(0.0)
        #: What the fields of `Filters` are set by.
        self.controls = {name: getattr(self, name) for name in ("text", "show", "answer", "model", "label", "least")}
        assert list(self.controls) == [each.name for each in fields(Filters)]
        self.shown = [self.chips, self.table, self.gallery, self.order]
        self.outputs = [*self.controls.values(), *self.shown]

    def connect(self, analyzed: gr.State) -> None:
        """Connect the filters and the table to the batch, an `AnalyzedBatch` or None."""
        inputs = [analyzed, self.order, *self.controls.values()]
        # Not text.input: after a reset to the text it has already, Gradio takes the next input for its own.
        changes = [self.text.change, *(each.input for each in (self.show, self.answer, self.model, self.label))]
        for changed in changes:
            changed(self.filtered, inputs, self.shown, **CHANGED, **_IN_TURN)
        self.chips.select(self.clear, inputs, self.outputs, **CLICKED, **_IN_TURN)
        self.table.select(self.sort_or_turn, inputs, [self.table, self.order], **CLICKED, **_IN_TURN)

    def follow(self, part: gr.HTML, analyzed: gr.State, least: gr.Slider | None = None) -> None:
        """Let a click elsewhere filter the faces: it sends some of a model, its answer and a label.

        Args:
            part: what sends it.
            analyzed: the batch.
            least: the confidence from which answers count there.
        """
        inputs = [analyzed, *([least] if least else [])]
        part.select(self.only, inputs, self.outputs, **CLICKED, **_IN_TURN).then(None, js=_SHOW_FACES)

    # What the section can look like.

    def empty(self) -> Updates:
        """Without a batch, all filters as they were."""
        parts = {part: "" for part in (self.chips, self.table, self.gallery)}
        return {**parts, **self._set(Filters()), self.order: Order()}

    def done(self, analyzed: AnalyzedBatch) -> Updates:
        """All faces of a new batch."""
        known = in_display_order({label for labels in analyzed.models.values() for label in labels})
        labels = in_display_order(set(analyzed.labels.by_file.values()))
        titles = self.display.titles
        return {
            **self.empty(),
            **self._filtered(analyzed, Order(), Filters()),
            self.answer: _choices([(name.capitalize(), name) for name in known]),
            self.model: _choices([(titles[name], name) for name in analyzed.models]),
            self.label: _choices([(name.capitalize(), name) for name in labels], visible=bool(labels)),
        }

    def _set(self, filters: Filters) -> Updates:
        return {control: getattr(filters, name) for name, control in self.controls.items()}

    def _filtered(self, analyzed: AnalyzedBatch, order: Order, filters: Filters) -> Updates:
        indices, order = chosen_rows(analyzed, filters), replace(order, page=0)
        return {
            self.chips: view.chips(filters, self.display),
            self.table: self._table(analyzed, indices, order),
            self.gallery: view.gallery(analyzed, indices, self.display),
            self.order: order,
        }

    def _table(self, analyzed: AnalyzedBatch, indices: Sequence[int], order: Order) -> str:
        return render("batch/faces/table.html", table=view.table(analyzed, indices, order, self.display))

    def _gone(self) -> Updates:
        return {self.table: "", self.gallery: message(GONE)}

    # What the user can do.

    def filtered(self, analyzed: AnalyzedBatch | None, order: Order, *filters: Any) -> Updates:
        """The first page of the faces that pass the filters."""
        return self._gone() if analyzed is None else self._filtered(analyzed, order, Filters(*filters))

    def clear(self, analyzed: AnalyzedBatch | None, event: gr.EventData, order: Order, *filters: Any) -> Updates:
        """Remove the filter whose chip was clicked, or all of them."""
        if analyzed is None:
            return self._gone()
        kept, name = Filters(*filters), sent_value(event, "clear")
        left = replace(kept, **{name: getattr(Filters(), name)}) if name in {"answer", "label", "least"} else Filters()
        if name == "answer":  # a model alone would filter nothing, and its confidence belongs to its answer
            left = replace(left, model=ALL, least=0.0)
        return {**self._set(left), **self._filtered(analyzed, order, left)}

    def only(self, analyzed: AnalyzedBatch | None, event: gr.EventData, least: float = 0.0) -> Updates:
        """The faces of a bar or of a cell that was clicked, whatever was shown before."""
        if analyzed is None:
            return self._gone()
        known = {label for labels in analyzed.models.values() for label in labels}
        labels = set(analyzed.labels.by_file.values())
        sent = {name: sent_value(event, name) for name in ("answer", "model", "label")}
        offered = {"answer": known, "model": set(analyzed.models), "label": labels}
        chosen = {name: value for name, value in sent.items() if isinstance(value, str) and value in offered[name]}
        filters = Filters(**chosen, least=float(least or 0))
        return {**self._set(filters), **self._filtered(analyzed, Order(), filters)}

    def sort_or_turn(self, analyzed: AnalyzedBatch | None, event: gr.EventData, order: Order, *filters: Any) -> Updates:
        """The table by the column whose heading was clicked, or its page of that number."""
        if analyzed is None:
            return {self.table: message(GONE)}
        sort, page = sent_value(event, "sort"), sent_value(event, "page")
        if isinstance(sort, str):
            order = order.by(sort)
        elif isinstance(page, int):
            order = replace(order, page=page)
        return {self.table: self._table(analyzed, chosen_rows(analyzed, Filters(*filters)), order), self.order: order}


def _choices(choices: Sequence[tuple[str, str]], *, visible: bool = True) -> dict[str, Any]:
    return gr.update(choices=[("Any", ALL), *choices], value=ALL, visible=visible)
