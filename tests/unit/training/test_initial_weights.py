"""Training that begins with external weights."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from fer_models.analyzer import list_models
from fer_models.cli.main import main
from fer_models.errors import WeightsError
from fer_models.models.architectures import build_network
from fer_models.models.card import ModelCard, read_card
from fer_models.models.external.torch_files.load import read_external
from fer_models.training.initial_weights import architecture_for, start_from
from tests.conftest import random_network
from tests.helpers.checkpoints import State, face_resnet, forward_by_hand, mobilenet, python2_pickle


@pytest.fixture(scope="module")
def vggface2(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, State]:
    """resnet50_ft_weight.pkl as its converter wrote it: no batch counters, a head for people, here for nine."""
    state = {key: value for key, value in face_resnet(9).items() if not key.endswith("num_batches_tracked")}
    path = tmp_path_factory.mktemp("vggface2") / "resnet50_ft_weight.pkl"
    path.write_bytes(python2_pickle({key: value.numpy() for key, value in state.items()}))
    return path, state


def test_vggface2_is_a_start_with_its_own_strides(vggface2: tuple[Path, State], tmp_path: Path) -> None:
    path, state = vggface2
    found = read_external(path)
    assert found.architecture == "resnet50_caffe"
    assert found.tensors["features.7.2.conv3.weight"].dtype == torch.float32
    assert list_models(path.parent) == [], "a start for training is no model"
    for start, folders in ((str(path), []), (path.stem, [tmp_path, path.parent]), (path.name, [path.parent])):
        assert architecture_for("resnet50", start, folders) == "resnet50_caffe"
    assert architecture_for("mobilenet_v2", str(path), []) == "mobilenet_v2"
    network = build_network("resnet50_caffe", 7).eval()
    head = network.fc.weight.clone()
    start_from(network, str(path), [])
    assert torch.equal(network.fc.weight, head), "the head told people apart"
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        features, _ = forward_by_hand(state, x)
        found_features = network.forward_features(x)
    torch.testing.assert_close(found_features, features, rtol=1e-3, atol=1e-3 * float(features.abs().max()))
    with pytest.raises(WeightsError, match="do not fit this network"):
        start_from(build_network("mobilenet_v2", 7), str(path), [])


def test_a_model_trained_from_vggface2_passes_its_strides_on(
    tmp_path: Path, write_model: Callable[..., ModelCard]
) -> None:
    """`train resnet50 --init resnet50_ft_weight.pkl`, then `train eac_resnet50`, which starts from runs/resnet50."""
    quick = random_network("mobilenet_v2", 7, seed=0)  # only the card is read
    for architecture in ("resnet50_caffe", "resnet50"):
        write_model(tmp_path, "resnet50", architecture=architecture, network=quick)
        assert architecture_for("resnet50", "resnet50", [tmp_path]) == architecture


def test_other_starts_keep_the_recipes_architecture(tmp_path: Path) -> None:
    face_state = face_resnet(7)
    torch.save({key: value for key, value in face_state.items() if key[:2] != "fc"}, tmp_path / "imagenet.pth")
    assert architecture_for("resnet50", "imagenet", [tmp_path]) == "resnet50"
    assert architecture_for("resnet50", None, []) == "resnet50"
    torchvisions = str(tmp_path / "imagenet.pth")
    assert architecture_for("resnet50", torchvisions, []) == "resnet50"
    network = build_network("resnet50", 7)
    start_from(network, torchvisions, [])
    assert torch.equal(network.state_dict()["features.0.weight"], face_state["conv1.weight"])
    with pytest.raises(WeightsError, match=r"There are no weights to start from: gone\.pkl, .*gone\.pkl"):
        start_from(network, "gone.pkl", [tmp_path])


def test_training_begins_with_an_eac_checkpoint(tmp_path: Path) -> None:
    """The command, from a .pth on: one epoch on a synthetic RAF-DB."""
    raf = tmp_path / "raf"
    (raf / "EmoLabel").mkdir(parents=True)
    (raf / "Image" / "aligned").mkdir(parents=True)
    names = [f"{split}_{number:02}" for split in ("train", "test") for number in range(20)]
    for name in names:
        cv2.imwrite(str(raf / "Image" / "aligned" / f"{name}_aligned.jpg"), np.full((100, 100, 3), 90, np.uint8))
    listed = "".join(f"{name}.jpg {index % 7 + 1}\n" for index, name in enumerate(names))
    (raf / "EmoLabel" / "list_patition_label.txt").write_text(listed)
    torch.save({"state_dict": mobilenet()}, tmp_path / "eac.pth")
    words = ["train", "eac_mobilenet_v2", "--labels", "rafdb", "--data", str(raf), "--out", str(tmp_path / "run")]
    words += ["--init", str(tmp_path / "eac.pth"), "--stages", "32x1", "--batch", "4", "--device", "cpu"]
    assert main([*words, "--threads", "1"]) == 0
    card = read_card(tmp_path / "run" / "eac_mobilenet_v2.json")
    assert card.architecture == "mobilenet_v2_stride32"
    assert card.recipe["settings"]["start"] == str(tmp_path / "eac.pth")
