"""`python -m fer_models robustness`: how accuracy falls as faces get worse."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_models.analyzer import WEIGHTS, Analyzer, load_analyzer
from fer_models.datasets.dataset import FaceData
from fer_models.errors import FerError
from fer_models.evaluation.corruptions import CORRUPTIONS, STRENGTHS, corrupt
from fer_models.evaluation.evaluate import read_faces
from fer_models.evaluation.predictions import TestPredictions
from fer_models.evaluation.records import RobustnessRecord, package_versions
from fer_models.evaluation.statistics import Interval, mean_with_interval
from fer_models.evaluation.store import write_record
from fer_models.models.ensemble import ENSEMBLE
from fer_models.registry import LABEL_SETS, load_dataset


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("--data", type=Path, required=True, help="folder with the dataset's files")
    parser.add_argument("--labels", choices=[*LABEL_SETS], required=True, help="label set")
    parser.add_argument("--split", default="test", help="train, validation, test, or as in the dataset: PrivateTest")
    parser.add_argument("--models", nargs="+", metavar="NAME", help="only these models (default: all)")
    parser.add_argument("--count", type=int, default=500, help="faces, drawn by the seed (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw and the corruptions (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, metavar="DIR", help="folder of cards and weights")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ... (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Measure, print a table, and write the JSON file.

    Raises:
        FerError: data or models are unusable, or the file cannot be written.
    """
    if args.count < 1:
        raise FerError(f"--count {args.count}: at least one face is needed.")
    data = load_dataset(args.labels, args.data, args.split)
    order = np.random.default_rng(args.seed).permutation(len(data))
    data = data.take(np.sort(order[: args.count]))
    analyzer = load_analyzer(args.models, device=args.device, weights=args.weights)
    clean, curves, right = measure_corrupted(analyzer, data, args.seed)
    for name, accuracy in clean.items():
        print(f"{name:24} clean {accuracy:7.2%}  corrupted, mean {right[name].mean():7.2%}")
    if args.json:
        mean, behind = compare_means(right, args.seed)
        record = RobustnessRecord(
            command=f"python -m fer_models robustness --data DIR --labels {args.labels} --split {args.split} "
            f"--count {args.count} --seed {args.seed} --json {args.json.name}",
            labels=args.labels,
            split=data.split,
            count=len(data),
            seed=args.seed,
            strengths=STRENGTHS,
            versions=package_versions(),
            sha256={name: model.card.sha256 for name, model in analyzer.classifiers.items()},
            clean=clean,
            corrupted={
                kind: {name: tuple(curve) for name, curve in by_model.items()} for kind, by_model in curves.items()
            },
            mean=mean,
            behind=behind,
        )
        write_record(record, args.json)
    return 0


def compare_means(
    right: Mapping[str, NDArray[np.float64]], seed: int
) -> tuple[dict[str, Interval], dict[str, Interval]]:
    """Mean accuracy over all kinds and strengths with its interval, and how far each model is behind the best.

    Args:
        right: by model, and for the ensemble, (N,): the share of a face's corrupted versions that is classified right.
        seed: of the bootstrap over faces, the same faces for both models of a difference.

    Returns:
        Means by model; differences by model, without the best one and the ensemble.
    """
    best = max((name for name in right if name != ENSEMBLE), key=lambda name: right[name].mean())
    behind = [name for name in right if name not in (best, ENSEMBLE)]
    return (
        {name: mean_with_interval(values, seed=seed) for name, values in right.items()},
        {name: mean_with_interval(right[best] - right[name], seed=seed) for name in behind},
    )


def measure_corrupted(
    analyzer: Analyzer, data: FaceData, seed: int
) -> tuple[dict[str, float], dict[str, dict[str, list[float]]], dict[str, NDArray[np.float64]]]:
    """Accuracy of every model and of their mean on clean and on corrupted faces.

    Args:
        analyzer: the loaded models.
        data: aligned faces.
        seed: each kind and strength draws anew from it, so that one can be measured without the others.

    Returns:
        Accuracy by model; by kind and model, one accuracy a strength; and by model (N,) float64, the share of a face's
        corrupted versions that is read right.
    """
    clean = {name: float(right.mean()) for name, right in _right(analyzer, data).items()}
    curves: dict[str, dict[str, list[float]]] = {}
    shares = {name: np.zeros(len(data)) for name in clean}
    for number, kind in enumerate(CORRUPTIONS):
        curves[kind] = {name: [] for name in clean}
        for strength in STRENGTHS:
            generator = np.random.default_rng([seed, number, strength])
            faces = [corrupt(face, kind, strength, generator) for face in data.faces]
            worse = FaceData(data.source, data.split, faces, data.targets, data.rows)
            for name, right in _right(analyzer, worse).items():
                curves[kind][name].append(float(right.mean()))
                shares[name] += right / (len(CORRUPTIONS) * len(STRENGTHS))
    return clean, curves, shares


def _right(analyzer: Analyzer, data: FaceData) -> dict[str, NDArray[np.bool_]]:
    """By model, and for their mean, (N,) bool: which faces are read right."""
    logits, _ = read_faces(analyzer, data, "whole")
    temperatures = {name: model.card.temperature for name, model in analyzer.classifiers.items()}
    predictions = TestPredictions(data.rows, data.targets, np.zeros(len(data), bool), logits, temperatures)
    probabilities: dict[str, Any] = {name: predictions.probabilities(name) for name in logits}
    if len(logits) > 1:
        probabilities[ENSEMBLE] = predictions.ensemble()
    return {name: values.argmax(1) == data.targets for name, values in probabilities.items()}
