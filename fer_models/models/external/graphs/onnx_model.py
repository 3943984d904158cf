"""ONNX files as models: checked, described by a card, and run by onnxruntime on the CPU alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import ValueInfoProto
from torch import Tensor

from fer_models.errors import CardError, EngineError, WeightsError
from fer_models.expressions import EXPRESSIONS
from fer_models.models.card import ModelCard
from fer_models.models.engines.outputs import Outputs
from fer_models.models.external.cards import GraphCard, _InputFile, model_card, read_graph_card
from fer_models.models.external.formats import GraphFacts, GraphFormat, check_outputs
from fer_models.models.external.graphs.families import family_card
from fer_models.models.external.graphs.head import LinearHead, find_head, last_step
from fer_models.models.external.graphs.onnx_file import OnnxFile, check_sizes, read_onnx

_PROBES: Final = 2
#: Mean and deviation of pixels that are fed as they are.
_BLACK: Final = (0.0, 0.0, 0.0)
_LEVELS: Final = (1 / 255, 1 / 255, 1 / 255)
#: What a graph gives whose last step is this.
_ENDINGS: Final = {"Softmax": "probabilities", "LogSoftmax": "logits", "Sigmoid": "sigmoid"}
_MOST_CLASSES: Final = 1000


@dataclass(frozen=True, eq=False)
class GraphModel:
    """A graph that is ready to run.

    Attributes:
        card: with labels in the order of the logits.
        engine: runs it.
        class_weights: (C, K) float32 of its linear head; None where it has none or its feature maps are out of reach.
    """

    card: ModelCard
    engine: "OnnxEngine"
    class_weights: NDArray[np.float32] | None


class OnnxEngine:
    """Runs one graph in float32 with onnxruntime on the CPU.

    Attributes:
        name: "onnxruntime".
        precision: "float32".
    """

    name = "onnxruntime"
    precision = "float32"

    def __init__(
        self, file: OnnxFile, output: str, form: GraphFormat, head: LinearHead | None = None, batch: int | None = None
    ) -> None:
        """Load a graph.

        Args:
            file: checked before.
            output: name of the output that is read.
            form: how the graph is fed and read.
            head: gives the feature maps; None if there are none.
            batch: how many faces the graph takes at once; None: any number.

        Raises:
            WeightsError: onnxruntime cannot run the graph.
        """
        self._file, self._output, self._form, self._head, self._batch = file, output, form, head, batch
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4  # what fails is raised
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        data = _with_output(file, head.features) if head else file.model.SerializeToString()
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises its own, of many types
            raise WeightsError(f"{file.path} cannot be run by onnxruntime: {_line(error)}") from error

    def run(self, inputs: Tensor, *, features: bool = False) -> Outputs:
        """As `Engine.run`.

        Raises:
            EngineError: the graph fails, or gives numbers that are not finite.
        """
        outputs, maps = self.run_raw(self._form.feed(inputs), features=features and self._head is not None)
        if not np.isfinite(outputs).all():
            raise EngineError(f"{self._file.path.name} gave numbers that are not finite. Leave it out with --models.")
        kept = self._head.maps(maps) if self._head is not None and maps is not None else None
        return Outputs(self._form.logits(outputs), kept)

    def run_raw(self, pixels: NDArray[np.float32], *, features: bool) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """What the graph gives for inputs in its own layout: its outputs, and the tensor with its feature maps.

        Raises:
            EngineError: the graph fails.
        """
        wanted = [self._output, *([self._head.features] if features and self._head else [])]
        count, step = len(pixels), self._batch or len(pixels)
        parts = []
        for start in range(0, count, step):
            part = pixels[start : start + step]
            if missing := step - len(part):  # a graph of a fixed batch: the last face again
                part = np.concatenate([part, np.repeat(part[-1:], missing, 0)])
            try:
                parts.append(self._session.run(wanted, {self._file.input: self._numbers(part)}))
            except Exception as error:
                raise EngineError(f"{self._file.path.name} cannot be run: {_line(error)}") from error
        outputs, *maps = (np.concatenate([part[index] for part in parts])[:count] for index in range(len(wanted)))
        return outputs, maps[0] if maps else None

    def _numbers(self, pixels: NDArray[np.float32]) -> NDArray[Any]:
        """Inputs in the type that the graph takes; whole numbers are the nearest ones."""
        if self._file.dtype == "uint8":
            pixels = pixels.round().clip(0, 255)
        return pixels.astype(self._file.dtype, copy=False)


def load_onnx(
    path: Path, card: GraphCard | None = None, name: str | None = None, place: Path | None = None
) -> GraphModel:
    """A model from an ONNX file, and its card: from beside it, or of a well-known family.

    Args:
        path: NAME.onnx, with NAME.json or NAME.toml beside it.
        card: instead of one beside it.
        name: what the model is called, instead of the file's name.
        place: where its card belongs, if not beside it.

    Raises:
        WeightsError: the file cannot be read or run, asks for what is not admitted, or is no classifier.
        CardError: the card is missing, malformed, or does not fit the graph.
    """
    file = read_onnx(path)
    given = card or read_graph_card(path)
    if given is not None and given.architecture is not None:
        raise CardError(f"The card of {path.name} names an architecture; a graph has its own. Leave that out.")
    output = _output(file, given)
    facts = _facts(file, output)
    described, form = model_card(
        path if name is None else path.with_name(name),
        given or family_card(path.stem, facts),
        facts,
        kind="onnx",
        place=place,
        sha256=file.sha256,
        parameters=file.parameters,
    )
    if file.dtype == "uint8" and (described.input.mean, described.input.std) != (_BLACK, _LEVELS):
        raise CardError(
            f'{path} takes whole numbers from 0 to 255. Its card must say "scale": "0-255", without mean and std.'
        )
    shape = form.shape(described.input.size)
    check_sizes(file, shape)
    probe = _probe(described, form)
    head, engine, batch = find_head(file, output), None, file.shape[0]
    if head is not None:
        try:
            engine = OnnxEngine(file, output, form, head, batch)
            outputs, maps = engine.run_raw(probe, features=True)
            if maps is None or not head.explains(maps, outputs):
                head = engine = None
        except (WeightsError, EngineError):
            head = engine = None
    engine = engine or OnnxEngine(file, output, form, None, batch)
    engine = _checked(file, output, form, head, engine, probe, described)
    return GraphModel(described, engine, None if head is None else np.delete(head.weights, form.others, 0))


def read_card_and_facts(path: Path) -> tuple[GraphCard, GraphFacts]:
    """What is known of a file without a card beside it: of a well-known one its card, of another which output to read.

    Raises:
        WeightsError: the file cannot be read, asks for what is not admitted, or is no classifier.
    """
    file = read_onnx(path)
    rows = _rows(file)
    given = GraphCard(
        input=_InputFile(scale="0-255" if file.dtype == "uint8" else "0-1"),
        output=_likely(rows) if len(rows) > 1 else None,
    )
    facts = _facts(file, _output(file, given))
    return family_card(path.stem, facts) or given, facts


def _checked(
    file: OnnxFile,
    output: str,
    form: GraphFormat,
    head: LinearHead | None,
    engine: OnnxEngine,
    probe: NDArray[np.float32],
    card: ModelCard,
) -> OnnxEngine:
    """An engine whose outputs are what the card says, whether faces come alone or together."""
    try:
        outputs, _ = engine.run_raw(probe, features=False)
        alone, _ = engine.run_raw(probe[:1], features=False)
        together = outputs.shape == (len(probe), *outputs.shape[1:]) and np.allclose(
            outputs[:1], alone, rtol=1e-3, atol=1e-3, equal_nan=True
        )
    except EngineError:
        together = False
    if not together:  # a graph that says it takes any number, but was exported for one
        engine = OnnxEngine(file, output, form, head, 1)
        try:
            outputs, _ = engine.run_raw(probe, features=False)
        except EngineError as error:
            raise WeightsError(str(error)) from error
    count = len(card.labels) + len(form.others)
    if outputs.ndim != 2 or outputs.shape != (len(probe), count):
        raise WeightsError(
            f"{file.path} gives {'x'.join(map(str, outputs.shape[1:])) or 'one'} numbers for a face; its card lists "
            f"{count} labels."
        )
    if not np.isfinite(outputs).all():
        raise WeightsError(f"{file.path} gives numbers that are not finite (NaN or infinity) for a plain picture.")
    check_outputs(file.path, form.outputs, form.classes(outputs))
    return engine


def _output(file: OnnxFile, card: GraphCard | None) -> str:
    """The output that is read: the card's, or the only one that gives a row of as many numbers as there are labels."""
    if card is not None and card.output is not None:
        if card.output not in file.outputs:
            raise CardError(f"{file.path} has no output {card.output!r}; it has {', '.join(file.outputs)}.")
        return card.output
    rows = _rows(file)
    if not rows:
        raise WeightsError(f"{file.path} gives no row of numbers for a face (N, classes): it is no classifier.")
    count = len(card.labels if card is not None and card.labels else file.labels)
    fitting = [name for name, width in rows.items() if width == count] if len(rows) > 1 else [*rows]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(name if width is None else f"{name} with {width} numbers" for name, width in rows.items())
    raise CardError(f'{file.path} has several outputs ({names}). Name one on its card: "output": "{_likely(rows)}".')


