"""The one state dict that a checkpoint holds, out of the wrappings and prefixes of training frameworks."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from fer_models.errors import WeightsError
from fer_models.models.external.torch_files.recognition import project_names, recognise

#: What `torch.compile`, `DataParallel`, Lightning modules and the like put before a network's names, in any order.
_PREFIXES: Final = ("_orig_mod.", "module.", "model.", "net.", "backbone.")
#: How many averages `torch.optim.swa_utils.AveragedModel` took: not of the network.
_AVERAGES: Final = "n_averaged"
#: Levels of dictionaries that may hold the state dict.
_DEPTH: Final = 4
#: More than any network here has: VGG-16 with its dense layers has 138 million.
_MAX_NUMBERS: Final = 1 << 29


def one_state_dict(path: Path, stored: Any, expected: Collection[str] = ()) -> dict[str, Tensor]:
    """The tensors of the one network that a file holds, by name without prefixes.

    Of several dictionaries of tensors, it is the one that fits an architecture here. If several do, such as the last
    weights and their moving average, nothing in the file tells which its authors measured.

    Args:
        path: the file, for errors.
        stored: its containers, as `checkpoints` reads them.
        expected: the names of a network that is known otherwise; none: it is one of the architectures here.

    Raises:
        WeightsError: there is none, there are several, or it holds other than tensors by name.
    """
    found = _tensor_dicts(stored)
    if not found:
        raise WeightsError(f"{path} holds no state dict: no dictionary of tensors by name, at whatever key.")
    if len(found) > 1:
        fitting = {place: tensors for place, tensors in found.items() if _fits(path, tensors, expected)}
        if len(fitting) > 1:
            raise WeightsError(
                f"{path} holds {len(fitting)} networks, at {', '.join(fitting)}, and does not tell which one is the "
                f"model. Save the one you mean alone: torch.save(torch.load({path.name!r}){next(iter(fitting))}, FILE)."
            )
        found = fitting or found
    return _by_name(path, max(found.values(), key=len), expected)


def _tensor_dicts(stored: Any) -> dict[str, Mapping[Any, Any]]:
    """The dictionaries that hold tensors, by their place, such as "['model']['state_dict']".

    A dictionary that also holds dictionaries counts only if there is no other, such as one with the best accuracy as a
    tensor beside the state dict.
    """
    plain: dict[str, Mapping[Any, Any]] = {}
    mixed: dict[str, Mapping[Any, Any]] = {}
    seen: set[int] = set()
    level = {"": stored}
    for _ in range(_DEPTH):
        below: dict[str, Any] = {}
        for place, mapping in level.items():
            if not isinstance(mapping, Mapping) or id(mapping) in seen:
                continue
            seen.add(id(mapping))
            inner = {f"{place}[{key!r}]": value for key, value in mapping.items() if isinstance(value, Mapping)}
            if any(isinstance(value, Tensor | np.ndarray) for value in mapping.values()):
                (mixed if inner else plain)[place] = mapping
            below |= inner
        level = below
    return plain or mixed


def _fits(path: Path, mapping: Mapping[Any, Any], expected: Collection[str]) -> bool:
    """Whether these are the tensors of the expected network, or of one here."""
    try:
        if expected:
            return set(_by_name(path, mapping, expected)) == set(expected)
        recognise(path, project_names(_by_name(path, mapping)))
    except WeightsError:
        return False
    return True


def _by_name(path: Path, mapping: Mapping[Any, Any], expected: Collection[str] = ()) -> dict[str, Tensor]:
    """The tensors by name without prefixes, floating ones as float32. A name that is expected stays as it is.

    Raises:
        WeightsError: something else is among them, two have the same name, or they are too large.
    """
    tensors: dict[str, Tensor] = {}
    numbers = 0
    for key, value in mapping.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            value = torch.from_numpy(value.astype(np.float32))
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise WeightsError(f"{path}: {key!r} is {type(value).__name__}, expected tensors by name.")
        if value.layout is not torch.strided or value.device.type != "cpu" or value.is_quantized:
            raise WeightsError(
                f"{path}: {key} is sparse, quantised or without values. Save it dense: "
                "torch.save(model.state_dict(), FILE)."
            )
        numbers += value.numel()
        if numbers > _MAX_NUMBERS:  # before any copy: a tensor of zero strides is small in its file
            raise WeightsError(f"{path} holds more than {_MAX_NUMBERS:,} numbers; no network here has so many.")
        name = key if key in expected else _without_prefixes(key)
        if name == _AVERAGES:
            continue
        if name in tensors:
            raise WeightsError(
                f"{path} holds {name} more than once, behind different prefixes ({key} is one of them). Save one "
                "network's state dict alone: torch.save(model.state_dict(), FILE)."
            )
        if name.endswith("num_batches_tracked"):
            value = value.long()
        elif value.is_floating_point():
            value = value.float()
        tensors[name] = value.detach().contiguous()
    return tensors


def _without_prefixes(key: str) -> str:
    """A tensor's name without the prefixes of `_PREFIXES`, however many."""
    while prefix := next((prefix for prefix in _PREFIXES if key.startswith(prefix)), ""):
        key = key.removeprefix(prefix)
    return key
