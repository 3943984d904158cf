"""The attention command's file as figures and pictures: values, order, what is missing, and files of another kind."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashboard.attention.test_set import FILE, AttentionResults, read_results
from dashboard.attention.test_set_figures import (
    SIDE,
    atlas_counts,
    atlas_pictures,
    consistency_figure,
    faithfulness_figure,
    regions_figure,
)
from dashboard.attention.test_set_view import (
    atlas,
    faces_tested,
    faithfulness_sentences,
    flip_rows,
    source_sentence,
    stale_results,
)
from dashboard.components.templates import render
from explain.regions import REGIONS
from fer_models.evaluation.records import AttentionRecord
from fer_models.models.card import read_card
from fer_models.registry import model_styles, style_at
from tests.helpers.texts import assert_states


def summary(mean: float, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    quantiles = {key: mean + step for key, step in zip(("5", "25", "50", "75", "95"), (-4, -2, -1, 2, 4), strict=True)}
    return {"count": 9, "mean": mean, "interval": None if low is None else [low, high], "quantiles": quantiles}


def spot(row: int, column: int, peak: float) -> list[list[float]]:
    """A 7x7 map with one cell of evidence."""
    heat = np.full((7, 7), -0.5)
    heat[row, column] = peak
    found: list[list[float]] = heat.tolist()
    return found


def model(title: str, level: float, heat: list[list[float]]) -> dict[str, Any]:
    areas = {"map": summary(level, level - 0.02, level + 0.01), "random": summary(0.5), "blob": summary(0.4)}
    shares = {region: summary(0.1 + 0.08 * number, 0.05, 0.6) for number, region in enumerate(REGIONS)}
    return {
        "title": title,
        "training_labels": "FER+",
        "sha256": "0",
        "accuracy": 0.8,
        "consistency": {"loss": summary(30), "relative_loss": summary(5 + level), "correlation": summary(level)},
        "faithfulness": {"faces": 9, "steps": 4, "deletion": areas, "insertion": areas, "road": None},
        "regions": {"fear": {"faces": 9, "without_evidence": 0, "shares": shares}},
        "atlas": {
            "labelled": {"fear": {"faces": 9, "map": heat}},
            "answered": {"neutral": {"faces": 4, "map": heat}, "fear": {"faces": 5, "map": heat}},
        },
    }


@pytest.fixture
def document() -> dict[str, Any]:
    return {
        "labels": "ferplus",
        "split": "test",
        "faces": 3137,
        "areas": dict(zip(REGIONS, (0.1, 0.06, 0.04, 0.14, 0.09, 0.57), strict=True)),
        "mean_faces": {"all": {"count": 90, "pixels": [[100] * 32] * 32}},
        "models": {
            "eac_resnet50": model("EAC (ResNet-50)", 0.2, spot(0, 0, 4)),
            "vgg16": model("VGG16", 0.3, spot(6, 6, 1)),
        },
    }


def results_of(document: dict[str, Any]) -> AttentionResults:
    return AttentionResults(AttentionRecord.model_validate(document))


@pytest.fixture
def results(document: dict[str, Any]) -> AttentionResults:
    return results_of(document)


ALL = model_styles(["eac_resnet50", "vgg16"])


def written(document: Any, folder: Path) -> Path:
    (folder / "results").mkdir()
    (folder / "results" / FILE).write_text(document if isinstance(document, str) else json.dumps(document))
    return folder


def test_what_is_read_is_what_was_written(document: dict[str, Any], tmp_path: Path) -> None:
    source = read_results(written(document, tmp_path))
    assert source.problem is None and source.record is not None
    results = AttentionResults(source.record)
    assert results.titles == {"eac_resnet50": "EAC (ResNet-50)", "vgg16": "VGG16"}
    assert results.expressions == ["fear", "neutral"]
    assert_states(results.source, "3,137", "random faces", "FER+", "test")


@pytest.mark.parametrize("text", [None, "", "[1]", "{}", '{"models": {}}', '{"models": {"a": {"accuracy": 1}}}'])
def test_another_file_is_told_with_what_writes_it(text: str | None, tmp_path: Path) -> None:
    source = read_results(tmp_path if text is None else written(text, tmp_path))
    assert source.record is None and source.problem is not None
    assert source.problem.commands[0].startswith("python -m fer_models attention")
    assert ("Not measured yet" if text is None else "damaged") in source.problem.text
    assert str(tmp_path) not in source.problem.text


def test_other_weights_make_a_model_stale_but_no_baseline(document: dict[str, Any], weights_dir: Path) -> None:
    cards = {name: read_card(weights_dir / f"{name}.json") for name in ("eac_resnet50", "vgg16")}
    document["models"]["vgg16"]["sha256"] = cards["vgg16"].sha256
    document["models"]["plain"] = {**model("Plain", 0.1, spot(0, 0, 1)), "baseline": True}
    results = results_of(document)
    assert list(results.stale(cards)) == ["eac_resnet50"]
    (problem,) = stale_results(results, cards)
    assert_states(problem.text, "EAC (ResNet-50)", "Stale", "other weights")
    note = render("attention/test_set_note.html", problems=[problem], source=source_sentence(results))
    assert note.count("Stale") == 1 and "Plain: a baseline" in note and problem.commands[0] in note
    assert results.titles["plain"] == "Plain (baseline)"


def test_words_claim_no_more_than_the_intervals(document: dict[str, Any]) -> None:
    gains = {"gain_over_random": summary(0.1, 0.05, 0.15), "gain_over_blob": summary(-0.01, -0.03, 0.01)}
    worse = {"gain_over_random": summary(-0.2, -0.3, -0.1), "gain_over_blob": summary(0.1)}
    tests = [document["models"][name]["faithfulness"] for name in ("eac_resnet50", "vgg16")]
    for test, extra in zip(tests, (gains, worse), strict=True):
        test["deletion"] = {**test["deletion"], **extra}
    results = results_of(document)
    first, second = (text.replace("\u2212", "-") for text in faithfulness_sentences(results, "deletion"))
    assert_states(first, "better", "0.100 (+0.050 to +0.150)", "random maps")
    assert_states(first, "not significantly different (-0.030 to +0.010)", "centre prior")
    assert_states(second, "worse", "0.200 (-0.300 to -0.100)", "random maps")
    assert "no interval" in second
    assert faithfulness_sentences(results, "arcc") == [] and faces_tested(results) == 9
    assert "Measure with --road" in render("attention/test_set_faithfulness.html", sentences=[], faces=9)


def test_tables_and_atlas_hold_the_figures_and_escape(document: dict[str, Any]) -> None:
    document["models"]["vgg16"]["title"] = "<b>VGG"
    document["models"]["vgg16"]["consistency"]["correlation"] = summary(0.5, 0.4, 0.6)
    results = results_of(document)
    table = render("attention/test_set_flips.html", rows=flip_rows(results, ALL))
    assert "0.500 <small>(0.400 to 0.600)</small>" in table and "<b>VGG" not in table
    pictures = atlas(results, ALL, "fear", "labelled", same_scale=False)
    html = render("attention/test_set_atlas.html", pictures=pictures, expression="fear")
    assert html.count("data:image/jpeg") == 2 and "mean of 9 faces" in html
    assert atlas(results, ALL, "disgust", "labelled", same_scale=True) == []
    empty = render("attention/test_set_atlas.html", pictures=[], expression="disgust")
    assert "disgust" in empty and "<img" not in empty


def test_boxes_hold_the_quantiles(results: AttentionResults) -> None:
    figure = consistency_figure(results, ALL)
    assert [box.name for box in figure.data] == ["EAC (ResNet-50)", "VGG16"]
    box = figure.data[0]
    found = [values[0] for values in (box.lowerfence, box.q1, box.median, box.q3, box.upperfence, box.mean)]
    assert found == pytest.approx([1.2, 3.2, 4.2, 7.2, 9.2, 5.2])
    assert [box.marker.color for box in figure.data] == [style_at(2).colour, style_at(1).colour]
    assert "Relative" in figure.layout.xaxis.title.text
    other = consistency_figure(results, ALL, "correlation")
    assert other.data[1].mean[0] == 0.3 and "Correlation" in other.layout.xaxis.title.text
    assert figure.layout.xaxis.range is None  # not that of probabilities in %


def test_areas_stand_beside_those_of_the_uninformative_baselines(results: AttentionResults) -> None:
    figure = faithfulness_figure(results, ALL, "insertion")
    assert [bars.name for bars in figure.data] == ["The model’s map", "Random maps", "Centre prior"]
    own, noise, _ = figure.data
    assert list(own.y) == ["EAC (ResNet-50)", "VGG16"] and list(own.x) == [0.2, 0.3]
    assert list(own.error_x.array) == pytest.approx([0.01, 0.01])
    assert list(own.error_x.arrayminus) == pytest.approx([0.02, 0.02])
    assert list(noise.error_x.array) == [0, 0]  # no interval, no bar
    assert len({bars.opacity for bars in figure.data}) == 3
    assert "higher is better" in figure.layout.xaxis.title.text


def test_tests_that_were_not_run_have_no_bars(document: dict[str, Any]) -> None:
    scores = {name: summary(level) for name, level in (("map", 0.5), ("random", 0.2), ("blob", 0.6))}
    document["models"]["vgg16"]["faithfulness"]["arcc"] = scores
    figure = faithfulness_figure(results_of(document), ALL, "arcc")
    assert list(figure.data[2].y) == ["VGG16"] and list(figure.data[2].x) == [0.6]


def test_a_model_whose_maps_were_not_tested_has_no_bars(document: dict[str, Any]) -> None:
    document["models"]["vgg16"]["faithfulness"] = None
    figure = faithfulness_figure(results_of(document), ALL)
    assert list(figure.data[0].y) == ["EAC (ResNet-50)"]


def test_shares_of_the_regions_in_percent_beside_their_areas(results: AttentionResults) -> None:
    figure = regions_figure(results, ALL, "fear")
    first, second, areas = figure.data
    assert [first.name, second.name, areas.name] == ["EAC (ResNet-50)", "VGG16", "Share of the picture"]
    assert list(first.y) == ["Brows", "Eyes", "Nose", "Cheeks", "Mouth", "Background"]
    assert list(first.x) == pytest.approx([10, 18, 26, 34, 42, 50])
    assert first.error_x.array[0] == pytest.approx(50)
    assert list(areas.x) == pytest.approx([10, 6, 4, 14, 9, 57])
    assert (first.marker.color, first.marker.pattern.shape) == (style_at(2).colour, style_at(2).pattern)
    assert [trace.name for trace in regions_figure(results, ALL, "disgust").data] == ["Share of the picture"]


def test_the_atlas_shows_each_models_mean_map_on_a_mean_face(results: AttentionResults) -> None:
    pictures = atlas_pictures(results, "fear")
    assert list(pictures) == ["eac_resnet50", "vgg16"]
    for picture in pictures.values():
        assert picture.shape == (SIDE, SIDE, 3) and picture.dtype == np.uint8
    first, second = pictures.values()
    edge = SIDE // 8
    assert (first[-edge:, -edge:] == 100).all()  # no evidence there: the mean face itself
    assert (first[:edge, :edge].max((0, 1)) > 130).any() and (second[:edge, :edge] == 100).all()
    # On one scale the map with a quarter of the other's peak is drawn paler.
    together = atlas_pictures(results, "fear", same_scale=True)
    np.testing.assert_array_equal(together["eac_resnet50"], first)
    assert np.ptp(together["vgg16"].astype(int)) < np.ptp(second.astype(int))
    assert atlas_counts(results, "fear") == {"eac_resnet50": 9, "vgg16": 9}
    assert atlas_counts(results, "neutral") == {} == atlas_pictures(results, "neutral")
    assert atlas_counts(results, "neutral", "answered") == {"eac_resnet50": 4, "vgg16": 4}


def test_the_atlas_has_the_expressions_own_mean_face_and_does_without_any(document: dict[str, Any]) -> None:
    own = copy.deepcopy(document)
    own["mean_faces"]["fear"] = {"count": 40, "pixels": [[50] * 32] * 32}
    none = document | {"mean_faces": {}}
    corners = [atlas_pictures(results_of(one), "fear")["vgg16"][0, 0].tolist() for one in (own, none)]
    assert corners == [[50] * 3, [170] * 3]
