"""What commands of this repository measured, read into small records; nothing is computed from models here."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from fer_models import __version__
from fer_models.analyzer import MODELS
from fer_models.cards import ModelCard, read_card
from fer_models.comparison import Interval, PairedTest, ReliabilityBin
from fer_models.ensemble import ENSEMBLE, ENSEMBLE_TITLE
from fer_models.errors import CardError

T = TypeVar("T")

_COMPARE: Final = "python -m fer_models leaderboard"
_NOISE: Final = "python -m fer_models study noise --data DIR"
_LATENCY: Final = "python -m benchmarks.latency --json weights/results/latency.json"
#: A malformed document shows as one of these, whichever part of it is wrong.
_DAMAGE: Final = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError)


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


FER2013: Final = LabelSet("fer2013_test", "fer2013", "FER2013")
FERPLUS: Final = LabelSet("ferplus_test", "ferplus", "FER+")
#: By the file's name, in the order they are offered.
LABEL_SETS: Final = {each.file: each for each in (FER2013, FERPLUS)}


@dataclass(frozen=True)
class Advice:
    """Something the reader should know about a figure, and the commands that mend it.

    Attributes:
        text: one or two plain sentences.
        commands: to be run one after the other.
    """

    text: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source(Generic[T]):
    """What one file says, or why it says nothing.

    Attributes:
        value: what was read; None where the file is missing or damaged.
        advice: why there is no value, or why it may be out of date; None if all is well.
    """

    value: T | None = None
    advice: Advice | None = None


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

    def faces(self, label: str) -> int:
        """How many faces carry this label."""
        return sum(self.confusion[self.labels.index(label)])

    def recall(self, label: str) -> float | None:
        """Share of the faces with this label that are found; None where there are none."""
        index, total = self.labels.index(label), self.faces(label)
        return self.confusion[index][index] / total if total else None

    def precision(self, label: str) -> float | None:
        """Share of the answers with this label that are right; None where it is never given."""
        index = self.labels.index(label)
        given = sum(row[index] for row in self.confusion)
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
    """

    label_set: LabelSet
    count: int
    copies: int
    command: str
    models: Mapping[str, ModelRow]
    pairs: tuple[PairedTest, ...]
    oracle: float

    @property
    def single(self) -> dict[str, ModelRow]:
        """The models without their mean."""
        return {name: row for name, row in self.models.items() if name != ENSEMBLE}


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
    """

    count: int
    strengths: tuple[int, ...]
    clean: Mapping[str, float]
    curves: Mapping[str, Mapping[str, tuple[float, ...]]]
    command: str
    stale: Mapping[str, Advice] = field(default_factory=dict)

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
        """What people read; the name itself for a model without a card."""
        if name == ENSEMBLE:
            return ENSEMBLE_TITLE
        return self.cards[name].title if name in self.cards else name


def read_board(weights: Path) -> Board:
    """Read the cards and every result file; never fails: what cannot be read becomes an advice.

    Args:
        weights: folder of the cards, with results/ below.
    """
    cards, problems = _read_cards(weights)
    results = weights / "results"
    boards: Source[dict[str, FaceSet]] = _read(results / "leaderboard.json", (_COMPARE,), lambda d: _sets(d, cards))
    sets = {}
    for name, label_set in LABEL_SETS.items():
        value = (boards.value or {}).get(name)
        advice = boards.advice
        if value is None and (advice is None or not (results / "leaderboard.json").exists()):
            advice = _missing((label_set.evaluate, _COMPARE))
        sets[name] = Source(value, advice)
    robustness = {
        name: _read(results / f"robustness_{each.labels}.json", (each.robustness,), _robustness_of(cards, each))
        for name, each in LABEL_SETS.items()
    }
    return Board(
        cards=cards,
        card_problems=problems,
        file_bytes={name: _size(weights / f"{name}.safetensors") for name in cards},
        sets=sets,
        robustness=robustness,
        noise=_read(results / "noise_study.json", (_NOISE,), _noise_study),
        latency=_read(results / "latency.json", (_LATENCY,), lambda document: _latency(document, cards)),
    )


def _read_cards(weights: Path) -> tuple[dict[str, ModelCard], tuple[str, ...]]:
    cards, problems = {}, []
    for path in sorted(weights.glob("*.json")):
        try:
            cards[path.stem] = read_card(path)
        except (CardError, OSError, RecursionError) as error:
            problems.append(str(error))
    return {name: cards[name] for name in _ordered(cards)}, tuple(problems)


def _read(path: Path, commands: tuple[str, ...], parse: Callable[[Any], T]) -> Source[T]:
    """One file through its parser, with an advice if it is missing, damaged, or another version's."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        value = parse(document)
        versions = document.get("versions")
        version = versions.get("fer_models") if isinstance(versions, dict) else document.get("version")
    except FileNotFoundError:
        return Source(advice=_missing(commands))
    except _DAMAGE as error:
        reason = f"{type(error).__name__}: {error}"
        text = f"The file results/{path.name} is damaged and is left out ({reason[:160]}). Write it anew with:"
        return Source(advice=Advice(text, commands))
    if version is None or version == __version__:
        return Source(value)
    text = f"Stale: written by version {version} of this project, which is now {__version__}. Refresh with:"
    return Source(value, Advice(text, commands))


