"""Does a map depend on what the model learned? Its weights are randomised, from the output backwards.

The cascade of Adebayo et al., "Sanity Checks for Saliency Maps" (NeurIPS 2018, section 3.1): first the classifier gets
random weights, then the last stage as well, and so on, until nothing that was learned is left. Every time the map is
made anew. A map that depends on the model changes; one that stays as it was would look the same had nothing been
learned, so it explains nothing.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from explain.gradcam import check, explain
from explain.maps import Explanation
from fer_models.errors import ExplanationError
from fer_models.models.architectures import STAGES, PooledClassifier
from fer_models.models.classifier import Classifier

#: Random weights that similarities are averaged over: maps of a few cells may look alike by chance.
DRAWS: Final = 5
#: A mean similarity below this is called low, from the second on high.
LOW: Final = 0.4
HIGH: Final = 0.7
#: The name of the first step; the others are named as in `fer_models.models.architectures.STAGES`.
CLASSIFIER: Final = "classifier"


@dataclass(frozen=True, eq=False)
class RandomisedStep:
    """The map after one more part of the network was randomised.

    Attributes:
        layers: what was randomised last: `CLASSIFIER` or a stage. All that comes after it is random, too.
        explanation: the map with the first random weights.
        similarities: to the true map, one per draw of random weights, in [-1, 1], as `similarity` gives them.
    """

    layers: str
    explanation: Explanation
    similarities: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean similarity."""
        return float(np.mean(self.similarities))


@dataclass(frozen=True, eq=False)
class Randomisation:
    """The check of one method's map of one face.

    Attributes:
        true: the map of the model as it is.
        steps: from the classifier alone to the whole network.
    """

    true: Explanation
    steps: tuple[RandomisedStep, ...]

    @property
    def verdict(self) -> str:
        """By the step that leaves the map most alike: "passes" below `LOW`, "fails" from `HIGH` on, else "unclear"."""
        highest = max(step.mean for step in self.steps)
        return "passes" if highest < LOW else "fails" if highest >= HIGH else "unclear"


def why_not(classifier: Classifier) -> str:
    """Why a model's weights cannot be randomised stage by stage, in one sentence; "" if they can."""
    if classifier.network is not None:
        return ""
    if classifier.module_engine is not None:
        return "No check: the stages of this network are not known, so it cannot be randomised one after the other."
    return "No check: it randomises a PyTorch network; the weights of this file cannot be changed here."


def randomisation(
    classifier: Classifier,
    crop: NDArray[np.uint8],
    target: str,
    methods: Sequence[str] = ("native", "layercam"),
    *,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Randomisation]:
    """Check the maps of one face. The same arguments give the same result.

    Args:
        classifier: it is not changed: a copy of its network is randomised.
        crop: (S, S, 3) RGB or (S, S) grey, uint8.
        target: the expression whose maps are made, also where the randomised model no longer predicts it.
        methods: keys of `explain.methods.METHODS`, each once.
        draws: how many times the weights are drawn.
        seed: of the first draw; the others follow it.
        progress: called with the share done, in [0, 1]; an error that it raises stops the check.

    Returns:
        By method, in the order given.

    Raises:
        ExplanationError: the weights cannot be randomised (`why_not`), or as for `explain.gradcam.explain`.
        UnknownNameError: no such method, or the model does not know the expression.
        ImageError: the crop is not a square uint8 picture.
        ValueError: there are no methods or no draws.
    """
    if not methods or draws < 1:
        raise ValueError("Randomisation needs at least one method and one draw.")
    if reason := why_not(classifier):
        raise ExplanationError(reason)
    for method in methods:
        check(classifier, target, method)
    assert classifier.network is not None  # `why_not`
    names = [CLASSIFIER, *reversed(STAGES[classifier.card.architecture])]
    maps: dict[str, list[list[Explanation]]] = {method: [[] for _ in names] for method in methods}
    true = {method: explain(classifier, crop, target, method) for method in methods}
    for draw in range(draws):
        network, generator = copy.deepcopy(classifier.network), torch.Generator().manual_seed(seed + draw)
        for number, part in enumerate(_from_the_output(network, classifier.card.architecture)):
            if progress is not None:
                progress((draw * len(names) + number) / (draws * len(names)))
            _randomise(part, generator)
            # PyTorch runs the copy as it stands: other engines would first build a graph of it.
            randomised = Classifier(classifier.card, network, classifier.device)
            for method in methods:
                maps[method][number].append(explain(randomised, crop, target, method))
    return {method: Randomisation(true[method], _steps(true[method], names, maps[method])) for method in methods}


def _steps(
    true: Explanation, names: Sequence[str], maps: Sequence[Sequence[Explanation]]
) -> tuple[RandomisedStep, ...]:
    return tuple(
        RandomisedStep(name, drawn[0], tuple(similarity(true.heat, one.heat) for one in drawn))
        for name, drawn in zip(names, maps, strict=True)
    )


def similarity(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Spearman's rank correlation of two maps (h, w) of the same shape, signed, over their cells.

    Free of the maps' scales, which random weights change by orders of magnitude. 1: the same order of cells, 0: nothing
    in common, -1: the opposite order. Where a map is constant it is not defined: then 1 if both are, else 0.
    """
    from scipy.stats import spearmanr  # slow to import

    constant = [np.ptp(heat) == 0 for heat in (first, second)]
    if any(constant):
        return float(all(constant))
    return float(spearmanr(first.ravel(), second.ravel()).statistic)


def _from_the_output(network: PooledClassifier, architecture: str) -> list[nn.Module]:
    """The parts of a network that are randomised one after the other: its head, then its stages, the last one first.

    The first stage takes the layers before it along.
    """
    layers, cuts = list(network.features.children()), list(STAGES[architecture].values())
    stages = [nn.Sequential(*layers[start:end]) for start, end in zip([0, *cuts[:-1]], cuts, strict=True)]
    return [network.fc, *reversed(stages)]


def _randomise(part: nn.Module, generator: torch.Generator) -> None:
    """Draw new weights as for training from scratch (He et al., ICCV 2015); biases 0, batch norms that change nothing.

    Raises:
        ExplanationError: a layer is of a kind whose weights this does not know how to draw: it must not stay trained.
    """
    for layer in part.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            drawn = torch.empty(layer.weight.shape)  # on the CPU: the same numbers on every device
            layer.weight.data.copy_(nn.init.kaiming_normal_(drawn, generator=generator))
            if layer.bias is not None:
                layer.bias.data.zero_()
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
        elif any(True for _ in layer.parameters(recurse=False)):
            raise ExplanationError(f"No check: layers such as {type(layer).__name__} cannot be randomised.")


def to_record(result: Randomisation) -> dict[str, object]:
    """A check as plain dicts, lists, strings and floats.

    "verdict" and "steps", each with "randomised" (what was randomised last: "classifier", "stage4" and so on),
    "similarity" (the mean) and "similarities" (one per draw).
    """
    return {
        "verdict": result.verdict,
        "steps": [
            {
                "randomised": step.layers,
                "similarity": round(step.mean, 4),
                "similarities": [round(one, 4) for one in step.similarities],
            }
            for step in result.steps
        ],
    }
