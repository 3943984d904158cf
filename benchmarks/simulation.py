"""A discrete-event simulation (SimPy) of one app and the people who use it: cores, the page's one thread, the models.

What it follows of the real thing: callbacks run one at a time under Python's interpreter lock, four pictures are
analysed at a time, detection takes one core, every model's pass takes one core and all faces that wait for that model
(`fer_models.models.engines.batching`), and the networks' passes run beside one another on all cores.
"""

import math
import random
from collections import deque
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import simpy

#: Pictures of Compare and frames of Live that one page analyses at the same time, and faces in a joined pass: the app's
#: own limits.
SLOTS: Final = 4
VIEWERS: Final = 8
JOINED: Final = 8
_PIECE_S: Final = 0.01  # of other work on the machine: about what a scheduler lets it have at a time

_Steps = Generator[simpy.Event, Any, None]


@dataclass(frozen=True)
class Demand:
    """Processor time of one picture with one face, in seconds on one core.

    Attributes:
        page: of the page's process beside the models: uploads, queue, JSON, events. One thread at a time.
        detect: detection.
        networks: of a pass by model, then by number of faces in it (ascending); linear in between and beyond.
        client: of the client, where it runs on the same cores.
        idle: waiting in which nothing works: the queue's pauses, the network.
        spread: standard deviation of the logarithm of each time (log-normal around the median); 0: always the same.
        others: share of all cores that something else on the machine takes, in short pieces, in [0, 1).
    """

    page: float
    detect: float = 0.0
    networks: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    client: float = 0.0
    idle: float = 0.0
    spread: float = 0.0
    others: float = 0.0

    def a_pass(self, model: str, faces: int) -> float:
        """Median of one pass of a model over some faces."""
        known = self.networks[model]
        if faces > max(known):
            return known[max(known)] * faces / max(known)
        return float(np.interp(faces, list(known), list(known.values())))


@dataclass(frozen=True)
class Batch:
    """How long machines took over a batch.

    Attributes:
        hours: until the last part was done.
        machine_hours: of all machines until then, those lost included.
        lost: machines that were lost, each with what it had of its part.
    """

    hours: float
    machine_hours: float
    lost: int


def simulate_batch(
    parts: int, part_hours: float, machines: int, lost_every_hours: float, start_hours: float, seed: int = 0
) -> Batch:
    """Let machines work through the parts of a batch; a machine that is lost is replaced and its part done again.

    Args:
        parts: of the batch, taken one after the other.
        part_hours: that one machine takes for one.
        machines: at the same time.
        lost_every_hours: mean time until a machine is lost (exponentially distributed).
        start_hours: until a machine, or its replacement, begins.
        seed: of what is drawn.
    """
    env, draw = simpy.Environment(), random.Random(seed)
    left, lost = [parts], [0]

    def machine() -> _Steps:
        yield env.timeout(start_hours)
        until_lost = draw.expovariate(1 / lost_every_hours)
        while left[0]:
            left[0] -= 1
            if until_lost >= part_hours:
                until_lost -= part_hours
                yield env.timeout(part_hours)
                continue
            yield env.timeout(until_lost + start_hours)
            left[0] += 1
            lost[0] += 1
            until_lost = draw.expovariate(1 / lost_every_hours)

    for _ in range(machines):
        env.process(machine())
    env.run()
    return Batch(env.now, env.now * machines, lost[0])


@dataclass(frozen=True)
class Outcome:
    """What people met.

    Attributes:
        rate: answers per second.
        p50_s: median time until the answer, of all that were given after the warm-up.
        p95_s: 95 % were faster.
        mean_s: the mean.
        busy: share of the time in which each resource worked, in [0, 1]: "cores", "page", "slots".
    """

    rate: float
    p50_s: float
    p95_s: float
    mean_s: float
    busy: Mapping[str, float]


