"""How models compare on the same faces: leaderboard.json."""

from typing import Annotated, Self

from pydantic import AfterValidator, model_validator

from fer_models.evaluation.records.base import (
    Amount,
    CheckedBin,
    CheckedPair,
    Count,
    GapInterval,
    Provenance,
    Record,
    Share,
    ShareInterval,
    in_order,
)
from fer_models.evaluation.records.evaluation import Baseline, ConfidenceErrors
from fer_models.models.ensemble import ENSEMBLE


class Calibration(ConfidenceErrors):
    """How far confidences can be believed.

    Attributes:
        brier: Brier score in [0, 2].
        reliability: bins of the reliability diagram.
    """

    brier: Amount
    reliability: tuple[CheckedBin, ...]


class ModelComparison(Record):
    """One model, or the ensemble, on one set of faces.

    Attributes:
        accuracy: with its 95 % interval.
        accuracy_without_copies: the same without train/test duplicates; None where all faces are such.
        macro_f1: mean F1 of the expressions.
        recall: by expression; None where no face carries it.
        labels: order of the confusion matrix.
        confusion: (C, C) counts; rows are the truth.
        risk_coverage: coverage, share of errors among the most confident faces, their least confidence.
        after_temperature: calibration after the temperature.
        sha256: of the weights; None for the ensemble.
        baseline: for a network that is not shipped.
        before_temperature: calibration at temperature 1; None for the ensemble, which has no temperature.
        temperature: that it was measured with; None for the ensemble.
        accuracy_flip_averaged: accuracy of the mean over each face and its mirror image; None where not measured.
    """

    accuracy: ShareInterval
    accuracy_without_copies: ShareInterval | None
    macro_f1: Share
    recall: dict[str, Share | None] = {}
    labels: tuple[str, ...]
    confusion: tuple[tuple[Count, ...], ...]
    risk_coverage: tuple[tuple[Share, Share, Share], ...]
    after_temperature: Calibration
    sha256: str | None = None
    baseline: Baseline | None = None
    before_temperature: Calibration | None = None
    temperature: Amount | None = None
    accuracy_flip_averaged: ShareInterval | None = None

    @model_validator(mode="after")
    def _square(self) -> Self:
        size = len(self.labels)
        if len(self.confusion) != size or any(len(row) != size for row in self.confusion):
            raise ValueError(f"the confusion matrix is not {size} x {size}")
        return self

    def faces(self, label: str) -> int:
        """How many faces carry this label."""
        return sum(self.confusion[self.labels.index(label)])

    def recall_of(self, label: str) -> float | None:
        """Share of the faces with this label that get it; None where there are none."""
        index, total = self.labels.index(label), self.faces(label)
        return self.confusion[index][index] / total if total else None

    def predicted(self, label: str) -> int:
        """How many faces get this label."""
        return sum(row[self.labels.index(label)] for row in self.confusion)

    def precision(self, label: str) -> float | None:
        """Share of the faces that get this label and carry it; None where none gets it."""
        index, total = self.labels.index(label), self.predicted(label)
        return self.confusion[index][index] / total if total else None


class FaceSetComparison(Record):
    """Every model on one set of faces.

    Attributes:
        labels: the label set.
        split: of the dataset.
        command: that measured it.
        count: faces.
        copies: of them, how many are train/test duplicates.
        models: by name, the ensemble last.
        pairs: every pair of models on the same faces.
        pairs_without_copies: the same without train/test duplicates.
        calibration_gaps: by model, how much larger its calibration error is than the smallest one.
        oracle: share of faces that at least one model gets right.
        members: of the ensemble; None in older files, whose ensemble is the mean of all shipped models.
    """

    labels: str
    split: str
    command: str
    count: Count
    copies: Count
    models: Annotated[dict[str, ModelComparison], AfterValidator(in_order)]
    pairs: tuple[CheckedPair, ...]
    pairs_without_copies: tuple[CheckedPair, ...]
    calibration_gaps: dict[str, GapInterval]
    oracle: Share
    members: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.shipped:
            raise ValueError("it has figures of no shipped model")
        named = {name for pair in (*self.pairs, *self.pairs_without_copies) for name in (pair.first, pair.second)}
        if not named <= self.models.keys():
            raise ValueError("a pair names a model without figures")
        if not set(self.ensemble_members) <= self.shipped.keys():
            raise ValueError("the ensemble has a member without figures")
        if any(m.sha256 is None or m.before_temperature is None or m.temperature is None for m in self.single.values()):
            raise ValueError("a model lacks its weights' hash, its temperature or its calibration before it")
        return self

    @property
    def measured_weights(self) -> dict[str, str]:
        """SHA-256 of the weights that were measured, by model name, without baselines."""
        return {name: str(model.sha256) for name, model in self.shipped.items()}

    @property
    def ensemble_members(self) -> tuple[str, ...]:
        """The models that the ensemble is the mean of; none without one."""
        if ENSEMBLE not in self.models:
            return ()
        return tuple(self.shipped) if self.members is None else self.members

    @property
    def single(self) -> dict[str, ModelComparison]:
        """The models and baselines without the ensemble."""
        return {name: model for name, model in self.models.items() if name != ENSEMBLE}

    @property
    def shipped(self) -> dict[str, ModelComparison]:
        """The models whose weights are in use: neither baselines nor the ensemble."""
        return {name: model for name, model in self.single.items() if model.baseline is None}


class LeaderboardRecord(Provenance):
    """How models compare.

    Attributes:
        version: of this project, in older files.
        seed: of the bootstrap.
        sets: by the name of the file that `evaluate` wrote, without suffix.
        cost: what the models cost, in older files.
    """

    version: str | None = None
    seed: int
    sets: dict[str, FaceSetComparison]
    cost: dict[str, dict[str, int | None]] | None = None
