import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fer_models.errors import EngineError, UnknownNameError
from fer_models.models import engines
from fer_models.models.architectures import PooledClassifier, build_network
from fer_models.models.card import read_card
from fer_models.models.classifier import load_classifier
from fer_models.models.engines import TOLERANCE, build_engine, openvino_engine
from fer_models.models.engines.batching import Batcher
from fer_models.models.engines.graph import CACHE_VARIABLE, cache_folder, network_graph
from fer_models.models.engines.outputs import Outputs
from fer_models.models.engines.torch_engine import TorchEngine
from fer_models.models.weights import load_network
from tests.conftest import network_of

CPU = torch.device("cpu")
SIZE = 64


@pytest.fixture(scope="module")
def network(weights_dir: Path) -> PooledClassifier:
    return load_network(read_card(weights_dir / "resnet50.json"), weights_dir / "resnet50.safetensors")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "graphs"
    monkeypatch.setenv(CACHE_VARIABLE, str(folder))
    return folder


@pytest.mark.parametrize("count", [1, 2, 7, 32, 33])
def test_onnxruntime_gives_pytorchs_logits_and_feature_maps(network: PooledClassifier, count: int) -> None:
    inputs = torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(count))
    engine = build_engine("onnxruntime", network, SIZE, CPU)
    found, expected = (one.run(inputs, features=True) for one in (engine, TorchEngine(network, CPU)))
    assert (engine.name, engine.precision) == ("onnxruntime", "float32")
    assert found.features is not None and expected.features is not None
    for one, other in ((found.logits, expected.logits), (found.features, expected.features)):
        assert one.dtype == np.float32 and one.shape == other.shape
        assert np.abs(one - other).max() <= TOLERANCE["float32"] * np.ptp(other)
    assert engine.run(inputs).features is None


def test_a_model_on_a_cpu_runs_on_onnxruntime_and_its_network_stays_as_it_was(weights_dir: Path) -> None:
    classifier = load_classifier("vgg16", weights_dir, "cpu")
    assert classifier.engine.name == "onnxruntime"
    assert not network_of(classifier).training
    assert all(not module.training for module in network_of(classifier).modules())


def test_an_unknown_engine_is_named_with_the_known_ones(network: PooledClassifier) -> None:
    with pytest.raises(UnknownNameError, match="tensorrt.*onnxruntime"):
        build_engine("tensorrt", network, SIZE, CPU)


