"""Batches: rows, their order and numbers, bad files, bounds; tables as files; disagreement by hand."""

import csv
import io
import math
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from fer_models.analyzer import Analyzer
from fer_models.batch.run import NO_FACE, READ_WHOLE, analyze_files, disagreement, unreadable
from fer_models.batch.table import check_output, csv_text, guard, table_columns, to_frame, write_table
from fer_models.errors import BatchError, ImageError, UnknownNameError, WeightsError
from fer_models.expressions import EXPRESSIONS
from fer_models.media.images import Picture, read_image
from fer_models.media.sources import PictureFile, open_pictures
from fer_models.registry import MODELS
from fer_models.results import Face, FaceAnalysis, Prediction

LABELS = {name: EXPRESSIONS for name in MODELS}


def prediction(values: dict[str, float]) -> Prediction:
    array = np.array(list(values.values()), np.float32)
    return Prediction("m", tuple(values), array, array, 1.0, 0.0)


@pytest.fixture
def folder(tmp_path: Path, picture: NDArray[np.uint8]) -> Path:
    """Two faces, none, a broken file, one face."""
    root = tmp_path / "pictures"
    (root / "deep").mkdir(parents=True)
    Image.fromarray(picture).save(root / "a.png")
    Image.fromarray(picture[:, :90]).save(root / "b.png")
    (root / "c.jpg").write_bytes(b"no picture")
    Image.fromarray(picture[:, 100:200]).save(root / "deep" / "d.png")
    return root


def test_one_row_a_face_in_file_order_and_one_for_a_file_without(analyzer: Analyzer, folder: Path) -> None:
    with open_pictures(folder) as pictures:
        results = list(analyze_files(analyzer, pictures.files))
    rows = [row for result in results for row in result.rows]
    assert [(row["file"], row.get("face")) for row in rows] == [
        ("a.png", 1),
        ("a.png", 2),
        ("b.png", None),
        ("c.jpg", None),
        ("deep/d.png", 1),
    ]
    assert [row["reason"] for row in rows[:3]] == [None, None, NO_FACE]
    assert "'c.jpg' is not a picture" in str(rows[3]["reason"])
    assert [unreadable(row) for row in rows] == [False, False, False, True, False]
    assert [len(result.crops) for result in results] == [2, 0, 0, 1]
    assert [rows[1][side] for side in ("x1", "y1", "x2", "y2")] == [100, 0, 200, 100]
    assert rows[0]["score"] == 0.9


@pytest.mark.parametrize("batch", [1, 2, 3, 32])
def test_the_numbers_are_those_of_one_by_one(analyzer: Analyzer, folder: Path, batch: int) -> None:
    with open_pictures(folder) as pictures:
        rows = [row for result in analyze_files(analyzer, pictures.files, batch=batch) for row in result.rows]
    for name, indices in {"a.png": (0, 1), "deep/d.png": (4,)}.items():
        analyses = analyzer.analyze([read_image(folder / name)])
        for index, analysis in zip(indices, analyses, strict=True):
            row = rows[index]
            assert row["agreement"] == pytest.approx(analysis.agreement, abs=1e-6)
            assert row["disagreement"] == pytest.approx(disagreement(analysis.predictions), abs=1e-5)
            for model, one in analysis.predictions.items():
                assert row[f"{model}_label"] == one.label
                assert row[f"{model}_confidence"] == pytest.approx(one.confidence, abs=1e-5)
                for label in EXPRESSIONS:
                    assert row[f"{model}_{label}"] == pytest.approx(one.probability(label), abs=1e-5)


def test_a_row_counts_agreement_as_the_analysis_does_with_ties() -> None:
    """The page's verdict and the table follow one rule."""
    low = dict.fromkeys(EXPRESSIONS, 0.05)
    tie, sure, other = (
        prediction(low | values)
        for values in ({"fear": 0.234, "anger": 0.226}, {"anger": 0.7}, {"neutral": 0.7, "anger": 0.69})
    )
    assert (tie.label, tie.tied_labels, sure.tied_labels) == ("fear", ("fear", "anger"), ("anger",))
    assert other.tied_labels == ("neutral",), "one percentage point apart"
    face = Face(np.zeros(4, np.float32), None, 1.0)

    def shares(**predictions: Prediction) -> tuple[float, float]:
        analysis = FaceAnalysis(0, face, np.zeros((8, 8, 3), np.uint8), predictions)
        analyzer = cast(
            Analyzer, SimpleNamespace(predict=lambda *_, **__: [analysis], detect=lambda _: [(face, analysis.crop)])
        )
        (result,) = analyze_files(analyzer, made(1, lambda _: analysis.crop))
        return analysis.agreement, cast(float, result.rows[0]["agreement"])

    assert shares(a=tie, b=sure) == (1, 1)
    assert shares(a=sure, b=other) == (0.5, 0.5)
    assert shares(a=tie, b=sure, c=other, d=other) == (0.5, 0.5)


