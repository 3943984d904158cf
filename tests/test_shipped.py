"""What is shipped: weights that fit their cards, figures that belong to these weights, a README that tells them."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fer_models.analyzer import MODELS, WEIGHTS, Analyzer, available_models, load_analyzer
from fer_models.cards import read_card
from fer_models.checkpoints import sha256_of
from fer_models.expressions import EXPRESSIONS
from fer_models.faces import align, whole_picture
from fer_models.images import read_image
from fer_models.readings import load_readings
from fer_models.training.data import load_data
from fer_models.training.evaluate import read_faces
from fer_models.training.recipes import find_recipe

ROOT = WEIGHTS.parent
RESULTS = {labels: WEIGHTS / "results" / f"{labels}_test.json" for labels in ("fer2013", "ferplus")}
#: Model, label set it learned from, least accuracy on that set's test split.
FLOORS = [
    ("resnet50", "fer2013", 0.60),
    ("vgg16", "fer2013", 0.62),
    ("eac_resnet50", "ferplus", 0.75),
    ("eac_mobilenet_v2", "ferplus", 0.75),
]


@pytest.fixture(scope="module")
def shipped() -> Analyzer:
    return load_analyzer(device="cpu")


def results(labels: str) -> dict[str, Any]:
    """What `evaluate` wrote, without the baselines, whose weights are not shipped."""
    document: dict[str, Any] = json.loads(RESULTS[labels].read_text())
    document["models"] = {name: told for name, told in document["models"].items() if "baseline" not in told}
    return document


def test_the_four_models_are_there_with_their_cards() -> None:
    assert available_models()[:4] == list(MODELS)
    for name in MODELS:
        card = read_card(WEIGHTS / f"{name}.json")
        path = WEIGHTS / f"{name}.safetensors"
        assert sha256_of(path) == card.sha256
        assert path.stat().st_size < 50_000_000
        assert set(card.labels) == set(EXPRESSIONS)
        assert card.input.size == card.recipe["settings"]["stages"][-1]["size"]
        words = card.recipe["command"].split()
        assert words[:5] == ["python", "-m", "fer_models", "train", name]
        made = find_recipe(name, words[words.index("--recipe") + 1])  # its command is one that can be given
        assert [asdict(stage) for stage in made.stages] == card.recipe["settings"]["stages"]
        assert card.misuse and card.intended_use and card.training_data and card.licence == "MIT"


@pytest.mark.parametrize("labels", RESULTS)
def test_results_belong_to_the_shipped_weights(labels: str) -> None:
    document = results(labels)
    assert set(document["models"]) == set(MODELS)
    assert document["split"] == "test" and document["views"] == 1
    for name, figures in document["models"].items():
        assert figures["sha256"] == read_card(WEIGHTS / f"{name}.json").sha256, f"measure {name} again"
        confusion = np.array(figures["confusion"])
        assert confusion.sum() == figures["count"] == {"fer2013": 3589, "ferplus": 3137}[labels]
        assert np.trace(confusion) / confusion.sum() == pytest.approx(figures["accuracy"])


@pytest.mark.parametrize(("name", "labels", "floor"), FLOORS)
def test_accuracy_is_above_its_floor(name: str, labels: str, floor: float) -> None:
    assert results(labels)["models"][name]["accuracy"] >= floor


def test_the_readme_tells_the_measured_figures() -> None:
    text = (ROOT / "README.md").read_text()
    for name in MODELS:
        title = read_card(WEIGHTS / f"{name}.json").title
        row = re.search(rf"^\| {re.escape(title)} \|.*$", text, re.MULTILINE)
        assert row, f"the README has no row for {title}"
        told = [float(figure) for figure in re.findall(r"(\d+\.\d) %", row[0])]
        measured = []
        for labels in RESULTS:
            figures = results(labels)["models"][name]
            measured += [figures["accuracy"], figures["without_overlap"]["accuracy"]]
        assert told == [round(100 * figure, 1) for figure in measured]


def test_an_example_is_read_as_anybody_would_read_it(shipped: Analyzer) -> None:
    """A portrait with a broad smile."""
    (face,) = shipped.analyze([read_image(ROOT / "examples" / "astronaut.jpg")])
    labels = [prediction.label for prediction in face.predictions.values()]
    assert labels.count("happiness") >= 3, labels


@pytest.mark.shared
def test_measured_anew_on_some_test_faces(shipped: Analyzer, fer2013: Path) -> None:
    """A hundred faces fed as the app feeds them get the answers on file, and about the same logits."""
    for labels in RESULTS:
        data = load_data(labels, fer2013, "test")
        rows = np.arange(0, len(data), len(data) // 100)[:100]
        logits, _ = read_faces(shipped, data.take(rows))
        kept = load_readings(RESULTS[labels].with_suffix(".npz"))
        assert np.array_equal(kept.targets[rows], data.targets[rows])
        for name in MODELS:
            before, now = kept.logits[name][rows], logits[name]
            assert (before.argmax(1) == now.argmax(1)).mean() >= 0.99, name
            assert np.abs(before - now).max() < 0.05, name


def test_the_whole_picture_reading_of_a_dataset_face_is_untouched() -> None:
    face = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    assert (align(face, whole_picture(face)) == face).all()
