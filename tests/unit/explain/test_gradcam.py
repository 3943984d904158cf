import copy
import gc
import re
from functools import partial
from typing import Any

import numpy as np
import pytest
import pytorch_grad_cam
import torch
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from explain import gradcam
from explain.gradcam import all_expressions, explain
from explain.maps import attention
from explain.methods import LAST, METHODS, SMOOTHING, supported
from explain.occlusion import sensitivity_map
from explain.rise import rise
from fer_models.analyzer import Analyzer
from fer_models.errors import ExplanationError, FerError, UnknownNameError
from fer_models.expressions import EXPRESSIONS
from fer_models.models.architectures import ARCHITECTURES, STAGES
from fer_models.models.card import ModelCard
from fer_models.models.classifier import Classifier
from fer_models.models.preprocessing import InputSpec
from tests.conftest import network_of, random_network

QUICK = [name for name in METHODS if METHODS[name].speed in ("at once", "fast") or name == "fullgrad"]
LIBRARY = [name for name, facts in METHODS.items() if facts.library_name]


def make(architecture: str, size: int = 64, seed: int = 5) -> Classifier:
    card = ModelCard(
        architecture, architecture, architecture, EXPRESSIONS, InputSpec(size=size), "none", "none", "MIT", 1, ""
    )
    return Classifier(card, random_network(architecture, 7, seed), torch.device("cpu"))


@pytest.fixture(scope="module")
def tiny() -> Classifier:
    return make("mobilenet_v2")


@pytest.fixture(scope="module")
def smaller() -> Classifier:
    """Quick, for what does not depend on the size: its maps have 2x2 cells."""
    return make("mobilenet_v2", size=32)


@pytest.fixture(scope="module")
def crop() -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(0, 256, (14, 14, 3), np.uint8).repeat(8, 0).repeat(8, 1)


