"""Hostile, odd and broken ONNX files: each is refused with a typed error."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from fer_models.errors import EngineError, FerError, WeightsError
from tests.helpers.graphs import SIZE, export, graph, load, small_net, weights, write_card


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
