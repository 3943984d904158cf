"""A network as an ONNX graph with two outputs, logits and feature maps, and the cache of such graphs.

A graph is made from the network once and kept by the hash of its weights in a folder that belongs to the user alone.
Graphs from anywhere else are never read.
"""

import contextlib
import hashlib
import logging
import os
import tempfile
import time
import warnings
from pathlib import Path
from typing import Final

import platformdirs
import torch
from torch import Tensor, nn

from fer_models.errors import EngineError
from fer_models.models.architectures import PooledClassifier

INPUT: Final = "inputs"
OUTPUTS: Final = ("logits", "features")
#: Names another folder for the cache.
CACHE_VARIABLE: Final = "FER_COMPARE_CACHE"

_OPSET: Final = 18
_UNUSED_DAYS: Final = 60  # after which a graph is deleted

_log = logging.getLogger(__name__)


class _Both(nn.Module):
    """Logits and feature maps of one pass. A module of its own: exporting leaves modules in training mode."""

    def __init__(self, network: PooledClassifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.network.forward_features(inputs)
        return self.network.forward_head(maps), maps


def network_graph(network: PooledClassifier, size: int, *, anew: bool = False) -> bytes:
    """The ONNX graph of a network, from the cache where it is there.

    Args:
        network: on the CPU, in evaluation mode.
        size: side of its input in pixels.
        anew: make it, whatever the cache holds.

    Raises:
        EngineError: PyTorch cannot export the network.
    """
    folder = cache_folder()
    path = folder / f"{_fingerprint(network, size)}.onnx" if folder else None
    if path is not None and not anew:
        with contextlib.suppress(OSError):
            graph = path.read_bytes()
            os.utime(path)
            return graph
    graph = _export(network, size)
    if path is not None:
        _keep(path, graph)
    return graph


def cache_folder() -> Path | None:
    """The folder of the graphs, made if it is missing; None where it cannot be made or others may write to it."""
    named = os.environ.get(CACHE_VARIABLE)
    folder = Path(named) if named else platformdirs.user_cache_path("fer-compare", appauthor=False) / "graphs"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        facts = folder.stat()
    except OSError:
        return None
    if os.name == "posix" and (facts.st_uid != os.geteuid() or facts.st_mode & 0o022):
        _log.warning("Graphs are not kept in %s: it belongs to another user, or others may write to it.", folder)
        return None
    return folder if os.access(folder, os.W_OK) else None


def _export(network: PooledClassifier, size: int) -> bytes:
    axes = {name: {0: "n"} for name in (INPUT, *OUTPUTS)}
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            path = Path(folder) / "network.onnx"
            warnings.simplefilter("ignore")  # the exporter without further packages is the older one, and says so
            torch.onnx.export(
                _Both(network).eval(),
                (torch.zeros(2, 3, size, size),),
                path,
                dynamo=False,
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                dynamic_axes=axes,
                opset_version=_OPSET,
            )
            return path.read_bytes()
    except Exception as error:  # the exporter raises anything
        raise EngineError(f"PyTorch cannot export the network: {str(error)[:200]}. Use --engine torch.") from error


def _fingerprint(network: PooledClassifier, size: int) -> str:
    """SHA-256 of all that decides the graph."""
    digest = hashlib.sha256(f"{torch.__version__} opset {_OPSET} {size} {network}".encode())
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _keep(path: Path, graph: bytes) -> None:
    """Write a graph whole or not at all, and delete those that were not used for long."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".partial", delete=False) as file:
            file.write(graph)
        os.replace(file.name, path)
        for other in (*path.parent.glob("*.onnx"), *path.parent.glob("*.partial")):
            if time.time() - other.stat().st_mtime > _UNUSED_DAYS * 86_400:
                other.unlink(missing_ok=True)
    except OSError as error:  # a full disk costs a few seconds at the next start
        _log.warning("The graph is not kept in %s: %s", path.parent, error.strerror)
        with contextlib.suppress(OSError, NameError):
            Path(file.name).unlink(missing_ok=True)
