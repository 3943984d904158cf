"""A running app as strangers meet it: mounted, behind the guard, with uploads in a folder of its own."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

import app
from dashboard.mcp.server import endpoint
from dashboard.page import build_page, launch_settings
from dashboard.server.health import Health
from dashboard.server.mcp_auth import mcp_route
from dashboard.server.measured_analyzer import MeasuredAnalyzer
from dashboard.server.metrics import Metrics
from dashboard.server.options import Settings
from dashboard.server.serve import Extension, Server, mount
from dashboard.server.uploads_folder import upload_folder
from fer_models.analyzer import Analyzer

#: One client for all: each new one reads the machine's certificates anew, which takes longer than most requests.
HTTP = httpx.Client(verify=False, timeout=60)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool], seconds: float = 60) -> bool:
    """Wait until a condition holds; whether it does."""
    end = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return met


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

    def files(self) -> set[Path]:
        """Everything that lies among the uploads."""
        return {path for path in self.uploads.rglob("*") if path.is_file() and path.name != ".running"}


def mounted(
    analyzer: Analyzer, settings: Settings, page: Any = None, mcp: bool = False, weights: Path | None = None
) -> tuple[FastAPI, Any, Health, Metrics]:
    """An app, its page, health and figures, put together as app.py does."""
    metrics = Metrics()
    measured = MeasuredAnalyzer(analyzer, metrics)
    health = Health(measured)
    extensions = []
    if page is None:
        built, routes = build_page(measured, settings.uploads, weights or settings.uploads / "nothing")
        extensions += [Extension(route) for route in routes]
    else:
        built = page()
    if mcp:
        tools = endpoint(measured, settings.max_upload, settings.concurrency)
        extensions.append(Extension(mcp_route(tools.handle, settings.accounts), tools.running))
    return mount(built, launch_settings(), settings, health, metrics, extensions), built, health, metrics


@contextmanager
def serving(
    analyzer: Analyzer, page: Any = None, mcp: bool = False, weights: Path | None = None, **settings: Any
) -> Iterator[Running]:
    """Serve an app on a free port until the context ends.

    Args:
        analyzer: the loaded models.
        page: a function that builds another page.
        mcp: answer MCP clients, too.
        weights: folder of the cards and results that are shown; None: nothing is, and the page is built at once.
        settings: as of `Settings`.
    """
    with upload_folder() as uploads:
        # Tests ask more often than people do, unless they test that.
        settings = {"rate_limit": 0} | settings
        api, built, health, metrics = mounted(analyzer, Settings(uploads, **settings), page, mcp, weights)
        server = Server(api, built, health)
        listener = app.bind("127.0.0.1", 0)
        thread = threading.Thread(target=server.run, args=([listener],), name="server", daemon=True)
        thread.start()
        try:
            assert until(lambda: server.started or not thread.is_alive())
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
