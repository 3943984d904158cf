"""A video's results as view models and HTML. No Gradio here."""

import json
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
from dashboard.components.templates import data_uri, render
from dashboard.video.figures import clock
from dashboard.video.session import Timeline, VideoSession
from explain.drawing.overlay import fit
from fer_models.expressions import COLOURS
from fer_models.formatting import percent, percent_of
from fer_models.registry import ModelStyle
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


class ModelRow(NamedTuple):
    """A model beside the video, whose answers the browser fills in."""

    name: str
    title: str
    style: ModelStyle


@dataclass(frozen=True, eq=False)
class TrackChoice:
    """A track that can be chosen.

    Attributes:
        number: of the track.
        thumbnail: (S, S, 3) uint8 RGB, its face; None if none was kept.
        seconds: for how long it was seen.
        disagreement: share of that time in which not all models agreed; empty for a single model.
    """

    number: int
    thumbnail: NDArray[np.uint8] | None
    seconds: str
    disagreement: str


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
    """The annotated video with its buttons, which `static/video.js` brings to life."""
    facts = session.summary or {}
    several = len(facts.get("analysis", {}).get("models", ())) > 1
    found = bool(facts.get("faces"))
    return render("video/player.html", video=_address(session.folder / VIDEO), jumps=found and several)


def listed(session: VideoSession) -> list[Mapping[str, Any]]:
    """The `MAX_TRACKS` tracks of the summary that were seen longest, by number."""
    faces = sorted((session.summary or {}).get("faces", ()), key=lambda face: -face["seconds"])
    return sorted(faces[:MAX_TRACKS], key=lambda face: int(face["face"]))


def summary(session: VideoSession) -> Markup:
    """How many tracks were found and how often the models disagreed, in a sentence, and what is to be noted."""
    facts = session.summary or {}
    faces, notes = facts.get("faces", ()), list(facts.get("notes", ()))
    if session.timeline and session.timeline.full:
        notes.append("There are more tracks than the chart shows; the files have all of them.")
    sentence = _sentence(facts, faces) if faces else "No face was found in this video."
    return render("video/summary.html", notes=notes, sentence=sentence)


def table(session: VideoSession, display: ModelDisplay) -> Markup | str:
    """Who was seen for how long and what the models predicted, and the files to take away.

    Nothing where no face was found: the files would be empty.
    """
    facts = session.summary or {}
    faces = facts.get("faces", ())
    if not faces:
        return ""
    names = facts["analysis"]["models"]
    return render(
        "video/table.html",
        models=[Column(display.styles[name], display.cards[name].title) for name in names],
        tracks=[track_row(face, names, session.timeline) for face in listed(session)],
        more=max(len(faces) - MAX_TRACKS, 0),
        files=[
            Download(name, title, _address(session.folder / name))
            for name, title in _FILES.items()
            if (session.folder / name).is_file()
        ],
    )


def first_track(session: VideoSession) -> int:
    """The track to show first: of those on which the models disagree, else of all, the one seen longest.

    Raises:
        ValueError: no face was found.
    """
    return int(max(listed(session), key=lambda face: (face["disagreement"] > 0, face["seconds"]))["face"])


def choices(session: VideoSession, chosen: int) -> Markup:
    """The tracks that are listed, with thumbnails, to choose one of."""
    several = len((session.summary or {})["analysis"]["models"]) > 1
    tracks = [
        TrackChoice(
            number=face["face"],
            thumbnail=session.timeline.thumbnail(face["face"]) if session.timeline else None,
            seconds=f"{face['seconds']:.1f}",
            disagreement=percent_of(face["disagreement"]) if several else "",
        )
        for face in listed(session)
    ]
    return render("video/choices.html", tracks=tracks, chosen=chosen)


def key(expressions: Sequence[str]) -> Markup:
    """The colours of the expressions."""
    colours = [(COLOURS.get(name, _OTHER_COLOUR), name) for name in expressions]
    return render("video/key.html", expressions=colours)


def moments(session: VideoSession, face: int, display: ModelDisplay) -> Markup | str:
    """What the models predict for a face at every moment: the browser fills this in as the video moves.

    Args:
        session: with a timeline and a summary.
        face: number of the track.
        display: cards and styles.
    """
    if session.timeline is None or session.summary is None:
        return ""
    models = [ModelRow(name, display.titles[name], display.styles[name]) for name in session.timeline.labels]
    track = track_moments(session.timeline, face, float(session.summary["analysis"]["seconds"]), display)
    return render("video/moments.html", face=face, models=models, track=json.dumps(track, separators=(",", ":")))


def track_moments(timeline: Timeline, face: int, end_s: float, display: ModelDisplay) -> dict[str, Any]:
    """A track as `static/video.js` reads it.

        {"face": NUMBER, "start": SECONDS, "end": SECONDS, "spans": [[FROM, TO], ...], "times": [SECONDS, ...],
         "frames": [null or [INDEX of the sentence, [[EXPRESSION, probability in thousandths], ...]], ...],
         "sentences": [TEXT, ...]}

    `start` is where the video starts: at the first disagreement, or else where the face is first seen. `spans` are the
    disagreements. Each of `frames` holds from its time until the next one's, and is null where the face is not there.

    Args:
        timeline: of the video.
        face: number of the track.
        end_s: when the last analysed frame's time ends.
        display: cards.
    """
    spans = timeline.disagreements(face, end_s)
    sentences: dict[str, int] = {}
    frames: list[Any] = []
    for predictions in timeline.predictions(face):
        if predictions is None:
            frames.append(None)
            continue
        text = agreement_sentence(predictions, display.titles, display.training)
        answers = [[each.label, round(1000 * each.confidence)] for each in predictions.values()]
        frames.append([sentences.setdefault(text, len(sentences)), answers])
    return {
        "face": face,
        "start": round(spans[0].start_s if spans else timeline.first(face) or 0.0, 3),
        "end": round(end_s, 3),
        "spans": [[round(time_s, 3) for time_s in span] for span in spans],
        "times": [round(time_s, 3) for time_s in timeline.times.tolist()],
        "frames": frames,
        "sentences": list(sentences),
    }


def sent_frame(image: NDArray[np.uint8], time_s: float, count: int) -> Markup:
    """A frame (H, W, 3) uint8 RGB for Compare, which does not show here.

    Args:
        image: the frame.
        time_s: where in the video it is, which its name says.
        count: another one for each time that a frame is asked for: the same one twice is sent twice.
    """
    name = f"video frame at {clock(time_s).replace(':', ' min ')} s.jpg"
    return render("video/frame.html", picture=data_uri(image, 95), name=name, count=count)


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
    count = f"{len(faces)} tracks" if len(faces) > 1 else "One track"
    text = f"{count} in {facts['analysis']['seconds']:.1f} seconds of video."
    if len(facts["analysis"]["models"]) < 2:
        return text
    share = facts["disagreement"] or 0
    if share == 0:
        return f"{text} All models agreed all the time."
    if share == 1:
        return f"{text} The models disagreed all the time."
    return f"{text} The models disagreed {percent(share)} of the time a face was visible."


def _wait(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.0f} minutes"


def _address(path: Path) -> str:
    """Relative, so that it also holds behind a proxy that serves the page under a path."""
    return f"gradio_api/file={quote(str(path))}"
