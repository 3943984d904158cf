"""What the leaderboard's figures mean, in plain sentences. No HTML here."""

from collections.abc import Mapping, Sequence
from typing import Final

from dashboard.leaderboard.board import LABEL_SETS, Board
from fer_models.evaluation.records import FaceSetComparison, ModelComparison
from fer_models.evaluation.statistics import Interval, PairedTest
from fer_models.formatting import percent_of
from fer_models.models.ensemble import ENSEMBLE

#: Two models differ significantly below this adjusted p-value.
LEVEL: Final = 0.05
#: An expression is judged from this many faces on, its precision from this many predictions on.
FEW: Final = 20


def share(value: float) -> str:
    """A share in [0, 1] as "66.0 %"."""
    return f"{100 * value:.1f}\u00a0%"


def signed(value: float) -> str:
    """A difference of shares in percentage points, as "−3.1"."""
    return f"{100 * value:+.1f}".replace("-", "\u2212")


def interval_text(interval: Interval) -> str:
    """The ends of an interval of shares, as "72.8 to 77.8 %"."""
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f}\u00a0%"


def ranks(face_set: FaceSetComparison) -> dict[str, str]:
    """The rank of each model and ensemble by accuracy, the most accurate first.

    A rank is a range, such as "2–3", where intervals overlap: from one behind those whose intervals lie wholly above
    to one before those whose intervals lie wholly below.
    """
    accuracies = {name: model.accuracy for name, model in face_set.models.items()}
    ordered = sorted(accuracies, key=lambda name: -accuracies[name].value)
    words = {}
    for name in ordered:
        first = 1 + sum(other.low > accuracies[name].high for other in accuracies.values())
        last = len(ordered) - sum(other.high < accuracies[name].low for other in accuracies.values())
        words[name] = str(first) if first == last else f"{first}\u2013{last}"
    return words


def p_text(value: float) -> str:
    """A p-value as papers print it."""
    return "p\u00a0<\u00a00.001" if value < 0.001 else f"p\u00a0=\u00a0{value:.3f}"


def holm(values: Sequence[float]) -> list[float]:
    """p-values adjusted for the number of tests (Holm, 1979), in the order given."""
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted, least = [0.0] * len(values), 0.0
    for rank, index in enumerate(order):
        least = max(least, min(1.0, values[index] * (len(values) - rank)))
        adjusted[index] = least
    return adjusted


def adjusted(pairs: Sequence[PairedTest]) -> dict[frozenset[str], float]:
    """The adjusted p-value of every pair of models."""
    values = holm([pair.p_value for pair in pairs])
    return {frozenset((pair.first, pair.second)): value for pair, value in zip(pairs, values, strict=True)}


def cell_sentence(row: ModelComparison, title: str, truth: str, answer: str) -> str:
    """What one cell of a confusion matrix means."""
    total = row.faces(truth)
    if not total:
        return f"No test face is labelled {truth}."
    count = row.confusion[row.labels.index(truth)][row.labels.index(answer)]
    faces = "1 face" if total == 1 else f"{total:,} faces"
    correct = ", which is correct" if truth == answer else ""
    return (
        f"Of {faces} labelled {truth}, {title} predicts {answer} for {count:,}{correct} ({percent_of(count / total)})."
    )


def pair_sentence(
    pair: PairedTest, p_value: float, titles: Mapping[str, str], without: tuple[PairedTest, float] | None = None
) -> str:
    """How two models differ on the same faces.

    Args:
        pair: the test.
        p_value: adjusted for the number of pairs.
        titles: by model name.
        without: the same test and adjusted p-value without train/test duplicates, where there are any.
    """
    sentence = _pair_words(pair, p_value, titles)
    if without is None:
        return sentence
    test, adjusted_p = without
    counts = f"{test.only_first:,} and {test.only_second:,}"
    return f"{sentence} Without train/test duplicates: {counts}, {p_text(adjusted_p)}."


