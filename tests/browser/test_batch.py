"""The Batch tab driven in headless Chromium: real uploads, real downloads."""

import json
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from dashboard.batch.faces import view
from fer_models.batch.labels import likely_wrong
from fer_models.registry import MODELS
from tests.helpers.browsing import MARKS, Gate, address, at_both_widths, browser, gate, uploads, watched_page

__all__ = ["address", "browser", "gate", "uploads"]

pytestmark = MARKS


@pytest.fixture
def page(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[Page]:
    """The Batch tab of a fresh page, watched."""
    with watched_page(browser, address, getattr(request, "param", 1440)) as tab:
        tab.get_by_role("tab", name="Batch").click()
        tab.wait_for_selector("#batch-files input[type=file]", state="attached")
        yield tab


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, picture: NDArray[np.uint8]) -> list[Path]:
    """Two faces, no face, a corrupt file, one face with a name that is markup and a formula."""
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / name for name in ("two.png", "none.png", "corrupt.jpg", "=1+<img src=x onerror=alert(1)>.png")]
    Image.fromarray(picture).save(paths[0])
    Image.fromarray(picture[:, :90]).save(paths[1])
    paths[2].write_bytes(b"\xff\xd8\xff no picture")
    Image.fromarray(picture[:, 100:200]).save(paths[3])
    return paths


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory, picture: NDArray[np.uint8]) -> Path:
    """A zip with class folders and a broken picture."""
    folder = tmp_path_factory.mktemp("labelled")
    path = folder / "labelled.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(6):
            Image.fromarray(np.roll(picture[:, :100], 17 * index, 1)).save(folder / "x.png")
            archive.write(folder / "x.png", f"set/{('happy', 'sad')[index % 2]}/{index}.png")
        archive.writestr("set/sad/broken.png", b"no picture")
        archive.writestr("set/readme.txt", b"notes")
    return path


def read(page: Page, *paths: Path) -> None:
    page.set_input_files("#batch-files input[type=file]", list(paths))
    expect(page.locator("#batch-files")).to_contain_text(paths[-1].name[:4])
    page.get_by_role("button", name="Analyse the pictures").click()


def rows(page: Page) -> list[list[str]]:
    """The cells of the table's rows, but for the thumbnails."""
    found = page.locator("#batch-table tbody tr").all()
    return [[cell.strip() for cell in row.locator("td").all_inner_texts()][1:] for row in found]


def download(page: Page, kind: str, folder: Path) -> Path:
    with page.expect_download() as info:
        page.get_by_role("button", name=kind, exact=True).click()
    path = folder / info.value.suggested_filename
    info.value.save_as(path)
    return path


@at_both_widths
def test_many_files_give_a_table_a_chart_a_gallery_and_downloads(
    page: Page, photos: list[Path], tmp_path: Path
) -> None:
    read(page, *photos)
    summary = page.locator("#batch-summary")
    expect(summary).to_contain_text("3 faces in 4 pictures, no face in 1, 1 could not be read.")
    expect(page.locator("#batch-chart .js-plotly-plot .bars .point path")).to_have_count(28)
    cards = page.locator("#batch-gallery .fer-face")
    expect(cards).to_have_count(3)
    shown = [float(text.split("Disagreement ")[1].split()[0]) for text in cards.all_inner_texts()]
    assert shown == sorted(shown, reverse=True)
    assert cards.first.locator("img").evaluate("image => image.naturalWidth") == 112
    assert cards.first.locator("li").count() == len(MODELS)
    table = page.locator("#batch-table")
    expect(table).to_contain_text("No face was found.")
    expect(page.locator("#batch-figures")).to_be_hidden()

    names = ["two.png", "two.png", "none.png", "corrupt.jpg", photos[3].name]
    document = json.loads(download(page, "JSON", tmp_path).read_text())
    assert [row["file"] for row in document["rows"]] == names
    assert [row["face"] for row in document["rows"]] == [1, 2, None, None, 1]
    assert document["files"] == {"given": 4, "read": 4}
    frame = pandas.read_csv(download(page, "CSV", tmp_path))
    assert list(frame["file"]) == [*names[:4], f"'{names[4]}"]
    columns = pandas.read_parquet(download(page, "Parquet", tmp_path))
    assert list(columns["file"]) == names
    assert list(columns) == list(frame) == list(document["rows"][0])
    # Again, as the first file may be gone by then.
    assert download(page, "CSV", tmp_path).name == "expressions.csv"


