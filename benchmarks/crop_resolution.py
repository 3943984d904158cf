"""Measure how a sharp crop should be brought to the resolution of the 48 px training faces.

python -m benchmarks.crop_resolution --data DIR [--faces N] [--json FILE]

Sharpness of a network input is the standard deviation of its Laplacian over that of its pixels, so it does not depend
on brightness or contrast. Compared are the training faces as the networks see them, and the faces of the example
pictures, averaged down to several source sizes first. And, with the shipped models: accuracy on validation faces read
whole, against the same faces enlarged, put into a picture, detected and aligned, for each source size.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from benchmarks.landmark_template import training_faces
from fer_models.analyzer import load_analyzer
from fer_models.evaluation.records.benchmarks import CropResolutionRecord
from fer_models.evaluation.store import write_record
from fer_models.expressions import EXPRESSIONS
from fer_models.faces.alignment import align
from fer_models.faces.detector import CenterFace
from fer_models.media.images import read_image
from fer_models.models.classifier import Classifier
from fer_models.models.preprocessing import InputSpec
from fer_models.registry import load_dataset

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SOURCE_SIZES = (None, 96, 72, 64, 56, 48, 40, 32)
_LAPLACIAN = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]).view(1, 1, 3, 3)


def sharpness(crops: list[NDArray[np.uint8]], spec: InputSpec) -> NDArray[np.float64]:
    """(N,) float64: std of the Laplacian over std of the pixels of each crop's network input."""
    inputs = spec.transform(crops)[:, :1]
    edges = F.conv2d(inputs, _LAPLACIAN)
    ratio: NDArray[np.float64] = (edges.std((1, 2, 3)) / inputs.std((1, 2, 3)).clamp_min(1e-6)).double().numpy()
    return ratio


def framed(face: NDArray[np.uint8], side: int = 240) -> NDArray[np.uint8]:
    """A 48 px face enlarged to `side` px in a grey picture with a border, as a photo would show it."""
    large = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC)
    picture = np.full((side * 3 // 2, side * 3 // 2, 3), 127, np.uint8)
    picture[side // 4 : side // 4 + side, side // 4 : side // 4 + side] = large[..., None]
    return picture


def accuracies(classifiers: list[Classifier], crops: list[NDArray[np.uint8]], targets: list[int]) -> dict[str, float]:
    """Share of right answers of each model."""
    result = {}
    for model in classifiers:
        right = [EXPRESSIONS[t] == p.label for t, p in zip(targets, model.predict(crops), strict=True)]
        result[model.name] = round(float(np.mean(right)), 4)
    return result


def measure(data: Path, count: int) -> dict[str, Any]:
    """Sharpness by source size, and accuracy through the app's whole path."""
    detector = CenterFace()
    examples = [
        align(image, face)
        for image in (read_image(EXAMPLES / name) for name in ("astronaut.jpg", "camera.jpg", "several_faces.jpg"))
        for face in detector.detect(image)
    ]
    trained = sharpness(training_faces(data, 2000), InputSpec())
    result: dict[str, Any] = {
        "training_sharpness": dict(
            zip(("p5", "median", "p95"), np.percentile(trained, [5, 50, 95]).round(4), strict=True)
        ),
        "example_sharpness": {
            str(size): float(np.median(sharpness(examples, replace(InputSpec(), source_size=size))).round(4))
            for size in SOURCE_SIZES
        },
    }
    validation = load_dataset("fer2013", data, "validation")
    whole, aligned, targets = [], [], []
    for row in range(min(count, len(validation))):
        picture = framed(validation.faces[row])
        faces = detector.detect(picture)
        if faces:
            whole.append(validation.faces[row])
            aligned.append(align(picture, faces[0]))
            targets.append(int(validation.targets[row]))
    classifiers = list(load_analyzer(device="cpu").classifiers.values())
    result["sha256"] = {model.name: model.card.sha256 for model in classifiers}
    result["validation_faces"] = {"shown": min(count, len(validation)), "found": len(whole)}
    result["accuracy"] = {"read whole": accuracies(classifiers, whole, targets)}
    for size in SOURCE_SIZES[1::2]:
        changed = [
            Classifier(replace(m.card, input=replace(m.card.input, source_size=size)), m.network, m.device)
            for m in classifiers
        ]
        result["accuracy"][f"detected and aligned, source size {size}"] = accuracies(changed, aligned, targets)
    return result


def main() -> None:
    """Measure, print, and write the file."""
    parser = argparse.ArgumentParser(description="How to bring sharp crops to the training faces' resolution.")
    parser.add_argument("--data", type=Path, required=True, help="folder with fer2013.csv")
    parser.add_argument("--faces", type=int, default=600, help="validation faces for the accuracy (default: 600)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    result = {"command": f"python -m benchmarks.crop_resolution --data DIR --faces {args.faces}"}
    result |= measure(args.data, args.faces)
    record = CropResolutionRecord.model_validate(result)
    print(record.text(), end="")
    if args.json:
        write_record(record, args.json)


if __name__ == "__main__":
    main()
