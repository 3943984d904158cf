"""What Compare shows of a face, in headless Chromium: above the fold, its maps, its files, on a projector."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from dashboard.compare.view import VERSION
from dashboard.components.analyzed_image import AnalyzedFace
from fer_models.registry import MODELS
from tests.browser.test_compare import page, photos, upload
from tests.helpers.browsing import MARKS, address, at_both_widths, browser, drop, gate, paste, uploads

__all__ = ["address", "browser", "gate", "page", "photos", "uploads"]

pytestmark = MARKS


def bottom(page: Page, selector: str) -> float:
    """The lower edge of the lowest such element in px of the window."""
    edges = "nodes => Math.max(...nodes.map((node) => node.getBoundingClientRect().bottom))"
    return float(page.locator(selector).evaluate_all(edges))


def test_the_answers_are_above_the_fold(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["two"])
    expect(page.locator("#compare-verdict [data-answer-of]")).to_have_count(6)
    page.wait_for_selector(".js-plotly-plot .bars .point path")
    assert page.evaluate("[scrollY, innerHeight]") == [0, 900]
    for part in (
        ".fer-sentence",
        "[data-answer-of]",
        ".fer-picture img",
        "#compare-picture .fer-thumb",
        "#compare-lab",
    ):
        assert 0 < bottom(page, part) <= 900, part
    picture, report, chart = (
        page.locator(part).bounding_box() for part in ("#compare-picture", "#compare-report", "#compare-chart")
    )
    assert picture and report and chart
    assert picture["x"] + picture["width"] <= report["x"] and chart["y"] > report["y"] + report["height"] - 1


@at_both_widths
def test_each_model_has_a_row_that_leads_to_its_map(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["two"])
    rows = page.locator("#compare-verdict [data-answer-of]")
    expect(rows).to_have_count(6)
    groups = page.locator("#compare-verdict .fer-answers-group")
    assert [text.strip() for text in groups.all_inner_texts()] == ["Trained on FER2013", "Trained on FER+"]
    for name in MODELS:
        row, column = page.locator(f"[data-answer-of={name}]"), page.locator(f".fer-card[data-model={name}]")
        for part, same in ((".fer-answers-label", ".fer-label"), (".fer-answers-percent", ".fer-confidence")):
            assert row.locator(part).inner_text() == column.locator(same).inner_text()
        expect(row.locator(".fer-answers-margin")).to_contain_text("over")
        row.locator("[data-goto]").click()
        expect(column).to_have_attribute("data-found", "")
        expect(column.locator(".fer-map img")).to_be_in_viewport()
    expect(page.locator("[data-answer-of^=ensemble] [data-goto]")).to_have_count(0)


@pytest.mark.parametrize("page", [1280, 1024, 720], indirect=True)
def test_no_column_of_the_answers_is_cut_off(page: Page, photos: dict[str, Path]) -> None:
    """On tablets, and on laptops at 200 %."""
    upload(page, photos["two"])
    panel, rows = page.locator("#compare-report"), page.locator("#compare-verdict [data-answer-of]")
    expect(rows).to_have_count(6)
    room = panel.bounding_box()
    assert room
    for row in rows.all():
        for cell in row.locator("th, td").all():
            box = cell.bounding_box()
            assert box and box["x"] + box["width"] <= room["x"] + room["width"], cell.inner_text()
        bar = row.locator(".fer-bar").bounding_box()
        assert bar and bar["width"] > 30


@at_both_widths
def test_captions_are_below_their_maps(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["two"])
    figures = page.locator("#compare-columns .fer-map")
    expect(figures).to_have_count(4)
    for figure in figures.all():
        image, caption = (figure.locator(part).bounding_box() for part in ("img", "figcaption"))
        assert image and caption and caption["y"] >= image["y"] + image["height"] and caption["height"] > 0
    mean = page.locator("#compare-columns [data-model=ensemble_fer2013]")
    expect(mean).to_contain_text("No map: the ensemble averages")
    expect(mean.locator("img")).to_have_count(0)


def test_faces_can_be_sorted_by_disagreement_or_number(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The fake detector sees twelve faces; the models disagree about every other one.
    monkeypatch.setattr(AnalyzedFace, "votes", property(lambda face: (4 if face.face.box[0] % 200 else 2, 4)))
    Image.fromarray(np.full((100, 1200, 3), 90, np.uint8)).save(tmp_path / "crowd.png")
    upload(page, tmp_path / "crowd.png")
    thumbs = page.locator("#compare-picture .fer-thumb")
    expect(thumbs).to_have_count(12)

    def order() -> list[tuple[bool, int]]:
        read = "nodes => nodes.map(({dataset}) => [dataset.differs === undefined, Number(dataset.face)])"
        return [(agreed, number) for agreed, number in thumbs.evaluate_all(read)]

    first = order()
    assert first == [(False, 2 * number) for number in range(6)] + [(True, 2 * number + 1) for number in range(6)]
    control = page.get_by_label("Show faces the models disagree on first")
    expect(control).to_be_checked()
    control.uncheck()
    assert [number for _, number in order()] == list(range(12))
    control.check()
    assert order() == first


def test_present_shows_photo_verdict_and_maps_on_one_screen_until_escape(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["two"])
    page.wait_for_selector(".js-plotly-plot .bars .point path")
    size = "node => parseFloat(getComputedStyle(node).fontSize)"
    sentence = page.locator("#compare-verdict .fer-sentence")
    before = sentence.evaluate(size)
    page.locator("#compare-present").click()
    expect(page.locator("#compare-chart")).to_be_hidden()
    assert sentence.evaluate(size) > 1.5 * before
    for part in (".fer-picture img", ".fer-sentence", *(f".fer-card[data-model={name}] .fer-label" for name in MODELS)):
        assert 0 < bottom(page, part) <= 900, part
    assert page.evaluate("document.documentElement.scrollHeight") <= 900
    # Left or right of the first face, wherever disagreement put it, is the second.
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowRight")
    order = page.locator("#compare-picture .fer-thumb").evaluate_all("nodes => nodes.map((node) => node.dataset.face)")
    expect(page.locator("#compare-verdict .fer-eyebrow")).to_have_text(f"Face {int(order[-1]) + 1} of 2")
    page.keyboard.press("Escape")
    expect(page.locator("#compare-chart")).to_be_visible()
    assert sentence.evaluate(size) == before
    page.locator("#compare-present").click()
    page.get_by_role("button", name="Leave").click()
    expect(page.locator("#compare-chart")).to_be_visible()


def saved(page: Page, button: str) -> tuple[str, bytes]:
    """What a click on a button saves: the file's name and content."""
    with page.expect_download() as download:
        page.locator(button).click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_every_download_is_a_file_of_its_kind(page: Page, photos: dict[str, Path], uploads: Path) -> None:
    upload(page, photos["two"])
    page.wait_for_selector(".js-plotly-plot .bars .point path")
    assert not list(uploads.rglob("*-report.html"))  # made only when asked for
    name, content = saved(page, "#compare-keep-picture")
    assert name == "two-annotated.png" and Image.open(io.BytesIO(content)).format == "PNG"
    name, content = saved(page, "#compare-keep-chart")
    assert name == "two-chart.pdf" and content.startswith(b"%PDF") and b"/Count 1" in content
    name, content = saved(page, "#compare-keep-csv")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert name == "two-probabilities.csv" and len(rows) == 12 and {row["face"] for row in rows} == {"1", "2"}
    assert all(float(row["p_fear"]) <= float(row["confidence"]) for row in rows)
    name, content = saved(page, "#compare-keep-latex")
    assert name == "two-probabilities.tex" and rb"\toprule" in content and content.count(b" \\\\\n") == 13
    name, content = saved(page, "#compare-keep-json")
    assert (
        name == "two-faces.json"
        and [list(face["models"]) for face in json.loads(content)["faces"]] == [list(MODELS)] * 2
    )
    name, content = saved(page, "#compare-keep-report")
    assert name == "two-report.html" and content.startswith(b"<!doctype html>") and content.count(b"<section>") == 2
    name, content = saved(page, "#compare-probabilities [data-save=png]")
    assert name == "probabilities.png" and Image.open(io.BytesIO(content)).width == 1920
    name, content = saved(page, "#compare-probabilities [data-save=svg]")
    svg = content.decode()
    assert name == "probabilities.svg" and svg.startswith("<svg")
    for text in ("face 1 of 2 in two.png", VERSION, "RESNET50", "Ensemble (FER+)", "Probability (%)"):
        assert text in svg


