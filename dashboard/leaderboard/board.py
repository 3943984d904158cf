"""What the leaderboard shows: the cards and the result files of a folder of weights."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fer_models import registry
from fer_models.evaluation.predictions import TestPredictions, find_test_predictions
from fer_models.evaluation.records import (
    AttentionRecord,
    FaceSetComparison,
    LatencyRecord,
    LeaderboardRecord,
    NoiseStudyRecord,
    RobustnessRecord,
)
from fer_models.evaluation.statistics import ReliabilityBin, equal_mass_bins
from fer_models.evaluation.store import Loaded, Problem, not_measured, read_cards, read_record, stale_models
from fer_models.models.card import ModelCard
from fer_models.models.ensemble import ENSEMBLE, ENSEMBLE_TITLE
from fer_models.models.external.peers import PEERS
from fer_models.registry import FER2013_LABEL_SETS

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
class Board:
    """Everything the leaderboard shows.

    Attributes:
        cards: by model name, in the project's order.
        card_problems: what is wrong with other cards, and with files of weights that are no models here.
        file_bytes: size of each model's weight file, 0 where it is missing.
        sets: by the names of `LABEL_SETS`.
        robustness: by the names of `LABEL_SETS`.
        noise: the label noise study.
        latency: times.
        attention: maps over a test set, where they were measured.
        predictions: what was predicted for each face, by the names of `LABEL_SETS`; only where the file is there.
    """

    cards: Mapping[str, ModelCard]
    card_problems: tuple[str, ...]
    file_bytes: Mapping[str, int]
    sets: Mapping[str, Loaded[FaceSetComparison]]
    robustness: Mapping[str, Loaded[RobustnessRecord]]
    noise: Loaded[NoiseStudyRecord]
    latency: Loaded[LatencyRecord]
    attention: AttentionRecord | None = None
    predictions: Mapping[str, TestPredictions] = field(default_factory=dict)

    def reliability(
        self, face_set: FaceSetComparison, name: str, *, calibrated: bool = True
    ) -> tuple[ReliabilityBin, ...]:
        """A model's reliability diagram: bins with equally many faces; the record's own where no faces are at hand.

        Args:
            face_set: one of the board's.
            name: of one of its models.
            calibrated: after the temperature, or before it; an ensemble has no bins before.
        """
        model = face_set.models[name]
        recorded = model.after_temperature if calibrated else model.before_temperature
        if recorded is None:
            return ()
        predicted = self.predicted(face_set, name, calibrated=calibrated)
        return equal_mass_bins(*predicted) if predicted else recorded.reliability

    def predicted(
        self, face_set: FaceSetComparison, name: str, *, calibrated: bool = True
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]] | None:
        """The labels (N,) of a set's faces and a model's probabilities (N, 7); None where they are not at hand.

        Args:
            face_set: one of the board's.
            name: of one of its models.
            calibrated: after the temperature, or before it; an ensemble has none before.
        """
        predictions = self.predictions.get(f"{face_set.labels}_test")
        members = face_set.ensemble_members if name == ENSEMBLE else (name,)
        if predictions is None or not members or not set(members) <= predictions.logits.keys():
            return None
        probabilities = (
            predictions.ensemble(members) if calibrated else predictions.probabilities(name, calibrated=False)
        )
        accuracy = float((probabilities.argmax(1) == predictions.targets).mean())
        of_this_run = math.isclose(accuracy, face_set.models[name].accuracy.value, abs_tol=1e-6)
        return (predictions.targets, probabilities) if of_this_run else None

    def title(self, name: str) -> str:
        """What people read, a baseline marked as one; the name itself for a model without a card.

        A peer is in none of our means either, but its title says by itself that it is other people's.
        """
        if name == ENSEMBLE:
            return ENSEMBLE_TITLE
        for measured in self.sets.values():
            model = measured.record.models.get(name) if measured.record else None
            if model and model.baseline is not None:
                return model.baseline.title if model.baseline.peer else f"{model.baseline.title} (baseline)"
        cards = self._known_cards
        return cards[name].title if name in cards else name

    @property
    def _known_cards(self) -> dict[str, ModelCard]:
        """The cards, and those of all peers, loaded or not."""
        return {name: peer.card for name, peer in PEERS.items()} | dict(self.cards)

    def stale(self, record: FaceSetComparison | RobustnessRecord | LatencyRecord | None) -> dict[str, Problem]:
        """By model name, why its figures in one of the board's records are out of date."""
        if record is None:
            return {}
        if isinstance(record, LatencyRecord):
            return stale_models(record.measured_weights, self.cards, (LATENCY,))
        label_set = self._label_set(record)
        if label_set is None:
            return {}
        if isinstance(record, FaceSetComparison):
            return self._stale_comparison(record, (label_set.evaluate, COMPARE))
        stale = stale_models(record.measured_weights, self._known_cards, (label_set.robustness,))
        return stale | _stale_ensemble(ENSEMBLE in record.clean, record.members, stale, (label_set.robustness,))

    def _label_set(self, record: object) -> LabelSet | None:
        loaded: list[tuple[str, Loaded[Any]]] = [*self.sets.items(), *self.robustness.items()]
        return next((LABEL_SETS[name] for name, each in loaded if each.record is record), None)

    def _stale_comparison(self, faces: FaceSetComparison, commands: tuple[str, ...]) -> dict[str, Problem]:
        stale = stale_models(faces.measured_weights, self.cards, commands)
        for name, model in faces.shipped.items():
            if name not in stale and model.temperature != self.cards[name].temperature:
                text = "Stale: measured with another temperature than the card’s. Refresh with:"
                stale[name] = Problem(text, commands)
        return stale | _stale_ensemble(ENSEMBLE in faces.models, faces.members, stale, commands)


