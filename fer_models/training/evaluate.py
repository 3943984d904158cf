"""`python -m fer_models evaluate`: measure models on labelled faces, fed exactly as the app feeds them."""

import argparse
import json
import platform
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, f1_score, recall_score
from tqdm import tqdm

from fer_models import __version__
from fer_models.analyzer import WEIGHTS, Analyzer, load_analyzer
from fer_models.errors import FerError
from fer_models.expressions import EXPRESSIONS
from fer_models.results import FaceAnalysis
from fer_models.training.data import SOURCES, FaceData, load_data
from fer_models.training.overlap import THRESHOLD, overlapping

Reading = Literal["auto", "whole", "detect"]
#: Pictures analysed together; bounds the memory.
_CHUNK: Final = 64
#: Square pictures up to this side are taken for cut-out faces when `--faces auto`.
_CUT_OUT: Final = 112


@dataclass(frozen=True)
class EvaluationReport:
    """One model's measured figures on one set of faces.

    Attributes:
        count: faces measured.
        accuracy: share of faces whose most probable expression is their label, in [0, 1].
        macro_f1: mean F1 of the expressions that occur in truth or predictions (scikit-learn).
        recall: by expression, share of its faces found; None where the set has none.
        expected_calibration_error: mean gap of confidence and accuracy over 15 equal bins (Guo et al., ICML 2017).
        negative_log_likelihood: mean of -log of the label's probability, in nats.
        labels: order of the confusion matrix's rows and columns.
        confusion: (C, C) counts; rows are the truth.
    """

    count: int
    accuracy: float
    macro_f1: float
    recall: dict[str, float | None]
    expected_calibration_error: float
    negative_log_likelihood: float
    labels: tuple[str, ...] = EXPRESSIONS
    confusion: list[list[int]] = field(default_factory=list)


def measure(targets: NDArray[np.int64], probabilities: NDArray[np.float32]) -> EvaluationReport:
    """The figures of one model.

    Args:
        targets: (N,) int64, indices into `EXPRESSIONS`; N at least 1.
        probabilities: (N, 7) float32, columns in the order of `EXPRESSIONS`.
    """
    chosen = probabilities.argmax(1)
    confidence = probabilities.max(1)
    right = chosen == targets
    classes = np.arange(len(EXPRESSIONS))
    counts = np.bincount(targets, minlength=len(EXPRESSIONS))
    recalls = recall_score(targets, chosen, labels=classes, average=None, zero_division=0.0)
    bins = np.minimum((confidence * 15).astype(int), 14)
    gaps = [abs(right[bins == i].mean() - confidence[bins == i].mean()) * (bins == i).mean() for i in np.unique(bins)]
    of_label = probabilities[np.arange(len(targets)), targets]
    present = np.union1d(targets, chosen)
    return EvaluationReport(
        count=len(targets),
        accuracy=float(right.mean()),
        macro_f1=float(f1_score(targets, chosen, labels=present, average="macro", zero_division=0.0)),
        recall={name: float(recalls[i]) if counts[i] else None for i, name in enumerate(EXPRESSIONS)},
        expected_calibration_error=float(sum(gaps)),
        negative_log_likelihood=float(-np.log(np.maximum(of_label, 1e-12)).mean()),
        confusion=confusion_matrix(targets, chosen, labels=classes).tolist(),
    )


def read_faces(
    analyzer: Analyzer, data: FaceData, reading: Reading = "auto"
) -> tuple[dict[str, NDArray[np.float32]], int]:
    """Every model's probabilities for every face.

    Args:
        analyzer: the loaded models.
        data: the faces; for photos, the largest face found counts, and the whole photo where none is found.
        reading: "whole" reads each picture as one face, "detect" looks for the face, "auto" decides by the picture.

    Returns:
        By model, (N, 7) float32 in the order of `EXPRESSIONS` (0 for an expression the model does not know); and the
        number of pictures in which a face was looked for and none was found.
    """
    probabilities = {name: np.zeros((len(data), len(EXPRESSIONS)), np.float32) for name in analyzer.classifiers}
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
                for label, probability in zip(prediction.labels, prediction.probabilities, strict=True):
                    if label in EXPRESSIONS:
                        probabilities[name][row, EXPRESSIONS.index(label)] = probability
    return probabilities, missed


