"""LiteRT, an optional extra: runs models in TFLite's format on CPUs, in the precision that their file has."""

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fer_models.errors import EngineError, WeightsError
from fer_models.models.engines.outputs import Outputs
from fer_models.models.external.formats import GraphFormat


class TfliteEngine:
    """Runs one TFLite model, face by face: larger batches are no faster.

    The interpreter keeps its inputs and outputs inside, so that threads take turns. It has one thread: others wait
    spinning, and on cores that other models share two of them took five times as long as one (measured).

    Attributes:
        name: "tflite".
        precision: "float32", or "int8" if the file holds tensors of 8 bits.
    """

    name = "tflite"

    def __init__(self, model: bytes, form: GraphFormat, size: int, classes: int) -> None:
        """Load a model.

        Args:
            model: the file's bytes.
            form: how it is fed and read.
            size: side of its input in pixels.
            classes: how many numbers it gives for a face.

        Raises:
            EngineError: LiteRT is not installed.
            WeightsError: it is no TFLite model, cannot be run, or is fed or answers otherwise.
        """
        self._form = form
        self._turn = threading.Lock()
        try:
            self._interpreter = interpreter_of(model)
            self._input = _input_of(self._interpreter, form.shape(size))
            self._output = _output_of(self._interpreter, classes)
            tensors = self._interpreter.get_tensor_details()
            self.precision = "int8" if any(np.dtype(each["dtype"]).itemsize == 1 for each in tensors) else "float32"
            self._run_one(np.zeros(form.shape(size)[1:], self._input["dtype"]))
        except (RuntimeError, ValueError) as error:  # LiteRT's own, for operations that it does not have
            raise WeightsError(f"This TFLite model cannot be run: {str(error)[:200]}") from error

    def run(self, inputs: Tensor, *, features: bool = False) -> Outputs:
        """As `Engine.run`; it gives no feature maps."""
        faces = _stored(self._form.feed(inputs), self._input)
        with self._turn:
            answers = np.concatenate([self._run_one(face) for face in faces])
        return Outputs(self._form.logits(_restored(answers, self._output)), None)

    def _run_one(self, face: NDArray[Any]) -> NDArray[Any]:
        """The output (1, C) for one input, both as the file has them."""
        self._interpreter.set_tensor(self._input["index"], face[None])
        self._interpreter.invoke()
        answer: NDArray[Any] = self._interpreter.get_tensor(self._output["index"])  # a copy
        return answer.reshape(1, -1)


def interpreter_of(model: bytes) -> Any:
    """LiteRT's interpreter of a model; no memory is set aside yet.

    Raises:
        EngineError: LiteRT is not installed.
        ValueError: it is no TFLite model.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        raise EngineError("TFLite models need a package: pip install -r requirements-tflite.txt") from None
    return Interpreter(model_content=model, num_threads=1)


def _input_of(interpreter: Any, wanted: tuple[int, int, int, int]) -> dict[str, Any]:
    """The input's details, once it is fed one face of this shape and memory is set aside for that."""
    details = interpreter.get_input_details()
    shape = [int(side) for side in details[0]["shape_signature"]]
    fits = len(shape) == 4 and all(own in (side, -1) for own, side in zip(shape, wanted, strict=True))  # -1: any
    if len(details) != 1 or not fits:
        shapes = ", ".join("x".join(map(str, each["shape_signature"])) for each in details)
        raise WeightsError(f"This TFLite model is fed {shapes}; {'x'.join(map(str, wanted))} was expected.")
    if -1 in shape:
        interpreter.resize_tensor_input(details[0]["index"], wanted)
    interpreter.allocate_tensors()
    found: dict[str, Any] = interpreter.get_input_details()[0]
    return found


def _output_of(interpreter: Any, classes: int) -> dict[str, Any]:
    """The details of the one output that has as many numbers as there are classes."""
    details = interpreter.get_output_details()
    found: list[dict[str, Any]] = [each for each in details if np.prod(each["shape"]) == classes]
    if len(found) != 1:
        shapes = ", ".join("x".join(map(str, each["shape"])) for each in details)
        raise WeightsError(f"This TFLite model gives {shapes}; its card lists {classes} labels.")
    return found[0]


def _stored(values: NDArray[np.float32], details: dict[str, Any]) -> NDArray[Any]:
    """Numbers as a tensor stores them: real value = scale * (stored - zero point)."""
    dtype = np.dtype(details["dtype"])
    scale, zero = details["quantization"]
    if not np.issubdtype(dtype, np.integer):
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    stored: NDArray[Any] = np.clip(np.round(values / (scale or 1)) + zero, limits.min, limits.max).astype(dtype)
    return stored


def _restored(values: NDArray[Any], details: dict[str, Any]) -> NDArray[np.float32]:
    """The numbers of a stored tensor, float32."""
    scale, zero = details["quantization"]
    numbers = values.astype(np.float32)
    return (numbers - zero) * np.float32(scale) if scale else numbers
