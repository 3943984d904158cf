"""ONNX files, checked before anything runs them, and what their graphs say of themselves.

A graph is data, but running it is a computation of its author's choice. So only what a classifier of pictures needs is
admitted: standard operators, no loops, all weights inside the file, and bounds on the file, the nodes and each tensor.
"""

import ast
import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, shape_inference

from fer_models.errors import WeightsError

#: Bound on a file.
MAX_BYTES: Final = 1 << 30
#: Bound on the numbers of one tensor inside the graph for one face; VGG16's largest has 3.2 million.
_MAX_NUMBERS: Final = 1 << 25
_MAX_NODES: Final = 20_000
_DOMAINS: Final = ("", "ai.onnx", "ai.onnx.ml")
_LOOPS: Final = ("Loop", "Scan", "SequenceMap")
_LABEL_KEYS: Final = ("labels", "classes", "class_names", "names", "id2label")
_TYPES: Final = {
    TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float16",
    TensorProto.DOUBLE: "float64",
    TensorProto.UINT8: "uint8",
}


@dataclass(frozen=True)
class OnnxFile:
    """A checked file.

    Attributes:
        path: where it lies.
        model: its content.
        sha256: of the file, 64 lower-case hexadecimal digits.
        input: name of the graph's one input.
        dtype: of that input, such as "float32".
        shape: of that input, four sizes; None where the graph leaves one open.
        outputs: names of the outputs.
        labels: of the classes as the file's metadata has them; none if it has none.
    """

    path: Path
    model: ModelProto
    sha256: str
    input: str
    dtype: str
    shape: tuple[int | None, ...]
    outputs: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def layout(self) -> str | None:
        """NCHW or NHWC, by the place of the axis with 1 or 3 channels; None where both or neither can be."""
        first, last = (self.shape[axis] in (1, 3) for axis in (1, 3))
        return None if first == last else "NCHW" if first else "NHWC"

    @property
    def channels(self) -> int | None:
        """1 or 3; None where the graph does not say."""
        return None if self.layout is None else self.shape[1 if self.layout == "NCHW" else 3]

    @property
    def size(self) -> int | None:
        """Side of the square input in pixels; None where the graph leaves it open."""
        sides = {None: (), "NCHW": self.shape[2:], "NHWC": self.shape[1:3]}[self.layout]
        return next((side for side in sides if side is not None), None)

    @property
    def parameters(self) -> int:
        """How many numbers its weights have."""
        return sum(math.prod(tensor.dims) for tensor in self.model.graph.initializer)

    def producer(self, name: str) -> NodeProto | None:
        """The node that a tensor comes from; None for inputs and weights."""
        return next((node for node in self.model.graph.node if name in node.output), None)


def read_onnx(path: Path) -> OnnxFile:
    """Read and check a file. Nothing is run.

    Raises:
        WeightsError: it cannot be read, is too large or damaged, asks for what is not admitted, or does not take
            pictures.
    """
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise WeightsError(f"{path} has {size:,} bytes, more than the {MAX_BYTES:,} that are read.")
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"Cannot read the file {path}: {error.strerror}.") from error
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # damaged bytes raise errors of many types
        raise WeightsError(f"{path} is not an ONNX file, or it is damaged. Get it again.") from error
    if problem := _problem(model):
        raise WeightsError(f"{path} {problem}")
    try:
        onnx.checker.check_model(model)
    except Exception as error:
        raise WeightsError(f"{path} is not valid ONNX: {_line(error)}") from error
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in weights]
    if len(inputs) != 1:
        raise WeightsError(f"{path} has {len(inputs)} inputs; a classifier of pictures has one.")
    kind = inputs[0].type.tensor_type
    if kind.elem_type not in _TYPES:
        name = TensorProto.DataType.Name(kind.elem_type).lower()
        raise WeightsError(f"{path} takes numbers of type {name}; {', '.join(_TYPES.values())} are fed here.")
    shape = tuple(each.dim_value if each.dim_value > 0 else None for each in kind.shape.dim)
    if len(shape) != 4:
        raise WeightsError(f"{path} takes an input with {len(shape)} axes; batches of pictures have four.")
    file = OnnxFile(
        path,
        model,
        hashlib.sha256(data).hexdigest(),
        inputs[0].name,
        _TYPES[kind.elem_type],
        shape,
        tuple(each.name for each in model.graph.output),
        _labels(model),
    )
    _check_sides(file)
    return file


def check_sizes(file: OnnxFile, shape: tuple[int, ...]) -> None:
    """Check what the graph makes of one face, as far as shapes can be told without running it.

    Args:
        file: checked before.
        shape: of the input for one face.

    Raises:
        WeightsError: a tensor is too large.
    """
    fixed = ModelProto()
    fixed.CopyFrom(file.model)
    for each in fixed.graph.input:
        if each.name == file.input:
            for axis, length in zip(each.type.tensor_type.shape.dim, shape, strict=True):
                axis.dim_value = length
    try:
        graph = shape_inference.infer_shapes(fixed, data_prop=True).graph
    except Exception as error:
        raise WeightsError(f"{file.path} is not consistent: {_line(error)}") from error
    for each in (*graph.value_info, *graph.output):
        numbers = math.prod(axis.dim_value for axis in each.type.tensor_type.shape.dim if axis.dim_value > 0)
        if numbers > _MAX_NUMBERS:
            raise WeightsError(f"{file.path} makes {numbers:,} numbers of one face ({each.name}): that is too much.")


