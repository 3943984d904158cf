"""Measure models on labelled faces, fed exactly as the app feeds them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_models.analyzer import Analyzer
from fer_models.datasets.dataset import FaceData
from fer_models.datasets.duplicates import THRESHOLD, find_duplicates
from fer_models.errors import CardError, FerError
from fer_models.evaluation.merging import Merging, measure_merged, merged_probabilities
from fer_models.evaluation.metrics import measure
from fer_models.evaluation.predictions import (
    FaceMode,
    TestPredictions,
    load_test_predictions,
    predict_test_set,
    save_test_predictions,
)
from fer_models.evaluation.records import (
    Baseline,
    ConfidenceErrors,
    EnsembleEvaluation,
    EvaluationRecord,
    Headline,
    MergedFigures,
    ModelEvaluation,
    TrainTestDuplicates,
    package_versions,
)
from fer_models.evaluation.statistics import share_with_interval
from fer_models.evaluation.store import read_record, write_record
from fer_models.expressions import EXPRESSIONS
from fer_models.models.architectures import multiply_adds
from fer_models.models.card import ModelCard, read_card, write_card
from fer_models.models.classifier import Classifier, engine_names
from fer_models.models.external.files import external_file
from fer_models.models.external.peers import origin


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What models achieve on a test set.

    Attributes:
        record: the metrics.
        predictions: of every model for every face.
    """

    record: EvaluationRecord
    predictions: TestPredictions


def evaluate(
    analyzer: Analyzer,
    data: FaceData,
    *,
    mode: FaceMode = "auto",
    train: FaceData | None = None,
    baselines: Sequence[str] = (),
    flip_average: bool = False,
    merging: Merging | None = None,
    command: str = "",
) -> Evaluation:
    """Measure models on labelled faces, fed exactly as the app feeds them.

    Args:
        analyzer: the loaded models.
        data: the test set.
        mode: how a picture becomes a face.
        train: the training split, to find train/test duplicates in; None where there are none.
        baselines: names of those of the models that are no models of this project.
        flip_average: also measure the mean over each face and its mirror image. Takes twice the time.
        merging: also measure on these classes.
        command: what repeats the measurement, for the record.

    Raises:
        FerError: a model knows none of the expressions.
    """
    for name, model in analyzer.classifiers.items():
        if not set(model.card.labels) & set(EXPRESSIONS):
            raise FerError(
                f"{name} knows none of {', '.join(EXPRESSIONS)}: it predicts {', '.join(model.card.labels)}. Leave it "
                "out with --models, or correct the labels on its card."
            )
    duplicates = None if train is None else find_duplicates(np.asarray(data.faces), np.asarray(train.faces))
    predictions, missed = predict_test_set(analyzer, data, mode, duplicates, flip_average=flip_average)
    cards = {name: model.card for name, model in analyzer.classifiers.items()}
    rows = data.rows[predictions.duplicates].tolist()
    record = EvaluationRecord(
        command=command,
        labels=data.source,
        split=data.split,
        views=1,
        faces_not_found=missed,
        overlap=TrainTestDuplicates(correlation_above=THRESHOLD, rows=tuple(rows)),
        versions=package_versions(),
        engine=engine_names(analyzer.classifiers.values()),
        models=model_evaluations(predictions, cards, baselines=baselines, merging=merging),
    )
    return Evaluation(record, predictions)


def write_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Write the metrics, and the predictions beside them as .npz; models measured into the same files before stay.

    They stay only if they were measured on the same faces with the same versions: one can be added or measured again.

    Args:
        evaluation: what was measured.
        path: of the JSON file.

    Raises:
        FerError: a file cannot be written.
    """
    record, predictions = evaluation.record, evaluation.predictions
    beside = path.with_suffix(".npz")
    before = read_record(path, EvaluationRecord, ()).record
    same = ("labels", "split", "faces_not_found", "overlap", "versions")
    if before is not None and all(getattr(before, key) == getattr(record, key) for key in same):
        try:
            earlier = load_test_predictions(beside)
        except FerError:
            earlier = None
        if earlier is not None and earlier.same_faces(predictions):
            predictions = earlier.joined(predictions)
            models = {**before.models, **record.models}
            record = record.model_copy(update={"models": {name: models[name] for name in predictions.logits}})
    save_test_predictions(predictions, beside)
    write_record(with_ensemble(record, predictions), path)


def with_ensemble(record: EvaluationRecord, predictions: TestPredictions) -> EvaluationRecord:
    """A record with the figures of the ensemble; without, where fewer than two models learned the label set.

    Args:
        record: of the models.
        predictions: theirs.
    """
    kept = {name: value for name, value in record if name != "ensemble"}
    if members := record.ensemble_members:
        figures = _figures(predictions, predictions.ensemble(members), members)
        kept["ensemble"] = EnsembleEvaluation(members=members, **figures)
    return EvaluationRecord(**kept)


def write_onto_cards(evaluation: Evaluation, classifiers: Mapping[str, Classifier], weights: Path) -> None:
    """Write the headline metrics and the cost of a forward pass onto the models' cards.

    Args:
        evaluation: of the models.
        classifiers: by name; only those whose weights and card lie in the folder: other systems' files and peers keep
            the cards that they have.
        weights: the folder of the cards.

    Raises:
        CardError: a card is malformed or cannot be written.
    """
    for name, classifier in classifiers.items():
        if (path := own_card(weights, classifier.card)) is None:
            continue
        card = _with_metrics(read_card(path), evaluation.record, name)
        if classifier.network is not None:
            card = replace(card, multiply_adds=multiply_adds(classifier.network, card.input.size))
        write_card(card, path)


def own_card(weights: Path, card: ModelCard) -> Path | None:
    """The file of a card in a folder, if this project's weights lie there, too; None for models of other systems."""
    path = weights / f"{card.name}.json"
    if external_file(weights, card.name) or not path.is_file():
        return None
    try:
        return path if read_card(path).sha256 == card.sha256 else None  # not one of the same name, from elsewhere
    except CardError:
        return None


