"""Cameras' frames in, what the page shows of them out: one request a frame, beside Gradio's queue. No Gradio here.

Gradio's way for data that streams takes 10 to 15 ms more of processor time for each frame.
"""

import base64
import binascii
import functools
import math
import secrets
import time
import weakref
from collections.abc import Sequence
from typing import Any, Final

import anyio
import anyio.to_thread
import numpy as np
from numpy.typing import NDArray
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dashboard.components.display import model_display
from dashboard.components.failures import as_message
from dashboard.components.templates import data_uri, message, render
from dashboard.live import view
from dashboard.live.session import Settings, ViewerSession
from explain.drawing.overlay import fit, shared_peak
from explain.drawing.paste import paste_map
from explain.maps import NO_MAP, attention
from fer_models.analyzer import Analyzer
from fer_models.errors import ImageError
from fer_models.media.images import read_image
from fer_models.video.live import LiveFace, Stopwatch

#: Where the browser sends frames, relative to the page.
PATH: Final = "live/frame"
#: Frames that are analysed at the same time; others wait.
AT_ONCE: Final = 8
#: The request's header that says whose frame it is.
TOKEN: Final = "x-fer-viewer"
#: Frames of one viewer that may be under way; the page sends two.
_UNDER_WAY: Final = 4
_HEAD: Final = "data:image/jpeg;base64,"
_LONGEST: Final = 960  # px; the browser sends 640
_MOST_CHARACTERS: Final = 8_000_000
_CHART_S: Final = 0.5
_UNEXPECTED: Final = "Something went wrong while analysing a frame."
_NO_MODEL: Final = "No model is chosen. Tick at least one."


