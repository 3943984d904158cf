"""What is kept of one camera between its frames, and how a frame is analysed: no pictures, no threads."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_models.analyzer import Analyzer
from fer_models.faces.following import FaceFollower
from fer_models.faces.tracking import Tracker
from fer_models.results import Face, FaceAnalysis, Prediction

#: Seconds of a face's history that are kept for the chart.
WINDOW_S: Final = 30.0
#: Seconds between two kept predictions of a face: a chart a few hundred pixels wide shows no more.
SPACING_S: Final = 0.25
#: Faces with a history; the one seen longest ago goes first.
MAX_HISTORIES: Final = 32
_METER_S: Final = 2.0


class Smoother:
    """Exponential smoothing of probabilities sampled at irregular times.

    value += (1 - exp(-dt / time constant)) * (sample - value): a first-order low-pass filter. It is exact for any
    spacing of the samples, so the frame rate does not change how fast it follows: one time constant after a step it has
    covered 63 % of it.
    """

    def __init__(self) -> None:
        """Start without a history."""
        self._last: dict[tuple[int, str], tuple[float, NDArray[np.float32]]] = {}

    def update(
        self, face: int, model: str, probabilities: NDArray[np.float32], time_s: float, time_constant_s: float
    ) -> NDArray[np.float32]:
        """The smoothed probabilities of one model for one face.

        Args:
            face: the face's number.
            model: the model's name.
            probabilities: (C,) float32, of this frame.
            time_s: of the frame, on any clock; one before the last counts as the last.
            time_constant_s: seconds; 0 turns smoothing off.

        Returns:
            (C,) float32; those of a face's first frame as they are. They sum to 1 if the probabilities do.
        """
        before, value = self._last.get((face, model), (-math.inf, probabilities))
        elapsed = max(time_s - before, 0.0)
        share = 1.0 if time_constant_s <= 0 else -math.expm1(-elapsed / time_constant_s)
        smoothed = np.asarray(value + np.float32(share) * (probabilities - value), np.float32)
        self._last[face, model] = max(time_s, before), smoothed
        return smoothed

    def forget(self, faces: Sequence[int]) -> None:
        """Drop everything about these faces."""
        self._last = {key: value for key, value in self._last.items() if key[0] not in faces}


class Series:
    """One model's predictions for one face over the last `WINDOW_S`, at least `SPACING_S` apart.

    Attributes:
        labels: expressions in the order of the probabilities.
    """

    def __init__(self, labels: tuple[str, ...]) -> None:
        """Start empty."""
        self.labels = labels
        self._samples: deque[tuple[float, NDArray[np.float32]]] = deque(maxlen=math.ceil(WINDOW_S / SPACING_S) + 1)

    def add(self, time_s: float, probabilities: NDArray[np.float32]) -> None:
        """Keep probabilities (C,) unless the last ones are too recent, and drop those that left the window."""
        if not self._samples or time_s - self._samples[-1][0] >= SPACING_S:
            self._samples.append((time_s, probabilities))
        while self._samples and self._samples[0][0] < time_s - WINDOW_S:
            self._samples.popleft()

    def __len__(self) -> int:
        """How many predictions are kept."""
        return len(self._samples)

    def points(self, expression: str) -> list[tuple[float, float]]:
        """(time in s, probability) of one expression, the oldest first; none if the model does not know it."""
        if expression not in self.labels:
            return []
        column = self.labels.index(expression)
        return [(time_s, float(values[column])) for time_s, values in self._samples]


class Stopwatch:
    """Milliseconds of named stages, one after the other."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """Start now; the clock counts seconds."""
        self._clock = clock
        self._start = self._last = clock()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> float:
        """End a stage and start the next; ms of the one that ended."""
        now = self._clock()
        self.laps[name] = 1000 * (now - self._last)
        self._last = now
        return self.laps[name]

    @property
    def total(self) -> float:
        """Ms from the start to the end of the last stage."""
        return 1000 * (self._last - self._start)


class Meter:
    """Frames per second and mean times over the last two seconds: single frames' figures change too fast to follow.

    If frames take longer than that, over the last two frames.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._frames: deque[tuple[float, Mapping[str, float]]] = deque(maxlen=256)

    def add(self, time_s: float, figures: Mapping[str, float]) -> None:
        """Count a frame with its figures by name, such as ms by stage."""
        self._frames.append((time_s, figures))
        while len(self._frames) > 2 and self._frames[0][0] < time_s - _METER_S:
            self._frames.popleft()

    @property
    def fps(self) -> float:
        """Frames per second; 0 until there are two frames."""
        elapsed = self._frames[-1][0] - self._frames[0][0] if self._frames else 0.0
        return (len(self._frames) - 1) / elapsed if elapsed > 0 else 0.0

    @property
    def means(self) -> dict[str, float]:
        """Mean of each figure over the frames that have it."""
        names = dict.fromkeys(name for _, figures in self._frames for name in figures)
        return {name: float(np.mean([f[name] for _, f in self._frames if name in f])) for name in names}


@dataclass(frozen=True, eq=False)
class LiveFace:
    """One face of a frame.

    Attributes:
        number: its number, the same in every frame.
        face: where it is.
        predictions: by model name; the probabilities are smoothed, the logits are this frame's.
    """

    number: int
    face: Face
    predictions: Mapping[str, Prediction]


