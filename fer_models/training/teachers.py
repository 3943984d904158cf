"""Knowledge distillation (Hinton et al., 2015): part of each target is what trained models predict for the face."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fer_models.datasets.dataset import FaceData
from fer_models.errors import FerError
from fer_models.expressions import EXPRESSIONS
from fer_models.models.classifier import Classifier
from fer_models.models.preprocessing import InputSpec
from fer_models.training.precision import Precision, usable_precision

#: (N, 3, S, S) float32 inputs to (N, 7) float32 probabilities in the order of `EXPRESSIONS`.
Teacher = Callable[[Tensor], Tensor]

_CHUNK = 256


def with_teachers(
    data: FaceData, teachers: Sequence[Classifier], share: float, *, soft: bool = False, precision: Precision = "bf16"
) -> FaceData:
    """The same faces with label distributions that lie between their labels and the teachers' predictions.

    Each teacher predicts once for a face and its mirror image: softmax of the mean of both logits, before its
    temperature. Teachers count alike.

    Args:
        data: the training faces.
        teachers: at least one, each knows all expressions.
        share: of the teachers in each target, in [0, 1].
        soft: whether the labels' part comes from the label set's distributions instead of its single labels.
        precision: what the teachers compute in, where the machine can.
    """
    labels = data.distributions() if soft else replace(data, soft=None).distributions()
    predicted = torch.zeros_like(labels)
    for teacher in teachers:
        columns = _columns(teacher)
        half = usable_precision(precision, teacher.device) == "bf16"
        with torch.autocast(teacher.device.type, torch.bfloat16, enabled=half):
            for start in range(0, len(data), _CHUNK):
                inputs = teacher.inputs(list(data.faces[start : start + _CHUNK]))
                logits = (teacher.logits(inputs) + teacher.logits(inputs.flip(-1))).float() / 2
                predicted[start : start + _CHUNK] += logits.softmax(1)[:, columns] / len(teachers)
    targets = (1 - share) * labels + share * predicted
    return replace(data, soft=np.asarray(targets.numpy(), np.float32))


def teacher_of_inputs(teachers: Sequence[Classifier], spec: InputSpec) -> Teacher:
    """What teachers predict on average for a network's own inputs, brought to the size that each is fed.

    Args:
        teachers: at least one, each knows all expressions.
        spec: the network's; of any size, but in the teachers' colour mode and normalised alike.

    Raises:
        FerError: a teacher is fed otherwise, or has no network.
    """
    for teacher in teachers:
        if replace(teacher.card.input, size=spec.size) != spec:
            raise FerError(
                f"{teacher.name} is fed other pictures than this recipe's network. Take another teacher, or let it see "
                'the faces themselves: teacher_view="face".'
            )

    networks = [teacher.network for teacher in teachers if teacher.network is not None]
    if len(networks) < len(teachers):
        raise FerError(
            "A teacher is a graph without a PyTorch network. Take another, or let it see the faces themselves."
        )
    columns = [torch.tensor(_columns(teacher), device=teacher.device) for teacher in teachers]

    @torch.no_grad()
    def predict(inputs: Tensor) -> Tensor:
        total = inputs.new_zeros(len(inputs), len(EXPRESSIONS))
        for teacher, network, order in zip(teachers, networks, columns, strict=True):
            size = teacher.card.input.size
            sized = inputs
            if inputs.shape[-1] != size:
                shrink = inputs.shape[-1] > size
                sized = F.interpolate(inputs, (size, size), mode="bilinear", align_corners=False, antialias=shrink)
            total += network(sized).float().softmax(1)[:, order]
        return total / len(teachers)

    return predict


def _columns(teacher: Classifier) -> list[int]:
    return [teacher.card.labels.index(label) for label in EXPRESSIONS]
