"""A video with the models' predictions written beside each face."""

from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from fer_models.media.video_files import Limits
from fer_models.media.video_reader import SoundPacket, VideoReader
from fer_models.media.video_writer import VideoWriter
from fer_models.results import FaceAnalysis
from fer_models.video.analysis import FrameAnalysis
from fer_models.video.label_layout import INK, PAPER, Box, Lettering, Stamp, lay_out

#: Shortest longest side of the annotated video in px; smaller videos are enlarged, or the words could not be read.
LEAST: Final = 640
#: In px of a screen: how large a video is shown at least where it is watched, on the page or a phone held like it, and
#: how large its words are then, with one or two faces and with more.
_SHOWN: Final = (720, 600)
_READABLE: Final = (13.5, 10.5)
_WAITING: Final = 8  # analysed frames that may wait to be drawn: two batches of the analysis


class Fit(NamedTuple):
    """Where a frame lies in the annotated picture, in px: scaled by `scale` to `size`, its corner at `left`, `top`."""

    scale: float
    size: tuple[int, int]
    left: int = 0
    top: int = 0


def text_size(size: tuple[int, int], faces: int) -> int:
    """How large the words are, in px of the picture: readable in a portrait clip and in 4K, too, once it is shrunk.

    Args:
        size: width and height of the picture, in px.
        faces: how many are annotated; the words of more than two are smaller.
    """
    shrunk = min(_SHOWN[0] / size[0], _SHOWN[1] / size[1])
    return max(13, round(_READABLE[faces > 2] / shrunk))


class Annotation:
    """Boxes, face numbers and answers of one analysed frame, to be drawn on it and on those after it.

    Each panel names the face and lists the models in their order with label and confidence; a coloured square
    distinguishes the models where colours are given. Where that would hide another face or its words, the panel says
    less (`label_layout.lay_out`). The texts are rendered once, drawing is a copy.
    """

    def __init__(
        self,
        analysis: FrameAnalysis,
        size: tuple[int, int],
        fit: Fit,
        titles: Mapping[str, str],
        colours: Mapping[str, str] | None = None,
        before: "Annotation | None" = None,
    ) -> None:
        """Lay it out.

        Args:
            analysis: of the frame.
            size: width and height of the picture that is drawn on, in px.
            fit: from the analysis' pixels to that picture's.
            titles: what people read, by model name.
            colours: "#rrggbb" by model name.
            before: of the last analysed frame, whose words stay where they are if they can.
        """
        width, height = size
        self._line = max(2, round(max(size) / 420))
        text = text_size(size, len(analysis.faces))
        order = sorted(range(len(analysis.faces)), key=lambda index: -_area(analysis.faces[index]))
        self._boxes: list[Box] = []
        for index in order:
            box = analysis.faces[index].face.box * fit.scale + np.tile((fit.left, fit.top), 2)
            limits = np.array([width, height, width, height]) - 1 - self._line
            x1, y1, x2, y2 = np.clip(box, self._line, np.maximum(limits, self._line)).astype(int).tolist()
            self._boxes.append((x1, y1, x2, y2))
        faces = [(analysis.numbers[index], analysis.faces[index]) for index in order]
        lettering = Lettering(text, titles, colours or {})
        self._stamps = lay_out(faces, self._boxes, size, lettering, before._by_number if before is not None else None)
        self._by_number: dict[int, Stamp] = {
            number: stamp for (number, _), stamp in zip(faces, self._stamps, strict=True)
        }

    def draw(self, image: NDArray[np.uint8]) -> None:
        """Draw on a picture (H, W, 3) uint8 RGB, in place."""
        for x1, y1, x2, y2 in self._boxes:
            cv2.rectangle(image, (x1, y1), (x2, y2), INK, self._line + 4, cv2.LINE_AA)
            cv2.rectangle(image, (x1, y1), (x2, y2), PAPER, self._line, cv2.LINE_AA)
        for x, y, pixels, *_ in reversed(self._stamps):  # the largest face's words on top
            height, width = pixels.shape[:2]
            image[y : y + height, x : x + width] = pixels


