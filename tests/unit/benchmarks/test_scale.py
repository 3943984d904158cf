"""The simulation against queues whose waits are known by hand, and that nothing is extrapolated from a wrong one."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import scale
from benchmarks.simulation import Demand, Outcome, simulate, simulate_batch
from fer_models.analyzer import WEIGHTS
from fer_models.errors import FerError
from fer_models.evaluation.records import LatencyRecord
from fer_models.evaluation.records.benchmarks import LoadRecord

RESULTS = WEIGHTS / "results"
APP = Demand(page=0.02, detect=0.024, networks={"a": {1: 0.05, 4: 0.16}, "b": {1: 0.03, 4: 0.10}}, client=0.01)


def latency() -> LatencyRecord:
    return LatencyRecord.model_validate_json((RESULTS / "latency.json").read_bytes())


def load_like(outcome: Outcome, clients: int, server_s: float = 0.1, client_s: float = 0.01) -> LoadRecord:
    """A record of a load as if it had been measured."""
    requests = round(outcome.rate * 100)
    return LoadRecord.model_validate(
        {
            "cores": 2,
            "models": ["a"],
            "clients": clients,
            "seconds": 100.0,
            "requests": requests,
            "requests_a_second": outcome.rate,
            "queue_full": 0,
            "errors": {},
            "p50_s": outcome.p50_s,
            "p95_s": outcome.p95_s,
            "rss_mb": {"start": None, "warm": None, "on_the_way": [], "end": None},
            "growth": None,
            "processor_s": {"server": server_s * requests, "clients": client_s * requests, "others": 0.0},
            "live": None,
        }
    )


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_a_fixed_service_time_waits_as_in_m_d_1(load: float) -> None:
    """Pollaczek and Khinchine: the mean wait before a fixed service time s is load * s / (2 * (1 - load))."""
    service, people = 0.01, 500
    think = people * service / load  # so many people who think so long come nearly at random
    found = simulate(
        Demand(page=0.0, detect=service), people=people, cores=1, slots=1, think_s=think, seconds=400, seed=1
    )
    assert found.mean_s == pytest.approx(service + load * service / (2 * (1 - load)), rel=0.05)
    assert found.busy["cores"] == pytest.approx(load, rel=0.05)


def test_two_people_at_one_server_meet_as_often_as_a_chain_by_hand_says() -> None:
    """Both think 1 s (exponential) and are served for a fixed 1 s.

    Whenever one's turn starts, the other thinks. With probability 1/e he still does at its end; then the server rests
    until the first of the two returns, 1/2 s on average. So a turn comes every 1 + 1/(2 e) s.
    """
    found = simulate(Demand(page=0.0, detect=1.0), people=2, cores=1, slots=1, think_s=1.0, seconds=30_000, seed=3)
    assert found.rate == pytest.approx(1 / (1 + math.exp(-1) / 2), rel=0.02)
    assert found.mean_s == pytest.approx(2 / found.rate - 1.0, rel=0.02)  # Little's law


def test_one_person_waits_for_the_work_alone() -> None:
    found = simulate(APP, people=1, cores=2, seconds=30)
    # the longer model's pass beside the shorter one's, on two cores
    assert found.p50_s == pytest.approx(0.01 + 0.02 + 0.024 + 0.05) and found.p95_s == pytest.approx(found.p50_s)
    assert found.rate == pytest.approx(1 / found.p50_s, rel=0.01)


def test_the_pages_one_thread_is_a_limit_however_many_cores_there_are() -> None:
    crowd = simulate(APP, people=32, cores=16, seconds=60)
    assert crowd.rate == pytest.approx(1 / 0.02, rel=0.01) and crowd.busy["page"] > 0.99


def test_what_else_runs_on_the_machine_takes_its_share() -> None:
    single = Demand(page=0.0, detect=0.01)
    free, shared = (
        simulate(replace(single, others=share), people=8, cores=1, slots=8, seconds=60) for share in (0, 0.25)
    )
    assert free.rate == pytest.approx(100, rel=0.01) and shared.rate == pytest.approx(75, rel=0.02)


def test_waiting_faces_share_passes_so_that_a_crowd_is_served_faster_than_one_by_one() -> None:
    quick = replace(APP, page=0.001, client=0.0)  # or the page's one thread is the limit
    crowd = simulate(quick, people=32, cores=2, seconds=60)
    alone = 2 / (0.001 + 0.024 + 0.08)  # answers per second if no pass were shared
    best = 2 / (0.001 + 0.024 + (0.16 + 0.10) / 4)  # if every pass held the four faces that may be under way
    assert alone < crowd.rate < best and crowd.busy["cores"] > 0.9
    assert crowd.mean_s == pytest.approx(32 / crowd.rate, rel=0.03)  # Little's law
    assert crowd == simulate(quick, people=32, cores=2, seconds=60)
    assert APP.a_pass("a", 2) == pytest.approx(0.05 + 0.11 / 3) and APP.a_pass("a", 8) == pytest.approx(0.32)


def test_a_batch_takes_its_parts_time_and_a_lost_machine_costs_its_part() -> None:
    calm = simulate_batch(parts=100, part_hours=0.5, machines=10, lost_every_hours=1e9, start_hours=0.1)
    assert calm.hours == pytest.approx(0.1 + 10 * 0.5) and calm.lost == 0
    assert calm.machine_hours == pytest.approx(10 * calm.hours)
    rough = simulate_batch(parts=100, part_hours=0.5, machines=10, lost_every_hours=2.0, start_hours=0.1, seed=1)
    assert rough.lost > 10 and rough.hours > calm.hours + 0.5


def test_the_last_part_is_done_though_its_machine_is_lost_when_all_others_ended() -> None:
    for seed in range(20):
        done = simulate_batch(parts=3, part_hours=1.0, machines=3, lost_every_hours=1.0, start_hours=0.0, seed=seed)
        assert done.hours >= 1.0 and done.machine_hours >= 3.0


def test_what_a_picture_costs_comes_from_the_records() -> None:
    record = latency()
    assert record.comparison is not None
    networks = 2 * record.comparison.networks_ms[1] / 1000  # on two cores
    detect = record.comparison.detection_ms[0] / 1000
    one = load_like(Outcome(5.0, 0.5, 0.6, 0.5, {}), 1, server_s=networks + detect + 0.03, client_s=0.004)
    demand = scale.demand_of(record, one)
    assert demand.page == pytest.approx(0.03) and demand.client == pytest.approx(0.004)
    assert sum(passes[1] for passes in demand.networks.values()) == pytest.approx(networks)
    assert simulate(demand, people=1, cores=2, seconds=60).p50_s == pytest.approx(0.5, rel=0.02)
    with pytest.raises(FerError, match="--clients 1"):
        scale.demand_of(record, one.model_copy(update={"clients": 4}))
    with pytest.raises(FerError, match="processor"):
        scale.demand_of(record, one.model_copy(update={"processor_s": None}))


def test_nothing_is_extrapolated_from_a_simulation_that_is_wrong() -> None:
    right = load_like(simulate(APP, people=8, cores=2), 8)
    (check,) = scale.validated(APP, [right])
    assert check.error < 0.01
    slower = replace(APP, page=0.08)
    with pytest.raises(FerError, match="8 clients.*Nothing is extrapolated"):
        scale.validated(slower, [right])
    with pytest.raises(FerError, match="no measured load"):
        scale.validated(APP, [])


def test_the_command_stops_where_the_loads_do_not_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = load_like(Outcome(5.0, 0.3, 0.3, 0.3, {}), 1, server_s=0.15)
    wrong = load_like(Outcome(100.0, 0.01, 0.02, 0.01, {}), 32)
    for name, record in (("one", one), ("wrong", wrong)):
        (tmp_path / f"{name}.json").write_text(record.text())
    arguments = ["--one", f"{tmp_path}/one.json", "--loads", f"{tmp_path}/wrong.json", "--json", f"{tmp_path}/out.json"]
    assert scale.main(arguments) == 2 and "32 clients" in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()


def test_machines_are_just_enough_for_the_limit() -> None:
    demand = replace(APP, client=0.0)
    found = scale.people("use", demand, 2, 0.05, every_s=5.0, limit_s=0.5)
    again: dict[str, Any] = {"cores": 2, "think_s": 5.0, "seconds": 120.0, "warm_up_s": 20.0}
    assert simulate(demand, people=found.per_machine, **again).p95_s <= 0.5
    assert simulate(demand, people=found.per_machine + 1, **again).p95_s > 0.5
    assert found.machines == math.ceil(1000 / found.per_machine)
    assert found.cost_per_hour == pytest.approx(found.machines * 2 * 0.05)
    with pytest.raises(FerError, match="one person alone"):
        scale.people("use", demand, 2, 0.05, every_s=5.0, limit_s=0.01)


def test_the_record_on_file_was_checked_and_shows_what_it_was_checked_against() -> None:
    document = json.loads((RESULTS / "scale.json").read_text())
    assert document["tolerance"] == scale.TOLERANCE == 0.15
    measured = {each["clients"]: each for each in document["checks"]}
    assert 32 in measured and all(each["error"] <= 0.15 for each in measured.values())
    for clients, each in measured.items():
        load = json.loads((RESULTS / f"scale_load_{clients}.json").read_text())
        assert each["measured"]["rate"] == load["requests_a_second"] and each["measured"]["p50_s"] == load["p50_s"]
