"""The leaderboard's pages that are mostly words: model cards and fairness. HTML, every text escaped. No Gradio here."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from dashboard.components.charts import ModelStyle
from dashboard.components.face_view import swatch
from dashboard.leaderboard.sentences import share
from dashboard.leaderboard.view import heading, paragraph, text
from fer_models.models.card import ModelCard

_DASH: Final = "\u2013"


def model_card(card: ModelCard, style: ModelStyle, *, opened: bool) -> str:
    """One card as a page that opens."""
    facts = {
        "Known to get wrong": card.weaknesses or "Not measured yet.",
        "Intended use": card.intended_use or _DASH,
        "Misuse": card.misuse or _DASH,
        "Learned from": f"{card.training_labels}. {card.training_data}",
        "Licence": card.licence,
        "Answers": ", ".join(card.labels),
        "Network": f"{card.architecture}, {card.parameters:,} parameters",
        "Input": f"{card.input.size} px square, {card.input.mode}",
        "Temperature": f"{card.temperature:g}",
        "Recipe": recipe_summary(card.recipe),
        "Measured": metrics_summary(card.metrics),
        "Weights": f"SHA-256 {card.sha256}",
    }
    told = "".join(f"<dt>{escape(term)}</dt><dd>{escape(words)}</dd>" for term, words in facts.items())
    return (
        f'<details class="fer-modelcard" data-card="{escape(card.name)}"{" open" if opened else ""}>'
        f"<summary>{swatch(style)}{escape(card.title)}</summary><dl>{told}</dl></details>"
    )


def recipe_summary(recipe: Mapping[str, Any]) -> str:
    """How a model was trained, in a few words; a card may say less or other things than ours."""
    settings = recipe.get("settings")
    settings = settings if isinstance(settings, Mapping) else {}
    stages = settings.get("stages")
    parts = []
    if isinstance(stages, Sequence) and stages and all(isinstance(each, Mapping) for each in stages):
        told = [
            f"{each.get('epochs')} epoch{'' if each.get('epochs') == 1 else 's'} at {each.get('size')} px"
            for each in stages
        ]
        parts.append(", then ".join(told))
    for words, value in (
        ("optimizer {}", settings.get("optimizer")),
        ("learning rate {}", settings.get("lr")),
        ("batch {}", settings.get("batch")),
        ("objective {}", settings.get("objective")),
        ("started from {}", settings.get("start")),
        ("{} training faces", recipe.get("training_faces")),
        ("epoch {} chosen", recipe.get("chosen_epoch")),
    ):
        if value is not None:
            parts.append(words.format(str(value).replace("_", " ")))
    accuracy = recipe.get("validation_accuracy")
    if isinstance(accuracy, int | float):
        parts.append(f"{share(float(accuracy))} on the validation split")
    if recipe.get("machine"):
        parts.append(str(recipe["machine"]))
    summary = "; ".join(parts)
    if recipe.get("command"):
        summary = f"{summary}. Command: {recipe['command']}" if summary else f"Command: {recipe['command']}"
    return summary or "Not told."


def metrics_summary(metrics: Mapping[str, Any]) -> str:
    """A card's measured figures in words."""
    parts = []
    for name, figures in metrics.items():
        accuracy = figures.get("accuracy") if isinstance(figures, Mapping) else None
        if isinstance(accuracy, int | float):
            parts.append(f"{name.replace('_', ' ')}: {share(float(accuracy))} of {figures.get('count', '?')} faces")
    return "; ".join(parts) or "Not measured yet."


def fairness() -> str:
    """What cannot be said, and how it could be measured."""
    return text(
        heading("Do the models err more for some people than for others?"),
        paragraph(
            "This page cannot say. FER2013 and FER+ tell nothing about the people in their pictures: no age, no "
            "gender, no skin colour, no origin. Without such labels, given by the people themselves, an accuracy by "
            "group would be a guess about faces."
        ),
        paragraph(
            "Silence is no good sign. The pictures were collected by web search, so some groups are rarer in them than "
            "others; the labels are other people’s impressions; and studies of comparable systems found clear gaps "
            "between groups. Expect gaps here too until somebody has measured them."
        ),
        heading(
            "Measure it on pictures you may use",
            "A list with the columns file, label and group, where each person said which group they count themselves "
            "to. You get the accuracy of every group and the gap of every two, with intervals. Groups with fewer than "
            "50 faces are left out, because nothing could be said about them.",
        ),
        "<p><code>python -m fer_models fairness --data DIR --groups FILE.csv --json fairness.json</code></p>",
        paragraph(
            "Read the intervals, not the accuracies: a gap whose interval holds zero may be chance. Groups that show "
            "other expressions have other accuracies for that reason alone; the file counts every group’s labels."
        ),
    )
