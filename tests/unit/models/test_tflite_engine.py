import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from fer_models.errors import EngineError, WeightsError
from fer_models.models.engines.tflite_engine import TfliteEngine
from fer_models.models.external.formats import GraphFormat
from tests.helpers.tflite_files import IN_8_BITS, mean_model

SIZE = 4
LOGITS = GraphFormat("NHWC", 3)
PROBABILITIES = GraphFormat("NHWC", 3, outputs="probabilities")


def faces(count: int) -> torch.Tensor:
    return torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(count)) * 2 - 1


@pytest.mark.parametrize("model", [{}, {"size": -1}, {"batch": -1}])
def test_logits_are_what_the_file_computes_whatever_sizes_it_leaves_open(model: dict[str, Any]) -> None:
    engine = TfliteEngine(mean_model(**{"size": SIZE} | model), LOGITS, SIZE, 3)
    inputs = faces(3)
    found = engine.run(inputs, features=True)
    assert (engine.name, engine.precision) == ("tflite", "float32")
    assert found.logits.dtype == np.float32 and found.features is None
    assert found.logits == pytest.approx(inputs.mean((2, 3)).numpy(), abs=1e-6)


def test_a_model_of_one_channel_is_fed_the_first() -> None:
    inputs = faces(2)
    found = TfliteEngine(mean_model(SIZE, 1), GraphFormat("NHWC", 1), SIZE, 1).run(inputs)
    assert found.logits == pytest.approx(inputs[:, :1].mean((2, 3)).numpy(), abs=1e-6)


def test_probabilities_become_logits_that_give_them_back() -> None:
    engine = TfliteEngine(mean_model(SIZE, softmax=True), PROBABILITIES, SIZE, 3)
    inputs = faces(4)
    logits = torch.from_numpy(engine.run(inputs).logits)
    assert logits.softmax(1).numpy() == pytest.approx(inputs.mean((2, 3)).softmax(1).numpy(), abs=1e-6)
    sure = torch.full((1, 3, SIZE, SIZE), -500.0)
    sure[:, 1] = 500
    assert torch.from_numpy(engine.run(sure).logits).isfinite().all()  # two of them are exactly 0


def test_eight_bits_are_scaled_on_the_way_in_and_out() -> None:
    engine = TfliteEngine(mean_model(SIZE, bits=8), LOGITS, SIZE, 3)
    step, zero = IN_8_BITS
    assert engine.precision == "int8"
    inputs = torch.tensor([20 * step, -7 * step, 90.0]).view(1, 3, 1, 1).expand(1, 3, SIZE, SIZE)
    assert engine.run(inputs).logits[0].tolist() == [20 * step, -7 * step, (255 - zero) * step]


def test_threads_get_the_answers_to_their_own_faces() -> None:
    engine = TfliteEngine(mean_model(SIZE), LOGITS, SIZE, 3)
    batches = [faces(count) for count in range(1, 41)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda batch: engine.run(batch).logits, batches))
    for batch, logits in zip(batches, found, strict=True):
        assert logits == pytest.approx(batch.mean((2, 3)).numpy(), abs=1e-6)


@pytest.mark.parametrize(
    ("model", "size", "classes", "problem"),
    [
        (b"no model", SIZE, 3, "cannot be run"),
        ({}, 5, 3, "fed 1x4x4x3; 1x5x5x3"),
        ({"channels": 2}, SIZE, 2, "fed 1x4x4x2"),
        ({"batch": 2}, SIZE, 3, "fed 2x4x4x3"),
        ({}, SIZE, 7, "gives 1x3; .* 7 labels"),
    ],
)
def test_what_does_not_fit_is_named(model: bytes | dict[str, Any], size: int, classes: int, problem: str) -> None:
    content = model if isinstance(model, bytes) else mean_model(**{"size": SIZE} | model)
    pytest.importorskip("ai_edge_litert", reason="LiteRT is optional: requirements-tflite.txt")
    with pytest.raises(WeightsError, match=problem):
        TfliteEngine(content, LOGITS, size, classes)


def test_without_litert_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(EngineError, match="requirements-tflite"):
        TfliteEngine(b"", LOGITS, SIZE, 3)
