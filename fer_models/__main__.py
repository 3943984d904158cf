"""The commands: python -m fer_models COMMAND. Each lives in a module of its own, imported only when it is asked for."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from fer_models import __version__
from fer_models.errors import FerError

#: Command -> the module that has its `add_arguments(parser)` and `run(args) -> exit code`, and what it does.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "predict": ("fer_models.cli.predict", "read the faces in pictures with every model"),
    "explain": ("explain.commands.explain", "show where models look in a face, as pictures and as numbers"),
    "batch": ("fer_models.cli.batch", "read every face in a folder or zip of pictures into one table"),
    "video": ("fer_models.cli.video", "read the faces in a video with every model"),
    "evaluate": ("fer_models.evaluation.evaluate", "measure models on a labelled test set"),
    "train": ("fer_models.training.train", "train a model"),
    "robustness": ("fer_models.evaluation.robustness", "measure how accuracy falls as faces get worse"),
    "leaderboard": ("fer_models.evaluation.leaderboard", "compare what evaluate measured, for the dashboard"),
    "fairness": ("fer_models.evaluation.fairness", "measure whether models err more often for some groups of people"),
    "report": ("dashboard.leaderboard.report", "write the leaderboard as one HTML file that needs nothing else"),
    "study": ("fer_models.training.noise_study", "train plain and EAC networks on noisy labels and compare them"),
    "calibrate": ("fer_models.evaluation.calibration", "fit each model's temperature on its validation split"),
    "attention": ("explain.commands.attention", "measure where models look on a labelled test set, and how reliably"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code: the command's own, 2 after an error a user can act on, 130 after Ctrl-C,
        141 when the reader of its output has gone.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    chosen = next((word for word in words if word in COMMANDS), None)
    parser = argparse.ArgumentParser("python -m fer_models", description="Facial expression models, side by side.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, help_text) in COMMANDS.items():
        command = commands.add_parser(name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".")
        if name == chosen:
            implementation = import_module(module)
            implementation.add_arguments(command)
            command.set_defaults(run=implementation.run)
    args = parser.parse_args(words)
    try:
        return int(args.run(args))
    except FerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit fails again
        return 141


if __name__ == "__main__":
    sys.exit(main())
