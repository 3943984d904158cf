"""`python -m fer_models study noise`: plain training against EAC when a share of the training labels is wrong.

The study EAC exists for (Zhang et al., ECCV 2022, table 1), on FER+ instead of RAF-DB: the same faces, steps and
budget, flips and erasing only, long enough to memorise. Every run saves a checkpoint each epoch and goes on from it.

EAC's second view is the first one mirrored, erased part and all, at every share of noise. The authors' code does so for
right labels; for wrong ones it erases the mirrored view anew (`EACTask`, "independent").
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from fer_models.analyzer import WEIGHTS
from fer_models.datasets.dataset import FaceData
from fer_models.errors import FerError
from fer_models.expressions import EXPRESSIONS
from fer_models.models.architectures import PooledClassifier, build_network
from fer_models.models.card import ModelCard, write_card
from fer_models.models.classifier import find_device
from fer_models.models.weights import save_weights
from fer_models.registry import load_dataset
from fer_models.training.augment import Augmentation
from fer_models.training.initial_weights import start_from
from fer_models.training.recipes import Recipe, Stage
from fer_models.training.train import COMPILE, INTENDED_USE, MISUSE
from fer_models.training.trainer import Trainer

#: Training faces, as many as RAF-DB has.
FACES: Final = 12_271
NOISES: Final = (0, 10, 20, 30)
METHODS: Final = ("plain", "eac")
#: Stands for the noise of FER2013's own labels, tested on FER+.
REAL: Final = "fer2013"

_RECIPE: Final = Recipe(
    *("mobilenet_v2", "ferplus", (Stage(48, 40),), "eac"),
    batch=64,
    optimizer="adamw",
    lr=5e-4,
    weight_decay=1e-4,
    warmup=0.05,
    average=0.0,  # the moving average would hide what is memorised
    precision="fp32",
    ramp=0.2,
    augmentation=Augmentation(rotation=0, shift=0, scale=0, brightness=0, contrast=0, erase=1.0),
    start="imagenet",
)


@dataclass(frozen=True)
class Run:
    """One training of the study.

    Attributes:
        method: "plain" or "eac".
        noise: percent of the training labels that are flipped, or `REAL`.
        seed: of the faces, the flips, and the training.
    """

    method: str
    noise: int | str
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.method}_{self.noise}_{self.seed}"


@dataclass(frozen=True, eq=False)
class NoisyFaces:
    """Training faces some of whose labels are wrong.

    Attributes:
        data: with the labels as they are trained on.
        clean: (N,) int64, the right labels.
    """

    data: FaceData
    clean: NDArray[np.int64]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """(N,) bool: where the label trained on is not the right one."""
        return np.asarray(self.data.targets != self.clean)


def flip(targets: NDArray[np.int64], percent: int, seed: int) -> NDArray[np.int64]:
    """Flip exactly this share of the labels, each to one of the other six with equal probability.

    Args:
        targets: (N,) int64.
        percent: 0 to 100.
        seed: of which, and to what.

    Returns:
        A new (N,) int64.
    """
    generator = np.random.default_rng([seed, 1])
    rows = generator.permutation(len(targets))[: round(len(targets) * percent / 100)]
    flipped = targets.copy()
    flipped[rows] = (targets[rows] + generator.integers(1, len(EXPRESSIONS), len(rows))) % len(EXPRESSIONS)
    return flipped


def training_faces(run: Run, root: Path, count: int = FACES) -> NoisyFaces:
    """The faces and labels of a run: the same faces for every method and share of noise of one seed.

    Raises:
        DatasetError: FER2013 or FER+ is missing or malformed.
    """
    clean = load_dataset("ferplus", root, "train")
    chosen = np.sort(np.random.default_rng([run.seed, 0]).permutation(len(clean))[:count])
    clean = replace(clean.take(chosen), soft=None)
    if run.noise == REAL:
        own = load_dataset("fer2013", root, "train")
        labels = dict(zip(own.rows.tolist(), own.targets.tolist(), strict=True))
        noisy = np.array([labels[row] for row in clean.rows.tolist()])
    else:
        noisy = flip(clean.targets, int(run.noise), run.seed)
    return NoisyFaces(replace(clean, targets=noisy), clean.targets)


def recipe_of(run: Run, epochs: int, size: int) -> Recipe:
    """The study's recipe: methods differ in the consistency loss alone."""
    stages = (Stage(size, epochs),)
    return replace(_RECIPE, stages=stages, consistency=5.0 if run.method == "eac" else 0.0, seed=run.seed)


