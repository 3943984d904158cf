"""python -m fer_models fairness: whether models err more often for some groups of people than for others."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

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

if TYPE_CHECKING:
    from fer_models.evaluation.records.fairness import FairnessRecord

#: With fewer faces a 95 % interval is at least 25 percentage points wide at an accuracy of 70 %.
_LEAST: Final = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare this command's arguments."""
    add_flag(parser, "data", help="folder of the pictures")
    parser.add_argument(
        "--groups", type=Path, required=True, metavar="FILE.csv", help="columns file (below --data), label, group"
    )
    parser.add_argument(
        "--least", type=int, default=_LEAST, help="faces that a group needs to be reported (default: %(default)s)"
    )
    add_flags(parser, "class-names", "faces", "seed", "json", *MODEL_FLAGS)


def run(args: argparse.Namespace) -> int:
    """Measure, print a table, and write the JSON file.

    Raises:
        FerError: data or models are unusable, no group is large enough, or the file cannot be written.
    """
    from fer_models.evaluation.fairness import check_groups, load_groups, measure_fairness
    from fer_models.evaluation.store import write_record

    if args.least < 2:
        raise FerError(f"--least {args.least}: a group needs at least two faces, one has no interval.")
    faces = load_groups(args.data, args.groups, args.class_names)
    check_groups(faces, args.least)
    record = measure_fairness(
        analyzer_of(args),
        faces,
        least=args.least,
        mode=args.faces,
        seed=args.seed,
        command=f"python -m fer_models fairness --data DIR --groups {args.groups.name} --least {args.least} "
        f"--seed {args.seed}{given_class_names(args)}{further_models(args)}",
    )
    _print(record)
    if args.json:
        write_record(record, args.json)
    return 0


def _print(record: "FairnessRecord") -> None:
    for name, result in record.models.items():
        print(name)
        for group, figures in result.groups.items():
            print(f"  {group:24} {figures.count:6} {with_interval(figures.accuracy)}")
        for gap in result.gaps:
            clear = "" if gap.low > 0 or gap.high < 0 else "  (not significantly different)"
            pair = f"{gap.first} - {gap.second}"
            print(f"  {pair:31} {gap.value:+7.2%}  [{gap.low:+.2%}, {gap.high:+.2%}]{clear}")
    for group, count in record.too_small.items():
        print(f"{group}: {count} faces are too few to say anything; {record.least} are needed")
    if missed := record.faces_not_found:
        print(f"no face was detected in {missed} pictures; they were taken whole")
