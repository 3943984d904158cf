"""The command line, `fer-compare` or `python -m fer_models`: one module per command, imported when it is asked for."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

from fer_models import __version__
from fer_models.errors import FerError

#: Command -> the module that has its `add_arguments(parser)` and `run(args) -> exit code`, and what it does.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "predict": ("fer_models.cli.predict", "classify the faces in pictures with every model"),
    "explain": ("explain.commands.explain", "show where the models' evidence lies in a face, as pictures and numbers"),
    "batch": ("fer_models.cli.batch", "classify every face in a folder or zip of pictures, into one table"),
    "video": ("fer_models.cli.video", "classify the faces in a video with every model"),
    "evaluate": ("fer_models.cli.evaluate", "measure models on a labelled test set"),
    "train": ("fer_models.cli.train", "train a model"),
    "robustness": ("fer_models.cli.robustness", "measure how accuracy falls as faces get worse"),
    "leaderboard": ("fer_models.cli.leaderboard", "compare what evaluate measured, for the dashboard"),
    "fairness": ("fer_models.cli.fairness", "measure whether models err more often for some groups of people"),
    "report": (
        "dashboard.leaderboard.report.command",
        "write the leaderboard as one self-contained HTML file",
    ),
    "study": ("fer_models.cli.study", "train plain and EAC networks on noisy labels and compare them"),
    "calibrate": ("fer_models.cli.calibrate", "fit each model's temperature on its validation split"),
    "attention": ("explain.commands.attention", "measure where models' evidence lies on a test set, and how reliably"),
}
#: The page has a command line of its own.
_APP: Final = ("app", "serve the page, as app.py does; app --help lists what can be set")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the command and its arguments; None means those of the process.

    Returns:
        The exit code: the command's own, 2 after an error a user can act on, 130 after Ctrl-C,
        141 when the reader of its output has gone.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    program = "fer-compare" if Path(sys.argv[0]).stem == "fer-compare" else "python -m fer_models"
    if words[:1] == [_APP[0]]:
        return int(import_module("app").main(words[1:], f"{program} app"))
    chosen = next((word for word in words if word in COMMANDS), None)
    parser = argparse.ArgumentParser(program, description="Facial expression models, side by side.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser(_APP[0], help=_APP[1])
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
