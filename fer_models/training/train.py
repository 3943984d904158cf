"""`python -m fer_models train`: one run of a recipe, from data to NAME.safetensors and its card."""

import argparse
import os
import platform
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from fer_models.datasets import rafdb
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
from fer_models.training.recipes import RECIPES, Recipe, Stage, find_recipe
from fer_models.training.teachers import with_teachers
from fer_models.training.trainer import Trainer

INTENDED_USE = "Comparing, teaching and studying facial expression recognition on pictures one may use."
MISUSE = (
    "Not for decisions about people (hiring, policing, education, health, lie or attention detection), not for "
    "covert or public surveillance. A facial expression is not what a person feels."
)

#: Training faces that batch norms without statistics take theirs from.
_SAMPLE = 256
COMPILE = "fuse steps with torch.compile: a minute of preparation for each size, then MobileNetV2 trains faster on CPUs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("model", choices=[*RECIPES], help="which model to train")
    parser.add_argument("--data", type=Path, required=True, help="folder with the dataset's files")
    parser.add_argument("--labels", choices=[*LABEL_SETS], help="label set, if not the recipe's")
    parser.add_argument("--labels-file", help="RAF-DB: another list in EmoLabel/, such as noise01.txt")
    parser.add_argument("--recipe", help="which settings (default: final, or rafdb with --labels rafdb)")
    parser.add_argument("--out", type=Path, help="folder of the run (default: runs/MODEL)")
    parser.add_argument("--resume", action="store_true", help="go on from the folder's checkpoint")
    parser.add_argument("--init", help="weights to begin with, if not the recipe's: a model's name or a file")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ... (default: %(default)s)")
    parser.add_argument("--stages", help="sizes and epochs, if not the recipe's, such as 48x9,112x2")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument("--compile", action="store_true", help=COMPILE)
    parser.add_argument("--batch", type=int, help="faces a step, if not the recipe's")
    parser.add_argument("--wandb", action="store_true", help="also log to Weights & Biases (WANDB_MODE=offline works)")


def run(args: argparse.Namespace) -> int:
    """Train, and write NAME.safetensors, NAME.json, log.csv and checkpoint.pt to the run's folder.

    Raises:
        FerError: data, weights or settings are unusable; the message says what to do.
    """
    if args.threads:
        torch.set_num_threads(args.threads)
    args.recipe = args.recipe or ("rafdb" if args.labels == "rafdb" and "rafdb" in RECIPES[args.model] else "final")
    recipe = _adjusted(find_recipe(args.model, args.recipe), args)
    out = args.out or Path("runs") / args.model
    out.mkdir(parents=True, exist_ok=True)
    train_data = load_dataset(recipe.labels, args.data, "train", labels_file=args.labels_file, seed=recipe.seed)
    validation = load_dataset(recipe.labels, args.data, "validation", labels_file=args.labels_file, seed=recipe.seed)
    for each in (train_data, validation):
        _check_square(each)
    device = _device(args.device)
    distributed = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if distributed:  # started by torchrun, which sets the environment
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
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
        if recipe.teachers:
            found = [find_weights(name, [out.parent / name, *folders]) for name in recipe.teachers]
            teachers = [load_classifier(path.stem, path.parent, str(device)) for path in found]
            train_data = with_teachers(
                train_data, teachers, recipe.teacher_share, soft=recipe.soft, precision=recipe.precision
            )
        trainer = Trainer(network, recipe, out, device, compiled=args.compile)
        if args.resume:
            trainer.resume()
        if trainer.precision != recipe.precision and trainer.rank == 0:
            print(f"This machine only emulates {recipe.precision}: computing in {trainer.precision}.")
        trainer.fit(train_data, validation)
        if trainer.rank == 0:
            start = recipe.start if recipe.start != "imagenet" else None
            earlier = earlier_runs(find_weights(start, folders) if start else None)
            _export(trainer, args, train_data, earlier)
            reached = trainer.best["accuracy"]
            print(comparison_with(Path("weights"), args.model, reached, validation, str(device)), flush=True)
            if args.wandb:
                _log_to_wandb(trainer, args.model)
    finally:
        if distributed:
            dist.destroy_process_group()
    return 0


def _adjusted(recipe: Recipe, args: argparse.Namespace) -> Recipe:
    if args.stages:
        try:
            pairs = [stage.split("x") for stage in args.stages.split(",")]
            recipe = replace(recipe, stages=tuple(Stage(int(size), int(epochs)) for size, epochs in pairs))
        except ValueError:
            raise FerError(f"--stages {args.stages!r}: expected SIZExEPOCHS,... such as 48x9,112x2.") from None
    if args.batch:
        recipe = replace(recipe, batch=args.batch)
    if args.labels:
        recipe = replace(recipe, labels=args.labels)
    if recipe.labels == "rafdb" and args.labels_file not in (None, rafdb.LABELS):
        recipe = replace(recipe, view="independent")  # the authors' setting for their lists of wrong labels
    if args.init:
        recipe = replace(recipe, start=None if args.init == "none" else args.init)
    return recipe


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


def _export(trainer: Trainer, args: argparse.Namespace, data: FaceData, earlier: list[dict[str, Any]]) -> None:
    recipe, out = trainer.recipe, trainer.out
    network = trainer.network
    network.load_state_dict(trainer.best["weights"])
    network = network.to("cpu", memory_format=torch.contiguous_format)
    sha256 = save_weights(network, out / f"{args.model}.safetensors")
    card = ModelCard(
        name=args.model,
        title=MODEL_SPECS[args.model].title,
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
            "command": _command(args),
            "settings": asdict(recipe),
            "training_faces": len(data),
            "chosen_epoch": trainer.best["epoch"],
            "validation_accuracy": trainer.best["accuracy"],
            "wall_seconds": round(sum(entry["seconds"] for entry in trainer.history)),
            "machine": _machine(trainer, compiled=args.compile),
            "log": trainer.history,
            **({EARLIER: earlier} if earlier else {}),
        },
    )
    write_card(card, out / f"{args.model}.json")
    print(f"{out / args.model}.safetensors: {trainer.best['accuracy']:.2%} on the validation split")


def _command(args: argparse.Namespace) -> str:
    """What repeats the run: all that was given and changes what is learned."""
    given = {"labels": args.labels, "labels-file": args.labels_file, "stages": args.stages, "batch": args.batch}
    flags = [f" --{name} {value}" for name, value in (given | {"init": args.init}).items() if value is not None]
    return f"python -m fer_models train {args.model} --recipe {args.recipe} --data DIR{''.join(flags)}"


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
