"""View models of the overview: which model to choose, and every model on both label sets. No Gradio, no HTML here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dashboard.components.display import training_note
from dashboard.leaderboard.board import LABEL_SETS, Board
from dashboard.leaderboard.sentences import LEVEL, adjusted, interval_text, members, millions, ranks, share
from dashboard.leaderboard.view import DASH, ModelLabel
from fer_models.evaluation.records import FaceSetComparison
from fer_models.models.ensemble import ENSEMBLE
from fer_models.registry import model_styles

#: Sorts models that a label set has no figures of last.
_LAST: Final = 999


@dataclass(frozen=True)
class Pick:
    """A recommendation.

    Attributes:
        need: what a reader has.
        title: of the model to choose.
        text: the figures that say so.
    """

    need: str
    title: str
    text: str


@dataclass(frozen=True)
class RankedCell:
    """A model on one label set.

    Attributes:
        rank: among all models there; a range where intervals overlap.
        value: its accuracy, in [0, 1].
        low: end of its 95 % interval.
        high: the other end.
        accuracy: in percent.
        interval: in words.
        calibration: expected calibration error in percentage points.
        order: its place when sorted by this label set.
    """

    rank: str
    value: float
    low: float
    high: float
    accuracy: str
    interval: str
    calibration: str
    order: int


@dataclass(frozen=True)
class RankedRow:
    """A model on all label sets.

    Attributes:
        model: the model.
        note: whose labels it learned, or what it is the mean of.
        cells: by label set, in the order of `LABEL_SETS`; None where it was not measured.
        time: median per face.
        size: of its file.
        card: name of the model whose card is on the page; empty if there is none.
    """

    model: ModelLabel
    note: str
    cells: tuple[RankedCell | None, ...]
    time: str
    size: str
    card: str = ""

    @property
    def orders(self) -> tuple[int, ...]:
        """The place of the row when sorted by each label set."""
        return tuple(cell.order if cell else _LAST for cell in self.cells)


def measured_sets(board: Board) -> dict[str, FaceSetComparison]:
    """The label sets that were measured, by the names of `LABEL_SETS`."""
    return {name: each.record for name, each in board.sets.items() if each.record is not None}


def picks(board: Board) -> list[Pick]:
    """Which model to choose, from the records: for faces labelled like each set, and for a small device."""
    sets = measured_sets(board)
    found = [_most_accurate(board, LABEL_SETS[name].title, record) for name, record in sets.items()]
    small = _smallest(board, sets)
    return [*found, *([small] if small else [])]


def _most_accurate(board: Board, title: str, record: FaceSetComparison) -> Pick:
    first, *others = sorted(record.shipped, key=lambda name: -record.models[name].accuracy.value)
    values = adjusted(record.pairs)
    alike = [board.title(name) for name in others if values.get(frozenset((first, name)), 0) >= LEVEL]
    accuracy = record.models[first].accuracy
    text = f"{share(accuracy.value)} correct (95 % interval {interval_text(accuracy)})."
    if alike:
        text += f" Not significantly different: {' and '.join(alike)}."
    if ENSEMBLE in record.models:
        mean = record.models[ENSEMBLE].accuracy.value
        text += f" The mean of {members(board, record)} reaches {share(mean)}."
    return Pick(f"Your labels look like {title}", board.title(first), text)


def _smallest(board: Board, sets: Mapping[str, FaceSetComparison]) -> Pick | None:
    shipped = {name for record in sets.values() for name in record.shipped if name in board.cards}
    known = [name for name in board.cards if name in shipped and board.file_bytes[name]]
    if not known:
        return None
    name = min(known, key=lambda model: board.file_bytes[model])
    time = _time(board, (name,))
    parts = [f"{board.file_bytes[name] / 1e6:.1f}\u00a0MB", f"{millions(board.cards[name].parameters)} parameters"]
    parts += [f"{time} per face"] if time != DASH else []
    accuracies = [
        f"{share(record.models[name].accuracy.value)} on {LABEL_SETS[key].title}"
        for key, record in sets.items()
        if name in record.models
    ]
    return Pick("It has to run on a small device", board.title(name), f"{', '.join(parts)}; {', '.join(accuracies)}.")


def ranked_rows(board: Board) -> list[RankedRow]:
    """Every model and ensemble once, sorted by the first label set; an ensemble is another one on each label set."""
    sets = measured_sets(board)
    stale = {name for record in sets.values() for name in board.stale(record)}
    places = {key: ranks(record) for key, record in sets.items()}
    names = list(dict.fromkeys(name for record in sets.values() for name in record.models))
    rows = []
    for name in names:
        groups = [(key,) for key in sets if name in sets[key].models] if name == ENSEMBLE else [tuple(sets)]
        for keys in groups:
            cells = tuple(_cell(sets[key], places[key], name) if key in keys else None for key in LABEL_SETS)
            parts = sets[keys[0]].ensemble_members if name == ENSEMBLE else (name,)
            label = ModelLabel(board.title(name), model_styles(names)[name], name in stale)
            note = f"mean of {members(board, sets[keys[0]])}" if name == ENSEMBLE else _note(board, name)
            card = name if name in board.cards else ""
            rows.append(RankedRow(label, note, cells, _time(board, parts), _size(board, parts), card))
    return sorted(rows, key=lambda row: row.orders)


def _cell(record: FaceSetComparison, places: Mapping[str, str], name: str) -> RankedCell | None:
    if name not in record.models:
        return None
    model = record.models[name]
    accuracy = model.accuracy
    return RankedCell(
        places[name],
        accuracy.value,
        accuracy.low,
        accuracy.high,
        share(accuracy.value),
        interval_text(accuracy),
        f"{100 * model.after_temperature.expected_calibration_error:.1f}",
        list(places).index(name),
    )


def _note(board: Board, name: str) -> str:
    if name in board.cards:
        return training_note(board.cards[name].training_labels)
    return "for comparison only, not shipped"


def _time(board: Board, names: tuple[str, ...]) -> str:
    """Median time per face of models one after the other; a dash if one was not timed."""
    latencies = board.latency.record.models if board.latency.record else {}
    if not names or not set(names) <= latencies.keys():
        return DASH
    return f"{sum(latencies[name].p50_ms for name in names):.1f}\u00a0ms"


def _size(board: Board, names: tuple[str, ...]) -> str:
    sizes = [board.file_bytes.get(name, 0) for name in names]
    return f"{sum(sizes) / 1e6:.1f}\u00a0MB" if sizes and all(sizes) else DASH
