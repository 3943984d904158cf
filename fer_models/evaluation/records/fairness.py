"""Whether models err more often for some groups of people: the file that `fairness` writes."""

from typing import Annotated

from pydantic import Field

from fer_models.evaluation.records.base import Count, Provenance, Record, ShareInterval

Difference = Annotated[float, Field(ge=-1, le=1)]


class GroupAccuracy(Record):
    """Accuracy on the faces of one group."""

    count: Count
    accuracy: ShareInterval


class GroupGap(Record):
    """How much larger the accuracy is on the first group than on the second, with its 95 % interval."""

    first: str
    second: str
    value: Difference
    low: Difference
    high: Difference


class ModelFairness(Record):
    """One model's accuracy in every group that is large enough, and the gap of every two."""

    groups: dict[str, GroupAccuracy]
    gaps: tuple[GroupGap, ...]


class FairnessRecord(Provenance):
    """Accuracy by group.

    Attributes:
        count: faces.
        faces_not_found: pictures without a detected face, taken whole.
        least: faces that a group needs.
        too_small: faces of the groups that have fewer.
        labels: how many faces of each group carry each label.
        sha256: of the weights, by model.
        models: by name, then one ensemble per label set that several models learned: these faces have none of them.
        ensembles: the members of each by its name.
    """

    count: Count
    faces_not_found: Count
    least: Count
    too_small: dict[str, Count]
    labels: dict[str, dict[str, Count]]
    sha256: dict[str, str]
    models: dict[str, ModelFairness]
    ensembles: dict[str, tuple[str, ...]] = {}

    @property
    def measured_weights(self) -> dict[str, str]:
        """As `Provenance.measured_weights`."""
        return self.sha256
