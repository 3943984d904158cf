"""What the Live tab shows of the game, for its template. No Gradio here."""

from dataclasses import dataclass
from typing import Final

from dashboard.components.display import ModelDisplay
from dashboard.live.game import ROUND_S, Game
from fer_models.registry import ModelStyle

#: How each expression is made, after the action units that Ekman and Friesen describe for it (EMFACS).
HINTS: Final = {
    "anger": "Pull the brows together and down, press the lips together.",
    "disgust": "Wrinkle the nose and raise the upper lip.",
    "fear": "Raise the brows and pull them together, open the eyes wide, stretch the lips.",
    "happiness": "Smile with cheeks and eyes.",
    "neutral": "Relax the whole face.",
    "sadness": "Raise the inner ends of the brows, pull the corners of the mouth down.",
    "surprise": "Raise the brows, open eyes and mouth.",
}


@dataclass(frozen=True)
class Judge:
    """One model in the game.

    Attributes:
        title: what people read.
        style: its colour.
        share: its probability of the target, in [0, 1].
        recognised: whether it recognised the target.
        score: its points.
    """

    title: str
    style: ModelStyle
    share: float
    recognised: bool
    score: int


@dataclass(frozen=True)
class GameView:
    """The game "make this expression".

    Attributes:
        target: the expression to make; "" when the game is over.
        hint: how it is made.
        number: of the round, from 1.
        rounds: how many there are.
        left: share of the round's time that is left, in [0, 1].
        judges: of the models, in their order.
        sentence: how the last round or the game ended.
    """

    target: str
    hint: str
    number: int
    rounds: int
    left: float
    judges: tuple[Judge, ...]
    sentence: str


def game_view(game: Game, display: ModelDisplay) -> GameView:
    """The game's target and how far the models are; at its end, who recognised most."""
    judges = tuple(
        Judge(
            display.titles[name], display.styles[name], game.shares.get(name, 0.0), name in game.recognised,
            game.scores[name],
        )
        for name in game.models
    )  # fmt: skip
    rounds, target = len(game.targets), game.target
    if target is None:
        return GameView("", "", rounds, rounds, 0.0, judges, _result(game, display))
    sentence = ""
    if game.rounds:
        last = game.rounds[-1]
        sentence = f"{last.target.capitalize()}: recognised by {len(last.recognised)} of {len(game.models)} models."
    left = max(1 - game.elapsed_s / ROUND_S, 0.0)
    return GameView(target, HINTS.get(target, ""), len(game.rounds) + 1, rounds, left, judges, sentence)


def _result(game: Game, display: ModelDisplay) -> str:
    if not game.targets:
        return "The chosen models know no expression in common. Choose others below."
    best = max(game.scores.values(), default=0)
    names = [display.titles[name] for name in game.models if game.scores[name] == best]
    if best == 0:
        return "No model recognised any of your expressions."
    who = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{who} recognised most: {best} of {len(game.targets)}."
