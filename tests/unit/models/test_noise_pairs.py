"""The label noise study's networks in Compare: which are loaded, that they are no models, and what is shown of them."""

from collections.abc import Callable
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from numpy.typing import NDArray

from dashboard.compare import noise_section
from dashboard.compare import tab as compare
from dashboard.compare.noise_view import compare_networks, sentence
from dashboard.components.analyzed_image import AnalyzedImage, analyze_picture
from dashboard.components.templates import render
from fer_models.analyzer import Analyzer, list_models
from fer_models.errors import FerError
from fer_models.expressions import EXPRESSIONS
from fer_models.models.card import ModelCard
from fer_models.models.noise_pairs import NoisePair, find_noise_pairs, load_noise_pair
from fer_models.results import Prediction
from tests.helpers.texts import assert_states


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, write_model: Callable[..., ModelCard]) -> Path:
    """Both methods for 0 % (two seeds) and 30 %, plain alone for 10 %, and others that do not count. Read only."""
    folder = tmp_path_factory.mktemp("with_noise")
    write_model(folder, "vgg16", seed=1)
    noise = folder / "noise"
    noise.mkdir()
    for number, name in enumerate(
        ("plain_0_1", "eac_0_1", "plain_0_2", "eac_0_2", "plain_30_0", "eac_30_0", "plain_10_0", "eac_10_1")
    ):
        write_model(noise, f"noise_{name}", EXPRESSIONS[number:] + EXPRESSIONS[:number], seed=number)
    write_model(noise, "noise_plain_fer2013_0", seed=3)
    return folder


@pytest.fixture(scope="module")
def pairs(weights: Path) -> dict[int, NoisePair]:
    return {noise: load_noise_pair(weights, noise, "cpu") for noise in find_noise_pairs(weights)}


@pytest.fixture(scope="module")
def analyzed(analyzer: Analyzer, picture: NDArray[np.uint8]) -> AnalyzedImage:
    return analyze_picture(analyzer, picture)


def test_only_shares_with_both_methods_of_one_seed_are_offered(weights: Path, pairs: dict[int, NoisePair]) -> None:
    assert list(pairs) == [0, 30]
    assert (pairs[0].plain.name, pairs[0].eac.name) == ("noise_plain_0_1", "noise_eac_0_1")
    assert list_models(weights) == ["vgg16"]  # none of them is a model


def test_no_folder_gives_none_and_a_damaged_file_is_explained(
    tmp_path: Path, write_model: Callable[..., ModelCard]
) -> None:
    assert find_noise_pairs(tmp_path) == {}
    (tmp_path / "noise").mkdir()
    for name in ("plain_20_0", "eac_20_0"):
        write_model(tmp_path / "noise", f"noise_{name}")
    (tmp_path / "noise" / "noise_eac_20_0.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(FerError, match="noise_eac_20_0"):
        load_noise_pair(tmp_path, 20, "cpu")


def test_the_columns_show_the_networks_on_what_the_models_received(
    pairs: dict[int, NoisePair], analyzed: AnalyzedImage
) -> None:
    face, pair = analyzed.faces[1], pairs[30]
    comparison = compare_networks(face, pair)
    assert [column.method for column in comparison.columns] == ["plain", "eac"]
    html = render("compare/noise.html", comparison=comparison)
    assert html.count("<article") == 2 and html.count("<li") == 14 and html.count("data:image/jpeg") == 2
    for column, classifier in zip(comparison.columns, (pair.plain, pair.eac), strict=True):
        (prediction,) = classifier.predict([face.model_input], features=True)
        assert column.prediction.label == prediction.label
        article = html[html.index(f'data-method="{column.method}"') :].partition("</article>")[0]
        assert f"Evidence for {prediction.label}" in article
        for label in EXPRESSIONS:  # by name: the cards' orders differ
            assert f"<span>{label.capitalize()}</span>" in article
            assert f"width:{100 * prediction.probability(label):.1f}%" in article
    assert render("compare/noise.html", comparison=compare_networks(analyzed.faces[0], pair)) != html


def predict(label: str, confidence: float) -> Prediction:
    rest = (1 - confidence) / 6
    chances = np.array([confidence if name == label else rest for name in EXPRESSIONS], np.float32)
    return Prediction("x", EXPRESSIONS, np.log(chances), chances, 1.0, 1.0)


def test_the_sentence() -> None:
    agreed = sentence(30, predict("fear", 0.6), predict("fear", 0.8))
    assert_states(agreed, "30 %", "wrong", "both", "fear", "60 %", "plain", "80 %", "EAC")
    split = sentence(0, predict("fear", 0.6), predict("anger", 0.8))
    assert_states(split, "Without wrong", "plain", "fear", "60 %", "EAC", "anger", "80 %")
    assert "both" not in split
    tie = predict("fear", 0.4)
    tie.probabilities[EXPRESSIONS.index("anger")] = 0.395
    assert_states(sentence(0, tie, predict("anger", 0.8)), "both", "anger", "40 %", "plain", "80 %", "EAC")


def test_the_section_is_there_only_with_networks_and_idle_until_opened(
    analyzer: Analyzer, weights: Path, tmp_path: Path, analyzed: AnalyzedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[int] = []

    def load(folder: Path, noise: int, device: str) -> NoisePair:
        loaded.append(noise)
        return load_noise_pair(folder, noise, device)

    monkeypatch.setattr(noise_section, "load_noise_pair", load)
    with gr.Blocks():
        bare = compare.build(analyzer, tmp_path, tmp_path, tmp_path)
        tab = compare.build(analyzer, tmp_path, tmp_path, weights)
    assert bare.noise is None
    assert tab.noise is not None and [value for _, value in tab.noise.noise.choices] == [0, 30]
    assert tab.columns_offered == bare.columns_offered
    assert tab.noise.show(analyzed, 0, 30, False) == "" and loaded == []
    assert 'data-noise="0"' in tab.noise.show(analyzed, 0, 0, True)
    assert tab.noise.show(None, 0, 30, True) == ""
    assert loaded == [0]
    assert tab.noise.show(analyzed, 1, 0, True) and loaded == [0], "loaded once"
    assert tab.noise.show(analyzed, 7, 30, True) == "" == tab.noise.show(analyzed, 0, 20, True)
