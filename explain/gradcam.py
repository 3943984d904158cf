"""One signature for the native map, the methods of the grad-cam library and perturbations, side by side.

The library hooks a network, may replace layers in it, and keeps state between calls. Here every call gets a copy of
the network's structure that shares its weights and is thrown away afterwards: the classifier's own is never touched.
"""

import copy
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from explain.maps import Explanation, attention
from explain.methods import LAST, METHODS, PERTURBATION, SMOOTHING, supported
from explain.occlusion import sensitivity_map
from explain.rise import rise
from fer_models.errors import ExplanationError, UnknownNameError
from fer_models.models.architectures import STAGES, PooledClassifier
from fer_models.models.classifier import Classifier

# One method at a time: the library shares state (its progress bars, below), and all of them share the cores.
_LOCK: Final = threading.Lock()


def explain(
    classifier: Classifier,
    crop: NDArray[np.uint8],
    target: str,
    method: str = "native",
    *,
    layer: str | None = None,
    smooth: str | None = None,
    progress: Callable[[float], None] | None = None,
) -> Explanation:
    """A model's evidence map for one expression, by any method.

    Args:
        classifier: it is not changed.
        crop: (S, S, 3) RGB or (S, S) grey, uint8.
        target: the expression.
        method: a key of `METHODS`.
        layer: a key of `fer_models.models.architectures.STAGES[architecture]`; None means the last.
        smooth: one of `SMOOTHING` that the method takes; None means none.
        progress: called with the share done, in [0, 1], during slow methods; an error that it raises stops the method.

    Returns:
        Heat (h, w) float32 as it is before ReLU, scaling and enlargement: the layer's maps decide h and w; the
        input's side for "fullgrad" and "refinecam", the crop's for "rise", 8 for "occlusion". Its cost does not count
        waiting for other calls.

    Raises:
        UnknownNameError: no such method, layer or smoothing, or the model does not know the expression.
        ExplanationError: the method cannot explain this model (`explain.methods.supported`) or does not take the layer
            or smoothing, or the layer gives a map of one cell or one that is not finite.
        ImageError: the crop is not a square uint8 picture.
    """
    check(classifier, target, method, layer=layer, smooth=smooth)
    with _LOCK, torch.inference_mode(False), torch.enable_grad():
        began = time.perf_counter()
        if method == "native":
            heat = _native(classifier, crop, target)
        elif METHODS[method].kind == PERTURBATION:
            heat = _perturbation(classifier, crop, target, method, progress)
        else:
            heat = _library(classifier, crop, target, method, layer or LAST, smooth, progress)
        cost_ms = (time.perf_counter() - began) * 1000
    if heat.size == 1:
        raise ExplanationError(
            f"The maps of {layer or LAST} of {classifier.name} have only one cell, which shows no place. "
            "Choose an earlier layer."
        )
    if not np.isfinite(heat).all():
        raise ExplanationError(
            f"{METHODS[method].title} gave no finite map for {classifier.name}. Choose another method."
        )
    return Explanation(classifier.name, method, target, heat, layer, smooth, cost_ms)


def check(
    classifier: Classifier, target: str, method: str, *, layer: str | None = None, smooth: str | None = None
) -> None:
    """Check the names that `explain` takes, at no cost. Arguments and errors as for `explain`."""
    if method not in METHODS:
        raise UnknownNameError("method", method, METHODS)
    facts = METHODS[method]
    if target not in classifier.card.labels:
        raise UnknownNameError(f"expression for model {classifier.name}", target, classifier.card.labels)
    if reason := supported(classifier)[method]:
        raise ExplanationError(reason)
    stages = STAGES.get(classifier.card.architecture, {LAST: 0})
    if layer is not None and layer not in stages:
        raise UnknownNameError(f"layer of model {classifier.name}", layer, stages)
    if layer not in (None, LAST) and not facts.layers:
        raise ExplanationError(f"{facts.title} takes no layer. Leave it at {LAST}, or choose another method.")
    if smooth is not None and smooth not in SMOOTHING:
        raise UnknownNameError("smoothing", smooth, SMOOTHING)
    if smooth is not None and smooth not in facts.smoothing:
        takes = f"takes only: {', '.join(facts.smoothing)}" if facts.smoothing else "takes no smoothing"
        raise ExplanationError(f"{facts.title} {takes}.")


