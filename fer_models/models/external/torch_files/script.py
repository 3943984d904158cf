"""TorchScript programs, which are code: run only for those who say that they trust them."""

import hashlib
import io
import warnings
from pathlib import Path
from typing import Any

import torch

from fer_models.errors import CardError, WeightsError
from fer_models.models.external.cards import model_card, read_graph_card
from fer_models.models.external.formats import GraphFacts
from fer_models.models.external.torch_files.checkpoints import read_bytes
from fer_models.models.external.torch_files.named import TorchModel, torch_model


def load_script(path: Path, device: torch.device) -> TorchModel:
    """A model from a TorchScript file and the card beside it. It answers, and gives no feature maps.

    Args:
        path: as torch.jit.save wrote it. Loading and running it runs its author's operations.
        device: where it runs.

    Raises:
        WeightsError: it cannot be read or run.
        CardError: the card is missing, malformed, or does not fit.
    """
    data, given = read_bytes(path), read_graph_card(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated; that is said where it is made
            network: Any = torch.jit.load(io.BytesIO(data), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except Exception as error:  # damaged bytes raise errors of many types
        raise WeightsError(f"{path} cannot be loaded as TorchScript; it may be damaged. Get it again.") from error
    if given is not None and given.architecture is not None:
        raise CardError(f"The card of {path.name} names an architecture, but the file is a program of its own.")
    card, form = model_card(
        path,
        given,
        GraphFacts(),
        kind="torchscript",
        sha256=hashlib.sha256(data).hexdigest(),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
    )
    return torch_model(path, card, form, network, device)
