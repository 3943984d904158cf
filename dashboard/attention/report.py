"""View model of one face's report, a self-contained HTML file; and its raw maps as JSON. No Gradio here."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboard.attention.faithfulness_view import (
    CurveLine,
    FaithfulnessResults,
    FaithfulnessTable,
    curve_lines,
    faithfulness_table,
)
from dashboard.attention.pair_view import contrast_legend, contrast_numbers, contrast_sentence
from dashboard.attention.view import GridCell, GridRow, Legend, MapStyle, map_scale, number, scale_legend
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.display import ModelDisplay
from explain.drawing.overlay import (
    difference_colours,
    draw_cells,
    draw_difference,
    draw_map,
    enlarged_cells,
    signed,
)
from explain.explain_picture import map_record, model_record, versions
from explain.faithfulness import Faithfulness
from explain.flip_consistency import FlipConsistency
from explain.maps import NO_MAP, Explanation
from explain.methods import METHODS
from fer_models.analyzer import Analyzer
from fer_models.expressions import in_display_order
from fer_models.models.card import ModelCard

_SIDE: Final = 150  # px of a map


@dataclass(frozen=True, eq=False)
class FaithfulnessSection:
    """How faithful one model's map is: drawings by title, figures, and what they mean."""

    title: str
    drawings: Sequence[tuple[str, Sequence[CurveLine]]]
    table: FaithfulnessTable
    sentence: str


@dataclass(frozen=True, eq=False)
class ContrastSection:
    """Why one model gives one expression rather than another.

    Attributes:
        title: the model's, and both expressions.
        image: (S, S, 3) uint8 RGB; None without a map.
        legend: of the map.
        numbers: terms with their values.
        text: both probabilities, or why there is no map.
    """

    title: str
    text: str
    image: NDArray[np.uint8] | None = None
    legend: Legend | None = None
    numbers: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, eq=False)
class FaceReport:
    """A report of one face.

    Attributes:
        crop: (S, S, 3) uint8 RGB; None if the face is left out.
        expressions: the columns of the maps.
        maps: of each model, in the order of the expressions, on a colour scale of its own.
        without_map: titles of the models without a map, and why.
        legend: of the maps.
        flips: each model's title, correlation and loss in words.
        tested: which maps were tested for faithfulness; "" if none were.
        faithfulness: of each model's map.
        cards: of the models.
        versions: by package.
        contrasts: of each model.
        date: when the report was made; "" leaves it out.
    """

    crop: NDArray[np.uint8] | None
    expressions: Sequence[str]
    maps: Sequence[GridRow]
    legend: Legend
    flips: Sequence[tuple[str, str, str]]
    tested: str
    faithfulness: Sequence[FaithfulnessSection]
    cards: Sequence[ModelCard]
    versions: Mapping[str, str]
    contrasts: Sequence[ContrastSection]
    without_map: Sequence[tuple[str, str]] = ()
    date: str = ""


@dataclass(frozen=True)
class Download:
    """A link that saves a file which is part of the page: nothing is left on the server.

    Attributes:
        text: of the link.
        name: of the file.
        kind: its media type.
        content: the file.
    """

    text: str
    name: str
    kind: str
    content: str

    @property
    def uri(self) -> str:
        """The file as a data URI."""
        return f"data:{self.kind};charset=utf-8;base64,{base64.b64encode(self.content.encode()).decode('ascii')}"

    @property
    def size(self) -> str:
        """How large the file is, in words."""
        return f"{len(self.content.encode()) / 1024:,.0f} kB"


