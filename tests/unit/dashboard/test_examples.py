"""What lies in examples/: every file can be read, is small, and has its source and licence."""

import tomllib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from dashboard.components.analyzed_image import load_examples
from dashboard.components.picture_input import EXAMPLES
from dashboard.components.templates import render
from fer_models.batch.labels import labels_from_folders
from fer_models.expressions import EXPRESSIONS
from fer_models.media.sources import open_pictures
from fer_models.media.video_reader import VideoReader
from fer_models.registry import MODELS

LISTING: dict[str, Any] = tomllib.loads((EXAMPLES / "examples.toml").read_text(encoding="utf-8"))
PICTURES: list[dict[str, Any]] = LISTING["picture"]
ENTRIES = [*PICTURES, LISTING["clip"], LISTING["batch"]]
README = (EXAMPLES / "README.md").read_text(encoding="utf-8")
#: Read by tests, benchmarks and the documentation only.
NOT_SHOWN = {"several_faces.jpg"}


def test_every_file_is_listed() -> None:
    files = {path.name for path in EXAMPLES.iterdir() if path.is_file()} - {"README.md", "examples.toml"}
    assert files == {each["file"] for each in ENTRIES} | NOT_SHOWN
    assert sum(path.stat().st_size for path in EXAMPLES.rglob("*")) < 3_000_000


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["file"])
def test_the_readme_tells_what_the_listing_tells(entry: dict[str, Any]) -> None:
    (row,) = [line for line in README.splitlines() if line.startswith(f"| `{entry['file']}`")]
    assert all(entry[key] and entry[key] in row for key in ("caption", "source", "licence"))
    assert "unknown" not in entry["licence"].lower()


def test_files_that_are_not_shown_have_a_source_and_a_licence() -> None:
    for name in NOT_SHOWN:
        (row,) = [line for line in README.splitlines() if line.startswith(f"| `{name}`")]
        assert "public domain" in row


@pytest.mark.parametrize("entry", PICTURES, ids=lambda entry: entry["file"])
def test_answers_are_complete_and_the_caption_names_them(entry: dict[str, Any]) -> None:
    assert all(set(face) == set(MODELS) and set(face.values()) <= set(EXPRESSIONS) for face in entry["answers"])
    answered = {label for face in entry["answers"] for label in face.values()}
    named = {label for label in EXPRESSIONS if label in entry["caption"].lower()}
    assert named == answered


def test_all_seven_expressions_and_disagreements_are_shown() -> None:
    faces = [face for entry in PICTURES for face in entry["answers"]]
    assert {label for face in faces for label in face.values()} == set(EXPRESSIONS)
    assert any(len(set(face.values())) > 1 for face in faces)
    assert any(len(entry["answers"]) > 2 for entry in PICTURES) and any(not entry["answers"] for entry in PICTURES)


def test_the_page_shows_the_listed_pictures_in_their_order() -> None:
    examples = load_examples(EXAMPLES)
    assert [(each.path.name, each.title, each.caption) for each in examples] == [
        (entry["file"], entry["title"], entry["caption"]) for entry in PICTURES
    ]
    html = render("components/examples.html", examples=examples)
    assert html.count("<button") == len(PICTURES)
    assert all(entry["caption"] in html for entry in PICTURES)


def test_titles_and_captions_fit_below_a_thumbnail() -> None:
    assert max(len(entry["title"]) for entry in PICTURES) <= 24
    assert max(len(entry["caption"]) for entry in PICTURES) <= 70


@pytest.mark.parametrize("listing", ["picture = [", "[[picture]]\nfile = 'a.png'\n"])
def test_without_a_listing_that_can_be_read_all_are_shown_by_name(tmp_path: Path, listing: str) -> None:
    for name in ("b_two.png", "a.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((30, 60, 3), np.uint8))
    (tmp_path / "examples.toml").write_text(listing)
    assert [(each.title, each.caption) for each in load_examples(tmp_path)] == [("A", ""), ("B two", "")]


def test_a_listed_picture_that_is_missing_is_left_out(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((30, 60, 3), np.uint8))
    entry = '[[picture]]\nfile = "{}.png"\ntitle = "{}"\ncaption = "none"\n'
    (tmp_path / "examples.toml").write_text(entry.format("gone", "Gone") + entry.format("a", "First"))
    assert [each.title for each in load_examples(tmp_path)] == ["First"]


def test_the_clip_is_short_and_small() -> None:
    path = EXAMPLES / LISTING["clip"]["file"]
    assert path.stat().st_size < 1_000_000
    with VideoReader(path) as reader:
        times = [frame.time_s for frame in reader.frames()]
    assert 6 <= times[-1] <= 10
    assert all(np.diff(times) > 0)


def test_the_zip_has_every_expression_as_a_label() -> None:
    path = EXAMPLES / LISTING["batch"]["file"]
    with open_pictures(path) as pictures:
        labels = labels_from_folders([file.name for file in pictures.files]).by_file
        assert len(labels) == len(pictures.files) and not pictures.left_out
        assert all(min(file.read().pixels.shape[:2]) >= 200 for file in pictures.files)
    assert set(labels.values()) == set(EXPRESSIONS)
