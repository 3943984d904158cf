"""What this app uses of Gradio that Gradio does not document, each with its reason. Nothing else reaches inside.

`tests/unit/dashboard/test_gradio_internals.py` names what is missing where the installed Gradio is another one.
"""

import datetime
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Mount

if TYPE_CHECKING:  # Gradio takes seconds to import, and the command line and MCP over stdio do without it
    import gradio as gr
    from fastapi import FastAPI

_API: Final = "/gradio_api"
#: Routes that this page never uses: they fetch other hosts' files, keep a session on disk, print what they are sent,
#: start the queue again, or call components' own functions.
CLOSED_ROUTES: Final = tuple(
    f"{_API}/{name}"
    for name in ("proxy=", "deep_link", "process_recording", "custom_component", "component_server", "startup-events")
) + ("/monitoring", f"{_API}/vibe", f"{_API}/dev", f"{_API}/runs", f"{_API}/run-history")
#: Routes that serve files; with an address in place of a file they fetch it.
FILE_ROUTES: Final = (f"{_API}/file=", f"{_API}/file/")
UPLOAD_ROUTE: Final = f"{_API}/upload"
LOGIN_ROUTE: Final = "/login"
#: Routes that run callbacks.
CALLBACK_ROUTES: Final = tuple(f"{_API}/{name}" for name in ("queue/join", "call/", "run/", "api/"))
#: An open page holds a connection to this route; its group is the name of the page's session.
HEARTBEAT_ROUTE: Final = re.compile(rf"{_API}/heartbeat/([^/]+)$")


def finish_mount(api: "FastAPI", page: "gr.Blocks") -> None:
    """Set on a mounted page what `launch` would have set.

    Gradio checks the paths that callbacks are sent only if the page was launched, and ends open connections through
    `server_app`.
    """
    inner: Any = next(route.app for route in api.routes if isinstance(route, Mount))
    page.has_launched = True
    page.app = page.server_app = inner


def configure(page: "gr.Blocks", sessions: int, concurrency: int | None) -> None:
    """Set on a page what `mount_gradio_app` has no parameter for; call it before mounting.

    Args:
        page: the page.
        sessions: how many sessions' values Gradio keeps.
        concurrency: no callback runs more often at once; None: as each says. `queue` only sets the default.
    """
    page.state_session_capacity = sessions
    page.delete_cache = None  # `uploads_folder.sweep` finds more, and survives an upload at the wrong moment
    for function in page.fns.values():
        if concurrency is not None and isinstance(function.concurrency_limit, int):
            function.concurrency_limit = min(function.concurrency_limit, concurrency)
    keep_no_calls(page)


def keep_no_calls(page: "gr.Blocks") -> None:
    """Let Gradio keep nothing of past calls; call it after `queue`.

    After each call it summarises the last 10,000, for a page that is closed here (/monitoring): 20 ms of processor
    time for each, which is more than Gradio takes for the rest of the call.
    """
    queue: Any = page._queue
    queue.ANALYTICS_MAX_EVENTS = 0


def keep_nothing_shown(page: "gr.Blocks") -> None:
    """Let Gradio keep nothing that the components of a session show.

    It keeps all of it for links to a page's state (`gr.DeepLinkButton`, which this page has not). For each session, and
    for each update of a component, it also makes the components' configurations anew: for a call of the API, which is a
    session of its own, that takes longer than two of the models.
    """
    from gradio.blocks import BlocksConfig

    class SessionConfig(BlocksConfig):
        @staticmethod
        def config_for_block(_id: int, rendered_ids: list[int], block: Any, renderable: Any = None) -> dict[str, Any]:
            return BlocksConfig.config_for_block(_id, rendered_ids, block, renderable) if renderable else {}

    class PageConfig(BlocksConfig):
        def __copy__(self) -> BlocksConfig:  # each session has one
            new: BlocksConfig = super().__copy__()  # type: ignore[no-untyped-call]
            new.__class__ = SessionConfig
            return new

    page.default_config.__class__ = PageConfig


def explain_refusals(page: "gr.Blocks", text: str) -> None:
    """Tell clients of the API why what they sent is refused before a callback sees it; Gradio would say nothing.

    Args:
        page: the page.
        text: what is said where enough values came.
    """
    import gradio as gr

    prepare: Any = page.preprocess_data

    async def preprocess_data(function: Any, values: Any, *others: Any, **options: Any) -> Any:
        try:
            return await prepare(function, values, *others, **options)
        except Exception as error:
            if function.api_visibility != "public" or isinstance(error, gr.Error):
                raise
            labels = ", ".join(str(each.label) for each in function.inputs)
            few = f"/{function.api_name} takes {len(function.inputs)} values, {len(values)} came: {labels}."
            raise gr.Error(few if len(values) < len(function.inputs) else text, print_exception=False) from None

    vars(page)["preprocess_data"] = preprocess_data


def queue_length(page: "gr.Blocks") -> int:
    """How many calls wait: Gradio reports this only to pages."""
    return len(page._queue)


def is_busy(page: "gr.Blocks") -> bool:
    """Whether calls wait or run, so that stopping can let them finish."""
    queue: Any = page._queue
    return bool(len(queue) or any(queue.active_jobs))


