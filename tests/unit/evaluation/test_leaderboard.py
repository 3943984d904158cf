"""The leaderboard file: from what `evaluate` kept to what the dashboard shows."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dashboard.leaderboard.board import read_board
from dashboard.leaderboard.sections import SECTIONS
from fer_models.cli.main import main
from fer_models.errors import FerError
from fer_models.evaluation.leaderboard import compare
from fer_models.evaluation.predictions import load_test_predictions
from fer_models.expressions import EXPRESSIONS
from fer_models.models.architectures import build_network, multiply_adds
from fer_models.models.card import ModelCard
from fer_models.models.external.torch_files.load import load_external
from fer_models.registry import LABEL_SETS

#: What a card says of a model that learned the labels of class folders, and two such models.
FOLDER = LABEL_SETS["folder"].training_labels
PAIR = ["resnet50", "vgg16"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, weights_dir: Path) -> Path:
    """A weights folder with the small models and what `evaluate` says of them on fourteen random faces."""
    folder = tmp_path_factory.mktemp("measured")
    for path in weights_dir.glob("*.safetensors"):
        (folder / path.name).symlink_to(path)
    for path in weights_dir.glob("*.json"):
        labels = FOLDER if path.stem in PAIR else "others"
        (folder / path.name).write_text(json.dumps(json.loads(path.read_text()) | {"training_labels": labels}))
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


def test_the_file_states_what_the_predictions_give(measured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", "--weights", str(measured)]) == 0
    assert "any model right" in capsys.readouterr().out
    document = json.loads((measured / "results" / "leaderboard.json").read_text())
    (name,) = document["sets"]
    comparison = document["sets"][name]
    predictions = load_test_predictions(measured / "results" / "fer2013_test.npz")
    assert comparison["count"] == 14 and comparison["copies"] == 0
    assert list(comparison["models"]) == [*predictions.logits, "ensemble"]
    assert comparison["members"] == PAIR
    report = json.loads((measured / "results" / "fer2013_test.json").read_text())
    for model, figures in {**report["models"], "ensemble": report["ensemble"]}.items():
        assert figures["accuracy_interval"] == comparison["models"][model]["accuracy"]
        assert figures["accuracy_interval"]["value"] == figures["accuracy"]
    first, second = (predictions.probabilities(name) for name in PAIR)
    mean = (first + second).argmax(1) == predictions.targets
    assert comparison["models"]["ensemble"]["accuracy"]["value"] == mean.mean()
    for model in predictions.logits:
        figures = comparison["models"][model]
        right = predictions.logits[model].argmax(1) == predictions.targets
        assert figures["accuracy"]["value"] == right.mean()
        assert figures["accuracy"]["low"] <= right.mean() <= figures["accuracy"]["high"]
        assert figures["temperature"] == 1.5
        before, after = figures["before_temperature"], figures["after_temperature"]
        assert before["brier"] != after["brier"]
        assert np.array(figures["confusion"]).sum() == 14
    assert len(comparison["pairs"]) == 6 and comparison["pairs_without_copies"] == comparison["pairs"]
    errors = {
        name: comparison["models"][name]["after_temperature"]["expected_calibration_error"]
        for name in predictions.logits
    }
    least = min(errors, key=errors.__getitem__)
    assert set(comparison["calibration_gaps"]) == set(predictions.logits) - {least}
    for model, gap in comparison["calibration_gaps"].items():
        assert gap["value"] == pytest.approx(errors[model] - errors[least]) and gap["low"] <= gap["high"]
    best = max(figures["accuracy"]["value"] for figures in comparison["models"].values())
    assert comparison["oracle"] >= best


def test_a_dropped_checkpoint_is_measured_and_compared_too(
    tmp_path: Path, write_model: Callable[..., ModelCard], capsys: pytest.CaptureFixture[str]
) -> None:
    """A file of another system has no card of its own, or one with the few fields that correct what was recognised."""
    write_model(tmp_path, "vgg16", training_labels=FOLDER)
    torch.manual_seed(0)
    torch.save(build_network("mobilenet_v2_stride32", 7).state_dict(), tmp_path / "an_eac.pth")
    (tmp_path / "an_eac.json").write_text(json.dumps({"title": "Theirs", "training_labels": FOLDER}))
    (tmp_path / "data" / "happy").mkdir(parents=True)
    Image.fromarray(np.full((48, 48), 90, np.uint8)).save(tmp_path / "data" / "happy" / "a.png")
    words = ["evaluate", "--data", str(tmp_path / "data"), "--labels", "folder", "--weights", str(tmp_path)]
    words += ["--device", "cpu", "--json", str(tmp_path / "results" / "fer2013_test.json"), "--cards"]
    assert main(words) == 0
    assert main(["leaderboard", "--weights", str(tmp_path)]) == 0
    document = json.loads((tmp_path / "results" / "leaderboard.json").read_text())
    assert list(document["sets"]["fer2013_test"]["models"]) == ["vgg16", "an_eac", "ensemble"]
    card, network = load_external(tmp_path / "an_eac.pth")
    assert card.title == "Theirs" and card.parameters == 2_232_839
    assert 2e8 < multiply_adds(network, card.input.size) < 4e8  # about 0.3e9 at 224 px

    (tmp_path / "an_eac.json").write_text(json.dumps({"labels": ["a", "b", "c", "d", "e", "f", "g"]}))
    assert main(words) == 2
    assert "an_eac knows none of anger, disgust" in capsys.readouterr().err


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
    with pytest.raises(FerError, match="holds no predictions"):
        compare(path)
    del document["models"]["vgg16"]
    path.write_text(json.dumps(document))
    (tmp_path / "fer2013_test.npz").write_bytes((measured / "results" / "fer2013_test.npz").read_bytes())
    with pytest.raises(FerError, match="about different models"):
        compare(path)


def test_a_baseline_is_marked_and_counts_in_no_mean(tmp_path: Path, write_model: Callable[..., ModelCard]) -> None:
    """Measured from another folder, beside two models; shown as a baseline, never as stale."""
    data, folder, other = tmp_path / "data", tmp_path / "weights", tmp_path / "runs"
    other.mkdir()
    write_model(other, "plain", seed=7, training_labels=FOLDER)
    for number, name in enumerate(EXPRESSIONS):
        (data / name).mkdir(parents=True)
        pixels = np.random.default_rng(number).integers(0, 256, (48, 48), np.uint8)
        Image.fromarray(pixels).save(data / name / "0.png")
    folder.mkdir()
    for seed, name in enumerate(PAIR):
        write_model(folder, name, seed=seed, training_labels=FOLDER)
    report = folder / "results" / "fer2013_test.json"
    words = ["evaluate", "--data", str(data), "--labels", "folder", "--weights", str(folder), "--device", "cpu"]
    words += ["--json", str(report)]
    assert main([*words, "--baseline", str(other / "plain.safetensors"), "--models", "vgg16"]) == 0
    assert main([*words, "--models", "resnet50"]) == 0  # what was measured before stays what it is
    document = json.loads(report.read_text())
    assert document["ensemble"]["members"] == ["resnet50", "vgg16"]
    assert document["models"]["plain"]["baseline"] == {"title": "PLAIN"}
    assert main(["leaderboard", "--weights", str(folder)]) == 0
    comparison = json.loads((folder / "results" / "leaderboard.json").read_text())["sets"]["fer2013_test"]
    predictions = load_test_predictions(report.with_suffix(".npz"))
    right = [predictions.logits[name].argmax(1) == predictions.targets for name in ("resnet50", "vgg16")]
    assert comparison["oracle"] == np.any(right, axis=0).mean()
    mean = predictions.ensemble(["resnet50", "vgg16"]).argmax(1) == predictions.targets
    assert comparison["models"]["ensemble"]["accuracy"]["value"] == mean.mean()
    assert len(comparison["pairs"]) == 3  # it is compared with both models

    board = read_board(folder)
    face_set = board.sets["fer2013_test"].record
    assert face_set is not None
    row = face_set.models["plain"]
    assert row.baseline is not None and row.baseline.title == "PLAIN"
    assert not {"plain", "ensemble"} & set(board.stale(face_set))
    assert list(face_set.shipped) == ["resnet50", "vgg16"] and board.title("plain") == "PLAIN (baseline)"
    shown = {section.key: "".join(map(str, section.parts(board, "fer2013_test"))) for section in SECTIONS}
    assert "PLAIN (baseline)" in shown["accuracy"] and "excluded from averages" in " ".join(shown["accuracy"].split())
    recommendations, ranked = shown["overview"].split("<table", 1)
    assert "PLAIN" not in recommendations and "not shipped" in ranked and "PLAIN" not in shown["cost"]
    assert "stale" not in shown["accuracy"].lower()
