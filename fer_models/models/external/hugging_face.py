"""Image classifiers of Hugging Face's transformers: a folder with config.json and weights, read where it lies.

config.json names the labels, preprocessor_config.json says how a face is fed; a card.json in the folder may replace or
add what they say, in the words of other cards. Code in a folder is never run, and nothing is downloaded unless the user
allows it.
"""

import hashlib
import logging
import re
import warnings
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from fer_models.errors import CardError, EngineError, WeightsError
from fer_models.models.external.cards import GraphCard, card_content, model_card, parse_card
from fer_models.models.external.formats import GraphFacts
from fer_models.models.external.torch_files.checkpoints import read_bytes
from fer_models.models.external.torch_files.named import TorchModel, torch_model

if TYPE_CHECKING:
    from fer_models.models.external.graphs.onnx_model import GraphModel

_WEIGHTS: Final = "model.safetensors"
_OWN_CARD: Final = "card.json"
_GRAPHS: Final = ("model.onnx", "onnx/model.onnx")
#: More than any classifier of faces needs; a ViT-L has 304 million.
_MAX_NUMBERS: Final = 1 << 29
#: What is downloaded of a repository.
_PATTERNS: Final = ("config.json", "preprocessor_config.json", "processor_config.json", _WEIGHTS, *_GRAPHS)
#: `resample` of processors, a number of Pillow's, as `InputSpec` calls it.
_RESAMPLE: Final = {1: "lanczos", 2: "bilinear", 3: "bicubic"}
_INSTALL: Final = "transformers is not installed: pip install -r requirements-transformers.txt"

_log = logging.getLogger(__name__)


