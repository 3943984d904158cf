"""The Video tab driven in headless Chromium."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, expect

from fer_models.analyzer import Analyzer
from fer_models.results import FaceAnalysis
from tests.helpers.browsing import MARKS, Gate, address, at_both_widths, browser, uploads, watched_page
from tests.helpers.clips import write_clip

__all__ = ["address", "browser", "uploads"]

WAIT = 90_000

pytestmark = MARKS


class Divided(Gate):
    """All models answer happiness, but for VGG16 with a face in the dark."""

    def predict(self, faces: Any, **options: Any) -> Any:
        return [self._answered(analysis) for analysis in super().predict(faces, **options)]

    @staticmethod
    def _answered(analysis: FaceAnalysis) -> FaceAnalysis:
        predictions = {}
        for name, each in analysis.predictions.items():
            answer = "fear" if name == "vgg16" and analysis.crop.mean() < 100 else "happiness"
            values = np.array([0.9 if label == answer else 0.1 / (len(each.labels) - 1) for label in each.labels])
            predictions[name] = replace(each, probabilities=values.astype(np.float32))
        return replace(analysis, predictions=predictions)


@pytest.fixture(scope="module")
def gate(analyzer: Analyzer) -> Gate:
    return Divided(analyzer)


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


@pytest.mark.parametrize(("name", "options"), [("00001.mts", {"mpegts_m2ts_mode": "1"}), ("VID_1.3gp", {})])
def test_a_camcorders_and_an_old_phones_file_are_taken(
    page: Page, tmp_path: Path, name: str, options: dict[str, str]
) -> None:
    """Cameras write the suffix in capitals."""
    images = [np.full((100, 130, 3), 90, np.uint8)] * 50
    clip = write_clip(tmp_path / name, images, fps=25, options=options)
    page.set_input_files("#video-file input[type=file]", clip.rename(tmp_path / name.upper()))
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
    expect(page.locator(".fer-sentence")).to_contain_text("2 tracks in 4.0 seconds")
    rows = page.locator(".fer-spans tbody tr")
    expect(rows).to_have_count(2)
    for number in (1, 2):
        assert page.get_by_alt_text(f"The face of track {number}").evaluate("image => image.naturalWidth") == 64
    # Three models with seven expressions each, and the strip.
    chart = page.locator("#video-timeline .js-plotly-plot")
    expect(chart.locator(".scatterlayer .trace")).to_have_count(21, timeout=WAIT)
    expect(chart.locator(".heatmaplayer image")).to_have_count(1)

    moment = page.locator(".fer-moments")
    expect(moment).to_contain_text("Track 1 at 0:00")
    expect(moment.locator("li")).to_have_count(3)
    page.get_by_role("button", name="Track 2").click()
    expect(moment).to_contain_text("Track 2", timeout=WAIT)

    links = page.locator(".fer-files a")
    expect(links).to_have_text(["Video (MP4)", "Table (CSV)", "All numbers (JSON Lines)", "Summary (JSON)"])
    for link in links.all():
        expect(link).to_be_visible()
        answer = page.request.get(page.url.partition("?")[0].rstrip("/") + "/" + str(link.get_attribute("href")))
        assert answer.ok and len(answer.body()) > 100
    page.get_by_role("button", name="Try another video").click()
    expect(page.locator("#video-file")).to_be_visible()
    expect(page.locator("#video-results")).to_be_hidden()
    assert not list(uploads.glob("video-*"))


@at_both_widths
def test_clip_and_chart_share_a_playhead_that_goes_to_disagreements(page: Page, tmp_path: Path) -> None:
    """Bright, dark, bright, dark, a second each; the models disagree while it is dark."""
    frames = [np.full((96, 128, 3), 40 if index // 10 % 2 else 200, np.uint8) for index in range(40)]
    upload(page, write_clip(tmp_path / "clip.mp4", frames))
    analyse(page)
    note, video = page.locator(".fer-player-note"), page.locator("#video-player video")
    previous, after = (page.get_by_role("button", name=f"{name} disagreement") for name in ("Previous", "Next"))
    expect(page.locator("#video-timeline .heatmaplayer image")).to_have_count(1, timeout=WAIT)

    def is_at(seconds: float) -> None:
        """The clip is at a time, and so is the line in the chart."""
        page.wait_for_function(
            """seconds => {
            const line = document.querySelector('.fer-playhead');
            const plot = document.querySelector('#video-timeline .js-plotly-plot');
            if (!line?.getClientRects().length) return false;
            const {xaxis} = plot._fullLayout;
            const {left} = plot.getBoundingClientRect(), {x, width} = line.getBoundingClientRect();
            const drawn = xaxis.p2d(x + width / 2 - left - xaxis._offset);
            const {currentTime} = document.querySelector('#video-player video');
            return Math.abs(drawn - seconds) < 0.1 && Math.abs(currentTime - seconds) < 0.1;
        }""",
            arg=seconds,
        )

    is_at(1)
    expect(note).to_contain_text("1 of 2")
    expect(page.locator(".fer-moments li[data-model=vgg16] b")).to_have_text("fear")
    expect(previous).to_be_disabled()
    after.click()
    is_at(3)
    expect(note).to_contain_text("2 of 2")
    expect(after).to_be_disabled()
    previous.click()
    is_at(1)
    chart = page.locator("#video-timeline .js-plotly-plot")
    chart.scroll_into_view_if_needed()
    area, frame = chart.locator(".nsewdrag").first.bounding_box(), chart.bounding_box()
    assert area is not None and frame is not None
    x, y = area["x"] - frame["x"] + 0.6 * area["width"], area["y"] - frame["y"] + 0.9 * area["height"]
    chart.click(position={"x": x, "y": y})
    is_at(2.4)
    expect(page.locator(".fer-moments li[data-model=vgg16] b")).to_have_text("happiness")
    assert video.evaluate("video => video.videoWidth") == 640, "annotated videos are enlarged"
    page.get_by_role("button", name="Compare this frame").click()
    expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#compare-picture .fer-info")).to_contain_text("128 × 96")
    page.locator("#compare-clear").click()


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
