"""A network that runs elsewhere, behind the same protocol as those that run here."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fer_models.models.engines.outputs import Outputs

#: What sends (N, 3, S, S) float32 inputs away and waits for their outputs, with feature maps or without.
Send = Callable[[NDArray[np.float32], bool], Outputs]


class RemoteEngine:
    """Sends inputs to where the network is. Safe to call from several threads if `send` is.

    Attributes:
        name: what runs the network there.
        precision: what it computes in there.
    """

    #: Passes under way at the same time, of all models together.
    BESIDE: Final = 8

    def __init__(self, send: Send, name: str, precision: str) -> None:
        """Hand passes to `send`, which raises a `FerError` where it gets no answer."""
        self.name, self.precision = name, precision
        self._send = send

    def run(self, inputs: Tensor, *, features: bool = False) -> Outputs:
        """As `Engine.run`."""
        return self._send(inputs.cpu().numpy(), features)
