"""One run of a recipe, from data to NAME.safetensors and its card."""

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from fer_models.datasets.dataset import FaceData
from fer_models.errors import DatasetError, FerError
from fer_models.expressions import EXPRESSIONS
from fer_models.models.architectures import build_network, multiply_adds
from fer_models.models.card import ModelCard, write_card
from fer_models.models.classifier import find_device, load_classifier
from fer_models.models.weights import save_weights
from fer_models.registry import LABEL_SETS, MODEL_SPECS, load_dataset
from fer_models.training.cycles import EARLIER, comparison_with, earlier_runs
from fer_models.training.initial_weights import architecture_for, find_weights, start_from
from fer_models.training.recipes import Recipe
from fer_models.training.teachers import Teacher, teacher_of_inputs, with_teachers
from fer_models.training.trainer import Trainer

INTENDED_USE = "Comparing, teaching and studying facial expression recognition on pictures one may use."
MISUSE = (
    "Not for decisions about people (hiring, policing, education, health, lie or attention detection), not for "
    "covert or public surveillance. A facial expression is not what a person feels."
)

#: Training faces that batch norms without statistics take theirs from.
_SAMPLE = 256


def train(
    model: str,
    recipe: Recipe,
    data: Path,
    out: Path,
    *,
    labels_file: str | None = None,
    class_names: Mapping[str, str] | None = None,
    resume: bool = False,
    device: str = "auto",
    compiled: bool = False,
    wandb: bool = False,
    command: str = "",
) -> None:
    """Train a model, and write NAME.safetensors, NAME.json, log.csv and checkpoint.pt to a folder.

    Started by torchrun, every process trains on its share of each batch and the first one writes.

    Args:
        model: its name, a key of `fer_models.registry.MODEL_SPECS`.
        recipe: its settings.
        data: folder with the dataset's files.
        out: folder of the run; made if it is missing.
        labels_file: RAF-DB: another list in EmoLabel/.
        class_names: class folders: as of `load_dataset`.
        resume: continue from the folder's checkpoint.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        compiled: fuse steps with torch.compile.
        wandb: also log to Weights & Biases.
        command: what repeats the run, for the card.

    Raises:
        FerError: data, weights or settings are unusable; the message says what to do.
    """
    out.mkdir(parents=True, exist_ok=True)
    given: dict[str, Any] = {"labels_file": labels_file, "seed": recipe.seed, "class_names": class_names}
    train_data, validation = (load_dataset(recipe.labels, data, split, **given) for split in ("train", "validation"))
    for faces in (train_data, validation):
        _check_square(faces)
    torch_device = _device(device)
    distributed = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if distributed:  # started by torchrun, which sets the environment
        dist.init_process_group("nccl" if torch_device.type == "cuda" else "gloo")
    try:
        torch.manual_seed(recipe.seed)
        folders = [out.parent / (recipe.start or ""), Path("weights")]
        recipe = replace(recipe, architecture=architecture_for(recipe.architecture, recipe.start, folders))
        network = build_network(recipe.architecture, len(EXPRESSIONS))
        spec = recipe.input(recipe.stages[0].size)
        start_from(
            *(network, recipe.start, folders),
            architecture=recipe.architecture,
            sample=lambda: spec.transform(list(train_data.faces[:_SAMPLE])),
        )
        teacher: Teacher | None = None
        if recipe.teachers:
            paths = [find_weights(name, [out.parent / name, *folders]) for name in recipe.teachers]
            teachers = [load_classifier(path.stem, path.parent, str(torch_device), "torch") for path in paths]
            if recipe.teacher_view == "augmented":
                teacher = teacher_of_inputs(teachers, spec)
            else:
                train_data = with_teachers(
                    train_data, teachers, recipe.teacher_share, soft=recipe.soft, precision=recipe.precision
                )
        if torch_device.type == "cuda":
            torch.backends.cudnn.benchmark = True  # inputs keep their shape for whole stages
        trainer = Trainer(network, recipe, out, torch_device, compiled=compiled, teacher=teacher)
        if resume:
            trainer.resume()
        if trainer.precision != recipe.precision and trainer.rank == 0:
            print(f"This machine only emulates {recipe.precision}: computing in {trainer.precision}.")
        trainer.fit(train_data, validation)
        if trainer.rank == 0:
            start = recipe.start if recipe.start != "imagenet" else None
            earlier = earlier_runs(find_weights(start, folders) if start else None)
            _export(trainer, model, train_data, earlier, command, compiled=compiled)
            reached = trainer.best["accuracy"]
            print(comparison_with(Path("weights"), model, reached, validation, str(torch_device)), flush=True)
            if wandb:
                _log_to_wandb(trainer, model)
    finally:
        if distributed:
            dist.destroy_process_group()


