"""The attention lab's texts, charts and report, without a browser."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from numpy.typing import NDArray

from dashboard.attention.cards_view import (
    draw_hidden,
    hidden_words,
    method_cards,
    method_legend,
    method_matrix,
    occluded_cards,
    occlusion_sentence,
)
from dashboard.attention.eac_view import eac_steps
from dashboard.attention.faithfulness_view import (
    FaithfulnessResults,
    deleted_faces,
    faithfulness_cards,
    faithfulness_table,
    verdict,
)
from dashboard.attention.figures import curves_figure, effects_figure, regions_figure
from dashboard.attention.pair_view import (
    MapDifference,
    contrast_results,
    face_contrasts,
    flip_results,
    flip_sentence,
    map_difference,
)
from dashboard.attention.randomisation_view import randomised_cards
from dashboard.attention.report import Download, face_json, face_report
from dashboard.attention.sections.randomisation import RandomisationSection
from dashboard.attention.sections.regions import RegionsSection
from dashboard.attention.view import MapStyle, draw_regions, enlarged_map, map_grid, map_scale, number
from dashboard.components.analyzed_image import AnalyzedFace, analyze_picture
from dashboard.components.display import ModelDisplay, model_display
from dashboard.components.jobs import Jobs
from dashboard.components.templates import render
from explain.arcc import Arcc
from explain.drawing.colormaps import sequential
from explain.drawing.overlay import shared_peak
from explain.explain_picture import OWN, SECOND
from explain.faithfulness import Curves, Faithfulness
from explain.flip_consistency import FlipConsistency, flip_consistency
from explain.maps import Explanation
from explain.methods import METHODS
from explain.occlusion import RegionEffects
from explain.randomisation import Randomisation, RandomisedStep
from explain.regions import REGIONS, crop_landmarks, region_masks
from explain.road import Road
from fer_models.analyzer import Analyzer
from fer_models.expressions import EXPRESSIONS
from fer_models.formatting import percent
from fer_models.registry import MODELS, model_styles, style_at
from fer_models.results import Face
from tests.helpers.texts import assert_states


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
    np.testing.assert_array_equal(face.model_input, analysis.crop)
    assert face.crop.shape == (224, 224, 3)
    large = np.zeros((300, 90, 3), np.uint8).repeat(10, 1)[:, :99].repeat(4, 0)
    whole = analyze_picture(analyzer, large).whole
    assert whole is not None and whole.model_input.shape[0] <= 224


def test_one_scale_for_all_models_or_one_each(face: AnalyzedFace) -> None:
    peaks = {name: shared_peak(maps.values()) for name, maps in face.maps.items()}
    assert {map_scale(face, name, MapStyle(shared=True)) for name in peaks} == {max(peaks.values())}
    assert {name: map_scale(face, name, MapStyle(shared=False)) for name in peaks} == peaks


def test_maps_have_one_scale_per_model_unless_one_for_all_is_chosen(
    face: AnalyzedFace, models: ModelDisplay, analyzer: Analyzer
) -> None:
    peaks = {name: number(shared_peak(maps.values())) for name, maps in face.maps.items()}
    grid = map_grid(face, EXPRESSIONS, MapStyle(), models)
    assert {row.model: row.scale for row in grid.rows} == peaks and "of each model" in grid.legend.high
    # Every model has a map that is drawn in the strongest colour.
    strongest = np.array(sequential("viridis")[-1], int)
    style = MapStyle(opacity=1.0)
    for row in map_grid(face, EXPRESSIONS, style, models).rows:
        pixels = np.stack([cell.image for cell in row.cells if cell.image is not None])
        assert np.abs(pixels - strongest).sum(-1).min() < 30, row.title
    shared = map_grid(face, EXPRESSIONS, MapStyle(shared=True), models)
    top = number(max(shared_peak(maps.values()) for maps in face.maps.values()))
    assert len({row.scale for row in shared.rows}) == 1
    assert_states(shared.legend.high, "any model", f"{top} logits")
    report = face_report(face, models, {}, None, face_contrasts(face), with_face=True)
    assert {row.model: row.scale for row in report.maps} == peaks and "each model" in report.legend.high


def test_texts_are_escaped(face: AnalyzedFace) -> None:
    evil = '"><script>alert(1)</script>'
    card = render("attention/face.html", crop=face.crop, where=evil, sentence=evil)
    assert "<script" not in card and "&lt;script&gt;" in card
    assert "<script" not in render("attention/downloads.html", files=[Download(evil, evil, "text/html", evil)])


def test_the_grid_marks_what_each_model_predicts(face: AnalyzedFace, models: ModelDisplay) -> None:
    grid = map_grid(face, EXPRESSIONS, MapStyle(), models)
    assert [row.model for row in grid.rows] == list(MODELS)
    for row in grid.rows:
        prediction, maps = face.predictions[row.model], face.maps[row.model]
        assert [cell.expression for cell in row.cells if cell.predicted] == [prediction.label]
        assert [cell.probability for cell in row.cells] == [prediction.probability(name) for name in EXPRESSIONS]
        assert [cell.peak for cell in row.cells] == [number(maps[name].peak) for name in EXPRESSIONS]
    html = render("attention/grid.html", grid=grid)
    assert html.count("<img") == html.count("<button") == 28 and html.count("<td data-answer>") == 4


def test_an_expression_that_a_model_does_not_know_is_said(face: AnalyzedFace, models: ModelDisplay) -> None:
    grid = map_grid(face, [*EXPRESSIONS, "contempt"], MapStyle(), models)
    assert all(row.cells[-1].image is None for row in grid.rows)
    assert render("attention/grid.html", grid=grid).count("not known") == 4
    text = map_difference(face, "vgg16", "resnet50", "contempt", MapStyle(), models)
    assert isinstance(text, str) and "VGG16" in text and "contempt" in text


def test_an_enlarged_map_has_its_numbers_in_words(face: AnalyzedFace, models: ModelDisplay) -> None:
    large = enlarged_map(face, "vgg16", "fear", MapStyle(), models)
    height, width = face.maps["vgg16"]["fear"].heat.shape
    assert f"{height} x {width} cells" in large.text and number(face.maps["vgg16"]["fear"].peak) in large.text
    assert [file.name for file in large.files] == ["vgg16-fear.png", "vgg16-fear-cells.png", "vgg16-fear.svg"]
    assert render("attention/enlarged.html", map=large).count("<img") == 2


def test_two_models_stand_on_either_side_of_their_difference(face: AnalyzedFace, models: ModelDisplay) -> None:
    pair = map_difference(face, "vgg16", "resnet50", "fear", MapStyle(), models)
    assert isinstance(pair, MapDifference)
    assert [panel.caption for panel in pair.panels] == ["VGG16", "Difference", models.titles["resnet50"]]
    assert (pair.legend.low, pair.legend.high) == (f"{models.titles['resnet50']} more", "VGG16 more")
    same = map_difference(face, "vgg16", "vgg16", "fear", MapStyle(), models)
    assert isinstance(same, MapDifference) and "choose two" in same.text


def test_a_contrast_stands_between_the_evidence_for_both(face: AnalyzedFace, models: ModelDisplay) -> None:
    results = contrast_results(face, "fear", "anger", MapStyle(), models)
    assert [result.model for result in results] == list(MODELS)
    for result in results:
        assert [panel.caption for panel in result.panels] == [
            "Evidence for fear",
            "Fear rather than anger",
            "Evidence for anger",
        ]
        prediction, maps = face.predictions[result.model], face.maps[result.model]
        evidence, biases, logits = (float(value.replace("\u2212", "-")) for _, value in result.numbers)
        by_name = dict(zip(prediction.labels, prediction.logits.tolist(), strict=True))
        assert logits == pytest.approx(by_name["fear"] - by_name["anger"], abs=0.006)
        heat = maps["fear"].heat - maps["anger"].heat
        assert evidence == pytest.approx(heat.mean(), abs=0.006)
        assert evidence + biases == pytest.approx(logits, abs=0.011)
        red, _, blue = result.panels[1].cells.astype(int).transpose(2, 0, 1)
        clear = np.abs(heat) > 0.05 * np.abs(heat).max()
        np.testing.assert_array_equal((red > blue)[clear], (heat > 0)[clear])
        assert result.legend is not None
        reach = number(float(np.abs(heat).max()))
        assert (result.legend.low, result.legend.high) == (f"{reach} for anger", f"{reach} for fear")
    html = render("attention/contrast.html", results=results)
    assert html.count("<img") == 12 and html.count("data-contrast") == 4 and html.count("download=") == 12


def test_a_contrast_is_of_the_first_two_answers_or_says_why_not(face: AnalyzedFace, models: ModelDisplay) -> None:
    for name, one in face_contrasts(face, OWN, SECOND).items():
        assert not isinstance(one, str)
        prediction = face.predictions[name]
        second, first = (prediction.labels[index] for index in prediction.probabilities.argsort()[-2:])
        assert (one.expression, one.rather_than) == (first, second)
    own = face.predictions["vgg16"].label
    assert own in str(face_contrasts(face, OWN, own)["vgg16"])
    assert "contempt" in str(face_contrasts(face, OWN, "contempt")["vgg16"])
    results = contrast_results(face, "contempt", own, MapStyle(), models)
    assert not any(result.panels for result in results)
    html = render("attention/contrast.html", results=results)
    assert html.count("does not know contempt") == 4 and "data-contrast" not in html


def test_flips_are_shown_for_one_expression(face: AnalyzedFace, models: ModelDisplay, analyzer: Analyzer) -> None:
    flips = {"vgg16": flip_consistency(analyzer.classifiers["vgg16"], face.model_input)}
    (result,) = flip_results(face, flips, "fear", MapStyle(), models).models
    assert [panel.caption for panel in result.panels] == ["The face", "Its mirror image, flipped back", "Difference"]
    assert dict(result.numbers)["Correlation"] == f"{flips['vgg16'].correlation:.2f}"
    unknown = flip_results(face, flips, "contempt", MapStyle(), models)
    assert "does not know contempt" in render("attention/flip_consistency.html", results=unknown)
    assert not unknown.models[0].panels


def test_eac_is_three_steps_on_a_face(face: AnalyzedFace, models: ModelDisplay, analyzer: Analyzer) -> None:
    flips = {name: flip_consistency(analyzer.classifiers[name], face.model_input) for name in MODELS}
    erase, mirror, compare = eac_steps(face, flip_results(face, flips, None, MapStyle(), models))
    (whole, _), (erased, _) = erase.pictures
    changed = (whole != erased).any(-1).mean()
    assert 0.05 < changed < 0.3
    np.testing.assert_array_equal(mirror.pictures[0][0], erased[:, ::-1])
    assert len(compare.pictures) == 3 and models.titles["eac_resnet50"] in compare.text
    without = flip_results(face, {"vgg16": flips["vgg16"]}, None, MapStyle(), models)
    assert len(eac_steps(face, without)) == 2  # no model here was trained with EAC
    assert render("attention/eac_steps.html", steps=[erase, mirror, compare]).count("<img") == 6


@pytest.mark.parametrize(
    ("turned", "text"), [(False, "at the same places"), (True, "do not rely on its map as an explanation")]
)
def test_the_sentence_of_a_flip_says_how_alike_the_maps_are(turned: bool, text: str) -> None:
    maps = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    assert text in flip_sentence("VGG16", FlipConsistency("vgg16", ("fear", "anger"), maps, -maps if turned else maps))


def test_cards_show_maps_errors_and_what_is_still_to_come(face: AnalyzedFace, models: ModelDisplay) -> None:
    first, second, third, _ = MODELS
    results, errors = {second: face.maps[second]["fear"]}, {first: "One <cell>."}
    cards = method_cards(face, results, errors, [third], MapStyle(), models)
    assert [card.model for card in cards] == [first, second, third]
    assert [card.map is None for card in cards] == [True, False, True]
    html = render("attention/method_cards.html", cards=cards, legend=method_legend(MapStyle()))
    assert "One &lt;cell&gt;." in html and f'data-waiting="{third}"' in html
    assert html.count("data-model") == 2 and html.count("<img") == 1


def test_methods_are_rows_and_models_columns(face: AnalyzedFace, models: ModelDisplay) -> None:
    first, second, *_ = MODELS
    maps: dict[str, dict[str, Explanation | str]] = {
        first: {"native": face.maps[first]["fear"], "gradcam": "No <map>."}
    }
    targets = {first: "fear", second: "anger"}
    matrix = method_matrix(face, maps, targets, ["native", "gradcam"], MapStyle(), models)
    assert [(title, target) for _, title, target in matrix.heads] == [
        (models.titles[first], "fear"),
        (models.titles[second], "anger"),
    ]
    assert [title for title, _ in matrix.rows] == [METHODS["native"].title, METHODS["gradcam"].title]
    assert [[cell.drawn is not None for cell in cells] for _, cells in matrix.rows] == [[True, False], [False, False]]
    html = render("attention/method_matrix.html", matrix=matrix)
    assert html.count("<img") == 1 and "No &lt;map&gt;." in html and html.count(">…<") == 2


def test_an_occluded_face_has_answers_before_and_after(face: AnalyzedFace, models: ModelDisplay) -> None:
    before = face.predictions["vgg16"]
    now = replace(before, probabilities=np.roll(before.probabilities, 1))
    (card,) = occluded_cards(face, {"vgg16": face.crop}, {"vgg16": (now, face.maps["vgg16"])}, MapStyle(), models)
    assert (card.before, card.now) == (before.label, now.label) and card.changed
    assert card.confidences == (before.confidence, now.confidence)
    assert percent(now.probability(before.label)) in card.text
    (still,) = occluded_cards(face, {"vgg16": face.crop}, {"vgg16": (before, face.maps["vgg16"])}, MapStyle(), models)
    assert not still.changed and still.confidences == (before.confidence, before.confidence)
    html = render("attention/occluded_cards.html", cards=[replace(card, confidences=(0.57, 0.98))], sentence="So.")
    # The headline is the new answer alone; the old one comes after it.
    (answer,), (confidence,) = re.findall(r'"fer-label">(.*?)<', html), re.findall(r'"fer-confidence">(.*?)<', html)
    assert (answer, confidence) == (card.now.capitalize(), "98\u00a0%")
    assert html.index(card.before, html.index("fer-confidence")) < html.index("57\u00a0%")


def test_a_sentence_says_how_many_models_change_their_answer(face: AnalyzedFace, models: ModelDisplay) -> None:
    cards = occluded_cards(
        face,
        dict.fromkeys(MODELS, face.crop),
        {name: (face.predictions[name], face.maps[name]) for name in MODELS},
        MapStyle(),
        models,
    )
    one = [replace(cards[0], now="other"), *cards[1:]]
    assert occlusion_sentence(cards, "the mouth") == "Without the mouth, all 4 models keep their answer."
    assert "1 of 4 models changes its" in occlusion_sentence(one, "the mouth")
    assert "2 of 4 models change their" in occlusion_sentence([*one[:3], one[0]], "the mouth")
    assert "all 2 models change their" in occlusion_sentence([one[0], one[0]], "the mouth")
    assert "the model keeps its" in occlusion_sentence(cards[:1], "the mouth")


def test_the_hidden_part_is_drawn_on_the_face_and_named(face: AnalyzedFace) -> None:
    side = face.model_input.shape[0]
    mask = np.zeros((side, side), bool)
    mask[side // 2 :] = True
    drawn = draw_hidden(face.crop, mask, "grey")
    half = face.crop.shape[0] // 2
    np.testing.assert_array_equal(drawn[: half - 4], face.crop[: half - 4])
    assert (drawn[half + 4 : -4, 4:-4] == 128).all()
    assert hidden_words(["mouth", "eyes"], painted=True) == "the eyes, the mouth and the painted part"
    assert hidden_words(["mouth"], painted=False) == "the mouth" and hidden_words([], painted=False) == ""


def test_regions_that_do_not_fit_a_turned_head_say_so(face: AnalyzedFace, models: ModelDisplay) -> None:
    with gr.Blocks():
        section = RegionsSection(models, EXPRESSIONS)
    assert face.face.landmarks is not None
    assert "turned" not in section.show(face, OWN)[0]
    landmarks = face.face.landmarks.copy()
    landmarks[2] = landmarks[1]  # the nose below an eye
    turned = replace(face, face=Face(face.face.box, landmarks, 1.0))
    assert "turned" in section.show(turned, OWN)[0]


def test_regions_are_outlined_on_the_face_alone(face: AnalyzedFace) -> None:
    side = face.crop.shape[0]
    drawn = draw_regions(face.crop, region_masks(crop_landmarks(face.face, side), side))
    assert drawn.shape == (260, 260, 3) and drawn.dtype == np.uint8


@pytest.mark.parametrize(
    ("value", "text"), [(27.23, "27.2"), (-2.13, "\u22122.1"), (0.0284, "0.028"), (0, "0"), (12345.6, "12345.6")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text


def test_stacked_bars_hold_the_shares() -> None:
    shares = {"ResNet50": dict.fromkeys(REGIONS, 0.0) | {"mouth": 0.75, "eyes": 0.25}}
    areas = dict.fromkeys(REGIONS, 1 / 6)
    figure = regions_figure(shares, areas)
    assert [bar.name for bar in figure.data] == [name.capitalize() for name in REGIONS]
    mouth = figure.data[REGIONS.index("mouth")]
    assert list(mouth.y) == ["Uniform map", "ResNet50"] and list(mouth.x) == pytest.approx([100 / 6, 75])


def test_effects_are_changes_in_points() -> None:
    effects = {"vgg16": RegionEffects("fear", 0.8, {"eyes": 0.5, "mouth": 0.9})}
    (bars,) = effects_figure(effects, {"vgg16": "VGG16"}, {"vgg16": style_at(1)}).data
    assert list(bars.x) == ["Eyes", "Mouth"] and list(bars.y) == pytest.approx([-30, 10])


def faithfulness() -> Faithfulness:
    up, down = np.array([0, 0.5, 1.0]), np.array([1.0, 0.5, 0])
    return Faithfulness("vgg16", "fear", Curves(down, up), Curves(up, up), Curves(down, down))


@pytest.mark.parametrize(
    ("random", "centre", "key", "margin"),
    [
        ((0.6, 0.5), (0.4, 0.6), "both", "+0.20 against the centre prior"),
        ((0.6, 0.5), (0.2, 0.8), "random", "\u22120.20 against the centre prior"),
        ((0.2, 0.7), (0.4, 0.6), "centre", "\u22120.10 against random maps"),
        ((0.2, 0.7), (0.1, 0.9), "neither", "\u22120.40 against the centre prior"),
        ((0.6, 0.5), (0.295, 0.7), "random", "\u22120.01 against the centre prior"),
    ],
)
def test_a_verdict_is_the_margin_to_the_baseline_that_decides(
    random: tuple[float, float], centre: tuple[float, float], key: str, margin: str, models: ModelDisplay
) -> None:
    """The map's areas are 0.3 (deletion) and 0.7 (insertion): 0.4 is to be beaten by more than 0.01."""

    def flat(areas: tuple[float, float]) -> Curves:
        deletion, insertion = areas
        return Curves(np.full(2, deletion), np.full(2, insertion))

    result = Faithfulness("vgg16", "fear", flat((0.3, 0.7)), flat(random), flat(centre))
    found = verdict(result)
    assert (found.key, found.margin) == (key, margin)
    html = render("attention/faithfulness.html", cards=faithfulness_cards({"vgg16": result}, "Grad-CAM", models))
    assert f'data-verdict="{key}"' in html and found.margin in html
    assert html.index("<details") < html.index(result.sentence[:30])