def _missing(commands: tuple[str, ...]) -> Advice:
    return Advice("Not measured yet. Measure with:", commands)


def _stale(name: str, sha256: object, cards: Mapping[str, ModelCard], commands: tuple[str, ...]) -> Advice | None:
    if name not in cards:
        return Advice("Stale: this model has no card any more. Refresh with:", commands)
    if sha256 != cards[name].sha256:
        return Advice("Stale: measured with other weights than those in use now. Refresh with:", commands)
    return None


def _sets(document: Any, cards: Mapping[str, ModelCard]) -> dict[str, FaceSet]:
    return {name: _set(told, LABEL_SETS[name], cards) for name, told in document["sets"].items() if name in LABEL_SETS}


def _set(told: Any, label_set: LabelSet, cards: Mapping[str, ModelCard]) -> FaceSet:
    rows = {name: _row(name, figures, label_set, cards) for name, figures in told["models"].items()}
    if not any(name != ENSEMBLE for name in rows):
        raise ValueError("it tells of no model")
    pairs = tuple(
        PairedTest(
            first=str(each["first"]),
            second=str(each["second"]),
            only_first=_count(each["only_first"]),
            only_second=_count(each["only_second"]),
            p_value=_share(each["p_value"]),
            agreement=_share(each["agreement"]),
            kappa=float(each["kappa"]),
        )
        for each in told["pairs"]
    )
    if any(name not in rows for pair in pairs for name in (pair.first, pair.second)):
        raise ValueError("a pair names a model that has no figures")
    singles = [row for row in rows.values() if row.name != ENSEMBLE]
    if ENSEMBLE in rows and any(row.stale for row in singles):
        stale = Advice("Stale: a model it is the mean of is. Refresh with:", (label_set.evaluate, _COMPARE))
        rows[ENSEMBLE] = _replaced(rows[ENSEMBLE], stale)
    return FaceSet(
        label_set=label_set,
        count=_count(told["count"]),
        copies=_count(told["copies"]),
        command=str(told["command"]),
        models={name: rows[name] for name in _ordered(rows)},
        pairs=pairs,
        oracle=_share(told["oracle"]),
    )


def _replaced(row: ModelRow, stale: Advice) -> ModelRow:
    return ModelRow(**{**vars(row), "stale": stale})


def _row(name: str, told: Any, label_set: LabelSet, cards: Mapping[str, ModelCard]) -> ModelRow:
    labels = tuple(map(str, told["labels"]))
    confusion = tuple(tuple(map(_count, row)) for row in told["confusion"])
    if len(confusion) != len(labels) or any(len(row) != len(labels) for row in confusion):
        raise ValueError(f"the confusion matrix of {name} is not {len(labels)} x {len(labels)}")
    stale, temperature = None, None
    commands = (label_set.evaluate, _COMPARE)
    if name != ENSEMBLE:
        stale = _stale(name, told["sha256"], cards, commands)
        temperature = _number(told["temperature"])
        if stale is None and temperature != cards[name].temperature:
            stale = Advice("Stale: measured with another temperature than the card’s. Refresh with:", commands)
    return ModelRow(
        name=name,
        accuracy=_interval(told["accuracy"]),
        without_copies=_interval(told["accuracy_without_copies"]) if told["accuracy_without_copies"] else None,
        macro_f1=_share(told["macro_f1"]),
        labels=labels,
        confusion=confusion,
        risks=tuple((_share(each[0]), _share(each[1]), _share(each[2])) for each in told["risk_coverage"]),
        after=_calibration(told["after_temperature"]),
        before=_calibration(told["before_temperature"]) if name != ENSEMBLE else None,
        temperature=temperature,
        stale=stale,
    )