def test_the_report_opens_alone_without_a_network(
    page: Page, photos: dict[str, Path], browser: Browser, tmp_path: Path
) -> None:
    upload(page, photos["two"])
    expect(page.locator(".fer-card")).to_have_count(6)
    (tmp_path / "report.html").write_bytes(saved(page, "#compare-keep-report")[1])
    with browser.new_context(offline=True, viewport={"width": 390, "height": 800}) as context:
        report = context.new_page()
        report.goto((tmp_path / "report.html").as_uri())
        widths = report.locator("img").evaluate_all("nodes => nodes.map((node) => node.naturalWidth)")
        assert len(widths) == 11 and min(widths) > 0
        assert report.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_face_leads_to_the_lab_and_to_its_flip_consistency(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["two"])
    page.locator("#compare-picture .fer-thumb[data-face='1']").click()
    expect(page.locator("#compare-verdict .fer-eyebrow")).to_have_text("Face 2 of 2")
    face = page.locator("#compare-verdict .fer-verdict img").get_attribute("src")
    page.locator("#compare-flips").click()
    page.locator("#attention-mirror-start").click()
    expect(page.locator("#attention-mirror-source")).to_contain_text("The face you analysed in Attention")
    expect(page.locator("#board-section-noise")).not_to_contain_text("Reading")  # the page about EAC is all there
    page.get_by_role("tab", name="Compare").click()
    page.locator("#compare-lab").click()
    expect(page.locator("#attention-face")).to_be_visible()
    assert page.locator("#attention-face img").get_attribute("src") == face
    page.get_by_role("tab", name="Leaderboard").click()
    expect(page.locator("#attention-mirror-results")).to_be_empty()  # the lab was given a face anew


