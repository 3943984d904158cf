"""Knowledge distillation (Hinton et al., 2015): part of each target is what trained models predict for the face."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from fer_models.datasets.dataset import FaceData
from fer_models.expressions import EXPRESSIONS
from fer_models.models.classifier import Classifier
from fer_models.training.precision import Precision, usable_precision
from fer_models.training.trainer import one_hot

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
    labels = data.distributions() if soft else one_hot(data.targets)
    predicted = torch.zeros_like(labels)
    for teacher in teachers:
        columns = [teacher.card.labels.index(label) for label in EXPRESSIONS]
        half = usable_precision(precision, teacher.device) == "bf16"
        with torch.autocast(teacher.device.type, torch.bfloat16, enabled=half):
            for start in range(0, len(data), _CHUNK):
                inputs = teacher.inputs(list(data.faces[start : start + _CHUNK]))
                logits = (teacher.logits(inputs) + teacher.logits(inputs.flip(-1))).float() / 2
                predicted[start : start + _CHUNK] += logits.softmax(1)[:, columns] / len(teachers)
    targets = (1 - share) * labels + share * predicted
    return replace(data, soft=np.asarray(targets.numpy(), np.float32))
