"""The Video tab's chart and words, from hand-made timelines."""

from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

import dashboard.video.session
from dashboard.video.figures import POINTS, agreement, clock, timeline_figure
from dashboard.video.session import Timeline, VideoSession
from dashboard.video.view import player, progress, summary
from fer_models.errors import VideoError
from fer_models.expressions import COLOURS, EXPRESSIONS
from fer_models.registry import ModelStyle
from fer_models.results import Face, FaceAnalysis, Prediction
from fer_models.video.analysis import FrameAnalysis
from fer_models.video.run import LINES, SUMMARY, TABLE, VIDEO
from tests.helpers.texts import assert_states

CARDS = cast(Any, {"one": SimpleNamespace(labels=EXPRESSIONS), "two": SimpleNamespace(labels=EXPRESSIONS[::-1][:-1])})
TITLES = {"one": "One", "two": "Two"}


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


@pytest.mark.parametrize("faces", [(), ({"face": 1},)])
def test_a_video_without_faces_offers_no_empty_files(tmp_path: Path, faces: tuple[Any, ...]) -> None:
    for name in (VIDEO, TABLE, LINES, SUMMARY):
        (tmp_path / name).write_bytes(b"x")
    session = cast(VideoSession, SimpleNamespace(folder=tmp_path, summary={"faces": faces}))
    html = player(session)
    assert "<video" in html and html.count("download=") == 4 * len(faces) and ("Download" in html) == bool(faces)


def test_the_timeline_joins_models_by_name_and_knows_gaps(timeline: Timeline) -> None:
    values = timeline.probabilities(1)
    assert values.shape == (4, 2, 7)
    assert values[1, 1, EXPRESSIONS.index("fear")] == pytest.approx(0.8)
    assert np.isnan(values[0, 1, EXPRESSIONS.index("anger")])  # "two" does not know anger
    assert np.isnan(values[2]).all()
    assert agreement(values).tolist() == [1, 0.5, pytest.approx(np.nan, nan_ok=True), 1]


def test_a_tie_in_a_video_is_no_disagreement() -> None:
    values = np.array([[[0.4, 0.395, 0.2], [0.1, 0.8, 0.1]], [[0.4, 0.38, 0.2], [0.1, 0.8, 0.1]]], np.float32)
    assert agreement(values).tolist() == [1, 0.5]


def test_what_is_said_at_a_time_holds_until_the_next_frame(timeline: Timeline) -> None:
    def labels(face: int, time_s: float) -> list[str] | None:
        said = timeline.at(face, time_s)
        return [prediction.label for prediction in said.values()] if said else None

    assert labels(1, 0) == labels(1, 0.49) == ["neutral", "neutral"]
    assert labels(1, 0.5) == ["neutral", "fear"] and labels(1, 99) == ["happiness", "happiness"]
    assert labels(1, 1.6) is None and labels(2, 0) is None and labels(7, 0) is None


def test_a_written_frame_is_said_about_what_its_own_frame_is(timeline: Timeline) -> None:
    """Times in files are counted in ticks of 1/90,000 s, and may lie some millionths before those they were made of."""
    assert timeline.at(2, 0.5 - 6e-6) is not None and timeline.at(2, 0.49) is None
    assert timeline.first(2) == 0.5 and timeline.first(1) == 0 and timeline.first(7) is None


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
    tracks = [
        {"face": number, "first_s": 0, "last_s": 2, "seconds": 1.5, "disagreement": 0, "models": {"one": {"fear": 1}}}
        for number in (1, 2)
    ]
    facts = {"analysis": {"seconds": 2.5, "models": ["one"]}, "faces": tracks, "notes": ["It is interlaced."]}
    session = cast(Any, SimpleNamespace(summary=facts, timeline=timeline))
    style = ModelStyle("#123456")
    display = cast(Any, SimpleNamespace(styles={"one": style}, cards={"one": SimpleNamespace(title="One")}))
    html = summary(session, display)
    assert "2 tracks" in html and "different" not in html and "It is interlaced." in html
    assert html.count("data:image/jpeg") == 2


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