def _check_square(data: FaceData) -> None:
    """Training sees whole pictures: those of a folder may be photos, which `evaluate` finds the faces in."""
    for index, face in enumerate(data.faces):
        height, width = face.shape[:2]
        if height != width:
            name = data.names[index] if data.names else f"Face {index}"
            raise DatasetError(
                f"{name} is {width}x{height} px: training takes square pictures of one face each. Cut the faces out "
                "first."
            )


def _device(name: str) -> torch.device:
    """Under torchrun each process takes the GPU of its local rank."""
    device = find_device(name)
    rank = os.environ.get("LOCAL_RANK")
    return torch.device("cuda", int(rank)) if rank is not None and device.type == "cuda" else device


def _export(
    trainer: Trainer, model: str, data: FaceData, earlier: list[dict[str, Any]], command: str, *, compiled: bool
) -> None:
    recipe, out = trainer.recipe, trainer.out
    network = trainer.network
    network.load_state_dict(trainer.best["weights"])
    network = network.to("cpu", memory_format=torch.contiguous_format)
    sha256 = save_weights(network, out / f"{model}.safetensors")
    card = ModelCard(
        name=model,
        title=MODEL_SPECS[model].title,
        architecture=recipe.architecture,
        labels=EXPRESSIONS,
        input=recipe.input(recipe.stages[-1].size),
        training_labels=LABEL_SETS[data.source].training_labels,
        training_data=LABEL_SETS[data.source].training_data,
        licence="MIT",
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        multiply_adds=multiply_adds(network, recipe.stages[-1].size),
        sha256=sha256,
        intended_use=INTENDED_USE,
        misuse=MISUSE,
        recipe={
            "command": command,
            "settings": asdict(recipe),
            "training_faces": len(data),
            "chosen_epoch": trainer.best["epoch"],
            "validation_accuracy": trainer.best["accuracy"],
            "wall_seconds": round(sum(entry["seconds"] for entry in trainer.history)),
            "machine": _machine(trainer, compiled=compiled),
            "log": trainer.history,
            **({EARLIER: earlier} if earlier else {}),
        },
    )
    write_card(card, out / f"{model}.json")
    print(f"{out / model}.safetensors: {trainer.best['accuracy']:.2%} on the validation split")


def _machine(trainer: Trainer, *, compiled: bool) -> str:
    device = trainer.device
    what = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{os.cpu_count()} CPU cores"
    notes = ", compiled" * compiled + ", fp32 for lack of bf16" * (trainer.precision != trainer.recipe.precision)
    return f"{what}, {platform.machine()}, torch {torch.__version__}{notes}"


def _log_to_wandb(trainer: Trainer, model: str) -> None:
    try:
        import wandb
    except ImportError:
        raise FerError("--wandb needs the package: pip install wandb") from None
    with wandb.init(project="fer-compare", name=model, config=asdict(trainer.recipe), dir=trainer.out) as run:
        for entry in trainer.history:
            run.log(entry, step=int(entry["epoch"]))
