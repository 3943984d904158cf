"""View model of a picture's report: one HTML file that asks nothing of any network. No Gradio here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboard.compare.view import VERSION, Column, Verdict, columns, model_facts, verdict
from dashboard.components.analyzed_image import AnalyzedImage
from dashboard.components.display import ModelDisplay
from explain.explain_picture import OWN
from fer_models.expressions import in_display_order
from fer_models.models.card import ModelCard

_SIDE: Final = 160  # px of a map


@dataclass(frozen=True, eq=False)
class FacePart:
    """One face of a report.

    Attributes:
        verdict: where the models agree, and every answer by the labels that the models learned.
        columns: each model's evidence map.
    """

    verdict: Verdict
    columns: Sequence[Column]


@dataclass(frozen=True, eq=False)
class PictureReport:
    """A report of one picture.

    Attributes:
        name: of the picture's file; "" if it is not known.
        date: when the report was made.
        version: what it was made with.
        picture: (H, W, 3) uint8 RGB, with numbered boxes.
        size: width and height of the original in px.
        notes: what the file was not as it should be in, and which faces are left out.
        expressions: every one that a model knows.
        faces: by number.
        models: each card, with its measured facts by term.
        uses: what the models are for.
        misuses: what they must not be used for.
    """

    name: str
    date: str
    version: str
    picture: NDArray[np.uint8]
    size: tuple[int, int]
    notes: Sequence[str]
    expressions: Sequence[str]
    faces: Sequence[FacePart]
    models: Sequence[tuple[ModelCard, Mapping[str, str]]]
    uses: Sequence[str]
    misuses: Sequence[str]


def picture_report(analyzed: AnalyzedImage, display: ModelDisplay, date: str) -> PictureReport:
    """What a report of a picture shows: all faces, with all models and ensembles.

    Args:
        analyzed: the picture.
        display: cards, styles and ensembles.
        date: when the report is made.
    """
    names, cards = [*display.cards, *display.ensembles], list(display.cards.values())
    notes = [*analyzed.notes]
    if analyzed.total > len(analyzed.faces):
        notes.append(f"Only the {len(analyzed.faces)} largest of {analyzed.total} faces are listed.")
    return PictureReport(
        name=analyzed.name,
        date=date,
        version=VERSION,
        picture=analyzed.picture,
        size=analyzed.size,
        notes=notes,
        expressions=in_display_order({label for card in cards for label in card.labels}),
        faces=[
            FacePart(verdict(analyzed, index, names, display), columns(face, list(display.cards), OWN, display, _SIDE))
            for index, face in enumerate(analyzed.faces)
        ],
        models=[(card, model_facts(card)) for card in cards],
        uses=_distinct(card.intended_use for card in cards),
        misuses=_distinct(card.misuse for card in cards),
    )


def _distinct(texts: Iterable[str]) -> list[str]:
    """Texts that are not empty, each once."""
    return list(dict.fromkeys(text for text in texts if text))