def test_the_table_can_be_filtered_and_sorted(page: Page, photos: list[Path]) -> None:
    read(page, *photos)
    expect(page.locator("#batch-gallery .fer-face")).to_have_count(3)
    page.get_by_role("radio", name="Files without a result").click()
    expect(page.locator("#batch-gallery .fer-face")).to_have_count(0)
    table = page.locator("#batch-table")
    expect(table).not_to_contain_text("two.png")
    assert [row[0] for row in rows(page)] == ["none.png", "corrupt.jpg"]
    page.get_by_role("radio", name="All", exact=True).click()
    expect(page.locator("#batch-gallery .fer-face")).to_have_count(3)
    page.get_by_label("Find").fill("TWO")
    expect(table).not_to_contain_text("corrupt.jpg")
    expect(page.locator("#batch-gallery .fer-face")).to_have_count(2)
    assert [row[:2] for row in rows(page)] == [["two.png", "1"], ["two.png", "2"]]
    heading = table.get_by_role("columnheader", name="Face", exact=True)
    heading.get_by_role("button").click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    expect(heading.get_by_role("button")).to_be_focused()
    heading.get_by_role("button").click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    assert [row[:2] for row in rows(page)] == [["two.png", "2"], ["two.png", "1"]]
    page.get_by_label("Find").fill("no such file")
    expect(page.locator("#batch-gallery")).to_contain_text("No face to show.")
    expect(table).not_to_contain_text("two.png")


def test_a_new_batch_begins_without_the_filters_of_the_last(page: Page, photos: list[Path]) -> None:
    """The rows shown and the controls are reset together."""
    read(page, *photos)
    cards, table = page.locator("#batch-gallery .fer-face"), page.locator("#batch-table")
    expect(cards).to_have_count(3)
    page.get_by_role("radio", name="Faces the models differ on").click()
    expect(table).not_to_contain_text("none.png")
    page.get_by_label("Answer", exact=True).click()
    page.get_by_role("option", name="Fear").click()
    page.get_by_label("Find").fill("no such file")
    expect(cards).to_have_count(0)
    page.get_by_role("button", name="Analyse other pictures").click()
    read(page, *photos)
    expect(cards).to_have_count(3)
    page.wait_for_timeout(1500)  # whatever an event of the reset would still change
    expect(cards).to_have_count(3)
    assert len(rows(page)) == 5
    expect(page.get_by_label("Find")).to_have_value("")
    expect(page.get_by_role("radio", name="All", exact=True)).to_be_checked()
    expect(page.get_by_label("Answer", exact=True)).to_have_value("Any")
    expect(page.locator("#batch-chips button")).to_have_count(0)


def test_a_labelled_zip_is_measured(page: Page, labelled: Path) -> None:
    read(page, labelled)
    expect(page.locator("#batch-summary")).to_contain_text("6 faces in 7 pictures, 1 could not be read.")
    expect(page.locator("#batch-summary")).to_contain_text("1 other file in the zip left out: set/readme.txt")
    figures = page.locator("#batch-figures")
    expect(figures).to_contain_text("Measured on 6 labelled faces")
    expect(figures).to_contain_text("1 labelled files have no face")
    expect(figures.locator(".fer-table tbody tr")).to_have_count(len(MODELS))
    expect(figures.locator(".fer-matrix")).to_have_count(len(MODELS))
    for matrix in figures.locator(".fer-matrix tbody").all():
        cells = [text for text in matrix.locator("td").all_inner_texts() if text]
        assert sum(map(int, cells)) == 6
    expect(page.locator("#batch-wrong")).to_contain_text("all models give the same other answer")


@at_both_widths
def test_the_table_shows_each_face_sorts_and_has_pages(
    page: Page, labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "PAGE_ROWS", 4)
    read(page, labelled)
    table = page.locator("#batch-table")
    expect(table).to_contain_text("Rows 1 to 4 of 7")
    expect(table.locator("tbody img")).to_have_count(4)
    assert table.locator("tbody img").first.evaluate("image => [image.naturalWidth, image.width]") == [112, 44]
    assert "Face 1 of" in (table.locator("tbody img").first.get_attribute("alt") or "")
    inside = "box => [box.scrollWidth, box.clientWidth]"
    wide, room = table.get_by_role("region").evaluate(inside)
    assert wide <= room or room < 1000, f"a table of {wide} px in {room} px"
    table.get_by_role("button", name="Disagreement").click()
    expect(table.get_by_role("columnheader", name="Disagreement")).to_have_attribute("aria-sort", "ascending")
    first = [float(row[-2]) for row in rows(page)]
    table.get_by_role("button", name="Next").click()
    expect(table).to_contain_text("Rows 5 to 7 of 7")
    *rest, last = (row[-2] for row in rows(page))
    assert first + [float(value) for value in rest] == sorted(first + [float(value) for value in rest])
    assert last == "", "the picture that could not be read comes last"
    expect(table.locator("tbody img")).to_have_count(2)
    expect(table.get_by_role("button", name="Next")).to_be_disabled()
    page.get_by_role("radio", name="Files without a result").click()
    expect(table).to_contain_text("1 row")
    expect(table.locator("tbody img")).to_have_count(0)


