"""PyTorch: the reference, on every device."""

import numpy as np
import torch
from torch import Tensor

from fer_models.models.architectures import PooledClassifier
from fer_models.models.engines.outputs import Outputs


class TorchEngine:
    """Runs a network with PyTorch in float32.

    Attributes:
        name: "torch".
        precision: "float32".
    """

    name = "torch"
    precision = "float32"

    def __init__(self, network: PooledClassifier, device: torch.device) -> None:
        """Take a network as it is: float32, in evaluation mode, on the device."""
        self._network, self._device = network, device

    def run(self, inputs: Tensor, *, features: bool = False) -> Outputs:
        """As `Engine.run`."""
        with torch.inference_mode():
            # channels_last costs no accuracy and saves a sixth of the time on CPUs.
            placed = placed_on(self._device, inputs).to(memory_format=torch.channels_last)
            maps = self._network.forward_features(placed)
            logits = self._network.forward_head(maps).float().cpu().numpy()  # the copy waits for an asynchronous device
            kept = np.ascontiguousarray(maps.float().cpu().numpy()) if features else None
        return Outputs(logits, kept)


def placed_on(device: torch.device, inputs: Tensor) -> Tensor:
    """A tensor on a device; from the CPU to a CUDA device without waiting for the copy, through pinned memory."""
    if device.type == "cuda" and inputs.device.type == "cpu":
        return inputs.pin_memory().to(device, non_blocking=True)
    return inputs.to(device)
