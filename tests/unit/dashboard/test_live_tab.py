"""The Live tab's callbacks without a browser: what a camera's session is, and what stays of one."""

import time
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio.state_holder import StateHolder
from numpy.typing import NDArray

from dashboard.components.templates import data_uri
from dashboard.live import tab as live
from dashboard.live.session import Settings, ViewerSession
from dashboard.server.gradio_internals import StoredSessions
from fer_models.analyzer import Analyzer
from fer_models.registry import MODELS


def build(analyzer: Analyzer) -> live.LiveTab:
    with gr.Blocks(analytics_enabled=False) as page:
        return live.build(analyzer, page, StoredSessions(page))


def sent(**data: Any) -> Any:
    return gr.EventData(None, data)


def test_a_camera_gets_a_token_and_keeps_it_until_it_stops(analyzer: Analyzer) -> None:
    tab = build(analyzer)
    told, session = tab.begin(MODELS, live.OFF, 0.5, None)
    assert session.token and len(session.token) > 40 and session.token in told
    assert session.settings == Settings(tuple(MODELS), live.OFF, 0.5)
    again, same = tab.begin(["vgg16"], "vgg16", 99, session)
    assert same is session and session.token in again and again != told, "it is told again, and the page notices"
    assert session.settings == Settings(("vgg16",), "vgg16", 60)
    tab.forget(MODELS, session)
    _, other = tab.begin(MODELS, live.OFF, 0.5, session)
    assert other is not session and other.token not in ("", session.token)


def test_settings_are_those_of_the_next_frame(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    tab = build(analyzer)
    _, session = tab.begin(MODELS, live.OFF, 0.5, None)
    assert tab.frames.show(session, data_uri(picture), 1)["panel"].count("data-model=") == len(MODELS)
    tab.configure(["vgg16"], live.OFF, 0.5, session)
    assert tab.frames.show(session, data_uri(picture), 2)["panel"].count("data-model=") == 1
    tab.configure([], live.OFF, 0.5, session)
    assert "No model is chosen" in tab.frames.show(session, data_uri(picture), 3)["panel"]
    tab.configure(["vgg16"], live.OFF, 0.5, None)  # before the camera starts: nothing to do


def test_a_camera_that_begins_after_its_page_was_closed_stays_no_longer(
    analyzer: Analyzer, picture: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_STRAGGLERS_S", 0.5)
    tab = build(analyzer)
    tab.page.state_holder = StateHolder()  # type: ignore[no-untyped-call]
    tab.page.state_holder.set_blocks(tab.page)
    held = tab.page.state_holder["a"]
    request: Any = SimpleNamespace(session_hash="a")

    def arrive() -> ViewerSession:
        before = held.state_data.get(tab.session._id)
        _, session = tab.begin(MODELS, live.OFF, 0, before, request)
        held[tab.session._id] = session
        tab.frames.show(session, data_uri(picture), 1)
        return session

    def holds() -> bool:
        return tab.session._id in held.state_data

    def wait(seconds: float) -> None:
        end = time.monotonic() + seconds
        while holds() and time.monotonic() < end:
            time.sleep(0.02)

    first = arrive()
    wait(1)
    assert holds(), "an open page may pause"
    held.is_closed = True
    tab.forget_closed(request)
    assert not holds() and first.ended
    time.sleep(1)  # the second look finds nothing
    late = arrive()
    assert holds()
    wait(20)
    assert not holds() and late.ended


def test_choosing_and_forgetting(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    tab = build(analyzer)
    _, session = tab.begin(MODELS, live.OFF, 0, None)
    tab.frames.show(session, data_uri(picture), 1)
    panel, charts = tab.choose(["vgg16"], session, sent(index=2))
    assert 'fer-eyebrow">Face 2<' in panel and panel.count("data-model=") == charts.count("<figure") == 1
    assert "No model is chosen" in tab.choose([], session, sent(index=2))[0]
    assert tab.choose(MODELS, None, sent(index=1)) == (gr.skip(), gr.skip())
    view, panel, charts, state = tab.forget(["vgg16"], session)
    assert "Start the camera" in view and panel.count("data-empty") == 1 and "<path" not in charts and state is None
    assert session.faces == () and session.remembered() == 0
    # A frame that was still being read when the camera was stopped leaves nothing either.
    answer = tab.frames.show(session, data_uri(picture), 2)
    assert [answer[part] for part in ("view", "panel", "charts")] == [None] * 3
    assert session.faces == () and session.remembered() == 0
