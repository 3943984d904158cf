"""Long computations beside a page: progress, cancelling, forgetting, and errors of one model or all."""

import threading
import time
from collections.abc import Callable

import pytest

from dashboard.components.jobs import Job, Jobs, Progress, Stopped, run_watched
from fer_models.errors import ExplanationError

TITLES = {"a": "Model A", "b": "Model B", "c": "Model C"}
UNEXPECTED = "It failed. Try again."


def run(
    step: Callable[[str, Callable[[float], None]], str],
    react: Callable[[Jobs, Progress[str]], None] = lambda *_: None,
) -> list[Progress[str]]:
    """All progress of a step for the three models; `react` is called with each."""
    jobs, seen = Jobs(), []
    for progress in jobs.run_per_model("mine", "maps", list(TITLES), step, UNEXPECTED, every=0.01):
        seen.append(progress)
        react(jobs, progress)
    return seen


def until_stopped(report: Callable[[float], None]) -> str:
    while True:
        report(0.5)
        time.sleep(0.01)


def test_models_run_one_after_the_other_and_their_results_add_up() -> None:
    began = {name: threading.Event() for name in TITLES}

    def step(name: str, report: Callable[[float], None]) -> str:
        report(0.5)
        assert began[name].wait(30)
        return name.upper()

    def react(_: Jobs, progress: Progress[str]) -> None:
        if progress.share:
            began[str(progress.running)].set()

    seen = run(step, react)
    starts = [progress for progress in seen if progress.share == 0]
    assert [(progress.running, dict(progress.results)) for progress in starts if progress.running] == [
        ("a", {}),
        ("b", {"a": "A"}),
        ("c", {"a": "A", "b": "B"}),
    ]
    assert starts[1].waiting == ["b", "c"]
    assert starts[1].text(TITLES) == "Model B (2 of 3) …"
    assert {progress.text(TITLES) for progress in seen if progress.share} == {
        f"Model {letter} ({number} of 3): 50% …" for number, letter in enumerate("ABC", 1)
    }
    end = seen[-1]
    assert end == Progress(list(TITLES), results={"a": "A", "b": "B", "c": "C"})
    assert (end.text(TITLES), end.problems(TITLES), end.waiting) == ("", "", ())


def test_a_cancelled_run_keeps_what_is_done_and_says_so() -> None:
    def step(name: str, report: Callable[[float], None]) -> str:
        return "done" if name == "a" else until_stopped(report)

    def react(jobs: Jobs, progress: Progress[str]) -> None:
        if progress.running == "b" and progress.share:
            jobs.stop("mine", "maps")

    end = run(step, react)[-1]
    assert end.cancelled and end.running is None and end.results == {"a": "done"}
    assert end.problems(TITLES) == "Stopped."


@pytest.mark.parametrize("share", [0, 0.5])
def test_a_forgotten_face_is_never_touched_again(share: float) -> None:
    def react(jobs: Jobs, progress: Progress[str]) -> None:
        if progress.running == "b" and progress.share == share:
            jobs.stop("mine", forget=True)

    def step(name: str, report: Callable[[float], None]) -> str:
        return "done" if name == "a" else until_stopped(report)

    assert run(step, react)[-1].running == "b"


def test_one_models_failure_is_shown_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    def step(name: str, _: Callable[[float], None]) -> str:
        if name == "b":
            raise ExplanationError("This layer has one cell.")
        if name == "c":
            raise ZeroDivisionError
        return "done"

    end = run(step)[-1]
    assert end.results == {"a": "done"} and not end.cancelled
    assert end.problems(TITLES) == f"Model B: This layer has one cell. Model C: {UNEXPECTED}"
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]


def test_a_failure_of_all_models_is_said_once() -> None:
    def step(_: str, __: Callable[[float], None]) -> str:
        raise ZeroDivisionError

    end = run(step)[-1]
    assert not end.results and end.errors == dict.fromkeys(TITLES, UNEXPECTED)
    assert end.problems(TITLES) == UNEXPECTED


def test_a_computation_reports_its_progress() -> None:
    step = threading.Event()

    def job(report: Callable[[float], None]) -> str:
        report(0.5)
        assert step.wait(30)
        return "done"

    seen = []
    for share, result in run_watched(job, Job(), every=0.01):
        seen.append((share, result))
        if share == 0.5:
            step.set()
    assert (0.5, None) in seen and seen[-1] == (1.0, "done")


def test_a_closed_computation_stops_at_its_next_report() -> None:
    stopped = threading.Event()

    def job(report: Callable[[float], None]) -> None:
        try:
            while True:
                report(0.1)
                time.sleep(0.01)
        finally:
            stopped.set()

    work = run_watched(job, Job(), every=0.01)
    next(work)
    work.close()  # type: ignore[attr-defined]
    assert stopped.wait(30)


def test_a_computation_raises_its_error() -> None:
    def job(_: Callable[[float], None]) -> None:
        raise TimeoutError("met")

    with pytest.raises(TimeoutError, match="met"):
        list(run_watched(job, Job()))


def test_a_stopped_job_ends_its_computation() -> None:
    jobs, ended = Jobs(), threading.Event()

    def work(report: Callable[[float], None]) -> None:
        try:
            while True:
                report(0.1)
                time.sleep(0.01)
        finally:
            ended.set()

    with jobs.running("mine") as job, pytest.raises(Stopped):
        for number, _ in enumerate(run_watched(work, job, every=0.01)):
            jobs.stop("another's")
            assert not job.stop.is_set()
            if number == 2:
                jobs.stop("mine", forget=True)
    assert ended.wait(30) and job.forgotten
    jobs.stop("mine")  # nothing runs any more: nothing to stop
    with jobs.running("mine", "methods") as methods, jobs.running("mine", "trust") as trust:
        jobs.stop("mine", "trust")
        assert trust.stop.is_set() and not methods.stop.is_set()
        jobs.stop("mine", forget=True)  # another face: all sections
        assert methods.stop.is_set() and methods.forgotten
    with jobs.running("mine") as job:
        assert not job.stop.is_set() and not job.forgotten
