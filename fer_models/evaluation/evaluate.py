"""`python -m fer_models evaluate`: measure models on labelled faces, fed exactly as the app feeds them."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fer_models.analyzer import WEIGHTS, Analyzer, load_analyzer
from fer_models.datasets.dataset import FaceData
from fer_models.datasets.duplicates import THRESHOLD, find_duplicates
from fer_models.errors import FerError
from fer_models.evaluation.metrics import measure
from fer_models.evaluation.predictions import TestPredictions, load_test_predictions, save_test_predictions
from fer_models.evaluation.records import (
    Baseline,
    ConfidenceErrors,
    EnsembleEvaluation,
    EvaluationRecord,
    Headline,
    ModelEvaluation,
    TrainTestDuplicates,
    package_versions,
)
from fer_models.evaluation.store import read_record, write_record
from fer_models.expressions import EXPRESSIONS
from fer_models.models.architectures import multiply_adds
from fer_models.models.baselines import add_baseline_argument, load_baselines
from fer_models.models.card import ModelCard, read_card, write_card
from fer_models.models.ensemble import ENSEMBLE
from fer_models.models.external_weights import external_file
from fer_models.registry import FER2013_LABEL_SETS, LABEL_SETS, load_dataset
from fer_models.results import FaceAnalysis

AnalyzedImage = Literal["auto", "whole", "detect"]
#: Pictures analysed together; bounds the memory.
_CHUNK: Final = 64
#: Square pictures up to this side are taken for cut-out faces when `--faces auto`.
_CUT_OUT: Final = 112


def read_faces(
    analyzer: Analyzer, data: FaceData, reading: AnalyzedImage = "auto"
) -> tuple[dict[str, NDArray[np.float32]], int]:
    """Every model's logits for every face.

    Args:
        analyzer: the loaded models.
        data: the faces; for photos, the largest face found counts, and the whole photo where none is found.
        reading: "whole" reads each picture as one face, "detect" looks for the face, "auto" decides by the picture.

    Returns:
        By model, (N, 7) float32 before the temperature, in the order of `EXPRESSIONS` (-inf for an expression the model
        does not know); and the number of pictures in which a face was looked for and none was found.
    """
    shape = (len(data), len(EXPRESSIONS))
    logits = {name: np.full(shape, -np.inf, np.float32) for name in analyzer.classifiers}
    missed = 0
    for start in tqdm(range(0, len(data), _CHUNK), unit=f"x{_CHUNK} faces", file=sys.stderr, disable=None):
        rows = range(start, min(start + _CHUNK, len(data)))
        pictures = {row: _rgb(data.faces[row]) for row in rows}
        whole = [row for row in rows if _is_cut_out(pictures[row], reading)]
        looked = [row for row in rows if row not in whole]
        best: dict[int, FaceAnalysis] = {}
        for analysis in analyzer.analyze([pictures[row] for row in looked]):
            row = looked[analysis.image]
            if row not in best or _area(analysis) > _area(best[row]):
                best[row] = analysis
        missed += len(looked) - len(best)
        whole += [row for row in looked if row not in best]
        for analysis in analyzer.analyze([pictures[row] for row in whole], whole=True):
            best[whole[analysis.image]] = analysis
        for row, analysis in best.items():
            for name, prediction in analysis.predictions.items():
                for label, logit in zip(prediction.labels, prediction.logits, strict=True):
                    if label in EXPRESSIONS:
                        logits[name][row, EXPRESSIONS.index(label)] = logit
    return logits, missed


def _rgb(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return face if face.ndim == 3 else np.repeat(face[..., None], 3, axis=2)


def _is_cut_out(picture: NDArray[np.uint8], reading: AnalyzedImage) -> bool:
    height, width, _ = picture.shape
    return reading == "whole" or (reading == "auto" and height == width <= _CUT_OUT)


def _area(analysis: FaceAnalysis) -> float:
    x1, y1, x2, y2 = analysis.face.box
    return float((x2 - x1) * (y2 - y1))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("--data", type=Path, required=True, help="folder with the dataset's files")
    parser.add_argument("--labels", choices=[*LABEL_SETS], required=True, help="label set")
    parser.add_argument("--split", default="test", help="train, validation, test, or as in the dataset: PrivateTest")
    parser.add_argument("--models", nargs="+", metavar="NAME", help="only these models (default: all)")
    add_baseline_argument(parser)
    parser.add_argument("--faces", choices=["auto", "whole", "detect"], default="auto", help="how pictures are read")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the figures to this file, beside other models' there"
    )
    parser.add_argument("--cards", action="store_true", help="also write the headline figures onto the models' cards")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, metavar="DIR", help="folder of cards and weights")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ... (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Measure, print a table, and write the JSON file and the readings beside it.

    Raises:
        FerError: data or models are unusable, or a file cannot be written.
    """
    data = load_dataset(args.labels, args.data, args.split)
    shipped = load_analyzer(args.models, device=args.device, weights=args.weights)
    baselines = load_baselines(args.baseline, shipped.classifiers, args.device)
    analyzer = Analyzer([*shipped.classifiers.values(), *baselines], shipped.detector)
    for name, model in analyzer.classifiers.items():
        if not set(model.card.labels) & set(EXPRESSIONS):
            raise FerError(
                f"{name} knows none of {', '.join(EXPRESSIONS)}: it says {', '.join(model.card.labels)}. Leave it out "
                "with --models, or correct the labels on its card."
            )
    logits, missed = read_faces(analyzer, data, args.faces)
    temperatures = {name: model.card.temperature for name, model in analyzer.classifiers.items()}
    predictions = TestPredictions(data.rows, data.targets, _duplicates(data, args.data), logits, temperatures)
    _print(predictions, [*shipped.classifiers], missed)
    cards = {name: model.card for name, model in analyzer.classifiers.items()}
    record = EvaluationRecord(
        command=_command(args),
        labels=args.labels,
        split=data.split,
        views=1,
        faces_not_found=missed,
        overlap=TrainTestDuplicates(correlation_above=THRESHOLD, rows=tuple(data.rows[predictions.copies].tolist())),
        versions=package_versions(),
        models=model_evaluations(predictions, cards, baselines=[model.name for model in baselines]),
    )
    if args.json:
        _write(args.json, record, predictions)
    if args.cards:
        for name in shipped.classifiers:
            if external_file(args.weights, name):
                continue  # its card is what was recognised in the file
            path = args.weights / f"{name}.json"
            card = _with_figures(read_card(path), data, record.models[name])
            network = analyzer.classifiers[name].network
            write_card(replace(card, multiply_adds=multiply_adds(network, card.input.size)), path)
    return 0


