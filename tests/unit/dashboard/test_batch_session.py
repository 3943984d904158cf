"""What the Batch tab keeps, filters and draws, without a browser."""

import json
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import dashboard.batch.session as batch_reading
from dashboard.batch import view
from dashboard.batch.figures import distribution_figure, label_counts
from dashboard.batch.session import (
    ALL,
    DIFFER,
    NO_RESULT,
    POOR,
    AnalyzedBatch,
    chosen_rows,
    document,
    most_different,
    read_batch,
    shown_table,
)
from dashboard.batch.tab import _width
from dashboard.components.display import ModelDisplay, model_display
from fer_models.analyzer import Analyzer
from fer_models.batch.labels import Labels
from fer_models.batch.run import NO_FACE
from fer_models.batch.table import Row
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
    assert chosen_rows(analyzed) == [0, 1, 2, 3, 4]
    assert chosen_rows(analyzed, " two ") == [2, 4]
    assert chosen_rows(analyzed, "damaged") == [3]
    assert chosen_rows(analyzed, show=DIFFER) == [1, 4]
    assert chosen_rows(analyzed, show=NO_RESULT) == [2, 3]
    assert chosen_rows(analyzed, expression="anger") == [1, 4]
    assert chosen_rows(analyzed, "one", DIFFER, "fear") == [1]
    assert chosen_rows(analyzed, "one", NO_RESULT, ALL) == []


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
    assert chosen_rows(analyzed, show=POOR) == [1] == most_different(analyzed, [1])
    assert chosen_rows(analyzed, "contrast") == [1]


def test_a_tie_is_shown_as_one(analyzer: Analyzer) -> None:
    row = face("one.png", 1, "fear", "anger", 0.2, a_fear=0.75, a_anger=0.743, b_anger=0.5, b_fear=0.3)
    batch = AnalyzedBatch({"a": EXPRESSIONS, "b": EXPRESSIONS}, 1, 1, (row | {"agreement": 1.0},), (b"x",))
    _, cells = shown_table(batch, [0], {"a": "A", "b": "B"})
    assert cells[0][2:4] == ["Fear or anger 75\u00a0%", "Anger 50\u00a0%"]
    assert [answer.label for answer in view.face_card(batch, 0, cards(analyzer)).answers] == ["fear or anger", "anger"]
    assert chosen_rows(batch, show=DIFFER) == [] and chosen_rows(batch, expression="anger") == [0]
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


def test_the_table(analyzed: AnalyzedBatch) -> None:
    headings, cells = shown_table(analyzed, [1, 2], {"a": "A", "b": "B"})
    assert headings == ["File", "Face", "A", "B", "Agreement", "Disagreement", "Note"]
    assert cells == [
        ["one.png", 2, "Fear 75\u00a0%", "Anger 50\u00a0%", 0.5, 0.4, ""],
        ["two.png", None, "", "", None, None, NO_FACE],
    ]


def test_answers_in_the_table_read_as_everywhere_and_sort_by_confidence() -> None:
    shares = [0.997, 0.143, 0.98, 0.5]
    rows = tuple(face("a.png", number, "fear", "fear", 0.0, a_confidence=share) for number, share in enumerate(shares))
    batch = AnalyzedBatch({"a": EXPRESSIONS}, 1, 1, rows, (b"x",) * 4)
    _, cells = shown_table(batch, range(4), {"a": "A"})
    answers = [row[2] for row in cells]
    assert answers == [f"Fear {percent(share)}" for share in shares] and answers[0].startswith("Fear over")
    assert sorted(answers) == [answers[index] for index in np.argsort(shares)]


def test_the_table_of_four_models_fits_the_page() -> None:
    headings = ["File", "Face", "VGG16", "ResNet50", "EAC", "Other", "Agreement", "Disagreement", "Note"]
    assert sum(int(_width(heading).removesuffix("px")) for heading in headings) <= 1182  # px, the page's at 1440


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
        view.gallery(evil, [0, 1], display),
        view.likely_wrong(evil),
        view.metrics(evil, evil.figures, display),
        view.progress(evil),
    ):
        assert "<script" not in markup
    assert "&lt;script&gt;" in view.gallery(evil, [0], display)


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
        assert small is not None and small.shape == (96, 96, 3)


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
