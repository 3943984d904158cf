"""The Attention tab driven in headless Chromium."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from explain.methods import METHODS
from fer_models.expressions import EXPRESSIONS
from fer_models.registry import MODELS
from tests.browser.test_compare import page, photos
from tests.helpers.browsing import MARKS, Gate, address, at_both_widths, browser, gate, uploads

__all__ = ["address", "browser", "gate", "page", "photos", "uploads"]

pytestmark = MARKS


def upload(page: Page, photo: Path) -> None:
    page.get_by_role("tab", name="Attention").click()
    page.set_input_files("#attention-image input[type=file]", photo)


def grid(page: Page) -> list[str]:
    return [str(image.get_attribute("src")) for image in page.locator(".fer-lab-grid img").all()]


def section(page: Page, name: str) -> None:
    """Open a section; on a phone those that do not fit are in a menu."""
    expect(page.locator(".fer-lab-grid img")).to_have_count(28)
    tabs = page.locator("#attention-sections")
    tab = tabs.get_by_role("tab", name=name)
    if tab.first.is_visible():
        tab.first.click()
    else:
        tabs.locator(".overflow-menu > button").first.click()
        tabs.locator(".overflow-dropdown button", has_text=name).click()


def choose(page: Page, box: str, option: str) -> None:
    page.locator(f"{box} input").click()
    page.get_by_role("option", name=option).first.click()


@at_both_widths
def test_a_photo_gives_a_grid_with_one_scale_per_model(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["two"])
    expect(page.locator(".fer-lab-grid img")).to_have_count(28)
    heads = page.locator(".fer-lab-grid thead th").all_inner_texts()
    assert heads == [name.capitalize() for name in EXPRESSIONS]
    buttons = page.locator(".fer-lab-grid button").all()
    cells = [(button.get_attribute("data-model"), button.get_attribute("data-expression")) for button in buttons]
    assert cells == [(model, name) for model in MODELS for name in EXPRESSIONS]
    expect(page.locator(".fer-lab-grid td[data-answer]")).to_have_count(4)
    expect(page.locator("#attention-grid .fer-lab-legend")).to_contain_text("Strongest evidence of each model")
    peaks = [float(text.replace("\u2212", "-")) for text in page.locator(".fer-lab-peak b").all_inner_texts()]
    expect(page.locator("#attention-image")).to_be_hidden()

    each = grid(page)
    page.get_by_role("radio", name="One for all models").click()
    legend = page.locator("#attention-grid .fer-lab-legend")
    expect(legend).to_contain_text(f"Strongest evidence of any model ({max(peaks):.1f} logits)")
    strongest = peaks.index(max(peaks)) // 7
    same = [before == after for before, after in zip(each, grid(page), strict=True)]
    assert all(same[7 * strongest : 7 * strongest + 7]) and not all(same)
    shared = grid(page)
    page.get_by_role("radio", name="Magma").click()
    expect(page.locator(".fer-lab-grid img").first).not_to_have_attribute("src", shared[0])


def test_a_cell_is_enlarged_and_two_models_compared(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["two"])
    page.locator(".fer-lab-grid button[data-model=vgg16][data-expression=fear]").click()
    large = page.locator("[data-enlarged=vgg16-fear]")
    expect(large.locator("img")).to_have_count(2)
    expect(large.locator("img").first).to_be_in_viewport()  # the grid fills the window
    expect(large).to_contain_text("VGG16 gives fear a probability of")
    expect(page.locator(".fer-lab-grid button[aria-pressed=true]")).to_have_count(1)

    panel = page.locator("#attention-difference")
    expect(panel.locator("img")).to_have_count(3)
    before = panel.locator("img").nth(1).get_attribute("src")
    choose(page, "#attention-second", "VGG16")
    expect(panel).to_contain_text("VGG16 more")
    assert panel.locator("img").nth(1).get_attribute("src") != before
    choose(page, "#attention-first", "VGG16")
    expect(panel).to_contain_text("one and the same model")


def contrasts(page: Page) -> list[tuple[list[str], str, list[float]]]:
    """Of each model: the captions, the legend, and the mean of the map, the biases and the difference of logits."""
    found = []
    for panel in page.locator("[data-contrast]").all():
        numbers = [float(text.replace("\u2212", "-")) for text in panel.locator("dd").all_inner_texts()]
        captions = panel.locator("figcaption").all_inner_texts()
        found.append((captions, panel.locator(".fer-lab-legend").inner_text(), numbers))
    return found


@at_both_widths
def test_two_expressions_are_contrasted(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["two"])
    section(page, "Contrast")
    panels, between = page.locator("[data-contrast]"), page.locator("[data-contrast] figure:nth-child(2) figcaption")
    expect(panels).to_have_count(4)
    assert [panel.get_attribute("data-contrast") for panel in panels.all()] == list(MODELS)
    for _, _, (evidence, biases, logits) in contrasts(page):
        assert abs(evidence + biases - logits) < 0.02 and logits >= 0  # the first answer is the more probable one

    choose(page, "#attention-contrast-first", "Fear")
    choose(page, "#attention-contrast-second", "Anger")
    expect(between).to_have_text(["Fear rather than anger"] * 4)
    before = contrasts(page)
    for captions, legend, _ in before:
        assert captions == ["Evidence for fear", "Fear rather than anger", "Evidence for anger"]
        assert legend.index("for anger") < legend.index("for fear")  # blue on the left is for the second
    picture = panels.first.locator("img").nth(1).get_attribute("src")
    choose(page, "#attention-contrast-first", "Sadness")
    expect(between).to_have_text(["Sadness rather than anger"] * 4)
    after = contrasts(page)
    assert all("for sadness" in legend and "for fear" not in legend for _, legend, _ in after)
    assert all(old[2] != new[2] for old, new in zip(before, after, strict=True))
    assert panels.first.locator("img").nth(1).get_attribute("src") != picture
    choose(page, "#attention-contrast-second", "Sadness")
    expect(panels).to_have_count(0)
    expect(page.locator("#attention-contrast-results")).to_contain_text("two expressions")


def test_methods_are_made_for_all_models(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["two"])
    section(page, "Methods")
    page.get_by_role("button", name="Make the maps").click()
    cards = page.locator("#attention-methods-results .fer-card[data-model]")
    expect(cards).to_have_count(4)
    assert [card.get_attribute("data-model") for card in cards.all()] == list(MODELS)
    for card in cards.all():
        expect(card).to_contain_text("ms")
        assert card.locator("img").evaluate("image => image.naturalWidth") == 320
    first = cards.locator("img").first.get_attribute("src")
    choose(page, "#attention-method", "Layer-CAM")
    expect(page.locator("#attention-facts")).to_contain_text(METHODS["layercam"].idea)
    choose(page, "#attention-target", "Surprise")
    choose(page, "#attention-layer", "Stage 2")
    page.get_by_role("button", name="Make the maps").click()
    expect(cards.first).to_contain_text("Surprise")
    expect(cards).to_have_count(4)
    assert cards.locator("img").first.get_attribute("src") != first


def test_methods_are_a_grid_of_all_models(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["two"])
    section(page, "Methods")
    page.locator("#attention-matrix-start").click()
    quick = [facts for facts in METHODS.values() if facts.speed in ("at once", "fast")]
    expect(page.locator("#attention-matrix tbody tr")).to_have_count(len(quick))
    expect(page.locator("#attention-matrix img")).to_have_count(4 * len(quick))
    expect(page.locator("#attention-matrix-cancel")).to_be_hidden()
    page.locator("#attention-matrix-slow input").click()
    page.locator("#attention-matrix-start").click()
    page.locator("#attention-matrix-cancel").click()
    expect(page.locator("#attention-matrix-notice")).to_contain_text("Stopped.")
    expect(page.locator("#attention-matrix-start")).to_be_enabled()


def test_a_slow_method_shows_its_progress_and_can_be_cancelled(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["two"])
    section(page, "Methods")
    choose(page, "#attention-method", "Score-CAM")
    page.get_by_role("button", name="Make the maps").click()
    expect(page.locator("#attention-methods-notice .fer-busy")).to_contain_text("%")
    page.locator("#attention-cancel").click()
    expect(page.locator("#attention-methods-notice")).to_contain_text("Stopped.")
    expect(page.locator("#attention-cancel")).to_be_hidden()
    choose(page, "#attention-method", "Native")
    page.get_by_role("button", name="Make the maps").click()
    expect(page.locator("#attention-methods-results .fer-card[data-model]")).to_have_count(4)


@at_both_widths
def test_flip_consistency_is_two_numbers_per_model(page: Page, photos: dict[str, Path]) -> None:
    page.get_by_role("tab", name="Leaderboard").click()
    page.locator("#board-sections").get_by_role("tab", name="EAC").click()
    start, shown = page.locator("#attention-mirror-start"), page.locator("#attention-mirror-results")
    start.click()
    source = page.locator("#attention-mirror-source")
    expect(source).to_contain_text("An example")
    expect(shown.locator("img")).to_have_count(6 + 4 * 3)
    upload(page, photos["two"])
    expect(page.locator(".fer-lab-grid img")).to_have_count(28)
    expect(shown.locator("img")).to_have_count(0)  # what is shown of another face is forgotten
    page.get_by_role("tab", name="Leaderboard").click()
    start.click()
    expect(source).to_contain_text("you analysed")
    panels = page.locator("[data-mirror]")
    expect(panels).to_have_count(4)
    for panel in panels.all():
        expect(panel.locator("img")).to_have_count(3)
        correlation, loss = (float(text) for text in panel.locator("dd").all_inner_texts())
        assert -1 <= correlation <= 1 and loss > 0
    before = panels.locator("img").first.get_attribute("src")
    choose(page, "#attention-mirror-expression", "Disgust")
    expect(panels.locator("img").first).not_to_have_attribute("src", str(before))
    expect(source).to_contain_text("you analysed")


@at_both_widths
def test_a_face_is_handed_over_from_compare(page: Page, photos: dict[str, Path]) -> None:
    page.set_input_files("#compare-image input[type=file]", photos["two"])
    page.get_by_role("button", name="Face 2").click()
    expect(page.locator("#compare-verdict .fer-eyebrow")).to_have_text("Face 2 of 2")
    sentence = page.locator("#compare-verdict .fer-sentence").inner_text()
    page.get_by_role("button", name="Open in the attention lab").click()
    expect(page.locator(".fer-lab-grid img")).to_have_count(28)
    expect(page.locator("#attention-face .fer-eyebrow")).to_have_text("The face from the comparison")
    expect(page.locator("#attention-image")).to_be_hidden()
    expect(page.locator("#attention-face .fer-sentence")).to_have_text(sentence)
    expect(page.locator("#attention-picture")).to_be_hidden()


def test_another_face_another_picture_no_face_and_a_bad_file(page: Page, photos: dict[str, Path], gate: Gate) -> None:
    upload(page, photos["two"])
    expect(page.locator(".fer-lab-grid img")).to_have_count(28)
    first = grid(page)
    page.locator("#attention-picture").get_by_role("button", name="Face 2").click()
    expect(page.locator("#attention-face .fer-eyebrow")).to_have_text("Face 2 of 2")
    expect(page.locator(".fer-lab-grid img").first).not_to_have_attribute("src", first[0])
    page.locator("#attention-clear").click()
    expect(page.locator("#attention-image")).to_be_visible()
    expect(page.locator(".fer-lab-grid")).to_have_count(0)
    upload(page, photos["bad"])
    expect(page.locator("#attention-notice").get_by_role("alert")).to_contain_text("not a picture that can be read")
    upload(page, photos["none"])
    expect(page.locator("#attention-notice").get_by_role("alert")).to_contain_text("No face was found")
    page.locator("#attention-whole").click()
    expect(page.locator(".fer-lab-grid img")).to_have_count(28)
    expect(page.locator("#attention-face .fer-eyebrow")).to_have_text("The whole picture as one face")


@at_both_widths
def test_the_face_is_occluded_by_region_and_by_hand(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["two"])
    section(page, "Occlusion")
    picture = page.locator(".fer-brush img")
    bare = str(picture.get_attribute("src"))
    page.get_by_role("checkbox", name="Mouth").click()
    cards = page.locator("#attention-erase-results .fer-card")
    expect(cards).to_have_count(4)
    expect(cards.first).to_contain_text("Before:")
    expect(picture).not_to_have_attribute("src", bare)
    expect(page.locator("#attention-brush")).to_contain_text("Hidden: the mouth")
    by_name = str(cards.locator("img").first.get_attribute("src"))
    canvas = page.locator(".fer-brush canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.3, steps=8)
    page.mouse.up()
    expect(cards.locator("img").first).not_to_have_attribute("src", by_name)
    expect(page.locator("#attention-brush")).to_contain_text("the mouth and the painted part")
    # The picture changed under the strokes, which are still there.
    assert page.evaluate(
        "document.querySelector('.fer-brush canvas').getContext('2d').getImageData(0, 0, 28, 28).data.some(Boolean)"
    )
    page.locator("#attention-uncover").click()
    expect(cards).to_have_count(0)
    expect(page.get_by_role("checkbox", name="Mouth")).not_to_be_checked()
    expect(picture).to_have_attribute("src", bare)
    wiped = (
        "!document.querySelector('.fer-brush canvas').getContext('2d').getImageData(0, 0, 28, 28).data.some(Boolean)"
    )
    page.wait_for_function(wiped)

    page.locator("#attention-each").click()
    chart = page.locator("#attention-erase-chart .js-plotly-plot .bars .point path")
    expect(chart).to_have_count(4 * 5)
    page.locator("#attention-spots").click()
    expect(page.locator("#attention-sensitivity .fer-card img")).to_have_count(4)


def test_maps_are_put_to_the_test_and_go_into_the_report(page: Page, photos: dict[str, Path], tmp_path: Path) -> None:
    upload(page, photos["two"])
    section(page, "Faithfulness")
    page.locator("#attention-trust-start").click()
    expect(page.locator("[data-trust]")).to_have_count(4)
    for card in page.locator("[data-trust]").all():
        expect(card).to_contain_text("Random map")
        expect(card).to_contain_text("ROAD")
        expect(card.locator("[data-verdict]")).to_contain_text("Beats")
        expect(card.get_by_text("Deleting what the map marks")).to_be_hidden()
        card.locator("summary").click()
        expect(card.get_by_text("Deleting what the map marks")).to_be_visible()
    slider, panel = page.locator(".fer-scrub input").first, page.locator(".fer-scrub").first
    slider.evaluate("input => { input.value = 16; input.dispatchEvent(new Event('input', {bubbles: true})); }")
    expect(panel.locator("output")).to_contain_text("100")
    expect(panel.locator("img").last).to_be_visible()
    expect(panel.locator("img").first).to_be_hidden()
    expect(page.locator("#attention-trust-chart .scatterlayer .trace")).to_have_count(4 * 6)
    expect(page.locator("#attention-trust-cancel")).to_be_hidden()

    section(page, "Export")
    page.get_by_role("button", name="Create files").click()
    links = page.locator("#attention-export-files a")
    expect(links).to_have_count(2)
    saved = []
    for link in links.all():
        with page.expect_download() as download:
            link.click()
        saved.append(tmp_path / download.value.suggested_filename)
        download.value.save_as(saved[-1])
    report, maps = (path.read_text(encoding="utf-8") for path in saved)
    assert [path.name for path in saved] == ["attention-report.html", "attention-maps.json"]
    assert report.count("<polyline") == 4 * 6 and report.count("<img") == 1 + 28 + 4  # face, maps, contrasts
    assert "<script" not in report and "http" not in report
    assert list(json.loads(maps)["models"]) == list(MODELS)
    page.locator("#attention-without-face input").click()
    expect(links).to_have_count(0)
    page.get_by_role("button", name="Create files").click()
    with page.expect_download() as download:
        links.first.click()
    download.value.save_as(saved[0])
    assert saved[0].read_text(encoding="utf-8").count("<img") == 28 + 4
    assert download.value.suggested_filename == "attention-report-without-face.html"


@pytest.mark.parametrize("page", [390], indirect=True)
def test_maps_are_made_again_with_random_weights(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["two"])
    section(page, "Faithfulness")
    page.locator("#attention-randomise-start").click()
    cards = page.locator("[data-randomised]")
    expect(cards).to_have_count(4)
    for card, name in zip(cards.all(), MODELS, strict=True):
        expect(card).to_have_attribute("data-randomised", name)
        rows = card.locator(".fer-lab-cascade")
        expect(rows).to_have_count(2)
        expect(card.locator("[data-verdict]")).to_have_count(2)
        for row in rows.all():
            expect(row.locator("img")).to_have_count(6)  # as trained, the classifier, four stages
            assert row.locator("figcaption").last.inner_text().startswith("+ stage 1")
            figures = [float(text.replace("\u2212", "-")) for text in row.locator("b").all_inner_texts()]
            assert len(figures) == 5 and all(-1 <= figure <= 1 for figure in figures)
    expect(page.locator("#attention-randomise-cancel")).to_be_hidden()
    expect(page.locator("[data-trust]")).to_have_count(0)  # the other test is not started along
    page.locator("#attention-picture").get_by_role("button", name="Face 2").click()
    expect(cards).to_have_count(0)


@at_both_widths
def test_facial_regions_are_bars(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["two"])
    section(page, "Facial regions")
    bars = page.locator("#attention-regions-chart .js-plotly-plot .bars .point path")
    expect(bars).to_have_count(5 * 6)
    page.locator("#attention-regions-chart").hover()
    expect(page.locator("#attention-regions-chart .modebar")).to_be_hidden()  # it would lie over what is below
    area = page.locator("#attention-regions-chart .nsewdrag").first.bounding_box()
    assert area is not None and area["height"] > 100
    first = bars.nth(4)  # the bars run from below: the uniform map, then the models
    wide = first.get_attribute("d")
    page.locator("#attention-regions-expression").get_by_role("radio", name="Fear").click()
    expect(first).not_to_have_attribute("d", str(wide))
