"""What every model predicts for every face of a test set, kept so that metrics need no second run of the models."""

import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fer_models.analyzer import Analyzer
from fer_models.datasets.dataset import FaceData
from fer_models.errors import FerError
from fer_models.expressions import EXPRESSIONS
from fer_models.media.files import replacing
from fer_models.models.ensemble import mean_probabilities
from fer_models.registry import MODELS
from fer_models.results import SHARED_CROP, FaceAnalysis, FaceCrops

#: How a picture becomes a face: it is one, the face in it is detected, or "auto" decides by its size and shape.
FaceMode = Literal["auto", "whole", "detect"]

_LOGITS: Final = "logits:"
_FLIP_AVERAGED: Final = "flip_averaged:"
#: Pictures analysed together; bounds the memory.
_CHUNK: Final = 64
#: Square pictures up to this side in px count as cut-out faces in the mode "auto".
_CUT_OUT: Final = 112


@dataclass(frozen=True, eq=False)
class TestPredictions:
    """The logits of some models for some labelled faces. No pictures.

    Attributes:
        rows: (N,) int64, the faces' rows in their dataset.
        targets: (N,) int64, their labels as indices into `EXPRESSIONS`.
        duplicates: (N,) bool, whether the face also occurs in the training split.
        logits: by model name, (N, 7) float32 before the temperature, columns in the order of `EXPRESSIONS`; -inf for an
            expression the model does not know.
        temperatures: by model name.
        flip_averaged: like `logits`, the means over each face and its mirror image; only of models measured so.
        others: by model name and label, (N,) float32: logits of labels that are none of `EXPRESSIONS`. Not kept in
            files.
    """

    __test__: ClassVar = False  # not a test case, whatever its name

    rows: NDArray[np.int64]
    targets: NDArray[np.int64]
    duplicates: NDArray[np.bool_]
    logits: Mapping[str, NDArray[np.float32]]
    temperatures: Mapping[str, float] = field(default_factory=dict)
    flip_averaged: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    others: Mapping[str, Mapping[str, NDArray[np.float32]]] = field(default_factory=dict)

    def probabilities(self, model: str, *, calibrated: bool = True) -> NDArray[np.float32]:
        """One model's probabilities (N, 7) float32, after its temperature or, if not calibrated, before."""
        from scipy.special import softmax  # slow to import, and the page reads these files only when it is asked

        temperature = self.temperatures[model] if calibrated else 1.0
        return np.asarray(softmax(self.logits[model] / temperature, axis=1), np.float32)

    def ensemble(self, members: Iterable[str]) -> NDArray[np.float32]:
        """The mean of models' calibrated probabilities, (N, 7) float32."""
        return mean_probabilities([self.probabilities(model) for model in members])

    def classes(self, ensembles: Mapping[str, Sequence[str]] | None = None) -> dict[str, NDArray[np.int64]]:
        """The predicted classes, (N,) int64 as `targets`, by model and ensemble.

        Args:
            ensembles: the members of each ensemble by its name; one without members is left out.
        """
        probabilities = {name: self.probabilities(name) for name in self.logits}
        probabilities |= {name: self.ensemble(members) for name, members in (ensembles or {}).items() if members}
        return {name: values.argmax(1) for name, values in probabilities.items()}

    def flip_averaged_correct(self, members: Sequence[str]) -> NDArray[np.bool_] | None:
        """Which faces the mean over both views of each gets right.

        Args:
            members: of an ensemble, or one model.

        Returns:
            (N,) bool; None if a member was measured on one view only.
        """
        if not set(members) <= self.flip_averaged.keys():
            return None
        both_views = replace(self, logits=self.flip_averaged)
        return np.asarray(both_views.ensemble(members).argmax(1) == self.targets)

    def same_faces(self, other: "TestPredictions") -> bool:
        """Whether both are about the same faces with the same labels."""
        return np.array_equal(self.rows, other.rows) and np.array_equal(self.targets, other.targets)

    def joined(self, other: "TestPredictions") -> "TestPredictions":
        """Joined with predictions for the same faces, in the project's order; the other's where both have a model."""
        logits = {**self.logits, **other.logits}
        kept = {name: values for name, values in self.flip_averaged.items() if name not in other.logits}
        flip_averaged = {**kept, **other.flip_averaged}
        temperatures = {**self.temperatures, **other.temperatures}
        names = [name for name in MODELS if name in logits] + sorted(set(logits).difference(MODELS))
        return TestPredictions(
            *(self.rows, self.targets, self.duplicates),
            {name: logits[name] for name in names},
            {name: temperatures[name] for name in names},
            {name: flip_averaged[name] for name in names if name in flip_averaged},
        )


