"""Fifty training steps of a tiny network: here, or under torchrun as `-m tests.helpers.training_runs FOLDER`."""

import json
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from fer_models.datasets.dataset import FaceData
from fer_models.expressions import EXPRESSIONS
from fer_models.models.architectures import PooledClassifier
from fer_models.training.augment import Augmentation
from fer_models.training.processes import sum_over_processes
from fer_models.training.recipes import Recipe, Stage
from fer_models.training.trainer import Trainer

_COMMON: Final[dict[str, Any]] = {
    "architecture": "tiny",
    "labels": "ferplus",
    "stages": (Stage(16, 5), Stage(24, 5, peak=0.5)),
    "batch": 15,  # odd, so that two processes have shares of different sizes
    "precision": "fp32",
}
#: What differs most between processes: draws for each face and each batch, batch norms, both losses.
RECIPES: Final = {
    "eac": Recipe(objective="eac", view="independent", **_COMMON),
    "mixed": Recipe(augmentation=Augmentation(mix=0.7), smoothing=0.1, **_COMMON),
}
STEPS: Final = 50
#: After which step a run is stopped: in the middle of the fifth epoch.
STOP: Final = 22


def faces(count: int, seed: int) -> FaceData:
    """(24, 24) faces of all expressions, brighter from one to the next."""
    generator = np.random.default_rng(seed)
    targets = np.arange(count) % len(EXPRESSIONS)
    pixels = generator.integers(0, 60, (count, 24, 24)) + 25 * targets[:, None, None]
    return FaceData("ferplus", "train", pixels.astype(np.uint8), targets.astype(np.int64), np.arange(count))


class Recorder(Trainer):
    """A trainer that keeps the loss of every step, over all processes, and may be stopped in a step."""

    def __init__(self, name: str, out: Path, stop: int | None = None) -> None:
        torch.manual_seed(0)
        layers = (
            nn.Conv2d(3, 8, 3, 2, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3),
            nn.BatchNorm2d(8),
        )
        network = PooledClassifier(nn.Sequential(*layers, nn.ReLU()), 8, len(EXPRESSIONS))
        out.mkdir(parents=True, exist_ok=True)
        super().__init__(network, RECIPES[name], out, torch.device("cpu"))
        self.stop, self.losses = stop, list[float]()

    def _forward(self, faces: Tensor, targets: Tensor, stage: Stage) -> tuple[Tensor, Tensor]:
        loss, logits = super()._forward(faces, targets, stage)
        self.losses.append(float(sum_over_processes(loss.detach() * len(logits))) / len(faces))
        if len(self.losses) == self.stop and self.rank == self.processes - 1:
            self._stopped.append(signal.SIGINT)  # as Ctrl-C in this process alone
        return loss, logits


def run(name: str, out: Path, *, stop: int | None = None, resume: bool = False) -> Recorder:
    """One run of a recipe, to its end or until it is stopped."""
    trainer = Recorder(name, out, stop)
    if resume:
        trainer.resume()
    try:
        trainer.fit(faces(75, 1), faces(14, 2))
    except KeyboardInterrupt:
        assert stop is not None
    return trainer


def main(folder: Path) -> None:
    """The runs of several processes: a whole one, one that is stopped, and the rest of one process's."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    rank = dist.get_rank()
    for name in RECIPES:
        # A folder for each process, so that it shows who writes; a checkpoint is read by all.
        whole = run(name, folder / name / f"whole{rank}")
        stopped = run(name, folder / name / "stopped", stop=STOP)
        resumed = run(name, folder / name / "one", resume=True)
        if rank == 0:
            losses = {"whole": whole.losses, "stopped": stopped.losses, "resumed": resumed.losses}
            (folder / name / "losses.json").write_text(json.dumps(losses))
            torch.save(resumed.average.state_dict(), folder / name / "resumed.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
