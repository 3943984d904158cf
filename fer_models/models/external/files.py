"""Which files of a folder are external models, and what these are called."""

import json
import re
import tomllib
from pathlib import Path
from typing import Final

#: Suffixes of PyTorch checkpoints.
CHECKPOINT_SUFFIXES: Final = (".pth", ".pt", ".ckpt", ".pth.tar")
#: Suffixes of graphs that need no network of this project.
GRAPH_SUFFIXES: Final = (".onnx", ".tflite")
#: Suffixes of files that can be models, in lower case; of files with the same name, the first suffix wins.
MODEL_SUFFIXES: Final = (*CHECKPOINT_SUFFIXES, *GRAPH_SUFFIXES)
#: Of weights whose card names a library's architecture; others with this suffix are this project's own.
_SAFETENSORS: Final = ".safetensors"
#: Suffixes of files that training can begin with.
START_SUFFIXES: Final = (*CHECKPOINT_SUFFIXES, ".pkl")


def external_file(weights: Path, name: str) -> Path | None:
    """NAME.pth or the like in a folder; None if there is none, or a NAME.safetensors with a card: the model then."""
    own = weights / f"{name}{_SAFETENSORS}"
    if own.exists() and (weights / f"{name}.json").exists() and library_architecture(own) is None:
        return None
    files = [path for path in external_files(weights) if external_name(path) == name]
    order = (_SAFETENSORS, *MODEL_SUFFIXES)
    return min(files, key=lambda path: order.index(_model_suffix(path)), default=None)


def external_models(weights: Path) -> dict[str, Path]:
    """The files that `external_file` gives for the models of a folder, by model name."""
    names = dict.fromkeys(map(external_name, external_files(weights)))
    return {name: file for name in names if (file := external_file(weights, name))}


def external_files(weights: Path) -> list[Path]:
    """All files in a folder with one of `MODEL_SUFFIXES`, by name; also those that `external_file` passes over.

    And weights as safetensors whose card names a library's architecture.
    """
    files = sorted(path for path in weights.glob("*") if _model_suffix(path) and path.is_file())
    return [path for path in files if _model_suffix(path) != _SAFETENSORS or library_architecture(path)]


def external_name(path: Path) -> str:
    """What the model of an external file is called: the file's name without its suffix, also without .pth.tar."""
    return path.name[: len(path.name) - len(_model_suffix(path))]


def card_files(path: Path) -> list[Path]:
    """The cards beside a model: NAME.json, NAME.toml, both or none."""
    cards = (path.with_name(external_name(path) + suffix) for suffix in (".json", ".toml"))
    return [card for card in cards if card.is_file()]


def library_architecture(path: Path) -> str | None:
    """The architecture that a card beside weights names by its library, such as "timm:resnet18"; None for others.

    Args:
        path: of the weights. A card that cannot be read is None here; who reads the card says why.
    """
    for card in card_files(path):
        try:
            text = card.read_text(encoding="utf-8")
            content = json.loads(text) if card.suffix == ".json" else tomllib.loads(text)
        except (OSError, ValueError, RecursionError):
            continue
        named = content.get("architecture") if isinstance(content, dict) else None
        if isinstance(named, str) and ":" in named:
            return named
    return None


def is_hub_name(path: Path) -> bool:
    """Whether a path has the form of a repository's name on the Hugging Face hub, such as "someone/their-model"."""
    return external_name(path) == path.name and re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", path.as_posix()) is not None


def is_graph(path: Path) -> bool:
    """Whether a file is a graph, by its suffix."""
    return path.name.lower().endswith(GRAPH_SUFFIXES)


def _model_suffix(path: Path) -> str:
    """Which of `MODEL_SUFFIXES` a file has, or that of safetensors, in any case; "" if none."""
    name = path.name.lower()
    return next((suffix for suffix in (*MODEL_SUFFIXES, _SAFETENSORS) if name.endswith(suffix) and name != suffix), "")
