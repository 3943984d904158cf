"""Faces of a batch that a user labels blind, and how far the answers agree. No Gradio here."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from dashboard.batch.session import AnalyzedBatch, answers, write_answers
from fer_models.batch.labels import labelled_faces
from fer_models.batch.table import Row, column
from fer_models.errors import BatchError
from fer_models.metrics import cohen_kappa

#: Faces of a quiz, if there are as many.
QUESTIONS: Final = 20


@dataclass(frozen=True)
class Quiz:
    """Faces to label, one after the other.

    Attributes:
        rows: of the batch, in the order they are asked.
        answers: so far; None for a face that was skipped.
    """

    rows: tuple[int, ...]
    answers: tuple[str | None, ...] = ()

    @property
    def current(self) -> int | None:
        """The row that is asked now; None at the end."""
        return self.rows[len(self.answers)] if len(self.answers) < len(self.rows) else None

    @property
    def answered(self) -> dict[int, str]:
        """The user's label, by row; those that were skipped are left out."""
        return {row: label for row, label in zip(self.rows, self.answers, strict=False) if label is not None}

    def answer(self, label: str | None) -> "Quiz":
        """With the answer about the current face; None skips it."""
        return self if self.current is None else replace(self, answers=(*self.answers, label))

    def back(self) -> "Quiz":
        """Without the last answer."""
        return replace(self, answers=self.answers[:-1])

    def end(self) -> "Quiz":
        """Without the faces that were not asked yet."""
        return replace(self, rows=self.rows[: len(self.answers)])


def draw_quiz(analyzed: AnalyzedBatch, seed: int | None = None) -> Quiz:
    """Faces at random: of a labelled batch those that are measured, of another any that are not hard to read.

    Args:
        analyzed: the batch.
        seed: of the choice; None takes another each time.

    Raises:
        BatchError: there is no face.
    """
    faces = [index for index, row in enumerate(analyzed.rows) if row.get("face") is not None]
    labelled = [index for index in faces if labelled_faces([analyzed.rows[index]])]
    clear = [index for index in faces if not analyzed.rows[index].get("face_notes")]
    offered = labelled or clear or faces
    if not offered:
        raise BatchError("There is no face to label in this batch.")
    return Quiz(tuple(random.Random(seed).sample(offered, min(QUESTIONS, len(offered)))))


@dataclass(frozen=True)
class Agreement:
    """How far two raters agree.

    Attributes:
        count: faces that both labelled.
        same: those with the same label.
        kappa: Cohen's, in [-1, 1]; None where it is not defined.
    """

    count: int
    same: int
    kappa: float | None


def agreement(first: Sequence[str], second: Sequence[str]) -> Agreement | None:
    """How far two raters agree about the same faces; None if there is no face."""
    if not first:
        return None
    same = sum(one == other for one, other in zip(first, second, strict=True))
    return Agreement(len(first), same, cohen_kappa(first, second))


def with_user(analyzed: AnalyzedBatch, quiz: Quiz, model: str) -> Agreement | None:
    """A model and the user, on the faces that the user labelled."""
    rows = quiz.answered
    return agreement(list(rows.values()), [_answer(analyzed, index, model) for index in rows])


def with_labels(analyzed: AnalyzedBatch, quiz: Quiz, model: str | None) -> Agreement | None:
    """A model, or None for the user, and the given labels, on the labelled faces that the user labelled, too."""
    rows = {index: label for index, label in quiz.answered.items() if analyzed.rows[index].get("label")}
    rated = list(rows.values()) if model is None else [_answer(analyzed, index, model) for index in rows]
    return agreement([str(analyzed.rows[index]["label"]) for index in rows], rated)


def differing(analyzed: AnalyzedBatch, quiz: Quiz) -> list[int]:
    """Rows about which the user differs from the label or a model; first those with the most on the other side."""

    def others(index: int) -> int:
        row = analyzed.rows[index]
        given = [str(row["label"])] if row.get("label") else []
        rated = [*given, *(_answer(analyzed, index, model) for model in analyzed.models)]
        return sum(label != quiz.answered[index] for label in rated)

    return sorted((index for index in quiz.answered if others(index)), key=lambda index: (-others(index), index))


def write_quiz(analyzed: AnalyzedBatch, quiz: Quiz, path: Path) -> None:
    """Write a row per face that the user labelled, in the order asked, as a CSV.

    Raises:
        BatchError: there is none, or the file cannot be written.
    """
    if not quiz.answered:
        raise BatchError("No face was labelled.")
    rows: list[Row] = []
    for index, label in quiz.answered.items():
        row = analyzed.rows[index]
        first: Row = {"file": row["file"], "face": row["face"], "you": label, "given": row.get("label")}
        rows.append(first | answers(analyzed, row))
    write_answers(analyzed, rows, ("you", "given"), path)


def _answer(analyzed: AnalyzedBatch, index: int, model: str) -> str:
    return str(analyzed.rows[index][column(model, "label")])
