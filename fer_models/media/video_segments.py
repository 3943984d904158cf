"""Parts of a video read alone: segments, which have the very frames that reading all of it gives, and single frames."""

import math
from array import array
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av
import numpy as np

from fer_models.errors import VideoError
from fer_models.media.video_files import Limits, open_container, video_stream
from fer_models.media.video_reader import Frame, VideoReader, slot_of

#: Seconds of a segment, at least.
SEGMENT_S: Final = 30.0
#: Decoding begins so much earlier: what deinterlacing and a key frame's own neighbours need.
_BEFORE_S: Final = 1.0
#: Containers with an index of their key frames, by FFmpeg's names.
_INDEXED: Final = {"mov", "matroska"}


@dataclass(frozen=True)
class Segment:
    """A piece of a video's time, in slots of 1/rate seconds (`slot_of`).

    Attributes:
        first: its first slot.
        end: the slot before which it ends; None means the video's end.
        key: the key frame where decoding begins, by its presentation time in the stream's time base; None means the
            video's start.
    """

    first: int = 0
    end: int | None = None
    key: int | None = None


WHOLE: Final = Segment()


def slots_per_segment(rate: float) -> int:
    """How many slots of 1/rate seconds a segment has: whole ones, of `SEGMENT_S` together or a little more.

    Raises:
        ValueError: the rate is not positive.
    """
    if not rate > 0:
        raise ValueError(f"Expected a positive rate; got {rate}.")
    return math.ceil(SEGMENT_S * rate)


def segment_of(time_s: float, rate: float | None) -> int:
    """In which segment a frame is, counted from 0, if none is longer than it must be."""
    return slot_of(time_s, rate) // slots_per_segment(rate) if rate else int(time_s // SEGMENT_S)


def split(path: Path, rate: float, limits: Limits | None = None) -> tuple[Segment, ...]:
    """The segments of a video, by its packets, without decoding; they depend on the file and the rate alone.

    A segment is longer where no key frame comes in time. A file stays whole that has no index of its key frames or in
    which not every frame has a time of its own: then a frame's time depends on those before.

    Args:
        path: the video.
        rate: frames per second to analyse.
        limits: as for `VideoReader`.

    Raises:
        VideoError: the file cannot be opened.
    """
    length = slots_per_segment(rate)
    times, keys = array("q"), list[int]()
    with ExitStack() as stack:
        container = open_container(path, limits or Limits(), stack)
        stream = video_stream(container, repr(path.name))
        if _INDEXED.isdisjoint(container.format.name.split(",")) or not stream.time_base:
            return (WHOLE,)
        tick, origin_s = float(stream.time_base), (container.start_time or 0) / 1_000_000
        packets = container.demux(stream)
        while (packet := _next(packets)) is not None:
            if packet.size == 0:  # the end
                continue
            if packet.pts is None:
                return (WHOLE,)
            if packet.is_keyframe:
                keys.append(packet.pts)
            if not packet.is_discard:  # what an edit list leaves out is decoded, but never shown
                times.append(packet.pts)
    shown = np.unique(np.frombuffer(times, np.int64)) if times else np.empty(0, np.int64)
    if len(shown) < max(len(times), 1) or shown[0] * tick - origin_s < -0.001:
        return (WHOLE,)
    starts: list[tuple[int, int | None]] = [(0, None)]
    keys.sort()
    near = np.array(keys) * tick - origin_s
    for first in range(length, slot_of(shown[-1] * tick - origin_s, rate) + 1, length):
        index = int(np.searchsorted(near, first / rate - _BEFORE_S, "right")) - 1
        if index >= 0 and keys[index] not in (starts[-1][1], keys[0]):
            starts.append((first, keys[index]))
    ends = [first for first, _ in starts[1:]]
    return tuple(Segment(first, end, key) for (first, key), end in zip(starts, [*ends, None], strict=True))


def _next(packets: Any) -> Any:
    try:
        return next(packets, None)
    except av.FFmpegError:
        return None


def open_segment(path: Path, segment: Segment, rate: float, limits: Limits | None = None) -> VideoReader:
    """A reader whose `frames` with this rate and the segment's slots are those of the whole video.

    Raises:
        VideoError: as `VideoReader`.
    """
    reader = VideoReader(path, limits)
    if segment.key is None or reader.start_at(segment.key, segment.first / rate):
        return reader
    reader.close()
    return VideoReader(path, limits)


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
