"""How pictures, faces, inputs and outputs travel between a page and the backend that runs its models.

Arrays travel as safetensors, which cannot hold code; facts about the models as JSON. Both keep every bit.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from fer_models.errors import BackendError
from fer_models.models.card import ModelCard, parse_card
from fer_models.models.engines.outputs import Outputs
from fer_models.results import Face

#: Media type of packed arrays.
ARRAYS: Final = "application/vnd.safetensors"


@dataclass(frozen=True, eq=False)
class ModelFacts:
    """What a page must know about a model that runs elsewhere.

    Attributes:
        card: its card.
        engine: what runs it there.
        precision: what it computes in there.
        class_weights: (C, K) float32, as `Classifier.class_weights`; None where it gives no class attention map.
    """

    card: ModelCard
    engine: str
    precision: str
    class_weights: NDArray[np.float32] | None


def pack_image(image: NDArray[np.uint8]) -> bytes:
    """A picture (H, W, 3) uint8 RGB, as `unpack_image` reads it."""
    return _pack({"image": image})


def unpack_image(content: bytes) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB.

    Raises:
        BackendError: something else was sent.
    """
    image: NDArray[np.uint8] = _array(_unpack(content), "image", np.uint8, (None, None, 3))
    return image


def pack_faces(faces: Sequence[Face]) -> bytes:
    """Detected faces; all or none of a picture's have landmarks."""
    boxes = np.array([face.box for face in faces], np.float32).reshape(-1, 4)
    scores = np.array([face.score for face in faces], np.float64)
    landmarks = [face.landmarks for face in faces if face.landmarks is not None]
    arrays: dict[str, NDArray[Any]] = {"boxes": boxes, "scores": scores}
    if len(landmarks) == len(faces):
        arrays["landmarks"] = np.array(landmarks, np.float32).reshape(-1, 5, 2)
    return _pack(arrays)


def unpack_faces(content: bytes) -> list[Face]:
    """The faces in their order.

    Raises:
        BackendError: something else was sent.
    """
    arrays = _unpack(content)
    boxes = _array(arrays, "boxes", np.float32, (None, 4))
    scores = _array(arrays, "scores", np.float64, (len(boxes),))
    if "landmarks" not in arrays:
        return [Face(box, None, float(score)) for box, score in zip(boxes, scores, strict=True)]
    landmarks = _array(arrays, "landmarks", np.float32, (len(boxes), 5, 2))
    return [Face(box, points, float(score)) for box, points, score in zip(boxes, landmarks, scores, strict=True)]


def pack_inputs(inputs: NDArray[np.float32], features: bool) -> bytes:
    """(N, 3, S, S) float32 and whether feature maps are asked for."""
    return _pack({"inputs": inputs, "features": np.array([features], np.uint8)})


def unpack_inputs(content: bytes) -> tuple[NDArray[np.float32], bool]:
    """What `pack_inputs` packed.

    Raises:
        BackendError: something else was sent.
    """
    arrays = _unpack(content)
    inputs = _array(arrays, "inputs", np.float32, (None, 3, None, None))
    return inputs, bool(_array(arrays, "features", np.uint8, (1,))[0])


def pack_outputs(outputs: Outputs) -> bytes:
    """Logits and, where there are some, feature maps."""
    return _pack({"logits": outputs.logits} | ({} if outputs.features is None else {"features": outputs.features}))


def unpack_outputs(content: bytes, rows: int) -> Outputs:
    """The outputs of so many inputs.

    Raises:
        BackendError: something else was sent.
    """
    arrays = _unpack(content)
    features = _array(arrays, "features", np.float32, (rows, None, None, None)) if "features" in arrays else None
    return Outputs(_array(arrays, "logits", np.float32, (rows, None)), features)


def facts_to_json(facts: Sequence[ModelFacts]) -> dict[str, Any]:
    """The models in their order, ready for `json.dumps`."""
    return {
        "models": [
            {
                "card": asdict(model.card),
                "engine": model.engine,
                "precision": model.precision,
                "class_weights": None if model.class_weights is None else model.class_weights.tolist(),
            }
            for model in facts
        ]
    }


def facts_from_json(content: bytes) -> list[ModelFacts]:
    """What `facts_to_json` gave.

    Raises:
        BackendError: something else was sent.
        CardError: a card is malformed.
    """
    try:
        return [
            ModelFacts(
                parse_card(model["card"], "of the backend"),
                str(model["engine"]),
                str(model["precision"]),
                None if model["class_weights"] is None else np.array(model["class_weights"], np.float32),
            )
            for model in json.loads(content)["models"]
        ]
    except (ValueError, LookupError, TypeError) as error:
        raise BackendError(
            "What answers at the address of the backend is no backend of this project, or of another version."
        ) from error


def _pack(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    packed: bytes = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    return packed


def _unpack(content: bytes) -> dict[str, NDArray[Any]]:
    try:
        arrays: dict[str, NDArray[Any]] = load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise BackendError(f"Arrays were expected, {len(content):,} bytes of something else were sent.") from error
    return arrays


def _array(arrays: Mapping[str, NDArray[Any]], name: str, dtype: Any, shape: tuple[int | None, ...]) -> Any:
    """One of the arrays, if it has this dtype and shape; None stands for any length."""
    array = arrays.get(name)
    if (
        array is None
        or array.dtype != dtype
        or array.ndim != len(shape)
        or any(want is not None and want != have for want, have in zip(shape, array.shape, strict=True))
    ):
        found = "nothing" if array is None else f"{array.dtype} {array.shape}"
        raise BackendError(f"{name} should be {np.dtype(dtype)} {shape}, but {found} was sent.")
    return array
