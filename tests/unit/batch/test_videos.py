"""Videos in a batch: the rows of all segments together are those of the whole video, tracks included."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fer_models.analyzer import Analyzer, load_analyzer
from fer_models.batch import videos
from fer_models.batch.run import NO_FACE, UNEXPECTED, count_rows
from fer_models.batch.table import Row, column, table_columns
from fer_models.batch.videos import SEEN, VideoPart, analyze_segment, video_parts, with_tracks
from fer_models.errors import VideoError
from fer_models.media.video_files import VideoFile
from fer_models.media.video_reader import VideoReader
from fer_models.results import Face
from fer_models.video.analysis import FrameAnalysis, analyze_video
from tests.helpers.clips import write_clip

MODEL = "eac_mobilenet_v2"
RATE = 5
SHAPE = (100, 300, 3)


class BrightDetector:
    """A face in every 100 px of width that are not dark."""

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        corners = [
            np.array([x, 0], np.float32)
            for x in range(0, image.shape[1] - 99, 100)
            if image[:, x : x + 100].mean() > 40
        ]
        return [Face(np.concatenate([corner, corner + np.float32(100)]), None, 0.9) for corner in corners]


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fer_models.media.video_segments.SEGMENT_S", 2.0)


@pytest.fixture(scope="module")
def bright(weights_dir: Path) -> Analyzer:
    return load_analyzer([MODEL], weights=weights_dir, device="cpu", detector=BrightDetector())


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine seconds of two people: one leaves over a border and comes back elsewhere, for a while there is nobody."""
    people = [
        np.random.default_rng(seed).integers(0, 256, (10, 10, 3), np.uint8).repeat(10, 0).repeat(10, 1)
        for seed in (1, 2)
    ]
    frames = []
    for index in range(90):
        frame = np.zeros(SHAPE, np.uint8)
        if not 52 <= index < 58:
            frame[:, :100] = people[0]
        if index < 35:
            frame[:, 100:200] = people[1]
        elif index >= 64:
            frame[:, 200:] = people[1]
        frames.append(frame)
    return write_clip(tmp_path_factory.mktemp("clip") / "a.mp4", frames, encoder={"g": "10"})


def file_of(path: Path) -> VideoFile:
    return VideoFile(path.name, "1", lambda: path)


def rows_of(analyzer: Analyzer, parts: list[VideoPart]) -> list[list[Row]]:
    """Of each part, analysed in any order."""
    order = random.Random(3).sample(parts, len(parts))
    rows = {part.name: analyze_segment(analyzer, part, RATE) for part in order}
    return [rows[part.name] for part in parts]


def expected_rows(analyzer: Analyzer, path: Path) -> list[tuple[Any, ...]]:
    with VideoReader(path) as reader:
        frames: list[FrameAnalysis] = list(analyze_video(analyzer, reader, rate=RATE))
    found: list[tuple[Any, ...]] = []
    for frame in frames:
        for number, (track, face) in enumerate(zip(frame.numbers, frame.faces, strict=True), 1):
            prediction = face.predictions[MODEL]
            found.append((frame.time_s, number, track, *face.face.box, prediction.label, prediction.confidence))
        if not frame.faces:
            found.append((frame.time_s, None, None, None, None, None, None, None, None))
    return found


def test_segments_have_the_rows_and_tracks_of_the_whole_video(bright: Analyzer, clip: Path) -> None:
    parts = video_parts(file_of(clip), RATE)
    assert len(parts) >= 4 and len({part.name for part in parts}) == len(parts)
    rows = with_tracks([row for part in rows_of(bright, parts) for row in part])
    expected = expected_rows(bright, clip)
    assert (
        len(rows) == len(expected) == 45 + 31
    )  # faces of the first person less 3 frames without, of the second, and these
    names = ["time_s", "face", "track", "x1", "y1", "x2", "y2", column(MODEL, "label"), column(MODEL, "confidence")]
    for row, values in zip(rows, expected, strict=True):
        assert [row.get(name) for name in names[:3]] == [pytest.approx(values[0], abs=1e-4), *values[1:3]]
        assert [row.get(name) for name in names[3:]] == [
            value if value is None or isinstance(value, str) else pytest.approx(value, abs=0.01) for value in values[3:]
        ]
    assert {row.get("track") for row in rows} == {1, 2, None}  # the second person came back as the same
    assert all(SEEN not in row for row in rows)
    assert {key for row in rows for key in row} <= set(
        table_columns({MODEL: bright.classifiers[MODEL].card.labels}, videos=True)
    )


def test_frames_are_counted_apart_from_pictures(bright: Analyzer, clip: Path) -> None:
    rows = [row for part in rows_of(bright, video_parts(file_of(clip), RATE)) for row in part]
    pictures: list[Row] = [
        {"file": "a.png", "face": 1},
        {"file": "b.png", "reason": NO_FACE},
        {"file": "c.png", "reason": "x"},
    ]
    counts = count_rows([*pictures, *with_tracks(rows)])
    assert (counts.frames, counts.empty_frames, counts.without, counts.unreadable) == (45, 3, 1, ("c.png",))
    assert counts.faces == 1 + len(rows) - 3


def test_a_video_that_cannot_be_read_is_one_row_with_the_reason(bright: Analyzer, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(100))

    def gone() -> Path:
        raise VideoError("It is not there.")

    for video, word in ((file_of(tmp_path / "broken.mp4"), "damaged"), (VideoFile("gone.mp4", "", gone), "not there")):
        (part,) = video_parts(video, RATE)
        (row,) = with_tracks(analyze_segment(bright, part, RATE))
        assert row["file"] == video.name and word in str(row["reason"]) and row.get("track") is None
        assert count_rows([row]).unreadable == (video.name,)


def test_a_video_cut_off_has_the_rows_that_are_there_and_says_so(bright: Analyzer, clip: Path, tmp_path: Path) -> None:
    whole = write_clip(
        tmp_path / "whole.mp4",
        [np.full(SHAPE, 60 + index, np.uint8) for index in range(90)],
        encoder={"g": "10"},
        options={"movflags": "faststart"},
    )
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    rows = [row for part in rows_of(bright, video_parts(file_of(tmp_path / "cut.mp4"), RATE)) for row in part]
    assert 10 < len({row["time_s"] for row in rows}) < 45
    assert not count_rows(rows).unreadable and "incomplete" in str(rows[-1]["file_notes"])


def test_a_segment_that_fails_loses_no_other(bright: Analyzer, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = video_parts(file_of(clip), RATE)
    analyze = analyze_video

    def failing(*args: Any, segment: Any, **options: Any) -> Any:
        yield from analyze(*args, segment=segment, **options)
        if segment == parts[1].segment:
            raise ZeroDivisionError

    whole = with_tracks([row for part in rows_of(bright, parts) for row in part])
    monkeypatch.setattr(videos, "analyze_video", failing)
    rows = with_tracks([row for part in rows_of(bright, parts) for row in part])
    start, end = (part.segment.first / RATE for part in parts[1:3])
    (failed,) = [row for row in rows if row.get("reason") == UNEXPECTED]
    assert failed["time_s"] == start
    kept = [row for row in whole if not start <= float(row["time_s"] or 0) < end]
    assert [row for row in rows if row is not failed] == kept
