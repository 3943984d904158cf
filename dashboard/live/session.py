"""What a viewer's session keeps besides the last frame: a log for the table, a recording, a game. No Gradio here."""

import csv
import io
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from dashboard.live.game import Game
from fer_models.expressions import EXPRESSIONS, in_display_order
from fer_models.video.live import WINDOW_S, LiveFace, LiveSession, without_features

#: Faces that the log keeps, about 10 MB with four models; the oldest frames go first.
MAX_LOGGED: Final = 4_000
#: What a recording may hold: a minute at ten frames per second.
MAX_RECORDED: Final = 600
MAX_RECORDED_MB: Final = 24
#: Characters that a recorded face counts as, for its numbers.
_FACE_SIZE: Final = 3_000


@dataclass(frozen=True)
class Settings:
    """What a viewer chose.

    Attributes:
        models: names of those that are shown.
        overlay: the model whose evidence map is drawn; anything else for none.
        smoothing_s: the time constant in seconds; 0 turns smoothing off.
    """

    models: tuple[str, ...] = ()
    overlay: str = ""
    smoothing_s: float = 0.0


@dataclass(frozen=True, eq=False)
class LoggedFrame:
    """What the models predicted for each face of a frame."""

    time_s: float
    faces: tuple[LiveFace, ...]


class FrameLog:
    """The frames of the last `WINDOW_S`, without pictures.

    Attributes:
        start_s: time of the first frame of all; the table counts from it.
        frames: the oldest first.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.start_s = math.nan
        self.frames: deque[LoggedFrame] = deque()
        self._faces = 0

    def add(self, time_s: float, faces: Sequence[LiveFace]) -> None:
        """Keep a frame, and drop those that left the window or are too many."""
        if math.isnan(self.start_s):
            self.start_s = time_s
        self.frames.append(LoggedFrame(time_s, tuple(faces)))
        self._faces += len(faces)
        while self.frames[0].time_s < time_s - WINDOW_S or (self._faces > MAX_LOGGED and len(self.frames) > 1):
            self._faces -= len(self.frames.popleft().faces)

    @property
    def seconds(self) -> float:
        """From the oldest frame to the latest one."""
        return self.frames[-1].time_s - self.frames[0].time_s if self.frames else 0.0

    def rows(self) -> list[list[str]]:
        """A row per frame, face and model below a row of names.

        time_s (since the first frame of all), face (its number), model, expression, confidence, and the probability of
        every expression, empty where the model does not know it; smoothed, as they are shown.
        """
        predictions = [each for frame in self.frames for face in frame.faces for each in face.predictions.values()]
        expressions = in_display_order({*EXPRESSIONS, *(label for each in predictions for label in each.labels)})
        rows = [["time_s", "face", "model", "expression", "confidence", *expressions]]
        for frame in self.frames:
            for face in frame.faces:
                for name, each in face.predictions.items():
                    known = dict(zip(each.labels, each.probabilities.tolist(), strict=True))
                    shares = [f"{known[label]:.4f}" if label in known else "" for label in expressions]
                    time_s = f"{frame.time_s - self.start_s:.3f}"
                    rows.append([time_s, str(face.number), name, each.label, f"{each.confidence:.4f}", *shares])
        return rows

    def csv(self) -> str:
        """The rows as CSV."""
        text = io.StringIO()
        csv.writer(text).writerows(self.rows())
        return text.getvalue()


@dataclass(frozen=True, eq=False)
class RecordedFrame:
    """A frame that can be shown again.

    Attributes:
        time_s: when it was taken.
        picture: as a data URI, without an overlay.
        size: its width and height in px.
        faces: of it.
    """

    time_s: float
    picture: str
    size: tuple[int, int]
    faces: tuple[LiveFace, ...]


class Recording:
    """Frames in memory, at most `MAX_RECORDED` and `MAX_RECORDED_MB`; what comes after that is not recorded.

    Attributes:
        number: which recording of the viewer it is, from 1: frames that were sent for an earlier one are not added.
        frames: the oldest first.
        full: whether a frame was left out.
    """

    def __init__(self, number: int = 0) -> None:
        """Start empty."""
        self.number = number
        self.frames: list[RecordedFrame] = []
        self.full = False
        self._size = 0

    def add(self, frame: RecordedFrame) -> None:
        """Keep a frame if there is room."""
        size = len(frame.picture) + _FACE_SIZE * len(frame.faces)
        self.full = self.full or len(self.frames) >= MAX_RECORDED or self._size + size > 1e6 * MAX_RECORDED_MB
        if not self.full:
            self.frames.append(frame)
            self._size += size

    @property
    def megabytes(self) -> float:
        """What it holds, in MB of 1,000,000 bytes."""
        return self._size / 1e6


class ViewerSession(LiveSession):
    """One viewer's camera, as the tab keeps it.

    Attributes:
        token: with which its frames are sent; empty until it has one.
        settings: of the next frame.
        log: of the last seconds.
        recording: of frames with their pictures.
        replayed: which frame of the recording is shown; None while the camera's are.
        game: None where none is played.
    """

    def __init__(self) -> None:
        """Start without a history."""
        super().__init__()
        self.token = ""
        self.settings = Settings()

    def end(self) -> None:
        """Forget everything, for good."""
        with self.turn:
            super().end()

    def clear(self) -> None:
        """Forget everything."""
        super().clear()
        self.log = FrameLog()
        self.recording = Recording()
        self.replayed: RecordedFrame | None = None
        self.game: Game | None = None
        self._taken_s = -math.inf

    def take(
        self, time_s: float, faces: Sequence[LiveFace], picture: str, size: tuple[int, int], recording: int = 0
    ) -> None:
        """Log an analysed frame, judge it in a game, and record it if it was sent to be; not one that is late.

        Args:
            time_s: when it was taken.
            faces: of the frame, numbered.
            picture: as a data URI, without an overlay.
            size: its width and height in px.
            recording: number of the recording; 0 for none.
        """
        with self.turn:
            if self.ended or time_s < self._taken_s:
                return
            self._taken_s, self.replayed = time_s, None
            small = tuple(replace(face, predictions=without_features(face.predictions)) for face in faces)
            self.log.add(time_s, small)
            if recording > self.recording.number:
                self.recording = Recording(recording)
            if 0 < recording == self.recording.number:
                self.recording.add(RecordedFrame(time_s, picture, size, small))
            if self.game is not None:
                chosen = next((face for face in small if face.number == self.chosen), None)
                self.game.judge(time_s, chosen.predictions if chosen else {})

    def replay(self, index: int) -> RecordedFrame | None:
        """Show a recorded frame, counted from 0, or the last one if there are fewer; None if nothing was recorded."""
        with self.turn:
            frames = self.recording.frames
            self.replayed = frames[min(max(index, 0), len(frames) - 1)] if frames else None
            return self.replayed

    def discard(self, number: int) -> None:
        """Forget the recording; the next one has that number."""
        with self.turn:
            self.recording, self.replayed = Recording(number), None

    @property
    def shown(self) -> tuple[LiveFace, ...]:
        """The faces of the frame on the page: of the recording or of the camera."""
        return self.replayed.faces if self.replayed is not None else self.faces
