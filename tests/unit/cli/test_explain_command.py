import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import fer_models.analyzer
from explain.explain_picture import explain_picture, map_record, to_json
from explain.gradcam import explain
from explain.methods import METHODS
from fer_models import __version__
from fer_models.analyzer import Analyzer
from fer_models.cli.main import main
from fer_models.errors import ExplanationError, ImageError, UnknownNameError
from fer_models.expressions import EXPRESSIONS
from fer_models.models.classifier import Classifier
from fer_models.registry import MODELS
from tests.conftest import FakeDetector, network_of
from tests.unit.cli.test_predict_command import python


@pytest.fixture(autouse=True)
def _fake_centerface(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fer_models.analyzer, "CenterFace", FakeDetector)


@pytest.fixture
def photo(tmp_path: Path, picture: NDArray[np.uint8]) -> str:
    path = tmp_path / "two.png"
    cv2.imwrite(str(path), picture[:, :, ::-1])
    return str(path)


@pytest.fixture
def flags(weights_dir: Path, tmp_path: Path) -> list[str]:
    return ["--weights", str(weights_dir), "--device", "cpu", "--out", str(tmp_path / "out")]


def without_cost(document: dict[str, Any]) -> str:
    text = json.loads(json.dumps(document))
    for model in text["models"].values():
        for one in model["maps"].values():
            assert one.pop("cost_ms") > 0
            one.pop("overlay", None)
            one.pop("cells", None)
    return json.dumps(text)


def test_pictures_and_numbers_are_written(
    photo: str, flags: list[str], tmp_path: Path, analyzer: Analyzer, picture: NDArray[np.uint8]
) -> None:
    assert main(["explain", photo, *flags]) == 0
    document = json.loads((tmp_path / "out" / "explanation.json").read_text())
    assert document.pop("file") == "two.png"
    explained = explain_picture(analyzer, picture)
    assert without_cost(document) == without_cost(to_json(explained, picture, analyzer))
    assert document["versions"]["fer-compare"] == __version__ and "grad-cam" in document["versions"]
    assert list(document["models"]) == list(MODELS)
    names = {"crop.png", "explanation.json"}
    for name, model in document["models"].items():
        assert model["weights_sha256"] == analyzer.classifiers[name].card.sha256
        assert list(model["probabilities"]) == list(EXPRESSIONS)
        ((target, one),) = model["maps"].items()
        assert target == model["label"]
        heat = np.array(one["heat"])
        assert list(heat.shape) == one["shape"] == [4, 4]
        assert heat.max() == pytest.approx(one["peak"], rel=1e-5)
        raw = explain(analyzer.classifiers[name], explained.analysis.crop, target).heat
        np.testing.assert_allclose(heat, raw, rtol=1e-5)
        for kind in ("overlay", "cells"):
            drawn = cv2.imread(str(tmp_path / "out" / one[kind]))
            assert drawn is not None and drawn.shape == (448, 448, 3)
            names.add(one[kind])
    assert {path.name for path in (tmp_path / "out").iterdir()} == names


def test_models_target_method_layer_and_face(photo: str, flags: list[str], tmp_path: Path, analyzer: Analyzer) -> None:
    chosen = ["--model", "vgg16", "--model", "resnet50", "--method", "layercam", "--layer", "stage2"]
    assert main(["explain", photo, *chosen, "--target", "angry", "--smooth", "aug", "--face", "2", *flags]) == 0
    document = json.loads((tmp_path / "out" / "explanation.json").read_text())
    assert list(document["models"]) == ["vgg16", "resnet50"] and document["face"]["number"] == 2
    assert document["face"]["box"] == [100, 0, 200, 100]
    for model in document["models"].values():
        assert list(model["maps"]) == ["anger"]
        one = model["maps"]["anger"]
        assert (one["method"], one["layer"], one["smooth"]) == ("layercam", "stage2", "aug")


