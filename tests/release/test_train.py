"""Whole training runs on a tiny synthetic set: the command, resuming, several processes, what comes out."""

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from fer_models.cli.main import main
from fer_models.datasets.dataset import FaceData
from fer_models.errors import FerError, WeightsError
from fer_models.expressions import EXPRESSIONS
from fer_models.models.architectures import PooledClassifier, build_network
from fer_models.models.card import read_card
from fer_models.models.weights import load_network, save_weights
from fer_models.registry import load_dataset
from fer_models.training import precision, train
from fer_models.training.initial_weights import start_from
from fer_models.training.recipes import RECIPES, Recipe, Stage, find_recipe
from fer_models.training.trainer import Trainer

RECIPE = replace(
    find_recipe("eac_mobilenet_v2", "final"),
    stages=(Stage(32, 1), Stage(40, 2, share=0.5, peak=0.5)),
    batch=8,
    start=None,
)


@pytest.fixture
def sets(data_dir: Path) -> tuple[FaceData, FaceData]:
    return load_dataset("ferplus", data_dir, "train"), load_dataset("ferplus", data_dir, "validation")


def trainer(out: Path, recipe: Recipe = RECIPE, compiled: bool = False) -> Trainer:
    """A run of a network of one convolution: what is tested of runs is the same for all."""
    out.mkdir(exist_ok=True)
    torch.manual_seed(recipe.seed)
    layers = nn.Conv2d(3, 4, 3, stride=2, bias=False), nn.BatchNorm2d(4), nn.ReLU6()
    network = PooledClassifier(nn.Sequential(*layers), 4, len(EXPRESSIONS))
    return Trainer(network, recipe, out, torch.device("cpu"), compiled=compiled)


