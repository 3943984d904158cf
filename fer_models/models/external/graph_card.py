"""Cards of graphs (ONNX and the like): how one is fed and read, from a file beside it, as JSON or TOML."""

import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from torch import Tensor

from fer_models.errors import CardError
from fer_models.expressions import EXPRESSIONS, ClassNames
from fer_models.models.card import ModelCard
from fer_models.models.preprocessing import InputSpec

_MAX_BYTES: Final = 1 << 20
_TINY: Final = float(np.finfo(np.float32).tiny)

_Number = Annotated[float, Field(allow_inf_nan=False)]
_PerChannel = _Number | Annotated[list[_Number], Field(min_length=1, max_length=3)]


@dataclass(frozen=True)
class GraphFormat:
    """How a graph takes prepared faces and what its numbers are.

    Attributes:
        layout: order of the input's axes.
        channels: 1 or 3; a grey face is fed to three channels three times.
        bgr: whether the channels are blue, green, red.
        outputs: what it gives for each label.
    """

    layout: Literal["NCHW", "NHWC"] = "NCHW"
    channels: Literal[1, 3] = 3
    bgr: bool = False
    outputs: Literal["logits", "probabilities"] = "logits"

    def shape(self, size: int, count: int = 1) -> tuple[int, int, int, int]:
        """Of the input for faces of a size."""
        if self.layout == "NCHW":
            return count, self.channels, size, size
        return count, size, size, self.channels

    def feed(self, inputs: Tensor) -> NDArray[np.float32]:
        """(N, 3, S, S) float32, as `InputSpec` prepares faces, in the graph's layout and order of channels."""
        pixels: NDArray[np.float32] = inputs.detach().cpu().numpy()
        if self.channels == 1:
            pixels = pixels[:, :1]
        elif self.bgr:
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(pixels if self.layout == "NCHW" else pixels.transpose(0, 2, 3, 1), np.float32)

    def logits(self, outputs: NDArray[Any]) -> NDArray[np.float32]:
        """(N, C) outputs as logits: probabilities become their logarithms, so that a temperature applies to them."""
        if self.outputs == "logits":
            return np.asarray(outputs, np.float32)
        return np.log(np.maximum(np.asarray(outputs, np.float32), np.float32(_TINY)))


@dataclass(frozen=True)
class GraphFacts:
    """What a graph says of itself; None and () where it does not.

    Attributes:
        layout: order of the input's axes.
        channels: of the input.
        size: side of the input in pixels.
        width: how many numbers it gives for a face.
        outputs: what they are.
        labels: of the classes.
    """

    layout: str | None = None
    channels: int | None = None
    size: int | None = None
    width: int | None = None
    outputs: str | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class _InputFile:
    """The input on a card. What is None is what the graph says."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    mode: Literal["grey", "rgb", "bgr"] | None = None
    size: Annotated[int, Field(ge=8, le=1024)] | None = None
    channels: Literal[1, 3] | None = None
    layout: Literal["NCHW", "NHWC"] | None = None
    scale: Literal["0-1", "0-255"] = "0-1"
    mean: _PerChannel | None = None
    std: _PerChannel | None = None
    source_size: Annotated[int, Field(ge=8, le=1024)] | None = None


@dataclass(frozen=True)
class GraphCard:
    """A card of a graph as it lies on the disk.

    Attributes:
        labels: of the classes, in the order of the outputs, under any name that the vocabulary knows; others are kept.
        input: what the graph is fed. mean and std are per channel in the graph's order, on the scale.
        outputs: "logits" or "probabilities".
        output: name of the graph's output that has them, where it has several.
        title: what people read.
        training_labels: which labels it learned.
        training_data: which pictures.
        licence: of the file.
        sha256: of the file; "" is not checked.
        temperature: what logits are divided by before the softmax.
        intended_use: what it is for.
        misuse: what it must not be used for.
        weaknesses: what it is known to get wrong.
        recipe: how it was trained.
        metrics: measured results.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    labels: tuple[str, ...] = ()
    input: _InputFile = field(default_factory=_InputFile)
    outputs: Literal["logits", "probabilities"] | None = None
    output: str | None = None
    title: str = ""
    training_labels: str = ""
    training_data: str = "not stated"
    licence: str = "not stated"
    sha256: str = ""
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    intended_use: str = "Comparing, teaching and studying facial expression recognition on pictures one may use."
    misuse: str = "Not for decisions about people, not for surveillance. An expression is not what a person feels."
    weaknesses: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)


