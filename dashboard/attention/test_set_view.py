"""View models of what was measured about attention on a test set. No Gradio here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboard.attention.test_set import AttentionResults, Test
from dashboard.attention.test_set_figures import Atlas, atlas_counts, atlas_pictures
from fer_models.evaluation.records import Distribution
from fer_models.evaluation.store import Problem
from fer_models.models.card import ModelCard
from fer_models.registry import ModelStyle

#: The tests, as a sentence names them.
_TESTS: Final[Mapping[Test, str]] = {
    "deletion": "deletion",
    "insertion": "insertion",
    "road": "ROAD",
    "arcc": "ARCC",
}


@dataclass(frozen=True)
class FlipRow:
    """One model's mean figures of flip consistency, each with the interval of the mean; "" where there is none."""

    title: str
    style: ModelStyle
    figures: Sequence[tuple[str, str]]


@dataclass(frozen=True, eq=False)
class AtlasPicture:
    """One model's mean map on the mean face.

    Attributes:
        title: the model's.
        style: the model's.
        image: (S, S, 3) uint8 RGB.
        faces: of how many the map is the mean.
    """

    title: str
    style: ModelStyle
    image: NDArray[np.uint8]
    faces: int


def stale_results(results: AttentionResults, cards: Mapping[str, ModelCard]) -> list[Problem]:
    """What of the results may be out of date, the models with the same reason together.

    Args:
        results: what was read.
        cards: of the weights in use.
    """
    reasons: dict[Problem, list[str]] = {}
    for name, reason in results.stale(cards).items():
        reasons.setdefault(reason, []).append(results.titles[name])
    return [Problem(f"{', '.join(titles)}. {reason.text}", reason.commands) for reason, titles in reasons.items()]


def source_sentence(results: AttentionResults) -> str:
    """On which faces this was measured, which models are baselines, and which were left out."""
    sentences = [results.source]
    if baselines := [model.title for model in results.models.values() if model.baseline]:
        sentences.append(
            f"{', '.join(baselines)}: a baseline, trained for comparison alone; its weights are not shipped."
        )
    sentences += [f"{name} was left out. {reason}" for name, reason in results.record.left_out.items()]
    return " ".join(sentences)


def flip_rows(results: AttentionResults, styles: Mapping[str, ModelStyle]) -> list[FlipRow]:
    """Each model's mean relative flip loss and mean correlation."""
    return [
        FlipRow(
            results.titles[name],
            styles[name],
            [_with_interval(model.consistency.relative_loss), _with_interval(model.consistency.correlation)],
        )
        for name, model in results.models.items()
    ]


def faithfulness_sentences(results: AttentionResults, test: Test) -> list[str]:
    """Whether each model's maps beat the uninformative baselines, as far as the intervals can tell."""
    return [
        f"{results.titles[name]}, {_TESTS[test]}: {_compared(figures['gain_over_random'])} random maps, "
        f"{_compared(figures['gain_over_blob'])} the centre prior."
        for name, figures in results.measured(test).items()
    ]


def faces_tested(results: AttentionResults) -> int:
    """On how many faces the maps were tested for faithfulness; 0 if they were not."""
    return max((model.faithfulness.faces for model in results.models.values() if model.faithfulness), default=0)


def atlas(
    results: AttentionResults, styles: Mapping[str, ModelStyle], expression: str, kind: Atlas, *, same_scale: bool
) -> list[AtlasPicture]:
    """Each model's mean map of an expression on the mean face; models without such a map are missing."""
    counts = atlas_counts(results, expression, kind)
    return [
        AtlasPicture(results.titles[name], styles[name], image, counts[name])
        for name, image in atlas_pictures(results, expression, kind, same_scale=same_scale).items()
    ]


def _with_interval(summary: Distribution) -> tuple[str, str]:
    interval = f"({summary.interval[0]:.3f} to {summary.interval[1]:.3f})" if summary.interval else ""
    return f"{summary.mean:.3f}", interval


def _compared(gain: Distribution) -> str:
    """A gain in words: it is better than the baseline only if its whole interval is above 0."""
    mean = gain.mean or 0.0
    if gain.interval is None:
        return f"{mean:+.3f} (one face: no interval) against".replace("-", "\u2212")
    low, high = gain.interval
    interval = f"({low:+.3f} to {high:+.3f})".replace("-", "\u2212")
    if low > 0:
        return f"better by {mean:.3f} {interval} than"
    if high < 0:
        return f"worse by {-mean:.3f} {interval} than"
    return f"not significantly different {interval} from"
