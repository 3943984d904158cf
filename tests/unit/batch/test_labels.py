"""Labels, metrics by hand, and likely wrong labels."""

from pathlib import Path

import pytest

from fer_models.batch.labels import (
    Labels,
    LikelyWrong,
    labels_from_folders,
    likely_wrong,
    measure,
    measure_confident,
    read_labels,
    with_labels,
)
from fer_models.batch.table import Row, table_columns, to_frame, write_table
from fer_models.errors import DatasetError
from tests.helpers.texts import assert_states


def row(file: str, label: str | None, answers: dict[str, tuple[str, float]], face: int | None = 1) -> Row:
    made: Row = {"file": file, "label": label, "face": face}
    for model, (answer, confidence) in answers.items():
        made |= {f"{model}_label": answer, f"{model}_confidence": confidence}
    return made


def test_class_folders_give_labels_by_name_or_synonym() -> None:
    names = ["set/happy/1.png", "Angry/2.png", "scared/3.png", "other/4.png", "5.png", "happy/deeper/6.png"]
    found = labels_from_folders(names)
    assert found.by_file == {"set/happy/1.png": "happiness", "Angry/2.png": "anger", "scared/3.png": "fear"}
    assert found.classes.unknown == {"other": 1, ".": 1, "deeper": 1}


def test_class_folders_with_numbers_misspellings_and_other_classes() -> None:
    names = ["0_angry/1.png", "Suprise/2.png", "Contempt/3.png", "Contempt/4.png", "2 sad/5.png"]
    found = labels_from_folders(names)
    assert found.by_file == {"0_angry/1.png": "anger", "Suprise/2.png": "surprise", "2 sad/5.png": "sadness"}
    assert found.classes.guessed == {"Suprise": "surprise"} and found.classes.unknown == {"Contempt": 2}
    assert found.document()["unknown"] == {"Contempt": 2}


def test_one_expression_alone_is_no_labelled_set() -> None:
    assert labels_from_folders(["happy/1.png", "happy/2.png", "trip/3.png"]) == Labels()


def test_numbers_are_labels_only_where_the_user_says_what_they_stand_for(tmp_path: Path) -> None:
    files, given = ["set/1/a.png", "set/2/b.png", "set/8/c.png"], {"1": "surprise", "2": "fear"}
    expected = {"set/1/a.png": "surprise", "set/2/b.png": "fear"}
    assert labels_from_folders(files) == Labels()
    assert labels_from_folders(files, given).by_file == expected
    assert labels_from_folders(files, {"1": "surprise"}).by_file == {"set/1/a.png": "surprise"}
    with pytest.raises(DatasetError, match="called '9'"):
        labels_from_folders(files, {"9": "surprise"})
    path = tmp_path / "labels.csv"
    path.write_text("file,label\na.png,1\nb.png,2\n")
    assert read_labels(path, files, given).by_file == expected
    with pytest.raises(DatasetError, match="--class-names 1=EXPRESSION,2=EXPRESSION"):
        read_labels(path, files)


