"""LiteRT, an optional extra: runs models in TFLite's format on CPUs, in the precision that their file has."""

import threading
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_models.errors import EngineError, WeightsError
from fer_models.models.engines.outputs import Outputs

#: The smallest normal float32: what a probability of 0 is taken for, so that its logarithm is finite.
_LEAST: Final = float(np.finfo(np.float32).tiny)
#: How far probabilities may be from adding up to 1: those of 8 bits are rounded to 1/256 each.
_ROUNDING: Final = 0.05


class TfliteEngine:
    """Runs one TFLite model, face by face: larger batches are no faster.

    The interpreter keeps its inputs and outputs inside, so that threads take turns. It has one thread: others wait
    spinning, and on cores that other models share two of them took five times as long as one (measured).

    Attributes:
        name: "tflite".
        precision: "float32", or "int8" if the file holds tensors of 8 bits.
        gives_probabilities: whether the model ends in a softmax; its logits are then the logarithms, which are what
            the softmax was given but for a constant.
    """

    name = "tflite"

    def __init__(self, model: bytes, size: int, classes: int) -> None:
        """Load a model.

        Args:
            model: the file's bytes.
            size: side of its input in pixels.
            classes: how many logits or probabilities it gives.

        Raises:
            EngineError: LiteRT is not installed.
            WeightsError: it is no TFLite model, cannot be run, or is fed or answers otherwise.
        """
        self._interpreter = _interpreter(model)
        self._turn = threading.Lock()
        try:
            self._input = _input_of(self._interpreter, size)
            self._output = _output_of(self._interpreter, classes)
            tensors = self._interpreter.get_tensor_details()
            self.precision = "int8" if any(np.dtype(each["dtype"]).itemsize == 1 for each in tensors) else "float32"
            self.gives_probabilities = False
            probe = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
            found = self.run(probe).logits
        except (RuntimeError, ValueError) as error:  # LiteRT's own, for operations that it does not have
            raise WeightsError(f"This TFLite model cannot be run: {str(error)[:200]}") from error
        self.gives_probabilities = bool((found >= 0).all() and (np.abs(found.sum(1) - 1) < _ROUNDING).all())

    def run(self, inputs: Tensor, *, features: bool = False) -> Outputs:
        """As `Engine.run`; it gives no feature maps."""
        channels = self._input["channels"]
        faces = inputs[:, :channels].numpy()  # a model of one channel is fed grey, which is alike on all three
        if self._input["last"]:
            faces = faces.transpose(0, 2, 3, 1)
        with self._turn:
            answers = np.concatenate([self._run_one(face) for face in _stored(faces, self._input)])
        answers = _restored(answers, self._output)
        if self.gives_probabilities:
            step = self._output["quantization"][0] / 2  # what rounds to 0 may be up to this
            answers = np.log(np.maximum(answers, step or _LEAST))
        return Outputs(answers, None)

    def _run_one(self, face: NDArray[Any]) -> NDArray[Any]:
        """The output (1, C) for one input, both as the file has them."""
        self._interpreter.set_tensor(self._input["index"], np.ascontiguousarray(face[None]))
        self._interpreter.invoke()
        answer: NDArray[Any] = self._interpreter.get_tensor(self._output["index"])  # a copy
        return answer.reshape(1, -1)


def _interpreter(model: bytes) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        raise EngineError("TFLite models need a package: pip install -r requirements-tflite.txt") from None
    try:
        return Interpreter(model_content=model, num_threads=1)
    except ValueError as error:
        raise WeightsError(f"This is no TFLite model: {str(error)[:200]}") from error


def _input_of(interpreter: Any, size: int) -> dict[str, Any]:
    """The input's details, with `channels`, and `last` for whether they are the last axis; memory is set aside."""
    details = interpreter.get_input_details()
    shape = [int(side) for side in details[0]["shape_signature"]]
    last = len(shape) == 4 and shape[3] in (1, 3)
    channels = shape[3 if last else 1] if len(shape) == 4 else 0
    wanted = [1, size, size, channels] if last else [1, channels, size, size]
    fits = all(own in (side, -1) for own, side in zip(shape, wanted, strict=False))  # -1: any
    if len(details) != 1 or channels not in (1, 3) or not fits:
        shapes = ", ".join("x".join(map(str, each["shape_signature"])) for each in details)
        raise WeightsError(f"This TFLite model is fed {shapes}; one face of 1 or 3 channels, {size} px, was expected.")
    if -1 in shape:
        interpreter.resize_tensor_input(details[0]["index"], wanted)
    interpreter.allocate_tensors()
    return {**interpreter.get_input_details()[0], "channels": channels, "last": last}


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
    if not np.issubdtype(dtype, np.integer) or not scale:
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    stored: NDArray[Any] = np.clip(np.round(values / scale) + zero, limits.min, limits.max).astype(dtype)
    return stored


def _restored(values: NDArray[Any], details: dict[str, Any]) -> NDArray[np.float32]:
    """The numbers of a stored tensor, float32."""
    scale, zero = details["quantization"]
    numbers = values.astype(np.float32)
    return (numbers - zero) * np.float32(scale) if scale else numbers
