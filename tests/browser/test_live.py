"""The Live tab driven in headless Chromium, with a film in place of a camera."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, BrowserContext, Page, expect

from benchmarks.live_soak import CHROMIUM as CAMERA
from benchmarks.live_soak import write_mjpeg
from dashboard.components.picture_input import EXAMPLES
from dashboard.live.session import ViewerSession
from fer_models.analyzer import load_analyzer
from fer_models.registry import MODELS
from tests.helpers.browsing import MARKS, at_both_widths, chromium, launched, open_page, uploads, watched_page

__all__ = ["uploads"]

pytestmark = MARKS
#: The frame that is shown, as the browser sent it.
PICTURE = "#live-view canvas"


class Served:
    """A page that is served, with all a test may look at."""

    def __init__(self, page: gr.Blocks, url: str, folder: Path) -> None:
        self.page, self.url, self.folder = page, url, folder

    def held(self) -> list[str]:
        """What the server keeps of cameras: for each session, where it holds a frame or the state of one."""
        sessions = list(self.page.state_holder.session_data.items())
        kept = []
        for name, state in sessions:
            for key, value in [*state.config_values.items(), *state.state_data.items()]:
                text = repr(value)
                if "-examples" not in text:  # examples are nobody's
                    marks = [mark for mark in ("ViewerSession", "data:image") if mark in text]
                    kept += [f"{mark} in {key} of {name}, closed: {state.is_closed}" for mark in marks]
        return kept

    def pictures(self) -> list[Path]:
        """Files that hold a picture in any form the page may have it."""
        marks = (b"\xff\xd8\xff", b"\x89PNG", b"WEBP", b"data:image")
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return [path for path in files if any(mark in path.read_bytes() for mark in marks)]


@pytest.fixture(scope="module")
def served(weights_dir: Path, uploads: Path) -> Iterator[Served]:
    """Small random models behind the real face detector."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(uploads))
        with launched(load_analyzer(weights=weights_dir, device="cpu"), uploads) as (url, page):
            yield Served(page, url, uploads)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser whose camera shows two faces' worth of pictures and one without a face, in turns of four seconds."""
    film = tmp_path_factory.mktemp("film") / "camera.mjpeg"
    write_mjpeg(film, [EXAMPLES / "astronaut.jpg", EXAMPLES / "several_faces.jpg", EXAMPLES / "cat.jpg"], frames=120)
    with chromium(CAMERA, f"--use-file-for-fake-video-capture={film}") as running:
        yield running


def show_live(page: Page) -> Page:
    page.get_by_role("tab", name="Live").click()
    expect(page.get_by_role("button", name="Start camera")).to_be_visible()
    return page


def open_live(context: BrowserContext, url: str) -> Page:
    return show_live(open_page(context, url))


@pytest.fixture
def page(request: pytest.FixtureRequest, browser: Browser, served: Served) -> Iterator[Page]:
    """The tab, watched, 1440 px wide or as `at_both_widths` says."""
    with watched_page(browser, served.url, getattr(request, "param", 1440)) as tab:
        yield show_live(tab)


def start(page: Page) -> None:
    page.get_by_role("button", name="Start camera").click()
    expect(page.locator(PICTURE)).to_be_visible()


def frame(page: Page) -> int:
    return int(page.locator("[data-frame]").get_attribute("data-frame") or 0)


def wait_for_frames(page: Page, count: int = 2) -> None:
    page.wait_for_function(
        "least => Number(document.querySelector('[data-frame]')?.dataset.frame) >= least", arg=frame(page) + count
    )


def pause(page: Page) -> None:
    """Pause the camera, and wait for the answers to frames that were under way."""
    page.get_by_role("button", name="Pause").click()
    for _ in range(40):
        before = frame(page)
        page.wait_for_timeout(1000)
        if frame(page) == before:
            return
    raise AssertionError("frames come although the camera is paused")


