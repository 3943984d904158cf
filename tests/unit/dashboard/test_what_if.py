"""The what-if bench: one batch, answers joined over the range, and what it shows at a strength."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dashboard.compare.what_if.second import SecondFaceSection
from dashboard.compare.what_if.section import WhatIfSection
from dashboard.compare.what_if.sweep import Run, Step, Sweep, answer_runs, morph_to, sweep
from dashboard.compare.what_if.view import answers_over_range, pair_view, step_view, strength, sweep_figure
from dashboard.components.analyzed_image import AnalyzedImage, Example, analyze_picture
from dashboard.components.display import ModelDisplay, model_display
from dashboard.components.templates import render
from explain.maps import NO_MAP
from fer_models.analyzer import Analyzer
from fer_models.evaluation.changes import CHANGES, morph_into
from fer_models.expressions import EXPRESSIONS
from fer_models.registry import MODELS
from fer_models.results import SHARED_CROP, CropSpec, Prediction

BLUR = CHANGES["blur"]
OF_BLUR = {SHARED_CROP: BLUR}


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
    return Sweep(OF_BLUR, tuple(steps))


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
    result = sweep(counted, analyzed.faces[0], OF_BLUR)
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
    result = sweep(analyzer, face, OF_BLUR)
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
    assert strength(morph_into(np.zeros((2, 2, 3), np.uint8)), 100) == "the second face"
    assert strength(CHANGES["rotation"], -15) == "-15 degrees counter-clockwise"


def test_nothing_is_computed_until_it_is_opened(
    analyzer: Analyzer, analyzed: AnalyzedImage, display: ModelDisplay
) -> None:
    with gr.Blocks():
        section = WhatIfSection(analyzer, display)
    assert list(section.run(analyzed, 0, "blur", False)) == []
    busy, done = section.run(analyzed, 1, "rotation", True)
    bench = section.bench
    assert set(busy) == {bench.notice}
    assert done[bench.swept].change.name == "rotation" and done[bench.strength]["value"] == 0
    assert (done[bench.strength]["minimum"], done[bench.strength]["maximum"]) == (-45, 45)
    (empty,) = section.run(None, 0, "blur", True)
    assert empty[bench.results]["visible"] is False and empty[bench.swept] is None
    assert done[bench.face] is analyzed.faces[1]
    assert 'data-strength="15' in bench.show(analyzed.faces[1], done[bench.swept], 15)
    assert 'role="alert"' in bench.show(None, None, 15)


def test_a_morph_ends_at_the_second_face_for_every_model(analyzer: Analyzer, analyzed: AnalyzedImage) -> None:
    first, second = analyzed.faces
    tight = CropSpec("box", 0.1)  # one model asks for another crop, which blends into its like
    own = [np.full((40, 40, 3), level, np.uint8) for level in (20, 220)]
    one, other = (
        replace(face, own_crops={"vgg16": (crop, tight)}) for face, crop in zip(analyzed.faces, own, strict=True)
    )
    result = Sweep(morph_to(other), ())
    assert (result.crop_of(one, "vgg16", 25) == 70).all()
    halfway = result.crop_of(one, "resnet50", 50).astype(int)
    np.testing.assert_allclose(halfway, (first.model_input.astype(int) + second.model_input) / 2, atol=0.51)
    result = sweep(analyzer, first, morph_to(second))
    assert [step.value for step in result.steps] == list(range(0, 101, 5)) and result.change.name == "morph"
    for step, face in ((result.steps[0], first), (result.steps[-1], second)):
        for name, answer in face.predictions.items():
            np.testing.assert_allclose(step.predictions[name].probabilities, answer.probabilities, atol=1e-5)


def test_two_faces_stand_side_by_side_with_what_differs_most(analyzed: AnalyzedImage, display: ModelDisplay) -> None:
    first, second = analyzed.faces
    answers = {"vgg16": prediction("fear", 0.9), "resnet50": prediction("anger", 0.4)}
    others = {"vgg16": prediction("fear", 0.3), "resnet50": prediction("sadness", 0.7)}
    view = pair_view(
        replace(first, predictions={**first.predictions, **answers}),
        replace(second, predictions={**first.predictions, **others}),
        ("A", "B"),
        display,
    )
    rows = {row.title: row for row in view.rows}
    vgg, resnet = (rows[display.column_titles[name]] for name in ("vgg16", "resnet50"))
    assert (vgg.expression, vgg.same) == ("fear", True) and vgg.points == pytest.approx(-60, abs=1e-3)
    assert vgg.difference == "fear \u221260 points"
    # anger falls from 40 to 5 %, sadness rises from 10 to 70 %
    assert (resnet.expression, resnet.same) == ("sadness", False) and resnet.points == pytest.approx(60, abs=1e-3)
    assert len(view.rows) == len(MODELS) + len(display.ensembles)
    assert view.sentence.startswith("3 of 4 models")
    same = pair_view(first, first, ("A", "A"), display)
    assert {row.difference for row in same.rows} == {"less than 1 point"}
    html = render("compare/what_if/pair.html", pair=view)
    assert html.count("<img") == 2 and html.count("<tr data-differs>") == sum(not row.same for row in view.rows)


def test_the_second_face_is_of_an_upload_an_example_or_the_same_picture(
    analyzer: Analyzer, analyzed: AnalyzedImage, display: ModelDisplay, picture: NDArray[np.uint8], tmp_path: Path
) -> None:
    Image.fromarray(picture[:, ::-1]).save(tmp_path / "mirrored.png")
    Image.fromarray(picture[:, :50]).save(tmp_path / "none.png")
    example = Example(tmp_path / "mirrored.png", "Mirrored", picture)
    with gr.Blocks():
        section = SecondFaceSection(analyzer, display, [example], tmp_path)
    bench = section.bench
    assert list(section.show(analyzed, 0, None, 0)) == []
    assert section.fresh(analyzed)[section.other]["visible"] and not section.fresh(None)[section.other]["visible"]

    *_, chosen, pair, morph = section.take_other(analyzed, 0)
    assert chosen[section.second] is analyzed and pair[section.index] == 1
    assert re.findall(r'data-face="(\d)" aria-pressed="true"', chosen[section.faces]) == ["1"]
    assert "First: face 1 of 2" in pair[section.pair] and "Second: face 2 of 2" in pair[section.pair]
    assert morph[bench.swept].change.name == "morph" and morph[bench.face] is analyzed.faces[0]
    for updates in (
        section.read_upload(analyzed, 1, str(tmp_path / "mirrored.png")),
        section.read_example(analyzed, 1, 0),
    ):
        *_, chosen, pair, morph = updates
        assert chosen[section.second].name == "mirrored.png" and 'data-face="1"' in chosen[section.faces]
        assert "Second: face 1 of 2 in mirrored.png" in pair[section.pair]
    event: Any = SimpleNamespace(index=1)
    pair, morph = section.choose_face(analyzed, 0, chosen[section.second], event)
    assert "Second: face 2 of 2 in mirrored.png" in pair[section.pair] and section.faces not in pair
    for path in (tmp_path / "none.png", tmp_path.parent / "elsewhere.png"):
        *_, last = section.read_upload(analyzed, 0, str(path))
        assert 'role="alert"' in last[bench.notice]["value"] and last[bench.swept] is None
    event.index = 7
    (last,) = section.choose_face(analyzed, 0, chosen[section.second], event)
    assert 'role="alert"' in last[bench.notice]["value"]