@dataclass(frozen=True, eq=False)
class LiveFrame:
    """The results of one frame.

    Attributes:
        faces: the largest first.
        detect_ms: detecting and aligning the faces.
        models_ms: all models on all faces, and waiting for the frames of other viewers.
    """

    faces: tuple[LiveFace, ...]
    detect_ms: float
    models_ms: float


class LiveSession:
    """One viewer's camera: numbers faces, smooths the predictions, remembers `WINDOW_S` of them.

    Attributes:
        turn: held while what is kept here changes; the networks work on consecutive frames beside one another.
        number: of the last frame, as the viewer counts them; 0 before the first.
        faces: of the last frame, without feature maps.
        chosen: number of the face the viewer looks at; None before the first face.
        time_s: of the last frame.
        meter: how fast frames are analysed.
        ended: the camera was stopped or the page closed: a frame that is still being analysed is not to be shown.
    """

    def __init__(self) -> None:
        """Start without a history."""
        self.turn = threading.Lock()
        self._detecting = threading.Lock()
        self.number = 0
        self.ended = False
        self.clear()

    def end(self) -> None:
        """Forget everything, for good."""
        self.ended = True
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.faces: tuple[LiveFace, ...] = ()
        self.chosen: int | None = None
        self.time_s = -math.inf
        self.meter = Meter()
        self._picked = False
        self._follower = FaceFollower()
        self._tracker = Tracker()
        self._smoother = Smoother()
        self._histories: dict[int, dict[str, Series]] = {}
        self._seen: dict[int, float] = {}

    def analyze(
        self,
        analyzer: Analyzer,
        frame: NDArray[np.uint8],
        time_s: float,
        *,
        models: Sequence[str] | None = None,
        smoothing_s: float = 0.0,
        features: bool = False,
    ) -> LiveFrame | None:
        """Detect, number and classify every face of a frame; None if a later frame overtook it.

        Args:
            analyzer: shared by all sessions.
            frame: (H, W, 3) uint8 RGB.
            time_s: of the frame, on a clock that does not go back.
            models: only these; None means all that are loaded.
            smoothing_s: the time constant in seconds; 0 turns smoothing off.
            features: keep the feature maps on the returned predictions.

        Raises:
            ImageError: another shape or dtype.
            UnknownNameError: a model that is not loaded.
        """
        watch = Stopwatch()
        with self._detecting:
            detected = analyzer.detect(frame, follower=self._follower, time_s=time_s)
        faces = [(0, face, crop) for face, crop in detected]
        detect_ms = watch.lap("detect")
        analyses = analyzer.predict(faces, features=features, models=models)
        models_ms = watch.lap("models")
        with self.turn:
            if time_s < self.time_s:
                return None
            return LiveFrame(self._update(analyses, time_s, smoothing_s), detect_ms, models_ms)

    def _update(self, analyses: Sequence[FaceAnalysis], time_s: float, smoothing_s: float) -> tuple[LiveFace, ...]:
        """The faces of the latest frame, numbered and smoothed, and what is kept of them."""
        numbers = self._tracker.update(analyses, time_s)
        faces = []
        for number, analysis in zip(numbers, analyses, strict=True):
            smoothed = {}
            for name, prediction in analysis.predictions.items():
                values = self._smoother.update(number, name, prediction.probabilities, time_s, smoothing_s)
                self._histories.setdefault(number, {}).setdefault(name, Series(prediction.labels)).add(time_s, values)
                smoothed[name] = replace(prediction, probabilities=values)
            self._seen[number] = time_s
            faces.append(LiveFace(number, analysis.face, MappingProxyType(smoothed)))
        self.time_s = time_s
        self._forget()
        self.faces = tuple(replace(face, predictions=without_features(face.predictions)) for face in faces)
        self._follow()
        return tuple(faces)

    def choose(self, number: int) -> None:
        """Look at another face; a number that is not remembered is ignored, for it may just have left."""
        if number in self._seen:
            self.chosen, self._picked = number, True

    def face(self) -> LiveFace | None:
        """The chosen face, if it is in the last frame."""
        return next((face for face in self.faces if face.number == self.chosen), None)

    def history(self) -> Mapping[str, Series]:
        """The chosen face's recent predictions, by model name."""
        return MappingProxyType({} if self.chosen is None else self._histories.get(self.chosen, {}))

    def remembered(self) -> int:
        """How many faces are remembered."""
        return len(self._seen)

    def _follow(self) -> None:
        """Choose a face where there is none, or another where the one that was not picked by the viewer has left."""
        here = [face.number for face in self.faces]
        if self.chosen not in self._seen:
            self.chosen, self._picked = None, False
        if here and self.chosen not in here and not self._picked:
            self.chosen = here[0]

    def _forget(self) -> None:
        """Let go of faces that left the window, and of the oldest beyond `MAX_HISTORIES`."""
        ranked = sorted(self._seen, key=lambda number: -self._seen[number])
        gone = [n for i, n in enumerate(ranked) if i >= MAX_HISTORIES or self._seen[n] < self.time_s - WINDOW_S]
        for number in gone:
            self._seen.pop(number)
            self._histories.pop(number, None)
        if gone:
            self._smoother.forget(gone)


def without_features(predictions: Mapping[str, Prediction]) -> Mapping[str, Prediction]:
    """Predictions by model name without their feature maps, to be kept."""
    return MappingProxyType({name: replace(prediction, features=None) for name, prediction in predictions.items()})
