"""Long computations beside a page: their progress, and their end when nobody wants them any more. No Gradio here."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Generic, TypeVar

from dashboard.components.failures import as_message

#: Pictures read at the same time; each model still works on one batch at a time.
COMPARE_AT_ONCE: Final = 4
#: Faces explained at the same time.
EXPLAIN_AT_ONCE: Final = 2

T = TypeVar("T")


class Stopped(Exception):
    """The computation was stopped before its end."""


class Job:
    """One running computation.

    Attributes:
        stop: set when it should end.
        forgotten: whether its results are for a face that is no longer shown: then it must not touch the page again.
    """

    def __init__(self) -> None:
        """Nobody has asked it to stop."""
        self.stop = threading.Event()
        self.forgotten = False


@dataclass(frozen=True)
class Progress(Generic[T]):
    """How far `Jobs.run_per_model` has come.

    Attributes:
        names: of all models, in their order.
        running: the model whose step is running; None at the end.
        share: how much of that step is done, in [0, 1]; 0 when it starts.
        results: so far, by model name.
        errors: so far, by model name: the message of a step that failed.
        cancelled: whether the user stopped it before its end.
    """

    names: Sequence[str]
    running: str | None = None
    share: float = 0.0
    results: Mapping[str, T] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    cancelled: bool = False

    @property
    def waiting(self) -> Sequence[str]:
        """The models that have neither a result nor an error yet, the running one first."""
        return () if self.running is None else self.names[self.names.index(self.running) :]

    def text(self, titles: Mapping[str, str]) -> str:
        """Which model is running, how many there are, and how much of its step is done; "" at the end.

        Args:
            titles: what people read, by model name.
        """
        if self.running is None:
            return ""
        share = f": {self.share:.0%}" if self.share else ""
        return f"{titles[self.running]} ({self.names.index(self.running) + 1} of {len(self.names)}){share} …"

    def problems(self, titles: Mapping[str, str]) -> str:
        """What went wrong, and whether it was cancelled; "" if neither. What all models met is said once.

        Args:
            titles: what people read, by model name.
        """
        models: dict[str, list[str]] = {}
        for name, error in self.errors.items():
            models.setdefault(error, []).append(titles[name])
        all_failed_alike = len(models) == 1 and len(self.errors) == len(self.names)
        texts = [error if all_failed_alike else f"{', '.join(who)}: {error}" for error, who in models.items()]
        return " ".join([*texts, *(["Stopped."] if self.cancelled else [])])


class Jobs:
    """The running jobs by session and section; an entry lives as long as its job. Safe to call from several threads.

    Gradio can cancel an event, too, but what the event sent last may reach the page after what the cancelling one
    sends, and stay. So jobs are asked to stop and say themselves that they did.
    """

    def __init__(self) -> None:
        """No job is running."""
        self._running: dict[str, list[tuple[str, Job]]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def running(self, session: str | None, section: str = "") -> Iterator[Job]:
        """A job that a section of the page runs for a session, from its start to its end."""
        key, job = session or "", Job()
        with self._lock:
            self._running.setdefault(key, []).append((section, job))
        try:
            yield job
        finally:
            job.stop.set()
            with self._lock:
                self._running[key].remove((section, job))
                if not self._running[key]:
                    del self._running[key]

    def stop(self, session: str | None, section: str | None = None, *, forget: bool = False) -> None:
        """Ask the jobs of a session to end.

        Args:
            session: whose.
            section: whose jobs alone; None means all of the session's.
            forget: whether the page moves on to another face.
        """
        with self._lock:
            for place, job in self._running.get(session or "", ()):
                if section in (None, place):
                    job.forgotten |= forget
                    job.stop.set()

    def run_per_model(
        self,
        session: str | None,
        section: str,
        names: Sequence[str],
        step: Callable[[str, Callable[[float], None]], T],
        unexpected: str,
        every: float = 0.3,
    ) -> Iterator[Progress[T]]:
        """Run a step for one model after the other, as a job. A step that fails does not stop the others.

        Args:
            session: whose job it is.
            section: of the page; its jobs can be stopped alone.
            names: of the models.
            step: called in a thread of its own with a model's name and a function that takes the share done, in
                [0, 1], and raises `Stopped` once the job is stopped. Returns anything but None.
            unexpected: what the page says of an error that is no `FerError`.
            every: seconds between two reports of a running step.

        Yields:
            The progress when a step starts (share 0), while it runs, and at the end (running None). Nothing more once
            the face was forgotten.
        """
        results: dict[str, T] = {}
        errors: dict[str, str] = {}
        cancelled = False
        with self.running(session, section) as job:
            for name in names:
                try:
                    if job.stop.is_set():
                        raise Stopped
                    yield Progress(names, name, 0.0, dict(results), dict(errors))
                    for share, result in run_watched(partial(step, name), job, every):
                        if result is not None:
                            results[name] = result
                        else:
                            yield Progress(names, name, share, dict(results), dict(errors))
                except Stopped:
                    cancelled = True
                    break
                except Exception as error:
                    errors[name] = as_message(error, unexpected)
            if not job.forgotten:
                yield Progress(names, results=results, errors=errors, cancelled=cancelled)


def run_watched(
    work: Callable[[Callable[[float], None]], T], job: Job, every: float = 0.3
) -> Iterator[tuple[float, T | None]]:
    """Run a computation in a thread of its own and report its progress.

    Args:
        work: called with a function that takes the share done, in [0, 1], and raises `Stopped` once the job is stopped.
        job: what it is part of. Closing the generator ends the computation, too.
        every: seconds between two reports.

    Yields:
        The share done and None, and at the end 1 and the result.

    Raises:
        Stopped: the job was stopped.
        Exception: what the computation raises.
    """
    share, closed = [0.0], threading.Event()

    def report(done: float) -> None:
        if closed.is_set() or job.stop.is_set():
            raise Stopped
        share[0] = done

    pool = ThreadPoolExecutor(1, "work")
    try:
        future = pool.submit(work, report)
        while not wait([future], every).done:
            if job.stop.is_set():
                raise Stopped
            yield share[0], None
        if job.stop.is_set():
            raise Stopped
        yield 1.0, future.result()
    finally:
        closed.set()
        pool.shutdown(wait=False)
