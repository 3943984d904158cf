"""Weights of an architecture of torchvision or timm, which the card beside them names."""

import hashlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from fer_models.errors import CardError, EngineError, WeightsError
from fer_models.models.card import ModelCard
from fer_models.models.engines.module_engine import ModuleEngine
from fer_models.models.external.cards import GraphCard, model_card, read_graph_card
from fer_models.models.external.formats import Arranged, GraphFacts, GraphFormat, check_outputs
from fer_models.models.external.torch_files.checkpoints import read_bytes, torch_load
from fer_models.models.external.torch_files.places import find_explained, find_head
from fer_models.models.external.torch_files.state_dict import one_state_dict
from fer_models.models.weights import describe_misfits

#: Their architectures are listed on https://docs.pytorch.org/vision/stable/models.html and by `timm.list_models()`.
LIBRARIES: Final = ("torchvision", "timm")
_PROBES: Final = 2


@dataclass(frozen=True, eq=False)
class TorchModel:
    """A network of others that is ready to run.

    Attributes:
        card: with labels in the order of the logits.
        engine: runs it.
        class_weights: (C, K) float32 of its linear head; None where it has none that explains its logits.
    """

    card: ModelCard
    engine: ModuleEngine
    class_weights: NDArray[np.float32] | None


def load_named(path: Path, device: torch.device) -> TorchModel:
    """A model from weights and the card beside them, which names the architecture.

    Args:
        path: NAME.safetensors, or a checkpoint with a state dict, with NAME.json or NAME.toml beside it.
        device: where it runs.

    Raises:
        EngineError: timm, which the card names, is not installed.
        WeightsError: the file cannot be read, or does not fit the architecture.
        CardError: the card is malformed, lacks something, or names an architecture that does not exist.
    """
    given = read_graph_card(path)
    if given is None or given.architecture is None:
        raise CardError(f'{path} needs a card that names its architecture, such as "torchvision:resnet18".')
    if not given.labels:
        raise CardError(f"The card of {path.name} has no labels. List them in the order of the logits.")
    data = read_bytes(path)
    stored = read_safetensors(path, data) if path.suffix.lower() == ".safetensors" else torch_load(path, data)
    make = _maker(path, given)
    with torch.device("meta"):  # the names and shapes before any memory
        expected = _made(path, given, make).state_dict()
    tensors = one_state_dict(path, stored, expected)
    _check_fit(path, given, expected, tensors)
    network = _made(path, given, make)
    network.load_state_dict({key: value.to(expected[key].dtype) for key, value in tensors.items()})
    facts = GraphFacts("NCHW", _channels(given), outputs=given.outputs or "logits")
    card, form = model_card(
        path,
        given,
        facts,
        kind=given.architecture,
        sha256=hashlib.sha256(data).hexdigest(),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
    )
    return torch_model(path, card, form, network, device)


def torch_model(path: Path, card: ModelCard, form: GraphFormat, network: nn.Module, device: torch.device) -> TorchModel:
    """A network with its card, after a look at what it gives and where it shows places.

    Args:
        path: for errors.
        card: of the model.
        form: how the network is fed and read.
        network: gives (N, C) for inputs in that form.
        device: where it runs.

    Raises:
        WeightsError: the network cannot be run, or does not give one finite number per label.
        CardError: it gives no probabilities where the card says so.
    """
    module = Arranged(network, form).eval().requires_grad_(False)
    size = card.input.size
    coarse = np.random.default_rng(0).integers(0, 256, (_PROBES, 8, 8, 3), np.uint8)
    probe = card.input.transform([picture.repeat(14, 0).repeat(14, 1) for picture in coarse])
    try:
        with torch.inference_mode():
            outputs = module(probe)
    except Exception as error:  # whatever its code raises
        line = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        raise WeightsError(f"{path} cannot be run on faces of {size} px: {line}") from error
    if not isinstance(outputs, Tensor) or outputs.shape != (_PROBES, len(card.labels)):
        shape = "x".join(map(str, outputs.shape[1:])) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise WeightsError(f"{path} gives {shape} numbers for a face; its card lists {len(card.labels)} labels.")
    if not bool(outputs.isfinite().all()):
        raise WeightsError(f"{path} gives numbers that are not finite (NaN or infinity) for a plain picture.")
    if form.outputs != "sigmoid":  # whatever numbers these are
        check_outputs(path, form.outputs, (outputs.exp() if form.outputs == "probabilities" else outputs).numpy())
    head = explained = weights = None
    if not isinstance(network, torch.jit.ScriptModule):  # its layers cannot be watched
        found = find_head(module, probe) if form.outputs == "logits" else None
        if found is not None:
            head, weights = found[0], found[1].weight.detach().cpu().numpy().astype(np.float32)
        explained = head or find_explained(module, probe)
    return TorchModel(card, ModuleEngine(module, device, head, explained), weights)