def _native(classifier: Classifier, crop: NDArray[np.uint8], target: str) -> NDArray[np.float32]:
    (prediction,) = classifier.predict([crop], features=True)
    return attention(prediction, classifier.class_weights)[target].heat


def _perturbation(
    classifier: Classifier,
    crop: NDArray[np.uint8],
    target: str,
    method: str,
    progress: Callable[[float], None] | None,
) -> NDArray[np.float32]:
    if method == "occlusion":
        return sensitivity_map(classifier, crop, target)
    return rise(classifier, crop, target, centred=True, progress=progress)


def _library(
    classifier: Classifier,
    crop: NDArray[np.uint8],
    target: str,
    method: str,
    layer: str,
    smooth: str | None,
    progress: Callable[[float], None] | None,
) -> NDArray[np.float32]:
    """The map of one of the library's methods, (h, w)."""
    library = import_module("pytorch_grad_cam")
    cam_class = getattr(library, str(METHODS[method].library_name))
    targets = [library.utils.model_targets.ClassifierOutputTarget(classifier.card.labels.index(target))]
    inputs = classifier.inputs([crop])
    options: dict[str, Any] = {"eigen_smooth": smooth in ("eigen", "aug+eigen")}
    network: nn.Module
    if method == "refinecam":
        assert classifier.network is not None  # checked before
        stages = STAGES[classifier.card.architecture]
        network, layers = _split(classifier.network, [cut for cut in stages.values() if cut <= stages[layer]])
        cam = cam_class(network, layers)
        cams = cam.base_cam_per_layer
    else:
        options["aug_smooth"] = smooth in ("aug", "aug+eigen")
        made: dict[str, Any] = {}
        if classifier.network is not None:
            cut = [] if method == "fullgrad" else [STAGES[classifier.card.architecture][layer]]
            network, layers = _split(classifier.network, cut)
        else:
            network, layers, made["reshape_transform"] = _watchable(classifier)
            inputs.requires_grad_()  # the weights, frozen, ask for no gradient
        if method == "ablationcam":
            cam = _raw(_drops(cam_class))(network, layers, ablation_layer=_zeroes(library.AblationLayer), **made)
        else:
            cam = _raw(cam_class)(network, layers, **made)
        cams = [cam]
    try:
        with _watched(progress):
            heat = cam(inputs, targets, **options)[0]
    finally:  # the library's own `with` swallows exceptions
        for each in cams:
            each.activations_and_grads.release()
    return np.array(heat, np.float32, order="C")


def _watchable(classifier: Classifier) -> tuple[nn.Module, list[nn.Module], Callable[[Tensor], Tensor]]:
    """A copy of another system's network that shares its weights, its explained layer, and how maps are read off it."""
    engine = classifier.module_engine
    assert engine is not None and engine.explained is not None  # checked before
    clone = _copy(engine.module)
    for layer in clone.modules():
        layer._forward_hooks.clear()  # the engine's, which would keep what is computed here
    return clone, [clone.get_submodule(engine.explained.layer)], engine.explained.maps


def _copy(network: nn.Module) -> nn.Module:
    """A copy of a network's structure that shares its weights."""
    weights = [*network.parameters(), *network.buffers()]
    return copy.deepcopy(network, {id(tensor): tensor for tensor in weights})


