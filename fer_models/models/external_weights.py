"""External weights: files of other systems, read safely and recognised by the names and shapes of their tensors.

Two kinds are known:

* Checkpoints of the EAC authors' code (github.com/zyh-uaiaaaa/Erasing-Attention-Consistency, src/): `features.*` are
  the first children of VGGFace2's ResNet-50, `fc.*` is the head (model.py). Its faces are RGB, resized to 224 px,
  normalised with ImageNet's mean and deviation (main.py); its labels are RAF-DB's less one (dataset.py). With
  MobileNetV2, `features.*` are torchvision's and the head is `fc.*` or `classifier.*`. Dropped into weights/, such a
  file is a model.
* VGGFace2's `resnet50_ft_weight.pkl` (Cao et al., FG 2018; github.com/cydonia999/VGGFace2-pytorch): a dictionary of
  NumPy arrays that Python 2 pickled, with a head for 8,631 people. It is a start for training, not a model.

A file states neither strides nor labels. Where the assumptions above are wrong, put a card NAME.json beside NAME.pth:
its fields override them, even a card with nothing but {"labels": [...]}.
"""

import hashlib
import io
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from fer_models.errors import CardError, WeightsError
from fer_models.models.architectures import ARCHITECTURES, PooledClassifier, build_network
from fer_models.models.card import ModelCard, read_card
from fer_models.models.preprocessing import imagenet_input
from fer_models.models.weights import describe_misfits, fill_network

#: Suffixes of files that can be models; the first one found wins.
MODEL_SUFFIXES: Final = (".pth", ".pt")
#: Suffixes of files that training can begin with.
START_SUFFIXES: Final = (*MODEL_SUFFIXES, ".pkl")
#: Logits of the EAC authors' networks: RAF-DB's labels 1 to 7 (Li et al., CVPR 2017).
RAFDB_ORDER: Final = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
#: What the EAC authors' code feeds its networks (src/main.py, eval_transforms).
EAC_INPUT: Final = imagenet_input(224)

#: Architectures that `features.*` may be, by the strides of the system that wrote them.
_CANDIDATES: Final = ("resnet50_caffe", "mobilenet_v2_stride32")
#: Where a dictionary that is no state dict itself may hold one.
_WRAPPERS: Final = ("state_dict", "model_state_dict", "model")
#: A ResNet's named children by their place among `features`.
_RESNET_CHILDREN: Final = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
_NAMED_KEYS: Final = 3


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


def external_file(weights: Path, name: str) -> Path | None:
    """NAME.pth or NAME.pt in a folder; None if there is neither, or a NAME.safetensors, which is the model then."""
    if (weights / f"{name}.safetensors").exists():
        return None
    return next((path for suffix in MODEL_SUFFIXES if (path := weights / f"{name}{suffix}").is_file()), None)


def external_files(weights: Path) -> list[Path]:
    """All .pth and .pt files in a folder, by name; also those that `external_file` passes over."""
    return sorted(path for suffix in MODEL_SUFFIXES for path in weights.glob(f"*{suffix}") if path.is_file())


def load_external(path: Path) -> tuple[ModelCard, PooledClassifier]:
    """A model from an external checkpoint, and its card: recognised, or read from beside it.

    Args:
        path: NAME.pth or NAME.pt. Fields of a NAME.json beside it replace the recognised card's.

    Returns:
        The card, with labels in logit order, and the network: float32, in evaluation mode, frozen, on the CPU.

    Raises:
        WeightsError: the file cannot be read, was altered, is not recognised, or does not fit its card.
        CardError: the card is malformed, or names an architecture that does not exist here.
    """
    found = read_external(path)
    beside = path.with_suffix(".json")
    head = found.tensors.get("fc.weight")
    if head is None:
        raise WeightsError(
            f"{path} has features but no head (fc or classifier), so it names no expression. Move it out of weights/; "
            f"training can begin with it: python -m fer_models train MODEL --init {path.name}"
        )
    card = _assumed_card(path.stem, found)
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
        path: .pth or .pt as `torch.save` writes them, or .pkl with NumPy arrays: a dictionary of tensors by name, or
            one that holds it as "state_dict", "model_state_dict" or "model"; names may begin with "module.".

    Raises:
        WeightsError: the file cannot be read, holds more than numbers, or fits no known network.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"Cannot read the weight file {path}: {error.strerror}.") from error
    pickled = path.suffix == ".pkl"
    stored = _state_dict(path, _unpickle(path, data) if pickled else _torch_load(path, data))
    by_child_name = "conv1.weight" in stored
    tensors = _renamed(stored)
    for key, tensor in tensors.items():
        counter = key.endswith("num_batches_tracked")
        if not counter and not (tensor.is_floating_point() and bool(tensor.isfinite().all())):
            raise WeightsError(f"{path}: {key} holds other than finite numbers. The file is damaged; get it again.")
    architecture = _recognise(path, tensors)
    if by_child_name and not pickled and architecture == "resnet50_caffe":
        architecture = None  # torchvision's ResNet-50 has these names too, and its strides elsewhere
    return ExternalWeights(tensors, architecture, hashlib.sha256(data).hexdigest())


