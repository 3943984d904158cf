from typing import Any

import numpy as np
import pytest
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from explain.maps import Explanation, attention, contrast
from fer_models.analyzer import Analyzer
from fer_models.errors import ExplanationError, UnknownNameError
from fer_models.expressions import EXPRESSIONS
from fer_models.models.architectures import ARCHITECTURES, class_maps
from fer_models.models.card import ModelCard
from fer_models.models.classifier import Classifier
from fer_models.models.preprocessing import InputSpec
from fer_models.results import Prediction
from tests.conftest import network_of, random_network


def prediction(features: list[Any] | None, labels: tuple[str, ...] = ("fear", "anger", "neutral")) -> Prediction:
    logits = np.zeros(len(labels), np.float32)
    maps = None if features is None else np.array(features, np.float32)
    return Prediction("tiny", labels, logits, logits, 1.0, 1.0, maps)


def test_maps_worked_out_by_hand() -> None:
    # The same numbers as for class_maps: map_c = w_c0 * (1, 2) + w_c1 * (3, -1).
    weights = np.array([[1, 1], [2, -1], [0, -0.5]], np.float32)
    maps = attention(prediction([[[1, 2]], [[3, -1]]]), weights)
    assert list(maps) == ["fear", "anger", "neutral"]
    np.testing.assert_array_equal(maps["fear"].heat, [[4, 1]])
    np.testing.assert_array_equal(maps["anger"].heat, [[-1, 5]])
    np.testing.assert_array_equal(maps["anger"].positive, [[0, 5]])
    np.testing.assert_array_equal(maps["neutral"].heat, [[-1.5, 0.5]])
    assert (maps["fear"].peak, maps["anger"].peak, maps["neutral"].peak) == (4.0, 5.0, 0.5)
    for name, explanation in maps.items():
        assert (explanation.model, explanation.method, explanation.expression) == ("tiny", "attention", name)
        assert explanation.heat.dtype == explanation.positive.dtype == np.float32


def test_no_evidence_is_an_empty_positive_map() -> None:
    explanation = Explanation("tiny", "attention", "fear", np.array([[-2, -1]], np.float32))
    assert explanation.peak == -1
    assert not explanation.positive.any()


def test_features_must_have_been_kept() -> None:
    with pytest.raises(ValueError, match="tiny carries no features: predict with features=True"):
        attention(prediction(None), np.zeros((3, 2), np.float32))


def test_weights_must_fit() -> None:
    with pytest.raises(ValueError, match=r"Expected class weights of shape \(3, 1\) for tiny; got \(7, 2\)"):
        attention(prediction([[[1, 2]]]), np.zeros((7, 2), np.float32))


def test_the_mean_of_a_map_plus_the_bias_is_the_logit(analyzer: Analyzer, picture: np.ndarray[Any, Any]) -> None:
    for face in analyzer.analyze([picture], features=True):
        for name, answer in face.predictions.items():
            classifier = analyzer.classifiers[name]
            maps = attention(answer, classifier.class_weights)
            assert list(maps) == list(answer.labels)
            means = [maps[label].heat.mean() for label in answer.labels]
            bias = network_of(classifier).fc.bias.numpy()
            np.testing.assert_allclose(means + bias, answer.logits, rtol=1e-3, atol=1e-3)
            assert answer.features is not None
            batch = torch.from_numpy(answer.features)[None]
            expected = class_maps(batch, torch.from_numpy(classifier.class_weights))[0].numpy()
            np.testing.assert_allclose([maps[label].heat for label in answer.labels], expected, rtol=1e-3, atol=1e-3)


