"""Any PyTorch network as an engine: its logits, and the maps of the layer before its head where that is known."""

import threading
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import torch
from torch import Tensor, nn

from fer_models.errors import EngineError
from fer_models.models.engines.outputs import Outputs

#: How the axes of a layer's output are ordered. Tokens are (N, prefix + h * w, K).
Axes = Literal["NCHW", "NHWC", "tokens"]

#: Tokens that stand for no place, such as the class token and registers.
MOST_PREFIX: Final = 5


@dataclass(frozen=True)
class Place:
    """A layer whose output shows places of the picture.

    Attributes:
        layer: its name in the network.
        axes: of its output.
        prefix: of tokens, how many come first that stand for no place.
        relu: whether the network goes on with the positive part alone.
    """

    layer: str
    axes: Axes
    prefix: int = 0
    relu: bool = False

    def maps(self, output: Tensor) -> Tensor:
        """The layer's output as maps (N, K, h, w)."""
        if self.axes == "tokens":
            places = output[:, self.prefix :]
            side = round(places.shape[1] ** 0.5)
            output = places.transpose(1, 2).reshape(len(places), -1, side, side)
        elif self.axes == "NHWC":
            output = output.permute(0, 3, 1, 2)
        return output.relu() if self.relu else output


class ModuleEngine:
    """Runs a network in float32 with PyTorch. Safe to call from several threads.

    Attributes:
        name: "torch".
        precision: "float32".
        module: takes (N, 3, S, S) float32 inputs as `InputSpec` prepares them and gives logits (N, C).
        explained: the last layer with places, for methods that need gradients; None if none is known.
    """

    name = "torch"
    precision = "float32"

    def __init__(
        self, module: nn.Module, device: torch.device, head: Place | None = None, explained: Place | None = None
    ) -> None:
        """Take a network as it is: in evaluation mode, frozen.

        Args:
            module: the network.
            device: where it runs.
            head: the layer whose mean over all places goes through one linear layer; None if there is none.
            explained: the last layer with places.
        """
        self.module = module.to(device)
        self.explained = explained
        self._device, self._head = device, head
        self._kept = threading.local()
        if head is not None:
            kept = self._kept  # not the engine: a copy of the network must not copy that

            def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
                kept.output = output

            self.module.get_submodule(head.layer).register_forward_hook(keep)

    def run(self, inputs: Tensor, *, features: bool = False) -> Outputs:
        """As `Engine.run`.

        Raises:
            EngineError: the network fails, or gives numbers that are not finite.
        """
        try:
            with torch.inference_mode():
                logits = self.module(inputs.to(self._device)).float().cpu().numpy()
                kept = self._kept.__dict__.pop("output", None)
                maps = None
                if features and self._head is not None and kept is not None:
                    maps = np.ascontiguousarray(self._head.maps(kept).float().cpu().numpy())
        except Exception as error:  # whatever its code raises
            raise EngineError(f"The network cannot be run: {str(error).splitlines()[0][:200]}") from error
        if not np.isfinite(logits).all():
            raise EngineError("The network gave numbers that are not finite. Leave it out with --models.")
        return Outputs(logits, maps)
