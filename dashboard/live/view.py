"""What the Live tab shows of a frame and of the last seconds, for its templates. No Gradio here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from markupsafe import Markup

from dashboard.components.analyzed_image import agreement_sentence
from dashboard.components.display import ModelDisplay
from dashboard.components.picture_view import RelativeBox, relative_box
from dashboard.components.templates import render
from dashboard.live.game_view import GameView, game_view
from dashboard.live.session import MAX_RECORDED, MAX_RECORDED_MB, RecordedFrame, ViewerSession
from fer_models.expressions import COLOURS, EXPRESSIONS, in_display_order
from fer_models.formatting import majority
from fer_models.registry import ModelStyle
from fer_models.results import Prediction
from fer_models.video.live import WINDOW_S, LiveFace, Meter, Series

#: Dashes beside the colours of `fer_models.expressions`, so that a line is known by either.
DASHES: Final = {"anger": "7 2 2 2", "disgust": "8 3", "fear": "2 3", "sadness": "8 3", "surprise": "2 3"}
#: The stages in their order: name and what it covers.
STAGES: Final = {
    "decode": "decoding the frame",
    "detect": "detecting and aligning the faces, and waiting for the frames of other viewers",
    "models": "all models on all faces",
    "draw": "drawing and encoding the frame",
    "total": "everything on the server",
}
_OTHER: Final = "#7F7F7F"
_CHART_SIZE: Final = (300, 80)
_GAP_S: Final = 3.0  # a line is not drawn across a longer absence; slower than this no machine should be


@dataclass(frozen=True)
class FaceBox:
    """A button around a face of the frame.

    Attributes:
        number: of the face.
        box: where it is.
        label: what most models predict.
        chosen: whether it is the face in the panel.
        inside: whether there is no room for the label above the box.
        right: whether the label ends at the box's right edge, so that it does not leave the picture.
    """

    number: int
    box: RelativeBox
    label: str
    chosen: bool
    inside: bool
    right: bool


@dataclass(frozen=True)
class Stage:
    """Mean time of one stage; covers: what is measured."""

    name: str
    covers: str
    ms: float


@dataclass(frozen=True)
class Speed:
    """How fast frames are analysed, means of the last two seconds.

    Attributes:
        fps: frames per second.
        delay_ms: from the camera to the screen, as the browser measured it; None if it has not yet.
        stages: those that were measured, in the order of `STAGES`.
    """

    fps: float
    delay_ms: float | None
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class RecordingView:
    """How full a recording is.

    Attributes:
        frames: how many it has.
        text: the same with its bounds, as people read it.
        full: whether no more fits.
    """

    frames: int
    text: str
    full: bool


@dataclass(frozen=True)
class FrameView:
    """One frame.

    Attributes:
        picture: what is shown as a data URI; empty for the frame as the browser sent it, which it still has.
        size: its width and height in px.
        boxes: of its faces.
        note: what an overlay shows, or that there is no face.
        speed: how fast frames are analysed.
        recording: how full the recording is.
        replayed: the frame's number in the recording, from 1; None for one of the camera.
    """

    picture: str
    size: tuple[int, int]
    boxes: tuple[FaceBox, ...]
    note: str
    speed: Speed
    recording: "RecordingView"
    replayed: int | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """One model's answer for the chosen face; prediction: None while there is no such face."""

    model: str
    title: str
    style: ModelStyle
    prediction: Prediction | None


@dataclass(frozen=True, eq=False)
class Panel:
    """The chosen face.

    Attributes:
        choices: numbers of the faces in the frame, if there is another one than the chosen.
        chosen: number of the chosen face; None before the first face.
        sentence: where the models agree, or why there is nothing to say.
        answers: of the models, in their order.
        game: None where none is played.
    """

    choices: tuple[int, ...]
    chosen: int | None
    sentence: str
    answers: tuple[Answer, ...]
    game: GameView | None = None


@dataclass(frozen=True)
class Line:
    """One expression's line in a chart; path: SVG path data, empty in the legend."""

    label: str
    colour: str
    dashes: str
    path: str = ""


@dataclass(frozen=True)
class Chart:
    """One model's predictions for the chosen face over the last `WINDOW_S`."""

    model: str
    title: str
    style: ModelStyle
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class History:
    """A chart per model and one legend for all; what the charts have in common.

    Attributes:
        charts: of the models, in their order.
        legend: a line per expression.
        seconds: from the left edge of a chart to its right one.
        size: width and height of a chart in the coordinates of its paths.
        grid_lines: y of each, in the same coordinates.
    """

    charts: tuple[Chart, ...]
    legend: tuple[Line, ...]
    seconds: int = round(WINDOW_S)
    size: tuple[int, int] = _CHART_SIZE
    grid_lines: tuple[int, ...] = (1, 40, 79)


def frame_view(
    picture: str, size: tuple[int, int], faces: Sequence[LiveFace], session: ViewerSession, caption: str = ""
) -> FrameView:
    """The frame, a box on every face, and how fast frames are analysed.

    Args:
        picture: as in `FrameView`.
        size: its width and height in px.
        faces: of this frame; the session may be a frame ahead.
        session: after the frame was analysed; its meter has ms by stage of `STAGES`, and by "delay".
        caption: what an overlay shows, or a note.
    """
    boxes = tuple(_box(face, size, face.number == session.chosen) for face in faces)
    note = caption if boxes else "No face in the picture. Come closer, turn to the camera, or turn on a light."
    return FrameView(picture, size, boxes, note, speed(session.meter), recording_view(session))