@at_both_widths
def test_frames_come_and_are_read(page: Page) -> None:
    start(page)
    rows = page.locator(".fer-live-row")
    expect(rows).to_have_count(4)
    assert [row.get_attribute("data-model") for row in rows.all()] == list(MODELS)
    expect(rows.first.locator(".fer-confidence")).to_contain_text("%")
    wait_for_frames(page, 5)
    assert page.locator(PICTURE).evaluate("canvas => [canvas.width, canvas.height]") == [640, 480]
    assert np.ptp(pixels(page, PICTURE)) > 100, "the frame is drawn"
    assert float(page.locator("[data-stage=fps]").inner_text()) > 0
    for stage in ("decode", "detect", "models", "draw", "total"):
        assert float(page.locator(f"[data-stage={stage}]").inner_text()) >= 0
    expect(page.locator("[data-stage=delay]")).to_contain_text("ms")
    expect(page.locator(".fer-live-charts figure")).to_have_count(4)
    expect(page.locator(".fer-live-charts path")).to_have_count(28)
    expect(page.locator(".fer-live-state")).to_contain_text("Live")


def test_what_is_shown_follows_the_film(page: Page) -> None:
    start(page)
    page.evaluate("""() => {
        window.counts = new Set();
        window.texts = new Set();
        addEventListener('fer-live-shown', () => {
            counts.add(document.querySelectorAll('#live-view .fer-live-box').length);
            texts.add([...document.querySelectorAll('.fer-live-row')].map(row => row.innerText).join());
        });
    }""")
    page.wait_for_function("counts.has(0) && counts.has(1) && Math.max(...counts) >= 4 && texts.size > 3")


def test_a_model_can_be_switched_off_and_on_while_it_runs(page: Page) -> None:
    start(page)
    expect(page.locator(".fer-live-row")).to_have_count(4)
    page.get_by_role("checkbox", name="VGG16").click()
    expect(page.locator(".fer-live-row")).to_have_count(3)
    expect(page.locator(".fer-live-row[data-model=vgg16]")).to_have_count(0)
    expect(page.locator(".fer-live-charts figure")).to_have_count(3)
    wait_for_frames(page)
    page.get_by_role("checkbox", name="VGG16").click()
    expect(page.locator(".fer-live-row[data-model=vgg16]")).to_have_count(1)


def test_the_overlay_is_switched_on_while_it_runs(page: Page) -> None:
    start(page)
    page.get_by_role("radio", name="EAC_RESNET50").click()
    expect(page.locator(".fer-picture-note")).to_contain_text("strongest evidence EAC_RESNET50")
    expect(page.locator("#live-view img")).to_be_visible()
    page.get_by_role("radio", name="Off").click()
    expect(page.locator(".fer-picture-note")).not_to_contain_text("evidence")
    assert np.ptp(pixels(page, PICTURE)) > 100, "drawn again without the map"


@at_both_widths
def test_another_face_is_chosen_in_the_paused_picture(page: Page) -> None:
    start(page)
    page.wait_for_function("document.querySelectorAll('#live-view .fer-live-box').length >= 4")
    pause(page)
    expect(page.locator(".fer-live-state")).to_contain_text("nothing is sent")
    boxes = page.locator("#live-view .fer-live-box")
    if boxes.count() < 4:
        pytest.skip("the film had moved on before the pause")
    words = boxes.locator(".fer-live-tag span")
    assert {word.evaluate("span => getComputedStyle(span).color") for word in words.all()} == {"rgb(255, 255, 255)"}
    told = [word.is_visible() for word in words.all()]
    chosen = [box.get_attribute("aria-pressed") == "true" for box in boxes.all()]
    narrow = page.viewport_size is not None and page.viewport_size["width"] < 640
    assert told == (chosen if narrow else [True] * boxes.count())  # so many words would cover each other on a phone
    other = page.locator("#live-view .fer-live-box[aria-pressed=false]").first
    number = other.get_attribute("data-face")
    other.click()
    expect(page.locator(".fer-live-panel .fer-eyebrow")).to_have_text(f"Face {number}")
    button = page.get_by_role("button", name=f"Face {number}", exact=True)
    expect(button).to_have_attribute("aria-pressed", "true")
    before = frame(page)
    page.get_by_role("button", name="Resume").click()
    page.wait_for_function(
        "before => Number(document.querySelector('[data-frame]').dataset.frame) > before", arg=before
    )


