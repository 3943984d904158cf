"""`python -m fer_models report`: write the leaderboard as one HTML file."""

import argparse
from pathlib import Path

from fer_models.cli.common import add_flags, weights_folder
from fer_models.errors import FerError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.html", help="the file to write")
    add_flags(parser, "weights")


def run(args: argparse.Namespace) -> int:
    """Write the report.

    Raises:
        FerError: there are no cards, or the file cannot be written.
    """
    from dashboard.leaderboard.board import read_board
    from dashboard.leaderboard.report.page import report
    from fer_models.media.files import open_text

    weights = weights_folder(args)
    board = read_board(weights)
    if not board.cards:
        raise FerError(f"There are no model cards in {weights}. Name another folder with --weights.")
    with open_text(args.out) as file:
        file.write(report(board))
    print(f"wrote {args.out}, {args.out.stat().st_size / 1e6:.1f} MB")
    return 0
