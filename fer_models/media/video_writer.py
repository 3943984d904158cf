"""H.264 videos that browsers play, with the sound of the video they were made from."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from fer_models.errors import VideoError
from fer_models.media.video_files import AUDIO_CODECS
from fer_models.media.video_reader import SoundPacket

_TICKS: Final = 90_000  # a second; fine enough for any frame rate
#: Sound that MP4 players know is copied; all other is encoded again as AAC.
_COPIED: Final = ("aac", "mp3", "mp3float")
_AAC_RATES: Final = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


class VideoWriter:
    """An MP4 file: H.264, yuv420p, even sides, index in front. A context manager that leaves a playable file.

    However it is left, what was written until then is finished and can be played; a file without any frame is removed.
    Frames are written at their own times, so a variable frame rate stays one.

    Attributes:
        frames: how many were written.
        sound_lost: whether the sound could not be taken over.
    """

    def __init__(
        self, path: Path, size: tuple[int, int], *, frame_rate: float | None = None, sound: Any = None
    ) -> None:
        """Create the file.

        Args:
            path: ends in .mp4; overwritten if it exists.
            size: width and height of the frames in px; odd ones are padded by one.
            frame_rate: what the rate control expects; the frames' times are what counts.
            sound: `VideoReader.audio`, whose packets will be handed to `sound`; None for none.

        Raises:
            VideoError: the file cannot be written.
        """
        self.frames = 0
        self.sound_lost = False
        self._closed = False
        self._path = path
        self._size = size
        rate = Fraction(min(max(frame_rate or 25, 1), 240)).limit_denominator(1001)
        self._step = max(1, round(_TICKS / rate))
        try:
            # An absolute path: a name such as "http:x" must not be taken for a protocol.
            self._container = av.open(str(path.resolve()), "w", format="mp4", options={"movflags": "+faststart"})
        except (av.FFmpegError, OSError) as error:
            raise VideoError(f"Cannot write {path.name!r}: {error.strerror}.") from None
        # Without B frames, times need no edit list, which not every player heeds.
        options = {"preset": "veryfast", "crf": "20", "bf": "0"}
        self._video = self._container.add_stream("libx264", rate=rate, options=options)
        self._video.width, self._video.height = (side + side % 2 for side in size)
        self._video.pix_fmt = "yuv420p"
        context = self._video.codec_context
        context.time_base = Fraction(1, _TICKS)
        context.colorspace, context.color_range = 6, 1  # what the conversion below makes: BT.601, limited
        context.gop_size = 60  # a key frame every two seconds or so: quick to seek
        self._sound, self._take = self._add_sound(sound)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file."""
        self.close()

    def write(self, image: NDArray[np.uint8], time_s: float) -> None:
        """Append a frame (H, W, 3) uint8 RGB of the size given; times must grow.

        Raises:
            VideoError: the disk is full or the like.
        """
        width, height = self._size
        if image.shape != (height, width, 3):
            raise ValueError(f"Expected a frame of shape {(height, width, 3)}; got {image.shape}.")
        if width % 2 or height % 2:
            padded = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
            image = np.asarray(padded, np.uint8)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = round(time_s * _TICKS), Fraction(1, _TICKS)
        self._mux_video(self._video.encode(frame))
        self.frames += 1

    def sound(self, packet: SoundPacket, origin_s: float) -> None:
        """Append a packet of the sound that was announced; one that cannot be decoded is left out.

        Args:
            packet: as the reader gives it; changed.
            origin_s: the time that counts as 0.
        """
        if self._take is None or packet.dts is None:
            return
        try:
            self._take(packet, origin_s)
        except (av.FFmpegError, ValueError):
            self.sound_lost = True

    def close(self) -> None:
        """Finish the file; doing so twice does no harm.

        Raises:
            VideoError: the disk is full or the like.
        """
        if self._closed:
            return
        self._closed = True
        try:
            try:
                if self.frames:
                    self._flush()
            finally:
                self._container.close()
        except (av.FFmpegError, OSError) as error:
            raise VideoError(f"Cannot write {self._path.name!r}: {error.strerror}.") from None
        finally:
            if not self.frames:
                self._path.unlink(missing_ok=True)

    def _flush(self) -> None:
        """Write what the encoders still hold."""
        self._mux_video(self._video.encode())
        if self._take == self._encode:
            try:
                self._container.mux(self._sound.encode())
            except (av.FFmpegError, ValueError):
                self.sound_lost = True

    def _mux_video(self, packets: list[Any]) -> None:
        for packet in packets:
            packet.duration = packet.duration or self._step  # the last frame's would be 0
            try:
                self._container.mux(packet)
            except (av.FFmpegError, OSError) as error:
                raise VideoError(f"Cannot write {self._path.name!r}: {error.strerror}.") from None

    def _add_sound(self, source: Any) -> tuple[Any, Callable[[Any, float], None] | None]:
        """The output's sound track and what takes its packets."""
        if source is None:
            return None, None
        context = getattr(source, "codec_context", None)  # missing where FFmpeg does not know the codec
        if context is None or context.name not in AUDIO_CODECS or not context.sample_rate:
            self.sound_lost = True
            return None, None
        if context.name in _COPIED and source.container.format.name.startswith("mov"):
            return self._container.add_stream_from_template(source), self._copy
        rate = min(_AAC_RATES, key=lambda known: abs(known - context.sample_rate))
        stream = self._container.add_stream("aac", rate=rate)
        stream.layout = "mono" if context.layout.nb_channels == 1 else "stereo"
        return stream, self._encode

    def _copy(self, packet: Any, origin_s: float) -> None:
        shift = round(origin_s / packet.time_base)
        packet.pts, packet.dts = (packet.pts or packet.dts) - shift, packet.dts - shift
        packet.stream = self._sound
        self._container.mux(packet)

    def _encode(self, packet: Any, origin_s: float) -> None:
        for frame in packet.decode():
            if frame.pts is not None:
                frame.pts -= round(origin_s / frame.time_base)
            self._container.mux(self._sound.encode(frame))