def _rows(file: OnnxFile) -> dict[str, int | None]:
    """The outputs that can be a row of numbers for each face, and how many; None where the graph does not say."""
    shapes = {
        each.name: [axis.dim_value for axis in each.type.tensor_type.shape.dim] for each in file.model.graph.output
    }
    return {name: sides[1] or None if sides else None for name, sides in shapes.items() if len(sides) in (0, 2)}


def _likely(rows: Mapping[str, int | None]) -> str:
    """Of several outputs the likeliest to be expressions: one with about as many numbers as there are expressions."""
    return min(rows, key=lambda name: abs((rows[name] or _MOST_CLASSES) - len(EXPRESSIONS)))


def _facts(file: OnnxFile, output: str) -> GraphFacts:
    kind = next(each.type.tensor_type for each in file.model.graph.output if each.name == output)
    sizes = [axis.dim_value for axis in kind.shape.dim]
    width = sizes[1] if len(sizes) == 2 and sizes[1] > 0 else None
    if width is not None and not 2 <= width <= _MOST_CLASSES:
        raise WeightsError(f"{file.path} gives {width} numbers for a face: it is no classifier of expressions.")
    last = last_step(file, output)
    ending = _ENDINGS.get(last.op_type) if last is not None else None
    labels = file.labels if width in (len(file.labels), None) else ()
    return GraphFacts(file.layout, file.channels, file.size, width, ending, labels)


def _probe(card: ModelCard, form: GraphFormat) -> NDArray[np.float32]:
    """Two made-up pictures, prepared as faces are."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (_PROBES, 8, 8, 3), np.uint8)
    return form.feed(card.input.transform([picture.repeat(14, 0).repeat(14, 1) for picture in coarse]))


def _with_output(file: OnnxFile, name: str) -> bytes:
    """The graph with one more output."""
    model = type(file.model)()
    model.CopyFrom(file.model)
    if name not in file.outputs:
        model.graph.output.append(ValueInfoProto(name=name))  # onnxruntime knows its type
    data: bytes = model.SerializeToString()
    return data


def _line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
