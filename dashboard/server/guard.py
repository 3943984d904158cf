"""The guard before the page: what strangers may ask for, how often, and how much they may send."""

import hashlib
import ipaddress
import logging
import math
import secrets
import shutil
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.server.gradio_internals import CALLBACK_ROUTES, CLOSED_ROUTES, FILE_ROUTES, LOGIN_ROUTE, UPLOAD_ROUTE
from dashboard.server.uploads_folder import size_of

_log = logging.getLogger(__name__)

#: Routes that make the server work or keep something, and what they are called in figures and logs.
_HEAVY: Final = {UPLOAD_ROUTE: "upload", **dict.fromkeys(CALLBACK_ROUTES, "work"), LOGIN_ROUTE: "login", "/mcp": "mcp"}
#: Logins a minute from one address, whatever the limit on others: passwords are not to be guessed.
LOGINS: Final = 10
#: Where a request's scope tells what comes after the guard the visitor's address, as the guard knows it.
ADDRESS: Final = "fer.address"
#: Addresses whose requests are remembered at the same time; the ones not seen for longest are forgotten.
_ADDRESSES: Final = 10_000
#: Bytes of a request that is no upload: a frame of a camera as text is the largest.
_MAX_BODY: Final = 8_000_000
#: Bytes of a request of an MCP client: a picture of 20 MB as text, and some more so that words say what is too large.
_MAX_TEXT: Final = 32_000_000
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
    """So many requests in any 60 s from one address. Knows addresses only as keyed hashes, in memory, for a minute."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`limit` requests in any 60 s; 0 means as many as you like."""
        self.limit = limit
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._seen: OrderedDict[bytes, deque[float]] = OrderedDict()

    def wait(self, address: str) -> float:
        """Seconds until `address` may ask again; 0 if it may now, which counts as having asked."""
        if not self.limit:
            return 0.0
        who = hashlib.blake2b(_network(address).encode(), key=self._key, digest_size=16).digest()
        now = self._clock()
        with self._lock:
            while self._seen and (oldest := next(iter(self._seen.values())))[-1] <= now - 60:
                del oldest
                self._seen.popitem(last=False)
            times = self._seen.setdefault(who, deque())
            while times and times[0] <= now - 60:
                times.popleft()
            if len(times) >= self.limit:
                return min(times[0] + 60 - now, 60.0)  # the sum may round up
            times.append(now)
            self._seen.move_to_end(who)
            if len(self._seen) > _ADDRESSES:
                self._seen.popitem(last=False)
            return 0.0


@dataclass(frozen=True)
class Limits:
    """What one running app allows.

    Attributes:
        uploads: the folder of uploads.
        max_upload: bytes of the largest upload.
        rate: requests for work and uploads a minute from one address; 0 means no limit.
        trusted_proxies: how many proxies before the app append to X-Forwarded-For; 0: believe no forwarding header.
        shared: whether a tunnel ends on this machine; it is then believed like one proxy.
    """

    uploads: Path
    max_upload: int
    rate: int
    trusted_proxies: int
    shared: bool = False


