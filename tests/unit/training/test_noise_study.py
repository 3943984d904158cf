"""The noise study: exact shares of flipped labels, the same faces for both methods, runs that go on, honest curves."""

import json
from pathlib import Path

import numpy as np
import pytest

from fer_models.cli.main import main
from fer_models.expressions import EXPRESSIONS
from fer_models.models.card import read_card
from fer_models.models.weights import load_network
from fer_models.training.noise_study import REAL, Run, flip, recipe_of, training_faces


@pytest.mark.parametrize("percent", [0, 10, 30, 100])
def test_exactly_that_share_is_flipped_and_to_every_other_label(percent: int) -> None:
    targets = np.repeat(np.arange(7), 500)
    flipped = flip(targets, percent, seed=0)
    assert (flipped != targets).sum() == 35 * percent
    np.testing.assert_array_equal(flipped, flip(targets, percent, seed=0))
    if percent:
        assert not np.array_equal(flipped, flip(targets, percent, seed=1))
        assert len(set(zip(targets[flipped != targets], flipped[flipped != targets], strict=True))) == 42


def test_both_methods_learn_from_the_same_faces_and_flips(data_dir: Path) -> None:
    plain, eac = (training_faces(Run(method, 20, 3), data_dir, 50) for method in ("plain", "eac"))
    np.testing.assert_array_equal(plain.data.rows, eac.data.rows)
    np.testing.assert_array_equal(plain.data.targets, eac.data.targets)
    assert plain.wrong.sum() == 10
    assert plain.data.soft is None  # hard labels: soft ones would not be wrong
    other = training_faces(Run("plain", 0, 4), data_dir, 50)
    assert not np.array_equal(other.data.rows, plain.data.rows)
    assert not other.wrong.any()
    own = training_faces(Run("plain", REAL, 3), data_dir, 50)
    assert {EXPRESSIONS[label] for label in own.data.targets} == {"anger", "happiness"}


def test_methods_differ_in_the_consistency_loss_alone() -> None:
    plain, eac = (recipe_of(Run(method, 10, 0), 5, 48) for method in ("plain", "eac"))
    assert (plain.consistency, eac.consistency) == (0, 5)
    changed = {name for name, value in vars(plain).items() if value != vars(eac)[name]}
    assert changed == {"consistency"}


def test_it_runs_goes_on_and_marks_what_is_not_finished(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "noise.json"
    words = ["study", "noise", "--data", str(data_dir), "--out", str(tmp_path / "runs"), "--report", str(report)]
    words += ["--noise", "30", "--size", "32", "--faces", "60", "--init", "none", "--device", "cpu", "--epochs", "2"]
    assert main([*words, "--methods", "plain"]) == 0
    assert main(words) == 0  # the finished run is not trained again, the other one is
    document = json.loads(report.read_text())
    runs = {each["method"]: each for each in document["runs"]}
    assert all(each["finished"] and [point["epoch"] for point in each["curve"]] == [1, 2] for each in runs.values())
    assert all(0 <= point["wrong_labels_held"] <= 1 for each in runs.values() for point in each["curve"])
    assert runs["plain"]["last_test_accuracy"] == runs["plain"]["curve"][-1]["test_accuracy"]
    lines = (tmp_path / "runs" / "eac_30_0" / "labels.csv").read_text().splitlines()
    assert lines[0] == "row,clean,used" and len(lines) == 61
    assert sum(line.split(",")[1] != line.split(",")[2] for line in lines[1:]) == 18
    at = words.index("60")
    assert main([*words[:at], "50", *words[at + 1 :]]) == 2  # a trial's runs are not the study's
    assert "plain_30_0 has a run on other faces or labels. Choose another --out" in capsys.readouterr().err
    folder = tmp_path / "runs" / "eac_30_0"
    load_network(read_card(folder / "noise_eac_30_0.json"), folder / "noise_eac_30_0.safetensors")


@pytest.mark.parametrize("noise", ["much", "101", "-1"])
def test_nonsense_is_refused(noise: str, data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "noise", "--data", str(data_dir), f"--noise={noise}"]) == 2
    assert "expected percent from 0 to 100" in capsys.readouterr().err
