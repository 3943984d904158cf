import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fer_models import analyzer as module
from fer_models.analyzer import Analyzer, list_models, load_analyzer
from fer_models.datasets.dataset import FaceData
from fer_models.errors import FerError, ImageError, UnknownNameError, WeightsError
from fer_models.evaluation.predictions import predict_test_set
from fer_models.expressions import EXPRESSIONS
from fer_models.faces.alignment import CROP_SIZE
from fer_models.models.card import ModelCard
from fer_models.models.classifier import Classifier
from fer_models.models.engines.outputs import Outputs
from fer_models.models.preprocessing import InputSpec
from fer_models.registry import MODELS
from fer_models.results import SHARED_CROP, CropSpec, Face, FaceAnalysis, Prediction
from fer_models.schema import to_json
from tests.conftest import FakeDetector

Picture = NDArray[np.uint8]


def test_models_come_in_the_projects_order_and_others_after(weights_dir: Path, tmp_path: Path) -> None:
    assert list_models(weights_dir) == ["resnet50", "vgg16", "eac_resnet50", "eac_mobilenet_v2"]
    for name in ("zebra", "vgg16", "apple", "resnet50"):
        (tmp_path / f"{name}.json").touch()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "resnet50_fer2013.json").touch()
    assert list_models(tmp_path) == ["resnet50", "vgg16", "apple", "zebra"]
    assert list_models(tmp_path / "nowhere") == []


def test_every_face_of_every_picture_in_order(analyzer: Analyzer, picture: Picture) -> None:
    pictures = [picture, picture[:, :50].copy(), picture[:, ::-1].copy()]
    analyses = analyzer.analyze(pictures)
    assert [analysis.image for analysis in analyses] == [0, 0, 2, 2]
    assert [analysis.face.box[0] for analysis in analyses] == [0, 100, 0, 100]
    for analysis in analyses:
        assert list(analysis.predictions) == list(MODELS)
        assert analysis.crop.shape == (CROP_SIZE, CROP_SIZE, 3)
        assert analysis.crop.dtype == np.uint8
        assert 0.25 <= analysis.agreement <= 1
        for name, prediction in analysis.predictions.items():
            assert prediction.model == name
            assert prediction.latency_ms > 0
            assert prediction.features is None
    alone = analyzer.analyze(pictures[2:])
    for one, other in zip(alone, analyses[2:], strict=True):
        np.testing.assert_array_equal(one.crop, other.crop)
        for name in MODELS:
            np.testing.assert_allclose(
                one.predictions[name].probabilities, other.predictions[name].probabilities, atol=1e-5
            )


def test_pictures_without_faces_and_no_pictures(analyzer: Analyzer) -> None:
    assert analyzer.analyze([np.zeros((80, 80, 3), np.uint8)]) == []
    assert analyzer.analyze([]) == []


def test_a_hundred_faces(analyzer: Analyzer) -> None:
    crowd = np.random.default_rng(0).integers(0, 256, (100, 10_000, 3), np.uint8)
    analyses = analyzer.analyze([crowd], models=["vgg16"])
    assert len(analyses) == 100
    assert [analysis.face.box[0] for analysis in analyses] == list(range(0, 10_000, 100))


def test_the_whole_picture_as_one_face(analyzer: Analyzer) -> None:
    face = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    analyses = analyzer.analyze([face, face[:, ::-1].copy()], whole=True)
    assert [analysis.image for analysis in analyses] == [0, 1]
    first = analyses[0]
    assert first.face.landmarks is None and first.face.score == 1
    np.testing.assert_array_equal(first.face.box, [0, 0, 48, 48])
    (direct,) = analyzer.classifiers["resnet50"].predict([first.crop])
    # Sums of a batch of two and of one are rounded differently.
    np.testing.assert_allclose(first.predictions["resnet50"].logits, direct.logits, atol=1e-4)


def test_only_some_models_and_features_on_request(analyzer: Analyzer, picture: Picture) -> None:
    for analysis in analyzer.analyze([picture], features=True, models=["eac_mobilenet_v2", "resnet50"]):
        assert list(analysis.predictions) == ["resnet50", "eac_mobilenet_v2"]
        assert all(prediction.features is not None for prediction in analysis.predictions.values())
    assert analyzer.analyze([picture], models=[])[0].predictions == {}


def test_an_unknown_model_is_named_before_any_work(
    analyzer: Analyzer, picture: Picture, weights_dir: Path, fake_detector: FakeDetector
) -> None:
    with pytest.raises(UnknownNameError, match="Unknown model 'resnet'. Known: resnet50, vgg16"):
        analyzer.analyze([picture], models=["resnet"])
    for name in ("resnet", "../weights/resnet50", ""):
        with pytest.raises(UnknownNameError, match="Unknown model"):
            load_analyzer([name], weights=weights_dir, detector=fake_detector)


def test_other_arrays_are_refused(analyzer: Analyzer) -> None:
    with pytest.raises(ImageError, match=r"\(200, 200\)"):
        analyzer.analyze([np.zeros((200, 200), np.uint8)])


def test_models_load_in_the_order_named_each_once(weights_dir: Path, fake_detector: FakeDetector) -> None:
    chosen = load_analyzer(["vgg16", "resnet50", "vgg16"], weights=weights_dir, device="cpu", detector=fake_detector)
    assert list(chosen.classifiers) == ["vgg16", "resnet50"]
    assert chosen.detector is fake_detector


