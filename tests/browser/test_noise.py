"""The label noise section of Compare, and the attention lab's results on the test set, in headless Chromium."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from dashboard.attention.test_set import FILE
from explain.regions import REGIONS
from fer_models.analyzer import Analyzer
from fer_models.models.card import ModelCard, read_card
from tests.browser.test_compare import page, photos, upload
from tests.helpers.browsing import MARKS, at_both_widths, browser, launched, uploads
from tests.unit.dashboard.test_attention_test_set import model, spot

__all__ = ["browser", "page", "photos", "uploads"]

pytestmark = MARKS


@pytest.fixture(scope="module")
def address(
    analyzer: Analyzer,
    weights_dir: Path,
    uploads: Path,
    tmp_path_factory: pytest.TempPathFactory,
    write_model: Callable[..., ModelCard],
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("weights_with_noise")
    for path in weights_dir.glob("*.json"):
        shutil.copy(path, folder)
    (folder / "noise").mkdir()
    for seed, name in enumerate(("plain_0_0", "eac_0_0", "plain_30_0", "eac_30_0")):
        write_model(folder / "noise", f"noise_{name}", seed=seed)
    models = {
        "vgg16": model("VGG16", 0.3, spot(6, 6, 1)) | {"sha256": read_card(folder / "vgg16.json").sha256},
        "plain_resnet50": model("Plain ResNet-50", 0.2, spot(0, 0, 4)) | {"baseline": True},
    }
    for one in models.values():
        areas = one["faithfulness"]["deletion"]
        one["faithfulness"]["deletion"] = areas | {"gain_over_random": areas["map"], "gain_over_blob": areas["map"]}
    document = {"labels": "ferplus", "split": "test", "faces": 9, "areas": dict.fromkeys(REGIONS, 1 / 6)}
    (folder / "results").mkdir()
    (folder / "results" / FILE).write_text(json.dumps(document | {"mean_faces": {}, "models": models}))
    with launched(analyzer, uploads, folder) as (url, _):
        yield url


@at_both_widths
def test_plain_and_eac_side_by_side_follow_the_face_and_the_noise(page: Page, photos: dict[str, Path]) -> None:
    upload(page, photos["two"])
    section = page.locator("#compare-noise")
    expect(section).to_be_visible()
    expect(page.locator(".fer-noise")).to_have_count(0)  # nothing is run before it is opened
    section.locator("button").first.click()
    shown = page.locator(".fer-noise")
    expect(shown).to_have_attribute("data-noise", "30")
    expect(shown.locator("article")).to_have_count(2)
    expect(shown.locator(".fer-noise-bars li")).to_have_count(14)
    before = str(shown.locator("img").first.get_attribute("src"))
    page.locator(".fer-strip .fer-thumb[data-face='1']").click()
    expect(shown.locator("img").first).not_to_have_attribute("src", before)
    section.get_by_text("0\u00a0%", exact=True).first.click()
    expect(shown).to_have_attribute("data-noise", "0")
    expect(page.locator("#compare-columns article[data-model]")).to_have_count(6)  # four models and two ensembles
    bars = shown.locator(".fer-noise-bars").first
    expect(bars).to_be_hidden()
    shown.locator("summary").first.click()
    expect(bars).to_be_visible()
    section.get_by_role("link").click()  # the rest is told once; the picture stays
    expect(page.locator("#attention-mirror-start")).to_be_visible()
    assert "tab=leaderboard&section=eac" in page.url
    page.go_back()
    expect(bars).to_be_visible()


@at_both_widths
def test_results_over_the_test_split_are_read_when_opened(page: Page) -> None:
    page.get_by_role("tab", name="Attention").click()
    study = page.locator("#attention-study")
    study.locator("button").first.click()
    expect(study).to_contain_text("Measured on 9 random faces of FER+")
    expect(study).to_contain_text("Plain ResNet-50: a baseline")
    expect(study.locator(".fer-advice")).to_have_count(0)
    expect(study.locator("#attention-study-flips-chart .boxlayer .trace")).to_have_count(2)
    study.get_by_text("ARCC", exact=True).click()
    expect(page.locator("#attention-study-sentences")).to_contain_text("Measure with --road")
    study.get_by_text("Fear", exact=True).click()
    expect(page.locator("#attention-study-atlas img")).to_have_count(2)
