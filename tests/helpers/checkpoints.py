"""Checkpoints in the layouts of the EAC authors' code and of VGGFace2, made for the tests."""

import functools
import pickle
import struct
from collections.abc import Callable
from io import BytesIO
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fer_models.models.architectures import build_network

State = dict[str, Tensor]
#: Blocks and width of ResNet-50's stages (He et al., CVPR 2016, table 1).
STAGES = [(3, 64), (4, 128), (6, 256), (3, 512)]


@functools.cache
def face_resnet(classes: int) -> State:
    """VGGFace2's ResNet-50 by its children's names, from its table rather than from this project's network.

    Shared, so not to be changed.
    """
    generator = torch.Generator().manual_seed(5)
    state: State = {}

    def conv(name: str, out: int, into: int, side: int) -> None:
        state[f"{name}.weight"] = torch.randn(out, into, side, side, generator=generator) * (into * side**2) ** -0.5

    def norm(name: str, width: int) -> None:
        state[f"{name}.weight"] = torch.rand(width, generator=generator) + 0.5
        state[f"{name}.bias"] = torch.randn(width, generator=generator) * 0.1
        state[f"{name}.running_mean"] = torch.randn(width, generator=generator) * 0.1
        state[f"{name}.running_var"] = torch.rand(width, generator=generator) + 0.5
        state[f"{name}.num_batches_tracked"] = torch.tensor(3)

    conv("conv1", 64, 3, 7)
    norm("bn1", 64)
    width = 64
    for stage, (blocks, inner) in enumerate(STAGES, 1):
        for block in range(blocks):
            place = f"layer{stage}.{block}"
            shapes = [(width, inner, 1), (inner, inner, 3), (inner, 4 * inner, 1)]
            for number, (into, out, side) in enumerate(shapes, 1):
                conv(f"{place}.conv{number}", out, into, side)
                norm(f"{place}.bn{number}", out)
            if block == 0:
                conv(f"{place}.downsample.0", 4 * inner, width, 1)
                norm(f"{place}.downsample.1", 4 * inner)
            width = 4 * inner
    state["fc.weight"] = torch.randn(classes, 2048, generator=generator) * 0.02
    state["fc.bias"] = torch.randn(classes, generator=generator)
    return state


def forward_by_hand(state: State, x: Tensor) -> tuple[Tensor, Tensor]:
    """The network of the EAC authors' src/resnet.py on x (N, 3, 224, 224): its feature maps and its logits."""

    def norm(name: str, x: Tensor) -> Tensor:
        scale = state[f"{name}.weight"] / (state[f"{name}.running_var"] + 1e-5).sqrt()
        shift = state[f"{name}.bias"] - state[f"{name}.running_mean"] * scale
        return x * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)

    x = F.relu(norm("bn1", F.conv2d(x, state["conv1.weight"], stride=2, padding=3)))
    assert x.shape[-1] == 112
    x = F.pad(x, (0, 1, 0, 1), value=float("-inf"))  # rounding up: the last window hangs over the right and lower edge
    x = F.max_pool2d(x, 3, 2)
    for stage, (blocks, _) in enumerate(STAGES, 1):
        for block in range(blocks):
            place = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            y = x[:, :, ::stride, ::stride]  # a strided 1x1 convolution sees every second cell
            y = F.relu(norm(f"{place}.bn1", F.conv2d(y, state[f"{place}.conv1.weight"])))
            y = F.relu(norm(f"{place}.bn2", F.conv2d(y, state[f"{place}.conv2.weight"], padding=1)))
            y = norm(f"{place}.bn3", F.conv2d(y, state[f"{place}.conv3.weight"]))
            if block == 0:
                skip = F.conv2d(x[:, :, ::stride, ::stride], state[f"{place}.downsample.0.weight"])
                x = norm(f"{place}.downsample.1", skip)
            x = F.relu(x + y)
    return x, x.mean((2, 3)) @ state["fc.weight"].T + state["fc.bias"]


def eac_layout(state: State) -> State:
    """As `nn.Sequential(*list(resnet50.children())[:-2])` names it; relu and max pool hold the places 2 and 3."""
    places = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
    return {
        key if key.startswith("fc.") else f"features.{places[key.split('.')[0]]}.{key.split('.', 1)[1]}": value
        for key, value in state.items()
    }


@functools.cache
def mobilenet(classes: int = 7) -> State:
    """The state dict of a MobileNetV2 with random weights; shared, so not to be changed."""
    torch.manual_seed(0)
    return build_network("mobilenet_v2_stride32", classes).state_dict()


def mobilenet_with(state: State) -> torch.nn.Module:
    network = build_network("mobilenet_v2_stride32", state["fc.weight"].shape[0])
    network.load_state_dict(state)
    return network.eval()


def mobilenet_logits(network: torch.nn.Module) -> Tensor:
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        logits: Tensor = network(x)
    return logits


def prefixed(state: State, prefix: str) -> State:
    return {f"{prefix}{key}": value for key, value in state.items()}


class Python2Pickler(pickle._Pickler):
    """Writes byte strings as Python 2 did, for text and arrays' bytes, and NumPy's flags as numbers, as it did then."""

    write: Callable[[bytes], None]
    dispatch: ClassVar[dict[type, Callable[..., None]]] = dict(pickle._Pickler.dispatch)

    def save_string(self, obj: str | bytes) -> None:
        data = obj.encode("latin1") if isinstance(obj, str) else obj
        self.write(b"T" + struct.pack("<i", len(data)) + data)

    def save_flag(self, obj: bool) -> None:
        self.write(b"K" + bytes([obj]))

    dispatch[str] = dispatch[bytes] = save_string
    dispatch[bool] = save_flag


def python2_pickle(arrays: dict[str, NDArray[Any]]) -> bytes:
    file = BytesIO()
    Python2Pickler(file, protocol=2).dump(arrays)
    return file.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
