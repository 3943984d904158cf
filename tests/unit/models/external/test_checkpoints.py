"""Pickles, which run nothing."""

import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fer_models.errors import WeightsError
from fer_models.models.external.torch_files.load import read_external
from tests.helpers.checkpoints import python2_pickle


class Attack:
    """Would make a file when unpickled."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call, self.arguments


def test_a_pickle_runs_nothing(tmp_path: Path) -> None:
    path, mark = tmp_path / "evil.pkl", tmp_path / "mark"
    attacks = [
        ({"conv1.weight": Attack(os.mkdir, str(mark))}, r"asks for (posix|os|nt)\.mkdir; only NumPy arrays"),
        (Attack(eval, f"__import__('os').mkdir({str(mark)!r})"), r"asks for builtins\.eval"),
        (Attack(np.load, str(path)), r"asks for numpy\.load"),
        (OrderedDict(a=1), r"asks for collections\.OrderedDict"),
        (np.array([Attack(os.mkdir, str(mark))], dtype=object), r"asks for (posix|os|nt)\.mkdir"),
    ]
    for content, message in attacks:
        path.write_bytes(pickle.dumps(content, protocol=4))
        with pytest.raises(WeightsError, match=message):
            read_external(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a pickle of NumPy arrays"),
        (b"<html>", "not a pickle of NumPy arrays"),
        (pickle.dumps([1]), "holds no state dict"),
        (pickle.dumps({1: np.ones(2)}, protocol=4), "1 is Tensor, expected tensors by name"),
        (pickle.dumps({"a": np.array(["x"])}, protocol=4), "'a' is ndarray, expected tensors"),
        (pickle.dumps({"a": np.array([None])}, protocol=4), "'a' is ndarray, expected tensors"),
        (python2_pickle({"a": np.ones(2)}), "no network known here. It has 1 tensors: a"),
        (python2_pickle({"a": np.ones(99)})[:-30], "not a pickle of NumPy arrays"),
    ],
    ids=["empty", "page", "list", "numbered", "texts", "objects", "another network", "cut off"],
)
def test_a_wrong_pickle_is_refused_with_the_reason(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "start.pkl"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=message):
        read_external(path)
    with pytest.raises(WeightsError, match="Cannot read the weight file"):
        read_external(tmp_path / "gone.pkl")