def test_a_face_is_deleted_step_by_step_beside_its_confidence(models: ModelDisplay) -> None:
    crop = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    heat = np.array([[0, 0], [0, 1]], np.float32)
    frames = deleted_faces(crop, heat, 2)
    assert len(frames) == 3 and frames[0].shape == (160, 160, 3)
    assert np.unique(frames[-1].reshape(-1, 3), axis=0).shape[0] == 1  # nothing of the face is left
    hidden = (frames[1] != frames[0]).any(-1)
    assert hidden[90:, 90:].mean() > 0.95 > 0.5 > hidden[:60, :60].mean()
    (card,) = faithfulness_cards({"vgg16": faithfulness()}, "Grad-CAM", models, {"vgg16": frames})
    assert card.scrubber is not None and list(card.scrubber.confidences) == [1, 0.5, 0]
    html = render("attention/faithfulness.html", cards=[card])
    assert html.count("<img") == 3 and html.count(" hidden>") == 2 and 'max="2"' in html
    assert 'data-confidences="1.000 0.500 0.000 "' in html
    assert f'data-words="{percent(1)}|{percent(0.5)}|{percent(0)}"' in html


def test_a_row_of_maps_shows_how_similar_they_stay_once_weights_are_random(
    face: AnalyzedFace, models: ModelDisplay
) -> None:
    true = Explanation("vgg16", "native", "fear", np.eye(4, dtype=np.float32))
    other = replace(true, heat=true.heat[::-1].copy())
    steps = (RandomisedStep("classifier", other, (-0.5, 0.25)), RandomisedStep("stage4", true, (0.9, 0.8)))
    (card,) = randomised_cards(face, {"vgg16": {"native": Randomisation(true, steps)}}, models)
    assert card.title == f"VGG16: {face.predictions['vgg16'].label}"
    (row,) = card.rows
    assert row.title == METHODS["native"].title and row.key == "fails"
    assert [(one.title, one.similarity, one.spread) for one in row.maps] == [
        ("As trained", "", ""),
        ("Classifier", "\u22120.12", "\u22120.50 to 0.25"),
        ("+ stage 4", "0.85", "0.80 to 0.90"),
    ]
    np.testing.assert_array_equal(row.maps[0].drawn, row.maps[2].drawn)
    assert (row.maps[0].drawn != row.maps[1].drawn).any()
    html = render("attention/randomisation.html", cards=[card])
    assert html.count("<img") == 3 and 'data-verdict="fails"' in html