def test_a_contrast_worked_out_by_hand() -> None:
    # fear 1, 1; anger 2, -1: their difference -1, 2 times the features (1, 2) and (3, -1).
    weights = np.array([[1, 1], [2, -1], [0, -0.5]], np.float32)
    answer = prediction([[[1, 2]], [[3, -1]]])
    one = contrast(answer, weights, "fear", "anger")
    np.testing.assert_array_equal(one.heat, [[-1 + 2 * 3, -2 - 2]])
    assert (one.model, one.method, one.expression, one.rather_than) == ("tiny", "contrast", "fear", "anger")
    assert one.heat.dtype == np.float32
    np.testing.assert_array_equal(contrast(answer, weights, "anger", "fear").heat, -one.heat)
    by_neutral = contrast(answer, weights, "fear", "neutral").heat - contrast(answer, weights, "anger", "neutral").heat
    np.testing.assert_array_equal(by_neutral, one.heat)


def test_a_contrast_takes_two_expressions_that_the_model_knows() -> None:
    answer, weights = prediction([[[1, 2]], [[3, -1]]]), np.ones((3, 2), np.float32)
    for pair in (("fear", "disgust"), ("disgust", "fear")):
        with pytest.raises(UnknownNameError, match="model tiny.*disgust"):
            contrast(answer, weights, *pair)
    with pytest.raises(ExplanationError, match="tiny: fear"):
        contrast(answer, weights, "fear", "fear")
    with pytest.raises(ExplanationError, match="tiny: No map"):
        contrast(answer, None, "fear", "anger")
    with pytest.raises(ValueError, match="carries no features"):
        contrast(prediction(None), weights, "fear", "anger")


def test_the_mean_of_a_contrast_plus_the_biases_is_the_difference_of_the_logits(
    analyzer: Analyzer, picture: np.ndarray[Any, Any]
) -> None:
    (face, *_) = analyzer.analyze([picture], features=True)
    for name, answer in face.predictions.items():
        classifier = analyzer.classifiers[name]
        biases = dict(zip(answer.labels, network_of(classifier).fc.bias.tolist(), strict=True))
        logits = dict(zip(answer.labels, answer.logits.tolist(), strict=True))
        for second in answer.labels[1:]:
            first = answer.labels[0]
            assert classifier.class_weights is not None
            one = contrast(answer, classifier.class_weights, first, second)
            total = one.heat.mean() + biases[first] - biases[second]
            assert total == pytest.approx(logits[first] - logits[second], rel=1e-3, abs=1e-3)


class RawGradCAM(GradCAM):  # type: ignore[misc]
    """The library's GradCAM, keeping its map as it is before ReLU, scaling and enlargement."""

    def get_cam_image(self, *args: Any, **kwargs: Any) -> Any:
        self.raw = super().get_cam_image(*args, **kwargs)
        return self.raw


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_maps_equal_the_grad_cam_librarys_up_to_a_constant(architecture: str) -> None:
    network = random_network(architecture, 7, seed=5)
    spec = InputSpec(size=224 if architecture in ("resnet50_caffe", "mobilenet_v2_stride32") else 112)  # 7x7 maps
    card = ModelCard(architecture, architecture, architecture, EXPRESSIONS, spec, "none", "none", "MIT", 1, "")
    classifier = Classifier(card, network, torch.device("cpu"))
    crop = np.random.default_rng(1).integers(0, 256, (14, 14, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    (answer,) = classifier.predict([crop], features=True)
    maps = attention(answer, classifier.class_weights)
    assert all(explanation.heat.shape == (7, 7) for explanation in maps.values())

    inputs = classifier.inputs([crop]).requires_grad_()
    with RawGradCAM(model=network, target_layers=[network.features]) as library:
        for index in (0, 3, 6):
            name = EXPRESSIONS[index]
            scaled = library(input_tensor=inputs, targets=[ClassifierOutputTarget(index)])
            (raw,) = library.raw
            # The constant is the number of cells: their Grad-CAM averages the gradient over 7 x 7 cells.
            np.testing.assert_allclose(maps[name].heat, raw * 49, rtol=1e-3, atol=1e-4 * np.abs(raw * 49).max())
            positive = np.maximum(raw, 0)
            if positive.any():
                peak = np.unravel_index(maps[name].positive.argmax(), (7, 7))
                assert positive[peak] == pytest.approx(positive.max())
            assert scaled.shape == (1, spec.size, spec.size)
