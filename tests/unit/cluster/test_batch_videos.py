"""A cluster's batch of videos on the disk: whatever is stopped when, each row is there once in the end."""

from pathlib import Path

import numpy as np
import pandas
import pytest

from cluster.batch_output import Output, open_output
from cluster.batch_videos import finished_videos, missing_segments, write_segment, write_video
from fer_models.batch.run import NO_FACE
from fer_models.batch.table import Row, table_columns
from fer_models.batch.videos import SEEN, VideoPart, seen_text
from fer_models.media.sources import Pictures
from fer_models.media.video_files import VideoFile
from fer_models.media.video_segments import Segment
from fer_models.results import Face, FaceAnalysis

COLUMNS = table_columns({}, videos=True)
VIDEOS = tuple(VideoFile(f"{name}.mp4", "1", lambda: Path("nowhere")) for name in "ab")
#: Three segments of one video and two of the other.
PARTS = {
    number: [VideoPart(video, Segment(10 * index, 10 * index + 10)) for index in range(count)]
    for number, (video, count) in enumerate(zip(VIDEOS, (3, 2), strict=True))
}
CROPS = np.random.default_rng(0).integers(0, 256, (2, 12, 12, 3), np.uint8).repeat(4, 1).repeat(4, 2)


def rows_of(part: VideoPart) -> list[Row]:
    """Two frames with a face, in every other segment another person's, and one without."""
    person = part.segment.first // 10 % 2
    face = FaceAnalysis(
        0, Face(np.array([0, 0, 50, 50], np.float32) + np.float32(300 * person), None, 0.9), CROPS[person], {}
    )
    start = part.segment.first / 5
    rows: list[Row] = [
        {"file": part.video.name, "time_s": time_s, "face": 1, SEEN: seen_text(time_s, face)}
        for time_s in (start, start + 0.2)
    ]
    return [*rows, {"file": part.video.name, "time_s": start + 0.4, "reason": NO_FACE}]


def opened(folder: Path) -> Output:
    return open_output(folder / "out.parquet", Pictures((), videos=VIDEOS), {"version": "1"}, 32)


def analyze(output: Output, *chosen: int) -> None:
    """Some of the segments that are missing."""
    tasks = missing_segments(output, {n: parts for n, parts in PARTS.items() if n not in finished_videos(output)})
    for index in chosen or range(len(tasks)):
        write_segment(output, tasks[index], rows_of(tasks[index].part), COLUMNS)


def missing(output: Output) -> list[tuple[int, int]]:
    unfinished = {n: parts for n, parts in PARTS.items() if n not in finished_videos(output)}
    return [(task.video, task.index) for task in missing_segments(output, unfinished)]


def test_segments_in_any_order_become_the_table_in_the_videos_order(tmp_path: Path) -> None:
    output = opened(tmp_path)
    assert missing(output) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    analyze(output, 4, 1)
    assert missing(output) == [(0, 0), (0, 2), (1, 0)]
    assert not finished_videos(output)
    analyze(output)
    for video, parts in PARTS.items():
        write_video(output, video, len(parts), COLUMNS)
    finished = finished_videos(output)
    assert sorted(finished) == [0, 1] and missing(output) == []
    counts = output.finish([name for names in finished.values() for name in names])
    assert (counts.faces, counts.frames, counts.empty_frames, counts.unreadable) == (10, 15, 5, ())
    table = pandas.read_parquet(tmp_path / "out.parquet")
    assert table["file"].tolist() == ["a.mp4"] * 9 + ["b.mp4"] * 6 and list(table) == list(COLUMNS)
    assert table["time_s"].tolist()[:9] == pytest.approx([0, 0.2, 0.4, 2, 2.2, 2.4, 4, 4.2, 4.4])
    assert table["track"].dropna().tolist() == [1, 1, 2, 2, 1, 1, 1, 1, 2, 2] and table["track"].isna().sum() == 5
    assert all(name == "_run.json" or name.startswith("video-") for name in output.names())


def test_whatever_was_killed_the_rows_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each number of files that a worker had written when it was killed, another one does it again."""
    whole = opened(tmp_path / "whole")
    analyze(whole)
    for video, parts in PARTS.items():
        write_video(whole, video, len(parts), COLUMNS)
    whole.finish([name for names in finished_videos(whole).values() for name in names])
    expected = pandas.read_parquet(tmp_path / "whole" / "out.parquet")

    for killed_after in range(10):
        left = killed_after

        class Killed(BaseException):
            pass

        write = Output.write

        def dying(self: Output, name: str, frame: object, write: object = write) -> None:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            write(self, name, frame)  # type: ignore[operator]

        output = opened(tmp_path / str(killed_after))
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(Output, "write", dying)
            analyze(output)
            for video, parts in PARTS.items():
                write_video(output, video, len(parts), COLUMNS)
        again = opened(tmp_path / str(killed_after))
        assert len(missing(again)) == max(5 - killed_after, 0)
        if missing(again):
            analyze(again)
        for video, parts in PARTS.items():
            if video not in finished_videos(again):
                write_video(again, video, len(parts), COLUMNS)
        again.finish([name for names in finished_videos(again).values() for name in names])
        pandas.testing.assert_frame_equal(pandas.read_parquet(tmp_path / str(killed_after) / "out.parquet"), expected)


def test_a_video_is_not_finished_with_a_part_missing(tmp_path: Path) -> None:
    output = opened(tmp_path)
    analyze(output)
    write_video(output, 0, 3, COLUMNS)
    next((tmp_path / "out.parquet").glob("video-000000-00001-*")).unlink()
    assert finished_videos(output) == {}
