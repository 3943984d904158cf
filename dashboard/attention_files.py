"""Single maps as files to keep: PNG of what is seen, SVG with the cells as squares that stay sharp. No Gradio here."""

import base64
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from dashboard.theme import FONT_STACK
from explain.attention import Explanation
from explain.colours import sequential
from explain.overlay import scaled

_SIDE = 420  # px of each picture of an SVG
_GAP = 16


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


def map_svg(
    title: str, drawn: NDArray[np.uint8], one: Explanation, *, peak: float | None = None, colours: str = "viridis"
) -> str:
    """One map as an SVG figure: on the face as a picture, and cell by cell as squares, below a title.

    Args:
        title: what it shows.
        drawn: (S, S, 3) uint8 RGB, the map on the face.
        one: the map.
        peak: the raw value drawn strongest; None means this map's own largest value.
        colours: a key of `explain.colours.SEQUENTIAL`.

    Raises:
        UnknownNameError: no such colour map.
    """
    values, table = scaled(one, peak), sequential(colours)
    height, width = values.shape
    left, top = _SIDE + _GAP, 40
    squares = "".join(
        f'<rect x="{left + column * _SIDE / width:.2f}" y="{top + row * _SIDE / height:.2f}" '
        f'width="{_SIDE / width:.2f}" height="{_SIDE / height:.2f}" fill="#{bytes(table[round(255 * value)]).hex()}"/>'
        for row, line in enumerate(values.tolist())
        for column, value in enumerate(line)
    )
    wide, high = 2 * _SIDE + _GAP, _SIDE + top
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}">'
        f'<text x="0" y="24" font-family="{escape(FONT_STACK)}" font-size="18">{escape(title)}</text>'
        f'<image x="0" y="{top}" width="{_SIDE}" height="{_SIDE}" href="{png_uri(drawn)}"/>'
        f'<g shape-rendering="crispEdges">{squares}</g></svg>'
    )


def _code(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