def face_report(
    face: AnalyzedFace,
    display: ModelDisplay,
    flips: Mapping[str, FlipConsistency],
    faithfulness: FaithfulnessResults | None,
    contrasts: Mapping[str, Explanation | str],
    *,
    with_face: bool,
    date: str = "",
) -> FaceReport:
    """What a report of one face shows.

    Args:
        face: with native maps.
        display: cards and styles.
        flips: flip consistency by model name.
        faithfulness: of each model's map, if it was measured.
        contrasts: by model name, as `face_contrasts` gives them.
        with_face: whether maps are drawn on the face; else they are drawn alone, and no pixel of it is in the report.
        date: when the report is made.
    """
    names = [name for name in display.cards if name in face.maps]
    expressions = in_display_order({label for name in names for label in face.predictions[name].labels})
    peaks = {name: map_scale(face, name, MapStyle()) for name in names}
    tested, sections = "", []
    if faithfulness:
        method = faithfulness.method
        tested = "the native ones above" if method == "native" else f"those of {METHODS[method].title}"
        sections = [_section(result, display) for result in faithfulness.models.values()]
    return FaceReport(
        face.crop if with_face else None,
        expressions,
        [
            GridRow(
                name,
                display.titles[name],
                display.styles[name],
                number(peaks[name]),
                [_cell(face, name, one, peaks[name], with_face=with_face) for one in expressions],
            )
            for name in names
            if face.maps[name]
        ],
        scale_legend(max(peaks.values(), default=0), MapStyle()),
        [(display.titles[name], f"{flip.correlation:.2f}", number(flip.loss)) for name, flip in flips.items()],
        tested,
        sections,
        [display.cards[name] for name in names],
        versions(),
        _contrast_sections(face, display, contrasts, with_face=with_face),
        [(display.titles[name], NO_MAP) for name in names if not face.maps[name]],
        date,
    )


def face_json(face: AnalyzedFace, analyzer: Analyzer, contrasts: Mapping[str, Explanation | str]) -> str:
    """The raw native maps of every model and expression, as `explain_picture` writes them, without a picture.

    Each model's contrast is under "contrast", with its "expression"; a model without one says why under "no_contrast".
    """
    models = {}
    for name, maps in face.maps.items():
        native = {one: replace(maps[one], method="native") for one in in_display_order(maps)}
        models[name] = model_record(analyzer.classifiers[name], face.predictions[name], native)
        if not maps:
            models[name]["no_map"] = NO_MAP
        one = contrasts[name]
        if isinstance(one, str):
            models[name]["no_contrast"] = one
        else:
            models[name]["contrast"] = {"expression": one.expression, **map_record(one)}
    return json.dumps({"versions": versions(), "models": models}, allow_nan=False)


def _cell(face: AnalyzedFace, name: str, expression: str, peak: float, *, with_face: bool) -> GridCell:
    if expression not in face.maps[name]:
        return GridCell(expression)
    heat, prediction = face.maps[name][expression], face.predictions[name]
    image = (
        draw_map(face.crop_of(name), heat, peak=peak, side=_SIDE) if with_face else draw_cells(heat, _SIDE, peak=peak)
    )
    probability = prediction.probability(expression)
    return GridCell(expression, image, number(heat.peak), probability, expression == prediction.label)


def _contrast_sections(
    face: AnalyzedFace, display: ModelDisplay, contrasts: Mapping[str, Explanation | str], *, with_face: bool
) -> list[ContrastSection]:
    sections = []
    for name in [name for name in display.cards if name in contrasts]:
        title, one = display.titles[name], contrasts[name]
        if isinstance(one, str):
            sections.append(ContrastSection(title, one))
            continue
        values = signed(one)
        cells = enlarged_cells(difference_colours(values), _SIDE)
        image = draw_difference(face.crop_of(name), values, side=_SIDE) if with_face else cells
        facts = contrast_sentence(face, one), image, contrast_legend(one), contrast_numbers(face, one)
        sections.append(ContrastSection(f"{title}: {one.expression} rather than {one.rather_than}", *facts))
    return sections


def _section(result: Faithfulness, display: ModelDisplay) -> FaithfulnessSection:
    colour = display.styles[result.model].colour
    return FaithfulnessSection(
        f"{display.cards[result.model].title}: {result.target}",
        [(kind.capitalize(), curve_lines(result, kind, colour)) for kind in ("deletion", "insertion")],
        faithfulness_table(result),
        result.sentence,
    )
