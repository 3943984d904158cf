"""When the server forgets its visitors' sessions.

Gradio keeps the values of a session's states, analysed pictures too, until more sessions came than it may keep, and
counts every call of its API as a session. Here a session is dropped when nobody can come back to it.
"""

import datetime
from collections import Counter
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.server.gradio_internals import HEARTBEAT_ROUTE, StoredSessions

#: Seconds without use after which a session is dropped while its page is open,
OPEN_S: Final = 3600
#: after its page was closed (a phone that was put away for a moment comes back),
CLOSED_S: Final = 300
#: and where no page is open and no result kept: a call of the API.
CALL_S: Final = 60


class Sessions:
    """Which sessions have an open page. Used from the server's event loop alone."""

    def __init__(self) -> None:
        """No page is open yet."""
        self._open: Counter[str] = Counter()
        self._closed: dict[str, datetime.datetime] = {}

    def opened(self, name: str) -> None:
        """A page opened its connection, or opened it anew."""
        self._open[name] += 1
        self._closed.pop(name, None)

    def closed(self, name: str) -> None:
        """A page's connection ended."""
        self._open[name] -= 1
        if self._open[name] <= 0:
            del self._open[name]
            self._closed[name] = datetime.datetime.now()

    def sweep(self, stored: StoredSessions) -> int:
        """Drop the sessions to which nobody will come back, and what the others keep without need.

        Returns:
            How many were dropped.
        """
        dropped = 0
        now = datetime.datetime.now()
        for name in stored:
            used = max(stored.last_used(name) or now, self._closed.get(name, datetime.datetime.min))
            if abs((now - used).total_seconds()) < self._lifetime(name, stored):
                stored.drop_copies(name)
                continue
            stored.drop(name)
            self._closed.pop(name, None)
            dropped += 1
        for name, since in list(self._closed.items()):
            if name not in stored and abs((now - since).total_seconds()) >= CLOSED_S:
                del self._closed[name]
        return dropped

    def _lifetime(self, name: str, stored: StoredSessions) -> float:
        if name in self._open:
            return OPEN_S
        if all(value is None or isinstance(value, int) for value in stored.values(name)):
            return CALL_S
        return CLOSED_S if name in self._closed else OPEN_S


class SessionMiddleware:
    """ASGI middleware that records in `Sessions` which pages are open."""

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        """Wrap `app`."""
        self.app = app
        self.sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        heartbeat = HEARTBEAT_ROUTE.search(scope["path"]) if scope["type"] == "http" else None
        if heartbeat is None:
            await self.app(scope, receive, send)
            return
        self.sessions.opened(heartbeat[1])
        try:
            await self.app(scope, receive, send)
        finally:
            self.sessions.closed(heartbeat[1])
