"""Where the words stand in an annotated video, and how many."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fer_models.results import Face, FaceAnalysis, Prediction
from fer_models.video.panels import Box, Writer, lay_out

LABELS = ("anger", "happiness")
TITLES = {"one": "Model one", "two": "Model two"}
WRITER = Writer(14, TITLES, {"one": "#cc0000"})
CROP = np.zeros((4, 4, 3), np.uint8)


def face(box: Box) -> FaceAnalysis:
    share = np.array([0.001, 0.999], np.float32)
    said = {name: Prediction(name, LABELS, share, share, 1.0, 1.0) for name in TITLES}
    return FaceAnalysis(0, Face(np.array(box, np.float32), None, 1.0), CROP, said)


def stamps(boxes: list[Box], size: tuple[int, int]) -> list[Box]:
    placed = lay_out([(i + 1, face(box)) for i, box in enumerate(boxes)], boxes, size, WRITER)
    return [(x, y, x + pixels.shape[1], y + pixels.shape[0]) for x, y, pixels in placed]


def covered(one: Box, other: Box) -> int:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    tall = min(one[3], other[3]) - max(one[1], other[1])
    return max(wide, 0) * max(tall, 0)


def height(lines: int) -> int:
    panel = WRITER.line("1") if lines == 1 else WRITER.full(1, face((0, 0, 9, 9)))
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
    above, wide = height(1) + 6, WRITER.line("1 happiness").shape[1]
    boxes: list[Box] = [(left, above, left + wide, 300) for left in (0, wide + 10, 2 * wide + 20)]
    placed = stamps(boxes, (3 * wide + 20, 300))
    assert [(x1, y1, x2 - x1, y2 - y1) for x1, y1, x2, y2 in placed] == [(x, 0, wide, height(1)) for x, *_ in boxes]


def test_a_face_without_room_has_its_number() -> None:
    boxes: list[Box] = [(0, 0, 100, 100), (0, 100, 100, 200), (100, 0, 200, 200)]
    number = WRITER.line("1").shape[1]
    assert [x2 - x1 for x1, _, x2, _ in stamps(boxes, (200, 200))] == [number] * 3


def test_what_a_line_and_a_table_say() -> None:
    ways = [panel.shape for panel in WRITER.ways(7, face((0, 0, 9, 9)))]
    assert ways[0][0] == height(3) and ways[1][0] == ways[2][0] == height(1)
    assert ways[0][1] > ways[1][1] > ways[2][1]
    agreed, number = list(WRITER.ways(7, face((0, 0, 9, 9))))[1:]
    assert np.array_equal(agreed, WRITER.line("7 happiness")) and np.array_equal(number, WRITER.line("7"))


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Box], tuple[int, int]]:
    width, tall = draw(st.integers(120, 800)), draw(st.integers(120, 800))

    def box() -> Box:
        x, y = draw(st.integers(0, width - 20)), draw(st.integers(0, tall - 20))
        return x, y, draw(st.integers(x + 10, width)), draw(st.integers(y + 10, tall))

    return [box() for _ in range(draw(st.integers(1, 8)))], (width, tall)


@given(scenes())
def test_panels_stay_inside_and_more_than_a_number_hides_nobody_else(scene: tuple[list[Box], tuple[int, int]]) -> None:
    boxes, (width, tall) = scene
    placed = stamps(boxes, (width, tall))
    assert len(placed) == len(boxes)
    for index, (panel, own) in enumerate(zip(placed, boxes, strict=True)):
        x1, y1, x2, y2 = panel
        assert 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= tall
        number = min(WRITER.line(str(index + 1)).shape[1], width)
        if x2 - x1 > number:
            others = [*boxes[:index], *boxes[index + 1 :], *placed[:index]]
            assert all(covered(panel, other) == 0 for other in others)
            allowed = 0.34 if len(boxes) <= 2 else 0
            assert covered(panel, own) <= allowed * (own[2] - own[0]) * (own[3] - own[1])
