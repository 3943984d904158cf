"""Cycles: runs that start from a model's own weights (warm restarts, Loshchilov and Hutter, ICLR 2017)."""

from pathlib import Path
from typing import Any, Final

from fer_models.datasets.dataset import FaceData
from fer_models.expressions import EXPRESSIONS
from fer_models.models.card import read_card
from fer_models.models.classifier import Classifier, load_classifier

#: Where a card's recipe keeps the runs that led to the one before.
EARLIER: Final = "earlier_runs"


def earlier_runs(start: Path | None) -> list[dict[str, Any]]:
    """The runs behind the weights that a run starts from, oldest first, each as its card kept it.

    Args:
        start: the file of these weights; a card is looked for beside it.

    Raises:
        CardError: the card is malformed.
    """
    card = start.with_suffix(".json") if start is not None else None
    if card is None or not card.is_file():
        return []
    run = dict(read_card(card).recipe)
    return [*run.pop(EARLIER, []), run] if run else []


def accuracy(classifier: Classifier, data: FaceData) -> float:
    """Share of faces whose most probable expression is their label, fed as the app feeds them, one view each."""
    labels = [EXPRESSIONS[target] for target in data.targets]
    predictions = classifier.predict(list(data.faces))
    pairs = zip(predictions, labels, strict=True)
    return sum(bool(prediction.label == label) for prediction, label in pairs) / len(labels)


def comparison_with(weights: Path, name: str, reached: float, data: FaceData, device: str = "auto") -> str:
    """One line on whether a run beats the model in a folder; "" if there is none.

    Args:
        weights: the folder.
        name: of the model.
        reached: accuracy of the run on the same faces, in [0, 1].
        data: the validation split.
        device: as for `load_classifier`.
    """
    if not (weights / f"{name}.safetensors").is_file():
        return ""
    before = accuracy(load_classifier(name, weights, device), data)
    verdict = "better than" if reached > before else "not better than"
    return f"{verdict} {weights / name}.safetensors: {reached:.2%} against {before:.2%} on the validation split"
