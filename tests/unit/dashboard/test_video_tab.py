"""The Video tab's callbacks without a browser: a frame for Compare, and what a browser may send."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest

from dashboard.video.session import VideoSession
from dashboard.video.tab import VideoTab, build
from fer_models.analyzer import Analyzer
from fer_models.media.images import read_image
from tests.helpers.clips import write_clip


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VideoSession]:
    """Two seconds, ever brighter, of 96 x 64 px."""
    folder = tmp_path_factory.mktemp("video")
    frames = [np.full((64, 96, 3), 10 * index, np.uint8) for index in range(20)]
    session = VideoSession(write_clip(folder / "clip.mp4", frames), folder)
    yield session
    session.close()


@pytest.fixture
def tab(analyzer: Analyzer, tmp_path: Path) -> VideoTab:
    with gr.Blocks(analytics_enabled=False):
        return build(analyzer, tmp_path)


def sent(**data: Any) -> Any:
    return gr.EventData(None, data)


@pytest.mark.parametrize(
    ("time_s", "brightness", "name"), [(0, 0, "0 min 00"), (1.25, 120, "0 min 01.2"), (1e300, 190, "01.9")]
)
def test_a_frame_for_compare_is_the_original_at_the_players_time(
    tab: VideoTab, session: VideoSession, time_s: float, brightness: int, name: str
) -> None:
    html = tab.take_frame(session, sent(time=time_s, count=3))
    image = read_image(base64.b64decode(html.split("base64,")[1].split('"')[0]))
    assert image.shape == (64, 96, 3) and abs(float(image.mean()) - brightness) < 6
    assert name in html and 'data-count="3"' in html


@pytest.mark.parametrize("time_s", [None, "1", float("nan"), float("inf"), []])
def test_a_time_that_is_none_is_refused_in_words(tab: VideoTab, session: VideoSession, time_s: Any) -> None:
    assert "fer-message" in tab.take_frame(session, sent(time=time_s))


def test_a_forgotten_video_is_said_to_be(tab: VideoTab, session: VideoSession) -> None:
    assert "fer-message" in tab.take_frame(None, sent(time=1.0))
    assert "fer-message" in tab.choose_track(None, sent(index=1))[1]
    assert tab.choose_track(session, sent(index="x")) == (None, ""), "not analysed yet"