class Frames:
    """Analyses the frames of all viewers' cameras. A viewer's session is known by its token, as long as it is kept.

    Attributes:
        display: what the page knows about the models.
    """

    def __init__(self, analyzer: Analyzer, at_once: int = AT_ONCE) -> None:
        """Share an analyzer among all viewers; so many frames are analysed at the same time."""
        self._analyzer, self._at_once = analyzer, at_once
        self.display = model_display({name: model.card for name, model in analyzer.classifiers.items()})
        self._weights = {name: model.class_weights for name, model in analyzer.classifiers.items()}
        self._viewers: weakref.WeakValueDictionary[str, ViewerSession] = weakref.WeakValueDictionary()
        self._under_way: weakref.WeakKeyDictionary[ViewerSession, int] = weakref.WeakKeyDictionary()

    def admit(self, session: ViewerSession) -> str:
        """The token with which a session's frames are sent: a secret of its page."""
        if not session.token:
            session.token = secrets.token_urlsafe(32)
            self._viewers[session.token] = session
        return session.token

    @functools.cached_property
    def route(self) -> Route:
        """Takes a frame, a JPEG data URI, by POST; the query has its number, the last delay in ms and the recording.

        The answer is JSON: number, and HTML as view, panel and charts, each null where it stays as it is. 410: there is
        no such token, or no longer. 429: too many frames of this viewer are under way.
        """
        return Route(f"/{PATH}", self._answer, methods=["POST"])

    async def _answer(self, request: Request) -> Response:
        session = self._viewers.get(request.headers.get(TOKEN, ""))
        if session is None or session.ended:
            return JSONResponse({"detail": "The camera's session has ended. Start the camera again."}, 410)
        under_way = self._under_way.get(session, 0)
        if under_way >= _UNDER_WAY:
            return JSONResponse({"detail": "Wait for the answers to the frames that were sent."}, 429)
        self._under_way[session] = under_way + 1
        try:
            sent = (await request.body()).decode("ascii", "replace")
            number, delay, recording = (_sent_number(request, name) for name in ("number", "delay", "recording"))
            show = functools.partial(self.show, session, sent, int(number), delay, int(recording))
            return JSONResponse(await anyio.to_thread.run_sync(show, limiter=self._limiter))
        except ClientDisconnect:  # while it was sending
            return Response(status_code=400)
        finally:
            self._under_way[session] -= 1

    @functools.cached_property
    def _limiter(self) -> anyio.CapacityLimiter:
        return anyio.CapacityLimiter(self._at_once)  # it belongs to the event loop

    def show(
        self, session: ViewerSession, sent: str, number: int, delay_ms: float = 0.0, recording: int = 0
    ) -> dict[str, Any]:
        """Analyse one frame.

        Args:
            session: the viewer's.
            sent: the frame, as the browser sends it.
            number: of the frame, as the viewer counts them.
            delay_ms: from taking an earlier frame until it was shown; 0 if that is not known yet.
            recording: number of the recording that it belongs to; 0 for none.

        Returns:
            What the route answers. The charts come twice a second: they are large.
        """
        settings, last_time_s, last_chosen = session.settings, session.time_s, session.chosen
        names = self.chosen(settings.models)
        answer: dict[str, Any] = {"number": number, "view": None, "panel": None, "charts": None}
        try:
            frame = self._analyze(session, settings, sent, number, delay_ms, recording)
        except Exception as error:  # whatever it is, the viewer gets words and the next frame is analysed
            text = as_message(error, _UNEXPECTED)
            return answer | {"view": render("live/frame.html", number=number, frame=None, message=text)}
        if session.ended:  # while this frame was analysed
            session.end()
            return answer
        if frame is None:
            return answer
        answer |= {"view": render("live/frame.html", number=number, frame=frame), "panel": self.panel(session, names)}
        if session.chosen != last_chosen or session.time_s // _CHART_S != last_time_s // _CHART_S:
            answer["charts"] = self.charts(session, names)
        return answer

    def _analyze(
        self, session: ViewerSession, settings: Settings, sent: str, number: int, delay_ms: float, recording: int
    ) -> view.FrameView | None:
        """The view of one frame; None if a newer one was analysed meanwhile."""
        stopwatch = Stopwatch()
        names, overlay, smoothing_s = self.chosen(settings.models), settings.overlay, settings.smoothing_s
        frame = decode(sent)
        stopwatch.lap("decode")
        with session.turn:
            stopwatch.lap("wait")
            if 0 < number <= session.number:
                return None
            session.number, time_s = number, time.monotonic()
        result = session.analyze(
            self._analyzer, frame, time_s, models=names, smoothing_s=smoothing_s, features=overlay in names
        )
        if result is None:
            return None
        stopwatch.lap("analyze")
        drawn, caption = self._draw(frame, result.faces, overlay, names)
        picture = "" if drawn is frame else data_uri(drawn, 80)
        size = (frame.shape[1], frame.shape[0])
        session.take(time_s, result.faces, sent if recording else "", size, recording)
        stopwatch.lap("draw")
        figures = {
            "decode": stopwatch.laps["decode"],
            "detect": result.detect_ms,
            "models": result.models_ms,
            "draw": stopwatch.laps["draw"],
            "total": stopwatch.total,
        }
        if 0 < delay_ms < 60_000:
            figures["delay"] = delay_ms
        session.meter.add(time_s, figures)
        return view.frame_view(picture, size, result.faces, session, caption)

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

    def chosen(self, names: Sequence[str]) -> list[str]:
        """The ticked models in the order of the page."""
        return [name for name in self.display.cards if name in names]

    def idle(self) -> str:
        """The view while the camera is off."""
        return render("live/idle.html", speed=view.no_speed())

    def panel(self, session: ViewerSession | None, names: Sequence[str]) -> str:
        """The chosen face, of the chosen models."""
        if not names:
            return message(_NO_MODEL)
        return render("live/panel.html", panel=view.panel(session, names, self.display))

    def charts(self, session: ViewerSession | None, names: Sequence[str]) -> str:
        """The last seconds of the chosen face."""
        series, now_s = (session.history(), session.time_s) if session else ({}, 0.0)
        history = view.history(series, names, now_s, self.display)
        return render("live/history.html", history=history)


def _sent_number(request: Request, name: str) -> float:
    """A number of the query; 0 if there is none."""
    try:
        number = float(request.query_params.get(name, 0))
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0


def decode(frame: str) -> NDArray[np.uint8]:
    """A frame as the browser sends it, a JPEG data URI, as (H, W, 3) uint8 RGB of at most 960 px on its longest side.

    Raises:
        ImageError: it is something else, too large or damaged.
    """
    if not frame.startswith(_HEAD):
        raise ImageError("No frame was sent. Start the camera again.")
    if len(frame) > _MOST_CHARACTERS:
        raise ImageError("The frame is too large. Choose a lower resolution of the camera.")
    try:
        content = base64.b64decode(frame[len(_HEAD) :], validate=True)
    except binascii.Error:
        raise ImageError("The frame was damaged on its way. Start the camera again.") from None
    image, _ = fit(read_image(content), least=1, most=_LONGEST)
    return image
