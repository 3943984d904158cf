"""Folders of Hugging Face's transformers: the network's own answers, without the internet, and what is refused."""

import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from explain.gradcam import explain
from explain.maps import attention
from fer_models.analyzer import load_analyzer
from fer_models.errors import CardError, FerError, WeightsError
from fer_models.models.classifier import Classifier
from tests.conftest import FakeDetector
from tests.helpers.graphs import export, small_net

LABELS = ("happy", "angry", "neutral", "fear", "sad", "surprise", "disgust", "contempt")
SIZE = 32
CROP = np.random.default_rng(3).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def folder_of(path: Path, kind: str = "vit", **processor: Any) -> tuple[Path, Any]:
    """A folder with a small network, and the network."""
    transformers = pytest.importorskip("transformers", reason="transformers is optional: requirements-transformers.txt")
    names = {"id2label": dict(enumerate(LABELS)), "label2id": {name: index for index, name in enumerate(LABELS)}}
    if kind == "vit":
        config = transformers.ViTConfig(
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            image_size=SIZE,
            patch_size=8,
            **names,
        )
        made = transformers.ViTForImageClassification
    else:
        config = transformers.ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic", **names
        )
        made = transformers.ResNetForImageClassification
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = made(config).eval()
    for each in model.modules():
        if isinstance(each, torch.nn.Linear) and each.out_features == len(LABELS):
            torch.nn.init.normal_(each.weight, generator=torch.Generator().manual_seed(1))
    model.save_pretrained(path)
    facts = {"size": {"height": SIZE, "width": SIZE}, "image_mean": MEAN, "image_std": STD, "rescale_factor": 1 / 255}
    (path / "preprocessor_config.json").write_text(json.dumps(facts | processor))
    return path, model


def load(path: Path) -> Classifier:
    analyzer = load_analyzer(models=[], files=[path], weights=path / "none", detector=FakeDetector(), device="cpu")
    (classifier,) = analyzer.classifiers.values()
    return classifier


