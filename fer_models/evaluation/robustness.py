"""How accuracy falls as faces get worse."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fer_models.analyzer import Analyzer
from fer_models.datasets.dataset import FaceData
from fer_models.evaluation.corruptions import CORRUPTIONS, STRENGTHS, corrupt
from fer_models.evaluation.predictions import predict_test_set
from fer_models.evaluation.records import RobustnessRecord, package_versions
from fer_models.evaluation.statistics import Interval, mean_with_interval
from fer_models.models.classifier import engine_names
from fer_models.models.ensemble import ENSEMBLE
from fer_models.registry import ensemble_members


def measure_robustness(analyzer: Analyzer, data: FaceData, seed: int = 0, command: str = "") -> RobustnessRecord:
    """Accuracy of every model, and of the ensemble of those that learned the label set, on clean and corrupted faces.

    Args:
        analyzer: the loaded models.
        data: aligned faces.
        seed: of the corruptions and the bootstrap.
        command: what repeats the measurement, for the record.
    """
    clean, curves, correct = measure_corrupted(analyzer, data, seed)
    mean, behind = compare_means(correct, seed)
    return RobustnessRecord(
        command=command,
        labels=data.source,
        split=data.split,
        count=len(data),
        seed=seed,
        strengths=STRENGTHS,
        versions=package_versions(),
        engine=engine_names(analyzer.classifiers.values()),
        sha256={name: model.card.sha256 for name, model in analyzer.classifiers.items()},
        clean=clean,
        corrupted={kind: {name: tuple(curve) for name, curve in by_model.items()} for kind, by_model in curves.items()},
        mean=mean,
        behind=behind,
        members=_members(analyzer, data),
    )


def compare_means(
    correct: Mapping[str, NDArray[np.float64]], seed: int
) -> tuple[dict[str, Interval], dict[str, Interval]]:
    """Mean accuracy over all kinds and strengths with its interval, and how far each model is behind the best.

    Args:
        correct: by model, and for the ensemble, (N,): the share of a face's corrupted versions that is classified
            correctly.
        seed: of the bootstrap over faces, the same faces for both models of a difference.

    Returns:
        Means by model; differences by model, without the best one and the ensemble.
    """
    best = max((name for name in correct if name != ENSEMBLE), key=lambda name: correct[name].mean())
    behind = [name for name in correct if name not in (best, ENSEMBLE)]
    return (
        {name: mean_with_interval(values, seed=seed) for name, values in correct.items()},
        {name: mean_with_interval(correct[best] - correct[name], seed=seed) for name in behind},
    )


def measure_corrupted(
    analyzer: Analyzer, data: FaceData, seed: int
) -> tuple[dict[str, float], dict[str, dict[str, list[float]]], dict[str, NDArray[np.float64]]]:
    """Accuracy of every model and of the ensemble on clean and on corrupted faces.

    Args:
        analyzer: the loaded models.
        data: aligned faces.
        seed: each kind and strength draws anew from it, so that one can be measured without the others.

    Returns:
        Accuracy by model; by kind and model, one accuracy per strength; and by model (N,) float64, the share of a
        face's corrupted versions that is classified correctly.
    """
    clean = {name: float(correct.mean()) for name, correct in _correct(analyzer, data).items()}
    curves: dict[str, dict[str, list[float]]] = {}
    shares = {name: np.zeros(len(data)) for name in clean}
    for number, kind in enumerate(CORRUPTIONS):
        curves[kind] = {name: [] for name in clean}
        for strength in STRENGTHS:
            generator = np.random.default_rng([seed, number, strength])
            faces = [corrupt(face, kind, strength, generator) for face in data.faces]
            worse = FaceData(data.source, data.split, faces, data.targets, data.rows)
            for name, correct in _correct(analyzer, worse).items():
                curves[kind][name].append(float(correct.mean()))
                shares[name] += correct / (len(CORRUPTIONS) * len(STRENGTHS))
    return clean, curves, shares


def _correct(analyzer: Analyzer, data: FaceData) -> dict[str, NDArray[np.bool_]]:
    """By model, and for the ensemble, (N,) bool: which faces are classified correctly."""
    predictions, _ = predict_test_set(analyzer, data, "whole")
    ensembles = {ENSEMBLE: _members(analyzer, data)}
    return {name: classes == data.targets for name, classes in predictions.classes(ensembles).items()}


def _members(analyzer: Analyzer, data: FaceData) -> tuple[str, ...]:
    labels = {name: model.card.training_labels for name, model in analyzer.classifiers.items()}
    return ensemble_members(labels, data.source)
