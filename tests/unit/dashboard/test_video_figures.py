"""The Video tab's chart and words, from hand-made timelines."""

from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

import dashboard.video.session
from dashboard.video.figures import POINTS, clock, timeline_figure
from dashboard.video.session import Timeline, VideoSession, agreement
from dashboard.video.view import choices, first_track, player, progress, summary, table, track_moments
from fer_models.errors import VideoError
from fer_models.expressions import COLOURS, EXPRESSIONS
from fer_models.registry import ModelStyle
from fer_models.results import Face, FaceAnalysis, Prediction
from fer_models.video.analysis import FrameAnalysis
from fer_models.video.run import LINES, SUMMARY, TABLE, VIDEO
from tests.helpers.texts import assert_states

CARDS = cast(Any, {"one": SimpleNamespace(labels=EXPRESSIONS), "two": SimpleNamespace(labels=EXPRESSIONS[::-1][:-1])})
TITLES = {"one": "One", "two": "Two"}


DISPLAY = cast(
    Any,
    SimpleNamespace(
        titles=TITLES,
        training={"one": "A", "two": "B"},
        styles=dict.fromkeys(TITLES, ModelStyle("#123456")),
        cards={name: SimpleNamespace(title=title) for name, title in TITLES.items()},
    ),
)


def track(number: int, seconds: float = 1.5, disagreement: float = 0) -> dict[str, Any]:
    shares = {"seconds": seconds, "disagreement": disagreement, "models": {"one": {"fear": 1}, "two": {"fear": 1}}}
    return {"face": number, "first_s": 0, "last_s": 2, **shares}


def says(name: str, label: str, share: float = 0.8) -> Prediction:
    labels = CARDS[name].labels
    values = np.full(len(labels), (1 - share) / (len(labels) - 1), np.float32)
    values[labels.index(label)] = share
    return Prediction(name, labels, np.log(values), values, 1.0, 1.0)


def frame(time_s: float, **faces: tuple[str, str]) -> FrameAnalysis:
    """Faces as f1=("neutral", "fear"): what the models one and two say."""
    found = [
        FaceAnalysis(
            0,
            Face(np.zeros(4, np.float32), None, 1.0),
            np.zeros((8, 8, 3), np.uint8),
            MappingProxyType({name: says(name, label) for name, label in zip(CARDS, labels, strict=True)}),
        )
        for labels in faces.values()
    ]
    return FrameAnalysis(time_s, tuple(int(name[1:]) for name in faces), tuple(found))


@pytest.fixture
def timeline() -> Timeline:
    line = Timeline(CARDS, ["one", "two"])
    line.add(frame(0, f1=("neutral", "neutral")))
    line.add(frame(0.5, f1=("neutral", "fear"), f2=("fear", "fear")))
    line.add(frame(1.5))
    line.add(frame(2, f1=("happiness", "happiness")))
    return line


@pytest.mark.parametrize("faces", [(), (track(1),)])
def test_a_video_without_faces_offers_no_empty_files(
    tmp_path: Path, timeline: Timeline, faces: tuple[Any, ...]
) -> None:
    for name in (VIDEO, TABLE, LINES, SUMMARY):
        (tmp_path / name).write_bytes(b"x")
    facts = {"analysis": {"seconds": 2.5, "models": ["one"]}, "faces": faces}
    session = cast(VideoSession, SimpleNamespace(folder=tmp_path, summary=facts, timeline=timeline))
    assert "<video" in player(session)
    assert table(session, DISPLAY).count("download=") == 4 * len(faces)


def test_the_timeline_joins_models_by_name_and_knows_gaps(timeline: Timeline) -> None:
    values = timeline.probabilities(1)
    assert values.shape == (4, 2, 7)
    assert values[1, 1, EXPRESSIONS.index("fear")] == pytest.approx(0.8)
    assert np.isnan(values[0, 1, EXPRESSIONS.index("anger")])  # "two" does not know anger
    assert np.isnan(values[2]).all()
    assert agreement(values, EXPRESSIONS).tolist() == [1, 0.5, pytest.approx(np.nan, nan_ok=True), 1]


