"""python -m fer_models train MODEL: one run of a recipe, from data to weights and a card."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fer_models.cli.common import add_flag, add_flags, given_class_names, use_threads
from fer_models.errors import FerError
from fer_models.registry import LABEL_SETS, MODEL_SPECS

if TYPE_CHECKING:  # the help should not wait for PyTorch
    from fer_models.training.recipes import Recipe, Stage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare this command's arguments."""
    add = parser.add_argument
    add("model", choices=[*MODEL_SPECS], help="which model to train")
    add_flag(parser, "labels", choices=[*LABEL_SETS], required=False, help="label set, if not the recipe's")
    add("--labels-file", help="RAF-DB: another list in EmoLabel/, such as noise01.txt")
    add("--recipe", help="which settings (default: final, or rafdb with --labels rafdb)")
    add("--out", type=Path, metavar="DIR", help="folder of the run (default: runs/MODEL)")
    add("--resume", action="store_true", help="continue from the folder's checkpoint")
    add("--init", help="weights to begin with, if not the recipe's: a model's name or a file")
    add("--stages", help="sizes and epochs, if not the recipe's, such as 48x9,112x2")
    add("--batch", type=int, help="faces per step, if not the recipe's")
    add("--wandb", action="store_true", help="also log to Weights & Biases (WANDB_MODE=offline works)")
    add_flags(parser, "data", "class-names", "device", "threads", "compile")


def run(args: argparse.Namespace) -> int:
    """Train, and write NAME.safetensors, NAME.json, log.csv and checkpoint.pt to the run's folder.

    Raises:
        FerError: data, weights or settings are unusable; the message says what to do.
    """
    from fer_models.training.recipes import RECIPES, find_recipe
    from fer_models.training.train import train

    use_threads(args)
    name = args.recipe or (args.labels if args.labels in RECIPES[args.model] else MODEL_SPECS[args.model].recipe)
    train(
        args.model,
        _adjusted(find_recipe(args.model, name), args),
        args.data,
        args.out or Path("runs") / args.model,
        labels_file=args.labels_file,
        class_names=args.class_names,
        resume=args.resume,
        device=args.device,
        compiled=args.compile,
        wandb=args.wandb,
        command=_command(args, name),
    )
    return 0


def _adjusted(recipe: "Recipe", args: argparse.Namespace) -> "Recipe":
    """The recipe with what the flags change."""
    from dataclasses import replace

    from fer_models.datasets import rafdb

    if args.stages:
        recipe = replace(recipe, stages=_stages(args.stages))
    if args.batch:
        recipe = replace(recipe, batch=args.batch)
    if args.labels:
        recipe = replace(recipe, labels=args.labels)
    if recipe.labels == "rafdb" and args.labels_file not in (None, rafdb.LABELS):
        recipe = replace(recipe, view="independent")  # the authors' setting for their lists of wrong labels
    if args.init:
        recipe = replace(recipe, start=None if args.init == "none" else args.init)
    return recipe


def _stages(text: str) -> "tuple[Stage, ...]":
    from fer_models.training.recipes import Stage

    try:
        pairs = [stage.split("x") for stage in text.split(",")]
        return tuple(Stage(int(size), int(epochs)) for size, epochs in pairs)
    except ValueError:
        raise FerError(f"--stages {text!r}: expected SIZExEPOCHS,... such as 48x9,112x2.") from None


def _command(args: argparse.Namespace, recipe: str) -> str:
    """What repeats the run: all that was given and changes what is learned."""
    given = {"labels": args.labels, "labels-file": args.labels_file, "stages": args.stages, "batch": args.batch}
    flags = [f" --{name} {value}" for name, value in (given | {"init": args.init}).items() if value is not None]
    return (
        f"python -m fer_models train {args.model} --recipe {recipe} --data DIR{''.join(flags)}{given_class_names(args)}"
    )
