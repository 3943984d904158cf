"""Class attention maps from the features of the same forward pass: no hooks, no backward pass.

For a pooled linear head the class attention map (Zhou et al., CVPR 2016, equation 2) is Grad-CAM (Selvaraju et al.,
ICCV 2017, equations 1 and 2) times the number of cells, before its ReLU: the gradient of a logit with respect to a
cell of channel k is w_ck / (h w) everywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_models.errors import ExplanationError, UnknownNameError
from fer_models.results import Prediction

#: Why a model has no native map.
NO_MAP: Final = "No map: this file gives no feature maps."


@dataclass(frozen=True, eq=False)
class Explanation:
    """An evidence map: where a model's evidence for one expression lies.

    Attributes:
        model: the model's name.
        method: how the map was made, such as "attention".
        expression: the target: which expression's evidence the map shows.
        heat: (h, w) float32, raw and signed: for "attention" what each cell adds to the logit (times h w), negative
            where it speaks against the expression; for other methods on a scale of their own
            (`explain.methods.Method.scale`).
        layer: the layer the map was made at, as `fer_models.models.architectures.STAGES` names it; None: the last one.
        smooth: how it was smoothed, as `explain.methods.SMOOTHING` names it; None: not at all.
        cost_ms: how long it took to make this map, in ms; None where it came with the prediction.
        rather_than: for "contrast", the other expression: the map shows evidence for the target and against it.
    """

    model: str
    method: str
    expression: str
    heat: NDArray[np.float32]
    layer: str | None = None
    smooth: str | None = None
    cost_ms: float | None = None
    rather_than: str | None = None

    @property
    def peak(self) -> float:
        """The largest raw value, on the scale of `heat`: maps scaled for drawing look alike, their peaks do not."""
        return float(self.heat.max())

    @property
    def positive(self) -> NDArray[np.float32]:
        """(h, w) float32: the evidence for the expression alone, max(heat, 0). All zero if there is none."""
        return np.maximum(self.heat, 0)


def attention(prediction: Prediction, class_weights: NDArray[np.float32] | None) -> dict[str, Explanation]:
    """Class attention maps of every expression a model knows; as `models.architectures.class_maps` computes them.

    Args:
        prediction: with features (K, h, w).
        class_weights: (C, K) float32, the head's, rows in the order of the prediction's labels; None where the model
            has no linear head over feature maps.

    Returns:
        By expression, in the order of the prediction's labels. A map's mean plus the head's bias is the logit. Empty
        without class weights (`NO_MAP`).

    Raises:
        ValueError: the prediction carries no features, or the weights do not fit them.
    """
    if class_weights is None:
        return {}
    if prediction.features is None:
        raise ValueError(f"The prediction of {prediction.model} carries no features: predict with features=True.")
    channels, height, width = prediction.features.shape
    expected = (len(prediction.labels), channels)
    if class_weights.shape != expected:
        got = class_weights.shape
        raise ValueError(f"Expected class weights of shape {expected} for {prediction.model}; got {got}.")
    maps = (class_weights @ prediction.features.reshape(channels, -1)).reshape(-1, height, width)
    return {
        name: Explanation(prediction.model, "attention", name, np.asarray(heat, np.float32))
        for name, heat in zip(prediction.labels, maps, strict=True)
    }


def contrast(prediction: Prediction, class_weights: NDArray[np.float32] | None, first: str, second: str) -> Explanation:
    """Why one expression rather than another: the class attention map of the difference of their class weights.

    The idea of Finer-CAM (Zhang et al., CVPR 2025): what both expressions share cancels out. For a pooled linear head
    it is exact. Nothing is computed anew.

    Args:
        prediction: with features (K, h, w).
        class_weights: (C, K) float32, as for `attention`.
        first: the expression that positive cells speak for.
        second: the expression that negative cells speak for.

    Returns:
        Method "contrast". The map's mean plus the difference of the biases is the first logit minus the second.

    Raises:
        UnknownNameError: the model does not know one of them.
        ExplanationError: they are the same, or the model has no maps.
        ValueError: as for `attention`.
    """
    return contrast_of(attention(prediction, class_weights), prediction.model, first, second)


def contrast_of(maps: Mapping[str, Explanation], model: str, first: str, second: str) -> Explanation:
    """`contrast` from the class attention maps of one model.

    Args:
        maps: by expression.
        model: whose they are.
        first: as for `contrast`.
        second: as for `contrast`.

    Raises:
        UnknownNameError: one of them has no map.
        ExplanationError: they are the same, or there are no maps.
    """
    if not maps:
        raise ExplanationError(f"{model}: {NO_MAP}")
    for name in (first, second):
        if name not in maps:
            raise UnknownNameError(f"expression for model {model}", name, maps)
    if first == second:
        raise ExplanationError(f"{model}: {first} cannot be contrasted with itself. Choose two expressions.")
    heat = np.asarray(maps[first].heat - maps[second].heat, np.float32)
    return Explanation(model, "contrast", first, heat, rather_than=second)


def why_no_contrast(labels: Sequence[str], first: str, second: str) -> str:
    """Why a model that has maps cannot contrast two expressions; "" if it can.

    Args:
        labels: the expressions that it knows.
        first: as for `contrast`; where nobody named it, what the model predicts.
        second: as for `contrast`.
    """
    if missing := [name for name in (first, second) if name not in labels]:
        return f"No map: this model does not know {missing[0]}."
    return f"No map: {first} is what this model itself predicts." if first == second else ""


def likeliest_other(prediction: Prediction, expression: str) -> str:
    """The most probable of all other expressions: a model's second answer, if it is asked about its first."""
    others = [label for label in prediction.labels if label != expression]
    return max(others, key=prediction.probability)
