"""The door to the tools for MCP clients: who may come in, from where, and how many at once."""

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
_AT_ONCE: Final = 16
_CHALLENGE: Final = {"www-authenticate": 'Basic realm="fer-compare", charset="UTF-8"'}


class McpAuthMiddleware:
    """ASGI: lets POST requests of MCP clients through, with a name and password where the page asks for them."""

    def __init__(self, app: ASGIApp, accounts: Mapping[str, str] | None) -> None:
        """Stand before `app`.

        Args:
            app: the tools.
            accounts: hash by user, or None: no password is asked for.
        """
        self.app = app
        self._check = None if accounts is None else checker(accounts)
        self._guesses = RateLimiter(LOGINS)
        self._key = secrets.token_bytes(32)
        #: Keyed hashes of what was right: scrypt would take longer than reading a face, at every request.
        self._right: set[bytes] = set()
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse one request."""
        refused = await self._refuse(scope)
        if refused is not None:
            status, text, headers = refused
            await refusal("mcp", status, text, headers)(scope, receive, send)
            return
        self._inside += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._inside -= 1

    async def _refuse(self, scope: Scope) -> tuple[int, str, dict[str, str]] | None:
        """Status, words and headers of the answer to a request that is not let through."""
        headers = Headers(scope=scope)
        if scope["method"] != "POST":  # no session to end, no stream of news to open
            return 405, "This address answers MCP clients: POST only.", {"allow": "POST"}
        if "origin" in headers:  # of a web page: one that found a name for this machine could ask in a visitor's place
            return 403, "Web pages may not ask here.", {}
        if not await self._known(headers.get("authorization", ""), scope):
            return 401, "A name and password are asked for: send them as HTTP Basic authorization.", _CHALLENGE
        if self._inside >= _AT_ONCE:
            return 503, "Too much is asked at present. Try again in some seconds.", {"retry-after": "5"}
        return None

    async def _known(self, authorization: str, scope: Scope) -> bool:
        """Whether the name and password are right. Those that are not yet known to be count as a login."""
        if self._check is None:
            return True
        digest = hashlib.blake2b(authorization.encode(), key=self._key, digest_size=32).digest()
        if digest in self._right:
            return True
        account = _account(authorization)
        if account is None or self._guesses.wait(scope.get(ADDRESS, "")) or not await self._check(*account):
            return False
        self._right.add(digest)
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
