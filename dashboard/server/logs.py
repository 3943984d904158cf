"""Logs: one JSON object per line on the standard error, without pictures, file names or addresses."""

import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from dashboard.server.gradio_internals import exceptions_reported_by

#: This project's own loggers, whose messages are known to be harmless.
_OWN: Final = ("app", "dashboard", "explain", "fer_models")

_log = logging.getLogger(__name__)


class JsonLines(logging.Formatter):
    """A record as a JSON object: time, level, logger, message, what was passed as `fields`, and for errors the stack.

    Of an exception, the type and the place are logged, never the message, which can contain the name of a file that was
    sent. For the same reason, of other libraries' messages only the pattern is logged.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line of one record, without a line break."""
        own = record.name.partition(".")[0] in _OWN
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage() if own else _pattern(record.msg),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and (error := record.exc_info[1]):
            line["error"] = type(error).__name__
            line["stack"] = [
                f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
                for frame in traceback.extract_tb(error.__traceback__)
            ]
        return json.dumps(line, ensure_ascii=False)


@contextmanager
def json_logs(level: str, on_error: Callable[[str], None]) -> Iterator[None]:
    """Log as JSON lines, from `level` up, as long as the context lasts.

    Args:
        level: "info", "warning" or "error".
        on_error: called with the logger's name at every error, to count them.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    counter = _Counter(on_error)
    root = logging.getLogger()
    before = root.level
    root.setLevel(level.upper())
    # At the level info these log every step.
    quiet = [logging.getLogger(name) for name in ("httpx", "httpcore", "asyncio", "uvicorn", "mcp")]
    for logger in quiet:
        logger.setLevel(max(logging.WARNING, root.level))
    for added in (handler, counter):
        root.addHandler(added)
    try:
        with exceptions_reported_by(_log_exception):
            yield
    finally:
        for added in (handler, counter):
            root.removeHandler(added)
        for logger in quiet:
            logger.setLevel(logging.NOTSET)
        root.setLevel(before)


class _Counter(logging.Handler):
    def __init__(self, on_error: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self.on_error = on_error

    def emit(self, record: logging.LogRecord) -> None:
        self.on_error(record.name)


def _log_exception(*_: Any, **__: Any) -> None:
    if isinstance(sys.exc_info()[1], Exception):
        _log.exception("a request failed")


def _pattern(message: object) -> str:
    return message if isinstance(message, str) else type(message).__name__
