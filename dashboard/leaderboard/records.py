"""What the leaderboard shows, as small records; how they are filled from files is told elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dashboard.leaderboard.source import Advice, Source
from fer_models import registry
from fer_models.evaluation.statistics import Interval, PairedTest, ReliabilityBin
from fer_models.models.card import ModelCard
from fer_models.models.ensemble import ENSEMBLE, ENSEMBLE_TITLE
from fer_models.registry import FER2013_LABEL_SETS


@dataclass(frozen=True)
class LabelSet:
    """A set of labelled test faces.

    Attributes:
        file: what `evaluate` called its file, without suffix.
        labels: what commands call the label set.
        title: what people read.
    """

    file: str
    labels: str
    title: str

    @property
    def evaluate(self) -> str:
        """The command that measures the models on it."""
        return (
            f"python -m fer_models evaluate --data DIR --labels {self.labels} --json weights/results/{self.file}.json"
        )

    @property
    def robustness(self) -> str:
        """The command that measures the models on corrupted faces of it."""
        path = f"weights/results/robustness_{self.labels}.json"
        return f"python -m fer_models robustness --data DIR --labels {self.labels} --json {path}"


#: By the file's name, in the order they are offered.
LABEL_SETS: Final = {
    f"{name}_test": LabelSet(f"{name}_test", name, registry.LABEL_SETS[name].title) for name in FER2013_LABEL_SETS
}


@dataclass(frozen=True)
class Calibration:
    """How far confidence can be believed.

    Attributes:
        error: expected calibration error in [0, 1].
        likelihood: negative log likelihood in nats.
        brier: in [0, 2].
        bins: the reliability diagram's.
    """

    error: float
    likelihood: float
    brier: float
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class ModelRow:
    """One model, or the mean of all, on one set of faces. Shares are in [0, 1].

    Attributes:
        name: of the model, or `ENSEMBLE`.
        accuracy: with its interval.
        without_copies: the same on the faces that have no copy in the training split; None where not known.
        macro_f1: mean F1 of the expressions.
        labels: order of the confusion matrix.
        confusion: (C, C) counts; rows are the truth.
        risks: coverage, share of errors among the surest faces, their least confidence.
        after: calibration after the temperature.
        before: and before it; None for the mean, which has none of its own.
        temperature: the one it was measured with; None for the mean.
        stale: why the figures may be out of date.
        baseline: what people read for a network that is not shipped; None for the project's models and their mean.
    """

    name: str
    accuracy: Interval
    without_copies: Interval | None
    macro_f1: float
    labels: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    risks: tuple[tuple[float, float, float], ...]
    after: Calibration
    before: Calibration | None = None
    temperature: float | None = None
    stale: Advice | None = None
    baseline: str | None = None

    def faces(self, label: str) -> int:
        """How many faces carry this label."""
        return sum(self.confusion[self.labels.index(label)])

    def recall(self, label: str) -> float | None:
        """Share of the faces with this label that are found; None where there are none."""
        index, total = self.labels.index(label), self.faces(label)
        return self.confusion[index][index] / total if total else None

    def answers(self, label: str) -> int:
        """How many faces the model gives this label."""
        return sum(row[self.labels.index(label)] for row in self.confusion)

    def precision(self, label: str) -> float | None:
        """Share of the answers with this label that are right; None where it is never given."""
        index, given = self.labels.index(label), self.answers(label)
        return self.confusion[index][index] / given if given else None


@dataclass(frozen=True)
class FaceSet:
    """Every model on one set of faces.

    Attributes:
        label_set: which.
        count: faces.
        copies: of them, how many also stand in the training split.
        command: that measured it.
        models: by name, in the project's order, the mean last.
        pairs: every pair of models on the same faces.
        oracle: share of faces at least one model gets right.
        kept_pairs: every pair of models on the faces without a copy in the training split.
        calibration_gaps: by model, how much larger its calibration error is than the least one.
    """

    label_set: LabelSet
    count: int
    copies: int
    command: str
    models: Mapping[str, ModelRow]
    pairs: tuple[PairedTest, ...]
    oracle: float
    kept_pairs: tuple[PairedTest, ...] = ()
    calibration_gaps: Mapping[str, Interval] = field(default_factory=dict)

    @property
    def single(self) -> dict[str, ModelRow]:
        """The models and baselines without the models' mean."""
        return {name: row for name, row in self.models.items() if name != ENSEMBLE}

    @property
    def shipped(self) -> dict[str, ModelRow]:
        """The project's models: those that a reader can use."""
        return {name: row for name, row in self.single.items() if row.baseline is None}