def test_loading_says_what_is_wrong(weights_dir: Path, tmp_path: Path, fake_detector: FakeDetector) -> None:
    with pytest.raises(WeightsError, match="no model cards in .*git checkout"):
        load_analyzer(weights=tmp_path, detector=fake_detector)
    with pytest.raises(WeightsError, match="No model was named. Known: resnet50"):
        load_analyzer([], weights=weights_dir, detector=fake_detector)
    with pytest.raises(UnknownNameError, match="Unknown device 'gpu'"):
        load_analyzer(weights=weights_dir, device="gpu", detector=fake_detector)
    (tmp_path / "vgg16.json").write_bytes((weights_dir / "vgg16.json").read_bytes())
    (tmp_path / "vgg16.safetensors").write_bytes((weights_dir / "resnet50.safetensors").read_bytes())
    with pytest.raises(FerError, match=r"vgg16\.safetensors was altered"):
        load_analyzer(weights=tmp_path, detector=fake_detector)


def test_without_a_detector_it_is_centerface(weights_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CenterFace", FakeDetector)
    assert isinstance(load_analyzer(["vgg16"], weights=weights_dir, device="cpu").detector, FakeDetector)


def test_threads_get_the_same_answers(analyzer: Analyzer, picture: Picture) -> None:
    pictures = [np.roll(picture, 10 * shift, 1) for shift in range(6)]
    expected = [analyzer.analyze([one]) for one in pictures]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda one: analyzer.analyze([one], features=True), pictures * 2))
    for index, answer in enumerate(answers):
        for one, other in zip(answer, expected[index % 6], strict=True):
            for name in MODELS:
                np.testing.assert_allclose(
                    one.predictions[name].probabilities, other.predictions[name].probabilities, atol=1e-6
                )


def test_the_schema_is_the_documented_one(analyzer: Analyzer, picture: Picture) -> None:
    document = to_json(picture, analyzer.analyze([picture]))
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert list(document) == ["image", "faces"]
    assert document["image"] == {"width": 230, "height": 100}
    assert [face["box"] for face in document["faces"]] == [[0, 0, 100, 100], [100, 0, 200, 100]]
    for face in document["faces"]:
        assert list(face) == ["box", "score", "models", "quality"]
        assert face["score"] == pytest.approx(0.9)
        assert list(face["models"]) == list(MODELS)
        for model in face["models"].values():
            assert list(model) == ["label", "probabilities", "latency_ms"]
            assert list(model["probabilities"]) == list(EXPRESSIONS)
            assert sum(model["probabilities"].values()) == pytest.approx(1, abs=1e-5)
            assert model["label"] == max(model["probabilities"], key=model["probabilities"].get)
            assert model["latency_ms"] > 0
            values = [*model["probabilities"].values(), model["latency_ms"], face["score"], *face["box"]]
            assert all(type(value) is float for value in values)


def test_the_schema_leaves_out_what_a_model_never_judged() -> None:
    values = np.array([0.25, 0.75], np.float32)
    answer = Prediction("two", ("neutral", "fear"), values, values, 1.0, 1.23456)
    face = Face(np.array([1.006, 2, 3, 4], np.float32), None, 1.0)
    crop: NDArray[Any] = np.zeros((4, 4, 3), np.uint8)
    document = to_json(crop, [FaceAnalysis(0, face, crop, {"two": answer})])
    (only,) = document["faces"]
    assert only["box"] == [1.01, 2, 3, 4]
    assert only["models"]["two"] == {
        "label": "fear",
        "probabilities": {"fear": 0.75, "neutral": 0.25},
        "latency_ms": 1.235,
    }
    assert list(only["models"]["two"]["probabilities"]) == ["fear", "neutral"]


class Seen:
    """An engine that keeps what it is fed."""

    name, precision = "none", "float32"

    def __init__(self) -> None:
        self.inputs: list[NDArray[np.float32]] = []

    def run(self, inputs: torch.Tensor, *, features: bool = False) -> Outputs:
        self.inputs.append(inputs.numpy())
        return Outputs(inputs.mean((2, 3)).numpy() @ np.ones((3, 7), np.float32), None)


def test_each_model_is_given_the_crop_that_its_card_asks_for(picture: Picture) -> None:
    engines = {name: Seen() for name in ("tight", "box", "same_box")}
    spec = InputSpec(100, "rgb", (0, 0, 0), (1 / 255, 1 / 255, 1 / 255), None)  # the pixels as they are
    crops = {"tight": SHARED_CROP, "box": CropSpec("box"), "same_box": CropSpec("box")}
    models = [
        Classifier(
            ModelCard(name, name, "graph", EXPRESSIONS, spec, "none", "none", "MIT", 0, "ab", crop=crops[name]),
            *(None, torch.device("cpu"), engine),
        )
        for name, engine in engines.items()
    ]
    analyses = Analyzer(models, FakeDetector()).analyze([picture])
    for number, analysis in enumerate(analyses):
        box = picture[:100, 100 * number : 100 * number + 100]  # `FakeDetector`
        np.testing.assert_array_equal(analysis.crop_of("box"), box)
        np.testing.assert_array_equal(analysis.crop_of("tight"), analysis.crop)
        assert analysis.own_crops["box"] is analysis.own_crops["same_box"] and "tight" not in analysis.own_crops
        for name in ("box", "same_box"):
            (fed,) = engines[name].inputs
            np.testing.assert_allclose(fed[number].transpose(1, 2, 0), box, atol=1e-3)
        (fed,) = engines["tight"].inputs
        assert np.abs(fed[number].transpose(1, 2, 0) - box).mean() > 5
    assert len(analyses) == 2
    # of a flip-averaged test both views must be of the right crop
    data = FaceData("fer2013", "test", [picture[:, :100]], np.array([0]), np.array([0]))
    for engine in engines.values():
        engine.inputs.clear()
    predict_test_set(Analyzer(models, FakeDetector()), data, "detect", flip_average=True)
    plain, mirrored = engines["box"].inputs
    np.testing.assert_array_equal(mirrored, plain[..., ::-1])
