"""What more people and pictures would need: scale.json."""

from fer_models.evaluation.records.base import Amount, Count, Provenance, Record, Share


class LoadFigures(Record):
    """Answers per second, and how long they took."""

    rate: Amount
    p50_s: Amount
    p95_s: Amount


class ScaleCheck(Record):
    """The simulation beside a measured load; `error` is the largest relative difference of rate and median."""

    clients: Count
    measured: LoadFigures
    simulated: LoadFigures
    error: Amount


class ScaleDemand(Record):
    """Seconds on one core per picture with one face, from measurements (`benchmarks.simulation.Demand`)."""

    page: Amount
    detect: Amount
    networks: dict[int, Amount]
    client: Amount
    idle: Amount
    spread: Amount


class ScalePeople(Record):
    """Machines for people who use the page at the same time.

    Attributes:
        kind: what they do.
        people: how many.
        every_s: mean seconds between an answer and the next picture.
        limit_s: seconds within which 95 % of the answers must come.
        per_machine: how many one machine serves within it.
        machines: for all.
        p95_s: of a machine with so many.
        busy: share of the time in which its resources work.
        cost_per_hour: of all machines.
    """

    kind: str
    people: Count
    every_s: Amount
    limit_s: Amount
    per_machine: Count
    machines: Count
    p95_s: Amount
    busy: dict[str, Amount]
    cost_per_hour: Amount


class ScaleBatch(Record):
    """A batch on so many machines: hours until it is done, those of all machines, machines lost on the way, cost."""

    machines: Count
    hours: Amount
    machine_hours: Amount
    lost: Count
    cost: Amount


class ScaleRecord(Provenance):
    """`python -m benchmarks.scale`: what more people and pictures need, from a simulation that was checked first.

    Attributes:
        cores: of the machine that was measured, and of each in the simulation.
        price: per core and hour, an assumption in US dollars.
        demand: that the simulation was fed.
        checks: against measured loads; none differs by more than `tolerance`.
        people: the whole app on each machine, or the page alone.
        pictures: of the batch.
        pictures_per_second: of one machine, as measured.
        batch: by number of machines.
    """

    cores: Count
    price: Amount
    tolerance: Share
    demand: ScaleDemand
    checks: tuple[ScaleCheck, ...]
    people: tuple[ScalePeople, ...]
    pictures: Count
    pictures_per_second: Amount
    batch: tuple[ScaleBatch, ...]
