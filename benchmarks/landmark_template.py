"""Measure where FER2013's training faces have their landmarks, and how much they vary.

python -m benchmarks.landmark_template --data DIR [--faces N] [--json FILE]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_models.evaluation.records.benchmarks import LandmarkTemplateRecord
from fer_models.evaluation.store import write_record
from fer_models.faces.alignment import similarity
from fer_models.faces.detector import CenterFace, FaceDetector
from fer_models.registry import load_dataset

#: Face.landmarks of the mirror image, in the order of the picture itself.
MIRRORED = [1, 0, 2, 4, 3]
NAMES = ("left eye", "right eye", "nose", "left mouth corner", "right mouth corner")


def training_faces(folder: Path, count: int) -> list[NDArray[np.uint8]]:
    """Up to `count` evenly spaced training faces of fer2013.csv, each (48, 48, 3) uint8 RGB.

    Raises:
        DatasetError: the file is missing or malformed.
    """
    faces = load_dataset("fer2013", folder, "train").faces
    rows = np.linspace(0, len(faces) - 1, min(count, len(faces))).astype(int)
    return [np.repeat(faces[row][..., None], 3, axis=2) for row in rows]


def best_landmarks(detector: FaceDetector, image: NDArray[np.uint8]) -> tuple[float, NDArray[np.float64]] | None:
    """Score and landmarks (5, 2) of the surest face, as fractions of the side; None where no face is found."""
    faces = [face for face in detector.detect(image) if face.landmarks is not None]
    if not faces:
        return None
    best = max(faces, key=lambda face: face.score)
    return best.score, np.asarray(best.landmarks, np.float64) / image.shape[0]


def measure(faces: Sequence[NDArray[np.uint8]], detector: FaceDetector) -> dict[str, Any]:
    """Median landmarks over faces and their mirror images, their spread, and how often a face was found.

    Mirror images make the template symmetric, as the training's random mirroring makes the data.
    """
    scores, points, shifts = [], [], []
    for image in faces:
        seen = best_landmarks(detector, image)
        scores.append(seen[0] if seen else 0.0)
        if seen is None:
            continue
        points.append(seen[1])
        mirror = best_landmarks(detector, np.ascontiguousarray(image[:, ::-1]))
        if mirror is not None:
            back = mirror[1][MIRRORED] * [-1, 1] + [1, 0]
            points.append(back)
            shifts.append((seen[1] - back)[:, 0] / 2)
    stack = np.stack(points)
    template = np.median(stack, axis=0)
    template = (template + template[MIRRORED] * [-1, 1] + [1, 0]) / 2
    transforms = np.stack([similarity(p, template) for p in points])
    angles = np.degrees(np.arctan2(transforms[:, 1, 0], transforms[:, 0, 0]))
    scales = np.hypot(transforms[:, 0, 0], transforms[:, 1, 0])
    centres = stack.mean(1) - template.mean(0)
    aligned = np.einsum("nij,nkj->nki", transforms[:, :, :2], stack) + transforms[:, None, :, 2]
    return {
        "faces": len(faces),
        "found": {f"score > {t}": float(np.mean(np.array(scores) > t)) for t in (0.2, 0.3, 0.4, 0.5)},
        "template": dict(zip(NAMES, template.round(4).tolist(), strict=True)),
        "spread": {
            "what": "median absolute deviation from the template, fractions of the side, mean of x and y",
            "as the files are": _deviation(stack - template),
            "after alignment": _deviation(aligned - template),
        },
        "alignment": {
            "what": "what alignment undoes, 5th, 50th and 95th percentile",
            "rotation in degrees": np.percentile(angles, [5, 50, 95]).round(2).tolist(),
            "scale": np.percentile(scales, [5, 50, 95]).round(3).tolist(),
            "shift in x": np.percentile(centres[:, 0], [5, 50, 95]).round(3).tolist(),
            "shift in y": np.percentile(centres[:, 1], [5, 50, 95]).round(3).tolist(),
        },
        "detector bias in x": round(float(np.median(shifts)), 4),
    }


def _deviation(differences: NDArray[np.float64]) -> dict[str, float]:
    spread = np.median(np.abs(differences), axis=0).mean(1)
    return dict(zip(NAMES, spread.round(4).tolist(), strict=True))


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the faces, measure, print and write the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.landmark_template", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds fer2013.csv")
    parser.add_argument("--faces", type=int, default=4000, help="how many training faces to measure (default: 4000)")
    parser.add_argument("--json", type=Path, default=Path("weights/results/landmark_template.json"), help="where to")
    options = parser.parse_args(arguments)
    report = measure(training_faces(options.data, options.faces), CenterFace(threshold=0.2))
    command = " ".join(["python -m benchmarks.landmark_template", *(arguments or sys.argv[1:])])
    record = LandmarkTemplateRecord.model_validate({"command": command, "split": "FER2013 Training"} | report)
    write_record(record, options.json)
    print(record.text(), end="")


if __name__ == "__main__":
    main()
