"""Frames of cameras: what one may be, what is answered, and who may send it."""

import asyncio
import base64
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dashboard.components.templates import data_uri
from dashboard.live.frames import PATH, TOKEN, Frames, decode
from dashboard.live.session import Settings, ViewerSession
from fer_models.analyzer import Analyzer
from fer_models.errors import ImageError
from fer_models.media.images import read_image
from fer_models.registry import MODELS

PARTS = ("view", "panel", "charts")


def viewer(models: tuple[str, ...] = MODELS, overlay: str = "", smoothing_s: float = 0.0) -> ViewerSession:
    session = ViewerSession()
    session.settings = Settings(models, overlay, smoothing_s)
    return session


def test_a_frame_is_decoded_upright_in_rgb() -> None:
    red = np.zeros((60, 80, 3), np.uint8)
    red[..., 0] = 250
    frame = decode(data_uri(red, 95))
    assert frame.shape == (60, 80, 3) and frame.flags.writeable
    assert frame[..., 0].min() > 240 and frame[..., 1:].max() < 10


def test_large_frames_are_shrunk() -> None:
    assert decode(data_uri(np.zeros((1440, 1920, 3), np.uint8))).shape == (720, 960, 3)


@pytest.mark.parametrize(
    "frame",
    ["", "data:image/png;base64,AA", "data:image/jpeg;base64,%%%", "data:image/jpeg;base64,AAAA", "/etc/passwd"],
)
def test_anything_else_is_refused(frame: str) -> None:
    with pytest.raises(ImageError):
        decode(frame)


def test_a_frame_too_large_to_be_one_is_not_decoded() -> None:
    with pytest.raises(ImageError, match="too large"):
        decode("data:image/jpeg;base64," + "A" * 8_000_001)


