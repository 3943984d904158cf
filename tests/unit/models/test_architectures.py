import pytest
import torch

from fer_models.errors import UnknownNameError
from fer_models.models.architectures import ARCHITECTURES, build_network, class_maps

# Parameters with a 7-class head: torchvision's ResNet-50 (25,557,032), VGG-16-BN (138,365,992) and MobileNetV2
# (3,504,872) less their ImageNet heads, plus 7 (K + 1). The last column is the side in px at which maps are 7x7.
TABLE = [
    ("resnet50", 2048, 25_557_032 - 1000 * 2049 + 7 * 2049, 112),
    ("vgg16", 512, 14_723_136 + 7 * 513, 112),
    ("mobilenet_v2", 1280, 3_504_872 - 1000 * 1281 + 7 * 1281, 112),
    ("resnet50_caffe", 2048, 25_557_032 - 1000 * 2049 + 7 * 2049, 224),
    ("mobilenet_v2_stride32", 1280, 3_504_872 - 1000 * 1281 + 7 * 1281, 224),
]


@pytest.mark.parametrize(("architecture", "channels", "parameters", "side"), TABLE)
def test_maps_are_7x7(architecture: str, channels: int, parameters: int, side: int) -> None:
    network = build_network(architecture, 7).eval()
    with torch.inference_mode():
        x = torch.randn(2, 3, side, side)
        features = network.forward_features(x)
        assert features.shape == (2, channels, 7, 7)
        logits = network(x)
        assert logits.shape == (2, 7)
        torch.testing.assert_close(network.forward_head(features), logits)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert network.fc.weight.shape == (7, channels)


def test_every_architecture_is_in_the_table() -> None:
    assert [row[0] for row in TABLE] == list(ARCHITECTURES)


def test_networks_start_in_training_mode_and_give_gradients() -> None:
    network = build_network("mobilenet_v2", 3)
    assert network.training
    network(torch.randn(2, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_an_unknown_architecture_is_named() -> None:
    with pytest.raises(UnknownNameError, match="Unknown architecture 'vit'. Known: resnet50, vgg16, mobilenet_v2"):
        build_network("vit", 7)


def test_class_maps_worked_out_by_hand() -> None:
    # Two channels of 1x2 cells, three classes: map_c = w_c0 * (1, 2) + w_c1 * (3, -1).
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, -1.0]]]])
    weight = torch.tensor([[1.0, 1.0], [2.0, -1.0], [0.0, 0.5]])
    expected = torch.tensor([[[[4.0, 1.0]], [[-1.0, 5.0]], [[1.5, -0.5]]]])
    assert torch.equal(class_maps(features, weight), expected)


def test_the_mean_of_a_class_map_plus_the_bias_is_the_logit() -> None:
    network = build_network("mobilenet_v2", 7).eval()
    with torch.inference_mode():
        features = network.forward_features(torch.randn(3, 3, 64, 64))
        maps = class_maps(features, network.fc.weight)
        torch.testing.assert_close(maps.mean((2, 3)) + network.fc.bias, network.forward_head(features))