def end_connections(page: "gr.Blocks") -> None:
    """Close the queue, and the connections that open pages hold: nothing else ends those of a mounted page."""
    queue: Any = page._queue
    queue.close()
    page.is_running = False
    page.server_app.stop_event.set()


def chart_module() -> str | None:
    """The script that draws Plotly's charts, as an address relative to the page's; None if it has another name now.

    The page asks for its 4.6 MB only once a chart is to be drawn.
    """
    import gradio as gr

    found = [*Path(gr.__file__).parent.glob("templates/frontend/assets/PlotlyPlot-*.js")]
    return f"assets/{found[0].name}" if len(found) == 1 else None


def files_of_components(page: "gr.Blocks") -> set[str]:
    """Files that components were built with, in the folder of uploads: they stay as long as the page."""
    return {path for block in page.blocks.values() for path in getattr(block, "keep_in_cache", ())}


class StoredSessions:
    """What Gradio keeps of each page's session: values of states, and components (see `keep_nothing_shown`).

    Gradio drops a session only when more came than it may keep, and counts every call of the API as a session.
    """

    def __init__(self, page: "gr.Blocks") -> None:
        """Look into the sessions of `page`."""
        self._page = page

    def __iter__(self) -> Iterator[str]:
        """The sessions' names."""
        return iter(list(self._holder.session_data))

    def __contains__(self, name: object) -> bool:
        """Whether anything is kept of a session."""
        return name in self._holder.session_data

    def last_used(self, name: str) -> datetime.datetime | None:
        """When a session last ran a callback, in local time; None if that is not known."""
        used: datetime.datetime | None = self._holder.time_last_used.get(name)
        return used

    def values(self, name: str) -> list[Any]:
        """The values of a session's states."""
        session = self._session(name)
        return list(session.state_data.values()) if session else []

    def value(self, name: str, state: "gr.State") -> Any:
        """The value of one state; None if the session has none."""
        session = self._session(name)
        return session.state_data.get(state._id) if session else None

    def is_closed(self, name: str) -> bool:
        """Whether the session's page was closed."""
        session = self._session(name)
        return bool(session and session.is_closed)

    def forget_value(self, name: str, state: "gr.State") -> Any:
        """Drop the value of one state and return it; None if the session has none."""
        session = self._session(name)
        return session.state_data.pop(state._id, None) if session else None

    def drop_copies(self, name: str) -> None:
        """Drop earlier copies of a session's components.

        For each update without a value, as `gr.skip()` is, Gradio makes a copy of the component with an id of its own
        and keeps it for ever. A page that streams makes several a second.
        """
        if (session := self._session(name)) is not None:
            # The latest copies stay: their next values may be under way.
            blocks = session.blocks_config.blocks
            latest = {blocks[key]._id for key in self._page.blocks if key in blocks}
            for kept in (session.config_values, blocks):
                for key in set(kept).difference(latest, self._page.blocks):
                    kept.pop(key, None)

    def drop(self, name: str) -> None:
        """Drop a session, after its states' `delete_callback`."""
        self._holder.delete_state(name)
        self._holder.session_data.pop(name, None)
        self._holder.time_last_used.pop(name, None)

    @property
    def _holder(self) -> Any:
        return self._page.state_holder

    def _session(self, name: str) -> Any:
        return self._holder.session_data.get(name)


@contextmanager
def exceptions_reported_by(report: Callable[..., None]) -> Iterator[None]:
    """Call `report` where Gradio prints an exception of a callback, message and all, with `traceback.print_exc`."""
    before = traceback.print_exc
    traceback.print_exc = report
    try:
        yield
    finally:
        traceback.print_exc = before


def tunnel_service() -> str:
    """The address that says where a tunnel may end, as `launch(share=True)` asks it."""
    from gradio import networking

    return networking.GRADIO_API_SERVER


def fetch_tunnel_program() -> None:
    """Download the program that holds tunnels, unless it is there.

    Raises:
        OSError: it could not be fetched or is not what it should be. The message says where it belongs.
    """
    import httpx
    from gradio import tunneling
    from gradio.exceptions import ChecksumMismatchError

    fetch: Any = tunneling.Tunnel.download_binary
    try:
        fetch()
    except (OSError, httpx.HTTPError, ChecksumMismatchError) as error:
        raise OSError(
            f"Gradio's tunnel program is not there and could not be fetched ({type(error).__name__}). "
            f"Put {tunneling.BINARY_URL} at {tunneling.BINARY_PATH} and make it executable."
        ) from error


def open_tunnel(host: str, port: int, token: str, remote: str, certificate: Path) -> str:
    """Open a tunnel from `remote`, as HOST:PORT, to a local port; returns its public address.

    Raises:
        OSError: it could not be opened.
        ValueError: its program said something else than an address.
    """
    from gradio import networking

    return str(networking.setup_tunnel(host, port, token, remote, str(certificate)))


def open_tunnels() -> list[Any]:
    """The tunnels of this process, oldest first; `kill` closes one."""
    from gradio import tunneling

    tunnels: list[Any] = tunneling.CURRENT_TUNNELS
    return tunnels