class AnnotatedVideo:
    """Writes every frame of a video with the annotation of the last analysed frame on it, and its sound.

    It reads the video a second time, behind the analysis: holding the frames until they are analysed would take far
    more memory than decoding them again takes time. A thread of its own does so while the next frames are analysed.
    Frames of another shape than the first are set on black, for a video has one size. A context manager that leaves a
    playable file.
    """

    def __init__(
        self,
        source: Path,
        target: Path,
        *,
        titles: Mapping[str, str],
        colours: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Open both files.

        Args:
            source: the video.
            target: ends in .mp4; overwritten if it exists.
            titles: what people read, by model name.
            colours: "#rrggbb" by model name.
            limits: as for the analysis.

        Raises:
            VideoError: the source cannot be read or the target not be written.
        """
        self._titles, self._colours = titles, colours
        with ExitStack() as stack:
            self._reader = stack.enter_context(VideoReader(source, limits))
            info = self._reader.info
            self._usual = (info.width, info.height)
            scale = max(1.0, LEAST / max(self._usual))
            self._size = (round(info.width * scale), round(info.height * scale))
            sound = self._reader.audio
            self._writer = stack.enter_context(VideoWriter(target, self._size, frame_rate=info.frame_rate, sound=sound))
            self._stack = stack.pop_all()
        self._annotation: Annotation | None = None
        self._annotated = self._usual
        self._items = self._reader.everything()
        self._held: tuple[float, av.VideoFrame] | None = None
        self._thread = ThreadPoolExecutor(1, "annotate")
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file with what was added."""
        with self._stack:
            self._thread.shutdown()
            if error is None:
                self._wait()

    @property
    def frames(self) -> int:
        """How many frames were written; without any there is no file."""
        self._wait()
        return self._writer.frames

    @property
    def sound_lost(self) -> bool:
        """Whether the source has sound that could not be taken over."""
        self._wait()
        return self._writer.sound_lost

    def add(self, analysis: FrameAnalysis) -> None:
        """Write the frames before this one, soon; its annotation holds from its own time on.

        Raises:
            VideoError: the disk is full or the like, maybe for an earlier frame.
        """
        self._wait(_WAITING - 1)
        self._waiting.append(self._thread.submit(self._add, analysis))

    def _wait(self, most: int = 0) -> None:
        """Until at most so many analysed frames wait."""
        while len(self._waiting) > most:
            self._waiting.popleft().result()

    def _add(self, analysis: FrameAnalysis) -> None:
        self._write_until(analysis.time_s - 1e-6)
        self._annotated = analysis.size or self._usual
        fit = self._fit(self._annotated)
        self._annotation = Annotation(analysis, self._size, fit, self._titles, self._colours, self._annotation)

    def finish(self, end_s: float | None = None) -> None:
        """Write the rest: all of it, or picture and sound up to `end_s`.

        Raises:
            VideoError: the disk is full or the like.
        """
        self._wait()
        self._write_until(end_s if end_s is not None else float("inf"), sound_too=end_s is not None)

    def _write_until(self, end_s: float, *, sound_too: bool = False) -> None:
        """Frames that start before a time; the sound that comes along, or all of it before that time."""
        if self._held is not None and self._held[0] < end_s:
            self._write(*self._held)
            self._held = None
        pictures, sound = self._held is None, sound_too and self._reader.audio is not None
        while pictures or sound:
            item = next(self._items, None)
            if item is None:
                return
            if isinstance(item, av.Packet):
                late = sound_too and self._sound_time(item) >= end_s
                sound = sound and not late
                if not late:
                    self._writer.sound(item, self._reader.origin_s)
            elif item.time_s < end_s:
                self._write(item.time_s, item.frame)
            elif pictures:
                self._held, pictures = (item.time_s, item.frame), False

    def _write(self, time_s: float, frame: av.VideoFrame) -> None:
        image = self._reader.image(frame)
        size = (image.shape[1], image.shape[0])
        image = self._letterboxed(image, self._fit(size))
        if self._annotation is not None and self._annotated == size:
            self._annotation.draw(image)
        self._writer.write(image, time_s)

    def _fit(self, size: tuple[int, int]) -> Fit:
        """As large as a frame of that width and height can be, in the middle."""
        if size == self._usual:
            return Fit(max(1.0, LEAST / max(size)), self._size)
        scale = min(self._size[0] / size[0], self._size[1] / size[1])
        width, height = (max(round(side * scale), 1) for side in size)
        return Fit(scale, (width, height), (self._size[0] - width) // 2, (self._size[1] - height) // 2)

    def _letterboxed(self, image: NDArray[np.uint8], fit: Fit) -> NDArray[np.uint8]:
        if fit.scale != 1:
            way = cv2.INTER_CUBIC if fit.scale > 1 else cv2.INTER_AREA
            image = np.asarray(cv2.resize(image, fit.size, interpolation=way), np.uint8)
        if fit.size == self._size:
            return image
        picture = np.zeros((self._size[1], self._size[0], 3), np.uint8)
        picture[fit.top : fit.top + fit.size[1], fit.left : fit.left + fit.size[0]] = image
        return picture

    def _sound_time(self, packet: SoundPacket) -> float:
        return float((packet.pts or 0) * packet.time_base) - self._reader.origin_s


def _area(face: FaceAnalysis) -> float:
    return float(np.prod(face.face.box[2:] - face.face.box[:2]))
