"""Results in words."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from fer_models.analyzer import Analyzer
from fer_models.formatting import examples, majority, percent, percent_of


@pytest.mark.parametrize(
    ("fraction", "expected"), [(0, "under 1 %"), (0.004, "under 1 %"), (0.5, "50 %"), (0.997, "over 99 %")]
)
def test_percentages_are_never_rounded_to_certainty(fraction: float, expected: str) -> None:
    assert percent(fraction).replace("\u00a0", " ") == expected


@pytest.mark.parametrize(("share", "expected"), [(0.0, "0 %"), (1.0, "100 %"), (0.001, "under 1 %"), (0.5, "50 %")])
def test_shares_can_be_all_or_nothing(share: float, expected: str) -> None:
    assert percent_of(share).replace("\u00a0", " ") == expected


def test_what_most_models_say(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    prediction = analyzer.analyze([picture])[0].predictions["vgg16"]

    def says(*labels: str) -> str:
        rows = {
            str(i): replace(prediction, probabilities=np.array([n == label for n in prediction.labels], np.float32))
            for i, label in enumerate(labels)
        }
        return majority(rows)

    assert says("fear", "fear", "fear", "fear") == "fear"
    assert says("fear", "anger", "fear", "fear") == "fear 3/4"
    assert says("fear", "fear", "anger", "anger") == "fear or anger"
    assert says("fear", "neutral", "anger") == "no agreement"
    assert says() == ""
    tie = np.array([{"fear": 0.4, "anger": 0.405}.get(n, 0.0) for n in prediction.labels], np.float32)
    rows = {"tied": replace(prediction, probabilities=tie)}
    assert majority(rows) == "anger or fear"
    sure = np.array([n == "fear" for n in prediction.labels], np.float32)
    assert majority(rows | {"sure": replace(prediction, probabilities=sure)}) == "fear"


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, ""), (1, "0"), (3, "0, 1, 2"), (4, "0, 1, 2 and 1 more"), (2003, "0, 1, 2 and 2,000 more")],
)
def test_examples_say_how_many_there_are_besides(count: int, expected: str) -> None:
    assert examples([str(number) for number in range(count)]) == expected
