"""python -m fer_models leaderboard: what `evaluate` measured, compared."""

import argparse

from fer_models.cli.common import add_flags, weights_folder, with_interval


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare this command's arguments."""
    add_flags(parser, "seed", "weights")


def run(args: argparse.Namespace) -> int:
    """Read DIR/results/*_test.json and .npz, write DIR/results/leaderboard.json, print a table.

    Raises:
        FerError: results are missing or damaged, or the file cannot be written.
    """
    from fer_models.evaluation.leaderboard import FILE, compare_test_sets
    from fer_models.evaluation.store import write_record

    weights = weights_folder(args)
    record = compare_test_sets(weights, args.seed)
    write_record(record, weights / "results" / FILE)
    for name, faces in record.sets.items():
        print(f"{name}, {faces.count} faces")
        for model, figures in faces.models.items():
            print(f"  {model:24} {with_interval(figures.accuracy)}")
        print(f"  {'any model right':24} {faces.oracle:7.2%}")
    return 0
