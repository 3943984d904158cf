"""The Live tab: the camera's frames in, every face read by every model while it moves."""

import base64
import binascii
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from dashboard.components import face_view as markup
from dashboard.components.sessions import SessionValues
from dashboard.live import view as live_markup
from explain.drawing.overlay import fit, shared_peak
from explain.drawing.paste import paste_map
from explain.maps import attention
from fer_models.analyzer import Analyzer
from fer_models.errors import FerError, ImageError
from fer_models.media.images import read_image
from fer_models.video.live import LiveFace, LiveSession, Stopwatch

_log = logging.getLogger(__name__)

#: Viewers read at the same time. They take turns frame by frame, so each of two gets half the frames per second; one
#: more than these waits until a page is closed, paused or out of view. No time limit hands places on: Gradio loses the
#: frame that is sent while one runs out, and every viewer's picture would stand still for seconds.
VIEWERS: Final = 8
#: Seconds after which an idle session is forgotten; a closed page's is at once.
FORGET_S: Final = 3600
#: Seconds without a frame after which a page that was closed is believed to be.
_STRAGGLERS_S: Final = 10.0
#: No overlay.
OFF: Final = "off"
_HEAD: Final = "data:image/jpeg;base64,"
_LONGEST: Final = 960  # px; the browser sends 640
_MOST_CHARACTERS: Final = 8_000_000
_CHART_S: Final = 0.5
_UNEXPECTED: Final = "Something went wrong while reading a frame."
_CAMERA: Final = (Path(__file__).parents[1] / "static" / "live.js").read_text(encoding="utf-8")

# The highlight moves in the browser at once, in the picture and in the panel; the server learns which face to show.
_CHOOSE: Final = """
element.addEventListener('click', (event) => {
  const face = event.target.closest('[data-face]')?.dataset.face;
  if (face === undefined) return;
  for (const button of document.querySelectorAll('#live-view [data-face], #live-panel [data-face]')) {
    button.setAttribute('aria-pressed', String(button.dataset.face === face));
  }
  trigger('select', {index: Number(face)});
});
"""
_SHOWN: Final = """
watch('value', () => {
  const frame = element.querySelector('[data-frame]')?.dataset.frame;
  if (frame !== undefined) window.dispatchEvent(new CustomEvent('fer-live-shown', {detail: Number(frame)}));
});
"""