class Guard:
    """ASGI middleware: refuses what the page never asks for and what is too much, and sets the security headers."""

    def __init__(
        self, app: ASGIApp, limits: Limits, observe: Callable[[str, int, float], None] = lambda *_: None
    ) -> None:
        """Stand before `app`.

        Args:
            app: the page.
            limits: what is allowed.
            observe: told each answered request's endpoint, status and seconds until its answer began.
        """
        self.app = app
        self.limits = limits
        self.observe = observe
        self._rate = RateLimiter(limits.rate)
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
        endpoint = self._endpoint(path)
        answered = _Answer(send, lambda status: self._told(endpoint, status, time.perf_counter() - started))
        address, proxied = self._address(scope)
        if not proxied:  # Gradio would believe anybody's
            scope = {**scope, "headers": [item for item in scope["headers"] if not item[0].startswith(b"x-forwarded-")]}
        scope = {**scope, ADDRESS: address}
        refused = self._refuse(path, scope["method"], endpoint, address, Headers(scope=scope))
        if refused is not None:
            await refused(scope, receive, answered)
            return
        body = _Body(receive, self._most(endpoint))
        answered.cut = body
        try:
            await self.app(scope, body, answered)
        except Exception:
            if not body.exceeded:
                raise
        if body.exceeded and not answered.started:
            answered.cut = None
            await _too_large(endpoint, self._most(endpoint))(scope, receive, answered)

    def _endpoint(self, path: str) -> str:
        return next((name for prefix, name in _HEAVY.items() if path.startswith(prefix)), "page")

    def _most(self, endpoint: str) -> int:
        """Bytes that a request may have."""
        return {"upload": self.limits.max_upload + _ENVELOPE, "mcp": _MAX_TEXT}.get(endpoint, _MAX_BODY)

    def _refuse(self, path: str, method: str, endpoint: str, address: str, headers: Headers) -> JSONResponse | None:
        """The answer to a request that is not let through."""
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
        if size > self._most(endpoint):
            return _too_large(endpoint, self._most(endpoint))
        return self._refuse_upload(size) if endpoint == "upload" else None

    def _refuse_upload(self, size: int) -> JSONResponse | None:
        most = self.limits.max_upload
        expected = size or most  # its size is not told: it may be any
        if shutil.disk_usage(self.limits.uploads).free < expected + _RESERVE:
            _log.error("an upload was refused: the disk is full")
            return JSONResponse({"detail": "The server's disk is full. Try again in some minutes."}, 507)
        if size_of(self.limits.uploads) + expected > _UPLOADS * most:
            _log.warning("an upload was refused: too many are kept at present")
            return JSONResponse({"detail": "The server has too many uploads. Try again in some minutes."}, 507)
        return None

    def _address(self, scope: Scope) -> tuple[str, bool]:
        """The visitor's address, the peer's or what the outermost trusted proxy saw; whether a proxy is believed."""
        peer = (scope.get("client") or ("", 0))[0]
        hops = [part.strip() for part in ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")]
        trusted = self.limits.trusted_proxies or int(self.limits.shared and peer in _LOOPBACK)
        known = 0 < trusted <= len(hops) and hops[-trusted]
        return known or peer, trusted > 0

    def _told(self, endpoint: str, status: int, seconds: float) -> None:
        self.observe(endpoint, status, seconds)
        if endpoint != "page":
            fields = {"endpoint": endpoint, "status": status, "ms": round(seconds * 1000)}
            _log.info("request", extra={"fields": fields})


class _Body:
    """A request's body that breaks off when it grows too large."""

    def __init__(self, receive: Receive, most: int) -> None:
        self.receive = receive
        self.left = most
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


class _Answer:
    """Sends an answer with the security headers, tells its status once, and holds back one to a body cut short."""

    def __init__(self, send: Send, tell: Callable[[int], None]) -> None:
        self.send: Callable[[Message], Awaitable[None]] = send
        self.tell = tell
        self.started = False
        self.cut: _Body | None = None

    async def __call__(self, message: Message) -> None:
        if not self.started and self.cut is not None and self.cut.exceeded:
            return
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            self.tell(message["status"])
        await self.send(message)


def refusal(endpoint: str, status: int, text: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The answer to a request that is not let through, with words in the form that its client shows."""
    if endpoint == "mcp":  # JSON-RPC 2.0, section 5.1; the request's id is not known, for its body was not read
        return JSONResponse({"jsonrpc": "2.0", "id": None, "error": {"code": -32000, "message": text}}, status, headers)
    return JSONResponse({"detail": text}, status, headers)


def _too_large(endpoint: str, most: int) -> JSONResponse:
    return refusal(endpoint, 413, f"That is too large: at most {most / 1_000_000:.0f} MB are taken.")


def _network(address: str) -> str:
    """What counts as one address: of IPv6 the /64 that one subscriber has."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
