"""A video's results as view models and HTML. No Gradio here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from dashboard.components.analyzed_image import agreement_sentence
from dashboard.components.display import ModelDisplay
from dashboard.components.templates import render
from dashboard.video.figures import clock
from dashboard.video.session import Timeline, VideoSession
from explain.drawing.overlay import fit
from fer_models.expressions import COLOURS
from fer_models.formatting import percent, percent_of
from fer_models.registry import ModelStyle
from fer_models.results import Prediction
from fer_models.video.run import LINES, SUMMARY, TABLE, VIDEO

#: The page lists at most this many tracks; the files have all.
MAX_TRACKS: Final = 12
#: Frames per second; a file that states more states the ticks of its clock.
_MOST_RATE: Final = 240
_FILES: Final = {
    VIDEO: "Video (MP4)",
    TABLE: "Table (CSV)",
    LINES: "All numbers (JSON Lines)",
    SUMMARY: "Summary (JSON)",
}
_OTHER_COLOUR: Final = "#B0B0B0"


class Download(NamedTuple):
    """A file to take away."""

    name: str
    title: str
    address: str


class Column(NamedTuple):
    """A model of the summary's table."""

    style: ModelStyle
    title: str


@dataclass(frozen=True)
class TrackRow:
    """One track of the summary's table, as the page words it: one face, followed from frame to frame.

    Attributes:
        number: of the track.
        thumbnail: (S, S, 3) uint8 RGB, its face; None if none was kept.
        seconds: for how long it was seen.
        span: from when to when.
        expressions: for each model, what it predicted most.
        disagreement: share of that time in which not all models agreed.
    """

    number: int
    thumbnail: NDArray[np.uint8] | None
    seconds: str
    span: str
    expressions: tuple[str, ...]
    disagreement: str


def ready(session: VideoSession) -> Markup:
    """The video before its analysis: first frame, length, size."""
    info, (small, _) = session.info, fit(session.first, least=1, most=480)
    facts = [f"{info.width} × {info.height} px", "with sound" if info.sound else "no sound"]
    if info.frame_rate and info.frame_rate <= _MOST_RATE:
        facts.insert(0, f"{info.frame_rate:.3g} frames per second")
    if info.duration_s:
        facts.insert(0, f"{clock(info.duration_s)} long")
    return render("video/ready.html", picture=small, facts=facts)


def progress(done: float | None, time_s: float, left_s: float | None, faces: int) -> Markup:
    """How far the analysis is.

    Args:
        done: share in [0, 1]; None if it is not known.
        time_s: how much of the video is done.
        left_s: seconds until the end, roughly; None if it is not known.
        faces: how many tracks there are so far.
    """
    percentage = 100 * (done or 0)
    text = f"{clock(time_s)} of the video analysed"
    if done is not None:
        text += f", {percentage:.0f}\u00a0%"
    if left_s is not None:
        text += f"; about {_wait(left_s)} left"
    text += f". {faces} track{'' if faces == 1 else 's'} so far."
    return render("video/progress.html", percent=percentage, text=text)


def player(session: VideoSession) -> Markup:
    """The annotated video, and the files to take away; none where no face was found, since all would be empty."""
    found = bool((session.summary or {}).get("faces"))
    files = [
        Download(name, title, _address(session.folder / name))
        for name, title in _FILES.items()
        if found and (session.folder / name).is_file()
    ]
    return render("video/player.html", video=_address(session.folder / VIDEO), files=files)


def listed(session: VideoSession) -> list[Mapping[str, Any]]:
    """The `MAX_TRACKS` tracks of the summary that were seen longest, by number."""
    faces = sorted((session.summary or {}).get("faces", ()), key=lambda face: -face["seconds"])
    return sorted(faces[:MAX_TRACKS], key=lambda face: int(face["face"]))


def summary(session: VideoSession, display: ModelDisplay) -> Markup:
    """Who was seen for how long and what the models predicted, in words and as a table."""
    facts = session.summary or {}
    faces, notes = facts.get("faces", ()), list(facts.get("notes", ()))
    if session.timeline and session.timeline.full:
        notes.append("There are more tracks than the chart shows; the files have all of them.")
    names = facts["analysis"]["models"] if faces else ()
    return render(
        "video/summary.html",
        notes=notes,
        sentence=_sentence(facts, faces) if faces else "No face was found in this video.",
        models=[Column(display.styles[name], display.cards[name].title) for name in names],
        tracks=[track_row(face, names, session.timeline) for face in listed(session)],
        more=max(len(faces) - MAX_TRACKS, 0),
    )


def key(expressions: Sequence[str]) -> Markup:
    """The colours of the expressions."""
    colours = [(COLOURS.get(name, _OTHER_COLOUR), name) for name in expressions]
    return render("video/key.html", expressions=colours)


def moment(
    image: NDArray[np.uint8],
    time_s: float,
    face: int,
    predictions: Mapping[str, Prediction] | None,
    display: ModelDisplay,
) -> Markup:
    """One frame (H, W, 3) uint8 RGB with its boxes, and what the models predict for the chosen face in it."""
    small, _ = fit(image, least=1, most=960)
    text = "This face is not in this frame."
    if predictions is not None:
        answers = "; ".join(
            f"{display.cards[name].title} {prediction.label} {percent(prediction.confidence)}"
            for name, prediction in predictions.items()
        )
        text = f"{agreement_sentence(predictions, display.titles, display.training)} ({answers})"
    return render("video/moment.html", picture=small, time=clock(time_s), face=face, text=text)


def track_row(face: Mapping[str, Any], names: Sequence[str], timeline: Timeline | None) -> TrackRow:
    """One track of a video's summary as a row of the table.

    Args:
        face: an entry of "faces" in the summary.
        names: of the models, in the order of the columns.
        timeline: of the video, which has the thumbnails.
    """
    return TrackRow(
        number=face["face"],
        thumbnail=timeline.thumbnail(face["face"]) if timeline else None,
        seconds=f"{face['seconds']:.1f}",
        span=f"{clock(face['first_s'])} to {clock(face['last_s'])}",
        expressions=tuple(_most_frequent(face["models"].get(name, {})) for name in names),
        disagreement=percent_of(face["disagreement"]),
    )


def _most_frequent(shares: Mapping[str, float]) -> str:
    ranked = sorted(shares.items(), key=lambda share: -share[1])[:2]
    return ", ".join(f"{label.capitalize()}\u00a0{percent_of(share)}" for label, share in ranked)


def _sentence(facts: Mapping[str, Any], faces: Sequence[Mapping[str, Any]]) -> str:
    count = f"{len(faces)} tracks were" if len(faces) > 1 else "One track was"
    text = f"{count} found in {facts['analysis']['seconds']:.1f} seconds."
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
