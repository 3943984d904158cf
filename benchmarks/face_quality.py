"""Where a face becomes too poor to be read: the limits of `fer_models.faces.quality`.

python -m benchmarks.face_quality --data DIR [--json FILE]

The faces that `robustness` measured on FER2013 are made worse: shrunk and blurred as there, with the accuracies of that
record, and dimmed to a fraction of their grey levels, which is measured here, since the noise of low light costs more
than the darkness. The limit is the measure at which the models' mean accuracy is ten points below that on clean faces,
interpolated.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_models.analyzer import WEIGHTS, Analyzer, load_analyzer
from fer_models.datasets.dataset import FaceData
from fer_models.evaluation.corruptions import CORRUPTIONS, corrupt, side_left
from fer_models.evaluation.predictions import predict_test_set
from fer_models.evaluation.records import RobustnessRecord
from fer_models.evaluation.records.benchmarks import FaceQualityRecord, QualityCurve
from fer_models.evaluation.store import write_record
from fer_models.faces.alignment import whole_picture
from fer_models.faces.quality import eye_distance_of, face_quality
from fer_models.registry import load_dataset

#: Points of accuracy that a face may lose before it counts as poor.
LOSS = 0.1
#: The kind of corruption that sets each limit.
KINDS = {"eye_distance": "low resolution", "sharpness": "blur"}
#: Fractions that faces are dimmed to, for the limit of the contrast.
DIMMED = (0.5, 0.3, 0.2, 0.1, 0.05)


def limit_of(measure: list[float], accuracy: list[float], loss: float = LOSS) -> float:
    """The measure at which the accuracy has fallen by `loss`, interpolated; that of the last strength if it has not.

    Args:
        measure: on clean faces, then at each strength.
        accuracy: alike.
        loss: points below that on clean faces, as a share.
    """
    falling = np.minimum.accumulate(accuracy)
    return float(np.interp(-(accuracy[0] - loss), -falling, measure))


def corrupted_curve(name: str, kind: str, data: FaceData, robustness: RobustnessRecord) -> QualityCurve:
    """A measure of `FaceQuality` by name, on clean faces and at each strength, beside the models' mean accuracy."""
    number = list(CORRUPTIONS).index(kind)
    clean = list(data.faces)
    measure, accuracy = [_median(name, clean, clean[0].shape[0])], [_mean(robustness, robustness.clean)]
    for index, strength in enumerate(robustness.strengths):
        generator = np.random.default_rng([robustness.seed, number, strength])
        faces = [corrupt(face, kind, strength, generator) for face in clean]
        measure.append(_median(name, faces, side_left(strength)))
        curves = robustness.corrupted[kind]
        accuracy.append(_mean(robustness, {model: curve[index] for model, curve in curves.items()}))
    return _curve(kind, measure, accuracy)


def dimmed_curve(analyzer: Analyzer, data: FaceData) -> QualityCurve:
    """The contrast of faces that are dimmed, beside the models' mean accuracy."""
    measure, accuracy = [], []
    for fraction in (1.0, *DIMMED):
        faces = [np.rint(face * fraction).astype(np.uint8) for face in data.faces]
        worse = FaceData(data.source, data.split, faces, data.targets, data.rows)
        predictions, _ = predict_test_set(analyzer, worse, "whole")
        classes = predictions.classes()
        accuracy.append(float(np.mean([(classes[name] == data.targets).mean() for name in analyzer.classifiers])))
        measure.append(_median("contrast", faces, faces[0].shape[0]))
    return _curve("dimmed", measure, accuracy)


def _median(name: str, faces: list[NDArray[np.uint8]], side: int) -> float:
    if name == "eye_distance":
        return eye_distance_of(side)
    whole = whole_picture(np.dstack([faces[0]] * 3))
    return float(np.median([getattr(face_quality(whole, face), name) for face in faces]))


def _curve(kind: str, measure: list[float], accuracy: list[float]) -> QualityCurve:
    rounded = tuple(round(value, 3) for value in measure)
    shares = tuple(round(value, 4) for value in accuracy)
    return QualityCurve(kind=kind, measure=rounded, accuracy=shares, limit=round(limit_of(measure, accuracy), 3))


def _mean(robustness: RobustnessRecord, by_model: dict[str, float]) -> float:
    return float(np.mean([by_model[name] for name in robustness.measured_weights]))


def main() -> None:
    """Measure, print, and write the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.face_quality", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with fer2013.csv")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    path = WEIGHTS / "results" / "robustness_fer2013.json"
    robustness = RobustnessRecord.model_validate_json(path.read_text(encoding="utf-8"))
    data = load_dataset(robustness.labels, args.data, robustness.split)
    order = np.random.default_rng(robustness.seed).permutation(len(data))
    data = data.take(np.sort(order[: robustness.count]))
    curves = {name: corrupted_curve(name, kind, data, robustness) for name, kind in KINDS.items()}
    curves["contrast"] = dimmed_curve(load_analyzer(), data)
    record = FaceQualityRecord(
        command="python -m benchmarks.face_quality --data DIR",
        faces=len(data),
        loss=LOSS,
        curves=curves,
        sha256=robustness.sha256,
    )
    print(record.text(), end="")
    if args.json:
        write_record(record, args.json)


if __name__ == "__main__":
    main()
