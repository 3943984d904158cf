"""Cards of others' models: how one is fed and read, from a file beside it, as JSON or TOML."""

import json
import logging
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from fer_models.errors import CardError
from fer_models.expressions import EXPRESSIONS, ClassNames, class_name
from fer_models.models.card import ModelCard
from fer_models.models.external.files import card_files, external_name
from fer_models.models.external.formats import GraphFacts, GraphFormat
from fer_models.models.preprocessing import InputSpec
from fer_models.results import SHARED_CROP, CropSpec

_MAX_BYTES: Final = 1 << 20
#: What some networks give beside the classes: no class, but a number on a scale.
_SCALES: Final = ("valence", "arousal")

_CONTEMPT: Final = "contempt"

_log = logging.getLogger(__name__)

_Number = Annotated[float, Field(allow_inf_nan=False)]
_PerChannel = _Number | Annotated[list[_Number], Field(min_length=1, max_length=3)]


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
    interpolation: Literal["bilinear", "bicubic", "lanczos"] = "bilinear"


@dataclass(frozen=True)
class GraphCard:
    """A card of a graph, or of weights of a library's architecture, as it lies on the disk.

    Attributes:
        labels: of the classes, in the order of the outputs, under any name that the vocabulary knows; others are kept.
            What is called valence or arousal is no class, and is left out.
        input: what the graph is fed. mean and std are per channel in the graph's order, on the scale.
        crop: how the face is cut out: "landmarks", as for this project's models; "box", the detector's; or a box with
            its margin, as `CropSpec`.
        outputs: "logits"; "probabilities", which sum to 1; or "sigmoid": behind a sigmoid for each class.
        output: name of the graph's output that has them, where it has several.
        architecture: of weights, such as "torchvision:efficientnet_b0" or "timm:resnet18"; a graph has none.
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
    crop: Literal["landmarks", "box"] | CropSpec = SHARED_CROP
    outputs: Literal["logits", "probabilities", "sigmoid"] | None = None
    output: str | None = None
    architecture: str | None = None
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
    """The card beside a model, NAME.json or NAME.toml; None if there is none.

    Args:
        path: of the model.

    Raises:
        CardError: there are both, or it cannot be read or is malformed.
    """
    files = card_files(path)
    if not files:
        return None
    if len(files) > 1:
        raise CardError(f"{path} has two cards, {files[0].name} and {files[1].name}. Remove one of them.")
    return parse_card(files[0], card_content(files[0]))


def card_content(file: Path) -> Any:
    """What a card's JSON or TOML holds.

    Raises:
        CardError: it cannot be read or is malformed.
    """
    try:
        data = file.read_bytes()
        if len(data) > _MAX_BYTES:
            raise CardError(f"The model card {file} has {len(data):,} bytes; a card has a few hundred.")
        text = data.decode("utf-8")
        return json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise CardError(f"Cannot read the model card {file}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise CardError(f"The model card {file} is malformed: {error}.") from error


def parse_card(file: Path, content: Any) -> GraphCard:
    """A card from its content.

    Args:
        file: for errors.
        content: of the JSON or TOML.

    Raises:
        CardError: it is malformed.
    """
    try:
        return _CARD.validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        reason = ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
        raise CardError(f"The model card {file} is malformed: {reason}.") from error


def model_card(
    path: Path,
    card: GraphCard | None,
    facts: GraphFacts,
    *,
    kind: str,
    sha256: str,
    parameters: int,
    place: Path | None = None,
) -> tuple[ModelCard, GraphFormat]:
    """Join what the card says and what the file says.

    Args:
        path: of the graph or the weights.
        card: None if there is none.
        facts: of the graph.
        kind: of file, such as "onnx", or what it names: the architecture on the model's card.
        sha256: of the file.
        parameters: of the graph.
        place: where its card belongs; None: beside it.

    Returns:
        The model's card, labels in the order of the outputs, and how the graph is fed and read.

    Raises:
        CardError: something is missing, does not fit the graph, or contradicts itself.
    """
    name, given = external_name(path), card or GraphCard()
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
        "outputs (logits, probabilities or sigmoid)": outputs,
    }
    missing = [term for term, value in wanted.items() if not value]
    if missing:
        raise CardError(
            f"{path} does not tell its {'; '.join(missing)}. Write {place or path.with_name(name + '.json')}, such as "
            f"{json.dumps(card_template(given, facts))} with what your model was trained with."
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
    others = tuple(index for index, label in enumerate(labels) if label.strip().casefold() in _SCALES)
    result = ModelCard(
        name=name,
        title=given.title or name.replace("_", " "),
        architecture=kind,
        labels=_expressions(where, [label for index, label in enumerate(labels) if index not in others]),
        input=InputSpec(size, "grey" if mode == "grey" else "rgb", mean, std, spec.source_size, spec.interpolation),
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
        crop=CropSpec(given.crop) if isinstance(given.crop, str) else given.crop,
    )
    return result, GraphFormat(layout, channels, mode == "bgr", outputs, others)  # type: ignore[arg-type]


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
    """Labels in the vocabulary's words; what has no counterpart there keeps its own."""
    names = ClassNames()
    words = tuple(names.expression(label) or class_name(label) for label in labels)
    if repeated := sorted({word for word in words if words.count(word) > 1}):
        raise CardError(f"{where} has the label {repeated[0]} more than once.")
    if "" in words:
        raise CardError(f"{where} has a label without a name.")
    if not set(words) & set(EXPRESSIONS):
        raise CardError(f"{where} names none of {', '.join(EXPRESSIONS)}: there would be nothing to compare.")
    for label, word in names.guessed.items():
        _log.warning("%s has the label %r, which is taken for %s.", where, label, word)
    if strange := sorted(set(words) - set(EXPRESSIONS) - {_CONTEMPT}):
        _log.warning(
            "%s has labels that are none of the seven expressions: %s. They are shown, and left out of agreement. If "
            "one of them stands for an expression, write that.",
            where,
            ", ".join(strange),
        )
    return words


def card_template(given: GraphCard, facts: GraphFacts) -> dict[str, Any]:
    """A card ready to copy, with what is known filled in and the rest as an example."""
    count, spec = facts.width or len(given.labels) or len(EXPRESSIONS), given.input
    example = [*EXPRESSIONS, "contempt", *(f"class {number}" for number in range(9, count + 1))][:count]
    channels = spec.channels or facts.channels or (1 if spec.mode == "grey" else 3)
    grey, plain = channels == 1, spec.scale == "0-255"  # such pixels may be fed as they are
    usual = {"mean": [0.5] if grey else [0.485, 0.456, 0.406], "std": [0.5] if grey else [0.229, 0.224, 0.225]}
    given_or_usual = {term: getattr(spec, term) if getattr(spec, term) is not None else usual[term] for term in usual}
    normalised = {} if plain and spec.mean is None and spec.std is None else given_or_usual
    return {
        "labels": list(given.labels or facts.labels or example),
        "input": {
            "mode": spec.mode or ("grey" if grey else "rgb"),
            "size": spec.size or facts.size or 224,
            "channels": channels,
            "layout": spec.layout or facts.layout or "NCHW",
            "scale": spec.scale,
            **normalised,
        },
        "outputs": given.outputs or facts.outputs or "logits",
    }
