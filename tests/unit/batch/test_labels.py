"""Labels, metrics by hand, and likely wrong labels."""

from pathlib import Path

import pytest

from fer_models.batch.labels import LikelyWrong, labels_from_folders, likely_wrong, measure, read_labels, with_labels
from fer_models.batch.table import Row
from fer_models.errors import DatasetError


def row(file: str, label: str | None, answers: dict[str, tuple[str, float]], face: int | None = 1) -> Row:
    made: Row = {"file": file, "label": label, "face": face}
    for model, (answer, confidence) in answers.items():
        made |= {f"{model}_label": answer, f"{model}_confidence": confidence}
    return made


def test_class_folders_give_labels_by_name_or_synonym() -> None:
    names = ["set/happy/1.png", "Angry/2.png", "scared/3.png", "other/4.png", "5.png", "happy/deeper/6.png"]
    assert labels_from_folders(names) == {
        "set/happy/1.png": "happiness",
        "Angry/2.png": "anger",
        "scared/3.png": "fear",
    }


def test_one_expression_alone_is_no_labelled_set() -> None:
    assert labels_from_folders(["happy/1.png", "happy/2.png", "trip/3.png"]) == {}


def test_labels_from_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(
        "\ufefflabel,who,file\nHappy,x,a/1.png\nsad,x,.\\a\\2.png\nfear,x,gone.png\n,x,3.png\nanger,x,'=4.png\n"
        "surprise,x,Zoe\u0308.png\n",
        encoding="utf-8",
    )
    names = ["a/1.png", "a/2.png", "3.png", "=4.png", "Zo\u00eb.png"]
    assert read_labels(path, names) == {
        "a/1.png": "happiness",
        "a/2.png": "sadness",
        "=4.png": "anger",
        "Zo\u00eb.png": "surprise",
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name,label\na.png,happy\n", "need the columns file and label; found: name, label"),
        (b"", "found: none"),
        (b"file,label\na.png,hungry\n", "Line 2 of the labels: Unknown expression 'hungry'"),
        (b"file,label\na.png,happy\na.png,sad\n", "Line 3 of the labels: a.png is sadness here and happiness before"),
        (b"file,label\nz.png,happy\n", "name none of these files.*such as a.png"),
        (b"\xff\xfe\x00", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_labels_that_cannot_be_used_are_told(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "labels.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        read_labels(path, ["a.png"])


def test_metrics_by_hand() -> None:
    rows: list[Row] = [
        row("1", "happiness", {"m": ("happiness", 0.9)}),
        row("2", "happiness", {"m": ("happiness", 0.9)}),
        row("3", "happiness", {"m": ("fear", 0.9)}),
        row("4", "fear", {"m": ("fear", 0.9)}),
        row("4", "fear", {"m": ("happiness", 0.9)}, face=2),  # not the largest face of its file
        row("5", None, {"m": ("fear", 0.9)}),
        {"file": "6", "label": "fear", "face": None, "reason": "no face"},
    ]
    figures = measure(rows, ["m"])["m"]
    assert figures.count == 4
    assert figures.accuracy == 0.75
    # happiness: precision 1, recall 2/3, F1 0.8; fear: precision 1/2, recall 1, F1 2/3.
    assert figures.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    assert figures.recall["happiness"] == pytest.approx(2 / 3)
    assert figures.recall["fear"] == 1 and figures.recall["anger"] is None
    happiness, fear = figures.labels.index("happiness"), figures.labels.index("fear")
    assert figures.confusion[happiness][happiness] == 2
    assert figures.confusion[happiness][fear] == 1
    assert figures.confusion[fear][fear] == 1
    assert sum(map(sum, figures.confusion)) == 4


def test_an_answer_outside_the_vocabulary_has_a_column() -> None:
    figures = measure([row("1", "fear", {"m": ("contempt", 0.9)})], ["m"])["m"]
    assert figures.labels[-1] == "contempt" and figures.confusion[figures.labels.index("fear")][-1] == 1


def test_without_labelled_faces_there_is_nothing_to_measure() -> None:
    assert measure([row("1", None, {"m": ("fear", 0.9)})], ["m"]) == {}


def test_likely_wrong_labels_are_those_all_models_contradict_surely() -> None:
    def both(first: tuple[str, float], second: tuple[str, float]) -> dict[str, tuple[str, float]]:
        return {"a": first, "b": second}

    rows = [
        row("split", "fear", both(("anger", 0.9), ("sadness", 0.9))),
        row("right", "fear", both(("fear", 0.9), ("fear", 0.9))),
        row("one right", "fear", both(("anger", 1.0), ("fear", 0.9))),
        row("unsure", "fear", both(("anger", 0.5), ("anger", 0.6))),
        row("sure", "fear", both(("anger", 0.7), ("anger", 0.8))),
        row("surer", "anger", both(("neutral", 0.9), ("neutral", 0.9))),
        row("unlabelled", None, both(("neutral", 0.9), ("neutral", 0.9))),
    ]
    assert likely_wrong(rows, ["a", "b"]) == [
        LikelyWrong("surer", "anger", "neutral", 0.9),
        LikelyWrong("sure", "fear", "anger", 0.75),
    ]


def test_a_label_that_a_model_holds_for_tied_is_not_likely_wrong() -> None:
    answers = {"a": ("anger", 0.9), "b": ("anger", 0.48)}
    contradicted = row("x", "fear", answers) | {"b_fear": 0.4}
    assert [item.file for item in likely_wrong([contradicted], ["a", "b"])] == ["x"]
    assert likely_wrong([contradicted | {"b_fear": 0.475}], ["a", "b"]) == []
    shared = row("y", "fear", {"a": ("anger", 0.9), "b": ("neutral", 0.48)}) | {"b_anger": 0.475}
    assert [item.answer for item in likely_wrong([shared], ["a", "b"])] == ["anger"]


def test_with_labels_joins_by_file() -> None:
    rows: list[Row] = [{"file": "a", "face": 1}, {"file": "a", "face": 2}, {"file": "b", "face": 1}]
    assert [item["label"] for item in with_labels(rows, {"a": "fear"})] == ["fear", "fear", None]