def hooks(network: torch.nn.Module) -> int:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(module, kind)) for module in network.modules() for kind in kinds)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_native_equals_gradcam_and_hirescam_up_to_a_constant(architecture: str, crop: Any) -> None:
    classifier = make(architecture, 224 if architecture in ("resnet50_caffe", "mobilenet_v2_stride32") else 112)
    for target in ("anger", "neutral"):
        native = explain(classifier, crop, target)
        assert native.heat.shape == (7, 7)
        for method in ("gradcam", "hirescam"):
            # The constant is the number of cells: the gradient of a logit is w / 49 in every cell of a pooled map.
            heat = explain(classifier, crop, target, method).heat * 49
            np.testing.assert_allclose(heat, native.heat, rtol=1e-3, atol=1e-4 * np.abs(native.heat).max())
            # As the library draws it: after ReLU and scaling, the constant is gone.
            drawn, ours = (scale_cam_image(np.maximum(each, 0)[None])[0] for each in (heat, native.heat))
            np.testing.assert_allclose(drawn, ours, atol=1e-3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_stages_end_where_the_features_do(architecture: str) -> None:
    with torch.device("meta"):
        network = ARCHITECTURES[architecture](7)
    stages = list(STAGES[architecture].values())
    assert list(STAGES[architecture])[-1] == LAST
    assert stages == sorted(set(stages)) and stages[-1] == len(list(network.features.children()))


@pytest.mark.parametrize(
    ("method", "layer"),
    [(name, None) for name in QUICK if name != "native"]
    + [(name, "stage2") for name in LIBRARY if METHODS[name].layers and name != "ablationcam"],
)
def test_maps_are_the_librarys_own(tiny: Classifier, crop: Any, method: str, layer: str | None) -> None:
    ours = explain(tiny, crop, "fear", method, layer=layer)
    assert (ours.model, ours.method, ours.expression, ours.layer) == ("mobilenet_v2", method, "fear", layer)
    assert ours.cost_ms is not None and ours.cost_ms > 0
    assert ours.heat.dtype == np.float32
    assert ours.heat.shape == ((64, 64) if method in ("fullgrad", "refinecam") else (4, 4))

    network = copy.deepcopy(network_of(tiny)).requires_grad_(True)
    parts = list(network.features.children())
    cut = STAGES["mobilenet_v2"]
    layers = [parts[end - 1] for name, end in cut.items() if name == (layer or LAST)]
    if method == "fullgrad":
        layers = []
    elif method == "refinecam":
        layers = [parts[end - 1] for end in cut.values() if end <= cut[layer or LAST]]
    cam = getattr(pytorch_grad_cam, str(METHODS[method].library_name))(network, layers)
    theirs = cam(tiny.inputs([crop]), [ClassifierOutputTarget(EXPRESSIONS.index("fear"))])[0]
    if method == "fullgrad":
        expected = scale_cam_image(ours.heat[None])[0]
    else:
        expected = scale_cam_image(np.maximum(ours.heat, 0)[None], (64, 64))[0]
        expected = scale_cam_image(expected[None])[0]
    np.testing.assert_allclose(theirs, expected, atol=2e-3)


@pytest.mark.parametrize("rejected", [False, True])
def test_ablation_switches_one_channel_off_at_a_time(tiny: Classifier, crop: Any, rejected: bool) -> None:
    """Also where the logit is negative, a channel without which it falls is evidence for it."""
    (prediction,) = tiny.predict([crop])
    index = int(np.argmin(prediction.logits) if rejected else np.argmax(prediction.logits))
    heat = explain(tiny, crop, prediction.labels[index], "ablationcam", layer="stage2").heat
    network, cut = network_of(tiny), STAGES["mobilenet_v2"]["stage2"]
    parts = list(network.features.children())
    rest = nn.Sequential(*parts[cut:])
    with torch.no_grad():
        maps = nn.Sequential(*parts[:cut])(tiny.inputs([crop]))
        batch = maps.repeat(maps.shape[1], 1, 1, 1)
        batch[torch.arange(len(batch)), torch.arange(len(batch))] = 0
        whole = network.forward_head(rest(maps))[0, index]
        without = network.forward_head(rest(batch))[:, index]
        assert (whole < 0) == rejected
        expected = (((whole - without) / whole.abs())[:, None, None] * maps[0]).sum(0).numpy()
    np.testing.assert_allclose(heat, expected, rtol=1e-2, atol=1e-3 * np.abs(expected).max())


def test_aug_smoothing_averages_six_raw_maps(tiny: Classifier, crop: Any) -> None:
    inputs = tiny.inputs([crop])
    weight = network_of(tiny).fc.weight[EXPRESSIONS.index("anger")]
    expected = np.zeros((4, 4), np.float32)
    with torch.no_grad():
        for factor in (0.9, 1.0, 1.1):
            for mirrored in (False, True):
                seen = (inputs.flip(3) if mirrored else inputs) * factor
                heat: Any = torch.einsum("khw,k->hw", network_of(tiny).features(seen)[0], weight).numpy() / 16
                expected += (heat[:, ::-1] if mirrored else heat) / 6
    heat = explain(tiny, crop, "anger", "gradcam", smooth="aug").heat
    np.testing.assert_allclose(heat, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("method", [name for name in QUICK if METHODS[name].smoothing])
def test_every_smoothing_that_is_offered_works(smaller: Classifier, tiny: Classifier, crop: Any, method: str) -> None:
    classifier = tiny if method == "refinecam" else smaller  # its product of all stages is zero in so few cells
    plain = explain(classifier, crop, "fear", method)
    assert plain.heat.any()
    for smooth in METHODS[method].smoothing:
        smoothed = explain(classifier, crop, "fear", method, smooth=smooth)
        assert smoothed.smooth == smooth and smoothed.heat.shape[0] > 1
        assert not np.array_equal(plain.heat, smoothed.heat), smooth


def test_forty_calls_leave_nothing_behind(smaller: Classifier, crop: Any) -> None:
    network, inputs = network_of(smaller), smaller.inputs([crop])
    before = smaller.logits(inputs)
    modules, weights = list(network.modules()), [tensor.clone() for tensor in network.state_dict().values()]
    wheel = [name for name in QUICK if name not in ("fullgrad", "eigencam", "eigengradcam")]

    def tensors() -> int:
        gc.collect()
        return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())

    for name in QUICK:
        explain(smaller, crop, "fear", name)
    with pytest.raises(KeyboardInterrupt):
        explain(smaller, crop, "fear", "ablationcam", layer="stage1", progress=_interrupt)
    living = tensors()
    for call in range(40):
        explain(smaller, crop, EXPRESSIONS[call % 7], wheel[call % len(wheel)])
    assert tensors() == living
    assert hooks(network) == 0
    assert list(network.modules()) == modules
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in network.parameters())
    assert all(torch.equal(a, b) for a, b in zip(weights, network.state_dict().values(), strict=True))
    assert torch.equal(smaller.logits(inputs), before)


def _interrupt(_: float) -> None:
    raise KeyboardInterrupt


