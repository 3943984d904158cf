"""A game: make this expression. Every model judges every frame. No Gradio here."""

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from fer_models.expressions import EXPRESSIONS
from fer_models.results import Prediction

#: Seconds for which a model must answer the target without a break: a flicker is no expression.
HOLD_S: Final = 0.5
#: Seconds for each target.
ROUND_S: Final = 12.0
#: A longer time between two frames counts as this: a pause costs the player nothing.
_LONGEST_GAP_S: Final = 1.0


@dataclass(frozen=True)
class Round:
    """A target that was played.

    Attributes:
        target: the expression.
        recognised: seconds until it was, by the name of each model that recognised it.
    """

    target: str
    recognised: Mapping[str, float]


class Game:
    """Each expression that all models know is the target once, in random order, until all models have recognised it.

    A model recognises the target if it answers it for `HOLD_S` on end within `ROUND_S`, which gives it a point.

    Attributes:
        targets: in their order.
        models: names of those that judge.
        scores: points by model name.
        rounds: those that were played.
        shares: each model's probability of the target in the last frame, by name; none without a face.
        recognised: seconds until the target was recognised, by model name.
        elapsed_s: of this target's time.
    """

    def __init__(self, labels: Mapping[str, Collection[str]], seed: int | None = None) -> None:
        """Choose the order.

        Args:
            labels: the expressions that each model knows, by its name.
            seed: of the order; None: another one each time.
        """
        known = [name for name in EXPRESSIONS if labels and all(name in each for each in labels.values())]
        self.targets = tuple(random.Random(seed).sample(known, len(known)))
        self.models = tuple(labels)
        self.scores = dict.fromkeys(labels, 0)
        self.rounds: list[Round] = []
        self._last_s: float | None = None
        self._begin()

    def _begin(self) -> None:
        self.elapsed_s = 0.0
        self.recognised: dict[str, float] = {}
        self.shares: dict[str, float] = {}
        self._since: dict[str, float] = {}

    @property
    def target(self) -> str | None:
        """The expression to make; None once all were played."""
        return self.targets[len(self.rounds)] if len(self.rounds) < len(self.targets) else None

    def judge(self, time_s: float, predictions: Mapping[str, Prediction]) -> None:
        """Take a frame: of the player's face, by model name, or nothing where it is not in the picture.

        Args:
            time_s: of the frame, on a clock that does not go back.
            predictions: of the face.
        """
        last_s, self._last_s = self._last_s, time_s
        target = self.target
        if target is None:
            return
        if last_s is not None:
            self.elapsed_s += min(time_s - last_s, _LONGEST_GAP_S)
        judges = {name: predictions[name] for name in self.models if name in predictions}
        self.shares = {name: each.probability(target) for name, each in judges.items()}
        for name in self.models:
            if name not in judges or target not in judges[name].tied_labels:
                self._since.pop(name, None)
            elif (
                self.elapsed_s - self._since.setdefault(name, self.elapsed_s) >= HOLD_S and name not in self.recognised
            ):
                self.recognised[name] = self.elapsed_s
                self.scores[name] += 1
        if len(self.recognised) == len(self.models) or self.elapsed_s >= ROUND_S:
            self.next()

    def next(self) -> None:
        """End this round; go on to the next target, if there is one."""
        if self.target is not None:
            self.rounds.append(Round(self.target, self.recognised))
            self._begin()
