"""Frames of a video file, one after the other and upright. Files come from strangers: little is trusted.

Only the kinds of `CONTAINERS` are opened, told by the file's first bytes and never by its name, and through a handle
opened here: FFmpeg gets no path and no protocol, so a crafted file (a playlist, a concat script, an MP4 that refers to
other files) can neither read other files of this machine nor make it ask the network. Only common decoders run.
"""

import math
import stat
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, NoReturn, Self, TypeAlias

import av
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

from fer_models.errors import VideoError
from fer_models.media.images import MIN_SIDE

#: What can be read, in words for people.
CONTAINERS: Final = "MP4, MOV, WebM, MKV, AVI or GIF"
#: Largest frame in pixels: 4K (4096 x 2304). Larger ones are refused by the header, before anything is decoded.
MAX_PIXELS: Final = 4096 * 2304
_MOST_PER_SECOND: Final = 240  # frames; more than any camera most people have, fewer than a crafted file may claim
# fmt: off
_VIDEO_CODECS: Final = (
    "h264", "hevc", "vp8", "vp9", "libvpx", "libvpx-vp9", "av1", "libdav1d", "mpeg4", "msmpeg4", "msmpeg4v2",
    "mpeg1video", "mpeg2video", "h263", "mjpeg", "prores", "dvvideo", "gif", "rawvideo",
)
#: Decoders of sound that are run; sound in other formats is left out.
AUDIO_CODECS: Final = (
    "aac", "mp3", "mp3float", "mp2", "mp2float", "opus", "libopus", "vorbis", "flac", "alac", "ac3", "eac3",
    "amrnb", "amrwb", "pcm_u8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_mulaw",
    "pcm_alaw",
)
# fmt: on
_DAMAGED: Final = "It is damaged or incomplete: copy or download it again, or convert it with a video editor."


@dataclass(frozen=True)
class Limits:
    """What is refused at once, because it would take too long.

    Attributes:
        minutes: longest video.
        megabytes: largest file, in 1,000,000 bytes.
    """

    minutes: float = 10
    megabytes: float = 500


@dataclass(frozen=True)
class VideoInfo:
    """What a video is before it is read.

    Attributes:
        width: of the upright frames with square pixels, in px.
        height: likewise.
        duration_s: as the file declares it; None if it does not.
        frame_rate: frames a second on average, as the file declares it; None if it does not.
        sound: whether there is a sound track.
    """

    width: int
    height: int
    duration_s: float | None
    frame_rate: float | None
    sound: bool


class Frame(NamedTuple):
    """A frame: `time_s` in seconds since the video's start, `image` (H, W, 3) uint8 RGB, upright."""

    time_s: float
    image: NDArray[np.uint8]


class Decoded(NamedTuple):
    """A frame that is not converted yet: `time_s` as in `Frame`."""

    time_s: float
    frame: av.VideoFrame


SoundPacket: TypeAlias = "av.Packet[Any]"
Item: TypeAlias = "Decoded | av.Packet[Any]"