def predict_test_set(
    analyzer: Analyzer,
    data: FaceData,
    mode: FaceMode = "auto",
    duplicates: NDArray[np.bool_] | None = None,
    *,
    flip_average: bool = False,
) -> tuple[TestPredictions, int]:
    """Classify every face of a test set with every model.

    Args:
        analyzer: the loaded models.
        data: the faces. Of a photo, the largest detected face counts, and the whole photo where none is detected.
        mode: how a picture becomes a face.
        duplicates: (N,) bool, the faces that are in the training split, too; None means none.
        flip_average: also average the logits of each face and its mirror image. Takes twice the time.

    Returns:
        The predictions, and the number of pictures in which no face was detected.
    """
    shape = (len(data), len(EXPRESSIONS))
    logits, mirrored = ({name: np.full(shape, -np.inf, np.float32) for name in analyzer.classifiers} for _ in range(2))
    others: dict[str, dict[str, NDArray[np.float32]]] = {
        name: {label: np.zeros(len(data), np.float32) for label in model.card.labels if label not in EXPRESSIONS}
        for name, model in analyzer.classifiers.items()
    }
    missed = 0
    for start in tqdm(range(0, len(data), _CHUNK), unit=f"x{_CHUNK} faces", file=sys.stderr, disable=None):
        rows = range(start, min(start + _CHUNK, len(data)))
        pictures = {row: _rgb(data.faces[row]) for row in rows}
        whole = [row for row in rows if _is_cut_out(pictures[row], mode)]
        photos = [row for row in rows if row not in whole]
        largest: dict[int, FaceAnalysis] = {}
        for analysis in analyzer.analyze([pictures[row] for row in photos]):
            row = photos[analysis.image]
            if row not in largest or _area(analysis) > _area(largest[row]):
                largest[row] = analysis
        missed += len(photos) - len(largest)
        whole += [row for row in photos if row not in largest]
        for analysis in analyzer.analyze([pictures[row] for row in whole], whole=True):
            largest[whole[analysis.image]] = analysis
        for row, analysis in largest.items():
            _fill(logits, row, analysis, others)
        if flip_average:
            faces = [(row, each.face, _mirrored(analyzer, each)) for row, each in largest.items()]
            for analysis in analyzer.predict(faces):
                _fill(mirrored, analysis.image, analysis)
    if duplicates is None:
        duplicates = np.zeros(len(data), bool)
    temperatures = {name: model.card.temperature for name, model in analyzer.classifiers.items()}
    flip_averaged = {}
    if flip_average:
        flip_averaged = {name: np.asarray((logits[name] + mirrored[name]) / 2, np.float32) for name in logits}
    return TestPredictions(data.rows, data.targets, duplicates, logits, temperatures, flip_averaged, others), missed


def _mirrored(analyzer: Analyzer, analysis: FaceAnalysis) -> FaceCrops:
    """The crops of a face, mirrored."""
    own = {analyzer.classifiers[name].card.crop: crop for name, crop in analysis.own_crops.items()}
    return {spec: np.ascontiguousarray(crop[:, ::-1]) for spec, crop in ({SHARED_CROP: analysis.crop} | own).items()}


def _fill(
    logits: Mapping[str, NDArray[np.float32]],
    row: int,
    analysis: FaceAnalysis,
    others: Mapping[str, Mapping[str, NDArray[np.float32]]] | None = None,
) -> None:
    """Put the logits of one face into its row, by expression; and those of other labels, where they are asked for."""
    for name, prediction in analysis.predictions.items():
        for label, logit in zip(prediction.labels, prediction.logits, strict=True):
            if label in EXPRESSIONS:
                logits[name][row, EXPRESSIONS.index(label)] = logit
            elif others is not None:
                others[name][label][row] = logit


def _rgb(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return face if face.ndim == 3 else np.repeat(face[..., None], 3, axis=2)


def _is_cut_out(picture: NDArray[np.uint8], mode: FaceMode) -> bool:
    height, width, _ = picture.shape
    return mode == "whole" or (mode == "auto" and height == width <= _CUT_OUT)


def _area(analysis: FaceAnalysis) -> float:
    x1, y1, x2, y2 = analysis.face.box
    return float((x2 - x1) * (y2 - y1))


def save_test_predictions(predictions: TestPredictions, path: Path) -> None:
    """Write predictions as .npz.

    Raises:
        FerError: the file cannot be written.
    """
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file,
            rows=predictions.rows,
            targets=predictions.targets.astype(np.int8),
            copies=predictions.duplicates,
            models=np.array([*predictions.logits]),
            temperatures=np.array([predictions.temperatures[name] for name in predictions.logits], np.float64),
            **{_LOGITS + name: logits for name, logits in predictions.logits.items()},  # type: ignore[arg-type]
            **{_FLIP_AVERAGED + name: logits for name, logits in predictions.flip_averaged.items()},  # type: ignore[arg-type]
        )


def find_test_predictions(path: Path) -> TestPredictions | None:
    """As `load_test_predictions`, but None where the file is missing or damaged."""
    try:
        return load_test_predictions(path)
    except FerError:
        return None


def load_test_predictions(path: Path) -> TestPredictions:
    """Read what `save_test_predictions` wrote; never unpickles.

    Raises:
        FerError: the file is missing or is no such file.
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
                {
                    name: np.asarray(stored[_FLIP_AVERAGED + name], np.float32)
                    for name in models
                    if _FLIP_AVERAGED + name in stored
                },
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise FerError(f"{path} holds no predictions of `evaluate`: {error}") from error
    shape = (len(predictions.rows), len(EXPRESSIONS))
    arrays = (*predictions.logits.values(), *predictions.flip_averaged.values())
    if any(logits.shape != shape for logits in arrays):
        raise FerError(f"{path} is damaged: every model needs logits of shape {shape}. Measure again with `evaluate`.")
    return predictions
