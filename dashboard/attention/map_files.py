"""Maps as files to keep: PNG as shown, SVG with the cells as squares that stay sharp. No Gradio here."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from dashboard.components.templates import render
from dashboard.theme import FONT_STACK

_SIDE: Final = 420  # px of each picture of an SVG
_GAP: Final = 16
_MOST_SQUARES: Final = 64  # per side; a map of one face with more would be a file of megabytes
_TITLE_HEIGHT: Final = 40  # px
_CAPTION_HEIGHT: Final = 40  # px


@dataclass(frozen=True, eq=False)
class Panel:
    """One part of a figure to keep.

    Attributes:
        caption: below it; may be empty.
        drawn: (S, S, 3) uint8 RGB, the map on the face.
        cells: (h, w, 3) uint8 RGB, the colour of each of the map's cells.
    """

    caption: str
    drawn: NDArray[np.uint8]
    cells: NDArray[np.uint8]


@dataclass(frozen=True)
class MapFile:
    """A file that a link on the page saves.

    Attributes:
        title: of the link.
        name: of the file.
        uri: its content as a data URI.
    """

    title: str
    name: str
    uri: str


@dataclass(frozen=True)
class SvgPart:
    """One picture of an SVG figure, or one grid of squares.

    Attributes:
        x: of the left edge in px.
        y: of the upper edge in px.
        caption: below it; may be empty.
        picture: a data URI; "" where cells are drawn instead.
        cells: rows of CSS colours.
    """

    x: int
    y: int
    caption: str
    picture: str = ""
    cells: Sequence[Sequence[str]] = ()


@dataclass(frozen=True)
class SvgFigure:
    """An SVG figure.

    Attributes:
        title: above it.
        width: in px.
        height: in px.
        parts: each `side` px wide and high.
        side: in px.
        font: CSS font families.
    """

    title: str
    width: int
    height: int
    parts: Sequence[SvgPart]
    side: int = _SIDE
    font: str = FONT_STACK


def map_files(name: str, drawn: NDArray[np.uint8], cells: NDArray[np.uint8], svg: str) -> tuple[MapFile, ...]:
    """The files of a map.

    Args:
        name: of the files, without suffix.
        drawn: (S, S, 3) uint8 RGB, the map on the face.
        cells: (S, S, 3) uint8 RGB, the map alone, without a pixel of the face.
        svg: both, as `map_svg` gives it.
    """
    return (
        MapFile("On the face, PNG", f"{name}.png", png_uri(drawn)),
        MapFile("Cells alone, PNG", f"{name}-cells.png", png_uri(cells)),
        MapFile("Both, SVG", f"{name}.svg", f"data:image/svg+xml;base64,{_base64(svg.encode())}"),
    )


def panel_files(name: str, title: str, panels: Sequence[Panel]) -> tuple[MapFile, ...]:
    """The files of several maps side by side.

    Args:
        name: of the files, without suffix.
        title: of the SVG figure.
        panels: from left to right, drawn at one size.
    """
    side = panels[0].drawn.shape[0]
    large = [cv2.resize(panel.cells, (side, side), interpolation=cv2.INTER_NEAREST) for panel in panels]
    drawn = side_by_side([panel.drawn for panel in panels])
    cells = side_by_side([np.asarray(picture, np.uint8) for picture in large])
    return map_files(name, drawn, cells, panels_svg(title, panels))


def png_uri(image: NDArray[np.uint8]) -> str:
    """A picture (H, W, 3) uint8 RGB as a PNG data URI."""
    _, code = cv2.imencode(".png", image[..., ::-1])
    return f"data:image/png;base64,{_base64(code.tobytes())}"


def side_by_side(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """N pictures (S, S, 3) uint8 RGB in a row, with white between: (S, N * S + (N - 1) * gap, 3)."""
    gap = np.full((pictures[0].shape[0], _GAP, 3), 255, np.uint8)
    row = [pictures[0]]
    for picture in pictures[1:]:
        row += [gap, picture]
    return np.concatenate(row, axis=1)


def map_svg(title: str, panel: Panel) -> str:
    """One map as an SVG figure: on the face as a picture, and cell by cell as squares beside it, below a title."""
    return _svg(title, [panel], columns=2)


def panels_svg(title: str, panels: Sequence[Panel]) -> str:
    """Maps as an SVG figure: on the face in the upper row, cell by cell in the lower one, below a title."""
    return _svg(title, panels, columns=len(panels))


def _svg(title: str, panels: Sequence[Panel], *, columns: int) -> str:
    """All panels on the face, and then all cell by cell, in rows of so many columns."""
    row_height = _SIDE + (_CAPTION_HEIGHT if any(panel.caption for panel in panels) else _GAP)

    def place(index: int) -> tuple[int, int]:
        return index % columns * (_SIDE + _GAP), _TITLE_HEIGHT + index // columns * row_height

    pictures = [SvgPart(*place(i), panel.caption, png_uri(panel.drawn)) for i, panel in enumerate(panels)]
    squares = [_squares(*place(i), panel.cells) for i, panel in enumerate(panels, len(panels))]
    width = columns * (_SIDE + _GAP) - _GAP
    height = _TITLE_HEIGHT + -(-2 * len(panels) // columns) * row_height
    return str(render("attention/map.svg", figure=SvgFigure(title, width, height, pictures + squares)))


def _squares(x: int, y: int, cells: NDArray[np.uint8]) -> SvgPart:
    """Cells (h, w, 3) uint8 RGB as squares; as a picture where they are as fine as pixels."""
    if len(cells) > _MOST_SQUARES:
        enlarged = cv2.resize(cells, (_SIDE, _SIDE), interpolation=cv2.INTER_NEAREST)
        return SvgPart(x, y, "", png_uri(np.asarray(enlarged, np.uint8)))
    return SvgPart(x, y, "", cells=[[f"#{bytes(cell).hex()}" for cell in row] for row in cells])


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
