"""What the server holds of its visitors goes when nobody can come back to it."""

import asyncio
import datetime
from typing import Any

import gradio as gr
import pytest
from gradio.state_holder import StateHolder

from dashboard.server import sessions
from dashboard.server.gradio_internals import StoredSessions
from dashboard.server.sessions import CALL_S, CLOSED_S, OPEN_S, SessionMiddleware, Sessions
from fer_models.analyzer import Analyzer
from tests.helpers.serving import HTTP, call, send, serving, until


@pytest.fixture
def deleted() -> list[Any]:
    return []


@pytest.fixture
def holder(deleted: list[Any]) -> StateHolder:
    """Three sessions: two with a result, one of a call of the API."""
    with gr.Blocks() as page:
        state = gr.State(None, time_to_live=3600, delete_callback=deleted.append)
        shown = gr.HTML()
    holder = StateHolder()  # type: ignore[no-untyped-call]
    holder.set_blocks(page)
    for name in ("open", "closed", "call"):
        session = holder[name]
        session[state._id] = None if name == "call" else f"photo of {name}"
        session._update_value_in_config(shown._id, "<img>")
    return holder


def sweep(pages: Sessions, holder: StateHolder) -> int:
    return pages.sweep(StoredSessions(holder.blocks))


def wait(holder: StateHolder, pages: Sessions, seconds: float) -> None:
    """As if so much time had passed."""
    for times in (holder.time_last_used, pages._closed):
        for name in times:
            times[name] -= datetime.timedelta(seconds=seconds)


def test_each_kind_of_session_goes_in_its_time(holder: StateHolder, deleted: list[Any]) -> None:
    pages = Sessions()
    pages.opened("open")
    pages.opened("closed")
    pages.closed("closed")
    assert sweep(pages, holder) == 0
    wait(holder, pages, CALL_S)
    assert sweep(pages, holder) == 1 and set(holder.session_data) == {"open", "closed"}
    wait(holder, pages, CLOSED_S - CALL_S)
    assert sweep(pages, holder) == 1 and [*holder.session_data] == ["open"] and deleted[-1] == "photo of closed"
    wait(holder, pages, OPEN_S - CLOSED_S - 1)
    assert sweep(pages, holder) == 0
    wait(holder, pages, 1)
    assert sweep(pages, holder) == 1 and not holder.session_data and not holder.time_last_used
    assert deleted[-1] == "photo of open"


def test_replaced_components_go_while_the_page_is_open(holder: StateHolder) -> None:
    pages, session = Sessions(), holder["open"]
    pages.opened("open")
    before = set(session.blocks_config.blocks)
    replaced: Any = gr.HTML(render=False)
    session[replaced._id] = replaced
    assert sweep(pages, holder) == 0
    assert set(session.blocks_config.blocks) == before


def test_a_page_that_comes_back_in_time_loses_nothing(holder: StateHolder) -> None:
    pages = Sessions()
    pages.opened("closed")
    pages.closed("closed")
    wait(holder, pages, CLOSED_S - 1)
    pages.opened("closed")
    wait(holder, pages, 2)
    sweep(pages, holder)
    assert "closed" in holder.session_data


def test_two_connections_of_one_page_count_as_one_page(holder: StateHolder) -> None:
    """A browser may open the next one before the server knows that the last is gone."""
    pages = Sessions()
    pages.opened("open")
    pages.opened("open")
    pages.closed("open")
    wait(holder, pages, CLOSED_S)
    sweep(pages, holder)
    assert "open" in holder.session_data


def test_closed_pages_are_not_remembered_for_ever(holder: StateHolder) -> None:
    pages = Sessions()
    for number in range(50):
        pages.opened(str(number))
        pages.closed(str(number))
    wait(holder, pages, CLOSED_S)
    sweep(pages, holder)
    assert not pages._closed and not pages._open


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/gradio_api/heartbeat/abc", "abc"),
        ("/faces/gradio_api/heartbeat/abc", "abc"),
        ("/gradio_api/queue/join", None),
        ("/gradio_api/heartbeat/", None),
    ],
)
def test_a_connection_counts_as_long_as_it_lasts(path: str, name: str | None) -> None:
    pages = Sessions()
    during: list[dict[str, int]] = []

    async def app(*_: Any) -> None:
        during.append(dict(pages._open))
        raise ConnectionError

    with pytest.raises(ConnectionError):
        asyncio.run(SessionMiddleware(app, pages)({"type": "http", "path": path}, None, None))  # type: ignore[arg-type]
    assert during == [{name: 1} if name else {}] and not pages._open
    assert list(pages._closed) == ([name] if name else [])


def test_calls_of_the_api_leave_no_session(analyzer: Analyzer, photo: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do they push out those of open pages."""
    with (
        serving(analyzer, upload_lifetime=2) as running,
        HTTP.stream("GET", f"{running.url}gradio_api/heartbeat/page") as open_page,
    ):
        beats = open_page.iter_bytes()
        next(beats)
        kept = running.page.state_holder.session_data
        running.page.state_holder["page"]  # as a page's first event does
        path = send(running.url, ("a.png", photo)).json()[0]
        assert "event: complete" in call(running.url, "compare", [{"path": path}])[1]
        assert len(kept) == 2
        monkeypatch.setattr(sessions, "CALL_S", 0)
        until(lambda: len(kept) == 1)
        assert [*kept] == ["page"]
