"""The engine for GPUs, on a CPU: all but the recording itself."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_models.models import engines
from fer_models.models.architectures import PooledClassifier
from fer_models.models.engines import TOLERANCE, recorded_engine
from fer_models.models.engines.recorded_engine import BUCKETS, RecordedEngine
from fer_models.models.engines.torch_engine import TorchEngine
from tests.conftest import random_network
from tests.helpers.hardware import FakeHardware

CPU = torch.device("cpu")
SIZE = 64


def faces(count: int) -> Tensor:
    return torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(count))


@pytest.fixture(scope="module")
def network() -> PooledClassifier:
    return random_network("mobilenet_v2", 7, seed=0).eval().requires_grad_(False)


@pytest.fixture
def recorded(network: PooledClassifier) -> Callable[..., RecordedEngine]:
    """A function (hardware, dtype): the engine of the network."""

    def make(hardware: FakeHardware, dtype: torch.dtype = torch.float32) -> RecordedEngine:
        return RecordedEngine(network, SIZE, CPU, dtype, hardware)

    return make


def share_of_range(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    assert found.dtype == expected.dtype == np.float32 and found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.ptp(expected))


@pytest.mark.parametrize("architecture", ["resnet50", "vgg16"])
def test_bfloat16_gives_float32s_answers_and_maps_and_is_named(architecture: str) -> None:
    network = random_network(architecture, 7, seed=0).eval().requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    engine = RecordedEngine(network, SIZE, CPU, torch.bfloat16, FakeHardware())
    found, expected = (one.run(faces(3), features=True) for one in (engine, TorchEngine(network, CPU)))
    assert (engine.name, engine.precision) == ("torch", "bfloat16")
    assert found.features is not None and expected.features is not None
    assert 0 < share_of_range(found.logits, expected.logits) < TOLERANCE["bfloat16"]
    assert share_of_range(found.features, expected.features) < TOLERANCE["bfloat16"]
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not any(tensor.is_inference() for tensor in network.parameters())  # gradients still flow through it


def test_the_logits_are_those_of_the_maps(recorded: Callable[..., RecordedEngine], network: PooledClassifier) -> None:
    """So that class attention maps add up to the answer that is shown."""
    found = recorded(FakeHardware(), torch.bfloat16).run(faces(2), features=True)
    assert found.features is not None
    logits = network.forward_head(torch.from_numpy(found.features)).numpy()
    np.testing.assert_allclose(found.logits, logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("count", "passes"), [(1, [1]), (3, [4]), (5, [8]), (32, [32]), (33, [32, 1])])
def test_batches_are_padded_to_a_recorded_size_and_each_face_gets_its_numbers(
    recorded: Callable[..., RecordedEngine], network: PooledClassifier, count: int, passes: list[int]
) -> None:
    hardware = FakeHardware()
    engine = recorded(hardware)
    engine.run(10 * faces(32))  # what an earlier pass left in the input must not matter
    hardware.replayed.clear()
    found, expected = (one.run(faces(count), features=True) for one in (engine, TorchEngine(network, CPU)))
    assert hardware.replayed == passes
    assert found.features is not None and expected.features is not None
    assert share_of_range(found.logits, expected.logits) < TOLERANCE["float32"]
    assert share_of_range(found.features, expected.features) < TOLERANCE["float32"]
    assert engine.run(faces(count)).features is None


def test_results_stay_when_the_next_pass_runs(recorded: Callable[..., RecordedEngine]) -> None:
    engine = recorded(FakeHardware())
    first = engine.run(faces(2), features=True)
    kept = first.logits.copy()
    engine.run(-faces(2), features=True)
    np.testing.assert_array_equal(first.logits, kept)


def test_threads_get_their_own_faces(recorded: Callable[..., RecordedEngine], network: PooledClassifier) -> None:
    engine, inputs = recorded(FakeHardware()), [faces(count) for count in (1, 2, 3, 4)] * 3
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(engine.run, inputs))
    for outputs, each in zip(found, inputs, strict=True):
        assert share_of_range(outputs.logits, TorchEngine(network, CPU).run(each).logits) < TOLERANCE["float32"]


def test_what_cannot_be_recorded_is_computed_anew_and_the_log_says_why(
    recorded: Callable[..., RecordedEngine], network: PooledClassifier, caplog: pytest.LogCaptureFixture
) -> None:
    hardware = FakeHardware(refuses=8)
    engine = recorded(hardware)
    (message,) = caplog.messages
    assert "up to 4 faces" in message and "not permitted when stream is capturing" in message and "more" not in message
    for count in (1, 3, 8):
        expected = TorchEngine(network, CPU).run(faces(count)).logits
        assert share_of_range(engine.run(faces(count)).logits, expected) < TOLERANCE["float32"]
    assert hardware.replayed == [8]


def test_faces_that_half_precision_cannot_hold_are_computed_in_float32(
    recorded: Callable[..., RecordedEngine], network: PooledClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = recorded(FakeHardware())
    monkeypatch.setattr(engine, "_head", lambda maps: torch.full((len(maps), 7), torch.inf))
    found, expected = (one.run(faces(2), features=True) for one in (engine, TorchEngine(network, CPU)))
    np.testing.assert_array_equal(found.logits, expected.logits)
    assert found.features is not None


def test_every_batch_of_a_classifier_fits_a_bucket() -> None:
    from fer_models.models.classifier import BATCH

    assert max(BUCKETS) == BATCH and sorted(BUCKETS) == list(BUCKETS)


class TestChoice:
    """`build_engine` on a GPU takes this engine in the least precision that gives PyTorch's answers."""

    @pytest.fixture(autouse=True)
    def hardware(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recorded_engine, "Cuda", lambda _: FakeHardware())

    @pytest.mark.parametrize(("architecture", "precision"), [("vgg16", "float16"), ("mobilenet_v2", "float32")])
    def test_networks_with_depthwise_convolutions_stay_in_float32(self, architecture: str, precision: str) -> None:
        network = random_network(architecture, 7, seed=0).eval().requires_grad_(False)
        engine = engines._recorded(network, SIZE, CPU, faces(2), TorchEngine(network, CPU).run(faces(2), features=True))
        assert isinstance(engine, RecordedEngine) and engine.precision == precision

    @pytest.mark.parametrize("wrong", [1.0, np.nan])
    def test_it_is_not_taken_where_it_gives_other_answers(
        self, network: PooledClassifier, caplog: pytest.LogCaptureFixture, wrong: float
    ) -> None:
        expected = TorchEngine(network, CPU).run(faces(2), features=True)
        other = expected._replace(logits=expected.logits + wrong * np.ptp(expected.logits))
        assert engines._recorded(network, SIZE, CPU, faces(2), other) is None
        assert "float32 on cpu" in caplog.messages[-1] and "differs" in caplog.messages[-1]

    def test_it_is_not_taken_where_the_device_cannot(
        self, network: PooledClassifier, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(_: torch.device) -> None:
            raise RuntimeError("no kernel image is available for this device")

        monkeypatch.setattr(recorded_engine, "Cuda", fail)
        expected = TorchEngine(network, CPU).run(faces(2), features=True)
        assert engines._recorded(network, SIZE, CPU, faces(2), expected) is None
        assert "no kernel image" in caplog.messages[-1]