def test_a_model_that_cannot_be_randomised_says_why_beside_the_others(
    analyzer: Analyzer, face: AnalyzedFace, models: ModelDisplay, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gr.Blocks():
        section = RandomisationSection(analyzer, models, Jobs())
    request: Any = SimpleNamespace(session_hash="one")
    monkeypatch.setattr(analyzer.classifiers["vgg16"], "network", None)
    only = replace(face, predictions={name: face.predictions[name] for name in ("vgg16", "eac_mobilenet_v2")})
    *_, last = section.run(only, request, ["native"])
    assert "VGG16: No check" in last[section.status.notice]["value"]
    assert 'data-randomised="eac_mobilenet_v2"' in last[section.cards] and "vgg16" not in last[section.cards]
    assert last[section.cards].count("<img") == 6
    *_, none = section.run(only, request, [])
    assert none[section.cards] == "" and "method" in none[section.status.notice]["value"]


def test_curves_are_in_percent() -> None:
    both = {name: faithfulness() for name in ("vgg16", "resnet50")}
    figure = curves_figure(both, {"vgg16": "VGG16", "resnet50": "ResNet50"}, model_styles(both))
    assert len(figure.data) == 12
    deletion, insertion = figure.data[:2]
    assert list(deletion.x) == [0, 50, 100]
    assert list(deletion.y) == [100, 50, 0] and list(insertion.y) == [0, 50, 100]
    assert [line.showlegend for line in figure.data].count(True) == 3
    assert [text.text for text in figure.layout.annotations if text.text] == ["VGG16", "ResNet50"]


def test_figures_that_were_not_measured_have_no_column(models: ModelDisplay) -> None:
    table = faithfulness_table(faithfulness())
    assert [title for title, _ in table.columns] == ["Deletion", "Insertion"] and not table.arcc_parts
    assert [(row.title, list(row.values)) for row in table.rows] == [
        ("This map", ["0.50", "0.50"]),
        ("Random map", ["0.50", "0.50"]),
        ("Centre prior", ["0.50", "0.50"]),
    ]
    cards = faithfulness_cards({"vgg16": faithfulness()}, "Grad-CAM", models)
    html = render("attention/faithfulness.html", cards=cards)
    assert "VGG16: fear, Grad-CAM" in html and "0.50" in html and "ROAD" not in html


def test_the_report_holds_everything_and_no_face_if_it_is_left_out(
    face: AnalyzedFace, models: ModelDisplay, analyzer: Analyzer
) -> None:
    flips = {name: flip_consistency(analyzer.classifiers[name], face.model_input) for name in MODELS}

    def report(results: FaithfulnessResults | None, *, with_face: bool) -> str:
        contrasts = face_contrasts(face)
        view = face_report(face, models, flips, results, contrasts, with_face=with_face, date="2031-04-05")
        return str(render("attention/report.html", report=view))

    with_face = report(FaithfulnessResults("gradcam", {"vgg16": faithfulness()}), with_face=True)
    without = report(None, with_face=False)
    assert with_face.count("<img") == 33 and without.count("<img") == 32
    assert "2031-04-05" in with_face and "2031-04-05" in without
    assert with_face.count("<polyline") == 6 and without.count("<polyline") == 0
    assert "ARCC" not in with_face  # it was not measured
    score, removal = Arcc(coherency=0.9, simplicity=0.6, road=0.5), Road((10,), (0.2,), (0.4,))
    curves = Curves(np.array([1.0, 0]), np.array([0, 1.0]), removal, score)
    results = {"vgg16": Faithfulness("vgg16", "fear", curves, curves, curves)}
    measured = report(FaithfulnessResults("native", results), with_face=False)
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
    document = json.loads(face_json(face, analyzer, face_contrasts(face, "fear", "anger")))
    assert list(document["models"]) == list(MODELS)
    for name, record in document["models"].items():
        assert list(record["maps"]) == list(EXPRESSIONS)
        for expression, one in record["maps"].items():
            np.testing.assert_allclose(one["heat"], face.maps[name][expression].heat, rtol=1e-5)
            assert one["method"] == "native"
        contrast, maps = record["contrast"], face.maps[name]
        assert (contrast["expression"], contrast["rather_than"]) == ("fear", "anger")
        np.testing.assert_allclose(contrast["heat"], maps["fear"].heat - maps["anger"].heat, rtol=1e-4, atol=1e-5)
