"""Where a network of any architecture shows places: found by running it once on made-up pictures.

The head is believed only if it gives the network's own logits from the mean over all places of a layer's output. Then
class attention maps (Zhou et al., CVPR 2016, equation 2) are exact. Methods that need gradients take the last layer
with places on which the logits depend: of a vision transformer, the last normalisation before its class token looks.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor, nn

from fer_models.models.engines.module_engine import MOST_PREFIX, Place

_TOLERANCE: Final = 1e-4  # of the values' range
#: Share of the places on which the logits must depend.
_DEPENDENT: Final = 0.5
#: Layers that only hand on what they are given; the one before says the same.
_IDLE: Final = (nn.Identity, nn.Dropout, nn.Flatten)


def find_head(module: nn.Module, probe: Tensor) -> tuple[Place, nn.Linear] | None:
    """The layer whose mean over all places goes through one linear layer and is the logits; None if there is none.

    Args:
        module: in evaluation mode.
        probe: (N, ...) inputs, at least two that differ.
    """
    linear = {name: each for name, each in module.named_modules() if isinstance(each, nn.Linear)}
    widths = {each.in_features for each in linear.values()}
    outputs: dict[str, Tensor] = {}
    rows: dict[str, Tensor] = {}

    def keep(name: str, inputs: tuple[Any, ...], output: Any) -> None:
        outputs.pop(name, None)  # the order is that of the last calls
        if isinstance(output, Tensor) and output.ndim in (3, 4) and {output.shape[1], output.shape[-1]} & widths:
            outputs[name] = output
        if name in linear and inputs and isinstance(inputs[0], Tensor):
            rows[name] = inputs[0]

    with torch.inference_mode(), _hooked(module, keep):
        logits = module(probe)
    for name, row in rows.items():
        if row.ndim != 2 or not _same(torch.nn.functional.linear(row, linear[name].weight, linear[name].bias), logits):
            continue
        for layer, output in reversed(outputs.items()):
            for place in _places(layer, output, row.shape[1]):
                if _same(place.maps(output).mean((2, 3)), row):
                    return place, linear[name]
    return None


def find_explained(module: nn.Module, probe: Tensor) -> Place | None:
    """The last layer with places on which the logits depend; None if there is none.

    Args:
        module: in evaluation mode, frozen.
        probe: (N, ...) inputs.
    """
    outputs: dict[str, Tensor] = {}

    def keep(name: str, _inputs: tuple[Any, ...], output: Any) -> None:
        outputs.pop(name, None)
        layer = module.get_submodule(name)
        if not isinstance(output, Tensor) or not output.requires_grad or isinstance(layer, _IDLE):
            return
        if output.ndim == 4 or (output.ndim == 3 and type(layer).__name__.endswith("Norm")):
            output.retain_grad()
            outputs[name] = output

    with torch.inference_mode(False), torch.enable_grad(), _hooked(module, keep):
        try:
            logits = module(probe.clone().requires_grad_())
            (logits * torch.linspace(0.5, 1.5, logits.shape[1], device=logits.device)).sum().backward()
        except RuntimeError:  # a network without gradients
            return None
    for layer, output in reversed(outputs.items()):
        channels = output.shape[-1] if output.ndim == 3 or output.shape[1] == output.shape[2] else output.shape[1]
        for place in _places(layer, output, channels):
            if output.grad is None:
                continue
            dependent = (place.maps(output.grad).abs().amax(1) > 0).float().mean()
            if output.ndim == 4 and dependent > 0 or dependent > _DEPENDENT:
                return place
    return None


def _places(layer: str, output: Tensor, channels: int) -> Iterator[Place]:
    """The ways to read a layer's output as maps of so many channels and at least two by two places."""
    if output.ndim == 4:
        if output.shape[1] == channels and min(output.shape[2:]) > 1:
            yield from (Place(layer, "NCHW"), Place(layer, "NCHW", relu=True))
        if output.shape[3] == channels and min(output.shape[1:3]) > 1:
            yield Place(layer, "NHWC")
    elif output.ndim == 3 and output.shape[2] == channels:
        for prefix in range(MOST_PREFIX + 1):
            count = output.shape[1] - prefix
            if count >= 4 and math.isqrt(count) ** 2 == count:
                yield Place(layer, "tokens", prefix)


def _same(found: Tensor, expected: Tensor) -> bool:
    if found.shape != expected.shape:
        return False
    reach = float(expected.max() - expected.min())
    return float((found - expected).abs().max()) <= _TOLERANCE * max(reach, 1e-6)


@contextmanager
def _hooked(module: nn.Module, keep: Callable[[str, tuple[Any, ...], Any], None]) -> Iterator[None]:
    """Call a function with the name, inputs and output of every layer of a network as it runs."""

    def hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        return lambda _, inputs, output: keep(name, inputs, output)

    handles = [each.register_forward_hook(hook(name)) for name, each in module.named_modules() if name]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
