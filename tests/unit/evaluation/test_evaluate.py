"""Measured figures by hand, and that evaluation feeds the networks exactly what the app feeds them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fer_models.analyzer import Analyzer
from fer_models.datasets.dataset import FaceData
from fer_models.errors import FerError
from fer_models.evaluation.evaluate import model_evaluations, with_ensemble
from fer_models.evaluation.metrics import measure
from fer_models.evaluation.predictions import (
    TestPredictions,
    load_test_predictions,
    predict_test_set,
    save_test_predictions,
)
from fer_models.evaluation.records import EvaluationRecord, TrainTestDuplicates
from fer_models.evaluation.statistics import Interval
from fer_models.expressions import EXPRESSIONS
from fer_models.media.images import read_image
from fer_models.models.card import ModelCard
from fer_models.models.preprocessing import InputSpec
from fer_models.registry import LABEL_SETS, MODELS

ANGER, FEAR, HAPPINESS = (EXPRESSIONS.index(name) for name in ("anger", "fear", "happiness"))


def rows(*entries: tuple[int, float]) -> NDArray[np.float32]:
    """Probabilities: the given class at the given height, the rest spread evenly."""
    table = np.zeros((len(entries), 7), np.float32)
    for row, (label, probability) in zip(table, entries, strict=True):
        row[:] = (1 - probability) / 6
        row[label] = probability
    return table


def test_figures_by_hand() -> None:
    targets = np.array([ANGER, ANGER, HAPPINESS, HAPPINESS])
    report = measure(targets, rows((ANGER, 0.9), (FEAR, 0.7), (HAPPINESS, 0.9), (HAPPINESS, 0.9)))
    assert report.count == 4
    assert report.accuracy == 0.75
    # F1: anger 2/3 (precision 1, recall 1/2), fear 0, happiness 1; mean of the three that occur
    assert report.macro_f1 == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert report.recall["anger"] == 0.5
    assert report.recall["happiness"] == 1.0
    assert report.recall["fear"] is None
    # two bins: three faces at 0.9, all right: gap 0.1; one at 0.7, wrong: gap 0.7
    assert report.expected_calibration_error == pytest.approx(0.75 * 0.1 + 0.25 * 0.7)
    assert report.negative_log_likelihood == pytest.approx(-(3 * np.log(0.9) + np.log(0.05)) / 4, rel=1e-5)
    confusion = np.array(report.confusion)
    assert confusion.sum() == 4
    assert confusion[ANGER, FEAR] == 1  # rows are the truth
    assert confusion[FEAR, ANGER] == 0


def test_models_can_be_measured_into_one_file_one_after_the_other(
    weights_dir: Path, data_dir: Path, tmp_path: Path
) -> None:
    from fer_models.cli.main import main

    report = tmp_path / "report.json"
    words = ["evaluate", "--data", str(data_dir), "--labels", "fer2013", "--weights", str(weights_dir)]
    for name in ("vgg16", "eac_resnet50", "resnet50"):
        assert main([*words, "--json", str(report), "--device", "cpu", "--models", name]) == 0
        members = json.loads(report.read_text()).get("ensemble", {}).get("members", [])
        assert members == (["resnet50", "vgg16"] if name == "resnet50" else [])  # EAC learned other labels
    document = json.loads(report.read_text())
    assert list(document["models"]) == ["resnet50", "vgg16", "eac_resnet50"]  # the project's order
    predictions = load_test_predictions(tmp_path / "report.npz")
    mean = ((predictions.probabilities("resnet50") + predictions.probabilities("vgg16")) / 2).astype(np.float32)
    assert document["ensemble"]["members"] == ["resnet50", "vgg16"]
    assert document["ensemble"]["accuracy"] == measure(predictions.targets, mean).accuracy
    for name in ("resnet50", "vgg16"):
        expected = measure(predictions.targets, predictions.probabilities(name))
        assert document["models"][name]["accuracy"] == expected.accuracy
        before = measure(predictions.targets, predictions.probabilities(name, calibrated=False))
        likelihood = document["models"][name]["before_temperature"]["negative_log_likelihood"]
        assert likelihood == before.negative_log_likelihood != expected.negative_log_likelihood


def test_the_ensemble_by_hand() -> None:
    """Two models that learned the label set, on two faces. A baseline and a model of other labels are left out."""
    fer2013, ferplus = (LABEL_SETS[name].training_labels for name in ("fer2013", "ferplus"))
    first, second = rows((ANGER, 0.9), (FEAR, 0.6)), rows((FEAR, 0.6), (HAPPINESS, 0.9))
    wrong = rows((FEAR, 1 - 1e-6), (FEAR, 1 - 1e-6))
    probabilities = {"vgg16": first, "own": second, "eac_resnet50": wrong, "plain": wrong}
    logits = {name: np.log(values) for name, values in probabilities.items()}
    mirrored = {"vgg16": np.log(rows((ANGER, 0.9), (ANGER, 0.6))), "own": np.log(rows((ANGER, 0.6), (ANGER, 0.9)))}
    targets, none = np.array([ANGER, ANGER]), np.zeros(2, bool)
    temperatures = dict.fromkeys(probabilities, 1.0)
    predictions = TestPredictions(np.arange(2), targets, none, logits, temperatures, mirrored)
    labels = {"vgg16": fer2013, "own": fer2013, "eac_resnet50": ferplus, "plain": fer2013}
    cards = {name: card(name, text) for name, text in labels.items()}
    record = EvaluationRecord(
        labels="fer2013",
        split="test",
        views=1,
        faces_not_found=0,
        overlap=TrainTestDuplicates(correlation_above=0.99, rows=()),
        models=model_evaluations(predictions, cards, baselines=["plain"]),
    )
    measured = with_ensemble(record, predictions)
    assert measured.ensemble is not None and measured.ensemble.members == ("vgg16", "own")
    # Means: anger 29/60 and fear 37/120 for the first face; anger 1/24 and happiness 29/60 for the second.
    assert measured.ensemble.accuracy == 0.5
    # A quarter of all resamples of one right and one wrong face have neither, another quarter both.
    assert measured.ensemble.accuracy_interval == Interval(0.5, 0.0, 1.0)
    assert measured.models["own"].accuracy_interval == Interval(0.0, 0.0, 0.0)
    likelihood = -(np.log(29 / 60) + np.log(1 / 24)) / 2
    assert measured.ensemble.negative_log_likelihood == pytest.approx(likelihood, rel=1e-5)
    assert measured.ensemble.accuracy_flip_averaged == Interval(1.0, 1.0, 1.0)
    assert measured.models["own"].accuracy == 0 and measured.models["own"].accuracy_flip_averaged is not None
    assert measured.models["plain"].accuracy_flip_averaged is None
    assert "accuracy_flip_averaged" not in measured.document()["models"]["eac_resnet50"]
    elsewhere = with_ensemble(measured.model_copy(update={"labels": "rafdb"}), predictions)
    assert elsewhere.ensemble is None and "ensemble" not in elsewhere.document()


def test_without_train_test_duplicates_the_accuracy_has_its_own_interval() -> None:
    """Of three faces, two right, one of these a duplicate."""
    values = rows((ANGER, 0.9), (ANGER, 0.9), (FEAR, 0.9))
    duplicates = np.array([True, False, False])
    predictions = TestPredictions(
        np.arange(3), np.full(3, ANGER), duplicates, {"vgg16": np.log(values)}, {"vgg16": 1.0}, {}
    )
    measured = model_evaluations(predictions, {"vgg16": card("vgg16", "FER2013")})["vgg16"]
    assert measured.accuracy_interval is not None and measured.accuracy_interval.value == measured.accuracy
    assert measured.without_overlap is not None and measured.without_overlap.count == 2
    assert measured.without_overlap.accuracy_interval == Interval(0.5, 0.0, 1.0)


def card(name: str, training_labels: str) -> ModelCard:
    return ModelCard(name, name, "", EXPRESSIONS, InputSpec(size=64), training_labels, "", "", 1, "0")


def test_both_views_are_averaged(analyzer: Analyzer, tmp_path: Path) -> None:
    """The mean of the logits of each face and its mirror image; kept in the file, and lost with the model's figures."""
    faces = np.random.default_rng(1).integers(0, 256, (3, 48, 48), np.uint8)
    data = FaceData("fer2013", "test", faces, np.zeros(3, np.int64), np.arange(3))
    predictions, _ = predict_test_set(analyzer, data, flip_average=True)
    for name, classifier in analyzer.classifiers.items():
        views = [classifier.predict(list(faces)), classifier.predict([face[:, ::-1].copy() for face in faces])]
        for row, pair in enumerate(zip(*views, strict=True)):
            for column, label in enumerate(EXPRESSIONS):
                mean = np.mean([prediction.logits[prediction.labels.index(label)] for prediction in pair])
                assert predictions.flip_averaged[name][row, column] == pytest.approx(mean, abs=1e-4)
    path = tmp_path / "predictions.npz"
    save_test_predictions(predictions, path)
    loaded = load_test_predictions(path)
    assert list(loaded.flip_averaged) == list(MODELS)
    np.testing.assert_array_equal(loaded.flip_averaged["vgg16"], predictions.flip_averaged["vgg16"])
    again = replace(predictions, logits={"vgg16": predictions.logits["vgg16"]}, flip_averaged={})
    assert list(loaded.joined(again).flip_averaged) == [name for name in MODELS if name != "vgg16"]
    assert loaded.joined(again).flip_averaged_correct(["resnet50", "vgg16"]) is None


