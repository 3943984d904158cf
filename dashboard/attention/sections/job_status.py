"""What the sections of the attention lab share: the notice and the Cancel button of a running job."""

from collections.abc import Mapping
from typing import Any, Final

import gradio as gr

from dashboard.components.events import HIDDEN
from dashboard.components.jobs import EXPLAIN_AT_ONCE, Jobs, Progress
from dashboard.components.templates import busy, message

#: For listeners that compute maps: all of them share one queue.
EXPLAINING: Final[dict[str, Any]] = {"concurrency_limit": EXPLAIN_AT_ONCE, "concurrency_id": "attention", **HIDDEN}

Updates = dict[Any, Any]


class JobStatus:
    """Says which model is running and lets the user cancel. Both components are yet to be rendered."""

    def __init__(self, jobs: Jobs, section: str, titles: Mapping[str, str], *, cancel_id: str, notice_id: str) -> None:
        """Make the components inside the current `gr.Blocks`.

        Args:
            jobs: of all sessions.
            section: whose jobs Cancel stops.
            titles: what people read, by model name.
            cancel_id: of the button's element.
            notice_id: of the notice's element.
        """
        self.jobs, self.section, self.titles = jobs, section, titles
        # Any: their method render is untyped.
        self.cancel: Any = gr.Button("Cancel", visible=False, elem_id=cancel_id, render=False)
        self.notice: Any = gr.HTML(visible=False, elem_id=notice_id, render=False)
        self.outputs = [self.notice, self.cancel]

    def connect(self) -> None:
        """Connect the button."""
        self.cancel.click(self.stop, queue=False, **HIDDEN)

    def stop(self, request: gr.Request) -> None:
        """Stop the session's job in this section."""
        self.jobs.stop(request.session_hash, self.section)

    def idle(self, text: str = "") -> Updates:
        """No job is running; with a message, if there is one."""
        return {
            self.notice: gr.update(value=message(text), visible=bool(text)),
            self.cancel: gr.update(visible=False),
        }

    def of(self, progress: Progress[Any], action: str = "") -> Updates:
        """The state of a job.

        Args:
            progress: of the job.
            action: what it does, before the model's title.
        """
        if progress.running is None:
            return self.idle(progress.problems(self.titles))
        return {
            self.notice: gr.update(value=busy(action + progress.text(self.titles)), visible=True),
            self.cancel: gr.update(visible=True),
        }