def test_a_cycle_starts_from_the_models_own_weights_and_is_compared_with_them(
    weights_dir: Path,
    data_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "weights").symlink_to(weights_dir)
    monkeypatch.chdir(tmp_path)
    words = ["train", "eac_mobilenet_v2", "--recipe", "cycle", "--data", str(data_dir), "--device", "cpu"]
    assert main([*words, "--stages", "32x1", "--out", "runs/first"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"better than weights/eac_mobilenet_v2.safetensors: [\d.]+% against [\d.]+%", said)
    first = read_card(tmp_path / "runs" / "first" / "eac_mobilenet_v2.json").recipe
    assert first["settings"]["start"] == "eac_mobilenet_v2" and not first["settings"]["restarts"]
    again = [*words, "--stages", "32x1", "--out", "runs/second", "--init", "runs/first/eac_mobilenet_v2.safetensors"]
    assert main(again) == 0
    second = read_card(tmp_path / "runs" / "second" / "eac_mobilenet_v2.json").recipe
    assert second["earlier_runs"] == [first] and second["log"] != first["log"]


def losses_in(log: Path) -> list[str]:
    with log.open() as handle:
        return [row["loss"] for row in csv.DictReader(handle)]


def test_the_command_trains_a_model_that_evaluate_reads(data_dir: Path, tmp_path: Path) -> None:
    """The path from nothing to figures, for a small model."""
    out = tmp_path / "run"
    words = ["train", "eac_mobilenet_v2", "--data", str(data_dir), "--out", str(out), "--init", "none"]
    assert main([*words, "--stages", "32x7", "--batch", "16", "--device", "cpu"]) == 0
    card = read_card(out / "eac_mobilenet_v2.json")
    assert card.training_labels.startswith("FER+")
    assert card.input.size == 32
    load_network(card, out / "eac_mobilenet_v2.safetensors")  # checks the hash and the shapes
    assert card.recipe["settings"]["objective"] == "eac"
    with (out / "log.csv").open() as handle:
        log = list(csv.DictReader(handle))
    assert [row["epoch"] for row in log] == [f"{epoch}.0" for epoch in range(1, 8)]
    assert float(log[-1]["loss"]) < float(log[0]["loss"])

    report = tmp_path / "report.json"
    words = ["evaluate", "--data", str(data_dir), "--labels", "fer2013", "--split", "PrivateTest"]
    assert main([*words, "--weights", str(out), "--models", "eac_mobilenet_v2", "--json", str(report)]) == 0
    measured = json.loads(report.read_text())["models"]["eac_mobilenet_v2"]
    assert measured["count"] == 12
    assert measured["accuracy"] > 0.9  # dark against bright
    assert measured["labels"] == list(EXPRESSIONS)
    assert sum(map(sum, measured["confusion"])) == 12
    assert measured["sha256"] == card.sha256


def test_a_resumed_run_equals_one_that_was_never_stopped(
    sets: tuple[FaceData, FaceData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted in the middle of the second epoch: same schedule, same draws, same weights to the bit."""
    whole = trainer(tmp_path / "whole")
    whole.fit(*sets)

    stopped = trainer(tmp_path / "stopped")
    steps = 0
    forward = stopped._forward

    def interrupted(*args: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        nonlocal steps
        steps += 1
        if steps == 22:  # twenty in the first epoch, then one of the second
            raise KeyboardInterrupt
        return forward(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(stopped, "_forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(*sets)
    assert (stopped.epoch, stopped.batch_index) == (1, 1)

    resumed = trainer(tmp_path / "stopped")
    resumed.resume()
    assert (resumed.epoch, resumed.batch_index) == (1, 1)
    resumed.fit(*sets)
    without_time = [[{**row, "seconds": 0} for row in run.history] for run in (whole, resumed)]
    assert without_time[0] == without_time[1]
    for key, value in whole.average.state_dict().items():
        assert torch.equal(value, resumed.average.state_dict()[key]), key


def test_ctrl_c_in_a_step_ends_after_it(sets: tuple[FaceData, FaceData], tmp_path: Path) -> None:
    """In the step draws were made and statistics taken: a checkpoint from its middle would make them twice."""
    whole, stopped = trainer(tmp_path / "whole"), trainer(tmp_path / "stopped")
    whole.fit(*sets)
    forward = stopped._forward

    def signalled(*args: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        result = forward(*args)  # type: ignore[arg-type]
        if stopped.batch_index == 3:
            signal.raise_signal(signal.SIGINT)
        return result

    stopped._forward = signalled  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(*sets)
    assert stopped.batch_index == 4
    resumed = trainer(tmp_path / "stopped")
    resumed.resume()
    resumed.fit(*sets)
    for key, value in whole.average.state_dict().items():
        assert torch.equal(value, resumed.average.state_dict()[key]), key


def test_a_checkpoint_of_another_kind_of_device_goes_on_between_epochs(tmp_path: Path) -> None:
    """CUDA's generators keep another state than the CPU's."""
    trainer(tmp_path).save()
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    state["generator"] = torch.zeros(16, dtype=torch.uint8)
    torch.save(state, tmp_path / "checkpoint.pt")
    trainer(tmp_path).resume()
    state["progress"] = [0, 2, 2]
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.raises(FerError, match="in the middle of an epoch on another kind of device"):
        trainer(tmp_path).resume()


def test_photos_are_no_training_faces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("happy", "sad"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(10):
            Image.new("L", (64, 48)).save(tmp_path / "data" / name / f"{number}.png")
    words = ["train", "vgg16", "--labels", "folder", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "run")]
    assert main([*words, "--init", "none", "--device", "cpu"]) == 2
    assert ".png is 64x48 px: training takes square pictures" in capsys.readouterr().err


@pytest.mark.parametrize(("rank", "expected"), [(None, 1), ("3", 3)])
def test_the_chosen_gpu_is_used_unless_torchrun_chooses(
    rank: str | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "find_device", torch.device)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("LOCAL_RANK", rank)
    assert train._device("cuda:1").index == expected
    assert train._device("cpu") == torch.device("cpu")


def test_resume_refuses_another_recipe_and_nothing(tmp_path: Path) -> None:
    with pytest.raises(FerError, match="no .*checkpoint.pt to resume from"):
        trainer(tmp_path).resume()
    trainer(tmp_path).save()
    with pytest.raises(FerError, match="written by another recipe"):
        trainer(tmp_path, replace(RECIPE, lr=0.5)).resume()


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_run_learns_the_same_and_goes_on_without_a_compiler(
    sets: tuple[FaceData, FaceData], tmp_path: Path
) -> None:
    recipe = replace(RECIPE, stages=(Stage(16, 1),), ramp=0.0)
    runs = [trainer(tmp_path / str(compiled), recipe, compiled) for compiled in (False, True)]
    for run in runs:
        run.fit(*sets)
    assert runs[1].history[0]["loss"] == pytest.approx(runs[0].history[0]["loss"], rel=1e-4)
    for key, value in runs[0].network.state_dict().items():
        torch.testing.assert_close(runs[1].network.state_dict()[key], value, rtol=1e-3, atol=1e-4)
    runs[0].out = runs[1].out
    runs[0].resume()
    assert torch.equal(runs[0].network.fc.weight, runs[1].network.fc.weight)


def test_a_machine_that_only_emulates_bf16_computes_in_fp32(
    data_dir: Path,
    sets: tuple[FaceData, FaceData],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Emulated, a step of ResNet-50 takes twenty times as long; the recipe keeps what it asked for, the card tells."""
    half, full = replace(RECIPE, precision="bf16"), replace(RECIPE, precision="fp32")
    monkeypatch.setattr(precision, "_has_bf16", lambda device: False)
    for name, recipe in {"half": half, "full": full}.items():
        trainer(tmp_path / name, recipe).fit(*sets)
    losses = {name: losses_in(tmp_path / name / "log.csv") for name in ("half", "full")}
    assert losses["half"] == losses["full"]

    monkeypatch.setitem(RECIPES, "eac_mobilenet_v2", {"final": half})
    words = ["train", "eac_mobilenet_v2", "--data", str(data_dir), "--out", str(tmp_path), "--stages", "32x1"]
    assert main([*words, "--device", "cpu"]) == 0
    assert "only emulates bf16: computing in fp32" in capsys.readouterr().out
    card = read_card(tmp_path / "eac_mobilenet_v2.json")
    assert card.recipe["settings"]["precision"] == "bf16"
    assert card.recipe["machine"].endswith("fp32 for lack of bf16")


@pytest.mark.parametrize(("has", "wanted", "used"), [(True, "bf16", "bf16"), (False, "bf16", "fp32")])
def test_precision_is_what_the_machine_has(
    has: bool, wanted: precision.Precision, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_has_bf16", lambda device: has)
    assert precision.usable_precision(wanted, torch.device("cpu")) == used
    assert precision.usable_precision("fp32", torch.device("cpu")) == "fp32"


@pytest.mark.skipif(torch.backends.cpu.get_cpu_capability() != "AVX512", reason="no CPU that is known to have bf16")
def test_a_cpu_with_avx512_is_used_in_bf16() -> None:
    assert precision.usable_precision("bf16", torch.device("cpu")) == "bf16"


def test_a_diverged_run_stops_with_advice(sets: tuple[FaceData, FaceData], tmp_path: Path) -> None:
    run = trainer(tmp_path)
    with torch.no_grad():
        run.network.fc.weight.fill_(float("nan"))
    with pytest.raises(FerError, match="lower the learning rate"):
        run.fit(*sets)


def test_two_processes(data_dir: Path, tmp_path: Path) -> None:
    """torchrun splits every batch; one process writes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "fer_models", "train", "eac_mobilenet_v2", "--data", str(data_dir), "--out", str(tmp_path)]
    command += ["--init", "none", "--stages", "32x1", "--batch", "8", "--device", "cpu", "--threads", "1"]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert read_card(tmp_path / "eac_mobilenet_v2.json").recipe["training_faces"] == 160


def test_start_weights_must_fit(tmp_path: Path) -> None:
    network = build_network("mobilenet_v2", 7)
    with pytest.raises(WeightsError, match="no weights to start from"):
        start_from(network, "resnet50", [tmp_path])
    save_weights(build_network("mobilenet_v2", 7), tmp_path / "eac_mobilenet_v2.safetensors")
    start_from(network, "eac_mobilenet_v2", [tmp_path])
    stored = load_file(tmp_path / "eac_mobilenet_v2.safetensors")
    assert torch.equal(network.fc.weight, stored["fc.weight"].float())
    with pytest.raises(WeightsError, match="do not fit"):
        start_from(build_network("vgg16", 7), str(tmp_path / "eac_mobilenet_v2.safetensors"), [])


@pytest.mark.parametrize(
    "words", [["--stages", "48"], ["--stages", "ax2"], ["--recipe", "nonsense"], ["--data", "nowhere"]]
)
def test_wrong_settings_are_one_line(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["train", "vgg16", "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    assert main([*base, *words]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1


def test_every_recipe_is_sound() -> None:
    for model, recipes in RECIPES.items():
        for recipe in recipes.values():
            consistent = recipe.objective == "eac" and recipe.consistency > 0
            assert consistent == model.startswith("eac")
            strides_32 = recipe.architecture in ("resnet50_caffe", "mobilenet_v2_stride32")
            assert recipe.stages[-1].size in ((224,) if strides_32 else (64, 80, 96, 112))  # maps of 4x4 to 7x7
            assert all(0 < stage.share <= 1 and stage.epochs > 0 for stage in recipe.stages)


@pytest.mark.parametrize("network", ["resnet50", "mobilenet_v2"])
def test_the_matched_baseline_differs_in_the_consistency_loss_alone(network: str) -> None:
    recipe = find_recipe(f"eac_{network}", "final")
    assert find_recipe(f"plain_{network}", "final") == replace(recipe, consistency=0.0)
    assert recipe.consistency > 0


def test_the_whole_path_on_a_folder_in_rafdbs_layout(tmp_path: Path) -> None:
    """Its recipe is taken without being named: colour, 224 px unless told otherwise, the paper's lambda."""
    root = tmp_path / "rafdb"
    generator = np.random.default_rng(0)
    (root / "EmoLabel").mkdir(parents=True)
    (root / "Image" / "aligned").mkdir(parents=True)
    lines, noisy = [], []
    for split, count in (("train", 80), ("test", 10)):
        for index in range(count):
            label = index % 2  # happiness is red, surprise is blue, both as bright
            pixels = np.full((100, 100, 3), 40, np.uint8)
            pixels[..., 0 if label else 2] = generator.integers(180, 250)
            name = f"{split}_{index:05d}"
            Image.fromarray(pixels).save(root / "Image" / "aligned" / f"{name}_aligned.jpg")
            lines.append(f"{name}.jpg {4 if label else 1}")
            noisy.append(f"{name}.jpg {7 if split == 'train' and index < 8 else 4 if label else 1}")
    (root / "EmoLabel" / "list_patition_label.txt").write_text("\n".join(lines) + "\n")
    (root / "EmoLabel" / "noise01.txt").write_text("\n".join(noisy) + "\n")
    out = tmp_path / "run"
    words = ["train", "eac_mobilenet_v2", "--data", str(root), "--labels", "rafdb", "--labels-file", "noise01.txt"]
    words += ["--out", str(out), "--init", "none", "--stages", "32x3", "--batch", "8", "--device", "cpu"]
    assert main(words) == 0
    card = read_card(out / "eac_mobilenet_v2.json")
    assert card.training_labels == "RAF-DB"
    assert (card.input.mode, card.input.size, card.input.source_size) == ("rgb", 32, None)
    assert card.recipe["command"] == (
        "python -m fer_models train eac_mobilenet_v2 --recipe rafdb --data DIR --labels rafdb "
        "--labels-file noise01.txt --stages 32x3 --batch 8 --init none"
    )
    assert card.recipe["training_faces"] == 72
    assert (card.recipe["settings"]["consistency"], card.recipe["settings"]["view"]) == (5, "independent")
    assert find_recipe("eac_mobilenet_v2", "rafdb").view == "mirrored"  # for labels that are right
    report = tmp_path / "report.json"
    words = ["evaluate", "--data", str(root), "--labels", "rafdb", "--weights", str(out), "--device", "cpu"]
    words += ["--models", "eac_mobilenet_v2"]
    assert main([*words, "--json", str(report)]) == 0
    measured = json.loads(report.read_text())["models"]["eac_mobilenet_v2"]
    assert measured["count"] == 10
    assert measured["recall"]["happiness"] is not None and measured["recall"]["surprise"] is not None
    assert measured["recall"]["neutral"] is None  # the noise is in the training list alone
