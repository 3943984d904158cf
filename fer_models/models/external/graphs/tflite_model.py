"""TFLite files as models: described by a card, and run by LiteRT on the CPU alone."""

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from fer_models.errors import CardError, WeightsError
from fer_models.models.card import ModelCard
from fer_models.models.engines.tflite_engine import TfliteEngine, interpreter_of
from fer_models.models.external.cards import model_card, read_graph_card
from fer_models.models.external.formats import GraphFacts, check_outputs

#: Bound on a file.
_MAX_BYTES: Final = 1 << 30


def load_tflite(path: Path) -> tuple[ModelCard, TfliteEngine]:
    """A model from a TFLite file, and its card from beside it.

    Args:
        path: NAME.tflite, with NAME.json or NAME.toml beside it.

    Raises:
        EngineError: LiteRT, which runs it, is not installed.
        WeightsError: the file cannot be read or run, or is no classifier.
        CardError: the card is missing, malformed, or does not fit the model.
    """
    data, interpreter = _read(path)
    given = read_graph_card(path)
    if given is not None and given.output is not None:
        raise CardError(f"The card of {path.name} names an output; of a TFLite file the one with a row is read.")
    facts, sha256 = _facts(interpreter, data), hashlib.sha256(data).hexdigest()
    card, form = model_card(path, given, facts, kind="tflite", sha256=sha256, parameters=_parameters(data))
    try:
        engine = TfliteEngine(data, form, card.input.size, len(card.labels) + len(form.others))
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    size = card.input.size
    found = engine.run(torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1).logits
    if not np.isfinite(found).all():
        raise WeightsError(f"{path} gives numbers that are not finite (NaN or infinity).")
    if form.outputs != "sigmoid":  # whatever numbers these are
        check_outputs(path, form.outputs, np.exp(found) if form.outputs == "probabilities" else found)
    return card, engine


def read_facts(path: Path) -> GraphFacts:
    """What a file says of itself.

    Raises:
        EngineError: LiteRT is not installed.
        WeightsError: the file cannot be read.
    """
    data, interpreter = _read(path)
    return _facts(interpreter, data)


def _read(path: Path) -> tuple[bytes, Any]:
    """A file's bytes, and LiteRT's interpreter of them."""
    try:
        if (length := path.stat().st_size) > _MAX_BYTES:
            raise WeightsError(f"{path} has {length:,} bytes, more than the {_MAX_BYTES:,} that are read.")
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"Cannot read the file {path}: {error.strerror}.") from error
    try:
        return data, interpreter_of(data)
    except (RuntimeError, ValueError) as error:
        raise WeightsError(f"{path} is not a TFLite file, or it is damaged. Get it again.") from error


def _facts(interpreter: Any, data: bytes) -> GraphFacts:
    """What the file says of itself."""
    shape = [int(side) for side in interpreter.get_input_details()[0]["shape_signature"]]
    outputs = interpreter.get_output_details()
    width = int(np.prod(outputs[0]["shape"])) if len(outputs) == 1 else None
    first, last = (len(shape) == 4 and shape[axis] in (1, 3) for axis in (1, 3))
    if first == last:
        return GraphFacts(width=width, outputs=_ending(data))
    sides = shape[2:] if first else shape[1:3]
    return GraphFacts(
        layout="NCHW" if first else "NHWC",
        channels=shape[1 if first else 3],
        size=sides[0] if sides[0] > 0 else None,
        width=width,
        outputs=_ending(data),
    )


def _ending(data: bytes) -> str | None:
    """What the output is by the last operation that changes numbers; None where that, or the output, is not known."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(data)
    graph = model.Subgraphs(0)
    kinds = schema.BuiltinOperator
    ends = {kinds.SOFTMAX: "probabilities", kinds.LOG_SOFTMAX: "logits", kinds.LOGISTIC: "sigmoid"}
    for index in reversed(range(graph.OperatorsLength())) if graph.OutputsLength() == 1 else ():
        code = model.OperatorCodes(graph.Operators(index).OpcodeIndex())
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())  # older files have the second alone
        if builtin not in (kinds.QUANTIZE, kinds.DEQUANTIZE, kinds.RESHAPE):
            return ends.get(builtin)
    return None


def _parameters(data: bytes) -> int:
    """How many numbers its weights have; integers of more than 8 bits are shapes and axes."""
    from ai_edge_litert import schema_py_generated as schema

    kinds = (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16, schema.TensorType.INT8, schema.TensorType.UINT8)
    model = schema.Model.GetRootAs(data)
    graph = model.Subgraphs(0)
    tensors = [graph.Tensors(index) for index in range(graph.TensorsLength())]
    weights = [each for each in tensors if each.Type() in kinds and model.Buffers(each.Buffer()).DataLength()]
    return int(sum(np.prod(each.ShapeAsNumpy()) for each in weights))