def test_a_tie_in_a_video_is_no_disagreement() -> None:
    values = np.array([[[0.4, 0.395, 0.2], [0.1, 0.8, 0.1]], [[0.4, 0.38, 0.2], [0.1, 0.8, 0.1]]], np.float32)
    assert agreement(values, EXPRESSIONS[:3]).tolist() == [1, 0.5]


def test_an_answer_beyond_the_seven_expressions_is_no_disagreement() -> None:
    values = np.array([[[0.9, 0.1, 0], [0.1, 0.2, 0.7], [0.8, 0.1, 0.1]]], np.float32)
    assert agreement(values, ("fear", "anger", "contempt")).tolist() == [1]
    assert agreement(values, EXPRESSIONS[:3]).tolist() == [pytest.approx(2 / 3)]


def test_neighbouring_disagreements_are_one_and_absences_part_them() -> None:
    line = Timeline(CARDS, ["one", "two"])
    split, agreed = ("neutral", "fear"), ("fear", "fear")
    for time_s, labels in ((0, agreed), (1, split), (2, split), (3, agreed), (4, split), (5, None), (6, split)):
        line.add(frame(time_s, **({"f1": labels} if labels else {})))
    assert line.disagreements(1, 6.5) == [(1, 3), (4, 5), (6, 6.5)]
    assert line.disagreements(7, 6.5) == []


def test_a_single_model_never_disagrees() -> None:
    line = Timeline({"one": CARDS["one"]}, ["one"])
    line.add(frame(0, f1=("neutral", "fear")))
    assert line.disagreements(1, 1) == []


def test_a_track_tells_the_browser_what_holds_from_which_time(timeline: Timeline) -> None:
    track = track_moments(timeline, 1, 2.5, DISPLAY)
    assert track["times"] == [0, 0.5, 1.5, 2] and track["end"] == 2.5
    assert track["spans"] == [[0.5, 1.5]] and track["start"] == 0.5, "it starts where the models first disagree"
    assert [frame and frame[1] for frame in track["frames"]] == [
        [["neutral", 800], ["neutral", 800]],
        [["neutral", 800], ["fear", 800]],
        None,
        [["happiness", 800], ["happiness", 800]],
    ]
    says_what = [frame and track["sentences"][frame[0]] for frame in track["frames"]]
    assert "Both models predict neutral" in says_what[0] and "fear" in says_what[1] and "happiness" in says_what[3]
    agreed = track_moments(timeline, 2, 2.5, DISPLAY)
    assert agreed["spans"] == [] and agreed["start"] == 0.5, "or where the face is first seen"


@pytest.mark.parametrize(
    ("tracks", "number"),
    [
        ((track(1, 1), track(2, 3), track(3, 2)), 2),
        ((track(1, 9), track(2, 3, 0.1), track(3, 5, 0.1)), 3),
    ],
)
def test_the_track_shown_first_is_a_long_one_with_a_disagreement(tracks: Any, number: int) -> None:
    assert first_track(cast(Any, SimpleNamespace(summary={"faces": tracks}))) == number


def test_tracks_are_chosen_by_thumbnail(timeline: Timeline) -> None:
    facts: Any = {"analysis": {"seconds": 2.5, "models": ["one", "two"]}, "faces": [track(1, 1.5, 0.25), track(2)]}
    html = choices(cast(Any, SimpleNamespace(summary=facts, timeline=timeline)), 2)
    assert html.count("data:image/jpeg") == 2
    assert [part.count('aria-pressed="true"') for part in html.split("data-face=")[1:]] == [0, 1]
    assert_states(html, "1.5 s, 25 % disagreement")
    facts["analysis"]["models"] = ["one"]
    assert "disagreement" not in choices(cast(Any, SimpleNamespace(summary=facts, timeline=timeline)), 2)