def _print(predictions: TestPredictions, members: Sequence[str], missed: int) -> None:
    values = {name: predictions.probabilities(name) for name in predictions.logits}
    if len(members) > 1:
        values[ENSEMBLE] = predictions.ensemble(members)
    kept = ~predictions.copies
    for name, probabilities in values.items():
        report = measure(predictions.targets, probabilities)
        line = f"{name:24} accuracy {report.accuracy:7.2%}  macro-F1 {report.macro_f1:.4f}  faces {report.count}"
        if not kept.all():
            line += f"  without training copies {measure(predictions.targets[kept], probabilities[kept]).accuracy:7.2%}"
        print(line)
    if missed:
        print(f"no face was found in {missed} pictures; they were read whole")


def _duplicates(data: FaceData, root: Path) -> NDArray[np.bool_]:
    """Which faces also stand in the training split, where the dataset is known to repeat itself: FER2013."""
    if data.source not in FER2013_LABEL_SETS or data.split == "train":
        return np.zeros(len(data), bool)
    return find_duplicates(np.asarray(data.faces), np.asarray(load_dataset("fer2013", root, "train").faces))


def _command(args: argparse.Namespace) -> str:
    beside = f" --baseline {' '.join(f'DIR/{path.name}' for path in args.baseline)}" if args.baseline else ""
    file = f" --json {args.json.name}" if args.json else ""
    words = f"--data DIR --labels {args.labels} --split {args.split}{beside}{file}"
    return f"python -m fer_models evaluate {words}"


def _write(path: Path, record: EvaluationRecord, predictions: TestPredictions) -> None:
    """Write the figures, and the predictions beside them; models measured into the same files before stay.

    They stay only if they were measured on the same faces with the same versions: one can be added or measured again.
    """
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
    members = [name for name, model in record.models.items() if model.baseline is None]
    if len(members) > 1:
        figures = _figures(predictions, predictions.ensemble(members))
        ensemble = EnsembleEvaluation(members=tuple(members), **figures)
        record = EvaluationRecord(**{**dict(record), "ensemble": ensemble})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_test_predictions(predictions, beside)
    except OSError as error:
        raise FerError(f"Cannot write {beside}: {error.strerror}.") from error
    write_record(record, path)


def model_evaluations(
    predictions: TestPredictions, cards: Mapping[str, ModelCard], *, baselines: Sequence[str] = ()
) -> dict[str, ModelEvaluation]:
    """Every model's figures on labelled faces.

    Args:
        predictions: of the models.
        cards: by model name.
        baselines: names of models that are not shipped.
    """
    models = {}
    for name in predictions.logits:
        raw = measure(predictions.targets, predictions.probabilities(name, calibrated=False))
        # A baseline's card is not shipped: what the leaderboard needs of it stands here.
        marked: dict[str, Any] = {"baseline": Baseline(title=cards[name].title)} if name in baselines else {}
        models[name] = ModelEvaluation(
            **_figures(predictions, predictions.probabilities(name)),
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


def _figures(predictions: TestPredictions, probabilities: NDArray[np.float32]) -> dict[str, Any]:
    """The figures on all faces, and the headline on those without a duplicate in the training split."""
    figures: dict[str, Any] = asdict(measure(predictions.targets, probabilities))
    kept = ~predictions.copies
    if not kept.all() and kept.any():
        report = measure(predictions.targets[kept], probabilities[kept])
        figures["without_overlap"] = Headline(count=report.count, accuracy=report.accuracy, macro_f1=report.macro_f1)
    return figures


def _with_figures(card: ModelCard, data: FaceData, figures: ModelEvaluation) -> ModelCard:
    """The card with one label set's headline figures beside others'; its weaknesses are those on its own label set."""
    keys = {"count", "accuracy", "macro_f1", "recall", "expected_calibration_error", "negative_log_likelihood"}
    kept = figures.model_dump(include=keys | {"before_temperature", "without_overlap"}, exclude_unset=True)
    card = replace(card, metrics={**card.metrics, f"{data.source}_{data.split}": kept})
    own = card.recipe.get("settings", {}).get("labels")
    return replace(card, weaknesses=_weaknesses(figures.recall)) if own == data.source else card


def _weaknesses(recall: Mapping[str, float | None]) -> str:
    """Which expressions a model misses more often than it finds them, the worst first."""
    missed = sorted((found, name) for name, found in recall.items() if found is not None and found < 0.5)
    if not missed:
        return "It finds at least half of the test faces of every expression."
    return "Of the test faces it finds only: " + ", ".join(f"{name} {found:.0%}" for found, name in missed) + "."
