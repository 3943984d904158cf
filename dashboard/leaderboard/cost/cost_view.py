"""View models of what models cost: parameters, multiply-adds, files, times and memory. No Gradio, no HTML here."""

from collections.abc import Mapping
from dataclasses import dataclass

from dashboard.leaderboard.board import Board
from dashboard.leaderboard.sentences import millions
from dashboard.leaderboard.view import DASH, ModelLabel, model_label
from fer_models.evaluation.records import FaceSetComparison, LatencyRecord, ModelLatency
from fer_models.evaluation.timing import Timing
from fer_models.models.architectures import ARCHITECTURES
from fer_models.models.ensemble import ENSEMBLE
from fer_models.registry import model_styles


@dataclass(frozen=True)
class Times:
    """How long a model takes.

    Attributes:
        median: of one face alone.
        p95: 95 % of the times are below.
        throughput: faces per second in batches.
    """

    median: str = DASH
    p95: str = DASH
    throughput: str = DASH


@dataclass(frozen=True)
class CostRow:
    """What a model costs; a dash for what was not measured.

    Attributes:
        model: the model.
        parameters: their number.
        multiply_adds: per face.
        file: size of its weights.
        times: on one machine.
        memory: peak of a process with this model alone.
    """

    model: ModelLabel
    parameters: str
    multiply_adds: str
    file: str
    times: Times
    memory: str


def cost_rows(board: Board) -> list[CostRow]:
    """One row per model with a card."""
    latencies = board.latency.record.models if board.latency.record else {}
    stale = board.stale(board.latency.record)
    rows = []
    for name, card in board.cards.items():
        latency, size = latencies.get(name), board.file_bytes[name]
        rows.append(
            CostRow(
                model=model_label(board, board.cards, name, stale),
                parameters=millions(card.parameters),
                multiply_adds=f"{card.multiply_adds / 1e9:.2f} billion" if card.multiply_adds else "not counted",
                file=f"{size / 1e6:.1f}\u00a0MB" if size else "missing" if card.architecture in ARCHITECTURES else DASH,
                times=_times(latency) if latency else Times(),
                memory=f"{latency.peak_memory_mb:.0f}\u00a0MB" if latency and latency.peak_memory_mb else DASH,
            )
        )
    return rows


def timing_rows(titles: Mapping[str, str], timings: Mapping[str, Timing]) -> list[tuple[ModelLabel, Times]]:
    """What was just measured on this machine.

    Args:
        titles: what people read, by model name.
        timings: by model name.
    """
    styles = model_styles(timings)
    return [(ModelLabel(titles[name], styles[name]), _times(timing)) for name, timing in timings.items()]


def _times(timing: Timing | ModelLatency) -> Times:
    return Times(f"{timing.p50_ms:.1f}\u00a0ms", f"{timing.p95_ms:.1f}\u00a0ms", f"{timing.throughput:.0f}")


def cost_of(board: Board, face_set: FaceSetComparison, latency: LatencyRecord | None) -> tuple[str, dict[str, float]]:
    """The best known measure of cost that all of a set's models have: its name, and the cost by model.

    The ensemble costs as much as its members together.
    """
    names = [*face_set.shipped]
    cards = [board.cards[name] for name in names if name in board.cards]
    complete = len(cards) == len(names)
    choices = [
        ("Time per face (ms)", [latency.models[n].p50_ms for n in names if n in latency.models] if latency else []),
        ("Multiply-adds (billions)", [card.multiply_adds / 1e9 for card in cards]),
        ("Parameters (millions)", [card.parameters / 1e6 for card in cards]),
    ]
    for title, values in choices:
        if len(values) == len(names) and all(values) and (complete or "Time" in title):
            costs = dict(zip(names, values, strict=True))
            members = face_set.ensemble_members
            return title, costs | ({ENSEMBLE: sum(costs[name] for name in members)} if members else {})
    return "", {}


def frontier(costs: Mapping[str, float], accuracies: Mapping[str, float]) -> list[str]:
    """The Pareto frontier: the models that no other is both at most as costly and more accurate than, cheapest first.

    Args:
        costs: by model name.
        accuracies: by model name.
    """
    best, kept = -1.0, []
    for name in sorted(costs, key=lambda model: (costs[model], -accuracies[model])):
        if accuracies[name] > best:
            best = accuracies[name]
            kept.append(name)
    return kept
