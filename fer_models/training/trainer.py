"""The training loop: read it in one sitting. `train.py` is the command around it."""

import csv
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from fer_models.datasets.dataset import FaceData
from fer_models.errors import FerError
from fer_models.expressions import EXPRESSIONS
from fer_models.interrupts import noted_interrupts
from fer_models.models.architectures import PooledClassifier
from fer_models.training import schedule
from fer_models.training.augment import geometry, light
from fer_models.training.losses import EACTask, training_task
from fer_models.training.precision import usable_precision
from fer_models.training.processes import process_count, process_rank, share_batch_norms, sum_over_processes
from fer_models.training.recipes import Recipe, Stage
from fer_models.training.teachers import Teacher

#: Between two checkpoints: on a GPU an epoch can take less time than writing one.
_SECONDS_BETWEEN_CHECKPOINTS: Final = 60.0
_VALIDATION_BATCH: Final = 64

LOG_COLUMNS = ("epoch", "size", "lr", "loss", "train_accuracy", "validation_accuracy", "seconds")


class Trainer:
    """One training run: state, steps, validation, checkpoints.

    After an epoch (at most once a minute), after the last one and when interrupted, everything that decides how the run
    goes on is in OUT/checkpoint.pt, so a resumed run takes the same steps as one that was never stopped.
    """

    def __init__(
        self,
        network: PooledClassifier,
        recipe: Recipe,
        out: Path,
        device: torch.device,
        *,
        compiled: bool = False,
        teacher: Teacher | None = None,
    ) -> None:
        """Prepare a run of the recipe on a network; nothing is read or written yet.

        Args:
            network: trained in place.
            recipe: all settings.
            out: folder of the checkpoint and the log.
            device: where to train.
            compiled: let torch.compile fuse the features' steps, once for each input size.
            teacher: predicts part of each target from the augmented face, where the recipe asks for it.
        """
        self.recipe, self.out, self.device = recipe, out, device
        self.precision = usable_precision(recipe.precision, device)
        self.rank, self.processes = process_rank(), process_count()
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.processes > 1:
            share_batch_norms(self.network)
        self.average = AveragedModel(self.network, multi_avg_fn=self._blend, use_buffers=True)
        if compiled:  # in place and after the average was copied, so that names of weights stay as they are
            self.network.features.compile(dynamic=False)
        self.task = training_task(recipe, self.network, teacher)
        self.task.share = slice(self.rank, None, self.processes)
        self.step_module: nn.Module = self.task
        if dist.is_initialized():  # buffers are alike on all, as batch norms see the whole batch
            self.step_module = nn.parallel.DistributedDataParallel(self.task, broadcast_buffers=False)
        self.optimizer = self._optimizer()
        self.generator = torch.Generator(device)
        self.spec = recipe.input(recipe.stages[-1].size)
        self.stages = schedule.stage_of_each_epoch(recipe)
        self.epoch, self.batch_index, self.step = 0, 0, 0  # steps are counted from the last restart
        self.lr = 0.0
        self.totals = torch.zeros(3, device=device)  # loss sum, correct, faces of the running epoch, in this process
        self._saved = -math.inf  # when the last checkpoint was written
        self._validation: tuple[int, FaceData, tuple[Tensor, ...]] | None = None  # size, faces, inputs of them
        self._stopped: list[int] = []  # filled by Ctrl-C
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Any] = {"accuracy": -1.0, "weights": None, "epoch": -1}

    def fit(self, train: FaceData, validation: FaceData) -> None:
        """Run or go on until the last epoch is done.

        Raises:
            FerError: the loss is no longer finite, or a batch has fewer faces than there are processes.
            KeyboardInterrupt: after the running step ended and the checkpoint was saved.
        """
        smallest = min(len(train), *(schedule.batch_size(self.recipe, stage) for stage in self.recipe.stages))
        if smallest < self.processes:
            raise FerError(f"A batch of {smallest} faces is too small for {self.processes} processes. Start fewer.")
        soft = self.recipe.soft or (bool(self.recipe.teachers) and self.recipe.teacher_view == "face")
        targets = train.distributions() if soft else one_hot(train.targets)
        faces, targets = train.pixels().to(self.device), targets.to(self.device)
        with noted_interrupts("Saving a checkpoint after this step", always=self.processes > 1) as stopped:
            self._stopped = stopped
            self._run(faces, targets, validation)

    def _run(self, faces: Tensor, targets: Tensor, validation: FaceData) -> None:
        start = time.perf_counter()
        try:
            while self.epoch < len(self.stages):
                stage = self.stages[self.epoch]
                self._train_epoch(stage, faces, targets)
                accuracy = self._validate(stage.size, validation)
                self._close_epoch(stage, accuracy, time.perf_counter() - start)
                start = time.perf_counter()
        except KeyboardInterrupt:
            self.save()
            raise

    def _train_epoch(self, stage: Stage, faces: Tensor, targets: Tensor) -> None:
        count = schedule.steps_per_epoch(self.recipe, stage, len(faces))
        if self.batch_index == 0:
            if self.epoch == 0 or stage is not self.stages[self.epoch - 1]:
                if self.recipe.restarts or self.epoch == 0:
                    self.step = 0
                self.average.n_averaged.zero_()  # the next update copies: what one size taught would hold back another
            self.generator.manual_seed(self._seed(self.epoch) + 7919)
            torch.manual_seed(self._seed(self.epoch))  # MixUp and CutMix draw from the global generator
        self.network.train()
        batches = self._batches(stage, len(faces))
        bar = tqdm(
            total=count,
            initial=self.batch_index,
            desc=f"epoch {self.epoch + 1}/{len(self.stages)} at {stage.size} px",
            disable=self.rank > 0 or None,
        )
        with bar:
            for index, rows in enumerate(batches):
                if index < self.batch_index:
                    continue
                if self._all_stop():  # between steps: in one, draws were made and statistics taken already
                    raise KeyboardInterrupt
                self._set_schedule(stage, schedule.scheduled_steps(self.recipe, stage, len(faces)))
                rows = rows.to(self.device)
                loss, logits = self._forward(faces[rows], targets[rows], stage)
                self.optimizer.zero_grad(set_to_none=True)
                # Gradients are averaged over processes, whose shares may differ by a face.
                weighted = loss * (len(logits) * self.processes / len(rows)) if self.processes > 1 else loss
                weighted.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
                self.optimizer.step()
                self.step += 1
                self.average.update_parameters(self.network)
                right = (logits.argmax(1) == targets[rows][self.task.share].argmax(1)).float().sum()
                count_here = torch.full_like(right, len(logits))
                self.totals += torch.stack([loss.detach() * len(logits), right, count_here])
                self.batch_index = index + 1
                bar.update()
                if not bar.disable and self.batch_index % 10 == 0:  # reading it waits for the device
                    bar.set_postfix(loss=f"{self._mean_loss(self.totals):.3f}")
        self._mean_loss(sum_over_processes(self.totals))

    def _all_stop(self) -> bool:
        """Whether any process was interrupted: they end after the same step."""
        if self.processes == 1:
            return bool(self._stopped)
        return bool(sum_over_processes(torch.tensor(float(bool(self._stopped)), device=self.device)))

    def _mean_loss(self, totals: Tensor) -> float:
        """Over the running epoch so far.

        Raises:
            FerError: it is no longer finite.
        """
        loss, _, faces = totals.tolist()
        if not math.isfinite(loss):
            raise FerError(f"The loss became {loss} in epoch {self.epoch + 1}: lower the learning rate.")
        return float(loss / faces)

    def _forward(self, faces: Tensor, targets: Tensor, stage: Stage) -> tuple[Tensor, Tensor]:
        augmentation = self.recipe.augmentation.times(stage.strength)
        self.task.erasing = augmentation.erase
        pixels = geometry(self.spec.colour(faces), stage.size, augmentation, self.generator)
        inputs = self.spec.normalise(light(pixels, augmentation, self.generator))
        inputs = inputs.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        with self._autocast():
            result: tuple[Tensor, Tensor] = self.step_module(inputs, targets, self.generator)
            return result

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    @torch.inference_mode()
    def _validate(self, size: int, data: FaceData) -> float:
        """Accuracy of the averaged weights, on unaugmented faces at the stage's size."""
        self.average.eval()
        predicted = []
        for inputs in self._validation_inputs(size, data):
            inputs = inputs.to(self.device).expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
            with self._autocast():
                predicted.append(self.average(inputs).argmax(1))
        return float((torch.cat(predicted).cpu().numpy() == data.targets).mean())

    def _validation_inputs(self, size: int, data: FaceData) -> tuple[Tensor, ...]:
        """The faces as this size's network is fed, in batches; kept, as preparing them takes longer than a GPU."""
        if self._validation is None or self._validation[0] != size or self._validation[1] is not data:
            spec = self.recipe.input(size)
            channels = 1 if self.recipe.mode == "grey" else 3  # all three of a grey face are alike
            starts = range(0, len(data), _VALIDATION_BATCH)
            chunks = (list(data.faces[start : start + _VALIDATION_BATCH]) for start in starts)
            # Copies, as a view would keep all three channels.
            inputs = tuple(spec.transform(chunk)[:, :channels].clone() for chunk in chunks)
            self._validation = size, data, inputs
        return self._validation[2]

    def _close_epoch(self, stage: Stage, accuracy: float, seconds: float) -> None:
        loss, right, faces = sum_over_processes(self.totals).tolist()
        self.epoch, self.batch_index = self.epoch + 1, 0
        self.totals.zero_()
        values = (self.epoch, stage.size, self.lr, loss / faces, right / faces, accuracy, seconds)
        self.history.append({name: round(float(value), 6) for name, value in zip(LOG_COLUMNS, values, strict=True)})
        if stage.size == self.recipe.stages[-1].size and accuracy > self.best["accuracy"]:
            weights = {key: value.clone() for key, value in self.average.module.state_dict().items()}
            self.best = {"accuracy": accuracy, "weights": weights, "epoch": self.epoch}
        if self.rank == 0:
            done = self.epoch == len(self.stages)
            if done or time.monotonic() - self._saved > _SECONDS_BETWEEN_CHECKPOINTS:
                self.save()
            with (self.out / "log.csv").open("w", newline="") as handle:
                writer = csv.DictWriter(handle, LOG_COLUMNS)
                writer.writeheader()
                writer.writerows(self.history)
            print(" ".join(f"{name} {value:g}" for name, value in self.history[-1].items()), flush=True)

    def save(self) -> None:
        """Write OUT/checkpoint.pt, whole or not at all; of several processes, the first one.

        In the middle of an epoch all processes must call this.
        """
        totals = sum_over_processes(self.totals) if self.batch_index else self.totals
        if self.rank > 0:
            return
        state = {
            "recipe": _plain(asdict(self.recipe)),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "global_generator": torch.get_rng_state(),
            "progress": [self.epoch, self.batch_index, self.step],
            "totals": totals.tolist(),
            "history": self.history,
            "best": self.best,
        }
        partial = self.out / "checkpoint.partial"
        torch.save(state, partial)
        os.replace(partial, self.out / "checkpoint.pt")
        self._saved = time.monotonic()

    def resume(self) -> None:
        """Go on from OUT/checkpoint.pt.

        Raises:
            FerError: there is none, or it belongs to another recipe.
        """
        path = self.out / "checkpoint.pt"
        if not path.is_file():
            raise FerError(f"There is no {path} to resume from. Start without --resume.")
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["recipe"] != _plain(asdict(self.recipe)):
            raise FerError(f"{path} was written by another recipe. Resume with the same recipe, or use another --out.")
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.batch_index, self.step = state["progress"]
        drawn = state["generator"].cpu()
        if len(drawn) == len(self.generator.get_state()):
            self.generator.set_state(drawn)
        elif self.batch_index:  # at the start of an epoch it is seeded anew
            raise FerError(
                f"{path} was written in the middle of an epoch on another kind of device. Resume there until the epoch "
                "ends, or start anew with another --out."
            )
        torch.set_rng_state(state["global_generator"].cpu())
        if self.rank == 0:
            self.totals = torch.tensor(state["totals"], device=self.device)
        self.history, self.best = state["history"], state["best"]

    def _optimizer(self) -> torch.optim.Optimizer:
        recipe = self.recipe
        if recipe.optimizer == "adamw":
            return torch.optim.AdamW(self.network.parameters(), recipe.lr, weight_decay=recipe.weight_decay, fused=True)
        return torch.optim.SGD(
            self.network.parameters(), recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay, nesterov=True
        )

    def _set_schedule(self, stage: Stage, total: int) -> None:
        self.lr = schedule.learning_rate(self.recipe, stage, self.step, total)
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr
        if isinstance(self.task, EACTask):
            self.task.ramp = schedule.consistency_share(self.recipe, stage, self.step, total)

    def _blend(self, averaged: Sequence[Tensor], current: Sequence[Tensor], _: Tensor | int) -> None:
        decay = schedule.average_decay(self.recipe, self.step)
        get_ema_multi_avg_fn(decay)(averaged, current, _)  # type: ignore[no-untyped-call]

    def _seed(self, epoch: int) -> int:
        return self.recipe.seed * 100_003 + epoch

    def _batches(self, stage: Stage, faces: int) -> Iterator[Tensor]:
        """Rows of each step, the same for every process."""
        order = torch.randperm(faces, generator=torch.Generator().manual_seed(self._seed(self.epoch)))
        size = schedule.batch_size(self.recipe, stage)
        for index in range(schedule.steps_per_epoch(self.recipe, stage, faces)):
            yield order[index * size : (index + 1) * size]


def one_hot(targets: NDArray[np.int64]) -> Tensor:
    """Labels (N,) as distributions (N, 7) float32."""
    return nn.functional.one_hot(torch.from_numpy(targets), len(EXPRESSIONS)).float()


def _plain(value: Any) -> Any:
    """Tuples as lists, so that what was written compares equal to what is read."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