def test_the_chart_stacks_each_model_in_the_expressions_colours(timeline: Timeline) -> None:
    figure = timeline_figure(timeline, 1, 2.5, TITLES)
    areas = [trace for trace in figure.data if trace.type == "scatter"]
    assert len(areas) == 14 and {trace.stackgroup for trace in areas} == {"one", "two"}
    assert all(trace.fillcolor == COLOURS[trace.name.lower()] and trace.line.shape == "hv" for trace in areas)
    assert list(areas[0].x) == [0, 0.5, 1.5, 2, 2.5]
    sums = np.sum([trace.y for trace in areas if trace.stackgroup == "two"], axis=0)
    assert sums.tolist() == pytest.approx([100, 100, 0, 100, 100], abs=1e-3)
    (strip,) = (trace for trace in figure.data if trace.type == "heatmap")
    assert np.nan_to_num(np.array(strip.z[0], float), nan=-1).tolist() == [1, 0.5, -1, 1]
    assert [note.text for note in figure.layout.annotations] == ["One", "Two", "Agreement"]


def test_long_videos_are_thinned_and_rows_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Timeline(CARDS, ["one", "two"])
    for index in range(3 * POINTS):
        line.add(frame(index / 10, f1=("neutral", "neutral")))
    assert len(timeline_figure(line, 1, 3 * POINTS / 10, TITLES).data[0].x) == POINTS + 1
    monkeypatch.setattr(dashboard.video.session, "MAX_ROWS", 3 * POINTS)
    assert not line.full
    line.add(frame(1e6, f1=("neutral", "neutral")))
    assert line.full and len(line.times) == 3 * POINTS


def test_a_tracks_thumbnail_is_its_best_frame(timeline: Timeline) -> None:
    best = {1: (40, 0.9, 200), 2: (80, 0.5, 120)}
    for number, (side, score, grey) in best.items():
        for share, value in ((0.5, 0), (1, grey), (0.8, 0)):
            crop = np.full((112, 112, 3), value, np.uint8)
            face = Face(np.array([0, 0, side, side], np.float32), None, score * share)
            predictions = MappingProxyType({name: says(name, "fear") for name in CARDS})
            timeline.add(FrameAnalysis(9, (number,), (FaceAnalysis(0, face, crop, predictions),)))
    for number, (*_, grey) in best.items():
        thumbnail = timeline.thumbnail(number)
        assert thumbnail is not None and thumbnail.shape == (64, 64, 3) and (thumbnail == grey).all()
    assert timeline.thumbnail(7) is None


def test_thumbnails_are_bounded_and_those_seen_most_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard.video.session, "MAX_THUMBNAILS", 2)
    line = Timeline(CARDS, ["one", "two"])
    for index, number in enumerate((1, 1, 2, 2, 3, 4)):
        line.add(frame(index, **{f"f{number}": ("fear", "fear")}))
    assert [number for number in range(1, 5) if line.thumbnail(number) is not None] == [1, 2]


def test_the_summary_shows_tracks_with_thumbnails_and_notes(timeline: Timeline) -> None:
    facts: Any = {"analysis": {"seconds": 2.5, "models": ["one"]}, "faces": [track(1), track(2)]}
    facts["notes"] = ["Interlaced."]
    session = cast(Any, SimpleNamespace(folder=Path("nowhere"), summary=facts, timeline=timeline))
    assert_states(summary(session), "2 tracks", "Interlaced.")
    html = table(session, DISPLAY)
    assert html.count("data:image/jpeg") == 2 and "Disagreement" not in html
    facts["analysis"]["models"] = ["one", "two"]
    assert table(session, DISPLAY).count("Disagreement") == 3, "a heading and a cell per track"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (3.44, "0:03.4"), (59.96, "1:00"), (75, "1:15"), (600.5, "10:00.5")]
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_progress_in_words() -> None:
    assert_states(progress(0.5, 2.5, 30, 1), "0:02.5", "50 %", "30 seconds left", "1 track ")
    assert_states(progress(0.5, 2.5, 120, 3), "2 minutes left", "3 tracks")
    assert "left" not in progress(None, 1, None, 0)


def test_a_session_cleans_up(tmp_path: Any) -> None:
    upload = tmp_path / "clip.mp4"
    upload.write_text("no video")
    with pytest.raises(VideoError, match="^The file is not a video"):
        VideoSession(upload, tmp_path)
    assert list(tmp_path.iterdir()) == [upload]
