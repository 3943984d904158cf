"""Every model's answers about one face at every strength of a change. No Gradio here."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dashboard.components.analyzed_image import AnalyzedFace
from explain.maps import Explanation, attention
from fer_models.analyzer import Analyzer
from fer_models.evaluation.changes import Change, morph_into
from fer_models.results import SHARED_CROP, CropSpec, Prediction


@dataclass(frozen=True, eq=False)
class Step:
    """One strength of a change.

    Attributes:
        value: the strength.
        predictions: by model name, without features.
        maps: by model name and expression; none for a model that gives no feature maps.
    """

    value: float
    predictions: Mapping[str, Prediction]
    maps: Mapping[str, Mapping[str, Explanation]]


@dataclass(frozen=True, eq=False)
class Sweep:
    """One face over the range of a change.

    Attributes:
        changes: by crop, as models ask for it: the same change, of each crop's own picture. `SHARED_CROP` is in it.
        steps: from its smallest strength to its largest.
    """

    changes: Mapping[CropSpec, Change]
    steps: tuple[Step, ...]

    @property
    def change(self) -> Change:
        """The change of the crop that most models receive."""
        return self.changes[SHARED_CROP]

    def crop_of(self, face: AnalyzedFace, model: str, value: float) -> NDArray[np.uint8]:
        """(S, S, 3) uint8 RGB: the changed face as a model received it."""
        return _change_of(self.changes, face.spec_of(model)).apply(face.input_of(model), value)

    def at(self, value: float) -> Step:
        """The step whose strength is nearest."""
        return min(self.steps, key=lambda step: abs(step.value - value))


@dataclass(frozen=True)
class Run:
    """Neighbouring strengths at which a model gives the same answer.

    Attributes:
        label: the answer.
        low: the smallest of these strengths.
        high: the largest of them.
    """

    label: str
    low: float
    high: float


def sweep(analyzer: Analyzer, face: AnalyzedFace, changes: Mapping[CropSpec, Change]) -> Sweep:
    """Every model at every strength, in one batch per model.

    Args:
        analyzer: the loaded models.
        face: whose crop is changed, as the models received it: it is not detected and aligned anew.
        changes: how, as in `Sweep`; a crop without one is changed as the shared one is.
    """
    crops, values = _crops(face), changes[SHARED_CROP].values
    faces = [
        (0, face.face, {spec: _change_of(changes, spec).apply(crop, value) for spec, crop in crops.items()})
        for value in values
    ]
    steps = []
    for value, analysis in zip(values, analyzer.predict(faces, features=True), strict=True):
        weights = {name: analyzer.classifiers[name].class_weights for name in analysis.predictions}
        maps = {name: attention(one, weights[name]) for name, one in analysis.predictions.items()}
        answers = {name: replace(one, features=None) for name, one in analysis.predictions.items()}
        steps.append(Step(value, answers, maps))
    return Sweep(changes, tuple(steps))


def morph_to(second: AnalyzedFace) -> dict[CropSpec, Change]:
    """The morph from any face to this one, for `sweep`: crops that models ask for blend into their like."""
    return {spec: morph_into(crop) for spec, crop in _crops(second).items()}


def _crops(face: AnalyzedFace) -> dict[CropSpec, NDArray[np.uint8]]:
    return {SHARED_CROP: face.model_input} | {spec: crop for crop, spec in face.own_crops.values()}


def _change_of(changes: Mapping[CropSpec, Change], spec: CropSpec) -> Change:
    return changes.get(spec, changes[SHARED_CROP])


def answer_runs(result: Sweep, model: str) -> list[Run]:
    """A model's answers over the range, neighbours with the same answer as one."""
    runs: list[Run] = []
    for step in result.steps:
        label = step.predictions[model].label
        if runs and runs[-1].label == label:
            runs[-1] = replace(runs[-1], high=step.value)
        else:
            runs.append(Run(label, step.value, step.value))
    return runs