def _rgb(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return face if face.ndim == 3 else np.repeat(face[..., None], 3, axis=2)


def _is_cut_out(picture: NDArray[np.uint8], reading: Reading) -> bool:
    height, width, _ = picture.shape
    return reading == "whole" or (reading == "auto" and height == width <= _CUT_OUT)


def _area(analysis: FaceAnalysis) -> float:
    x1, y1, x2, y2 = analysis.face.box
    return float((x2 - x1) * (y2 - y1))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("--data", type=Path, required=True, help="folder with the dataset's files")
    parser.add_argument("--labels", choices=SOURCES, required=True, help="label set")
    parser.add_argument("--split", default="test", help="train, validation, test, or as in the dataset: PrivateTest")
    parser.add_argument("--models", nargs="+", metavar="NAME", help="only these models (default: all)")
    parser.add_argument("--faces", choices=["auto", "whole", "detect"], default="auto", help="how pictures are read")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the figures to this file, beside other models' there"
    )
    parser.add_argument("--weights", type=Path, default=WEIGHTS, metavar="DIR", help="folder of cards and weights")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ... (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Measure, print a table, and write the JSON file.

    Raises:
        FerError: data or models are unusable, or the file cannot be written.
    """
    data = load_data(args.labels, args.data, args.split)
    analyzer = load_analyzer(args.models, device=args.device, weights=args.weights)
    probabilities, missed = read_faces(analyzer, data, args.faces)
    reports = {name: measure(data.targets, values) for name, values in probabilities.items()}
    copies = _copies(data, args.data)
    rest = {name: measure(data.targets[~copies], values[~copies]) for name, values in probabilities.items()}
    for name, report in reports.items():
        line = f"{name:24} accuracy {report.accuracy:7.2%}  macro-F1 {report.macro_f1:.4f}  faces {report.count}"
        print(line + (f"  without training copies {rest[name].accuracy:7.2%}" if copies.any() else ""))
    if missed:
        print(f"no face was found in {missed} pictures; they were read whole")
    if args.json:
        document = _document(args, analyzer, data, reports, missed)
        document["overlap"] = {"correlation_above": THRESHOLD, "rows": data.rows[copies].tolist()}
        if copies.any():
            for name, report in rest.items():
                kept = {"count": report.count, "accuracy": report.accuracy, "macro_f1": report.macro_f1}
                document["models"][name]["without_overlap"] = kept
        _keep_others(args.json, document)
        try:
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise FerError(f"Cannot write {args.json}: {error.strerror}.") from error
    return 0


def _copies(data: FaceData, root: Path) -> NDArray[np.bool_]:
    """Which faces also stand in the training split, where the dataset is known to repeat itself: FER2013."""
    if data.source not in ("fer2013", "ferplus") or data.split == "train":
        return np.zeros(len(data), bool)
    return overlapping(np.asarray(data.faces), np.asarray(load_data("fer2013", root, "train").faces))


def _keep_others(path: Path, document: dict[str, Any]) -> None:
    """Models measured into the same file before stay, if it is about the same faces: one can be added or redone."""
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        if all(before[key] == document[key] for key in ("labels", "split", "faces_not_found", "overlap", "versions")):
            document["models"] = before["models"] | document["models"]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no such file yet, or another one: it is written anew


def _document(
    args: argparse.Namespace,
    analyzer: Analyzer,
    data: FaceData,
    reports: dict[str, EvaluationReport],
    missed: int,
) -> dict[str, Any]:
    return {
        "command": f"python -m fer_models evaluate --data DIR --labels {args.labels} --split {args.split} "
        f"--json {args.json.name}",
        "labels": args.labels,
        "split": data.split,
        "views": 1,
        "faces_not_found": missed,
        "versions": {
            "fer_models": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "models": {
            name: {
                **asdict(report),
                "training_labels": analyzer.classifiers[name].card.training_labels,
                "sha256": analyzer.classifiers[name].card.sha256,
            }
            for name, report in reports.items()
        },
    }
