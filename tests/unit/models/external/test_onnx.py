"""ONNX classifiers as models: answers equal to the same network's in PyTorch, cards, and files that are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from dashboard.leaderboard.board import read_board
from dashboard.leaderboard.cost.cost_view import cost_rows
from explain.maps import attention
from fer_models.analyzer import list_models, load_analyzer
from fer_models.errors import CardError, EngineError, FerError, WeightsError
from fer_models.expressions import EXPRESSIONS
from fer_models.models.classifier import Classifier, load_classifier
from fer_models.models.external.files import external_file
from fer_models.models.external.formats import GraphFacts
from fer_models.models.external.graphs.families import family_card
from fer_models.results import SHARED_CROP, CropSpec, agreement
from tests.helpers.graphs import LABELS, SIZE, NoHead, SmallNet, card, export, graph, small_net, weights, write_card

CROP = np.random.default_rng(3).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
MEAN, STD = np.array([0.1, 0.2, 0.3], np.float32), np.array([0.5, 0.6, 0.7], np.float32)


def load(path: Path) -> Classifier:
    return load_classifier(path.stem, path.parent, "cpu")


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


def test_a_toml_card_says_the_same(tmp_path: Path) -> None:
    path = export(small_net(), tmp_path / "theirs.onnx")
    write_card(path)
    expected = load(path).predict([CROP])[0].logits
    path.with_suffix(".json").unlink()
    path.with_suffix(".toml").write_text(
        f"labels = {json.dumps(LABELS)}\noutputs = 'logits'\n[input]\nmode = 'rgb'\n"
        "mean = [0.1, 0.2, 0.3]\nstd = [0.5, 0.6, 0.7]\n"
    )
    np.testing.assert_array_equal(load(path).predict([CROP])[0].logits, expected)


def test_the_message_without_a_card_holds_one_that_works(tmp_path: Path) -> None:
    path = export(small_net(), tmp_path / "theirs.onnx")
    with pytest.raises(CardError) as error:
        load(path)
    text = str(error.value)
    missing = text[: text.index("Write")]
    assert "labels" in missing and "input.mean" in missing and "outputs" in missing and "input.size" not in missing
    proposed = json.loads(text[text.index("{") : text.rindex("}") + 1])
    assert proposed["input"]["size"] == SIZE and proposed["input"]["layout"] == "NCHW" and len(proposed["labels"]) == 7
    path.with_suffix(".json").write_text(json.dumps(proposed))
    assert load(path).card.labels == EXPRESSIONS


@pytest.mark.parametrize(
    "text", [json.dumps(LABELS), str(dict(enumerate(LABELS))), ", ".join(LABELS), json.dumps(dict(enumerate(LABELS)))]
)
def test_labels_in_the_metadata_need_not_be_on_the_card(tmp_path: Path, text: str) -> None:
    path = export(small_net(), tmp_path / "theirs.onnx")
    model = onnx.load(path)
    model.metadata_props.add(key="names", value=text)
    onnx.save(model, path)
    facts = card()
    del facts["labels"]
    path.with_suffix(".json").write_text(json.dumps(facts))
    assert load(path).card.labels == LABELS


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": list(LABELS[:6])}, "6 labels.*7"),
        ({"labels": ["fear", "afraid", *LABELS[:5]]}, "fear more than once"),
        ({"labels": [f"class {number}" for number in range(7)]}, "none of anger"),
        ({"input": {"size": 32}}, r"input\.size = 32.*16"),
        ({"input": {"layout": "NHWC"}}, r"input\.layout"),
        ({"input": {"channels": 1}}, r"input\.channels"),
        ({"input": {"std": [0.5, 0, 0.5]}}, r"input\.std"),
        ({"input": {"mean": [123, 117, 104]}}, '"scale": "0-255"'),
        ({"input": {"mode": "hsv"}}, r"input\.mode"),
        ({"outputs": "probabilities"}, "not between 0 and 1"),
        ({"output": "z"}, "no output 'z'"),
        ({"colour": "rgb"}, "colour"),
        ({"temperature": 0}, "temperature"),
        ({"sha256": "ab"}, "SHA-256"),
    ],
)
def test_a_card_that_does_not_fit_is_one_clear_error(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    path = export(small_net(), tmp_path / "theirs.onnx")
    write_card(path, **changes)
    with pytest.raises(CardError, match=words):
        load(path)


def test_a_softmax_called_logits_is_refused(tmp_path: Path) -> None:
    path = export(small_net(softmax=True), tmp_path / "theirs.onnx")
    write_card(path)
    with pytest.raises(CardError, match="outputs = logits"):
        load(path)


def test_two_cards_are_refused(tmp_path: Path) -> None:
    path = export(small_net(), tmp_path / "theirs.onnx")
    write_card(path)
    path.with_suffix(".toml").write_text("outputs = 'logits'")
    with pytest.raises(CardError, match="two cards"):
        load(path)


@pytest.mark.parametrize("text", ["{", "[1]", "{" * 100_000, "\xff"])
def test_a_damaged_card_is_a_card_error(tmp_path: Path, text: str) -> None:
    path = export(small_net(), tmp_path / "theirs.onnx")
    path.with_suffix(".json").write_text(text, encoding="latin1")
    with pytest.raises(CardError):
        load(path)


# Files that ask for more than a classifier needs.


def pooled(tail: list[Any], initializers: list[Any] = ()) -> Any:  # type: ignore[assignment]
    head = [helper.make_node("GlobalAveragePool", ["x"], ["p"]), helper.make_node("Flatten", ["p"], ["f"])]
    return graph([*head, *tail], [weights("w", 3, 7), *initializers])


def matmul(output: str = "y") -> Any:
    return helper.make_node("MatMul", ["f", "w"], [output])


def huge() -> Any:
    model = pooled([matmul()])
    model.graph.initializer.append(TensorProto(name="h", data_type=TensorProto.FLOAT, dims=[1 << 40, 1 << 20]))
    return model


def short() -> Any:
    model = pooled([matmul()])
    model.graph.initializer[0].raw_data = b"1234"
    return model


def elsewhere() -> Any:
    model = pooled([matmul()])
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../etc/passwd")
    return model


def cycle() -> Any:
    return pooled([helper.make_node("Add", ["m", "y"], ["z"]), matmul("m"), helper.make_node("Neg", ["z"], ["y"])])


def custom() -> Any:
    nodes = [helper.make_node("Evil", ["x"], ["y"], domain="ai.evil")]
    return graph(nodes, domains=("ai.evil",))


def nested(depth: int) -> Any:
    body = helper.make_graph(
        [helper.make_node("MatMul", ["f", "w"], ["b0"])],
        "b",
        [],
        [helper.make_tensor_value_info("b0", TensorProto.FLOAT, None)],
    )
    for level in range(1, depth):
        node = helper.make_node("If", ["c"], [f"b{level}"], then_branch=body, else_branch=body)
        body = helper.make_graph([node], "b", [], [helper.make_tensor_value_info(f"b{level}", TensorProto.FLOAT, None)])
    condition = onnx.numpy_helper.from_array(np.array(True), "c")
    node = helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body)
    return pooled([node], [condition])


def loop() -> Any:
    nothing = helper.make_graph([], "l", [], [])
    return pooled([helper.make_node("Loop", ["n", ""], ["z"], body=nothing), matmul()])


def inflated() -> Any:
    shape = onnx.numpy_helper.from_array(np.array([1 << 20, 1 << 20]), "s")
    fill = helper.make_node("ConstantOfShape", ["s"], ["c"])
    total = helper.make_node("ReduceMax", ["c"], ["t"], keepdims=0)
    return pooled([fill, total, matmul("m"), helper.make_node("Add", ["m", "t"], ["y"])], [shape])


def expanded() -> Any:
    shape = onnx.numpy_helper.from_array(np.array([1 << 15, 1 << 15, 7]), "s")
    nodes = [
        matmul("m"),
        helper.make_node("Expand", ["m", "s"], ["e"]),
        helper.make_node("ReduceMax", ["e"], ["y"], axes=[0], keepdims=0),
    ]
    return pooled(nodes, [shape])


def not_a_number() -> Any:
    return pooled([matmul("m"), helper.make_node("Sub", ["m", "m"], ["o"]), helper.make_node("Div", ["o", "o"], ["y"])])


def two_inputs() -> Any:
    model = pooled([matmul()])
    model.graph.input.append(helper.make_tensor_value_info("x2", TensorProto.FLOAT, [1]))
    return model


def flat_input() -> Any:
    model = pooled([matmul()])
    del model.graph.input[0].type.tensor_type.shape.dim[3]
    return model


def whole_numbers() -> Any:
    model = pooled([matmul()])
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    return model


def batch_norm_for_training() -> Any:
    names = ("s", "b", "m", "v")
    ones = [onnx.numpy_helper.from_array(np.ones(3, np.float32), name) for name in names]
    node = helper.make_node("BatchNormalization", ["x", *names], ["n", "m2", "v2"], training_mode=1)
    model = pooled([node, matmul()], ones)
    return model


def dropout_for_training() -> Any:
    ratio = onnx.numpy_helper.from_array(np.array(0.5, np.float32), "r")
    mode = onnx.numpy_helper.from_array(np.array(True), "t")
    return pooled([helper.make_node("Dropout", ["f", "r", "t"], ["d"]), matmul()], [ratio, mode])


def picture_out() -> Any:
    y = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])]
    return graph([helper.make_node("Neg", ["x"], ["y"])], outputs=y)


def oblong() -> Any:
    model = pooled([matmul()])
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 24
    return model


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (huge, "declares h"),
        (short, "not valid ONNX"),
        (elsewhere, "another file.*external_data=False"),
        (cycle, "not valid ONNX"),
        (custom, r"Evil of ai\.evil"),
        (lambda: nested(15), "more than 20,000 nodes"),
        (loop, "uses Loop"),
        (inflated, "too much"),
        (expanded, "too much"),
        (not_a_number, "not finite"),
        (two_inputs, "2 inputs"),
        (flat_input, "3 axes"),
        (whole_numbers, "int64"),
        (picture_out, "no classifier"),
        (oblong, "squares"),
        (batch_norm_for_training, "for training"),
        (dropout_for_training, "for training"),
    ],
)
def test_hostile_and_odd_files_are_refused_in_one_line(tmp_path: Path, make: Callable[[], Any], words: str) -> None:
    path = tmp_path / "theirs.onnx"
    path.write_bytes(make().SerializeToString())
    write_card(path)
    with pytest.raises(WeightsError, match=words) as error:
        load(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("data", [b"", b"onnx", b"\x08\x07" * 50, bytes(range(256))])
def test_what_is_no_onnx_is_a_weights_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "theirs.onnx"
    path.write_bytes(data)
    with pytest.raises(WeightsError):
        load(path)


def test_a_file_cut_off_anywhere_is_a_typed_error(tmp_path: Path) -> None:
    path = export(small_net(), tmp_path / "theirs.onnx")
    write_card(path)
    data = path.read_bytes()
    for length in range(0, len(data), 97):
        path.write_bytes(data[:length])
        with pytest.raises(FerError):
            load(path)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "theirs.onnx"
    with path.open("wb") as file:
        file.truncate((1 << 30) + 1)
    with pytest.raises(WeightsError, match="more than"):
        load(path)


def test_numbers_that_are_not_finite_for_one_face_are_an_error(tmp_path: Path) -> None:
    nodes = [matmul("m"), helper.make_node("Log", ["f"], ["l"]), helper.make_node("MatMul", ["l", "w"], ["y"])]
    path = tmp_path / "theirs.onnx"
    onnx.save(pooled(nodes), path)
    write_card(path, input={"mean": 0, "std": 1})
    with pytest.raises(EngineError, match="not finite"):
        load(path).predict([np.zeros((SIZE, SIZE, 3), np.uint8)])


# Beside our models.


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


def test_the_crop_on_a_card(tmp_path: Path) -> None:
    path = export(small_net(), tmp_path / "theirs.onnx")
    for given, expected in (
        ("landmarks", SHARED_CROP),
        ("box", CropSpec("box")),
        ({"kind": "box", "margin": 0.2, "aligned": True}, CropSpec("box", 0.2, aligned=True)),
    ):
        write_card(path, crop=given)
        assert load(path).card.crop == expected
    for wrong in ("tight", {"kind": "box", "margin": -1}, {"margin": 0.2}, {"kind": "box", "side": 3}):
        write_card(path, crop=wrong)
        with pytest.raises(CardError, match="crop"):
            load(path)
