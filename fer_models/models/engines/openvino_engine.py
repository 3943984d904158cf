"""OpenVINO, an optional extra for CPUs: in bfloat16 where the processor computes in it and the network bears it."""

import threading

import numpy as np
from torch import Tensor

from fer_models.errors import EngineError
from fer_models.models.engines.graph import INPUT, OUTPUTS
from fer_models.models.engines.outputs import Outputs


class OpenVinoEngine:
    """Runs a graph of `network_graph`.

    Attributes:
        name: "openvino".
        precision: "bfloat16" or "float32".
    """

    name = "openvino"

    def __init__(self, graph: bytes, threads: int, *, exact: bool = False) -> None:
        """Load a graph.

        Args:
            graph: of `network_graph`.
            threads: that a pass takes.
            exact: compute in float32 in any case.

        Raises:
            EngineError: OpenVINO is not installed.
        """
        try:
            import openvino
        except ImportError:
            raise EngineError("The engine openvino needs a package: pip install -r requirements-openvino.txt") from None
        core = openvino.Core()
        fast = not exact and "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "bf16" if fast else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # else all models are pinned to the same cores
        }
        self.precision = "bfloat16" if fast else "float32"
        self._model = core.compile_model(core.read_model(graph, b""), "CPU", settings)
        self._requests = threading.local()  # one per thread: a request holds its inputs and outputs

    def run(self, inputs: Tensor, *, features: bool = False) -> Outputs:
        """As `Engine.run`."""
        if not hasattr(self._requests, "request"):
            self._requests.request = self._model.create_infer_request()
        found = self._requests.request.infer({INPUT: inputs.contiguous().numpy()}, share_inputs=True)
        logits, maps = (
            (np.array(found[name], np.float32) for name in OUTPUTS)
            if features
            else (
                np.array(found[OUTPUTS[0]], np.float32),
                None,
            )
        )
        return Outputs(logits, maps)