def test_a_picture_without_a_face_can_be_read_whole(analyzer: Analyzer, folder: Path) -> None:
    with open_pictures(folder) as pictures:
        result = list(analyze_files(analyzer, pictures.files, whole_if_none=True, models=["vgg16"]))[1]
    (row,) = result.rows
    assert (row["face"], row["reason"], row["score"]) == (1, READ_WHOLE, 1.0)
    (one,) = analyzer.analyze([read_image(folder / "b.png")], whole=True)
    assert row["vgg16_happiness"] == pytest.approx(one.predictions["vgg16"].probability("happiness"), abs=1e-5)
    assert "resnet50_label" not in row
    assert (row["agreement"], row["disagreement"]) == (1, 0)


def made(count: int, read: Callable[[int], NDArray[np.uint8]]) -> list[PictureFile]:
    return [PictureFile(f"{i:03}", "", lambda i=i: Picture(read(i))) for i in range(count)]  # type: ignore[misc]


def test_one_bad_file_of_many_costs_one_row(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    def read(index: int) -> NDArray[np.uint8]:
        if index == 20:
            raise RuntimeError("a decoder's bug")
        return picture[:, :100]

    rows = [row for result in analyze_files(analyzer, made(50, read), models=["vgg16"]) for row in result.rows]
    assert [row["file"] for row in rows] == [f"{i:03}" for i in range(50)]
    assert [row["file"] for row in rows if unreadable(row)] == ["020"]
    assert "decoder" not in str(rows[20]["reason"])


def test_what_would_meet_every_file_is_raised(analyzer: Analyzer) -> None:
    def read(index: int) -> NDArray[np.uint8]:
        raise WeightsError("no detector")

    with pytest.raises(WeightsError):
        list(analyze_files(analyzer, made(3, read)))


def test_files_are_opened_no_further_ahead_than_the_bound(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    opened = []
    lock = threading.Lock()

    def read(index: int) -> NDArray[np.uint8]:
        with lock:
            opened.append(index)
        return picture[:, :100]

    results = analyze_files(analyzer, made(100, read), models=["vgg16"], batch=4, workers=2)
    for done, _ in zip(range(1, 9), results, strict=False):
        assert len(opened) <= done + 4 + 4 + 2
    results.close()
    assert len(opened) < 30
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batch")]


def test_wrong_options_are_told_at_once(analyzer: Analyzer) -> None:
    with pytest.raises(UnknownNameError, match="alexnet"):
        analyze_files(analyzer, [], models=["alexnet"])
    with pytest.raises(BatchError, match="holds nothing"):
        analyze_files(analyzer, [], batch=0)


def test_disagreement_by_hand() -> None:
    certain = {name: prediction({"anger": float(name == "a"), "fear": float(name == "f")}) for name in "af"}
    assert disagreement(certain) == 1
    assert disagreement({"one": certain["a"]}) == 0
    assert disagreement({"a": certain["a"], "b": certain["a"]}) == 0
    # Three models, of which two agree: pairs 0, 1 and 1.
    assert disagreement({"a": certain["a"], "b": certain["a"], "c": certain["f"]}) == pytest.approx(2 / 3)
    # (1, 0) and (1/2, 1/2): H(3/4, 1/4) - (0 + 1) / 2.
    half = prediction({"anger": 0.5, "fear": 0.5})
    by_hand = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25)) - 0.5
    assert disagreement({"a": certain["a"], "h": half}) == pytest.approx(by_hand)


def test_disagreement_joins_by_name() -> None:
    first, second = {"anger": 0.7, "fear": 0.3}, {"fear": 0.3, "anger": 0.7}
    assert disagreement({"a": prediction(first), "b": prediction(second)}) == 0
    alone = {"a": prediction({"anger": 1.0}), "b": prediction({"contempt": 1.0})}
    assert disagreement(alone) == 1