class _Logits(nn.Module):
    """The logits alone of a model of transformers."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.model(pixel_values=pixels).logits
        return logits


def download(name: str) -> Path:
    """Fetch a repository's model from the hub into the hub's cache, and give its folder.

    Raises:
        EngineError: huggingface_hub is not installed.
        WeightsError: there is no such repository, or it cannot be reached.
    """
    try:
        hub = import_module("huggingface_hub")
    except ImportError:
        raise EngineError(_INSTALL) from None
    try:
        return Path(hub.snapshot_download(name, allow_patterns=list(_PATTERNS)))
    except Exception as error:  # of many types: no network, no such repository, a full disk
        raise WeightsError(f"{name} cannot be downloaded: {_line(error)}") from error


def load_folder(folder: Path, name: str, device: torch.device) -> "TorchModel | GraphModel":
    """A model from a folder of transformers.

    Args:
        folder: with config.json, and model.safetensors or model.onnx.
        name: what the model is called.
        device: where PyTorch runs it; onnxruntime runs a graph on the CPU.

    Raises:
        EngineError: transformers is not installed.
        WeightsError: a file is missing, cannot be read or does not fit, or is no classifier of pictures.
        CardError: the files do not tell the labels or how a face is fed, or contradict each other.
    """
    config = _json(folder / "config.json")
    if config is None:
        raise WeightsError(f"{folder} holds no config.json: it is no folder of a model of Hugging Face's transformers.")
    given = _card(folder, config)
    weights = folder / _WEIGHTS
    if not weights.is_file():
        from fer_models.models.external.graphs.onnx_model import load_onnx  # not everybody has graphs

        for graph in _GRAPHS:
            if (folder / graph).is_file():
                return load_onnx(folder / graph, given, name, folder / _OWN_CARD)
        raise WeightsError(
            f"{folder} holds neither {_WEIGHTS} nor {_GRAPHS[0]}. Weights in other formats, or in several files, are "
            "not read. Save them anew with transformers: "
            "AutoModelForImageClassification.from_pretrained(FOLDER).save_pretrained(FOLDER)."
        )
    data = read_bytes(weights)
    model = _model(folder)
    path = folder.with_name(name)
    card, form = model_card(
        path,
        given,
        GraphFacts("NCHW", 3, outputs="logits"),
        kind=f"transformers:{config.get('model_type', 'unknown')}",
        sha256=hashlib.sha256(data).hexdigest(),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        place=folder / _OWN_CARD,
    )
    return torch_model(folder, card, form, _Logits(model), device)


def _model(folder: Path) -> nn.Module:
    """The network of a folder with all its weights. No code of the folder is run, and no network used."""
    try:
        transformers = import_module("transformers")
    except ImportError:
        raise EngineError(f"{folder} needs transformers. {_INSTALL}") from None
    logger, level = transformers.utils.logging, transformers.utils.logging.get_verbosity()
    logger.set_verbosity_error()
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind = transformers.AutoModelForImageClassification
            config = transformers.AutoConfig.from_pretrained(
                str(folder), local_files_only=True, trust_remote_code=False
            )
            with torch.device("meta"):  # its size before any memory
                planned = kind.from_config(config, trust_remote_code=False)
            if (count := sum(each.numel() for each in planned.parameters())) > _MAX_NUMBERS:
                raise WeightsError(f"{folder} describes a network of {count:,} numbers; that is too much.")
            model, loaded = kind.from_pretrained(
                str(folder),
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                dtype=torch.float32,
            )
    except WeightsError:
        raise
    except Exception as error:  # of many types: unknown models, damaged files, shapes that do not fit
        raise WeightsError(f"{folder} cannot be loaded by transformers: {_line(error)}") from error
    finally:
        logger.set_verbosity(level)
    for term in ("missing_keys", "mismatched_keys"):
        if names := loaded.get(term):
            first = ", ".join(sorted(map(str, names))[:3])
            raise WeightsError(f"{folder} does not hold all weights of its network: {first}. Get it again.")
    result: nn.Module = model.eval()
    return result


def _card(folder: Path, config: Mapping[str, Any]) -> GraphCard:
    """What config.json and preprocessor_config.json say, and card.json where there is one, which has the last word."""
    content: dict[str, Any] = {"input": _input(_processor(folder)), "outputs": "logits"}
    named = config.get("id2label")
    if isinstance(named, Mapping) and all(str(key).isdecimal() for key in named):
        labels = [str(named[key]) for key in sorted(named, key=int)]
        if not all(re.fullmatch(r"LABEL_\d+", label) for label in labels):  # what stands there if nobody named them
            content["labels"] = labels
    file = folder / _OWN_CARD
    if file.is_file():
        own = card_content(file)
        if not isinstance(own, dict):
            raise CardError(f"The model card {file} is malformed: it is no object.")
        spec = own.get("input", {})
        content = content | own | {"input": content["input"] | (spec if isinstance(spec, dict) else {})}
    elif "labels" not in content:
        raise CardError(f"{folder} does not name its labels in config.json. Write {file} with labels in their order.")
    elif not content["input"]:
        raise CardError(f"{folder} has no preprocessor_config.json. Write {file} with its input (size, mean, std).")
    return parse_card(file, content)


def _processor(folder: Path) -> Mapping[str, Any] | None:
    """How pictures are prepared, from preprocessor_config.json or from what newer versions write instead."""
    found = _json(folder / "preprocessor_config.json")
    if found is None and (whole := _json(folder / "processor_config.json")) is not None:
        found = whole.get("image_processor", whole)
    return found if isinstance(found, Mapping) else None


def _input(processor: Mapping[str, Any] | None) -> dict[str, Any]:
    """How a face is fed, as on a card."""
    if processor is None:
        return {}
    found: dict[str, Any] = {"mode": "bgr" if processor.get("do_flip_channel_order") else "rgb"}
    size = processor.get("crop_size") if processor.get("do_center_crop") else None
    size = size or processor.get("size")
    if isinstance(size, Mapping):
        size = [size[key] for key in ("height", "width", "shortest_edge") if isinstance(size.get(key), int)]
    if isinstance(size, list):
        size = size[0] if len(set(size)) == 1 else None
    if isinstance(size, int):
        found["size"] = size
    if (resample := processor.get("resample", 2)) in _RESAMPLE:
        found["interpolation"] = _RESAMPLE[resample]
    else:
        _log.warning("A processor says resample = %r, which is not known here. Faces are resized bilinearly.", resample)
    flips = "do_flip_channel_order" in processor  # MobileViT's processor, which normalises nothing
    normalised = processor.get("do_normalize", not flips) is not False
    mean, std = (processor.get("image_mean"), processor.get("image_std")) if normalised else (0.0, 1.0)
    # (pixel * factor - mean) / std, as (pixel / 255 - mean / whole) / (std / whole)
    factor = processor.get("rescale_factor", 1 / 255) if processor.get("do_rescale", True) else 1.0
    if mean is None or std is None or not isinstance(factor, int | float) or factor <= 0:
        return found
    whole = 255 * factor
    if abs(whole - 1) < 1e-6:
        return found | {"mean": mean, "std": std}
    try:
        mean, std = ([value / factor for value in (each if isinstance(each, list) else [each])] for each in (mean, std))
    except TypeError:
        return found
    return found | {"mean": mean, "std": std, "scale": "0-255"}


def _json(path: Path) -> Mapping[str, Any] | None:
    """A JSON object; None if there is no such file.

    Raises:
        CardError: it cannot be read or is malformed.
    """
    if not path.is_file():
        return None
    content = card_content(path)
    if not isinstance(content, dict):
        raise CardError(f"{path} is malformed: it is no object.")
    return content


def _line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
