"""What an annotated frame shows beside its faces, and where."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fer_models.formatting import majority, percent
from fer_models.results import FaceAnalysis

INK: Final = (24, 24, 27)
PAPER: Final = (255, 255, 255)
_FAINT: Final = (200, 200, 208)
#: Of its own face a panel may hide this share where there is no room beside it and no more than `_FEW` faces.
_OWN: Final = 0.34
_FEW: Final = 2
#: Between a box and its panel, in px.
_GAP: Final = 6

#: x1, y1, x2, y2 in px.
Box = tuple[int, int, int, int]


class Stamp(NamedTuple):
    """A small opaque picture (h, w, 3) uint8 RGB and its upper left corner in px.

    `way` and `side` are which of the ways to tell it was, and at which of the places around the box.
    """

    x: int
    y: int
    pixels: NDArray[np.uint8]
    way: int = 0
    side: int = 0


class Lettering:
    """Renders panels in one text size."""

    def __init__(self, text: int, titles: Mapping[str, str], colours: Mapping[str, str]) -> None:
        """Choose how they look.

        Args:
            text: size in px.
            titles: what people read, by model name.
            colours: "#rrggbb" by model name: a square before its title; without, there is none.
        """
        self._font = ImageFont.load_default(text)
        self._text, self._titles, self._colours = text, titles, colours
        self._pad = max(4, text // 2)
        #: Height of a line in px.
        self.row = round(text * 1.35)

    def full(self, number: int, face: FaceAnalysis) -> NDArray[np.uint8]:
        """The face's number, then one line per model: title, label and confidence. (h, w, 3) uint8 RGB."""
        lines = [
            (name, self._titles[name], prediction.label, percent(prediction.confidence, " "))
            for name, prediction in face.predictions.items()
        ]
        pad, gap, row = self._pad, max(6, self._text // 2), self.row
        wide = [max((round(self._font.getlength(line[column])) for line in lines), default=0) for column in (1, 2, 3)]
        swatch = self._text * 2 // 3 if self._colours and lines else 0
        left = pad + (swatch + gap if swatch else 0)
        head = f"Track {number}"
        width = max(left + sum(wide) + 2 * gap + pad, round(self._font.getlength(head)) + 2 * pad)
        picture = Image.new("RGB", (width, row * (1 + len(lines)) + pad), INK)
        draw = ImageDraw.Draw(picture)
        draw.text((pad, pad // 2), head, PAPER, self._font)
        for position, (name, title, label, share) in enumerate(lines, 1):
            y = pad // 2 + row * position
            if name in self._colours:
                top = y + (row - swatch) // 2
                draw.rectangle((pad, top, pad + swatch, top + swatch), self._colours[name])
            draw.text((left, y), title, _FAINT, self._font)
            draw.text((left + wide[0] + gap, y), label, PAPER, self._font)
            draw.text((width - pad, y), share, PAPER, self._font, anchor="ra")
        return np.array(picture)

    def line(self, words: str) -> NDArray[np.uint8]:
        """One line of words. (h, w, 3) uint8 RGB."""
        width = round(self._font.getlength(words)) + 2 * self._pad
        picture = Image.new("RGB", (width, self.row + self._pad), INK)
        ImageDraw.Draw(picture).text((self._pad, self._pad // 2), words, PAPER, self._font)
        return np.array(picture)

    def ways(self, number: int, face: FaceAnalysis) -> Iterator[NDArray[np.uint8]]:
        """What can be said of a face, from most to least: every model, what most of them say, its number."""
        yield self.full(number, face)
        yield self.line(f"{number} {majority(face.predictions)}")
        yield self.line(str(number))


def lay_out(
    faces: Sequence[tuple[int, FaceAnalysis]],
    boxes: Sequence[Box],
    size: tuple[int, int],
    lettering: Lettering,
    before: Mapping[int, Stamp] | None = None,
) -> list[Stamp]:
    """Say as much of each face as there is room for beside it.

    Args:
        faces: number and analysis, in the order in which they choose their place.
        boxes: of the faces, in the picture.
        size: width and height of the picture, in px.
        lettering: renders the panels.
        before: the stamps of the last frame by number. A panel stays on its side while it can, and says more again
            only where there is room to spare: words that jump from frame to frame cannot be read.

    Returns:
        One stamp per face. A panel hides no other face and no other panel, nor its own face, but up to a third of it
        where there are one or two faces; none is cut off at the picture's edge. Where there is no room for even the
        number, it stands where it hides least.
    """
    width, height = size
    allowed = _OWN if len(faces) <= _FEW else 0.0
    stamps: list[Stamp] = []
    taken = list(boxes)
    for index, ((number, face), own) in enumerate(zip(faces, boxes, strict=True)):
        others = taken[:index] + taken[index + 1 :]
        room = allowed * _overlap(own, own)
        last = (before or {}).get(number)
        for way, panel in enumerate(lettering.ways(number, face)):
            pixels = panel[:height, :width]
            spare = lettering.row if last is not None and way < last.way else 0
            shape = pixels.shape[1], pixels.shape[0]
            stamp, fits = _place(own, others, shape, size, room, spare, None if last is None else last.side)
            if fits and pixels.shape == panel.shape:
                break
        x, y, side = stamp
        taken.append((x, y, x + shape[0], y + shape[1]))
        stamps.append(Stamp(x, y, pixels, way, side))
    return stamps


def _place(
    own: Box,
    others: Sequence[Box],
    panel: tuple[int, int],
    picture: tuple[int, int],
    room: float,
    spare: int,
    last: int | None,
) -> tuple[tuple[int, int, int], bool]:
    """Where around a box, inside the picture, a panel hides least: its corner and side, and whether it fits there.

    It fits where nothing of the others is within `spare` px and no more than `room` px of its own box are hidden; the
    `last` side is kept if it fits.
    """
    (x1, y1, x2, y2), (wide, tall), (width, height) = own, panel, picture
    beside = [(x, y) for x in (x2 + _GAP, x1 - _GAP - wide) for y in (y1, y2 - tall)]
    above = [(x, y) for y in (y2 + _GAP, y1 - _GAP - tall) for x in (x1, x2 - wide)]
    places = [
        (min(max(x, 0), width - wide), min(max(y, 0), height - tall), side)
        for side, (x, y) in enumerate([*beside, *above, (x1, y1)])
    ]

    def hidden(place: tuple[int, int, int]) -> tuple[int, int]:
        x, y, _ = place
        around = (x - spare, y - spare, x + wide + spare, y + tall + spare)
        return sum(_overlap(around, other) for other in others), _overlap((x, y, x + wide, y + tall), own)

    best = min(places, key=hidden)
    hides, covers = hidden(best)
    if last is not None:  # not on its own face, though, where there is room beside it
        hid, covered = hidden(places[last])
        if not hid and (not covered or (covers and covered <= room)):
            return places[last], True
    return best, not hides and covers <= room


def _overlap(one: Box, other: Box) -> int:
    """Px that both cover."""
    wide, tall = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    return max(wide, 0) * max(tall, 0)
