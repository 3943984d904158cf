"""The Live tab's callbacks without a browser: what a frame may be, and what stays of one."""

import base64
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio.state_holder import StateHolder
from numpy.typing import NDArray

from dashboard.components.templates import data_uri
from dashboard.live import tab as live
from dashboard.server.gradio_internals import StoredSessions
from fer_models.analyzer import Analyzer
from fer_models.errors import ImageError
from fer_models.media.images import read_image
from fer_models.registry import MODELS


def build(analyzer: Analyzer) -> live.LiveTab:
    with gr.Blocks(analytics_enabled=False) as page:
        return live.build(analyzer, page, StoredSessions(page))


def sent(**data: Any) -> Any:
    return gr.EventData(None, data)


def test_a_frame_is_decoded_upright_in_rgb() -> None:
    red = np.zeros((60, 80, 3), np.uint8)
    red[..., 0] = 250
    frame = live.decode(data_uri(red, 95))
    assert frame.shape == (60, 80, 3) and frame.flags.writeable
    assert frame[..., 0].min() > 240 and frame[..., 1:].max() < 10


def test_large_frames_are_shrunk() -> None:
    assert live.decode(data_uri(np.zeros((1440, 1920, 3), np.uint8))).shape == (720, 960, 3)


@pytest.mark.parametrize(
    "frame",
    [
        None,
        3,
        "",
        "data:image/png;base64,AA",
        "data:image/jpeg;base64,%%%",
        "data:image/jpeg;base64,AAAA",
        "/etc/passwd",
    ],
)
def test_anything_else_is_refused(frame: object) -> None:
    with pytest.raises(ImageError):
        live.decode(frame)


def test_a_frame_too_large_to_be_one_is_not_decoded() -> None:
    with pytest.raises(ImageError, match="too large"):
        live.decode("data:image/jpeg;base64," + "A" * 8_000_001)


def test_a_bad_frame_is_explained_and_the_next_one_read(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    tab = build(analyzer)
    view, *rest = tab.show_frame(MODELS, live.OFF, 0.5, None, sent(frame="data:image/jpeg;base64,AAAA", number=4))
    assert "fer-message" in view and 'data-frame="4"' in view and all(part == gr.skip() for part in rest)
    view, panel, charts, session = tab.show_frame(MODELS, live.OFF, 0.5, None, sent(frame=data_uri(picture), number=5))
    assert 'data-frame="5"' in view and view.count("data-face=") == 2 and "Face 1" in panel and "<svg" in charts
    *_, kept = tab.show_frame(MODELS, live.OFF, 0.5, session, sent(frame=data_uri(picture), number=6, delay=42.0))
    assert kept is session, "each frame counts as a use: an hour's camera is not forgotten"
    assert session.meter.means["delay"] == 42


def test_unexpected_errors_show_neutral_words(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    class Broken(Analyzer):
        def detect(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("secret detail")

    tab = build(Broken(list(analyzer.classifiers.values()), analyzer.detector))
    view, *_ = tab.show_frame(MODELS, live.OFF, 0.5, None, sent(frame=data_uri(picture), number=1))
    assert "Something went wrong" in view and "secret" not in view


@pytest.mark.parametrize("data", [None, 3, [], "frame", {"number": "x", "frame": 1}, {"delay": float("nan")}])
def test_hostile_payloads_raise_nothing(analyzer: Analyzer, data: Any) -> None:
    view, *_ = build(analyzer).show_frame(MODELS, live.OFF, 0.5, None, gr.EventData(None, data))
    assert "fer-message" in view and 'data-frame="0"' in view


def test_an_overlay_changes_the_picture_and_says_what_it_shows(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    tab = build(analyzer)
    frame = data_uri(picture)
    plain, *_, session = tab.show_frame(MODELS, live.OFF, 0, None, sent(frame=frame, number=1))
    drawn, *_ = tab.show_frame(MODELS, "eac_resnet50", 0, session, sent(frame=frame, number=2))
    assert "EAC_RESNET50 finds" in drawn and "<canvas" not in drawn
    assert "data:image" not in plain and '<canvas width="230" height="100"' in plain, "the browser has the frame"
    shown = read_image(base64.b64decode(drawn.split("base64,")[1].split('"')[0]))
    assert shown.shape == picture.shape and np.abs(shown.astype(int) - live.decode(frame)).max() > 40
    off, *_ = tab.show_frame(["vgg16"], "eac_resnet50", 0, session, sent(frame=frame, number=3))
    assert "EAC_RESNET50 is switched off" in off and "<canvas" in off


def test_frames_are_analysed_in_their_order_and_one_that_comes_late_is_dropped(
    analyzer: Analyzer, picture: NDArray[np.uint8]
) -> None:
    tab, frame = build(analyzer), data_uri(picture)
    *_, session = tab.show_frame(MODELS, live.OFF, 0, None, sent(frame=frame, number=1))
    with ThreadPoolExecutor(2) as pool:
        with session.turn:  # frame 2 is being analysed
            late = pool.submit(tab.show_frame, MODELS, live.OFF, 0, session, sent(frame=frame, number=2))
            next_ = pool.submit(tab.show_frame, MODELS, live.OFF, 0, session, sent(frame=frame, number=3))
            session.number = 2
        view, *_ = next_.result(60)
        assert 'data-frame="3"' in view and session.number == 3
        assert all(part == gr.skip() for part in late.result(60))


def test_a_frame_that_arrives_after_the_page_was_closed_stays_no_longer(
    analyzer: Analyzer, picture: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_STRAGGLERS_S", 0.5)
    tab = build(analyzer)
    tab.page.state_holder = StateHolder()  # type: ignore[no-untyped-call]
    tab.page.state_holder.set_blocks(tab.page)
    held = tab.page.state_holder["a"]
    request: Any = SimpleNamespace(session_hash="a")

    def arrive() -> Any:
        frame = sent(frame=data_uri(picture), number=1)
        *_, session = tab.show_frame(MODELS, live.OFF, 0, held.state_data.get(tab.session._id), frame, request)
        if session != gr.skip():
            held[tab.session._id] = session
        return held.state_data[tab.session._id]

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
    *_, session = tab.show_frame(MODELS, live.OFF, 0, None, sent(frame=data_uri(picture), number=1))
    panel, charts = tab.choose(["vgg16"], session, sent(index=2))
    assert 'fer-eyebrow">Face 2<' in panel and panel.count("data-model=") == charts.count("<figure") == 1
    assert "No model is chosen" in tab.choose([], session, sent(index=2))[0]
    assert tab.choose(MODELS, None, sent(index=1)) == (gr.skip(), gr.skip())
    view, panel, charts, state = tab.forget(["vgg16"], session)
    assert "Start the camera" in view and panel.count("data-empty") == 1 and "<path" not in charts and state is None
    assert session.faces == () and session.remembered() == 0
    # A frame that was still being read when the camera was stopped leaves nothing either.
    view, panel, charts, state = tab.show_frame(MODELS, live.OFF, 0, session, sent(frame=data_uri(picture), number=2))
    assert "data:image" not in view and panel.count("data-empty") == len(MODELS)
    assert "<path" not in charts and state is None
    assert session.faces == () and session.remembered() == 0
