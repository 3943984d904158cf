"""Maps after the weights were randomised: by hand on a network of one layer, and that only a copy is randomised."""

import copy
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from explain import randomisation as module
from explain.maps import Explanation
from explain.randomisation import (
    CLASSIFIER,
    Randomisation,
    RandomisedStep,
    randomisation,
    similarity,
    to_record,
    why_not,
)
from fer_models.errors import ExplanationError, UnknownNameError
from fer_models.expressions import EXPRESSIONS
from fer_models.models.architectures import ARCHITECTURES, STAGES, PooledClassifier
from fer_models.models.card import ModelCard
from fer_models.models.classifier import Classifier
from fer_models.models.preprocessing import InputSpec
from tests.conftest import network_of, random_network

CPU = torch.device("cpu")
#: Red rises from left to right and from top to bottom, green falls as red rises: red + green is the same everywhere.
RED = np.array([[0, 10, 20], [30, 40, 50], [60, 70, 80]], np.uint8)
CROP = np.stack([RED, 80 - RED, np.zeros_like(RED)], axis=-1)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Classifier:
    """Two feature maps, red and green, and a head that takes anger from red and fear from green."""
    monkeypatch.setitem(STAGES, "tiny", {"stage4": 1})
    convolution = nn.Conv2d(3, 2, 1, bias=False)
    network = PooledClassifier(nn.Sequential(convolution), 2, 2)
    with torch.no_grad():
        convolution.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 1, 0]]).view(2, 3, 1, 1))
        network.fc.weight.copy_(torch.eye(2))
        network.fc.bias.zero_()
    spec = InputSpec(size=3, mode="rgb", mean=(0, 0, 0), std=(1, 1, 1), source_size=None)
    card = ModelCard("tiny", "Tiny", "tiny", ("anger", "fear"), spec, "none", "none", "MIT", 1, "")
    return Classifier(card, network, CPU)


def test_the_maps_after_each_step_by_hand(tiny: Classifier) -> None:
    pixels = CROP.transpose(2, 0, 1) / 255
    (result,) = randomisation(tiny, CROP, "anger", ["native"], draws=4, seed=3).values()
    np.testing.assert_allclose(result.true.heat, pixels[0], atol=1e-6)
    assert [step.layers for step in result.steps] == [CLASSIFIER, "stage4"]
    for draw in range(4):
        generator = torch.Generator().manual_seed(3 + draw)
        head = nn.init.kaiming_normal_(torch.empty(2, 2), generator=generator).numpy()
        # The map is red * a + green * b = (a - b) * red + a constant: in the order of red or in the opposite order.
        assert result.steps[0].similarities[draw] == pytest.approx(np.sign(head[0, 0] - head[0, 1]))
        kernel = nn.init.kaiming_normal_(torch.empty(2, 3, 1, 1), generator=generator).numpy()[:, :, 0, 0]
        seen = head[0] @ kernel
        assert result.steps[1].similarities[draw] == pytest.approx(np.sign(seen[0] - seen[1]))
        if draw == 0:  # the maps that are shown
            np.testing.assert_allclose(
                result.steps[0].explanation.heat, np.tensordot(head[0], pixels[:2], 1), atol=1e-5
            )
            np.testing.assert_allclose(result.steps[1].explanation.heat, np.tensordot(seen, pixels, 1), atol=1e-5)


def test_a_method_that_does_not_ask_the_classifier_is_found_out(tiny: Classifier) -> None:
    results = randomisation(tiny, CROP, "anger", ["native", "eigencam"], draws=8)
    assert list(results) == ["native", "eigencam"]
    assert results["eigencam"].steps[0].similarities == pytest.approx([1] * 8)
    assert results["eigencam"].verdict == "fails" and results["native"].steps[0].mean < 1


@pytest.mark.parametrize(("means", "verdict"), [((0.2, -0.9), "passes"), ((0.2, 0.4), "unclear"), ((0.7, 0), "fails")])
def test_the_verdict_is_that_of_the_step_that_changes_least(means: tuple[float, ...], verdict: str) -> None:
    true = Explanation("tiny", "native", "anger", np.eye(2, dtype=np.float32))
    steps = tuple(RandomisedStep("stage4", true, (mean - 0.1, mean + 0.1)) for mean in means)
    result = Randomisation(true, steps)
    assert result.verdict == verdict
    assert to_record(result)["verdict"] == verdict


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([[1, 2], [3, 4]], [[1, 3], [2, 4]], 0.8),  # 1 - 6 * (0 + 1 + 1 + 0) / (4 * (16 - 1))
        ([[1, 2], [3, 4]], [[1e-9, 2e-9], [3e-9, 9]], 1),
        ([[1, 2], [3, 4]], [[-1, -2], [-3, -4]], -1),
        ([[1, 2], [3, 4]], [[5, 5], [5, 5]], 0),
        ([[0, 0]], [[5, 5]], 1),
    ],
)
def test_similarity_by_hand(first: Any, second: Any, expected: float) -> None:
    assert similarity(np.array(first, np.float32), np.array(second, np.float32)) == pytest.approx(expected)


