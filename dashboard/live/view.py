"""The Live tab as HTML and inline SVG: every text is escaped, nothing is fetched. No Gradio here."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

import numpy as np

from dashboard.components.analyzed_image import agreement_sentence
from dashboard.components.face_view import ModelDisplay, message, swatch
from fer_models.expressions import COLOURS, EXPRESSIONS, in_display_order
from fer_models.formatting import majority, percent
from fer_models.results import Prediction
from fer_models.video.live import WINDOW_S, LiveFace, LiveSession, Meter, Series

#: Dashes beside the colours of `fer_models.expressions`, so that a line is known by either.
DASHES: Final = {"anger": "7 2 2 2", "disgust": "8 3", "fear": "2 3", "sadness": "8 3", "surprise": "2 3"}
#: The stages in their order: name and what it covers.
STAGES: Final = {
    "decode": "decoding the frame",
    "detect": "finding and aligning the faces, and waiting where other viewers are read at the same time",
    "models": "all models on all faces",
    "draw": "drawing and encoding the frame",
    "total": "everything on the server",
}
_OTHER: Final = "#7F7F7F"
_WIDE, _HIGH = 300, 80  # of a chart's coordinates
_GAP_S: Final = 3.0  # a line is not drawn across a longer absence; slower than this no machine should be


def controls() -> str:
    """The camera's buttons and words; `live.js` brings them to life."""
    return (
        '<div class="fer-live-bar">'
        '<button type="button" class="fer-button" data-do="start" data-primary>Start camera</button>'
        '<button type="button" class="fer-button" data-do="pause" hidden>Pause</button>'
        '<button type="button" class="fer-button" data-do="stop" hidden>Stop camera</button>'
        '<span class="fer-live-state" role="status">The camera is off.</span></div>'
        '<div class="fer-message" role="alert" hidden></div><video muted playsinline aria-hidden="true"></video>'
    )


def idle() -> str:
    """In place of the picture while the camera is off."""
    return (
        '<div class="fer-live-idle"><p><strong>See the models read your face as it moves.</strong></p>'
        "<p>Start the camera: the browser asks for permission first. Each frame is sent to the machine that runs this "
        "page, read and forgotten; none is written to a disk.</p></div>"
    )


def view(
    picture: str,
    size: tuple[int, int],
    session: LiveSession,
    *,
    number: int = 0,
    caption: str = "",
) -> str:
    """The frame, a box on every face, and how fast frames are read.

    Args:
        picture: the frame as a data URI.
        size: its width and height in px.
        session: after the frame was read; its meter has ms by stage of `STAGES`, and by "delay".
        number: the browser's number of the frame.
        caption: what an overlay shows, or a note.
    """
    boxes = "".join(_box(face, size, face.number == session.chosen) for face in session.faces)
    note = caption if session.faces else "No face in the picture. Come closer, turn to the camera, or turn on a light."
    count = len(session.faces)
    alt = f"The camera's picture with {count} numbered face{'' if count == 1 else 's'}"
    return (
        f'<div class="fer-live-view" data-frame="{number:d}"><div class="fer-picture">'
        f'<img src="{picture}" width="{size[0]}" height="{size[1]}" alt="{alt}">{boxes}</div>'
        f'<p class="fer-picture-note">{escape(note)}</p>{speed(session.meter)}</div>'
    )


def problem(text: str, number: int) -> str:
    """In place of the picture when a frame could not be read; the next one may be."""
    return f'<div class="fer-live-view" data-frame="{number:d}">{message(text)}</div>'


def speed(meter: Meter) -> str:
    """Frames per second, the shown delay and ms a stage, means of the last two seconds."""
    means = meter.means
    delay = f"{means['delay']:.0f}&nbsp;ms" if "delay" in means else "&ndash;"
    stages = "".join(
        f'<span title="{escape(covers)}">{name} <b data-stage="{name}">{means[name]:.0f}</b>&nbsp;ms</span>'
        for name, covers in STAGES.items()
        if name in means
    )
    return (
        f'<div class="fer-live-speed"><span class="fer-live-rate"><b data-stage="fps">{meter.fps:.1f}</b> frames per '
        f'second</span><span class="fer-live-rate" title="from the camera to the screen, measured in the browser">'
        f'<b data-stage="delay">{delay}</b> delay</span><span class="fer-live-stages">{stages}</span></div>'
    )


def panel(session: LiveSession, names: Sequence[str], display: ModelDisplay) -> str:
    """The chosen face: where the models agree, each model's label and confidence; buttons for the other faces."""
    if not names:
        return message("No model is chosen. Tick at least one.")
    face = session.face()
    here = [other.number for other in session.faces]
    tabs = "".join(_tab(number, number == session.chosen) for number in sorted(here)) if len(here) > 1 else ""
    group = f'<div class="fer-live-faces" role="group" aria-label="Faces">{tabs}</div>' if tabs else ""
    if face is None:
        words = "No face yet." if session.chosen is None else f"Face {session.chosen} is not in the picture."
        return f'<div class="fer-live-panel">{group}<p class="fer-sentence">{words}</p></div>'
    predictions = {name: face.predictions[name] for name in names if name in face.predictions}
    sentence = agreement_sentence(predictions, display.titles, display.training)
    rows = "".join(_row(prediction, display) for prediction in predictions.values())
    return (
        f'<div class="fer-live-panel">{group}<p class="fer-eyebrow">Face {face.number}</p>'
        f'<p class="fer-sentence">{escape(sentence)}</p><div class="fer-live-rows">{rows}</div></div>'
    )


