"""python -m fer_models study noise: plain training against EAC when a share of the training labels is wrong."""

import argparse
from pathlib import Path
from typing import Final

from fer_models.cli.common import add_flag, add_flags, use_threads
from fer_models.errors import FerError

#: Training faces, as many as RAF-DB has.
_FACES: Final = 12_271
_NOISES: Final = ("0", "10", "20", "30")
_METHODS: Final = ("plain", "eac")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare this command's arguments."""
    add = parser.add_argument
    add("study", choices=["noise"], help="which study")
    add_flag(parser, "data", help="folder with fer2013.csv and fer2013new.csv")
    add("--out", type=Path, default=Path("runs/noise"), metavar="DIR", help="folder of the runs (default: %(default)s)")
    add("--noise", nargs="+", default=_NOISES, help="percent flipped, or fer2013")
    add("--methods", nargs="+", choices=_METHODS, default=_METHODS, help="default: both")
    add("--seeds", nargs="+", type=int, default=[0], help="default: 0")
    add("--epochs", type=int, default=40, help="default: %(default)s")
    add("--size", type=int, default=48, help="side of the input in px (default: %(default)s)")
    add("--faces", type=int, default=_FACES, help="training faces (default: %(default)s)")
    add("--init", default="imagenet", help="weights to begin with, or none (default: %(default)s)")
    add("--report", type=Path, metavar="FILE", help="where the curves go (default: weights/results/noise_study.json)")
    add_flags(parser, "device", "threads", "compile")


def run(args: argparse.Namespace) -> int:
    """Run, or continue, every training of the study, and write the curves after each.

    Raises:
        FerError: data or settings are unusable.
    """
    from fer_models.analyzer import WEIGHTS
    from fer_models.training.noise_study import Run, StudySettings, run_study

    use_threads(args)
    runs = [Run(method, _noise(noise), seed) for seed in args.seeds for noise in args.noise for method in args.methods]
    settings = StudySettings(
        args.data,
        args.out,
        epochs=args.epochs,
        size=args.size,
        faces=args.faces,
        start=None if args.init == "none" else args.init,
        device=args.device,
        compiled=args.compile,
    )
    run_study(runs, settings, args.report or WEIGHTS / "results" / "noise_study.json")
    return 0


def _noise(text: str) -> int | str:
    from fer_models.training.noise_study import REAL

    if text == REAL:
        return text
    if not text.isdigit() or int(text) > 100:
        raise FerError(f"--noise {text}: expected percent from 0 to 100, or {REAL} for that set's own labels.")
    return int(text)
