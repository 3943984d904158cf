"""Weights a training run may begin with."""

from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from fer_models.errors import WeightsError
from fer_models.models.architectures import PooledClassifier
from fer_models.models.card import read_card
from fer_models.models.external.files import START_SUFFIXES
from fer_models.models.external.torch_files.load import read_external
from fer_models.training.pretrained import imagenet_weights, settle_norms


def start_from(
    network: PooledClassifier,
    start: str | None,
    folders: list[Path],
    *,
    architecture: str = "",
    sample: Callable[[], Tensor] | None = None,
) -> None:
    """Load the weights a recipe names into the network's features, and its head where that fits.

    Args:
        network: changed in place.
        start: None (keep the random weights), "imagenet" (`pretrained.imagenet_weights`), the path of a .safetensors
            file or of another system's .pth, .pt, .ckpt, .pth.tar or .pkl (`models.external`; without its head,
            whose classes are others), or a model's name.
        folders: where NAME and its suffix are looked for, in this order.
        architecture: the network's, for "imagenet".
        sample: gives (N, 3, S, S) float32, faces as training feeds them; asked for "imagenet" of a VGG16, whose new
            batch norms take their statistics from these.

    Raises:
        WeightsError: the weights are missing or do not fit.
    """
    if start is None:
        return
    if start == "imagenet":
        _load(network.features, imagenet_weights(architecture, network.features), start)
        if architecture == "vgg16" and sample is not None:
            settle_norms(network.features, sample())
        return
    path = find_weights(start, folders)
    if path.name.endswith(START_SUFFIXES):
        stored = read_external(path).tensors
        features = {key.removeprefix("features."): value for key, value in stored.items() if not key.startswith("fc.")}
        _load(network.features, features, str(path))
        return
    _load(network, {key: value.float() for key, value in load_file(path).items()}, str(path))


def architecture_for(architecture: str, start: str | None, folders: list[Path]) -> str:
    """The architecture to train: a ResNet-50 that begins with VGGFace2's or the EAC authors' weights has their strides.

    Their filters were learned behind strides that sit in other convolutions, and see something else without them. The
    same holds for a model trained from them, as its card says.

    Args:
        architecture: the recipe's.
        start: as for `start_from`.
        folders: as for `start_from`.

    Raises:
        WeightsError: the weights are missing or cannot be read.
        CardError: the card beside them is malformed.
    """
    if architecture != "resnet50" or start in (None, "imagenet"):
        return architecture
    path = find_weights(start, folders)
    if path.name.endswith(START_SUFFIXES):
        stored = read_external(path).architecture
    else:
        card = path.with_suffix(".json")
        stored = read_card(card).architecture if card.is_file() else None
    return "resnet50_caffe" if stored == "resnet50_caffe" else architecture


def find_weights(start: str, folders: list[Path]) -> Path:
    """The file of a path or of a model's name.

    Args:
        start: as for `start_from`, but neither None nor "imagenet".
        folders: as for `start_from`.

    Raises:
        WeightsError: there is no such file.
    """
    suffixes = (".safetensors", *START_SUFFIXES)
    named = Path(start)
    if named.name.endswith(suffixes):
        candidates = [named, *(folder / named.name for folder in folders)]
    else:
        candidates = [folder / f"{start}{suffix}" for folder in folders for suffix in suffixes]
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        tried = ", ".join(str(path) for path in candidates)
        raise WeightsError(f"There are no weights to start from: {tried}. Train {start} first, or pass --init.")
    return path


def _load(module: nn.Module, weights: dict[str, Tensor], source: str) -> None:
    own = {key: value.shape for key, value in module.state_dict().items()}
    wrong = [key for key, shape in own.items() if key not in weights or weights[key].shape != shape]
    if wrong or len(weights) != len(own):
        raise WeightsError(f"The weights of {source} do not fit this network: {len(wrong)} tensors, first {wrong[:1]}.")
    module.load_state_dict(weights)