def test_a_bad_frame_is_explained_and_the_next_one_read(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    frames, session = Frames(analyzer), viewer(smoothing_s=0.5)
    answer = frames.show(session, "data:image/jpeg;base64,AAAA", 4)
    assert "fer-message" in answer["view"] and 'data-frame="4"' in answer["view"]
    assert answer["panel"] is answer["charts"] is None
    answer = frames.show(session, data_uri(picture), 5)
    assert 'data-frame="5"' in answer["view"] and answer["view"].count("data-face=") == 2
    assert "Face 1" in answer["panel"] and "<svg" in answer["charts"]
    frames.show(session, data_uri(picture), 6, 42.0)
    assert session.meter.means["delay"] == 42


def test_unexpected_errors_show_neutral_words(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    class Broken(Analyzer):
        def detect(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("secret detail")

    frames = Frames(Broken(list(analyzer.classifiers.values()), analyzer.detector))
    view = frames.show(viewer(), data_uri(picture), 1)["view"]
    assert "Something went wrong" in view and "secret" not in view


def test_an_overlay_changes_the_picture_and_says_what_it_shows(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    frames, session, frame = Frames(analyzer), viewer(), data_uri(picture)
    plain = frames.show(session, frame, 1)["view"]
    session.settings = Settings(MODELS, "eac_resnet50")
    drawn = frames.show(session, frame, 2)["view"]
    assert "EAC_RESNET50 finds" in drawn and "<canvas" not in drawn
    assert "data:image" not in plain and '<canvas width="230" height="100"' in plain, "the browser has the frame"
    shown = read_image(base64.b64decode(drawn.split("base64,")[1].split('"')[0]))
    assert shown.shape == picture.shape and np.abs(shown.astype(int) - decode(frame)).max() > 40
    session.settings = Settings(("vgg16",), "eac_resnet50")
    off = frames.show(session, frame, 3)["view"]
    assert "EAC_RESNET50 is switched off" in off and "<canvas" in off


def test_frames_are_analysed_in_their_order_and_one_that_comes_late_is_dropped(
    analyzer: Analyzer, picture: NDArray[np.uint8]
) -> None:
    frames, session, frame = Frames(analyzer), viewer(), data_uri(picture)
    frames.show(session, frame, 1)
    with ThreadPoolExecutor(2) as pool:
        with session.turn:  # frame 2 is being analysed
            late = pool.submit(frames.show, session, frame, 2)
            next_ = pool.submit(frames.show, session, frame, 3)
            session.number = 2
        assert 'data-frame="3"' in next_.result(60)["view"] and session.number == 3
        assert [late.result(60)[part] for part in PARTS] == [None] * 3


@pytest.fixture
def frames(analyzer: Analyzer) -> Frames:
    return Frames(analyzer)


@pytest.fixture
def client(frames: Frames) -> Iterator[TestClient]:
    with TestClient(Starlette(routes=[frames.route])) as running:
        yield running


def test_a_token_opens_the_way_until_its_session_ends(
    frames: Frames, client: TestClient, picture: NDArray[np.uint8]
) -> None:
    session = viewer()
    headers = {TOKEN: frames.admit(session)}
    assert frames.admit(session) == headers[TOKEN]
    answer = client.post(f"/{PATH}?number=7&delay=12.5&recording=1", headers=headers, content=data_uri(picture))
    assert answer.status_code == 200 and answer.json()["number"] == 7
    assert all(answer.json()[part] for part in PARTS) and len(session.recording.frames) == 1
    assert session.meter.means["delay"] == 12.5
    for refused in ({}, {TOKEN: ""}, {TOKEN: "x" * 43}):
        assert client.post(f"/{PATH}?number=8", headers=refused, content=data_uri(picture)).status_code == 410
    assert client.get(f"/{PATH}", headers=headers).status_code == 405
    session.end()
    assert client.post(f"/{PATH}?number=9", headers=headers, content=data_uri(picture)).status_code == 410
    assert session.number == 7, "nothing of the refused frames was looked at"


def test_a_session_that_nobody_keeps_has_no_token(frames: Frames, client: TestClient) -> None:
    token = frames.admit(viewer())
    assert client.post(f"/{PATH}", headers={TOKEN: token}, content="").status_code == 410


@pytest.mark.parametrize("query", ["", "number=x&delay=y", "number=nan&delay=inf", "number=-1e400"])
@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"data:image/jpeg;base64,\xff"])
def test_hostile_frames_are_answered_with_words(frames: Frames, client: TestClient, query: str, body: bytes) -> None:
    session = viewer()
    answer = client.post(f"/{PATH}?{query}", headers={TOKEN: frames.admit(session)}, content=body)
    assert answer.status_code == 200 and "fer-message" in answer.json()["view"]
    assert "delay" not in session.meter.means


def test_one_viewer_cannot_fill_the_queue(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    frames, session = Frames(analyzer, 1), viewer()
    headers = {TOKEN: frames.admit(session)}

    with TestClient(Starlette(routes=[frames.route])) as client, ThreadPoolExecutor(8) as pool:

        def send(number: int) -> int:
            url = f"/{PATH}?number={number}"
            return int(client.post(url, headers=headers, content=data_uri(picture)).status_code)

        with session.turn:  # nothing gets on
            sent = [pool.submit(send, number) for number in range(1, 9)]
            end = time.monotonic() + 30
            while sum(future.done() for future in sent) < 4 and time.monotonic() < end:
                time.sleep(0.01)
            assert [future.result() for future in sent if future.done()] == [429] * 4
        assert sorted(future.result(60) for future in sent) == [200] * 4 + [429] * 4
        assert send(20) == 200, "once they are answered, there is room again"


def test_a_page_that_is_closed_while_it_sends_is_no_error(frames: Frames) -> None:
    session = viewer()
    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/{PATH}",
        "query_string": b"number=1",
        "headers": [(TOKEN.encode(), frames.admit(session).encode())],
    }
    messages: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        messages.append(message)

    for _ in range(6):  # none is counted as under way afterwards
        asyncio.run(frames.route.handle(scope, receive, send))
    assert [message["status"] for message in messages if "status" in message] == [400] * 6
    assert session.number == 0
