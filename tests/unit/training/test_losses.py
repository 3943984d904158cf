"""EAC's loss and the augmentation, worked out by hand on tiny tensors."""

import math

import pytest
import torch
from torch import Tensor, nn

from fer_models.models.architectures import PooledClassifier, class_maps
from fer_models.models.preprocessing import InputSpec
from fer_models.training.augment import Augmentation, erase, geometry, light
from fer_models.training.losses import CrossEntropyTask, EACTask, attention_consistency

STILL = Augmentation(rotation=0, shift=0, scale=0, brightness=0, contrast=0, erase=0, flip=0)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_attention_consistency_by_hand() -> None:
    first = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    second = torch.tensor([[[[2.0, 1.0], [4.0, 7.0]]]])
    # mirrored second: [[1, 2], [7, 4]]; differences: 0, 0, -4, 0; mean of squares: 16 / 4
    assert attention_consistency(first, second).item() == 4.0
    assert attention_consistency(first, first.flip(-1)).item() == 0.0


def test_class_maps_by_hand() -> None:
    features = torch.tensor([[[[1.0, 2.0]], [[10.0, 20.0]]]])  # (1, 2, 1, 2)
    weight = torch.tensor([[1.0, 0.5], [0.0, -1.0], [2.0, 0.0]])
    expected = [[[6.0, 12.0]], [[-10.0, -20.0]], [[2.0, 4.0]]]
    assert class_maps(features, weight).tolist() == [expected]


class TwoChannels(nn.Module):
    """Features a test can compute by hand: the picture and its double."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x[:, :1], 2 * x[:, :1]], 1)


def tiny_network() -> PooledClassifier:
    network = PooledClassifier(TwoChannels(), 2, 2)
    with torch.no_grad():
        network.fc.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        network.fc.bias.zero_()
    return network


def test_eac_loss_by_hand() -> None:
    """Maps of the first view are (x, 2x); the mirrored view's, mirrored back, are the same, so only the cross-entropy
    is left. Logits are the means: 1 and 2; cross-entropy for the second class: log(1 + e^-1)."""
    x = torch.tensor([[[[0.0, 2.0], [0.0, 2.0]]]]).expand(1, 3, 2, 2)
    task = EACTask(tiny_network(), weight=5.0, view="mirrored", smoothing=0.0, erasing=0.0)
    loss, logits = task(x, torch.tensor([[0.0, 1.0]]), generator())
    assert logits.tolist() == [[1.0, 2.0]]
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1)))


class Lopsided(nn.Module):
    """Features that do not flip with the picture: column 0 counts, column 1 does not."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :1] * torch.tensor([1.0, 0.0])


def test_eac_penalises_attention_that_does_not_flip() -> None:
    network = PooledClassifier(Lopsided(), 1, 1)
    with torch.no_grad():
        network.fc.weight.fill_(3.0)
    x = torch.tensor([[[[1.0, 2.0], [1.0, 2.0]]]]).expand(1, 3, 2, 2)
    # first maps: [[3, 0], [3, 0]]; of the mirrored picture [[6, 0], [6, 0]], mirrored back [[0, 6], [0, 6]];
    # squares 9, 36, 9, 36; mean 22.5; lambda 2; one class: the cross-entropy is 0
    task = EACTask(network, weight=2.0, view="mirrored", smoothing=0.0, erasing=0.0)
    loss, _ = task(x, torch.ones(1, 1), generator())
    assert loss.item() == pytest.approx(45.0)
    task.ramp = 0.5
    assert task(x, torch.ones(1, 1), generator())[0].item() == pytest.approx(22.5)
    loss.backward()
    assert network.fc.weight.grad is not None
    assert network.fc.weight.grad.abs().sum().item() == 0.0  # class weights are detached in the maps


@pytest.mark.parametrize("view", ["mirrored", "independent"])
def test_the_two_views(view: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mirrored: the second view is the erased first one, mirrored. Independent: the mirrored face erased on its own."""
    seen: list[Tensor] = []
    network = tiny_network()
    original = network.forward_features

    def run_watched(x: Tensor) -> Tensor:
        seen.append(x)
        return original(x)

    monkeypatch.setattr(network, "forward_features", run_watched)
    task = EACTask(network, weight=5.0, view=view, smoothing=0.0, erasing=1.0)  # type: ignore[arg-type]
    x = torch.arange(3 * 16 * 16.0).reshape(1, 3, 16, 16)
    task(x, torch.tensor([[0.0, 1.0]]), generator())
    first, second = seen
    assert not torch.equal(first, x)
    assert torch.equal(second, first.flip(-1)) == (view == "mirrored")
    assert not torch.equal(second, x.flip(-1))


def test_cross_entropy_takes_soft_targets_and_mixes() -> None:
    x = torch.tensor([[[[1.0]]]]).expand(1, 3, 1, 1)
    plain = CrossEntropyTask(tiny_network(), smoothing=0.0, erasing=0.0, mixing=0.0, classes=2)
    loss, _ = plain(x, torch.tensor([[0.25, 0.75]]), generator())
    # logits 1 and 2
    assert loss.item() == pytest.approx(0.25 * math.log(1 + math.e) + 0.75 * math.log(1 + math.exp(-1)))
    mixed = CrossEntropyTask(tiny_network(), smoothing=0.0, erasing=0.0, mixing=1.0, classes=2)
    batch = torch.rand(8, 3, 4, 4, generator=generator())
    torch.manual_seed(0)
    value, logits = mixed(batch, torch.eye(2).repeat(4, 1), generator())
    assert logits.shape == (8, 2)
    assert math.isfinite(value.item())


def test_no_augmentation_is_what_evaluation_sees() -> None:
    faces = torch.randint(0, 256, (3, 1, 48, 48), generator=generator(), dtype=torch.uint8)
    spec = InputSpec(size=112)
    trained = spec.normalise(light(geometry(spec.colour(faces), 112, STILL, generator()), STILL, generator()))
    torch.testing.assert_close(trained.expand(-1, 3, -1, -1), spec.prepare(faces), rtol=0, atol=2e-4)


def test_flip_mirrors_every_face() -> None:
    faces = torch.rand(4, 1, 8, 8, generator=generator())
    how = Augmentation(rotation=0, shift=0, scale=0, flip=1.0)
    torch.testing.assert_close(geometry(faces, 8, how, generator()), faces.flip(-1), rtol=0, atol=1e-5)


def test_each_face_has_its_own_draw() -> None:
    faces = torch.rand(1, 1, 16, 16, generator=generator()).expand(6, -1, -1, -1)
    turned = geometry(faces, 16, Augmentation(), generator())
    assert len({tuple(face.flatten().tolist()) for face in turned}) == 6


def test_erasing_leaves_the_rest_alone() -> None:
    inputs = torch.full((64, 3, 32, 32), 9.0)
    assert torch.equal(erase(inputs, 0.0, generator()), inputs)
    erased = (erase(inputs, 1.0, generator()) != 9).all(1).float().mean((1, 2))
    assert (erased > 0).all()
    assert erased.max() <= 0.40  # 33 % and the rounding to whole pixels
    assert (inputs == 9).all()
