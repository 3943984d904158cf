"""Labelled faces of one split, and which split a face belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_models.errors import UnknownNameError
from fer_models.expressions import EXPRESSIONS

if TYPE_CHECKING:  # naming the label sets should not wait for PyTorch
    from torch import Tensor

#: Our names of the splits and what the datasets call them.
SPLITS: Final[dict[str, str]] = {
    "train": "train",
    "validation": "validation",
    "test": "test",
    "training": "train",
    "publictest": "validation",
    "privatetest": "test",
    "val": "validation",
    "valid": "validation",
}
#: Share of the training entries held out where a dataset has no validation split.
VALIDATION_SHARE: Final = 0.1


@dataclass(frozen=True, eq=False)
class FaceData:
    """Labelled faces of one split.

    Attributes:
        source: the name of the label set.
        split: "train", "validation" or "test".
        faces: N square pictures, (S, S) grey or (S, S, 3) RGB uint8; an array where all have one shape.
        targets: (N,) int64, indices into `EXPRESSIONS`.
        rows: (N,) int64, each face's row in its source, counted from 0 over all splits.
        soft: (N, 7) float32 label distributions, or None where the source has none.
        names: the file of each face, where it has one.
    """

    source: str
    split: str
    faces: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]
    targets: NDArray[np.int64]
    rows: NDArray[np.int64]
    soft: NDArray[np.float32] | None = None
    names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        """Number of faces."""
        return len(self.targets)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "FaceData":
        """The faces at these positions, or where this mask is true."""
        index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        faces = self.faces[index] if isinstance(self.faces, np.ndarray) else [self.faces[i] for i in index]
        soft = None if self.soft is None else self.soft[index]
        names = None if self.names is None else tuple(self.names[i] for i in index)
        return replace(self, faces=faces, targets=self.targets[index], rows=self.rows[index], soft=soft, names=names)

    def pixels(self, side: int = 100) -> "Tensor":
        """All faces as one (N, 1 or 3, S, S) uint8 tensor; faces of several shapes are brought to RGB and `side`."""
        import torch

        if isinstance(self.faces, np.ndarray):
            stack = self.faces[:, None] if self.faces.ndim == 3 else self.faces.transpose(0, 3, 1, 2)
            return torch.from_numpy(np.ascontiguousarray(stack))
        alike = [_resized(face, side) for face in self.faces]
        return torch.from_numpy(np.stack(alike).transpose(0, 3, 1, 2).copy())

    def distributions(self) -> "Tensor":
        """(N, 7) float32: the soft labels, or the hard ones as one-hot rows."""
        import torch

        if self.soft is not None:
            return torch.from_numpy(self.soft)
        return torch.nn.functional.one_hot(torch.from_numpy(self.targets), len(EXPRESSIONS)).float()


def _resized(face: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    rgb = face if face.ndim == 3 else np.repeat(face[..., None], 3, axis=2)
    interpolation = cv2.INTER_AREA if rgb.shape[0] > side else cv2.INTER_LINEAR
    return cv2.resize(rgb, (side, side), interpolation=interpolation).astype(np.uint8)


def in_split(count: int, split: str, seed: int) -> NDArray[np.bool_]:
    """Which of a training list's entries belong to "train" or "validation", where a dataset has no validation split.

    A seeded tenth is held out, at least one entry.
    """
    held_out = np.zeros(count, bool)
    held_out[np.random.default_rng(seed).permutation(count)[: max(1, round(VALIDATION_SHARE * count))]] = True
    return held_out if split == "validation" else ~held_out


def split_name(name: str) -> str:
    """Our word for a split that may be named as its dataset names it.

    Raises:
        UnknownNameError: no such split.
    """
    if name.lower() not in SPLITS:
        raise UnknownNameError("split", name, [*SPLITS])
    return SPLITS[name.lower()]
