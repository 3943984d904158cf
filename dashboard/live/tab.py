"""The Live tab: the camera's frames in, every face classified by every model while it moves."""

import base64
import binascii
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from dashboard.components.display import model_display
from dashboard.components.events import CLICKED, HIDDEN, sent_value
from dashboard.components.failures import as_message
from dashboard.components.sessions import SessionValues
from dashboard.components.templates import data_uri, message, render
from dashboard.live import scripts, view
from dashboard.live.game import Game
from dashboard.live.session import ViewerSession
from explain.drawing.overlay import fit, shared_peak
from explain.drawing.paste import paste_map
from explain.maps import NO_MAP, attention
from fer_models.analyzer import Analyzer
from fer_models.errors import ImageError
from fer_models.media.images import read_image
from fer_models.video.live import LiveFace, Stopwatch

#: Viewers served at the same time. They take turns frame by frame, so each of two gets half the frames per second; one
#: more than these waits until a page is closed, paused or out of view. No time limit hands places on: Gradio loses the
#: frame that is sent while one runs out, and every viewer's picture would stand still for seconds.
VIEWERS: Final = 8
#: Seconds after which an idle session is discarded; a closed page's is at once.
FORGET_S: Final = 3600
#: Seconds without a frame after which a page that was closed is believed to be.
_STRAGGLERS_S: Final = 10.0
#: No overlay.
OFF: Final = "off"
_HEAD: Final = "data:image/jpeg;base64,"
_LONGEST: Final = 960  # px; the browser sends 640
_MOST_CHARACTERS: Final = 8_000_000
_CHART_S: Final = 0.5
_UNEXPECTED: Final = "Something went wrong while analysing a frame."
_NO_MODEL: Final = "No model is chosen. Tick at least one."