def test_pause_sends_nothing_and_stop_ends_the_camera(page: Page, served: Served) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if "data:image" in (request.post_data or "") else None)
    start(page)
    wait_for_frames(page)
    assert sent
    pause(page)
    before = frame(page)
    sent.clear()
    page.wait_for_timeout(1500)
    assert sent == [] and frame(page) == before
    assert page.evaluate("document.querySelector('#live-camera video').srcObject.active")
    page.evaluate("window.camera = document.querySelector('#live-camera video').srcObject")
    page.get_by_role("button", name="Stop camera").click()
    expect(page.locator(".fer-live-idle")).to_be_visible()
    assert page.evaluate("camera.getTracks().every(track => track.readyState === 'ended')")
    expect(page.locator(".fer-live-row")).to_have_count(4)
    assert page.locator(".fer-live-row .fer-label").all_inner_texts() == ["–"] * 4
    expect(page.locator(".fer-live-charts path")).to_have_count(0)
    for _ in range(40):  # the last frame of another test's closed page goes ten seconds after it
        if not served.held():
            break
        page.wait_for_timeout(500)
    assert served.held() == []
    start(page)
    wait_for_frames(page)


@at_both_widths
def test_nothing_moves_when_frames_and_faces_come_and_go(page: Page) -> None:
    where = """() => ['#live-view', '#live-view .fer-live-speed', '#live-panel .fer-sentence', '#live-charts',
        '#live-charts .fer-live-key', '#live-models'].map(selector =>
        Math.round(document.querySelector(selector).getBoundingClientRect().top + scrollY)).join()"""
    before = page.evaluate(where)
    page.evaluate(
        """where => {
        window.places = new Set();
        window.counts = new Set();
        addEventListener('fer-live-shown', () => requestAnimationFrame(() => {
            places.add(eval(where)());
            counts.add(document.querySelectorAll('#live-view .fer-live-box').length);
        }));
    }""",
        where,
    )
    start(page)
    page.wait_for_function("counts.has(0) && counts.has(1) && Math.max(...counts) >= 4")
    assert page.evaluate("[...places]") == [before]


# Two cameras, red on the left and blue on the right; what was asked of them is written down.
CAMERAS = """
window.asked = [];
const canvas = Object.assign(document.createElement('canvas'), {width: 64, height: 48});
navigator.mediaDevices.enumerateDevices = async () => ['user', 'environment'].map((name) => (
  {kind: 'videoinput', deviceId: name, label: `Camera ${name}`}));
navigator.mediaDevices.getUserMedia = async ({video}) => {
  asked.push(video.facingMode ?? video.deviceId);
  const context = canvas.getContext('2d');
  setInterval(() => {
    context.fillStyle = 'red'; context.fillRect(0, 0, 32, 48);
    context.fillStyle = 'blue'; context.fillRect(32, 0, 32, 48);
  }, 50);
  const stream = canvas.captureStream(20), name = video.facingMode ?? video.deviceId.exact;
  stream.getVideoTracks()[0].getSettings = () => ({deviceId: name, facingMode: name});
  return stream;
};
"""


