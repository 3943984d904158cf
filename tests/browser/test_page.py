"""The page's shell in headless Chromium: addresses, keys and focus, dropped and pasted pictures."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FloatRect, Page, Route, expect

from dashboard.leaderboard.sections import GROUPS
from fer_models.analyzer import Analyzer
from tests.browser.test_compare import address, gate, page, photos
from tests.helpers.browsing import MARKS, at_both_widths, browser, open_page, uploads, watched_page
from tests.helpers.serving import serving

__all__ = ["address", "browser", "gate", "page", "photos", "uploads"]

pytestmark = MARKS

TABS = ("Compare", "Attention", "Live", "Video", "Batch", "Leaderboard")


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