def simulate(
    demand: Demand,
    *,
    people: int,
    cores: int,
    think_s: float = 0.0,
    slots: int = SLOTS,
    seconds: float = 300.0,
    warm_up_s: float = 30.0,
    seed: int = 0,
) -> Outcome:
    """Let people use one app: each sends a picture, waits for the answer, thinks, and sends the next.

    Args:
        demand: of each picture.
        people: at the same time.
        cores: of the machine.
        think_s: mean time between an answer and the next picture (exponentially distributed); 0: at once.
        slots: pictures that are analysed at the same time.
        seconds: of simulated time after the warm-up.
        warm_up_s: simulated seconds that are not counted.
        seed: of everything that is drawn.

    Raises:
        ValueError: nobody got an answer in that time.
    """
    app = _App(demand, cores, slots, random.Random(seed))
    for _ in range(people):
        app.env.process(app.person(think_s, warm_up_s))
    if demand.others:
        app.env.process(app.others(cores))
    app.env.run(warm_up_s)
    before = dict(app.worked)
    app.env.run(warm_up_s + seconds)
    if not app.times:
        raise ValueError(f"Nobody had an answer within {seconds:g} simulated seconds. Simulate for longer.")
    p50, p95 = np.percentile(app.times, [50, 95]).tolist()
    busy = {name: (app.worked[name] - before[name]) / seconds for name in before}
    return Outcome(len(app.times) / seconds, p50, p95, math.fsum(app.times) / len(app.times), busy)


class _App:
    def __init__(self, demand: Demand, cores: int, slots: int, draw: random.Random) -> None:
        self.env = simpy.Environment()
        self.demand, self.draw = demand, draw
        self.times: list[float] = []
        self.worked = {"cores": 0.0, "page": 0.0, "slots": 0.0}
        self._cores = simpy.Resource(self.env, cores)
        self._page = simpy.Resource(self.env, 1)
        self._slots = simpy.Resource(self.env, slots)
        self._passes = simpy.Resource(self.env, cores)
        self._waiting: dict[str, deque[simpy.Event]] = {name: deque() for name in demand.networks}

    def person(self, think_s: float, warm_up_s: float) -> _Steps:
        """Sends pictures for ever."""
        while True:
            if think_s:
                yield self.env.timeout(self.draw.expovariate(1 / think_s))
            began = self.env.now
            yield from self._work(self.demand.client)
            if self.demand.idle:
                yield self.env.timeout(self.demand.idle)
            yield from self._picture()
            if self.env.now >= warm_up_s:
                self.times.append(self.env.now - began)

    def others(self, cores: int) -> _Steps:
        """Starts pieces of other work, which wait for a core like all work, for ever."""
        while True:
            self.env.process(self._work(_PIECE_S))
            yield self.env.timeout(_PIECE_S / (self.demand.others * cores))

    def _picture(self) -> _Steps:
        """A picture's way: the page takes it, waits for a slot, detects, classifies, and the page sends the answer."""
        yield from self._in_page(self.demand.page / 2)
        if self.demand.detect or self.demand.networks:
            with self._slots.request() as slot:
                yield slot
                taken = self.env.now
                yield from self._work(self.demand.detect)
                yield self.env.all_of([self._submit(name) for name in self.demand.networks])
                self._count("slots", (self.env.now - taken) / self._slots.capacity)
        yield from self._in_page(self.demand.page / 2)

    def _in_page(self, seconds: float) -> _Steps:
        with self._page.request() as turn:
            yield turn
            began = self.env.now
            yield from self._work(seconds)
            self._count("page", self.env.now - began)

    def _work(self, seconds: float) -> _Steps:
        """Work for so long on one core, once one is free."""
        if seconds:
            with self._cores.request() as core:
                yield core
                taken = seconds * math.exp(self.draw.gauss(0, self.demand.spread)) if self.demand.spread else seconds
                yield self.env.timeout(taken)
                self._count("cores", taken / self._cores.capacity)

    def _submit(self, model: str) -> simpy.Event:
        """What happens once a model has classified this face."""
        answer: Any = self.env.event()
        self._waiting[model].append(answer)
        self.env.process(self._pass(model))
        return answer  # type: ignore[no-any-return]

    def _pass(self, model: str) -> _Steps:
        """One pass for all faces that wait for it once it can begin; none if an earlier one took this face, too."""
        with self._passes.request() as worker:
            yield worker
            waiting = self._waiting[model]
            served = [waiting.popleft() for _ in range(min(JOINED, len(waiting)))]
            if served:
                yield from self._work(self.demand.a_pass(model, len(served)))
        for answer in served:
            answer.succeed()

    def _count(self, resource: str, seconds: float) -> None:
        self.worked[resource] += seconds
