"""View models of the model cards. No Gradio, no HTML here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.leaderboard.sentences import share
from dashboard.leaderboard.view import DASH
from fer_models.models.card import ModelCard
from fer_models.registry import LABEL_SETS, ModelStyle


@dataclass(frozen=True)
class CardView:
    """A model card to read.

    Attributes:
        name: of the model.
        title: what people read.
        style: of its swatch.
        facts: what the card states, by term.
    """

    name: str
    title: str
    style: ModelStyle
    facts: Mapping[str, str]


def card_view(card: ModelCard, style: ModelStyle) -> CardView:
    """A card's facts in words."""
    facts = {
        "Known weaknesses": card.weaknesses or "Not measured yet.",
        "Intended use": card.intended_use or DASH,
        "Misuse": card.misuse or DASH,
        "Trained on": f"{card.training_labels}. {card.training_data}",
        "Licence": card.licence,
        "Labels": ", ".join(card.labels),
        "Network": f"{card.architecture}, {card.parameters:,} parameters",
        "Input": f"{card.input.size} px square, {card.input.mode}",
        "Temperature": f"{card.temperature:g}",
        "Recipe": recipe_summary(card.recipe),
        "Test accuracy": metrics_summary(card.metrics),
        "Weights": f"SHA-256 {card.sha256}",
    }
    return CardView(card.name, card.title, style, facts)


def recipe_summary(recipe: Mapping[str, Any]) -> str:
    """How a model was trained, in a few words; a card may say less or other things than ours."""
    settings = recipe.get("settings")
    settings = settings if isinstance(settings, Mapping) else {}
    stages = settings.get("stages")
    parts = []
    if isinstance(stages, Sequence) and stages and all(isinstance(stage, Mapping) for stage in stages):
        trainings = [
            f"{stage.get('epochs')} epoch{'' if stage.get('epochs') == 1 else 's'} at {stage.get('size')} px"
            for stage in stages
        ]
        parts.append(", then ".join(trainings))
    for words, value in (
        ("optimizer {}", settings.get("optimizer")),
        ("learning rate {}", settings.get("lr")),
        ("batch {}", settings.get("batch")),
        ("loss {}", settings.get("objective")),
        ("initialised from {}", settings.get("start")),
        ("{} training faces", recipe.get("training_faces")),
        ("epoch {} chosen", recipe.get("chosen_epoch")),
    ):
        if value is not None:
            parts.append(words.format(f"{value:,}" if isinstance(value, int) else str(value).replace("_", " ")))
    accuracy = recipe.get("validation_accuracy")
    if isinstance(accuracy, int | float):
        parts.append(f"{share(float(accuracy))} on the validation split")
    if recipe.get("machine"):
        parts.append(str(recipe["machine"]))
    summary = "; ".join(parts)
    if recipe.get("command"):
        summary = f"{summary}. Command: {recipe['command']}" if summary else f"Command: {recipe['command']}"
    return summary or "Not stated."


def metrics_summary(metrics: Mapping[str, Any]) -> str:
    """A card's measured figures in words."""
    parts = []
    for name, figures in metrics.items():
        accuracy = figures.get("accuracy") if isinstance(figures, Mapping) else None
        if isinstance(accuracy, int | float):
            spec, count = LABEL_SETS.get(name.removesuffix("_test")), figures.get("count")
            title = f"{spec.title} test set" if spec else name.replace("_", " ")
            faces = f"{count:,}" if isinstance(count, int) else "?"
            parts.append(f"{title}: {share(float(accuracy))} of {faces} faces")
    return "; ".join(parts) or "Not measured yet."