def _pair_words(pair: PairedTest, p_value: float, titles: Mapping[str, str]) -> str:
    first, second = titles[pair.first], titles[pair.second]
    agreement = f"{first} and {second} agree on {share(pair.agreement)} of the faces."
    alone = f"Only {first} is right on {pair.only_first:,}, only {second} on {pair.only_second:,}"
    if pair.only_first == pair.only_second:
        return f"{agreement} {alone}: no difference."
    if p_value < LEVEL:
        better = first if pair.only_first > pair.only_second else second
        return f"{agreement} {alone}: {better} is significantly better ({p_text(p_value)})."
    return f"{agreement} {alone}: not significantly different ({p_text(p_value)})."


def summary(board: Board, face_set: FaceSetComparison, name: str) -> list[str]:
    """The answer to "which model should I trust", as a few sentences.

    Args:
        board: all results.
        face_set: the chosen set of faces.
        name: its key in `board.robustness`.
    """
    sentences = [
        _most_accurate(board, face_set, LABEL_SETS[name].title),
        _ensemble(board, face_set),
        _expressions(board, face_set),
        _calibrated(board, face_set),
        _robust(board, name),
        _smallest(board, face_set),
        _training_labels(board, face_set),
    ]
    return [sentence for sentence in sentences if sentence]


def _most_accurate(board: Board, face_set: FaceSetComparison, title: str) -> str:
    ranked = sorted(face_set.shipped, key=lambda name: -face_set.models[name].accuracy.value)
    best = face_set.models[ranked[0]]
    sentence = (
        f"{board.title(ranked[0])} is the most accurate model on {title}’s {face_set.count:,} test faces: "
        f"{share(best.accuracy.value)} (95 % interval {share(best.accuracy.low)} to {share(best.accuracy.high)})."
    )
    p_value = adjusted(face_set.pairs).get(frozenset(ranked[:2])) if len(ranked) > 1 else None
    if p_value is None:
        return sentence
    second = f"{board.title(ranked[1])} ({share(face_set.models[ranked[1]].accuracy.value)})"
    if p_value < LEVEL:
        return f"{sentence} The second, {second}, is significantly behind."
    return f"{sentence} The second, {second}, is not significantly different: do not rank the two by this."


def _ensemble(board: Board, face_set: FaceSetComparison) -> str:
    if ENSEMBLE not in face_set.models:
        return ""
    accuracy = face_set.models[ENSEMBLE].accuracy.value
    return (
        f"The mean of {members(board, face_set)} reaches {share(accuracy)}. At least one model is right on "
        f"{share(face_set.oracle)} of the faces: no choice among them can do better."
    )


def members(board: Board, face_set: FaceSetComparison) -> str:
    """The models that the ensemble is the mean of, as "ResNet50 and VGG16"."""
    *others, last = (board.title(name) for name in face_set.ensemble_members)
    return f"{', '.join(others)} and {last}"


def _expressions(board: Board, face_set: FaceSetComparison) -> str:
    highest, rare = [], []
    for label in next(iter(face_set.models.values())).labels:
        recalls = [(row.recall_of(label), name) for name, row in face_set.shipped.items() if label in row.labels]
        known = [(value, name) for value, name in recalls if value is not None]
        faces = next(iter(face_set.models.values())).faces(label)
        if known and faces >= FEW:
            value, name = max(known, key=lambda recall: recall[0])
            highest.append((value, label, name))
        elif known:
            rare.append(f"{label} ({faces} face{'' if faces == 1 else 's'})")
    if len(highest) < 2:
        return ""
    (most, easy, first), (least, hard, second) = max(highest), min(highest)
    few = f" Too rare in this set to judge: {', '.join(rare)}." if rare else ""
    return (
        f"Easiest expression: {easy}, with a recall of up to {share(most)} ({board.title(first)}). Hardest: {hard}, "
        f"with {share(least)} at best ({board.title(second)}).{few}"
    )


def _calibrated(board: Board, face_set: FaceSetComparison) -> str:
    errors = {name: row.after_temperature.expected_calibration_error for name, row in face_set.shipped.items()}
    best = min(errors, key=errors.__getitem__)
    return (
        f"Best calibrated: {board.title(best)}. Its confidence and its accuracy are {100 * errors[best]:.1f} "
        f"percentage points apart on average.{_not_behind(board, face_set.calibration_gaps)}"
    )


