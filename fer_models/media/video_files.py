"""Video files opened safely: they come from strangers, and little is trusted.

Only the kinds of `CONTAINERS` are opened, recognised by their first bytes and never by their name, and through a handle
opened here: FFmpeg gets no path and no protocol, so a crafted file (a playlist, a concat script, an MP4 that refers to
other files) can neither read other files of this machine nor make it ask the network. Only common decoders run.
"""

import os
import stat
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import av
from av.stream import Disposition

from fer_models.errors import VideoError
from fer_models.media.files import first_bytes
from fer_models.media.images import MIN_SIDE

#: What can be read, in words for people.
CONTAINERS: Final = "MP4, MOV, WebM, MKV, AVI, GIF or, from camcorders, MTS, M2TS, TS, MPG or VOB"
#: How such files are usually called, for a file dialogue; what a file is, its content says.
SUFFIXES: Final = (
    *(".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".gif"),
    *(".mts", ".m2ts", ".ts", ".mpg", ".mpeg", ".vob", ".3gp", ".3g2", ".qt"),
)
#: First bytes of a file that tell its kind: three packets of a transport stream.
HEAD: Final = 3 * 192
#: Largest frame in pixels: 4K (4096 x 2304). Larger ones are refused by the header, before anything is decoded.
MAX_PIXELS: Final = 4096 * 2304
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
#: What to do about a file whose content is broken.
DAMAGED: Final = "It is damaged or incomplete: copy or download it again, or convert it with a video editor."


@dataclass(frozen=True)
class VideoFile:
    """One video of a batch, not yet opened.

    Attributes:
        name: relative to the root of the batch, with forward slashes, printable, and of this file alone.
        stamp: changes when the file does.
        path: gives where it lies on this machine, or raises VideoError.
    """

    name: str
    stamp: str
    path: Callable[[], Path]


@dataclass(frozen=True)
class Limits:
    """What is refused at once, because it would take too long.

    Attributes:
        minutes: longest video.
        megabytes: largest file, in 1,000,000 bytes.
    """

    minutes: float = 10
    megabytes: float = 500


def open_container(path: Path, limits: Limits, stack: ExitStack) -> av.container.InputContainer:
    """Open a container that `stack` closes; its kind is recognised by the first bytes."""
    name = repr(path.name)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would block for ever
            raise VideoError(f"{name} is not a file. Name a video file.")
        file = stack.enter_context(path.open("rb"))
    except (OSError, ValueError):
        raise VideoError(f"There is no file {name}, or it may not be read. Check the name and folder.") from None
    if status.st_size == 0:
        raise VideoError(f"{name} is empty (0 bytes). {DAMAGED}")
    if status.st_size > limits.megabytes * 1_000_000:
        size = f"{status.st_size / 1_000_000:,.1f} MB, the limit is {limits.megabytes:g} MB"
        raise VideoError(f"{name} is too large: {size}. Save a smaller copy, or use the command with --max-mb.")
    kind = _kind(file.read(HEAD))
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
        raise VideoError(f"{name} cannot be opened. {DAMAGED}") from None


def is_video(name: str, start: Callable[[], bytes]) -> bool:
    """Whether a file that is no picture counts as a video. It need not be a readable one.

    Args:
        name: by whose suffix; one without a suffix by its content, and so `.ts`, which programs end in as well.
        start: gives its first bytes.
    """
    suffix = os.path.splitext(name)[1].lower()
    if suffix and suffix != ".ts":
        return suffix in SUFFIXES
    try:
        return _kind(start()) is not None
    except OSError:
        return False


def is_video_file(path: Path) -> bool:
    """As `is_video`."""
    return is_video(path.name, lambda: first_bytes(path, HEAD))


def _kind(head: bytes) -> str | None:
    """FFmpeg's name of the container that starts so; None for all else, such as playlists and other text."""
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        return "mov"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "avi"
    if head.startswith(b"\0\0\1\xba"):  # the first pack of a program stream: MPG, VOB
        return "mpeg"
    # A transport stream has no header, but packets of 188 bytes that start with "G"; camcorders put a time before each.
    if head[0::188] == b"GGGG" or head[4::192] == b"GGG":
        return "mpegts"
    return "gif" if head.startswith((b"GIF87a", b"GIF89a")) else None


def _refuse(url: str, flags: int, options: dict[str, Any]) -> NoReturn:
    """A file that asks for another one."""
    raise PermissionError("a video may not open other files")


def video_streams(container: av.container.InputContainer) -> list[av.VideoStream]:
    """The video streams that are no cover pictures."""
    return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]


def video_stream(container: av.container.InputContainer, name: str) -> av.VideoStream:
    """The video stream that players show, if it may be decoded: of `video_streams` the first that is not turned off."""
    streams = video_streams(container)
    if not streams:
        raise VideoError(f"{name} has no video stream. Use a file with moving pictures: {CONTAINERS}.")
    stream = next((stream for stream in streams if stream.disposition & Disposition.default), streams[0])
    # Streams of an unknown codec have no context.
    context = getattr(stream, "codec_context", None)
    if context is None or context.name not in _VIDEO_CODECS:
        raise VideoError(f"{name} is in a video format that is not read here. Convert it to MP4 (H.264).")
    width, height = square_pixels(context.width, context.height, stream.sample_aspect_ratio)
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


def declared_duration(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
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


def square_pixels(width: int, height: int, aspect: Any) -> tuple[int, int]:
    """The size with square pixels; an aspect that no camera has is not believed."""
    ratio = float(aspect or 1)
    return (round(width * ratio), height) if 0.25 <= ratio <= 4 else (width, height)
