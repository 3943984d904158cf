"""What a user decides about labels that are likely wrong. No Gradio here."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dashboard.batch.session import AnalyzedBatch, answers, write_answers
from fer_models.batch.labels import labelled_faces
from fer_models.batch.table import Row
from fer_models.errors import BatchError


@dataclass(frozen=True)
class Review:
    """Decisions about likely wrong labels.

    Attributes:
        decided: the right label, by file.
        page: of the cards, from 0.
    """

    decided: Mapping[str, str] = field(default_factory=dict)
    page: int = 0

    def decide(self, file: str, label: str) -> "Review":
        """With a decision about a file; without one, if it was decided that way already."""
        others = {name: word for name, word in self.decided.items() if name != file}
        return Review(others if self.decided.get(file) == label else others | {file: label}, self.page)

    def counts(self, analyzed: AnalyzedBatch) -> tuple[int, int]:
        """How many labels are kept, and how many corrected."""
        kept = Counter(analyzed.labels.by_file.get(file) == label for file, label in self.decided.items())
        return kept[True], kept[False]


def decision_rows(analyzed: AnalyzedBatch, review: Review) -> list[Row]:
    """A row per decision, in the order of the files: both labels, what the models suggest, and each model's answer."""
    suggested = {item.file: item.answer for item in analyzed.wrong}
    return [
        {
            "file": row["file"],
            "face": row["face"],
            "given": row["label"],
            "suggested": suggested.get(str(row["file"])),
            "decided": review.decided[str(row["file"])],
            **answers(analyzed, row),
        }
        for row in labelled_faces(analyzed.rows)
        if str(row["file"]) in review.decided
    ]


def write_decisions(analyzed: AnalyzedBatch, review: Review, path: Path) -> None:
    """Write the decisions as a CSV.

    Raises:
        BatchError: there is none, or the file cannot be written.
    """
    if not review.decided:
        raise BatchError("Nothing is decided yet. Keep or correct a label first.")
    write_answers(analyzed, decision_rows(analyzed, review), ("given", "suggested", "decided"), path)
