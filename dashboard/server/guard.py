"""The guard in front of the page: what strangers may request, how often, and how much they may send."""

import hashlib
import ipaddress
import logging
import math
import secrets
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.server.gradio_internals import CALLBACK_ROUTES, CLOSED_ROUTES, FILE_ROUTES, LOGIN_ROUTE, UPLOAD_ROUTE
from dashboard.server.options import Settings
from dashboard.server.uploads_folder import size_of

_log = logging.getLogger(__name__)

#: Routes that make the server work or keep something, and what they are called in figures and logs.
_HEAVY: Final = {UPLOAD_ROUTE: "upload", **dict.fromkeys(CALLBACK_ROUTES, "work"), LOGIN_ROUTE: "login", "/mcp": "mcp"}
#: Logins per minute from one address, whatever the limit on other requests: passwords are not to be guessed.
LOGINS: Final = 10
#: The key of a request's scope under which the guard leaves the visitor's address for what comes after it.
ADDRESS: Final = "fer.address"
#: Addresses whose requests are remembered at the same time; the oldest are forgotten first.
_ADDRESSES: Final = 10_000
#: Bytes of a request that is no upload: a camera frame as text is the largest.
_MAX_BODY: Final = 8_000_000
#: Bytes of an MCP client's request: a picture of 20 MB as text, and some more that the tool itself refuses.
_MAX_MCP_BODY: Final = 32_000_000
#: What an upload's headers may add to its files; the page sends all files of a batch at once.
_ENVELOPE: Final = 250_000
#: All uploads together may be this many times the largest one.
_UPLOADS: Final = 32
#: Bytes of disk that an upload must leave free.
_RESERVE: Final = 16_000_000

_LOOPBACK: Final = ("127.0.0.1", "::1")

