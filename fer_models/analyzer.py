"""All models on all faces of all pictures: the entry point of every tab, command and endpoint."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_models.errors import CardError, EngineError, UnknownNameError, WeightsError
from fer_models.faces.alignment import cut_out, whole_picture
from fer_models.faces.detector import CenterFace, FaceDetector
from fer_models.faces.following import FaceFollower
from fer_models.media.images import as_image
from fer_models.models.classifier import BATCH, Classifier, load_classifier
from fer_models.models.external.files import (
    external_file,
    external_files,
    external_name,
    is_graph,
    library_architecture,
)
from fer_models.models.external.loading import load_file, unread, without_card
from fer_models.models.external.peers import PEERS, load_peer
from fer_models.models.preprocessing import InputSpec
from fer_models.registry import MODELS
from fer_models.results import SHARED_CROP, CropSpec, Face, FaceAnalysis, FaceCrops, Prediction

_CHECKOUT: Final = Path(__file__).resolve().parents[1]
#: The folder of cards and weights: of the checkout this package is in or, where it is installed, of the current folder.
WEIGHTS: Final = _CHECKOUT / "weights" if (_CHECKOUT / "weights").is_dir() else Path("weights")

_log = logging.getLogger(__name__)


class Analyzer:
    """Detects every face and classifies it with every model. Safe to call from several threads; keeps no state.

    Attributes:
        classifiers: by model name, in the order they were loaded.
        detector: of the faces.
        left_out: for each file of weights that is no model here, why and what to do, as a sentence or two.
    """

    def __init__(self, classifiers: Sequence[Classifier], detector: FaceDetector, left_out: Sequence[str] = ()) -> None:
        """Join loaded models and a detector."""
        self.classifiers: Mapping[str, Classifier] = MappingProxyType({model.name: model for model in classifiers})
        self.detector = detector
        self.left_out = tuple(left_out)
        self._crops = tuple(dict.fromkeys([SHARED_CROP, *(model.card.crop for model in classifiers)]))

    def analyze(
        self,
        images: Sequence[NDArray[np.uint8]],
        *,
        whole: bool = False,
        features: bool = False,
        models: Sequence[str] | None = None,
        follower: FaceFollower | None = None,
        times_s: Sequence[float] = (),
    ) -> list[FaceAnalysis]:
        """Every face of every picture, classified by every model, in one batch per model.

        Args:
            images: each (H, W, 3) uint8 RGB.
            whole: take each picture as one face, without detection.
            features: keep the last feature maps on each prediction, for `explain`.
            models: only these; None means all that are loaded.
            follower: finds the faces of pictures that are the next frames of a video or camera; None for others.
            times_s: of these frames in seconds; without a follower it means nothing.

        Returns:
            One record per face, ordered by picture and within a picture as the detector orders them. A picture in which
            no face is detected has none. Predictions are in the order in which the models were loaded.

        Raises:
            ImageError: a picture has another shape or dtype.
            UnknownNameError: a model that is not loaded.
        """
        self._chosen(models)  # before any work
        moments = times_s if follower else [0.0] * len(images)
        faces = [
            (index, face, crops)
            for index, (image, time_s) in enumerate(zip(images, moments, strict=True))
            for face, crops in self.detect(as_image(image), whole=whole, follower=follower, time_s=time_s)
        ]
        return self.predict(faces, features=features, models=models)

    def detect(
        self,
        image: NDArray[np.uint8],
        *,
        whole: bool = False,
        follower: FaceFollower | None = None,
        time_s: float = 0.0,
    ) -> list[tuple[Face, FaceCrops]]:
        """Every face of one picture with its crops: the first half of `analyze`, without any model.

        Args:
            image: (H, W, 3) uint8 RGB.
            whole: take the picture as one face, without detection.
            follower: finds the faces of a picture that is the next frame of a video or camera.
            time_s: of that frame; without a follower it means nothing.

        Returns:
            Faces in the detector's order, each with the crops that the loaded models want, each cut out once.

        Raises:
            ImageError: the picture has another shape or dtype.
        """
        if whole:
            faces = [whole_picture(image)]
        else:
            faces = follower.detect(self.detector, image, time_s) if follower else self.detector.detect(image)
        return [(face, {spec: cut_out(image, face, spec) for spec in self._crops}) for face in faces]

    def predict(
        self,
        faces: Sequence[tuple[int, Face, FaceCrops]],
        *,
        features: bool = False,
        models: Sequence[str] | None = None,
    ) -> list[FaceAnalysis]:
        """Classify detected faces with every model: the second half of `analyze`. They may be of several pictures.

        Args:
            faces: for each, the index of its picture, the face, and its crops as `detect` gives them.
            features: keep the last feature maps on each prediction.
            models: only these; None means all that are loaded.

        Raises:
            UnknownNameError: a model that is not loaded.
        """
        chosen = self._chosen(models)
        predictions = self._predict_crops([crops for _, _, crops in faces], chosen, features)
        own = {name: spec for name in chosen if (spec := self.classifiers[name].card.crop) != SHARED_CROP}
        return [
            FaceAnalysis(
                *(index, face, crops[SHARED_CROP]),
                MappingProxyType({name: predictions[name][row] for name in chosen}),
                MappingProxyType({name: crops[spec] for name, spec in own.items()}),
            )
            for row, (index, face, crops) in enumerate(faces)
        ]

    def _predict_crops(
        self, crops: Sequence[FaceCrops], models: Sequence[str], features: bool
    ) -> dict[str, list[Prediction]]:
        """Predictions by model, in the faces' order; crops are prepared once for all models that are fed alike."""
        predictions: dict[str, list[Prediction]] = {name: [] for name in models}
        for start in range(0, len(crops), BATCH):
            chunk = crops[start : start + BATCH]
            prepared: dict[tuple[CropSpec, InputSpec, torch.device], tuple[Tensor, float]] = {}
            waiting: dict[str, Callable[[], list[Prediction]]] = {}
            for name in sorted(models, key=self._cost, reverse=True):  # the longest first: fewer cores idle at the end
                model = self.classifiers[name]
                key = (model.card.crop, model.card.input, model.device)
                if key not in prepared:
                    began = time.perf_counter()
                    inputs = model.inputs([each[model.card.crop] for each in chunk])
                    prepared[key] = inputs, (time.perf_counter() - began) / len(chunk)
                inputs, seconds = prepared[key]
                waiting[name] = model.submit(inputs, features=features, seconds=seconds)
            for name in models:
                predictions[name] += waiting[name]()
        return predictions

    def _cost(self, name: str) -> int:
        card = self.classifiers[name].card
        return card.multiply_adds or card.parameters

    def _chosen(self, models: Sequence[str] | None) -> list[str]:
        _check_names(models or (), self.classifiers)
        return [name for name in self.classifiers if models is None or name in models]


