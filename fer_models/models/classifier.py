"""Classifier: the one place where a network, its card and a device meet."""

import time
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_models.errors import CardError, FerError, UnknownNameError
from fer_models.models.architectures import PooledClassifier
from fer_models.models.card import ModelCard, read_card
from fer_models.models.engines import Engine, build_engine
from fer_models.models.engines.batching import Batcher, pass_pool
from fer_models.models.engines.module_engine import ModuleEngine
from fer_models.models.engines.outputs import Outputs
from fer_models.models.engines.remote_engine import RemoteEngine
from fer_models.models.engines.torch_engine import TorchEngine, placed_on
from fer_models.models.external.files import external_file, is_graph, library_architecture
from fer_models.models.external.torch_files.checkpoints import is_script
from fer_models.models.external.torch_files.load import load_external
from fer_models.models.weights import load_network
from fer_models.results import Prediction

if TYPE_CHECKING:
    from fer_models.models.external.torch_files.named import TorchModel

#: Faces in one forward pass at most: bounds the memory, and larger batches are no faster.
BATCH: Final = 32
#: Faces of several requests in one pass at most, where passes run beside one another: larger ones keep cores idle.
_JOINED: Final = 8
_DEVICES: Final = ("auto", "cpu", "cuda", "mps")


class Classifier:
    """One model on one device. Safe to call from several threads.

    On CPUs it computes in float32 unless another engine is asked for: bfloat16 is up to twice as fast on those that
    have it but moves logits by about 0.6 % of their range, and the same face should get the same numbers on every
    machine and in every batch. On CUDA devices "auto" is float16 where a network bears it, and "torch" is float32.

    Attributes:
        card: the model's facts.
        network: float32, in evaluation mode, frozen, on `device`: for training and for methods that need gradients.
            None where the model is a graph that its engine alone can run.
        device: where it runs.
        engine: what runs it.
    """

    def __init__(
        self,
        card: ModelCard,
        network: PooledClassifier | None,
        device: torch.device,
        engine: str | Engine = "torch",
        class_weights: NDArray[np.float32] | None = None,
        threads: int | None = None,
    ) -> None:
        """Join a card and its network on a device.

        Args:
            card: the model's facts.
            network: its weights; None for a model that an engine alone runs.
            device: where it runs.
            engine: a name in `fer_models.models.engines.ENGINES`, or one that was built for the model.
            class_weights: (C, K) of the linear head behind the feature maps that an engine without a network gives;
                None where it has no such head.
            threads: of the CPU that one pass takes; passes then run beside those of other models, on all threads that
                PyTorch is set to. None means all of them for one pass. PyTorch itself always takes all.

        Raises:
            CardError: the card's labels do not fit the network's head, or its temperature is not positive.
            UnknownNameError: no such engine.
            EngineError: the engine is not installed or does not run on this device.
            ValueError: there is neither a network nor an engine that was built for the model.
        """
        if network is not None and network.fc.out_features != len(card.labels):
            raise CardError(
                f"The card of {card.name} lists {len(card.labels)} labels, its network gives {network.fc.out_features}."
            )
        if not 0 < card.temperature < float("inf"):
            raise CardError(f"The card of {card.name} has temperature {card.temperature}; it must be above 0.")
        if device.type == "cuda":
            # cuDNN rounds convolutions to TF32 by default: the same face, other numbers than on a CPU.
            torch.backends.cudnn.allow_tf32 = False
        self.card = card
        self.device = device
        self.network = network
        self._class_weights = class_weights
        self._beside = 1  # passes at the same time
        if network is not None:
            self.network = network.to(device, torch.float32).to(memory_format=torch.channels_last)
            self.network.eval().requires_grad_(False)
            if engine == "torch":
                engine = TorchEngine(self.network, device)
            elif isinstance(engine, str):
                engine = build_engine(engine, self.network, card.input.size, device, threads)
                if threads and engine.name != "torch":
                    self._beside = max(1, torch.get_num_threads() // threads)
        if isinstance(engine, str):
            raise ValueError(f"{card.name} has no network for the engine {engine}: give an engine built for it.")
        if isinstance(engine, RemoteEngine):
            self._beside = engine.BESIDE
        self.engine: Engine = engine
        pooled = self._beside > 1
        self._batcher = Batcher(engine, _JOINED if pooled else BATCH, pass_pool(self._beside) if pooled else None)

    @property
    def name(self) -> str:
        """The model's name, as on its card."""
        return self.card.name

    @property
    def module_engine(self) -> ModuleEngine | None:
        """What runs another system's PyTorch network; None for this project's, and for graphs."""
        return self.engine if isinstance(self.engine, ModuleEngine) else None

    @property
    def remote(self) -> bool:
        """Whether the model runs elsewhere, so that only its answers and feature maps come here."""
        return isinstance(self.engine, RemoteEngine)

    @cached_property
    def class_weights(self) -> NDArray[np.float32] | None:
        """The head's weights (C, K) float32, rows in the order of the card's labels; a copy.

        None where no linear head over feature maps is known: then there is no class attention map.
        """
        if self.network is None:
            return self._class_weights
        weights: NDArray[np.float32] = self.network.fc.weight.detach().cpu().numpy().copy()
        return weights

    def inputs(self, crops: Sequence[NDArray[np.uint8]]) -> Tensor:
        """What the network is fed for these crops: the one path for the app, the commands and `evaluate`.

        Args:
            crops: at least one, each (S, S, 3) RGB or (S, S) grey, uint8, of any S.

        Returns:
            (N, 3, size, size) float32 on the device.

        Raises:
            ImageError: a crop is not a square uint8 picture.
        """
        return placed_on(self.device, self.card.input.transform(crops))

    def logits(self, inputs: Tensor) -> Tensor:
        """Logits of prepared inputs, before the temperature.

        Args:
            inputs: (N, 3, size, size) float32, as `inputs` gives them.

        Returns:
            (N, C) float32 on the CPU, columns in the order of the card's labels.
        """
        passes = [self._batcher.submit(piece) for piece in self._pieces(inputs)]
        return torch.cat([torch.from_numpy(answer.result()[0].logits) for answer in passes])

    def probabilities(self, logits: Tensor) -> Tensor:
        """Logits (N, C) to probabilities (N, C): softmax(logits / temperature) (Guo et al., ICML 2017, equation 9)."""
        return (logits / self.card.temperature).softmax(1)

    def predict(self, crops: Sequence[NDArray[np.uint8]], *, features: bool = False) -> list[Prediction]:
        """One prediction a crop, in the crops' order.

        Args:
            crops: each (S, S, 3) RGB or (S, S) grey, uint8, of any S; none gives an empty list.
            features: keep the last feature maps (K, h, w) of the same pass on each prediction, if the model gives any.

        Raises:
            ImageError: a crop is not a square uint8 picture.
        """
        predictions = []
        for start in range(0, len(crops), BATCH):
            chunk = crops[start : start + BATCH]
            began = time.perf_counter()
            inputs = self.inputs(chunk)
            seconds = (time.perf_counter() - began) / len(chunk)
            predictions += self.predict_inputs(inputs, features=features, seconds=seconds)
        return predictions

    def predict_inputs(self, inputs: Tensor, *, features: bool = False, seconds: float = 0.0) -> list[Prediction]:
        """One prediction for each prepared input, in their order.

        Args:
            inputs: (N, 3, size, size) float32, as `inputs` gives them.
            features: as for `predict`.
            seconds: that preparing each one took, counted in its latency.
        """
        return self.submit(inputs, features=features, seconds=seconds)()

    def submit(self, inputs: Tensor, *, features: bool = False, seconds: float = 0.0) -> Callable[[], list[Prediction]]:
        """Start `predict_inputs`, so that other models can start, too; what is returned waits for the predictions."""
        passes = [self._batcher.submit(piece, features=features) for piece in self._pieces(inputs)]
        return lambda: [each for answer in passes for each in self._predictions(*answer.result(), seconds)]

    def _pieces(self, inputs: Tensor) -> Sequence[Tensor]:
        """Inputs for one pass each: where several run at the same time, all of them get some."""
        pieces: Sequence[Tensor] = torch.split(inputs, min(BATCH, -(-len(inputs) // self._beside)))
        return pieces

    def _predictions(self, outputs: Outputs, in_pass: float, seconds: float) -> list[Prediction]:
        probabilities = self.probabilities(torch.from_numpy(outputs.logits)).numpy()
        return [
            Prediction(
                model=self.card.name,
                labels=self.card.labels,
                logits=row.copy(),
                probabilities=probabilities[index].copy(),
                temperature=self.card.temperature,
                latency_ms=(seconds + in_pass) * 1000,
                # A copy of its own: one kept face must not keep its whole batch in memory.
                features=None if outputs.features is None else np.array(outputs.features[index], order="C"),
            )
            for index, row in enumerate(outputs.logits)
        ]


def load_classifier(
    name: str,
    weights: Path,
    device: str = "auto",
    engine: str = "auto",
    threads: int | None = None,
    *,
    allow_torchscript: bool = False,
) -> Classifier:
    """Read weights/NAME.json and weights/NAME.safetensors, check them, and put the model on a device.

    Without a NAME.safetensors, another system's file is read instead: NAME.pth or the like, which needs no card, or
    NAME.onnx or NAME.tflite, which onnxruntime or LiteRT runs on the CPU (`fer_models.models.external`). Weights whose
    card names an architecture of torchvision or timm are run by PyTorch.

    Args:
        name: the model's name.
        weights: the folder of both files.
        device: "auto" (CUDA if there is one, else the CPU), "cpu", "cuda", "cuda:1" or "mps".
        engine: "auto" (onnxruntime on a CPU, on a CUDA device PyTorch, in float16 if it may), or another of
            `fer_models.models.engines.ENGINES`; "torch" is float32 everywhere.
        threads: as of `Classifier`.
        allow_torchscript: run NAME.pt also if it is a TorchScript program, which is code of its author.

    Raises:
        CardError: the card is missing, malformed or another model's.
        WeightsError: the weights are missing, truncated, altered, or do not fit the card.
        UnknownNameError: no such kind of device, or no such engine.
        EngineError: the engine is not installed or does not run on this device.
        FerError: this machine has no such device.
    """
    target = find_device(device)
    external = external_file(weights, name)
    if external and is_graph(external):
        return _warm(_load_graph(external))
    if external and allow_torchscript and is_script(external):
        from fer_models.models.external.torch_files.script import load_script

        return _warm(_of_module(load_script(external, target), target))
    if external and library_architecture(external):
        from fer_models.models.external.torch_files.named import load_named

        return _warm(_of_module(load_named(external, target), target))
    card, network = load_external(external) if external else (read_card(weights / f"{name}.json"), None)
    if card.name != name:
        raise CardError(f"The card {weights / name}.json is the card of {card.name}. Rename one of them.")
    classifier = Classifier(
        card, network or load_network(card, weights / f"{name}.safetensors"), target, engine, threads=threads
    )
    return _warm(classifier)


def load_folder_classifier(folder: Path, name: str, device: str = "auto") -> Classifier:
    """A model from a folder of Hugging Face's transformers.

    Args:
        folder: with config.json and weights.
        name: what it is called.
        device: as for `load_classifier`.

    Raises:
        FerError: as `fer_models.models.external.hugging_face.load_folder`.
    """
    from fer_models.models.external.graphs.onnx_model import GraphModel
    from fer_models.models.external.hugging_face import load_folder

    target = find_device(device)
    model = load_folder(folder, name, target)
    if isinstance(model, GraphModel):
        return _warm(Classifier(model.card, None, torch.device("cpu"), model.engine, model.class_weights))
    return _warm(_of_module(model, target))


def _load_graph(path: Path) -> Classifier:
    """A graph, which its own engine runs on the CPU, whatever device and engine the others have."""
    if path.suffix.lower() == ".tflite":
        from fer_models.models.external.graphs.tflite_model import load_tflite

        card, engine = load_tflite(path)
        return Classifier(card, None, torch.device("cpu"), engine)
    # not everybody has graphs, and ONNX takes a while
    from fer_models.models.external.graphs.onnx_model import load_onnx

    graph = load_onnx(path)
    return Classifier(graph.card, None, torch.device("cpu"), graph.engine, graph.class_weights)


def _of_module(model: "TorchModel", device: torch.device) -> Classifier:
    """Another system's PyTorch network."""
    return Classifier(model.card, None, device, model.engine, model.class_weights)


def _warm(classifier: Classifier) -> Classifier:
    """The classifier after its first pass, which sets up kernels: no face is charged for it."""
    side = 2 * classifier.card.input.size  # in colour and too large, so that every step of the preprocessing runs
    classifier.predict([np.zeros((side, side, 3), np.uint8)])
    return classifier


def engine_names(classifiers: Iterable[Classifier]) -> str:
    """What runs these models and in which precision, for records: "onnxruntime, float32"."""
    names = dict.fromkeys(f"{model.engine.name}, {model.engine.precision}" for model in classifiers)
    return "; ".join(names)


def find_device(name: str) -> torch.device:
    """The device of a name: "auto" (CUDA if there is one, else the CPU), "cpu", "cuda", "cuda:1" or "mps".

    Raises:
        UnknownNameError: no such kind of device.
        FerError: this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UnknownNameError("device", name, _DEVICES) from None
    if device.type not in _DEVICES:
        raise UnknownNameError("device", name, _DEVICES)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise FerError(f"There is no device {name}: PyTorch sees {torch.cuda.device_count()} CUDA devices. Use 'auto'.")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise FerError("There is no device mps: it needs a Mac with Apple silicon. Use 'auto'.")
    return device
