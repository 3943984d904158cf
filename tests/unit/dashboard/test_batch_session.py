"""What the Batch tab keeps, filters and draws, without a browser."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import numpy as np
import pytest
from numpy.typing import NDArray

import dashboard.batch.session as batch_reading
import dashboard.batch.tab as batch_tab
from dashboard.batch import view
from dashboard.batch.faces import view as faces_view
from dashboard.batch.faces.rows import (
    DIFFER,
    NO_RESULT,
    POOR,
    Filters,
    Order,
    chosen_rows,
    model_column,
    most_different,
    ordered_rows,
)
from dashboard.batch.figures import distribution_figure, label_counts
from dashboard.batch.labels import view as labels_view
from dashboard.batch.labels.review import Review
from dashboard.batch.session import AnalyzedBatch, document, read_batch
from dashboard.batch.uploads import BatchPictures
from dashboard.components.display import ModelDisplay, model_display
from dashboard.components.templates import render
from fer_models.analyzer import Analyzer
from fer_models.batch.labels import Labels
from fer_models.batch.run import NO_FACE
from fer_models.batch.table import Row
from fer_models.errors import FerError
from fer_models.expressions import EXPRESSIONS, ClassNames
from fer_models.formatting import percent
from fer_models.media.images import Picture
from fer_models.media.sources import PictureFile, Pictures
from fer_models.registry import model_styles
from tests.helpers.texts import assert_states

EVIL = "<script>alert(1)</script>.png"


def face(file: str, number: int, first: str, second: str, disagreement: float, **more: Any) -> Row:
    answers = {"a_label": first, "a_confidence": 0.75, "b_label": second, "b_confidence": 0.5}
    agreement = 1.0 if first == second else 0.5
    return {"file": file, "face": number, "agreement": agreement, "disagreement": disagreement, **answers, **more}


@pytest.fixture
def analyzed() -> AnalyzedBatch:
    rows: tuple[Row, ...] = (
        face("one.png", 1, "fear", "fear", 0.1),
        face("one.png", 2, "fear", "anger", 0.4),
        {"file": "two.png", "reason": NO_FACE},
        {"file": EVIL, "reason": "It is damaged."},
        face("TWO.png", 1, "anger", "neutral", 0.9),
    )
    thumbs = tuple(b"x" if "face" in row else None for row in rows)
    return AnalyzedBatch({"a": EXPRESSIONS, "b": EXPRESSIONS}, 4, 4, rows, thumbs)


def test_filters(analyzed: AnalyzedBatch) -> None:
    def chosen(**filters: Any) -> list[int]:
        return chosen_rows(analyzed, Filters(**filters))

    assert chosen() == [0, 1, 2, 3, 4]
    assert chosen(text=" two ") == [2, 4]
    assert chosen(text="damaged") == [3]
    assert chosen(show=DIFFER) == [1, 4]
    assert chosen(show=NO_RESULT) == [2, 3]
    assert chosen(answer="anger") == [1, 4]
    assert chosen(text="one", show=DIFFER, answer="fear") == [1]
    assert chosen(text="one", show=NO_RESULT) == []
    assert chosen(answer="anger", model="a") == [4] and chosen(answer="anger", model="b") == [1]
    assert chosen(model="a", least=0.75) == [0, 1, 4] and chosen(model="a", least=0.76) == []
    assert chosen(least=0.76) == [0, 1, 2, 3, 4], "a confidence is one model's"


def test_the_largest_disagreement_comes_first(analyzed: AnalyzedBatch) -> None:
    assert most_different(analyzed, range(5)) == [4, 1, 0]
    assert most_different(analyzed, [0, 1, 2]) == [1, 0]


def test_faces_with_different_predictions_come_before_unanimous_ones() -> None:
    rows: tuple[Row, ...] = (
        face("unanimous.png", 1, "fear", "fear", 0.9),
        face("close.png", 1, "fear", "anger", 0.1),
        face("far.png", 1, "fear", "anger", 0.3),
    )
    analyzed = AnalyzedBatch({"a": EXPRESSIONS, "b": EXPRESSIONS}, 3, 3, rows, (b"x",) * 3)
    assert most_different(analyzed, range(3)) == [2, 1, 0]


def test_faces_that_are_hard_to_read_are_shown_on_request() -> None:
    rows: tuple[Row, ...] = (
        face("good.png", 1, "fear", "anger", 0.3),
        face("black.png", 1, "fear", "anger", 0.9, face_notes="The face has hardly any contrast."),
    )
    analyzed = AnalyzedBatch({"a": EXPRESSIONS, "b": EXPRESSIONS}, 2, 2, rows, (b"x",) * 2)
    assert most_different(analyzed, range(2)) == [0]
    assert chosen_rows(analyzed, Filters(show=POOR)) == [1] == most_different(analyzed, [1])
    assert chosen_rows(analyzed, Filters("contrast")) == [1]


def test_a_tie_is_shown_as_one(analyzer: Analyzer) -> None:
    row = face("one.png", 1, "fear", "anger", 0.2, a_fear=0.75, a_anger=0.743, b_anger=0.5, b_fear=0.3)
    batch = AnalyzedBatch({"a": EXPRESSIONS, "b": EXPRESSIONS}, 1, 1, (row | {"agreement": 1.0},), (b"x",))
    (shown,) = faces_view.table(batch, [0], Order(), cards(analyzer)).rows
    assert list(shown.cells[2:4]) == ["Fear or anger 75\u00a0%", "Anger 50\u00a0%"]
    assert [answer.label for answer in view.face_card(batch, 0, [], cards(analyzer)).answers] == [
        "fear or anger",
        "anger",
    ]
    assert chosen_rows(batch, Filters(show=DIFFER)) == [] and chosen_rows(batch, Filters(answer="anger")) == [0]
    assert_states(view.summary(batch), "agree on 1 of 1")


def test_counts_and_the_chart(analyzed: AnalyzedBatch) -> None:
    assert label_counts(analyzed.rows, ["a", "b"]) == {
        "a": {"fear": 2, "anger": 1},
        "b": {"fear": 1, "anger": 1, "neutral": 1},
    }
    figure = distribution_figure(analyzed.rows, ["a", "b"], {"a": "A", "b": "B"}, model_styles(["a", "b"]))
    assert [bar.name for bar in figure.data] == ["A", "B"]
    heights = dict(zip(figure.data[0].x, figure.data[0].y, strict=True))
    assert (heights["Fear"], heights["Anger"], heights["Neutral"]) == (2, 1, 0)
    assert figure.layout.yaxis.title.text == "Faces" and figure.layout.yaxis.range is None


def test_the_table(analyzed: AnalyzedBatch, analyzer: Analyzer) -> None:
    table = faces_view.table(analyzed, [1, 2], Order(), cards(analyzer))
    titles = ["VGG16", "VGG16"]
    assert [heading.title for heading in table.headings] == [
        "File",
        "Face",
        *titles,
        "Agreement",
        "Disagreement",
        "Note",
    ]
    assert [row.cells for row in table.rows] == [
        ("one.png", "2", "Fear 75\u00a0%", "Anger 50\u00a0%", "0.50", "0.40", ""),
        ("two.png", "", "", "", "", "", NO_FACE),
    ]
    assert table.rows[0].thumbnail == "data:image/jpeg;base64,eA==" and table.rows[1].thumbnail == ""
    html = render("batch/faces/table.html", table=faces_view.table(analyzed, [3], Order(), cards(analyzer)))
    assert "<script" not in html and "&lt;script&gt;" in html


def test_numbers_are_sorted_as_numbers() -> None:
    shares = [0.997, 0.143, 0.98, 0.5]
    names = ["p10.png", "p9.png", "p100.png", "P1.png"]
    rows: tuple[Row, ...] = tuple(
        face(name, number, "fear", "fear", number / 2, a_confidence=share)
        for name, number, share in zip(names, (10, 9, 100, 1), shares, strict=True)
    )
    rows += ({"file": "q.png", "reason": NO_FACE},)
    batch = AnalyzedBatch({"a": EXPRESSIONS}, 5, 5, rows, (*(b"x",) * 4, None))
    for column in ("file", "face", "disagreement"):
        assert ordered_rows(batch, range(5), Order(column)) == [3, 1, 0, 2, 4], column
    down = Order("face").by("face")
    assert down.descending and not down.by("face").descending and not down.by("file").descending
    assert ordered_rows(batch, range(5), down) == [2, 0, 1, 3, 4], "a row without a value comes last both ways"
    assert ordered_rows(batch, range(5), Order(model_column("a"))) == [*np.argsort(shares), 4]
    assert ordered_rows(batch, [4, 2, 0], Order("no such column")) == [4, 2, 0]


def test_answers_read_as_everywhere_and_those_of_one_expression_stand_together(analyzer: Analyzer) -> None:
    rows = (
        face("a", 1, "sadness", "fear", 0.0, a_confidence=0.2),
        face("a", 2, "fear", "fear", 0.0, a_confidence=0.997),
        face("a", 3, "sadness", "fear", 0.0, a_confidence=0.1),
    )
    batch = AnalyzedBatch({"a": EXPRESSIONS}, 1, 1, rows, (b"x",) * 3)
    order = Order(model_column("a"))
    assert ordered_rows(batch, range(3), order) == [1, 2, 0]
    answers = [row.cells[2] for row in faces_view.table(batch, range(3), order, cards(analyzer)).rows]
    assert answers == [f"Fear {percent(0.997)}", f"Sadness {percent(0.1)}", f"Sadness {percent(0.2)}"]


@pytest.mark.parametrize(
    ("page", "first", "last"), [(0, 1, 50), (1, 51, 100), (2, 101, 120), (9, 101, 120), (-1, 1, 50)]
)
def test_only_one_page_of_thumbnails_is_sent(analyzer: Analyzer, page: int, first: int, last: int) -> None:
    rows = tuple(face("a.png", number, "fear", "fear", 0.0) for number in range(1, 121))
    batch = AnalyzedBatch({"a": EXPRESSIONS, "b": EXPRESSIONS}, 1, 1, rows, (b"x",) * 120)
    table = faces_view.table(batch, range(120), Order("face", page=page), cards(analyzer))
    assert (table.first, table.last, table.total, table.pages) == (first, last, 120, 3)
    assert [int(row.cells[1]) for row in table.rows] == list(range(first, last + 1))
    assert render("batch/faces/table.html", table=table).count("<img") == last - first + 1 <= faces_view.PAGE_ROWS


@pytest.mark.parametrize("data", [None, 3, [], {"sort": 3}, {"sort": "x"}, {"page": "1"}, {"page": None}])
def test_a_hostile_order_changes_no_row(analyzed: AnalyzedBatch, analyzer: Analyzer, data: Any) -> None:
    with gr.Blocks(analytics_enabled=False):
        tab = batch_tab.build(analyzer, Path("nowhere"))
    models = dict.fromkeys(list(analyzer.classifiers)[:2], EXPRESSIONS)
    rows = tuple({"file": row["file"], "reason": NO_FACE} for row in analyzed.rows)
    batch = AnalyzedBatch(models, 4, 4, rows, (None,) * 5)
    filters = (getattr(Filters(), name) for name in tab.faces.controls)
    changed = tab.faces.sort_or_turn(batch, gr.EventData(None, data), Order(), *filters)
    html, order = changed[tab.faces.table], changed[tab.faces.order]
    places = [html.index(f">{name}<") for name in ("one.png", "two.png", "TWO.png")]
    assert places == sorted(places) and order.page == 0


def cards(analyzer: Analyzer) -> ModelDisplay:
    one = analyzer.classifiers["vgg16"].card
    return model_display({"a": one, "b": one})


def test_markup_is_escaped_and_counts_are_right(analyzed: AnalyzedBatch, analyzer: Analyzer) -> None:
    display = cards(analyzer)
    text = view.summary(analyzed)
    assert_states(text, "3 faces", "4 pictures", "no face in 1", "1 could not be read")
    assert_states(text, "agree on 1 of 3", "33 %")
    none = AnalyzedBatch(analyzed.models, 1, 1, (face("x", 1, "fear", "anger", 1.0),), (b"x",))
    assert_states(view.summary(none), "agree on 0 of 1", "0 %")
    rows = (face(EVIL, 1, "fear", "anger", 1.0, label="sadness"), face(EVIL, 2, "fear", "fear", 0.1, label="sadness"))
    evil = AnalyzedBatch(analyzed.models, 1, 1, rows, (b"x", b"x"), labels=Labels({EVIL: "sadness"}))
    for markup in (
        faces_view.gallery(evil, [0, 1], display),
        labels_view.likely_wrong(evil, Review()),
        labels_view.metrics(evil, 0.0, display),
        view.progress(evil),
    ):
        assert "<script" not in markup
    assert "&lt;script&gt;" in faces_view.gallery(evil, [0], display)


def test_stopped_and_cut_batches_say_so(analyzed: AnalyzedBatch) -> None:
    stopped = AnalyzedBatch(analyzed.models, 9, 4, analyzed.rows, analyzed.thumbs)
    assert "Stopped after 4 of 9 pictures." in view.summary(stopped)
    cut = AnalyzedBatch(analyzed.models, 9, 4, analyzed.rows, analyzed.thumbs, cut=True)
    assert "Analysis ended at 2,000 faces" in view.summary(cut)


def made(count: int, image: NDArray[np.uint8]) -> Pictures:
    return Pictures(tuple(PictureFile(f"{index}.png", "", lambda: Picture(image)) for index in range(count)))


def test_a_session_keeps_small_thumbnails_and_no_more_faces_than_the_limit(
    analyzer: Analyzer, picture: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_reading, "MAX_FACES", 5)
    last = list(read_batch(analyzer, made(6, picture), Labels(), models=["vgg16"]))[-1]
    assert last.cut and last.faces == 5 and last.done == 3 and last.total == 6
    assert len(last.thumbs) == len(last.rows) == 5
    for thumb in last.thumbs:
        assert thumb is not None and len(thumb) < 20_000
        small = cv2.imdecode(np.frombuffer(thumb, np.uint8), cv2.IMREAD_COLOR)
        assert small is not None and small.shape == (112, 112, 3)


def test_a_row_names_the_face_that_is_opened(analyzer: Analyzer, picture: NDArray[np.uint8], tmp_path: Path) -> None:
    for name, image in (("two.png", picture), ("none.png", picture[:, :90])):
        cv2.imwrite(str(tmp_path / name), image[..., ::-1])
    kept = BatchPictures([(name, tmp_path / name) for name in ("two.png", "none.png")])
    with kept.opened() as pictures:
        last = list(read_batch(analyzer, pictures, Labels(), models=["vgg16"], kept=kept))[-1]
    found, name, number = last.face(1)
    assert (name, number) == ("two.png", 1) and np.array_equal(found.pixels, picture)
    assert last.face(0)[1:] == ("two.png", 0)
    for hostile in (2, 3, -1, "0", None, 0.5):  # 2 is the row of the picture without a face
        with pytest.raises(FerError):
            last.face(hostile)
    with pytest.raises(FerError):
        replace(last, pictures=None).face(0)
    (tmp_path / "two.png").unlink()
    with pytest.raises(FerError, match="not there any more"):
        last.face(0)


def test_the_document_has_every_column_and_the_figures(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    labels = Labels({"0.png": "fear", "1.png": "happiness"}, listed=3, unmatched=("gone.png",))
    last = list(read_batch(analyzer, made(2, picture[:, :100]), labels, models=["vgg16"]))[-1]
    content = json.loads(document(last))
    assert content["files"] == {"given": 2, "read": 2}
    assert [row["label"] for row in content["rows"]] == ["fear", "happiness"]
    assert {f"vgg16_{name}" for name in EXPRESSIONS} <= set(content["rows"][0])
    assert content["models"]["vgg16"]["count"] == 2
    assert "likely_wrong" in content
    assert content["labels"]["unmatched"] == ["gone.png"] and "left_out" not in content


def test_what_was_left_out_is_named(analyzed: AnalyzedBatch) -> None:
    classes = ClassNames()
    classes.expression("Suprise")
    classes.expression("<contempt>", 2)
    left_out = ("a.txt", "b.doc", EVIL, "d.pdf")
    labels = Labels({"one.png": "fear"}, classes, 9, ("x.png", "y.png"))
    named = replace(analyzed, left_out=left_out, labels=labels)
    text = view.summary(named)
    assert "<script" not in text and "<contempt" not in text
    for part in ("4 other files", "a.txt, b.doc, ", " and 1 more", "2 of 9 labels", "x.png, y.png", "Suprise", "(2)"):
        assert part in text
    content = json.loads(document(named))
    assert content["left_out"] == list(left_out)
    assert content["labels"]["unknown"] == {"<contempt>": 2} and content["labels"]["guessed"] == {"Suprise": "surprise"}
