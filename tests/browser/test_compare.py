"""The Compare tab driven in headless Chromium."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from dashboard.compare import view
from fer_models.expressions import EXPRESSIONS
from fer_models.registry import MODELS, model_styles
from tests.helpers.browsing import MARKS, Gate, address, at_both_widths, browser, gate, uploads, watched_page

__all__ = ["address", "browser", "gate", "uploads"]

pytestmark = MARKS


@pytest.fixture
def page(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[Page]:
    """The fresh page, watched, 1440 px wide or as `at_both_widths` says."""
    with watched_page(browser, address, getattr(request, "param", 1440)) as tab:
        tab.wait_for_selector("#compare-image input[type=file]", state="attached")
        yield tab


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, picture: NDArray[np.uint8]) -> dict[str, Path]:
    """Two faces, none, and no picture at all, for the fake detector."""
    folder = tmp_path_factory.mktemp("photos")
    photos = {name: folder / f"{name}.png" for name in ("two", "none", "bad")}
    Image.fromarray(picture).save(photos["two"])
    Image.fromarray(picture[:, :90]).save(photos["none"])
    photos["bad"].write_bytes(b"no picture")
    return photos


def upload(page: Page, photo: Path) -> None:
    page.set_input_files("#compare-image input[type=file]", photo)


#: A model's column, not an ensemble's.
MODEL = ".fer-card:not([data-model^=ensemble])"


def maps(page: Page) -> list[str]:
    return [str(image.get_attribute("src")) for image in page.locator(f"{MODEL} .fer-map img").all()]


def captions(page: Page) -> list[str]:
    return page.locator(f"{MODEL} .fer-map figcaption").all_inner_texts()


def test_the_script_that_draws_charts_is_loaded_before_there_is_one(page: Page) -> None:
    page.wait_for_function("window.Plotly !== undefined")


@at_both_widths
def test_a_photo_gives_four_columns_and_a_chart(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["two"])
    expect(page.locator(".fer-card")).to_have_count(6)
    columns = page.locator(MODEL)
    assert [column.get_attribute("data-model") for column in columns.all()] == list(MODELS)
    for column in columns.all():
        expect(column).to_contain_text("Trained on")
        expect(column.locator(".fer-confidence")).to_contain_text("%")
        assert column.locator("img").evaluate("image => image.naturalWidth") == 320
    for name, title, members in (
        ("ensemble_fer2013", "Ensemble (FER2013)", "RESNET50, VGG16"),
        ("ensemble_ferplus", "Ensemble (FER+)", "EAC_RESNET50, EAC_MOBILENET_V2"),
    ):
        mean = page.locator(f".fer-card[data-model={name}]")
        expect(mean).to_contain_text(title)
        expect(mean.locator("dt", has_text="Mean of").locator("+ dd")).to_have_text(members)
        expect(mean.locator(".fer-confidence")).to_contain_text("%")
    # Four models and two means times seven expressions, drawn with a height, not just present.
    expect(page.locator(".js-plotly-plot .bars .point path")).to_have_count(42)
    area = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    assert area is not None and area["height"] > 150
    assert page.locator(".js-plotly-plot .xtick").all_text_contents() == [name.capitalize() for name in EXPRESSIONS]
    expect(page.locator(".fer-sentence")).to_contain_text("predict")
    expect(page.locator("#compare-image")).to_be_hidden()


def test_the_chart_has_the_dark_colours_on_the_dark_page(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["two"])
    expect(page.locator(".js-plotly-plot .bars .point path")).to_have_count(42)
    fills = "nodes => nodes.map(node => getComputedStyle(node).fill)"
    swatches = "nodes => nodes.map(node => getComputedStyle(node).backgroundColor)"
    # A solid bar is filled itself, the others by their patterns' ground.
    for dark in (False, True):
        page.evaluate("dark => document.body.classList.toggle('dark', dark)", dark)
        drawn = page.locator(".js-plotly-plot .barlayer .trace.bars .point path").evaluate_all(fills)
        drawn = [fill for fill in drawn if "url" not in fill]
        drawn += page.locator(".js-plotly-plot pattern rect").evaluate_all(fills)
        shown = page.locator("#compare-verdict .fer-answers .fer-swatch").evaluate_all(swatches)
        colours = {rgb(style.dark if dark else style.colour) for style in model_styles(MODELS).values()}
        assert colours < set(drawn) and set(drawn) == set(shown), (dark, drawn, shown)


def rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))})"


def test_the_spinner_shows_and_the_page_keeps_room_for_its_scroll_bar(page: Page) -> None:
    spinner = """() => {
      const busy = document.createElement('div');
      busy.className = 'fer-busy';
      document.querySelector('.html-container').append(busy);
      const {backgroundImage, borderTopWidth, width} = getComputedStyle(busy, '::before');
      busy.remove();
      return [backgroundImage.startsWith('conic-gradient') || borderTopWidth !== '0px', width];
    }"""
    assert page.evaluate(spinner) == [True, "22px"]
    assert page.evaluate("getComputedStyle(document.documentElement).scrollbarGutter") == "stable"


def test_another_expression_shows_other_maps(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["two"])
    expect(page.locator(".fer-card")).to_have_count(6)
    own = maps(page)
    labels = [label.lower() for label in page.locator(f"{MODEL} .fer-label").all_inner_texts()]
    assert all(f"Evidence for {label} (" in text for label, text in zip(labels, captions(page), strict=True))
    other = next(name for name in EXPRESSIONS if name not in labels)
    page.get_by_role("radio", name=other.capitalize()).click()
    expect(page.locator(".fer-map figcaption").first).to_contain_text(f"Evidence for {other}")
    assert all(f"Evidence for {other} (" in text for text in captions(page))
    assert all(before != after for before, after in zip(own, maps(page), strict=True))
    page.get_by_role("radio", name="Each model’s predicted class").click()
    expect(page.locator(".fer-map figcaption").first).to_contain_text(labels[0])
    assert maps(page) == own


@at_both_widths
def test_another_face_and_fewer_models_can_be_chosen(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["two"])
    expect(page.locator(".fer-card")).to_have_count(6)
    first = maps(page)
    expect(page.locator(".fer-eyebrow")).to_have_text("Face 1 of 2")
    page.get_by_role("button", name="Face 2").click()
    expect(page.locator(".fer-eyebrow")).to_have_text("Face 2 of 2")
    assert not set(first) & set(maps(page))
    assert page.get_by_role("button", name="Face 2").get_attribute("aria-pressed") == "true"
    page.locator(".fer-hit[data-face='0']").click()
    expect(page.locator(".fer-eyebrow")).to_have_text("Face 1 of 2")
    page.get_by_role("checkbox", name="VGG16").click()
    # Without it only one model that learned FER2013's labels is left, which is no mean.
    expect(page.locator(".fer-card")).to_have_count(4)
    expect(page.locator(".js-plotly-plot .bars .point path")).to_have_count(28)
    expect(page.locator(".fer-card[data-model=vgg16]")).to_have_count(0)
    expect(page.locator(".fer-card[data-model=ensemble_fer2013]")).to_have_count(0)
    page.get_by_role("checkbox", name="Ensemble (FER+)").click()
    expect(page.locator(".fer-card")).to_have_count(3)
    expect(page.locator(".js-plotly-plot .bars .point path")).to_have_count(21)


def test_clicks_before_the_last_answer_are_answered(
    page: Page, photos: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(page, photos["two"])
    expect(page.locator(".fer-card")).to_have_count(6)
    verdict = view.verdict

    def slow(*args: Any) -> view.Verdict:
        time.sleep(1)
        return verdict(*args)

    monkeypatch.setattr(view, "verdict", slow)
    for name in ("Face 2", "Face 1", "Face 2", "Face 1"):
        page.get_by_role("button", name=name).click()
        page.wait_for_timeout(100)
    expect(page.locator(".fer-eyebrow")).to_have_text("Face 2 of 2")
    expect(page.locator(".fer-eyebrow")).to_have_text("Face 1 of 2")
    page.get_by_role("button", name="Face 2").click()
    page.wait_for_timeout(100)
    page.get_by_role("button", name="Face 1").click()
    page.wait_for_timeout(3000)
    expect(page.locator(".fer-eyebrow")).to_have_text("Face 1 of 2")
    expect(page.get_by_role("button", name="Face 1")).to_have_attribute("aria-pressed", "true")
    for name in ("VGG16", "Ensemble (FER+)"):
        page.get_by_role("checkbox", name=name).click()
    expect(page.locator(".fer-card")).to_have_count(3)


@at_both_widths
def test_a_picture_without_a_face_can_be_read_whole(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["none"])
    expect(page.get_by_role("alert")).to_contain_text("No face was found")
    expect(page.locator(".fer-card")).to_have_count(0)
    page.get_by_role("button", name="Classify the whole picture as one face").click()
    expect(page.locator(".fer-card")).to_have_count(6)
    expect(page.locator(".fer-eyebrow")).to_have_text("The whole picture as one face")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_clear_forgets_everything(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["two"])
    expect(page.locator(".fer-card")).to_have_count(6)
    page.get_by_role("radio", name="Fear").click()
    expect(page.locator(".fer-map figcaption").first).to_contain_text("fear")
    page.get_by_role("button", name="Try another picture").click()
    expect(page.locator("#compare-image")).to_be_visible()
    expect(page.locator(".fer-card")).to_have_count(0)
    expect(page.locator("#compare-picture img")).to_have_count(0)
    upload(page, photos["two"])
    expect(page.locator(".fer-card")).to_have_count(6)
    expect(page.get_by_role("radio", name="Each model’s predicted class")).to_be_checked()


def test_a_bad_file_is_explained_and_the_next_one_read(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["bad"])
    expect(page.get_by_role("alert")).to_contain_text("not a picture that can be read")
    expect(page.locator("#compare-image")).to_be_visible()
    upload(page, photos["two"])
    expect(page.locator(".fer-card")).to_have_count(6)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_reading_can_be_cancelled(page: Page, photos: dict[str, Path], gate: Gate) -> None:
    with gate.held():
        upload(page, photos["two"])
        expect(page.locator(".fer-busy")).to_contain_text("Detecting and classifying")
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#compare-image")).to_be_visible()
    page.wait_for_timeout(1500)
    expect(page.locator(".fer-card")).to_have_count(0)
    expect(page.locator("#compare-image")).to_be_visible()


def test_an_example_can_be_tried(page: Page) -> None:
    page.locator("[data-example]").first.click()
    expect(page.locator(".fer-card")).to_have_count(6)
