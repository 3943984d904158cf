"""Labels for a batch: where they come from, how the models fare against them, and which of them are likely wrong."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fer_models.batch.table import Row, column, guard, tied_labels
from fer_models.errors import DatasetError
from fer_models.expressions import EXPRESSIONS, ClassNames
from fer_models.formatting import examples, printable
from fer_models.media.files import read_csv
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


@dataclass(frozen=True)
class Labels:
    """Labels of a batch's files, and account of those that could not be used.

    Attributes:
        by_file: the expression of each labelled file.
        classes: how class names were read.
        listed: names that a list has labels for; 0 for class folders.
        unmatched: those of them that name no file of the batch, or several that differ in case.
        by_end: the file of each name that stands for it by the end of its path alone.
    """

    by_file: Mapping[str, str] = field(default_factory=dict)
    classes: ClassNames = field(default_factory=ClassNames)
    listed: int = 0
    unmatched: tuple[str, ...] = ()
    by_end: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of labelled files."""
        return len(self.by_file)

    def notes(self) -> list[str]:
        """What the figures do not stand on, in a sentence each."""
        notes = []
        if self.unmatched:
            notes.append(f"{len(self.unmatched):,} of {self.listed:,} labels name no file: {_named(self.unmatched)}.")
        elif self.listed:
            notes.append(f"All {self.listed:,} labels name a file.")
        if self.by_end:
            name, file = next(iter(self.by_end.items()))
            count = f"{len(self.by_end):,} label{'s name' if len(self.by_end) > 1 else ' names'}"
            notes.append(f"{count} a file by the end of its path alone, such as {_named([name])} for {file}.")
        return notes + self.classes.notes()

    def document(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "files": len(self),
            "listed": self.listed,
            "unmatched": list(self.unmatched),
            "guessed": self.classes.guessed,
            "unknown": dict(self.classes.unknown),
        }


def labels_from_folders(names: Iterable[str], class_names: Mapping[str, str] | None = None) -> Labels:
    """Labels of files in class folders: of those whose folder is called like an expression.

    At least two expressions must have a folder: one folder "happy" among others is no labelled set.

    Args:
        names: files with forward slashes, such as "train/happy/1.png".
        class_names: the expressions that folders' names stand for, if not the vocabulary's; one folder is enough then.

    Raises:
        DatasetError: no folder has a name of `class_names` or of an expression.
    """
    folders: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        folders[name.split("/")[-2] if "/" in name else "."].append(name)
    classes = ClassNames(class_names or {})
    words = {folder: classes.expression(folder, len(files)) for folder, files in folders.items()}
    labels = {name: word for folder, word in words.items() if word for name in folders[folder]}
    if class_names and not labels:
        raise DatasetError(f"No folder is called like an expression. {' '.join(classes.notes())}")
    return Labels(labels, classes) if class_names or len(set(labels.values())) > 1 else Labels()


def read_labels(path: Path, names: Sequence[str], class_names: Mapping[str, str] | None = None) -> Labels:
    """Labels from a CSV with the columns file and label; other columns are ignored.

    A name may differ from its file's in case, and in the folders before it, where no other file could be meant.

    Args:
        path: the CSV, see `read_csv`.
        names: the batch's files. Files without a label stay without.
        class_names: the expressions that labels stand for, if not the vocabulary's.

    Raises:
        DatasetError: it cannot be read, lacks a column, has contradicting labels, or no label that can be used.
    """
    classes = ClassNames(class_names or {})
    labels: dict[str, str] = {}
    rows = [(line, row) for line, row in read_csv(path, ("file", "label"), "The labels") if row["label"]]
    matched, by_end = _Files(names).matched(row["file"] for _, row in rows)
    unmatched: dict[str, None] = {}
    for line, row in rows:
        name = matched.get(_key(row["file"]))
        if name is None:
            unmatched[_key(row["file"]) or f"(line {line})"] = None
        word = classes.expression(row["label"])
        if word and name and labels.setdefault(name, word) != word:
            raise DatasetError(f"Line {line} of the labels: {name} is {word} here and {labels[name]} before.")
    listed = {_key(row["file"]) for _, row in rows}
    found = Labels(labels, classes, len(listed), tuple(unmatched), by_end)
    if not labels:
        raise DatasetError(_unusable(found, names))
    return found


