"""The guard: limits by address, by size and by route; who is believed about addresses."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits.storage import memory
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from dashboard.server import guard as module
from dashboard.server.guard import Guard, RateLimiter
from dashboard.server.options import Settings


class Clock:
    """Stands still: the seconds that passed since the test began, and by how many the wall clock was set."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = self.set_by = 0.0
        clocks = SimpleNamespace(monotonic=lambda: 1000.0 + self.now, time=lambda: 1.8e9 + self.now + self.set_by)
        for user in (module, memory):  # not everybody: event loops of other tests' servers wait by the same clock
            patch.setattr(user, "time", clocks)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_so_many_requests_in_any_minute(clock: Clock) -> None:
    limiter = RateLimiter(3)
    for second in (0, 10, 20):
        clock.now = second
        assert limiter.wait("192.0.2.1") == 0
    assert limiter.wait("192.0.2.1") == 40
    assert limiter.wait("192.0.2.2") == 0
    clock.now = 59
    assert limiter.wait("192.0.2.1") == 1
    clock.now = 60.5
    assert limiter.wait("192.0.2.1") == 0
    assert limiter.wait("192.0.2.1") == 9.5


@given(st.lists(st.floats(0, 20), max_size=60), st.integers(1, 5))
def test_no_minute_has_more_than_the_limit(pauses: list[float], limit: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock(patch)
        limiter = RateLimiter(limit)
        passed = []
        for pause in pauses:
            clock.now += pause
            wait = limiter.wait("a")
            assert 0 <= wait <= 60
            if wait == 0:
                passed.append(clock.now)
            elif (left := passed[-limit] + 60 - clock.now) > 1e-3:
                assert wait == pytest.approx(left, abs=1e-3)
    assert all(later - earlier > 60 - 1e-6 for earlier, later in zip(passed, passed[limit:], strict=False))


def test_addresses_are_not_kept_and_are_forgotten(clock: Clock) -> None:
    limiter = RateLimiter(3)
    limiter.wait("192.0.2.1")
    (key,) = limiter._storage.events
    assert "192.0.2.1" not in str(vars(limiter)) and "192.0.2.1" not in key
    clock.now += 61
    limiter.wait("192.0.2.2")
    assert len(limiter._storage.events) == 1 and key not in limiter._storage.events


def test_the_memory_of_addresses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ADDRESSES", 10)
    limiter = RateLimiter(1)
    for number in range(50):
        assert limiter.wait(f"192.0.2.{number}") == 0
    assert len(limiter._storage.events) == 10


@pytest.mark.parametrize("seconds", [-86400, 86400])
def test_nobody_is_locked_out_when_the_clock_is_set(clock: Clock, seconds: int) -> None:
    limiter = RateLimiter(1)
    assert limiter.wait("192.0.2.1") == 0 and limiter.wait("192.0.2.1") == 60
    clock.set_by = seconds
    assert limiter.wait("192.0.2.1") == 0 and limiter.wait("192.0.2.1") == 60


def test_a_subscriber_of_ipv6_is_one_address() -> None:
    limiter = RateLimiter(1)
    assert limiter.wait("2001:db8::1") == 0
    assert limiter.wait("2001:db8::ffff:2") > 0
    assert limiter.wait("2001:db8:0:1::1") == 0
    assert limiter.wait("::ffff:192.0.2.1") == 0
    assert limiter.wait("192.0.2.1") > 0


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers what arrived; breaks like a web framework where the body does."""
    request = Request(scope, receive)
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
    except ClientDisconnect:
        await JSONResponse({"detail": "parsing failed"}, 400)(scope, receive, send)
        return
    await JSONResponse({"size": size, "forwarded": request.headers.get("x-forwarded-host")})(scope, receive, send)


def ask(guard: Guard, *requests: httpx.Request, peer: str = "203.0.113.9") -> list[httpx.Response]:
    async def run() -> list[httpx.Response]:
        transport = httpx.ASGITransport(guard, client=(peer, 1))
        async with httpx.AsyncClient(transport=transport) as client:
            return [await client.send(request) for request in requests]

    return asyncio.run(run())


def post(path: str = "/gradio_api/queue/join", body: Any = b"{}", **headers: str) -> httpx.Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Request("POST", f"http://app{path}", content=body, headers=named)


def limits(folder: Path, **changes: Any) -> Settings:
    settings: dict[str, Any] = {"uploads": folder, "max_upload_mb": 1, "rate_limit": 2, "trusted_proxies": 0}
    return Settings(**settings | changes)


def statuses(responses: list[httpx.Response]) -> list[int]:
    return [response.status_code for response in responses]


def test_too_many_requests_are_refused_until_a_time(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []
    guard = Guard(echo, limits(tmp_path), lambda endpoint, status, _: seen.append((endpoint, status)))
    responses = ask(guard, *(post() for _ in range(3)))
    assert statuses(responses) == [200, 200, 429]
    assert 0 < int(responses[2].headers["retry-after"]) <= 60
    assert "Too many requests" in responses[2].json()["detail"]
    assert seen == [("work", 200), ("work", 200), ("work", 429)]
    # Looking at the page is not limited, nor is anybody else.
    assert statuses(ask(guard, *(httpx.Request("GET", "http://app/") for _ in range(9)))) == [200] * 9
    assert statuses(ask(guard, post(), peer="203.0.113.10")) == [200]


def test_logins_are_limited_even_where_nothing_else_is(tmp_path: Path) -> None:
    guard = Guard(echo, limits(tmp_path, rate_limit=0))
    assert statuses(ask(guard, *(post("/login") for _ in range(12)))) == [200] * 10 + [429] * 2
    assert statuses(ask(guard, *(post() for _ in range(200)))) == [200] * 200


@pytest.mark.parametrize(
    ("changes", "peer", "forwarded", "expected"),
    [
        ({}, "203.0.113.9", ["1.1.1.1", "2.2.2.2", "3.3.3.3"], [200, 200, 429]),
        ({"trusted_proxies": 1}, "203.0.113.9", ["1.1.1.1", "2.2.2.2", "3.3.3.3"], [200, 200, 200]),
        ({"trusted_proxies": 1}, "203.0.113.9", ["1.1.1.1, 9.9.9.9", "2.2.2.2, 9.9.9.9", "9.9.9.9"], [200, 200, 429]),
        ({"trusted_proxies": 2}, "203.0.113.9", ["1.1.1.1, 9.9.9.9", "2.2.2.2, 9.9.9.9", "9.9.9.9"], [200, 200, 200]),
        ({"trusted_proxies": 1}, "203.0.113.9", ["", "", ""], [200, 200, 429]),
        ({"shared": True}, "203.0.113.9", ["1.1.1.1", "2.2.2.2", "3.3.3.3"], [200, 200, 429]),
        ({"shared": True}, "127.0.0.1", ["1.1.1.1", "2.2.2.2", "3.3.3.3"], [200, 200, 200]),
    ],
    ids=["not set", "one", "spoofed", "two", "empty", "shared, but from outside", "shared"],
)
def test_proxies_are_believed_only_if_set(
    tmp_path: Path, changes: dict[str, Any], peer: str, forwarded: list[str], expected: list[int]
) -> None:
    guard = Guard(echo, limits(tmp_path, **changes))
    requests = [post(x_forwarded_for=value, x_forwarded_host="evil.example") for value in forwarded]
    responses = ask(guard, *requests, peer=peer)
    assert statuses(responses) == expected
    believed = bool(changes.get("trusted_proxies")) or peer == "127.0.0.1"
    assert responses[0].json()["forwarded"] == ("evil.example" if believed else None)


async def chunks(size: int) -> Any:
    for _ in range(size // 100_000):
        yield bytes(100_000)


@pytest.mark.parametrize("with_length", [True, False], ids=["with length", "without length"])
def test_bodies_have_an_end(tmp_path: Path, with_length: bool) -> None:
    guard = Guard(echo, limits(tmp_path, rate_limit=0))

    def body(size: int) -> Any:
        return bytes(size) if with_length else chunks(size)

    fits, large = ask(guard, post("/gradio_api/upload", body(1_000_000)), post("/gradio_api/upload", body(1_300_000)))
    assert fits.json()["size"] == 1_000_000
    assert large.status_code == 413 and "at most 1 MB" in large.json()["detail"]
    fits, large = ask(guard, post(body=body(8_000_000)), post(body=body(8_100_000)))
    assert fits.json()["size"] == 8_000_000 and large.status_code == 413
    (elsewhere,) = ask(guard, post("/gradio_api/cancel", body(8_100_000)))
    assert elsewhere.status_code == 413


def test_an_upload_must_leave_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = Guard(echo, limits(tmp_path, rate_limit=0))
    small = post("/gradio_api/upload", bytes(1000))
    assert statuses(ask(guard, small)) == [200]
    (tmp_path / "old").write_bytes(bytes(100))
    monkeypatch.setattr(module, "size_of", lambda _: 32_000_000 - 999)
    (crowded,) = ask(guard, post("/gradio_api/upload", bytes(1000)))
    assert crowded.status_code == 507 and "too many uploads" in crowded.json()["detail"]
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 16_000_999})())
    (full,) = ask(guard, post("/gradio_api/upload", bytes(1000)))
    assert full.status_code == 507 and "disk is full" in full.json()["detail"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/gradio_api/file=http://192.0.2.1/x", 403),
        ("/gradio_api/file=HTTPS://192.0.2.1/x", 403),
        ("/gradio_api/file/http:/192.0.2.1/x", 403),
        ("/gradio_api/file=/tmp/x", 200),
        ("/gradio_api/proxy=https://x.hf.space/", 404),
        ("/gradio_api/startup-events", 404),
        ("/gradio_api/deep_link", 404),
        ("/gradio_api/custom_component/a/client/b/c", 404),
        ("/monitoring/summary", 404),
        ("/gradio_api/runs", 404),
        ("/gradio_api/info", 200),
    ],
)
def test_routes_the_page_never_uses_are_closed(tmp_path: Path, path: str, expected: int) -> None:
    (response,) = ask(Guard(echo, limits(tmp_path)), httpx.Request("GET", f"http://app{path}"))
    assert response.status_code == expected
    assert "default-src 'self'" in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"
