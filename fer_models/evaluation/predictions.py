"""Readings: what every model said about every face of a test set, so that figures need no second run of the models."""

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from fer_models.errors import FerError
from fer_models.expressions import EXPRESSIONS
from fer_models.models.ensemble import mean_probabilities
from fer_models.registry import MODELS

_LOGITS: Final = "logits:"


@dataclass(frozen=True, eq=False)
class TestPredictions:
    """The logits of some models for some labelled faces. No pictures.

    Attributes:
        rows: (N,) int64, the faces' rows in their dataset.
        targets: (N,) int64, their labels as indices into `EXPRESSIONS`.
        copies: (N,) bool, whether the face also stands in the training split.
        logits: by model name, (N, 7) float32 before the temperature, columns in the order of `EXPRESSIONS`; -inf for an
            expression the model does not know.
        temperatures: by model name.
    """

    __test__: ClassVar = False  # not a test case, whatever its name

    rows: NDArray[np.int64]
    targets: NDArray[np.int64]
    copies: NDArray[np.bool_]
    logits: Mapping[str, NDArray[np.float32]]
    temperatures: Mapping[str, float] = field(default_factory=dict)

    def probabilities(self, model: str, *, calibrated: bool = True) -> NDArray[np.float32]:
        """One model's probabilities (N, 7) float32, after its temperature or, if not calibrated, before."""
        temperature = self.temperatures[model] if calibrated else 1.0
        return np.asarray(softmax(self.logits[model] / temperature, axis=1), np.float32)

    def ensemble(self, members: Iterable[str] | None = None) -> NDArray[np.float32]:
        """The mean of models' calibrated probabilities, (N, 7) float32; None means all models."""
        return mean_probabilities(
            [self.probabilities(model) for model in (self.logits if members is None else members)]
        )

    def same_faces(self, other: "TestPredictions") -> bool:
        """Whether both are about the same faces with the same labels."""
        return np.array_equal(self.rows, other.rows) and np.array_equal(self.targets, other.targets)

    def joined(self, other: "TestPredictions") -> "TestPredictions":
        """These readings with another's of the same faces; the other's where both have a model. The project's order."""
        logits = {**self.logits, **other.logits}
        temperatures = {**self.temperatures, **other.temperatures}
        names = [name for name in MODELS if name in logits] + sorted(set(logits).difference(MODELS))
        return TestPredictions(
            *(self.rows, self.targets, self.copies),
            {name: logits[name] for name in names},
            {name: temperatures[name] for name in names},
        )


def save_test_predictions(predictions: TestPredictions, path: Path) -> None:
    """Write readings as .npz.

    Raises:
        OSError: the file cannot be written.
    """
    np.savez_compressed(
        path,
        rows=predictions.rows,
        targets=predictions.targets.astype(np.int8),
        copies=predictions.copies,
        models=np.array([*predictions.logits]),
        temperatures=np.array([predictions.temperatures[name] for name in predictions.logits], np.float64),
        **{_LOGITS + name: logits for name, logits in predictions.logits.items()},  # type: ignore[arg-type]
    )


def load_test_predictions(path: Path) -> TestPredictions:
    """Read what `save_test_predictions` wrote; never unpickles.

    Raises:
        FerError: the file is missing or is none of ours.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            models = [str(name) for name in stored["models"]]
            predictions = TestPredictions(
                np.asarray(stored["rows"], np.int64),
                np.asarray(stored["targets"], np.int64),
                np.asarray(stored["copies"], np.bool_),
                {name: np.asarray(stored[_LOGITS + name], np.float32) for name in models},
                dict(zip(models, map(float, stored["temperatures"]), strict=True)),
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise FerError(f"{path} holds no readings of `evaluate`: {error}") from error
    shape = (len(predictions.rows), len(EXPRESSIONS))
    if any(logits.shape != shape for logits in predictions.logits.values()):
        raise FerError(f"{path} is damaged: every model needs logits of shape {shape}. Measure again with `evaluate`.")
    return predictions