class StudyTrainer(Trainer):
    """A trainer that also tells, after every epoch, accuracy on clean test labels and how many wrong ones it holds."""

    def __init__(
        self,
        network: PooledClassifier,
        recipe: Recipe,
        out: Path,
        device: torch.device,
        *,
        faces: NoisyFaces,
        test: FaceData,
        compiled: bool = False,
    ) -> None:
        """As `Trainer`, with what is measured on the way; what was measured before is read from OUT/curve.json."""
        super().__init__(network, recipe, out, device, compiled=compiled)
        self.faces, self.test = faces, test
        self._wrong = faces.data.take(faces.wrong)

    def _close_epoch(self, stage: Stage, accuracy: float, seconds: float) -> None:
        point = {
            "epoch": self.epoch + 1,
            "validation_accuracy": accuracy,
            "test_accuracy": self._validate(stage.size, self.test),
            "wrong_labels_held": self._validate(stage.size, self._wrong) if len(self._wrong) else None,
        }
        path = self.out / "curve.json"
        curve = json.loads(path.read_text()) if path.is_file() else []
        curve = [each for each in curve if each["epoch"] <= self.epoch] + [point]
        path.write_text(json.dumps(curve, indent=1) + "\n", encoding="utf-8")
        super()._close_epoch(stage, accuracy, seconds)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("study", choices=["noise"], help="which study")
    parser.add_argument("--data", type=Path, required=True, help="folder with fer2013.csv and fer2013new.csv")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/noise"), help="folder of the runs (default: %(default)s)"
    )
    parser.add_argument("--noise", nargs="+", default=[*map(str, NOISES)], help="percent flipped, or fer2013")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS, help="default: both")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="default: 0")
    parser.add_argument("--epochs", type=int, default=40, help="default: %(default)s")
    parser.add_argument("--size", type=int, default=48, help="side of the input in px (default: %(default)s)")
    parser.add_argument("--faces", type=int, default=FACES, help="training faces (default: %(default)s)")
    parser.add_argument("--init", default="imagenet", help="weights to begin with, or none (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ... (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument("--compile", action="store_true", help=COMPILE)
    parser.add_argument("--report", type=Path, help="where the curves go (default: weights/results/noise_study.json)")


def run(args: argparse.Namespace) -> int:
    """Run, or go on with, every training of the study, and write the curves after each.

    Raises:
        FerError: data or settings are unusable.
    """
    if args.threads:
        torch.set_num_threads(args.threads)
    runs = [Run(method, _noise(noise), seed) for seed in args.seeds for noise in args.noise for method in args.methods]
    test = load_dataset("ferplus", args.data, "test")
    validation = load_dataset("ferplus", args.data, "validation")
    report = args.report or WEIGHTS / "results" / "noise_study.json"
    for each in runs:
        print(f"{each.name}", flush=True)
        _train(each, args, validation, test)
        write_report(args.out, runs, args, report)
    return 0


def _noise(text: str) -> int | str:
    if text == REAL:
        return text
    if not text.isdigit() or int(text) > 100:
        raise FerError(f"--noise {text}: expected percent from 0 to 100, or {REAL} for that set's own labels.")
    return int(text)


def _train(run: Run, args: argparse.Namespace, validation: FaceData, test: FaceData) -> None:
    out = args.out / run.name
    out.mkdir(parents=True, exist_ok=True)
    faces = training_faces(run, args.data, args.faces)
    lists = out / "labels.csv"
    rows = _list_of(faces)
    if (out / "checkpoint.pt").is_file() and lists.is_file() and lists.read_text(encoding="utf-8") != rows:
        raise FerError(f"{out} has a run on other faces or labels. Choose another --out, or remove that folder.")
    lists.write_text(rows, encoding="utf-8")
    recipe = replace(recipe_of(run, args.epochs, args.size), start=None if args.init == "none" else args.init)
    torch.manual_seed(run.seed)
    network = build_network(recipe.architecture, len(EXPRESSIONS))
    start_from(network, recipe.start, [WEIGHTS], architecture=recipe.architecture)
    device = find_device(args.device)
    trainer = StudyTrainer(network, recipe, out, device, faces=faces, test=test, compiled=args.compile)
    if (out / "checkpoint.pt").is_file():
        trainer.resume()
    trainer.fit(faces.data, validation)
    _export(trainer, run, out, len(faces.data), _command(args, [run]))


def _list_of(faces: NoisyFaces) -> str:
    """The labels as trained on, so that anybody can use the same ones: rows count from 0 in fer2013.csv."""
    columns = zip(faces.data.rows, faces.clean, faces.data.targets, strict=True)
    lines = [f"{row},{EXPRESSIONS[clean]},{EXPRESSIONS[used]}" for row, clean, used in columns]
    return "row,clean,used\n" + "\n".join(lines) + "\n"


def _export(trainer: Trainer, run: Run, out: Path, faces: int, command: str) -> None:
    """The last epoch's weights, whatever they memorised, with a card."""
    network = trainer.network.to("cpu", memory_format=torch.contiguous_format)
    name = f"noise_{run.name}"
    sha256 = save_weights(network, out / f"{name}.safetensors")
    noise = "FER2013's own labels" if run.noise == REAL else f"FER+ with {run.noise} % of the labels flipped"
    card = ModelCard(
        name=name,
        title=f"{'EAC' if run.method == 'eac' else 'Plain'}, {noise}",
        architecture=trainer.recipe.architecture,
        labels=EXPRESSIONS,
        input=trainer.recipe.input(trainer.recipe.stages[-1].size),
        training_labels=noise,
        training_data=f"{faces} faces of FER2013's training split",
        licence="MIT",
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        sha256=sha256,
        intended_use=INTENDED_USE,
        misuse=MISUSE,
        recipe={"command": f"{command} --methods {run.method}", "settings": asdict(trainer.recipe)},
    )
    write_card(card, out / f"{name}.json")


def _command(args: argparse.Namespace, runs: Sequence[Run]) -> str:
    """What repeats these runs; seeds and shares of noise in the order of their first run."""
    noises = " ".join(dict.fromkeys(str(run.noise) for run in runs))
    seeds = " ".join(dict.fromkeys(str(run.seed) for run in runs))
    return (
        f"python -m fer_models study noise --data DIR --epochs {args.epochs} --size {args.size} --faces {args.faces} "
        f"--seeds {seeds} --noise {noises}"
    )


def write_report(out: Path, runs: Sequence[Run], args: argparse.Namespace, path: Path) -> None:
    """Write the curves of all runs so far; those that are not finished are marked so.

    Raises:
        FerError: the file cannot be written.
    """
    entries: list[dict[str, Any]] = []
    for each in runs:
        file = out / each.name / "curve.json"
        curve = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
        best = max(curve, key=lambda point: point["validation_accuracy"], default=None)
        entries.append(
            {
                "method": each.method,
                "noise": each.noise,
                "seed": each.seed,
                "finished": len(curve) >= args.epochs,
                "last_test_accuracy": curve[-1]["test_accuracy"] if curve else None,
                "best_test_accuracy": best["test_accuracy"] if best else None,
                "curve": curve,
            }
        )
    document = {
        "command": _command(args, runs),
        "tested_on": "FER+ test split, majority labels",
        "best": "the epoch with the highest accuracy on the clean validation split",
        "epochs": args.epochs,
        "runs": entries,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise FerError(f"Cannot write {path}: {error.strerror}.") from error
