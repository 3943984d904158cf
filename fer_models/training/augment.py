"""Augmentation of whole batches, each face with its own draw.

torchvision's v2 transforms draw once per call, so a batch would be turned and erased alike; the geometry here is one
grid_sample with a matrix per face instead, which also brings the faces to the network's size in the same step. MixUp
and CutMix come from torchvision v2, which pairs faces within the batch.
"""

import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """How strongly training faces are varied. All zero: the faces as evaluation sees them.

    Attributes:
        rotation: largest turn in degrees.
        shift: largest shift as a fraction of the side.
        scale: largest relative change of size.
        brightness: largest relative change of brightness.
        contrast: largest relative change of contrast.
        erase: probability that a rectangle is replaced by noise (Zhong et al., AAAI 2020).
        flip: probability of mirroring.
        mix: probability that a batch is mixed, half by MixUp and half by CutMix (soft labels follow).
    """

    rotation: float = 15.0
    shift: float = 0.1
    scale: float = 0.15
    brightness: float = 0.2
    contrast: float = 0.2
    erase: float = 0.25
    flip: float = 0.5
    mix: float = 0.0

    def times(self, strength: float) -> "Augmentation":
        """Every amount multiplied, but for mirroring, which is free of cost."""
        amounts = {name: value * strength for name, value in asdict(self).items()}
        return Augmentation(**amounts | {"flip": self.flip})


def geometry(faces: Tensor, size: int, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Mirror, turn, shift and scale each face, and bring it to the network's size.

    Args:
        faces: (N, C, S, S) float32.
        size: of the result; with all amounts zero it equals bilinear interpolation to that size.
        how: the amounts.
        generator: on the faces' device.

    Returns:
        (N, C, size, size) float32; what comes from outside the picture repeats its border.
    """
    count = len(faces)

    def draw(largest: float) -> Tensor:
        return (torch.rand(count, generator=generator, device=faces.device) * 2 - 1) * largest

    angle = draw(how.rotation) * (math.pi / 180)
    zoom = 1 + draw(how.scale)
    mirror = 1 - 2 * (torch.rand(count, generator=generator, device=faces.device) < how.flip).float()
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    rows = [torch.stack([cos * mirror, -sin, 2 * draw(how.shift)], 1)]
    rows += [torch.stack([sin * mirror, cos, 2 * draw(how.shift)], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), [count, 1, size, size], align_corners=False)
    return F.grid_sample(faces, grid, mode="bilinear", padding_mode="border", align_corners=False)


def light(faces: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Change brightness and contrast of each face; (N, C, S, S) float32 on the 0 to 255 scale, in and out."""

    def factor(largest: float) -> Tensor:
        draw = torch.rand(len(faces), 1, 1, 1, generator=generator, device=faces.device)
        return 1 + (draw * 2 - 1) * largest

    mean = faces.mean((1, 2, 3), keepdim=True)
    return ((faces - mean) * factor(how.contrast) + mean * factor(how.brightness)).clamp(0, 255)


def erase(inputs: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Random erasing (Zhong et al., AAAI 2020): a rectangle of 2 to 33 % of the area, filled with Gaussian noise.

    Args:
        inputs: (N, C, S, S) float32, normalised.
        probability: that a face is erased.
        generator: on the inputs' device.

    Returns:
        A new tensor of the same shape.
    """
    count, _, side, _ = inputs.shape

    def draw(low: float, high: float) -> Tensor:
        return torch.rand(count, generator=generator, device=inputs.device) * (high - low) + low

    area = draw(0.02, 0.33)
    ratio = torch.exp(draw(math.log(0.3), math.log(3.3)))
    height, width = (area * ratio).sqrt().clamp(max=1) * side, (area / ratio).sqrt().clamp(max=1) * side
    top, left = draw(0, 1) * (side - height), draw(0, 1) * (side - width)
    chosen = draw(0, 1) < probability
    steps = torch.arange(side, device=inputs.device) + 0.5
    inside_rows = (steps >= top[:, None]) & (steps < (top + height)[:, None]) & chosen[:, None]
    inside_columns = (steps >= left[:, None]) & (steps < (left + width)[:, None])
    mask = (inside_rows[:, :, None] & inside_columns[:, None, :])[:, None]
    noise = torch.randn(inputs.shape, generator=generator, device=inputs.device)
    return torch.where(mask, noise, inputs)
