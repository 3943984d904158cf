"""Segments of videos have the very frames that reading all of the file gives, whatever the file is like."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from fer_models.errors import VideoError
from fer_models.media.video_files import open_container
from fer_models.media.video_reader import VideoReader, slot_of
from fer_models.media.video_segments import WHOLE, Segment, open_segment, slots_per_segment, split
from tests.helpers.clips import woven, write_clip

FRAMES: Final = 90
X264: Final = {"preset": "veryfast", "bf": "3", "g": "15", "x264-params": "b-adapt=0:scenecut=0"}


#: Two gaps, one of them over a border, and a slower end.
VARIABLE: Final = [*range(0, 60 * 33, 33), 2500, *range(4400, 4400 + 29 * 200, 200)]


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fer_models.media.video_segments.SEGMENT_S", 2.0)


def moving(index: int) -> NDArray[np.uint8]:
    """A texture that moves, so that frames are predicted from others; each frame is different."""
    texture = np.random.default_rng(5).integers(0, 256, (25, 33, 3), np.uint8).repeat(4, 0).repeat(4, 1)[:100, :130]
    return np.ascontiguousarray(np.roll(texture, (index, 2 * index), (0, 1)))


def moving_clip(path: Path, **options: Any) -> Path:
    return write_clip(path, [moving(index) for index in range(FRAMES)], encoder=options.pop("encoder", X264), **options)


def turned(stream: Any) -> None:
    stream.set_display_rotation(90)


def cut(path: Path) -> Path:
    """Without its first 1.55 seconds, as a phone cuts: they stay in the file, and an edit list leaves them out."""
    whole = moving_clip(path.with_name("whole.mp4"))
    with av.open(str(whole)) as source, av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                assert packet.time_base and packet.pts is not None and packet.dts is not None
                shift = round(1.55 / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
                target.mux(packet)
    return path


def interlaced(path: Path) -> Path:
    def interlace(stream: Any) -> None:
        stream.options = {"flags": "+ildct+ilme", "g": "15", "bf": "2"}

    return write_clip(
        path, [woven(moving(2 * index), moving(2 * index + 1)) for index in range(FRAMES)], change=interlace
    )


MADE: Final[dict[str, Callable[[Path], Path]]] = {
    "b-frames.mp4": moving_clip,
    "b-frames.mkv": moving_clip,
    "open-gop.mp4": lambda path: moving_clip(path, encoder=X264 | {"x264-params": "open-gop=1:b-adapt=0:scenecut=0"}),
    "pyramid.mov": lambda path: moving_clip(path, encoder=X264 | {"x264-params": "b-pyramid=normal:b-adapt=0"}),
    "h265.mp4": lambda path: moving_clip(
        path, codec="libx265", encoder={"preset": "ultrafast", "x265-params": "keyint=15:bframes=3:log-level=none"}
    ),
    "vp9.webm": lambda path: moving_clip(
        path, codec="libvpx-vp9", encoder={"g": "15", "deadline": "realtime", "cpu-used": "8"}
    ),
    "sound.mp4": lambda path: moving_clip(path, sound="aac"),
    "turned.mp4": lambda path: moving_clip(path, change=turned),
    "cut.mp4": cut,
    "interlaced.mov": interlaced,
    "variable.mp4": lambda path: moving_clip(path, times_ms=VARIABLE),
}


def frames_of(reader: VideoReader, rate: float, segment: Segment = WHOLE) -> list[tuple[float, bytes]]:
    with reader:
        return [(each.time_s, each.image.tobytes()) for each in reader.frames(rate, segment.first, segment.end)]


@pytest.mark.parametrize("name", MADE)
def test_segments_have_the_very_frames_of_the_whole_video(tmp_path: Path, name: str) -> None:
    clip = MADE[name](tmp_path / name)
    for rate in (5, 0.7, 100):
        expected = frames_of(VideoReader(clip), rate)
        segments = split(clip, rate)
        assert len(segments) >= 3
        assert [segment.end for segment in segments[:-1]] == [segment.first for segment in segments[1:]]
        found = [frames_of(open_segment(clip, segment, rate), rate, segment) for segment in segments]
        assert [time_s for part in found for time_s, _ in part] == [time_s for time_s, _ in expected]
        assert sum(found, []) == expected
        for segment, part in zip(segments, found, strict=True):
            assert all(segment.first <= slot_of(time_s, rate) < (segment.end or 10**9) for time_s, _ in part)
            if segment.key:  # it was not read from the start for want of a way
                with VideoReader(clip) as reader:
                    assert reader.start_at(segment.key, segment.first / rate)
                    assert 0.5 < segment.first / rate - next(iter(reader.frames())).time_s < 4


def test_a_segment_is_a_whole_number_of_frames_and_at_least_so_long() -> None:
    assert [slots_per_segment(rate) for rate in (5, 0.7, 1 / 7, 30)] == [10, 2, 1, 60]
    with pytest.raises(ValueError, match="positive"):
        slots_per_segment(0)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [("a.ts", "libx264", "yuv420p"), ("a.avi", "mpeg4", "yuv420p"), ("a.gif", "gif", "gray")],
)
def test_files_without_an_index_stay_whole(tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
    clip = moving_clip(tmp_path / name, codec=codec, pix_fmt=pix_fmt, encoder={})
    assert split(clip, 5) == (WHOLE,)
    assert frames_of(open_segment(clip, WHOLE, 5), 5) == frames_of(VideoReader(clip), 5)


def test_times_that_come_twice_stay_whole(tmp_path: Path) -> None:
    """The reader moves such frames on, by those before them."""
    clip = moving_clip(tmp_path / "a.mkv", encoder={"g": "5"})
    with av.open(str(clip)) as source, av.open(str(tmp_path / "b.mkv"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                assert packet.pts is not None
                packet.pts = packet.dts = packet.pts // 200 * 200
                packet.stream = stream
                target.mux(packet)
    assert len(split(clip, 5)) == 5 and split(tmp_path / "b.mkv", 5) == (WHOLE,)


def test_without_a_key_frame_in_time_a_segment_is_longer(tmp_path: Path) -> None:
    one = moving_clip(tmp_path / "one.mp4", encoder={"g": "1000"})
    assert split(one, 5) == (WHOLE,)
    few = moving_clip(tmp_path / "few.mp4", encoder={"g": "40", "sc_threshold": "0"})  # at 0, 4 and 8 seconds
    assert [(segment.first, segment.end) for segment in split(few, 5)] == [(0, 30), (30, None)]


def test_a_file_that_leads_elsewhere_is_read_from_its_start(tmp_path: Path) -> None:
    clip = moving_clip(tmp_path / "a.mp4")
    segment = split(clip, 5)[2]
    lost = Segment(segment.first, segment.end, -1)
    assert frames_of(open_segment(clip, lost, 5), 5, lost) == frames_of(open_segment(clip, segment, 5), 5, segment)


class Elsewhere:
    """A container that does not lead where it is asked to."""

    def __init__(self, container: Any, late_s: int = 0, **options: Any) -> None:
        self.container, self.late_s, self.options = container, late_s, options

    def __getattr__(self, name: str) -> Any:
        return getattr(self.container, name)

    def seek(self, offset: int, stream: Any) -> None:
        self.container.seek(offset + round(self.late_s / stream.time_base), stream=stream, **self.options)


@pytest.mark.parametrize(
    ("interval", "leads"),
    [("15", {"late_s": 4}), ("1000", {"any_frame": True})],
    ids=["to a later key frame", "to what is no key frame"],
)
def test_only_a_key_frame_in_time_is_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interval: str, leads: dict[str, Any]
) -> None:
    clip = moving_clip(tmp_path / "a.mp4", encoder=X264 | {"g": interval})
    with av.open(str(clip)) as container:
        key = round(3 / (container.streams.video[0].time_base or 1))  # of the frame at 3 seconds
    segment = Segment(20, 30, key)
    expected = frames_of(VideoReader(clip), 5, segment)
    assert len(expected) == 10
    monkeypatch.setattr(
        "fer_models.media.video_reader.open_container",
        lambda *arguments: Elsewhere(open_container(*arguments), **leads),
    )
    assert frames_of(open_segment(clip, segment, 5), 5, segment) == expected


def test_a_file_cut_off_has_the_segments_that_are_there(tmp_path: Path) -> None:
    clip = moving_clip(tmp_path / "a.mp4", options={"movflags": "faststart"})
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) // 2])
    segments = split(clip, 5)
    assert 2 <= len(segments) < 5
    found = [frames_of(open_segment(clip, segment, 5), 5, segment) for segment in segments]
    assert sum(found, []) == frames_of(VideoReader(clip), 5)
    with open_segment(clip, segments[-1], 5) as reader:
        list(reader.frames(5, segments[-1].first))
        assert any("incomplete" in note for note in reader.notes)


def test_what_is_no_video_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"nothing")
    with pytest.raises(VideoError, match="not a video"):
        split(tmp_path / "a.mp4", 5)
