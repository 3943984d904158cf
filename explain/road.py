"""ROAD (Rong et al., ICML 2022), by the grad-cam library: pixels are removed so that nothing shows which ones are gone.

A removed pixel becomes the mean of its neighbours, with a little noise; all removed ones are solved for at once. The
outline of a flat patch, as in plain deletion, tells a model what was covered; this leaves no outline.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_models.errors import UnknownNameError
from fer_models.models.classifier import Classifier

#: Percentages of the pixels that are removed: a fifth to four fifths.
PERCENTAGES: Final = (20, 40, 60, 80)
#: The library draws its noise from PyTorch's one generator: one call at a time, and the generator is put back.
_lock = threading.Lock()


@dataclass(frozen=True)
class Road:
    """One expression's probability with pixels removed in the order of a map, or against it.

    Attributes:
        percentages: of the pixels that were removed.
        most_first: the probability at each percentage, the most relevant pixels removed; low for a good map.
        least_first: the same with the least relevant pixels removed; high for a good map.
    """

    percentages: tuple[int, ...]
    most_first: tuple[float, ...]
    least_first: tuple[float, ...]

    @property
    def combined(self) -> float:
        """Half the mean of (least first - most first), as the library's ROADCombined; above 0 the map's order helps."""
        return float(np.mean(np.subtract(self.least_first, self.most_first)) / 2)


def road(
    classifier: Classifier,
    crop: NDArray[np.uint8],
    target: str,
    ranks: NDArray[np.float64],
    percentages: Sequence[int] = PERCENTAGES,
    seed: int = 0,
) -> Road:
    """Probabilities after removing the most, and the least, relevant pixels of the network's input.

    Args:
        classifier: the model.
        crop: (S, S, 3) RGB or (S, S) grey, uint8.
        target: the expression.
        ranks: (size, size) float64, every pixel's relevance at the network's input size; no two may be equal, or the
            library's percentiles fail (it would remove every pixel of a map that is zero in most places).
        percentages: of the pixels to remove, each above 0 and below 100.
        seed: of the noise.

    Raises:
        ImageError: the crop is not a square uint8 picture.
        UnknownNameError: the model does not know the expression.
        ValueError: the ranks do not fit the network's input.
    """
    from pytorch_grad_cam.metrics.road import ROADLeastRelevantFirst, ROADMostRelevantFirst

    labels = classifier.card.labels
    if target not in labels:
        raise UnknownNameError(f"expression for model {classifier.name}", target, labels)
    inputs = classifier.inputs([crop]).cpu()
    if ranks.shape != tuple(inputs.shape[2:]):
        raise ValueError(f"Expected ranks of shape {tuple(inputs.shape[2:])}, the network's input; got {ranks.shape}.")
    column = labels.index(target)

    def model(pictures: Tensor) -> Tensor:  # by the classifier, and so behind its lock
        return classifier.probabilities(classifier.logits(pictures))

    def chosen(row: Tensor) -> Tensor:
        return row[column]

    scores: list[list[float]] = [[], []]
    with _lock, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for percentage in percentages:
            # The library counts percentiles of the relevance: above the 80th lie the 20 % most relevant.
            for kept, metric in zip(scores, (ROADMostRelevantFirst, ROADLeastRelevantFirst), strict=True):
                remove = metric(100 - percentage)
                (score,) = remove(inputs, ranks[None], [chosen], model, return_diff=False)
                kept.append(float(score))
    return Road(tuple(percentages), tuple(scores[0]), tuple(scores[1]))


def mean_road(roads: Sequence[Road]) -> Road:
    """The mean probabilities over several maps, at least one, all with the same percentages."""
    most = np.mean([one.most_first for one in roads], axis=0).tolist()
    least = np.mean([one.least_first for one in roads], axis=0).tolist()
    return Road(roads[0].percentages, tuple(most), tuple(least))
