"""The attention command: figures by hand on a fake network, and a whole run on small random models."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dashboard.attention.test_set import AttentionResults
from dashboard.attention.test_set_view import source_sentence
from explain.commands import attention as command
from explain.regions import REGIONS
from explain.test_set import LEAST_FACES, MEAN_SIDE, mean_faces, study, summary
from fer_models.analyzer import Analyzer
from fer_models.cli.main import main
from fer_models.evaluation.records import AttentionRecord
from fer_models.expressions import EXPRESSIONS
from fer_models.models.architectures import PooledClassifier
from fer_models.models.card import ModelCard, read_card
from fer_models.models.classifier import Classifier
from fer_models.models.preprocessing import InputSpec


class Halves(torch.nn.Module):
    """Features (N, 1, 1, 2): the means of the left and the right half, -1 for black, 1 for white, the right weighed."""

    def __init__(self, right: float) -> None:
        super().__init__()
        self.right = right

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = torch.split(x[:, :1], x.shape[-1] // 2, dim=3)
        return torch.cat([left.mean((2, 3), keepdim=True), self.right * right.mean((2, 3), keepdim=True)], 3)


def halves(right: float) -> Classifier:
    """Fear is the mean of both halves, anger its opposite; no other expression is known."""
    network = PooledClassifier(Halves(right), 1, 2)
    with torch.no_grad():
        network.fc.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        network.fc.bias.zero_()
    spec = InputSpec(16, mean=(0.5,) * 3, std=(0.5,) * 3)
    card = ModelCard("halves", "Halves", "mobilenet_v2", ("fear", "anger"), spec, "none", "none", "MIT", 2, "")
    return Classifier(card, network, torch.device("cpu"))


def crop(left: int, right: int) -> NDArray[np.uint8]:
    picture = np.full((16, 16), left, np.uint8)
    picture[:, 8:] = right
    return picture


def test_figures_by_hand() -> None:
    # Maps of fear: (1, 2), (1, -2) and (-1, -2); of the mirror images, flipped back: (2, 1), (2, -1) and (-2, -1).
    crops = [crop(255, 255), crop(255, 0), crop(0, 0)]
    done: list[None] = []
    figures = study(
        halves(2), crops, ["fear", "fear", "sadness"], tested=1, steps=2, seed=0, progress=lambda: done.append(None)
    )
    assert len(done) == 4  # three maps and one test of faithfulness
    assert figures["accuracy"] == pytest.approx(1 / 3)  # fear, anger, anger
    for name, expected in (("loss", 1), ("relative_loss", 1 / 2.5), ("correlation", 8 / 10)):
        assert figures["consistency"][name]["mean"] == pytest.approx(expected, rel=1e-3)
        assert figures["consistency"][name]["quantiles"]["5"] == pytest.approx(expected, rel=1e-3)
    atlas = figures["atlas"]
    assert list(atlas["labelled"]) == ["fear"]  # the model does not know sadness
    assert atlas["labelled"]["fear"]["faces"] == 2
    assert atlas["labelled"]["fear"]["map"][0] == pytest.approx([1, 0], abs=1e-3)
    assert atlas["answered"]["anger"]["map"][0] == pytest.approx([0, 2], abs=1e-3)
    assert atlas["answered"]["fear"]["map"][0] == pytest.approx([1, 2], abs=1e-3)
    fear = figures["regions"]["fear"]
    assert (fear["faces"], fear["without_evidence"]) == (2, 0)
    assert list(fear["shares"]) == list(REGIONS)
    assert sum(share["mean"] for share in fear["shares"].values()) == pytest.approx(1, rel=1e-3)
    # A white face covered with its mean colour is the same face: every curve is flat, no map can gain.
    deletion = figures["faithfulness"]["deletion"]
    white = 1 / (1 + np.exp(-3))  # the logits are 1.5 and -1.5
    assert [deletion[name]["mean"] for name in ("map", "random", "blob")] == pytest.approx([white] * 3, rel=1e-3)
    assert deletion["gain_over_random"]["mean"] == pytest.approx(0, abs=1e-4)
    assert figures["faithfulness"]["road"] is None


def test_gains_are_better_when_larger_and_road_is_there_when_asked_for() -> None:
    """Covering white first is the worst for fear, and the map knows where it is."""
    crops = [crop(255, 60), crop(60, 255), crop(250, 40)]
    figures = study(halves(1), crops, ["fear"] * 3, tested=2, steps=8, seed=0, road=True)["faithfulness"]
    assert figures["faces"] == 2 and figures["road"]["map"]["count"] == 2
    assert figures["arcc"]["blob"]["count"] == 2 and 0 <= figures["arcc"]["random"]["mean"] <= 1
    for kind, better in (("deletion", -1), ("insertion", 1), ("road", 1), ("arcc", 1)):
        of = {name: value["mean"] for name, value in figures[kind].items()}
        assert of["gain_over_random"] == pytest.approx(better * (of["map"] - of["random"]), abs=1e-4)
        assert of["gain_over_blob"] == pytest.approx(better * (of["map"] - of["blob"]), abs=1e-4)
        assert of["gain_over_blob"] > 0 or kind in ("road", "arcc")


def test_summaries_by_hand() -> None:
    numbers = summary([0, 1, 2, 3, 4], seed=0)
    assert (numbers["count"], numbers["mean"]) == (5, 2)
    assert numbers["quantiles"] == {"5": 0.2, "25": 1, "50": 2, "75": 3, "95": 3.8}
    low, high = numbers["interval"]
    # The mean's standard error is sqrt(2 / 5): 1.96 of them are 1.24.
    assert low == pytest.approx(2 - 1.24, abs=0.25) and high == pytest.approx(2 + 1.24, abs=0.25)
    assert summary([0, 1, 2, 3, 4], seed=0) == numbers
    assert summary([2, 2], seed=0)["interval"] == [2, 2]
    assert summary([0.123456789], seed=0) == {
        "count": 1,
        "mean": 0.12346,
        "interval": None,
        "quantiles": dict.fromkeys(("5", "25", "50", "75", "95"), 0.12346),
    }


def test_mean_faces_are_of_many_faces_small_and_whole_numbers() -> None:
    generator = np.random.default_rng(0)
    crops = list(generator.integers(0, 256, (LEAST_FACES + 1, 64, 64), np.uint8))
    found = mean_faces(crops, ["fear"] * LEAST_FACES + ["anger"])
    assert list(found) == ["fear", "all"]  # one angry face would be shown as it is
    assert found["all"]["count"] == LEAST_FACES + 1
    pixels = np.array(found["fear"]["pixels"])
    assert pixels.shape == (MEAN_SIDE, MEAN_SIDE) and pixels.dtype.kind == "i"
    expected = np.stack(crops[:-1]).reshape(-1, 32, 2, 32, 2).mean((0, 2, 4))
    assert np.abs(pixels - expected).max() <= 0.5
    assert mean_faces(crops[: LEAST_FACES - 1], ["fear"] * (LEAST_FACES - 1)) == {}


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    lines = ["emotion,pixels,Usage"]
    for number in range(40):
        coarse = generator.integers(0, 256, (6, 6)).repeat(8, 0).repeat(8, 1)
        lines.append(f"{number % 7},{' '.join(map(str, coarse.ravel()))},PrivateTest")
    (tmp_path / "fer2013.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def words(dataset: Path, weights_dir: Path, report: Path) -> list[str]:
    base = ["attention", "--data", str(dataset), "--labels", "fer2013", "--split", "PrivateTest", "--device", "cpu"]
    return [*base, "--weights", str(weights_dir), "--judged", "1", "--steps", "2", "--json", str(report)]


def test_a_whole_run_writes_what_it_says_and_no_place_of_this_machine(
    dataset: Path, weights_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = dataset / "results" / "attention.json"
    arguments = words(dataset, weights_dir, report)
    assert main([*arguments, "--models", "vgg16", "resnet50", "--faces", "35", "--seed", "4"]) == 0
    assert "vgg16" in capsys.readouterr().out
    document = json.loads(report.read_text())
    assert document["command"] == (
        "python -m fer_models attention --data DIR --labels fer2013 --split PrivateTest --models vgg16 resnet50 "
        "--faces 35 --judged 1 --steps 2 --seed 4 --json attention.json"
    )
    assert (document["labels"], document["split"], document["faces"]) == ("fer2013", "test", 35)
    assert sum(document["counts"].values()) == 35
    assert sum(document["areas"].values()) == pytest.approx(1)
    assert list(document["models"]) == ["vgg16", "resnet50"]
    for name, model in document["models"].items():
        assert model["sha256"] == read_card(weights_dir / f"{name}.json").sha256
        assert model["consistency"]["correlation"]["count"] == 35
        assert model["faithfulness"]["faces"] == 1
        assert list(model["atlas"]["labelled"]) == [name for name in EXPRESSIONS if document["counts"][name]]
        assert np.array(model["atlas"]["labelled"]["fear"]["map"]).ndim == 2
    assert list(document["mean_faces"]) == ["all"]
    assert not [text for text in strings(document) if str(dataset) in text or str(weights_dir) in text]
    again = dataset / "again.json"
    arguments = words(dataset, weights_dir, again)
    assert main([*arguments, "--models", "resnet50", "--faces", "35", "--seed", "4"]) == 0
    one, other = document["models"]["resnet50"], json.loads(again.read_text())["models"]["resnet50"]
    assert one["consistency"] == other["consistency"] and one["regions"] == other["regions"]  # the same faces


def test_models_without_maps_are_left_out_and_named(
    dataset: Path,
    weights_dir: Path,
    analyzer: Analyzer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    vgg16 = analyzer.classifiers["vgg16"]
    card = replace(vgg16.card, name="graph")
    graph = Classifier(card, None, torch.device("cpu"), vgg16.engine)  # whose head nobody knows
    for models in ([graph], [graph, vgg16]):
        monkeypatch.setattr(command, "analyzer_of", lambda _, models=models: Analyzer(models, analyzer.detector))
        report = dataset / "attention.json"
        code = main([*words(dataset, weights_dir, report), "--faces", "2"])
        assert "graph is left out. No map" in capsys.readouterr().err
        assert code == (0 if vgg16 in models else 2) and report.exists() == (code == 0)
    document = json.loads(report.read_text())
    assert list(document["models"]) == ["vgg16"] and list(document["left_out"]) == ["graph"]
    assert "consistency" in document["models"]["vgg16"] and "left_out" not in document["models"]["vgg16"]
    record = AttentionRecord.model_validate(document)
    assert "graph was left out. No map" in source_sentence(AttentionResults(record))


def test_a_baseline_of_another_folder_is_measured_beside_and_marked(
    dataset: Path, weights_dir: Path, write_model: Callable[..., ModelCard], capsys: pytest.CaptureFixture[str]
) -> None:
    other = dataset / "elsewhere"
    other.mkdir()
    card = write_model(other, "plain", seed=9)
    report = dataset / "attention.json"
    arguments = [*words(dataset, weights_dir, report), "--models", "vgg16", "--faces", "2"]
    assert main([*arguments, "--baseline", str(other / "plain.safetensors")]) == 0
    document = json.loads(report.read_text())
    assert {name: model["baseline"] for name, model in document["models"].items()} == {"vgg16": False, "plain": True}
    assert document["models"]["plain"]["sha256"] == card.sha256
    assert "--models vgg16 --baseline DIR/plain.safetensors" in document["command"]
    for file, problem in (("plain.pth", "expected a file"), ("missing.safetensors", "no model card")):
        assert main([*arguments, "--baseline", str(other / file)]) == 2
        assert problem in capsys.readouterr().err
    assert main([*arguments, "--baseline", str(weights_dir / "vgg16.safetensors")]) == 2
    assert "there is already a model vgg16" in capsys.readouterr().err


@pytest.mark.parametrize("count", ["0", "-3", "many"])
def test_counts_are_checked_at_once(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["attention", "--data", "x", "--labels", "ferplus", "--json", "y", "--faces", count])
    assert "not a whole number from 1" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_told_before_the_work(
    dataset: Path, weights_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (dataset / "file").write_text("")
    assert main(words(dataset, weights_dir, dataset / "file" / "report.json")) == 2
    assert "Cannot write" in capsys.readouterr().err
