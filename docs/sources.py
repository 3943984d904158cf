"""The records in weights/results/ that the tables of the documentation are made of."""

from collections.abc import Mapping
from functools import cache
from typing import Final, TypeVar

from fer_models.analyzer import WEIGHTS
from fer_models.errors import FerError
from fer_models.evaluation.records import AttentionRecord, LeaderboardRecord, Provenance
from fer_models.evaluation.store import read_cards, read_record
from fer_models.models.ensemble import ENSEMBLE, ENSEMBLE_TITLE

ROOT: Final = WEIGHTS.parent
RESULTS: Final = WEIGHTS / "results"
#: What people read, by the name of the record.
TEST_SETS: Final = {"fer2013_test": "FER2013 test set", "ferplus_test": "FER+ test set"}
R = TypeVar("R", bound=Provenance)


def record(name: str, kind: type[R]) -> R:
    """Read one file of weights/results/.

    Raises:
        FerError: it is missing or damaged.
    """
    loaded = read_record(RESULTS / name, kind, ("see docs/measurements.md",))
    if loaded.record is None:
        raise FerError(f"{name}: {loaded.problem.text if loaded.problem else 'missing'}")
    return loaded.record


@cache
def leaderboard() -> LeaderboardRecord:
    """Every model on every test set."""
    return record("leaderboard.json", LeaderboardRecord)


@cache
def attention() -> AttentionRecord:
    """The models' maps over the FER+ test set."""
    return record("attention_ferplus.json", AttentionRecord)


@cache
def titles() -> Mapping[str, str]:
    """What people read for each model, baselines and the ensemble included."""
    cards = read_cards(WEIGHTS).cards
    baselines = {
        name: model.baseline.title
        for comparison in leaderboard().sets.values()
        for name, model in comparison.models.items()
        if model.baseline
    }
    return {name: card.title for name, card in cards.items()} | baselines | {ENSEMBLE: ENSEMBLE_TITLE}