class LiveTab:
    """The components of one page and what each callback does to them. Nothing of any session is kept here."""

    def __init__(self, analyzer: Analyzer, page: gr.Blocks, sessions: SessionValues) -> None:
        """Lay the tab out inside the current `gr.Blocks`, which is the page, and connect it."""
        self.analyzer = analyzer
        self.page, self.sessions = page, sessions
        self.display = model_display({name: model.card for name, model in analyzer.classifiers.items()})
        self._weights = {name: model.class_weights for name, model in analyzer.classifiers.items()}
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        titles, choose = self.display.titles, scripts.CHOOSE_FACE
        names = list(titles)
        self.camera = gr.HTML(render("live/controls.html"), js_on_load=scripts.CAMERA, elem_id="live-camera")
        with gr.Row(elem_id="live-results"):
            with gr.Column(scale=6, min_width=300):
                self.view = gr.HTML(self._idle(), js_on_load=choose + scripts.FRAME_SHOWN, elem_id="live-view")
            with gr.Column(scale=5, min_width=300, elem_id="live-side"):
                panel = self._panel(None, names)
                self.panel = gr.HTML(panel, js_on_load=choose + scripts.PANEL_SHOWN, elem_id="live-panel")
                self.charts = gr.HTML(self._charts(None, names), elem_id="live-charts")
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
        self.csv = gr.HTML(js_on_load=scripts.SAVE_TABLE, elem_id="live-csv")
        self.session = gr.State(None, time_to_live=FORGET_S)

    def _connect(self) -> None:
        parts = [self.view, self.panel, self.charts]
        # No progress is shown, but Gradio would count its seconds, on each of the parts 60 times per second.
        quiet = {**HIDDEN, "show_progress_on": self.session}
        # The frame travels as the event's data: no component holds it, so Gradio keeps no copy of it, on no disk.
        self.camera.stream(
            self.show_frame,
            [self.models, self.overlay, self.smoothing, self.session],
            [*parts, self.session],
            concurrency_limit=VIEWERS,
            concurrency_id="live",
            stream_every=0.05,
            postprocess=False,  # HTML is sent as it is
            **quiet,
        )
        choice = [self.models, self.session]
        self.camera.clear(self.forget, choice, [*parts, self.session], queue=False, **quiet)
        self.camera.clear(lambda: "", None, self.csv, queue=False, **quiet)
        for part in (self.view, self.panel):
            part.select(self.choose, choice, [self.panel, self.charts], queue=False, **quiet)
        self.camera.submit(self.play, choice, self.panel, queue=False, **CLICKED, **quiet)
        self.camera.input(self.replay, choice, [self.view, self.panel], queue=False, **CLICKED, **quiet)
        self.camera.delete(self.discard, self.session, None, queue=False, **CLICKED, **quiet)
        self.camera.download(self.save, self.session, self.csv, queue=False, **CLICKED, **quiet)
        self.page.unload(self.forget_closed)

    def show_frame(
        self,
        names: Sequence[str],
        overlay: str,
        smoothing_s: float,
        session: ViewerSession | None,
        event: gr.EventData,
        request: gr.Request | None = None,
    ) -> tuple[Any, ...]:
        """Analyse one frame: view, panel, charts (twice a second: they are large) and, if it is new, the session."""
        fresh = session is None
        session = session or ViewerSession()
        last_time_s, last_chosen = session.time_s, session.chosen
        chosen = self._chosen(names)
        number = _sent_number(event, "number")
        try:
            frame = self._analyze(session, chosen, overlay, smoothing_s, number, event)
        except Exception as error:  # whatever it is, the viewer gets words and the next frame is analysed
            text = as_message(error, _UNEXPECTED)
            return render("live/frame.html", number=number, frame=None, message=text), gr.skip(), gr.skip(), gr.skip()
        if session.ended:  # while this frame was analysed
            return self.forget(names, session)
        if frame is None:
            return gr.skip(), gr.skip(), gr.skip(), gr.skip()
        name = request.session_hash if request else None
        if fresh and name and self.sessions.is_closed(name):
            self._clear_later(name)  # this frame was sent before the page was closed, and waited
        charts: Any = gr.skip()
        if fresh or session.chosen != last_chosen or session.time_s // _CHART_S != last_time_s // _CHART_S:
            charts = self._charts(session, chosen)
        return render("live/frame.html", number=number, frame=frame), self._panel(session, chosen), charts, session

    def _analyze(
        self,
        session: ViewerSession,
        names: Sequence[str],
        overlay: str,
        smoothing_s: float,
        number: int,
        event: gr.EventData,
    ) -> view.FrameView | None:
        """The view of one frame; None if a newer one was analysed meanwhile."""
        stopwatch = Stopwatch()
        sent = sent_value(event, "frame")
        frame = decode(sent)
        stopwatch.lap("decode")
        with session.turn:
            stopwatch.lap("wait")
            if 0 < number <= session.number:
                return None
            session.number, time_s = number, time.monotonic()
        result = session.analyze(
            self.analyzer,
            frame,
            time_s,
            models=names,
            smoothing_s=float(np.clip(smoothing_s or 0, 0, 60)),
            features=overlay in names,
        )
        if result is None:
            return None
        stopwatch.lap("analyze")
        drawn, caption = self._draw(frame, result.faces, overlay, names)
        picture = "" if drawn is frame else data_uri(drawn, 80)
        size = (frame.shape[1], frame.shape[0])
        recording = _sent_number(event, "recording")
        session.take(time_s, result.faces, sent if recording else "", size, recording)
        stopwatch.lap("draw")
        figures = {
            "decode": stopwatch.laps["decode"],
            "detect": result.detect_ms,
            "models": result.models_ms,
            "draw": stopwatch.laps["draw"],
            "total": stopwatch.total,
        }
        delay = sent_value(event, "delay")
        if isinstance(delay, int | float) and 0 <= delay < 60_000:
            figures["delay"] = float(delay)
        session.meter.add(time_s, figures)
        return view.frame_view(picture, size, result.faces, session, caption)

    def _chosen(self, names: Sequence[str]) -> list[str]:
        """The ticked models in the order of the page."""
        return [name for name in self.display.cards if name in names]

    def _idle(self) -> str:
        """The view while the camera is off."""
        return render("live/idle.html", speed=view.no_speed())

    def _panel(self, session: ViewerSession | None, names: Sequence[str]) -> str:
        """The chosen face, of the chosen models."""
        if not names:
            return message(_NO_MODEL)
        return render("live/panel.html", panel=view.panel(session, names, self.display))

    def _charts(self, session: ViewerSession | None, names: Sequence[str]) -> str:
        """The last seconds of the chosen face."""
        series, now_s = (session.history(), session.time_s) if session else ({}, 0.0)
        history = view.history(series, names, now_s, self.display)
        return render("live/history.html", history=history)

    def _draw(
        self, frame: NDArray[np.uint8], faces: Sequence[LiveFace], overlay: str, names: Sequence[str]
    ) -> tuple[NDArray[np.uint8], str]:
        """The frame with the overlay on it; and what that shows, in words."""
        if overlay not in self.display.cards:
            return frame, ""
        title = self.display.cards[overlay].title
        if overlay not in names:
            return frame, f"{title} is switched off: tick it under Models to see its evidence map."
        if self._weights[overlay] is None:
            return frame, NO_MAP
        for face in faces:
            prediction = face.predictions[overlay]
            maps = attention(prediction, self._weights[overlay])
            peak, spec = shared_peak(maps.values()), self.display.cards[overlay].crop
            frame = paste_map(frame, face.face, maps[prediction.label], peak=peak, spec=spec)
        return frame, f"Yellow: the strongest evidence {title} finds for its predicted class; grey: none."

    def choose(self, names: Sequence[str], session: ViewerSession | None, event: gr.EventData) -> tuple[Any, Any]:
        """Show another face, in a running or a paused picture."""
        if session is None:
            return gr.skip(), gr.skip()
        session.choose(int(event.index))
        chosen = self._chosen(names)
        return self._panel(session, chosen), self._charts(session, chosen)

    def play(self, names: Sequence[str], session: ViewerSession | None, event: gr.EventData) -> Any:
        """Start a game with the ticked models, go on to its next expression, or end it."""
        if session is None:
            return gr.skip()
        chosen, action = self._chosen(names), sent_value(event, "action")
        with session.turn:
            if action == "play":
                session.game = Game({name: self.display.cards[name].labels for name in chosen})
            elif action == "next" and session.game is not None:
                session.game.next()
            elif action == "end":
                session.game = None
        return self._panel(session, chosen)

    def replay(self, names: Sequence[str], session: ViewerSession | None, event: gr.EventData) -> tuple[Any, Any]:
        """Show a frame of the recording, counted from 1."""
        if session is None or (frame := session.replay(_sent_number(event, "number") - 1)) is None:
            return gr.skip(), gr.skip()
        shown = render("live/frame.html", number=0, frame=view.recorded_view(frame, session))
        return shown, self._panel(session, self._chosen(names))

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
        chosen = self._chosen(names)
        return self._idle(), self._panel(None, chosen), self._charts(None, chosen), None

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


def decode(frame: object) -> NDArray[np.uint8]:
    """A frame as the browser sends it, a JPEG data URI, as (H, W, 3) uint8 RGB of at most 960 px on its longest side.

    Raises:
        ImageError: it is something else, too large or damaged.
    """
    if not isinstance(frame, str) or not frame.startswith(_HEAD):
        raise ImageError("No frame was sent. Start the camera again.")
    if len(frame) > _MOST_CHARACTERS:
        raise ImageError("The frame is too large. Choose a lower resolution of the camera.")
    try:
        content = base64.b64decode(frame[len(_HEAD) :], validate=True)
    except binascii.Error:
        raise ImageError("The frame was damaged on its way. Start the camera again.") from None
    image, _ = fit(read_image(content), least=1, most=_LONGEST)
    return image


def build(analyzer: Analyzer, page: gr.Blocks, sessions: SessionValues) -> LiveTab:
    """Build the tab inside the current `gr.Blocks`.

    Args:
        analyzer: shared by all sessions.
        page: the `gr.Blocks`, which tells when a viewer's page is closed.
        sessions: what is kept of each viewer's session.
    """
    return LiveTab(analyzer, page, sessions)
