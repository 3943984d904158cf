"""Long work beside a page: told how far it is, and stopped when nobody wants it any more. No Gradio here."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Final, TypeVar

#: Pictures read at the same time; each model still works on one batch at a time.
COMPARE_AT_ONCE: Final = 4
#: Faces explained at the same time.
EXPLAIN_AT_ONCE: Final = 2

T = TypeVar("T")


class Stopped(Exception):
    """The work was stopped before its end."""


class Job:
    """One running piece of work.

    Attributes:
        stop: set when it should end.
        forgotten: whether what it made is for a face that is shown no more: then it must not touch the page again.
    """

    def __init__(self) -> None:
        """Nobody has asked it to stop."""
        self.stop = threading.Event()
        self.forgotten = False


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
        """A job that a section of the page does for a session, from its start to its end."""
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


def run_watched(
    work: Callable[[Callable[[float], None]], T], job: Job, every: float = 0.3
) -> Iterator[tuple[float, T | None]]:
    """Run work in a thread of its own and tell how far it is.

    Args:
        work: called with a function that takes the share done, in [0, 1], and raises once the job is stopped.
        job: what it is part of. Closing the generator ends the work, too.
        every: seconds between two looks at it.

    Yields:
        The share done and None, and in the end 1 and the work's result.

    Raises:
        Stopped: the job was stopped.
        Exception: what the work raises.
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