@pytest.mark.parametrize("architecture", ["mobilenet_v2", "vgg16"])
def test_the_cascade_leaves_nothing_trained_and_the_model_as_it_was(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = random_network(architecture, 7, 5)
    for layer in network.modules():  # nothing in it is as a fresh layer has it
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
            nn.init.constant_(layer.bias, 3)
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.constant_(layer.weight, 3)
            nn.init.constant_(layer.bias, 3)
    card = ModelCard(architecture, "A", architecture, EXPRESSIONS, InputSpec(size=32), "none", "none", "MIT", 1, "")
    classifier = Classifier(card, network, CPU)
    trained = copy.deepcopy(network_of(classifier).state_dict())
    random: list[set[str]] = []

    def explained(model: Classifier, crop: NDArray[np.uint8], target: str, method: str) -> Explanation:
        state = network_of(model).state_dict()
        names = [name for name in state if "num_batches" not in name]
        random.append({name for name in names if not torch.equal(state[name], trained[name])})
        return Explanation(model.name, method, target, np.eye(2, dtype=np.float32))

    monkeypatch.setattr(module, "explain", explained)
    randomisation(classifier, CROP, "anger", ["native"], draws=1)
    as_it_is, head, *stages = random
    assert not as_it_is and head == {"fc.weight", "fc.bias"}
    bounds = list(STAGES[architecture].values())
    for number, names in enumerate(stages):
        cut = [0, *bounds][len(stages) - 1 - number]
        expected = {name for name in trained if name.startswith("features.") and int(name.split(".")[1]) >= cut}
        assert names == head | {name for name in expected if "num_batches" not in name}
    for name, values in network_of(classifier).state_dict().items():
        assert torch.equal(values, trained[name]), name


def test_the_same_seed_gives_the_same_figures_and_the_shipped_model_answers_as_before(tiny: Classifier) -> None:
    before = copy.deepcopy(network_of(tiny).state_dict())
    answer = tiny.predict([CROP])[0].logits

    def heats(seed: int) -> list[Any]:
        torch.rand(3)  # whatever others draw
        (result,) = randomisation(tiny, CROP, "anger", ["native"], draws=2, seed=seed).values()
        return [step.explanation.heat.tolist() for step in result.steps]

    assert heats(0) == heats(0) != heats(1)
    assert all(torch.equal(values, before[name]) for name, values in network_of(tiny).state_dict().items())
    np.testing.assert_array_equal(tiny.predict([CROP])[0].logits, answer)


def test_every_architecture_can_be_randomised() -> None:
    for name, build in ARCHITECTURES.items():
        with torch.device("meta"):
            network = build(7)
        for layer in network.modules():
            known = isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d)
            assert known or not any(True for _ in layer.parameters(recurse=False)), (name, layer)


def test_models_without_stages_say_why(tiny: Classifier) -> None:
    graph: Any = SimpleNamespace(network=None, module_engine=None, card=tiny.card)
    other: Any = SimpleNamespace(network=None, module_engine=object(), card=tiny.card)
    assert why_not(tiny) == "" and "PyTorch" in why_not(graph) and "stages" in why_not(other)
    for model in (graph, other):
        with pytest.raises(ExplanationError, match="No check"):
            randomisation(model, CROP, "anger")
    network = PooledClassifier(nn.Sequential(nn.PReLU()), 3, 2)
    with pytest.raises(ExplanationError, match="PReLU"):
        randomisation(Classifier(tiny.card, network, CPU), CROP, "anger", ["native"])


def test_bad_arguments_and_progress(tiny: Classifier) -> None:
    shares: list[float] = []
    randomisation(tiny, CROP, "fear", ["native"], draws=2, progress=shares.append)
    assert shares == [0, 0.25, 0.5, 0.75]
    with pytest.raises(ValueError, match="at least one"):
        randomisation(tiny, CROP, "fear", draws=0)
    with pytest.raises(UnknownNameError):
        randomisation(tiny, CROP, "joy")
    with pytest.raises(UnknownNameError):
        randomisation(tiny, CROP, "fear", ["magic"])