class VideoReader:
    """One pass over a video file. A context manager; it holds one or two frames at a time.

    Times are presentation times (PTS) counted from the container's start, so a variable frame rate comes out right;
    where a file's times stand still or jump back, the frame rate fills in. Rotation and mirroring (display matrix) and
    oblong pixels are undone. Damaged pieces are skipped; `notes` then says so.

    Attributes:
        info: what the file is.
        notes: sentences for the user about what could not be read; complete after the last frame.
        end_s: when the last frame that was read ends.
        origin_s: the time in the file that counts as 0.
        audio: the first sound track, for the writer; None if there is none.
    """

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        """Open a file and decode its first frame.

        Raises:
            VideoError: missing, empty or no video file, without a video stream or any frame that can be decoded,
                damaged, larger or longer than the limits, or of absurd dimensions. Names the file without its folder.
        """
        self.notes: list[str] = []
        self.end_s = 0.0
        self._name = repr(path.name)
        self._limits = limits or Limits()
        self._damaged = 0
        with ExitStack() as stack:
            self._container = _open(path, self._limits, stack)
            self._stream = _video_stream(self._container, self._name)
            self.audio = next(iter(self._container.streams.audio), None)
            self.origin_s = (self._container.start_time or 0) / 1_000_000
            self._declared = _declared_duration(self._container, self._stream)
            if (self._declared or 0) > 60 * self._limits.minutes:
                self._too_long()
            self._items = self._demux()
            self._waiting: list[Item] = []
            self.info = self._first_frame()
            self._close = stack.pop_all().close

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; doing so twice does no harm."""
        self._items.close()
        self._waiting.clear()
        self._close()

    def frames(self, rate: float | None = None) -> Iterator[Frame]:
        """All frames, or about `rate` a second: the first at or after each multiple of 1/rate seconds.

        A video that has fewer than `rate` frames a second gives all it has. Frames in between are decoded, as they
        must be, but not converted.
        """
        due = -math.inf
        for item in self.everything():
            if isinstance(item, av.Packet) or item.time_s < due - 1e-6:
                continue
            if rate is not None:
                due = (math.floor(item.time_s * rate + 1e-6) + 1) / rate
            yield Frame(item.time_s, self.image(item.frame))

    def everything(self) -> Iterator[Item]:
        """Frames not converted yet (see `image`), and the sound's packets in between as the file has them.

        Can be taken up again after a break.
        """
        while self._waiting:
            yield self._waiting.pop(0)
        yield from self._items

    def image(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """A decoded frame as (H, W, 3) uint8 RGB of the size in `info`."""
        matrix = self._matrix
        size = (self.info.height, self.info.width) if _swaps(matrix) else (self.info.width, self.info.height)
        pixels: Any = frame.to_ndarray(format="rgb24", width=size[0], height=size[1])
        return np.ascontiguousarray(_upright(pixels, matrix))

    def seek(self, time_s: float) -> None:
        """Go on from a key frame at or before a time; only before the first frame was taken."""
        self._waiting.clear()
        offset = round((max(time_s, 0) + self.origin_s) / float(self._stream.time_base or 1))
        self._container.seek(offset, stream=self._stream)
        self._items = self._demux()

    def _first_frame(self) -> VideoInfo:
        first = None
        for item in self._items:
            self._waiting.append(item)
            if isinstance(item, Decoded):
                first = item.frame
                break
            if len(self._waiting) > 10_000:  # sound alone, for minutes
                break
        if first is None:
            raise VideoError(f"{self._name} has no frame that can be decoded. {_DAMAGED}")
        width, height = _square(first.width, first.height, self._stream.sample_aspect_ratio)
        # Of the first frame only: looking at a frame's side data keeps it alive until the next garbage collection.
        self._matrix = _display_matrix(first)
        if _swaps(self._matrix):
            width, height = height, width
        rate = float(self._stream.average_rate or 0)
        return VideoInfo(width, height, self._declared, rate or None, self.audio is not None)

    def _demux(self) -> Generator[Item]:
        """Decoded frames in the order of their times, and packets of sound; notes at the end what was wrong."""
        streams = [self._stream, *([self.audio] if self.audio else [])]
        packets = self._container.demux(streams)
        step = 1 / float(self._stream.average_rate or 25)
        last = -math.inf
        count = 0
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                self._damaged += 1
                break
            if packet is None:
                break
            if packet.stream.index != self._stream.index:
                yield packet
                continue
            try:
                decoded = self._stream.decode(packet)
            except av.FFmpegError:
                self._damaged += 1
                continue
            if packet.duration:
                step = float(packet.duration * (packet.time_base or 0)) or step
            for frame in decoded:
                if frame.width * frame.height > MAX_PIXELS:
                    self._damaged += 1
                    continue
                time_s = last + step if frame.pts is None else float(frame.pts * (frame.time_base or 0)) - self.origin_s
                if time_s <= last:
                    time_s = last + step
                last = max(time_s, 0.0)
                count += 1
                if last >= 60 * self._limits.minutes or count > 60 * self._limits.minutes * _MOST_PER_SECOND:
                    self.notes.append(
                        f"Only the first {_minutes(self.end_s / 60)} were read: the video goes on longer."
                    )
                    return
                self.end_s = last + step
                yield Decoded(last, frame)
        self._note_damage()

    def _note_damage(self) -> None:
        missing = (self._declared or 0) - self.end_s
        if missing > max(0.5, 0.02 * (self._declared or 0)):
            self.notes.append(
                f"The file is incomplete: it should last {self._declared:.1f} seconds and ends after {self.end_s:.1f}. "
                "What is there was read."
            )
        elif self._damaged:
            self.notes.append("The file is damaged in places; what could be decoded was read.")

    def _too_long(self) -> NoReturn:
        length, limit = _minutes((self._declared or 0) / 60), _minutes(self._limits.minutes)
        raise VideoError(f"{self._name} is too long: {length}, the limit is {limit}. Cut it, or raise the limit.")


def frame_at(path: Path, time_s: float, limits: Limits | None = None) -> Frame:
    """The frame that is shown at a time: the last one that starts at or before it, or the first one.

    Decodes from the key frame before it only.

    Raises:
        VideoError: as `VideoReader`.
    """
    with VideoReader(path, limits) as reader:
        reader.seek(time_s)
        shown = None
        for item in reader.everything():
            if isinstance(item, av.Packet):
                continue
            if shown is not None and item.time_s > time_s + 1e-6:
                break
            shown = item
        if shown is None:
            raise VideoError(f"{path.name!r} has no frame at {time_s:.2f} seconds.")
        return Frame(shown.time_s, reader.image(shown.frame))


def _open(path: Path, limits: Limits, stack: ExitStack) -> av.container.InputContainer:
    """Open a container that `stack` closes; the kind is told by the first bytes."""
    name = repr(path.name)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would block for ever
            raise VideoError(f"{name} is not a file. Name a video file.")
        file = stack.enter_context(path.open("rb"))
    except (OSError, ValueError):
        raise VideoError(f"There is no file {name}, or it may not be read. Check the name and folder.") from None
    if status.st_size == 0:
        raise VideoError(f"{name} is empty (0 bytes). {_DAMAGED}")
    if status.st_size > limits.megabytes * 1_000_000:
        size = f"{status.st_size / 1_000_000:,.1f} MB, the limit is {limits.megabytes:g} MB"
        raise VideoError(f"{name} is too large: {size}. Save a smaller copy, or raise the limit.")
    kind = _kind(file.read(16))
    file.seek(0)
    if kind is None:
        raise VideoError(f"{name} is not a video that can be read. Use {CONTAINERS}.")
    options = {
        "protocol_whitelist": "none",
        "format_whitelist": kind,
        "codec_whitelist": ",".join([*_VIDEO_CODECS, *AUDIO_CODECS]),
    }
    try:
        return stack.enter_context(
            av.open(
                file,
                "r",
                format=kind,
                io_open=_refuse,
                options={"max_pixels": str(MAX_PIXELS)},
                container_options=options,
                metadata_errors="replace",
            )
        )
    except (av.FFmpegError, PermissionError):
        raise VideoError(f"{name} cannot be opened. {_DAMAGED}") from None


def _kind(head: bytes) -> str | None:
    """FFmpeg's name of the container that starts so; None for all else, such as playlists and other text."""
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        return "mov"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "avi"
    return "gif" if head.startswith((b"GIF87a", b"GIF89a")) else None


