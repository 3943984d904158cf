"""The installed Gradio still has what `dashboard.server.gradio_internals` uses of it without being promised it."""

import asyncio
import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI
from gradio import networking, queueing, tunneling
from gradio.routes import App
from gradio.state_holder import StateHolder

from dashboard.server import gradio_internals as internals
from dashboard.server.gradio_internals import StoredSessions

ROOT = Path(__file__).resolve().parents[3]
ADVICE = f"Gradio {gr.__version__} changed: see dashboard/server/gradio_internals.py."


@pytest.fixture(scope="module")
def page() -> gr.Blocks:
    """A page with a state, a component and a callback, mounted."""
    page: gr.Blocks
    with gr.Blocks(analytics_enabled=False, delete_cache=(60, 300)) as page:
        state, shown, button = gr.State("kept"), gr.HTML(), gr.Button()
        button.click(lambda: None, outputs=shown, concurrency_limit=5)
        button.click(lambda: None, outputs=state, queue=False)
    page.queue()
    internals.configure(page, sessions=7, concurrency=2)
    api = FastAPI()
    gr.mount_gradio_app(api, page, path="/")
    internals.finish_mount(api, page)
    return page


def names(page: gr.Blocks) -> dict[str, tuple[object, list[str]]]:
    """What is used: an object, and its attributes."""
    session = StateHolder()  # type: ignore[no-untyped-call]
    session.set_blocks(page)
    function = next(iter(page.fns.values()))
    return {
        "Blocks": (
            page,
            [
                "preprocess_data",
                "fns",
                "blocks",
                "state_holder",
                "state_session_capacity",
                "delete_cache",
                "has_launched",
            ],
        ),
        "Blocks, stopping": (page, ["app", "server_app", "is_running", "_queue"]),
        "Queue": (page._queue, ["active_jobs", "close", "__len__", "ANALYTICS_MAX_EVENTS"]),
        "App": (page.server_app, ["stop_event"]),
        "BlockFunction": (function, ["concurrency_limit", "api_visibility", "api_name", "inputs"]),
        "StateHolder": (session, ["session_data", "time_last_used", "delete_state"]),
        "SessionState": (session["a"], ["state_data", "config_values", "blocks_config", "is_closed"]),
        "State": (gr.State(), ["_id"]),
        "networking": (networking, ["GRADIO_API_SERVER", "setup_tunnel"]),
        "tunneling": (tunneling, ["CURRENT_TUNNELS", "BINARY_URL", "BINARY_PATH"]),
        "Tunnel": (tunneling.Tunnel, ["download_binary", "kill"]),
    }


def test_gradio_has_every_attribute_that_is_used(page: gr.Blocks) -> None:
    missing = [
        f"{name}.{attribute}"
        for name, (owner, attributes) in names(page).items()
        for attribute in attributes
        if not hasattr(owner, attribute)
    ]
    assert not missing, f"Not there: {', '.join(missing)}. {ADVICE}"


def test_gradio_has_every_route_that_is_guarded() -> None:
    source = inspect.getsource(App)
    prefixes = [*internals.CLOSED_ROUTES, *internals.FILE_ROUTES, *internals.CALLBACK_ROUTES]
    prefixes += [internals.UPLOAD_ROUTE, internals.LOGIN_ROUTE, internals.HEARTBEAT_ROUTE.pattern.partition("(")[0]]
    missing = [prefix for prefix in prefixes if f'"{prefix.removeprefix("/gradio_api")}' not in source]
    missing = [prefix for prefix in missing if f'"{prefix}' not in source]
    assert not missing, f"No such routes: {', '.join(missing)}. {ADVICE}"


def test_no_callback_runs_more_often_at_once_than_is_allowed(page: gr.Blocks) -> None:
    assert next(iter(page.fns.values())).concurrency_limit == 2, ADVICE
    assert page.delete_cache is None and page.app.state_holder.capacity == 7, ADVICE


def test_an_idle_queue_is_empty(page: gr.Blocks) -> None:
    assert internals.queue_length(page) == 0 and not internals.is_busy(page), ADVICE


