"""The label noise study: plain training against EAC when a share of the training labels is wrong.

The study EAC exists for (Zhang et al., ECCV 2022, table 1), on FER+ instead of RAF-DB: the same faces, steps and
budget, flips and erasing only, long enough to memorise. Every run saves a checkpoint per epoch and continues from it.

EAC's second view is the first one mirrored, erased part and all, at every share of noise. The authors' code does so for
right labels; for wrong ones it erases the mirrored view anew (`EACTask`, "independent").
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from fer_models.analyzer import WEIGHTS
from fer_models.datasets.dataset import FaceData
from fer_models.errors import FerError
from fer_models.evaluation.records import NoisePoint, NoiseRun, NoiseStudyRecord
from fer_models.evaluation.store import write_record
from fer_models.expressions import EXPRESSIONS
from fer_models.media.files import write_json, write_text
from fer_models.models.architectures import PooledClassifier, build_network
from fer_models.models.card import ModelCard, write_card
from fer_models.models.classifier import find_device
from fer_models.models.weights import save_weights
from fer_models.registry import load_dataset
from fer_models.training.augment import Augmentation
from fer_models.training.initial_weights import start_from
from fer_models.training.recipes import Recipe, Stage
from fer_models.training.train import INTENDED_USE, MISUSE
from fer_models.training.trainer import Trainer

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


def training_faces(run: Run, root: Path, count: int) -> NoisyFaces:
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
    """A trainer that also measures accuracy on clean test labels and memorised labels, after every epoch."""

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
        curve = [earlier for earlier in curve if earlier["epoch"] <= self.epoch] + [point]
        write_json(path, curve)
        super()._close_epoch(stage, accuracy, seconds)


@dataclass(frozen=True)
class StudySettings:
    """What all runs of a study share.

    Attributes:
        data: folder with fer2013.csv and fer2013new.csv.
        out: folder of the runs.
        epochs: of each run.
        size: side of the input in px.
        faces: how many training faces.
        start: weights to begin with; None: random ones.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        compiled: fuse steps with torch.compile.
    """

    data: Path
    out: Path
    epochs: int
    size: int
    faces: int
    start: str | None = "imagenet"
    device: str = "auto"
    compiled: bool = False


def run_study(runs: Sequence[Run], settings: StudySettings, report: Path) -> None:
    """Run, or continue, every training of the study, and write the curves after each.

    Args:
        runs: in this order.
        settings: of all of them.
        report: the file of the curves.

    Raises:
        FerError: data or settings are unusable, or a file cannot be written.
    """
    test = load_dataset("ferplus", settings.data, "test")
    validation = load_dataset("ferplus", settings.data, "validation")
    for run in runs:
        print(f"{run.name}", flush=True)
        _train(run, settings, validation, test)
        write_report(runs, settings, report)


def _train(run: Run, settings: StudySettings, validation: FaceData, test: FaceData) -> None:
    out = settings.out / run.name
    out.mkdir(parents=True, exist_ok=True)
    faces = training_faces(run, settings.data, settings.faces)
    lists = out / "labels.csv"
    rows = _list_of(faces)
    if (out / "checkpoint.pt").is_file() and lists.is_file() and lists.read_text(encoding="utf-8") != rows:
        raise FerError(f"{out} has a run on other faces or labels. Choose another --out, or remove that folder.")
    write_text(lists, rows)
    recipe = replace(recipe_of(run, settings.epochs, settings.size), start=settings.start)
    torch.manual_seed(run.seed)
    network = build_network(recipe.architecture, len(EXPRESSIONS))
    start_from(network, recipe.start, [WEIGHTS], architecture=recipe.architecture)
    device = find_device(settings.device)
    trainer = StudyTrainer(network, recipe, out, device, faces=faces, test=test, compiled=settings.compiled)
    if (out / "checkpoint.pt").is_file():
        trainer.resume()
    trainer.fit(faces.data, validation)
    _export(trainer, run, out, len(faces.data), _command([run], settings))


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


def _command(runs: Sequence[Run], settings: StudySettings) -> str:
    """What repeats these runs; seeds and shares of noise in the order of their first run."""
    noises = " ".join(dict.fromkeys(str(run.noise) for run in runs))
    seeds = " ".join(dict.fromkeys(str(run.seed) for run in runs))
    return (
        f"python -m fer_models study noise --data DIR --epochs {settings.epochs} --size {settings.size} "
        f"--faces {settings.faces} --seeds {seeds} --noise {noises}"
    )


def write_report(runs: Sequence[Run], settings: StudySettings, path: Path) -> None:
    """Write the curves of all runs so far; those that are not finished are marked so.

    Raises:
        FerError: the file cannot be written.
    """
    results = []
    for run in runs:
        file = settings.out / run.name / "curve.json"
        curve = (
            [NoisePoint(**point) for point in json.loads(file.read_text(encoding="utf-8"))] if file.is_file() else []
        )
        best = max(curve, key=lambda point: point.validation_accuracy, default=None)
        results.append(
            NoiseRun(
                method=run.method,
                noise=run.noise,
                seed=run.seed,
                finished=len(curve) >= settings.epochs,
                last_test_accuracy=curve[-1].test_accuracy if curve else None,
                best_test_accuracy=best.test_accuracy if best else None,
                curve=tuple(curve),
            )
        )
    record = NoiseStudyRecord(
        command=_command(runs, settings),
        tested_on="FER+ test split, majority labels",
        best="the epoch with the highest accuracy on the clean validation split",
        epochs=settings.epochs,
        runs=tuple(results),
    )
    write_record(record, path)
