"""The section of the Batch tab in which a user labels faces blind and is compared with the models."""

from pathlib import Path
from typing import Any, Final

import gradio as gr

from dashboard.batch.quiz import view
from dashboard.batch.quiz.answers import QUESTIONS, Quiz, draw_quiz, write_quiz
from dashboard.batch.session import GONE, AnalyzedBatch
from dashboard.components.display import ModelDisplay
from dashboard.components.events import CLICKED, HIDDEN, OPEN_FACE, sent_value
from dashboard.components.failures import as_message
from dashboard.components.file_download import FileDownload
from dashboard.components.picture_input import Updates
from dashboard.components.templates import macro, message
from fer_models.errors import BatchError
from fer_models.expressions import EXPRESSIONS

TITLE: Final = "You against the models"
_INTRODUCTION: Final = (
    f"Label up to {QUESTIONS} of these faces without seeing any answer. Then see how far you agree with each model, "
    "and with the labels if there are any."
)
_UNEXPECTED: Final = "The faces could not be shown. Try again."
_UNWRITTEN: Final = "The file could not be made. Try again."
# The row goes along: an answer that comes twice, or late, is not taken for the next face.
_ANSWER: Final = """
const ask = (button) => {
  const row = Number(element.querySelector('[data-row]')?.dataset.row);
  if (button && !button.disabled) trigger('select', {row, ...button.dataset});
};
element.addEventListener('click', (event) => ask(event.target.closest('[data-answer], [data-move]')));
document.addEventListener('keydown', (event) => {
  if (!element.isConnected || !element.querySelector('.fer-quiz')?.getClientRects().length) return;
  if (event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.closest('input, textarea, select')) return;
  const button = element.querySelector(`[aria-keyshortcuts="${CSS.escape(event.key)}"]`);
  if (button) { event.preventDefault(); ask(button); }
});
watch('value', () => {
  const place = element.querySelector('.fer-quiz, .fer-lead');
  if (!place) return;
  place.tabIndex = -1;
  place.focus({preventScroll: true});
  const {top, bottom} = place.getBoundingClientRect();
  if (top < 60 || bottom > innerHeight) element.scrollIntoView({block: 'start'});
});
"""


class QuizSection:
    """The components and what each callback does to them. Nothing of any session is kept here."""

    def __init__(self, display: ModelDisplay, uploads: Path) -> None:
        """Lay out the panel in which faces are labelled inside the current `gr.Blocks`.

        Args:
            display: of the models.
            uploads: folder where Gradio puts uploads.
        """
        self.display = display
        with gr.Column(visible=False, elem_classes="fer-panel", elem_id="batch-quiz") as self.panel:
            gr.HTML(macro("heading", TITLE))
            self.shown = gr.HTML(js_on_load=_ANSWER + OPEN_FACE, elem_id="batch-quiz-shown")
            with gr.Row(visible=False, elem_classes="fer-actions") as self.actions:
                self.leave = gr.Button("Back to the batch", elem_id="batch-quiz-leave")
                self.again = gr.Button("Other faces", elem_id="batch-quiz-again")
                self.export = gr.Button("Download (CSV)", elem_id="batch-quiz-csv")
                self.file = FileDownload(uploads, "batch-quiz-file")
        self.quiz = gr.State(None)
        self.outputs = [self.panel, self.shown, self.actions, self.quiz]

    def lay_out_start(self) -> None:
        """Lay out the invitation, inside of what is hidden as long as faces are labelled."""
        with gr.Row(elem_classes="fer-quiz-start"):
            gr.HTML(macro("heading", TITLE, _INTRODUCTION))
            self.start = gr.Button("Label faces", min_width=140, scale=0, elem_id="batch-quiz-start")

    def connect(self, analyzed: gr.State, results: gr.Column) -> None:
        """Connect the section to the batch.

        Args:
            analyzed: an `AnalyzedBatch` or None.
            results: hidden as long as faces are labelled.
        """
        self.results = results
        outputs = [results, *self.outputs]
        for button in (self.start, self.again):
            button.click(self.begin, analyzed, outputs, **HIDDEN)
        turns: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "batch-quiz", **CLICKED, **HIDDEN}
        self.shown.select(self.answer, [analyzed, self.quiz], outputs, **turns)
        self.leave.click(self.closed, outputs=outputs, **HIDDEN)
        self.file.connect(self.export, self.write, [analyzed, self.quiz], _UNWRITTEN)

    # What the section can look like.

    def empty(self) -> Updates:
        """Nothing is asked."""
        return {self.panel: gr.update(visible=False), self.shown: "", self.quiz: None}

    def closed(self) -> Updates:
        """Nothing is asked, and the batch is there again."""
        return {**self.empty(), self.results: gr.update(visible=True)}

    def _asked(self, analyzed: AnalyzedBatch, quiz: Quiz) -> Updates:
        """The current face; at the end the results."""
        ended = quiz.current is None
        shown = view.results(analyzed, quiz, self.display) if ended else view.question(analyzed, quiz)
        return {
            self.results: gr.update(visible=False),
            self.panel: gr.update(visible=True),
            self.shown: shown,
            self.actions: gr.update(visible=ended),
            self.quiz: quiz,
        }

    def _failed(self, text: str) -> Updates:
        return {**self.closed(), self.panel: gr.update(visible=True), self.shown: message(text)}

    # What the user can do.

    def begin(self, analyzed: AnalyzedBatch | None) -> Updates:
        """Ask about faces of the batch, chosen at random."""
        try:
            if analyzed is None:
                raise BatchError(GONE)
            return self._asked(analyzed, draw_quiz(analyzed))
        except Exception as error:
            return self._failed(as_message(error, _UNEXPECTED))

    def answer(self, analyzed: AnalyzedBatch | None, quiz: Quiz | None, event: gr.EventData) -> Updates:
        """Take an answer about the current face, or move as a button says."""
        if analyzed is None or quiz is None:
            return self._failed(GONE)
        row, label, move = (sent_value(event, name) for name in ("row", "answer", "move"))
        if quiz.current is None or row != quiz.current:  # about another face: it came twice
            return {self.quiz: quiz}
        if label in EXPRESSIONS:
            quiz = quiz.answer(label)
        elif move == "skip":
            quiz = quiz.answer(None)
        elif move == "back":
            quiz = quiz.back()
        elif move == "end":
            quiz = quiz.end()
        return self._asked(analyzed, quiz) if quiz.rows else self.closed()

    def write(self, folder: Path, analyzed: AnalyzedBatch | None, quiz: Quiz | None) -> Path:
        """Write the answers into a folder; the file's path.

        Raises:
            BatchError: there is none, or the file cannot be written.
        """
        if analyzed is None or quiz is None:
            raise BatchError(GONE)
        path = folder / "you-against-the-models.csv"
        write_quiz(analyzed, quiz, path)
        return path
