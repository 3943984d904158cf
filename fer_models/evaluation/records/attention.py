"""Maps over a labelled test set: attention_SET.json."""

from collections.abc import Iterable, Mapping

from pydantic import Field

from fer_models.evaluation.records.base import Count, Provenance, Record, Share


class Distribution(Record):
    """A quantity over faces.

    Attributes:
        count: faces.
        mean: over them.
        interval: 95 % bootstrap interval of the mean; None for fewer faces than it takes.
        quantiles: by percentage.
    """

    count: Count
    mean: float | None
    interval: tuple[float, float] | None
    quantiles: dict[str, float] | None


class Consistency(Record):
    """Flip consistency; see `explain.flip_consistency`."""

    loss: Distribution
    relative_loss: Distribution
    correlation: Distribution


class FaithfulnessFigures(Record):
    """Tests of the maps, each beside uninformative baselines; see `explain.faithfulness`."""

    faces: Count
    steps: Count
    deletion: dict[str, Distribution]
    insertion: dict[str, Distribution]
    road: dict[str, Distribution] | None = None
    arcc: dict[str, Distribution] | None = None


class RegionFigures(Record):
    """Where the evidence for one expression lies: shares by facial region."""

    faces: Count
    without_evidence: Count
    shares: dict[str, Distribution]


class MeanMap(Record):
    """The mean map of some faces, (h, w)."""

    faces: Count
    map: tuple[tuple[float, ...], ...]


class MeanFace(Record):
    """Mean grey levels of some faces, (S, S)."""

    count: Count
    pixels: tuple[tuple[float, ...], ...]


class ModelAttention(Record):
    """One model's maps over a test set."""

    title: str
    training_labels: str = ""
    sha256: str
    baseline: bool = False
    accuracy: Share | None = None
    consistency: Consistency
    faithfulness: FaithfulnessFigures | None
    regions: dict[str, RegionFigures]
    atlas: dict[str, dict[str, MeanMap]]


class AttentionRecord(Provenance):
    """Maps over a labelled test set.

    Attributes:
        commit: of the code.
        labels: the label set.
        split: of the dataset.
        seed: of the draws.
        faces: how many.
        counts: by expression.
        what: what the figures are, in words.
        areas: shares of the crop by facial region.
        models: by name.
        left_out: models without maps by name, and why.
        mean_faces: by expression.
    """

    commit: str | None = None
    labels: str
    split: str
    seed: int = 0
    faces: Count
    counts: dict[str, Count] = {}
    what: dict[str, str] = {}
    areas: dict[str, Share]
    models: dict[str, ModelAttention] = Field(min_length=1)
    left_out: dict[str, str] = {}
    mean_faces: dict[str, MeanFace]

    @property
    def measured_weights(self) -> Mapping[str, str]:
        """As `Provenance.measured_weights`."""
        return {name: model.sha256 for name, model in self.models.items() if not model.baseline}

    @property
    def expressions(self) -> Iterable[str]:
        """The expressions that some model's atlas has."""
        return {name for model in self.models.values() for kind in model.atlas.values() for name in kind}