def test_an_engine_that_is_not_installed_says_what_to_install(
    network: PooledClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    with pytest.raises(EngineError, match="requirements-openvino"):
        build_engine("openvino", network, SIZE, CPU)


def test_openvino_computes_networks_with_depthwise_convolutions_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen: list[bool] = []

    def build(graph: bytes, threads: int, *, exact: bool) -> None:
        chosen.append(exact)

    monkeypatch.setattr(openvino_engine, "OpenVinoEngine", build)
    for architecture in ("resnet50", "mobilenet_v2"):
        engines._openvino(build_network(architecture, 7), 1, b"")
    assert chosen == [False, True]


class _Wrong:
    """Runs, and gives other logits."""

    name, precision = "onnxruntime", "float32"

    def __init__(self, network: PooledClassifier, threads: int, graph: bytes) -> None:
        pass

    def run(self, inputs: Tensor, *, features: bool = False) -> Outputs:
        return Outputs(np.ones((len(inputs), 7), np.float32), np.zeros((len(inputs), 1280, 4, 4), np.float32))


def test_an_engine_that_gives_other_answers_is_not_used(
    network: PooledClassifier, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(engines._MAKERS, "onnxruntime", _Wrong)
    assert build_engine("auto", network, SIZE, CPU).name == "torch"
    assert "differs from PyTorch" in caplog.text
    with pytest.raises(EngineError, match="differs from PyTorch"):
        build_engine("onnxruntime", network, SIZE, CPU)


class TestCache:
    def test_a_graph_is_made_once_for_the_same_weights(
        self, network: PooledClassifier, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = network_graph(network, SIZE)
        (kept,) = cache.iterdir()
        assert kept.read_bytes() == made
        monkeypatch.setattr(torch.onnx, "export", _refuse)
        assert network_graph(network, SIZE) == made
        with pytest.raises(EngineError, match="no export"):  # another input size is another graph
            network_graph(network, 2 * SIZE)

    def test_a_damaged_graph_is_made_anew(self, network: PooledClassifier, cache: Path) -> None:
        made = network_graph(network, SIZE)
        (kept,) = cache.iterdir()
        kept.write_bytes(made[: len(made) // 2])
        assert build_engine("onnxruntime", network, SIZE, CPU).name == "onnxruntime"
        assert kept.read_bytes() == made

    def test_other_weights_graph_under_this_name_is_found_out(
        self, network: PooledClassifier, weights_dir: Path, cache: Path
    ) -> None:
        other = load_network(read_card(weights_dir / "vgg16.json"), weights_dir / "vgg16.safetensors")
        foreign = network_graph(other, SIZE)
        for path in cache.iterdir():
            path.unlink()
        made = network_graph(network, SIZE)
        (kept,) = cache.iterdir()
        kept.write_bytes(foreign)
        build_engine("onnxruntime", network, SIZE, CPU)
        assert kept.read_bytes() == made

    @pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
    def test_a_folder_that_others_may_write_to_is_not_used(self, network: PooledClassifier, cache: Path) -> None:
        cache.mkdir()
        cache.chmod(0o777)
        assert cache_folder() is None
        assert network_graph(network, SIZE)
        assert not [*cache.iterdir()]


def _refuse(*_: Any, **__: Any) -> None:
    raise RuntimeError("no export")


class _Counting:
    """Adds up each input; waits at the first pass until it may go on."""

    name, precision = "torch", "float32"

    def __init__(self) -> None:
        self.passes: list[int] = []
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.fails = False

    def run(self, inputs: Tensor, *, features: bool = False) -> Outputs:
        self.passes.append(len(inputs))
        self.begun.set()
        self.go_on.wait(10)
        if self.fails:
            raise RuntimeError("out of memory")
        return Outputs(inputs.sum((1, 2, 3)).numpy()[:, None], inputs.numpy() if features else None)


@pytest.fixture
def counting() -> Iterator[_Counting]:
    engine = _Counting()
    yield engine
    engine.go_on.set()


def _faces(*values: float) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1)


class TestBatcher:
    def test_requests_that_wait_share_the_next_pass_and_get_their_own_rows(self, counting: _Counting) -> None:
        batcher = Batcher(counting, 8)
        with ThreadPoolExecutor(4) as pool:
            first = pool.submit(batcher.run, _faces(1))
            assert counting.begun.wait(10)
            others = [pool.submit(batcher.run, _faces(*values)) for values in ([2, 3], [4], [5, 6, 7])]
            while len(batcher._waiting) < 3:
                pass
            counting.go_on.set()
            logits = [future.result()[0].logits.ravel().tolist() for future in (first, *others)]
        assert counting.passes == [1, 6]
        assert logits == [[1], [2, 3], [4], [5, 6, 7]]

    def test_a_pass_takes_no_more_faces_than_it_may(self, counting: _Counting) -> None:
        counting.go_on.set()
        batcher = Batcher(counting, 4)
        (outputs, seconds) = batcher.run(_faces(*range(6)))  # larger requests have a pass of their own
        assert outputs.logits.ravel().tolist() == [0, 1, 2, 3, 4, 5] and seconds > 0
        counting.go_on.clear()
        with ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(batcher.run, _faces(0))]
            counting.begun.wait(10)
            while len(counting.passes) < 2:
                pass
            futures += [pool.submit(batcher.run, _faces(0, 0, 0)), pool.submit(batcher.run, _faces(0, 0))]
            while len(batcher._waiting) < 2:
                pass
            counting.go_on.set()
            for future in futures:
                future.result()
        assert counting.passes[:2] == [6, 1] and sorted(counting.passes[2:]) == [2, 3]

    def test_only_who_asked_gets_feature_maps(self, counting: _Counting) -> None:
        counting.go_on.set()
        batcher = Batcher(counting, 8)
        assert batcher.run(_faces(1))[0].features is None
        features = batcher.run(_faces(1), features=True)[0].features
        assert features is not None and features.shape == (1, 1, 1, 1)

    def test_an_error_reaches_all_who_shared_the_pass_and_the_next_one_works(self, counting: _Counting) -> None:
        counting.fails = True
        counting.go_on.set()
        batcher = Batcher(counting, 8)
        with pytest.raises(RuntimeError, match="out of memory"):
            batcher.run(_faces(1))
        counting.fails = False
        assert batcher.run(_faces(1, 2))[0].logits.ravel().tolist() == [1, 2]


class TestPool:
    """Engines whose passes take one thread each."""

    def test_passes_run_beside_one_another_and_everybody_gets_their_own_rows(self) -> None:
        both = threading.Barrier(2, timeout=10)  # broken unless two passes run at the same time

        class Meeting(_Counting):
            def run(self, inputs: Tensor, *, features: bool = False) -> Outputs:
                both.wait()
                return Outputs(inputs.sum((1, 2, 3)).numpy()[:, None], None)

        with ThreadPoolExecutor(2) as pool:
            batchers = [Batcher(Meeting(), 8, pool) for _ in range(2)]
            answers = [batcher.submit(_faces(*values)) for batcher, values in zip(batchers, ([1, 2], [3]), strict=True)]
            assert [answer.result(10)[0].logits.ravel().tolist() for answer in answers] == [[1, 2], [3]]

    def test_requests_that_come_while_all_threads_work_share_a_pass(self, counting: _Counting) -> None:
        with ThreadPoolExecutor(1) as pool:
            batcher = Batcher(counting, 8, pool)
            answers = [batcher.submit(_faces(0))]
            assert counting.begun.wait(10)
            answers += [batcher.submit(_faces(value)) for value in (1, 2, 3)]
            counting.go_on.set()
            logits = [answer.result(10)[0].logits.item() for answer in answers]
        assert counting.passes == [1, 3] and logits == [0, 1, 2, 3]

    def test_an_error_in_the_pool_reaches_who_asked(self, counting: _Counting) -> None:
        counting.fails = True
        counting.go_on.set()
        with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="out of memory"):
            Batcher(counting, 8, pool).run(_faces(1))

    def test_a_model_gives_the_same_answers_on_one_thread_beside_others(self, weights_dir: Path) -> None:
        inputs = torch.randn(33, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
        alone, beside = (
            load_classifier("resnet50", weights_dir, "cpu", "onnxruntime", threads) for threads in (None, 1)
        )
        expected, found = (model.logits(inputs) for model in (alone, beside))
        assert found.shape == expected.shape
        assert (found - expected).abs().max() <= TOLERANCE["float32"] * float(expected.max() - expected.min())
        one, other = (model.predict_inputs(inputs[:3], features=True) for model in (alone, beside))
        assert [each.label for each in one] == [each.label for each in other]
        assert all(each.features is not None for each in other)
