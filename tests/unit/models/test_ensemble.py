"""The mean of several models on one face."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_models.expressions import EXPRESSIONS
from fer_models.models.ensemble import ENSEMBLE, ensemble
from fer_models.results import Prediction


def prediction(model: str, probabilities: dict[str, float]) -> Prediction:
    values = np.array([*probabilities.values()], np.float32)
    return Prediction(model, tuple(probabilities), np.log(values + 1e-9), values, 1.0, 2.0)


def test_by_hand_joined_by_name() -> None:
    joined = ensemble(
        {
            "a": prediction("a", {"fear": 0.6, "anger": 0.4}),
            "b": prediction("b", {"anger": 0.9, "fear": 0.1}),
        }
    )
    assert joined.model == ENSEMBLE
    assert ensemble({"a": prediction("a", {"fear": 1.0})}, "ensemble_fer2013").model == "ensemble_fer2013"
    assert joined.labels == ("anger", "fear")  # the vocabulary's order
    np.testing.assert_allclose(joined.probabilities, [0.65, 0.35], atol=1e-6)
    assert joined.label == "anger"
    assert joined.latency_ms == 4.0
    assert joined.features is None
    np.testing.assert_allclose(np.exp(joined.logits), joined.probabilities, rtol=1e-5)


def test_an_expression_one_model_does_not_know() -> None:
    joined = ensemble({"a": prediction("a", {"fear": 1.0}), "b": prediction("b", {"anger": 0.5, "fear": 0.5})})
    assert joined.probability("fear") == pytest.approx(0.75)
    assert joined.probability("anger") == pytest.approx(0.25)


def test_of_nothing() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ensemble({})


@given(st.lists(st.permutations(EXPRESSIONS), min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_a_distribution_whatever_the_order_of_labels_and_models(orders: list[list[str]], seed: int) -> None:
    generator = np.random.default_rng(seed)
    predictions = {}
    for number, order in enumerate(orders):
        values = generator.dirichlet(np.ones(len(order)))
        predictions[str(number)] = prediction(str(number), dict(zip(order, map(float, values), strict=True)))
    joined = ensemble(predictions)
    assert joined.probabilities.sum() == pytest.approx(1, abs=1e-5)
    backwards = ensemble(dict(reversed(predictions.items())))
    np.testing.assert_allclose(joined.probabilities, backwards.probabilities, atol=1e-6)