@at_both_widths
def test_a_face_opens_in_compare_and_the_batch_stays(page: Page, photos: list[Path]) -> None:
    read(page, *photos)
    faces = page.locator("#batch-table [data-open]")
    expect(faces).to_have_count(3)
    faces.nth(1).focus()
    page.keyboard.press("Enter")
    picture = page.locator("#compare-picture")
    expect(picture).to_contain_text("two.png")
    expect(picture.locator(".fer-thumb[data-face='1']")).to_have_attribute("aria-pressed", "true")
    expect(picture.locator(".fer-thumb[data-face='0']")).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#compare-verdict")).to_contain_text("Face 2")
    expect(page.locator("#compare-columns .fer-card").first).to_be_visible()
    page.go_back()
    expect(faces).to_have_count(3)
    page.locator("#batch-gallery .fer-face", has_text="onerror").locator("[data-open]").click()
    expect(picture).to_contain_text(photos[3].name)
    page.locator("#compare-clear").click()


def test_cells_bars_and_lists_filter_the_faces(page: Page, labelled: Path) -> None:
    read(page, labelled)
    table, chips = page.locator("#batch-table"), page.locator("#batch-chips")
    cell = page.locator("#batch-metrics .fer-matrix [data-answer]").first
    count, model, label = int(cell.inner_text()), cell.get_attribute("data-model"), cell.get_attribute("data-label")
    cell.click()
    expect(chips).to_contain_text(f"Labelled {label}")
    expect(table.locator("tbody tr")).to_have_count(count)
    expect(table).to_be_in_viewport()
    expect(page.locator("#batch-label input")).to_have_value(str(label).capitalize())
    expect(page.locator("#batch-model input")).to_have_value(str(model).upper())
    chips.get_by_role("button", name="Clear all").press("Enter")
    expect(table).to_contain_text("7 rows")
    expect(chips.get_by_role("button")).to_have_count(0)

    # The highest bar, whose faces the hover text counts.
    bars = page.locator("#batch-chart .trace.bars").first.locator(".point path")
    heights = [bar.evaluate("bar => bar.getBoundingClientRect().height") for bar in bars.all()]
    bars.nth(heights.index(max(heights))).scroll_into_view_if_needed()
    box = bars.nth(heights.index(max(heights))).bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(chips.get_by_role("button")).to_have_count(1)
    expect(table).not_to_contain_text("7 rows")
    chips.get_by_role("button").click()
    expect(table).to_contain_text("7 rows")

    page.locator("#batch-label input").fill("Happiness")  # the same by keys
    page.keyboard.press("Enter")
    expect(chips).to_contain_text("Labelled happiness")
    expect(table).to_contain_text("3 rows")


