from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fer_models.errors import CardError, FerError, ImageError, UnknownNameError, WeightsError
from fer_models.expressions import EXPRESSIONS
from fer_models.models.card import ModelCard, read_card, write_card
from fer_models.models.classifier import BATCH, Classifier, find_device, load_classifier
from fer_models.models.weights import load_network
from tests.conftest import network_of

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def classifier(weights_dir: Path) -> Classifier:
    return load_classifier("resnet50", weights_dir, "cpu")


@pytest.fixture(scope="module")
def crops() -> list[NDArray[np.uint8]]:
    """More than one batch, of several sizes, colour and grey."""
    generator = np.random.default_rng(3)
    sides = [48, 112, 96, 64]
    coarse = [generator.integers(0, 256, (8, 8, 3), np.uint8) for _ in range(BATCH + 5)]
    faces = [
        np.kron(face, np.ones((sides[i % 4] // 8, sides[i % 4] // 8, 1), np.uint8)) for i, face in enumerate(coarse)
    ]
    return [*faces, faces[0][:, :, 0]]


def test_predictions_are_complete(classifier: Classifier, crops: list[NDArray[np.uint8]]) -> None:
    predictions = classifier.predict(crops)
    assert len(predictions) == len(crops)
    for prediction in predictions:
        assert prediction.model == "resnet50"
        assert prediction.labels == EXPRESSIONS
        assert prediction.logits.shape == prediction.probabilities.shape == (7,)
        assert prediction.logits.dtype == prediction.probabilities.dtype == np.float32
        assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)
        assert prediction.latency_ms > 0
        assert prediction.features is None
    assert len({prediction.label for prediction in predictions}) > 1, "the fixture's faces should differ"


def test_no_crops_give_no_predictions(classifier: Classifier) -> None:
    assert classifier.predict([]) == []


def test_probabilities_are_the_softmax_at_the_cards_temperature(
    classifier: Classifier, crops: list[NDArray[np.uint8]]
) -> None:
    (prediction,) = classifier.predict(crops[:1])
    assert prediction.temperature == classifier.card.temperature == 1.5
    exponentials = np.exp(prediction.logits.astype(np.float64) / 1.5)
    np.testing.assert_allclose(prediction.probabilities, exponentials / exponentials.sum(), atol=1e-6)


def test_a_batch_of_many_equals_one_by_one(classifier: Classifier, crops: list[NDArray[np.uint8]]) -> None:
    together = classifier.predict(crops)
    for crop, joint in zip(crops, together, strict=True):
        (alone,) = classifier.predict([crop])
        np.testing.assert_allclose(joint.probabilities, alone.probabilities, atol=1e-5)


def test_predict_and_logits_of_inputs_are_the_same_path(classifier: Classifier, crops: list[NDArray[np.uint8]]) -> None:
    inputs = classifier.inputs(crops)
    assert inputs.shape == (len(crops), 3, 64, 64)
    assert torch.equal(inputs, classifier.card.input.transform(crops))
    predicted = np.stack([prediction.logits for prediction in classifier.predict(crops)])
    np.testing.assert_array_equal(classifier.logits(inputs).numpy(), predicted)


def test_features_give_the_logits_and_are_each_their_own(
    classifier: Classifier, crops: list[NDArray[np.uint8]]
) -> None:
    predictions = classifier.predict(crops[:3], features=True)
    bias = network_of(classifier).fc.bias.numpy()
    for prediction in predictions:
        features = prediction.features
        assert features is not None and features.shape == (1280, 4, 4) and features.dtype == np.float32
        assert features.base is None and features.flags.c_contiguous
        logits = classifier.class_weights @ features.mean((1, 2)) + bias
        np.testing.assert_allclose(logits, prediction.logits, rtol=1e-4, atol=1e-4)


def test_class_weights_are_the_heads(classifier: Classifier) -> None:
    assert classifier.class_weights is not None and classifier.class_weights.shape == (7, 1280)
    assert classifier.class_weights.dtype == np.float32
    np.testing.assert_array_equal(classifier.class_weights, network_of(classifier).fc.weight.numpy())


def test_threads_get_the_same_answers(classifier: Classifier, crops: list[NDArray[np.uint8]]) -> None:
    expected = [classifier.predict([crop])[0].probabilities for crop in crops]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda crop: classifier.predict([crop], features=True)[0].probabilities, crops * 3))
    for index, answer in enumerate(answers):
        np.testing.assert_allclose(answer, expected[index % len(crops)], atol=1e-6)


