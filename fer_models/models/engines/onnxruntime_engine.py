"""onnxruntime on CPUs: the same float32 numbers as PyTorch in less than half the time."""

import onnxruntime
from torch import Tensor

from fer_models.models.engines.graph import INPUT, OUTPUTS
from fer_models.models.engines.outputs import Outputs


class OnnxRuntimeEngine:
    """Runs a graph of `network_graph` in float32.

    Attributes:
        name: "onnxruntime".
        precision: "float32".
    """

    name = "onnxruntime"
    precision = "float32"

    def __init__(self, graph: bytes, threads: int) -> None:
        """Load a graph; a pass takes this many threads."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors only
        # Threads that spin while they wait take the cores from the other models.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def run(self, inputs: Tensor, *, features: bool = False) -> Outputs:
        """As `Engine.run`."""
        wanted = OUTPUTS if features else OUTPUTS[:1]
        logits, *maps = self._session.run(wanted, {INPUT: inputs.contiguous().numpy()})
        return Outputs(logits, maps[0] if features else None)
