"""Maps as files: what is in them, and that the cells alone hold no pixel of the face."""

import base64
import re
import xml.etree.ElementTree as ElementTree

import cv2
import numpy as np
from numpy.typing import NDArray

from dashboard.attention.map_files import Panel, map_files, map_svg, panel_files, png_uri
from explain.drawing.colormaps import diverging, sequential
from explain.drawing.overlay import difference_colours, draw_cells, draw_map, map_colours
from explain.maps import Explanation

CROP = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
ONE = Explanation("vgg16", "native", "fear", np.array([[-1, 0, 1], [2, 3, 4]], np.float32))


def decoded(uri: str) -> NDArray[np.uint8]:
    data = np.frombuffer(base64.b64decode(uri.partition(",")[2]), np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]


def test_a_png_holds_every_pixel() -> None:
    np.testing.assert_array_equal(decoded(png_uri(CROP)), CROP)


def test_an_svg_has_the_face_and_a_square_a_cell_in_its_colour() -> None:
    drawn = draw_map(CROP, ONE, peak=8)
    root = ElementTree.fromstring(map_svg("A & <B>", Panel("", drawn, map_colours(ONE, peak=8, colours="magma"))))
    space = {"s": "http://www.w3.org/2000/svg"}
    assert [text.text for text in root.findall("s:text", space)] == ["A & <B>"]
    (image,) = root.findall("s:g/s:image", space)
    np.testing.assert_array_equal(decoded(image.attrib["href"]), drawn)
    fills = [square.attrib["fill"] for square in root.findall("s:g/s:g/s:rect", space)]
    table = sequential("magma")
    expected = [table[round(255 * value / 8)] for value in (0, 0, 1, 2, 3, 4)]
    assert fills == [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in expected]


def test_a_map_as_fine_as_pixels_stays_a_picture() -> None:
    fine = np.random.default_rng(1).integers(0, 256, (84, 84, 3), np.uint8)
    root = ElementTree.fromstring(map_svg("RISE", Panel("", CROP, fine)))
    assert not list(root.iter("{http://www.w3.org/2000/svg}rect"))
    _, cells = root.iter("{http://www.w3.org/2000/svg}image")
    np.testing.assert_array_equal(decoded(cells.attrib["href"])[2::5, 2::5], fine)


def test_links_save_three_files_and_one_is_without_the_face() -> None:
    drawn, cells = draw_map(CROP, ONE), draw_cells(ONE, 64)
    files = map_files("vgg16", drawn, cells, map_svg("Map", Panel("", drawn, map_colours(ONE))))
    links = {file.name: file.uri for file in files}
    assert list(links) == ["vgg16.png", "vgg16-cells.png", "vgg16.svg"]
    np.testing.assert_array_equal(decoded(links["vgg16-cells.png"]), cells)


def test_maps_side_by_side_are_saved_as_they_are_shown() -> None:
    """Two maps and their difference: three pictures in a row, captions under them, squares in the colours by hand."""
    values = np.array([[-1, 0, 1], [-2, 0, 2]], np.float32)
    panels = [
        Panel("One <model>", draw_map(CROP, ONE), map_colours(ONE)),
        Panel("Difference", np.full((64, 64, 3), 7, np.uint8), difference_colours(values)),
    ]
    links = {file.name: file.uri for file in panel_files("difference-a-b", "Evidence for fear", panels)}
    assert list(links) == ["difference-a-b.png", "difference-a-b-cells.png", "difference-a-b.svg"]
    drawn = decoded(links["difference-a-b.png"])
    assert drawn.shape == (64, 2 * 64 + 16, 3)
    np.testing.assert_array_equal(drawn[:, :64], panels[0].drawn)
    assert (drawn[:, 64:80] == 255).all()
    assert (drawn[:, 80:] == 7).all()
    cells = decoded(links["difference-a-b-cells.png"])[:, 80:]
    np.testing.assert_array_equal(cells[0, [0, 32, 63]], diverging()[[0, 127, 254]])
    np.testing.assert_array_equal(cells[63], cells[0])
    root = ElementTree.fromstring(base64.b64decode(links["difference-a-b.svg"].partition(",")[2]))
    space = {"s": "http://www.w3.org/2000/svg"}
    assert [text.text for text in root.findall("s:g/s:text", space)] == ["One <model>", "Difference"]
    assert len(root.findall("s:g/s:g/s:rect", space)) == 12
    width, height = (float(root.attrib[name]) for name in ("width", "height"))
    for part in root.findall("s:g", space):
        x, y = map(float, re.findall(r"\d+", part.attrib["transform"]))
        assert 0 <= x <= width - 420
        assert 0 <= y <= height - 420
