"""A whole visit in a browser: nothing is asked of anybody else, and nothing that was sent runs as code."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, expect

from dashboard.server.accounts import hash_password
from fer_models.analyzer import Analyzer, load_analyzer
from fer_models.models.card import read_card, write_card
from tests.browser.test_compare import upload
from tests.helpers.browsing import MARKS, browser, open_page, watched_page
from tests.helpers.serving import serving

__all__ = ["browser"]

pytestmark = MARKS

#: What would run if it were not escaped.
EVIL = "<img src=x onerror=window.ran=1>"


@pytest.fixture(scope="module")
def evil(weights_dir: Path, fake_detector: Any, tmp_path_factory: pytest.TempPathFactory) -> Analyzer:
    """Models whose cards hold markup wherever people read them."""
    folder = tmp_path_factory.mktemp("weights")
    for name in ("vgg16", "resnet50"):
        shutil.copy(weights_dir / f"{name}.safetensors", folder)
        card = read_card(weights_dir / f"{name}.json")
        words: dict[str, Any] = {
            "title": EVIL + name,
            "training_labels": EVIL,
            "training_data": EVIL,
            "weaknesses": EVIL,
        }
        labels = tuple(EVIL if label == "anger" else label for label in card.labels)
        write_card(dataclasses.replace(card, **words, labels=labels), folder / f"{name}.json")
    return load_analyzer(weights=folder, device="cpu", detector=fake_detector)


def test_a_visit_asks_nothing_of_anybody_else(
    browser: Browser, analyzer: Analyzer, picture: NDArray[np.uint8], tmp_path: Path
) -> None:
    Image.fromarray(picture).save(tmp_path / "two.png")
    with serving(analyzer) as running, watched_page(browser, running.url) as page:
        page.wait_for_selector("#compare-image input[type=file]", state="attached")
        upload(page, tmp_path / "two.png")
        expect(page.locator(".fer-card")).to_have_count(6)
        expect(page.locator(".js-plotly-plot .bars .point path").first).to_be_visible()
        page.get_by_role("radio", name="Fear").click()
        expect(page.locator(".fer-map figcaption").first).to_contain_text("fear")
        page.locator(".fer-hit[data-face='1']").click()
        page.get_by_role("button", name="Try another picture").click()
        page.locator("[data-example]").first.click()
        expect(page.locator(".fer-eyebrow")).to_contain_text("Face 1 of")
        kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert "image" not in kept and "two.png" not in kept


def test_markup_in_names_and_labels_is_shown_and_never_run(
    browser: Browser, evil: Analyzer, picture: NDArray[np.uint8], tmp_path: Path
) -> None:
    photo, bad = tmp_path / f"{EVIL.replace('/', '')}.png", tmp_path / f"<b>{EVIL.replace('/', '')}.jpg"
    Image.fromarray(picture).save(photo)
    bad.write_bytes(b"no picture")
    with serving(evil) as running, watched_page(browser, running.url) as page:
        page.wait_for_selector("#compare-image input[type=file]", state="attached")
        upload(page, bad)
        expect(page.get_by_role("alert")).to_contain_text("not a picture")
        upload(page, photo)
        expect(page.locator(".fer-card")).to_have_count(3)
        expect(page.locator(".fer-card").first).to_contain_text("<img src=x")
        # The second bar: no model has the first expression under its own name.
        bar = page.locator(".js-plotly-plot .bars .point path").nth(1)
        expect(bar).to_be_visible()
        bar.hover(force=True)
        expect(page.locator(".js-plotly-plot .hoverlayer .legend")).to_be_visible()
        assert page.evaluate("window.ran") is None
        assert page.locator("img[src=x]").count() == 0


def test_a_password_is_asked_for_and_too_many_requests_are_told(
    browser: Browser, analyzer: Analyzer, picture: NDArray[np.uint8], tmp_path: Path
) -> None:
    Image.fromarray(picture).save(tmp_path / "two.png")
    with (
        serving(analyzer, accounts={"anna": hash_password("secret")}, rate_limit=4) as running,
        browser.new_context(viewport={"width": 1440, "height": 900}) as context,
    ):
        page = open_page(context, running.url)
        page.locator("input[type=password]").wait_for()
        assert page.locator("#compare-image").count() == 0
        page.locator("input").first.fill("anna")
        page.locator("input[type=password]").fill("secret")
        page.get_by_role("button", name="Login").click()
        page.wait_for_selector("#compare-image input[type=file]", state="attached")
        upload(page, tmp_path / "two.png")
        expect(page.locator(".fer-card")).to_have_count(6)
        for name in ("Fear", "Anger"):
            page.get_by_role("radio", name=name).click()
            page.wait_for_timeout(300)
        expect(page.get_by_text("Too many requests").first).to_be_visible()
