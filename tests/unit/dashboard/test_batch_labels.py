"""A labelled batch: filters that confusion cells set, decisions about labels, and a user against the models."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

import dashboard.batch.tab as batch_tab
from dashboard.batch.faces import view as faces_view
from dashboard.batch.faces.rows import Filters, chosen_rows
from dashboard.batch.labels import view as labels_view
from dashboard.batch.labels.review import Review, write_decisions
from dashboard.batch.quiz import view as quiz_view
from dashboard.batch.quiz.answers import (
    QUESTIONS,
    Agreement,
    Quiz,
    agreement,
    differing,
    draw_quiz,
    with_labels,
    with_user,
    write_quiz,
)
from dashboard.batch.session import AnalyzedBatch
from dashboard.components.display import ModelDisplay, model_display
from fer_models.analyzer import Analyzer
from fer_models.batch.labels import Labels
from fer_models.batch.run import NO_FACE
from fer_models.batch.table import Row
from fer_models.errors import FerError
from fer_models.expressions import EXPRESSIONS
from tests.helpers.texts import assert_states

EVIL = "=1+<img src=x>.png"


def face(file: str, label: str | None, vgg: tuple[str, float], resnet: tuple[str, float], number: int = 1) -> Row:
    answers: Row = {"vgg16_label": vgg[0], "vgg16_confidence": vgg[1]}
    answers |= {"resnet50_label": resnet[0], "resnet50_confidence": resnet[1]}
    agreed = 1.0 if vgg[0] == resnet[0] else 0.5
    return {"file": file, "face": number, "label": label, "agreement": agreed, "disagreement": 0.1, **answers}


@pytest.fixture
def batch() -> AnalyzedBatch:
    rows: tuple[Row, ...] = (
        face("a.png", "fear", ("fear", 0.9), ("anger", 0.5)),
        face("b.png", "fear", ("anger", 0.8), ("anger", 0.9)),  # likely wrong
        face(EVIL, "neutral", ("sadness", 0.9), ("sadness", 0.7)),  # likely wrong
        face("c.png", "neutral", ("neutral", 0.4), ("neutral", 0.6)),
        face("c.png", "neutral", ("anger", 0.9), ("anger", 0.9), number=2),  # not measured
        {"file": "d.png", "label": "fear", "face": None, "reason": NO_FACE},
        face("e.png", None, ("fear", 0.7), ("fear", 0.7)),
    )
    labels = Labels({str(row["file"]): str(row["label"]) for row in rows if row["label"]})
    thumbs = tuple(b"x" if row["face"] else None for row in rows)
    return AnalyzedBatch(dict.fromkeys(("vgg16", "resnet50"), EXPRESSIONS), 6, 6, rows, thumbs, labels=labels)


@pytest.fixture(scope="module")
def display(analyzer: Analyzer) -> ModelDisplay:
    return model_display({name: model.card for name, model in analyzer.classifiers.items()})


@pytest.fixture
def tab(analyzer: Analyzer, tmp_path: Path) -> batch_tab.BatchTab:
    with gr.Blocks(analytics_enabled=False):
        return batch_tab.build(analyzer, tmp_path)


def event(**data: Any) -> gr.EventData:
    return gr.EventData(None, data)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_cell_shows_as_many_faces_as_it_counts(batch: AnalyzedBatch, tab: batch_tab.BatchTab) -> None:
    for least in (0.0, 0.5, 0.85):
        html = labels_view.metrics(batch, least, tab.display)
        for model in batch.models:
            for label in ("fear", "neutral"):
                for answer in ("fear", "anger", "sadness", "neutral"):
                    shown = len(chosen_rows(batch, Filters(answer=answer, model=model, label=label, least=least)))
                    cell = f'data-model="{model}" data-label="{label}" data-answer="{answer}">'
                    count = int(html.split(cell)[1].split("<")[0]) if cell in html else 0
                    assert shown == count, (least, model, label, answer)


def test_a_click_filters_and_chips_take_it_back(batch: AnalyzedBatch, tab: batch_tab.BatchTab) -> None:
    faces = tab.faces
    clicked = faces.only(batch, event(model="vgg16", label="fear", answer="anger"), 0.5)
    assert "b.png" in clicked[faces.table] and "a.png" not in clicked[faces.table]
    assert_states(clicked[faces.chips], "VGG16 answers anger", "Labelled fear", "VGG16 at least 50 %", "Clear all")
    values = {control: value for control, value in clicked.items() if control in faces.controls.values()}
    now = [values[control] for control in faces.controls.values()]
    assert now == ["", "all", "anger", "vgg16", "fear", 0.5]
    without = faces.clear(batch, event(clear="label"), clicked[faces.order], *now)
    assert without[faces.label] == "all" and without[faces.answer] == "anger" and without[faces.least] == 0.5
    cleared = faces.clear(batch, event(clear="all"), clicked[faces.order], *now)
    assert [cleared[control] for control in faces.controls.values()] == ["", "all", "all", "all", "all", 0.0]
    assert cleared[faces.chips] == "" and "a.png" in cleared[faces.table]
    for hostile in ({"model": "nobody", "answer": "<b>", "label": 3}, {"answer": None}, {}):
        assert faces.only(batch, event(**hostile))[faces.chips] == ""


def test_a_bar_counts_the_faces_it_shows(batch: AnalyzedBatch, tab: batch_tab.BatchTab) -> None:
    clicked = tab.faces.only(batch, event(model="vgg16", answer="anger"))
    assert_states(clicked[tab.faces.table], "2 rows")
    assert_states(faces_view.chips(Filters(answer="anger"), tab.display), "Some model answers anger")


def test_the_threshold_moves_coverage_accuracy_and_interval_together(
    batch: AnalyzedBatch, display: ModelDisplay
) -> None:
    def row(least: float) -> str:
        return labels_view.metrics(batch, least, display).split('<tr data-model="vgg16">')[1].split("</tr>")[0]

    # Wilson's interval by hand: 2 of 4 with z = 1.96 is 15.0 to 85.0 %; 1 of 2 is 9.5 to 90.5 %.
    assert_states(row(0), "4 of 4 (100 %)", "50.0 %", "15 to 85 %")
    assert_states(row(0.85), "2 of 4 (50 %)", "50.0 %", "9 to 91 %")
    assert_states(row(0.95), "0 of 4 (0 %)", "–", "–")
    assert "No answer of this confidence" in labels_view.metrics(batch, 0.95, display)


def test_decisions_are_kept_corrected_taken_back_and_exported(
    batch: AnalyzedBatch, tab: batch_tab.BatchTab, tmp_path: Path
) -> None:
    against, review = tab.against, Review()
    for row, label in ((1, "fear"), (2, "sadness"), (1, "disgust"), (0, "fear"), (9, "fear"), (2, "joy"), (-1, "fear")):
        review = against.decide(batch, review, event(row=row, label=label))[against.review]
    assert review.decided == {"b.png": "disgust", EVIL: "sadness"}, "other faces and words change nothing"
    assert review.counts(batch) == (0, 2)
    html = labels_view.likely_wrong(batch, review)
    assert "<img src=x" not in html
    assert_states(html, "2 labels", "2 of 2 decided: 0 kept, 2 corrected")

    path = against.write(tmp_path, batch, review)
    assert read(path) == [
        {
            **{"file": "b.png", "face": "1", "given": "fear", "suggested": "anger", "decided": "disgust"},
            **{"vgg16_label": "anger", "vgg16_confidence": "0.8"},
            **{"resnet50_label": "anger", "resnet50_confidence": "0.9"},
        },
        {
            **{"file": f"'{EVIL}", "face": "1", "given": "neutral", "suggested": "sadness", "decided": "sadness"},
            **{"vgg16_label": "sadness", "vgg16_confidence": "0.9"},
            **{"resnet50_label": "sadness", "resnet50_confidence": "0.7"},
        },
    ]
    kept = review.decide("b.png", "fear")
    assert kept.counts(batch) == (1, 1)
    assert kept.decide("b.png", "fear").decided == {EVIL: "sadness"}, "the same again takes it back"
    back = against.decide(batch, kept, event(row=1, label=None))[against.review]
    assert back.decided == {EVIL: "sadness"}
    with pytest.raises(FerError):
        write_decisions(batch, Review(), tmp_path / "none.csv")


def test_a_quiz_asks_each_measured_face_once_without_its_name(batch: AnalyzedBatch) -> None:
    quiz = draw_quiz(batch, seed=1)
    assert sorted(quiz.rows) == [0, 1, 2, 3], "labelled faces, the largest of each file"
    assert sorted(draw_quiz(replace(batch, rows=tuple({**row, "label": None} for row in batch.rows))).rows) == [
        *(0, 1, 2, 3, 4),
        6,
    ]
    many = replace(batch, rows=batch.rows[:1] * 100, thumbs=batch.thumbs[:1] * 100)
    drawn = draw_quiz(many).rows
    assert len(set(drawn)) == len(drawn) == QUESTIONS
    html = quiz_view.question(batch, quiz)
    for told in ("a.png", "b.png", "c.png", "img src=x", "labelled", "90"):
        assert told not in html.lower().replace("faces labelled", "")
    with pytest.raises(FerError):
        draw_quiz(replace(batch, rows=batch.rows[5:6]))


def test_answers_go_forth_and_back_and_twice_counts_once(batch: AnalyzedBatch, tab: batch_tab.BatchTab) -> None:
    quiz, section = Quiz((0, 1, 2, 3)), tab.quiz

    def send(quiz: Quiz, **data: Any) -> Quiz:
        sent: Quiz = section.answer(batch, quiz, event(**data))[section.quiz]
        return sent

    quiz = send(quiz, row=0, answer="fear")
    assert send(quiz, row=0, answer="anger") == quiz, "the last click, once more"
    assert send(quiz, row=1, answer="contempt") == quiz
    quiz = send(send(quiz, row=1, move="skip"), row=2, answer="neutral")
    assert quiz.answered == {0: "fear", 2: "neutral"}
    quiz = send(send(quiz, row=3, move="back"), row=2, answer="sadness")
    assert quiz.answered == {0: "fear", 2: "sadness"} and quiz.current == 3
    ended = section.answer(batch, quiz, event(row=3, move="end"))
    assert ended[section.quiz].rows == (0, 1, 2) and ended[section.quiz].current is None
    assert_states(ended[section.shown], "on 2 of 2 faces", "label on 1 of 2", "1 face skipped")
    cancelled = section.answer(batch, Quiz((0, 1)), event(row=0, move="end"))
    assert cancelled[section.quiz] is None and cancelled[section.results]["visible"]


def agreed(pair: Agreement | None) -> tuple[int, int, float | None]:
    """Faces, those with the same label, and kappa, rounded."""
    assert pair is not None
    return pair.count, pair.same, pair.kappa if pair.kappa is None else round(pair.kappa, 9)


def test_kappa_by_hand() -> None:
    # Same on 3 of 4. The first says fear, fear, anger, anger; the second fear, fear, fear, anger: by chance they agree
    # in 1/2 * 3/4 + 1/2 * 1/4 = 1/2 of the cases, so kappa = (3/4 - 1/2) / (1 - 1/2) = 1/2.
    first, second = ["fear", "fear", "anger", "anger"], ["fear", "fear", "fear", "anger"]
    assert agreed(agreement(first, second)) == (4, 3, 0.5)
    assert agreed(agreement(["fear", "anger"], ["anger", "fear"])) == (2, 0, -1.0)
    assert agreed(agreement(["fear"] * 3, ["fear"] * 3)) == (3, 3, None), "no other label: not defined"
    assert agreement([], []) is None


def test_the_user_is_compared_with_every_model_and_the_labels(
    batch: AnalyzedBatch, display: ModelDisplay, tmp_path: Path
) -> None:
    quiz = Quiz((0, 1, 2, 3), ("fear", "anger", "neutral", "neutral"))
    # VGG16: fear, anger, sadness, neutral; by chance 1/4 * 1/4 (fear) + 1/4 * 1/4 (anger) + 2/4 * 1/4 (neutral) = 1/4,
    # so kappa = (3/4 - 1/4) / (3/4) = 2/3.
    assert agreed(with_user(batch, quiz, "vgg16")) == (4, 3, 0.666666667)
    assert agreed(with_user(batch, quiz, "resnet50"))[:2] == (4, 2)
    # The labels: fear, fear, neutral, neutral; by chance 2/4 * 1/4 (fear) + 2/4 * 2/4 (neutral) = 3/8.
    assert agreed(with_labels(batch, quiz, None)) == (4, 3, 0.6)
    assert agreed(with_labels(batch, quiz, "vgg16"))[:2] == (4, 2)
    assert differing(batch, quiz) == [2, 0, 1], "two models, one model, the label"
    html = quiz_view.results(batch, quiz, display)
    assert_states(html, "agree most with VGG16: on 3 of 4 faces", "given label on 3 of 4", "3 of 4 (75 %)", "0.67")
    assert "<img src=x" not in html
    write_quiz(batch, quiz, tmp_path / "quiz.csv")
    rows = read(tmp_path / "quiz.csv")
    assert [(row["file"], row["you"], row["given"], row["vgg16_label"]) for row in rows][:2] == [
        ("a.png", "fear", "fear", "fear"),
        ("b.png", "anger", "fear", "anger"),
    ]
    with pytest.raises(FerError):
        write_quiz(batch, Quiz((0,), (None,)), tmp_path / "none.csv")


def test_a_batch_that_was_forgotten_says_so(tab: batch_tab.BatchTab, tmp_path: Path) -> None:
    assert "forgotten" in tab.against.decide(None, Review(), event(row=0))[tab.against.wrong]
    assert "forgotten" in tab.quiz.begin(None)[tab.quiz.shown]
    assert "forgotten" in tab.quiz.answer(None, Quiz((0,)), event(row=0, answer="fear"))[tab.quiz.shown]
    with pytest.raises(FerError, match="forgotten"):
        tab.against.write(tmp_path, None, Review())
    with pytest.raises(FerError, match="forgotten"):
        tab.quiz.write(tmp_path, None, None)
    with pytest.raises(FerError, match="forgotten"):
        tab.opened_face(None, event(row=0))
