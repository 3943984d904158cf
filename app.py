"""The page: loads the models, builds the tabs, serves them. `python app.py --help` lists what can be set."""

import argparse
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

# Before Gradio is imported: it looks for news and counts starts otherwise.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr  # noqa: E402

from dashboard.tabs import compare, leaderboard  # noqa: E402
from dashboard.theme import CSS, FOOTER, HEADER, THEME, THEME_VALUES, TITLE  # noqa: E402
from fer_models.analyzer import WEIGHTS, Analyzer, load_analyzer  # noqa: E402
from fer_models.errors import FerError  # noqa: E402

#: Every 60 s, uploads older than 300 s are deleted; what is left goes when the server stops.
_DELETE_CACHE: Final = (60, 300)
#: Requests that may wait; later ones are told that the queue is full.
_QUEUE: Final = 64
_MAX_UPLOAD: Final = "64mb"


def build_app(analyzer: Analyzer, weights: Path = WEIGHTS) -> gr.Blocks:
    """The page around an analyzer. Launch it with `launch_settings()`.

    Args:
        analyzer: the loaded models.
        weights: folder of the cards and results that the leaderboard shows.
    """
    page: gr.Blocks
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=_DELETE_CACHE) as page:
        gr.HTML(HEADER)
        with gr.Tabs():
            with gr.Tab("Compare", id="compare"):
                compare.build(analyzer)
            with gr.Tab("Leaderboard", id="leaderboard") as opened:
                leaderboard.build(analyzer, opened, weights)
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
        "state_session_capacity": 100,
        "ssr_mode": False,
        "pwa": False,
        "show_error": False,
        "quiet": True,
    }


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="app.py", description="Compare facial expression recognition models side by side in the browser."
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on, 0.0.0.0 for all (default: %(default)s)")
    add("--port", type=_port, default=7860, help="port to listen on, 1 to 65535 (default: %(default)s)")
    add("--share", action="store_true", help="also open a public link through Gradio's servers")
    add("--models", nargs="+", metavar="NAME", help="load only these models, in this order (default: all in weights/)")
    add("--device", default="auto", help="auto (a GPU if there is one), cpu, cuda, cuda:1 or mps (default: auto)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Load, build and serve until Ctrl-C.

    Returns:
        The exit code: 0, or 2 if the app cannot start.
    """
    options = parse(arguments)
    with tempfile.TemporaryDirectory(prefix="fer-compare-") as uploads:
        # Uploads lie in a folder of this run, which goes when the run ends.
        os.environ["GRADIO_TEMP_DIR"] = uploads
        # Being stopped by the system ends like Ctrl-C, or the uploads would stay.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            _check_free(options.host, options.port)
            print("Loading the models ...", flush=True)
            page = build_app(load_analyzer(options.models, device=options.device))
            if options.share:
                print("Opening a public link ...", flush=True)
            _, url, public = page.launch(
                server_name=options.host,
                server_port=options.port,
                share=options.share,
                prevent_thread_lock=True,
                **launch_settings(),
            )
        except FerError as error:
            return _fail(str(error))
        except OSError as error:
            return _fail(
                f"Cannot listen on {options.host}, port {options.port}: {error}. Try another --port or --host."
            )
        print(f"Open {url.rstrip('/')} in a browser. Ctrl-C stops the app.", flush=True)
        if public:
            print(f"Public link, for anyone who has it: {public}", flush=True)
        elif options.share:
            print("No public link could be opened; is there internet access? The local one works.", flush=True)
        page.block_thread()
    return 0


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 1 to 65535")
    return int(text)


def _check_free(host: str, port: int) -> None:
    """Raise OSError if the port is taken: better before the models are loaded than after."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise OSError(error.strerror or str(error)) from error


def _fail(text: str) -> int:
    print(f"app.py: {text}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