def test_maps_are_checked_with_random_weights(
    photo: str, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", photo, "--model", "vgg16", "--method", "eigencam", "--randomise", *flags]) == 0
    ((_, one),) = json.loads((tmp_path / "out" / "explanation.json").read_text())["models"]["vgg16"]["maps"].items()
    check = one["randomisation"]
    assert [step["randomised"] for step in check["steps"]] == ["classifier", "stage4", "stage3", "stage2", "stage1"]
    assert check["steps"][0]["similarity"] == 1 and check["verdict"] == "fails"  # it never asks the classifier
    assert all(len(step["similarities"]) == 5 for step in check["steps"])
    drawn = cv2.imread(str(tmp_path / "out" / check["picture"]))
    assert drawn is not None and drawn.shape == (224, 6 * 224, 3)
    assert "classifier 1.00" in capsys.readouterr().out
    assert main(["explain", photo, "--randomise", "--rather-than", "second", *flags]) == 2
    assert "--rather-than" in capsys.readouterr().err


def test_all_targets_come_in_the_vocabularys_order(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    for method in ("native", "gradcam"):
        shares: list[float] = []
        explained = explain_picture(
            analyzer, picture, models=["vgg16"], target="all", method=method, whole=True, progress=shares.append
        )
        assert list(explained.maps["vgg16"]) == list(EXPRESSIONS)
        assert explained.analysis.face.landmarks is None


def test_a_contrast_is_the_difference_of_two_maps(
    photo: str, flags: list[str], tmp_path: Path, analyzer: Analyzer, picture: NDArray[np.uint8]
) -> None:
    assert main(["explain", photo, "--target", "happy", "--rather-than", "fear", *flags]) == 0
    document = json.loads((tmp_path / "out" / "explanation.json").read_text())
    every = explain_picture(analyzer, picture, target="all").maps
    for name, model in document["models"].items():
        ((target, one),) = model["maps"].items()
        assert (target, one["rather_than"], one["method"]) == ("happiness", "fear", "contrast")
        expected = every[name]["happiness"].heat - every[name]["fear"].heat
        np.testing.assert_allclose(one["heat"], expected, rtol=1e-4, atol=1e-4)
        for kind in ("overlay", "cells"):
            drawn = cv2.imread(str(tmp_path / "out" / one[kind]))
            assert "happiness-rather-than-fear" in one[kind] and drawn is not None and drawn.shape == (448, 448, 3)
        blue, _, red = cv2.imread(str(tmp_path / "out" / one["cells"])).reshape(4, 112, 4, 112, 3)[:, 56, :, 56].T  # type: ignore[union-attr]
        np.testing.assert_array_equal(red.T > blue.T, expected > 0)  # orange is for the target
    assert all("rather_than" not in record for record in map(map_record, every["vgg16"].values()))


def test_a_contrast_with_each_models_second_answer(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    explained = explain_picture(analyzer, picture, rather_than="second")
    for name, maps in explained.maps.items():
        prediction = explained.analysis.predictions[name]
        second, first = (prediction.labels[index] for index in prediction.probabilities.argsort()[-2:])
        assert [(one.expression, one.rather_than) for one in maps.values()] == [(first, second)]
    label = explained.analysis.predictions["vgg16"].label
    everything = explain_picture(analyzer, picture, models=["vgg16"], target="all", rather_than=label)
    assert set(everything.maps["vgg16"]) == set(EXPRESSIONS) - {label}


def test_a_model_that_cannot_contrast_says_so(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    vgg16 = analyzer.classifiers["vgg16"]
    labels = tuple("contempt" if label == "fear" else label for label in vgg16.card.labels)
    other = Classifier(replace(vgg16.card, name="other", labels=labels), network_of(vgg16), torch.device("cpu"))
    mixed = Analyzer([vgg16, other], analyzer.detector)
    explained = explain_picture(mixed, picture, target="anger", rather_than="fear")
    assert list(explained.maps["vgg16"]) == ["anger"] and not explained.maps["other"]
    assert explained.without_map == {"other": "No map: this model does not know fear."}
    label = explained.analysis.predictions["vgg16"].label
    with pytest.raises(ExplanationError, match=f"{label} is what this model itself predicts"):
        explain_picture(analyzer, picture, models=["vgg16"], rather_than=label)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rather-than", "bored"], "Unknown expression 'bored'"),
        (["--rather-than", "fear", "--method", "gradcam"], "contrasted with native maps"),
        (["--rather-than", "fear", "--target", "scared"], "cannot be contrasted with itself"),
        (["--model", "alexnet"], "Unknown model 'alexnet'"),
        (["--method", "guesscam"], "Unknown method 'guesscam'"),
        (["--target", "bored"], "Unknown expression 'bored'. Known: anger"),
        (["--method", "gradcam", "--layer", "fc"], "Unknown layer of model resnet50 'fc'. Known: stage1"),
        (["--smooth", "aug"], "takes no smoothing"),
        (["--face", "3"], "There is no face 3: the picture has 2 faces, numbered from 1."),
        (["--face", "0"], "There is no face 0"),
        (["--out", "/proc/nowhere"], "Cannot write /proc/nowhere/crop.png"),
    ],
)
def test_errors_are_one_line_and_exit_code_2(
    photo: str, flags: list[str], capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["explain", photo, *flags, *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("error: ") == 1 and "Traceback" not in err


def test_no_face_and_no_picture(tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    empty, broken = tmp_path / "none.png", tmp_path / "broken.png"
    cv2.imwrite(str(empty), np.zeros((50, 50, 3), np.uint8))
    broken.write_bytes(b"no picture")
    for path, message in ((empty, "No face was found"), (broken, "'broken.png'"), (tmp_path / "gone.png", "no file")):
        assert main(["explain", str(path), *flags]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(["explain", str(empty), "--whole", *flags]) == 0


def test_names_are_checked_before_anything_is_read(picture: NDArray[np.uint8], analyzer: Analyzer) -> None:
    class Blind:
        def detect(self, image: NDArray[np.uint8]) -> list[Any]:
            raise AssertionError("it looked for faces")

    blind = Analyzer(list(analyzer.classifiers.values()), Blind())
    for options in ({"models": ["alexnet"]}, {"method": "guess"}, {"target": "bored"}):
        with pytest.raises(UnknownNameError):
            explain_picture(blind, picture, **options)
    with pytest.raises(ImageError):
        explain_picture(analyzer, picture, face=7)


def test_the_help_lists_the_methods_quickly() -> None:
    program = (
        "import sys; from fer_models.cli.main import main\n"
        "try: main(['explain', '--help'])\n"
        "finally: print([name for name in ('torch', 'numpy', 'cv2', 'pytorch_grad_cam') if name in sys.modules])"
    )
    result = python("-c", program)
    assert result.stdout.endswith("[]\n") and result.stderr == ""
    assert all(f"  {name} " in result.stdout and facts.idea in result.stdout for name, facts in METHODS.items())
