"""A video's results as HTML; every text is escaped. No Gradio here."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from dashboard.components.analyzed_image import agreement_sentence
from dashboard.components.face_view import ModelDisplay, data_uri, swatch
from dashboard.video.figures import clock
from dashboard.video.session import VideoSession
from explain.drawing.overlay import fit
from fer_models.expressions import COLOURS
from fer_models.formatting import percent, percent_of
from fer_models.results import Prediction
from fer_models.video.run import LINES, SUMMARY, TABLE, VIDEO

#: Faces the page lists; the files have all.
MAX_FACES: Final = 12
#: Frames a second; a file that tells more tells its clock's ticks.
_MOST_RATE: Final = 240
_FILES: Final = (
    (VIDEO, "Video (MP4)"),
    (TABLE, "Table (CSV)"),
    (LINES, "All numbers (JSON)"),
    (SUMMARY, "Summary (JSON)"),
)


def ready(session: VideoSession) -> str:
    """The video before its analysis: first frame, length, size."""
    info, (small, _) = session.info, fit(session.first, least=1, most=480)
    facts = [f"{info.width} &times; {info.height} px", "with sound" if info.sound else "no sound"]
    if info.frame_rate and info.frame_rate <= _MOST_RATE:
        facts.insert(0, f"{info.frame_rate:.3g} frames a second")
    if info.duration_s:
        facts.insert(0, f"{clock(info.duration_s)} long")
    return (
        f'<div class="fer-panel fer-clip"><img src="{data_uri(small)}" alt="First frame of the video">'
        f'<p class="fer-picture-note">{", ".join(facts)}.</p></div>'
    )


def progress(done: float | None, time_s: float, left_s: float | None, faces: int) -> str:
    """How far the analysis is.

    Args:
        done: share in [0, 1]; None if it is not known.
        time_s: how much of the video is done.
        left_s: seconds until the end, roughly; None if it is not known.
        faces: how many were told apart so far.
    """
    width = 100 * (done or 0)
    words = f"{clock(time_s)} of the video read"
    if done is not None:
        words += f", {width:.0f}&nbsp;%"
    if left_s is not None:
        words += f"; about {_wait(left_s)} left"
    found = f"{faces} face{'' if faces == 1 else 's'} so far"
    return (
        '<div class="fer-panel fer-progress"><div class="fer-bar" role="progressbar" aria-label="Video read" '
        f'aria-valuemin="0" aria-valuemax="100" aria-valuenow="{width:.0f}">'
        f'<i style="width:{width:.1f}%;background:var(--fer-accent)"></i></div>'
        f'<p role="status">{words}. {found}.</p></div>'
    )


def player(session: VideoSession) -> str:
    """The annotated video, and the files to take away."""
    links = "".join(
        f'<a class="fer-file" href="{_address(session.folder / name)}" download="{name}">{title}</a>'
        for name, title in _FILES
        if (session.folder / name).is_file()
    )
    return (
        f'<div class="fer-panel fer-player"><video controls preload="auto" playsinline '
        f'src="{_address(session.folder / VIDEO)}"></video>'
        f'<div class="fer-files"><span>Download</span>{links}</div></div>'
    )


def listed(session: VideoSession) -> list[Mapping[str, Any]]:
    """The `MAX_FACES` faces of the summary that were seen longest, by number."""
    faces = sorted((session.summary or {}).get("faces", ()), key=lambda face: -face["seconds"])
    return sorted(faces[:MAX_FACES], key=lambda face: int(face["face"]))


def summary(session: VideoSession, display: ModelDisplay) -> str:
    """Who was seen for how long and what the models said, in words and as a table."""
    facts = session.summary or {}
    faces, notes = facts.get("faces", ()), list(facts.get("notes", ()))
    if session.timeline and session.timeline.full:
        notes.append("There are more faces than the chart shows; the files have all of them.")
    warnings = "".join(f'<p class="fer-note">{escape(note)}</p>' for note in notes)
    if not faces:
        return f'<div class="fer-panel">{warnings}<p class="fer-sentence">No face was found in this video.</p></div>'
    names = facts["analysis"]["models"]
    head = "".join(f"<th>{swatch(display.styles[name])} {escape(display.cards[name].title)}</th>" for name in names)
    rows = "".join(_row(face, names, display.titles) for face in listed(session))
    more = len(faces) - MAX_FACES
    rest = f'<p class="fer-hint">And {more} more, seen for shorter; the files have all.</p>' if more > 0 else ""
    split = "<th>Not all agree</th>" if len(names) > 1 else ""
    return (
        f'<div class="fer-panel">{warnings}<p class="fer-sentence">{escape(_sentence(facts, faces))}</p>'
        f'<div class="fer-scroll"><table class="fer-spans"><thead><tr><th>Face</th><th>Seen</th>{head}{split}'
        f'</tr></thead><tbody>{rows}</tbody></table></div>{rest}<p class="fer-hint">Each cell: the expressions a model '
        "gave most, with their share of the time the face was seen.</p></div>"
    )


def key(expressions: Sequence[str]) -> str:
    """The colours of the expressions."""
    items = "".join(
        f'<li><span class="fer-swatch" style="background-color:{COLOURS.get(name, "#B0B0B0")}"></span>'
        f"{escape(name.capitalize())}</li>"
        for name in expressions
    )
    strip = '<li><span class="fer-swatch fer-split"></span>Models disagree</li>'
    return f'<ul class="fer-key">{items}{strip}</ul>'


def moment(
    image: NDArray[np.uint8], time_s: float, face: int, said: Mapping[str, Prediction] | None, display: ModelDisplay
) -> str:
    """One frame (H, W, 3) uint8 RGB with its boxes, and what the models say about the chosen face in it."""
    small, _ = fit(image, least=1, most=960)
    words = "This face is not in this frame."
    if said is not None:
        answers = "; ".join(
            f"{display.cards[name].title} {p.label} {percent(p.confidence)}" for name, p in said.items()
        )
        words = f"{agreement_sentence(said, display.titles, display.training)} ({answers})"
    return (
        f'<figure class="fer-moment"><img src="{data_uri(small)}" alt="The frame at {clock(time_s)}">'
        f'<figcaption><strong>{clock(time_s)}, face {face}.</strong> <span aria-live="polite">{escape(words)}</span>'
        "</figcaption></figure>"
    )


def _row(face: Mapping[str, Any], names: Sequence[str], titles: Mapping[str, str]) -> str:
    # On a narrow screen each cell stands on a line of its own, with its heading before it.
    cells = "".join(
        f'<td data-head="{escape(titles[name])}">{_top(face["models"].get(name, {}))}</td>' for name in names
    )
    split = f'<td data-head="Not all agree">{percent_of(face["disagreement"])}</td>' if len(names) > 1 else ""
    seen = f"{face['seconds']:.1f} s <span>{clock(face['first_s'])} to {clock(face['last_s'])}</span>"
    return f'<tr><th data-head="Face">{face["face"]}</th><td data-head="Seen">{seen}</td>{cells}{split}</tr>'


def _top(shares: Mapping[str, float]) -> str:
    ranked = sorted(shares.items(), key=lambda share: -share[1])[:2]
    return ", ".join(f"{escape(label.capitalize())}\u00a0{percent_of(share)}" for label, share in ranked)


def _sentence(facts: Mapping[str, Any], faces: Sequence[Mapping[str, Any]]) -> str:
    count = f"{len(faces)} different faces were" if len(faces) > 1 else "One face was"
    text = f"{count} seen in {facts['analysis']['seconds']:.1f} seconds."
    if len(facts["analysis"]["models"]) < 2:
        return text
    share = facts["disagreement"] or 0
    if share == 0:
        return f"{text} All models agreed all the time."
    if share == 1:
        return f"{text} Never did all models agree."
    return f"{text} In {percent(share)} of the time a face was seen, not all models agreed."


def _wait(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.0f} minutes"


def _address(path: Path) -> str:
    """Relative, so that it also holds behind a proxy that serves the page under a path."""
    return f"gradio_api/file={quote(str(path))}"