@at_both_widths
def test_what_if_follows_change_strength_and_face(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["two"])
    expect(page.locator("#compare-columns .fer-card")).to_have_count(6)
    bench = page.locator("#compare-what-if")
    expect(bench.locator("article")).to_have_count(0)  # nothing is computed before it is opened
    bench.locator("button").first.click()
    step = bench.locator(".fer-what-if-step")
    expect(step).to_have_attribute("data-strength", "as it is")
    expect(step.locator("article")).to_have_count(4)
    expect(bench.locator(".fer-what-if-answers li")).to_have_count(4)
    expect(bench.locator(".scatterlayer .trace")).to_have_count(4)
    face = step.locator(".fer-what-if-face img")
    unchanged = str(face.get_attribute("src"))
    strength = bench.locator("#compare-what-if-strength input[type=number]")
    strength.fill("6")
    strength.press("Tab")
    expect(step).to_have_attribute("data-strength", "6\u00a0% of the face’s width")
    expect(face).not_to_have_attribute("src", unchanged)
    bench.get_by_text("Mirror", exact=True).click()
    expect(bench.locator(".xtitle")).to_contain_text("Mirror")
    expect(face).to_have_attribute("src", unchanged)
    page.locator("#compare-picture .fer-thumb[data-face='1']").click()
    expect(face).not_to_have_attribute("src", unchanged)
    expect(step.locator("article")).to_have_count(4)
    with page.expect_download() as download:
        bench.locator("[data-save=svg]").click()
    drawn = Path(download.value.path()).read_text()
    assert "Mirror: each model" in drawn and VERSION in drawn


