"""Accuracy on corrupted faces: robustness_SET.json."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from fer_models.evaluation.records.base import Count, GapInterval, Provenance, Share, ShareInterval, in_order
from fer_models.models.ensemble import ENSEMBLE


class RobustnessRecord(Provenance):
    """Accuracy on corrupted faces.

    Attributes:
        labels: the label set.
        split: of the dataset.
        count: faces.
        seed: of the corruptions and the bootstrap.
        strengths: 1 (mild) to 5 (severe).
        sha256: of the weights, by model.
        clean: accuracy by model.
        corrupted: by kind of corruption and model, one accuracy per strength.
        mean: by model, its mean over all kinds and strengths.
        behind: by model, how far that is below the best model's.
        members: of the ensemble; None in older files, whose ensemble is the mean of all models.
    """

    labels: str
    split: str
    count: Count
    seed: int
    strengths: tuple[Count, ...] = Field(min_length=1)
    sha256: dict[str, str]
    clean: Annotated[dict[str, Share], AfterValidator(in_order)] = Field(min_length=1)
    corrupted: dict[str, dict[str, tuple[Share, ...]]] = Field(min_length=1)
    mean: dict[str, ShareInterval]
    behind: dict[str, GapInterval]
    members: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for curves in self.corrupted.values():
            if not self.clean.keys() <= curves.keys() or any(len(c) != len(self.strengths) for c in curves.values()):
                raise ValueError(f"every model needs {len(self.strengths)} accuracies for every kind of corruption")
        return self

    @property
    def measured_weights(self) -> Mapping[str, str]:
        """As `Provenance.measured_weights`."""
        return {name: self.sha256.get(name, "") for name in self.clean if name != ENSEMBLE}

    def mean_by_strength(self, model: str) -> tuple[float, ...]:
        """A model's mean accuracy over all kinds of corruption, one per strength."""
        kinds = self.corrupted.values()
        return tuple(sum(kind[model][number] for kind in kinds) / len(kinds) for number in range(len(self.strengths)))
