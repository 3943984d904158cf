"""The attention lab's texts, charts and report, without a browser."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dashboard.attention import pair_view as pairs
from dashboard.attention import view as markup
from dashboard.attention.faithfulness_view import FaithfulnessResults, faithfulness_card
from dashboard.attention.figures import curves_figure, effects_figure, regions_figure
from dashboard.attention.report import download_link, face_json, report
from dashboard.attention.view import MapStyle
from dashboard.components.analyzed_image import AnalyzedFace, analyze_picture
from dashboard.components.face_view import ModelDisplay, model_display
from explain.arcc import Arcc
from explain.drawing.overlay import shared_peak
from explain.faithfulness import Curves, Faithfulness
from explain.flip_consistency import flip_consistency
from explain.occlusion import RegionEffects
from explain.regions import REGIONS
from explain.road import Road
from fer_models.analyzer import MODELS, Analyzer
from fer_models.expressions import EXPRESSIONS
from fer_models.registry import model_styles, style_at


@pytest.fixture(scope="module")
def face(analyzer: Analyzer, picture: NDArray[np.uint8]) -> AnalyzedFace:
    return analyze_picture(analyzer, picture).faces[0]


@pytest.fixture(scope="module")
def models(analyzer: Analyzer) -> ModelDisplay:
    return model_display({name: model.card for name, model in analyzer.classifiers.items()})


def test_the_lab_is_handed_what_the_models_were_given(
    analyzer: Analyzer, picture: NDArray[np.uint8], face: AnalyzedFace
) -> None:
    (analysis, _) = analyzer.analyze([picture])
    np.testing.assert_array_equal(face.given, analysis.crop)
    assert face.crop.shape == (224, 224, 3)
    large = np.zeros((300, 90, 3), np.uint8).repeat(10, 1)[:, :99].repeat(4, 0)
    whole = analyze_picture(analyzer, large).whole
    assert whole is not None and whole.given.shape[0] <= 224


def test_one_scale_for_all_models_or_one_each(face: AnalyzedFace) -> None:
    peaks = {name: shared_peak(maps.values()) for name, maps in face.maps.items()}
    assert {markup.scale_of(face, name, MapStyle(shared=True)) for name in peaks} == {max(peaks.values())}
    assert {name: markup.scale_of(face, name, MapStyle(shared=False)) for name in peaks} == peaks


def test_texts_are_escaped(face: AnalyzedFace, models: ModelDisplay) -> None:
    evil = '"><script>alert(1)</script>'
    card = markup.face_card(face, evil, evil)
    assert "<script" not in card and "&lt;script&gt;" in card
    assert "<script" not in download_link(evil, evil, "text/html", evil)


def test_an_expression_a_model_does_not_know_is_told(face: AnalyzedFace, models: ModelDisplay) -> None:
    assert markup.grid(face, [*EXPRESSIONS, "contempt"], MapStyle(), models).count("not known") == 4
    assert "does not know contempt" in pairs.difference_panel(face, "vgg16", "resnet50", "contempt", MapStyle(), models)


@pytest.mark.parametrize(
    ("value", "text"), [(27.23, "27.2"), (-2.13, "\u22122.1"), (0.0284, "0.028"), (0, "0"), (12345.6, "12345.6")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert markup.number(value) == text


def test_stacked_bars_hold_the_shares() -> None:
    shares = {"ResNet50": dict.fromkeys(REGIONS, 0.0) | {"mouth": 0.75, "eyes": 0.25}}
    areas = dict.fromkeys(REGIONS, 1 / 6)
    figure = regions_figure(shares, areas)
    assert [bar.name for bar in figure.data] == [name.capitalize() for name in REGIONS]
    mouth = figure.data[REGIONS.index("mouth")]
    assert list(mouth.y) == ["An even map", "ResNet50"] and list(mouth.x) == pytest.approx([100 / 6, 75])


def test_effects_are_changes_in_points() -> None:
    effects = {"vgg16": RegionEffects("fear", 0.8, {"eyes": 0.5, "mouth": 0.9})}
    (bars,) = effects_figure(effects, {"vgg16": "VGG16"}, {"vgg16": style_at(1)}).data
    assert list(bars.x) == ["Eyes", "Mouth"] and list(bars.y) == pytest.approx([-30, 10])


def judged() -> Faithfulness:
    up, down = np.array([0, 0.5, 1.0]), np.array([1.0, 0.5, 0])
    return Faithfulness("vgg16", "fear", Curves(down, up), Curves(up, up), Curves(down, down))


def test_curves_are_in_percent() -> None:
    both = {name: judged() for name in ("vgg16", "resnet50")}
    figure = curves_figure(both, {"vgg16": "VGG16", "resnet50": "ResNet50"}, model_styles(both))
    assert len(figure.data) == 12
    hidden, shown_first = figure.data[:2]
    assert list(hidden.x) == [0, 50, 100] and list(hidden.y) == [100, 50, 0] and list(shown_first.y) == [0, 50, 100]
    assert [line.showlegend for line in figure.data].count(True) == 3
    assert [text.text for text in figure.layout.annotations if text.text] == ["VGG16", "ResNet50"]
    card = faithfulness_card(judged(), "Grad-CAM", shown_of("vgg16"))
    assert "0.50" in card and "ROAD" not in card


def shown_of(name: str) -> Any:
    class Card:
        title = "VGG16"

    return ModelDisplay({name: Card()}, {name: style_at(1)})  # type: ignore[dict-item]


def test_the_report_holds_everything_and_no_face_if_told_so(
    face: AnalyzedFace, models: ModelDisplay, analyzer: Analyzer
) -> None:
    mirror = {name: flip_consistency(analyzer.classifiers[name], face.given) for name in MODELS}
    with_face = report(face, models, mirror, FaithfulnessResults("gradcam", {"vgg16": judged()}), with_face=True)
    without = report(face, models, mirror, None, with_face=False)
    assert with_face.count("<img") == 29 and without.count("<img") == 28
    assert with_face.count("<polyline") == 6 and without.count("<polyline") == 0
    assert "ARCC" not in with_face  # it was not measured
    score, removal = Arcc(coherency=0.9, simplicity=0.6, road=0.5), Road((10,), (0.2,), (0.4,))
    curves = Curves(np.array([1.0, 0]), np.array([0, 1.0]), removal, score)
    trust = {"vgg16": Faithfulness("vgg16", "fear", curves, curves, curves)}
    measured = report(face, models, mirror, FaithfulnessResults("native", trust), with_face=False)
    assert "those of Grad-CAM." in with_face and "the native ones above." in measured
    assert measured.count(f"<td>{score.score:.2f}</td>") == measured.count("<td>+0.10</td>") == 3
    assert all(f"<dd>{part}</dd>" in measured for part in ("0.90", "0.60", "0.50"))
    pictures = [part.split('"')[0] for part in with_face.split('src="')[1:]]
    assert not any(picture in without for picture in pictures)
    for card in models.cards.values():
        assert card.sha256 in without and card.title in without
    for text in (with_face, without):
        assert "http" not in text and "<script" not in text


def test_the_json_is_that_of_the_record(face: AnalyzedFace, analyzer: Analyzer) -> None:
    document = json.loads(face_json(face, analyzer))
    assert list(document["models"]) == list(MODELS)
    for name, record in document["models"].items():
        assert list(record["maps"]) == list(EXPRESSIONS)
        for expression, one in record["maps"].items():
            np.testing.assert_allclose(one["heat"], face.maps[name][expression].heat, rtol=1e-5)
            assert one["method"] == "native"
