"""Classification metrics; by hand in the tests of batch and evaluation, which both compute them here."""

import pytest

from fer_models.expressions import EXPRESSIONS
from fer_models.metrics import classification_metrics


def test_names_outside_the_vocabulary_come_last_by_name() -> None:
    metrics = classification_metrics(["fear", "contempt"], ["pain", "contempt"])
    assert metrics.labels == (*EXPRESSIONS, "contempt", "pain")
    assert metrics.recall["contempt"] == 1 and metrics.recall["fear"] == 0
    assert metrics.recall["pain"] is None and metrics.recall["anger"] is None
    assert metrics.macro_f1 == pytest.approx(1 / 3)  # contempt 1, fear and pain 0
    assert metrics.confusion[EXPRESSIONS.index("fear")][-1] == 1  # rows are the truth
