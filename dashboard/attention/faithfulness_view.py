"""View models of faithfulness results: areas, ROAD and ARCC beside those of uninformative baselines. No Gradio here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from dashboard.components.display import ModelDisplay
from explain.faithfulness import MARGIN, Curves, Faithfulness, ranking
from explain.occlusion import filled
from fer_models.registry import ModelStyle

#: Of the curves, as `evaluate_faithfulness` measures them.
STEPS: Final = 16
_FRAME: Final = 160  # px
_GREY: Final = "#71717a"


@dataclass(frozen=True, eq=False)
class FaithfulnessResults:
    """How faithful the maps of one face are.

    Attributes:
        method: that made the maps, a key of `METHODS`.
        models: by model name, not empty.
    """

    method: str
    models: Mapping[str, Faithfulness]


@dataclass(frozen=True)
class FaithfulnessRow:
    """A map and its figures, in words."""

    title: str
    values: Sequence[str]


@dataclass(frozen=True)
class FaithfulnessTable:
    """The areas and scores of a map beside those of the baselines.

    Attributes:
        columns: titles, each with which values are good.
        rows: the map's own first.
        arcc_parts: terms with their values; empty if ARCC was not measured.
    """

    columns: Sequence[tuple[str, str]]
    rows: Sequence[FaithfulnessRow]
    arcc_parts: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class CurveLine:
    """A line of a drawing of curves.

    Attributes:
        points: in px from the upper left, x from 0 to 300 and y from 0 to 150, as SVG writes them.
        colour: as CSS.
        width: in px.
        dashes: as SVG's stroke-dasharray; "" for a solid line.
    """

    points: str
    colour: str
    width: int
    dashes: str


@dataclass(frozen=True, eq=False)
class Scrubber:
    """The face while more and more of it is deleted, beside the confidence.

    Attributes:
        frames: (S, S, 3) uint8 RGB, one per step of the deletion curve.
        confidences: in [0, 1], one per frame.
        lines: the deletion curves of the map and of the baselines.
    """

    frames: Sequence[NDArray[np.uint8]]
    confidences: Sequence[float]
    lines: Sequence[CurveLine]


@dataclass(frozen=True)
class Verdict:
    """Whether a map beats the uninformative baselines.

    Attributes:
        key: "both", "random", "centre" or "neither": which of them it beats.
        text: the same in words.
        margin: how far it is from the baseline that decides, in words.
    """

    key: str
    text: str
    margin: str


@dataclass(frozen=True)
class FaithfulnessCard:
    """How faithful one model's map is.

    Attributes:
        model: its name.
        title: the model's, with the expression and the method.
        style: the model's.
        verdict: in a few words.
        table: the figures.
        sentence: what they mean.
        scrubber: the face at each step; None without its pictures.
    """

    model: str
    title: str
    style: ModelStyle
    verdict: Verdict
    table: FaithfulnessTable
    sentence: str
    scrubber: Scrubber | None = None


def faithfulness_cards(
    results: Mapping[str, Faithfulness],
    method: str,
    display: ModelDisplay,
    frames: Mapping[str, Sequence[NDArray[np.uint8]]] | None = None,
) -> list[FaithfulnessCard]:
    """One card per model.

    Args:
        results: by model name.
        method: its title.
        display: cards and styles.
        frames: by model name, as `deleted_faces` gives them.
    """
    return [
        FaithfulnessCard(
            name,
            f"{display.cards[name].title}: {result.target}, {method}",
            display.styles[name],
            verdict(result),
            faithfulness_table(result),
            result.sentence,
            _scrubber(result, frames[name], display.styles[name].colour) if frames and name in frames else None,
        )
        for name, result in results.items()
    ]


def deleted_faces(crop: NDArray[np.uint8], heat: NDArray[np.float32], steps: int = STEPS) -> list[NDArray[np.uint8]]:
    """A face while its pixels are covered, those that a map marks most first: what the deletion curve was measured on.

    Args:
        crop: (S, S, 3) uint8 RGB, as the model was given it.
        heat: (h, w) float32, the map.
        steps: of the curve.

    Returns:
        steps + 1 pictures of `_FRAME` px per side, uint8 RGB: the face itself first, nothing of it last.
    """
    ranks, cover = ranking(heat, crop.shape[0])[..., None], filled(crop, "mean")
    pictures = [np.where(ranks < round(ranks.size * step / steps), cover, crop) for step in range(steps + 1)]
    return [
        np.asarray(cv2.resize(picture, (_FRAME, _FRAME), interpolation=cv2.INTER_AREA), np.uint8)
        for picture in pictures
    ]


def _scrubber(result: Faithfulness, frames: Sequence[NDArray[np.uint8]], colour: str) -> Scrubber:
    return Scrubber(frames, result.map.deletion.tolist(), curve_lines(result, "deletion", colour))


def curve_lines(result: Faithfulness, kind: str, colour: str) -> list[CurveLine]:
    """The curves of a map and of the baselines.

    Args:
        result: with the curves.
        kind: "deletion" or "insertion".
        colour: of the map's own, as CSS.
    """
    lines = (
        (result.map, (colour, 3, "")),
        (result.random, (_GREY, 2, "2 4")),
        (result.centre_prior, (_GREY, 2, "8 5")),
    )
    return [CurveLine(_points(curves, kind), *line) for curves, line in lines]


def _points(curves: Curves, kind: str) -> str:
    values = curves.deletion if kind == "deletion" else curves.insertion
    steps = np.linspace(0, 300, len(values))
    return " ".join(f"{x:.1f},{150 * (1 - y):.1f}" for x, y in zip(steps, values, strict=True))


def verdict(result: Faithfulness) -> Verdict:
    """Whether a map beats the baselines: by insertion minus deletion, both areas in one figure.

    The baseline that decides is the harder one of those it beats, and else the one it does not beat.
    """
    own = _gain(result.map)
    margins = {"random": own - _gain(result.random), "centre": own - _gain(result.centre_prior)}
    beaten = [key for key, margin in margins.items() if margin > MARGIN]
    lost = [key for key in margins if key not in beaten]
    key = "both" if not lost else beaten[0] if beaten else "neither"
    decides = min(lost or beaten, key=margins.__getitem__)
    texts = {
        "both": "Beats both baselines",
        "random": "Beats random only",
        "centre": "Beats the centre prior only",
        "neither": "Beats neither",
    }
    against = {"random": "random maps", "centre": "the centre prior"}[decides]
    margin = f"{margins[decides]:+.2f}".replace("-", "\u2212")
    return Verdict(key, texts[key], f"{margin} against {against}")


def _gain(curves: Curves) -> float:
    return curves.insertion_area - curves.deletion_area


def faithfulness_table(result: Faithfulness) -> FaithfulnessTable:
    """The figures of a map and of the baselines; columns that were not measured are left out."""
    columns = [("Deletion", "lower is better"), ("Insertion", "higher is better")]
    if result.map.road is not None:
        columns.append(("ROAD", "above 0 is good"))
    if result.map.arcc is not None:
        columns.append(("ARCC", "higher is better"))
    rows = [
        FaithfulnessRow(title, _values(curves))
        for title, curves in (
            ("This map", result.map),
            ("Random map", result.random),
            ("Centre prior", result.centre_prior),
        )
    ]
    arcc = result.map.arcc
    if arcc is None:
        return FaithfulnessTable(columns, rows)
    parts = (("Coherency", arcc.coherency), ("Simplicity", arcc.simplicity), ("ROAD, 0 to 1", arcc.road))
    return FaithfulnessTable(columns, rows, [(title, f"{value:.2f}") for title, value in parts])


def _values(curves: Curves) -> list[str]:
    values = [f"{curves.deletion_area:.2f}", f"{curves.insertion_area:.2f}"]
    if curves.road is not None:
        values.append(f"{curves.road.combined:+.2f}".replace("-", "\u2212"))
    if curves.arcc is not None:
        values.append(f"{curves.arcc.score:.2f}")
    return values
