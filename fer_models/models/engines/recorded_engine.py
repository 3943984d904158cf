"""PyTorch on GPUs: batch norms folded into convolutions, half precision, passes recorded once and replayed."""

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

import numpy as np
import torch
from torch import Tensor

from fer_models.models.architectures import PooledClassifier
from fer_models.models.engines.outputs import Outputs
from fer_models.models.engines.torch_engine import TorchEngine

#: Faces in a recorded pass: a pass is padded to the next of these, as a recording has a fixed size.
BUCKETS: Final = (1, 2, 4, 8, 16, 32)
_WARM_UP: Final = 3  # passes before a recording, in which libraries choose their kernels

#: Logits (N, C) float32 and feature maps (N, K, h, w) in the features' precision, of what the input's memory holds.
Pass = Callable[[], tuple[Tensor, Tensor]]

_log = logging.getLogger(__name__)


class Hardware(Protocol):
    """The two things that depend on the device."""

    def record(self, work: Pass) -> Pass:
        """What does the same as `work` on the same memory, faster.

        Raises:
            RuntimeError: this cannot be recorded.
        """
        ...

    def to_cpu(self, *tensors: Tensor) -> list[Tensor]:
        """Contiguous copies, complete on return."""
        ...


class Cuda:
    """A CUDA device: passes are CUDA graphs, which cost one launch instead of one for each layer."""

    def __init__(self, device: torch.device) -> None:
        """Take a device."""
        self._device = device
        self._memory: Any = None  # shared by all graphs, which never run at the same time

    def record(self, work: Pass) -> Pass:
        """As `Hardware.record`."""
        with torch.cuda.device(self._device):
            aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(_WARM_UP):
                    work()
            torch.cuda.current_stream().wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            # Other threads may use the device meanwhile.
            with torch.cuda.graph(graph, pool=self._memory, capture_error_mode="thread_local"):
                outputs = work()
            self._memory = graph.pool()

        def replay() -> tuple[Tensor, Tensor]:
            graph.replay()
            return outputs

        return replay

    def to_cpu(self, *tensors: Tensor) -> list[Tensor]:
        """As `Hardware.to_cpu`: into pinned memory, with one wait for all copies."""
        copies = [torch.empty(each.shape, dtype=each.dtype, pin_memory=True) for each in tensors]
        for copy, each in zip(copies, tensors, strict=True):
            copy.copy_(each, non_blocking=True)
        torch.cuda.current_stream(self._device).synchronize()
        return copies


class RecordedEngine:
    """Runs a network's features in any precision and its head in float32. Safe to call from several threads.

    Attributes:
        name: "torch".
        precision: of the features: "float16", "bfloat16" or "float32".
    """

    name = "torch"

    def __init__(
        self,
        network: PooledClassifier,
        size: int,
        device: torch.device,
        dtype: torch.dtype = torch.float16,
        hardware: Hardware | None = None,
    ) -> None:
        """Copy a network into a precision and record a pass for each of `BUCKETS`.

        Where a pass cannot be recorded, the log says so, and it is computed anew each time.

        Args:
            network: float32, frozen, in evaluation mode, on the device.
            size: side of its input in pixels.
            device: where it runs.
            dtype: float16, bfloat16, which is less exact, or float32.
            hardware: what depends on the device; None means CUDA.
        """
        from torch.fx.experimental.optimization import fuse

        self.precision = str(dtype).removeprefix("torch.")
        self._exact = TorchEngine(network, device)
        self._head = network.forward_head
        self._hardware = hardware or Cuda(device)
        self._turn = threading.Lock()  # there is one input
        with torch.inference_mode():
            # Folded in float32, so that only the products are rounded.
            self._features = fuse(network.features).to(dtype).to(memory_format=torch.channels_last)
            shape = (BUCKETS[-1], 3, size, size)
            self._input = torch.zeros(shape, dtype=dtype, device=device).to(memory_format=torch.channels_last)
            self._passes = self._recorded()

    def run(self, inputs: Tensor, *, features: bool = False) -> Outputs:
        """As `Engine.run`."""
        parts = [self._run(part, features) for part in torch.split(inputs, BUCKETS[-1])]
        maps = [part.features for part in parts if part.features is not None]
        return Outputs(np.concatenate([part.logits for part in parts]), np.concatenate(maps) if maps else None)

    def _run(self, inputs: Tensor, features: bool) -> Outputs:
        count = len(inputs)
        with self._turn, torch.inference_mode():
            self._input[:count].copy_(inputs, non_blocking=True)
            # The rows behind them are those of earlier passes: no row depends on another.
            logits, maps = self._passes[next(bucket for bucket in BUCKETS if bucket >= count)]()
            wanted = [logits[:count], maps[:count]] if features else [logits[:count]]
            found = [each.float().numpy() for each in self._hardware.to_cpu(*wanted)]
        if not np.isfinite(found[0]).all():  # float16 ends at 65504
            return self._exact.run(inputs, features=features)
        return Outputs(found[0], found[1] if features else None)

    def _recorded(self) -> dict[int, Pass]:
        """A pass for each bucket, the largest first: the others fit into its memory."""
        passes: dict[int, Pass] = {}
        records = True
        for bucket in reversed(BUCKETS):
            work = partial(self._forward, self._input[:bucket])
            passes[bucket] = work
            if records:
                try:
                    passes[bucket] = self._hardware.record(work)
                except RuntimeError as error:
                    records = False
                    problem = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
                    _log.warning("CUDA graphs are not used for up to %d faces, which is slower: %s", bucket, problem)
        return passes

    def _forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        maps = self._features(inputs)
        return self._head(maps.float()), maps
