"""A batch as HTML: every text is escaped, pictures are data URIs. No Gradio here."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from dashboard.batch.session import MAX_BYTES, MAX_FACES, MAX_PICTURES, AnalyzedBatch, most_different
from dashboard.components.face_view import ModelDisplay, swatch
from fer_models.batch.labels import SURE
from fer_models.batch.table import column
from fer_models.formatting import percent, percent_of
from fer_models.metrics import ClassificationMetrics

#: Faces in a gallery at most: the page stays quick.
MAX_CARDS: Final = 24

INTRODUCTION: Final = (
    '<p class="fer-hint">Read a whole folder of pictures: one table for all faces, and the faces on which the models '
    f"differ most. At most {MAX_PICTURES} pictures, 64&nbsp;MB a file and {MAX_BYTES // 10**6}&nbsp;MB together, and "
    f"{MAX_FACES:,} faces. For more: <code>python -m fer_models batch FOLDER --out TABLE.csv</code></p>"
)
LABELS_HINT: Final = (
    '<p class="fer-hint">If you know the right expressions, the models are measured against them. Either pack folders '
    "called like the expressions (happy, sad, …) into the zip, or add a CSV with the columns file and label.</p>"
)


def waiting() -> str:
    """The batch is about to begin."""
    return '<div class="fer-busy" role="status">Getting the pictures ready …</div>'


def progress(analyzed: AnalyzedBatch) -> str:
    """How far the batch is: counts, a bar and the time that is left."""
    share = 100 * analyzed.done / max(analyzed.total, 1)
    left = "" if analyzed.seconds_left is None else f", {_duration(analyzed.seconds_left)} left"
    text = f"{analyzed.done} of {analyzed.total} pictures, {_plural(analyzed.faces, 'face')}{left}"
    return (
        f'<div class="fer-panel fer-progress"><p role="status">{escape(text)}</p>'
        '<div class="fer-bar" role="progressbar" '
        f'aria-label="Pictures read" aria-valuemin="0" aria-valuemax="{analyzed.total}" '
        f'aria-valuenow="{analyzed.done}">'
        f'<i style="width:{share:.1f}%;background:var(--fer-accent)"></i></div></div>'
    )


def summary(analyzed: AnalyzedBatch) -> str:
    """What came of the batch, in a sentence or two."""
    without = sum(row.get("face") is None for row in analyzed.rows) - analyzed.failed
    faces = [row for row in analyzed.rows if row.get("face") is not None]
    alike = sum(row["agreement"] == 1 for row in faces)
    parts = [f"{_plural(analyzed.faces, 'face')} in {_plural(analyzed.done, 'picture')}"]
    if without:
        parts.append(f"no face in {without}")
    if analyzed.failed:
        parts.append(f"{analyzed.failed} could not be read")
    said = ""
    if faces and len(analyzed.models) > 1:
        said = f" All models agree on {alike} of {_plural(len(faces), 'face')} ({percent_of(alike / len(faces))})."
    notes = ""
    if analyzed.cut:
        notes = f" Reading ended at {MAX_FACES:,} faces: {analyzed.done} of {analyzed.total} pictures are read."
    elif analyzed.done < analyzed.total:
        notes = f" Stopped: {analyzed.done} of {analyzed.total} pictures are read."
    if analyzed.left_out:
        notes += f" {_plural(analyzed.left_out, 'other file')} in the zip left out."
    text = ", ".join(parts) + "." + said
    note = f'<p class="fer-hint">{escape(notes.strip())}</p>' if notes else ""
    return f'<p class="fer-lead">{escape(text)}</p>{note}'


def key(models: Sequence[str], display: ModelDisplay) -> str:
    """The chart's key."""
    items = "".join(f"<li>{swatch(display.styles[name])}{escape(display.cards[name].title)}</li>" for name in models)
    return f'<ul class="fer-key">{items}</ul>'


def gallery(analyzed: AnalyzedBatch, indices: Sequence[int], display: ModelDisplay) -> str:
    """The faces among these rows, the one on which the models differ most first, each with every model's answer."""
    faces = most_different(analyzed, indices)
    if not faces:
        return '<p class="fer-hint">No face to show.</p>'
    cards = "".join(_card(analyzed, index, display) for index in faces[:MAX_CARDS])
    count = (
        f"The {MAX_CARDS} of {len(faces)} faces with the largest disagreement."
        if len(faces) > MAX_CARDS
        else f"{_plural(len(faces), 'face')}, the largest disagreement first."
    )
    return f'<p class="fer-hint">{count}</p><div class="fer-faces">{cards}</div>'