def _maker(path: Path, card: GraphCard) -> Callable[..., nn.Module]:
    """What builds the architecture of a card.

    Raises:
        CardError: no such library or architecture.
        EngineError: the library is not installed.
    """
    library, _, name = str(card.architecture).partition(":")
    options: dict[str, Any] = {"num_classes": len(card.labels)}
    if library == "torchvision":
        models = import_module("torchvision.models")
        known = models.list_models(module=models)
        if card.input.size and name.startswith("vit_"):
            options["image_size"] = card.input.size
        build = models.get_model
        options["weights"] = None
    elif library == "timm":
        try:
            timm = import_module("timm")
        except ImportError:
            raise EngineError(
                f"{path.name} is of timm ({card.architecture}), which is not installed: "
                "pip install -r requirements-timm.txt"
            ) from None
        known = timm.list_models()
        facts = timm.get_pretrained_cfg(name) if name.partition(".")[0] in known else None
        if card.input.size and facts is not None and facts.fixed_input_size:
            options["img_size"] = card.input.size
        build = timm.create_model
        options |= {"pretrained": False, "in_chans": _channels(card)}
    else:
        raise CardError(
            f"The card of {path.name} names the architecture {card.architecture}; known libraries are "
            f'{" and ".join(LIBRARIES)}, as in "torchvision:efficientnet_b0".'
        )
    if name.partition(".")[0] not in known:
        near = get_close_matches(name, known, 5) or known[:5]
        raise CardError(
            f"The card of {path.name} names {name!r}, which {library} does not have. Similar: {', '.join(near)}."
        )
    return lambda: build(name, **options)


def _made(path: Path, card: GraphCard, make: Callable[..., nn.Module]) -> nn.Module:
    """An untrained network of the architecture; the state of random numbers stays as it was."""
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of initial weights, which are replaced
            return make().eval().requires_grad_(False)
    except Exception as error:  # whatever its code raises, such as for a size that it cannot have
        line = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        raise CardError(f"{card.architecture} cannot be built as the card of {path.name} says: {line}") from error


def _check_fit(path: Path, card: GraphCard, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Check names, shapes and numbers.

    Raises:
        WeightsError: they differ from what the architecture has, or are not finite.
    """
    count = len(card.labels)
    others = {
        len(found[key])
        for key, tensor in expected.items()
        if key in found and found[key].shape != tensor.shape and tensor.shape[:1] == (count,)
    }
    if len(others) == 1 and found.keys() == expected.keys():
        raise WeightsError(f"{path} has {others.pop()} classes, its card lists {count} labels. Correct the labels.")
    if misfits := describe_misfits(expected, found):
        raise WeightsError(
            f"{path} does not fit {card.architecture} with {count} labels: {misfits}. Correct the architecture or the "
            "labels on its card; a network with a head of its own can be exported to ONNX."
        )
    for key, tensor in found.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise WeightsError(f"{path}: {key} holds other than finite numbers. The file is damaged; get it again.")


def read_safetensors(path: Path, data: bytes) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name.

    Args:
        path: for errors.
        data: its bytes.

    Raises:
        WeightsError: they are in another format, or damaged.
    """
    try:
        return load_safetensors(data)
    except SafetensorError as error:
        raise WeightsError(f"{path} is not in the safetensors format, or it is damaged ({error}).") from error


def _channels(card: GraphCard) -> int:
    """Of the network's input: torchvision's all have three, to which a grey face is fed three times."""
    if card.input.channels is not None or str(card.architecture).startswith("torchvision:"):
        return card.input.channels or 3
    return 1 if card.input.mode == "grey" else 3
