"""What `evaluate` measured, compared; one record that the dashboard only has to read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fer_models import __version__
from fer_models.errors import FerError
from fer_models.evaluation.metrics import measure
from fer_models.evaluation.predictions import TestPredictions, load_test_predictions
from fer_models.evaluation.records import (
    Calibration,
    EvaluationRecord,
    FaceSetComparison,
    LeaderboardRecord,
    ModelComparison,
    ModelEvaluation,
)
from fer_models.evaluation.statistics import (
    Interval,
    brier_score,
    calibration_gap,
    oracle_accuracy,
    paired_tests,
    reliability,
    risk_coverage,
    share_with_interval,
)
from fer_models.evaluation.store import read_record
from fer_models.models.ensemble import ENSEMBLE
from fer_models.registry import FER2013_LABEL_SETS

#: Sets of faces: the files `evaluate` wrote, without suffix.
SETS: Final = tuple(f"{name}_test" for name in FER2013_LABEL_SETS)
FILE: Final = "leaderboard.json"


def compare_test_sets(weights: Path, seed: int = 0) -> LeaderboardRecord:
    """Compare what `evaluate` measured on every test set.

    Args:
        weights: folder of cards and weights, with the files of `evaluate` in results/.
        seed: of the bootstrap.

    Raises:
        FerError: results are missing or damaged.
    """
    results = weights / "results"
    sets = {name: compare(results / f"{name}.json", seed) for name in SETS if (results / f"{name}.json").is_file()}
    if not sets:
        raise FerError(f"There is nothing to compare in {results}. Write it with: python -m fer_models evaluate --json")
    return LeaderboardRecord(command="python -m fer_models leaderboard", version=__version__, seed=seed, sets=sets)


def compare(path: Path, seed: int = 0) -> FaceSetComparison:
    """Everything the dashboard shows about one set of faces.

    Args:
        path: the JSON file that `evaluate` wrote; its predictions lie beside it.
        seed: of the bootstrap.

    Raises:
        FerError: a file is missing or damaged, or the two do not belong together.
    """
    loaded = read_record(path, EvaluationRecord, ("python -m fer_models evaluate --json",))
    if loaded.record is None:
        problem = loaded.problem
        raise FerError(f"{path} is not a file of `evaluate`: {problem.text if problem else ''}")
    measured = loaded.record
    predictions = load_test_predictions(path.with_suffix(".npz"))
    if set(measured.models) != set(predictions.logits):
        raise FerError(f"{path} and its .npz are about different models. Measure again with: {measured.command}")
    models = {name: _model(measured.models[name], name, predictions, seed) for name in predictions.logits}
    shipped = [name for name, model in models.items() if model.baseline is None]
    members = measured.ensemble_members
    if members:
        figures = _figures(predictions, predictions.ensemble(members), members, seed)
        models[ENSEMBLE] = ModelComparison(**figures)
    answers = {name: logits.argmax(1) for name, logits in predictions.logits.items()}
    kept = ~predictions.duplicates
    without = {name: answer[kept] for name, answer in answers.items()}
    return FaceSetComparison(
        labels=measured.labels,
        split=measured.split,
        command=measured.command,
        count=len(predictions.targets),
        copies=int(predictions.duplicates.sum()),
        models=models,
        pairs=tuple(paired_tests(predictions.targets, answers)),
        pairs_without_copies=tuple(paired_tests(predictions.targets[kept], without)) if kept.any() else (),
        calibration_gaps=_calibration_gaps(predictions, shipped, seed),
        oracle=oracle_accuracy(predictions.targets, [answers[name] for name in shipped or answers]),
        members=members,
    )


def _model(measured: ModelEvaluation, name: str, predictions: TestPredictions, seed: int) -> ModelComparison:
    raw = predictions.probabilities(name, calibrated=False)
    marked: dict[str, Any] = {} if measured.baseline is None else {"baseline": measured.baseline}
    return ModelComparison(
        **_figures(predictions, predictions.probabilities(name), [name], seed),
        sha256=measured.sha256,
        **marked,
        before_temperature=_calibration(predictions.targets, raw),
        temperature=predictions.temperatures[name],
    )


def _figures(
    predictions: TestPredictions, probabilities: NDArray[np.float32], members: Sequence[str], seed: int
) -> dict[str, Any]:
    """The figures of one model or of an ensemble with these members."""
    targets, kept = predictions.targets, ~predictions.duplicates
    right = probabilities.argmax(1) == targets
    report = measure(targets, probabilities)
    both_views = predictions.flip_averaged_correct(members)
    measured = {} if both_views is None else {"accuracy_flip_averaged": share_with_interval(both_views, seed=seed)}
    return measured | {
        "accuracy": share_with_interval(right, seed=seed),
        "accuracy_without_copies": share_with_interval(right[kept], seed=seed) if kept.any() else None,
        "macro_f1": report.macro_f1,
        "recall": report.recall,
        "labels": tuple(report.labels),
        "confusion": report.confusion,
        "risk_coverage": tuple(risk_coverage(targets, probabilities)),
        "after_temperature": _calibration(targets, probabilities),
    }


def _calibration_gaps(predictions: TestPredictions, shipped: Sequence[str], seed: int) -> dict[str, Interval]:
    """By model, how much larger its calibration error is than the best calibrated one's; that one is left out."""
    probabilities = {name: predictions.probabilities(name) for name in shipped}
    if not shipped:
        return {}
    errors = {
        name: measure(predictions.targets, values).expected_calibration_error for name, values in probabilities.items()
    }
    best = min(errors, key=errors.__getitem__)
    return {
        name: calibration_gap(predictions.targets, probabilities[name], probabilities[best], seed=seed)
        for name in shipped
        if name != best
    }


def _calibration(targets: NDArray[np.int64], probabilities: NDArray[np.float32]) -> Calibration:
    report = measure(targets, probabilities)
    return Calibration(
        expected_calibration_error=report.expected_calibration_error,
        negative_log_likelihood=report.negative_log_likelihood,
        brier=brier_score(targets, probabilities),
        reliability=tuple(reliability(targets, probabilities)),
    )