def list_models(weights: Path = WEIGHTS) -> list[str]:
    """Names of the models in a folder: this project's in their order, then others by name.

    A model has a card, or is another system's file that needs none (`fer_models.models.external`).
    """
    names = {path.stem for path in weights.glob("*.json")} | {external_name(path) for path in external_files(weights)}
    return [name for name in MODELS if name in names] + sorted(names.difference(MODELS))


def load_analyzer(
    models: Sequence[str] | None = None,
    *,
    device: str = "auto",
    engine: str = "auto",
    weights: Path = WEIGHTS,
    detector: FaceDetector | None = None,
    files: Sequence[Path] = (),
    peers: Sequence[str] = (),
    allow_torchscript: bool = False,
    allow_download: bool = False,
) -> Analyzer:
    """Load models and a face detector, in a few seconds.

    Another system's file that cannot be used is an error only if it was named. Otherwise it is left out, and the log
    and `Analyzer.left_out` say why; so are weights without a card, files in formats that are not read, and peers.

    Args:
        models: names, loaded in this order; None means all available. Peers may be among them.
        device: "auto" (CUDA if there is one, else the CPU), "cpu", "cuda", "cuda:1" or "mps".
        engine: as of `load_classifier`.
        weights: the folder with NAME.json and NAME.safetensors.
        detector: None means CenterFace.
        files: other systems' models in other folders, loaded after these; each with its card beside it, or a folder of
            Hugging Face's transformers.
        peers: models of other people's packages that are loaded too, last unless they are named in `models`: names in
            `fer_models.models.external.peers.PEERS`.
        allow_torchscript: run TorchScript files, which are code of their authors.
        allow_download: fetch such a folder from the hub, if `files` has its name there instead.

    Raises:
        UnknownNameError: no such model, peer, kind of device or engine.
        EngineError: the engine is not installed or does not run on this device.
        WeightsError: there are no models, or weights are missing, truncated, altered or do not fit their card.
        CardError: a card is malformed, or a named model has weights but no card.
        FerError: this machine has no such device.
    """
    known = list_models(weights)
    _check_names(peers, PEERS, "peer")
    if not known and not files and not peers:
        advice = (
            f"There are no model cards in {weights}. Restore them with: git checkout -- weights, or name the weights "
            "folder of a checkout with --weights."
        )
        raise WeightsError(" ".join([advice, *unread(weights)]))
    own_peers = [name for name in peers if name not in known]
    names = list(dict.fromkeys([*(known if models is None else models), *own_peers]))
    for name in names:
        if name not in (*known, *own_peers) and (path := weights / f"{name}.safetensors").is_file():
            raise CardError(without_card(path))
    _check_names(names, [*known, *own_peers])
    if not names and not files:
        raise WeightsError(f"No model was named. Known: {', '.join(known)}.")
    classifiers = []
    left_out = [
        f"The peer {name} is left out: {weights} has a model of this name. Rename that one."
        for name in peers
        if name in known
    ]
    # Models run beside one another: cores that share one pass wait for one another many times in it.
    threads = max(1, torch.get_num_threads() // len([*names, *files]))
    for name in names:
        is_peer = name in own_peers
        try:
            classifiers.append(
                load_peer(name)
                if is_peer
                else load_classifier(name, weights, device, engine, threads, allow_torchscript=allow_torchscript)
            )
        except (CardError, EngineError, WeightsError) as error:
            file = external_file(weights, name)
            # An engine that is not there stops the app, unless it is the file's own.
            own_engine = file is not None and (is_graph(file) or library_architecture(file) is not None)
            excused = file is not None and (own_engine or not isinstance(error, EngineError))
            if not is_peer and (models is not None or not excused):
                raise
            left_out.append(f"The {'peer' if is_peer else 'model'} {name} is left out. {error}")
    for file in files:
        taken = [model.name for model in classifiers]
        allowed = {"allow_torchscript": allow_torchscript, "allow_download": allow_download}
        classifiers.append(load_file(file, taken, device, engine, threads, **allowed))
    if models is None:
        left_out += unread(weights)
    for reason in left_out:
        _log.warning("%s", reason)
    if not classifiers:
        advice = f"None of the models in {weights} can be used. Restore them with: git checkout -- weights"
        raise WeightsError(" ".join([advice, *left_out]))
    return Analyzer(classifiers, CenterFace() if detector is None else detector, left_out)


def _check_names(names: Sequence[str], known: Mapping[str, object] | Sequence[str], kind: str = "model") -> None:
    """Raise UnknownNameError for the first name that is not known."""
    for name in names:
        if name not in known:
            raise UnknownNameError(kind, name, known)
