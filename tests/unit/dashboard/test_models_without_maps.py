"""Models that an engine runs without a network: they answer everywhere, and say why they have no map."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import gradio as gr
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dashboard.attention.cards_view import occluded_cards
from dashboard.attention.pair_view import face_contrasts, map_difference
from dashboard.attention.report import face_json, face_report
from dashboard.attention.sections.methods import MethodsSection
from dashboard.attention.sections.regions import RegionsSection
from dashboard.attention.tab import AttentionTab
from dashboard.attention.view import MapStyle, map_grid
from dashboard.compare.view import columns
from dashboard.components.analyzed_image import AnalyzedFace, analyze_picture
from dashboard.components.display import model_display
from dashboard.components.jobs import Jobs
from dashboard.components.templates import render
from dashboard.live.frames import Frames
from dashboard.mcp.tools import Tools
from explain.drawing.overlay import draw_map, shared_peak
from explain.explain_picture import OWN, explain_picture, to_json
from explain.flip_consistency import flip_consistency
from explain.gradcam import explain
from explain.maps import NO_MAP
from explain.methods import ACTIVATION, METHODS, supported
from explain.test_set import study
from fer_models.analyzer import Analyzer
from fer_models.errors import ExplanationError
from fer_models.expressions import EXPRESSIONS
from fer_models.models.card import ModelCard
from fer_models.models.classifier import Classifier
from fer_models.models.engines.outputs import Outputs
from fer_models.models.preprocessing import InputSpec
from fer_models.results import CropSpec
from tests.conftest import FakeDetector

CPU = torch.device("cpu")


class MeanEngine:
    """Logits from the input's mean; feature maps of two channels if it has a head for them."""

    name, precision = "none", "float32"

    def __init__(self, weights: NDArray[np.float32] | None = None) -> None:
        self._weights = weights

    def run(self, inputs: torch.Tensor, *, features: bool = False) -> Outputs:
        if self._weights is None:
            return Outputs(inputs.mean((1, 2, 3)).numpy()[:, None] * np.arange(7, dtype=np.float32), None)
        maps = inputs[:, :2, ::16, ::16].numpy().copy()
        return Outputs(maps.mean((2, 3)) @ self._weights.T, maps if features else None)


def graph(name: str = "graph", weights: NDArray[np.float32] | None = None) -> Classifier:
    card = ModelCard(name, name.upper(), "graph", EXPRESSIONS, InputSpec(size=64), "none", "none", "MIT", 0, "ab")
    return Classifier(card, None, CPU, MeanEngine(weights), weights)