def likely_wrong(analyzed: AnalyzedBatch, display: ModelDisplay) -> str:
    """The labels that all models contradict, with the faces."""
    rule = f"all models give the same other answer, with a mean confidence of {percent(SURE)} or more"
    places = {str(row["file"]): index for index, row in enumerate(analyzed.rows) if row.get("face") == 1}
    wrong = analyzed.wrong
    if not wrong:
        return f'<p class="fer-hint">None: there is no labelled face on which {rule}.</p>'
    cards = "".join(
        f'<figure class="fer-face">{_image(analyzed, places[item.file])}<figcaption>{_name(item.file)}'
        f"<span>Labelled {escape(item.given)}</span><span>All models: {escape(item.answer)} "
        f"({percent(item.confidence)})</span></figcaption></figure>"
        for item in wrong[:MAX_CARDS]
    )
    more = f" The surest {MAX_CARDS} are shown; the downloads have all." if len(wrong) > MAX_CARDS else ""
    text = f"{_plural(len(wrong), 'label')}: {rule}. Models err alike, too, so look before you change a label.{more}"
    return f'<p class="fer-hint">{escape(text)}</p><div class="fer-faces">{cards}</div>'


def metrics(analyzed: AnalyzedBatch, figures: Mapping[str, ClassificationMetrics], display: ModelDisplay) -> str:
    """Accuracy, macro-F1 and recalls of every model, and its confusion matrix."""
    if not figures:
        return '<p class="fer-hint">None of the labelled pictures has a face that was read.</p>'
    names = next(iter(figures.values())).recall
    head = "".join(f'<th scope="col">{escape(name.capitalize())}</th>' for name in names)
    body = "".join(
        f'<tr><th scope="row">{swatch(display.styles[model])}{escape(display.cards[model].title)}</th>'
        f"<td><b>{item.accuracy:.1%}</b></td><td>{item.macro_f1:.2f}</td>"
        + "".join(f"<td>{_share(item.recall.get(name))}</td>" for name in names)
        + "</tr>"
        for model, item in figures.items()
    )
    count = next(iter(figures.values())).count
    missed = (
        f" {analyzed.labelled - count} labelled files have no face that was read." if analyzed.labelled > count else ""
    )
    return (
        f'<p class="fer-hint">Measured on {_plural(count, "labelled face")}: in each labelled picture, the largest.'
        f"{missed} Under an expression stands its recall: the share of its faces that the model finds.</p>"
        '<div class="fer-scroll" tabindex="0" role="region" aria-label="Accuracy by model">'
        '<table class="fer-table"><thead><tr><th scope="col">Model</th><th scope="col">Accuracy</th>'
        f'<th scope="col">Macro-F1</th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        f'<div class="fer-matrices">{"".join(_matrix(model, item, display) for model, item in figures.items())}</div>'
    )


def _matrix(model: str, item: ClassificationMetrics, display: ModelDisplay) -> str:
    head = "".join(
        f'<th scope="col"><abbr title="{escape(name)}">{escape(name[:3].capitalize())}</abbr></th>'
        for name in item.labels
    )
    body = "".join(
        f'<tr><th scope="row">{escape(name.capitalize())}</th>{_cells(counts, place, name, item.labels)}</tr>'
        for place, (name, counts) in enumerate(zip(item.labels, item.confusion, strict=True))
    )
    title = escape(display.cards[model].title)
    return (
        f'<div class="fer-matrix"><h3>{swatch(display.styles[model])}{title}</h3>'
        f'<table aria-label="Confusion matrix of {title}"><thead><tr><td>Label</td>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cells(counts: Sequence[int], place: int, name: str, labels: Sequence[str]) -> str:
    """A row of the matrix: the more of the label's faces a cell has, the stronger its colour."""
    total = max(sum(counts), 1)
    return "".join(
        f'<td{" data-right" if at == place else ""} style="--share:{45 * count / total:.0f}%" '
        f'title="{count} of {sum(counts)} labelled {escape(name)}, read as {escape(labels[at])}">{count or ""}</td>'
        for at, count in enumerate(counts)
    )


def _card(analyzed: AnalyzedBatch, index: int, display: ModelDisplay) -> str:
    row = analyzed.rows[index]
    answers = "".join(
        f"<li>{swatch(display.styles[model])}<span>{escape(str(row[column(model, 'label')]).capitalize())}</span>"
        f"<em>{percent(float(row[column(model, 'confidence')] or 0))}</em></li>"
        for model in analyzed.models
    )
    label = f"<span>Labelled {escape(str(row['label']))}</span>" if row.get("label") else ""
    return (
        f'<figure class="fer-face" data-row="{index}">{_image(analyzed, index)}<figcaption>'
        f"{_name(str(row['file']))}<span>Face {row['face']}</span>"
        f"<span>Disagreement {float(row['disagreement'] or 0):.2f}</span>{label}"
        f"<ul>{answers}</ul></figcaption></figure>"
    )


def _name(file: str) -> str:
    """A file's name without its folders, which are in the tooltip."""
    return f'<b title="{escape(file)}">{escape(file.rsplit("/", 1)[-1])}</b>'


def _image(analyzed: AnalyzedBatch, index: int) -> str:
    row = analyzed.rows[index]
    code = base64.b64encode(analyzed.thumbs[index] or b"").decode("ascii")
    alt = escape(f"Face {row['face']} of {row['file']}")
    return f'<img src="data:image/jpeg;base64,{code}" width="96" height="96" alt="{alt}">'


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _duration(seconds: float) -> str:
    """Roughly, as people say it."""
    if seconds < 10:
        return "a few seconds"
    if seconds < 90:
        return f"about {round(seconds / 5) * 5} s"
    return f"about {round(seconds / 60)} min"
