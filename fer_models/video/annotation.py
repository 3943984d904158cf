"""A video with what the models say written beside each face."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fer_models.results import FaceAnalysis
from fer_models.video.analysis import FrameAnalysis
from fer_models.video.reader import Limits, SoundPacket, VideoReader
from fer_models.video.writer import VideoWriter

#: Shortest longest side of the annotated video in px; smaller videos are enlarged, or the words could not be read.
LEAST: Final = 640
#: Faces of a frame that get the models' answers, the largest ones; the others only a box and their number.
MOST_PANELS: Final = 6
_INK: Final = (24, 24, 27)
_PAPER: Final = (255, 255, 255)

_Box = tuple[int, int, int, int]


class _Stamp(NamedTuple):
    """A small opaque picture (h, w, 3) and its upper left corner."""

    x: int
    y: int
    pixels: NDArray[np.uint8]


class Annotation:
    """Boxes, face numbers and answers of one analysed frame, to be drawn on it and on those after it.

    Each panel names the face and lists the models in their order with label and confidence; a coloured square tells
    the models apart where colours are given. The texts are rendered once, drawing is a copy.
    """

    def __init__(
        self,
        analysis: FrameAnalysis,
        size: tuple[int, int],
        scale: float,
        titles: Mapping[str, str],
        colours: Mapping[str, str] | None = None,
    ) -> None:
        """Lay it out.

        Args:
            analysis: of the frame.
            size: width and height of the picture that is drawn on, in px.
            scale: from the analysis' pixels to that picture's.
            titles: what people read, by model name.
            colours: "#rrggbb" by model name.
        """
        width, height = size
        self._line = max(2, round(max(size) / 420))
        text = int(np.clip(height / (34 if len(analysis.faces) <= 2 else 44), 13, 40))
        order = sorted(range(len(analysis.faces)), key=lambda index: -_area(analysis.faces[index]))
        self._boxes: list[_Box] = []
        for index in order:
            box = analysis.faces[index].face.box * scale
            limits = np.array([width, height, width, height]) - 1 - self._line
            x1, y1, x2, y2 = np.clip(box, self._line, np.maximum(limits, self._line)).astype(int).tolist()
            self._boxes.append((x1, y1, x2, y2))
        self._stamps: list[_Stamp] = []
        taken = self._boxes * 4  # a hidden face is worse than hidden words
        for rank, index in enumerate(order):
            face = analysis.faces[index] if rank < MOST_PANELS else None
            panel = _panel(analysis.numbers[index], face, text, titles, colours or {})
            panel = panel[:height, :width]
            x, y = _place(self._boxes[rank], (panel.shape[1], panel.shape[0]), size, taken)
            taken.append((x, y, x + panel.shape[1], y + panel.shape[0]))
            self._stamps.append(_Stamp(x, y, panel))

    def draw(self, image: NDArray[np.uint8]) -> None:
        """Draw on a picture (H, W, 3) uint8 RGB, in place."""
        for x1, y1, x2, y2 in self._boxes:
            cv2.rectangle(image, (x1, y1), (x2, y2), _INK, self._line + 4, cv2.LINE_AA)
            cv2.rectangle(image, (x1, y1), (x2, y2), _PAPER, self._line, cv2.LINE_AA)
        for x, y, pixels in reversed(self._stamps):  # the largest face's words on top
            height, width = pixels.shape[:2]
            image[y : y + height, x : x + width] = pixels


class AnnotatedVideo:
    """Writes every frame of a video with the annotation of the last analysed frame on it, and its sound.

    It reads the video a second time, behind the analysis: holding the frames until they are analysed would take far
    more memory than decoding them again takes time. A context manager that leaves a playable file.
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
            self._scale = max(1.0, LEAST / max(info.width, info.height))
            self._size = (round(info.width * self._scale), round(info.height * self._scale))
            sound = self._reader.audio
            self._writer = stack.enter_context(VideoWriter(target, self._size, frame_rate=info.frame_rate, sound=sound))
            self._stack = stack.pop_all()
        self._annotation: Annotation | None = None
        self._items = self._reader.everything()
        self._held: tuple[float, av.VideoFrame] | None = None

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file with what was written."""
        self._stack.close()

    @property
    def frames(self) -> int:
        """How many frames were written; without any there is no file."""
        return self._writer.frames

    @property
    def sound_lost(self) -> bool:
        """Whether the source has sound that could not be taken over."""
        return self._writer.sound_lost

    def add(self, analysis: FrameAnalysis) -> None:
        """Write the frames before this one; its annotation holds from its own time on.

        Raises:
            VideoError: the disk is full or the like.
        """
        self._write_until(analysis.time_s - 1e-6)
        self._annotation = Annotation(analysis, self._size, self._scale, self._titles, self._colours)

    def finish(self, end_s: float | None = None) -> None:
        """Write the rest: all of it, or picture and sound up to `end_s`.

        Raises:
            VideoError: the disk is full or the like.
        """
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
        if self._scale > 1:
            image = np.asarray(cv2.resize(image, self._size, interpolation=cv2.INTER_CUBIC), np.uint8)
        if self._annotation is not None:
            self._annotation.draw(image)
        self._writer.write(image, time_s)

    def _sound_time(self, packet: SoundPacket) -> float:
        return float((packet.pts or 0) * packet.time_base) - self._reader.origin_s


def _area(face: FaceAnalysis) -> float:
    return float(np.prod(face.face.box[2:] - face.face.box[:2]))


def _panel(
    number: int,
    face: FaceAnalysis | None,
    text: int,
    titles: Mapping[str, str],
    colours: Mapping[str, str],
) -> NDArray[np.uint8]:
    """The words about one face, white on black: its number, then one line a model unless `face` is None."""
    font = ImageFont.load_default(text)
    lines = (
        [] if face is None else [(n, titles[n], p.label, f"{p.confidence:.0%}") for n, p in face.predictions.items()]
    )
    pad, gap, row = max(4, text // 2), max(6, text // 2), round(text * 1.35)
    wide = [max((round(font.getlength(line[column])) for line in lines), default=0) for column in (1, 2, 3)]
    swatch = text * 2 // 3 if colours and lines else 0
    left = pad + (swatch + gap if swatch else 0)
    head = f"Face {number}" if lines else str(number)
    width = max(left + sum(wide) + 2 * gap + pad if lines else 0, round(font.getlength(head)) + 2 * pad)
    picture = Image.new("RGB", (width, row * (1 + len(lines)) + pad), _INK)
    draw = ImageDraw.Draw(picture)
    draw.text((pad, pad // 2), head, _PAPER, font)
    for position, (name, title, label, share) in enumerate(lines, 1):
        y = pad // 2 + row * position
        if name in colours:
            top = y + (row - swatch) // 2
            draw.rectangle((pad, top, pad + swatch, top + swatch), colours[name])
        draw.text((left, y), title, (200, 200, 208), font)
        draw.text((left + wide[0] + gap, y), label, _PAPER, font)
        draw.text((width - pad, y), share, _PAPER, font, anchor="ra")
    return np.array(picture)


def _place(box: _Box, size: tuple[int, int], picture: tuple[int, int], taken: list[_Box]) -> tuple[int, int]:
    """The corner beside a box, inside the picture, where a panel hides the least of what is `taken`."""
    (x1, y1, x2, y2), (wide, tall), (width, height) = box, size, picture
    gap = 6
    beside = [(x, y) for x in (x2 + gap, x1 - gap - wide) for y in (y1, y2 - tall)]
    above = [(x, y) for y in (y2 + gap, y1 - gap - tall) for x in (x1, x2 - wide)]
    inside = [(min(max(x, 0), width - wide), min(max(y, 0), height - tall)) for x, y in [*beside, *above, (x1, y1)]]

    def hidden(corner: tuple[int, int]) -> int:
        x, y = corner
        sides = [(min(x + wide, c) - max(x, a), min(y + tall, d) - max(y, b)) for a, b, c, d in taken]
        return sum(max(w, 0) * max(h, 0) for w, h in sides)

    return min(inside, key=hidden)
