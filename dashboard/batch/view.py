"""A batch as view models and HTML. No Gradio here."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from dashboard.batch.session import MAX_FACES, AnalyzedBatch, answer_text
from dashboard.batch.uploads import MAX_BYTES, MAX_PICTURES
from dashboard.components.display import ModelDisplay
from dashboard.components.templates import render
from fer_models.batch.table import column
from fer_models.formatting import examples, percent_of
from fer_models.registry import ModelStyle

#: A gallery has at most this many faces: the page stays quick.
MAX_CARDS: Final = 24


@dataclass(frozen=True)
class Answer:
    """One model's answer about a face, with what is tied; confidence in [0, 1]."""

    style: ModelStyle
    label: str
    confidence: float


@dataclass(frozen=True)
class FaceCard:
    """A face in a gallery.

    Attributes:
        row: of the batch, by which the face is opened.
        file: its file with its folders.
        thumbnail: a JPEG data URI.
        description: what the thumbnail shows.
        lines: what is said about the face.
        answers: of every model.
    """

    row: int
    file: str
    thumbnail: str
    description: str
    lines: tuple[str, ...]
    answers: tuple[Answer, ...] = ()

    @property
    def name(self) -> str:
        """The file's name without its folders."""
        return self.file.rsplit("/", 1)[-1]


def introduction() -> Markup:
    """What the tab is for and its limits."""
    return render("batch/introduction.html", pictures=MAX_PICTURES, megabytes=MAX_BYTES // 10**6, faces=MAX_FACES)


def labels_hint() -> Markup:
    """How labels can be given."""
    return render("batch/labels_hint.html")


def progress(analyzed: AnalyzedBatch) -> Markup:
    """How far the batch is: counts, a bar and the time that is left."""
    left = "" if analyzed.seconds_left is None else f", {_duration(analyzed.seconds_left)} left"
    text = f"{analyzed.done} of {analyzed.total} pictures, {plural(analyzed.faces, 'face')}{left}"
    percentage = 100 * analyzed.done / max(analyzed.total, 1)
    return render("batch/progress.html", text=text, total=analyzed.total, done=analyzed.done, percent=percentage)


def summary(analyzed: AnalyzedBatch) -> Markup:
    """What came of the batch, in a sentence or two."""
    without = sum(row.get("face") is None for row in analyzed.rows) - analyzed.failed
    faces = [row for row in analyzed.rows if row.get("face") is not None]
    alike = sum(row["agreement"] == 1 for row in faces)
    parts = [f"{plural(analyzed.faces, 'face')} in {plural(analyzed.done, 'picture')}"]
    if without:
        parts.append(f"no face in {without}")
    if analyzed.failed:
        parts.append(f"{analyzed.failed} could not be read")
    text = ", ".join(parts) + "."
    if faces and len(analyzed.models) > 1:
        text += f" All models agree on {alike} of {plural(len(faces), 'face')} ({percent_of(alike / len(faces))})."
    notes = []
    if analyzed.cut:
        notes.append(f"Analysis ended at {MAX_FACES:,} faces, after {analyzed.done} of {analyzed.total} pictures.")
    elif analyzed.done < analyzed.total:
        notes.append(f"Stopped after {analyzed.done} of {analyzed.total} pictures.")
    if analyzed.left_out:
        count = plural(len(analyzed.left_out), "other file")
        notes.append(f"{count} in the zip left out: {examples(analyzed.left_out)}.")
    notes += analyzed.labels.notes()
    return render("batch/summary.html", text=text, note=" ".join(notes))


def face_card(
    analyzed: AnalyzedBatch, index: int, lines: Sequence[str], display: ModelDisplay | None = None
) -> FaceCard:
    """A face of the batch as a card.

    Args:
        analyzed: the batch.
        index: of its row.
        lines: what is said about it.
        display: of the models, whose answers stand on the card; None leaves them out.
    """
    row = analyzed.rows[index]
    answers: tuple[Answer, ...] = ()
    if display is not None:
        answers = tuple(
            Answer(display.styles[name], answer_text(row, name, labels), float(row[column(name, "confidence")] or 0))
            for name, labels in analyzed.models.items()
        )
    return FaceCard(
        index, str(row["file"]), thumbnail(analyzed, index), description(analyzed, index), tuple(lines), answers
    )


def thumbnail(analyzed: AnalyzedBatch, index: int) -> str:
    """A row's face as a JPEG data URI."""
    return "data:image/jpeg;base64," + base64.b64encode(analyzed.thumbs[index] or b"").decode("ascii")


def description(analyzed: AnalyzedBatch, index: int) -> str:
    """Which face a row stands for."""
    row = analyzed.rows[index]
    return f"Face {row.get('face')} of {row['file']}"


def plural(count: int, word: str) -> str:
    """A count with its noun, as "1 face" or "2,000 faces"."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _duration(seconds: float) -> str:
    """Roughly, as people say it."""
    if seconds < 10:
        return "a few seconds"
    if seconds < 90:
        return f"about {round(seconds / 5) * 5} s"
    return f"about {round(seconds / 60)} min"
