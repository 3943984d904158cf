"""The page: parse, load, build, serve. `python app.py --help` lists what can be set."""

import argparse
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from dashboard.server.accounts import print_account, read_accounts
from dashboard.server.logs import json_logs
from dashboard.server.metrics import Metrics
from dashboard.server.options import Settings, adds_models, server_settings
from dashboard.server.options import parse as parse
from dashboard.server.uploads_folder import upload_folder
from fer_models.cli.common import analyzer_of, weights_folder
from fer_models.errors import FerError

if TYPE_CHECKING:  # PyTorch and Gradio take seconds to import: --help and wrong flags do not wait for them
    from dashboard.server.serve import Server
    from fer_models.analyzer import Analyzer

# Before Gradio is imported: otherwise it checks for new versions and counts starts.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"


def main(arguments: Sequence[str] | None = None, program: str = "app.py") -> int:
    """Load, build and serve until Ctrl-C or SIGTERM.

    Args:
        arguments: None means those of the process.
        program: what the help calls it.

    Returns:
        The exit code: 0, or 2 if the app cannot start.
    """
    options = parse(arguments, program)
    if options.hash_password is not None:
        return print_account(options.hash_password)
    # Being stopped by the system ends like Ctrl-C, or the uploads would stay.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    metrics = Metrics()
    try:
        with upload_folder() as uploads, json_logs(options.log_level, metrics.error):
            return _serve_stdio(options) if options.mcp_stdio else _serve(options, uploads, metrics)
    except FerError as error:
        print(f"app.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", flush=True)
        return 0


def _serve_stdio(options: argparse.Namespace) -> int:
    from dashboard.mcp.server import serve_stdio

    serve_stdio(_analyzer(options))
    return 0


def _serve(options: argparse.Namespace, uploads: Path, metrics: Metrics) -> int:
    """Serve the page; whatever can be checked at once is checked before the models are loaded."""
    settings = server_settings(options, uploads, read_accounts(options.auth, options.auth_file))
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(contextlib.closing(bind(options.host, options.port)))
        if options.metrics_port is not None:
            bind("127.0.0.1", options.metrics_port).close()
            metrics.serve(options.metrics_port)
        server = _build(options, settings, metrics)
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(options.host, options.host)
        _say(f"Open http://{host}:{options.port} in a browser. Ctrl-C stops the app.")
        if options.share:
            from dashboard.server.share import NO_PASSWORD, PublicLink

            _say("Opening a public link ..." + ("" if settings.accounts else f"\n{NO_PASSWORD}"))
            link = PublicLink(options.port, uploads, _say, host.strip("[]"))
            stack.callback(link.close)
            link.open()
        # Gradio imports Matplotlib at its first call, which should not wait for it.
        threading.Thread(target=import_module, args=("matplotlib.pyplot",), daemon=True).start()
        server.run([listener])
    return 0


def _build(options: argparse.Namespace, settings: Settings, metrics: Metrics) -> "Server":
    """Load the models, build the page, and put the server around it."""
    if options.mcp:
        from dashboard.mcp.server import endpoint
        from dashboard.server.mcp_auth import mcp_route
    _say("Loading the models ..." if options.backend is None else "Asking the backend for its models ...")
    import_module("fer_models.analyzer")  # PyTorch, which the thread below and Gradio share
    with ThreadPoolExecutor(1) as loader:
        loading = loader.submit(_load, options)
        from dashboard.page import build_page, launch_settings
        from dashboard.server.health import Health
        from dashboard.server.measured_analyzer import MeasuredAnalyzer
        from dashboard.server.serve import Extension, Server, mount

        analyzer = MeasuredAnalyzer(loading.result(), metrics)
    health = Health(analyzer)
    told = {"adds_models": adds_models(options), "has_backend": options.backend is not None}
    page, routes = build_page(analyzer, settings.uploads, weights_folder(options), settings.concurrency, **told)
    extensions = [Extension(route) for route in routes]
    if options.mcp:
        tools = endpoint(analyzer, settings.max_upload, settings.concurrency)
        extensions.append(Extension(mcp_route(tools.handle, settings.accounts), tools.running))
    return Server(mount(page, launch_settings(), settings, health, metrics, extensions), page, health)


def _load(options: argparse.Namespace) -> "Analyzer":
    """The models and the detector, ready for the first picture."""
    import numpy as np

    loaded = _analyzer(options)
    loaded.detect(np.zeros((64, 64, 3), np.uint8))  # the detector reads its weights at the first picture
    return loaded


def _analyzer(options: argparse.Namespace) -> "Analyzer":
    """The models of --models and the like, or those of --backend."""
    if options.backend is None:
        return analyzer_of(options)
    from dashboard.server.backend import load_remote

    return load_remote(options.backend, options.models)


def bind(host: str, port: int) -> socket.socket:
    """A socket that holds the port, before the models are loaded rather than after.

    Raises:
        FerError: the port is taken or the address not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            stack.pop_all()
            return listener
    except OSError as error:
        reason = error.strerror or error
        raise FerError(f"Cannot listen on {host}, port {port}: {reason}. Try another --port or --host.") from error


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