def wait_for_the_left_half(page: Page, colour: str) -> None:
    """Wait until the left of the picture that is shown, which the server has analysed, is of this colour."""
    page.wait_for_function(
        """channel => {
        const image = document.querySelector('#live-view canvas');
        if (!image) return false;
        const canvas = Object.assign(document.createElement('canvas'), {width: 8, height: 6});
        const context = canvas.getContext('2d');
        context.drawImage(image, 0, 0, 8, 6);
        return context.getImageData(1, 3, 1, 1).data[channel] > 200;
    }""",
        arg={"red": 0, "blue": 2}[colour],
    )


def test_a_phone_has_a_front_and_a_rear_camera_and_a_mirror(browser: Browser, served: Served) -> None:
    with browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as context:
        context.add_init_script(CAMERAS)
        tab = open_live(context, served.url)
        front, rear = (tab.get_by_role("button", name=f"{name} camera") for name in ("Front", "Rear"))
        mirror, cameras = tab.get_by_role("button", name="Mirror"), tab.get_by_role("combobox", name="Camera")
        expect(front).to_have_attribute("aria-pressed", "true")
        start(tab)
        wait_for_the_left_half(tab, "blue")  # as in a mirror
        expect(mirror).to_have_attribute("aria-pressed", "true")
        expect(cameras.locator("option")).to_have_text(["Camera user", "Camera environment"])
        for control in (front, rear, mirror, cameras, *tab.locator(".fer-live-bar button:visible").all()):
            assert control.evaluate("node => node.getBoundingClientRect().height") >= 44
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        rear.click()
        expect(rear).to_have_attribute("aria-pressed", "true")
        expect(front).to_have_attribute("aria-pressed", "false")
        expect(mirror).to_have_attribute("aria-pressed", "false")
        wait_for_the_left_half(tab, "red")
        expect(cameras).to_have_value("environment")
        mirror.click()
        expect(mirror).to_have_attribute("aria-pressed", "true")
        wait_for_the_left_half(tab, "blue")
        cameras.select_option("user")
        expect(front).to_have_attribute("aria-pressed", "true")
        assert tab.evaluate("asked") == ["user", "environment", {"exact": "user"}]
        tab.get_by_role("button", name="Pause").click()
        rear.click()
        expect(rear).to_have_attribute("aria-pressed", "true")
        expect(tab.locator(".fer-live-state")).to_contain_text("nothing is sent")


def pixels(page: Page, selector: str, click: str = "") -> NDArray[np.float32]:
    """A picture of the page at 16 x 12 px, RGB in [0, 255]; then a click on something else, before it can change."""
    shrink = """(image, click) => {
        const context = Object.assign(document.createElement('canvas'), {width: 16, height: 12}).getContext('2d');
        context.imageSmoothingQuality = 'high';  // looks at all pixels
        context.drawImage(image, 0, 0, 16, 12);
        const seen = [...context.getImageData(0, 0, 16, 12).data];
        if (click) document.querySelector(click).click();
        return seen;
    }"""
    return np.array(page.locator(selector).evaluate(shrink, click), np.float32).reshape(12, 16, 4)[..., :3]


@at_both_widths
def test_the_frame_shown_is_compared(page: Page) -> None:
    before: str | None = None
    start(page)
    for faces in ("=== 1", ">= 4"):
        page.wait_for_function(f"document.querySelectorAll('#live-view .fer-live-box').length {faces}")
        pause(page)
        frame_shown = pixels(page, PICTURE, click="#live-camera [data-do=compare]")
        expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
        page.wait_for_function(
            """before => {
            const image = document.querySelector('#compare-picture .fer-picture img');
            return image?.complete && image.src !== before;
        }""",
            arg=before,
        )
        compared = page.locator("#compare-picture .fer-picture img")
        assert compared.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [640, 480]
        difference = np.abs(pixels(page, "#compare-picture .fer-picture img") - frame_shown).mean()
        assert difference < 12, "the faces' boxes and JPEG's losses alone"
        before = compared.get_attribute("src")
        page.get_by_role("tab", name="Live").click()
        page.get_by_role("button", name="Resume").click()
    page.get_by_role("tab", name="Compare").click()
    forget_compared(page)


