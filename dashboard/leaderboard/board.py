"""What the leaderboard shows: the cards and the result files of a folder of weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from fer_models import registry
from fer_models.evaluation.records import (
    FaceSetComparison,
    LatencyRecord,
    LeaderboardRecord,
    NoiseStudyRecord,
    Record,
    RobustnessRecord,
    in_order,
)
from fer_models.evaluation.store import Loaded, Problem, not_measured, read_cards, read_record, stale_models
from fer_models.models.card import ModelCard
from fer_models.models.ensemble import ENSEMBLE, ENSEMBLE_TITLE
from fer_models.registry import FER2013_LABEL_SETS

R = TypeVar("R", bound=Record)

COMPARE: Final = "python -m fer_models leaderboard"
LATENCY: Final = "python -m benchmarks.latency --json weights/results/latency.json"
NOISE_STUDY: Final = "python -m fer_models study noise --data DIR"


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
class Measured(Generic[R]):
    """What was measured of every model.

    Attributes:
        record: None where nothing was measured or the file is damaged.
        problem: None if there is a record.
        stale: by model name, why its figures are out of date.
    """

    record: R | None = None
    problem: Problem | None = None
    stale: Mapping[str, Problem] = field(default_factory=dict)


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
    sets: Mapping[str, Measured[FaceSetComparison]]
    robustness: Mapping[str, Measured[RobustnessRecord]]
    noise: Loaded[NoiseStudyRecord]
    latency: Measured[LatencyRecord]

    def title(self, name: str) -> str:
        """What people read, a baseline marked as one; the name itself for a model without a card."""
        if name == ENSEMBLE:
            return ENSEMBLE_TITLE
        for measured in self.sets.values():
            model = measured.record.models.get(name) if measured.record else None
            if model and model.baseline is not None:
                return f"{model.baseline.title} (baseline)"
        return self.cards[name].title if name in self.cards else name

    def stale(self, record: FaceSetComparison | RobustnessRecord) -> Mapping[str, Problem]:
        """By model name, why its figures in one of the board's records are out of date."""
        every: list[Measured[Any]] = [*self.sets.values(), *self.robustness.values()]
        return next((dict(measured.stale) for measured in every if measured.record is record), {})


def read_board(weights: Path) -> Board:
    """Read the cards and every result file. Never fails: what cannot be read becomes a problem.

    Args:
        weights: folder of the cards, with results/ below.
    """
    cards, problems = read_cards(weights)
    results = weights / "results"
    compared = read_record(results / "leaderboard.json", LeaderboardRecord, (COMPARE,))
    latency = read_record(results / "latency.json", LatencyRecord, (LATENCY,))
    return Board(
        cards=cards,
        card_problems=problems,
        file_bytes={name: _size(weights / f"{name}.safetensors") for name in cards},
        sets={name: _face_set(compared, label_set, cards) for name, label_set in LABEL_SETS.items()},
        robustness={name: _robustness(results, label_set, cards) for name, label_set in LABEL_SETS.items()},
        noise=read_record(results / "noise_study.json", NoiseStudyRecord, (NOISE_STUDY,)),
        latency=Measured(
            latency.record and latency.record.model_copy(update={"models": in_order(latency.record.models)}),
            latency.problem,
            stale_models(latency.record.measured_weights, cards, (LATENCY,)) if latency.record else {},
        ),
    )


def _face_set(
    compared: Loaded[LeaderboardRecord], label_set: LabelSet, cards: Mapping[str, ModelCard]
) -> Measured[FaceSetComparison]:
    commands = (label_set.evaluate, COMPARE)
    faces = compared.record.sets.get(label_set.file) if compared.record else None
    if faces is None:
        damaged = compared.problem is not None and compared.problem != not_measured((COMPARE,))
        return Measured(problem=compared.problem if damaged else not_measured(commands))
    stale = stale_models({name: str(model.sha256) for name, model in faces.shipped.items()}, cards, commands)
    for name, model in faces.shipped.items():
        if name not in stale and model.temperature != cards[name].temperature:
            text = "Stale: measured with another temperature than the card’s. Refresh with:"
            stale[name] = Problem(text, commands)
    faces = faces.model_copy(update={"models": in_order(faces.models)})
    return Measured(faces, stale=_with_ensemble(stale, faces.models, commands))


def _robustness(results: Path, label_set: LabelSet, cards: Mapping[str, ModelCard]) -> Measured[RobustnessRecord]:
    commands = (label_set.robustness,)
    loaded = read_record(results / f"robustness_{label_set.labels}.json", RobustnessRecord, commands)
    if loaded.record is None:
        return Measured(problem=loaded.problem)
    record = loaded.record.model_copy(update={"clean": in_order(loaded.record.clean)})
    stale = stale_models(record.measured_weights, cards, commands)
    return Measured(record, stale=_with_ensemble(stale, record.clean, commands))


def _with_ensemble(
    stale: Mapping[str, Problem], names: Mapping[str, object], commands: tuple[str, ...]
) -> Mapping[str, Problem]:
    """The ensemble of stale models is stale, too."""
    if not stale or ENSEMBLE not in names:
        return stale
    return {**stale, ENSEMBLE: Problem("Stale: a model it is the mean of is. Refresh with:", commands)}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