def model_evaluations(
    predictions: TestPredictions,
    cards: Mapping[str, ModelCard],
    *,
    baselines: Sequence[str] = (),
    merging: Merging | None = None,
) -> dict[str, ModelEvaluation]:
    """Every model's figures on labelled faces.

    Args:
        predictions: of the models.
        cards: by model name.
        baselines: names of models that are not shipped; peers and other systems' files are marked without being named
            here.
        merging: also measure on these classes.
    """
    marks = {name: Baseline(title=cards[name].title) for name in baselines}
    marks |= {name: Baseline(title=card.title, peer=text) for name, card in cards.items() if (text := origin(card))}
    models = {}
    for name in predictions.logits:
        raw = measure(predictions.targets, predictions.probabilities(name, calibrated=False))
        # A baseline's card is not shipped: what the leaderboard needs of it stands here.
        marked: dict[str, Any] = {"baseline": marks[name]} if name in marks else {}
        if merging is not None:
            marked["merged"] = {merging.name: _merged(merging, predictions, name)}
        models[name] = ModelEvaluation(
            **_figures(predictions, predictions.probabilities(name), [name]),
            temperature=cards[name].temperature,
            before_temperature=ConfidenceErrors(
                expected_calibration_error=raw.expected_calibration_error,
                negative_log_likelihood=raw.negative_log_likelihood,
            ),
            training_labels=cards[name].training_labels,
            sha256=cards[name].sha256,
            **marked,
        )
    return models


def _merged(merging: Merging, predictions: TestPredictions, name: str) -> MergedFigures:
    """One model's figures on merged classes."""
    others = predictions.others.get(name, {})
    labels = [*EXPRESSIONS, *others]
    logits = np.column_stack([predictions.logits[name], *others.values()])
    probabilities = merged_probabilities(merging, labels, logits, predictions.temperatures[name])
    report = measure_merged(merging, predictions.targets, probabilities)
    known = {
        merging.class_of(label) for label, column in zip(labels, logits.T, strict=True) if np.isfinite(column).any()
    }
    return MergedFigures(
        count=report.count,
        accuracy=report.accuracy,
        macro_f1=report.macro_f1,
        accuracy_interval=share_with_interval(np.arange(report.count) < report.right),
        classes=dict(merging.classes),
        recall=report.recall,
        confusion=tuple(map(tuple, report.confusion)),
        unknown=tuple(each for each in merging.classes if each not in known),
    )


def _figures(
    predictions: TestPredictions, probabilities: NDArray[np.float32], members: Sequence[str]
) -> dict[str, Any]:
    """The figures on all faces, and the headline on those without a duplicate in the training split.

    Args:
        predictions: of all models.
        probabilities: of one model or an ensemble.
        members: of that ensemble, or the model.
    """
    figures: dict[str, Any] = asdict(measure(predictions.targets, probabilities))
    right, kept = probabilities.argmax(1) == predictions.targets, ~predictions.duplicates
    figures["accuracy_interval"] = share_with_interval(right)
    if not kept.all() and kept.any():
        report = measure(predictions.targets[kept], probabilities[kept])
        figures["without_overlap"] = Headline(
            count=report.count,
            accuracy=report.accuracy,
            macro_f1=report.macro_f1,
            accuracy_interval=share_with_interval(right[kept]),
        )
    correct = predictions.flip_averaged_correct(members)
    if correct is not None:
        figures["accuracy_flip_averaged"] = share_with_interval(correct)
    return figures


def _with_metrics(card: ModelCard, record: EvaluationRecord, name: str) -> ModelCard:
    """The card with one label set's headline metrics beside others'; its weaknesses are those on its own label set."""
    figures = record.models[name]
    headline = {"count", "accuracy", "macro_f1"}
    errors = {"expected_calibration_error", "negative_log_likelihood", "before_temperature"}
    included: dict[str, Any] = dict.fromkeys([*headline, *errors, "recall"], True) | {"without_overlap": headline}
    kept = figures.model_dump(include=included, exclude_unset=True)
    card = replace(card, metrics={**card.metrics, f"{record.labels}_{record.split}": kept})
    return replace(card, weaknesses=_weaknesses(figures.recall)) if card.label_set == record.labels else card


def _weaknesses(recall: Mapping[str, float | None]) -> str:
    """Which expressions a model misses more often than it finds them, the worst first."""
    missed = sorted((found, name) for name, found in recall.items() if found is not None and found < 0.5)
    if not missed:
        return "None: it recognises at least half of the test faces of every expression."
    shares = ", ".join(f"{name} {recall:.0%}" for recall, name in missed)
    return f"It recognises less than half of the test faces with: {shares}."
