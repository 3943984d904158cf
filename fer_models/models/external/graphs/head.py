"""The linear head at the end of an ONNX graph: with it, exact class attention maps come from one pass.

Where a graph ends with the mean over all places of its feature maps and one linear layer, its logits are means of
class attention maps (Zhou et al., CVPR 2016, equation 2), as those of this project's networks are. Such an end is
looked for by its operators, and believed only if it gives the graph's own outputs.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto

from fer_models.models.external.graphs.onnx_file import OnnxFile

#: Nodes that do not change the numbers of one face, nor their order.
_SHAPES: Final = ("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Cast")
_TOLERANCE: Final = 1e-3  # of the outputs' range


@dataclass(frozen=True, eq=False)
class LinearHead:
    """Where the feature maps are, and what is made of them.

    Attributes:
        features: name of the tensor with the maps.
        places: its two axes of places: (2, 3) or (1, 2).
        weights: (C, K) float32.
        bias: (C,) float32.
    """

    features: str
    places: tuple[int, int]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def maps(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """The tensor's values as (N, K, h, w) float32."""
        return np.ascontiguousarray(values if self.places == (2, 3) else values.transpose(0, 3, 1, 2), np.float32)

    def explains(self, values: NDArray[Any], outputs: NDArray[Any]) -> bool:
        """Whether the head gives the graph's outputs, also after a softmax or sigmoid, and the maps show places.

        Args:
            values: of the tensor with the maps, for some faces.
            outputs: (N, C), the graph's for the same faces.
        """
        if values.ndim != 4 or min(values.shape[axis] for axis in self.places) < 2:
            return False
        maps = self.maps(values)
        if maps.shape[1] != self.weights.shape[1] or outputs.shape != (len(maps), len(self.weights)):
            return False
        logits = maps.mean((2, 3), dtype=np.float64) @ self.weights.T + self.bias
        exponents = np.exp(logits - logits.max(1, keepdims=True))
        shares = exponents / exponents.sum(1, keepdims=True)
        ends = (logits, shares, np.log(np.maximum(shares, 1e-30)), 1 / (1 + np.exp(-logits)))
        return any(
            float(np.abs(found - outputs).max()) <= _TOLERANCE * max(float(np.ptp(outputs)), 1e-6) for found in ends
        )


def find_head(file: OnnxFile, output: str) -> LinearHead | None:
    """The linear head before an output; None if the graph ends otherwise.

    Args:
        file: the graph.
        output: name of the output.
    """
    node = _skip(file, output, ("Softmax", "LogSoftmax", "Sigmoid", "Identity", "Cast"))
    bias: NDArray[np.float32] | None = None
    if node is not None and node.op_type == "Add":
        for index in (0, 1):
            found, other = _weights(file, node.input[index]), file.producer(node.input[1 - index])
            if found is not None and other is not None and other.op_type == "MatMul":
                bias, node = found.ravel(), other
                break
    if node is None or node.op_type not in ("Gemm", "MatMul"):
        return None
    weights = _weights(file, node.input[1])
    if weights is None or weights.ndim != 2:
        return None
    options = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    if node.op_type == "Gemm":
        if options.get("transA"):
            return None
        weights = np.float32(options.get("alpha", 1.0)) * (weights if options.get("transB") else weights.T)
        if len(node.input) > 2:
            found = _weights(file, node.input[2])
            if found is None:
                return None
            bias = np.float32(options.get("beta", 1.0)) * found.ravel()
    else:
        weights = weights.T
    bias = np.zeros(len(weights), np.float32) if bias is None else bias
    if bias.size == 1:
        bias = np.repeat(bias, len(weights))
    pool = _skip(file, node.input[0], _SHAPES)
    places = None if pool is None else _places(file, pool)
    if pool is None or places is None or bias.shape != (len(weights),):
        return None
    return LinearHead(pool.input[0], places, np.ascontiguousarray(weights, np.float32), bias.astype(np.float32))


def last_step(file: OnnxFile, output: str) -> NodeProto | None:
    """The last node before an output that changes numbers, not only their type and shape; None if there is none."""
    return _skip(file, output, _SHAPES)


def _skip(file: OnnxFile, name: str, kinds: tuple[str, ...]) -> NodeProto | None:
    """The node that a tensor comes from, without those of some kinds between."""
    node = file.producer(name)
    while node is not None and node.op_type in kinds:
        node = file.producer(node.input[0])
    return node


def _places(file: OnnxFile, pool: NodeProto) -> tuple[int, int] | None:
    """The axes that a node averages over, if these are a picture's two; None if it does something else."""
    if pool.op_type in ("GlobalAveragePool", "AveragePool"):  # the second over all places, or `explains` says no
        return 2, 3
    if pool.op_type != "ReduceMean":
        return None
    axes: Any = next((each.ints for each in pool.attribute if each.name == "axes"), None)
    if axes is None and len(pool.input) > 1:
        axes = _weights(file, pool.input[1], np.int64)
    axes = tuple(sorted(int(axis) % 4 for axis in axes)) if axes is not None else ()
    return axes if axes in ((2, 3), (1, 2)) else None


def _weights(file: OnnxFile, name: str, kind: Any = np.float32) -> NDArray[Any] | None:
    """A tensor that stands in the graph, by its name; None if there is none."""
    for tensor in file.model.graph.initializer:
        if tensor.name == name:
            return np.asarray(onnx.numpy_helper.to_array(tensor), kind)
    node = file.producer(name)
    if node is not None and node.op_type == "Identity":
        return _weights(file, node.input[0], kind)
    if node is not None and node.op_type == "Constant":
        for attribute in node.attribute:
            if attribute.name == "value":
                return np.asarray(onnx.numpy_helper.to_array(attribute.t), kind)
    return None
