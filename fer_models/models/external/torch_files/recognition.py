"""State dicts under this project's names, and the architecture that their names and shapes tell."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from fer_models.errors import WeightsError
from fer_models.models.architectures import ARCHITECTURES, build_network
from fer_models.models.weights import describe_misfits

#: Architectures that `features.*` may be, by the strides of the system that wrote them.
_CANDIDATES: Final = ("resnet50_caffe", "mobilenet_v2_stride32")
#: A ResNet's named children by their place among `features`.
_RESNET_CHILDREN: Final = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
_NAMED_KEYS: Final = 3


def project_names(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Other systems' tensor names to this project's: features.*, fc.*."""
    head = next((name for name in ("fc", "classifier.1", "classifier") if f"{name}.weight" in stored), "fc")
    # nn.Sequential(*list(mobilenet.children())[:-1]) puts torchvision's features one level down
    nested = "features.0.0.0.weight" in stored
    tensors = {}
    for key, tensor in stored.items():
        child, _, rest = key.partition(".")
        if key.startswith(f"{head}."):
            key = f"fc.{key.removeprefix(head + '.')}"
        elif nested and key.startswith("features.0."):
            key = f"features.{key.removeprefix('features.0.')}"
        elif child in _RESNET_CHILDREN:
            key = f"features.{_RESNET_CHILDREN[child]}.{rest}"
        tensors[key] = tensor
    for key in [key for key in tensors if key.endswith("running_mean")]:  # PyTorch before 0.4.1 counted no batches
        tensors.setdefault(key.replace("running_mean", "num_batches_tracked"), torch.tensor(0))
    return tensors


def recognise(path: Path, tensors: Mapping[str, Tensor]) -> str | None:
    """The candidate whose features these are; None for features of another architecture here, which a card may name.

    Args:
        path: the file, for errors.
        tensors: by this project's names (`project_names`).

    Raises:
        WeightsError: the features are of no network here.
    """
    features = {key: tensor for key, tensor in tensors.items() if not key.startswith("fc.")}
    nearest, reason = 0, ""
    for architecture in (*_CANDIDATES, *(name for name in ARCHITECTURES if name not in _CANDIDATES)):
        expected = _expected_features(architecture)
        misfits = describe_misfits(expected, features)
        if not misfits:
            return architecture if architecture in _CANDIDATES else None
        shared = sum(key in features and features[key].shape == tensor.shape for key, tensor in expected.items())
        if shared > max(nearest, len(expected) // 2):
            nearest, reason = shared, f"It resembles {architecture}, but {misfits}."
    listed = ", ".join([*tensors][:_NAMED_KEYS])
    raise WeightsError(
        f"{path} is of no network known here. {reason or f'It has {len(tensors)} tensors: {listed}, ...'} "
        "Known are EAC checkpoints (features.*, fc.*) with ResNet-50 or MobileNetV2 and VGGFace2's ResNet-50. An "
        'architecture of torchvision or timm can be named on a card, such as "architecture": "torchvision:resnet18"; '
        "any other network can be exported to ONNX."
    )


@functools.cache
def _expected_features(architecture: str) -> dict[str, Tensor]:
    """The names and shapes of an architecture's features, as tensors without values."""
    with torch.device("meta"):
        features: dict[str, Tensor] = build_network(architecture, 1).features.state_dict(prefix="features.")
    return features