def forget_compared(page: Page) -> None:
    """Let go of the picture in Compare, which the server would keep for a while."""
    page.locator("#compare-clear").click()
    expect(page.locator("#compare-picture img")).to_have_count(0)


def test_a_page_that_begins_on_live_compares_a_frame(browser: Browser, served: Served) -> None:
    with browser.new_context() as context:
        tab = open_page(context, f"{served.url}?tab=live")
        start(tab)
        tab.get_by_role("button", name="Compare this frame").click()
        expect(tab.locator("#compare-picture img").first).to_be_visible()
        expect(tab.locator("#compare-image")).to_be_hidden()
        forget_compared(tab)


def test_a_recording_is_scrubbed_saved_as_a_table_and_discarded(page: Page, served: Served) -> None:
    before = set(served.pictures())  # frames that other tests compared
    start(page)
    page.get_by_role("button", name="Record").click()
    page.wait_for_function("document.querySelector('#live-view [data-recorded]')?.dataset.recorded >= 6")
    expect(page.locator(".fer-live-recorded")).to_contain_text("of 600 frames")
    page.get_by_role("button", name="Stop recording").click()
    slider, shown = page.get_by_role("slider", name="Recorded frame"), page.locator("#live-view [data-replayed]")
    slider.press("Home")
    expect(shown).to_have_attribute("data-replayed", "1")
    expect(page.locator(".fer-live-state")).to_contain_text("Nothing is sent")
    first = page.locator("#live-view img").get_attribute("src")
    slider.press("ArrowRight")
    slider.press("ArrowRight")
    expect(shown).to_have_attribute("data-replayed", "3")
    assert page.locator("#live-view img").get_attribute("src") != first
    page.get_by_role("button", name="Play the recording").click()
    expect(shown).to_have_attribute("data-replayed", str(slider.get_attribute("max")))
    expect(page.get_by_role("button", name="Play the recording")).to_be_visible()  # it has stopped at the last frame
    with page.expect_download() as saved:
        page.get_by_role("button", name="Last 30 s as CSV").click()
    rows = list(csv.DictReader(saved.value.path().read_text(encoding="utf-8-sig").splitlines()))
    assert {row["model"] for row in rows} == set(MODELS) and all(0 <= float(row["confidence"]) <= 1 for row in rows)
    assert set(served.pictures()) <= before, "a recorded frame lies on no disk"
    page.get_by_role("button", name="Discard the recording").click()
    expect(slider).to_be_hidden()
    wait_for_frames(page)
    assert page.locator("#live-view [data-recorded]").get_attribute("data-recorded") == "0"
    page.get_by_role("button", name="Stop camera").click()
    for tool in page.locator(".fer-live-tools button:visible").all():
        expect(tool).to_be_disabled()


@pytest.mark.parametrize("page", [390], indirect=True)
def test_an_expression_is_made_with_the_keyboard_alone(page: Page) -> None:
    start(page)
    for button in page.locator(".fer-live-tools button:visible").all():
        assert button.evaluate("node => node.getBoundingClientRect().height") >= 44
    page.get_by_role("button", name="Play: make this expression").press("Enter")
    game = page.locator("#live-panel .fer-game")
    expect(game).to_have_attribute("data-round", "1")
    expect(game.locator("li")).to_have_count(4)
    expect(page.get_by_role("button", name="Next expression")).to_be_focused()
    for number in range(2, 8):  # a target may go by itself, too
        page.keyboard.press("Enter")
        page.wait_for_function(
            """least => {
            const {round, target} = document.querySelector('#live-panel [data-round]').dataset;
            return Number(round) >= least || target === '';
        }""",
            arg=number,
        )
    if game.get_attribute("data-target"):
        page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Play again")).to_be_focused()
    page.get_by_role("button", name="End the game").press("Enter")
    expect(game).to_have_count(0)


