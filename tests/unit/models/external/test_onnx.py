"""Other people's ONNX graphs as models: what they answer, their maps, their place beside our models."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import helper

from dashboard.leaderboard.board import read_board
from dashboard.leaderboard.cost.cost_view import cost_rows
from explain.maps import attention
from fer_models.analyzer import list_models, load_analyzer
from fer_models.errors import WeightsError
from fer_models.expressions import EXPRESSIONS
from fer_models.models.external.files import external_file
from fer_models.models.external.formats import GraphFacts
from fer_models.models.external.graphs.families import family_card
from fer_models.results import agreement
from tests.helpers.graphs import (
    LABELS,
    SIZE,
    NoHead,
    SmallNet,
    card,
    export,
    graph,
    load,
    small_net,
    weights,
    write_card,
)

CROP = np.random.default_rng(3).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
MEAN, STD = np.array([0.1, 0.2, 0.3], np.float32), np.array([0.5, 0.6, 0.7], np.float32)


def by_hand(network: SmallNet, pixels: NDArray[Any]) -> NDArray[np.float32]:
    """The network's own answer for pixels (S, S, channels) that are already normalised."""
    planes = torch.from_numpy(np.ascontiguousarray(pixels, np.float32))
    with torch.inference_mode():
        answer = network(planes[None] if network.nhwc else planes.permute(2, 0, 1)[None])[0]
    return np.asarray(answer.numpy(), np.float32)


@pytest.mark.parametrize("nhwc", [False, True])
@pytest.mark.parametrize("mode", ["rgb", "bgr"])
def test_it_answers_as_the_network_does(tmp_path: Path, nhwc: bool, mode: str) -> None:
    network = small_net(nhwc=nhwc)
    path = export(network, tmp_path / "theirs.onnx")
    write_card(path, input={"mode": mode})
    (prediction,) = load(path).predict([CROP])
    pixels = CROP if mode == "rgb" else CROP[..., ::-1]
    np.testing.assert_allclose(prediction.logits, by_hand(network, (pixels / 255 - MEAN) / STD), rtol=1e-4, atol=1e-4)
    assert prediction.labels == LABELS and np.ptp(prediction.logits) > 0.5


def test_mean_and_deviation_from_0_to_255_and_no_normalisation(tmp_path: Path) -> None:
    network = small_net()
    path = export(network, tmp_path / "theirs.onnx")
    write_card(path, input={"scale": "0-255", "mean": [25.5, 51, 76.5], "std": 127.5})
    (prediction,) = load(path).predict([CROP])
    expected = by_hand(network, (CROP - np.array([25.5, 51, 76.5], np.float32)) / 127.5)
    np.testing.assert_allclose(prediction.logits, expected, rtol=1e-4, atol=1e-4)
    write_card(path, input={"scale": "0-255", "mean": 0, "std": 1})
    (prediction,) = load(path).predict([CROP])
    np.testing.assert_allclose(prediction.logits, by_hand(network, CROP), rtol=1e-3, atol=1e-2)


def test_a_grey_graph_of_one_channel(tmp_path: Path) -> None:
    network = small_net(channels=1)
    path = export(network, tmp_path / "theirs.onnx", batch=1)
    write_card(path, input={"mode": "grey", "mean": 0.5, "std": 0.25})
    predictions = load(path).predict([CROP[..., 0], CROP[..., 1], CROP[..., 2]])  # a batch of 3, one after the other
    for index, prediction in enumerate(predictions):
        expected = by_hand(network, (CROP[..., index : index + 1] / 255 - 0.5) / 0.25)
        np.testing.assert_allclose(prediction.logits, expected, rtol=1e-4, atol=1e-4)


def test_a_fixed_batch_larger_than_the_faces(tmp_path: Path) -> None:
    network = small_net()
    path = export(network, tmp_path / "theirs.onnx", batch=4)
    write_card(path)
    one, *_ = load(path).predict([CROP] * 5)
    np.testing.assert_allclose(one.logits, by_hand(network, (CROP / 255 - MEAN) / STD), rtol=1e-4, atol=1e-4)