_CARD: Final = TypeAdapter(GraphCard)


def read_graph_card(path: Path) -> GraphCard | None:
    """The card beside a graph, NAME.json or NAME.toml; None if there is none.

    Args:
        path: of the graph.

    Raises:
        CardError: there are both, or it cannot be read or is malformed.
    """
    files = [file for file in (path.with_suffix(".json"), path.with_suffix(".toml")) if file.is_file()]
    if not files:
        return None
    if len(files) > 1:
        raise CardError(f"{path} has two cards, {files[0].name} and {files[1].name}. Remove one of them.")
    try:
        data = files[0].read_bytes()
        if len(data) > _MAX_BYTES:
            raise CardError(f"The model card {files[0]} has {len(data):,} bytes; a card has a few hundred.")
        text = data.decode("utf-8")
        content = json.loads(text) if files[0].suffix == ".json" else tomllib.loads(text)
        return _CARD.validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        reason = ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
        raise CardError(f"The model card {files[0]} is malformed: {reason}.") from error
    except OSError as error:
        raise CardError(f"Cannot read the model card {files[0]}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise CardError(f"The model card {files[0]} is malformed: {error}.") from error


def model_card(
    path: Path, card: GraphCard | None, facts: GraphFacts, *, kind: str, sha256: str, parameters: int
) -> tuple[ModelCard, GraphFormat]:
    """Join what the card says and what the graph says.

    Args:
        path: of the graph.
        card: None if there is none.
        facts: of the graph.
        kind: of file, such as "onnx": the architecture on the card.
        sha256: of the file.
        parameters: of the graph.

    Returns:
        The model's card, labels in the order of the outputs, and how the graph is fed and read.

    Raises:
        CardError: something is missing, does not fit the graph, or contradicts itself.
    """
    name, given = path.name[: -len(path.suffix)], card or GraphCard()
    labels, spec = given.labels or facts.labels, given.input
    channels = spec.channels or facts.channels
    mode = spec.mode or ("grey" if channels == 1 else None)
    size, layout = spec.size or facts.size, spec.layout or facts.layout
    outputs = given.outputs or facts.outputs
    normalised = spec.scale == "0-255" or (spec.mean is not None and spec.std is not None)
    wanted = {
        "labels": labels,
        "input.mode (grey, rgb or bgr)": mode,
        "input.size": size,
        "input.channels (1 or 3)": channels or mode == "grey",
        "input.layout (NCHW or NHWC)": layout,
        "input.mean and input.std (or input.scale = 0-255)": normalised,
        "outputs (logits or probabilities)": outputs,
    }
    missing = [term for term, value in wanted.items() if not value]
    if missing:
        raise CardError(
            f"{path} does not tell its {'; '.join(missing)}. Write {path.with_suffix('.json')}, such as "
            f"{json.dumps(_template(given, facts))} with what your model was trained with."
        )
    where = f"The card of {path.name}"
    for term, said, found in (
        ("input.size", spec.size, facts.size),
        ("input.channels", spec.channels, facts.channels),
        ("input.layout", spec.layout, facts.layout),
        ("outputs", given.outputs, facts.outputs),
    ):
        if said is not None and found is not None and said != found:
            raise CardError(f"{where} says {term} = {said}, but the graph has {found}. Correct the card.")
    if mode == "grey" and not channels:
        channels = 1
    if mode != "grey" and channels == 1:
        raise CardError(f"{where} says input.mode = {mode}, but the graph takes one channel: that is grey.")
    if facts.width is not None and facts.width != len(labels):
        raise CardError(f"{where} lists {len(labels)} labels, but the graph gives {facts.width} numbers for a face.")
    if given.sha256 not in ("", sha256):
        raise CardError(f"{path} is not the file its card describes: its SHA-256 is {sha256[:12]}...")
    assert mode is not None and size is not None
    mean, std = _normalisation(where, spec, mode)
    result = ModelCard(
        name=name,
        title=given.title or name.replace("_", " "),
        architecture=kind,
        labels=_expressions(where, labels),
        input=InputSpec(size, "grey" if mode == "grey" else "rgb", mean, std, spec.source_size),
        training_labels=given.training_labels or f"not stated ({path.name})",
        training_data=given.training_data,
        licence=given.licence,
        parameters=parameters,
        sha256=sha256,
        temperature=given.temperature,
        intended_use=given.intended_use,
        misuse=given.misuse,
        recipe=given.recipe,
        metrics=given.metrics,
        weaknesses=given.weaknesses,
    )
    return result, GraphFormat(layout, channels, mode == "bgr", outputs)  # type: ignore[arg-type]


def _normalisation(
    where: str, spec: _InputFile, mode: str
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and deviation as `InputSpec` has them: of red, green and blue, on the [0, 1] scale."""
    whole = 255.0 if spec.scale == "0-255" else 1.0
    result = []
    for term, value, default in (("mean", spec.mean, 0.0), ("std", spec.std, 1.0)):
        numbers = [default] if value is None else [value] if isinstance(value, int | float) else list(value)
        if len(numbers) not in (1, 3):
            raise CardError(f"{where} gives {len(numbers)} numbers as input.{term}; one or three are right.")
        numbers = numbers * 3 if len(numbers) == 1 else numbers
        if term == "std" and min(numbers) <= 0:
            raise CardError(f"{where} has a number in input.std that is not above 0.")
        if spec.scale == "0-1" and max(map(abs, numbers)) > 1.5:
            raise CardError(
                f"{where} has input.{term} = {numbers[0]:g}, too much for pixels from 0 to 1. If they are from 0 to "
                'its 255, add "scale": "0-255".'
            )
        red, green, blue = (number / whole for number in (numbers[::-1] if mode == "bgr" else numbers))
        result.append((red, green, blue))
    return result[0], result[1]


def _expressions(where: str, labels: Sequence[str]) -> tuple[str, ...]:
    """Labels in the vocabulary's words; what has no counterpart there stays as it is."""
    names = ClassNames()
    words = tuple(names.expression(label) or label.strip() for label in labels)
    if repeated := sorted({word for word in words if words.count(word) > 1}):
        raise CardError(f"{where} has the label {repeated[0]} more than once.")
    if "" in words:
        raise CardError(f"{where} has a label without a name.")
    if not set(words) & set(EXPRESSIONS):
        raise CardError(f"{where} names none of {', '.join(EXPRESSIONS)}: there would be nothing to compare.")
    return words


def _template(given: GraphCard, facts: GraphFacts) -> dict[str, Any]:
    """A card ready to copy, with what is known filled in and the rest as an example."""
    count, spec = facts.width or len(given.labels) or len(EXPRESSIONS), given.input
    example = [*EXPRESSIONS, "contempt", *(f"class {number}" for number in range(9, count + 1))][:count]
    channels = spec.channels or facts.channels or (1 if spec.mode == "grey" else 3)
    return {
        "labels": list(given.labels or facts.labels or example),
        "input": {
            "mode": spec.mode or ("grey" if channels == 1 else "rgb"),
            "size": spec.size or facts.size or 224,
            "channels": channels,
            "layout": spec.layout or facts.layout or "NCHW",
            "scale": spec.scale,
            "mean": spec.mean if spec.mean is not None else [0.5] if channels == 1 else [0.485, 0.456, 0.406],
            "std": spec.std if spec.std is not None else [0.5] if channels == 1 else [0.229, 0.224, 0.225],
        },
        "outputs": given.outputs or facts.outputs or "logits",
    }


def check_probabilities(path: Path, rows: NDArray[Any]) -> None:
    """Check outputs that a card calls probabilities.

    Args:
        path: of the graph.
        rows: (N, C).

    Raises:
        CardError: they are none.
    """
    if (
        rows.min() < 0
        or rows.max() > 1 + 1e-3
        or not all(math.isclose(total, 1, abs_tol=0.05) for total in rows.sum(1))
    ):
        raise CardError(
            f"The card of {path.name} says that its outputs are probabilities, but they are not between 0 and 1 with "
            'sum 1. If they are scores before a softmax, write "outputs": "logits".'
        )
