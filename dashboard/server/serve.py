"""The page on FastAPI behind the guard, and the server that runs it until it is stopped."""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, NamedTuple

import gradio as gr
import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from dashboard.components.uploads import NO_PICTURE
from dashboard.server.accounts import checker
from dashboard.server.gradio_internals import (
    StoredSessions,
    configure,
    end_connections,
    explain_refusals,
    files_of_components,
    finish_mount,
    is_busy,
    queue_length,
)
from dashboard.server.guard import Guard
from dashboard.server.health import Health
from dashboard.server.metrics import Metrics
from dashboard.server.options import Settings
from dashboard.server.sessions import SessionMiddleware, Sessions
from dashboard.server.uploads_folder import sweep

#: Settings of `launch` that mounting does not know: the first is set on the page, the second only prints.
_NOT_MOUNTED: Final = {"state_session_capacity", "quiet"}
#: Seconds in which running calls may end once the app is being stopped, and in which their answers may be sent.
_DRAIN: Final = 5.0
_GRACE: Final = 2
#: Connections at the same time; an open page has two or three.
_CONNECTIONS: Final = 800

_log = logging.getLogger(__name__)


class Extension(NamedTuple):
    """A further route beside the page.

    Attributes:
        route: such as /mcp.
        running: entered for as long as it is served.
    """

    route: Route
    running: Callable[[], AbstractAsyncContextManager[None]] = contextlib.nullcontext


def mount(
    page: gr.Blocks,
    launch_settings: Mapping[str, Any],
    settings: Settings,
    health: Health,
    metrics: Metrics,
    extensions: Sequence[Extension] = (),
) -> FastAPI:
    """The whole web app around a page.

    Args:
        page: the page, from `dashboard.page.build_page`, whose routes must be among the extensions.
        launch_settings: of `dashboard.page.launch_settings`; those that mounting takes are kept.
        settings: the limits.
        health: answers /healthz and /readyz.
        metrics: counts requests and the calls that wait.
        extensions: further routes.
    """
    concurrency = {} if settings.concurrency is None else {"default_concurrency_limit": settings.concurrency}
    # api_open: no call goes round the queue.
    page.queue(max_size=settings.queue_size, api_open=False, **concurrency)
    configure(page, launch_settings["state_session_capacity"], settings.concurrency)
    explain_refusals(page, NO_PICTURE)
    sessions = Sessions()
    api = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lambda _: _running(page, settings, extensions, sessions),
        routes=[*health.routes, Route("/robots.txt", _robots), *(extension.route for extension in extensions)],
    )
    mounted: dict[str, Any] = {name: value for name, value in launch_settings.items() if name not in _NOT_MOUNTED}
    mounted |= {"max_file_size": settings.max_upload, "mcp_server": False}
    if settings.accounts is not None:
        mounted["auth"] = checker(settings.accounts)
    if settings.root_path:
        mounted["root_path"] = settings.root_path
    gr.mount_gradio_app(api, page, path="/", **mounted)
    finish_mount(api, page)
    metrics.set_queue_length(lambda: queue_length(page))
    api.add_middleware(SessionMiddleware, sessions=sessions)
    api.add_middleware(Guard, settings=settings, observe=metrics.request)
    return api


class Server(uvicorn.Server):
    """Uvicorn that lets running calls end, for some seconds, when it is stopped."""

    def __init__(self, api: FastAPI, page: gr.Blocks, health: Health) -> None:
        """Serve `api`, which `mount` made around `page`."""
        super().__init__(
            uvicorn.Config(
                api,
                log_config=None,
                access_log=False,
                proxy_headers=False,  # the guard knows which to trust
                server_header=False,
                timeout_graceful_shutdown=_GRACE,
                limit_concurrency=_CONNECTIONS,
            )
        )
        self._page, self._health = page, health

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no new work, finish what runs, then close."""
        self._health.draining = True
        limit = time.monotonic() + _DRAIN
        while is_busy(self._page) and time.monotonic() < limit and not self.force_exit:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.1)  # the last answers are handed to their connections
        end_connections(self._page)
        await super().shutdown(sockets)


@contextlib.asynccontextmanager
async def _running(
    page: gr.Blocks, settings: Settings, extensions: Sequence[Extension], sessions: Sessions
) -> AsyncIterator[None]:
    task = asyncio.create_task(_sweep(page, settings, sessions))
    try:
        async with contextlib.AsyncExitStack() as stack:
            for extension in extensions:
                await stack.enter_async_context(extension.running())
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
