"""Which files of a folder are external models, and what these are called."""

from pathlib import Path
from typing import Final

#: Suffixes of PyTorch checkpoints.
CHECKPOINT_SUFFIXES: Final = (".pth", ".pt", ".ckpt", ".pth.tar")
#: Suffixes of graphs that need no network of this project.
GRAPH_SUFFIXES: Final = (".onnx", ".tflite")
#: Suffixes of files that can be models, in lower case; of files with the same name, the first suffix wins.
MODEL_SUFFIXES: Final = (*CHECKPOINT_SUFFIXES, *GRAPH_SUFFIXES)
#: Suffixes of files that training can begin with.
START_SUFFIXES: Final = (*CHECKPOINT_SUFFIXES, ".pkl")


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


def is_graph(path: Path) -> bool:
    """Whether a file is a graph, by its suffix."""
    return path.name.lower().endswith(GRAPH_SUFFIXES)


def _model_suffix(path: Path) -> str:
    """Which of `MODEL_SUFFIXES` a file has, in any case; "" if none."""
    name = path.name.lower()
    return next((suffix for suffix in MODEL_SUFFIXES if name.endswith(suffix) and name != suffix), "")
