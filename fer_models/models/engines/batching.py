"""Requests that wait for one network share its next pass."""

import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fer_models.models.engines.outputs import Outputs

if TYPE_CHECKING:
    from fer_models.models.engines import Engine


class Batcher:
    """Runs an engine's passes one after the other, each for all requests that came during the one before.

    Nobody waits for company: a request that finds the engine idle runs at once and alone.
    """

    def __init__(self, engine: "Engine", most: int) -> None:
        """Join the requests for an engine, up to `most` faces in a pass; a larger request has a pass of its own."""
        self._engine, self._most = engine, most
        self._waiting: deque[tuple[Tensor, bool, Future[tuple[Outputs, float]]]] = deque()
        self._turn = threading.Lock()

    def run(self, inputs: Tensor, *, features: bool = False) -> tuple[Outputs, float]:
        """As `Engine.run`, and the seconds that the pass took for each of its faces."""
        answer: Future[tuple[Outputs, float]] = Future()
        self._waiting.append((inputs, features, answer))
        while not answer.done():
            with self._turn:
                if not answer.done():
                    self._serve()
        return answer.result()

    def _serve(self) -> None:
        """One pass for the requests that have waited longest."""
        served = [self._waiting.popleft()]
        faces = len(served[0][0])
        while self._waiting and faces + len(self._waiting[0][0]) <= self._most:  # only the holder of the turn pops
            served.append(self._waiting.popleft())
            faces += len(served[-1][0])
        began = time.perf_counter()
        try:
            inputs = served[0][0] if len(served) == 1 else torch.cat([inputs for inputs, _, _ in served])
            outputs = self._engine.run(inputs, features=any(features for _, features, _ in served))
        except BaseException as error:
            for _, _, answer in served:
                answer.set_exception(error)
            return
        seconds = (time.perf_counter() - began) / faces
        start = 0
        for inputs, features, answer in served:
            rows = slice(start, start := start + len(inputs))
            maps = outputs.features[rows] if features and outputs.features is not None else None
            answer.set_result((Outputs(outputs.logits[rows], maps), seconds))
