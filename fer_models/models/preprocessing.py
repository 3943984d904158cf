"""InputSpec: the one way a crop becomes a network's input, in training, evaluation and the app alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fer_models.errors import ImageError

# ITU-R BT.601 luma, the weights OpenCV and Pillow use for grey.
_LUMA = (0.299, 0.587, 0.114)
_Pixels = TypeVar("_Pixels", Tensor, NDArray[np.float32])


@dataclass(frozen=True)
class InputSpec:
    """What a network expects to be fed.

    Attributes:
        size: side of the square input in pixels.
        mode: "grey" (luma on all three channels) or "rgb".
        mean: per channel, on the [0, 1] scale.
        std: per channel, on the [0, 1] scale.
        source_size: side in pixels that larger crops are first averaged down to, so that a sharp photo reaches the
            network about as sharp as its 48 px training faces, enlarged, did: `benchmarks.crop_resolution` measures
            it. None leaves crops as they are.
        interpolation: how crops become `size` px wide. All but bilinear as Pillow does it, whole levels included, since
            networks that want it were trained so.
    """

    size: int = 112
    mode: Literal["grey", "rgb"] = "grey"
    mean: tuple[float, float, float] = (0.5077, 0.5077, 0.5077)
    std: tuple[float, float, float] = (0.2550, 0.2550, 0.2550)
    source_size: int | None = 96
    interpolation: Literal["bilinear", "bicubic", "lanczos"] = "bilinear"

    def colour(self, faces: Tensor) -> Tensor:
        """Bring faces to the colour mode and to the source resolution.

        Args:
            faces: (N, 1 or 3, S, S) uint8, or float32 on the 0 to 255 scale.

        Returns:
            (N, 1, s, s) for grey or (N, 3, s, s) for rgb, float32 on the 0 to 255 scale, s = min(S, source_size).
        """
        pixels = faces.to(torch.float32)
        if self.mode == "grey" and pixels.shape[1] == 3:
            pixels = _grey(*(pixels[:, i : i + 1] for i in range(3)))
        elif self.mode == "rgb" and pixels.shape[1] == 1:
            pixels = pixels.expand(-1, 3, -1, -1)
        if self.source_size is not None and pixels.shape[-1] > self.source_size:
            side = (self.source_size, self.source_size)
            pixels = F.interpolate(pixels, side, mode="bilinear", align_corners=False, antialias=True)
            pixels = pixels.round_().clamp_(0, 255)
        return pixels

    def normalise(self, pixels: Tensor) -> Tensor:
        """(N, 1 or 3, size, size) on the 0 to 255 scale to the (N, 3, size, size) float32 the network is fed."""
        channels = pixels.unbind(1)
        means, stds = torch.tensor(self.mean) * 255, torch.tensor(self.std) * 255
        return torch.stack([(channels[i % len(channels)] - means[i]) / stds[i] for i in range(3)], 1)

    def prepare(self, faces: Tensor) -> Tensor:
        """(N, 1 or 3, S, S) uint8 faces to the network's input, without any augmentation; "lanczos" on the CPU alone.

        Returns:
            (N, 3, size, size) float32.
        """
        pixels = self.colour(faces)
        if pixels.shape[-1] != self.size:
            side, plain = (self.size, self.size), self.interpolation == "bilinear"
            smooth = not plain or pixels.shape[-1] > self.size  # Pillow's kernels, which also enlarge
            levels = pixels if plain else pixels.to(torch.uint8)  # it rounds and clips after the rows, too
            pixels = F.interpolate(levels, side, mode=self.interpolation, align_corners=False, antialias=smooth)
        return self.normalise(pixels)

    def transform(self, crops: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Square uint8 crops, (S, S, 3) RGB or (S, S) grey, each of any S, to (N, 3, size, size) float32.

        Raises:
            ImageError: a crop is not a square uint8 picture.
        """
        return torch.cat([self.prepare(self._read(crop)) for crop in crops])

    def _read(self, crop: NDArray[np.uint8]) -> Tensor:
        """One crop as (1, 1 or 3, S, S) float32 on the 0 to 255 scale, grey where the network sees grey.

        NumPy does this in one thread. PyTorch would share it among all of its threads, and while other models keep the
        cores busy, waiting for these takes far longer than the work.
        """
        square = crop.ndim >= 2 and crop.shape[0] == crop.shape[1] > 0
        if crop.dtype != np.uint8 or not square or crop.shape[2:] not in ((), (3,)):
            raise ImageError(f"Expected a crop of shape (S, S, 3) or (S, S), uint8; got {crop.shape}, {crop.dtype}.")
        planes = [crop] if crop.ndim == 2 else [*crop.transpose(2, 0, 1)]
        pixels = [plane.astype(np.float32) for plane in planes]
        if self.mode == "grey" and len(pixels) == 3:
            pixels = [_grey(*pixels)]
        return torch.from_numpy(np.stack(pixels))[None]


def imagenet_input(size: int) -> InputSpec:
    """Colour pictures at their own sharpness, normalised as for networks trained on ImageNet."""
    return InputSpec(size, "rgb", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), source_size=None)


def _grey(red: _Pixels, green: _Pixels, blue: _Pixels) -> _Pixels:
    """Luma in whole grey levels, as in a grey file: float32 on the 0 to 255 scale, of any shape."""
    levels: _Pixels = (red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2]).round()
    return levels
