"""The networks: convolutional features, global average pooling, one linear head.

This project's own give 7x7 feature maps at 112 px: ResNet-50 and MobileNetV2 have stride 1 in their last strided stage,
VGG-16 has no last pooling. Those for external weights give 7x7 at 224 px. With a pooled linear head,
the class attention map (Zhou et al., CVPR 2016) is the head's class weights times the features, so no hook and no
backward pass is needed to see it.
"""

from collections.abc import Callable
from typing import Final

import torch
import torchvision
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fer_models.errors import UnknownNameError


class PooledClassifier(nn.Module):
    """Features, global average pooling, linear head: logits = fc(mean over h, w of features(x))."""

    def __init__(self, features: nn.Module, channels: int, classes: int) -> None:
        """Join features that give `channels` maps to a linear head for `classes` expressions."""
        super().__init__()
        self.features = features
        self.fc = nn.Linear(channels, classes)

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, 3, S, S) float32 to feature maps (N, K, h, w)."""
        maps: Tensor = self.features(x)
        return maps

    def forward_head(self, features: Tensor) -> Tensor:
        """Feature maps (N, K, h, w) to logits (N, C)."""
        logits: Tensor = self.fc(features.mean((2, 3)))
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, S, S) float32 to logits (N, C)."""
        return self.forward_head(self.forward_features(x))


def multiply_adds(network: PooledClassifier, size: int) -> int:
    """Multiply-adds of one forward pass for one face of `size` px: convolutions and the linear head."""
    device = network.fc.weight.device
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network.eval()(torch.zeros(1, 3, size, size, device=device))
    return int(counter.get_total_flops()) // 2  # it counts a multiplication and an addition as two


def class_maps(features: Tensor, weight: Tensor) -> Tensor:
    """Class attention maps: for every class, the head's weights times the features, summed over channels.

    Zhou et al., CVPR 2016, equation 2; EAC (Zhang et al., ECCV 2022) compares these maps, with the weights detached.

    Args:
        features: (N, K, h, w).
        weight: (C, K), the linear head's.

    Returns:
        (N, C, h, w). Their mean over h, w plus the head's bias are the logits.
    """
    return torch.einsum("nkhw,ck->nchw", features, weight)


def _resnet50(classes: int) -> PooledClassifier:
    """ResNet-50 (He et al., CVPR 2016), stride in the 3x3 convolution, stride 1 in the last stage."""
    trunk = torchvision.models.resnet50(weights=None, zero_init_residual=True)
    block = trunk.layer4[0]
    block.conv2.stride = (1, 1)
    block.downsample[0].stride = (1, 1)
    layers = [trunk.conv1, trunk.bn1, trunk.relu, trunk.maxpool, trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4]
    return PooledClassifier(nn.Sequential(*layers), 2048, classes)


def _vgg16(classes: int) -> PooledClassifier:
    """VGG-16 (Simonyan and Zisserman, ICLR 2015) with batch norm, without its last pooling and its dense layers."""
    trunk = torchvision.models.vgg16_bn(weights=None).features
    return PooledClassifier(nn.Sequential(*list(trunk)[:-1]), 512, classes)


def _mobilenet_v2(classes: int) -> PooledClassifier:
    """MobileNetV2 (Sandler et al., CVPR 2018), stride 1 in the last strided block."""
    trunk = torchvision.models.mobilenet_v2(weights=None).features
    trunk[14].conv[1][0].stride = (1, 1)
    return PooledClassifier(trunk, 1280, classes)


def _resnet50_caffe(classes: int) -> PooledClassifier:
    """ResNet-50 as VGGFace2 (Cao et al., FG 2018) and the EAC authors have it, after Caffe's; 7x7 maps at 224 px.

    A stage's stride is in the first 1x1 convolution of its first block, and the max pool rounds up instead of padding.
    """
    trunk = torchvision.models.resnet50(weights=None, zero_init_residual=True)
    for stage in (trunk.layer2, trunk.layer3, trunk.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    pool = nn.MaxPool2d(3, stride=2, padding=0, ceil_mode=True)
    layers = [trunk.conv1, trunk.bn1, trunk.relu, pool, trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4]
    return PooledClassifier(nn.Sequential(*layers), 2048, classes)


def _mobilenet_v2_stride32(classes: int) -> PooledClassifier:
    """MobileNetV2 with the strides it was published with; 7x7 maps at 224 px."""
    return PooledClassifier(torchvision.models.mobilenet_v2(weights=None).features, 1280, classes)


#: EAC changes how a network is trained, not what it computes: its backbones are the plain ones.
ARCHITECTURES: Final[dict[str, Callable[[int], PooledClassifier]]] = {
    "resnet50": _resnet50,
    "vgg16": _vgg16,
    "mobilenet_v2": _mobilenet_v2,
    "resnet50_caffe": _resnet50_caffe,
    "mobilenet_v2_stride32": _mobilenet_v2_stride32,
}

#: How many of the features' layers make up each of the last four stages, by name; the last one gives the maps that the
#: head pools. Each ends where the maps' number or size changes next, after a block's last addition or activation.
STAGES: Final[dict[str, dict[str, int]]] = {
    "resnet50": {"stage1": 5, "stage2": 6, "stage3": 7, "stage4": 8},
    "vgg16": {"stage1": 13, "stage2": 23, "stage3": 33, "stage4": 43},
    "mobilenet_v2": {"stage1": 7, "stage2": 14, "stage3": 18, "stage4": 19},
    "resnet50_caffe": {"stage1": 5, "stage2": 6, "stage3": 7, "stage4": 8},
    "mobilenet_v2_stride32": {"stage1": 7, "stage2": 14, "stage3": 18, "stage4": 19},
}


def build_network(architecture: str, classes: int) -> PooledClassifier:
    """An untrained network in training mode.

    Raises:
        UnknownNameError: no such architecture.
    """
    if architecture not in ARCHITECTURES:
        raise UnknownNameError("architecture", architecture, ARCHITECTURES)
    return ARCHITECTURES[architecture](classes)
