"""Labels for a batch: where they come from, how the models fare against them, and which of them are likely wrong."""

import csv
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fer_models.batch.table import Row, column, guard, tied_labels
from fer_models.errors import DatasetError, UnknownNameError
from fer_models.expressions import EXPRESSIONS, expression
from fer_models.metrics import ClassificationMetrics, classification_metrics

#: Mean confidence from which unanimous models count as sure of themselves.
SURE: Final = 0.6


@dataclass(frozen=True)
class LikelyWrong:
    """A label that all models contradict.

    Attributes:
        file: the file.
        given: its label.
        answer: what every model predicts instead.
        confidence: the mean of the models' confidences.
    """

    file: str
    given: str
    answer: str
    confidence: float


def labels_from_folders(names: Iterable[str]) -> dict[str, str]:
    """Labels of files in class folders, by file: of those whose folder is called like an expression.

    At least two expressions must have a folder: one folder "happy" among others is no labelled set.

    Args:
        names: files with forward slashes, such as "train/happy/1.png".
    """
    labels = {}
    for name in names:
        folder = name.split("/")[-2] if "/" in name else ""
        try:
            labels[name] = expression(folder)
        except UnknownNameError:
            continue
    return labels if len(set(labels.values())) > 1 else {}


def read_labels(path: Path, names: Sequence[str]) -> dict[str, str]:
    """Labels by file from a CSV with the columns file and label; other columns are ignored.

    Args:
        path: the CSV, UTF-8, with a heading.
        names: the batch's files. Files without a label stay without; a label without a file is ignored.

    Raises:
        DatasetError: it cannot be read, lacks a column, has an unknown or contradicting label, or none of these files.
    """
    known = {_key(spelling): name for name in names for spelling in (guard(name), name)}
    labels: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not {"file", "label"} <= set(reader.fieldnames or ()):
                found = ", ".join(reader.fieldnames or ()) or "none"
                raise DatasetError(f"The labels need the columns file and label; found: {found[:200]}.")
            for row in reader:
                _take(labels, known, row["file"] or "", row["label"] or "", reader.line_num)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            "The labels cannot be read. Save them as a CSV in UTF-8 with the columns file and label."
        ) from error
    if not labels:
        raise DatasetError(
            "The labels name none of these files. The column file must have the names as the table has them, "
            f"such as {names[0] if names else 'folder/picture.jpg'}."
        )
    return labels


def _take(labels: dict[str, str], known: Mapping[str, str], file: str, label: str, line: int) -> None:
    name = known.get(_key(file)) or known.get(_key(file.replace("\\", "/")))
    if not label.strip():
        return
    try:
        word = expression(label)
    except UnknownNameError as error:
        raise DatasetError(f"Line {line} of the labels: {error}") from None
    if name is None:
        return
    if labels.setdefault(name, word) != word:
        raise DatasetError(f"Line {line} of the labels: {name} is {word} here and {labels[name]} before.")


def _key(name: str) -> str:
    """A name however it was typed: some systems write an accent as a letter of its own."""
    return unicodedata.normalize("NFC", name.strip().removeprefix("./"))


def with_labels(rows: Iterable[Row], labels: Mapping[str, str]) -> list[Row]:
    """The rows, each with its file's label."""
    return [row | {"label": labels.get(str(row["file"]))} for row in rows]


def labelled_faces(rows: Iterable[Row]) -> list[Row]:
    """The rows that are measured: of each labelled file its first face, the largest, as a label is for one face."""
    return [row for row in rows if row.get("label") and row.get("face") == 1]


def measure(rows: Iterable[Row], models: Sequence[str]) -> dict[str, ClassificationMetrics]:
    """The metrics of each model on the labelled faces, by its name; empty if there is none.

    Args:
        rows: of the batch, with labels.
        models: in the order of the result.
    """
    faces = labelled_faces(rows)
    if not faces:
        return {}
    truth = [str(row["label"]) for row in faces]
    return {
        model: classification_metrics(truth, [str(row[column(model, "label")]) for row in faces]) for model in models
    }


def likely_wrong(rows: Iterable[Row], models: Sequence[str], sure: float = SURE) -> list[LikelyWrong]:
    """Labels that all models contradict with the same answer and a mean confidence of `sure` or more, surest first.

    A model for which the label is tied with its answer does not contradict it.

    That all agree does not prove a label wrong: models that learned from similar pictures also err alike. It says where
    to look first (Northcutt et al., JAIR 2021, find label errors by models' confidence, too).
    """
    wrong = []
    for row in labelled_faces(rows):
        label = str(row["label"])
        answers = [str(row[column(model, "label")]) for model in models]
        tied = [tied_labels(row, model, dict.fromkeys([*EXPRESSIONS, *answers, label])) for model in models]
        shared = next((name for name in answers if all(name in each for each in tied)), None)
        confidence = sum(float(row[column(model, "confidence")] or 0) for model in models) / max(len(models), 1)
        if shared and not any(label in each for each in tied) and confidence >= sure:
            wrong.append(LikelyWrong(str(row["file"]), label, shared, round(confidence, 6)))
    return sorted(wrong, key=lambda item: (-item.confidence, item.file))
