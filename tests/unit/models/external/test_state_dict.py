"""What training frameworks wrap around a state dict."""

import functools
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fer_models.errors import WeightsError
from fer_models.models.external.torch_files.load import RAFDB_ORDER, load_external
from tests.helpers.checkpoints import State, mobilenet, mobilenet_logits, mobilenet_with, prefixed


@functools.cache
def expected_logits() -> Tensor:
    return mobilenet_logits(mobilenet_with(mobilenet()))


#: As an optimiser's state dict lies beside a network's.
ADAM: dict[str, Any] = {
    "state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.ones(4, 4)}},
    "param_groups": [{"lr": 1e-3, "params": [0]}],
}


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 60},
        lambda state: {"iter": 3, "model_state_dict": state, "optimizer_state_dict": {"lr": [0.1]}},
        lambda state: {"model": {"state_dict": state}},
        lambda state: {"epoch": 60, "best_acc": torch.tensor(0.89), "state_dict": state},
        lambda state: OrderedDict((f"module.{key}", value) for key, value in state.items()),
        lambda state: {"state_dict": {f"module.{key}": value.double() for key, value in state.items()}},
        lambda state: {key.replace("fc.", "classifier.1."): value for key, value in state.items()},
        lambda state: {key.replace("fc.", "classifier."): value for key, value in state.items()},
        lambda state: {key.replace("features.", "features.0."): value for key, value in state.items()},
        lambda state: {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")},
        lambda state: prefixed(state, "_orig_mod."),
        lambda state: prefixed(state, "module._orig_mod."),
        lambda state: prefixed(state, "_orig_mod.module."),
        lambda state: {"state_dict": prefixed(state, "model.")},
        lambda state: {"state_dict": prefixed(state, "model.net._orig_mod.")},
        lambda state: prefixed(state, "net."),
        lambda state: prefixed(state, "backbone."),
        lambda state: {f"backbone.{key}" if key.startswith("features.") else key: state[key] for key in state},
        lambda state: {**prefixed(state, "module."), "n_averaged": torch.tensor(7)},
        lambda state: {"net": state},
        lambda state: {"weights": state},
        lambda state: {"model_state": state, "optimizer": ADAM},
        lambda state: {"anything": {"else": state}, "metrics": {"confusion": torch.eye(7)}},
        lambda state: {"model": state, "best": state},
    ],
    ids=[
        "plain",
        "dict",
        "optimiser",
        "twice",
        "tensor beside it",
        "module",
        "both",
        "torchvision",
        "classifier",
        "nested",
        "no counters",
        "compiled",
        "compiled in parallel",
        "parallel compiled",
        "lightning",
        "three prefixes",
        "net prefix",
        "backbone prefix",
        "backbone beside its head",
        "averaged",
        "net",
        "weights",
        "model_state",
        "unknown keys",
        "one object twice",
    ],
)
def test_every_wrapping_gives_the_same_mobilenet(tmp_path: Path, change: Callable[[State], dict[str, Any]]) -> None:
    state = mobilenet()
    torch.save(change(state), tmp_path / "m.pth")
    card, network = load_external(tmp_path / "m.pth")
    assert (card.name, card.architecture, card.labels) == ("m", "mobilenet_v2_stride32", RAFDB_ORDER)
    assert torch.equal(mobilenet_logits(network), expected_logits())
    loaded = network.state_dict()
    assert list(loaded) == list(state)
    for key, value in state.items():
        assert torch.equal(loaded[key], value) and loaded[key].dtype == value.dtype, key


def test_several_networks_are_named_and_none_is_chosen(tmp_path: Path) -> None:
    state = mobilenet()
    moved = {key: value + 1 for key, value in state.items()}
    torch.save({"model": state, "ema": {"state_dict": moved}, "epoch": 2}, tmp_path / "m.pth")
    with pytest.raises(WeightsError, match=r"holds 2 networks.*\['model'\].*\['ema'\]\['state_dict'\]"):
        load_external(tmp_path / "m.pth")
    torch.save({"teacher": {"a.weight": torch.ones(2, 2)}, "student": state}, tmp_path / "m.pth")
    _, network = load_external(tmp_path / "m.pth")  # only one of these is a network here
    assert torch.equal(mobilenet_logits(network), expected_logits())
    torch.save(prefixed(state, "net.") | prefixed(moved, "model."), tmp_path / "m.pth")
    with pytest.raises(WeightsError, match=r"features\.0\.0\.weight more than once"):
        load_external(tmp_path / "m.pth")