def test_a_permuted_card_gives_the_same_result_by_name(
    weights_dir: Path,
    tmp_path: Path,
    write_model: Callable[..., ModelCard],
    classifier: Classifier,
    crops: list[NDArray[np.uint8]],
) -> None:
    order = [3, 0, 6, 1, 5, 2, 4]
    card = read_card(weights_dir / "resnet50.json")
    network = load_network(card, weights_dir / "resnet50.safetensors")
    network.fc.weight.data = network.fc.weight.data[order]
    network.fc.bias.data = network.fc.bias.data[order]
    write_model(tmp_path, "resnet50", tuple(card.labels[i] for i in order), network=network)
    permuted = load_classifier("resnet50", tmp_path, "cpu")
    for one, other in zip(classifier.predict(crops), permuted.predict(crops), strict=True):
        assert one.labels != other.labels
        assert one.label == other.label
        for name in EXPRESSIONS:
            assert one.probability(name) == pytest.approx(other.probability(name), abs=1e-6)


def test_a_network_in_training_mode_is_put_in_evaluation_mode(weights_dir: Path) -> None:
    card = read_card(weights_dir / "vgg16.json")
    network = load_network(card, weights_dir / "vgg16.safetensors").train()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    classifier = Classifier(card, network, CPU)
    classifier.predict([np.zeros((64, 64, 3), np.uint8)])
    assert not network.training
    assert all(torch.equal(before[key], tensor) for key, tensor in network.state_dict().items())


def test_a_bad_crop_is_named_and_the_classifier_goes_on(classifier: Classifier) -> None:
    with pytest.raises(ImageError, match=r"\(10, 20, 3\)"):
        classifier.predict([np.zeros((10, 20, 3), np.uint8)])
    assert classifier.predict([np.zeros((20, 20, 3), np.uint8)])


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_must_be_positive(weights_dir: Path, classifier: Classifier, temperature: float) -> None:
    with pytest.raises(CardError, match="temperature"):
        Classifier(replace(classifier.card, temperature=temperature), network_of(classifier), CPU)


def test_a_card_with_other_labels_than_the_head_is_refused(classifier: Classifier) -> None:
    with pytest.raises(CardError, match="lists 2 labels, its network gives 7"):
        Classifier(replace(classifier.card, labels=("anger", "fear")), network_of(classifier), CPU)


def test_a_card_must_be_the_models_own(tmp_path: Path, classifier: Classifier) -> None:
    write_card(classifier.card, tmp_path / "vgg16.json")
    with pytest.raises(CardError, match="is the card of resnet50"):
        load_classifier("vgg16", tmp_path, "cpu")


def test_missing_files_are_named(tmp_path: Path, classifier: Classifier) -> None:
    with pytest.raises(CardError, match=r"no model card .*resnet50\.json"):
        load_classifier("resnet50", tmp_path, "cpu")
    write_card(classifier.card, tmp_path / "resnet50.json")
    with pytest.raises(WeightsError, match=r"no weight file .*resnet50\.safetensors"):
        load_classifier("resnet50", tmp_path, "cpu")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "meta", "xla"])
def test_unknown_devices(name: str) -> None:
    with pytest.raises(UnknownNameError, match="Unknown device .*auto, cpu, cuda, mps"):
        find_device(name)


def test_devices_this_machine_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert find_device("cuda:0") == torch.device("cuda:0")
    for name in ("cuda:1", "mps"):
        with pytest.raises(FerError, match=f"There is no device {name}.*auto"):
            find_device(name)


def test_auto_prefers_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert find_device("auto") == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("auto") == CPU