def read_arrays(path: Path) -> Any:
    """A pickle of NumPy arrays in plain containers. Nothing in it is executed.

    Raises:
        WeightsError: it cannot be read, or asks for anything but arrays.
    """
    try:
        return _unpickle(path, path.read_bytes())
    except OSError as error:
        raise WeightsError(f"Cannot read the weight file {path}: {error.strerror}.") from error


def _torch_load(path: Path, data: bytes) -> Any:
    """What `torch.save` wrote, if that is tensors, numbers, texts and containers of them."""
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes raise errors of many types
        if isinstance(error, pickle.UnpicklingError) and "GLOBAL" in str(error):
            raise WeightsError(
                f"{path} holds Python objects besides tensors, such as a whole pickled model; they were not loaded, "
                "because loading them would run code. Save its weights alone: torch.save(model.state_dict(), FILE)."
            ) from error
        raise WeightsError(f"{path} is not a PyTorch checkpoint, or it is damaged. Get it again.") from error


def _unpickle(path: Path, data: bytes) -> Any:
    try:
        return _ArrayUnpickler(io.BytesIO(data), encoding="latin1").load()  # as Python 2 stored arrays
    except WeightsError as error:
        raise WeightsError(f"{path} {error}") from None
    except Exception as error:  # damaged bytes raise errors of many types
        raise WeightsError(f"{path} is not a pickle of NumPy arrays, or it is damaged. Get it again.") from error


class _ArrayUnpickler(pickle.Unpickler):
    """Makes NumPy arrays and Python's plain containers; looks nothing else up, so it can run nothing else."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        if (module, name) in {("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")}:
            return np._core.multiarray._reconstruct  # type: ignore[attr-defined, no-any-return]
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        raise WeightsError(f"asks for {module}.{name}; only NumPy arrays are admitted, and nothing was executed.")


def _state_dict(path: Path, stored: Any) -> dict[str, Tensor]:
    """The tensors by name, out of wrapping dictionaries, without "module." in front."""
    for _ in range(len(_WRAPPERS)):
        if not isinstance(stored, Mapping):
            break
        inner = next((stored[key] for key in _WRAPPERS if isinstance(stored.get(key), Mapping)), None)
        if inner is None:
            break
        stored = inner  # whatever lies beside it, such as the best accuracy as a tensor
    if not isinstance(stored, Mapping) or not stored:
        raise WeightsError(f"{path} holds no state dict, plain or under one of: {', '.join(_WRAPPERS)}.")
    tensors = {}
    for key, value in stored.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            value = torch.from_numpy(value.astype(np.float32))
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise WeightsError(f"{path}: {key!r} is {type(value).__name__}, expected tensors by name.")
        if key.endswith("num_batches_tracked"):
            value = value.long()
        elif value.is_floating_point():
            value = value.float()
        tensors[key.removeprefix("module.")] = value.detach().contiguous()
    return tensors


def _renamed(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Other systems' tensor names to this project's: features.*, fc.*."""
    head = next((name for name in ("fc", "classifier.1", "classifier") if f"{name}.weight" in stored), "fc")
    # nn.Sequential(*list(mobilenet.children())[:-1]) puts torchvision's features one level down
    nested = "features.0.0.0.weight" in stored
    tensors = {}
    for key, tensor in stored.items():
        child, _, rest = key.partition(".")
        if key.startswith(f"{head}."):
            key = f"fc.{key.removeprefix(head + '.')}"
        elif nested and key.startswith("features.0."):
            key = f"features.{key.removeprefix('features.0.')}"
        elif child in _RESNET_CHILDREN:
            key = f"features.{_RESNET_CHILDREN[child]}.{rest}"
        tensors[key] = tensor
    for key in [key for key in tensors if key.endswith("running_mean")]:  # PyTorch before 0.4.1 counted no batches
        tensors.setdefault(key.replace("running_mean", "num_batches_tracked"), torch.tensor(0))
    return tensors


def _recognise(path: Path, tensors: Mapping[str, Tensor]) -> str | None:
    """The candidate whose features these are; None for features of another architecture here, which a card may name.

    Raises:
        WeightsError: the features are of no network here.
    """
    features = {key: tensor for key, tensor in tensors.items() if not key.startswith("fc.")}
    nearest, reason = 0, ""
    for architecture in (*_CANDIDATES, *(name for name in ARCHITECTURES if name not in _CANDIDATES)):
        with torch.device("meta"):
            expected = build_network(architecture, 1).features.state_dict(prefix="features.")
        misfits = describe_misfits(expected, features)
        if not misfits:
            return architecture if architecture in _CANDIDATES else None
        shared = sum(key in features and features[key].shape == tensor.shape for key, tensor in expected.items())
        if shared > max(nearest, len(expected) // 2):
            nearest, reason = shared, f"It resembles {architecture}, but {misfits}."
    listed = ", ".join([*tensors][:_NAMED_KEYS])
    raise WeightsError(
        f"{path} is of no network known here. {reason or f'It has {len(tensors)} tensors: {listed}, ...'} "
        "Known are EAC checkpoints (features.*, fc.*) with ResNet-50 or MobileNetV2 and VGGFace2's ResNet-50."
    )


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
