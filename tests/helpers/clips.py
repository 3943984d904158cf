"""Small videos made for the tests, frame by frame."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

#: What every clip's frames have: (H, W).
SHAPE = (100, 130)


def flat(colour: tuple[int, int, int], shape: tuple[int, int] = SHAPE) -> NDArray[np.uint8]:
    return np.full((*shape, 3), colour, np.uint8)


def ramp(index: int, shape: tuple[int, int] = SHAPE) -> NDArray[np.uint8]:
    """A grey whose value tells the frame's index, 6 apart: survives compression."""
    return flat((20 + 6 * index,) * 3, shape)


def index_of(image: NDArray[np.uint8]) -> int:
    return round((float(image.mean()) - 20) / 6)


def write_clip(
    path: Path,
    images: Sequence[NDArray[np.uint8]],
    *,
    times_ms: Sequence[int] | None = None,
    fps: int = 10,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    sound: str | None = None,
    sound_s: float | None = None,
    change: Callable[[Any], None] = lambda stream: None,
    options: dict[str, str] | None = None,
    encoder: dict[str, str] | None = None,
) -> Path:
    """Write frames at their times, or `fps` a second, with a tone if `sound` names a codec."""
    times = times_ms or [round(1000 * index / fps) for index in range(len(images))]
    with av.open(str(path), "w", options=options or {}) as container:
        settings = {"preset": "ultrafast", "bf": "0"} if codec == "libx264" else {}
        settings |= encoder or {}
        video: Any = container.add_stream(codec, rate=fps, options=settings)
        video.height, video.width = images[0].shape[:2]
        video.pix_fmt = pix_fmt
        ticks = fps if times_ms is None else 1000
        video.codec_context.time_base = Fraction(1, ticks)
        change(video)
        audio: Any = container.add_stream(sound, rate=48000) if sound else None
        if audio:
            audio.layout = "mono"
        for image, time_ms in zip(images, times, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = round(time_ms * ticks / 1000), Fraction(1, ticks)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio:
            seconds = sound_s or len(images) / fps
            for start in range(0, round(48000 * seconds), 960):
                tone = np.sin(np.arange(start, start + 960) * 2 * np.pi * 440 / 48000).astype(np.float32)[None]
                piece = av.AudioFrame.from_ndarray(tone * 0.2, format="fltp", layout="mono")
                piece.sample_rate, piece.pts, piece.time_base = 48000, start, Fraction(1, 48000)
                container.mux(audio.encode(piece))
            container.mux(audio.encode())
    return path


def write_turning_clip(path: Path, parts: Sequence[Sequence[NDArray[np.uint8]]], *, fps: int = 10) -> Path:
    """One VP8 track whose frames change their size from part to part, as phones that are turned record it."""
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libvpx", rate=fps)
        video.height, video.width = parts[0][0].shape[:2]
        start = 0
        for images in parts:
            encoder: Any = av.CodecContext.create("libvpx", "w")
            encoder.height, encoder.width = images[0].shape[:2]
            encoder.pix_fmt, encoder.time_base, encoder.bit_rate = "yuv420p", Fraction(1, fps), 2_000_000
            frames = [av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p") for image in images]
            for index, frame in enumerate([*frames, None]):
                if frame is not None:
                    frame.pts, frame.time_base = start + index, Fraction(1, fps)
                for packet in encoder.encode(frame):
                    packet.stream, packet.time_base = video, Fraction(1, fps)
                    container.mux(packet)
            start += len(images)
    return path


def woven(upper: NDArray[np.uint8], lower: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An interlaced frame: the even lines of one moment and the odd ones of the next."""
    frame = upper.copy()
    frame[1::2] = lower[1::2]
    return frame


def write_silent_picture(path: Path) -> Path:
    """Sound alone in an MP4."""
    with av.open(str(path), "w") as container:
        audio: Any = container.add_stream("aac", rate=48000)
        audio.layout = "mono"
        piece = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), format="fltp", layout="mono")
        piece.sample_rate, piece.pts = 48000, 0
        container.mux(audio.encode(piece))
        container.mux(audio.encode())
    return path
