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

Training frameworks put a checkpoint's state dict under a key of their own and prefixes before its names. Both are
undone, whatever the key and however the prefixes nest.
"""

import functools
import hashlib
import io
import pickle
import re
import warnings
import zipfile
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

#: Suffixes of files that can be models, in lower case; of files with the same name, the first suffix wins.
MODEL_SUFFIXES: Final = (".pth", ".pt", ".ckpt", ".pth.tar")
#: Suffixes of files that training can begin with.
START_SUFFIXES: Final = (*MODEL_SUFFIXES, ".pkl")
#: Logits of the EAC authors' networks: RAF-DB's labels 1 to 7 (Li et al., CVPR 2017).
RAFDB_ORDER: Final = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
#: What the EAC authors' code feeds its networks (src/main.py, eval_transforms).
EAC_INPUT: Final = imagenet_input(224)

#: Architectures that `features.*` may be, by the strides of the system that wrote them.
_CANDIDATES: Final = ("resnet50_caffe", "mobilenet_v2_stride32")
#: What `torch.compile`, `DataParallel`, Lightning modules and the like put before a network's names, in any order.
_PREFIXES: Final = ("_orig_mod.", "module.", "model.", "net.", "backbone.")
#: How many averages `torch.optim.swa_utils.AveragedModel` took: not of the network.
_AVERAGES: Final = "n_averaged"
#: Levels of dictionaries that may hold the state dict.
_DEPTH: Final = 4
#: Bounds on what is read and unpacked: VGG-16 with its dense layers and Adam's state has 1.6 GB.
_MAX_BYTES: Final = 2 << 30
_MAX_NUMBERS: Final = 1 << 29
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
    """NAME.pth or the like in a folder; None if there is none, or a NAME.safetensors with a card: the model then."""
    if (weights / f"{name}.safetensors").exists() and (weights / f"{name}.json").exists():
        return None
    files = [path for path in external_files(weights) if external_name(path) == name]
    return min(files, key=lambda path: MODEL_SUFFIXES.index(_model_suffix(path)), default=None)


def external_files(weights: Path) -> list[Path]:
    """All files in a folder with one of `MODEL_SUFFIXES`, by name; also those that `external_file` passes over."""
    return sorted(path for path in weights.glob("*") if _model_suffix(path) and path.is_file())


def external_name(path: Path) -> str:
    """What the model of an external file is called: the file's name without its suffix, also without .pth.tar."""
    return path.name[: len(path.name) - len(_model_suffix(path))]


def _model_suffix(path: Path) -> str:
    """Which of `MODEL_SUFFIXES` a file has, in any case; "" if none."""
    name = path.name.lower()
    return next((suffix for suffix in MODEL_SUFFIXES if name.endswith(suffix) and name != suffix), "")


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
    data = _read(path)
    pickled = path.suffix == ".pkl"
    stored = _one_state_dict(path, _unpickle(path, data) if pickled else _torch_load(path, data))
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
    return _unpickle(path, _read(path))


def _read(path: Path) -> bytes:
    """A file's bytes, if they are not too many."""
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise WeightsError(
                f"{path} has {size:,} bytes, more than the {_MAX_BYTES:,} that are read. Save the weights alone, "
                "without the optimiser: torch.save(model.state_dict(), FILE)."
            )
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(f"Cannot read the weight file {path}: {error.strerror}.") from error


def _torch_load(path: Path, data: bytes) -> Any:
    """What `torch.save` wrote, if that is tensors, numbers, texts and containers of them."""
    _check_archive(path, data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of formats that torch.load reads all the same; what fails is an error
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes raise errors of many types
        if isinstance(error, pickle.UnpicklingError) and (found := re.search(r"GLOBAL ([\w.]+)", str(error))):
            raise WeightsError(
                f"{path} holds Python objects besides tensors ({found[1]}), such as a whole pickled model; they were "
                "not loaded, because loading them would run code. Save its weights alone: "
                "torch.save(model.state_dict(), FILE)."
            ) from error
        raise WeightsError(f"{path} is not a PyTorch checkpoint, or it is damaged. Get it again.") from error


def _check_archive(path: Path, data: bytes) -> None:
    """Refuse zips that hold programs or unpack to too much; what is no zip may be PyTorch's older format.

    Raises:
        WeightsError: says which program it is, and how to save its weights.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except Exception:  # damaged bytes raise errors of many types; torch.load has the last word on them
        return
    if (size := sum(entry.file_size for entry in entries)) > _MAX_BYTES:
        raise WeightsError(f"{path} unpacks to {size:,} bytes, more than the {_MAX_BYTES:,} that are read.")
    names = {entry.filename.partition("/")[2] for entry in entries}
    if "constants.pkl" in names and any(name.startswith("code/") for name in names):
        kind, load = "a TorchScript program (torch.jit.save)", f"torch.jit.load({path.name!r})"
    elif "archive_format" in names:
        kind, load = "an exported program (torch.export.save)", f"torch.export.load({path.name!r})"
    else:
        return
    raise WeightsError(
        f"{path} is {kind}, not a state dict: it holds code, which is not run here. If you trust it, save its weights "
        f"alone and put that file here instead: torch.save({load}.state_dict(), {external_name(path) + '.pth'!r})."
    )


def _unpickle(path: Path, data: bytes) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy's, of its former pickles
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


def _one_state_dict(path: Path, stored: Any) -> dict[str, Tensor]:
    """The tensors of the one network that a file holds, by name without prefixes.

    Of several dictionaries of tensors, it is the one that fits an architecture here. If several do, such as the last
    weights and their moving average, nothing in the file tells which its authors measured.

    Raises:
        WeightsError: there is none, there are several, or it holds other than tensors by name.
    """
    found = _tensor_dicts(stored)
    if not found:
        raise WeightsError(f"{path} holds no state dict: no dictionary of tensors by name, at whatever key.")
    if len(found) > 1:
        fitting = {place: tensors for place, tensors in found.items() if _fits(path, tensors)}
        if len(fitting) > 1:
            raise WeightsError(
                f"{path} holds {len(fitting)} networks, at {', '.join(fitting)}, and does not tell which one is the "
                f"model. Save the one you mean alone: torch.save(torch.load({path.name!r}){next(iter(fitting))}, FILE)."
            )
        found = fitting or found
    return _by_name(path, max(found.values(), key=len))


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


def _fits(path: Path, mapping: Mapping[Any, Any]) -> bool:
    """Whether these are the tensors of a network here."""
    try:
        _recognise(path, _renamed(_by_name(path, mapping)))
    except WeightsError:
        return False
    return True


def _by_name(path: Path, mapping: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The tensors by name without prefixes, floating ones as float32.

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
        name = _without_prefixes(key)
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
        expected = _expected_features(architecture)
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


@functools.cache
def _expected_features(architecture: str) -> dict[str, Tensor]:
    """The names and shapes of an architecture's features, as tensors without values."""
    with torch.device("meta"):
        features: dict[str, Tensor] = build_network(architecture, 1).features.state_dict(prefix="features.")
    return features


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
