"""The leaderboard file: from what `evaluate` kept to what the dashboard shows."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_models.__main__ import main
from fer_models.commands.leaderboard import compare
from fer_models.errors import FerError
from fer_models.expressions import EXPRESSIONS
from fer_models.readings import load_readings


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, weights_dir: Path) -> Path:
    """A weights folder with the small models and what `evaluate` says of them on fourteen random faces."""
    folder = tmp_path_factory.mktemp("measured")
    for path in weights_dir.iterdir():
        (folder / path.name).symlink_to(path)
    generator = np.random.default_rng(0)
    data = tmp_path_factory.mktemp("faces")
    for name in EXPRESSIONS:
        (data / name).mkdir()
        for number in range(2):
            pixels = generator.integers(0, 256, (48, 48), np.uint8)
            Image.fromarray(pixels).save(data / name / f"{number}.png")
    words = ["evaluate", "--data", str(data), "--labels", "folder", "--weights", str(folder), "--device", "cpu"]
    assert main([*words, "--json", str(folder / "results" / "fer2013_test.json")]) == 0
    return folder


def test_the_file_says_what_the_readings_say(measured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", "--weights", str(measured)]) == 0
    assert "any model right" in capsys.readouterr().out
    document = json.loads((measured / "results" / "leaderboard.json").read_text())
    (name,) = document["sets"]
    each = document["sets"][name]
    readings = load_readings(measured / "results" / "fer2013_test.npz")
    assert each["count"] == 14 and each["copies"] == 0
    assert list(each["models"]) == [*readings.logits, "ensemble"]
    for model in readings.logits:
        figures = each["models"][model]
        right = readings.logits[model].argmax(1) == readings.targets
        assert figures["accuracy"]["value"] == right.mean()
        assert figures["accuracy"]["low"] <= right.mean() <= figures["accuracy"]["high"]
        assert figures["temperature"] == 1.5
        before, after = figures["before_temperature"], figures["after_temperature"]
        assert before["brier"] != after["brier"]
        assert np.array(figures["confusion"]).sum() == 14
    assert len(each["pairs"]) == 6
    best = max(figures["accuracy"]["value"] for figures in each["models"].values())
    assert each["oracle"] >= best
    cost = document["cost"]["vgg16"]
    assert cost["parameters"] > 1_000_000 and cost["file_bytes"] > 2 * cost["parameters"]


def test_missing_and_damaged_results_are_explained(
    measured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["leaderboard", "--weights", str(tmp_path)]) == 2
    assert "There is nothing to compare" in capsys.readouterr().err
    path = tmp_path / "fer2013_test.json"
    path.write_text("{}")
    with pytest.raises(FerError, match="not a file of `evaluate`"):
        compare(path)
    document = json.loads((measured / "results" / "fer2013_test.json").read_text())
    path.write_text(json.dumps(document))
    with pytest.raises(FerError, match="holds no readings"):
        compare(path)
    del document["models"]["vgg16"]
    path.write_text(json.dumps(document))
    (tmp_path / "fer2013_test.npz").write_bytes((measured / "results" / "fer2013_test.npz").read_bytes())
    with pytest.raises(FerError, match="about different models"):
        compare(path)
