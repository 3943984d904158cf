"""What is shipped: weights that fit their cards, and figures that belong to these weights."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fer_models.analyzer import WEIGHTS, Analyzer, list_models, load_analyzer
from fer_models.evaluation.corruptions import CORRUPTIONS, corrupt
from fer_models.evaluation.leaderboard import compare
from fer_models.evaluation.predictions import load_test_predictions, predict_test_set
from fer_models.expressions import EXPRESSIONS
from fer_models.faces.alignment import align, whole_picture
from fer_models.media.images import read_image
from fer_models.models import engines
from fer_models.models.architectures import multiply_adds
from fer_models.models.card import read_card
from fer_models.models.engines import recorded_engine
from fer_models.models.engines.torch_engine import TorchEngine
from fer_models.registry import MODELS, load_dataset
from fer_models.training.recipes import find_recipe
from tests.conftest import network_of
from tests.helpers.hardware import FakeHardware

ROOT = WEIGHTS.parent
RESULTS = {labels: WEIGHTS / "results" / f"{labels}_test.json" for labels in ("fer2013", "ferplus")}
#: Model, label set it learned from, least accuracy on that set's test split.
FLOORS = [
    ("resnet50", "fer2013", 0.72),
    ("vgg16", "fer2013", 0.70),
    ("eac_resnet50", "ferplus", 0.85),
    ("eac_mobilenet_v2", "ferplus", 0.865),
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
    assert list_models()[:4] == list(MODELS)
    for name in MODELS:
        card = read_card(WEIGHTS / f"{name}.json")
        path = WEIGHTS / f"{name}.safetensors"
        assert hashlib.sha256(path.read_bytes()).hexdigest() == card.sha256
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


@pytest.mark.parametrize("labels", RESULTS)
def test_the_ensemble_is_better_than_its_best_member(labels: str) -> None:
    ensemble, models = results(labels)["ensemble"], results(labels)["models"]
    assert ensemble["accuracy"] > max(models[name]["accuracy"] for name in ensemble["members"])


@pytest.mark.parametrize(("name", "labels", "floor"), FLOORS)
def test_accuracy_is_above_its_floor(name: str, labels: str, floor: float) -> None:
    assert results(labels)["models"][name]["accuracy"] >= floor


def test_the_attention_results_belong_to_the_shipped_weights() -> None:
    models = json.loads((WEIGHTS / "results" / "attention_ferplus.json").read_text())["models"]
    for name in MODELS:
        assert models[name]["sha256"] == read_card(WEIGHTS / f"{name}.json").sha256, "measure the attention again"


def test_the_label_noise_study_is_complete() -> None:
    study = json.loads((WEIGHTS / "results" / "noise_study.json").read_text())
    runs = {(run["method"], run["noise"]): run for run in study["runs"]}
    assert set(runs) == {(method, noise) for method in ("plain", "eac") for noise in (0, 10, 20, 30)}
    assert all(run["finished"] for run in runs.values()) and study["epochs"] == 20


def test_an_example_is_read_as_anybody_would_read_it(shipped: Analyzer) -> None:
    """A portrait with a broad smile."""
    (face,) = shipped.analyze([read_image(ROOT / "examples" / "astronaut.jpg")])
    labels = [prediction.label for prediction in face.predictions.values()]
    assert labels.count("happiness") >= 3, labels


@pytest.mark.shared
def test_measured_anew_on_some_test_faces(shipped: Analyzer, fer2013: Path) -> None:
    """A hundred faces fed as the app feeds them get the answers on file, and about the same logits."""
    for labels in RESULTS:
        data = load_dataset(labels, fer2013, "test")
        rows = np.arange(0, len(data), len(data) // 100)[:100]
        predictions, _ = predict_test_set(shipped, data.take(rows))
        kept = load_test_predictions(RESULTS[labels].with_suffix(".npz"))
        assert np.array_equal(kept.targets[rows], data.targets[rows])
        for name in MODELS:
            before, now = kept.logits[name][rows], predictions.logits[name]
            assert (before.argmax(1) == now.argmax(1)).mean() >= 0.99, name
            assert np.abs(before - now).max() < 0.05, name


@pytest.mark.parametrize("labels", RESULTS)
def test_the_leaderboard_is_what_its_predictions_give(labels: str) -> None:
    """Accuracy, recalls, confusion, pairs, calibration, risk: everything that is computed from the answers on file."""
    stored = json.loads((WEIGHTS / "results" / "leaderboard.json").read_text())["sets"][f"{labels}_test"]
    anew = compare(RESULTS[labels]).model_dump(mode="json", exclude_unset=True)
    for key in ("accuracy", "recall", "confusion", "risk_coverage"):
        assert anew["models"]["eac_mobilenet_v2"][key] == stored["models"]["eac_mobilenet_v2"][key], key
    assert (anew["pairs"], anew["pairs_without_copies"]) == (stored["pairs"], stored["pairs_without_copies"])
    assert anew["oracle"] == stored["oracle"]


@pytest.mark.shared
@pytest.mark.shared
@pytest.mark.parametrize(("name", "precision"), [("vgg16", "float16"), ("eac_mobilenet_v2", "float32")])
def test_gpus_give_the_same_answers_and_nearly_the_same_numbers(
    shipped: Analyzer, fer2013: Path, monkeypatch: pytest.MonkeyPatch, name: str, precision: str
) -> None:
    """As far as a CPU can tell, which rounds as a GPU does."""
    monkeypatch.setattr(recorded_engine, "Cuda", lambda _: FakeHardware())
    model = shipped.classifiers[name]
    network, size = network_of(model), model.card.input.size
    plain = TorchEngine(network, model.device)
    probe = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)) * 4 - 2
    engine = engines._recorded(network, size, model.device, probe, plain.run(probe, features=True))
    assert engine is not None and engine.precision == precision
    data = load_dataset("fer2013", fer2013, "test")
    inputs = model.inputs(list(data.faces[:8]))
    found, expected = (one.run(inputs).logits for one in (engine, plain))
    assert np.abs(found - expected).max() <= 0.002 * np.ptp(expected)
    np.testing.assert_array_equal(found.argmax(1), expected.argmax(1))


@pytest.mark.parametrize("labels", RESULTS)
def test_a_row_of_the_robustness_table_measured_anew(shipped: Analyzer, fer2013: Path, labels: str) -> None:
    """The smallest model, as it is and at one kind and strength, on the faces of the file."""
    told = json.loads((WEIGHTS / "results" / f"robustness_{labels}.json").read_text())
    name, kind, strength = "eac_mobilenet_v2", "low light", 3
    assert told["sha256"][name] == read_card(WEIGHTS / f"{name}.json").sha256
    data = load_dataset(labels, fer2013, "test")
    data = data.take(np.sort(np.random.default_rng(told["seed"]).permutation(len(data))[: told["count"]]))
    generator = np.random.default_rng([told["seed"], list(CORRUPTIONS).index(kind), strength])
    worse = [corrupt(face, kind, strength, generator) for face in data.faces]
    expected = [told["clean"][name], told["corrupted"][kind][name][strength - 1]]
    for faces, accuracy in zip(([*data.faces], worse), expected, strict=True):
        answers = shipped.classifiers[name].predict(faces)
        right = np.mean([EXPRESSIONS.index(answer.label) for answer in answers] == data.targets)
        assert right == pytest.approx(accuracy, abs=1.5 / len(faces))  # one face may lie on the edge


@pytest.mark.shared
def test_a_row_of_the_noise_table_measured_anew(fer2013: Path) -> None:
    study = json.loads((WEIGHTS / "results" / "noise_study.json").read_text())
    (run,) = (each for each in study["runs"] if (each["method"], each["noise"]) == ("plain", 30))
    (classifier,) = (
        each for each in load_analyzer(["noise_plain_30_0"], weights=WEIGHTS / "noise").classifiers.values()
    )
    data = load_dataset("ferplus", fer2013, "test")
    answers = [EXPRESSIONS.index(answer.label) for answer in classifier.predict([*data.faces])]
    right = float(np.mean(answers == data.targets))
    assert right == pytest.approx(run["last_test_accuracy"], abs=0.003)  # shipped in float16


def test_the_cost_on_each_card_counted_anew(shipped: Analyzer) -> None:
    for name in MODELS:
        card, network = shipped.classifiers[name].card, network_of(shipped.classifiers[name])
        assert card.parameters == sum(parameter.numel() for parameter in network.parameters())
        assert card.multiply_adds == multiply_adds(network, card.input.size)


def test_the_whole_picture_reading_of_a_dataset_face_is_untouched() -> None:
    face = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    assert (align(face, whole_picture(face)) == face).all()