def charts(past: Mapping[str, Series], names: Sequence[str], now_s: float, display: ModelDisplay) -> str:
    """A small chart a model: every expression of the chosen face over the last `WINDOW_S`; one key for all.

    Args:
        past: by model name.
        names: of the models, in their order.
        now_s: the right edge, on the clock of the readings.
        display: cards and styles.
    """
    drawn = [name for name in names if name in past]
    if not drawn:
        return ""
    figures = "".join(_chart(past[name], name, now_s, display) for name in drawn)
    labels = in_display_order({*EXPRESSIONS, *(label for name in drawn for label in past[name].labels)})
    key = "".join(
        f'<li><svg width="26" height="8" aria-hidden="true"><line x1="0" x2="26" y1="4" y2="4" {_stroke(label)}/></svg>'
        f"{escape(label.capitalize())}</li>"
        for label in labels
    )
    return (
        f'<div class="fer-live-past"><p class="fer-eyebrow">The last {WINDOW_S:.0f} seconds of this face</p>'
        f'<div class="fer-live-charts">{figures}</div><ul class="fer-key fer-live-key">{key}</ul></div>'
    )


def _box(face: LiveFace, size: tuple[int, int], chosen: bool) -> str:
    """A button around a face, in % of the picture, with the face's number and what most models say."""
    box = np.clip(face.face.box / np.array([*size, *size]), 0, 1) * 100
    left, top, wide, high = box[0], box[1], box[2] - box[0], box[3] - box[1]
    place = f"left:{left:.2f}%;top:{top:.2f}%;width:{wide:.2f}%;height:{high:.2f}%"
    words = majority(face.predictions)
    # Above the box where there is room; towards the middle where the picture ends.
    where = ("" if top > 9 else " data-inside") + (" data-right" if left > 60 else "")
    return (
        f'<button type="button" class="fer-hit fer-live-box" data-face="{face.number}" '
        f'aria-pressed="{_true(chosen)}" aria-label="Face {face.number}: {escape(words)}" style="{place}">'
        f'<span class="fer-live-tag"{where}><b>{face.number}</b> <span>{escape(words)}</span></span></button>'
    )


def _tab(number: int, chosen: bool) -> str:
    return f'<button type="button" data-face="{number}" aria-pressed="{_true(chosen)}">Face {number}</button>'


def _row(prediction: Prediction, display: ModelDisplay) -> str:
    name, style = prediction.model, display.styles[prediction.model]
    return (
        f'<div class="fer-live-row" data-model="{escape(name)}"><span class="fer-live-model">{swatch(style)}'
        f"{escape(display.cards[name].title)}</span>"
        f'<span class="fer-label">{escape(prediction.label.capitalize())}</span>'
        f'<span class="fer-confidence">{percent(prediction.confidence)}</span><span class="fer-bar">'
        f'<i style="width:{100 * prediction.confidence:.1f}%;background:{style.colour}"></i></span></div>'
    )


def _chart(series: Series, name: str, now_s: float, display: ModelDisplay) -> str:
    lines = "".join(
        f'<path d="{path}" data-expression="{escape(label)}" {_stroke(label)}/>'
        for label in in_display_order(series.labels)
        if (path := _path(series.points(label), now_s))
    )
    grid = "".join(f'<line class="fer-grid-line" x1="0" x2="{_WIDE}" y1="{y}" y2="{y}"/>' for y in (1, 40, 79))
    title = escape(display.cards[name].title)
    return (
        f'<figure data-model="{escape(name)}"><figcaption>{swatch(display.styles[name])}{title}</figcaption>'
        f'<div class="fer-live-plot"><svg viewBox="0 0 {_WIDE} {_HIGH}" preserveAspectRatio="none" role="img" '
        f'aria-label="What {title} said over the last {WINDOW_S:.0f} seconds">{grid}{lines}</svg>'
        '<span data-at="top">100&nbsp;%</span><span data-at="left">30 s ago</span><span data-at="right">now</span>'
        "</div></figure>"
    )


def _path(points: Sequence[tuple[float, float]], now_s: float) -> str:
    """An SVG path through the readings: time to the right, 100 % at the top; interrupted where the face was away."""
    parts, before = [], -np.inf
    for time_s, value in points:
        x = _WIDE * (1 - (now_s - time_s) / WINDOW_S)
        y = 1 + (_HIGH - 2) * (1 - value)
        # A move starts with a line of no length, so that a lone reading shows as a dot.
        parts.append(f"M{x:.0f} {y:.0f}h0L{x:.0f} {y:.0f}" if time_s - before > _GAP_S else f"L{x:.0f} {y:.0f}")
        before = time_s
    return "".join(parts)


def _stroke(label: str) -> str:
    return f'stroke="{COLOURS.get(label, _OTHER)}" stroke-dasharray="{DASHES.get(label, "")}"'


def _true(value: bool) -> str:
    return "true" if value else "false"
