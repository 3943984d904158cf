"""The chart, the sentence and the views of Compare: results joined by name, readable for all, nothing unescaped."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dashboard import theme
from dashboard.compare import view
from dashboard.components.analyzed_image import MAX_FACES, Example, agreement_sentence, analyze_picture, load_examples
from dashboard.components.charts import compare_figure
from dashboard.components.display import ModelDisplay, model_display
from dashboard.components.picture_view import picture as picture_html
from dashboard.components.picture_view import picture_view, position, relative_box
from dashboard.components.templates import render
from dashboard.theme import CSS, FONT_STACK, NAME
from explain.explain_picture import OWN
from fer_models.analyzer import Analyzer
from fer_models.expressions import EXPRESSIONS
from fer_models.registry import MODELS, model_styles
from fer_models.results import Prediction
from tests.helpers.texts import assert_states

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
        (["fear"], "ResNet50 predicts fear."),
        (["fear", "fear"], "Both models predict fear."),
        (["fear"] * 4, "All four models predict fear."),
        (["fear", "anger", "fear", "fear"], "Three of four models predict fear; VGG16 predicts anger."),
        (
            ["fear", "anger", "fear", "neutral"],
            "Two of four models predict fear; VGG16 predicts anger and EAC (MN) predicts neutral.",
        ),
        (
            ["fear", "anger", "fear", "anger"],
            "The models are split: ResNet50 and EAC (ResNet-50) predict fear and VGG16 and EAC (MN) predict anger.",
        ),
        (
            ["fear", "fear", "neutral", "neutral"],
            "The models are split: ResNet50 and VGG16 predict fear and EAC (ResNet-50) and EAC (MN) predict neutral. "
            "Models trained on the same labels agree; the split follows the training data.",
        ),
        (["fear", "anger"], "The models disagree: ResNet50 predicts fear and VGG16 predicts anger."),
        ([], "No model is chosen."),
    ],
)
def test_a_sentence_tells_where_the_models_agree(labels: list[str], expected: str) -> None:
    predictions = {name: prediction(name, label) for name, label in zip(MODELS, labels, strict=False)}
    assert agreement_sentence(predictions, TITLES, TRAINING) == expected


def tied(model: str, *labels: str, last: float = 0.234) -> Prediction:
    """Expressions at 23 % each, the last one at `last`, and the others far below."""
    made = prediction(model)
    values = np.full(7, 0.05, np.float32)
    for label in labels:
        values[EXPRESSIONS.index(label)] = last if label == labels[-1] else 0.226
    return replace(made, probabilities=values)


def test_a_tie_is_said_and_is_no_disagreement() -> None:
    def sentence(*predictions: Prediction) -> str:
        return agreement_sentence({each.model: each for each in predictions}, TITLES, TRAINING)

    tie, other = tied("vgg16", "fear", "anger"), tied("resnet50", "anger", "fear")
    assert tie.label == "anger" and tie.tied_labels == ("anger", "fear")
    assert_states(sentence(tie), "VGG16", "tied", "anger", "fear")
    agreed = sentence(tie, prediction("resnet50", "fear"))
    assert_states(agreed, "Both", "fear", "VGG16", "tied", "anger", "fear")
    assert "disagree" not in agreed and "ResNet50" not in agreed
    assert_states(sentence(tie, other), "VGG16", "ResNet50", "tied", "anger", "fear")
    text = sentence(tie, prediction("resnet50", "neutral"))
    assert_states(text, "disagree", "VGG16", "tied", "anger", "fear")
    assert "tied" not in sentence(tied("vgg16", "fear", "anger", last=0.24))


def test_a_reading_keeps_maps_and_no_features(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    analyzed = analyze_picture(analyzer, picture)
    assert analyzed.total == len(analyzed.faces) == 2 and analyzed.whole is None and analyzed.size == (230, 100)
    for face in analyzed.faces:
        assert set(face.predictions) == set(face.maps) == set(MODELS)
        assert all(each.features is None for each in face.predictions.values())
        assert all(set(maps) == set(EXPRESSIONS) for maps in face.maps.values())


def test_a_picture_without_faces_is_read_whole_and_shown_only_if_asked(
    analyzer: Analyzer, picture: NDArray[np.uint8]
) -> None:
    analyzed = analyze_picture(analyzer, picture[:, :90])
    assert analyzed.faces == () and analyzed.total == 0 and analyzed.whole is not None
    assert analyzed.whole.face.landmarks is None


def test_a_crowd_is_shown_up_to_the_limit(analyzer: Analyzer) -> None:
    crowd = np.random.default_rng(0).integers(0, 256, (100, 100 * (MAX_FACES + 1), 3), np.uint8)
    analyzed = analyze_picture(analyzer, crowd)
    assert analyzed.total == MAX_FACES + 1 and len(analyzed.faces) == MAX_FACES
    html = picture_html(analyzed)
    assert html.count('class="fer-thumb"') == html.count('class="fer-hit"') == MAX_FACES
    assert f"{MAX_FACES + 1} faces found, the {MAX_FACES} largest are shown" in html


def test_a_box_in_percent_stays_inside_its_picture() -> None:
    box = relative_box(np.array([-20, 25, 50, 150], np.float32), (200, 100))
    assert (box.left, box.top, box.width, box.height) == (0, 25, 25, 75)


def test_a_single_face_offers_no_choice(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    one = analyze_picture(analyzer, picture[:, :120])
    assert picture_view(one).faces == () and picture_view(one).note == "One face found."
    assert position(one, 0) == "The face"
    two = analyze_picture(analyzer, picture)
    assert len(picture_view(two).faces) == 2 and position(two, 1) == "Face 2 of 2"


def test_the_verdict_is_of_the_chosen_models(
    analyzer: Analyzer, picture: NDArray[np.uint8], display: ModelDisplay
) -> None:
    verdict = view.verdict(analyze_picture(analyzer, picture), 1, ["vgg16", "ensemble_fer2013"], display)
    assert (verdict.index, verdict.position) == (1, "Face 2 of 2")
    assert [row.title for group in verdict.groups for row in group.rows] == ["VGG16"]
    assert verdict.sentence.startswith("VGG16 predicts")


def test_columns_show_the_predicted_or_the_chosen_class(
    analyzer: Analyzer, picture: NDArray[np.uint8], display: ModelDisplay
) -> None:
    face = analyze_picture(analyzer, picture).faces[0]
    own, fear = (view.columns(face, MODELS, expression, display) for expression in (OWN, "fear"))
    assert [column.model for column in own] == [column.model for column in fear] == list(MODELS)
    assert all(column.caption.startswith("Evidence for fear (") for column in fear)
    for column in own:
        assert column.prediction is face.predictions[column.model]
        assert column.caption.startswith(f"Evidence for {column.prediction.label} (")
    assert len({column.image.tobytes() for column in own + fear if column.image is not None}) > 4
    assert "does not know contempt" in view.columns(face, MODELS[:1], "contempt", display)[0].caption
    assert view.columns(face, [], "fear", display) == []
    assert render("compare/columns.html", columns=own).count("<article") == 4


def test_a_mean_is_of_the_shown_models_with_its_labels_and_needs_two(
    analyzer: Analyzer, picture: NDArray[np.uint8], display: ModelDisplay
) -> None:
    face = analyze_picture(analyzer, picture).faces[0]
    ensembles = ["ensemble_fer2013", "ensemble_ferplus"]
    *models, mean = view.columns(face, ["resnet50", "vgg16", "eac_resnet50", *ensembles], OWN, display)
    assert [column.model for column in models] == ["resnet50", "vgg16", "eac_resnet50"]
    assert (mean.model, mean.title) == ("ensemble_fer2013", "Ensemble (FER2013)")
    assert mean.facts == {"Mean of": "RESNET50, VGG16"}
    pair = [face.predictions[name].probability("fear") for name in ("resnet50", "vgg16")]
    assert mean.prediction.probability("fear") == pytest.approx(sum(pair) / 2, abs=1e-6)
    *_, first, second = view.columns(face, [*MODELS, *ensembles], OWN, display)
    assert second.facts == {"Mean of": "EAC_RESNET50, EAC_MOBILENET_V2"} and first.style != second.style
    assert list(view.with_ensembles(face, ["vgg16", "eac_resnet50", *ensembles], display)) == ["vgg16", "eac_resnet50"]
    assert list(view.with_ensembles(face, ["resnet50", "vgg16"], display)) == ["resnet50", "vgg16"]


@pytest.mark.parametrize(
    ("recipe", "metrics", "facts"),
    [
        (
            {"settings": {"labels": "fer2013"}},
            {"accuracy": 0.6604, "recall": {"anger": 0.49, "fear": 0.5, "disgust": None, "happiness": 0.9}},
            {"Accuracy": "66.0\u00a0% (FER2013 test set)", "Weakest on": "anger"},
        ),
        ({}, {}, {}),
        ({"settings": None}, {"accuracy": 0.5}, {}),
        ({"settings": {"labels": "fer2013"}}, None, {}),
        ({"settings": {"labels": "fer2013"}}, {"accuracy": "good"}, {}),
        ({"settings": {"labels": "fer2013"}}, {"accuracy": 0.5}, {"Accuracy": "50.0\u00a0% (FER2013 test set)"}),
        (
            {"settings": {"labels": "theirs"}},
            {"accuracy": 0.5, "recall": {}},
            {"Accuracy": "50.0\u00a0% (theirs test set)"},
        ),
        ({"settings": {"labels": "theirs"}}, {"recall": {"fear": 0.1}}, {"Weakest on": "fear"}),
    ],
)
def test_columns_tell_how_good_a_model_is_and_where_it_is_weak_as_far_as_its_card_does(
    analyzer: Analyzer, picture: NDArray[np.uint8], recipe: dict[str, Any], metrics: Any, facts: dict[str, str]
) -> None:
    labels = (recipe.get("settings") or {}).get("labels", "fer2013")
    card = replace(analyzer.classifiers["vgg16"].card, recipe=recipe, metrics={f"{labels}_test": metrics})
    (column,) = view.columns(
        analyze_picture(analyzer, picture).faces[0], ["vgg16"], OWN, model_display({"vgg16": card})
    )
    assert column.facts == {"Trained on": card.training_labels, **facts}
    html = render("compare/columns.html", columns=[column])
    assert html.count("<article") == 1
    assert all(f"<dt>{term}</dt><dd>{text}</dd>" in html for term, text in facts.items())


def test_texts_are_escaped(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    cards = {name: model.card for name, model in analyzer.classifiers.items()}
    display = model_display(
        {name: replace(card, title="<script>", training_labels="<script>") for name, card in cards.items()}
    )
    analyzed = analyze_picture(analyzer, picture)
    parts = [
        render("compare/columns.html", columns=view.columns(analyzed.faces[0], MODELS, OWN, display)),
        render("compare/verdict.html", verdict=view.verdict(analyzed, 0, MODELS, display)),
        render("components/examples.html", examples=[Example(Path(), "<script>", picture)]),
    ]
    for part in parts:
        assert "<script" not in part and "&lt;script" in part


@pytest.fixture
def display(analyzer: Analyzer) -> ModelDisplay:
    return model_display({name: model.card for name, model in analyzer.classifiers.items()})


def test_examples_are_read_and_bad_ones_left_out(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "two_people.png"), np.zeros((300, 600, 3), np.uint8))
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "README.md").write_text("not a picture")
    examples = load_examples(tmp_path)
    assert [(each.title, each.thumbnail.shape) for each in examples] == [("Two people", (120, 240, 3))]
    assert load_examples(tmp_path / "missing") == []


def test_nothing_is_fetched_from_outside() -> None:
    header = render("header.html", title=NAME)
    for text in (CSS, header, render("footer.html", has_backend=False)):
        assert "src=" not in text and "@import" not in text
        assert all(address.startswith("data:") for address in re.findall(r'url\(["\']?([^"\')]*)', text))
    # What a click opens is a link: to the paper, and to the page's own API.
    assert set(re.findall(r'href="(https?://[^/"]*)', header)) == {"https://arxiv.org"}


def test_the_font_is_small_and_its_licence_lies_beside_it() -> None:
    static = Path(theme.__file__).parent / "static"
    assert (static / "inter-latin.woff2").stat().st_size < 45_000  # 60 kB as text in every page
    assert "SIL OPEN FONT LICENSE" in (static / "inter-OFL.txt").read_text(encoding="utf-8")
    assert "@font-face" in CSS and FONT_STACK.startswith("Inter,")