@dataclass(frozen=True)
class Robustness:
    """Accuracy on corrupted faces, in [0, 1].

    Attributes:
        count: faces.
        strengths: 1 (mild) to 5 (severe).
        clean: by model.
        curves: by kind of corruption and model, one accuracy a strength.
        command: that measured it.
        stale: by model, why its curves may be out of date.
        means: by model, its mean over all kinds and strengths.
        behind: by model, how far that is below the best model's.
    """

    count: int
    strengths: tuple[int, ...]
    clean: Mapping[str, float]
    curves: Mapping[str, Mapping[str, tuple[float, ...]]]
    command: str
    stale: Mapping[str, Advice] = field(default_factory=dict)
    means: Mapping[str, Interval] = field(default_factory=dict)
    behind: Mapping[str, Interval] = field(default_factory=dict)

    def mean(self, model: str) -> tuple[float, ...]:
        """The mean over all kinds, one accuracy a strength."""
        return tuple(
            sum(curves[model][number] for curves in self.curves.values()) / len(self.curves)
            for number in range(len(self.strengths))
        )


@dataclass(frozen=True)
class NoiseRun:
    """One training on partly wrong labels. Shares are in [0, 1].

    Attributes:
        method: "plain" or "eac".
        noise: percent of flipped labels, or the name of a label set whose own labels were used.
        seed: of the run.
        finished: whether it trained as long as it should.
        last: test accuracy after its last epoch; None before the first.
        best: test accuracy at the epoch with the best validation accuracy.
        curve: epoch, test accuracy, share of the wrong labels it gives back (None where none are wrong).
    """

    method: str
    noise: int | str
    seed: int
    finished: bool
    last: float | None
    best: float | None
    curve: tuple[tuple[int, float, float | None], ...]


@dataclass(frozen=True)
class NoiseStudy:
    """The label noise study.

    Attributes:
        command: that trains and measures.
        tested_on: in words.
        epochs: of a finished run.
        runs: all of them, unfinished ones too.
    """

    command: str
    tested_on: str
    epochs: int
    runs: tuple[NoiseRun, ...]


@dataclass(frozen=True)
class LatencyRow:
    """How long one model takes.

    Attributes:
        p50_ms: median time of one face alone.
        p95_ms: 95 % of the times are below.
        throughput: faces a second in batches.
        peak_memory_mb: of a process that has only this model; None where it was not measured.
        stale: why the figures may be out of date.
    """

    p50_ms: float
    p95_ms: float
    throughput: float
    peak_memory_mb: float | None = None
    stale: Advice | None = None


@dataclass(frozen=True)
class Latency:
    """How long every model takes on one machine.

    Attributes:
        machine: in words.
        settings: threads, number format and libraries, in words.
        batch: faces a batch for the throughput.
        repeats: measurements of one face alone.
        command: that measured it.
        models: by name.
    """

    machine: str
    settings: str
    batch: int
    repeats: int
    command: str
    models: Mapping[str, LatencyRow]


@dataclass(frozen=True)
class Board:
    """Everything the leaderboard shows.

    Attributes:
        cards: by model name, in the project's order.
        card_problems: what is wrong with other cards.
        file_bytes: size of each model's weight file, 0 where it is missing.
        sets: by the names of `LABEL_SETS`.
        robustness: by the names of `LABEL_SETS`.
        noise: the label noise study.
        latency: times.
    """

    cards: Mapping[str, ModelCard]
    card_problems: tuple[str, ...]
    file_bytes: Mapping[str, int]
    sets: Mapping[str, Source[FaceSet]]
    robustness: Mapping[str, Source[Robustness]]
    noise: Source[NoiseStudy]
    latency: Source[Latency]

    def title(self, name: str) -> str:
        """What people read, a baseline marked as one; the name itself for a model without a card."""
        if name == ENSEMBLE:
            return ENSEMBLE_TITLE
        for source in self.sets.values():
            row = source.value.models.get(name) if source.value else None
            if row and row.baseline is not None:
                return f"{row.baseline} (baseline)"
        return self.cards[name].title if name in self.cards else name
