"""The chart, the sentence and the markup: results joined by name, readable for everybody, nothing unescaped."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dashboard.components import face_view as markup
from dashboard.components.analyzed_image import MAX_FACES, agreement_sentence, load_examples, read_faces
from dashboard.components.charts import compare_figure, model_styles
from dashboard.theme import CSS, FOOTER, HEADER
from fer_models.analyzer import MODELS, Analyzer
from fer_models.expressions import EXPRESSIONS
from fer_models.models.ensemble import ENSEMBLE
from fer_models.results import Prediction

TITLES = {"resnet50": "ResNet50", "vgg16": "VGG16", "eac_resnet50": "EAC (ResNet-50)", "eac_mobilenet_v2": "EAC (MN)"}
TRAINING = {"resnet50": "FER2013", "vgg16": "FER2013", "eac_resnet50": "FER+", "eac_mobilenet_v2": "FER+"}


def prediction(model: str, label: str = "fear", labels: tuple[str, ...] = EXPRESSIONS) -> Prediction:
    probabilities = np.full(len(labels), 0.4 / (len(labels) - 1), np.float32)
    probabilities[labels.index(label)] = 0.6
    return Prediction(model, labels, np.log(probabilities), probabilities, 1.0, 5.0)


def test_the_chart_joins_models_by_expression_in_one_order() -> None:
    turned = EXPRESSIONS[3:] + EXPRESSIONS[:3]
    figure = compare_figure(
        {"vgg16": prediction("vgg16"), "resnet50": prediction("resnet50", "anger", turned)},
        TITLES,
        model_styles(TITLES),
    )
    assert [bar.name for bar in figure.data] == ["VGG16", "ResNet50"]
    for bar, label in zip(figure.data, ("fear", "anger"), strict=True):
        assert list(bar.x) == [name.capitalize() for name in EXPRESSIONS]
        assert bar.y[EXPRESSIONS.index(label)] == pytest.approx(60)
        assert sum(bar.y) == pytest.approx(100)
    assert "%" in figure.layout.yaxis.title.text


def test_an_expression_that_a_model_does_not_know_has_no_bar() -> None:
    labels = ("happiness", "fear", "contempt")
    figure = compare_figure({"vgg16": prediction("vgg16", "fear", labels)}, TITLES, model_styles(TITLES))
    bars = dict(zip(figure.data[0].x, figure.data[0].y, strict=True))
    assert [name for name, value in bars.items() if value is not None] == ["Fear", "Happiness", "Contempt"]
    assert list(bars)[-1] == "Contempt"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["fear"], "ResNet50 says fear."),
        (["fear", "fear"], "Both models say fear."),
        (["fear"] * 4, "All four models say fear."),
        (["fear", "anger", "fear", "fear"], "Three of four models say fear; VGG16 says anger."),
        (
            ["fear", "anger", "fear", "neutral"],
            "Two of four models say fear; VGG16 says anger and EAC (MN) says neutral.",
        ),
        (
            ["fear", "anger", "fear", "anger"],
            "The models are split: ResNet50 and EAC (ResNet-50) say fear and VGG16 and EAC (MN) say anger.",
        ),
        (
            ["fear", "fear", "neutral", "neutral"],
            "The models are split: ResNet50 and VGG16 say fear and EAC (ResNet-50) and EAC (MN) say neutral. "
            "The line runs between the label sets they were trained on.",
        ),
        (["fear", "anger"], "The models disagree: ResNet50 says fear and VGG16 says anger."),
        ([], "No model is chosen."),
    ],
)
def test_a_sentence_tells_where_the_models_agree(labels: list[str], expected: str) -> None:
    predictions = {name: prediction(name, label) for name, label in zip(MODELS, labels, strict=False)}
    assert agreement_sentence(predictions, TITLES, TRAINING) == expected


def test_a_reading_keeps_maps_and_no_features(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    analyzed = read_faces(analyzer, picture)
    assert analyzed.total == len(analyzed.faces) == 2 and analyzed.whole is None and analyzed.size == (230, 100)
    for face in analyzed.faces:
        assert set(face.predictions) == set(face.maps) == set(MODELS)
        assert all(each.features is None for each in face.predictions.values())
        assert all(set(maps) == set(EXPRESSIONS) for maps in face.maps.values())


def test_a_picture_without_faces_is_read_whole_and_shown_only_if_asked(
    analyzer: Analyzer, picture: NDArray[np.uint8]
) -> None:
    analyzed = read_faces(analyzer, picture[:, :90])
    assert analyzed.faces == () and analyzed.total == 0 and analyzed.whole is not None
    assert analyzed.whole.face.landmarks is None


def test_a_crowd_is_shown_up_to_the_limit(analyzer: Analyzer) -> None:
    crowd = np.random.default_rng(0).integers(0, 256, (100, 100 * (MAX_FACES + 1), 3), np.uint8)
    analyzed = read_faces(analyzer, crowd)
    assert analyzed.total == MAX_FACES + 1 and len(analyzed.faces) == MAX_FACES
    page = markup.picture(analyzed)
    assert page.count('class="fer-thumb"') == page.count('class="fer-hit"') == MAX_FACES
    assert f"{MAX_FACES + 1} faces found, the {MAX_FACES} largest are shown" in page


def test_columns_show_each_models_own_or_the_chosen_map(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    display = markup.model_display({name: model.card for name, model in analyzer.classifiers.items()})
    face = read_faces(analyzer, picture).faces[0]
    own = markup.columns(face, MODELS, markup.OWN, display)
    fear = markup.columns(face, MODELS, "fear", display)
    assert own.count("<article") == fear.count("<article") == 4
    assert fear.count("Evidence for fear") == 4
    for name in MODELS:
        assert f"Evidence for {face.predictions[name].label} (" in own
    assert len(set(re.findall(r'src="([^"]+)"', own + fear))) > 4
    assert "does not know contempt" in markup.columns(face, MODELS[:1], "contempt", display)
    assert markup.columns(face, [], "fear", display).count("<article") == 0


def test_the_mean_is_of_the_shown_models_and_needs_two(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    display = markup.model_display({name: model.card for name, model in analyzer.classifiers.items()})
    face = read_faces(analyzer, picture).faces[0]
    both = markup.columns(face, ["vgg16", "eac_resnet50", ENSEMBLE], markup.OWN, display)
    assert both.count("<article") == 3 and "VGG16, EAC_RESNET50" in both
    mean = markup.with_ensemble(face, ["vgg16", "eac_resnet50", ENSEMBLE])[ENSEMBLE]
    pair = [face.predictions[name].probability("fear") for name in ("vgg16", "eac_resnet50")]
    assert mean.probability("fear") == pytest.approx(sum(pair) / 2, abs=1e-6)
    assert list(markup.with_ensemble(face, ["vgg16", ENSEMBLE])) == ["vgg16"]
    assert list(markup.with_ensemble(face, ["vgg16", "eac_resnet50"])) == ["vgg16", "eac_resnet50"]


def test_columns_tell_how_good_a_model_is_and_where_it_is_weak(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    recall = {"anger": 0.49, "fear": 0.5, "disgust": None, "happiness": 0.9}
    card = replace(
        analyzer.classifiers["vgg16"].card,
        recipe={"settings": {"labels": "fer2013"}},
        metrics={"fer2013_test": {"accuracy": 0.6604, "recall": recall}},
    )
    page = markup.columns(
        read_faces(analyzer, picture).faces[0], ["vgg16"], markup.OWN, markup.model_display({"vgg16": card})
    )
    assert "<dt>Accuracy</dt><dd>66.0\u00a0% (FER2013 test set)</dd>" in page
    assert "<dt>Weakest on</dt><dd>anger</dd>" in page


@pytest.mark.parametrize(
    ("recipe", "metrics", "stated"),
    [
        ({}, {}, []),
        ({"settings": None}, {"fer2013_test": {"accuracy": 0.5}}, []),
        ({"settings": {"labels": "fer2013"}}, {"fer2013_test": None}, []),
        ({"settings": {"labels": "fer2013"}}, {"fer2013_test": {"accuracy": "good"}}, []),
        ({"settings": {"labels": "fer2013"}}, {"fer2013_test": {"accuracy": 0.5}}, ["Accuracy"]),
        ({"settings": {"labels": "theirs"}}, {"theirs_test": {"accuracy": 0.5, "recall": {}}}, ["Accuracy"]),
        ({"settings": {"labels": "theirs"}}, {"theirs_test": {"recall": {"fear": 0.1}}}, ["Weakest on"]),
    ],
)
def test_a_card_that_states_little_has_a_column_all_the_same(
    analyzer: Analyzer, picture: NDArray[np.uint8], recipe: dict[str, Any], metrics: dict[str, Any], stated: list[str]
) -> None:
    card = replace(analyzer.classifiers["vgg16"].card, recipe=recipe, metrics=metrics)
    face = read_faces(analyzer, picture).faces[0]
    page = markup.columns(face, ["vgg16"], markup.OWN, markup.model_display({"vgg16": card}))
    assert page.count("<article") == 1
    assert [term for term in ("Accuracy", "Weakest on") if f"<dt>{term}</dt>" in page] == stated


def test_texts_are_escaped(
    analyzer: Analyzer, picture: NDArray[np.uint8], hostile: Callable[[Analyzer], markup.ModelDisplay]
) -> None:
    display = hostile(analyzer)
    analyzed = read_faces(analyzer, picture)
    parts = [
        markup.message("<script>"),
        markup.busy("<script>"),
        markup.columns(analyzed.faces[0], MODELS, markup.OWN, display),
        markup.verdict(analyzed, 0, MODELS, display),
        markup.examples([("<script>", picture)]),
    ]
    for part in parts:
        assert "<script" not in part and "&lt;script" in part


@pytest.fixture
def hostile() -> Callable[[Analyzer], markup.ModelDisplay]:
    def make(analyzer: Analyzer) -> markup.ModelDisplay:
        cards = {name: model.card for name, model in analyzer.classifiers.items()}
        bad = {name: replace(card, title="<script>", training_labels="<script>") for name, card in cards.items()}
        return markup.model_display(bad)

    return make


def test_examples_are_read_and_bad_ones_left_out(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "two_people.png"), np.zeros((300, 600, 3), np.uint8))
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "README.md").write_text("not a picture")
    examples = load_examples(tmp_path)
    assert [(each.title, each.thumbnail.shape) for each in examples] == [("Two people", (120, 240, 3))]
    assert load_examples(tmp_path / "missing") == []


def test_nothing_is_fetched_from_outside() -> None:
    for text in (CSS, HEADER, FOOTER):
        assert "http" not in text and "@import" not in text and "url(" not in text