def test_slow_methods_report_and_can_be_stopped(
    tiny: Classifier, crop: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    shares: list[float] = []
    explain(tiny, crop, "fear", "scorecam", layer="stage1", progress=shares.append)
    assert shares[0] == 0 and shares == sorted(shares) and shares[-1] < 1
    with pytest.raises(KeyboardInterrupt):
        explain(tiny, crop, "fear", "scorecam", layer="stage1", progress=_interrupt)
    explain(tiny, crop, "fear", "scorecam", layer="stage1")
    assert capsys.readouterr() == ("", "")


def test_it_works_under_no_grad(tiny: Classifier, crop: Any) -> None:
    expected = explain(tiny, crop, "fear", "gradcam").heat
    for guard in (torch.no_grad(), torch.inference_mode()):
        with guard:
            np.testing.assert_array_equal(explain(tiny, crop, "fear", "gradcam").heat, expected)


def test_all_expressions_are_those_of_attention(analyzer: Analyzer, crop: Any) -> None:
    classifier = analyzer.classifiers["vgg16"]
    maps = all_expressions(classifier, crop)
    (prediction,) = classifier.predict([crop], features=True)
    assert list(maps) == list(classifier.card.labels)
    for name, expected in attention(prediction, classifier.class_weights).items():
        np.testing.assert_array_equal(maps[name].heat, expected.heat)
        assert maps[name].method == "native" and maps[name].cost_ms


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"method": "guesscam"}, UnknownNameError, "Unknown method 'guesscam'. Known: native, gradcam"),
        ({"target": "contempt"}, UnknownNameError, "Unknown expression for model mobilenet_v2 'contempt'"),
        ({"method": "gradcam", "layer": "stage9"}, UnknownNameError, "Unknown layer of model mobilenet_v2 'stage9'"),
        ({"layer": "stage2"}, ExplanationError, "takes no layer. Leave it at stage4"),
        ({"method": "fullgrad", "layer": "stage2"}, ExplanationError, "FullGrad takes no layer"),
        ({"smooth": "aug"}, ExplanationError, "takes no smoothing"),
        ({"method": "hirescam", "smooth": "eigen"}, ExplanationError, "HiResCAM takes only: aug"),
        ({"method": "gradcam", "smooth": "much"}, UnknownNameError, f"Known: {', '.join(SMOOTHING)}"),
    ],
)
def test_errors_say_what_to_do(
    tiny: Classifier, crop: Any, options: dict[str, str], kind: type[FerError], message: str
) -> None:
    options = {"target": "fear"} | options
    with pytest.raises(kind) as caught:
        explain(tiny, crop, **options)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_perturbation_maps_are_those_of_their_modules(
    tiny: Classifier, crop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradcam, "rise", partial(rise, masks=64))
    shares: list[float] = []
    seen = explain(tiny, crop, "fear", "rise", progress=shares.append)
    np.testing.assert_array_equal(seen.heat, rise(tiny, crop, "fear", masks=64, centred=True))
    assert (seen.method, seen.heat.shape, shares[0]) == ("rise", (112, 112), 0) and len(shares) == 2
    np.testing.assert_array_equal(explain(tiny, crop, "fear", "occlusion").heat, sensitivity_map(tiny, crop, "fear"))


def test_what_explains_a_model_depends_on_what_it_gives(tiny: Classifier, crop: Any) -> None:
    class Graph:
        """A file that gives answers, and perhaps features with the head that pools them, but no gradients."""

        def __init__(self, *, head: bool) -> None:
            self.card, self.name, self.network, self.predict = tiny.card, tiny.name, None, tiny.predict
            self.class_weights = tiny.class_weights if head else None
            self.module_engine = None
            self.remote = False

    def works(classifier: Any) -> list[str]:
        reasons = supported(classifier)
        assert list(reasons) == list(METHODS)
        for name, reason in reasons.items():
            if reason:
                with pytest.raises(ExplanationError, match=re.escape(reason)):
                    explain(classifier, crop, "fear", name)
        return [name for name, reason in reasons.items() if not reason]

    perturbations = ["occlusion", "rise"]
    assert works(tiny) == list(METHODS)
    assert works(Graph(head=True)) == ["native", *perturbations]
    assert works(Graph(head=False)) == perturbations
    graph: Any = Graph(head=False)
    assert explain(graph, crop, "fear", "occlusion").heat.shape == (8, 8)


@pytest.mark.parametrize("method", ["native", "gradcam"])
def test_a_map_of_one_cell_is_told(crop: Any, method: str) -> None:
    with pytest.raises(ExplanationError, match="stage4 of mobilenet_v2 have only one cell.*Choose an earlier layer"):
        explain(make("mobilenet_v2", size=16), crop, "fear", method)
