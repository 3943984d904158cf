"""Merged label sets: sums of probabilities by hand, a file of the user's, and models that know other classes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fer_models.analyzer import Analyzer
from fer_models.datasets.dataset import FaceData
from fer_models.errors import FerError
from fer_models.evaluation.evaluate import evaluate, write_evaluation
from fer_models.evaluation.merging import SENTIMENT, Merging, measure_merged, merged_probabilities, read_merging
from fer_models.evaluation.records import EvaluationRecord
from fer_models.evaluation.store import read_record
from fer_models.expressions import EXPRESSIONS
from fer_models.models.card import ModelCard
from fer_models.models.classifier import Classifier
from fer_models.models.engines.outputs import Outputs
from fer_models.models.preprocessing import InputSpec
from tests.conftest import FakeDetector

EIGHT = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
PROBABILITIES = (0.10, 0.30, 0.05, 0.15, 0.05, 0.05, 0.05, 0.25)


def logits(*shares: float) -> np.ndarray:
    return np.log(np.array([shares], np.float32))


def test_probabilities_are_summed_by_class() -> None:
    found = merged_probabilities(SENTIMENT, EIGHT, logits(*PROBABILITIES))
    # positive; anger, disgust, fear, sadness and contempt; neutral; surprise
    np.testing.assert_allclose(found, [[0.30, 0.55, 0.10, 0.05]], atol=1e-6)


def test_labels_without_a_class_count_for_none() -> None:
    without = Merging("own", {"good": ("happiness",), "rest": EXPRESSIONS[:3] + EXPRESSIONS[4:]})
    found = merged_probabilities(without, EIGHT, logits(*PROBABILITIES))
    np.testing.assert_allclose(found, [[0.30 / 0.75, 0.45 / 0.75]], atol=1e-6)


def test_a_model_that_knows_the_classes_themselves() -> None:
    labels = ("Positive", "negative", "neutral")
    found = merged_probabilities(SENTIMENT, labels, logits(0.2, 0.7, 0.1))
    np.testing.assert_allclose(found, [[0.2, 0.7, 0.1, 0]], atol=1e-6)


def test_the_temperature_comes_before_the_sums() -> None:
    shares = np.sqrt([0.5, 0.3, 0.2])
    found = merged_probabilities(SENTIMENT, ("happiness", "anger", "fear"), logits(0.5, 0.3, 0.2), 2.0)
    np.testing.assert_allclose(found[0, :2], [shares[0] / shares.sum(), shares[1:].sum() / shares.sum()], atol=1e-6)


def test_the_figures_by_hand() -> None:
    targets = np.array([EXPRESSIONS.index(name) for name in ("anger", "sadness", "happiness", "surprise")])
    rows = np.array([[0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], float)
    report = measure_merged(SENTIMENT, targets, rows)
    assert report.accuracy == 0.75 and report.labels == ("positive", "negative", "neutral", "surprise")
    assert report.recall == {"positive": 0.0, "negative": 1.0, "neutral": None, "surprise": 1.0}
    assert report.confusion == [[0, 0, 1, 0], [0, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    assert report.macro_f1 == pytest.approx((0 + 1 + 0 + 1) / 4)


class Fixed:
    """An engine that answers the same to every face."""

    name, precision = "none", "float32"

    def __init__(self, *shares: float) -> None:
        self.logits = logits(*shares)

    def run(self, inputs: torch.Tensor, *, features: bool = False) -> Outputs:
        return Outputs(np.repeat(self.logits, len(inputs), 0), None)


def model(name: str, labels: tuple[str, ...], *shares: float) -> Classifier:
    card = ModelCard(name, name, "onnx", labels, InputSpec(size=8), "AffectNet", "not stated", "MIT", 0, "ab")
    return Classifier(card, None, torch.device("cpu"), Fixed(*shares))


def test_models_of_different_classes_side_by_side(tmp_path: Path) -> None:
    models = [
        model("eight", EIGHT, *PROBABILITIES),
        model("valence", ("neutral", "positive", "negative"), 0.2, 0.5, 0.3),
    ]
    faces = np.zeros((3, 16, 16), np.uint8)
    targets = np.array([EXPRESSIONS.index(name) for name in ("anger", "happiness", "disgust")])
    data = FaceData("fer2013", "test", faces, targets, np.arange(3))
    evaluation = evaluate(Analyzer(models, FakeDetector()), data, merging=SENTIMENT)
    measured = {name: each.merged["sentiment"] for name, each in evaluation.record.models.items() if each.merged}
    # eight says negative (0.55 against happiness's 0.30, though no single label has more); valence says positive
    assert measured["eight"].accuracy == pytest.approx(2 / 3) and measured["valence"].accuracy == pytest.approx(1 / 3)
    interval = measured["eight"].accuracy_interval
    assert interval is not None and (interval.low, interval.high) == (0, 1) and interval.value == pytest.approx(2 / 3)
    assert measured["eight"].unknown == () and measured["valence"].unknown == ("surprise",)
    assert evaluation.record.models["eight"].accuracy == pytest.approx(1 / 3)  # happiness, without merging
    path = tmp_path / "fer2013_test.json"
    write_evaluation(evaluation, path)
    record = read_record(path, EvaluationRecord, ()).record
    assert record is not None and record.models["eight"].merged == evaluation.record.models["eight"].merged
    # other people's weights are marked, with what they learned
    for name in ("eight", "valence"):
        mark = record.models[name].baseline
        assert mark is not None and mark.peer is not None and "AffectNet" in mark.peer and "may be among" in mark.peer


@pytest.mark.parametrize("suffix", ["json", "toml"])
def test_a_file_of_classes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"arousal.{suffix}"
    if suffix == "json":
        path.write_text(
            json.dumps({"high": ["Angry", "fear", "surprised"], "low": ["sad", "neutral", "happy", "disgust"]})
        )
    else:
        path.write_text('high = ["Angry", "fear", "surprised"]\nlow = ["sad", "neutral", "happy", "disgust"]')
    merging = read_merging(str(path))
    assert merging.name == "arousal" and merging.class_of("anger") == "high" and merging.class_of("Happy") == "low"
    assert merging.class_of("contempt") is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"good": ["happy"], "bad": ["anger"]}', "leaves out disgust"),
        ('{"good": ["happy", "neutral"], "bad": ["happiness"]}', "happiness"),
        ('{"good": "happy"}', "lists"),
        ('{"all": ["happy"]}', "two classes"),
        ("[]", "two classes"),
        ("{", "malformed"),
    ],
)
def test_a_wrong_file_gets_one_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "classes.json"
    path.write_text(content)
    with pytest.raises(FerError, match=message):
        read_merging(str(path))
    with pytest.raises(FerError, match="sentiment"):
        read_merging("feelings")
    with pytest.raises(FerError, match="Cannot read"):
        read_merging(str(tmp_path / "none.toml"))