def test_the_command_reports_both_views_only_if_asked(
    weights_dir: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from fer_models.cli.main import main

    report = tmp_path / "report.json"
    words = ["evaluate", "--data", str(data_dir), "--labels", "ferplus", "--weights", str(weights_dir)]
    words += ["--json", str(report), "--device", "cpu", "--models", "eac_resnet50", "eac_mobilenet_v2"]
    assert main(words) == 0 and "flip-averaged" not in capsys.readouterr().out
    assert "accuracy_flip_averaged" not in report.read_text()
    assert main([*words, "--flip-average"]) == 0
    out = capsys.readouterr().out
    document = json.loads(report.read_text())
    assert "--flip-average" in document["command"]
    predictions = load_test_predictions(report.with_suffix(".npz"))
    for figures in (document["models"]["eac_resnet50"], document["ensemble"]):
        members = figures.get("members", ["eac_resnet50"])
        right = predictions.flip_averaged_correct(members)
        assert right is not None and figures["accuracy_flip_averaged"]["value"] == right.mean()
        assert f"flip-averaged {right.mean():7.2%}" in out


def test_figures_go_onto_the_cards(weights_dir: Path, tmp_path: Path) -> None:
    """Also how much a forward pass costs: MobileNetV2 at 64 px, whose last strides are 1."""
    import shutil

    from PIL import Image

    from fer_models.cli.main import main
    from fer_models.models.card import read_card

    weights = tmp_path / "weights"
    weights.mkdir()
    for suffix in ("json", "safetensors"):
        shutil.copy(weights_dir / f"vgg16.{suffix}", weights)
    (tmp_path / "data" / "fear").mkdir(parents=True)
    Image.fromarray(np.zeros((48, 48), np.uint8)).save(tmp_path / "data" / "fear" / "a.png")
    words = ["evaluate", "--data", str(tmp_path / "data"), "--labels", "folder", "--weights", str(weights)]
    assert main([*words, "--device", "cpu", "--cards"]) == 0
    card = read_card(weights / "vgg16.json")
    assert card.metrics["folder_test"]["count"] == 1
    assert card.metrics["folder_test"]["recall"]["anger"] is None
    assert 25_000_000 < card.multiply_adds < 45_000_000


def test_the_command_takes_names_of_class_folders(
    weights_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    from fer_models.cli.main import main

    for name, count in (("1", 2), ("2 b", 3)):
        (tmp_path / "data" / "test" / name).mkdir(parents=True)
        for index in range(count):
            Image.new("L", (48, 48), index).save(tmp_path / "data" / "test" / name / f"{index}.png")
    words = ["evaluate", "--data", str(tmp_path / "data"), "--labels", "folder", "--weights", str(weights_dir)]
    words += ["--models", "vgg16", "--device", "cpu", "--json", str(tmp_path / "t.json")]
    assert main(words) == 2 and "--class-names 1=EXPRESSION" in capsys.readouterr().err
    assert main([*words, "--class-names", "1=surprise, 2 b=sad"]) == 0
    record = json.loads((tmp_path / "t.json").read_text())
    rows = dict(zip(EXPRESSIONS, record["models"]["vgg16"]["confusion"], strict=True))
    assert {name: sum(row) for name, row in rows.items() if sum(row)} == {"sadness": 3, "surprise": 2}
    assert "--class-names '1=surprise,2 b=sad'" in record["command"]
    for wrong in ("1", "1=", "=fear", "1=fear,1=anger", "1=fear,"):
        with pytest.raises(SystemExit):
            main([*words, "--class-names", wrong])


@pytest.mark.parametrize("command", ["evaluate", "robustness", "calibrate", "train vgg16"])
def test_names_of_class_folders_reach_the_data(
    tmp_path: Path, weights_dir: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """Label sets with names of their own refuse them."""
    from fer_models.cli.main import main

    where = ["--out", str(tmp_path / "run")] if "train" in command else ["--weights", str(weights_dir)]
    words = [*command.split(), "--data", str(tmp_path), "--labels", "fer2013", "--class-names", "1=fear"]
    assert main([*words, "--device", "cpu", *where]) == 2
    assert "--class-names is for --labels folder" in capsys.readouterr().err


def test_files_that_hold_no_predictions(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with pytest.raises(FerError, match="holds no predictions"):
        load_test_predictions(path)
    path.write_bytes(b"PK nothing")
    with pytest.raises(FerError, match="holds no predictions"):
        load_test_predictions(path)
    np.savez(path, rows=np.array([{}], dtype=object))
    with pytest.raises(FerError, match="holds no predictions"):
        load_test_predictions(path)


def test_evaluation_and_app_feed_the_same_tensors(tmp_path: Path) -> None:
    """A grey 48x48 dataset face, and the same face as a picture file read whole by the app."""
    from PIL import Image

    from fer_models.faces.alignment import align, whole_picture

    face = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    Image.fromarray(face).save(tmp_path / "face.png")
    image = read_image(tmp_path / "face.png")
    crop = align(image, whole_picture(image))
    spec = InputSpec(size=112)
    assert torch.equal(spec.transform([crop]), spec.transform([face]))


def test_predictions_are_joined_by_name_and_cut_outs_taken_whole(analyzer: Analyzer) -> None:
    faces = np.random.default_rng(1).integers(0, 256, (3, 48, 48), np.uint8)
    data = FaceData("fer2013", "test", faces, np.zeros(3, np.int64), np.arange(3))
    predictions, missed = predict_test_set(analyzer, data)
    assert missed == 0
    for name, classifier in analyzer.classifiers.items():
        expected = classifier.predict(list(faces))
        for row, prediction in enumerate(expected):
            for column, label in enumerate(EXPRESSIONS):
                value = predictions.probabilities(name)[row, column]
                assert value == pytest.approx(prediction.probability(label), abs=1e-5)


def test_photos_count_their_largest_face_and_missed_ones_are_counted(analyzer: Analyzer) -> None:
    generator = np.random.default_rng(2)
    photos = [generator.integers(0, 256, shape, np.uint8) for shape in ((120, 210, 3), (90, 60, 3))]
    data = FaceData("folder", "test", photos, np.zeros(2, np.int64), np.arange(2))
    predictions, missed = predict_test_set(analyzer, data, "detect")
    assert missed == 1  # the fake detector sees nothing below 100 px
    assert all(np.isfinite(values).all() for values in predictions.logits.values())
