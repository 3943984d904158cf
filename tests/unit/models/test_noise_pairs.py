"""The label noise study's networks in Compare: which are loaded, that they are no models, and what is shown of them."""

import logging
from collections.abc import Callable
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from numpy.typing import NDArray

from dashboard.compare import tab as compare
from dashboard.compare.noise_view import noise_columns, sentence
from dashboard.components.analyzed_image import AnalyzedImage, read_faces
from explain.maps import attention
from fer_models.analyzer import Analyzer, list_models
from fer_models.expressions import EXPRESSIONS
from fer_models.models.card import ModelCard
from fer_models.models.noise_pairs import NoisePair, load_noise_pairs
from fer_models.results import Prediction


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
    return dict(load_noise_pairs(weights, "cpu"))


@pytest.fixture(scope="module")
def analyzed(analyzer: Analyzer, picture: NDArray[np.uint8]) -> AnalyzedImage:
    return read_faces(analyzer, picture)


def test_only_shares_with_both_methods_of_one_seed_are_offered(weights: Path, pairs: dict[int, NoisePair]) -> None:
    assert list(pairs) == [0, 30]
    assert (pairs[0].plain.name, pairs[0].eac.name) == ("noise_plain_0_1", "noise_eac_0_1")
    assert list_models(weights) == ["vgg16"]  # none of them is a model


def test_no_folder_gives_none_and_a_damaged_file_is_left_out(
    tmp_path: Path, write_model: Callable[..., ModelCard], caplog: pytest.LogCaptureFixture
) -> None:
    assert load_noise_pairs(tmp_path) == {}
    (tmp_path / "noise").mkdir()
    for name in ("plain_20_0", "eac_20_0"):
        write_model(tmp_path / "noise", f"noise_{name}")
    (tmp_path / "noise" / "noise_eac_20_0.safetensors").write_bytes(b"x" * 100)
    with caplog.at_level(logging.WARNING):
        assert load_noise_pairs(tmp_path, "cpu") == {}
    assert "20 % wrong labels are left out" in caplog.text


def test_the_columns_say_what_the_networks_say_of_what_the_models_were_given(
    pairs: dict[int, NoisePair], analyzed: AnalyzedImage
) -> None:
    face, pair = analyzed.faces[1], pairs[30]
    told = noise_columns(face, pair)
    assert told.count("<article") == 2 and told.count("<li") == 14 and told.count("data:image/jpeg") == 2
    for method, classifier in (("plain", pair.plain), ("eac", pair.eac)):
        (prediction,) = classifier.predict([face.given], features=True)
        column = told[told.index(f'data-method="{method}"') :].partition("</article>")[0]
        assert f"Evidence for {prediction.label}" in column
        for label in EXPRESSIONS:
            assert f"<span>{label.capitalize()}</span>" in column
            assert f"width:{100 * prediction.probability(label):.1f}%" in column
        assert list(attention(prediction, classifier.class_weights))  # by name: the cards' orders differ
    assert noise_columns(analyzed.faces[0], pair) != told


def say(label: str, confidence: float) -> Prediction:
    rest = (1 - confidence) / 6
    chances = np.array([confidence if name == label else rest for name in EXPRESSIONS], np.float32)
    return Prediction("x", EXPRESSIONS, np.log(chances), chances, 1.0, 1.0)


def test_the_sentence() -> None:
    assert sentence(30, say("fear", 0.6), say("fear", 0.8)).replace("\u00a0", " ") == (
        "With 30 % of the training labels wrong, both say fear: 60 % after plain training, 80 % with EAC."
    )
    assert sentence(0, say("fear", 0.6), say("anger", 0.8)).replace("\u00a0", " ") == (
        "With no label made wrong, the network trained plainly says fear (60 %), the one trained with EAC anger (80 %)."
    )


def test_the_section_is_there_only_with_networks_and_idle_until_opened(
    analyzer: Analyzer, weights: Path, tmp_path: Path, analyzed: AnalyzedImage
) -> None:
    with gr.Blocks():
        bare = compare.build(analyzer, tmp_path, tmp_path, tmp_path)
        tab = compare.build(analyzer, tmp_path, tmp_path, weights)
    assert bare.noise is None
    assert tab.noise is not None and [value for _, value in tab.noise.noise.choices] == [0, 30]
    assert tab.columns_offered == bare.columns_offered
    assert tab.noise.show(analyzed, 0, 30, False) == ""
    assert 'data-noise="0"' in tab.noise.show(analyzed, 0, 0, True)
    assert tab.noise.show(None, 0, 30, True) == ""
    assert tab.noise.show(analyzed, 7, 30, True) == "" == tab.noise.show(analyzed, 0, 20, True)
