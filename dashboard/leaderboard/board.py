"""The leaderboard's files on the disk; nothing is computed from models here."""

from pathlib import Path
from typing import Final

from dashboard.leaderboard.parsers import (
    COMPARE,
    LATENCY,
    face_sets,
    in_order,
    latency_of,
    noise_study,
    robustness_of,
)
from dashboard.leaderboard.records import LABEL_SETS, Board, FaceSet
from dashboard.leaderboard.source import Source, missing, read_source
from fer_models.errors import CardError
from fer_models.models.card import ModelCard, read_card

_NOISE: Final = "python -m fer_models study noise --data DIR"


def read_board(weights: Path) -> Board:
    """Read the cards and every result file; never fails: what cannot be read becomes an advice.

    Args:
        weights: folder of the cards, with results/ below.
    """
    cards, problems = read_cards(weights)
    results = weights / "results"
    boards: Source[dict[str, FaceSet]] = read_source(
        results / "leaderboard.json", (COMPARE,), lambda d: face_sets(d, cards)
    )
    sets = {}
    for name, label_set in LABEL_SETS.items():
        value = (boards.value or {}).get(name)
        advice = boards.advice
        if value is None and (advice is None or not (results / "leaderboard.json").exists()):
            advice = missing((label_set.evaluate, COMPARE))
        sets[name] = Source(value, advice)
    robustness = {
        name: read_source(results / f"robustness_{each.labels}.json", (each.robustness,), robustness_of(cards, each))
        for name, each in LABEL_SETS.items()
    }
    return Board(
        cards=cards,
        card_problems=problems,
        file_bytes={name: _size(weights / f"{name}.safetensors") for name in cards},
        sets=sets,
        robustness=robustness,
        noise=read_source(results / "noise_study.json", (_NOISE,), noise_study),
        latency=read_source(results / "latency.json", (LATENCY,), lambda document: latency_of(document, cards)),
    )


def read_cards(weights: Path) -> tuple[dict[str, ModelCard], tuple[str, ...]]:
    """The cards in a folder by model name, in the project's order; and what is wrong with others."""
    cards, problems = {}, []
    for path in sorted(weights.glob("*.json")):
        try:
            cards[path.stem] = read_card(path)
        except (CardError, OSError, RecursionError) as error:
            problems.append(str(error))
    return {name: cards[name] for name in in_order(cards)}, tuple(problems)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