def recorded_view(frame: RecordedFrame, session: ViewerSession) -> FrameView:
    """A frame of the session's recording, and where in it."""
    frames = session.recording.frames
    number = frames.index(frame) + 1
    boxes = tuple(_box(face, frame.size, face.number == session.chosen) for face in frame.faces)
    note = f"Recorded frame {number} of {len(frames)}, {frame.time_s - frames[0].time_s:.1f} s after the first."
    return FrameView(frame.picture, frame.size, boxes, note, speed(session.meter), recording_view(session), number)


def recording_view(session: ViewerSession) -> RecordingView:
    """How full the session's recording is."""
    recording = session.recording
    text = f"{len(recording.frames)} of {MAX_RECORDED} frames, {recording.megabytes:.1f} of {MAX_RECORDED_MB} MB"
    return RecordingView(len(recording.frames), text, recording.full)


def saved_table(session: ViewerSession | None, count: int) -> Markup:
    """The table of the last seconds for the browser to save, and what it says about it.

    Args:
        session: None while the camera is off.
        count: another one each time: the same table is saved twice.
    """
    if session is None or not any(frame.faces for frame in session.log.frames):
        return render("live/csv.html", table="", count=count, said="No face was seen in the last seconds: no table.")
    with session.turn:
        table, seconds = session.log.csv(), session.log.seconds
    rows = table.count("\n") - 1
    said = f"Saved {rows:,} rows of the last {seconds:.0f} seconds: one per frame, face and model."
    return render("live/csv.html", table=table, count=count, said=said)


def speed(meter: Meter) -> Speed:
    """Frames per second, the measured delay and ms per stage."""
    means = meter.means
    stages = tuple(Stage(name, covers, means[name]) for name, covers in STAGES.items() if name in means)
    return Speed(meter.fps, means.get("delay"), stages)


def no_speed() -> Speed:
    """Every stage before anything is measured: it takes as much room as the first figures."""
    return Speed(0.0, None, tuple(Stage(name, covers, 0.0) for name, covers in STAGES.items()))


def panel(session: ViewerSession | None, names: Sequence[str], display: ModelDisplay) -> Panel:
    """The chosen face: where the models agree, each model's answer; the other faces to choose from.

    Args:
        session: after the last frame or while a recorded one shows; None while the camera is off.
        names: of the models that are shown, at least one, in their order.
        display: cards and styles.
    """
    faces, chosen = (session.shown, session.chosen) if session else ((), None)
    numbers = tuple(sorted(face.number for face in faces))
    choices = numbers if len(numbers) > 1 or chosen not in numbers else ()
    face = next((each for each in faces if each.number == chosen), None)
    game = game_view(session.game, display) if session and session.game else None
    predictions = face.predictions if face else {}
    answers = tuple(Answer(name, display.titles[name], display.styles[name], predictions.get(name)) for name in names)
    if face is None:
        text = "No face yet." if chosen is None else f"Face {chosen} is not in the picture."
        return Panel(choices, chosen, text, answers, game)
    shown = {name: predictions[name] for name in names if name in predictions}
    return Panel(choices, face.number, agreement_sentence(shown, display.titles, display.training), answers, game)


def history(series: Mapping[str, Series], names: Sequence[str], now_s: float, display: ModelDisplay) -> History:
    """Every expression of the chosen face over the last `WINDOW_S`, a chart per model.

    Args:
        series: of the face, by model name; a model without one has an empty chart.
        names: of the models, in their order.
        now_s: the right edge, on the clock of the series.
        display: cards and styles.
    """
    charts = tuple(
        Chart(
            name,
            display.titles[name],
            display.styles[name],
            _lines(series[name], now_s) if name in series else (),
        )
        for name in names
    )
    labels = in_display_order({*EXPRESSIONS, *(label for name in names for label in display.cards[name].labels)})
    return History(charts, tuple(_line(label) for label in labels))


def _box(face: LiveFace, size: tuple[int, int], chosen: bool) -> FaceBox:
    box = relative_box(face.face.box, size)
    return FaceBox(face.number, box, majority(face.predictions), chosen, inside=box.top <= 9, right=box.left > 60)


def _lines(series: Series, now_s: float) -> tuple[Line, ...]:
    lines = (_line(label, _path(series.points(label), now_s)) for label in in_display_order(series.labels))
    return tuple(line for line in lines if line.path)


def _line(label: str, path: str = "") -> Line:
    return Line(label, COLOURS.get(label, _OTHER), DASHES.get(label, ""), path)


def _path(points: Sequence[tuple[float, float]], now_s: float) -> str:
    """SVG path data: time to the right, 100 % at the top; interrupted where the face was away."""
    (width, height), parts, before = _CHART_SIZE, [], -np.inf
    for time_s, value in points:
        x = width * (1 - (now_s - time_s) / WINDOW_S)
        y = 1 + (height - 2) * (1 - value)
        # A move starts with a line of no length, so that a lone point shows as a dot.
        parts.append(f"M{x:.0f} {y:.0f}h0L{x:.0f} {y:.0f}" if time_s - before > _GAP_S else f"L{x:.0f} {y:.0f}")
        before = time_s
    return "".join(parts)