@at_both_widths
def test_a_second_face_stands_beside_the_first_and_a_morph_leads_to_it(
    page: Page, photos: dict[str, Path], tmp_path: Path
) -> None:
    upload(page, photos["two"])
    expect(page.locator("#compare-columns .fer-card")).to_have_count(6)
    bench = page.locator("#compare-second")
    bench.locator("button").first.click()
    expect(bench.locator("img")).to_have_count(0)
    page.locator("#compare-second-other").click()
    captions = bench.locator(".fer-pair figcaption")
    expect(captions).to_have_text(["First: face 1 of 2 in two.png", "Second: face 2 of 2 in two.png"])
    expect(bench.locator(".fer-pair tbody tr")).to_have_count(6)
    expect(bench.locator(".scatterlayer .trace")).to_have_count(4)
    expect(page.locator("#compare-second-faces [aria-pressed=true]")).to_have_attribute("data-face", "1")
    step = bench.locator(".fer-what-if-step")
    expect(step).to_have_attribute("data-strength", "as it is")
    strength = bench.locator("#compare-morph-strength input[type=number]")
    strength.fill("100")
    strength.press("Tab")
    expect(step).to_have_attribute("data-strength", "the second face")
    answers = bench.locator(".fer-pair tbody tr td:nth-child(3) b").all_inner_texts()
    assert step.locator(".fer-label").all_inner_texts() == answers[:4]

    with Image.open(photos["two"]) as picture:
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "mirrored.png")
    page.set_input_files("#compare-second input[type=file]", tmp_path / "mirrored.png")
    expect(captions.last).to_have_text("Second: face 1 of 2 in mirrored.png")
    page.locator("#compare-second-faces .fer-thumb[data-face='1']").click()
    expect(captions.last).to_have_text("Second: face 2 of 2 in mirrored.png")
    page.locator("#compare-picture .fer-thumb[data-face='1']").click()
    expect(captions.first).to_have_text("First: face 2 of 2 in two.png")
    expect(step.locator("article")).to_have_count(4)
    upload(page, photos["two"])
    expect(page.locator("#compare-columns .fer-card")).to_have_count(6)
    expect(bench.locator("img")).to_have_count(0)


def test_a_picture_dropped_or_pasted_on_the_second_part_is_the_second(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["two"])
    expect(page.locator("#compare-columns .fer-card")).to_have_count(6)
    two = photos["two"].read_bytes()
    page.locator("#compare-second button").first.click()
    expect(page.locator("#compare-second-upload")).to_be_visible()
    captions = page.locator("#compare-second .fer-pair figcaption")
    drop(page, "#compare-second-example", ("dropped.png", two))
    expect(captions).to_have_text(["First: face 1 of 2 in two.png", "Second: face 1 of 2 in dropped.png"])
    expect(page.locator("#compare-second .fer-what-if-step article")).to_have_count(4)
    paste(page, "#compare-second-upload", ("pasted.png", two))
    expect(captions).to_have_text(["First: face 1 of 2 in two.png", "Second: face 1 of 2 in pasted.png"])
    expect(page.locator("#compare-second .fer-what-if-step article")).to_have_count(4)
    drop(page, "#compare-second-pair", ("text.txt", b"text"))
    expect(page.locator(".fer-notes")).to_contain_text("text.txt is not a picture")
    # Anywhere else it is a first picture, which ends the comparison.
    drop(page, "#compare-columns", ("first.png", two))
    expect(page.locator("#compare-second .fer-pair")).to_have_count(0)
    expect(page.locator("#compare-columns .fer-card")).to_have_count(6)
