"""A tiny TFLite model, written with LiteRT's own schema: logits that can be computed by hand."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

#: Scale and zero point of the tensors of `mean_model` in 8 bits.
IN_8_BITS: Final = (1 / 64, 128)


def mean_model(size: int = 4, channels: int = 3, *, softmax: bool = False, bits: int = 32, batch: int = 1) -> bytes:
    """A model whose logits are the means of its channels.

    Args:
        size: side of its input in pixels; -1: any.
        channels: of its input (N, size, size, channels), and how many logits it gives.
        softmax: whether it gives probabilities instead.
        bits: 32 for float32; 8 for unsigned integers with the scale and zero point of `IN_8_BITS`.
        batch: faces that it is made for.
    """
    pytest.importorskip("ai_edge_litert", reason="LiteRT is optional: requirements-tflite.txt")
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name: str, shape: list[int], buffer: int = 0, kind: int | None = None) -> Any:
        made = schema.TensorT()
        made.name, made.shapeSignature, made.buffer = name.encode(), shape, buffer
        made.shape = [abs(side) for side in shape]
        made.type = kind if kind is not None else (schema.TensorType.UINT8 if bits == 8 else schema.TensorType.FLOAT32)
        if kind is None and bits == 8:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [IN_8_BITS[0]], [IN_8_BITS[1]]
        return made

    def operation(code: int, inputs: list[int], outputs: list[int], options: Any, kind: int) -> Any:
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = code, inputs, outputs
        made.builtinOptions, made.builtinOptionsType = options, kind
        return made

    def opcode(builtin: int) -> Any:
        made = schema.OperatorCodeT()
        made.builtinCode = made.deprecatedBuiltinCode = builtin
        made.version = 2 if bits == 8 else 1
        return made

    reducing, scaling = schema.ReducerOptionsT(), schema.SoftmaxOptionsT()
    reducing.keepDims, scaling.beta = False, 1.0
    graph = schema.SubGraphT()
    graph.tensors = [
        tensor("faces", [batch, size, size, channels]),
        tensor("axes", [2], 1, schema.TensorType.INT32),
        tensor("means", [batch, channels]),
    ]
    graph.operators = [operation(0, [0, 1], [2], reducing, schema.BuiltinOptions.ReducerOptions)]
    if softmax:
        graph.tensors.append(tensor("probabilities", [batch, channels]))
        graph.operators.append(operation(1, [2], [3], scaling, schema.BuiltinOptions.SoftmaxOptions))
    graph.inputs, graph.outputs = [0], [3 if softmax else 2]
    empty, axes = schema.BufferT(), schema.BufferT()
    axes.data = np.array([1, 2], np.int32).view(np.uint8)
    model = schema.ModelT()
    model.version, model.subgraphs, model.buffers = 3, [graph], [empty, axes]
    model.operatorCodes = [opcode(schema.BuiltinOperator.MEAN), opcode(schema.BuiltinOperator.SOFTMAX)]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def install_package(folder: Path, name: str, version: str, file: str, content: bytes | None) -> None:
    """A package as pip installs it; None leaves its file out. Its code fails when it is imported."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    path = folder / file
    path.parent.mkdir(parents=True)
    (folder / name / "__init__.py").write_text("raise AssertionError('a peer was imported')\n")
    if content is not None:
        path.write_bytes(content)
