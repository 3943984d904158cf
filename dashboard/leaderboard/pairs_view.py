"""View models of pairs of models on the same faces. No Gradio, no HTML here."""

from dataclasses import dataclass

from dashboard.leaderboard.board import Board
from dashboard.leaderboard.sentences import LEVEL, adjusted, pair_sentences, share
from dashboard.leaderboard.view import ModelLabel, model_label
from fer_models.evaluation.records import FaceSetComparison


@dataclass(frozen=True)
class Agreement:
    """How often two models agree.

    Attributes:
        share: of the faces, in percent.
        kappa: Cohen's; "" where it is undefined.
    """

    share: str
    kappa: str


@dataclass(frozen=True)
class PairCell:
    """McNemar's test of the row's model against the column's.

    Attributes:
        result: "better" or "worse" where the row's model is so significantly, else "same".
        faces: how many more faces the row's model gets right, such as "+46" or "−46".
        sentence: the test in words.
    """

    result: str
    faces: str
    sentence: str


def agreement_table(board: Board, face_set: FaceSetComparison) -> list[tuple[ModelLabel, list[Agreement | None]]]:
    """For each model its agreement with every model; None with itself."""
    pairs = {frozenset((pair.first, pair.second)): pair for pair in face_set.pairs}
    agreements = {
        names: Agreement(share(pair.agreement), "" if pair.kappa != pair.kappa else f"{pair.kappa:.2f}")
        for names, pair in pairs.items()
    }
    names = [*face_set.single]
    return [
        (
            model_label(board, face_set.models, name),
            [agreements.get(frozenset((name, other))) if name != other else None for other in names],
        )
        for name in names
    ]


def pair_matrix(board: Board, face_set: FaceSetComparison) -> list[tuple[ModelLabel, list[PairCell | None]]]:
    """For each model its test against every model; None against itself."""
    values, words = adjusted(face_set.pairs), pair_sentences(board, face_set)
    cells: dict[tuple[str, str], PairCell] = {}
    for pair, sentence in zip(face_set.pairs, words, strict=True):
        significant = values[frozenset((pair.first, pair.second))] < LEVEL
        for row, column, more in (
            (pair.first, pair.second, pair.only_first - pair.only_second),
            (pair.second, pair.first, pair.only_second - pair.only_first),
        ):
            result = ("better" if more > 0 else "worse") if significant and more else "same"
            cells[row, column] = PairCell(result, f"{more:+d}".replace("-", "\u2212") if more else "0", sentence)
    names = [*face_set.single]
    return [
        (model_label(board, face_set.models, name), [cells.get((name, other)) for other in names]) for name in names
    ]


def pairs_verdict(board: Board, face_set: FaceSetComparison) -> str:
    """How many pairs differ significantly, and which do not."""
    values = adjusted(face_set.pairs)
    alike = [
        f"{board.title(pair.first)} and {board.title(pair.second)}"
        for pair in face_set.pairs
        if values[frozenset((pair.first, pair.second))] >= LEVEL
    ]
    total = len(face_set.pairs)
    if not alike:
        return f"All {total} pairs differ significantly." if total > 1 else "The two models differ significantly."
    if len(alike) == total:
        none = "No two models differ" if total > 1 else "The two models do not differ"
        return f"{none} significantly: each difference may be zero, so do not rank them by it."
    return (
        f"{total - len(alike)} of {total} pairs differ significantly. Where the difference may be zero, do not rank by "
        f"it: {'; '.join(alike)}."
    )
