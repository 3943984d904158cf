"""External checkpoints as models: the tensors, the card they are assumed to have, and the network."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from torch import Tensor

from fer_models.errors import CardError, WeightsError
from fer_models.models.architectures import ARCHITECTURES, PooledClassifier
from fer_models.models.card import ModelCard, read_card
from fer_models.models.external.files import external_name
from fer_models.models.external.torch_files.checkpoints import read_bytes, torch_load, unpickle
from fer_models.models.external.torch_files.recognition import project_names, recognise
from fer_models.models.external.torch_files.state_dict import one_state_dict
from fer_models.models.preprocessing import imagenet_input
from fer_models.models.weights import fill_network

#: Logits of the EAC authors' networks: RAF-DB's labels 1 to 7 (Li et al., CVPR 2017).
RAFDB_ORDER: Final = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
#: What the EAC authors' code feeds its networks (src/main.py, eval_transforms).
EAC_INPUT: Final = imagenet_input(224)


@dataclass(frozen=True)
class ExternalWeights:
    """The tensors of an external file under this project's names.

    Attributes:
        tensors: `features.*` and, if the file has a head, `fc.*`; float32, but for the batch norms' int64 counters.
        architecture: the key of `ARCHITECTURES` with the strides of the system that wrote the file; None
            where the names do not tell them.
        sha256: of the file, 64 lower-case hexadecimal digits.
    """

    tensors: dict[str, Tensor]
    architecture: str | None
    sha256: str


def load_external(path: Path) -> tuple[ModelCard, PooledClassifier]:
    """A model from an external checkpoint, and its card: recognised, or read from beside it.

    Args:
        path: with one of `MODEL_SUFFIXES`. Fields of a NAME.json beside it replace the recognised card's.

    Returns:
        The card, with labels in logit order, and the network: float32, in evaluation mode, frozen, on the CPU.

    Raises:
        WeightsError: the file cannot be read, was altered, is not recognised, or does not fit its card.
        CardError: the card is malformed, or names an architecture that does not exist here.
    """
    found = read_external(path)
    name = external_name(path)
    beside = path.with_name(f"{name}.json")
    head = found.tensors.get("fc.weight")
    if head is None:
        raise WeightsError(
            f"{path} has features but no head (fc or classifier), so it names no expression. Move it out of weights/; "
            f"training can begin with it: python -m fer_models train MODEL --init {path.name}"
        )
    card = _assumed_card(name, found)
    if beside.is_file():
        card = read_card(beside, card)
    elif found.architecture is None:
        raise WeightsError(
            f"{path} alone does not tell how its network strides (torchvision's ResNet-50 and VGGFace2's have the same "
            f"tensors) nor its labels. Write {beside} beside it, such as "
            '{"architecture": "resnet50_caffe", "labels": [...]} with the labels in the order of the logits.'
        )
    if card.architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise CardError(f"{beside} must name the architecture of {path.name}: one of {known}.")
    if len(card.labels) != head.shape[0]:
        raise WeightsError(
            f"{path} has {head.shape[0]} classes, {len(card.labels)} expected ({', '.join(card.labels)}). If these are "
            f'expressions, write {beside} with {{"labels": [...]}} in the order of the logits.'
        )
    if card.sha256 not in ("", found.sha256):
        raise WeightsError(
            f"{path} is not the file its card {beside} describes: its SHA-256 is {found.sha256[:12]}..., the card says "
            f"{card.sha256[:12]}... Restore the file or correct the card."
        )
    network = fill_network(card, path, found.tensors)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return replace(card, parameters=parameters, sha256=found.sha256), network


def read_external(path: Path) -> ExternalWeights:
    """Read and recognise an external file. Nothing in it is executed.

    Args:
        path: with one of `MODEL_SUFFIXES`, as `torch.save` writes them, or .pkl with NumPy arrays: a dictionary of
            tensors by name, or one that holds a single such dictionary. Names may begin with "module." and the like.

    Raises:
        WeightsError: the file cannot be read, is too large, holds more than numbers, or fits no known network.
    """
    data = read_bytes(path)
    pickled = path.suffix == ".pkl"
    stored = one_state_dict(path, unpickle(path, data) if pickled else torch_load(path, data))
    by_child_name = "conv1.weight" in stored
    tensors = project_names(stored)
    for key, tensor in tensors.items():
        counter = key.endswith("num_batches_tracked")
        if not counter and not (tensor.is_floating_point() and bool(tensor.isfinite().all())):
            raise WeightsError(f"{path}: {key} holds other than finite numbers. The file is damaged; get it again.")
    architecture = recognise(path, tensors)
    if by_child_name and not pickled and architecture == "resnet50_caffe":
        architecture = None  # torchvision's ResNet-50 has these names too, and its strides elsewhere
    return ExternalWeights(tensors, architecture, hashlib.sha256(data).hexdigest())


def _assumed_card(name: str, found: ExternalWeights) -> ModelCard:
    return ModelCard(
        name=name,
        title=name.replace("_", " "),
        architecture=found.architecture or "",
        labels=RAFDB_ORDER,
        input=EAC_INPUT,
        training_labels="RAF-DB (assumed from the file's layout)",
        training_data=(
            "not stated in the file; RAF-DB's aligned faces if it comes from the EAC authors' code. Faces are cut out "
            "here as FER2013's are, so its accuracy can differ from what its authors measured."
        ),
        licence="not stated in the file",
        parameters=0,
        sha256="",
        intended_use="Comparing, teaching and studying facial expression recognition on pictures one may use.",
        misuse="Not for decisions about people, not for surveillance. An expression is not what a person feels.",
    )
