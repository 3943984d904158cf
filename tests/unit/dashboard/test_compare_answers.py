"""Compare's rows of answers and its faces to choose: margins, groups by training labels, agreement."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from dashboard.compare.answers import Margin, answer_groups, margin
from dashboard.compare.view import NO_MEAN_MAP, columns, verdict, with_ensembles
from dashboard.components.analyzed_image import AnalyzedFace, AnalyzedImage, analyze_picture
from dashboard.components.display import ModelDisplay, model_display
from dashboard.components.picture_view import picture, picture_view
from dashboard.components.templates import render
from explain.explain_picture import OWN
from fer_models.analyzer import Analyzer
from fer_models.expressions import EXPRESSIONS
from fer_models.registry import LABEL_SETS, MODELS, label_set_title
from fer_models.results import Prediction, votes

#: What each of the four models answers, in their order.
Answers = tuple[str, ...]


def prediction(model: str, shares: Mapping[str, float]) -> Prediction:
    """Probabilities as given; what is left is shared by the other expressions."""
    rest = (1 - sum(shares.values())) / (len(EXPRESSIONS) - len(shares))
    values = np.array([shares.get(label, rest) for label in EXPRESSIONS], np.float32)
    return Prediction(model, EXPRESSIONS, np.log(values), values, 1.0, 5.0)


def answering(face: AnalyzedFace, answers: Answers) -> AnalyzedFace:
    predictions = {name: prediction(name, {label: 0.7}) for name, label in zip(MODELS, answers, strict=True)}
    return replace(face, predictions=predictions)


@pytest.fixture(scope="module")
def analyzed(analyzer: Analyzer, picture: NDArray[np.uint8]) -> AnalyzedImage:
    return analyze_picture(analyzer, picture, name="two.png")


@pytest.fixture(scope="module")
def display(analyzer: Analyzer) -> ModelDisplay:
    return model_display({name: model.card for name, model in analyzer.classifiers.items()})


def test_the_margin_is_the_first_answer_less_the_second_in_points() -> None:
    clear = margin(prediction("vgg16", {"fear": 0.75, "anger": 0.125}))
    assert clear is not None and (clear.points, clear.second, clear.tied) == (62.5, "anger", False)
    assert clear.text == "+62" and Margin(99.6, "fear", False).text == "over 99"
    tie = margin(prediction("vgg16", {"fear": 0.405, "anger": 0.4}))
    assert tie is not None and tie.points == pytest.approx(0.5, abs=1e-4) and (tie.second, tie.tied) == ("anger", True)
    one = Prediction("vgg16", ("fear",), np.zeros(1, np.float32), np.ones(1, np.float32), 1.0, 5.0)
    assert margin(one) is None


def test_answers_are_grouped_by_the_labels_that_the_models_learned(
    analyzed: AnalyzedImage, display: ModelDisplay
) -> None:
    face = analyzed.faces[0]
    shown = with_ensembles(face, [*MODELS, *display.ensembles], display)
    groups = answer_groups(face, shown, display)
    assert [(group.title, [row.model for row in group.rows]) for group in groups] == [
        ("Trained on FER2013", ["resnet50", "vgg16", "ensemble_fer2013"]),
        ("Trained on FER+", ["eac_resnet50", "eac_mobilenet_v2", "ensemble_ferplus"]),
    ]
    for row in (row for group in groups for row in group.rows):
        assert row.prediction is shown[row.model] and row.style is display.styles[row.model]
        assert (row.image is None) == row.model.startswith("ensemble")
    html = render("compare/verdict.html", verdict=verdict(analyzed, 0, list(shown), display))
    assert html.count("data-answer-of=") == 6 and html.count("data-goto=") == 4 and html.count("<tbody") == 2


def test_other_labels_make_groups_of_their_own_and_unnamed_ones_come_last(
    analyzer: Analyzer, analyzed: AnalyzedImage
) -> None:
    labels = {"resnet50": "", "vgg16": "Their  own photos", "eac_resnet50": "their own photos", "eac_mobilenet_v2": " "}
    cards = {name: replace(analyzer.classifiers[name].card, training_labels=text) for name, text in labels.items()}
    display = model_display(cards)
    groups = answer_groups(analyzed.faces[0], analyzed.faces[0].predictions, display)
    assert [[row.model for row in group.rows] for group in groups] == [
        ["vgg16"],
        ["eac_resnet50"],
        ["resnet50", "eac_mobilenet_v2"],
    ]
    assert groups[0].title == "Trained on Their own photos"


def test_a_label_set_has_its_title_whatever_the_case_and_spaces() -> None:
    for spec in LABEL_SETS.values():
        assert label_set_title(f"  {spec.training_labels.upper()} ") == spec.title
    assert label_set_title("AffectNet,  8 classes") == "AffectNet, 8 classes" and label_set_title(" ") == ""


def test_an_ensemble_says_why_it_has_no_map(analyzed: AnalyzedImage, display: ModelDisplay) -> None:
    *_, mean = columns(analyzed.faces[0], ["resnet50", "vgg16", "ensemble_fer2013"], OWN, display)
    assert mean.image is None and mean.caption == NO_MEAN_MAP and "averages" in NO_MEAN_MAP
    assert render("compare/columns.html", columns=[mean]).count("<img") == 0


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["fear"] * 4, (4, 4)),
        (["fear", "fear", "fear", "anger"], (3, 4)),
        (["fear", "fear", "anger", "anger"], (2, 4)),
        (["fear", "fear", "fear", "contempt"], (3, 3)),
        (["contempt"], (1, 1)),
    ],
)
def test_votes_count_the_models_that_agree_of_those_that_can(answers: list[str], expected: tuple[int, int]) -> None:
    assert votes([(label,) for label in answers]) == expected


def test_faces_the_models_disagree_on_are_marked_and_offered_first(analyzed: AnalyzedImage) -> None:
    face = analyzed.faces[0]
    three = replace(
        analyzed,
        faces=(
            answering(face, ("fear",) * 4),
            answering(face, ("fear", "fear", "fear", "anger")),
            answering(face, ("fear", "anger", "anger", "fear")),
        ),
    )
    view = picture_view(three)
    assert [(button.index, button.agreed, button.models, button.differs) for button in view.faces] == [
        (0, 4, 4, False),
        (1, 3, 4, True),
        (2, 2, 4, True),
    ]
    assert [button.index for button in view.offered] == [1, 2, 0] and view.mixed
    html = picture(three)
    strip = html[html.index("fer-strip") :]
    assert [strip.index(f'data-face="{index}"') for index in (1, 2, 0)] == sorted(
        strip.index(f'data-face="{index}"') for index in range(3)
    )
    assert [f">{text}</span>" in strip for text in ("4/4", "3/4", "2/4")] == [True] * 3
    assert strip.count("data-differs") == 2 and html.count("data-differ-first") == 1
    agreed = replace(analyzed, faces=(answering(face, ("fear",) * 4),) * 2)
    assert "data-differ-first" not in picture(agreed)  # nothing to sort


def test_facts_about_the_picture_are_at_hand(analyzed: AnalyzedImage) -> None:
    assert picture_view(analyzed).facts == {
        "File": "two.png",
        "Size": "230\u00a0×\u00a0100\u00a0px",
        "Detection score": "90\u00a0%",
        "Width of the faces": "100\u00a0px",
    }
    assert picture_view(replace(analyzed, faces=(), name="")).facts == {"Size": "230\u00a0×\u00a0100\u00a0px"}