def test_another_tab_of_the_page_pauses_the_camera(page: Page) -> None:
    start(page)
    wait_for_frames(page)
    page.get_by_role("tab", name="Compare").click()
    page.wait_for_function("document.querySelector('.fer-live-state').textContent.includes('not in view')")
    page.get_by_role("tab", name="Live").click()
    expect(page.locator(".fer-live-state")).to_contain_text("Live")
    wait_for_frames(page)


def test_a_closed_page_leaves_nothing(browser: Browser, served: Served) -> None:
    before = set(served.pictures())  # frames that other tests compared
    with browser.new_context() as context:
        tab = open_live(context, served.url)
        sent: list[int] = []
        tab.on("request", lambda request: sent.append(1) if "data:image" in (request.post_data or "") else None)
        start(tab)
        wait_for_frames(tab, 5)
        assert sent, "frames go as data of an event"
        assert set(served.pictures()) <= before, "no frame is on the disk while the camera runs"
        assert {mark.split()[0] for mark in served.held()} == {"ViewerSession"}, "the frame itself is nowhere"
    with browser.new_context() as context:
        waiting = context.new_page()
        for _ in range(120):
            if not served.held():
                break
            waiting.wait_for_timeout(500)
    assert served.held() == []
    assert set(served.pictures()) <= before


def test_a_camera_goes_on_when_the_server_has_forgotten_its_session(page: Page, served: Served) -> None:
    start(page)
    wait_for_frames(page)
    kept = [value for state in served.page.state_holder.session_data.values() for value in state.state_data.values()]
    sessions = [value for value in kept if isinstance(value, ViewerSession) and not value.ended]
    assert sessions
    for session in sessions:
        session.end()
    wait_for_frames(page, 3)
    expect(page.locator(".fer-live-state")).to_contain_text("Live")


def test_two_viewers_get_their_share(browser: Browser, served: Served) -> None:
    with browser.new_context() as one, browser.new_context() as other:
        pages = [open_live(context, served.url) for context in (one, other)]
        for tab in pages:
            start(tab)
        before = [frame(tab) for tab in pages]
        wait_for_frames(pages[0], 12)
        shares = [frame(tab) - first for tab, first in zip(pages, before, strict=True)]
    assert min(shares) * 3 >= max(shares) > 0


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("NotAllowedError", "does not let this page use the camera"),
        ("NotFoundError", "No camera was found"),
        ("NotReadableError", "another program may be using it"),
    ],
)
def test_a_camera_that_does_not_start_is_explained(browser: Browser, served: Served, error: str, words: str) -> None:
    refuse = f"navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', {json.dumps(error)}));"
    with browser.new_context() as context:
        context.add_init_script(refuse)
        tab = open_live(context, served.url)
        expect(tab.get_by_role("alert")).to_have_count(0)
        tab.get_by_role("button", name="Start camera").click()
        expect(tab.get_by_role("alert")).to_contain_text(words)
        expect(tab.get_by_role("alert")).to_contain_text("Compare tab")
        expect(tab.get_by_role("button", name="Start camera")).to_be_enabled()
        expect(tab.get_by_role("button", name="Stop camera")).to_be_hidden()
        expect(tab.locator(".fer-live-idle")).to_be_visible()


def test_plain_http_from_elsewhere_says_what_to_do(browser: Browser, served: Served) -> None:
    # As on a page from another machine over plain http: no mediaDevices, no secure context.
    strip = (
        "Object.defineProperty(Navigator.prototype, 'mediaDevices', {value: undefined});"
        "Object.defineProperty(window, 'isSecureContext', {value: false});"
    )
    with browser.new_context() as context:
        context.add_init_script(strip)
        tab = open_live(context, served.url)
        for words in ("plain http", "localhost", "ssh -L", "--share"):
            expect(tab.get_by_role("alert")).to_contain_text(words)
        expect(tab.locator("#live-view")).to_be_visible()
