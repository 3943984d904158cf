"""The Video tab driven in headless Chromium."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, expect

from fer_models.analyzer import Analyzer
from tests.helpers.browsing import MARKS, Gate, at_both_widths, browser, launched, uploads, watched_page
from tests.helpers.clips import write_clip

__all__ = ["browser", "uploads"]

WAIT = 90_000

pytestmark = MARKS


@pytest.fixture(scope="module")
def gate(analyzer: Analyzer) -> Gate:
    return Gate(analyzer)


@pytest.fixture(scope="module")
def address(gate: Gate, uploads: Path) -> Iterator[str]:
    with launched(gate, uploads) as (url, _):
        yield url


@pytest.fixture
def page(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[Page]:
    """The tab, watched, 1440 px wide or as `at_both_widths` says."""
    with watched_page(browser, address, getattr(request, "param", 1440), WAIT) as tab:
        tab.get_by_role("tab", name="Video").click()
        tab.wait_for_selector("#video-file input[type=file]", state="attached")
        yield tab


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, picture: NDArray[np.uint8]) -> Path:
    """Four seconds of two faces, with sound."""
    frames = [np.ascontiguousarray(np.roll(picture, index // 4, 1)) for index in range(40)]
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames, sound="aac")


def upload(page: Page, clip: Path) -> None:
    page.set_input_files("#video-file input[type=file]", clip)
    expect(page.locator("#video-ready")).to_contain_text("0:04 long, 10 frames per second", timeout=WAIT)


def test_a_camcorders_file_is_taken(page: Page, tmp_path: Path) -> None:
    """Cameras write the suffix in capitals."""
    images = [np.full((100, 130, 3), 90, np.uint8)] * 50
    clip = write_clip(tmp_path / "00001.mts", images, fps=25, options={"mpegts_m2ts_mode": "1"})
    page.set_input_files("#video-file input[type=file]", clip.rename(tmp_path / "00001.MTS"))
    expect(page.locator("#video-ready")).to_contain_text("25 frames per second, 130 × 100 px", timeout=WAIT)


def test_the_example_can_be_tried_again(page: Page) -> None:
    for _ in range(2):
        page.locator("#video-example").click()
        expect(page.locator("#video-ready")).to_contain_text("long, 8 frames per second", timeout=WAIT)
        expect(page.locator("#video-example")).to_be_hidden()
        page.get_by_role("button", name="Try another video").click()
        expect(page.locator("#video-example")).to_be_visible()


def analyse(page: Page) -> None:
    page.get_by_role("button", name="Analyse the video").click()


@at_both_widths
def test_a_video_is_played_charted_and_offered(page: Page, clip: Path, uploads: Path) -> None:
    upload(page, clip)
    page.get_by_role("checkbox", name="VGG16").click()
    analyse(page)
    video = page.locator("#video-player video")
    expect(video).to_be_visible(timeout=WAIT)
    page.wait_for_function("document.querySelector('#video-player video').readyState >= 2", timeout=WAIT)
    assert video.evaluate("video => video.duration") == pytest.approx(4, abs=0.1)
    expect(page.locator(".fer-sentence")).to_contain_text("2 tracks were found in 4.0 seconds")
    rows = page.locator(".fer-spans tbody tr")
    expect(rows).to_have_count(2)
    for number in (1, 2):
        assert page.get_by_alt_text(f"The face of track {number}").evaluate("image => image.naturalWidth") == 64
    # Three models with seven expressions each, and the strip.
    chart = page.locator("#video-timeline .js-plotly-plot")
    expect(chart.locator(".scatterlayer .trace")).to_have_count(21, timeout=WAIT)
    expect(chart.locator(".heatmaplayer image")).to_have_count(1)

    moment = page.locator(".fer-moment figcaption")
    expect(moment).to_contain_text("0:00, track 1")
    chart.scroll_into_view_if_needed()
    area = chart.locator(".nsewdrag").first.bounding_box()
    frame = chart.bounding_box()
    assert area is not None and frame is not None
    x, y = area["x"] - frame["x"] + area["width"] / 2, area["y"] - frame["y"] + area["height"] / 2
    before = page.locator(".fer-moment img").get_attribute("src")
    chart.click(position={"x": x, "y": y})
    expect(moment).to_contain_text("0:0", timeout=WAIT)
    expect(moment).not_to_contain_text("0:00, track", timeout=WAIT)
    assert any(f"0:{second}, track 1" in moment.inner_text() for second in ("01.9", "02", "02.1"))
    assert page.locator(".fer-moment img").get_attribute("src") != before
    page.get_by_role("radio", name="Track 2").click()
    expect(moment).to_contain_text("track 2", timeout=WAIT)

    links = page.locator(".fer-file")
    assert links.all_inner_texts() == ["Video (MP4)", "Table (CSV)", "All numbers (JSON Lines)", "Summary (JSON)"]
    for link in links.all():
        answer = page.request.get(page.url.rstrip("/") + "/" + str(link.get_attribute("href")))
        assert answer.ok and len(answer.body()) > 100
    assert not list(uploads.glob("video-*/source"))
    page.get_by_role("button", name="Try another video").click()
    expect(page.locator("#video-file")).to_be_visible()
    expect(page.locator("#video-results")).to_be_hidden()
    assert not list(uploads.glob("video-*"))


def test_stopping_keeps_what_is_done(page: Page, clip: Path, gate: Gate) -> None:
    with gate.held(after=1):
        upload(page, clip)
        analyse(page)
        expect(page.locator(".fer-progress")).to_contain_text("of the video analysed", timeout=WAIT)
        page.get_by_role("button", name="Stop and keep what is done").click()
        expect(page.get_by_role("button", name="Finishing")).to_be_disabled()
    expect(page.locator("#video-player video")).to_be_visible(timeout=WAIT)
    expect(page.locator("#video-summary .fer-note")).to_contain_text("Stopped after", timeout=WAIT)
    page.wait_for_function("document.querySelector('#video-player video').duration < 3", timeout=WAIT)


def test_a_bad_file_is_explained_and_the_next_one_read(page: Page, clip: Path, tmp_path: Path, uploads: Path) -> None:
    (tmp_path / "bad.mp4").write_text("#EXTM3U\n/etc/hostname\n")
    page.set_input_files("#video-file input[type=file]", tmp_path / "bad.mp4")
    expect(page.get_by_role("alert")).to_contain_text("The file is not a video that can be read. Use MP4", timeout=WAIT)
    expect(page.locator("#video-file")).to_be_visible()
    assert not any(path.name == "source" and b"EXTM3U" in path.read_bytes() for path in uploads.glob("video-*/source"))
    upload(page, clip)
    expect(page.locator("#video-notice")).to_be_hidden()
