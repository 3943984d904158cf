"""View models of the randomisation check: a row of small maps per method, each with its similarity. No Gradio here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.display import ModelDisplay
from explain.drawing.overlay import draw_map
from explain.maps import Explanation
from explain.methods import METHODS
from explain.randomisation import CLASSIFIER, Randomisation, RandomisedStep
from fer_models.registry import ModelStyle

_SIDE: Final = 112  # px
_VERDICTS: Final = {
    "passes": "Changes with the weights",
    "unclear": "Changes in part",
    "fails": "Hardly changes",
}


@dataclass(frozen=True, eq=False)
class SmallMap:
    """A map of a row.

    Attributes:
        drawn: (112, 112, 3) uint8 RGB, on a colour scale of its own: random weights have any scale.
        title: which weights are random.
        similarity: to the true map, mean over the draws, in words; "" for the true one.
        spread: its least and largest value over the draws.
    """

    drawn: NDArray[np.uint8]
    title: str
    similarity: str = ""
    spread: str = ""


@dataclass(frozen=True, eq=False)
class RandomisedRow:
    """One method's maps.

    Attributes:
        title: the method's.
        key: "passes", "unclear" or "fails".
        verdict: the same in words.
        maps: the true one first.
    """

    title: str
    key: str
    verdict: str
    maps: Sequence[SmallMap]


@dataclass(frozen=True, eq=False)
class RandomisedCard:
    """One model's rows.

    Attributes:
        model: its name.
        title: the model's, with the expression.
        style: the model's.
        rows: one per method; none for a model without a check.
    """

    model: str
    title: str
    style: ModelStyle
    rows: Sequence[RandomisedRow]


def randomised_cards(
    face: AnalyzedFace, results: Mapping[str, Mapping[str, Randomisation]], display: ModelDisplay
) -> list[RandomisedCard]:
    """One card per model.

    Args:
        face: the face.
        results: by model name and method.
        display: cards and styles.
    """
    return [
        RandomisedCard(
            name,
            f"{display.titles[name]}: {face.predictions[name].label}",
            display.styles[name],
            [_row(face, method, one) for method, one in by_method.items()],
        )
        for name, by_method in results.items()
    ]


def _row(face: AnalyzedFace, method: str, result: Randomisation) -> RandomisedRow:
    maps = [SmallMap(_drawn(face, result.true), "As trained")]
    maps += [
        SmallMap(_drawn(face, step.explanation), _title(step), _figure(step.mean), _spread(step))
        for step in result.steps
    ]
    return RandomisedRow(METHODS[method].title, result.verdict, _VERDICTS[result.verdict], maps)


def _drawn(face: AnalyzedFace, explanation: Explanation) -> NDArray[np.uint8]:
    return draw_map(face.crop_of(explanation.model), explanation, side=_SIDE)


def _title(step: RandomisedStep) -> str:
    """What became random in this step; all that comes after it already was."""
    return "Classifier" if step.layers == CLASSIFIER else f"+ {step.layers[:-1]} {step.layers[-1]}"


def _spread(step: RandomisedStep) -> str:
    return f"{_figure(min(step.similarities))} to {_figure(max(step.similarities))}"


def _figure(value: float) -> str:
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", "\u2212")