def test_labels_from_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(
        "\ufefflabel,who,file\nHappy,x,a/1.png\nsad,x,.\\a\\2.png\nfear,x,gone.png\n,x,3.png\nanger,x,'=4.png\n"
        "surprise,x,Zoe\u0308.png\n",
        encoding="utf-8",
    )
    names = ["a/1.png", "a/2.png", "3.png", "=4.png", "Zo\u00eb.png"]
    assert read_labels(path, names).by_file == {
        "a/1.png": "happiness",
        "a/2.png": "sadness",
        "=4.png": "anger",
        "Zo\u00eb.png": "surprise",
    }


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffFile;LABEL\r\nM\u00fcller.png;happy\r\nb,c.png;sad\r\n".encode(),
        "file\tlabel\r\nM\u00fcller.png\thappy\r\nb,c.png\tsad\r\n".encode("utf-16"),
        b"\xfe\xff" + "File\tLabel\nM\u00fcller.png\thappy\nb,c.png\tsad\n".encode("utf-16-be"),
        'sep=,\r\n File , LABEL \r\nM\u00fcller.png,happy\r\n"b,c.png",sad\r\n,,,\r\n'.encode(),
        "\ufeffsep=;\nid;Label;File\n1;happy;M\u00fcller.png\n2;sad;b,c.png\n;;\n\n".encode(),
        "file;label;remark\nM\u00fcller.png;happy;a,b,c,d\nb,c.png;sad;\n".encode("cp1252"),
        'FILE,LABEL,File\n"M\u00fcller.png",happy,x\n"b,c.png",sad,y\n'.encode(),
    ],
)
def test_labels_as_spreadsheets_write_them(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    found = read_labels(path, ["M\u00fcller.png", "b,c.png"])
    assert found.by_file == {"M\u00fcller.png": "happiness", "b,c.png": "sadness"}
    assert found.unmatched == () and found.listed == 2


def test_our_own_table_is_read_back_as_labels(tmp_path: Path) -> None:
    rows: list[Row] = [{"file": name, "label": "fear", "face": 1} for name in ("M\u00fcller.png", "=a.png", "b;c.png")]
    path = tmp_path / "table.csv"
    write_table(to_frame(rows, table_columns({}, labelled=True)), path)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")  # or Excel takes it for another code page
    assert len(read_labels(path, [str(row["file"]) for row in rows])) == 3


def test_names_match_without_case_where_one_file_alone_is_meant(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(
        "file,label\nimg_007.png,happy\nA\\B.PNG,sad\nSame.png,fear\nSAME.png,anger\nsame.PNG,anger\ngone.png,fear\n"
    )
    found = read_labels(path, ["IMG_007.png", "a/b.png", "SAME.png", "Same.png", "other.png"])
    assert found.by_file == {
        "IMG_007.png": "happiness",
        "a/b.png": "sadness",
        "Same.png": "fear",
        "SAME.png": "anger",
    }
    assert found.unmatched == ("same.PNG", "gone.png") and found.listed == 6
    assert_states(" ".join(found.notes()), "2 of 6 labels", "same.PNG, gone.png")


def test_names_match_by_the_end_of_the_path_where_one_file_alone_is_meant(tmp_path: Path) -> None:
    """A packed folder is in front of its files' names, and another computer's folders are in front of a list's."""
    path = tmp_path / "labels.csv"
    path.write_text(
        "file,label\n1.png,happy\nC:\\Users\\me\\Faces\\2.png,sad\nb/3.PNG,fear\n4.png,anger\n5.png,fear\n"
        "/home/me/x/6.png,anger\n/home/me/y/6.png,fear\nx7.png,fear\nelse/8.png,anger\n8.png,fear\n"
    )
    names = ["faces/1.png", "2.png", "faces/a/3.png", "faces/b/3.png", "a/4.png", "b/4.png", "faces/5.png", "5.png"]
    found = read_labels(path, [*names, "6.png", "7.png", "8.png"])
    assert found.by_file == {
        "faces/1.png": "happiness",
        "2.png": "sadness",
        "faces/b/3.png": "fear",
        "5.png": "fear",
        "8.png": "fear",
    }
    assert found.unmatched == ("4.png", "/home/me/x/6.png", "/home/me/y/6.png", "x7.png", "else/8.png")
    assert set(found.by_end.values()) == {"faces/1.png", "2.png", "faces/b/3.png"}
    assert_states(" ".join(found.notes()), "5 of 10 labels", "3 labels", "end of its path", "1.png for faces/1.png")


def test_unknown_classes_of_a_list_are_counted_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("file,label\na.png,Hapy\nb.png,contempt\nc.png,contempt\n")
    found = read_labels(path, ["a.png", "b.png", "c.png"])
    assert found.by_file == {"a.png": "happiness"}
    assert found.classes.guessed == {"Hapy": "happiness"} and found.classes.unknown == {"contempt": 2}
    assert any("'contempt' (2)" in note for note in found.notes())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name,label\na.png,happy\n", "expected the columns file, label; missing: file; found: name, label"),
        (b"", "found: none"),
        (b"file,label\na.png,hungry\n", r"None of the labels can be used.*'hungry' \(1\).*Known: anger"),
        (b"file,label\na.png,\n", "name none of these files"),
        (b"file,label\na.png,happy\na.png,sad\n", "Line 3 of the labels: a.png is sadness here and happiness before"),
        (b"file,label\nz.png,happy\n", "name none of these files.*such as a.png; found: z.png"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"PK\3\4\x14\0\6\0\x08\0 xl/workbook.xml\n", "cannot be read. Save it as a CSV"),
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


def test_metrics_of_confident_answers_by_hand() -> None:
    rows: list[Row] = [
        row("1", "fear", {"m": ("fear", 0.9)}),
        row("2", "fear", {"m": ("anger", 0.8)}),
        row("3", "anger", {"m": ("anger", 0.6)}),
        row("4", "anger", {"m": ("fear", 0.3)}),
    ]
    expected = {0.0: (4, 2), 0.3: (4, 2), 0.31: (3, 2), 0.7: (2, 1), 0.9: (1, 1), 0.95: (0, 0)}
    for least, (covered, right) in expected.items():
        figures = measure_confident(rows, ["m"], least)["m"]
        assert (figures.faces, figures.covered, figures.right) == (4, covered, right), least
        assert figures.coverage == covered / 4
        if figures.metrics:
            assert figures.metrics.accuracy == right / covered
            assert sum(map(sum, figures.metrics.confusion)) == covered
    assert measure_confident([row("1", None, {"m": ("fear", 0.9)})], ["m"], 0.0) == {}


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
    assert [item["label"] for item in with_labels(rows, Labels({"a": "fear"}))] == ["fear", "fear", None]
