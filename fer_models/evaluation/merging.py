"""Merged label sets, on which models that know different classes can be compared: such as positive and negative."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from fer_models.errors import FerError, UnknownNameError
from fer_models.expressions import EXPRESSIONS, expression
from fer_models.metrics import ClassificationMetrics, classification_metrics

_MAX_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Merging:
    """Classes that each stand for some labels.

    Attributes:
        name: what the record calls it.
        classes: by class, its labels: expressions and other systems' labels. Each class is a label of itself, too.
    """

    name: str
    classes: Mapping[str, tuple[str, ...]]

    def class_of(self, label: str) -> str | None:
        """The class of a label; None if it has none."""
        word = _word(label)
        return next((name for name, labels in self.classes.items() if word in (name, *labels)), None)


#: Valence, as far as expressions tell it. A surprise may be either.
SENTIMENT: Final = Merging(
    "sentiment",
    MappingProxyType(
        {
            "positive": ("happiness",),
            "negative": ("anger", "disgust", "fear", "sadness", "contempt"),
            "neutral": ("neutral",),
            "surprise": ("surprise",),
        }
    ),
)


def read_merging(text: str) -> Merging:
    """A merging by its name, or from a file of the user's.

    Args:
        text: "sentiment", or the path of a JSON or TOML file with a list of labels by class.

    Raises:
        FerError: there is no such file, it is malformed, names a label twice, or leaves out an expression.
    """
    if text == SENTIMENT.name:
        return SENTIMENT
    path = Path(text)
    if path.suffix.lower() not in (".json", ".toml"):
        raise FerError(f"--merge {text}: expected {SENTIMENT.name}, or a .json or .toml file with labels by class.")
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise FerError(f"{path} is larger than any list of labels.")
        content = path.read_text(encoding="utf-8")
        found = json.loads(content) if path.suffix.lower() == ".json" else tomllib.loads(content)
    except OSError as error:
        raise FerError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise FerError(f"{path} is malformed: {error}.") from error
    return Merging(path.stem, _checked(path, found))


def merged_probabilities(
    merging: Merging, labels: Sequence[str], logits: NDArray[np.float32], temperature: float = 1.0
) -> NDArray[np.float64]:
    """The probabilities of the merged classes: sums over their labels.

    Args:
        merging: the classes.
        labels: of the logits' columns.
        logits: (N, C) float32.
        temperature: what they are divided by.

    Returns:
        (N, classes) float64. Labels without a class count for none, and rows sum to 1 without them. All 0 where a model
        knows no label of any class.
    """
    values = softmax(np.asarray(logits, np.float64) / temperature, axis=1)
    sums = np.zeros((len(values), len(merging.classes)))
    columns = list(merging.classes)
    for column, label in enumerate(labels):
        if (name := merging.class_of(label)) is not None:
            sums[:, columns.index(name)] += values[:, column]
    totals = sums.sum(1, keepdims=True)
    return np.asarray(np.divide(sums, totals, out=sums, where=totals > 0), np.float64)


def measure_merged(
    merging: Merging, targets: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> ClassificationMetrics:
    """What a model achieves on the merged classes.

    Args:
        merging: the classes.
        targets: (N,) int64, indices into `EXPRESSIONS`.
        probabilities: (N, classes), as `merged_probabilities` gives them.
    """
    names = list(merging.classes)
    truth = [str(merging.class_of(EXPRESSIONS[target])) for target in targets]
    predicted = [names[index] for index in probabilities.argmax(1)]
    return classification_metrics(truth, predicted, names)


def _checked(path: Path, found: Any) -> dict[str, tuple[str, ...]]:
    """The classes of a file."""
    lists = isinstance(found, dict) and all(
        isinstance(labels, list) and all(isinstance(label, str) for label in labels) for labels in found.values()
    )
    if not lists or len(found) < 2:
        raise FerError(f'{path} must name at least two classes with lists, such as {{"positive": ["happiness"], ...}}.')
    classes = {name: tuple(map(_word, labels)) for name, labels in found.items()}
    seen: dict[str, str] = {}
    for name, labels in classes.items():
        for label in labels:
            if label in seen:
                raise FerError(f"{path} names {label} under {seen[label]} and again under {name}.")
            seen[label] = name
    if missing := [name for name in EXPRESSIONS if name not in seen and name not in classes]:
        raise FerError(f"{path} leaves out {', '.join(missing)}. Name every expression under one class.")
    return classes


def _word(label: str) -> str:
    """A label in the vocabulary's word, or in small letters."""
    try:
        return expression(label)
    except UnknownNameError:
        return label.strip().casefold()
