"""What the page knows about the models it shows. No Gradio here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fer_models.models.card import ModelCard
from fer_models.models.ensemble import Ensemble
from fer_models.registry import ModelStyle, ensemble_styles, ensembles_of, model_styles

#: What stands in the place of a model's training labels if nobody says which.
NO_LABELS: Final = "training labels not stated"


@dataclass(frozen=True)
class ModelDisplay:
    """What the page knows about the models it shows.

    Attributes:
        cards: by model name, in the order of the columns.
        styles: by name of the model or ensemble.
        ensembles: by name, those that the models offer.
    """

    cards: Mapping[str, ModelCard]
    styles: Mapping[str, ModelStyle]
    ensembles: Mapping[str, Ensemble]

    @property
    def titles(self) -> dict[str, str]:
        """What people read, by model name."""
        return {name: card.title for name, card in self.cards.items()}

    @property
    def column_titles(self) -> dict[str, str]:
        """What people read over each column: the models' titles and the ensembles'."""
        return self.titles | {name: ensemble.title for name, ensemble in self.ensembles.items()}

    @property
    def training(self) -> dict[str, str]:
        """Which labels each model was trained on, by model name."""
        return {name: card.training_labels for name, card in self.cards.items()}


def training_note(labels: str) -> str:
    """What is said of the labels that a model was trained on: "trained on FER+"."""
    return NO_LABELS if not labels or labels.startswith("not stated") else f"trained on {labels}"


def model_display(cards: Mapping[str, ModelCard]) -> ModelDisplay:
    """Cards by model name, with the ensembles that the models offer, and the styles of both."""
    ensembles = ensembles_of({name: card.training_labels for name, card in cards.items()})
    styles = model_styles(cards) | ensemble_styles(ensembles)
    return ModelDisplay(cards, styles, {ensemble.name: ensemble for ensemble in ensembles})
