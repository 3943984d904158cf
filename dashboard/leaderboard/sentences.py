"""What the leaderboard's figures mean, in plain sentences; HTML is made of them elsewhere."""

from collections.abc import Mapping, Sequence
from typing import Final

from dashboard.leaderboard.board import LABEL_SETS, Board
from fer_models.evaluation.records import FaceSetComparison, ModelComparison
from fer_models.evaluation.statistics import Interval, PairedTest
from fer_models.formatting import percent_of
from fer_models.models.ensemble import ENSEMBLE

#: Pairs count as different below this adjusted probability.
LEVEL: Final = 0.05
#: Nothing is judged by fewer faces of an expression, or by fewer answers with it.
FEW: Final = 20


def share(value: float) -> str:
    """A share in [0, 1] as "66.0 %"."""
    return f"{100 * value:.1f}\u00a0%"


def signed(value: float) -> str:
    """A difference of shares in percent points, as "-3.1"."""
    return f"{100 * value:+.1f}".replace("-", "\u2212")


def p_text(value: float) -> str:
    """A probability as papers print it."""
    return "p\u00a0<\u00a00.001" if value < 0.001 else f"p\u00a0=\u00a0{value:.3f}"


def holm(values: Sequence[float]) -> list[float]:
    """Probabilities adjusted for how many tests were made, in the order given (Holm, 1979)."""
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted, least = [0.0] * len(values), 0.0
    for rank, index in enumerate(order):
        least = max(least, min(1.0, values[index] * (len(values) - rank)))
        adjusted[index] = least
    return adjusted


def adjusted(pairs: Sequence[PairedTest]) -> dict[frozenset[str], float]:
    """The adjusted probability of every pair of models."""
    values = holm([pair.p_value for pair in pairs])
    return {frozenset((pair.first, pair.second)): value for pair, value in zip(pairs, values, strict=True)}


def cell_sentence(row: ModelComparison, title: str, truth: str, answer: str) -> str:
    """What one cell of a confusion matrix says."""
    total = row.faces(truth)
    if not total:
        return f"No test face is labelled {truth}."
    count = row.confusion[row.labels.index(truth)][row.labels.index(answer)]
    faces = "1 face" if total == 1 else f"{total:,} faces"
    right = ", which is right" if truth == answer else ""
    return f"Of {faces} labelled {truth}, {title} reads {count:,} as {answer}{right} ({percent_of(count / total)})."


def pair_sentence(
    pair: PairedTest, p_value: float, titles: Mapping[str, str], kept: tuple[PairedTest, float] | None = None
) -> str:
    """How two models differ on the same faces.

    Args:
        pair: the test.
        p_value: adjusted for the number of pairs.
        titles: by model name.
        kept: the same two on the faces without a copy in the training split, where there are copies.
    """
    told = _pair_words(pair, p_value, titles)
    if kept is None:
        return told
    without, adjusted_p = kept
    return f"{told} Without training copies: {without.only_first:,} and {without.only_second:,}, {p_text(adjusted_p)}."


def _pair_words(pair: PairedTest, p_value: float, titles: Mapping[str, str]) -> str:
    first, second = titles[pair.first], titles[pair.second]
    same = f"{first} and {second} give the same answer on {share(pair.agreement)} of the faces."
    alone = f"Only {first} is right on {pair.only_first:,}, only {second} on {pair.only_second:,}"
    if pair.only_first == pair.only_second:
        return f"{same} {alone}: neither is better."
    better = first if pair.only_first > pair.only_second else second
    if p_value < LEVEL:
        return f"{same} {alone}: {better} is better, by more than chance explains ({p_text(p_value)})."
    return f"{same} {alone}: chance alone may explain that ({p_text(p_value)})."


def summary(board: Board, face_set: FaceSetComparison, name: str) -> list[str]:
    """The answer to "which model should I trust", as a few sentences.

    Args:
        board: everything that was measured.
        face_set: the chosen set of faces.
        name: its key in `board.robustness`.
    """
    parts = [
        _most_accurate(board, face_set, LABEL_SETS[name].title),
        _together(face_set),
        _expressions(board, face_set),
        _calibrated(board, face_set),
        _robust(board, name),
        _cheapest(board, face_set),
        _learned(board, face_set),
    ]
    return [part for part in parts if part]


