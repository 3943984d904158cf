"""Weights of torchvision and timm, and TorchScript: answers equal to the same network's in PyTorch."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from explain.gradcam import explain
from explain.maps import attention
from explain.methods import supported
from fer_models.analyzer import list_models, load_analyzer
from fer_models.errors import CardError, EngineError, ExplanationError, FerError, WeightsError
from fer_models.models.classifier import Classifier, load_classifier
from fer_models.models.external.torch_files.places import find_explained, find_head
from tests.conftest import FakeDetector

LABELS = ("happiness", "anger", "neutral", "fear", "sadness", "surprise", "disgust")
EIGHT = (*LABELS, "contempt")
SIZE = 64
CROP = np.random.default_rng(3).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
MEAN, STD = np.array([0.1, 0.2, 0.3], np.float32), np.array([0.5, 0.6, 0.7], np.float32)
NAME = "shufflenet_v2_x0_5"  # small, and ends in pooling and a linear layer


def network(name: str = NAME, classes: int = 7, **options: Any) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(classes)
        made: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=classes, **options)
        made.train()(torch.rand(8, 3, SIZE, SIZE))  # batch norms that fit
    return made.eval().requires_grad_(False)


def write_card(path: Path, **changes: Any) -> None:
    spec = {"mode": "rgb", "size": SIZE, "mean": MEAN.round(3).tolist(), "std": STD.round(3).tolist()}
    spec |= changes.pop("input", {})
    name = path.name.removesuffix(".tar").rpartition(".")[0]
    content = {"architecture": f"torchvision:{NAME}", "labels": list(LABELS), "input": spec} | changes
    path.with_name(f"{name}.json").write_text(json.dumps({key: value for key, value in content.items() if value}))


def save(path: Path, made: nn.Module, **card: Any) -> Path:
    if path.suffix == ".safetensors":
        save_file(made.state_dict(), path)
    else:
        torch.save(made.state_dict(), path)
    write_card(path, **card)
    return path


def load(path: Path, **options: Any) -> Classifier:
    return load_classifier(path.name.partition(".")[0], path.parent, "cpu", **options)


def by_hand(made: nn.Module, pixels: NDArray[Any] = CROP) -> NDArray[np.float32]:
    planes = torch.from_numpy(np.ascontiguousarray((pixels / 255 - MEAN) / STD, np.float32)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        return np.asarray(made(planes)[0].numpy(), np.float32)


@pytest.mark.parametrize("suffix", ["safetensors", "pth", "pt", "ckpt", "pth.tar"])
def test_it_answers_as_the_network_does(tmp_path: Path, suffix: str) -> None:
    made = network()
    classifier = load(save(tmp_path / f"theirs.{suffix}", made))
    (prediction,) = classifier.predict([CROP])
    np.testing.assert_allclose(prediction.logits, by_hand(made), rtol=1e-5, atol=1e-5)
    assert prediction.labels == LABELS and np.ptp(prediction.logits) > 0.01
    assert classifier.card.architecture == f"torchvision:{NAME}"
    assert classifier.card.parameters == sum(each.numel() for each in made.parameters())
    assert list_models(tmp_path) == ["theirs"]


def test_eight_labels_bgr_and_half_precision_behind_prefixes(tmp_path: Path) -> None:
    made = network(classes=8)
    path = tmp_path / "theirs.pth"
    stored = {
        f"module.{key}": value.half() if value.is_floating_point() else value
        for key, value in made.state_dict().items()
    }
    optimiser = {"state": {0: {"exp_avg": torch.zeros(3)}}}
    torch.save({"epoch": 3, "state_dict": stored, "optimizer": optimiser}, path)
    spec = {"mode": "bgr", "mean": MEAN[::-1].round(3).tolist(), "std": STD[::-1].round(3).tolist()}
    write_card(path, labels=list(EIGHT), input=spec)
    (prediction,) = load(path).predict([CROP])
    made.load_state_dict(
        {
            key.removeprefix("module."): value.float() if value.is_floating_point() else value
            for key, value in stored.items()
        }
    )
    planes = torch.from_numpy(np.ascontiguousarray(((CROP / 255 - MEAN) / STD)[..., ::-1], np.float32))
    with torch.inference_mode():
        expected = made(planes.permute(2, 0, 1)[None])[0].numpy()
    np.testing.assert_allclose(prediction.logits, expected, rtol=1e-4, atol=1e-5)
    assert prediction.labels == EIGHT


def test_a_pooled_linear_head_gives_exact_class_attention_maps(tmp_path: Path) -> None:
    made = network()
    classifier = load(save(tmp_path / "theirs.safetensors", made))
    (prediction,) = classifier.predict([CROP], features=True)
    maps = attention(prediction, classifier.class_weights)
    means = [maps[label].heat.mean() for label in LABELS] + made.fc.bias.numpy()  # type: ignore[operator, union-attr]
    np.testing.assert_allclose(means, prediction.logits, atol=1e-4)
    assert maps["fear"].heat.shape == (2, 2)
    reasons = supported(classifier)
    assert {name for name, reason in reasons.items() if reason} == {"fullgrad", "refinecam"}
    # for such a head Grad-CAM is the class attention map over the number of its cells
    grad = explain(classifier, CROP, "fear", "gradcam").heat
    np.testing.assert_allclose(grad * grad.size, maps["fear"].heat, atol=1e-4)
    assert explain(classifier, CROP, "fear", "ablationcam").heat.shape == (2, 2)
    with pytest.raises(ExplanationError, match="FullGrad"):
        explain(classifier, CROP, "fear", "fullgrad")
    (again,) = classifier.predict([CROP])  # the library left the network as it was
    np.testing.assert_array_equal(again.logits, prediction.logits)


def test_a_vision_transformer_is_explained_by_its_gradients(tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = torchvision.models.VisionTransformer(32, 8, 2, 2, 32, 64, num_classes=7).eval().requires_grad_(False)
        made.heads.head.weight.normal_()
    probe = torch.rand(2, 3, 32, 32)
    assert find_head(made, probe) is None  # its class token is no mean over places
    place = find_explained(made, probe)
    assert place is not None and place.axes == "tokens" and place.prefix == 1
    assert place.layer == "encoder.layers.encoder_layer_1.ln_1"
    tokens = torch.arange(17 * 2).reshape(1, 17, 2)
    np.testing.assert_array_equal(place.maps(tokens)[0, 0], 2 + 2 * torch.arange(16).reshape(4, 4))


class Tokens(nn.Module):
    """The mean over tokens of places, without a class token, and one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.norm, self.head = nn.Conv2d(3, 6, 8, 8), nn.LayerNorm(6), nn.Linear(6, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.norm(self.patches(x).flatten(2).transpose(1, 2)).mean(1))
        return logits


