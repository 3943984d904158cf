"""The page: loads the models, builds the tabs, serves them. `python app.py --help` lists what can be set."""

import argparse
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

# Before Gradio is imported: it looks for news and counts starts otherwise.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr  # noqa: E402

from dashboard import page as tabs  # noqa: E402
from dashboard.mcp.server import check_installed, endpoint, serve_stdio  # noqa: E402
from dashboard.server.accounts import print_account, read_accounts  # noqa: E402
from dashboard.server.gradio_internals import StoredSessions  # noqa: E402
from dashboard.server.health import Health  # noqa: E402
from dashboard.server.logs import json_logs  # noqa: E402
from dashboard.server.mcp_auth import mcp_route  # noqa: E402
from dashboard.server.metrics import MeasuredAnalyzer, Metrics  # noqa: E402
from dashboard.server.options import parse as parse  # noqa: E402
from dashboard.server.serve import Server, Settings, bind, mount  # noqa: E402
from dashboard.server.share import NO_PASSWORD, PublicLink  # noqa: E402
from dashboard.server.uploads_folder import upload_folder  # noqa: E402
from dashboard.theme import CSS, FOOTER, HEADER, THEME, THEME_VALUES, TITLE  # noqa: E402
from fer_models.analyzer import WEIGHTS, Analyzer, load_analyzer  # noqa: E402
from fer_models.errors import FerError  # noqa: E402

#: Every 60 s, uploads older than 300 s are deleted; what is left goes when the server stops.
_DELETE_CACHE: Final = (60, 300)
#: Requests that may wait; later ones are told that the queue is full.
_QUEUE: Final = 64
#: Of one file; zips are the largest.
_MAX_UPLOAD: Final = "256mb"


def build_app(analyzer: Analyzer, uploads: Path, weights: Path = WEIGHTS) -> gr.Blocks:
    """The page around an analyzer. Launch it with `launch_settings()`.

    Args:
        analyzer: the loaded models.
        uploads: folder where Gradio puts uploads.
        weights: folder of the cards and results that the leaderboard shows.
    """
    page: gr.Blocks
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=_DELETE_CACHE) as page:
        gr.HTML(HEADER)
        tabs.build(analyzer, page, weights, uploads, StoredSessions(page))
        gr.HTML(FOOTER)
    page.queue(max_size=_QUEUE)
    return page


def launch_settings() -> dict[str, Any]:
    """What every launch needs: the looks, and nothing kept, counted or shown that need not be."""
    return {
        "theme": gr.themes.Default(**THEME).set(**THEME_VALUES),
        "css": CSS,
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "max_file_size": _MAX_UPLOAD,
        "state_session_capacity": 500,
        "ssr_mode": False,
        "pwa": False,
        "show_error": False,
        "quiet": True,
    }


def main(arguments: Sequence[str] | None = None, program: str = "app.py") -> int:
    """Load, build and serve until Ctrl-C or SIGTERM.

    Args:
        arguments: None means those of the process.
        program: what the help calls it.

    Returns:
        The exit code: 0, or 2 if the app cannot start.
    """
    options = parse(arguments, program)
    options.weights = options.weights or WEIGHTS
    if options.hash_password is not None:
        return print_account(options.hash_password)
    # Being stopped by the system ends like Ctrl-C, or the uploads would stay.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    metrics = Metrics()
    try:
        with upload_folder() as uploads, json_logs(options.log_level, metrics.error):
            if options.mcp_stdio:
                return serve_stdio(options.models, options.device, options.weights)
            return _run(options, uploads, metrics)
    except FerError as error:
        print(f"app.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", flush=True)
        return 0


def _run(options: argparse.Namespace, uploads: Path, metrics: Metrics) -> int:
    if options.mcp:
        check_installed()
    accounts = read_accounts(options.auth, options.auth_file)
    with contextlib.closing(_listen(options.host, options.port)) as listener:
        if options.metrics_port is not None:
            _listen("127.0.0.1", options.metrics_port).close()
            metrics.serve(options.metrics_port)
        _say("Loading the models ...")
        models = load_analyzer(options.models, device=options.device, weights=options.weights)
        analyzer = MeasuredAnalyzer(models, metrics)
        health = Health(analyzer)
        page = build_app(analyzer, uploads, options.weights)
        settings = Settings(
            uploads,
            options.upload_lifetime,
            options.max_upload_mb,
            options.queue_size,
            options.concurrency,
            options.rate_limit,
            options.trusted_proxies,
            options.share,
            options.root_path,
            accounts,
        )
        tools: dict[str, Any] = {}
        if options.mcp:
            mcp = endpoint(analyzer, settings.max_upload, options.concurrency)
            tools = {"routes": [mcp_route(mcp.handle, accounts)], "running": mcp.running}
        server = Server(mount(page, launch_settings(), settings, health, metrics, **tools), page, health)
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(options.host, options.host)
        _say(f"Open http://{host}:{options.port} in a browser. Ctrl-C stops the app.")
        link = PublicLink(options.port, uploads, _say, host.strip("[]")) if options.share else None
        if link is not None:
            _say("Opening a public link ..." + ("" if accounts else f"\n{NO_PASSWORD}"))
            link.open()
        try:
            server.run([listener])
        finally:
            if link is not None:
                link.close()
    return 0


def _listen(host: str, port: int) -> socket.socket:
    try:
        return bind(host, port)
    except OSError as error:
        raise FerError(f"Cannot listen on {host}, port {port}: {error}. Try another --port or --host.") from error


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