def _most_accurate(board: Board, face_set: FaceSetComparison, title: str) -> str:
    ranked = sorted(face_set.shipped, key=lambda name: -face_set.models[name].accuracy.value)
    best = face_set.models[ranked[0]]
    told = (
        f"On {title}’s {face_set.count:,} test faces {board.title(ranked[0])} is right most often: "
        f"{share(best.accuracy.value)} (95 % interval {share(best.accuracy.low)} to {share(best.accuracy.high)})."
    )
    p_value = adjusted(face_set.pairs).get(frozenset(ranked[:2])) if len(ranked) > 1 else None
    if p_value is None:
        return told
    second = f"{board.title(ranked[1])} ({share(face_set.models[ranked[1]].accuracy.value)})"
    if p_value < LEVEL:
        return f"{told} The next, {second}, is behind by more than chance explains."
    return f"{told} {second} is so close that chance may decide: do not rank the two by this."


def _together(face_set: FaceSetComparison) -> str:
    if ENSEMBLE not in face_set.models:
        return ""
    return (
        f"The mean of all models is right on {share(face_set.models[ENSEMBLE].accuracy.value)}; on "
        f"{share(face_set.oracle)} at least one model is right, so no way of choosing among them can do better."
    )


def _expressions(board: Board, face_set: FaceSetComparison) -> str:
    found, rare = [], []
    for label in next(iter(face_set.models.values())).labels:
        recalls = [(row.recall_of(label), name) for name, row in face_set.shipped.items() if label in row.labels]
        known = [(value, name) for value, name in recalls if value is not None]
        faces = next(iter(face_set.models.values())).faces(label)
        if known and faces >= FEW:
            value, name = max(known, key=lambda each: each[0])
            found.append((value, label, name))
        elif known:
            rare.append(f"{label} ({faces} face{'' if faces == 1 else 's'})")
    if len(found) < 2:
        return ""
    (most, easy, finder), (least, hard, other) = max(found), min(found)
    few = f" Too rare in this set to judge: {', '.join(rare)}." if rare else ""
    return (
        f"Easiest is {easy}: {board.title(finder)} finds {share(most)} of it. Hardest is {hard}: even "
        f"{board.title(other)}, which finds most of it, finds {share(least)}.{few}"
    )


def _calibrated(board: Board, face_set: FaceSetComparison) -> str:
    errors = {name: row.after_temperature.expected_calibration_error for name, row in face_set.shipped.items()}
    best = min(errors, key=errors.__getitem__)
    return (
        f"Most honest about how sure it is: {board.title(best)}; its confidence and its accuracy are "
        f"{100 * errors[best]:.1f} percent points apart on average."
        f"{_as_good(board, face_set.calibration_gaps)}"
    )


def _as_good(board: Board, gaps: Mapping[str, Interval]) -> str:
    """Which models are not behind the best by more than chance explains; "" where all are."""
    names = [board.title(name) for name, gap in gaps.items() if gap.low <= 0]
    if not names:
        return ""
    return f" {' and '.join(names)} {'is' if len(names) == 1 else 'are'} so close that chance may decide."


def _robust(board: Board, name: str) -> str:
    told = board.robustness[name].record
    singles = [model for model in told.clean if model != ENSEMBLE] if told else []
    if told is None or not singles:
        return ""
    means = {model: sum(told.mean_by_strength(model)) / len(told.strengths) for model in singles}
    best = max(means, key=means.__getitem__)
    return (
        f"Best on bad pictures: {board.title(best)}, right on {share(means[best])} of corrupted faces, against "
        f"{share(told.clean[best])} of the same {told.count:,} faces as they are.{_as_good(board, told.behind)}"
    )


def _cheapest(board: Board, face_set: FaceSetComparison) -> str:
    known = [name for name in face_set.shipped if name in board.cards]
    if not known:
        return ""
    name = min(known, key=lambda each: board.cards[each].parameters)
    row = face_set.models[name]
    size = f", {board.file_bytes[name] / 1e6:.1f}\u00a0MB" if board.file_bytes[name] else ""
    return (
        f"Smallest: {board.title(name)}, {millions(board.cards[name].parameters)} parameters{size}, right on "
        f"{share(row.accuracy.value)}."
    )


def _learned(board: Board, face_set: FaceSetComparison) -> str:
    by_labels: dict[str, list[str]] = {}
    for name in face_set.shipped:
        if name in board.cards:
            by_labels.setdefault(board.cards[name].training_labels, []).append(board.title(name))
    if len(by_labels) < 2:
        return ""
    told = "; ".join(f"{' and '.join(names)} from {labels}" for labels, names in by_labels.items())
    return f"Not all learned from the same labels: {told}. Each label set favours the models that learned from it."


def millions(count: int) -> str:
    """A large count as "23.5 million"."""
    return f"{count / 1e6:.1f} million"
