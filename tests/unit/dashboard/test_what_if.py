"""The what-if bench: one batch, answers joined over the range, and what it shows at a strength."""

from collections.abc import Sequence
from typing import Any

import gradio as gr
import numpy as np
import pytest
from numpy.typing import NDArray

from dashboard.compare.what_if.section import WhatIfSection
from dashboard.compare.what_if.sweep import Run, Step, Sweep, answer_runs, sweep
from dashboard.compare.what_if.view import answers_over_range, step_view, strength, sweep_figure
from dashboard.components.analyzed_image import AnalyzedImage, analyze_picture
from dashboard.components.display import ModelDisplay, model_display
from dashboard.components.templates import render
from explain.maps import NO_MAP
from fer_models.analyzer import Analyzer
from fer_models.evaluation.changes import CHANGES
from fer_models.expressions import EXPRESSIONS
from fer_models.registry import MODELS
from fer_models.results import Prediction

BLUR = CHANGES["blur"]


def prediction(label: str, confidence: float) -> Prediction:
    values = np.full(7, (1 - confidence) / 6, np.float32)
    values[EXPRESSIONS.index(label)] = confidence
    return Prediction("vgg16", EXPRESSIONS, np.log(values), values, 1.0, 5.0)


def swept(labels: Sequence[str]) -> Sweep:
    """VGG16 alone, with one answer per strength, ever less sure."""
    steps = [
        Step(value, {"vgg16": prediction(label, 0.9 - 0.01 * index)}, {"vgg16": {}})
        for index, (value, label) in enumerate(zip(BLUR.values, labels, strict=True))
    ]
    return Sweep(BLUR, tuple(steps))


MIXED = ["fear"] * 3 + ["anger"] + ["fear"] * 13


@pytest.fixture(scope="module")
def analyzed(analyzer: Analyzer, picture: NDArray[np.uint8]) -> AnalyzedImage:
    return analyze_picture(analyzer, picture)


@pytest.fixture(scope="module")
def display(analyzer: Analyzer) -> ModelDisplay:
    return model_display({name: model.card for name, model in analyzer.classifiers.items()})


def test_all_models_see_all_strengths_in_one_call(analyzer: Analyzer, analyzed: AnalyzedImage) -> None:
    calls: list[int] = []

    class Counted(Analyzer):
        def predict(self, faces: Any, **options: Any) -> Any:
            calls.append(len(faces))
            return super().predict(faces, **options)

    counted = Counted(list(analyzer.classifiers.values()), analyzer.detector)
    result = sweep(counted, analyzed.faces[0], BLUR)
    assert calls == [17] and [step.value for step in result.steps] == list(BLUR.values)
    for step in result.steps:
        assert list(step.predictions) == list(MODELS)
        assert all(one.features is None for one in step.predictions.values())
        assert all(set(maps) == set(EXPRESSIONS) for maps in step.maps.values())
    for name, one in analyzed.faces[0].predictions.items():  # blur 0 is the face as it is
        np.testing.assert_allclose(result.steps[0].predictions[name].probabilities, one.probabilities, atol=1e-5)
    assert result.at(0.7).value == 0.5 and result.at(99).value == 8


def test_neighbours_with_the_same_answer_are_one_run(display: ModelDisplay) -> None:
    assert answer_runs(swept(MIXED), "vgg16") == [Run("fear", 0, 1), Run("anger", 1.5, 1.5), Run("fear", 2, 8)]
    (mixed,) = answers_over_range(swept(MIXED), display)
    assert mixed.text == "fear from 0 to 1, anger at 1.5, fear from 2 to 8" and mixed.title == "VGG16"
    (same,) = answers_over_range(swept(["fear"] * 17), display)
    assert same.text == "fear throughout"


def test_the_chart_marks_where_the_answer_changes(display: ModelDisplay) -> None:
    figure = sweep_figure(swept(MIXED), display)
    (curve,) = figure.data
    assert list(curve.x) == list(BLUR.values) and curve.name == "VGG16" and list(curve.customdata) == MIXED
    assert list(curve.y) == pytest.approx([90 - index for index in range(17)], abs=1e-4)
    large = max(curve.marker.size)
    assert [index for index, size in enumerate(curve.marker.size) if size == large] == [3, 4]
    assert figure.layout.shapes[0].x0 == BLUR.neutral and set(figure.layout.meta["alone"]) == {"title", "note"}


def test_a_strength_shows_the_changed_face_and_every_map(
    analyzer: Analyzer, analyzed: AnalyzedImage, display: ModelDisplay
) -> None:
    face = analyzed.faces[0]
    result = sweep(analyzer, face, BLUR)
    view = step_view(face, result, 8, display)
    np.testing.assert_array_equal(view.face, BLUR.apply(face.model_input, 8))
    assert [card.model for card in view.cards] == list(MODELS)
    for card in view.cards:
        answer, first = (result.at(value).predictions[card.model] for value in (8, 0))
        assert card.prediction is answer and card.caption.startswith(f"Evidence for {answer.label} (")
        assert card.before == ("" if first.label == answer.label else first.label)
        assert card.image.shape == (200, 200, 3)
    assert render("compare/what_if/step.html", step=view).count("<article") == 4
    (bare,) = step_view(face, swept(MIXED), 1.5, display).cards
    assert bare.caption == NO_MAP and bare.before == "fear"


def test_strengths_in_words() -> None:
    assert [strength(BLUR, value) for value in (0, 2.5)] == ["as it is", "2.5\u00a0% of the face’s width"]
    assert strength(CHANGES["mirror"], 1) == "mirrored" and strength(CHANGES["jpeg"], 20) == "quality 20"
    assert strength(CHANGES["rotation"], -15) == "-15 degrees counter-clockwise"


def test_nothing_is_computed_until_it_is_opened(
    analyzer: Analyzer, analyzed: AnalyzedImage, display: ModelDisplay
) -> None:
    with gr.Blocks():
        section = WhatIfSection(analyzer, display)
    assert list(section.run(analyzed, 0, "blur", False)) == []
    busy, done = section.run(analyzed, 1, "rotation", True)
    assert set(busy) == {section.notice}
    assert done[section.swept].change.name == "rotation" and done[section.strength]["value"] == 0
    assert (done[section.strength]["minimum"], done[section.strength]["maximum"]) == (-45, 45)
    (empty,) = section.run(None, 0, "blur", True)
    assert empty[section.results]["visible"] is False and empty[section.swept] is None
    assert 'data-strength="15' in section.show(analyzed, 1, done[section.swept], 15)
    assert 'role="alert"' in section.show(None, 0, None, 15)
