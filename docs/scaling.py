"""The tables of docs/scale.md: the simulation beside measured loads, and what more people and pictures need."""

from docs.markdown import percent, table
from docs.sources import record
from fer_models.evaluation.records.scale import LoadFigures, ScalePeople, ScaleRecord


def _record() -> ScaleRecord:
    return record("scale.json", ScaleRecord)


def demand() -> str:
    """What one picture costs."""
    measured = _record().demand
    rows = [
        ["page: upload, queue, JSON, events (one thread)", _ms(measured.page)],
        ["detection", _ms(measured.detect)],
        *(
            [f"four models, {faces} {'face' if faces == 1 else 'faces'} per pass, per face", _ms(seconds / faces)]
            for faces, seconds in measured.networks.items()
            if faces in (1, 4, 8)
        ),
    ]
    return table(["a picture with one face", "time on one core"], rows)


def checks() -> str:
    """Loads that were measured beside the simulation's, which saw none of their figures."""
    rows = [
        [f"{check.clients}", *_pair(check.measured), *_pair(check.simulated), percent(check.error)]
        for check in _record().checks
    ]
    head = ["clients", "answers per second, measured", "median", "95th percentile"]
    head += ["answers per second, simulated", "median", "95th percentile"]
    return table([*head, "largest difference, without the percentile"], rows)


def people() -> str:
    """Machines and cost for many people at the same time."""
    measured = _record()
    rows = [
        [
            each.kind,
            f"{each.limit_s:g} s",
            f"{each.per_machine}",
            f"{each.machines:,}",
            _busiest(each),
            f"${each.cost_per_hour:,.2f}",
        ]
        for each in measured.people
    ]
    head = [f"{measured.people[0].people:,} people", "95 % answered within", "per machine", "machines"]
    return table([*head, "busiest", "cost per hour"], rows)


def pictures() -> str:
    """Machines, time and cost for a large batch."""
    measured = _record()
    rows = [
        [
            f"{each.machines:,}",
            f"{each.hours:,.1f} h" if each.hours < 48 else f"{each.hours / 24:,.1f} days",
            f"{each.machine_hours:,.0f}",
            f"{each.lost:,}",
            f"${each.cost:,.0f}",
        ]
        for each in measured.batch
    ]
    head = ["machines", f"{measured.pictures:,} pictures", "machine hours", "machines lost on the way", "cost"]
    settings = f"{measured.pictures_per_second:.1f} pictures per second per machine, as measured.\n\n"
    return settings + table(head, rows, names=0)


def price() -> str:
    """What the figures take for granted."""
    measured = _record()
    return f"{measured.cores} cores per machine, ${measured.price:g} per core and hour.\n"


def _busiest(each: ScalePeople) -> str:
    name = max(each.busy, key=lambda resource: each.busy[resource])
    return f"{name}, {percent(each.busy[name], 0)}"


def _pair(figures: LoadFigures) -> list[str]:
    return [f"{figures.rate:.1f}", f"{figures.p50_s:.2f} s", f"{figures.p95_s:.2f} s"]


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"