shares = st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(lambda values: sum(values) > 0.01)


@given(st.lists(shares, min_size=2, max_size=4))
def test_disagreement_is_in_bounds_and_needs_no_order(rows: list[list[float]]) -> None:
    models = {
        str(i): prediction({name: v / sum(row) for name, v in zip(EXPRESSIONS, row, strict=False)})
        for i, row in enumerate(rows)
    }
    value = disagreement(models)
    assert 0 <= value <= 1
    assert disagreement(dict(reversed(models.items()))) == pytest.approx(value, abs=1e-9)


def test_columns_are_the_same_whatever_the_rows() -> None:
    columns = list(table_columns({"vgg16": ("happiness", "anger"), "mine": (*EXPRESSIONS, "contempt")}))
    assert columns[:10] == ["file", "face", "x1", "y1", "x2", "y2", "score", "agreement", "disagreement", "reason"]
    assert columns[10:12] == ["file_notes", "face_notes"]
    assert columns[12:21] == ["vgg16_label", "vgg16_confidence", *(f"vgg16_{name}" for name in EXPRESSIONS)]
    assert columns[-1] == "mine_contempt"
    assert list(table_columns({}, labelled=True))[:3] == ["file", "label", "face"]


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=cmd()", "'=cmd()"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("  =1", "'  =1"),
        ("a=1", "a=1"),
        ("", ""),
    ],
)
def test_formulas_are_guarded(text: str, safe: str) -> None:
    assert guard(text) == safe


def test_a_csv_runs_nothing_and_a_parquet_keeps_names(tmp_path: Path) -> None:
    names = ["=cmd|' /C calc'!A0.png", 'q"u;o,t.png', "Zoë.png", "+@.png"]
    frame = to_frame([{"file": name, "face": 1, "reason": "=1+1"} for name in names], table_columns({}))
    text = csv_text(frame)
    cells = list(csv.reader(io.StringIO(text)))[1:]
    assert [row[0] for row in cells] == [guard(name) for name in names]
    assert all(cell[:1] not in "=+-@" for row in cells for cell in row if cell)
    # Every text stands in quotes, so that a spreadsheet that splits at semicolons finds no cell that begins with =.
    assert all(line.startswith('"') for line in text.splitlines())
    write_table(frame, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == text.encode("utf-8-sig")
    write_table(frame, tmp_path / "t.parquet")
    back = pandas.read_parquet(tmp_path / "t.parquet")
    assert list(back["file"]) == names
    assert list(back["face"]) == [1] * 4 and back["face"].dtype == "Int64"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv", "t.parquet"]


def test_csv_and_parquet_hold_the_same(tmp_path: Path, analyzer: Analyzer, folder: Path) -> None:
    with open_pictures(folder) as pictures:
        rows = [row for result in analyze_files(analyzer, pictures.files) for row in result.rows]
    frame = to_frame(rows, table_columns(LABELS))
    for name in ("t.csv", "t.parquet"):
        write_table(frame, tmp_path / name)
    table, parquet = pandas.read_csv(tmp_path / "t.csv"), pandas.read_parquet(tmp_path / "t.parquet")
    assert list(table) == list(parquet) == list(frame)
    for name in frame:
        expected = [None if pandas.isna(value) else value for value in frame[name]]
        for other in (table, parquet):
            assert [None if pandas.isna(value) else value for value in other[name]] == expected, name


@pytest.mark.parametrize(
    ("name", "message"),
    [("t.xlsx", "must end in .csv or .parquet"), ("t", "must end in"), ("no/t.csv", "No such file"), (".csv", "must")],
)
def test_outputs_that_cannot_be_written_are_told(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(BatchError, match=message):
        check_output(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "t.csv"
    path.write_text("old")
    monkeypatch.setattr("fer_models.batch.table.os.fsync", full)
    with pytest.raises(BatchError, match="No space left"):
        write_table(to_frame([{"file": "a"}], table_columns({})), path)
    assert [item.read_text() for item in tmp_path.iterdir()] == ["old"]


def test_a_refused_file_keeps_its_reason(analyzer: Analyzer) -> None:
    def read(index: int) -> NDArray[np.uint8]:
        raise ImageError("It is a link.")

    (result,) = analyze_files(analyzer, made(1, read))
    assert result.rows == ({"file": "000", "reason": "It is a link."},)
