"""Maps as files to keep: PNG of what is seen, SVG with the cells as squares that stay sharp. No Gradio here."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from dashboard.theme import FONT_STACK

_SIDE = 420  # px of each picture of an SVG
_GAP = 16
_TITLE, _CAPTION = 40, 40  # px of a title above and of a caption below


def keep_links(name: str, drawn: NDArray[np.uint8], cells: NDArray[np.uint8], svg: str) -> str:
    """Links that save a map. The files are part of the page, nothing is left on the server.

    Args:
        name: of the files, without suffix.
        drawn: (S, S, 3) uint8 RGB, the map on the face.
        cells: (S, S, 3) uint8 RGB, the map alone, without a pixel of the face.
        svg: both, as `map_svg` gives it.
    """
    files = (
        ("On the face, PNG", f"{name}.png", png_uri(drawn)),
        ("Cells alone, PNG", f"{name}-cells.png", png_uri(cells)),
        ("Both, SVG", f"{name}.svg", f"data:image/svg+xml;base64,{_code(svg.encode())}"),
    )
    links = "".join(
        f'<a class="fer-tool" download="{escape(file)}" href="{uri}">{escape(title)}</a>' for title, file, uri in files
    )
    return f'<div class="fer-tools fer-lab-keep">{links}</div>'


def png_uri(image: NDArray[np.uint8]) -> str:
    """A picture (H, W, 3) uint8 RGB as a PNG data URI."""
    _, code = cv2.imencode(".png", image[..., ::-1])
    return f"data:image/png;base64,{_code(code.tobytes())}"


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


def keep_panels(name: str, title: str, panels: Sequence[Panel]) -> str:
    """Links that save several maps side by side, as `keep_links` does one.

    Args:
        name: of the files, without suffix.
        title: of the SVG figure.
        panels: from left to right, drawn at one size.
    """
    side = panels[0].drawn.shape[0]
    large = [cv2.resize(one.cells, (side, side), interpolation=cv2.INTER_NEAREST) for one in panels]
    drawn = side_by_side([one.drawn for one in panels])
    cells = side_by_side([np.asarray(one, np.uint8) for one in large])
    return keep_links(name, drawn, cells, panels_svg(title, panels))


def side_by_side(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Pictures (S, S, 3) uint8 RGB in a row, with white between: (S, N * S + (N - 1) * gap, 3)."""
    gap = np.full((pictures[0].shape[0], _GAP, 3), 255, np.uint8)
    row = [pictures[0]]
    for picture in pictures[1:]:
        row += [gap, picture]
    return np.concatenate(row, axis=1)


def map_svg(title: str, panel: Panel) -> str:
    """One map as an SVG figure: on the face as a picture, and cell by cell as squares beside it, below a title."""
    return _svg(title, [(panel.caption, _picture(panel.drawn)), ("", _squares(panel.cells))], columns=2)


def panels_svg(title: str, panels: Sequence[Panel]) -> str:
    """Maps as an SVG figure: on the face in the upper row, cell by cell in the lower one, below a title."""
    parts = [(one.caption, _picture(one.drawn)) for one in panels] + [("", _squares(one.cells)) for one in panels]
    return _svg(title, parts, columns=len(panels))


def _svg(title: str, parts: Sequence[tuple[str, str]], *, columns: int) -> str:
    """Parts of `_SIDE` px with a caption below each, in rows, under a title."""
    captions = any(caption for caption, _ in parts)
    row = _SIDE + (_CAPTION if captions else _GAP)
    body = ""
    for index, (caption, drawing) in enumerate(parts):
        x, y = index % columns * (_SIDE + _GAP), index // columns * row + _TITLE
        text = _text(caption, _SIDE + 20, 15) if caption else ""
        body += f'<g transform="translate({x} {y})">{drawing}{text}</g>'
    wide = columns * (_SIDE + _GAP) - _GAP
    high = _TITLE + -(-len(parts) // columns) * row
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}">'
        f"{_text(title, 24, 18)}{body}</svg>"
    )


def _text(text: str, y: int, size: int) -> str:
    return f'<text x="0" y="{y}" font-family="{escape(FONT_STACK)}" font-size="{size}">{escape(text)}</text>'


def _picture(drawn: NDArray[np.uint8]) -> str:
    return f'<image width="{_SIDE}" height="{_SIDE}" href="{png_uri(drawn)}"/>'


def _squares(cells: NDArray[np.uint8]) -> str:
    """A square a cell: sharp at any size."""
    height, width = cells.shape[:2]
    squares = "".join(
        f'<rect x="{column * _SIDE / width:.2f}" y="{row * _SIDE / height:.2f}" '
        f'width="{_SIDE / width:.2f}" height="{_SIDE / height:.2f}" fill="#{bytes(cells[row, column]).hex()}"/>'
        for row in range(height)
        for column in range(width)
    )
    return f'<g shape-rendering="crispEdges">{squares}</g>'


def _code(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
