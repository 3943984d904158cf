"""What others' models take and give, and what their files say of it."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from fer_models.errors import CardError

_TINY: Final = float(np.finfo(np.float32).tiny)
#: Nearer to 1 than that, numbers behind a sigmoid are 1.
_ROUNDING: Final = float(np.finfo(np.float32).epsneg)


@dataclass(frozen=True)
class GraphFormat:
    """How a graph, or another network, takes prepared faces and what its numbers are.

    Attributes:
        layout: order of the input's axes.
        channels: 1 or 3; a grey face is fed to three channels three times.
        bgr: whether the channels are blue, green, red.
        outputs: what it gives for each label.
        others: which of its numbers, counted from 0, are of no class, such as valence and arousal beside expressions.
    """

    layout: Literal["NCHW", "NHWC"] = "NCHW"
    channels: Literal[1, 3] = 3
    bgr: bool = False
    outputs: Literal["logits", "probabilities", "sigmoid"] = "logits"
    others: tuple[int, ...] = ()

    def shape(self, size: int, count: int = 1) -> tuple[int, int, int, int]:
        """Of the input for faces of a size."""
        if self.layout == "NCHW":
            return count, self.channels, size, size
        return count, size, size, self.channels

    def arrange(self, inputs: Tensor) -> Tensor:
        """(N, 3, S, S) float32, as `InputSpec` prepares faces, in the graph's layout and order of channels."""
        if self.channels == 1:
            inputs = inputs[:, :1]
        elif self.bgr:
            inputs = inputs.flip(1)
        return inputs if self.layout == "NCHW" else inputs.permute(0, 2, 3, 1)

    def feed(self, inputs: Tensor) -> NDArray[np.float32]:
        """`arrange` as an array."""
        return np.ascontiguousarray(self.arrange(inputs.detach().cpu()).numpy(), np.float32)

    def classes(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """(N, M) outputs without those of no class: (N, C)."""
        return np.delete(outputs, self.others, 1)

    def logits(self, outputs: NDArray[Any]) -> NDArray[np.float32]:
        """(N, M) outputs as (N, C) logits.

        Probabilities become their logarithms, so that a temperature applies to them; the numbers behind a sigmoid
        become those before it.
        """
        values = np.asarray(self.classes(outputs), np.float32)
        if self.outputs == "logits":
            return values
        logs: NDArray[np.float32] = np.log(np.maximum(values, np.float32(_TINY)))
        return logs if self.outputs == "probabilities" else logs - np.log(np.maximum(1 - values, np.float32(_ROUNDING)))


class Arranged(nn.Module):
    """A PyTorch network that takes faces as `InputSpec` prepares them and gives logits, whatever it was made for."""

    def __init__(self, network: nn.Module, form: GraphFormat) -> None:
        """Put a network behind its format."""
        super().__init__()
        self.network, self.form = network, form

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, 3, S, S) float32 to (N, C)."""
        outputs: Tensor = self.network(self.form.arrange(inputs))
        if self.form.others:
            outputs = outputs[:, [index for index in range(outputs.shape[1]) if index not in self.form.others]]
        if self.form.outputs == "logits":
            return outputs
        logs = outputs.clamp(min=_TINY).log()
        return logs if self.form.outputs == "probabilities" else logs - (1 - outputs).clamp(min=_ROUNDING).log()


@dataclass(frozen=True)
class GraphFacts:
    """What a file says of itself; None and () where it does not.

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


def check_outputs(path: Path, kind: str, rows: NDArray[Any]) -> None:
    """Check that outputs are what a card says, as far as their numbers tell.

    Args:
        path: of the graph.
        kind: what the card says.
        rows: (N, C).

    Raises:
        CardError: they are something else.
    """
    shares = rows.min() >= 0 and rows.max() <= 1 + 1e-3
    distributions = shares and all(math.isclose(total, 1, abs_tol=0.05) for total in rows.sum(1))
    if kind == "logits" and distributions:
        raise CardError(
            f"The card of {path.name} says that its outputs are logits, but they are between 0 and 1 with sum 1: a "
            'softmax is done already. Write "outputs": "probabilities".'
        )
    if kind == "sigmoid" and not shares:
        raise CardError(
            f"The card of {path.name} says that its outputs are behind a sigmoid, but they are not between 0 and 1. If "
            'they are scores before one, write "outputs": "logits".'
        )
    if kind == "probabilities" and not distributions:
        raise CardError(
            f"The card of {path.name} says that its outputs are probabilities, but they are not between 0 and 1 with "
            'sum 1. If they are scores before a softmax, write "outputs": "logits"; if each has a sigmoid of its own, '
            '"outputs": "sigmoid".'
        )
