"""Requests that wait for one network share its next pass."""

import threading
import time
from collections import deque
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fer_models.models.engines.outputs import Outputs

if TYPE_CHECKING:
    from fer_models.models.engines import Engine

Answer = tuple[Outputs, float]


@cache
def pass_pool(workers: int) -> ThreadPoolExecutor:
    """Threads in which passes of several networks run beside one another: one pool for the whole process."""
    return ThreadPoolExecutor(workers, "pass")


class Batcher:
    """Runs an engine's passes, each for all requests that came before it could begin.

    Nobody waits for company: a request that finds a free thread runs at once and alone. Without a pool, passes run in
    the callers' threads, one after the other.
    """

    def __init__(self, engine: "Engine", most: int, pool: Executor | None = None) -> None:
        """Join the requests for an engine, up to `most` faces in a pass; a larger request has a pass of its own.

        Args:
            engine: what runs the network.
            most: faces in a pass.
            pool: in which passes run, several at once; None for engines that take all cores for one pass.
        """
        self._engine, self._most, self._pool = engine, most, pool
        self._waiting: deque[tuple[Tensor, bool, Future[Answer]]] = deque()
        self._turn = threading.Lock()

    def run(self, inputs: Tensor, *, features: bool = False) -> Answer:
        """As `Engine.run`, and the seconds that the pass took for each of its faces."""
        return self.submit(inputs, features=features).result()

    def submit(self, inputs: Tensor, *, features: bool = False) -> Future[Answer]:
        """What `run` will give. Without a pool it is there on return."""
        answer: Future[Answer] = Future()
        self._waiting.append((inputs, features, answer))
        if self._pool is not None:
            self._pool.submit(self._serve)
            return answer
        while not answer.done():
            with self._turn:
                if not answer.done():
                    self._pass(self._next())
        return answer

    def _serve(self) -> None:
        """One pass in the pool; none if this request had company in an earlier one."""
        with self._turn:
            served = self._next()
        if served:
            self._pass(served)

    def _next(self) -> list[tuple[Tensor, bool, Future[Answer]]]:
        """The requests that have waited longest and fit into one pass. Only the holder of the turn may ask."""
        served: list[tuple[Tensor, bool, Future[Answer]]] = []
        faces = 0
        while self._waiting and (not served or faces + len(self._waiting[0][0]) <= self._most):
            served.append(self._waiting.popleft())
            faces += len(served[-1][0])
        return served

    def _pass(self, served: list[tuple[Tensor, bool, Future[Answer]]]) -> None:
        began = time.perf_counter()
        try:
            inputs = served[0][0] if len(served) == 1 else torch.cat([inputs for inputs, _, _ in served])
            outputs = self._engine.run(inputs, features=any(features for _, features, _ in served))
        except BaseException as error:
            for _, _, answer in served:
                answer.set_exception(error)
            return
        seconds = (time.perf_counter() - began) / sum(len(inputs) for inputs, _, _ in served)
        start = 0
        for inputs, features, answer in served:
            rows = slice(start, start := start + len(inputs))
            maps = outputs.features[rows] if features and outputs.features is not None else None
            answer.set_result((Outputs(outputs.logits[rows], maps), seconds))
