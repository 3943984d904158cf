"""Records of what commands measured: one class per kind of file in weights/results/, for its writer and its readers.

A record is checked when it is made and when it is read. What a file lacks is not written back, so reading a file and
writing it again changes nothing. Shares lie in [0, 1]; times are in the unit that their name ends with.
"""

import json
import platform
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from fer_models import __version__
from fer_models.evaluation.statistics import Interval, PairedTest, ReliabilityBin
from fer_models.models.ensemble import ENSEMBLE
from fer_models.registry import MODELS

T = TypeVar("T")

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]


def _within(interval: Interval, least: float) -> Interval:
    if not all(least <= value <= 1 for value in (interval.value, interval.low, interval.high)):
        raise ValueError(f"expected an interval within [{least:g}, 1]")
    return interval


def _bin(reliability: ReliabilityBin) -> ReliabilityBin:
    shares = (reliability.low, reliability.high, reliability.confidence, reliability.accuracy)
    if reliability.count < 0 or not all(0 <= share <= 1 for share in shares):
        raise ValueError("expected a count and shares from 0 to 1")
    return reliability


def _pair(pair: PairedTest) -> PairedTest:
    if min(pair.only_first, pair.only_second) < 0 or not all(
        0 <= share <= 1 for share in (pair.p_value, pair.agreement)
    ):
        raise ValueError("expected counts and shares from 0 to 1")
    return pair


ShareInterval = Annotated[Interval, AfterValidator(lambda interval: _within(interval, 0))]
GapInterval = Annotated[Interval, AfterValidator(lambda interval: _within(interval, -1))]


def in_order(by_name: Mapping[str, T]) -> dict[str, T]:
    """By model name, in the project's order of models, then others by name, the ensemble last."""
    others = sorted(set(by_name).difference(MODELS, [ENSEMBLE]))
    return {name: by_name[name] for name in (*MODELS, *others, ENSEMBLE) if name in by_name}


def package_versions(*more: str) -> dict[str, str]:
    """Versions of this project, Python, PyTorch and NumPy, and of further packages by their names on PyPI."""
    names = ("torch", "numpy", *more)
    own = {"fer_models": __version__, "python": platform.python_version()}
    return own | {name: metadata.version(name) for name in names}


class Record(BaseModel):
    """Part of a file. Immutable; unknown keys and numbers that are not finite are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Provenance(Record):
    """Where a file comes from; the base of every record that is a whole file.

    Attributes:
        command: that wrote it.
        versions: of the packages it ran with, by name.
        schema_version: of the record; files from before it was kept are version 1.
    """

    command: str = ""
    versions: dict[str, str] = {}
    schema_version: Literal[1] = 1

    @property
    def measured_weights(self) -> Mapping[str, str]:
        """SHA-256 of the weights that were measured, by model name, without baselines; empty where none are kept."""
        return {}

    def document(self) -> dict[str, Any]:
        """The file's content as plain containers: the keys that were set, in the order of the fields."""
        return self.model_dump(mode="json", exclude_unset=True, by_alias=True)

    def text(self, indent: int | None = 1) -> str:
        """The file's content; without an indent on one line."""
        return json.dumps(self.document(), indent=indent, allow_nan=False) + "\n"


# --- python -m fer_models evaluate: SET_test.json


class Headline(Record):
    """The main figures on some of the faces."""

    count: Count
    accuracy: Share
    macro_f1: Share


class ConfidenceErrors(Record):
    """How far confidences can be believed; the likelihood is in nats."""

    expected_calibration_error: Share
    negative_log_likelihood: Amount


class EvaluationFigures(Headline, ConfidenceErrors):
    """What is measured of a model, or of the ensemble, on labelled faces.

    Attributes:
        recall: by expression; None where no face carries it.
        labels: order of the confusion matrix.
        confusion: (C, C) counts; rows are the truth.
        without_overlap: the headline on the faces without a duplicate in the training split, where there are some.
    """

    recall: dict[str, Share | None]
    labels: tuple[str, ...]
    confusion: tuple[tuple[Count, ...], ...]
    without_overlap: Headline | None = None


class Baseline(Record):
    """Marks a network that is measured beside the models and not shipped."""

    title: str


class ModelEvaluation(EvaluationFigures):
    """One model; figures after its temperature.

    Attributes:
        temperature: divides the logits.
        before_temperature: the same errors at temperature 1.
        training_labels: as on its card.
        sha256: of its weights.
        baseline: for a network that is not shipped.
    """

    temperature: Amount
    before_temperature: ConfidenceErrors
    training_labels: str
    sha256: str
    baseline: Baseline | None = None


class EnsembleEvaluation(EvaluationFigures):
    """The mean of some models' probabilities."""

    members: tuple[str, ...]


class TrainTestDuplicates(Record):
    """Test faces that also stand in the training split.

    Attributes:
        correlation_above: what counts as the same face.
        rows: of such faces in the dataset.
    """

    correlation_above: Share
    rows: tuple[Count, ...]


