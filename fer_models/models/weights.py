"""Weights in and out: safetensors files whose SHA-256 is on the model's card."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from fer_models.errors import WeightsError
from fer_models.media.files import replacing
from fer_models.models.architectures import PooledClassifier, build_network
from fer_models.models.card import ModelCard

_NAMED_MISFITS = 3


def save_weights(network: PooledClassifier, path: Path) -> str:
    """Write a network's weights as safetensors: floating tensors as float16, counters as they are.

    The file appears whole or not at all: it is written beside `path` first and then moved over it.

    Returns:
        The file's SHA-256, for the model's card.

    Raises:
        WeightsError: a weight is not a finite float16 number, or the file cannot be written.
    """
    tensors = {}
    for key, tensor in network.state_dict().items():
        stored = tensor.detach().cpu()
        if stored.is_floating_point():
            stored = stored.to(torch.float16)
            if not bool(stored.isfinite().all()):
                raise WeightsError(f"{key} holds numbers outside float16's range: the training diverged. Not saved.")
        tensors[key] = stored.contiguous()
    data = save(tensors, {"format": "pt"})
    with replacing(path, WeightsError) as partial:
        partial.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def load_network(card: ModelCard, path: Path) -> PooledClassifier:
    """The network a card describes, with its weights, float32, in evaluation mode, frozen, on the CPU.

    Raises:
        WeightsError: the file is missing, truncated, altered, or does not fit the card.
        UnknownNameError: the card names an architecture that does not exist here.
    """
    return fill_network(card, path, _read(card, path))


def fill_network(card: ModelCard, path: Path, tensors: Mapping[str, Tensor]) -> PooledClassifier:
    """The network a card describes, with these weights, float32, in evaluation mode, frozen, on the CPU.

    Args:
        card: names the architecture and the labels.
        path: the file the tensors came from, for errors.
        tensors: by the network's own names, floating ones of any precision.

    Raises:
        WeightsError: the tensors do not fit the card.
        UnknownNameError: the card names an architecture that does not exist here.
    """
    with torch.device("meta"):  # no memory and no random numbers for weights that are replaced at once
        network = build_network(card.architecture, len(card.labels))
    if misfits := describe_misfits(network.state_dict(), tensors):
        raise WeightsError(
            f"The weight file {path} does not fit its card ({card.architecture}, {len(card.labels)} labels): "
            f"{misfits}. Restore both, or correct the card's architecture and labels."
        )
    floats = {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in tensors.items()}
    network.load_state_dict(floats, assign=True)
    return network.eval().requires_grad_(False)


def _read(card: ModelCard, path: Path) -> dict[str, Tensor]:
    """The tensors of a weight file whose SHA-256 is the card's."""
    restore = f"Restore it with: git checkout -- {path}"
    try:
        data = path.read_bytes()  # hashed and parsed from the same bytes, so nothing can change in between
    except FileNotFoundError:
        raise WeightsError(
            f"There is no weight file {path}. {restore} (or make it: python -m fer_models train {card.name} --help)"
        ) from None
    except OSError as error:
        raise WeightsError(f"Cannot read the weight file {path}: {error.strerror}.") from error
    if len(data) < (whole := _declared_bytes(data)):
        raise WeightsError(f"The weight file {path} is truncated: {len(data):,} of {whole:,} bytes. {restore}")
    if (found := hashlib.sha256(data).hexdigest()) != card.sha256:
        raise WeightsError(
            f"The weight file {path} was altered: its SHA-256 is {found[:12]}..., its card says "
            f"{card.sha256[:12] or 'nothing'}... {restore}"
        )
    try:
        return load(data)
    except SafetensorError as error:
        raise WeightsError(f"The weight file {path} is not in the safetensors format ({error}). {restore}") from error


def _declared_bytes(data: bytes) -> int:
    """The size a safetensors file should have by its own header; 0 when the header cannot be read.

    The format: the header's length as eight little-endian bytes, the header as JSON, the tensors' bytes.
    """
    if len(data) < 8:
        return 8
    header_end = 8 + int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8:header_end])
        return header_end + max(int(entry["data_offsets"][1]) for key, entry in header.items() if key != "__metadata__")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError):
        # A header cut short still starts as one; anything else was never a safetensors file.
        return header_end if data[8:9] == b"{" else 0


def describe_misfits(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """The first names and shapes in which tensors differ from what a network expects, for an error; "" if they fit."""
    misfits = [f"{key} is missing" for key in expected if key not in found]
    misfits += [f"{key} is not part of the network" for key in found if key not in expected]
    misfits += [
        f"{key} has shape {tuple(found[key].shape)}, expected {tuple(tensor.shape)}"
        for key, tensor in expected.items()
        if key in found and found[key].shape != tensor.shape
    ]
    more = len(misfits) - _NAMED_MISFITS
    return "; ".join(misfits[:_NAMED_MISFITS]) + (f"; and {more} more" if more > 0 else "")
