"""What runs a network: PyTorch, onnxruntime or OpenVINO, behind one small protocol.

PyTorch runs everywhere in float32, trains, and serves the methods that need gradients. On CPUs onnxruntime gives the
same numbers in less than half the time. On CUDA devices PyTorch replays recorded passes, in float16 where the network
bears it, which moves the numbers a little. OpenVINO is optional and may compute in bfloat16. LiteRT, also optional,
runs what has no PyTorch network: `tflite_engine` is built for one file, so it is none of `ENGINES`.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from fer_models.errors import EngineError, UnknownNameError
from fer_models.models.architectures import PooledClassifier
from fer_models.models.engines.outputs import Outputs
from fer_models.models.engines.torch_engine import TorchEngine

#: "torch" is PyTorch in float32, "auto" onnxruntime on CPUs, recorded passes on CUDA devices, and "torch" elsewhere.
ENGINES: Final = ("auto", "torch", "onnxruntime", "openvino")
#: Largest difference from PyTorch's logits, as a share of their range, by the precision that an engine computes in.
TOLERANCE: Final = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}

_log = logging.getLogger(__name__)


class Engine(Protocol):
    """Runs one network on one device.

    Attributes:
        name: one of `ENGINES`.
        precision: what it computes in: "float32", "float16" or "bfloat16".
    """

    name: str
    precision: str

    def run(self, inputs: Tensor, *, features: bool = False) -> Outputs:
        """One pass over (N, 3, S, S) float32 inputs, N at least 1. May be called by several threads at once."""
        ...


def build_engine(
    name: str, network: PooledClassifier, size: int, device: torch.device, threads: int | None = None
) -> Engine:
    """The engine of a name for a network; its first pass is already done, so that no face is charged for it.

    Args:
        name: one of `ENGINES`.
        network: float32, frozen, in evaluation mode, on the device.
        size: side of its input in pixels.
        device: where it runs; all engines but PyTorch need a CPU.
        threads: that one pass takes on a CPU; None means as many as PyTorch is set to, which takes these anyway.

    Raises:
        UnknownNameError: no such engine.
        EngineError: the engine is not installed, does not run on this device, or gives other logits than PyTorch.
            With "auto", PyTorch is taken instead and the log says why.
    """
    if name not in ENGINES:
        raise UnknownNameError("engine", name, ENGINES)
    reference = TorchEngine(network, device)
    probe = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)) * 4 - 2
    expected = reference.run(probe, features=True)
    if name == "auto" and device.type == "cuda":
        return _recorded(network, size, device, probe, expected) or reference
    if name == "torch" or (name == "auto" and device.type != "cpu"):
        return reference
    if device.type != "cpu":
        raise EngineError(f"The engine {name} runs on CPUs, not on {device}. Use --device cpu or --engine torch.")
    make = _MAKERS["onnxruntime" if name == "auto" else name]
    try:
        return _checked(partial(make, network, threads or torch.get_num_threads()), network, size, probe, expected)
    except EngineError as error:
        if name != "auto":
            raise
        _log.warning("Using PyTorch, which is slower: %s", error)
        return reference


def _recorded(
    network: PooledClassifier, size: int, device: torch.device, probe: Tensor, expected: Outputs
) -> Engine | None:
    """PyTorch in float16, or else float32; None, and the log says why, where neither runs with PyTorch's answers."""
    from fer_models.models.engines.recorded_engine import RecordedEngine

    for dtype in (torch.float32,) if _depthwise(network) else (torch.float16, torch.float32):
        try:
            engine = RecordedEngine(network, size, device, dtype)
            distance = _distance(engine.run(probe, features=True), expected)
            if distance <= TOLERANCE[engine.precision]:
                return engine
            problem = f"it differs by {distance:.1e} of the logits' range"
        except Exception as error:  # drivers, devices without float16, networks that cannot be traced
            problem = f"{type(error).__name__}: {str(error)[:200]}"
        _log.warning("Not computing in %s on %s, which would be faster: %s", str(dtype)[6:], device, problem)
    return None


def _checked(
    make: Callable[[bytes], Engine], network: PooledClassifier, size: int, probe: Tensor, expected: Outputs
) -> Engine:
    """An engine that gives PyTorch's answers; a graph from the cache that does not is made anew."""
    from fer_models.models.engines.graph import network_graph

    for anew in (False, True):
        try:
            engine = make(network_graph(network, size, anew=anew))
            found = engine.run(probe, features=True)
        except EngineError:
            raise
        except Exception as error:  # runtimes raise their own, and anything for a graph that they cannot run
            problem = f"{type(error).__name__}: {str(error)[:200]}"
            continue
        distance = _distance(found, expected)
        if distance <= TOLERANCE[engine.precision]:
            return engine
        problem = f"{engine.name} differs from PyTorch by {distance:.1e} of the logits' range"
    raise EngineError(f"The network cannot be run faster on this machine ({problem}). Use --engine torch.")


def _distance(found: Outputs, expected: Outputs) -> float:
    """The largest difference of logits, or of feature maps, as a share of their range; infinite for other shapes."""
    if found.features is None or expected.features is None or found.features.shape != expected.features.shape:
        return float("inf")
    pairs = ((found.logits, expected.logits), (found.features, expected.features))
    return max(float(np.abs(one - other).max() / max(np.ptp(other), 1e-6)) for one, other in pairs)


def _onnxruntime(_: PooledClassifier, threads: int, graph: bytes) -> Engine:
    from fer_models.models.engines.onnxruntime_engine import OnnxRuntimeEngine

    return OnnxRuntimeEngine(graph, threads)


def _openvino(network: PooledClassifier, threads: int, graph: bytes) -> Engine:
    from fer_models.models.engines.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(graph, threads, exact=_depthwise(network))


def _depthwise(network: PooledClassifier) -> bool:
    """Whether it has depthwise convolutions, which lose up to 0.4 points of accuracy in bfloat16 and gain little."""
    return any(isinstance(module, nn.Conv2d) and module.groups > 1 for module in network.modules())


_Make = Callable[[PooledClassifier, int, bytes], Engine]
_MAKERS: Final[dict[str, _Make]] = {"onnxruntime": _onnxruntime, "openvino": _openvino}