def read_board(weights: Path, left_out: Sequence[str] = (), loaded: Mapping[str, ModelCard] | None = None) -> Board:
    """Read the cards and every result file. Never fails: what cannot be read becomes a problem.

    Args:
        weights: folder of the cards, with results/ below.
        left_out: as on `Analyzer`: why files of weights in this folder are no models here.
        loaded: cards of the loaded models; those of other systems' files are in no file.
    """
    cards, problems, sizes = read_cards(weights, loaded)
    results = weights / "results"
    compared = read_record(results / "leaderboard.json", LeaderboardRecord, (COMPARE,))
    robustness = {
        name: read_record(results / f"robustness_{each.labels}.json", RobustnessRecord, (each.robustness,))
        for name, each in LABEL_SETS.items()
    }
    noise = read_record(results / "noise_study.json", NoiseStudyRecord, (NOISE_STUDY,))
    latency = read_record(results / "latency.json", LatencyRecord, (LATENCY,))
    attention = read_record(results / "attention_ferplus.json", AttentionRecord, ()).record
    # They only make a chart finer: a damaged file is as good as none.
    predictions = {name: found for name in LABEL_SETS if (found := find_test_predictions(results / f"{name}.npz"))}
    return Board(
        cards=cards,
        card_problems=(*problems, *left_out),
        file_bytes=sizes,
        sets=_face_sets(compared),
        robustness=robustness,
        noise=noise,
        latency=latency,
        attention=attention,
        predictions=predictions,
    )


def _face_sets(compared: Loaded[LeaderboardRecord]) -> dict[str, Loaded[FaceSetComparison]]:
    """Each set of faces, or what is wrong with the file, or how to measure the set."""
    if compared.record is None and compared.problem != not_measured((COMPARE,)):
        return {name: Loaded(problem=compared.problem) for name in LABEL_SETS}
    found = compared.record.sets if compared.record else {}
    return {
        name: Loaded(found[name]) if name in found else Loaded(problem=not_measured((each.evaluate, COMPARE)))
        for name, each in LABEL_SETS.items()
    }


def _stale_ensemble(
    measured: bool, members: Sequence[str] | None, stale: Mapping[str, Problem], commands: tuple[str, ...]
) -> dict[str, Problem]:
    """The ensemble is stale with one of its members, or if it is still the mean of all models.

    Args:
        measured: whether there is one.
        members: as in the records.
        stale: models.
        commands: that measure it.
    """
    if not measured or (members is not None and not set(members) & set(stale)):
        return {}
    if members is None:
        text = "Stale: the mean of all models, whatever labels they learned. Refresh with:"
    else:
        text = "Stale: a model it is the mean of is. Refresh with:"
    return {ENSEMBLE: Problem(text, commands)}