class LiveTab:
    """The components of one page and what each callback does to them. Nothing of any session is kept here."""

    def __init__(self, analyzer: Analyzer, page: gr.Blocks, sessions: SessionValues) -> None:
        """Lay the tab out inside the current `gr.Blocks`, which is the page, and connect it."""
        self.analyzer = analyzer
        self.page, self.sessions = page, sessions
        self.display = markup.model_display({name: model.card for name, model in analyzer.classifiers.items()})
        self._weights = {name: model.class_weights for name, model in analyzer.classifiers.items()}
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        titles = self.display.titles
        self.camera = gr.HTML(live_markup.controls(), js_on_load=_CAMERA, elem_id="live-camera")
        with gr.Row(elem_id="live-results"):
            with gr.Column(scale=6, min_width=300):
                self.view = gr.HTML(live_markup.idle(), js_on_load=_CHOOSE + _SHOWN, elem_id="live-view")
            with gr.Column(scale=5, min_width=300, elem_id="live-side"):
                self.panel = gr.HTML(js_on_load=_CHOOSE, elem_id="live-panel")
                self.charts = gr.HTML(elem_id="live-charts")
        self.models = gr.CheckboxGroup(
            [(title, name) for name, title in titles.items()], value=list(titles), label="Models", elem_id="live-models"
        )
        with gr.Row():
            self.overlay = gr.Radio(
                [("Off", OFF), *((title, name) for name, title in titles.items())],
                value=OFF,
                label="Show where a model looks",
                info="The evidence for its label, drawn over each face.",
                min_width=300,
                elem_id="live-overlay",
            )
            self.smoothing = gr.Slider(
                0,
                3,
                value=0.5,
                step=0.1,
                label="Smoothing",
                info="Time constant in seconds: larger is calmer and slower. 0 shows every frame as it was read.",
                buttons=[],
                min_width=300,
                elem_id="live-smoothing",
            )
        self.session = gr.State(None, time_to_live=FORGET_S)

    def _connect(self) -> None:
        hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        parts = [self.view, self.panel, self.charts]
        # The frame travels as the event's data: no component holds it, so Gradio keeps no copy of it, on no disk.
        self.camera.stream(
            self.read,
            [self.models, self.overlay, self.smoothing, self.session],
            [*parts, self.session],
            concurrency_limit=VIEWERS,
            concurrency_id="live",
            stream_every=0.05,
            **hidden,
        )
        self.camera.clear(self.forget, self.session, [*parts, self.session], queue=False, **hidden)
        choice = [self.models, self.session]
        for part in (self.view, self.panel):
            part.select(self.choose, choice, [self.panel, self.charts], queue=False, **hidden)
        self.page.unload(self.forget_closed)

    def read(
        self,
        names: Sequence[str],
        overlay: str,
        smoothing_s: float,
        session: LiveSession | None,
        event: gr.EventData,
        request: gr.Request | None = None,
    ) -> tuple[Any, ...]:
        """Read one frame: view, panel, charts (twice a second) and, if it is new, the session."""
        fresh = session is None
        session = session or LiveSession()
        before, looked_at = session.time_s, session.chosen
        time_s = time.monotonic()
        chosen = [name for name in self.display.cards if name in names]
        data = event._data if isinstance(event._data, dict) else {}
        try:
            view = self._read(session, chosen, overlay, smoothing_s, time_s, data)
        except FerError as error:
            return live_markup.problem(str(error), _number(data)), gr.skip(), gr.skip(), gr.skip()
        except Exception:  # whatever it is, the viewer gets words and the next frame is read
            _log.exception("reading a frame failed")
            return live_markup.problem(_UNEXPECTED, _number(data)), gr.skip(), gr.skip(), gr.skip()
        if session.ended:  # while this frame was read
            return self.forget(session)
        name = request.session_hash if request else None
        if fresh and name and self.sessions.is_closed(name):
            self._clear_later(name)  # this frame was sent before the page was closed, and waited
        charts: Any = gr.skip()
        # Charts are large and change slowly.
        if fresh or session.chosen != looked_at or time_s // _CHART_S != before // _CHART_S:
            charts = live_markup.charts(session.past(), chosen, session.time_s, self.display)
        return view, live_markup.panel(session, chosen, self.display), charts, session

    def _read(
        self,
        session: LiveSession,
        names: Sequence[str],
        overlay: str,
        smoothing_s: float,
        time_s: float,
        data: Mapping[str, Any],
    ) -> str:
        """The view of one frame."""
        watch = Stopwatch()
        frame = decode(data.get("frame"))
        watch.lap("decode")
        frame_read = session.read(
            self.analyzer,
            frame,
            time_s,
            models=names,
            smoothing_s=float(np.clip(smoothing_s or 0, 0, 60)),
            features=overlay in names,
        )
        watch.lap("analyze")
        caption = self._draw(frame, frame_read.faces, overlay, names)
        picture = markup.data_uri(frame, 80)
        watch.lap("draw")
        figures = {
            "decode": watch.laps["decode"],
            "detect": frame_read.detect_ms,
            "models": frame_read.models_ms,
            "draw": watch.laps["draw"],
            "total": watch.total,
        }
        delay = data.get("delay")
        if isinstance(delay, int | float) and 0 <= delay < 60_000:
            figures["delay"] = float(delay)
        session.meter.add(time_s, figures)
        size = (frame.shape[1], frame.shape[0])
        return live_markup.view(picture, size, session, number=_number(data), caption=caption)

    def _draw(self, frame: NDArray[np.uint8], faces: Sequence[LiveFace], overlay: str, names: Sequence[str]) -> str:
        """Draw the overlay into the frame; what it shows, in words."""
        if overlay not in self.display.cards:
            return ""
        title = self.display.cards[overlay].title
        if overlay not in names:
            return f"{title} is switched off: tick it under Models to see where it looks."
        for face in faces:
            prediction = face.predictions[overlay]
            maps = attention(prediction, self._weights[overlay])
            paste_map(frame, face.face, maps[prediction.label], peak=shared_peak(maps.values()))
        return f"Yellow: the strongest evidence {title} finds for its label; grey: none."

    def choose(self, names: Sequence[str], session: LiveSession | None, event: gr.EventData) -> tuple[Any, Any]:
        """Show another face, in a running or a paused picture."""
        if session is None:
            return gr.skip(), gr.skip()
        session.choose(int(event._data["index"]))
        chosen = [name for name in self.display.cards if name in names]
        return (
            live_markup.panel(session, chosen, self.display),
            live_markup.charts(session.past(), chosen, session.time_s, self.display),
        )

    def forget(self, session: LiveSession | None) -> tuple[Any, ...]:
        """The camera was stopped: nothing of it stays."""
        if session is not None:
            session.end()
        return live_markup.idle(), "", "", None

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
        """Let go of everything that Gradio holds of a session's frames."""
        session = self.sessions.forget_values(name, self.session, [self.view, self.panel, self.charts])
        if session is not None:
            session.end()


def _number(data: Mapping[str, Any]) -> int:
    """The browser's number of a frame, by which it knows what is on the screen; not to be trusted."""
    number = data.get("number")
    return number if isinstance(number, int) else 0


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