def _not_behind(board: Board, gaps: Mapping[str, Interval]) -> str:
    """Which models are not significantly behind the best; "" where all are."""
    names = [board.title(name) for name, gap in gaps.items() if gap.low <= 0]
    if not names:
        return ""
    return f" Not significantly different: {' and '.join(names)}."


def _robust(board: Board, name: str) -> str:
    record = board.robustness[name].record
    singles = [model for model in record.clean if model != ENSEMBLE] if record else []
    if record is None or not singles:
        return ""
    means = {model: sum(record.mean_by_strength(model)) / len(record.strengths) for model in singles}
    best = max(means, key=means.__getitem__)
    return (
        f"Most robust: {board.title(best)}, with an accuracy of {share(means[best])} on corrupted faces, against "
        f"{share(record.clean[best])} on the same {record.count:,} faces uncorrupted."
        f"{_not_behind(board, record.behind)}"
    )


def _smallest(board: Board, face_set: FaceSetComparison) -> str:
    known = [name for name in face_set.shipped if name in board.cards]
    if not known:
        return ""
    name = min(known, key=lambda model: board.cards[model].parameters)
    accuracy = face_set.models[name].accuracy.value
    size = f" ({board.file_bytes[name] / 1e6:.1f}\u00a0MB)" if board.file_bytes[name] else ""
    parameters = f"{millions(board.cards[name].parameters)} parameters"
    return f"Smallest: {board.title(name)}, with {parameters}{size} and an accuracy of {share(accuracy)}."


def _training_labels(board: Board, face_set: FaceSetComparison) -> str:
    by_labels: dict[str, list[str]] = {}
    for name in face_set.shipped:
        if name in board.cards:
            by_labels.setdefault(board.cards[name].training_labels, []).append(board.title(name))
    if len(by_labels) < 2:
        return ""
    trained = "; ".join(f"{' and '.join(names)} on {labels}" for labels, names in by_labels.items())
    return f"Not all were trained on the same labels: {trained}. Each label set favours the models trained on it."


def millions(count: int) -> str:
    """A large count as "23.5 million"."""
    return f"{count / 1e6:.1f} million"


def pair_sentences(board: Board, face_set: FaceSetComparison) -> list[str]:
    """How every two models differ."""
    titles = {name: board.title(name) for name in face_set.models}
    values, values_without = adjusted(face_set.pairs), adjusted(face_set.pairs_without_copies)
    without = {(pair.first, pair.second): pair for pair in face_set.pairs_without_copies} if face_set.copies else {}
    sentences = []
    for pair in face_set.pairs:
        both = frozenset((pair.first, pair.second))
        same = without.get((pair.first, pair.second))
        sentences.append(pair_sentence(pair, values[both], titles, (same, values_without[both]) if same else None))
    return sentences


def combination_sentences(board: Board, face_set: FaceSetComparison) -> list[str]:
    """What the ensemble gains, and the best that any choice among the models could reach."""
    name, best = max(face_set.shipped.items(), key=lambda item: item[1].accuracy.value)
    sentences = [f"The best single model, {board.title(name)}, has an accuracy of {share(best.accuracy.value)}."]
    if ENSEMBLE in face_set.models:
        mean = face_set.models[ENSEMBLE].accuracy
        sentences.append(
            f"The mean of the probabilities of {members(board, face_set)} reaches {share(mean.value)} "
            f"({interval_text(mean)}): {signed(mean.value - best.accuracy.value)} percentage points."
        )
    sentences.append(
        f"At least one model is right on {share(face_set.oracle)} of the faces. On the other "
        f"{share(1 - face_set.oracle)} all are wrong, so no choice among them can help there; some of these labels "
        "may be wrong."
    )
    return sentences


def risk_sentences(board: Board, face_set: FaceSetComparison) -> list[str]:
    """What abstaining would gain, for every model."""
    sentences = []
    for name, model in face_set.models.items():
        points = {round(coverage, 2): (risk, confidence) for coverage, risk, confidence in model.risk_coverage}
        if 0.5 in points and 1.0 in points:
            risk, confidence = points[0.5]
            sentences.append(
                f"{board.title(name)} is wrong on {share(points[1.0][0])} of all faces, but only on {share(risk)} of "
                f"the half it is most confident about (confidence of at least {100 * confidence:.0f}\u00a0%)."
            )
    return sentences
