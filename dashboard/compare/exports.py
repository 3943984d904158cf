"""All answers about a picture as files: CSV, LaTeX and JSON. No Gradio here."""

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

import numpy as np

from dashboard.compare.answers import Margin, margin
from dashboard.compare.view import VERSION, with_ensembles
from dashboard.components.analyzed_image import AnalyzedImage
from dashboard.components.display import ModelDisplay
from fer_models.expressions import in_display_order
from fer_models.registry import label_set_title
from fer_models.results import FaceAnalysis, Prediction
from fer_models.schema import to_json

_LATEX: Final = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


@dataclass(frozen=True, eq=False)
class AnswerRecord:
    """The answer of one model or ensemble about one face.

    Attributes:
        face: number of the face, counted from 1.
        box: left, top, right and bottom in px of the picture.
        model: its name, or the ensemble's.
        title: what people read.
        trained_on: which labels it learned; of an ensemble, which its members learned.
        prediction: its answer.
        margin: to its second answer; None for a model of one expression.
    """

    face: int
    box: tuple[float, ...]
    model: str
    title: str
    trained_on: str
    prediction: Prediction
    margin: Margin | None


def answer_records(analyzed: AnalyzedImage, display: ModelDisplay) -> list[AnswerRecord]:
    """Every model's and every ensemble's answer about every face that is shown, face by face."""
    names = [*display.cards, *display.ensembles]
    records = []
    for number, face in enumerate(analyzed.faces, 1):
        box = tuple(round(float(side), 2) for side in face.face.box)
        for name, prediction in with_ensembles(face, names, display).items():
            first = display.ensembles[name].members[0] if name in display.ensembles else name
            trained_on = label_set_title(display.training[first])
            title = display.column_titles[name]
            records.append(AnswerRecord(number, box, name, title, trained_on, prediction, margin(prediction)))
    return records


def shown_expressions(records: Sequence[AnswerRecord]) -> list[str]:
    """Every expression that a model knows, in the vocabulary's order."""
    return in_display_order({label for record in records for label in record.prediction.labels})


def csv_text(analyzed: AnalyzedImage, display: ModelDisplay) -> str:
    """A row per face and model: shares in [0, 1] with four decimals, boxes in px. What a model does not know is empty.

    A name that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    records = answer_records(analyzed, display)
    labels = shown_expressions(records)
    rows: list[Sequence[object]] = [
        (
            *("file", "face", "x1", "y1", "x2", "y2", "model", "title", "trained_on"),
            *("answer", "confidence", "margin", *(f"p_{label}" for label in labels), "version"),
        )
    ]
    for record in records:
        one = record.prediction
        shares = [f"{one.probability(label):.4f}" if label in one.labels else "" for label in labels]
        ahead = f"{record.margin.points / 100:.4f}" if record.margin else ""
        words = (_plain(word) for word in (record.model, record.title, record.trained_on))
        rows.append(
            (
                *(_plain(analyzed.name), record.face, *record.box, *words),
                *(one.label, f"{one.confidence:.4f}", ahead, *shares, VERSION),
            )
        )
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def latex_text(analyzed: AnalyzedImage, display: ModelDisplay, date: str) -> str:
    """A table for the package booktabs, with three decimals and each answer in bold.

    Args:
        analyzed: the picture.
        display: cards, styles and ensembles.
        date: when it was made.
    """
    records = answer_records(analyzed, display)
    labels = shown_expressions(records)
    head = " & ".join(["Face", "Model", "Trained on", *(_escaped(label.capitalize()) for label in labels)])
    rows = []
    for before, record in zip([None, *records], records, strict=False):
        if before is not None and before.face != record.face:
            rows.append(r"    \midrule")
        cells = [str(record.face), _escaped(record.title), _escaped(record.trained_on)]
        rows.append(f"    {' & '.join([*cells, *(_share(record.prediction, label) for label in labels)])} \\\\")
    of = f" in \\texttt{{{_escaped(analyzed.name)}}}" if analyzed.name else ""
    caption = f"Probability of each expression for every face{of}, by model. Bold: the model's answer."
    return "\n".join(
        [
            f"% {VERSION}, {date}. Needs \\usepackage{{booktabs}}.",
            r"\begin{table}",
            r"  \centering",
            f"  \\caption{{{caption} Made with {VERSION}.}}",
            f"  \\begin{{tabular}}{{rll{'r' * len(labels)}}}",
            r"    \toprule",
            f"    {head} \\\\",
            r"    \midrule",
            *rows,
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def json_text(analyzed: AnalyzedImage) -> str:
    """What the endpoint /compare answers (`fer_models.schema.to_json`), of the faces that are shown."""
    faces = [FaceAnalysis(0, face.face, face.model_input, face.predictions) for face in analyzed.faces]
    notes = [*analyzed.notes]
    if analyzed.total > len(faces):
        notes.append(f"Only the {len(faces)} largest of {analyzed.total} faces are listed.")
    width, height = analyzed.size
    # A picture of that size without its pixels: only the size is asked for.
    shape = np.broadcast_to(np.uint8(0), (height, width, 3))
    return json.dumps(to_json(shape, faces, notes), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def file_stem(name: str) -> str:
    """The beginning of the names of a picture's files: "two people.jpg" gives "two-people"."""
    return re.sub(r"[^\w.-]+", "-", PurePath(name).stem).strip("-.") or "picture"


def _share(prediction: Prediction, label: str) -> str:
    if label not in prediction.labels:
        return "--"
    share = f"{prediction.probability(label):.3f}"
    return f"\\textbf{{{share}}}" if label == prediction.label else share


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _plain(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
