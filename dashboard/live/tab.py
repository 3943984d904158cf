"""The Live tab: the camera's frames in, every face classified by every model while it moves."""

import itertools
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

import gradio as gr
import numpy as np

from dashboard.components.events import CHANGED, CLICKED, HIDDEN, sent_value
from dashboard.components.sessions import SessionValues
from dashboard.components.templates import render
from dashboard.live import scripts, view
from dashboard.live.frames import AT_ONCE, PATH, TOKEN, Frames
from dashboard.live.game import Game
from dashboard.live.session import Settings, ViewerSession
from fer_models.analyzer import Analyzer

#: Seconds after which an idle session is discarded; a closed page's is at once.
FORGET_S: Final = 3600
#: Seconds without a frame after which a page that was closed is believed to be.
_STRAGGLERS_S: Final = 10.0
#: No overlay.
OFF: Final = "off"


class LiveTab:
    """The components of one page and what each callback does to them. Nothing of any session is kept here."""

    def __init__(self, frames: Frames, page: gr.Blocks, sessions: SessionValues) -> None:
        """Lay the tab out inside the current `gr.Blocks`, which is the page, and connect it."""
        self.frames, self.page, self.sessions = frames, page, sessions
        self.display = frames.display
        self._begun = itertools.count(1)
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        titles, choose = self.display.titles, scripts.CHOOSE_FACE
        names = list(titles)
        self.camera = gr.HTML(render("live/controls.html"), js_on_load=scripts.CAMERA, elem_id="live-camera")
        with gr.Row(elem_id="live-results"):
            with gr.Column(scale=6, min_width=300):
                self.view = gr.HTML(self.frames.idle(), js_on_load=choose + scripts.VIEW, elem_id="live-view")
            with gr.Column(scale=5, min_width=300, elem_id="live-side"):
                panel = self.frames.panel(None, names)
                self.panel = gr.HTML(panel, js_on_load=choose + scripts.PANEL, elem_id="live-panel")
                self.charts = gr.HTML(self.frames.charts(None, names), js_on_load=scripts.CHARTS, elem_id="live-charts")
        self.models = gr.CheckboxGroup(
            [(title, name) for name, title in titles.items()], value=names, label="Models", elem_id="live-models"
        )
        with gr.Row():
            self.overlay = gr.Radio(
                [("Off", OFF), *((title, name) for name, title in titles.items())],
                value=OFF,
                label="Show a model’s evidence map",
                info="The evidence for its predicted class, drawn over each face.",
                min_width=300,
                elem_id="live-overlay",
            )
            self.smoothing = gr.Slider(
                0,
                3,
                value=0.5,
                step=0.1,
                label="Smoothing",
                info="Time constant in seconds. Larger values are steadier but slower; 0 turns smoothing off.",
                buttons=[],
                min_width=300,
                elem_id="live-smoothing",
            )
        self.token = gr.HTML(js_on_load=scripts.TOKEN, elem_id="live-token")
        self.csv = gr.HTML(js_on_load=scripts.SAVE_TABLE, elem_id="live-csv")
        self.session = gr.State(None, time_to_live=FORGET_S)

    def _connect(self) -> None:
        parts = [self.view, self.panel, self.charts]
        settings = [self.models, self.overlay, self.smoothing, self.session]
        self.camera.play(self.begin, settings, [self.token, self.session], queue=False, **CLICKED, **HIDDEN)
        for control in (self.models, self.overlay, self.smoothing):
            control.change(self.configure, settings, None, queue=False, **CHANGED, **HIDDEN)
        choice = [self.models, self.session]
        self.camera.clear(self.forget, choice, [*parts, self.session], queue=False, **HIDDEN)
        self.camera.clear(lambda: "", None, self.csv, queue=False, **HIDDEN)
        for part in (self.view, self.panel):
            part.select(self.choose, choice, [self.panel, self.charts], queue=False, **HIDDEN)
        self.camera.submit(self.play, choice, self.panel, queue=False, **CLICKED, **HIDDEN)
        self.camera.input(self.replay, choice, [self.view, self.panel], queue=False, **CLICKED, **HIDDEN)
        self.camera.delete(self.discard, self.session, None, queue=False, **CLICKED, **HIDDEN)
        self.camera.download(self.save, self.session, self.csv, queue=False, **CLICKED, **HIDDEN)
        self.page.unload(self.forget_closed)

    def begin(
        self,
        names: Sequence[str],
        overlay: str,
        smoothing_s: float,
        session: ViewerSession | None,
        request: gr.Request | None = None,
    ) -> tuple[Any, ViewerSession]:
        """The camera starts, or has run for a while: the token for its frames, and the session."""
        fresh = session is None or session.ended
        session = ViewerSession() if session is None or session.ended else session
        self.configure(names, overlay, smoothing_s, session)
        name = request.session_hash if request else None
        if fresh and name and self.sessions.is_closed(name):
            self._clear_later(name)  # this was sent before the page was closed, and waited
        token = self.frames.admit(session)
        told = render("live/token.html", token=token, path=PATH, header=TOKEN, count=next(self._begun))
        return told, session

    def configure(self, names: Sequence[str], overlay: str, smoothing_s: float, session: ViewerSession | None) -> None:
        """Show the next frames with these settings."""
        if session is not None:
            session.settings = Settings(tuple(names or ()), overlay, float(np.clip(smoothing_s or 0, 0, 60)))

    def choose(self, names: Sequence[str], session: ViewerSession | None, event: gr.EventData) -> tuple[Any, Any]:
        """Show another face, in a running or a paused picture."""
        if session is None:
            return gr.skip(), gr.skip()
        session.choose(int(event.index))
        chosen = self.frames.chosen(names)
        return self.frames.panel(session, chosen), self.frames.charts(session, chosen)

    def play(self, names: Sequence[str], session: ViewerSession | None, event: gr.EventData) -> Any:
        """Start a game with the ticked models, go on to its next expression, or end it."""
        if session is None:
            return gr.skip()
        chosen, action = self.frames.chosen(names), sent_value(event, "action")
        with session.turn:
            if action == "play":
                session.game = Game({name: self.display.cards[name].labels for name in chosen})
            elif action == "next" and session.game is not None:
                session.game.next()
            elif action == "end":
                session.game = None
        return self.frames.panel(session, chosen)

    def replay(self, names: Sequence[str], session: ViewerSession | None, event: gr.EventData) -> tuple[Any, Any]:
        """Show a frame of the recording, counted from 1."""
        if session is None or (frame := session.replay(_sent_number(event, "number") - 1)) is None:
            return gr.skip(), gr.skip()
        shown = render("live/frame.html", number=0, frame=view.recorded_view(frame, session))
        return shown, self.frames.panel(session, self.frames.chosen(names))

    def discard(self, session: ViewerSession | None, event: gr.EventData) -> None:
        """Forget the recording."""
        if session is not None:
            session.discard(_sent_number(event, "number"))

    def save(self, session: ViewerSession | None, event: gr.EventData) -> str:
        """The table of the last seconds, for the browser to save."""
        return view.saved_table(session, _sent_number(event, "count"))

    def forget(self, names: Sequence[str], session: ViewerSession | None) -> tuple[Any, ...]:
        """The camera was stopped: nothing of it stays."""
        if session is not None:
            session.end()
        chosen = self.frames.chosen(names)
        return self.frames.idle(), self.frames.panel(None, chosen), self.frames.charts(None, chosen), None

    def forget_closed(self, request: gr.Request) -> None:
        """The page was closed: its last frame and its state go at once, not when the session does.

        The answer to a frame that was under way then may be kept afterwards, so this looks once more.
        """
        name = request.session_hash or ""
        self._clear(name)
        self._clear_later(name)

    def _clear_later(self, name: str) -> None:
        timer = threading.Timer(_STRAGGLERS_S, self._clear_idle, [name])
        timer.daemon = True
        timer.start()

    def _clear_idle(self, name: str) -> None:
        """Clear a closed page's session, but not while frames come: its viewer was only cut off for a moment."""
        session = self.sessions.value(name, self.session)
        if session is not None and time.monotonic() - session.time_s < _STRAGGLERS_S:
            self._clear_later(name)
        else:
            self._clear(name)

    def _clear(self, name: str) -> None:
        """Let go of everything that is held of a session's frames."""
        session = self.sessions.forget_value(name, self.session)
        if session is not None:
            session.end()


def _sent_number(event: gr.EventData, name: str) -> int:
    """A whole number that the browser sent along; 0 if there is none."""
    value = sent_value(event, name)
    return value if isinstance(value, int) else 0


def build(analyzer: Analyzer, page: gr.Blocks, sessions: SessionValues, concurrency: int | None = None) -> LiveTab:
    """Build the tab inside the current `gr.Blocks`. Its `frames.route` must be served beside the page.

    Args:
        analyzer: shared by all sessions.
        page: the `gr.Blocks`, which tells when a viewer's page is closed.
        sessions: what is kept of each viewer's session.
        concurrency: no more frames are analysed at the same time; None: `AT_ONCE`.
    """
    return LiveTab(Frames(analyzer, min(AT_ONCE, concurrency or AT_ONCE)), page, sessions)
