"""The page's shell in headless Chromium: addresses, keys and focus, dropped and pasted pictures."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FloatRect, Page, Route, expect

from dashboard.leaderboard.sections import GROUPS
from fer_models.analyzer import Analyzer
from tests.browser.test_compare import page, photos
from tests.helpers.browsing import (
    ARGUMENTS,
    MARKS,
    Gate,
    address,
    at_both_widths,
    chromium,
    drop,
    gate,
    open_page,
    paste,
    transfer,
    uploads,
    watched_page,
)
from tests.helpers.serving import serving

__all__ = ["address", "gate", "page", "photos", "uploads"]

pytestmark = MARKS

TABS = ("Compare", "Attention", "Live", "Video", "Batch", "Leaderboard")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser with a camera."""
    with chromium(ARGUMENTS, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream") as running:
        yield running


def selected(page: Page, name: str) -> None:
    """Wait until a tab or section is open."""
    expect(page.get_by_role("tab", name=name, exact=True)).to_have_attribute("aria-selected", "true")


def upload(page: Page, photo: Path, tab: str = "compare") -> None:
    page.set_input_files(f"#{tab}-image input[type=file]", photo)


@at_both_widths
def test_the_address_follows_what_is_open_and_the_browser_goes_back_and_forward(page: Page, address: str) -> None:
    page.evaluate("window.mark = 1")
    assert page.url == address
    page.get_by_role("tab", name="Leaderboard").click()
    expect(page).to_have_url(f"{address}?tab=leaderboard")
    page.get_by_role("tab", name="Cost and cards").click()
    expect(page).to_have_url(f"{address}?tab=leaderboard&section=cost")
    page.get_by_role("tab", name="Batch").click()
    expect(page).to_have_url(f"{address}?tab=batch")
    page.go_back()
    selected(page, "Leaderboard")
    selected(page, "Cost and cards")
    page.go_back()
    selected(page, "Overview")
    expect(page).to_have_url(f"{address}?tab=leaderboard")
    page.go_back()
    selected(page, "Compare")
    assert page.url == address
    page.go_forward()
    page.go_forward()
    selected(page, "Cost and cards")
    page.go_forward()
    selected(page, "Batch")
    expect(page.locator("#batch-files")).to_be_visible()
    assert page.evaluate("window.mark") == 1  # the page was never loaded again


@pytest.mark.parametrize("tab", TABS)
def test_an_address_opens_its_tab(browser: Browser, address: str, tab: str) -> None:
    with watched_page(browser, f"{address}?tab={tab.lower()}&__theme=dark") as page:
        selected(page, tab)
        expect(page.locator(f"#tab-{tab.lower()}")).to_be_visible()
        expect(page).to_have_url(re.compile("__theme=dark"))


def test_an_address_opens_its_section(browser: Browser, address: str) -> None:
    with watched_page(browser, f"{address}?tab=leaderboard&section=confidence") as page:
        selected(page, "Leaderboard")
        selected(page, "Confidence")
        assert page.url.endswith("?tab=leaderboard&section=confidence")


def test_a_section_of_the_lab_opens_with_the_first_picture(
    browser: Browser, address: str, photos: dict[str, Path]
) -> None:
    with watched_page(browser, f"{address}?tab=attention&section=occlusion") as page:
        page.wait_for_selector("#attention-image input[type=file]", state="attached")
        upload(page, photos["two"], "attention")
        selected(page, "Occlusion")
        assert page.url.endswith("?tab=attention&section=occlusion")


def test_an_address_that_names_nothing_opens_the_first_tab(browser: Browser, address: str) -> None:
    with watched_page(browser, f"{address}?tab=nothing&section=none") as page:
        selected(page, "Compare")
        expect(page).not_to_have_url(re.compile("nothing"))


def test_addresses_and_links_work_below_a_path(browser: Browser, analyzer: Analyzer) -> None:
    def strip(route: Route) -> None:  # as a proxy does
        route.continue_(url=route.request.url.replace("/faces/", "/", 1))

    with (
        serving(analyzer, root_path="/faces") as running,
        browser.new_context(viewport={"width": 1440, "height": 900}) as context,
    ):
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        context.route("**/faces/**", strip)
        page = open_page(context, f"{running.url}faces/?tab=video")
        selected(page, "Video")
        page.get_by_role("tab", name="Batch").click()
        expect(page).to_have_url(f"{running.url}faces/?tab=batch")
        page.get_by_role("button", name="Copy link").click()
        expect(page.locator(".fer-notes")).to_contain_text("Link copied")
        assert page.evaluate("navigator.clipboard.readText()") == f"{running.url}faces/?tab=batch"


def test_the_api_is_described_and_asks_nothing_of_anybody_else(browser: Browser, address: str) -> None:
    with watched_page(browser, address) as page:
        page.get_by_role("link", name="API").click()
        expect(page.get_by_text("/compare").first).to_be_visible()
        expect(page).to_have_url(f"{address}?view=api")
    with watched_page(browser, f"{address}?view=api") as page:
        expect(page.get_by_text("/compare").first).to_be_visible()


def test_arrow_keys_move_between_tabs(page: Page) -> None:
    page.get_by_role("tab", name="Compare").focus()
    for key, name in (
        ("ArrowRight", "Attention"),
        ("End", "Leaderboard"),
        ("ArrowRight", "Compare"),
        ("End", "Leaderboard"),
        ("ArrowLeft", "Batch"),
        ("Home", "Compare"),
    ):
        page.keyboard.press(key)
        selected(page, name)
        expect(page.get_by_role("tab", name=name, exact=True)).to_be_focused()
    expect(page.locator(".fer-page-tabs > .tab-wrapper [role=tab][tabindex='0']")).to_have_count(1)


@pytest.mark.parametrize("page", [390], indirect=True)
def test_a_phone_shows_every_tab_and_section(page: Page, photos: dict[str, Path]) -> None:
    def boxes(tabs: str) -> list[FloatRect]:
        found = [tab.bounding_box() for tab in page.locator(f"{tabs} > .tab-wrapper [role=tab]").all()]
        return [box for box in found if box]

    page.get_by_role("tab", name="Attention").click()
    upload(page, photos["two"], "attention")
    expect(page.locator(".fer-lab-grid img").first).to_be_visible()
    sections = boxes("#attention-sections")
    page.get_by_role("tab", name="Leaderboard").click()
    selected(page, "Overview")
    board = boxes("#board-sections")
    tabs = boxes(".fer-page-tabs")
    assert (len(tabs), len(sections), len(board)) == (6, 7, len(GROUPS))
    for box in [*tabs, *sections, *board]:
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["height"] >= 44


@pytest.mark.parametrize("tab", ["compare", "attention"])
def test_a_picture_dropped_anywhere_is_analysed(
    browser: Browser, address: str, photos: dict[str, Path], tab: str
) -> None:
    with watched_page(browser, f"{address}?tab={tab}") as page:
        page.wait_for_selector(f"#{tab}-image input[type=file]", state="attached")
        faces = page.get_by_role("tabpanel").get_by_role("button", name=re.compile("^Face "))
        drop(page, "footer.fer-footer", ("two.png", photos["two"].read_bytes()))
        expect(faces).to_have_count(2)
        drop(page, f"#{tab}-picture", ("none.png", photos["none"].read_bytes()))  # on the results
        expect(page.get_by_role("alert")).to_contain_text("No face was found")
        expect(faces).to_have_count(0)
        paste(page, "body", ("pasted.png", photos["two"].read_bytes()))
        expect(faces).to_have_count(2)


def test_that_a_picture_is_being_sent_is_said_until_it_is_there(page: Page, photos: dict[str, Path]) -> None:
    def held(route: Route) -> None:
        expect(page.locator(".fer-notes")).to_contain_text("two.png")
        route.continue_()

    page.route("**/gradio_api/upload*", held)
    page.set_input_files("#compare-image input[type=file]", photos["two"])
    expect(page.locator(".fer-card")).to_have_count(6)
    expect(page.locator(".fer-notes")).to_be_empty(timeout=2000)  # it would go by itself after 8 s


def test_of_several_dropped_pictures_none_vanishes(page: Page, photos: dict[str, Path]) -> None:
    content = photos["two"].read_bytes()
    drop(page, "body", ("a.png", content), ("b.png", content), ("c.txt", b"text"))
    expect(page.locator(".fer-card")).to_have_count(6)
    note = page.locator(".fer-notes")
    for text in ("a.png", "b.png", "c.txt is not a picture"):
        expect(note).to_contain_text(text)
    note.get_by_role("button", name="Batch").click()
    selected(page, "Batch")
    for name in ("a", "b"):
        expect(page.locator("#batch-files")).to_contain_text(name)
    page.get_by_role("button", name="Analyse the pictures").click()
    expect(page.locator("#batch-gallery .fer-face")).to_have_count(4)


def test_what_is_no_picture_is_named_and_sent_nowhere(page: Page) -> None:
    drop(page, "body", ("a.txt", b"text"))
    expect(page.locator(".fer-notes")).to_contain_text("a.txt is not a picture. Use JPEG, PNG, WebP or HEIC.")
    page.set_input_files("#compare-image input[type=file]", {"name": "b.txt", "mimeType": "", "buffer": b"text"})
    expect(page.locator(".fer-notes")).to_contain_text("b.txt is not a picture")
    expect(page.locator("#compare-image")).to_be_visible()


def test_no_tab_lets_the_browser_open_a_dropped_file(page: Page) -> None:
    for name in TABS:
        page.get_by_role("tab", name=name).click()
        selected(page, name)
        prevented = page.evaluate(
            """data => ['dragover', 'drop'].map((kind) => !document.querySelector('footer.fer-footer').dispatchEvent(
              new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true})))""",
            transfer(page, [("a.txt", b"text")]),
        )
        assert prevented == [True, True], name


def test_a_picture_dropped_while_another_is_analysed_is_said_to_be_left_out(
    page: Page, photos: dict[str, Path], gate: Gate
) -> None:
    with gate.held():
        upload(page, photos["two"])
        expect(page.locator(".fer-busy")).to_be_visible()
        # Progress is announced from an element that was there before.
        expect(page.locator("[data-announced]")).to_contain_text("Detecting and classifying")
        drop(page, "body", ("late.png", photos["two"].read_bytes()))
        expect(page.locator(".fer-notes")).to_contain_text("late.png")
    expect(page.locator(".fer-card")).to_have_count(6)


def test_a_selfie_is_taken_with_the_camera(page: Page) -> None:
    page.get_by_role("button", name="Take a selfie").click()
    page.wait_for_function("document.querySelector('[data-zone] video').videoWidth > 0")
    expect(page.get_by_role("button", name="Take the photo")).to_be_focused()
    page.get_by_role("button", name="Take the photo").click()
    expect(page.locator(".fer-card")).to_have_count(6)
    assert page.evaluate("document.querySelector('[data-zone] video').srcObject") is None


def test_the_page_is_in_english_in_a_german_browser(browser: Browser, address: str) -> None:
    """Gradio's own words follow the browser, and so would the voice of a screen reader."""
    with browser.new_context(locale="de-DE") as context:
        page = open_page(context, f"{address}?tab=video")
        words = page.locator("#video-file [data-testid=upload-text]")
        expect(words).to_be_visible()
        assert page.evaluate("navigator.language") == "de-DE"
        assert page.evaluate("document.documentElement.lang") == "en"
        shown = "element => [getComputedStyle(element).fontSize, getComputedStyle(element, '::after').content]"
        size, text = words.evaluate(shown)
        assert size == "0px" and "Drop a video here" in text


# Keyboard and screen readers.


def focus(page: Page) -> str:
    """Which element has the focus, by its tag, id and classes; after a moment in which it may move on."""
    page.wait_for_timeout(500)
    name: str = page.evaluate("(({tagName, id, className}) => `${tagName} ${id} ${className}`)(document.activeElement)")
    return name


@at_both_widths
def test_the_focus_goes_where_the_answer_is(page: Page) -> None:
    page.locator("[data-example]").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#compare-results")).to_be_focused()
    page.get_by_role("button", name="Open in the attention lab").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#attention-grid")).to_be_focused()
    expect(page.locator("#attention-grid")).to_be_in_viewport()
    top = page.locator("#attention-grid").evaluate("element => element.getBoundingClientRect().top")
    assert 48 <= top < 600  # below the bar
    page.get_by_role("button", name="Try another picture").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#attention-image [data-do=choose]")).to_be_focused()
    assert "BODY" not in focus(page)


def test_the_lab_opens_at_its_maps(browser: Browser, address: str, photos: dict[str, Path]) -> None:
    with watched_page(browser, f"{address}?tab=attention&section=occlusion", 390) as page:
        page.wait_for_selector("#attention-image input[type=file]", state="attached")
        upload(page, photos["two"], "attention")
        selected(page, "Occlusion")
        page.get_by_role("tab", name="Compare").click()
        upload(page, photos["two"])
        page.get_by_role("button", name="Open in the attention lab").click()
        selected(page, "Maps")
        expect(page.locator("#attention-grid")).to_be_focused()


def test_the_first_key_skips_to_the_content(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#tab-compare")).to_be_focused()


def test_charts_are_named_and_chosen_and_focused_faces_differ(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["two"])
    chart = page.locator("#compare-chart .js-plotly-plot")
    expect(chart).to_have_attribute("role", "img")
    expect(chart).to_have_attribute("aria-label", re.compile("Probability.*VGG16"))
    chosen, other = (page.get_by_role("button", name=f"Face {number}") for number in (1, 2))
    other.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    looks = "face => [getComputedStyle(face).boxShadow, getComputedStyle(face).outlineStyle]"
    assert chosen.evaluate(looks) != other.evaluate(looks)
    assert other.evaluate(looks)[1] == "solid" and chosen.evaluate(looks)[1] == "none"


def test_the_spinner_turns_where_motion_is_reduced(page: Page, photos: dict[str, Path], gate: Gate) -> None:
    page.emulate_media(reduced_motion="reduce")
    with gate.held():
        upload(page, photos["two"])
        expect(page.locator(".fer-busy")).to_be_visible()
        look = """element => {
          const {animationName, animationDuration} = getComputedStyle(element, '::before');
          return [animationName, parseFloat(animationDuration)];
        }"""
        assert page.locator(".fer-busy").evaluate(look) == ["fer-turn", 4]


def test_axe_finds_nothing_serious(browser: Browser, address: str, photos: dict[str, Path]) -> None:
    """On the light page and, as only colours differ, their contrasts on the dark one."""
    found: list[str] = []
    # A "region" is moderate whatever is wrong with it.
    themes: dict[str, dict[str, Any]] = {
        "light": {"rules": {"region": {"enabled": False}}},
        "dark": {"runOnly": ["color-contrast"]},
    }

    def check(page: Page, where: str) -> None:
        if not page.evaluate("'axe' in window"):
            page.evaluate(Axe().axe_script)
        for theme, options in themes.items():
            page.evaluate("dark => document.body.classList.toggle('dark', dark)", theme == "dark")
            page.wait_for_timeout(400)  # colours fade
            results = page.evaluate("options => axe.run(options)", {"resultTypes": ["violations"], **options})
            for each in results["violations"]:
                if each["impact"] in ("serious", "critical"):
                    nodes = "; ".join(f"{node['target']}: {node['any'][:1]}"[:300] for node in each["nodes"][:4])
                    found.append(f"{where}, {theme}: {each['id']} ({len(each['nodes'])}): {nodes}")

    with watched_page(browser, f"{address}?__theme=light") as page:
        for name in TABS:
            page.get_by_role("tab", name=name).click()
            selected(page, name)
            check(page, name)
        page.get_by_role("tab", name="Compare").click()
        upload(page, photos["two"])
        expect(page.locator(".fer-card")).to_have_count(6)
        check(page, "Compare, answered")
        page.get_by_role("button", name="Open in the attention lab").click()
        expect(page.locator(".fer-lab-grid img").first).to_be_visible()
        for section in page.locator("#attention-sections > .tab-wrapper [role=tab]").all():
            section.click()
            check(page, f"Attention, {section.inner_text()}")
        for group in GROUPS:  # each alone: axe also goes through what is hidden
            page.goto(f"{address}?__theme=light&tab=leaderboard&section={group.key}")
            selected(page, group.title)
            expect(page.locator(f".board-{group.members[-1].key}").first).to_be_visible()
            check(page, f"Leaderboard, {group.title}")
    assert not found, "\n".join(found)