def test_files_of_components_are_known(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("x")
    with gr.Blocks(analytics_enabled=False) as page:
        gr.File(str(file))
    assert [Path(path).name for path in internals.files_of_components(page)] == ["a.txt"], ADVICE


def test_a_session_is_found_and_forgotten(page: gr.Blocks) -> None:
    state = next(block for block in page.blocks.values() if isinstance(block, gr.State))
    stored = StoredSessions(page)
    session = page.state_holder["a"]
    session[state._id] = "photo"
    assert [*stored] == ["a"] and "a" in stored and stored.last_used("a") is not None, ADVICE
    assert stored.values("a") == ["photo"] and stored.value("a", state) == "photo" and not stored.is_closed("a"), ADVICE
    assert stored.forget_value("a", state) == "photo" and stored.value("a", state) is None, ADVICE
    stored.drop("a")
    assert [*stored] == [] and stored.last_used("a") is None, ADVICE
    assert stored.value("b", state) is None and stored.forget_value("b", state) is None


@pytest.mark.parametrize("kept", [True, False])
def test_nothing_that_a_session_shows_is_kept(kept: bool) -> None:
    page: gr.Blocks
    with gr.Blocks(analytics_enabled=False) as page:
        state, shown, _ = gr.State(), gr.HTML(), gr.HTML("rest")
        page.load(lambda _: None, shown, outputs=[shown, state])
    if not kept:
        internals.keep_nothing_shown(page)
    page.state_holder = StateHolder()  # type: ignore[no-untyped-call]
    page.state_holder.set_blocks(page)
    session, stored, function = page.state_holder["a"], StoredSessions(page), next(iter(page.fns.values()))

    async def frames(count: int) -> None:
        for index in range(count):
            await page.preprocess_data(function, [f"frame {index}, sent"], session)
            for value in (gr.skip(), gr.update(value=f"frame {index}, updated"), f"frame {index}"):
                await page.postprocess_data(function, [value, "session"], session)

    before = len(session.config_values)
    asyncio.run(frames(9))
    held = [
        session.config_values,
        session.state_data,
        *(vars(block) for block in session.blocks_config.blocks.values()),
    ]
    assert ("frame 8" in repr(held)) == kept, ADVICE
    assert len(session.config_values) >= before + 9, f"Gradio keeps no copies any more. {ADVICE}"
    stored.drop_copies("a")
    assert len(session.config_values) <= before + 1 and len(session.blocks_config.blocks) <= before + 1, (
        "the latest copy"
    )
    asyncio.run(frames(1))  # the page goes on
    stored.drop_copies("b")
    assert stored.value("a", state) == "session"
    shows = [component["props"].get("value") for component in page.default_config.get_config()["components"]]
    assert "rest" in shows, "the page itself has all it shows"


def test_exceptions_of_callbacks_are_reported_and_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert "traceback.print_exc()" in inspect.getsource(queueing), ADVICE
    reported: list[str] = []
    with internals.exceptions_reported_by(lambda *_: reported.append("once")):
        try:
            raise ValueError("secret")
        except ValueError:
            queueing.traceback.print_exc()  # type: ignore[attr-defined]
    assert reported == ["once"] and "secret" not in capsys.readouterr().err, ADVICE


def test_event_data_has_the_fields_that_the_browser_sent() -> None:
    event: Any = gr.EventData(None, {"index": 3, "time": 1.5})
    assert (event.index, event.time) == (3, 1.5), ADVICE


def test_stopping_ends_open_connections(page: gr.Blocks) -> None:
    stopped: list[bool] = []
    substitute: Any = SimpleNamespace(
        _queue=SimpleNamespace(close=lambda: stopped.append(True)),
        is_running=True,
        server_app=SimpleNamespace(stop_event=page.server_app.stop_event),
    )
    internals.end_connections(substitute)
    assert stopped == [True] and not substitute.is_running and page.server_app.stop_event.is_set(), ADVICE


def test_nothing_else_reaches_inside_gradio() -> None:
    words = ("GRADIO_CACHE", "state_holder", "has_launched", "server_app", "._queue", "session_data", "gradio.routes")
    files = [*(ROOT / "dashboard").rglob("*.py"), ROOT / "app.py"]
    offenders = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in files
        if path.name != "gradio_internals.py"
        for word in words
        if word in path.read_text(encoding="utf-8")
    ]
    assert offenders == [], "Use dashboard/server/gradio_internals.py instead"


def test_the_script_that_draws_charts_is_the_one_that_the_page_asks_for() -> None:
    script = internals.chart_module()
    assert script is not None, ADVICE
    folder = Path(gr.__file__).parent / "templates" / "frontend"
    assert "window.Plotly=" in (folder / script).read_text(encoding="utf-8"), ADVICE
    plots = [path.read_text(encoding="utf-8") for path in (folder / "assets").glob("Plot-*.js")]
    assert any(f"import(`./{Path(script).name}`)" in text for text in plots), ADVICE
