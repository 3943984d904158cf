"""python -m fer_models robustness: how accuracy falls as faces get worse."""

import argparse

from fer_models.cli.common import (
    MODEL_FLAGS,
    add_flag,
    add_flags,
    analyzer_of,
    further_models,
    given_class_names,
    with_interval,
)
from fer_models.errors import FerError
from fer_models.registry import LABEL_SETS, load_dataset


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare this command's arguments."""
    add_flag(parser, "labels", choices=[*LABEL_SETS])
    parser.add_argument("--count", type=int, default=500, help="faces, drawn at random (default: %(default)s)")
    add_flags(parser, "data", "class-names", "split", "seed", "json", *MODEL_FLAGS)


def run(args: argparse.Namespace) -> int:
    """Measure, print a table, and write the JSON file.

    Raises:
        FerError: data or models are unusable, or the file cannot be written.
    """
    import numpy as np

    from fer_models.evaluation.robustness import measure_robustness
    from fer_models.evaluation.store import write_record

    if args.count < 1:
        raise FerError(f"--count {args.count}: at least one face is needed.")
    data = load_dataset(args.labels, args.data, args.split, class_names=args.class_names)
    order = np.random.default_rng(args.seed).permutation(len(data))
    data = data.take(np.sort(order[: args.count]))
    command = (
        f"python -m fer_models robustness --data DIR --labels {args.labels}{given_class_names(args)} "
        f"--split {args.split} --count {args.count} --seed {args.seed}"
        + further_models(args)
        + (f" --json {args.json.name}" if args.json else "")
    )
    record = measure_robustness(analyzer_of(args), data, args.seed, command)
    for name, accuracy in record.clean.items():
        print(f"{name:24} clean {accuracy:7.2%}  corrupted, mean {with_interval(record.mean[name])}")
    if args.json:
        write_record(record, args.json)
    return 0
