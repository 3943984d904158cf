"""How long models take: measured after a warm-up, many times, one model after the other in an order that changes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from fer_models.results import Prediction

#: Faces in one pass for the throughput.
BATCH: Final = 16
_WARM_UP: Final = 2
#: Side in px of the faces: an aligned crop is about as large.
_SIDE: Final = 96


class Predictor(Protocol):
    """What is timed; every `Classifier` is one."""

    @property
    def name(self) -> str:
        """Of the model."""
        ...

    def predict(self, crops: Sequence[NDArray[np.uint8]]) -> list[Prediction]:
        """One prediction per crop, with its share of the pass's time."""
        ...


@dataclass(frozen=True)
class Timing:
    """How long one model takes, preprocessing included, face detection not.

    Attributes:
        p50_ms: median of one face alone.
        p95_ms: 95 % of the times of one face alone are below.
        throughput: faces per second in batches of `BATCH`, median.
    """

    p50_ms: float
    p95_ms: float
    throughput: float


@dataclass(frozen=True)
class Progress:
    """How far the measurement is.

    Attributes:
        share: in [0, 1].
        timings: by model name; empty until the end.
    """

    share: float
    timings: dict[str, Timing]


def time_models(
    models: Sequence[Predictor], *, repeats: int, batches: int, batch: int = BATCH, seed: int = 0
) -> Iterator[Progress]:
    """Time models side by side; a generator, so that its progress can be shown and it can be stopped.

    In every round each model is timed once, in a new random order, so that other load on the machine affects all alike.

    Args:
        models: at least one.
        repeats: rounds of one face alone, at least 1.
        batches: rounds of one batch, at least 1.
        batch: faces in it.
        seed: of the orders and of the faces, which are noise: their content costs no time.

    Yields:
        Progress after every round; the last one has the timings.
    """
    generator = np.random.default_rng(seed)
    faces = [generator.integers(0, 256, (_SIDE, _SIDE, 3), np.uint8) for _ in range(batch)]
    alone: dict[str, list[float]] = {model.name: [] for model in models}
    together: dict[str, list[float]] = {model.name: [] for model in models}
    rounds = [(faces[:1], alone, repeats), (faces, together, batches)]
    total, done = repeats + batches + 2 * _WARM_UP, 0
    for crops, times, count in rounds:
        for number in range(_WARM_UP + count):
            for index in generator.permutation(len(models)):
                latency = models[index].predict(crops)[0].latency_ms
                if number >= _WARM_UP:
                    times[models[index].name].append(latency)
            done += 1
            if done < total:
                yield Progress(done / total, {})
    yield Progress(
        1.0,
        {
            name: Timing(
                p50_ms=float(np.percentile(times, 50)),
                p95_ms=float(np.percentile(times, 95)),
                throughput=1000 / float(np.median(together[name])),
            )
            for name, times in alone.items()
        },
    )
