"""The Leaderboard tab driven in headless Chromium."""

import csv
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from dashboard.leaderboard import tab as leaderboard
from dashboard.leaderboard.board import read_board
from dashboard.leaderboard.report.page import report
from dashboard.leaderboard.sections import GROUPS
from fer_models.analyzer import Analyzer
from fer_models.evaluation.timing import Progress, Timing
from fer_models.registry import MODELS
from tests.helpers.browsing import MARKS, at_both_widths, browser, launched, uploads, watched_page
from tests.helpers.leaderboard_files import write, write_files

__all__ = ["browser", "uploads"]

pytestmark = MARKS


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("board") / "weights")


@pytest.fixture(scope="module")
def address(analyzer: Analyzer, weights: Path, uploads: Path) -> Iterator[str]:
    with launched(analyzer, uploads, weights) as (url, _):
        yield url


@pytest.fixture
def page(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[Page]:
    """The opened tab, watched, 1440 px wide or as `at_both_widths` says."""
    with watched_page(browser, address, getattr(request, "param", 1440)) as tab:
        tab.get_by_role("tab", name="Leaderboard").click()
        expect(tab.locator(".board-overview .fer-ranking tbody tr")).to_have_count(len(MODELS) + 2)
        yield tab


def choose(page: Page, title: str) -> None:
    """A section, from the row of tabs or the menu of those that do not fit."""
    button = page.locator("#board-sections").get_by_role("tab", name=title, exact=True)
    if button.count() == 0 or not button.first.is_visible():
        page.locator("#board-sections .overflow-menu > button").click()
        button = page.locator("#board-sections .overflow-dropdown button", has_text=title)
    button.first.click()


@at_both_widths
def test_every_section_opens(page: Page) -> None:
    for group, section in [(each, section) for each in GROUPS for section in each.members]:
        choose(page, group.title)
        expect(page.locator("#board-labels")).to_be_visible(visible=group.key not in ("overview", "eac"))
        part = page.locator(f".board-{section.key}").first
        expect(part).to_be_visible()
        expect(part).not_to_contain_text("Reading the results")
        for chart in filter(None, section.charts):
            area = page.locator(f"#board-{chart} .js-plotly-plot .main-svg").first
            expect(area).to_be_visible()
            box = area.bounding_box()
            assert box is not None and box["height"] > 300 and box["width"] > 250
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@at_both_widths
def test_a_cell_of_the_confusion_matrix_is_read_out(page: Page, weights: Path) -> None:
    choose(page, "Accuracy")
    document = json.loads((weights / "results" / "leaderboard.json").read_text())
    figures = document["sets"]["fer2013_test"]["models"]["vgg16"]
    section = page.locator("#board-section-expressions")
    section.get_by_role("button", name="VGG16").click()
    panel = section.locator("[data-panel=vgg16]")
    expect(panel).to_be_visible()
    expect(section.locator("[data-panel=resnet50]")).to_be_hidden()
    fear, sadness = figures["labels"].index("fear"), figures["labels"].index("sadness")
    panel.locator(".fer-cell").nth(7 * fear + sadness).click()
    total, count = sum(figures["confusion"][fear]), figures["confusion"][fear][sadness]
    expect(panel.locator(".fer-says")).to_contain_text(
        f"Of {total} faces labelled fear, VGG16 predicts sadness for {count} ("
    )


def test_a_lowest_confidence_moves_figures_and_confusions_together(page: Page) -> None:
    choose(page, "Confidence")
    above = page.locator("#board-above")
    coverage = above.locator(".fer-table tbody tr").nth(1).locator("td").first
    cells = above.locator("[data-panel=vgg16] td")
    expect(coverage).to_have_text("100.0\u00a0%")
    above.get_by_role("button", name="VGG16").click()
    before = cells.all_inner_texts()
    page.locator("#board-least input[type=number]").fill("0.8")
    page.locator("#board-least input[type=number]").blur()
    expect(coverage).not_to_have_text("100.0\u00a0%")
    expect(above.locator("[data-panel=vgg16]")).to_be_visible()  # the chosen model stays
    assert cells.all_inner_texts() != before
    page.get_by_role("radio", name="FER+", exact=True).click()
    expect(coverage).to_have_text("100.0\u00a0%")
    expect(page.locator("#board-least input[type=number]")).to_have_value("0")


def test_another_label_set_shows_other_figures(page: Page, weights: Path) -> None:
    document = json.loads((weights / "results" / "leaderboard.json").read_text())["sets"]
    choose(page, "Accuracy")
    for title, name in (("FER2013", "fer2013_test"), ("FER+", "ferplus_test")):
        page.get_by_role("radio", name=title, exact=True).click()
        for model in MODELS:
            value = document[name]["models"][model]["accuracy"]["value"]
            expect(page.locator(".board-accuracy").last).to_contain_text(f"{100 * value:.1f}\u00a0%")
    expect(page.locator(".board-accuracy").last).to_contain_text("Barsoum et al., 2016")
    expect(page.locator("#board-accuracy .ytick")).to_have_count(7)


def test_charts_fill_their_width_after_another_label_set(page: Page) -> None:
    """They are drawn anew while their tab is hidden."""
    choose(page, "Confidence")
    page.get_by_role("radio", name="FER+", exact=True).click()
    expect(page.locator("#board-reliability")).to_contain_text("EAC (MobileNetV2)")
    for title, chart in (("Accuracy", "recall"), ("Cost and cards", "cost"), ("Confidence", "risk")):
        choose(page, title)
        drawn = f"document.querySelector('#board-{chart} .main-svg').getBoundingClientRect().width"
        room = f"document.querySelector('#board-{chart}').getBoundingClientRect().width"
        page.wait_for_function(f"{drawn} > 0.95 * {room} && {room} > 1000")


def test_the_overview_is_sorted_by_either_label_set(page: Page) -> None:
    def accuracies(column: int) -> list[float]:
        cells = page.locator(f".fer-ranking tbody tr > :nth-child({column}) b").all_inner_texts()
        return [float(text.split()[0]) for text in cells]

    assert accuracies(2) == sorted(accuracies(2), reverse=True)
    page.get_by_role("button", name="FER+", exact=True).click()
    assert accuracies(3) == sorted(accuracies(3), reverse=True) != sorted(accuracies(3))
    expect(page.locator(".fer-ranking th[aria-sort=ascending]")).to_contain_text("FER+")


def test_a_model_in_the_table_leads_to_its_card_which_has_an_address(page: Page) -> None:
    page.locator(".fer-ranking a", has_text="VGG16").click()
    card = page.locator("details[data-card=vgg16]")
    expect(card).to_have_attribute("open", "")
    expect(card.locator("summary")).to_be_focused()
    assert page.url.endswith("?tab=leaderboard&section=cost#card-vgg16")
    page.reload()
    expect(card).to_have_attribute("open", "")
    card.locator("summary").click()
    assert "#" not in page.url
    page.go_back()
    expect(page.locator(".fer-ranking")).to_be_visible()


def test_a_pair_is_read_where_it_is_pointed_at_or_focused(page: Page) -> None:
    choose(page, "Accuracy")
    cells, says = page.locator(".fer-pairs .fer-cell"), page.locator("[data-panel=pairs] .fer-says")
    expect(cells).to_have_count(12)
    cells.nth(0).hover()
    expect(says).to_have_text(str(cells.nth(0).get_attribute("data-says")))
    cells.nth(5).focus()
    expect(says).to_have_text(str(cells.nth(5).get_attribute("data-says")))


def test_charts_and_figures_can_be_saved(page: Page, tmp_path: Path) -> None:
    choose(page, "Accuracy")
    expect(page.locator("#board-recall .main-svg").first).to_be_visible()
    tools = page.locator(".board-expressions").first
    begins = {"png": b"\x89PNG", "svg": b"<svg"}
    for kind, begin in begins.items():
        with page.expect_download() as download:
            tools.locator(f"[data-save={kind}]").click()
        assert download.value.suggested_filename == f"expressions-fer2013.{kind}"
        download.value.save_as(tmp_path / kind)
        assert (tmp_path / kind).read_bytes().startswith(begin)
    with page.expect_download() as download:
        tools.get_by_role("link", name="Save the figures as CSV").click()
    download.value.save_as(tmp_path / "csv")
    assert download.value.suggested_filename == "expressions-fer2013.csv"
    with (tmp_path / "csv").open() as file:
        assert len(list(csv.DictReader(file))) == 35


def test_files_are_read_anew_when_the_tab_is_opened(page: Page, weights: Path) -> None:
    path = weights / "vgg16.json"
    before = path.read_text()
    try:
        write(path, {**json.loads(before), "sha256": "0" * 64})
        page.get_by_role("tab", name="Compare").click()
        page.get_by_role("tab", name="Leaderboard").click()
        expect(page.locator(".board-overview .fer-advice").first).to_contain_text("VGG16. Stale")
    finally:
        path.write_text(before)


def test_measuring_can_be_cancelled(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    def slow(*_: object, **__: object) -> Iterator[Progress]:
        yield Progress(0.25, {})
        assert gate.wait(120)
        yield Progress(1.0, {"vgg16": Timing(1, 1, 1)})

    monkeypatch.setattr(leaderboard, "time_models", slow)
    choose(page, "Cost and cards")
    try:
        page.locator("#board-measure").click()
        expect(page.locator("#board-measured .fer-busy")).to_contain_text("Measuring … 25 %")
        page.locator("#board-stop").click()
        expect(page.locator("#board-measure")).to_be_visible()
    finally:
        gate.set()
    page.wait_for_timeout(1500)
    expect(page.locator("#board-measured .fer-busy, #board-measured table")).to_have_count(0)


def test_a_measurement_that_fails_says_so(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> Iterator[Progress]:
        raise RuntimeError("secret")

    monkeypatch.setattr(leaderboard, "time_models", broken)
    choose(page, "Cost and cards")
    page.locator("#board-measure").click()
    expect(page.locator("#board-measured .fer-message")).to_contain_text("failed")
    expect(page.locator("#board-measured")).not_to_contain_text("secret")
    expect(page.locator("#board-measure")).to_be_visible()


def test_times_are_measured(page: Page) -> None:
    choose(page, "Cost and cards")
    button = page.locator("#board-measure")
    button.click()
    table = page.locator("#board-measured .fer-table tbody tr")
    expect(table).to_have_count(4, timeout=300_000)
    expect(button).to_be_visible()
    expect(table.first).to_contain_text("ms")


@pytest.mark.parametrize("width", [1440, 390])
def test_the_report_draws_alone(browser: Browser, weights: Path, tmp_path: Path, width: int) -> None:
    file = tmp_path / "report.html"
    file.write_text(report(read_board(weights)), encoding="utf-8")
    with watched_page(browser, file.as_uri(), width) as page:
        expect(page.locator(".js-plotly-plot .main-svg:first-child")).to_have_count(14)
        section = page.locator("#expressions-ferplus")
        section.get_by_role("button", name="VGG16").click()
        section.locator("[data-panel=vgg16] .fer-cell").first.click()
        expect(section.locator("[data-panel=vgg16] .fer-says")).to_contain_text("VGG16 predicts")
        with page.expect_download() as download:
            section.locator("[data-save=svg]").click()
        assert download.value.suggested_filename == "expressions-ferplus.svg"
