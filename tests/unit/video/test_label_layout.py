"""Where the words stand in an annotated video, and how many."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_models.results import Face, FaceAnalysis, Prediction
from fer_models.video.annotation import text_size
from fer_models.video.label_layout import Box, Lettering, Stamp, lay_out

LABELS = ("anger", "happiness")
TITLES = {"one": "Model one", "two": "Model two"}
LETTERING = Lettering(14, TITLES, {"one": "#cc0000"})
CROP = np.zeros((4, 4, 3), np.uint8)


def face(box: Box) -> FaceAnalysis:
    share = np.array([0.001, 0.999], np.float32)
    said = {name: Prediction(name, LABELS, share, share, 1.0, 1.0) for name in TITLES}
    return FaceAnalysis(0, Face(np.array(box, np.float32), None, 1.0), CROP, said)


def lay(boxes: list[Box], size: tuple[int, int], before: list[Stamp] | None = None) -> list[Stamp]:
    faces = [(number, face(box)) for number, box in enumerate(boxes, 1)]
    return lay_out(faces, boxes, size, LETTERING, None if before is None else dict(enumerate(before, 1)))


def place(stamp: Stamp) -> Box:
    return stamp.x, stamp.y, stamp.x + stamp.pixels.shape[1], stamp.y + stamp.pixels.shape[0]


def stamps(boxes: list[Box], size: tuple[int, int]) -> list[Box]:
    return [place(stamp) for stamp in lay(boxes, size)]


def covered(one: Box, other: Box) -> int:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    tall = min(one[3], other[3]) - max(one[1], other[1])
    return max(wide, 0) * max(tall, 0)


def height(lines: int) -> int:
    panel = LETTERING.line("1") if lines == 1 else LETTERING.full(1, face((0, 0, 9, 9)))
    return int(panel.shape[0])


def test_a_face_with_room_gets_every_model_beside_it() -> None:
    (x1, y1, _, y2), *_ = stamps([(50, 60, 150, 200)], (640, 480))
    assert (x1, y1) == (156, 60) and y2 - y1 == height(3)


def test_a_close_up_is_written_on_but_not_hidden() -> None:
    box = (10, 10, 630, 470)
    (panel,) = stamps([box], (640, 480))
    assert panel[3] - panel[1] == height(3)
    assert 0 < covered(panel, box) <= 0.34 * 620 * 460


def test_words_are_fewer_where_faces_stand_close() -> None:
    above, wide = height(1) + 6, LETTERING.line("1 happiness").shape[1]
    boxes: list[Box] = [(left, above, left + wide, 300) for left in (0, wide + 10, 2 * wide + 20)]
    placed = stamps(boxes, (3 * wide + 20, 300))
    assert [(x1, y1, x2 - x1, y2 - y1) for x1, y1, x2, y2 in placed] == [(x, 0, wide, height(1)) for x, *_ in boxes]


def test_a_face_without_room_has_its_number() -> None:
    boxes: list[Box] = [(0, 0, 100, 100), (0, 100, 100, 200), (100, 0, 200, 200)]
    number = LETTERING.line("1").shape[1]
    assert [x2 - x1 for x1, _, x2, _ in stamps(boxes, (200, 200))] == [number] * 3


def test_a_panel_wider_than_the_picture_says_less_instead_of_being_cut_off() -> None:
    narrow = LETTERING.full(1, face((0, 0, 9, 9))).shape[1] - 1
    (panel,) = stamps([(10, 200, 60, 250)], (narrow, 480))
    assert panel[2] - panel[0] == LETTERING.line("1 happiness").shape[1]


@pytest.mark.parametrize(
    "size", [(640, 360), (640, 480), (1280, 720), (3840, 2160), (720, 1280), (1080, 1920), (360, 640)]
)
def test_words_are_readable_as_the_video_is_shown(size: tuple[int, int]) -> None:
    """At 800 px in width and 640 in height as on a desk, and at 358 px in width as on a phone that is held upright."""
    desk = min(800 / size[0], 640 / size[1])
    assert 14 <= text_size(size, 1) * desk <= 19 and 11 <= text_size(size, 3) * desk <= 17
    if size[0] < size[1]:
        assert text_size(size, 1) * 358 / size[0] >= 13.5
    titles = {"one": "EAC (MobileNetV2)", "two": "VGG16"}
    panel = Lettering(text_size(size, 2), titles, {"one": "#cc0000"}).full(1, face((0, 0, 9, 9)))
    assert panel.shape[1] < 0.9 * size[0]  # the widest that is said of a face fits above it


def test_what_a_line_and_a_table_say() -> None:
    ways = [panel.shape for panel in LETTERING.ways(7, face((0, 0, 9, 9)))]
    assert ways[0][0] == height(3) and ways[1][0] == ways[2][0] == height(1)
    assert ways[0][1] > ways[1][1] > ways[2][1]
    agreed, number = list(LETTERING.ways(7, face((0, 0, 9, 9))))[1:]
    assert np.array_equal(agreed, LETTERING.line("7 happiness")) and np.array_equal(number, LETTERING.line("7"))


def test_words_stay_where_they_are_while_they_can() -> None:
    wide, tall = LETTERING.full(1, face((0, 0, 9, 9))).shape[1], height(3)
    size = 100 + 2 * (wide + 6), 4 * tall
    middle: list[Box] = [(wide + 6, 10, wide + 106, 110)]
    assert place(lay(middle, size)[0])[:2] == (wide + 112, 10)
    on_the_left = lay([(wide + 16, 10, wide + 116, 110)], size)  # short of room on the right
    assert place(on_the_left[0])[:2] == (10, 10)
    assert place(lay(middle, size, on_the_left)[0])[:2] == (0, 10)
    short = lay([(wide + 5, 10, wide + 105, 110)], size, on_the_left)  # of room on the left, if only by one px
    assert place(short[0])[0] in (0, wide + 111)


def test_words_leave_the_face_once_there_is_room_beside_it() -> None:
    wide, tall = LETTERING.full(1, face((0, 0, 9, 9))).shape[1], height(3)
    size = 3 * wide, 3 * tall
    close = lay([(20, 0, 3 * wide - 20, 3 * tall)], size)  # on the face, right above
    aside: Box = (wide + 6, 0, 3 * wide - 20, 3 * tall)
    assert covered(place(close[0]), (20, 0, 3 * wide - 20, 3 * tall)) > 0
    moved = place(lay([aside], size, close)[0])
    assert covered(moved, aside) == 0 and moved[0] == 0


def test_a_panel_says_more_again_where_there_is_room_to_spare() -> None:
    wide, tall = LETTERING.full(1, face((0, 0, 9, 9))).shape[1], height(3)

    def scene(gap: int) -> list[Box]:
        """A face whose table fits only between it and a second one; a third makes them keep off themselves."""
        second = 50 + 6 + wide + gap
        return [(0, 0, 50, tall), (second, 0, second + 50, tall), (second + 60, 0, second + 110, tall)]

    size = scene(0)[2][2], tall

    def way(gap: int, before: list[Stamp] | None = None) -> int:
        return lay(scene(gap), (size[0] + gap, tall), before)[0].way

    assert (way(-1), way(0)) == (1, 0)
    brief, row = lay(scene(-1), (size[0] - 1, tall)), LETTERING.row
    assert [way(gap, brief) for gap in (0, row - 1, row)] == [1, 1, 0]
    full = lay(scene(0), size)
    assert [way(gap, full) for gap in (0, -1)] == [0, 1]


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Box], tuple[int, int]]:
    width, tall = draw(st.integers(120, 800)), draw(st.integers(120, 800))

    def box() -> Box:
        x, y = draw(st.integers(0, width - 20)), draw(st.integers(0, tall - 20))
        return x, y, draw(st.integers(x + 10, width)), draw(st.integers(y + 10, tall))

    return [box() for _ in range(draw(st.integers(1, 8)))], (width, tall)


@given(scenes(), scenes())
def test_panels_stay_inside_and_more_than_a_number_hides_nobody_else(
    earlier: tuple[list[Box], tuple[int, int]], scene: tuple[list[Box], tuple[int, int]]
) -> None:
    boxes, (width, tall) = scene
    drawn = lay(boxes, (width, tall), lay(*earlier))
    placed = [place(stamp) for stamp in drawn]
    assert len(placed) == len(boxes)
    for index, (panel, own) in enumerate(zip(placed, boxes, strict=True)):
        x1, y1, x2, y2 = panel
        assert 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= tall
        number = min(LETTERING.line(str(index + 1)).shape[1], width)
        if x2 - x1 > number:
            others = [*boxes[:index], *boxes[index + 1 :], *placed[:index]]
            assert all(covered(panel, other) == 0 for other in others)
            allowed = 0.34 if len(boxes) <= 2 else 0
            assert covered(panel, own) <= allowed * (own[2] - own[0]) * (own[3] - own[1])