def _interval(told: Any) -> Interval:
    return Interval(_share(told["value"]), _share(told["low"]), _share(told["high"]))


def _calibration(told: Any) -> Calibration:
    bins = tuple(
        ReliabilityBin(
            low=_share(each["low"]),
            high=_share(each["high"]),
            count=_count(each["count"]),
            confidence=_share(each["confidence"]),
            accuracy=_share(each["accuracy"]),
        )
        for each in told["reliability"]
    )
    error, likelihood = _share(told["expected_calibration_error"]), _number(told["negative_log_likelihood"])
    return Calibration(error, likelihood, _number(told["brier"]), bins)


def _robustness_of(cards: Mapping[str, ModelCard], label_set: LabelSet) -> Callable[[Any], Robustness]:
    def parse(told: Any) -> Robustness:
        strengths = tuple(map(_count, told["strengths"]))
        clean = {name: _share(value) for name, value in told["clean"].items()}
        names = _ordered(clean)
        curves = {
            str(kind): {name: tuple(map(_share, by_model[name])) for name in names}
            for kind, by_model in told["corrupted"].items()
        }
        if not strengths or not names or not curves:
            raise ValueError("it tells of no model, no corruption or no strength")
        if any(len(each) != len(strengths) for models in curves.values() for each in models.values()):
            raise ValueError(f"every curve needs {len(strengths)} accuracies")
        commands = (label_set.robustness,)
        stale = {name: _stale(name, told["sha256"].get(name), cards, commands) for name in names if name != ENSEMBLE}
        kept = {name: advice for name, advice in stale.items() if advice}
        if ENSEMBLE in clean and kept:
            kept[ENSEMBLE] = Advice("Stale: a model it is the mean of is. Refresh with:", commands)
        return Robustness(
            count=_count(told["count"]),
            strengths=strengths,
            clean={name: clean[name] for name in names},
            curves=curves,
            command=str(told["command"]),
            stale=kept,
        )

    return parse


def _noise_study(told: Any) -> NoiseStudy:
    return NoiseStudy(
        command=str(told["command"]),
        tested_on=str(told["tested_on"]),
        epochs=_count(told["epochs"]),
        runs=tuple(_noise_run(each) for each in told["runs"]),
    )


def _noise_run(told: Any) -> NoiseRun:
    noise = told["noise"]
    return NoiseRun(
        method=str(told["method"]),
        noise=noise if isinstance(noise, str) else _count(noise),
        seed=int(told["seed"]),
        finished=bool(told["finished"]),
        last=_maybe(told["last_test_accuracy"]),
        best=_maybe(told["best_test_accuracy"]),
        curve=tuple(
            (_count(point["epoch"]), _share(point["test_accuracy"]), _maybe(point["wrong_labels_held"]))
            for point in told["curve"]
        ),
    )


def _latency(told: Any, cards: Mapping[str, ModelCard]) -> Latency:
    rows = {
        name: LatencyRow(
            p50_ms=_number(each["p50_ms"]),
            p95_ms=_number(each["p95_ms"]),
            throughput=_number(each["throughput"]),
            peak_memory_mb=None if each["peak_memory_mb"] is None else _number(each["peak_memory_mb"]),
            stale=_stale(name, each["sha256"], cards, (_LATENCY,)),
        )
        for name, each in told["models"].items()
    }
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    return Latency(
        machine=str(told["machine"]),
        settings=f"{_count(told['threads'])} threads, {told['dtype']} on {told['device']}; {versions}",
        batch=_count(told["batch"]),
        repeats=_count(told["repeats"]),
        command=str(told["command"]),
        models={name: rows[name] for name in _ordered(rows)},
    )


def _ordered(names: Mapping[str, object]) -> list[str]:
    """The project's order of models, then others by name, the mean last."""
    others = sorted(set(names).difference(MODELS, [ENSEMBLE]))
    return [name for name in (*MODELS, *others, ENSEMBLE) if name in names]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _maybe(value: Any) -> float | None:
    return None if value is None else _share(value)


def _share(value: Any) -> float:
    share = float(value)
    if not 0 <= share <= 1:  # NaN too
        raise ValueError(f"expected a share from 0 to 1, found {value!r}")
    return share


def _number(value: Any) -> float:
    number = float(value)
    if not 0 <= number < float("inf"):
        raise ValueError(f"expected a number from 0, found {value!r}")
    return number


def _count(value: Any) -> int:
    count = int(value)
    if count < 0 or count != value:
        raise ValueError(f"expected a count, found {value!r}")
    return count
