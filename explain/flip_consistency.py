"""Flip consistency: is a model's evidence at the same places in a face and in its mirror image?

EAC trains for this (Zhang et al., ECCV 2022, equation 4); here it is measured for any model: the class attention maps
of the mirror image, flipped back, should equal those of the face.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from explain.maps import NO_MAP, attention
from fer_models.errors import ExplanationError
from fer_models.models.classifier import Classifier
from fer_models.results import Prediction


@dataclass(frozen=True, eq=False)
class FlipConsistency:
    """The class attention maps of a face and of its mirror image, and how far they are apart.

    Attributes:
        model: the model's name.
        labels: its expressions, one map each.
        maps: (C, h, w) float32, raw and signed, of the face.
        mirrored: (C, h, w) float32, of the mirror image, flipped back: each cell shows the same place of the face.
    """

    model: str
    labels: tuple[str, ...]
    maps: NDArray[np.float32]
    mirrored: NDArray[np.float32]

    @cached_property
    def loss(self) -> float:
        """EAC's consistency loss on this face: the mean squared difference over all entries; 0 is perfect.

        Its unit is the logit's, squared. Models scale their logits differently, so it can compare one model's faces or
        training steps, but not models: for those there is `relative_loss`.
        """
        first, second = self._doubles()
        return float(np.mean((first - second) ** 2))

    @cached_property
    def relative_loss(self) -> float:
        """The loss divided by the mean square of both maps' entries: free of their scale, comparable across models.

        0 if the maps are equal, 2 if they have nothing in common (are orthogonal), 4 if they are opposites. 0 where all
        maps are zero: then they are equal too.
        """
        first, second = self._doubles()
        power = float(np.mean(first**2 + second**2)) / 2
        return self.loss / power if power > 0 else 0.0

    @cached_property
    def correlation(self) -> float:
        """Pearson's correlation over the same entries, in [-1, 1]: free of the maps' scale and of a constant shift.

        Where the maps or the mirrored maps are constant it is not defined: then 1 if both are equal, else 0.
        """
        first, second = (maps.ravel() for maps in self._doubles())
        if np.ptp(first) == 0 or np.ptp(second) == 0:
            return float(np.array_equal(first, second))
        first, second = ((maps - maps.mean()) / np.abs(maps - maps.mean()).max() for maps in (first, second))
        norm = np.linalg.norm(first) * np.linalg.norm(second)
        return float(np.clip(first @ second / norm, -1, 1))

    def _doubles(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return self.maps.astype(np.float64), self.mirrored.astype(np.float64)


def flip_consistency(classifier: Classifier, crop: NDArray[np.uint8]) -> FlipConsistency:
    """Maps of a face and of its mirror image, from one batch of two.

    Args:
        classifier: the model.
        crop: (S, S, 3) RGB or (S, S) grey, uint8, aligned.

    Raises:
        ExplanationError: the model has no class attention maps.
        ImageError: the crop is not a square uint8 picture.
    """
    if classifier.class_weights is None:
        raise ExplanationError(NO_MAP)
    prediction, mirrored = classifier.predict([crop, crop[:, ::-1]], features=True)
    return compared(prediction, mirrored, classifier.class_weights)


def compared(prediction: Prediction, mirrored: Prediction, class_weights: NDArray[np.float32]) -> FlipConsistency:
    """Flip consistency from predictions that were made before.

    Args:
        prediction: of the face, with features.
        mirrored: the same model's of the mirror image, with features.
        class_weights: (C, K) float32, the head's.

    Raises:
        ValueError: a prediction carries no features, or the weights do not fit them.
    """
    first, second = (_stack(answer, class_weights) for answer in (prediction, mirrored))
    back = np.ascontiguousarray(second[..., ::-1])
    return FlipConsistency(prediction.model, prediction.labels, first, back)


def _stack(prediction: Prediction, class_weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """(C, h, w): the maps of all expressions in the order of the labels."""
    maps: Sequence[NDArray[np.float32]] = [item.heat for item in attention(prediction, class_weights).values()]
    return np.stack(maps)
