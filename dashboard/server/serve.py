"""The page on FastAPI behind the guard, and the server that runs it until it is told to stop."""

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gradio as gr
import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from dashboard.server.accounts import checker
from dashboard.server.gradio_internals import (
    StoredSessions,
    configure,
    end_connections,
    files_of_components,
    finish_mount,
    is_busy,
    queue_length,
)
from dashboard.server.guard import Guard, Limits
from dashboard.server.health import Health
from dashboard.server.metrics import Metrics
from dashboard.server.sessions import SessionMiddleware, Sessions
from dashboard.server.uploads_folder import sweep

#: Settings of `launch` that mounting does not know: the first is set on the page, the second only prints.
_NOT_MOUNTED: Final = {"state_session_capacity", "quiet"}
#: Seconds for work that is under way to end after the app was told to stop, and for its answers to be sent.
_DRAIN: Final = 5.0
_GRACE: Final = 2
#: Connections at the same time; an open page holds two or three.
_CONNECTIONS: Final = 800

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What the command line sets of a server.

    Attributes:
        uploads: the folder of this run's uploads.
        upload_lifetime: seconds after which they are deleted.
        max_upload_mb: the largest upload in MB.
        queue_size: requests that may wait.
        concurrency: at most so many at once of each kind of work; None: as the tabs say.
        rate_limit: requests for work a minute from one address; 0: no limit.
        trusted_proxies: how many proxies before the app append to X-Forwarded-For.
        shared: whether a public link ends in a tunnel on this machine.
        root_path: where a proxy serves the app.
        accounts: hash by user, or None: no login.
    """

    uploads: Path
    upload_lifetime: float = 300
    max_upload_mb: int = 256
    queue_size: int = 64
    concurrency: int | None = None
    rate_limit: int = 120
    trusted_proxies: int = 0
    shared: bool = False
    root_path: str = ""
    accounts: Mapping[str, str] | None = None

    @property
    def max_upload(self) -> int:
        """Bytes of the largest upload."""
        return self.max_upload_mb * 1_000_000


def mount(
    page: gr.Blocks,
    looks: Mapping[str, Any],
    settings: Settings,
    health: Health,
    metrics: Metrics,
    routes: Sequence[Route] = (),
    running: Callable[[], AbstractAsyncContextManager[None]] = contextlib.nullcontext,
) -> FastAPI:
    """The whole web app around a page.

    Args:
        page: what `build_app` gave.
        looks: what `launch_settings` gave: all of it that mounting takes is kept.
        settings: the limits.
        health: answers /healthz and /readyz.
        metrics: counts requests and the calls that wait.
        routes: further ones beside the page, such as /mcp.
        running: entered for as long as they are served.
    """
    concurrency = {} if settings.concurrency is None else {"default_concurrency_limit": settings.concurrency}
    # api_open: nobody goes round the queue.
    page.queue(max_size=settings.queue_size, api_open=False, **concurrency)
    configure(page, looks["state_session_capacity"], settings.concurrency)
    sessions = Sessions()
    api = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lambda _: _running(page, settings, running, sessions),
        routes=[
            *health.routes,
            Route("/robots.txt", _robots),
            *routes,
        ],
    )
    mounted: dict[str, Any] = {name: value for name, value in looks.items() if name not in _NOT_MOUNTED}
    mounted |= {"max_file_size": settings.max_upload, "mcp_server": False}
    if settings.accounts is not None:
        mounted["auth"] = checker(settings.accounts)
    if settings.root_path:
        mounted["root_path"] = settings.root_path
    gr.mount_gradio_app(api, page, path="/", **mounted)
    finish_mount(api, page)
    metrics.set_queue_length(lambda: queue_length(page))
    limits = Limits(
        settings.uploads, settings.max_upload, settings.rate_limit, settings.trusted_proxies, settings.shared
    )
    api.add_middleware(SessionMiddleware, sessions=sessions)
    api.add_middleware(Guard, limits=limits, observe=metrics.request)
    return api


class Server(uvicorn.Server):
    """Uvicorn that finishes what is under way when it is told to stop, for some seconds."""

    def __init__(self, api: FastAPI, page: gr.Blocks, health: Health) -> None:
        """Serve `api`, which `mount` made around `page`."""
        super().__init__(
            uvicorn.Config(
                api,
                log_config=None,
                access_log=False,
                proxy_headers=False,  # the guard knows which to believe
                server_header=False,
                timeout_graceful_shutdown=_GRACE,
                limit_concurrency=_CONNECTIONS,
            )
        )
        self._page, self._health = page, health

    def run_in_thread(self, listener: socket.socket) -> threading.Thread:
        """Serve in a thread; returns once it answers, or at once if it fails to start."""
        thread = threading.Thread(target=self.run, args=([listener],), name="server", daemon=True)
        thread.start()
        while not self.started and thread.is_alive():
            time.sleep(0.02)
        return thread

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no new work, finish what runs, then close."""
        self._health.draining = True
        limit = time.monotonic() + _DRAIN
        while is_busy(self._page) and time.monotonic() < limit and not self.force_exit:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.1)  # the last answers are handed to their connections
        end_connections(self._page)
        await super().shutdown(sockets)


def bind(host: str, port: int) -> socket.socket:
    """A socket that holds the port, before the models are loaded rather than after.

    Raises:
        OSError: the port is taken or the address not this machine's.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise OSError(error.strerror or str(error)) from error
    return listener


@contextlib.asynccontextmanager
async def _running(
    page: gr.Blocks,
    settings: Settings,
    running: Callable[[], AbstractAsyncContextManager[None]],
    sessions: Sessions,
) -> AsyncIterator[None]:
    task = asyncio.create_task(_sweep(page, settings, sessions))
    try:
        async with running():
            yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _sweep(page: gr.Blocks, settings: Settings, sessions: Sessions) -> None:
    stored = StoredSessions(page)
    while True:
        await asyncio.sleep(min(30.0, settings.upload_lifetime / 2))
        try:
            sessions.sweep(stored)
            await asyncio.to_thread(sweep, settings.uploads, settings.upload_lifetime, files_of_components(page))
        except Exception:
            _log.exception("deleting old uploads failed")


async def _robots(_: Request) -> Response:
    return PlainTextResponse("User-agent: *\nDisallow: /\n")