#: Nothing is loaded from elsewhere and nothing can be sent elsewhere, whatever finds its way into the page.
_HEADERS: Final = {
    "content-security-policy": "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}


class RateLimiter:
    """So many requests in any 60 s from one address. Addresses are only known as keyed hashes, in memory.

    Around the moving window of `limits`, which counts by the wall clock and forgets no key: all windows start anew when
    the clock was set, and keys that have not been seen for a minute are dropped. Used from the event loop alone.
    """

    def __init__(self, limit: int) -> None:
        """Allow `limit` requests in any 60 s; 0 means as many as you like."""
        self.limit = limit
        self._key = secrets.token_bytes(32)
        self._storage = MemoryStorage()
        self._window = MovingWindowRateLimiter(self._storage)
        self._per_minute = RateLimitItemPerMinute(limit)
        self._clock_offset = time.time() - time.monotonic()
        self._cleared = time.monotonic()

    def wait(self, address: str) -> float:
        """Seconds until `address` may ask again; 0 if it may now, which counts as having asked."""
        if not self.limit:
            return 0.0
        self._forget()
        hashed = hashlib.blake2b(_network(address).encode(), key=self._key, digest_size=16).hexdigest()
        if self._window.hit(self._per_minute, hashed):
            return 0.0
        left = self._window.get_window_stats(self._per_minute, hashed).reset_time - time.time()
        return min(max(left, 0.001), 60.0)  # at the end of its minute, the oldest request still counts

    def _forget(self) -> None:
        now = time.monotonic()
        offset = time.time() - now
        if abs(offset - self._clock_offset) > 1:
            self._storage.reset()
            self._clock_offset = offset
        events = self._storage.events
        if now - self._cleared > 10 or len(events) >= _ADDRESSES:
            self._cleared = now
            for key, times in list(events.items()):
                if not times or times[0].expiry <= time.time():
                    self._storage.clear(key)
        while len(events) >= _ADDRESSES:
            self._storage.clear(next(iter(events)))


class Guard:
    """ASGI middleware: refuses what the page never requests and what is too much, and sets the security headers."""

    def __init__(
        self, app: ASGIApp, settings: Settings, observe: Callable[[str, int, float], None] = lambda *_: None
    ) -> None:
        """Wrap `app`.

        Args:
            app: the page.
            settings: what is allowed.
            observe: called with each answered request's endpoint, status and seconds until its answer began.
        """
        self.app = app
        self.settings = settings
        self.observe = observe
        self._rate = RateLimiter(settings.rate_limit)
        self._logins = RateLimiter(LOGINS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse one request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":  # the page has none
                await send({"type": "websocket.close", "code": 1000})
                return
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        path = scope["path"]
        endpoint = next((name for prefix, name in _HEAVY.items() if path.startswith(prefix)), "page")
        response = _Response(send, lambda status: self._report(endpoint, status, time.perf_counter() - started))
        address, proxied = self._address(scope)
        if not proxied:  # Gradio would believe anybody's
            scope = {**scope, "headers": [item for item in scope["headers"] if not item[0].startswith(b"x-forwarded-")]}
        scope = {**scope, ADDRESS: address}
        refused = self._refuse(path, scope["method"], endpoint, address, Headers(scope=scope))
        if refused is not None:
            await refused(scope, receive, response)
            return
        body = _Body(receive, self._max_body(endpoint))
        response.body = body
        try:
            await self.app(scope, body, response)
        except Exception:
            if not body.exceeded:
                raise
        if body.exceeded and not response.started:
            response.body = None
            await _too_large(endpoint, self._max_body(endpoint))(scope, receive, response)

    def _max_body(self, endpoint: str) -> int:
        """Bytes that a request may have."""
        return {"upload": self.settings.max_upload + _ENVELOPE, "mcp": _MAX_MCP_BODY}.get(endpoint, _MAX_BODY)

    def _refuse(self, path: str, method: str, endpoint: str, address: str, headers: Headers) -> JSONResponse | None:
        """The answer to a refused request; None if it is let through."""
        if path.startswith(CLOSED_ROUTES):
            return JSONResponse({"detail": "Not found."}, 404)
        for prefix in FILE_ROUTES:
            if path.startswith(prefix) and path[len(prefix) :].lower().startswith(("http:", "https:")):
                return JSONResponse({"detail": "Only files of this app are served."}, 403)
        if method != "POST" or endpoint == "page":
            return None
        wait = max(self._rate.wait(address), self._logins.wait(address) if endpoint == "login" else 0)
        if wait:
            seconds = math.ceil(wait)
            text = f"Too many requests. Try again in {seconds} seconds."
            return refusal(endpoint, 429, text, {"retry-after": str(seconds)})
        length = headers.get("content-length", "")
        size = int(length) if length.isascii() and length.isdigit() else 0
        if size > self._max_body(endpoint):
            return _too_large(endpoint, self._max_body(endpoint))
        return self._refuse_upload(size) if endpoint == "upload" else None

    def _refuse_upload(self, size: int) -> JSONResponse | None:
        max_upload = self.settings.max_upload
        expected = size or max_upload  # without a length, it may have any
        if shutil.disk_usage(self.settings.uploads).free < expected + _RESERVE:
            _log.error("an upload was refused: the disk is full")
            return JSONResponse({"detail": "The server's disk is full. Try again in some minutes."}, 507)
        if size_of(self.settings.uploads) + expected > _UPLOADS * max_upload:
            _log.warning("an upload was refused: too many are kept at present")
            return JSONResponse({"detail": "The server has too many uploads. Try again in some minutes."}, 507)
        return None

    def _address(self, scope: Scope) -> tuple[str, bool]:
        """The visitor's address, the peer's or what the outermost trusted proxy saw; whether a proxy is believed."""
        peer = (scope.get("client") or ("", 0))[0]
        hops = [part.strip() for part in ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")]
        trusted = self.settings.trusted_proxies or int(self.settings.shared and peer in _LOOPBACK)
        known = 0 < trusted <= len(hops) and hops[-trusted]
        return known or peer, trusted > 0

    def _report(self, endpoint: str, status: int, seconds: float) -> None:
        self.observe(endpoint, status, seconds)
        if endpoint != "page":
            fields = {"endpoint": endpoint, "status": status, "ms": round(seconds * 1000)}
            _log.info("request", extra={"fields": fields})


class _Body:
    """A request's body that breaks off when it grows too large."""

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self.receive = receive
        self.left = max_bytes
        self.exceeded = False

    async def __call__(self) -> Message:
        if self.exceeded:
            return {"type": "http.disconnect"}
        message = await self.receive()
        self.left -= len(message.get("body", b""))
        if self.left < 0:
            self.exceeded = True
            return {"type": "http.disconnect"}
        return message


class _Response:
    """Sends an answer with the security headers, reports its status once, and drops one to a body cut short."""

    def __init__(self, send: Send, report: Callable[[int], None]) -> None:
        self.send: Callable[[Message], Awaitable[None]] = send
        self.report = report
        self.started = False
        self.body: _Body | None = None

    async def __call__(self, message: Message) -> None:
        if not self.started and self.body is not None and self.body.exceeded:
            return
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            self.report(message["status"])
        await self.send(message)


def refusal(endpoint: str, status: int, text: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The answer to a refused request, with its message where the client looks for it."""
    if endpoint == "mcp":  # JSON-RPC 2.0, section 5.1; the request's id is not known, for its body was not read
        return JSONResponse({"jsonrpc": "2.0", "id": None, "error": {"code": -32000, "message": text}}, status, headers)
    return JSONResponse({"detail": text}, status, headers)


def _too_large(endpoint: str, max_bytes: int) -> JSONResponse:
    return refusal(endpoint, 413, f"That is too large: at most {max_bytes / 1_000_000:.0f} MB are taken.")


def _network(address: str) -> str:
    """What counts as one address: of IPv6 the /64 that one subscriber has."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