def _refuse(url: str, flags: int, options: dict[str, Any]) -> NoReturn:
    """A file that asks for another one."""
    raise PermissionError("a video may not open other files")


def _video_stream(container: av.container.InputContainer, name: str) -> av.VideoStream:
    """The first video stream that is no cover picture, if it may be decoded."""
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        raise VideoError(f"{name} has no video stream. Use a file with moving pictures: {CONTAINERS}.")
    stream = streams[0]
    # Streams of an unknown codec have no context.
    context = getattr(stream, "codec_context", None)
    if context is None or context.name not in _VIDEO_CODECS:
        raise VideoError(f"{name} is in a video format that is not read here. Convert it to MP4 (H.264).")
    width, height = _square(context.width, context.height, stream.sample_aspect_ratio)
    if max(width * height, context.width * context.height) > MAX_PIXELS:
        raise VideoError(
            f"{name} has frames of {width} x {height} px; the largest are 4096 x 2304. Save a smaller copy."
        )
    if not min(context.width, context.height):
        # FFmpeg learns some sizes from the first frame only, and `max_pixels` kept it from decoding that.
        raise VideoError(f"{name} does not tell how large its frames are, or they are larger than 4096 x 2304 px.")
    if min(width, height) < MIN_SIDE:
        raise VideoError(f"{name} has frames of {width} x {height} px: too small, a side needs {MIN_SIDE} at least.")
    return stream


def _declared_duration(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    """Seconds the video stream says it lasts; the container's includes the sound.

    Matroska writes it as a tag, which is the time at which the stream ends: a clip that was cut from a longer file may
    start long after 0.
    """
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    try:
        hours, minutes, seconds = stream.metadata.get("DURATION", "").split(":")
        starts = max(container.start_time or 0, 0) / 1_000_000
        return max(3600 * int(hours) + 60 * int(minutes) + float(seconds) - starts, 0.0)
    except ValueError:
        return container.duration / 1_000_000 if container.duration and not container.streams.audio else None


def _square(width: int, height: int, aspect: Any) -> tuple[int, int]:
    """The size with square pixels; an aspect that no camera has is not believed."""
    ratio = float(aspect or 1)
    return (round(width * ratio), height) if 0.25 <= ratio <= 4 else (width, height)


def _display_matrix(frame: av.VideoFrame) -> NDArray[np.int32] | None:
    """(2, 2) int32: x' y' of the shown picture from x y of the stored one; None if it is shown as stored."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    return np.frombuffer(bytes(data), np.int32).reshape(3, 3)[:2, :2].T


def _swaps(matrix: NDArray[np.int32] | None) -> bool:
    """Whether width and height change places."""
    return matrix is not None and abs(int(matrix[0, 1])) > abs(int(matrix[0, 0]))


def _upright(image: NDArray[np.uint8], matrix: NDArray[np.int32] | None) -> NDArray[np.uint8]:
    """Turn and mirror by multiples of 90 degrees, the nearest where it says something in between."""
    if matrix is None:
        return image
    if _swaps(matrix):
        image, along_x, along_y = image.swapaxes(0, 1), matrix[0, 1], matrix[1, 0]
    else:
        along_x, along_y = matrix[0, 0], matrix[1, 1]
    return image[:: -1 if along_y < 0 else 1, :: -1 if along_x < 0 else 1]


def _minutes(minutes: float) -> str:
    return f"{minutes:.3g} minutes" if minutes >= 1 else f"{60 * minutes:.3g} seconds"
