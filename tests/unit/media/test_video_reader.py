"""Reading videos: times, turning, limits, and files that mean no good. Every clip is made here."""

import gc
import os
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from fer_models.errors import VideoError
from fer_models.media.video_files import SUFFIXES, Limits
from fer_models.media.video_reader import VideoReader
from fer_models.media.video_segments import frame_at
from tests.helpers.clips import SHAPE, flat, index_of, ramp, woven, write_clip, write_silent_picture, write_turning_clip
from tests.helpers.texts import assert_states


def times(path: Path, rate: float | None = None) -> list[float]:
    with VideoReader(path) as reader:
        return [round(frame.time_s, 3) for frame in reader.frames(rate)]


def test_every_frame_comes_with_its_time_and_picture(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", [ramp(index) for index in range(30)])
    with VideoReader(clip) as reader:
        frames = list(reader.frames())
        assert (reader.info.width, reader.info.height, reader.info.sound) == (130, 100, False)
        assert reader.info.duration_s == pytest.approx(3) and reader.info.frame_rate == pytest.approx(10)
        assert reader.end_s == pytest.approx(3) and reader.notes == []
    assert [index_of(frame.image) for frame in frames] == list(range(30))
    assert [frame.time_s for frame in frames] == pytest.approx([index / 10 for index in range(30)])
    assert all(frame.image.shape == (*SHAPE, 3) and frame.image.dtype == np.uint8 for frame in frames)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mov", "libx264", "yuv420p"),
        ("a.webm", "libvpx", "yuv420p"),
        ("a.mkv", "libx264", "yuv420p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.gif", "gif", "gray"),
    ],
)
def test_containers(tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
    clip = write_clip(tmp_path / name, [ramp(index) for index in range(8)], codec=codec, pix_fmt=pix_fmt)
    renamed = clip.rename(tmp_path / "no.suffix")
    with VideoReader(renamed) as reader:
        frames = list(reader.frames())
        assert reader.notes == []
    assert [index_of(frame.image) for frame in frames] == list(range(8))
    assert [frame.time_s for frame in frames] == pytest.approx([index / 10 for index in range(8)], abs=0.011)


@pytest.mark.parametrize(
    ("name", "codec", "sound", "options"),
    [
        ("a.mts", "libx264", "ac3", {"mpegts_m2ts_mode": "1"}),
        ("a.m2ts", "libx264", "ac3", {}),
        ("a.ts", "mpeg2video", "mp2", {}),
        ("a.mpg", "mpeg1video", "mp2", {}),
        ("a.mpeg", "mpeg1video", "mp2", {}),
        ("a.vob", "mpeg2video", "ac3", {}),
    ],
)
def test_camcorder_files(tmp_path: Path, name: str, codec: str, sound: str, options: dict[str, str]) -> None:
    """Their clocks start anywhere: FFmpeg's transport streams at 1.4 s. A program stream's small frames share times."""
    assert Path(name).suffix in SUFFIXES
    images = [ramp(index) for index in range(20)]
    clip = write_clip(tmp_path / name, images, fps=25, codec=codec, sound=sound, options=options)
    with VideoReader(clip) as reader:
        frames = list(reader.frames())
        assert reader.info.sound and reader.info.duration_s == pytest.approx(0.8, abs=0.3) and reader.notes == []
    assert [index_of(frame.image) for frame in frames] == list(range(20))
    assert [frame.time_s - frames[0].time_s for frame in frames] == pytest.approx(
        [i / 25 for i in range(20)], abs=0.041
    )
    assert frames[0].time_s < 0.1
    refused(clip, "too long", Limits(minutes=0.5 / 60))
    refused(clip, "too large", Limits(megabytes=0.001))


def test_text_that_looks_like_packets_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.ts").write_bytes((b"G" + b"." * 187) * 20)
    refused(tmp_path / "a.ts", "no video stream|cannot be opened")
    (tmp_path / "b.ts").write_bytes(b"G" * 3)
    refused(tmp_path / "b.ts", "not a video that can be read")


def test_a_rate_takes_the_first_frame_of_each_interval(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", [ramp(index) for index in range(30)])
    assert times(clip, 5) == pytest.approx([0.2 * step for step in range(15)])
    assert times(clip, 3) == pytest.approx([0, 0.4, 0.7, 1, 1.4, 1.7, 2, 2.4, 2.7])
    assert times(clip, 100) == times(clip)


def test_variable_frame_rate_keeps_its_times(tmp_path: Path) -> None:
    at = [0, 40, 80, 1000, 1033, 2500, 2540]
    clip = write_clip(tmp_path / "a.mp4", [ramp(index) for index in range(7)], times_ms=at)
    assert times(clip) == pytest.approx([ms / 1000 for ms in at], abs=0.001)
    assert times(clip, 2) == pytest.approx([0, 1, 2.5])


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
@pytest.mark.parametrize("mirrored", [False, True])
def test_rotation_and_mirroring_are_undone(tmp_path: Path, degrees: int, mirrored: bool) -> None:
    stored = flat((20, 20, 20))
    stored[:50, :60] = (220, 30, 30)  # red in the upper left corner

    def turn(stream: Any) -> None:
        stream.set_display_rotation(degrees, hflip=mirrored)

    clip = write_clip(tmp_path / "a.mp4", [stored] * 3, change=turn)
    with VideoReader(clip) as reader:
        image = next(reader.frames()).image
        assert image.shape[:2] == (reader.info.height, reader.info.width)
    turned = np.rot90(stored, degrees // 90)  # FFmpeg's angle, like NumPy's, runs against the clock
    expected = {image.tobytes() for image in ([np.fliplr(turned), np.flipud(turned)] if mirrored else [turned])}
    close = [np.abs(image.astype(int) - np.frombuffer(e, np.uint8).reshape(image.shape)).mean() for e in expected]
    assert image.shape == turned.shape and min(close) < 6


def test_oblong_pixels_are_made_square(tmp_path: Path) -> None:
    def oblong(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = 2

    clip = write_clip(tmp_path / "a.mp4", [ramp(1)] * 3, change=oblong)
    with VideoReader(clip) as reader:
        assert (reader.info.width, reader.info.height) == (260, 100)
        assert next(reader.frames()).image.shape == (100, 260, 3)


def test_frames_that_change_shape_keep_their_own(tmp_path: Path) -> None:
    """A square stays a square: squashed into the first frames' size, no face would be found in it."""

    def square(shape: tuple[int, int]) -> NDArray[np.uint8]:
        image = flat((20, 20, 20), shape)
        image[20:80, 30:90] = 220
        return image

    clip = write_turning_clip(tmp_path / "a.webm", [[square((200, 120))] * 5, [square((120, 200))] * 5])
    with VideoReader(clip) as reader:
        images = [frame.image for frame in reader.frames()]
        assert (reader.info.width, reader.info.height) == (120, 200)
        (note,) = reader.notes
    assert [image.shape[:2] for image in images] == [(200, 120)] * 5 + [(120, 200)] * 5
    bright = images[-1][..., 0] > 120
    assert (bright.any(1).sum(), bright.any(0).sum()) == pytest.approx((60, 60), abs=4)
    assert "0.5 seconds" in note and "120 x 200" in note and "200 x 120" in note


def test_frames_that_change_size_alone_come_in_the_first_ones_size(tmp_path: Path) -> None:
    """Calls over the internet do that; boxes stay comparable."""
    parts = [[ramp(1, (100, 160))] * 3, [ramp(2, (50, 80))] * 3]
    with VideoReader(write_turning_clip(tmp_path / "a.webm", parts)) as reader:
        images = [frame.image for frame in reader.frames()]
        assert reader.notes == []
    assert {image.shape for image in images} == {(100, 160, 3)}
    assert [index_of(image) for image in images] == [1, 1, 1, 2, 2, 2]


def moved(moment: float) -> NDArray[np.uint8]:
    """A bright block that runs 8 px to the right from moment to moment."""
    image = flat((40, 40, 40), (128, 256))
    image[24:104, 10 + round(8 * moment) : 70 + round(8 * moment)] = 200
    return image


def combing(image: NDArray[np.uint8]) -> float:
    """Mean difference of a line and the mean of those around it, where the block is."""
    lines = image[28:100].astype(float)
    return float(np.abs(lines[1:-1] - (lines[:-2] + lines[2:]) / 2).mean())


@pytest.mark.parametrize(
    ("name", "codec", "settings"),
    [("a.mts", "libx264", {"flags": "+ildct+ilme"}), ("a.mpg", "mpeg2video", {"flags": "+ildct+ilme"})],
)
def test_interlaced_frames_are_deinterlaced(tmp_path: Path, name: str, codec: str, settings: dict[str, str]) -> None:
    images = [woven(moved(2 * index), moved(2 * index + 1)) for index in range(10)]
    assert combing(images[5]) > 5

    def interlace(stream: Any) -> None:
        stream.options, stream.bit_rate = settings, 4_000_000

    clip = write_clip(tmp_path / name, images, fps=25, codec=codec, change=interlace)
    with VideoReader(clip) as reader:
        frames = list(reader.frames())
        (note,) = reader.notes
    assert "interlaced" in note
    assert [frame.time_s - frames[0].time_s for frame in frames] == pytest.approx(
        [i / 25 for i in range(10)], abs=0.041
    )
    for index, frame in enumerate(frames):
        assert combing(frame.image) < 1
        progressive = [moved(2 * index + field).astype(float) for field in (0, 1)]  # whichever field is the first
        assert min(np.abs(frame.image - one).mean() for one in progressive) < 4


def test_a_single_interlaced_frame_is_not_lost(tmp_path: Path) -> None:
    def interlace(stream: Any) -> None:
        stream.options = {"flags": "+ildct+ilme"}

    clip = write_clip(tmp_path / "a.mp4", [woven(moved(0), moved(1))], change=interlace)
    with VideoReader(clip) as reader:
        assert len(list(reader.frames())) == 1 and "interlaced" in reader.notes[0]


def pq(light: float) -> float:
    """The signal in [0, 1] of a light in cd/m² (SMPTE ST 2084, as printed there)."""
    power = (light / 10_000) ** 0.1593017578125
    return float(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def write_hdr(path: Path, transfer: int, red: float, green: float, blue: float) -> Path:
    """One colour, R'G'B' in [0, 1], as BT.2020 in 10 bit."""
    luma = 0.2627 * red + 0.6780 * green + 0.0593 * blue
    planes = np.full((96, 64), round(64 + 876 * luma), np.uint16)  # 64 lines of luma, 16 each of both chromas
    planes[64:80] = round(512 + 896 * (blue - luma) / 1.8814)
    planes[80:] = round(512 + 896 * (red - luma) / 1.4746)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=10, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p10le"
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 9, transfer, 9, 1
        for number in range(3):
            frame: Any = av.VideoFrame.from_ndarray(planes, format="yuv420p10le")
            frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range = 9, transfer, 9, 1
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def shown(path: Path) -> tuple[list[int], list[str]]:
    """The colour in the middle of the first frame, and the notes."""
    with VideoReader(path) as reader:
        return next(reader.frames()).image[32, 32].tolist(), reader.notes


@pytest.mark.parametrize(
    ("transfer", "signal", "code"),
    [
        (16, 0.0, 0),
        (16, pq(1), 255 * (1 / 203) ** (1 / 2.4)),
        (16, pq(26), 255 * (26 / 203) ** (1 / 2.4)),
        (16, pq(100), 255 * (100 / 203) ** (1 / 2.4)),
        (16, pq(203), 244),  # reference white: near white, with room for what is brighter
        (16, pq(1000), 255),
        (16, 1.0, 255),
        (18, 0.0, 0),
        (18, 0.38, 255 * (26 / 203) ** (1 / 2.4)),  # BT.2408: 18 % grey is HLG 38 %, 26 cd/m²
        (18, 0.75, 244),  # and reference white 75 %
        (18, 1.0, 255),
    ],
)
def test_hdr_greys_come_out_as_bright_as_they_were_meant(
    tmp_path: Path, transfer: int, signal: float, code: float
) -> None:
    colour, (note,) = shown(write_hdr(tmp_path / "a.mp4", transfer, signal, signal, signal))
    assert colour == pytest.approx([code] * 3, abs=3)
    assert "HDR" in note and {16: "PQ", 18: "HLG"}[transfer] in note


def test_hdr_brighter_than_white_is_not_cut_off(tmp_path: Path) -> None:
    levels = [shown(write_hdr(tmp_path / f"{light}.mp4", 16, *[pq(light)] * 3))[0][0] for light in (160, 203, 400, 800)]
    assert levels == sorted(set(levels))


def test_hdr_colours_are_those_of_bt709(tmp_path: Path) -> None:
    """Skin in the light: BT.2020's primaries are wider, so the same numbers would look pale."""
    light = np.array([90.0, 55, 40])
    matrix = [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]  # BT.2087
    expected = 255 * (np.array(matrix) @ light / 203) ** (1 / 2.4)
    colour, _ = shown(write_hdr(tmp_path / "a.mp4", 16, *(pq(value) for value in light)))
    assert colour == pytest.approx(expected.tolist(), abs=4)


def test_ten_bits_alone_are_no_hdr(tmp_path: Path) -> None:
    colour, notes = shown(write_hdr(tmp_path / "a.mp4", 1, 0.5, 0.5, 0.5))
    assert colour == pytest.approx([128] * 3, abs=2) and notes == []


def test_the_frame_at_a_time(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", [ramp(index) for index in range(30)])
    for time_s, index in [(0, 0), (0.09, 0), (0.1, 1), (1.55, 15), (2.95, 29), (99, 29), (-1, 0)]:
        frame = frame_at(clip, time_s)
        assert (index_of(frame.image), round(frame.time_s, 3)) == (index, index / 10)


def test_memory_holds_a_frame_or_two(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", [ramp(index) for index in range(36)])
    most = 0
    gc.collect()
    gc.freeze()  # what was there before is not gone through for every frame
    try:
        with VideoReader(clip) as reader:
            for _ in reader.frames():
                most = max(most, sum(type(thing) is av.VideoFrame for thing in gc.get_objects()))
    finally:
        gc.unfreeze()
    assert 1 <= most <= 3


def refused(path: Path, match: str, limits: Limits | None = None) -> None:
    with pytest.raises(VideoError, match=match) as caught, VideoReader(path, limits) as reader:
        list(reader.frames())
    assert str(path.parent) not in str(caught.value)


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "missing.mp4", "no file 'missing.mp4'")
    refused(tmp_path, "not a file")
    (tmp_path / "empty.mp4").touch()
    refused(tmp_path / "empty.mp4", "empty")
    (tmp_path / "text.mp4").write_text("This is a text that calls itself a video.\n" * 20)
    refused(tmp_path / "text.mp4", "not a video that can be read. Use MP4")
    (tmp_path / "noise.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + os.urandom(5000))
    refused(tmp_path / "noise.mp4", "damaged or incomplete")
    refused(write_silent_picture(tmp_path / "sound.mp4"), "no video stream")


def test_a_video_without_frames_is_refused(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.avi", [ramp(0)] * 3, codec="mpeg4")
    data = clip.read_bytes()
    clip.write_bytes(data[: data.index(b"movi") + 4])
    refused(clip, "no frame that can be decoded|damaged")


def test_of_several_tracks_the_one_that_players_show_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        streams: list[Any] = [container.add_stream("libx264", rate=10, options={"preset": "ultrafast"}) for _ in "ab"]
        for stream, disposition in zip(streams, (0, av.stream.Disposition.default), strict=True):
            stream.height, stream.width, stream.pix_fmt = *SHAPE, "yuv420p"
            stream.disposition = disposition
        for index in range(5):
            for stream, shade in zip(streams, (1, 20), strict=True):
                frame = av.VideoFrame.from_ndarray(ramp(shade), format="rgb24").reformat(format="yuv420p")
                frame.pts, frame.time_base = index, Fraction(1, 10)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
    with VideoReader(path) as reader:
        assert {index_of(frame.image) for frame in reader.frames()} == {20}
        (note,) = reader.notes
    assert_states(note, "2 video tracks")


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    refused(tmp_path / "pipe.mp4", "not a file")


def test_limits(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", [ramp(index) for index in range(30)])
    refused(clip, r"too long: 3 seconds, the limit is 2 seconds", Limits(minutes=2 / 60))
    refused(clip, "too large: 0.0 MB, the limit is 0.001 MB", Limits(megabytes=0.001))


def test_a_file_that_hides_its_length_is_read_up_to_the_limit(tmp_path: Path) -> None:
    images = [ramp(index) for index in range(30)]
    clip = write_clip(tmp_path / "a.gif", images, codec="gif", pix_fmt="gray")
    with VideoReader(clip, Limits(minutes=1)) as reader:
        reader._limits = Limits(minutes=1 / 60)
        assert len(list(reader.frames())) == 10
        (note,) = reader.notes
        assert_states(note, "first 1 seconds", "longer")


def test_a_matroska_clip_that_starts_late_is_as_long_as_it_is(tmp_path: Path) -> None:
    """Cut from a longer file with its times kept: the tag tells when it ends, not how long it is."""
    at = [700_000 + 100 * index for index in range(20)]
    clip = write_clip(tmp_path / "late.mkv", [ramp(index) for index in range(20)], times_ms=at)
    with VideoReader(clip, Limits(minutes=5, megabytes=10)) as reader:
        assert reader.info.duration_s == pytest.approx(2, abs=0.11)
        assert [round(frame.time_s, 2) for frame in reader.frames()] == pytest.approx(
            [index / 10 for index in range(20)], abs=0.01
        )
        assert reader.notes == []


def test_absurd_dimensions_are_refused_by_the_header(tmp_path: Path) -> None:
    gif = write_clip(tmp_path / "a.gif", [ramp(0)] * 3, codec="gif", pix_fmt="gray")
    data = bytearray(gif.read_bytes())
    data[6:10] = struct.pack("<HH", 9000, 9000)
    gif.write_bytes(data)
    refused(gif, "does not tell how large its frames are, or they are larger than 4096 x 2304 px")
    wide = write_clip(tmp_path / "wide.avi", [flat((9, 9, 9), (2304, 4200))], codec="mpeg4")
    refused(wide, "frames of 4200 x 2304 px|they are larger than 4096 x 2304 px")
    small = write_clip(tmp_path / "small.mp4", [flat((9, 9, 9), (8, 8))] * 3)
    refused(small, "8 x 8 px: too small")


def test_a_truncated_file_gives_what_is_there_and_says_so(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    images = [noise.integers(0, 256, (*SHAPE, 3), np.uint8) for _ in range(30)]
    clip = write_clip(tmp_path / "a.mp4", images, options={"movflags": "+faststart"})
    data = clip.read_bytes()
    clip.write_bytes(data[: len(data) // 2])
    with VideoReader(clip) as reader:
        count = len(list(reader.frames()))
    assert 10 <= count < 20
    (note,) = reader.notes
    assert_states(note, "incomplete", "3.0 seconds", f"{reader.end_s:.1f}")
    late = write_clip(tmp_path / "b.mp4", images)  # its index is at the end, and lost
    late.write_bytes(late.read_bytes()[:-2000])
    refused(late, "cannot be opened. It is damaged or incomplete")


def test_damage_in_the_middle_is_skipped_and_said(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    images = [noise.integers(0, 256, (*SHAPE, 3), np.uint8) for _ in range(30)]
    clip = write_clip(tmp_path / "a.mp4", images, change=lambda stream: setattr(stream, "gop_size", 1))
    data = bytearray(clip.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20000] = bytes(20000)
    clip.write_bytes(data)
    with VideoReader(clip) as reader:
        got = list(reader.frames())
    assert 15 <= len(got) <= 30 and got[-1].time_s == pytest.approx(2.9)
    (note,) = reader.notes
    assert "damaged" in note


PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n"
CONCAT = "ffconcat version 1.0\nfile '{secret}'\n"
SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9999 RTP/AVP 96\n"


@pytest.mark.parametrize("text", [PLAYLIST, CONCAT, SDP], ids=["hls", "concat", "sdp"])
@pytest.mark.parametrize("name", ["a.mp4", "a.m3u8", "a.avi", "a.txt"])
def test_playlists_are_refused_whatever_they_are_called(tmp_path: Path, text: str, name: str) -> None:
    secret = write_clip(tmp_path / "secret.mp4", [ramp(0)] * 3)
    (tmp_path / name).write_text(text.format(secret=secret.as_uri()))
    refused(tmp_path / name, "not a video that can be read")


def test_an_mp4_that_refers_to_another_file_does_not_get_it(tmp_path: Path) -> None:
    secret = write_clip(tmp_path / "secret.mov", [ramp(0)] * 3)
    data = secret.read_bytes()
    start = data.index(b"dref")
    # The data reference "url " with flag 1 means: in this file. Without it, and with a path, it means another one.
    path = str(secret).encode() + b"\0"
    entry = struct.pack(">I4sI", 12 + len(path), b"url ", 0) + path
    size = struct.unpack(">I", data[start - 4 : start])[0]
    box = struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry
    grown = len(box) - size
    crafted = bytearray(data[: start - 4] + box + data[start - 4 + size :])
    for parent in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        at = crafted.rindex(parent, 0, start) - 4
        crafted[at : at + 4] = struct.pack(">I", struct.unpack(">I", crafted[at : at + 4])[0] + grown)
    at = crafted.index(b"mdat")
    end = crafted.index(b"moov") - 4
    crafted[at + 4 : end] = bytes(end - at - 4)  # its own frames are gone: only the other file has them
    (tmp_path / "crafted.mov").write_bytes(crafted)
    refused(tmp_path / "crafted.mov", "no frame that can be decoded|cannot be opened")
