"""What the server holds of its visitors, and when it lets go of it.

Gradio keeps all that a page was last shown, pictures too, until as many other sessions came as it holds, and counts
every call of its API as a session. Here a session goes when nobody can come back to it.
"""

import datetime
import re
from collections import Counter
from typing import Final

from gradio.state_holder import SessionState, StateHolder
from starlette.types import ASGIApp, Receive, Scope, Send

#: Seconds without use after which a session goes while its page is open,
OPEN_S: Final = 3600
#: after its page was closed (a phone that was put away for a moment comes back),
CLOSED_S: Final = 300
#: and where no page is open and no result kept: a call of the API.
CALL_S: Final = 60

#: A page holds this connection as long as it is open.
_HEARTBEAT: Final = re.compile(r"/gradio_api/heartbeat/([^/]+)$")


class Sessions:
    """Which sessions have an open page. Used from the server's event loop alone."""

    def __init__(self) -> None:
        """Nobody is here yet."""
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

    def sweep(self, holder: StateHolder) -> int:
        """Drop what Gradio holds of sessions to which nobody will come back. Returns how many were dropped."""
        dropped = 0
        now = datetime.datetime.now()
        for name, session in list(holder.session_data.items()):
            used = max(holder.time_last_used.get(name, now), self._closed.get(name, datetime.datetime.min))
            if abs((now - used).total_seconds()) < self._lifetime(name, session):
                continue
            holder.delete_state(name)  # with what tabs do when theirs goes: a video's folder is deleted
            holder.session_data.pop(name, None)
            holder.time_last_used.pop(name, None)
            self._closed.pop(name, None)
            dropped += 1
        for name, since in list(self._closed.items()):
            if name not in holder.session_data and abs((now - since).total_seconds()) >= CLOSED_S:
                del self._closed[name]
        return dropped

    def _lifetime(self, name: str, session: SessionState) -> float:
        if name in self._open:
            return OPEN_S
        if all(value is None or isinstance(value, int) for value in list(session.state_data.values())):
            return CALL_S
        return CLOSED_S if name in self._closed else OPEN_S


class SessionMiddleware:
    """ASGI middleware that tells `Sessions` which pages are open."""

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        """Stand before `app`."""
        self.app = app
        self.sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        found = _HEARTBEAT.search(scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self.app(scope, receive, send)
            return
        self.sessions.opened(found[1])
        try:
            await self.app(scope, receive, send)
        finally:
            self.sessions.closed(found[1])