def by_hand(model: Any, pixels: NDArray[Any]) -> NDArray[np.float32]:
    planes = torch.from_numpy(np.ascontiguousarray(pixels, np.float32)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        return np.asarray(model(pixel_values=planes).logits[0].numpy(), np.float32)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("no_network")
def test_a_vision_transformer_answers_as_it_does_there(tmp_path: Path) -> None:
    path, model = folder_of(tmp_path / "their-model")
    classifier = load(path)
    (prediction,) = classifier.predict([CROP])
    np.testing.assert_allclose(prediction.logits, by_hand(model, (CROP / 255 - MEAN) / STD), rtol=1e-4, atol=1e-4)
    expected = ("happiness", "anger", "neutral", "fear", "sadness", "surprise", "disgust", "contempt")
    assert classifier.name == "their-model" and prediction.labels == expected
    assert classifier.card.architecture == "transformers:vit" and np.ptp(prediction.logits) > 0.1
    assert classifier.class_weights is None
    assert explain(classifier, CROP, "fear", "gradcam").heat.shape == (4, 4)


def test_a_convolutional_network_has_exact_maps(tmp_path: Path) -> None:
    path, model = folder_of(tmp_path / "theirs", "resnet", do_rescale=True, rescale_factor=1 / 127.5)
    classifier = load(path)
    (prediction,) = classifier.predict([CROP], features=True)
    np.testing.assert_allclose(prediction.logits, by_hand(model, (CROP / 127.5 - MEAN) / STD), rtol=1e-4, atol=1e-4)
    maps = attention(prediction, classifier.class_weights)
    bias = model.classifier[-1].bias.detach().numpy()
    np.testing.assert_allclose([one.heat.mean() for one in maps.values()] + bias, prediction.logits, atol=1e-4)


def test_an_onnx_file_in_the_folder_needs_no_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    path = tmp_path / "theirs"
    (path / "onnx").mkdir(parents=True)
    export(small_net(), path / "onnx" / "model.onnx")
    labels = {str(index): label for index, label in enumerate(LABELS[:7])}
    (path / "config.json").write_text(json.dumps({"model_type": "vit", "id2label": labels}))
    (path / "preprocessor_config.json").write_text(json.dumps({"size": 16, "image_mean": MEAN, "image_std": STD}))
    classifier = load(path)
    assert classifier.name == "theirs" and classifier.card.labels[:2] == ("happiness", "anger")
    (prediction,) = classifier.predict([CROP[:16, :16]])
    planes = torch.from_numpy(np.float32((CROP[:16, :16] / 255 - MEAN) / STD)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        np.testing.assert_allclose(prediction.logits, small_net()(planes)[0].numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("resample", [1, 2, 3])
@pytest.mark.parametrize("side", [20, 100])
def test_faces_are_resized_as_the_processor_does(tmp_path: Path, resample: int, side: int) -> None:
    path, _ = folder_of(tmp_path / "theirs", resample=resample)
    processor = pytest.importorskip("transformers").ViTImageProcessor.from_pretrained(path)
    crop = np.random.default_rng(4).integers(0, 256, (side, side, 3), np.uint8)
    theirs = processor(crop, return_tensors="pt")["pixel_values"][0]
    difference = (load(path).card.input.transform([crop])[0] - theirs).abs() * torch.tensor(STD)[:, None, None] * 255
    assert difference.max() < (1.01 if resample == 2 else 0.01)


def test_another_way_to_resize_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, _ = folder_of(tmp_path / "theirs", resample=0)
    assert load(path).card.input.interpolation == "bilinear"
    assert "resample = 0" in caplog.text


def test_a_card_in_the_folder_has_the_last_word(tmp_path: Path) -> None:
    path, _ = folder_of(tmp_path / "theirs")
    card = {"labels": [*LABELS[1::-1], *LABELS[2:]], "input": {"std": 0.5}, "crop": "box", "title": "Theirs"}
    (path / "card.json").write_text(json.dumps(card))
    found = load(path).card
    assert found.labels[:2] == ("anger", "happiness") and found.input.std == (0.5, 0.5, 0.5)
    assert found.input.mean == MEAN and found.crop.kind == "box" and found.title == "Theirs"


def test_what_the_message_says_to_write_is_read(tmp_path: Path) -> None:
    path, _ = folder_of(tmp_path / "theirs", size={})
    with pytest.raises(CardError) as raised:
        load(path)
    text = str(raised.value)
    proposed = json.loads(text[text.index("{") : text.rindex("}") + 1])
    assert str(path / "card.json") in text
    (path / "card.json").write_text(json.dumps(proposed | {"input": proposed["input"] | {"size": SIZE}}))
    assert load(path).card.input.size == SIZE


def test_a_processors_other_file_and_a_size_as_a_list(tmp_path: Path) -> None:
    path, model = folder_of(tmp_path / "theirs", size=[SIZE, SIZE])
    old = path / "preprocessor_config.json"
    (path / "processor_config.json").write_text(json.dumps({"image_processor": json.loads(old.read_text())}))
    old.unlink()
    (prediction,) = load(path).predict([CROP])
    np.testing.assert_allclose(prediction.logits, by_hand(model, (CROP / 255 - MEAN) / STD), rtol=1e-4, atol=1e-4)


def test_mobilevits_processor_turns_the_channels_round_and_normalises_nothing(tmp_path: Path) -> None:
    path, model = folder_of(tmp_path / "theirs")
    facts = {"do_flip_channel_order": True, "do_rescale": True, "rescale_factor": 1 / 255, "size": SIZE}
    (path / "preprocessor_config.json").write_text(json.dumps(facts))
    (prediction,) = load(path).predict([CROP])
    np.testing.assert_allclose(prediction.logits, by_hand(model, CROP[..., ::-1] / 255), rtol=1e-4, atol=1e-4)


def _without(name: str) -> Any:
    return lambda path: (path / name).unlink()


def _config(**changes: Any) -> Any:
    def change(path: Path) -> None:
        file = path / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return change


def _write(name: str, text: str) -> Any:
    return lambda path: (path / name).write_text(text)


def _cut(path: Path) -> None:
    file = path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (_without("config.json"), WeightsError, "config.json"),
        (_without("model.safetensors"), WeightsError, "save_pretrained"),
        (_without("preprocessor_config.json"), CardError, "preprocessor_config.json"),
        (_config(id2label={str(i): f"LABEL_{i}" for i in range(8)}), CardError, "labels"),
        (_config(id2label={"0": "cat", "1": "dog"}), FerError, "their"),
        (_config(hidden_size=24), WeightsError, "their"),
        (_config(hidden_size=16384, intermediate_size=1 << 20), WeightsError, "too much"),
        (_config(model_type="nobody-knows", auto_map={"AutoConfig": "evil.Config"}), WeightsError, "transformers"),
        (_cut, WeightsError, "transformers"),
        (_write("config.json", "{"), CardError, "malformed"),
        (_write("config.json", "[]"), CardError, "no object"),
        (
            lambda path: (path / "preprocessor_config.json").write_text('{"size": {"height": 8, "width": 9}}'),
            CardError,
            "size",
        ),
    ],
)
def test_a_wrong_folder_gets_one_line(tmp_path: Path, change: Any, error: type[Exception], message: str) -> None:
    path, _ = folder_of(tmp_path / "their")
    (path / "evil.py").write_text("raise SystemExit")
    change(path)
    with pytest.raises(error, match=message) as raised:
        load(path)
    assert "\n" not in str(raised.value)


def test_nothing_is_downloaded_unless_it_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = folder_of(tmp_path / "cache")
    asked: list[str] = []

    def snapshot_download(name: str, **_: Any) -> str:
        asked.append(name)
        return str(path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    options: dict[str, Any] = {
        "models": [],
        "files": [Path("someone/their-model")],
        "weights": tmp_path,
        "device": "cpu",
    }
    with pytest.raises(WeightsError, match="--allow-download"):
        load_analyzer(**options, detector=FakeDetector())
    assert not asked
    analyzer = load_analyzer(**options, detector=FakeDetector(), allow_download=True)
    assert list(analyzer.classifiers) == ["their-model"] and asked == ["someone/their-model"]
