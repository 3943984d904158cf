"""The one place where an unexpected error becomes words on the page. No Gradio here."""

import logging
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from fer_models.errors import FerError

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger(__name__)


def as_message(error: Exception, unexpected: str) -> str:
    """What the page says of an error: its own words if a user can act on them, else `unexpected`, and a log entry.

    Call it where the error was caught, so that the log has its traceback.

    Args:
        error: what was raised.
        unexpected: what failed and what to try, in a sentence or two.
    """
    if isinstance(error, FerError):
        return str(error)
    _log.exception("unexpected error: %s", unexpected)
    return unexpected


def show_errors(unexpected: str, show: Callable[[Any, str], T]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a callback's method so that its errors become what the tab shows instead of its answer.

    Args:
        unexpected: as for `as_message`.
        show: called with the method's object and the message.
    """

    def decorate(method: Callable[P, T]) -> Callable[P, T]:
        @wraps(method)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return method(*args, **kwargs)
            except Exception as error:
                return show(args[0], as_message(error, unexpected))

        return call

    return decorate


def yield_errors(
    unexpected: str, show: Callable[[Any, str], T]
) -> Callable[[Callable[P, Iterator[T]]], Callable[P, Iterator[T]]]:
    """`show_errors` for a callback that yields: the message is the last thing it yields."""

    def decorate(method: Callable[P, Iterator[T]]) -> Callable[P, Iterator[T]]:
        @wraps(method)
        def call(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
            try:
                yield from method(*args, **kwargs)
            except Exception as error:
                yield show(args[0], as_message(error, unexpected))

        return call

    return decorate