def _unusable(labels: Labels, names: Sequence[str]) -> str:
    if len(labels.unmatched) < labels.listed:
        return f"None of the labels can be used. {' '.join(labels.notes())} Known: {', '.join(EXPRESSIONS)}."
    return (
        "The labels name none of these files. The column file must have the names as the table has them, such as "
        f"{names[0] if names else 'folder/picture.jpg'}; found: {_named(labels.unmatched) or 'none'}."
    )


def _named(names: Sequence[str]) -> str:
    return examples([printable(name) for name in names])


class _Files:
    """A batch's files by the names that a list may have for them."""

    def __init__(self, names: Sequence[str]) -> None:
        self._exact = {_key(spelling): name for name in names for spelling in (guard(name), name)}
        self._folded: defaultdict[str, set[str]] = defaultdict(set)
        self._by_last: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for key, name in self._exact.items():
            path = key.casefold()
            self._folded[path].add(name)
            self._by_last[path.rpartition("/")[2]].append((path, name))

    def matched(self, given: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
        """The files that names mean, by `_key`, and those among them that are meant by the end of their path alone.

        A name stands for the one file whose path ends with it, or is the end of it: lists leave out the folder that was
        packed, or begin with the folders of another computer. Not where two names would mean the same file.
        """
        keys = dict.fromkeys(map(_key, given))
        matched = {key: name for key in keys if (name := self._named(key)) is not None}
        taken = set(matched.values())
        claims: defaultdict[str, list[str]] = defaultdict(list)
        for key in keys:
            if key not in matched and (name := self._ending(key)) is not None and name not in taken:
                claims[name].append(key)
        by_end = {found[0]: name for name, found in claims.items() if len(found) == 1}
        return matched | by_end, by_end

    def _named(self, given: str) -> str | None:
        """The file of just that name; None if there is none, or several that differ in case."""
        keys = (given, _key(given.replace("\\", "/")))
        exact = self._exact.get(keys[0]) or self._exact.get(keys[1])
        alike = self._folded.get(keys[0].casefold()) or self._folded.get(keys[1].casefold()) or set()
        return exact or (next(iter(alike)) if len(alike) == 1 else None)

    def _ending(self, given: str) -> str | None:
        """The one file whose path ends with the name or is the end of it, whatever their case."""
        end = _key(given.replace("\\", "/")).casefold()
        found = {
            name
            for path, name in self._by_last[end.rpartition("/")[2]]
            if path.endswith(f"/{end}") or end.endswith(f"/{path}")
        }
        return found.pop() if len(found) == 1 else None


def _key(name: str) -> str:
    """A name however it was typed: some systems write an accent as a letter of its own."""
    return unicodedata.normalize("NFC", name.strip().removeprefix("./"))


def with_labels(rows: Iterable[Row], labels: Labels) -> list[Row]:
    """The rows, each with its file's label."""
    return [row | {"label": labels.by_file.get(str(row["file"]))} for row in rows]


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


@dataclass(frozen=True)
class ConfidentMetrics:
    """How one model does on the labelled faces about which it is confident enough (selective prediction).

    Attributes:
        faces: labelled faces, whatever the confidence.
        metrics: on those with enough; None if there is none.
    """

    faces: int
    metrics: ClassificationMetrics | None

    @property
    def covered(self) -> int:
        """Faces with enough confidence."""
        return self.metrics.count if self.metrics else 0

    @property
    def coverage(self) -> float:
        """Their share, in [0, 1]."""
        return self.covered / self.faces

    @property
    def right(self) -> int:
        """How many of them are answered as labelled."""
        return self.metrics.right if self.metrics else 0


def measure_confident(rows: Iterable[Row], models: Sequence[str], least: float) -> dict[str, ConfidentMetrics]:
    """The metrics of each model on the labelled faces about which it is confident, by its name; empty without faces.

    Args:
        rows: of the batch, with labels.
        models: in the order of the result.
        least: the lowest confidence that counts, in [0, 1].
    """
    faces = labelled_faces(rows)
    confident = {
        model: [row for row in faces if float(row[column(model, "confidence")] or 0) >= least] for model in models
    }
    measured = {model: measure(kept, [model]).get(model) for model, kept in confident.items()}
    return {model: ConfidentMetrics(len(faces), each) for model, each in measured.items() if faces}


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
