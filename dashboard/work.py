"""Long work beside a page: a generator that tells how far it is and stops the work when it is closed."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")


class _Stopped(Exception):
    """Thrown into the work when nobody waits for it any more."""


def watched(job: Callable[[Callable[[float], None]], T], every: float = 0.3) -> Iterator[tuple[float, T | None]]:
    """Run a job in a thread of its own and tell how far it is.

    Args:
        job: called with a function that takes the share done, in [0, 1]. Closing the generator makes the next call of
            that function raise, which ends the job.
        every: seconds between two looks at it.

    Yields:
        The share done and None, and in the end 1 and the job's result.

    Raises:
        Exception: what the job raises.
    """
    share, stop = [0.0], threading.Event()

    def report(done: float) -> None:
        if stop.is_set():
            raise _Stopped
        share[0] = done

    pool = ThreadPoolExecutor(1, "work")
    try:
        future = pool.submit(job, report)
        while not wait([future], every).done:
            yield share[0], None
        yield 1.0, future.result()
    finally:
        stop.set()
        pool.shutdown(wait=False)
