"""What a graph's numbers are: logits, probabilities, each behind a sigmoid, or beside expressions something else."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from explain.maps import attention
from fer_models.errors import CardError
from fer_models.models.classifier import Classifier, load_classifier
from fer_models.models.external.draft import draft_card
from fer_models.models.external.formats import Arranged, GraphFormat
from tests.helpers.graphs import LABELS, SIZE, export, small_net, write_card

CROP = np.random.default_rng(4).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
PIXELS = (CROP / 255 - (0.1, 0.2, 0.3)) / (0.5, 0.6, 0.7)


def load(path: Path) -> Classifier:
    return load_classifier(path.stem, path.parent, "cpu")


def by_hand(network: nn.Module) -> Any:
    with torch.inference_mode():
        return network(torch.from_numpy(np.float32(PIXELS)).permute(2, 0, 1)[None])[0].numpy()


def end_with(path: Path, *operators: str) -> None:
    """Put operators behind the graph's output, under whose name the last one's stands."""
    model = onnx.load(path)
    last = next(node for node in model.graph.node if node.output[0] == "y")
    last.output[0] = "y0"
    for index, operator in enumerate(operators):
        name = "y" if index == len(operators) - 1 else f"y{index + 1}"
        options: dict[str, Any] = {"to": TensorProto.FLOAT} if operator == "Cast" else {}
        model.graph.node.append(helper.make_node(operator, [f"y{index}"], [name], **options))
    onnx.save(model, path)


def test_valence_and_arousal_beside_the_expressions_are_no_classes(tmp_path: Path) -> None:
    network = small_net(9)
    path = export(network, tmp_path / "theirs.onnx")
    write_card(path, labels=["Valence", *LABELS, "arousal"])
    classifier = load(path)
    (prediction,) = classifier.predict([CROP], features=True)
    expected = by_hand(network)[1:8]
    np.testing.assert_allclose(prediction.logits, expected, rtol=1e-4, atol=1e-4)
    assert prediction.labels == LABELS and prediction.probabilities.sum() == pytest.approx(1)
    maps = attention(prediction, classifier.class_weights)
    found = [maps[label].heat.mean() for label in LABELS] + network.fc.bias.detach().numpy()[1:8]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_the_multi_task_file_of_hsemotion_needs_no_card(tmp_path: Path) -> None:
    path = tmp_path / "mbf_va_mtl.onnx"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 4, 3, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (torch.zeros(1, 3, 112, 112),), path, dynamo=False)
    classifier = load(path)
    (prediction,) = classifier.predict([CROP])
    assert classifier.card.labels[:2] == ("anger", "contempt") and len(prediction.logits) == 8


@pytest.mark.parametrize("called", ["logits", "probabilities"])
@pytest.mark.parametrize("behind", [["Sigmoid"], ["Sigmoid", "Identity", "Cast"]])
def test_numbers_behind_a_sigmoid_are_taken_back_to_those_before_it(
    tmp_path: Path, behind: list[str], called: str
) -> None:
    network = small_net()
    path = export(network, tmp_path / "theirs.onnx")
    end_with(path, *behind)
    write_card(path, outputs=None)
    classifier = load(path)
    (prediction,) = classifier.predict([CROP], features=True)
    np.testing.assert_allclose(prediction.logits, by_hand(network), rtol=1e-3, atol=1e-3)
    assert classifier.class_weights is not None
    write_card(path, outputs=called)
    with pytest.raises(CardError, match="sigmoid"):
        load(path)


def test_a_softmax_that_is_not_the_last_step_is_seen(tmp_path: Path) -> None:
    network = small_net()
    path = export(network, tmp_path / "theirs.onnx")
    end_with(path, "Softmax", "Cast")
    write_card(path, outputs=None)
    classifier = load(path)
    expected = by_hand(network)
    np.testing.assert_allclose(
        classifier.predict([CROP])[0].probabilities, np.exp(expected) / np.exp(expected).sum(), atol=1e-5
    )
    assert classifier.class_weights is not None


def test_probabilities_that_are_called_logits_are_refused_wherever_they_come_from(tmp_path: Path) -> None:
    path = export(small_net(), tmp_path / "theirs.onnx")
    end_with(path, "Softmax", "Abs")  # the graph's last step does not tell
    write_card(path)
    with pytest.raises(CardError, match='"outputs": "probabilities"'):
        load(path)


def test_a_module_behind_a_sigmoid_with_a_number_of_no_class() -> None:
    scores = torch.tensor([[0.5, -30.0, 3.0, 40.0]])
    module = Arranged(nn.Sequential(nn.Flatten(), nn.Sigmoid()), GraphFormat(outputs="sigmoid", others=(2,)))
    found = module(scores.reshape(1, 4, 1, 1))
    np.testing.assert_allclose(found[0, :2], [0.5, -30], rtol=1e-4)
    assert found.shape == (1, 3) and found.isfinite().all() and found[0, 2] > 15


def test_labels_beyond_the_vocabulary_are_joined_and_named_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = export(small_net(8), tmp_path / "theirs.onnx")
    write_card(path, labels=["Suprise", *(label for label in LABELS if label != "surprise"), " Ahegao "])
    assert load(path).card.labels[::7] == ("surprise", "ahegao")
    assert "'Suprise', which is taken for surprise" in caplog.text and "ahegao" in caplog.text
    caplog.clear()
    write_card(path, labels=[*LABELS, "Contempt"])
    assert load(path).card.labels[-1] == "contempt" and not caplog.text


def test_pixels_are_fed_as_whole_numbers_where_a_graph_takes_them(tmp_path: Path) -> None:
    network = small_net()
    path = export(network, tmp_path / "theirs.onnx")
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    for node in model.graph.node:
        node.input[:] = ["as_float" if name == "x" else name for name in node.input]
    model.graph.node.insert(0, helper.make_node("Cast", ["x"], ["as_float"], to=TensorProto.FLOAT))
    onnx.save(model, path)
    write_card(path, input={"mean": None, "std": None, "scale": "0-255"})
    with torch.inference_mode():
        expected = network(torch.from_numpy(np.float32(CROP)).permute(2, 0, 1)[None])[0].numpy()
    np.testing.assert_allclose(load(path).predict([CROP])[0].logits, expected, rtol=1e-4)
    assert draft_card(path).card["input"].keys().isdisjoint(("mean", "std"))
    write_card(path)
    with pytest.raises(CardError, match='"scale": "0-255"'):
        load(path)


def test_average_pooling_over_all_places_and_half_precision_have_maps(tmp_path: Path) -> None:
    network = small_net(mean=True)
    path = export(network, tmp_path / "theirs.onnx")
    model = onnx.load(path)
    pool = next(node for node in model.graph.node if node.op_type == "ReduceMean")
    name, result = pool.input[0], pool.output[0]
    at = list(model.graph.node).index(pool)
    model.graph.node.remove(pool)
    model.graph.node.insert(at, helper.make_node("Flatten", ["pooled"], [result]))
    model.graph.node.insert(at, helper.make_node("AveragePool", [name], ["pooled"], kernel_shape=[5, 5]))
    onnx.save(model, path)
    write_card(path)
    classifier = load(path)
    assert classifier.class_weights is not None
    np.testing.assert_allclose(classifier.predict([CROP])[0].logits, by_hand(network), rtol=1e-4, atol=1e-4)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            half = onnx.numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(half, tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    del model.graph.value_info[:]
    onnx.save(model, path)
    (prediction,) = load(path).predict([CROP], features=True)
    assert prediction.features is not None and prediction.features.dtype == np.float32
    np.testing.assert_allclose(prediction.logits, by_hand(network), rtol=0.02, atol=0.05)


def test_of_several_outputs_the_one_with_as_many_numbers_as_labels_is_read(tmp_path: Path) -> None:
    network = small_net()
    path = export(network, tmp_path / "theirs.onnx")
    model = onnx.load(path)
    model.graph.node.append(helper.make_node("Gather", ["y", "places"], ["va"], axis=1))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 2]), "places"))
    model.graph.output.insert(0, helper.make_tensor_value_info("va", TensorProto.FLOAT, ["n", 2]))
    onnx.save(model, path)
    with pytest.raises(CardError, match='va with 2 numbers, y with 7 numbers.*"output": "y"'):
        load(path)
    draft = draft_card(path)
    assert draft.card["output"] == "y" and len(draft.card["labels"]) == 7 and "y is read" in draft.told[0]
    write_card(path)
    np.testing.assert_allclose(load(path).predict([CROP])[0].logits, by_hand(network), rtol=1e-4, atol=1e-4)


def test_the_first_card_of_ferplus_feeds_its_pixels_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "emotion-ferplus-8.onnx"
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 64, 64])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8])
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    weights = onnx.numpy_helper.from_array(np.arange(8, dtype=np.float32)[None], "w")
    body = helper.make_graph(nodes, "g", [x], [y], [weights])
    onnx.save(helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    grey = np.full((64, 64), 100, np.uint8)
    np.testing.assert_allclose(load(path).predict([grey])[0].logits, 100 * np.arange(8), rtol=1e-5)
    path.with_suffix(".json").write_text(json.dumps(draft_card(path).card))
    np.testing.assert_allclose(load(path).predict([grey])[0].logits, 100 * np.arange(8), rtol=1e-5)
