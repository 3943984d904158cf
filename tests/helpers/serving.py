"""A running app as strangers meet it: mounted, behind the guard, with uploads in a folder of its own."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

import app
from dashboard.mcp.server import endpoint
from dashboard.server.health import Health
from dashboard.server.mcp_auth import mcp_route
from dashboard.server.metrics import MeasuredAnalyzer, Metrics
from dashboard.server.serve import Server, Settings, bind, mount
from dashboard.server.uploads_folder import upload_folder
from fer_models.analyzer import Analyzer

#: One client for all: each new one reads the machine's certificates anew, which takes longer than most requests.
HTTP = httpx.Client(verify=False, timeout=60)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Running:
    """An app that is being served.

    Attributes:
        url: its address, with a slash at the end.
        uploads: where its uploads lie.
    """

    url: str
    uploads: Path
    page: Any
    health: Health
    metrics: Metrics
    server: Server


def mounted(
    analyzer: Analyzer, settings: Settings, page: Any = None, mcp: bool = False
) -> tuple[FastAPI, Any, Health, Metrics]:
    """An app, its page, health and figures, put together as app.py does."""
    metrics = Metrics()
    measured = MeasuredAnalyzer(analyzer, metrics)
    health = Health(measured)
    page = app.build_app(measured, settings.uploads) if page is None else page()
    tools = endpoint(measured, settings.max_upload, settings.concurrency) if mcp else None
    more: dict[str, Any] = {}
    if tools is not None:
        more = {"routes": [mcp_route(tools.handle, settings.accounts)], "running": tools.running}
    return mount(page, app.launch_settings(), settings, health, metrics, **more), page, health, metrics


@contextmanager
def serving(analyzer: Analyzer, page: Any = None, mcp: bool = False, **settings: Any) -> Iterator[Running]:
    """Serve an app on a free port until the context ends; `page` is a function that builds another page.

    With `mcp`, it answers MCP clients, too.
    """
    with upload_folder() as uploads:
        # Tests ask more often than people do, unless they test that.
        settings = {"rate_limit": 0} | settings
        api, built, health, metrics = mounted(analyzer, Settings(uploads, **settings), page, mcp)
        server = Server(api, built, health)
        listener = bind("127.0.0.1", 0)
        thread = server.run_in_thread(listener)
        try:
            assert thread.is_alive()
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            yield Running(url, uploads, built, health, metrics, server)
        finally:
            server.should_exit = True
            thread.join(60)
            listener.close()
        assert not thread.is_alive()


def send(url: str, *files: tuple[str, bytes], **options: Any) -> httpx.Response:
    """Upload files by name and content."""
    parts = [("files", (name, content, "application/octet-stream")) for name, content in files]
    return HTTP.post(f"{url}gradio_api/upload", files=parts, **options)


def call(url: str, endpoint: str, data: list[Any], client: httpx.Client = HTTP) -> tuple[int, str]:
    """Call an endpoint as curl does.

    Returns:
        The status of the first request, and what the stream of events said; "" if it was refused.
    """
    address = f"{url}gradio_api/call/{endpoint}"
    joined = client.post(address, json={"data": data}, timeout=60)
    if joined.status_code != 200:
        return joined.status_code, joined.text
    return 200, client.get(f"{address}/{joined.json()['event_id']}", timeout=120).text