class EvaluationRecord(Provenance):
    """What `evaluate` measured on one label set.

    Attributes:
        labels: the label set.
        split: of the dataset.
        views: of each face.
        faces_not_found: pictures without a detected face, read whole.
        overlap: train/test duplicates.
        models: by name.
        ensemble: of the shipped models, where at least two were measured.
    """

    labels: str
    split: str
    views: Count
    faces_not_found: Count
    overlap: TrainTestDuplicates
    models: dict[str, ModelEvaluation]
    ensemble: EnsembleEvaluation | None = None

    @property
    def measured_weights(self) -> Mapping[str, str]:
        """As `Provenance.measured_weights`."""
        return {name: model.sha256 for name, model in self.models.items() if model.baseline is None}


# --- python -m fer_models leaderboard: leaderboard.json


class Calibration(ConfidenceErrors):
    """How far confidences can be believed.

    Attributes:
        brier: Brier score in [0, 2].
        reliability: bins of the reliability diagram.
    """

    brier: Amount
    reliability: tuple[Annotated[ReliabilityBin, AfterValidator(_bin)], ...]


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
    """

    labels: str
    split: str
    command: str
    count: Count
    copies: Count
    models: dict[str, ModelComparison]
    pairs: tuple[Annotated[PairedTest, AfterValidator(_pair)], ...]
    pairs_without_copies: tuple[Annotated[PairedTest, AfterValidator(_pair)], ...]
    calibration_gaps: dict[str, GapInterval]
    oracle: Share

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.shipped:
            raise ValueError("it has figures of no shipped model")
        named = {name for pair in (*self.pairs, *self.pairs_without_copies) for name in (pair.first, pair.second)}
        if not named <= self.models.keys():
            raise ValueError("a pair names a model without figures")
        if any(m.sha256 is None or m.before_temperature is None or m.temperature is None for m in self.single.values()):
            raise ValueError("a model lacks its weights' hash, its temperature or its calibration before it")
        return self

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


# --- python -m fer_models robustness: robustness_SET.json


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
    """

    labels: str
    split: str
    count: Count
    seed: int
    strengths: tuple[Count, ...] = Field(min_length=1)
    sha256: dict[str, str]
    clean: dict[str, Share] = Field(min_length=1)
    corrupted: dict[str, dict[str, tuple[Share, ...]]] = Field(min_length=1)
    mean: dict[str, ShareInterval]
    behind: dict[str, GapInterval]

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


# --- python -m fer_models study noise: noise_study.json


class NoisePoint(Record):
    """One epoch of a training on partly wrong labels.

    Attributes:
        epoch: counted from 1.
        validation_accuracy: on clean labels.
        test_accuracy: on clean labels.
        wrong_labels_held: share of the wrong training labels that the network predicts (memorised labels); None where
            none are wrong.
    """

    epoch: Count
    validation_accuracy: Share
    test_accuracy: Share
    wrong_labels_held: Share | None


class NoiseRun(Record):
    """One training on partly wrong labels.

    Attributes:
        method: "plain" or "eac".
        noise: percentage of flipped labels, or the name of a label set whose own labels were used.
        seed: of the run.
        finished: whether it trained for as long as it should.
        last_test_accuracy: after its last epoch; None before the first.
        best_test_accuracy: at the epoch with the best validation accuracy.
        curve: by epoch.
    """

    method: str
    noise: Count | str
    seed: int
    finished: bool
    last_test_accuracy: Share | None
    best_test_accuracy: Share | None
    curve: tuple[NoisePoint, ...]


class NoiseStudyRecord(Provenance):
    """The label noise study.

    Attributes:
        tested_on: in words.
        best: which epoch is the best, in words.
        epochs: of a finished run.
        runs: all of them, also unfinished ones.
    """

    tested_on: str
    best: str = ""
    epochs: Count
    runs: tuple[NoiseRun, ...]


# --- python -m benchmarks.latency: latency.json


class ModelLatency(Record):
    """How long one model takes.

    Attributes:
        sha256: of its weights.
        p50_ms: median time of one face alone.
        p95_ms: 95 % of the times are below.
        throughput: faces per second in batches.
        peak_memory_mb: of a process that has only this model; None where it was not measured.
    """

    sha256: str
    p50_ms: Amount
    p95_ms: Amount
    throughput: Amount
    peak_memory_mb: Amount | None


class LatencyRecord(Provenance):
    """How long every model takes on one machine.

    Attributes:
        machine: in words.
        device: as PyTorch names it.
        threads: of the CPU.
        dtype: of the computation.
        batch: faces per batch for the throughput.
        repeats: measurements of one face alone.
        batches: measurements of a batch.
        memory_without_a_model_mb: peak memory of a process without a model.
        models: by name.
    """

    machine: str
    device: str
    threads: Count
    dtype: str
    batch: Count
    repeats: Count
    batches: Count = 0
    memory_without_a_model_mb: Amount | None = None
    models: dict[str, ModelLatency]

    @property
    def measured_weights(self) -> Mapping[str, str]:
        """As `Provenance.measured_weights`."""
        return {name: model.sha256 for name, model in self.models.items()}


# --- python -m fer_models attention: attention_SET.json


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
    mean_faces: dict[str, MeanFace]

    @property
    def measured_weights(self) -> Mapping[str, str]:
        """As `Provenance.measured_weights`."""
        return {name: model.sha256 for name, model in self.models.items() if not model.baseline}

    @property
    def expressions(self) -> Iterable[str]:
        """The expressions that some model's atlas has."""
        return {name for model in self.models.values() for kind in model.atlas.values() for name in kind}