@pytest.fixture
def crop() -> NDArray[np.uint8]:
    return np.random.default_rng(2).integers(0, 256, (64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def mixed(analyzer: Analyzer) -> Analyzer:
    return Analyzer([graph(), analyzer.classifiers["vgg16"]], FakeDetector())


def test_it_predicts_without_feature_maps(crop: NDArray[np.uint8]) -> None:
    classifier = graph()
    (prediction,) = classifier.predict([crop], features=True)
    assert prediction.features is None and classifier.class_weights is None and classifier.network is None
    assert prediction.probabilities.sum() == pytest.approx(1)


def test_an_engine_with_a_known_head_has_native_maps_and_no_others(crop: NDArray[np.uint8]) -> None:
    weights = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
    classifier = graph(weights=weights)
    (prediction,) = classifier.predict([crop])
    for index, label in enumerate(EXPRESSIONS):
        assert explain(classifier, crop, label).heat.mean() == pytest.approx(prediction.logits[index], abs=1e-5)
    with pytest.raises(ExplanationError, match="needs a PyTorch network"):
        explain(classifier, crop, "fear", "gradcam")


def test_without_network_and_engine_there_is_no_model() -> None:
    with pytest.raises(ValueError, match="no network"):
        Classifier(graph().card, None, CPU)


@pytest.mark.parametrize("method", [name for name, facts in METHODS.items() if facts.kind == ACTIVATION])
def test_no_class_activation_map_explains_it(method: str, crop: NDArray[np.uint8]) -> None:
    with pytest.raises(ExplanationError, match="No map: "):
        explain(graph(), crop, "fear", method)


def test_measurements_of_maps_say_why_there_are_none(crop: NDArray[np.uint8]) -> None:
    for measure in (
        lambda: flip_consistency(graph(), crop),
        lambda: study(graph(), [crop], ["fear"], tested=1, steps=2, seed=0),
    ):
        with pytest.raises(ExplanationError) as error:
            measure()
        assert str(error.value) == NO_MAP


def test_it_stands_in_the_json_beside_others_with_the_reason(mixed: Analyzer, picture: NDArray[np.uint8]) -> None:
    document = to_json(explain_picture(mixed, picture), picture, mixed)["models"]
    assert list(document) == ["graph", "vgg16"]
    assert document["graph"]["maps"] == {} and document["graph"]["no_map"] == NO_MAP
    assert document["vgg16"]["maps"] and "no_map" not in document["vgg16"]
    with pytest.raises(ExplanationError, match="No map"):
        explain_picture(mixed, picture, models=["graph"])


def test_mcp_gives_the_reason(mixed: Analyzer) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (100, 100, 3), np.uint8)
    text = base64.b64encode(cv2.imencode(".png", pixels)[1].tobytes()).decode()
    explained, pictures = Tools(mixed).explain(text)
    assert explained.models["graph"].no_map == NO_MAP and not explained.models["graph"].maps
    assert explained.models["vgg16"].no_map is None and len(pictures) == 1


def test_the_tabs_show_its_answer_and_why_there_is_no_map(mixed: Analyzer, picture: NDArray[np.uint8]) -> None:
    display = model_display({name: model.card for name, model in mixed.classifiers.items()})
    face = analyze_picture(mixed, picture).faces[0]
    first, second = columns(face, ["graph", "vgg16"], OWN, display)
    assert first.caption == NO_MAP and first.prediction.label and second.caption != NO_MAP
    assert first.image is not None
    np.testing.assert_array_equal(first.image, face.crop)
    rows = map_grid(face, EXPRESSIONS, MapStyle(), display).rows
    assert [row.note for row in rows if row.model == "graph"] == [NO_MAP]
    grid = render("attention/grid.html", grid=map_grid(face, EXPRESSIONS, MapStyle(), display))
    assert grid.count(NO_MAP) == 1 and grid.count("<button") == 7
    assert map_difference(face, "graph", "vgg16", "fear", MapStyle(), display) == f"GRAPH: {NO_MAP}"
    picture_html, figure = RegionsSection(display, EXPRESSIONS).show(face, OWN)
    assert picture_html.count(NO_MAP) == 1 and "GRAPH" not in figure.data[0].y
    after: dict[str, Any] = {"graph": (face.predictions["graph"], {})}
    (card,) = occluded_cards(face, {"graph": face.crop}, after, MapStyle(), display)
    assert card.caption == NO_MAP and card.now == face.predictions["graph"].label
    report = render(
        "attention/report.html", report=face_report(face, display, {}, None, face_contrasts(face), with_face=True)
    )
    assert report.count(NO_MAP) == 2
    assert json.loads(face_json(face, mixed, face_contrasts(face)))["models"]["graph"]["no_map"] == NO_MAP


def test_maps_lie_on_the_crop_that_the_model_was_given(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    weights = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
    box = graph("box", weights)
    box.card = replace(box.card, crop=CropSpec("box"))
    both = Analyzer([box, analyzer.classifiers["vgg16"]], FakeDetector())
    display = model_display({name: model.card for name, model in both.classifiers.items()})
    face = analyze_picture(both, picture).faces[1]
    np.testing.assert_array_equal(face.crop_of("box"), picture[:100, 100:200])
    np.testing.assert_array_equal(face.input_of("box"), picture[:100, 100:200])
    assert face.crop_of("vgg16") is face.crop and face.input_of("vgg16") is face.model_input
    column, _ = columns(face, ["box", "vgg16"], OWN, display)
    maps = face.maps["box"]
    expected = draw_map(
        picture[:100, 100:200], maps[column.prediction.label], peak=shared_peak(maps.values()), side=320
    )
    np.testing.assert_array_equal(column.image, expected)
    assert "different crops" in str(map_difference(face, "box", "vgg16", "fear", MapStyle(), display))
    explained = explain_picture(both, picture, face=2, target="fear")
    answered = explain(box, picture[:100, 100:200], "fear")
    np.testing.assert_array_equal(explained.maps["box"]["fear"].heat, answered.heat)


def test_live_keeps_the_frame_and_says_why(mixed: Analyzer) -> None:
    frame = np.zeros((100, 100, 3), np.uint8)
    drawn, caption = Frames(mixed)._draw(frame, [SimpleNamespace()], "graph", ["graph"])  # type: ignore[list-item]
    assert caption == NO_MAP and drawn is frame


def run_methods(analyzer: Analyzer, face: AnalyzedFace, method: str) -> tuple[MethodsSection, str]:
    """The section and its cards at the end of a run."""
    display = model_display({name: model.card for name, model in analyzer.classifiers.items()})
    with gr.Blocks():
        section = MethodsSection(analyzer, display, EXPRESSIONS, Jobs())
    request: Any = SimpleNamespace(session_hash="one")
    *_, last = section.run(face, request, method, OWN, "stage4", "none", "all", "viridis", 0.75)
    return section, last[section.cards]


def test_a_method_is_made_for_the_models_that_it_can_explain(mixed: Analyzer, picture: NDArray[np.uint8]) -> None:
    face = analyze_picture(mixed, picture).faces[0]
    reason = supported(mixed.classifiers["graph"])["gradcam"]
    section, cards = run_methods(mixed, face, "gradcam")
    assert cards.count("<img") == 1 and cards.count(reason) == 1 and cards.index("GRAPH") < cards.index(reason)
    facts, *_, make = section.choose("gradcam")
    assert f"GRAPH: {reason}" in facts and "VGG16" not in facts and make["interactive"]
    _, cards = run_methods(mixed, face, "occlusion")
    assert cards.count("<img") == 2
    facts, layer, smooth, make = section.choose("occlusion")
    assert "GRAPH" not in facts and "class activation maps" in facts
    assert not layer["interactive"] and not smooth["interactive"] and make["interactive"]


def test_with_no_other_model_other_methods_are_disabled(picture: NDArray[np.uint8]) -> None:
    alone = Analyzer([graph()], FakeDetector())
    face = analyze_picture(alone, picture).faces[0]
    section, cards = run_methods(alone, face, "gradcam")
    assert "<img" not in cards and supported(alone.classifiers["graph"])["gradcam"] in cards
    choices: Any = section.method.choices
    usable = [name for label, name in choices if "not for these models" not in label]
    assert usable == ["occlusion", "rise"] and section.method.value == "occlusion"
    assert not section.choose("gradcam")[-1]["interactive"] and section.choose("rise")[-1]["interactive"]


def test_the_lab_opens_with_no_map_at_all(picture: NDArray[np.uint8], tmp_path: Path) -> None:
    alone = Analyzer([graph()], FakeDetector())
    with gr.Blocks():
        tab = AttentionTab(alone, tmp_path, tmp_path, tmp_path)
    updates = tab.done(analyze_picture(alone, picture), "graph", "graph", "all", "viridis", 0.75)
    for html in (updates[tab.maps.grid], updates[tab.maps.difference], updates[tab.contrast.cards]):
        assert NO_MAP in html and "<img" not in html
