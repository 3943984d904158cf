"""Frames of a video file, one after the other and upright, and the packets of its sound."""

import math
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeAlias

import av
import numpy as np
from numpy.typing import NDArray

from fer_models.errors import VideoError
from fer_models.media.deinterlacing import Deinterlacer
from fer_models.media.images import MIN_SIDE
from fer_models.media.orientation import display_matrix, swaps_sides, upright
from fer_models.media.tone_mapping import TRANSFERS, tone_mapped
from fer_models.media.video_files import (
    DAMAGED,
    MAX_PIXELS,
    Limits,
    declared_duration,
    open_container,
    square_pixels,
    video_stream,
    video_streams,
)

#: Relative difference of two aspect ratios from which frames count as of another shape; less is rounding.
_OTHER_SHAPE: Final = 0.03
_PLACES: Final = "The file is damaged in places; what could be decoded was read."
_MOST_PER_SECOND: Final = 240  # frames; more than any camera most people have, fewer than a crafted file may claim


@dataclass(frozen=True)
class VideoInfo:
    """What a video is before it is read.

    Attributes:
        width: of the first frame, upright and with square pixels, in px.
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


Packet: TypeAlias = "av.Packet[Any]"
SoundPacket: TypeAlias = Packet
Item: TypeAlias = "Decoded | av.Packet[Any]"


class VideoReader:
    """One pass over a video file. A context manager; it holds one or two frames at a time.

    Times are presentation times (PTS) counted from the container's start, so a variable frame rate comes out right;
    where a file's times stand still or jump back, the frame rate fills in. Rotation and mirroring (display matrix) and
    oblong pixels are undone. A frame of another aspect ratio than the first keeps its own size; one of the same aspect
    ratio is scaled to the first one's. Interlaced frames are deinterlaced, HDR is tone-mapped. Damaged pieces are
    skipped. `notes` tells of each.

    Attributes:
        info: what the file is.
        notes: sentences for the user about what could not be read or was changed; complete after the last frame.
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
        self._shape_changed = False
        self._from_s = 0.0
        with ExitStack() as stack:
            self._container = open_container(path, self._limits, stack)
            self._stream = video_stream(self._container, self._name)
            if (count := len(video_streams(self._container))) > 1:
                self.notes.append(f"The file has {count} video tracks; the one that players show was read.")
            self.audio = next(iter(self._container.streams.audio), None)
            self.origin_s = (self._container.start_time or 0) / 1_000_000
            self._declared = declared_duration(self._container, self._stream)
            if (self._declared or 0) > 60 * self._limits.minutes:
                length, limit = _minutes((self._declared or 0) / 60), _minutes(self._limits.minutes)
                advice = "Cut it, or use the command with --max-minutes."
                raise VideoError(f"{self._name} is too long: {length}, the limit is {limit}. {advice}")
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

    def frames(self, rate: float | None = None, first: int = 0, end: int | None = None) -> Iterator[Frame]:
        """All frames, or about `rate` a second: the first in each slot of 1/rate seconds.

        A video that has fewer than `rate` frames a second gives all it has. Frames in between are decoded, as they
        must be, but not converted.

        Args:
            rate: frames per second; None means all.
            first: with a rate, the first slot, as `slot_of` counts them.
            end: with a rate, the slot before which to stop; None means the video's end.
        """
        taken = first - 1
        for item in self.everything():
            if isinstance(item, av.Packet):
                continue
            if rate is not None:
                slot = slot_of(item.time_s, rate)
                if end is not None and slot >= end:
                    if self._damaged:
                        self._note_once(_PLACES)
                    return
                if slot <= taken:
                    continue
                taken = slot
            yield Frame(item.time_s, self.image(item.frame))

    def everything(self) -> Iterator[Item]:
        """Frames not converted yet (see `image`), and the sound's packets in between as the file has them.

        Can be taken up again after a break.
        """
        while self._waiting:
            yield self._waiting.pop(0)
        for item in self._items:
            if isinstance(item, Decoded):
                self._note_shape(item)
            yield item

    def size(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Width and height of a frame's `image` in px: those in `info` unless the frame has another aspect ratio."""
        width, height = self._upright_size(frame)
        same = abs(width * self.info.height / (height * self.info.width) - 1) < _OTHER_SHAPE
        return (self.info.width, self.info.height) if same else (width, height)

    def image(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """A decoded frame as (H, W, 3) uint8 RGB of its `size`."""
        width, height = self.size(frame)
        if swaps_sides(self._matrix):
            width, height = height, width
        # Of the stream: frames of PyAV before 17 do not tell.
        transfer = TRANSFERS.get(self._stream.codec_context.color_trc)
        if transfer:
            self._note_once(f"The video is HDR ({transfer}); its brightness and colours were converted to SDR.")
            pixels: Any = tone_mapped(frame, transfer, width, height)
        else:
            pixels = frame.to_ndarray(format="rgb24", width=width, height=height)
        return np.ascontiguousarray(upright(pixels, self._matrix))

    def seek(self, time_s: float) -> None:
        """Go on from a key frame at or before a time; only before the first frame was taken."""
        self._waiting.clear()
        offset = round((max(time_s, 0) + self.origin_s) / float(self._stream.time_base or 1))
        self._container.seek(offset, stream=self._stream)
        self._items = self._demux()

    def start_at(self, key: int, from_s: float) -> bool:
        """Go on from a key frame or one before it; only before the first frame was taken.

        Args:
            key: presentation time of the key frame, in the stream's time base.
            from_s: no note tells of frames before this time.

        Returns:
            Whether the file leads there. If not, open it anew.
        """
        self._waiting.clear()
        self._from_s = from_s
        second = round(1 / (self._stream.time_base or 1))
        for target in (key, key - second):  # some containers seek by decoding times, which are a little earlier
            read: list[Packet] = []
            try:
                self._container.seek(target, stream=self._stream)
                packets = self._packets()
                for packet in packets:
                    read.append(packet)
                    if packet.stream.index == self._stream.index:
                        break
            except av.FFmpegError:
                return False
            self._items = self._demux(chain(read, packets))
            if read and read[-1].is_keyframe and read[-1].pts is not None and read[-1].pts <= key:
                return True
        return False

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
            raise VideoError(f"{self._name} has no frame that can be decoded. {DAMAGED}")
        # Of the first frame only: looking at a frame's side data keeps it alive until the next garbage collection.
        self._matrix = display_matrix(first)
        width, height = self._upright_size(first)
        rate = float(self._stream.average_rate or 0)
        return VideoInfo(width, height, self._declared, rate or None, self.audio is not None)

    def _upright_size(self, frame: av.VideoFrame) -> tuple[int, int]:
        width, height = square_pixels(frame.width, frame.height, self._stream.sample_aspect_ratio)
        return (height, width) if swaps_sides(self._matrix) else (width, height)

    def _packets(self) -> Iterator[Packet]:
        return self._container.demux([self._stream, *([self.audio] if self.audio else [])])

    def _demux(self, packets: Iterator[Packet] | None = None) -> Generator[Item]:
        """Decoded and progressive frames in the order of their times, and packets of sound."""
        deinterlacer = Deinterlacer()
        for item in self._decode(packets or self._packets()):
            if isinstance(item, av.Packet):
                yield item
                continue
            try:
                for time_s, frame in deinterlacer.add(*item):
                    yield Decoded(time_s, frame)
            except av.FFmpegError:
                self._damaged += 1
            if deinterlacer.active:
                self._note_once("The video is interlaced; it was deinterlaced, which blurs fine details a little.")
        for time_s, frame in deinterlacer.finish():
            yield Decoded(time_s, frame)

    def _decode(self, packets: Iterator[Packet]) -> Iterator[Item]:
        """Decoded frames in the order of their times, and packets of sound; notes at the end what was wrong."""
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
                sides = square_pixels(frame.width, frame.height, self._stream.sample_aspect_ratio)
                if max(frame.width * frame.height, math.prod(sides)) > MAX_PIXELS or min(sides) < MIN_SIDE:
                    self._damaged += 1
                    continue
                time_s = last + step if frame.pts is None else float(frame.pts * (frame.time_base or 0)) - self.origin_s
                if time_s <= last:
                    time_s = last + step
                last = max(time_s, 0.0)
                count += 1
                if last >= 60 * self._limits.minutes or count > 60 * self._limits.minutes * _MOST_PER_SECOND:
                    read = _minutes(self.end_s / 60)
                    self.notes.append(f"Only the first {read} were read: the video goes on longer.")
                    return
                self.end_s = last + step
                yield Decoded(last, frame)
        self._note_damage()

    def _note_once(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _note_shape(self, item: Decoded) -> None:
        size, first = self.size(item.frame), (self.info.width, self.info.height)
        if size == first or self._shape_changed:
            return
        self._shape_changed = True
        if item.time_s < self._from_s:
            return
        self.notes.append(
            f"The frames change their shape at {item.time_s:.1f} seconds, from {first[0]} x {first[1]} to "
            f"{size[0]} x {size[1]} px. Each was analysed in its own; boxes are in px of their own frame."
        )

    def _note_damage(self) -> None:
        missing = (self._declared or 0) - self.end_s
        if missing > max(0.5, 0.02 * (self._declared or 0)):
            self.notes.append(
                f"The file is incomplete: it should last {self._declared:.1f} seconds and ends after {self.end_s:.1f}. "
                "What is there was read."
            )
        elif self._damaged:
            self._note_once(_PLACES)


def slot_of(time_s: float, rate: float) -> int:
    """In which of the slots of 1/rate seconds, counted from 0, a frame begins."""
    return math.floor(time_s * rate + 1e-6)


def _minutes(minutes: float) -> str:
    return f"{minutes:.3g} minutes" if minutes >= 1 else f"{60 * minutes:.3g} seconds"
