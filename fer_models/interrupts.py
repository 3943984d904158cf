"""Ctrl-C as a wish that long work grants at a point where nothing is half done."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def noted_interrupts(words: str, *, always: bool = False) -> Iterator[list[int]]:
    """A list that Ctrl-C puts something into; the second Ctrl-C is as usual.

    Signals belong to the main thread: in another one the list stays empty and Ctrl-C is as usual.

    Args:
        words: printed at the first Ctrl-C: what happens now.
        always: note the second, too: torchrun passes Ctrl-C on to processes that the terminal told already.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if always:
            return
        signal.signal(signal.SIGINT, before)
        print(f"\n{words}; Ctrl-C again ends at once.", file=sys.stderr)

    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, note)
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, before)
