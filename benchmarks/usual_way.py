"""The usual way to compare four classifiers on a face, for reference: what a reader of their papers would write.

torchvision's networks at 224 px in float32, one after the other, each with Grad-CAM by the grad-cam library. No face
detection, which the comparison here includes.
"""

from collections.abc import Callable
from typing import Any, Final

import torch
import torchvision
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

_CLASSES: Final = 7
_SIDE: Final = 224


def usual_way(device: torch.device) -> Callable[[], None]:
    """A function that classifies one prepared face with all four networks and makes a map for each answer."""
    cams = [GradCAM(network.to(device), [layer]) for network, layer in _networks()]
    inputs = torch.rand(1, 3, _SIDE, _SIDE, generator=torch.Generator().manual_seed(0)).to(device)

    def compare() -> None:
        for cam in cams:
            with torch.no_grad():
                answer = int(cam.model(inputs).argmax())
            cam(inputs, [ClassifierOutputTarget(answer)])

    return compare


def _networks() -> list[tuple[nn.Module, Any]]:
    """ResNet-50, VGG-16, ResNet-50 and MobileNetV2 with random weights, each with the layer that is explained."""
    models = torchvision.models
    resnets = [models.resnet50(num_classes=_CLASSES).eval() for _ in range(2)]
    vgg, mobile = models.vgg16_bn(num_classes=_CLASSES).eval(), models.mobilenet_v2(num_classes=_CLASSES).eval()
    return [
        (resnets[0], resnets[0].layer4[-1]),
        (vgg, vgg.features[-1]),
        (resnets[1], resnets[1].layer4[-1]),
        (mobile, mobile.features[-1]),
    ]