def _check_sides(file: OnnxFile) -> None:
    sides = {None: (), "NCHW": file.shape[2:], "NHWC": file.shape[1:3]}[file.layout]
    known = {side for side in sides if side is not None}
    if len(known) > 1:
        raise WeightsError(f"{file.path} takes pictures of {sides[0]} x {sides[1]} px; only squares are fed here.")
    if file.layout is None and None not in file.shape[1:] and not {1, 3} & {file.shape[1], file.shape[3]}:
        raise WeightsError(f"{file.path} takes an input of shape {file.shape}, with neither 1 nor 3 channels.")


def _problem(model: ModelProto) -> str:
    """The first thing that is not admitted, as the rest of a sentence after the file's name; "" if there is none."""
    if model.functions:
        return "defines functions of its own, which are not run here. Export it with them inlined."
    if model.HasField("graph") is False:
        return "has no graph."
    count = 0
    for graph in _graphs(model.graph):
        count += len(graph.node)
        if count > _MAX_NODES:
            return f"has more than {_MAX_NODES:,} nodes."
        for node in graph.node:
            if node.domain not in _DOMAINS:
                return f"uses {node.op_type} of {node.domain}, which is no standard operator."
            if _trains(graph, node):
                return f"was exported for training ({node.op_type}). Export it after model.eval()."
            if node.op_type in _LOOPS:
                return f"uses {node.op_type}; a classifier needs no loop, and none is run here."
        for tensor in _tensors(graph):
            if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
                return (
                    f"keeps {tensor.name or 'weights'} in another file, which is not read. Put all into one: "
                    "torch.onnx.export(..., external_data=False), or, of a file that is there with its other one, "
                    'onnx.save(onnx.load("OLD.onnx"), "NEW.onnx").'
                )
            if any(length < 0 for length in tensor.dims) or 8 * math.prod(tensor.dims) > 8 * MAX_BYTES:
                return f"declares {tensor.name or 'a tensor'} of shape {tuple(tensor.dims)}: it is damaged."
        for node in graph.node:
            if node.op_type == "ConstantOfShape" and (shape := _constant(graph, node.input[0])) is not None:
                values = onnx.numpy_helper.to_array(shape).ravel().tolist()
                if math.prod(max(1, int(value)) for value in values) > _MAX_NUMBERS:
                    return f"makes a tensor of shape {tuple(values)}: that is too much."
    return ""


def _trains(graph: GraphProto, node: NodeProto) -> bool:
    """Whether a node draws at random, or averages over the batch, as in training."""
    if node.op_type == "BatchNormalization":
        return any(each.name == "training_mode" and each.i for each in node.attribute)
    if node.op_type != "Dropout" or len(node.input) < 3:
        return False
    mode = _constant(graph, node.input[2])
    return mode is not None and bool(onnx.numpy_helper.to_array(mode).any())


def _constant(graph: GraphProto, name: str) -> Any:
    """A small tensor (a TensorProto or None) that stands in the graph, by its name."""
    for tensor in graph.initializer:
        if tensor.name == name and math.prod(tensor.dims) <= 16:
            return tensor
    for node in graph.node:
        if node.op_type == "Constant" and name in node.output:
            for attribute in node.attribute:
                if attribute.name == "value" and math.prod(attribute.t.dims) <= 16:
                    return attribute.t
    return None


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """A graph and all inside of it. The parser bounds how deep they nest."""
    waiting = [graph]
    while waiting:
        each = waiting.pop()
        yield each
        for attribute in _attributes(each):
            waiting += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


def _attributes(graph: GraphProto) -> Iterator[AttributeProto]:
    for node in graph.node:
        yield from node.attribute


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """All weights and constants of one graph."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for attribute in _attributes(graph):
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        if attribute.HasField("sparse_tensor"):
            yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)


def _labels(model: ModelProto) -> tuple[str, ...]:
    """The classes that the metadata names: a list, a dictionary by index, or words with commas or lines between."""
    found = {each.key.lower(): each.value for each in model.metadata_props if len(each.value) < 10_000}
    for text in (found[key] for key in _LABEL_KEYS if key in found):
        value: Any = None
        for read in (json.loads, ast.literal_eval):
            try:
                value = read(text)
                break
            except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
                continue
        if isinstance(value, dict) and all(str(key).isdecimal() for key in value):
            value = [value[key] for key in sorted(value, key=lambda key: int(key))]
        if not isinstance(value, list | tuple):
            value = [word for word in text.replace("\n", ",").split(",") if word.strip()]
        if len(value) > 1 and all(isinstance(each, str) for each in value):
            return tuple(each.strip() for each in value)
    return ()


def _line(error: Exception) -> str:
    """The first line of another library's error, shortened."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
