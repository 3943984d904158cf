"""A first card for another system's file: what the file tells, and guesses for the rest, which its user must check."""

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from fer_models.errors import WeightsError
from fer_models.models.external.cards import GraphCard, card_template
from fer_models.models.external.files import external_name, is_graph
from fer_models.models.external.formats import GraphFacts
from fer_models.models.external.torch_files.checkpoints import read_bytes, torch_load
from fer_models.models.external.torch_files.load import RAFDB_ORDER
from fer_models.models.external.torch_files.named import read_safetensors
from fer_models.models.external.torch_files.recognition import project_names, recognise
from fer_models.models.external.torch_files.state_dict import one_state_dict

#: Architectures that weights without a card are compared with, the most usual first.
_USUAL: Final = {
    "torchvision": (
        *("resnet18", "resnet34", "resnet50", "resnet101", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small"),
        *("efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_v2_s", "densenet121", "vgg16"),
        *("vgg16_bn", "vgg19_bn", "vgg13_bn", "convnext_tiny", "swin_t", "vit_b_16", "shufflenet_v2_x1_0"),
    ),
    "timm": (
        *("tf_efficientnet_b0", "tf_efficientnet_b2", "efficientnet_b0", "mobilenetv3_large_100", "convnext_tiny"),
        *("swin_tiny_patch4_window7_224", "vit_base_patch16_224", "vit_small_patch16_224", "vit_tiny_patch16_224"),
    ),
}


@dataclass(frozen=True)
class Draft:
    """A first card.

    Attributes:
        card: as it would be written beside the file.
        told: what the file tells, in a sentence each.
        guessed: what on it is a guess, in words.
        fed: whether the card says how a face is fed; not of weights that this project recognises.
    """

    card: Mapping[str, Any]
    told: tuple[str, ...]
    guessed: tuple[str, ...]
    fed: bool = True


def draft_card(path: Path) -> Draft:
    """Read a file and write a first card for it. Nothing in it is executed.

    Args:
        path: of the graph or the weights.

    Raises:
        EngineError: what reads the file is not installed.
        WeightsError: it cannot be read, is not admitted, or is no network that can be recognised.
    """
    if not is_graph(path):
        return _of_weights(path)
    given = GraphCard()
    if path.suffix.lower() == ".tflite":
        from fer_models.models.external.graphs.tflite_model import read_facts

        facts = read_facts(path)
    else:
        from fer_models.models.external.graphs.onnx_model import read_card_and_facts

        given, facts = read_card_and_facts(path)
    card, told = card_template(given, facts), _told(facts)
    if given.output is not None:
        card["output"] = given.output
        told = (f"It has several outputs; {given.output} is read.", *told)
    known = given.input.mean is not None or given.input.scale == "0-255"
    if given.title:  # a well-known file
        card |= {"title": given.title, "training_labels": given.training_labels, "licence": given.licence}
        card |= {"training_data": given.training_data, "weaknesses": given.weaknesses}
    guessed = {
        "labels": not (given.labels or facts.labels),
        "colours": given.input.mode is None and facts.channels != 1,
        "size": not (given.input.size or facts.size),
        "mean and deviation": not known,
        "outputs": not (given.outputs or facts.outputs),
        "crop": True,
    }
    return Draft(card, told, tuple(term for term, guess in guessed.items() if guess))


def _of_weights(path: Path) -> Draft:
    """Of a state dict: recognised here, or of a usual architecture."""
    data = read_bytes(path)
    stored = read_safetensors(path, data) if path.suffix.lower() == ".safetensors" else torch_load(path, data)
    with contextlib.suppress(WeightsError):
        tensors = project_names(one_state_dict(path, stored))
        architecture = recognise(path, tensors)
        count = len(tensors.get("fc.weight", ()))
        if architecture is not None and count:
            labels = list(RAFDB_ORDER) if count == len(RAFDB_ORDER) else _labels(count)
            told = (f"Weights of {architecture}, as the EAC authors' code saves them, with {count} classes.",)
            return Draft({"labels": labels}, told, ("labels",), fed=False)
    found = _usual(path, stored)
    if found is None:
        raise WeightsError(
            f"{external_name(path)} is of no architecture that is recognised here. Write its card by hand with an "
            "architecture of torchvision or timm, or export the network to ONNX."
        )
    architecture, count = found
    facts = GraphFacts("NCHW", 3, width=count, outputs="logits")
    card = card_template(GraphCard(), facts) | {"architecture": architecture}
    card["input"] = {key: value for key, value in card["input"].items() if key not in ("channels", "layout", "scale")}
    told = (f"Weights of {architecture} with {count} classes.",)
    return Draft(card, told, ("labels", "colours", "size", "mean and deviation", "crop"))


def _usual(path: Path, stored: Any) -> tuple[str, int] | None:
    """The first usual architecture that weights fit but for the number of classes, and that number."""
    for library, names in _USUAL.items():
        try:
            module = import_module("torchvision.models" if library == "torchvision" else library)
        except ImportError:
            continue
        for name in names:
            with torch.device("meta"), contextlib.suppress(Exception):  # names that a version does not have
                build = module.get_model if library == "torchvision" else module.create_model
                expected = build(name, num_classes=7).state_dict()
                if count := _classes(expected, one_state_dict(path, stored, expected)):
                    return f"{library}:{name}", count
    return None


def _classes(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> int | None:
    """How many classes weights have that fit a network with 7 of them otherwise; None if they do not fit."""
    if expected.keys() != found.keys():
        return None
    counts = set()
    for key, tensor in expected.items():
        if found[key].shape != tensor.shape:
            if found[key].shape[1:] != tensor.shape[1:] or tensor.shape[:1] != (7,):
                return None
            counts.add(len(found[key]))
    return counts.pop() if len(counts) == 1 else None if counts else 7


def _labels(count: int) -> list[str]:
    labels: list[str] = card_template(GraphCard(), GraphFacts(width=count))["labels"]
    return labels


def _told(facts: GraphFacts) -> tuple[str, ...]:
    names = {key: value for key, value in asdict(facts).items() if value}
    told = []
    if "size" in names or "channels" in names:
        size = f"{facts.size} px" if facts.size else "any size"
        channels = {1: "one channel (grey)", 3: "three channels"}.get(
            facts.channels or 0, "channels that it leaves open"
        )
        told.append(f"It takes pictures of {size} with {channels}.")
    if facts.width:
        told.append(f"It gives {facts.width} numbers for a face.")
    if facts.outputs == "probabilities":
        told.append("They are probabilities.")
    if facts.outputs == "sigmoid":
        told.append("Each is behind a sigmoid of its own.")
    if facts.labels:
        told.append(f"It names its classes: {', '.join(facts.labels)}.")
    return tuple(told)