class Positive(nn.Module):
    """As DenseNet ends: the positive part of the last normalisation, its mean, and one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.classifier = nn.Sequential(nn.Conv2d(3, 6, 8, 8), nn.BatchNorm2d(6)), nn.Linear(6, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.classifier(self.features(x).relu().mean((2, 3)))
        return logits


@pytest.mark.parametrize(("kind", "axes", "relu"), [(Tokens, "tokens", False), (Positive, "NCHW", True)])
def test_other_ends_that_are_means_over_places(kind: type[nn.Module], axes: str, relu: bool) -> None:
    made, probe = kind().eval().requires_grad_(False), torch.rand(2, 3, 32, 32)
    found = find_head(made, probe)
    assert found is not None and found[0].axes == axes and found[0].relu is relu
    kept: list[torch.Tensor] = []
    made.get_submodule(found[0].layer).register_forward_hook(lambda _, __, output: kept.append(output))
    logits = made(probe)
    maps = found[0].maps(kept[0])
    assert maps.shape == (2, 6, 4, 4)
    np.testing.assert_allclose(
        torch.nn.functional.linear(maps.mean((2, 3)), found[1].weight, found[1].bias), logits, atol=1e-5
    )


@pytest.mark.parametrize(("name", "channels"), [("test_resnet", 1), ("test_vit", 3)])
def test_an_architecture_of_timm(tmp_path: Path, name: str, channels: int) -> None:
    timm = pytest.importorskip("timm", reason="timm is optional: requirements-timm.txt")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        options = {"img_size": SIZE} if name == "test_vit" else {}
        made = timm.create_model(name, pretrained=False, num_classes=7, in_chans=channels, **options).eval()
        with torch.no_grad():
            made.get_classifier().weight.normal_()
    grey = {"mode": "grey", "mean": 0.5, "std": 0.25} if channels == 1 else {}
    classifier = load(save(tmp_path / "theirs.safetensors", made, architecture=f"timm:{name}", input=grey))
    (prediction,) = classifier.predict([CROP[..., 0] if grey else CROP])
    planes = torch.from_numpy(np.float32((CROP[..., 0] / 255 - 0.5) / 0.25))[None, None]
    with torch.inference_mode():
        expected = made(planes)[0].numpy() if grey else by_hand(made)
    np.testing.assert_allclose(prediction.logits, expected, rtol=1e-4, atol=1e-4)
    heat = explain(classifier, CROP, "fear", "gradcam").heat
    assert heat.size > 1 and np.ptp(heat) > 0


def test_an_architecture_of_timm_without_timm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "theirs.pth", network(), architecture="timm:resnet18")
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(EngineError, match=r"requirements-timm\.txt"):
        load(path)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"labels": list(EIGHT)}, WeightsError, "7 classes, its card lists 8"),
        ({"architecture": "torchvision:resnet18"}, WeightsError, "does not fit torchvision:resnet18"),
        ({"architecture": "torchvision:shufflenet_v2_x05"}, CardError, "shufflenet_v2_x0_5"),
        ({"architecture": "keras:vgg"}, CardError, "torchvision and timm"),
        ({"architecture": "timm:hf-hub:someone/else"}, FerError, "timm"),
        ({"labels": None}, CardError, "no labels"),
        ({"input": {"mean": None}}, CardError, "input.mean"),
        ({"input": {"mode": "grey", "channels": 1}}, WeightsError, "channels"),
        ({"crop": {"kind": "box", "margin": 7}}, CardError, "crop"),
        ({"outputs": "probabilities"}, CardError, "probabilities"),
    ],
)
def test_a_wrong_card_is_named(tmp_path: Path, changes: Any, error: type[Exception], message: str) -> None:
    path = save(tmp_path / "theirs.safetensors", network(), **changes)
    with pytest.raises(error, match=message) as raised:
        load(path)
    assert "\n" not in str(raised.value)


def test_hostile_files_get_one_line(tmp_path: Path) -> None:
    path = save(tmp_path / "theirs.safetensors", network())
    data = path.read_bytes()
    broken = dict(network().state_dict())
    broken["fc.weight"] = broken["fc.weight"] * float("nan")
    for content in (b"", data[:1000], b"\xff" * 100, b"\x10" + b"\0" * 7 + b'{"a": {"dtype":"'):
        path.write_bytes(content)
        with pytest.raises(WeightsError) as raised:
            load(path)
        assert "\n" not in str(raised.value)
    save_file(broken, path)
    with pytest.raises(WeightsError, match="finite"):
        load(path)
    path.unlink()
    pickled = tmp_path / "theirs.pth"
    torch.save(network(), pickled)  # a whole pickled model
    with pytest.raises(WeightsError, match="run code"):
        load(pickled)


def test_random_numbers_stay_as_they_were(tmp_path: Path) -> None:
    path = save(tmp_path / "theirs.safetensors", network())
    before = torch.random.get_rng_state()
    load(path)
    assert torch.equal(torch.random.get_rng_state(), before)


def script(path: Path, made: nn.Module, **card: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(made, torch.zeros(2, 3, SIZE, SIZE)).save(path)  # type: ignore[no-untyped-call]
    write_card(path, **{"architecture": None, "outputs": "logits"} | card)
    return path


def test_torchscript_runs_only_if_it_is_allowed(tmp_path: Path) -> None:
    made = network()
    spec = {"layout": "NCHW", "channels": 3}
    path = script(tmp_path / "theirs.pt", made, input=spec)
    with pytest.raises(WeightsError, match="--allow-torchscript"):
        load(path)
    classifier = load(path, allow_torchscript=True)
    (prediction,) = classifier.predict([CROP], features=True)
    np.testing.assert_allclose(prediction.logits, by_hand(made), rtol=1e-4, atol=1e-5)
    assert prediction.features is None and classifier.class_weights is None
    assert supported(classifier)["rise"] == "" and supported(classifier)["gradcam"]
    analyzer = load_analyzer(
        files=[path], models=[], weights=tmp_path / "none", detector=FakeDetector(), allow_torchscript=True
    )
    assert list(analyzer.classifiers) == ["theirs"]


def test_a_file_in_any_folder_beside_the_others(tmp_path: Path) -> None:
    path = save(tmp_path / "theirs.safetensors", network())
    analyzer = load_analyzer(files=[path], models=[], weights=tmp_path / "none", detector=FakeDetector())
    assert list(analyzer.classifiers) == ["theirs"]
    bare = tmp_path / "bare.safetensors"
    bare.write_bytes(path.read_bytes())
    with pytest.raises(CardError, match="torchvision:NAME"):
        load_analyzer(files=[bare], models=[], weights=tmp_path / "none", detector=FakeDetector())
