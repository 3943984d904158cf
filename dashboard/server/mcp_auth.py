"""Access of MCP clients to the tools: who may call them, from where, and how many at once."""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import Headers
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.server.accounts import checker
from dashboard.server.guard import ADDRESS, LOGINS, RateLimiter, refusal

#: Where the tools are.
PATH: Final = "/mcp"
#: Requests that are read or answered at the same time; each may hold a picture of some MB as text.
_MAX_CONCURRENT: Final = 16
_CHALLENGE: Final = {"www-authenticate": 'Basic realm="fer-compare", charset="UTF-8"'}


class McpAuthMiddleware:
    """ASGI middleware: lets POST requests of MCP clients through, with a password where the page needs one."""

    def __init__(self, app: ASGIApp, accounts: Mapping[str, str] | None) -> None:
        """Wrap `app`.

        Args:
            app: the tools.
            accounts: hash by user, or None: no password is asked for.
        """
        self.app = app
        self._check = None if accounts is None else checker(accounts)
        self._login_attempts = RateLimiter(LOGINS)
        self._key = secrets.token_bytes(32)
        #: Keyed hashes of headers that were right: scrypt would take longer than the models, at every request.
        self._verified: set[bytes] = set()
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse one request."""
        refused = await self._refuse(scope)
        if refused is not None:
            status, text, headers = refused
            await refusal("mcp", status, text, headers)(scope, receive, send)
            return
        self._running += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._running -= 1

    async def _refuse(self, scope: Scope) -> tuple[int, str, dict[str, str]] | None:
        """Status, message and headers of the answer to a refused request; None if it is let through."""
        headers = Headers(scope=scope)
        if scope["method"] != "POST":  # no session to end, no stream of news to open
            return 405, "This address answers MCP clients: POST only.", {"allow": "POST"}
        if "origin" in headers:  # of a web page: one that knows a name of this machine could ask in a visitor's place
            return 403, "Web pages may not ask here.", {}
        if not await self._is_authorized(headers.get("authorization", ""), scope):
            return 401, "A name and password are asked for: send them as HTTP Basic authorization.", _CHALLENGE
        if self._running >= _MAX_CONCURRENT:
            return 503, "Too much is asked at present. Try again in some seconds.", {"retry-after": "5"}
        return None

    async def _is_authorized(self, authorization: str, scope: Scope) -> bool:
        """Whether the name and password are right. Unless they were right before, this counts as a login."""
        if self._check is None:
            return True
        digest = hashlib.blake2b(authorization.encode(), key=self._key, digest_size=32).digest()
        if digest in self._verified:
            return True
        account = _account(authorization)
        if account is None or self._login_attempts.wait(scope.get(ADDRESS, "")) or not await self._check(*account):
            return False
        self._verified.add(digest)
        return True


def _account(authorization: str) -> tuple[str, str] | None:
    """The user and password of an Authorization header (RFC 7617), or None if it has none."""
    scheme, _, coded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(coded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None


def mcp_route(handle: ASGIApp, accounts: Mapping[str, str] | None) -> Route:
    """The tools at /mcp behind their passwords.

    Args:
        handle: the tools.
        accounts: hash by user, or None: no password is asked for.
    """
    return Route(PATH, McpAuthMiddleware(handle, accounts))