class _Trunk(nn.Sequential):
    """The layers up to the (first) explained one. Gradients start at its output: the weights, frozen, ask for none."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            maps: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return maps.requires_grad_(torch.is_grad_enabled()).clone()  # a copy: layers that follow may work in place


def _split(network: PooledClassifier, cuts: Sequence[int]) -> tuple[PooledClassifier, list[nn.Module]]:
    """A copy of a network's structure that shares its weights, its features cut into parts.

    Args:
        network: pooled; its features are a sequence of layers.
        cuts: after how many layers, ascending.

    Returns:
        The copy, and its part before each cut.
    """
    clone = cast(PooledClassifier, _copy(network))
    layers = list(clone.features.children())
    bounds = [0, *cuts, len(layers)]
    parts: list[nn.Module] = [nn.Sequential(*layers[a:b]) for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
    if cuts:
        parts[0] = _Trunk(*layers[: cuts[0]])
    clone.features = nn.Sequential(*parts)
    return clone, parts[:-1]


def _raw(cam_class: Any) -> Any:
    """A method of the library whose maps are left as they are before ReLU, scaling and enlargement."""

    class Raw(cam_class):  # type: ignore[misc]
        def compute_cam_per_layer(self, inputs: Tensor, targets: Any, eigen_smooth: bool) -> Any:
            if not self.layers_given:  # FullGrad: the layers are its own and so is the way to add them up
                return super().compute_cam_per_layer(inputs, targets, eigen_smooth)
            kept = self.activations_and_grads
            features = kept.activations[0].cpu().numpy()
            gradients = kept.gradients[0].cpu().numpy() if kept.gradients else None
            return self.get_cam_image(inputs, self.target_layers[0], targets, features, gradients, eigen_smooth)

        def aggregate_multi_layers(self, maps: Any) -> Any:
            # FullGrad adds up absolute values, so that no cell is near 0: only what is above the least distinguishes
            # places.
            return maps if self.layers_given else maps.sum(1) - maps.sum(1).min()

        def __init__(self, network: nn.Module, layers: list[nn.Module], **options: Any) -> None:
            self.layers_given = bool(layers)
            super().__init__(network, layers, **options)

    return Raw


def _drops(ablation_cam: Any) -> Any:
    """Ablation-CAM whose weights are drops of the score also where the logit is negative.

    The library divides by the logit (Desai and Ramaswamy, WACV 2020; there scores are positive), which would turn
    evidence against such an expression into evidence for it.
    """

    class Drops(ablation_cam):  # type: ignore[misc]
        def get_cam_weights(self, inputs: Tensor, layer: nn.Module, targets: Any, maps: Any, gradients: Any) -> Any:
            weights = super().get_cam_weights(inputs, layer, targets, maps, gradients)
            with torch.no_grad():
                scores = [float(target(one)) for target, one in zip(targets, self.model(inputs), strict=True)]
            return weights * np.sign(scores)[:, None]

    return Drops


def _zeroes(ablation_layer: Any) -> Any:
    """A layer for Ablation-CAM that sets channels to 0, as its paper does; the library's sets some to -10,000,000."""

    class Zeroes(ablation_layer):  # type: ignore[misc]
        def __call__(self, _: Tensor) -> Tensor:
            maps: Tensor = self.activations
            rows = torch.arange(len(maps))
            maps[rows, torch.as_tensor(self.indices[: len(maps)], dtype=torch.long)] = 0
            return maps

    return Zeroes()


@contextmanager
def _watched(progress: Callable[[float], None] | None) -> Iterator[None]:
    """Let the library's progress bars, which write to the terminal, report here instead."""

    def watch(steps: Sequence[int]) -> Iterator[int]:
        for number, step in enumerate(steps):
            if progress is not None:
                progress(number / len(steps))
            yield step

    bars = [import_module(f"pytorch_grad_cam.{name}") for name in ("score_cam", "ablation_cam")]
    before = [module.tqdm for module in bars]
    try:
        for module in bars:
            setattr(module, "tqdm", SimpleNamespace(tqdm=watch))  # noqa: B010 - the library is untyped
        yield
    finally:
        for module, tqdm in zip(bars, before, strict=True):
            setattr(module, "tqdm", tqdm)  # noqa: B010


def all_expressions(classifier: Classifier, crop: NDArray[np.uint8]) -> dict[str, Explanation]:
    """The native maps of every expression a model knows, from one pass; their cost is the whole pass's. May be none.

    Args:
        classifier: it is not changed.
        crop: (S, S, 3) RGB or (S, S) grey, uint8.

    Raises:
        ImageError: the crop is not a square uint8 picture.
    """
    began = time.perf_counter()
    (prediction,) = classifier.predict([crop], features=True)
    maps = attention(prediction, classifier.class_weights)
    cost_ms = (time.perf_counter() - began) * 1000
    return {name: replace(one, method="native", cost_ms=cost_ms) for name, one in maps.items()}
