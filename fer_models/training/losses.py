"""What is minimised: cross-entropy, and Erasing Attention Consistency (EAC).

A task owns a network, makes the views it needs from a batch, and gives the loss (the shape of timm's training tasks).
"""

from typing import Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms import v2

from fer_models.expressions import EXPRESSIONS
from fer_models.models.architectures import PooledClassifier, class_maps
from fer_models.training.augment import erase
from fer_models.training.recipes import Recipe
from fer_models.training.teachers import Teacher

View = Literal["mirrored", "independent"]


def attention_consistency(first: Tensor, second: Tensor) -> Tensor:
    """EAC's consistency loss (Zhang et al., ECCV 2022, equation 4): attention should flip with the face.

    Args:
        first: class attention maps of the first view, (N, C, h, w).
        second: those of the mirrored view, (N, C, h, w).

    Returns:
        The mean squared difference between the first maps and the mirrored second ones, over all entries; a scalar.
    """
    return F.mse_loss(first, second.flip(-1))


class CrossEntropyTask(nn.Module):
    """Cross-entropy with soft targets on randomly erased faces, batches optionally mixed.

    Attributes:
        share: which faces of a batch, after all draws, the network of this process gets; all, unless several train.
    """

    def __init__(
        self,
        network: PooledClassifier,
        *,
        smoothing: float,
        erasing: float,
        mixing: float,
        classes: int,
        teacher: Teacher | None = None,
        teacher_share: float = 0.0,
    ):
        """Own the network; amounts as in `Augmentation` and `Recipe`.

        Args:
            network: the network to train.
            smoothing: of the targets.
            erasing: probability that a face is erased.
            mixing: probability that a batch is mixed.
            classes: how many.
            teacher: gives (N, C) probabilities for the very inputs that the network sees.
            teacher_share: of the teacher in each target.
        """
        super().__init__()
        self.network = network
        self.share = slice(None)
        self.smoothing = smoothing
        self.erasing = erasing
        self.mixing = mixing
        self.teacher, self.teacher_share = teacher, teacher_share
        self.mixers = v2.RandomChoice(
            [v2.MixUp(alpha=0.2, num_classes=classes), v2.CutMix(alpha=1.0, num_classes=classes)]
        )

    def forward(self, inputs: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The loss of this process's share of a batch, and the logits it was computed from.

        Args:
            inputs: (N, 3, S, S) float32, augmented but not erased.
            targets: (N, C) float32 label distributions.
            generator: on the inputs' device, for erasing.
        """
        inputs = erase(inputs, self.erasing, generator)
        if self.mixing and torch.rand(()) < self.mixing:  # on the CPU, as the mixers' draws are
            inputs, targets = self.mixers(inputs, targets)
        inputs, targets = inputs[self.share], targets[self.share]
        if self.teacher is not None:
            targets = torch.lerp(targets, self.teacher(inputs), self.teacher_share)
        logits = self.network(inputs)
        return F.cross_entropy(logits.float(), targets, label_smoothing=self.smoothing), logits


class EACTask(nn.Module):
    """Erasing Attention Consistency: cross-entropy on an erased face plus consistency with a mirrored view.

    Two ways to make the second view stand in the authors' public code: "mirrored" (their clean-label setting) mirrors
    the erased first view; "independent" (their noisy-label setting) mirrors the face and erases it on its own.

    Attributes:
        share: as `CrossEntropyTask.share`.
    """

    def __init__(self, network: PooledClassifier, *, weight: float, view: View, smoothing: float, erasing: float):
        """Own the network.

        Args:
            network: the network to train.
            weight: lambda of the paper, 5 there.
            view: how the second view is made.
            smoothing: of the labels.
            erasing: probability that a view is erased; 0.5 in the authors' code.
        """
        super().__init__()
        self.network = network
        self.share = slice(None)
        self.weight = weight
        self.ramp = 1.0  # share of the weight in force, set by the loop
        self.view: Final = view
        self.smoothing = smoothing
        self.erasing = erasing

    def forward(self, inputs: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """As `CrossEntropyTask.forward`. Class weights are detached in the maps, as in the authors' code."""
        first = erase(inputs, self.erasing, generator)
        targets = targets[self.share]
        if not self.ramp * self.weight:
            logits = self.network(first[self.share])
            return F.cross_entropy(logits.float(), targets, label_smoothing=self.smoothing), logits
        mirrored = self.view == "mirrored"
        second = first.flip(-1) if mirrored else erase(inputs.flip(-1), self.erasing, generator)
        first, second = first[self.share], second[self.share]
        weight = self.network.fc.weight.detach()
        first_features = self.network.forward_features(first)
        second_features = self.network.forward_features(second)
        logits = self.network.forward_head(first_features)
        with torch.autocast(inputs.device.type, enabled=False):  # squares of small differences need float32
            maps = [class_maps(features.float(), weight.float()) for features in (first_features, second_features)]
            consistency = attention_consistency(*maps)
            loss = F.cross_entropy(logits.float(), targets, label_smoothing=self.smoothing)
            return loss + self.ramp * self.weight * consistency, logits


def training_task(
    recipe: Recipe, network: PooledClassifier, teacher: Teacher | None = None
) -> CrossEntropyTask | EACTask:
    """What a recipe minimises.

    Args:
        recipe: its objective and settings.
        network: trained in place.
        teacher: predicts part of each target from the augmented face; of cross-entropy alone.
    """
    erasing = recipe.augmentation.erase
    if recipe.objective == "eac":
        return EACTask(
            network, weight=recipe.consistency, view=recipe.view, smoothing=recipe.smoothing, erasing=erasing
        )
    return CrossEntropyTask(
        network,
        smoothing=recipe.smoothing,
        erasing=erasing,
        mixing=recipe.augmentation.mix,
        classes=len(EXPRESSIONS),
        teacher=teacher,
        teacher_share=recipe.teacher_share,
    )