def test_probabilities_come_back_as_they_are_and_take_a_temperature(tmp_path: Path) -> None:
    network = small_net(softmax=True)
    path = export(network, tmp_path / "theirs.onnx")
    facts = card()
    del facts["outputs"]  # its last node tells
    path.with_suffix(".json").write_text(json.dumps(facts))
    expected = by_hand(network, (CROP / 255 - MEAN) / STD)
    (prediction,) = load(path).predict([CROP])
    np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-5)
    path.with_suffix(".json").write_text(json.dumps(facts | {"temperature": 2.0}))
    (softened,) = load(path).predict([CROP])
    np.testing.assert_allclose(softened.probabilities, expected**0.5 / (expected**0.5).sum(), atol=1e-5)


def test_eight_labels_in_other_words_and_what_is_no_expression_stays(tmp_path: Path) -> None:
    names = ["Neutral", "happy", "Surprised", "sad", "Angry", "0_disgust", "fearful", "Contempt"]
    network = small_net(8)
    path = export(network, tmp_path / "theirs.onnx")
    write_card(path, labels=names)
    classifier = load(path)
    assert classifier.card.labels == (
        *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear"),
        "contempt",
    )
    assert set(EXPRESSIONS) < set(classifier.card.labels)


def test_an_answer_beyond_the_expressions_is_left_out_of_agreement() -> None:
    assert agreement([["fear"], ["fear"], ["contempt"]]) == 1
    assert agreement([["fear"], ["anger"], ["contempt"]]) == 0.5
    assert agreement([["contempt", "fear"], ["fear"]]) == 1
    assert agreement([["contempt"], ["contempt"]]) == 1


@pytest.mark.parametrize("changes", [{}, {"mean": True}, {"softmax": True}, {"nhwc": True}])
def test_a_pooled_linear_head_gives_exact_class_attention_maps(tmp_path: Path, changes: dict[str, Any]) -> None:
    network = small_net(**changes)
    path = export(network, tmp_path / "theirs.onnx")
    write_card(path, outputs="probabilities" if network.softmax else "logits")
    classifier = load(path)
    assert classifier.class_weights is not None
    np.testing.assert_allclose(classifier.class_weights, network.fc.weight.detach().numpy(), rtol=1e-5)
    (prediction,) = classifier.predict([CROP], features=True)
    maps = attention(prediction, classifier.class_weights)
    means = np.array([maps[label].heat.mean() for label in LABELS]) + network.fc.bias.detach().numpy()
    scores = np.exp(means - means.max())
    np.testing.assert_allclose(scores / scores.sum(), prediction.probabilities, atol=1e-4)
    pixels = np.ascontiguousarray((CROP / 255 - MEAN) / STD, np.float32)
    planes = torch.from_numpy(pixels)[None]
    with torch.inference_mode():
        features = network.maps(planes if network.nhwc else planes.permute(0, 3, 1, 2)).numpy()[0]
    assert prediction.features is not None
    np.testing.assert_allclose(prediction.features, features, rtol=1e-4, atol=1e-4)


def test_another_end_of_the_graph_gives_no_map(tmp_path: Path) -> None:
    network = small_net(kind=NoHead)
    path = export(network, tmp_path / "theirs.onnx")
    write_card(path)
    classifier = load(path)
    (prediction,) = classifier.predict([CROP], features=True)
    assert classifier.class_weights is None and prediction.features is None
    np.testing.assert_allclose(prediction.logits, by_hand(network, (CROP / 255 - MEAN) / STD), rtol=1e-4, atol=1e-4)


def test_an_end_that_only_looks_like_a_head_gives_no_map(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Reshape", ["p", "s"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["m"]),
        helper.make_node("Add", ["m", "b"], ["a"]),
        helper.make_node("Softmax", ["a"], ["z"]),
        helper.make_node("Identity", ["z"], ["z2"]),
        helper.make_node("Softmax", ["z2"], ["y"]),
    ]
    shape = onnx.numpy_helper.from_array(np.array([-1, 3]), "s")
    model = graph(nodes, [weights("w", 3, 7), weights("b", 7), shape])
    path = tmp_path / "twice.onnx"
    onnx.save(model, path)
    write_card(path, outputs="probabilities")
    assert load(path).class_weights is None


