"""The Leaderboard tab: results, read from their files each time the tab is opened."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import gradio as gr

from dashboard.components.events import CHANGED, FILL_CHARTS, HIDDEN, LEAST_CONFIDENCE, SAVE_SCRIPT
from dashboard.components.failures import show_errors, yield_errors
from dashboard.components.jobs import Jobs, Stopped, run_watched
from dashboard.components.templates import busy, macro, message, part
from dashboard.leaderboard.board import LABEL_SETS, Board, read_board
from dashboard.leaderboard.cost.cost_view import timing_rows
from dashboard.leaderboard.sections import GROUPS, INTRO, SECTIONS, TITLE
from dashboard.leaderboard.threshold_view import above_threshold
from fer_models.analyzer import WEIGHTS, Analyzer
from fer_models.evaluation.timing import BATCH, Timing, time_models

#: Of the short measurement: seconds on a laptop.
_REPEATS: Final = 15
_BATCHES: Final = 3
_READING: Final = "Reading the results …"
_UNREADABLE: Final = "The results could not be shown. Open this tab again."
_UNEXPECTED: Final = "The measurement failed. Try it again."
# Written anew with every move of the slider: the model that was chosen stays so.
_KEEP_MODEL: Final = """
let model = null;
element.addEventListener('click', ({target}) => { model = target.closest('[data-pick]')?.dataset.pick ?? model; });
watch('value', () => {
  if (model) element.querySelector(`[data-pick="${CSS.escape(model)}"]:not([aria-pressed=true])`)?.click();
});
"""

Updates = dict[Any, Any]


class LeaderboardTab:
    """The components of one page and their callbacks. Of sessions it knows only which are measuring now."""

    def __init__(self, analyzer: Analyzer, opened: gr.Tab, weights: Path, eac: Callable[[], None] | None) -> None:
        """Lay the tab out inside the current `gr.Blocks` and connect it."""
        self.analyzer = analyzer
        self.eac = eac
        self.weights = weights
        self.jobs = Jobs()
        self._lay_out()
        self._connect(opened)

    def _lay_out(self) -> None:
        gr.HTML(macro("heading", TITLE, INTRO), js_on_load=FILL_CHARTS)
        self.labels = gr.Radio(
            [(label_set.title, name) for name, label_set in LABEL_SETS.items()],
            value=next(iter(LABEL_SETS)),
            label="Labels of the test set",
            elem_id="board-labels",
        )
        #: By section, one component per part.
        self.parts: dict[str, list[gr.HTML | gr.Plot]] = {}
        with gr.Tabs(elem_id="board-sections", elem_classes="fer-sections", overflow_behavior="wrap") as self.groups:
            for group in GROUPS:
                with gr.Tab(group.title, id=group.key, elem_id=f"board-tab-{group.key}"):
                    if len(group.sections) > 1:
                        gr.HTML(part("leaderboard/_macros.html", "contents", group.members), js_on_load=SAVE_SCRIPT)
                    for section in group.members:
                        with gr.Column(elem_id=f"board-section-{section.key}", elem_classes="fer-board-section"):
                            self.parts[section.key] = [self._part(section.key, chart) for chart in section.charts]
                            if section.key == "cost":
                                self._lay_out_measuring()
                            elif section.key == "confidence":
                                self._lay_out_threshold()
                            elif section.key == "eac" and self.eac is not None:
                                self.eac()

    def _part(self, section: str, chart: str) -> gr.HTML | gr.Plot:
        if not chart:
            return gr.HTML(busy(_READING), js_on_load=SAVE_SCRIPT, elem_classes=f"board-{section}")
        return gr.Plot(
            show_label=False, container=False, visible=False, elem_id=f"board-{chart}", elem_classes="fer-chart"
        )

    def _lay_out_threshold(self) -> None:
        self.least = gr.Slider(
            **LEAST_CONFIDENCE,
            info="Each model answers only for the faces about which it is at least this confident.",
            elem_id="board-least",
        )
        self.above = gr.HTML(js_on_load=SAVE_SCRIPT + _KEEP_MODEL, elem_id="board-above")

    def _lay_out_measuring(self) -> None:
        gr.HTML(part("leaderboard/cost.html", "measuring", repeats=_REPEATS, batches=_BATCHES, batch=BATCH))
        with gr.Row(elem_classes="fer-actions"):
            self.measure = gr.Button("Measure on this machine", variant="primary", elem_id="board-measure")
            self.stop = gr.Button("Cancel", visible=False, elem_id="board-stop")
        self.measured = gr.HTML(elem_id="board-measured")

    def _connect(self, opened: gr.Tab) -> None:
        parts = [component for components in self.parts.values() for component in components]
        self.outputs = [*parts, self.least, self.above]
        opened.select(self.show, self.labels, self.outputs, **HIDDEN)
        self.labels.input(self.show, self.labels, self.outputs, **CHANGED, **HIDDEN)
        self.least.input(self.threshold, [self.labels, self.least], self.above, **CHANGED, **HIDDEN)
        measuring = [self.measure, self.stop, self.measured]
        # One at a time: measurements side by side would time each other.
        self.measure.click(self.time, outputs=measuring, concurrency_limit=1, **HIDDEN)
        self.stop.click(self.cancel, queue=False, **HIDDEN)

    def _unreadable(self, text: str) -> Updates:
        """The message at the top of every section, nothing below it."""
        updates: Updates = {}
        for section in SECTIONS:
            for component, chart in zip(self.parts[section.key], section.charts, strict=True):
                updates[component] = gr.update(value=None, visible=False) if chart else ""
            updates[self.parts[section.key][0]] = message(text)
        return updates | {self.least: gr.update(visible=False), self.above: ""}

    @show_errors(_UNREADABLE, _unreadable)
    def show(self, name: str) -> Updates:
        """Every section for one label set, from the files as they are now."""
        cards = {name: model.card for name, model in self.analyzer.classifiers.items()}
        board = read_board(self.weights, self.analyzer.left_out, cards)
        updates: Updates = {}
        for section in SECTIONS:
            components, parts = self.parts[section.key], section.parts(board, name)
            for component, chart, value in zip(components, section.charts, parts, strict=True):
                updates[component] = gr.update(value=value, visible=value is not None) if chart else value
        above = _above(board, name, 0.0)
        return updates | {self.least: gr.update(value=0, visible=bool(above)), self.above: above}

    @show_errors(_UNREADABLE, lambda _, text: str(message(text)))
    def threshold(self, name: str, least: float) -> str:
        """Every model on the faces it is confident about."""
        cards = {name: model.card for name, model in self.analyzer.classifiers.items()}
        return _above(read_board(self.weights, self.analyzer.left_out, cards), name, float(least or 0))

    def _failed(self, text: str) -> Updates:
        return {**self._measuring(False), self.measured: message(text)}

    @yield_errors(_UNEXPECTED, _failed)
    def time(self, request: gr.Request) -> Iterator[Updates]:
        """Time the loaded models and report the progress, until it is done or cancelled."""
        with self.jobs.running(request.session_hash) as job:
            yield {**self._measuring(True), self.measured: busy("Warming up …")}
            try:
                for share, timings in run_watched(self._timings, job):
                    if timings is None and share:
                        yield {self.measured: busy(f"Measuring … {100 * share:.0f} %")}
                    elif timings is not None:
                        titles = {name: model.card.title for name, model in self.analyzer.classifiers.items()}
                        table = part("leaderboard/cost.html", "timings", timing_rows(titles, timings), BATCH)
                        yield {**self._measuring(False), self.measured: table}
            except Stopped:
                yield {**self._measuring(False), self.measured: ""}

    def cancel(self, request: gr.Request) -> None:
        """Stop this session's measurement, which then reports its end itself."""
        self.jobs.stop(request.session_hash)

    def _timings(self, report: Callable[[float], None]) -> Mapping[str, Timing]:
        timings: Mapping[str, Timing] = {}
        models = list(self.analyzer.classifiers.values())
        for progress in time_models(models, repeats=_REPEATS, batches=_BATCHES):
            report(progress.share)
            timings = progress.timings
        return timings

    def _measuring(self, running: bool) -> Updates:
        return {self.measure: gr.update(visible=not running), self.stop: gr.update(visible=running)}


def _above(board: Board, name: str, least: float) -> str:
    """Every model on the faces of a set it is confident about; "" where no face's predictions are on file."""
    record = board.sets[name].record
    rows, matrices = above_threshold(board, record, least) if record else ((), ())
    return part("leaderboard/confidence.html", "above_threshold", rows, matrices) if rows else ""


def build(
    analyzer: Analyzer, opened: gr.Tab, weights: Path = WEIGHTS, eac: Callable[[], None] | None = None
) -> LeaderboardTab:
    """Build the tab inside the current `gr.Blocks`.

    Args:
        analyzer: holds the models that can be timed.
        opened: the tab around it; the files are read whenever it is opened.
        weights: folder of the cards, with results/ below.
        eac: lays out EAC on a face, below the words about it; None leaves it out.
    """
    return LeaderboardTab(analyzer, opened, weights, eac)
