"""A model's temperature, fitted on its validation split (Guo et al., ICML 2017)."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from tqdm import tqdm

from fer_models.datasets.dataset import FaceData
from fer_models.errors import FerError
from fer_models.evaluation.metrics import measure
from fer_models.expressions import EXPRESSIONS
from fer_models.models.card import ModelCard
from fer_models.models.classifier import BATCH, Classifier
from fer_models.registry import load_dataset

#: A temperature outside this range means that something else is wrong.
_RANGE = (0.05, 20.0)


def fit_temperature(logits: NDArray[np.float32], targets: NDArray[np.int64]) -> float:
    """The temperature with the least negative log likelihood.

    Args:
        logits: (N, C) float32.
        targets: (N,) int64, the right column of each row.
    """
    rows = torch.from_numpy(logits).double()
    labels = torch.from_numpy(targets)

    def loss(log_temperature: float) -> float:
        return float(torch.nn.functional.cross_entropy(rows / math.exp(log_temperature), labels))

    bounds = (math.log(_RANGE[0]), math.log(_RANGE[1]))
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4}).x)


def calibrated(classifier: Classifier, data: FaceData) -> tuple[float, dict[str, object]]:
    """A model's temperature, and what it changes on the faces it was fitted on.

    Raises:
        FerError: the model does not know one of the labels.
    """
    labels = classifier.card.labels
    unknown = {EXPRESSIONS[target] for target in np.unique(data.targets)}.difference(labels)
    if unknown:
        raise FerError(f"{classifier.name} does not know {', '.join(sorted(unknown))}: nothing to calibrate against.")
    column = np.array([labels.index(name) if name in labels else -1 for name in EXPRESSIONS])
    starts = tqdm(range(0, len(data), BATCH), desc=classifier.name, disable=None)
    batches = (list(data.faces[start : start + BATCH]) for start in starts)
    logits = np.concatenate([classifier.logits(classifier.inputs(batch)).numpy() for batch in batches])
    temperature = round(fit_temperature(logits, column[data.targets]), 4)
    in_vocabulary = np.full((len(data), len(EXPRESSIONS)), -np.inf, np.float32)
    in_vocabulary[:, column >= 0] = logits[:, column[column >= 0]]
    figures: dict[str, object] = {"labels": data.source, "split": data.split, "faces": len(data)}
    for name, divisor in (("before", 1.0), ("after", temperature)):
        report = measure(data.targets, torch.from_numpy(in_vocabulary / divisor).softmax(1).numpy())
        figures[name] = {
            "expected_calibration_error": round(report.expected_calibration_error, 5),
            "negative_log_likelihood": round(report.negative_log_likelihood, 5),
        }
    return temperature, figures


def calibrate(
    classifier: Classifier, data: Path, labels: str | None = None, class_names: Mapping[str, str] | None = None
) -> ModelCard:
    """Fit a model's temperature on the validation split of the label set it was trained on.

    Args:
        classifier: the model.
        data: folder with the dataset's files.
        labels: another label set, a key of `fer_models.registry.LABEL_SETS`.
        class_names: as of `load_dataset`.

    Returns:
        Its card with the temperature and what it changes.

    Raises:
        FerError: the card does not say which label set that is, the model does not know one of its labels, or the data
            are unusable.
    """
    card = classifier.card
    labels = labels or card.label_set
    if labels is None:
        raise FerError(
            f"The card of {classifier.name} has no recipe.settings.labels: which label set should it be fitted on? "
            "Name it with --labels."
        )
    faces = load_dataset(labels, data, "validation", class_names=class_names)
    temperature, figures = calibrated(classifier, faces)
    return replace(card, temperature=temperature, metrics={**card.metrics, "calibration": figures})