def test_it_is_a_model_beside_ours(
    tmp_path: Path, write_model: Callable[..., Any], fake_detector: Any, picture: NDArray[np.uint8]
) -> None:
    write_model(tmp_path, "vgg16")
    path = export(small_net(), tmp_path / "theirs.onnx")
    write_card(path, title="Theirs")
    (tmp_path / "bad.onnx").write_bytes(b"onnx")
    assert list_models(tmp_path) == ["vgg16", "bad", "theirs"]
    assert external_file(tmp_path, "theirs") == path
    analyzer = load_analyzer(weights=tmp_path, device="cpu", detector=fake_detector)
    assert list(analyzer.classifiers) == ["vgg16", "theirs"] and "bad.onnx" in analyzer.left_out[0]
    face, _ = analyzer.analyze([picture])
    assert list(face.predictions) == ["vgg16", "theirs"]
    assert analyzer.classifiers["theirs"].card.title == "Theirs"


def test_it_has_a_card_and_a_size_on_the_leaderboard(tmp_path: Path) -> None:
    path = export(small_net(), tmp_path / "theirs.onnx")
    write_card(path, title="Theirs")
    loaded = {"theirs": load(path).card}
    board = read_board(tmp_path, (), loaded)
    assert board.cards["theirs"].title == "Theirs" and board.file_bytes["theirs"] == path.stat().st_size
    assert [row.file for row in cost_rows(board)] != ["missing"]
    elsewhere = read_board(tmp_path / "results", (), loaded)
    assert elsewhere.file_bytes["theirs"] == 0 and [row.file for row in cost_rows(elsewhere)] != ["missing"]


def test_files_elsewhere_are_further_models(
    tmp_path: Path, write_model: Callable[..., Any], fake_detector: Any
) -> None:
    (tmp_path / "weights").mkdir()
    write_model(tmp_path / "weights", "vgg16")
    path = export(small_net(), tmp_path / "theirs.onnx")
    write_card(path)
    where: dict[str, Any] = {"weights": tmp_path / "weights", "device": "cpu", "detector": fake_detector}
    assert list(load_analyzer(files=[path], **where).classifiers) == ["vgg16", "theirs"]
    assert list(load_analyzer([], files=[path], **where).classifiers) == ["theirs"]
    for files, words in (
        ([path, path], "already a model"),
        ([tmp_path / "no.onnx"], "There is no file"),
        ([Path("vgg16")], "--models"),
    ):
        with pytest.raises(WeightsError, match=words):
            load_analyzer(files=files, **where)


def test_well_known_files_have_cards() -> None:
    ferplus = family_card("emotion-ferplus-8", GraphFacts("NCHW", 1, 64, 8))
    assert ferplus is not None and ferplus.labels[0] == "neutral" and ferplus.labels[7] == "contempt"
    assert family_card("emotion-ferplus-8", GraphFacts("NCHW", 3, 224, 1000)) is None
    eight, seven = (family_card(name, GraphFacts("NCHW", 3)) for name in ("enet_b0_8_best_vgaf", "enet_b2_7"))
    assert eight is not None and eight.input.size == 224 and eight.labels[1] == "Contempt"
    assert (
        seven is not None
        and seven.input.size == 260
        and seven.labels == (*("Anger", "Disgust", "Fear", "Happiness", "Neutral", "Sadness", "Surprise"),)
    )
    for name, size in (("enet_b0_8_va_mtl", 224), ("mobilevit_va_mtl", 224), ("mbf_va_mtl", 112)):
        found = family_card(name, GraphFacts("NCHW", 3, size, 10))
        assert found is not None and found.labels[8:] == ("valence", "arousal") and found.input.size == size
