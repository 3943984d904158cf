"""What 1,000 people or 100 million pictures need: from measured times, through a simulation that is checked first.

    python -m benchmarks.load --clients 1 --minutes 0.5 --json weights/results/scale_load_1.json     # and 4, and 32
    python -m benchmarks.scale --json weights/results/scale.json

The load of one client says what a picture costs; answers per second and median waits of more clients are predicted and
must agree within 15 %. Otherwise nothing is extrapolated. The slowest waits are simulated too short, so those of many
people are taken as much longer as the measured ones are. docs/scale.md has the figures. Needs simpy
(tests/requirements.txt).
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from math import ceil, log
from pathlib import Path
from typing import Any, Final

from benchmarks.simulation import SLOTS, VIEWERS, Demand, Outcome, simulate, simulate_batch
from fer_models.analyzer import WEIGHTS
from fer_models.errors import FerError
from fer_models.evaluation.records import LatencyRecord, package_versions
from fer_models.evaluation.records.benchmarks import BatchRecord, LoadRecord, StartRecord
from fer_models.evaluation.records.scale import (
    LoadFigures,
    ScaleBatch,
    ScaleCheck,
    ScaleDemand,
    ScalePeople,
    ScaleRecord,
)
from fer_models.evaluation.store import write_record

TOLERANCE: Final = 0.15
PEOPLE: Final = 1_000
PICTURES: Final = 100_000_000
#: An assumption: about what clouds ask for a core of a compute instance, in US dollars per hour.
PRICE: Final = 0.0425
_PART: Final = 10_000  # pictures that are taken by a machine at a time
_LOST_EVERY_HOURS: Final = 100.0  # an assumption, for machines that may be taken away
_MACHINES: Final = (10, 100, 1_000)
#: Connections that one page serves and a visitor's share of them (dashboard/server/serve.py).
_MOST_PEOPLE: Final = 800 // 3
#: Rounds in which the spread and the idle time are fitted to one client's waits, and the largest spread.
_ROUNDS: Final = 6
_MOST_SPREAD: Final = 0.6


def demand_of(latency: LatencyRecord, one: LoadRecord) -> Demand:
    """What a picture costs, from the latency of the models and the load of one client.

    The processor time of the server beyond detection and networks is the page's. What the one client waits beyond all
    work is idle time, and how much its waits differ is the spread.

    Raises:
        FerError: a record lacks what is needed.
    """
    whole, used = latency.comparison, one.processor_s
    if whole is None or used is None or one.clients != 1 or not one.requests or one.p50_s is None or one.p95_s is None:
        raise FerError(
            "The simulation needs latency.json with the whole comparison, and the load of one client with processor "
            "times. Measure with: python -m benchmarks.load --clients 1 --json weights/results/scale_load_1.json"
        )
    shares = {name: model.p50_ms for name, model in latency.models.items()}
    networks = {
        name: {
            faces: latency.threads * ms / 1000 * share / sum(shares.values()) for faces, ms in whole.networks_ms.items()
        }
        for name, share in shares.items()
    }
    detect = whole.detection_ms[0] / 1000
    page = used.server / one.requests - detect - sum(passes[1] for passes in networks.values())
    demand = _beside(Demand(max(page, 0.0), detect, networks, spread=0.1), one)
    for _ in range(_ROUNDS):  # the idle time and the spread hardly depend on each other
        alone = simulate(demand, people=1, cores=one.cores, seconds=120, warm_up_s=1)
        wider = log(one.p95_s / one.p50_s) / log(alone.p95_s / alone.p50_s) if alone.p95_s > alone.p50_s else 1.0
        demand = replace(
            demand,
            idle=max(0.0, demand.idle + one.p50_s - alone.p50_s),
            spread=min(_MOST_SPREAD, demand.spread * wider),
        )
    return demand


def _beside(demand: Demand, load: LoadRecord) -> Demand:
    """A demand with what the clients themselves and everything else on the machine took in a measured load."""
    used = load.processor_s
    if used is None:
        return demand
    others = used.others / (load.seconds * load.cores)
    return replace(demand, client=used.clients / max(load.requests, 1), others=min(others, 0.9))


def check(demand: Demand, load: LoadRecord) -> ScaleCheck:
    """The simulation of a measured load beside it.

    Raises:
        FerError: nobody was answered in that load.
    """
    if load.p50_s is None or load.p95_s is None:
        raise FerError(f"The load of {load.clients} clients has no answers. Measure it again.")
    measured = LoadFigures(rate=load.requests_a_second, p50_s=load.p50_s, p95_s=load.p95_s)
    found = simulate(_beside(demand, load), people=load.clients, cores=load.cores)
    simulated = LoadFigures(rate=found.rate, p50_s=found.p50_s, p95_s=found.p95_s)
    error = max(
        abs(value / getattr(measured, name) - 1) for name, value in simulated.model_dump().items() if name != "p95_s"
    )
    return ScaleCheck(clients=load.clients, measured=measured, simulated=simulated, error=error)


def validated(demand: Demand, loads: Sequence[LoadRecord], tolerance: float = TOLERANCE) -> tuple[ScaleCheck, ...]:
    """The checks against all loads.

    Raises:
        FerError: there is none, or one differs by more than the tolerance: then nothing may be extrapolated.
    """
    checks = tuple(check(demand, load) for load in loads)
    if not checks:
        raise FerError("There is no measured load to check the simulation against. Measure one with benchmarks.load.")
    for each in checks:
        if each.error > tolerance:
            wanted, found = each.measured, each.simulated
            raise FerError(
                f"With {each.clients} clients the simulation differs from the measured load by {each.error:.0%}, more "
                f"than {tolerance:.0%}: it gives {found.rate:.1f} answers per second with a median of "
                f"{found.p50_s:.2f} s, measured were {wanted.rate:.1f} with {wanted.p50_s:.2f} s. Nothing is "
                "extrapolated. Measure all loads again on a machine that does nothing else."
            )
    return checks


def people(
    kind: str,
    demand: Demand,
    cores: int,
    price: float,
    *,
    every_s: float,
    limit_s: float,
    longer: float = 1.0,
    slots: int = SLOTS,
) -> ScalePeople:
    """How many machines `PEOPLE` need, each with the same number of them (sticky sessions).

    Args:
        kind: what they do, in words.
        demand: of each picture; the clients are elsewhere.
        cores: of each machine.
        price: per core and hour.
        every_s: mean seconds between an answer and the next picture.
        limit_s: within which 95 % of the answers must come.
        longer: by which factor the slowest answers are slower than simulated.
        slots: pictures at the same time.

    Raises:
        FerError: not even one person gets answers in time.
    """
    run = partial(simulate, replace(demand, client=0.0, others=0.0), cores=cores, think_s=every_s, slots=slots)
    served: dict[int, Outcome] = {}

    def in_time(count: int) -> bool:
        served[count] = run(people=count, seconds=max(120.0, 10 * every_s), warm_up_s=max(20.0, 2 * every_s))
        return longer * served[count].p95_s <= limit_s

    if not in_time(1):
        raise FerError(f"{kind}: one person alone waits {longer * served[1].p95_s:.2f} s, longer than {limit_s:g} s.")
    least, most = 1, min(PEOPLE, _MOST_PEOPLE) + 1
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if in_time(middle) else (least, middle)
    machines = ceil(PEOPLE / least)
    return ScalePeople(
        kind=kind,
        people=PEOPLE,
        every_s=every_s,
        limit_s=limit_s,
        per_machine=least,
        machines=machines,
        p95_s=longer * served[least].p95_s,
        busy=dict(served[least].busy),
        cost_per_hour=machines * cores * price,
    )


def batches(rate: float, cores: int, price: float, start_s: float) -> tuple[ScaleBatch, ...]:
    """`PICTURES` on 10, 100 and 1,000 machines.

    Args:
        rate: pictures per second of one machine.
        cores: of each machine.
        price: per core and hour.
        start_s: seconds until a machine begins.
    """
    results = []
    for machines in _MACHINES:
        done = simulate_batch(
            ceil(PICTURES / _PART), _PART / rate / 3600, machines, _LOST_EVERY_HOURS, start_s / 3600, seed=machines
        )
        cost = done.machine_hours * cores * price
        results.append(
            ScaleBatch(machines=machines, hours=done.hours, machine_hours=done.machine_hours, lost=done.lost, cost=cost)
        )
    return tuple(results)


def scale(
    latency: LatencyRecord,
    one: LoadRecord,
    loads: Sequence[LoadRecord],
    batch: BatchRecord,
    start: StartRecord,
    price: float = PRICE,
) -> ScaleRecord:
    """Check the simulation against the loads, then extrapolate.

    Raises:
        FerError: it differs from a load by more than 15 %, or a record lacks something.
    """
    demand = demand_of(latency, one)
    checks = validated(demand, loads)
    cores = one.cores
    longer = max(1.0, *(each.measured.p95_s / each.simulated.p95_s for each in checks))
    run = partial(people, cores=cores, price=price, longer=longer)
    elsewhere = demand.detect + sum(passes[1] for passes in demand.networks.values()) / cores
    page = replace(demand, detect=0.0, networks={}, idle=demand.idle + elsewhere)
    compare: dict[str, Any] = {"every_s": 30.0, "limit_s": 1.0}
    live: dict[str, Any] = {"every_s": 0.5, "limit_s": 0.5}
    rate = batch.pictures / sorted(batch.seconds.batch)[len(batch.seconds.batch) // 2]
    faces = sorted(next(iter(demand.networks.values())))
    return ScaleRecord(
        command=f"python -m benchmarks.scale --price {price:g}",
        versions=package_versions("simpy"),
        cores=cores,
        price=price,
        tolerance=TOLERANCE,
        demand=ScaleDemand(
            page=demand.page,
            detect=demand.detect,
            networks={count: sum(passes[count] for passes in demand.networks.values()) for count in faces},
            client=demand.client,
            idle=demand.idle,
            spread=demand.spread,
        ),
        checks=checks,
        people=(
            run("Compare, 30 s between answer and picture", demand, **compare),
            run("Live, 0.5 s between answer and frame", demand, slots=VIEWERS, **live),
            run("Compare alike, models elsewhere", page, **compare),
            run("Live alike, models elsewhere", page, **live),
        ),
        pictures=PICTURES,
        pictures_per_second=rate,
        batch=batches(rate, cores, price, start.app.ready_s),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the records, simulate, write the figures.

    Returns:
        The exit code: 0, or 2 if the simulation does not agree with what was measured, or a record is missing.
    """
    results = WEIGHTS / "results"
    parser = argparse.ArgumentParser("python -m benchmarks.scale", description="Extrapolate from measured loads.")
    add = parser.add_argument
    add("--one", type=Path, default=results / "scale_load_1.json", metavar="FILE", help="the load of one client")
    add(
        "--loads",
        type=Path,
        nargs="+",
        default=[results / f"scale_load_{clients}.json" for clients in (4, 32)],
        metavar="FILE",
        help="loads that the simulation must reproduce (default: of 4 and 32 clients)",
    )
    add("--price", type=float, default=PRICE, help="of a core per hour in US dollars (default: %(default)s)")
    add("--json", type=Path, metavar="FILE", help="where to write the figures (default: the standard output)")
    args = parser.parse_args(arguments)
    try:
        record = scale(
            LatencyRecord.model_validate_json((results / "latency.json").read_bytes()),
            LoadRecord.model_validate_json(args.one.read_bytes()),
            [LoadRecord.model_validate_json(path.read_bytes()) for path in args.loads],
            BatchRecord.model_validate_json((results / "batch.json").read_bytes()),
            StartRecord.model_validate_json((results / "start.json").read_bytes()),
            args.price,
        )
    except (FerError, OSError) as error:
        print(f"benchmarks.scale: {error}", file=sys.stderr)
        return 2
    if args.json is None:
        print(record.text(), end="")
    else:
        write_record(record, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
