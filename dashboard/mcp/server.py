"""How the tools are reached: over HTTP beside the page, or over the standard input and output of one client."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final, NamedTuple

from starlette.types import ASGIApp

from dashboard.mcp.tools import Tools
from fer_models.analyzer import Analyzer, load_analyzer
from fer_models.errors import FerError

_MISSING: Final = "MCP needs the package mcp, 2.3 or newer. Install it with: pip install -r requirements-mcp.txt"


class Endpoint(NamedTuple):
    """The tools over HTTP.

    Attributes:
        handle: answers POST requests; holds nothing between them.
        running: to be entered once, for as long as it answers.
    """

    handle: ASGIApp
    running: Callable[[], AbstractAsyncContextManager[None]]


def check_installed() -> None:
    """Tell before anything slow is done whether the extra is there.

    Raises:
        FerError: the package mcp is missing or too old.
    """
    try:
        import dashboard.mcp.protocol  # noqa: F401
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "mcp":
            raise
        raise FerError(_MISSING) from error


def endpoint(analyzer: Analyzer, most: int, concurrency: int | None = None) -> Endpoint:
    """The tools over HTTP: one JSON answer a request, no sessions, no streams.

    Args:
        analyzer: reads the pictures.
        most: bytes of the largest picture.
        concurrency: as in `dashboard.mcp.protocol.build`.

    Raises:
        FerError: the package mcp is missing or too old.
    """
    check_installed()
    from dashboard.mcp.protocol import over_http

    manager = over_http(Tools(analyzer, most), concurrency)
    return Endpoint(manager.handle_request, manager.run)


def serve_stdio(models: Sequence[str] | None, device: str, weights: Path) -> int:
    """Load models and answer one client on the standard input and output until it closes them.

    Args:
        models: as of `load_analyzer`.
        device: as of `load_analyzer`.
        weights: as of `load_analyzer`.

    Returns:
        The exit code: 0.

    Raises:
        FerError: the package mcp is missing or too old, or the models cannot be loaded.
    """
    check_installed()
    from dashboard.mcp.protocol import build

    build(Tools(load_analyzer(models, device=device, weights=weights))).run("stdio")
    return 0
