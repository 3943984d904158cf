"""`python -m fer_models fairness`: whether models err more often for some groups of people than for others.

Needs faces whose people said which group they count themselves to; neither FER2013 nor FER+ has such labels.
"""

import argparse
import csv
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from fer_models import __version__
from fer_models.analyzer import WEIGHTS, load_analyzer
from fer_models.datasets.dataset import FaceData
from fer_models.errors import DatasetError, FerError, UnknownNameError
from fer_models.evaluation.evaluate import read_faces
from fer_models.evaluation.predictions import TestPredictions
from fer_models.evaluation.statistics import gap_with_interval, share_with_interval
from fer_models.expressions import EXPRESSIONS, expression
from fer_models.media.images import read_image
from fer_models.models.ensemble import ENSEMBLE

_COLUMNS: Final = ("file", "label", "group")
#: With fewer faces a 95 % interval is at least 25 percent points wide at an accuracy of 70 %.
LEAST: Final = 50


@dataclass(frozen=True, eq=False)
class GroupedFaces:
    """Labelled faces, each of a person of some group.

    Attributes:
        data: the faces.
        groups: the group of each.
    """

    data: FaceData
    groups: tuple[str, ...]

    def of(self, group: str) -> NDArray[np.bool_]:
        """(N,) bool: the faces of this group."""
        return np.array([each == group for each in self.groups])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("--data", type=Path, required=True, help="folder of the pictures")
    parser.add_argument(
        "--groups", type=Path, required=True, metavar="FILE.csv", help="columns file (below --data), label, group"
    )
    parser.add_argument(
        "--least", type=int, default=LEAST, help="faces a group needs to be told about (default: %(default)s)"
    )
    parser.add_argument("--models", nargs="+", metavar="NAME", help="only these models (default: all)")
    parser.add_argument("--faces", choices=["auto", "whole", "detect"], default="auto", help="how pictures are read")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, metavar="DIR", help="folder of cards and weights")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ... (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Measure, print a table, and write the JSON file.

    Raises:
        FerError: data or models are unusable, no group is large enough, or the file cannot be written.
    """
    if args.least < 2:
        raise FerError(f"--least {args.least}: a group needs at least two faces, one has no interval.")
    faces = load_groups(args.data, args.groups)
    small = too_small(faces, args.least)
    if len(small) == len(set(faces.groups)):
        told = ", ".join(f"{group} has {count}" for group, count in small.items())
        raise FerError(f"No group has {args.least} faces, so nothing can be said: {told}. Add faces, or lower --least.")
    analyzer = load_analyzer(args.models, device=args.device, weights=args.weights)
    logits, missed = read_faces(analyzer, faces.data, args.faces)
    temperatures = {name: model.card.temperature for name, model in analyzer.classifiers.items()}
    data = faces.data
    predictions = TestPredictions(data.rows, data.targets, np.zeros(len(data), bool), logits, temperatures)
    chosen = {name: predictions.probabilities(name).argmax(1) for name in logits}
    if len(logits) > 1:
        chosen[ENSEMBLE] = predictions.ensemble().argmax(1)
    models = {
        name: compare_groups(labels == data.targets, faces, args.least, args.seed) for name, labels in chosen.items()
    }
    document = {
        "command": f"python -m fer_models fairness --data DIR --groups {args.groups.name} --least {args.least} "
        f"--seed {args.seed}",
        "count": len(data),
        "faces_not_found": missed,
        "least": args.least,
        "too_small": small,
        "labels": {group: _labels(faces, group) for group in dict.fromkeys(faces.groups)},
        "versions": {
            "fer_models": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "sha256": {name: model.card.sha256 for name, model in analyzer.classifiers.items()},
        "models": models,
    }
    _print(models, small, args.least, missed)
    if args.json:
        try:
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise FerError(f"Cannot write {args.json}: {error.strerror}.") from error
    return 0


def load_groups(root: Path, path: Path) -> GroupedFaces:
    """The pictures a list names, with their labels and groups.

    Args:
        root: folder of the pictures; the list cannot name one outside.
        path: CSV in UTF-8 with a header and the columns file, label, group; other columns are not read.

    Raises:
        DatasetError: the list or a picture is missing or malformed; the message names file and row.
        ImageError: a picture cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            if not set(_COLUMNS).issubset(reader.fieldnames or ()):
                raise DatasetError(f"{path}: expected the columns {', '.join(_COLUMNS)}, found {reader.fieldnames}.")
            entries = [tuple((row[column] or "").strip() for column in _COLUMNS) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    if not entries:
        raise DatasetError(f"{path} names no picture.")
    pictures, targets = [], []
    for number, (name, label, group) in enumerate(entries, 2):
        picture = root / name
        if not name or not group or not picture.resolve().is_relative_to(root.resolve()) or not picture.is_file():
            raise DatasetError(f"{path}, row {number}: expected a picture below {root}, a label and a group.")
        try:
            targets.append(EXPRESSIONS.index(expression(label)))
        except UnknownNameError as error:
            raise DatasetError(f"{path}, row {number}: {error}") from None
        pictures.append(read_image(picture))
    data = FaceData("groups", "test", pictures, np.array(targets), np.arange(len(targets)))
    return GroupedFaces(data, tuple(group for _, _, group in entries))


def too_small(faces: GroupedFaces, least: int) -> dict[str, int]:
    """Groups with fewer faces than that, and how many they have."""
    counts = {group: int(faces.of(group).sum()) for group in dict.fromkeys(faces.groups)}
    return {group: count for group, count in counts.items() if count < least}


def compare_groups(right: NDArray[np.bool_], faces: GroupedFaces, least: int, seed: int = 0) -> dict[str, Any]:
    """One model's accuracy in every group that is large enough, and the gap of every two.

    Args:
        right: (N,) bool, which faces it gets right.
        faces: with their groups.
        least: faces a group needs.
        seed: of the bootstrap.
    """
    small = too_small(faces, least)
    masks = {group: faces.of(group) for group in dict.fromkeys(faces.groups) if group not in small}
    groups = {
        group: {"count": int(mask.sum()), "accuracy": asdict(share_with_interval(right[mask], seed=seed))}
        for group, mask in masks.items()
    }
    gaps = [
        {"first": first, "second": second}
        | asdict(gap_with_interval(right[masks[first]], right[masks[second]], seed=seed))
        for first, second in combinations(masks, 2)
    ]
    return {"groups": groups, "gaps": gaps}


def _labels(faces: GroupedFaces, group: str) -> dict[str, int]:
    """How many faces of a group carry each label: groups with other labels have other accuracies for that alone."""
    counts = np.bincount(faces.data.targets[faces.of(group)], minlength=len(EXPRESSIONS))
    return dict(zip(EXPRESSIONS, counts.tolist(), strict=True))


def _print(models: Mapping[str, Any], small: Mapping[str, int], least: int, missed: int) -> None:
    for name, told in models.items():
        print(name)
        for group, figures in told["groups"].items():
            each = figures["accuracy"]
            print(f"  {group:24} {figures['count']:6} {each['value']:7.2%}  [{each['low']:.2%}, {each['high']:.2%}]")
        for gap in told["gaps"]:
            clear = "" if gap["low"] > 0 or gap["high"] < 0 else "  (may be chance)"
            pair = f"{gap['first']} - {gap['second']}"
            print(f"  {pair:31} {gap['value']:+7.2%}  [{gap['low']:+.2%}, {gap['high']:+.2%}]{clear}")
    for group, count in small.items():
        print(f"{group}: {count} faces are too few to say anything; {least} are needed")
    if missed:
        print(f"no face was found in {missed} pictures; they were read whole")
