"""Small ONNX classifiers made for the tests."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from fer_models.models.classifier import Classifier, load_classifier

SIZE = 16
#: In this order no model of this project has its labels.
LABELS = ("happiness", "anger", "neutral", "fear", "sadness", "surprise", "disgust")


class SmallNet(nn.Module):
    """Two convolutions, the mean over all places, one linear layer."""

    def __init__(self, classes: int, channels: int, *, softmax: bool, nhwc: bool, mean: bool) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(channels, 4, 3, 2), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU())
        self.fc = nn.Linear(6, classes)
        self.softmax, self.nhwc, self.mean, self.channels = softmax, nhwc, mean, channels

    def maps(self, x: Tensor) -> Tensor:
        found: Tensor = self.features(x.permute(0, 3, 1, 2) if self.nhwc else x)
        return found

    def forward(self, x: Tensor) -> Tensor:
        maps = self.maps(x)
        pooled = maps.mean((2, 3)) if self.mean else nn.functional.adaptive_avg_pool2d(maps, 1).flatten(1)
        logits: Tensor = self.fc(pooled)
        return logits.softmax(1) if self.softmax else logits


class NoHead(SmallNet):
    """The same, but its last layer sees every place."""

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.maps(x).amax((2, 3)))
        return logits


def small_net(
    classes: int = 7,
    channels: int = 3,
    *,
    softmax: bool = False,
    nhwc: bool = False,
    mean: bool = False,
    kind: type[SmallNet] = SmallNet,
) -> SmallNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(classes * 10 + channels)
        network = kind(classes, channels, softmax=softmax, nhwc=nhwc, mean=mean)
    network.fc.weight.data.mul_(20)
    return network.eval()


def export(network: SmallNet, path: Path, *, batch: int | None = None) -> Path:
    channels = network.channels
    shape = (batch or 2, SIZE, SIZE, channels) if network.nhwc else (batch or 2, channels, SIZE, SIZE)
    axes = {} if batch else {"x": {0: "n"}, "y": {0: "n"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (torch.zeros(shape),), path, dynamo=False, input_names=["x"], output_names=["y"], dynamic_axes=axes
        )
    return path


def card(**changes: Any) -> dict[str, Any]:
    spec = {"mode": "rgb", "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]} | changes.pop("input", {})
    return {"labels": list(LABELS), "input": spec, "outputs": "logits"} | changes


def write_card(path: Path, **changes: Any) -> None:
    path.with_suffix(".json").write_text(json.dumps(card(**changes)))


def graph(nodes: list[Any], initializers: list[Any] = (), *, outputs: Any = None, domains: tuple[str, ...] = ()) -> Any:  # type: ignore[assignment]
    """A model that takes x (1, 3, 16, 16) and gives y (1, 7)."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])
    y = outputs or [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 7])]
    body = helper.make_graph(nodes, "g", [x], y, list(initializers))
    sets = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(body, opset_imports=sets, ir_version=8)


def weights(name: str, *shape: int) -> Any:
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return onnx.numpy_helper.from_array(values, name)


def load(path: Path) -> Classifier:
    """The model of a file with its card beside it."""
    return load_classifier(path.stem, path.parent, "cpu")
