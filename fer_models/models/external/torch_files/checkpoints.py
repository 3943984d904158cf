"""Checkpoint files as plain containers of tensors or arrays. Nothing in a file is executed."""

import io
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from fer_models.errors import WeightsError
from fer_models.models.external.files import external_name

#: Bound on what is read and unpacked: VGG-16 with its dense layers and Adam's state has 1.6 GB.
_MAX_BYTES: Final = 2 << 30


def read_arrays(path: Path) -> Any:
    """A pickle of NumPy arrays in plain containers. Nothing in it is executed.

    Raises:
        WeightsError: it cannot be read, or asks for anything but arrays.
    """
    return unpickle(path, read_bytes(path))


def read_bytes(path: Path) -> bytes:
    """A file's bytes.

    Raises:
        WeightsError: they are too many, or cannot be read.
    """
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


def torch_load(path: Path, data: bytes) -> Any:
    """What `torch.save` wrote, in either of its formats, if that is tensors, numbers, texts and containers of them.

    Args:
        path: the file, for errors.
        data: its bytes.

    Raises:
        WeightsError: the bytes are damaged, hold other objects or a program, or unpack to too much.
    """
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
    allow = ""
    if _is_script(names):
        kind, load = "a TorchScript program (torch.jit.save)", f"torch.jit.load({path.name!r})"
        allow = " Or run it as it is, with a card beside it and --allow-torchscript."
    elif "archive_format" in names:
        kind, load = "an exported program (torch.export.save)", f"torch.export.load({path.name!r})"
    else:
        return
    target = repr(f"{external_name(path)}.pth")
    raise WeightsError(
        f"{path} is {kind}, not a state dict: it holds code, which is not run here. If you trust it, save its weights "
        f"alone and put that file here instead: torch.save({load}.state_dict(), {target}).{allow}"
    )


def is_script(path: Path) -> bool:
    """Whether a file is a TorchScript program; False also for what cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _is_script({name.partition("/")[2] for name in archive.namelist()})
    except Exception:  # damaged bytes raise errors of many types
        return False


def _is_script(names: Collection[str]) -> bool:
    """Whether these files of an archive, below its folder, are a TorchScript program's."""
    return "constants.pkl" in names and any(name.startswith("code/") for name in names)


def unpickle(path: Path, data: bytes) -> Any:
    """NumPy arrays in plain containers, as any version of Python pickled them.

    Args:
        path: the file, for errors.
        data: its bytes.

    Raises:
        WeightsError: the bytes are damaged, or ask for anything but arrays.
    """
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
