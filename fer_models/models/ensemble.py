"""Ensembles: the mean of some models' probabilities, each after its own temperature.

`fer_models.registry.ensembles_of` says which ensembles a set of models offers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_models.expressions import in_display_order
from fer_models.results import Prediction

#: Name and title of an ensemble where there is only one: in the records of one label set. MCP's tools call the mean of
#: all models so.
ENSEMBLE: Final = "ensemble"
ENSEMBLE_TITLE: Final = "Ensemble"


@dataclass(frozen=True)
class Ensemble:
    """Models that learned the same labels, to be averaged.

    Attributes:
        name: what commands, files and the API call it, such as "ensemble_fer2013".
        title: what people read, such as "Ensemble (FER2013)".
        members: names of the models, in their order; at least two.
        label_set: the labels that they learned, a key of `fer_models.registry.LABEL_SETS`; None for others.
    """

    name: str
    title: str
    members: tuple[str, ...]
    label_set: str | None = None


def mean_probabilities(probabilities: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The unweighted mean of calibrated models (deep ensembles: Lakshminarayanan et al., NeurIPS 2017, section 2.4).

    Args:
        probabilities: one array per model, all of one shape (..., C), columns in the same order.

    Returns:
        (..., C) float32; a distribution if each model's is one.
    """
    return np.asarray(np.mean(np.stack(probabilities), axis=0), np.float32)


def ensemble(predictions: Mapping[str, Prediction], name: str = ENSEMBLE) -> Prediction:
    """The joint prediction of several models for one face.

    Models are joined by the expressions' names; a model gives no probability to an expression it does not know.

    Args:
        predictions: of one face, by model name; at least one.
        name: of the ensemble.

    Returns:
        A prediction without features, since a mean of models has no feature maps. Its logits are the logarithms
        of the mean probabilities, its latency is the sum of the models'.

    Raises:
        ValueError: there are no predictions.
    """
    if not predictions:
        raise ValueError("An ensemble needs at least one prediction.")
    labels = tuple(in_display_order({label for prediction in predictions.values() for label in prediction.labels}))
    rows = [
        np.array([member.probability(label) if label in member.labels else 0 for label in labels], np.float32)
        for member in predictions.values()
    ]
    mean = mean_probabilities(rows)
    return Prediction(
        model=name,
        labels=labels,
        logits=np.log(np.maximum(mean, np.finfo(np.float32).tiny)),
        probabilities=mean,
        temperature=1.0,
        latency_ms=sum(member.latency_ms for member in predictions.values()),
    )
