"""What the page knows about the models it shows. No Gradio here."""

from collections.abc import Mapping
from dataclasses import dataclass

from fer_models.models.card import ModelCard
from fer_models.models.ensemble import ENSEMBLE, ENSEMBLE_TITLE
from fer_models.registry import ModelStyle, model_styles


@dataclass(frozen=True)
class ModelDisplay:
    """What the page knows about the models it shows.

    Attributes:
        cards: by model name, in the order of the columns.
        styles: by model name.
    """

    cards: Mapping[str, ModelCard]
    styles: Mapping[str, ModelStyle]

    @property
    def titles(self) -> dict[str, str]:
        """What people read, by model name."""
        return {name: card.title for name, card in self.cards.items()}

    @property
    def column_titles(self) -> dict[str, str]:
        """What people read over each column: the models' titles and the ensemble's."""
        return self.titles | {ENSEMBLE: ENSEMBLE_TITLE}

    @property
    def training(self) -> dict[str, str]:
        """Which labels each model was trained on, by model name."""
        return {name: card.training_labels for name, card in self.cards.items()}


def model_display(cards: Mapping[str, ModelCard]) -> ModelDisplay:
    """Cards by model name, with the style of each model and of the ensemble."""
    return ModelDisplay(cards, model_styles([*cards, ENSEMBLE]))