def test_the_threshold_and_decisions_about_labels(
    page: Page, labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Models with random weights agree on no face and are sure of none: one of them alone, however unsure.
    monkeypatch.setattr("dashboard.batch.session.likely_wrong", partial(likely_wrong, sure=0.0))
    page.get_by_role("button", name="Options").click()
    boxes = page.locator("#batch-models input")
    expect(boxes).to_have_count(len(MODELS))
    for box in boxes.all()[1:]:
        box.uncheck()
    read(page, labelled)
    coverage = page.locator("#batch-metrics tbody tr td").first
    expect(coverage).to_contain_text("6 of 6")
    page.locator("#batch-least input[type=number]").fill("0.95")
    page.locator("#batch-least input[type=number]").blur()
    expect(coverage).not_to_contain_text("6 of 6")

    wrong = page.locator("#batch-wrong")
    keep, correct = (wrong.locator("[data-decide]").nth(index) for index in (0, 1))
    expect(page.locator("#batch-decisions")).to_be_hidden()
    keep.press("Enter")
    expect(keep).to_have_attribute("aria-pressed", "true")
    expect(keep).to_be_focused()
    correct.press("Enter")
    expect(correct).to_have_attribute("aria-pressed", "true")
    expect(keep).to_have_attribute("aria-pressed", "false")
    expect(wrong).to_contain_text("0 kept, 1 corrected")
    (row,) = pandas.read_csv(download(page, "Download decisions (CSV)", tmp_path)).to_dict("records")
    assert row["given"] != row["decided"] == row["suggested"]


@at_both_widths
def test_faces_are_labelled_blind_and_compared(page: Page, labelled: Path, tmp_path: Path) -> None:
    read(page, labelled)
    page.locator("#batch-quiz-start").click()
    quiz = page.locator("#batch-quiz")
    expect(quiz).to_contain_text("Face 1 of 6")
    expect(page.locator("#batch-results")).to_be_hidden()
    page.keyboard.press("4")
    expect(quiz).to_contain_text("Face 2 of 6")
    quiz.get_by_role("button", name="Back").click()
    expect(quiz).to_contain_text("Face 1 of 6")
    for number in range(1, 6):
        expect(quiz).to_contain_text(f"Face {number} of 6")
        page.keyboard.press("4")
    expect(quiz).to_contain_text("Face 6 of 6")  # a second answer to the face before it would not count
    quiz.get_by_role("button", name="Sadness").click()
    expect(quiz).to_contain_text("You agree most with")
    expect(quiz.locator(".fer-table tbody tr")).to_have_count(1 + len(MODELS))
    frame = pandas.read_csv(download(page, "Download (CSV)", tmp_path))
    assert list(frame["you"]) == ["happiness"] * 5 + ["sadness"]
    assert set(frame["given"]) == {"happiness", "sadness"} and len(set(frame["file"])) == 6
    quiz.get_by_role("button", name="Back to the batch").click()
    expect(page.locator("#batch-results")).to_be_visible()
    expect(quiz).to_be_hidden()


def test_the_example_is_a_labelled_zip(page: Page) -> None:
    page.locator("#batch-example").click()
    expect(page.locator("#batch-summary")).to_contain_text("faces in 14 pictures")
    expect(page.locator("#batch-figures")).to_contain_text("labelled faces")
    page.get_by_role("button", name="Analyse other pictures").click()
    expect(page.locator("#batch-example")).to_be_visible()


def test_labels_of_a_csv_and_their_errors(page: Page, photos: list[Path], tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.csv", tmp_path / "good.csv"
    bad.write_text("file,label\ntwo.png,hungry\n")
    good.write_text("file,label\ntwo.png,happy\n")
    page.get_by_role("button", name="Options").click()
    page.set_input_files("#batch-labels input[type=file]", bad)
    expect(page.locator("#batch-labels")).to_contain_text("bad")
    read(page, *photos)
    expect(page.get_by_role("alert")).to_contain_text("'hungry' (1)")
    # The pictures are still there: only the labels need a change.
    page.locator("#batch-labels").get_by_role("button", name="Clear").click()
    page.set_input_files("#batch-labels input[type=file]", good)
    expect(page.locator("#batch-labels")).to_contain_text("good")
    page.get_by_role("button", name="Analyse the pictures").click()
    expect(page.locator("#batch-figures")).to_contain_text("Measured on 1 labelled face:")


@pytest.mark.parametrize("kind", ["nothing", "broken zip", "zip and picture"])
def test_what_cannot_be_read_is_explained(page: Page, photos: list[Path], tmp_path: Path, kind: str) -> None:
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"no zip")
    if kind == "nothing":
        page.get_by_role("button", name="Analyse the pictures").click()
    else:
        read(page, *([broken] if kind == "broken zip" else [photos[0], broken]))
    expected = {
        "nothing": "Choose pictures",
        "broken zip": "broken.zip is neither a folder nor a zip that can be read",
    }.get(kind, "one zip, not both")
    expect(page.get_by_role("alert")).to_contain_text(expected)
    expect(page.get_by_role("button", name="Analyse the pictures")).to_be_visible()


def test_stopping_keeps_what_is_done(
    page: Page, gate: Gate, uploads: Path, tmp_path: Path, picture: NDArray[np.uint8]
) -> None:
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(80):
            Image.fromarray(np.roll(picture[:, :100], index, 1)).save(tmp_path / "x.png")
            archive.write(tmp_path / "x.png", f"{index:02}.png")
    with gate.held(after=2):
        read(page, path)
        expect(page.locator(".fer-progress")).to_contain_text("of 80 pictures")
        page.wait_for_function("Number(document.querySelector('.fer-progress [role=progressbar]')?.ariaValueNow) > 0")
        page.get_by_role("button", name="Stop and keep what is done").click()
        expect(page.locator("#batch-summary")).to_contain_text("Stopped after")
    done = page.locator("#batch-gallery .fer-face").count()
    assert 0 < done <= 32
    page.get_by_role("button", name="Analyse other pictures").click()
    expect(page.get_by_role("button", name="Analyse the pictures")).to_be_visible()
    expect(page.locator("#batch-gallery .fer-face")).to_have_count(0)
