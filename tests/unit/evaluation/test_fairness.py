"""Groups of people: accuracies and gaps with intervals, and silence where there are too few faces."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_models.cli.main import main
from fer_models.datasets.dataset import FaceData
from fer_models.errors import DatasetError
from fer_models.evaluation.fairness import GroupedFaces, compare_groups, load_groups, too_small
from fer_models.evaluation.statistics import Interval, gap_with_interval
from fer_models.expressions import EXPRESSIONS
from tests.helpers.texts import assert_states


def grouped(*groups: str) -> GroupedFaces:
    count = len(groups)
    faces = np.zeros((count, 8, 8, 3), np.uint8)
    return GroupedFaces(FaceData("groups", "test", faces, np.zeros(count, np.int64), np.arange(count)), groups)


def bools(right: int, wrong: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.array([True] * right + [False] * wrong)


def test_the_gap_is_a_difference_with_an_interval_around_it() -> None:
    wide = gap_with_interval(bools(16, 4), bools(10, 10))
    assert wide.value == pytest.approx(0.3)
    assert wide.low < 0.3 < wide.high
    # Standard error of a difference of shares: sqrt(.8*.2/n + .5*.5/n), 0.0202 for n = 1000; 1.96 of it to either side.
    narrow = gap_with_interval(bools(800, 200), bools(500, 500))
    assert narrow.low == pytest.approx(0.3 - 1.96 * 0.0202, abs=0.005)
    assert narrow.high == pytest.approx(0.3 + 1.96 * 0.0202, abs=0.005)
    mirrored = gap_with_interval(bools(500, 500), bools(800, 200))
    assert mirrored.value == pytest.approx(-0.3) and mirrored.high < 0
    assert gap_with_interval(bools(3, 0), bools(0, 5)) == Interval(1.0, 1.0, 1.0)


def test_small_groups_are_left_out_of_accuracies_and_gaps() -> None:
    faces = grouped(*"AAAABBBBC")
    assert too_small(faces, 4) == {"C": 1}
    result = compare_groups(np.array([1, 1, 1, 0, 1, 0, 0, 0, 1], bool), faces, 4)
    assert {name: group.count for name, group in result.groups.items()} == {"A": 4, "B": 4}
    assert [group.accuracy.value for group in result.groups.values()] == [0.75, 0.25]
    (gap,) = result.gaps
    assert (gap.first, gap.second, gap.value) == ("A", "B", 0.5)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for number in range(7):
        Image.fromarray(generator.integers(0, 256, (48, 48), np.uint8)).save(tmp_path / f"{number}.png")
    rows = [f"{number}.png,{'happy' if number % 2 else 'fear'},{'AB'[number % 2]}" for number in range(6)]
    (tmp_path / "groups.csv").write_text("file,label,group\n" + "\n".join([*rows, "6.png,anger,C"]) + "\n")
    return tmp_path


def test_the_command(pictures: Path, weights_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fairness", "--data", str(pictures), "--groups", str(pictures / "groups.csv"), "--device", "cpu"]
    words += ["--weights", str(weights_dir), "--models", "vgg16", "resnet50", "eac_mobilenet_v2"]
    file = pictures / "out" / "fairness.json"
    assert main([*words, "--least", "3", "--json", str(file)]) == 0
    out = capsys.readouterr().out
    assert_states(out, "C: 1", "too few", "3")
    assert "A - B" in out
    document = json.loads(file.read_text())
    assert document["count"] == 7 and document["too_small"] == {"C": 1}
    assert list(document["models"]) == ["vgg16", "resnet50", "eac_mobilenet_v2", "ensemble_fer2013"]
    assert document["ensembles"] == {"ensemble_fer2013": ["vgg16", "resnet50"]}
    assert document["labels"]["B"]["happiness"] == 3 and document["labels"]["A"]["fear"] == 3
    assert set(document["models"]["vgg16"]["groups"]) == {"A", "B"}
    assert main(words) == 2
    assert_states(capsys.readouterr().err, "50 faces", "A has 3", "B has 3", "C has 1")
    assert main([*words, "--least", "1"]) == 2


def test_a_spreadsheets_list_with_other_classes(pictures: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = pictures / "excel.csv"
    path.write_text(
        "File;Label;Group\n0.png;0_fear;M\u00e4nner\n1.png;contempt;B\n2.png;Hapy;B\n;;\n", encoding="cp1252"
    )
    faces = load_groups(pictures, path)
    path.write_text("file,label,group\n0.png,3,A\n")
    assert [EXPRESSIONS[target] for target in load_groups(pictures, path, {"3": "sad"}).data.targets] == ["sadness"]
    assert faces.groups == ("M\u00e4nner", "B")
    assert [EXPRESSIONS[target] for target in faces.data.targets] == ["fear", "happiness"]
    assert "'contempt' (1)" in caplog.text and "'Hapy' as happiness" in caplog.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("file,label\n0.png,fear\n", "expected the columns file, label, group"),
        ("file,label,group\n", "no labelled picture"),
        ("file,label,group\n0.png,bored,A\n", r"'bored' \(1\).*Known: anger"),
        ("file,label,group\n0.png,3,A\n", "--class-names 3=EXPRESSION"),
        ("file,label,group\n0.png,fear,A\nmissing.png,fear,A\n", "line 3: expected a picture below"),
        ("file,label,group\n0.png,fear,\n", "line 2: expected a picture"),
        ("file,label,group\n../secret.png,fear,A\n", "line 2: expected a picture"),
        ("file,label,group\n0.png\n", "line 2: expected a picture"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_list_that_cannot_be_used_is_explained(pictures: Path, text: str | bytes, expected: str) -> None:
    (pictures.parent / "secret.png").write_bytes((pictures / "0.png").read_bytes())
    path = pictures / "other.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DatasetError, match=expected):
        load_groups(pictures, path)
    with pytest.raises(DatasetError, match="cannot be read"):
        load_groups(pictures, pictures / "none.csv")
