import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fer_models.errors import UnknownNameError, WeightsError
from fer_models.models.architectures import build_network
from fer_models.models.card import ModelCard
from fer_models.models.weights import load_network, save_weights


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, write_model: Callable[..., ModelCard]) -> tuple[ModelCard, Path]:
    folder = tmp_path_factory.mktemp("saved")
    return write_model(folder, "tiny"), folder / "tiny.safetensors"


def test_a_network_comes_back_in_half_precision(tmp_path: Path, saved: tuple[ModelCard, Path]) -> None:
    torch.manual_seed(1)
    network = build_network("mobilenet_v2", 7)
    path = tmp_path / "m.safetensors"
    digest = save_weights(network, path)
    loaded = load_network(replace(saved[0], sha256=digest), path)
    assert not loaded.training
    for key, tensor in network.state_dict().items():
        expected = tensor.half().float() if tensor.is_floating_point() else tensor
        assert torch.equal(loaded.state_dict()[key], expected), key
        assert loaded.state_dict()[key].dtype == tensor.dtype
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert path.stat().st_size < 2.1 * sum(tensor.numel() for tensor in network.state_dict().values()) + 60_000


def test_saving_gives_the_sum_of_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    network = build_network("mobilenet_v2", 7)
    digest = save_weights(network.to(memory_format=torch.channels_last), path)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest == save_weights(network, path)
    assert list(tmp_path.iterdir()) == [path]


def test_diverged_weights_are_not_saved_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"the old one")
    network = build_network("mobilenet_v2", 7)
    with torch.no_grad():
        network.fc.bias[0] = 1e6
    with pytest.raises(WeightsError, match=r"fc\.bias.*float16"):
        save_weights(network, path)
    assert path.read_bytes() == b"the old one"


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WeightsError, match=r"Cannot write .*file/m\.safetensors"):
        save_weights(build_network("mobilenet_v2", 7), tmp_path / "file" / "m.safetensors")


def test_a_missing_file_says_what_to_do(tmp_path: Path, saved: tuple[ModelCard, Path]) -> None:
    with pytest.raises(WeightsError, match=r"There is no weight file .*gone\.safetensors.*git checkout.*train tiny"):
        load_network(saved[0], tmp_path / "gone.safetensors")


def test_a_folder_in_its_place_is_named(tmp_path: Path, saved: tuple[ModelCard, Path]) -> None:
    with pytest.raises(WeightsError, match="Cannot read the weight file"):
        load_network(saved[0], tmp_path)


def test_an_altered_file_is_refused(tmp_path: Path, saved: tuple[ModelCard, Path]) -> None:
    data = bytearray(saved[1].read_bytes())
    data[-1] ^= 1
    path = tmp_path / "altered.safetensors"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"was altered.*git checkout"):
        load_network(saved[0], path)


@pytest.mark.parametrize("kept", [0, 5, 9, 1000, -1], ids=lambda kept: f"{kept} bytes")
def test_a_truncated_file_says_so(tmp_path: Path, saved: tuple[ModelCard, Path], kept: int) -> None:
    path = tmp_path / "short.safetensors"
    path.write_bytes(saved[1].read_bytes()[:kept])
    with pytest.raises(WeightsError, match=r"is truncated: .* bytes\. Restore it with"):
        load_network(saved[0], path)


@pytest.mark.parametrize("data", [b"not weights at all", b"\x02\0\0\0\0\0\0\0[]", b"\x02\0\0\0\0\0\0\0{}"])
def test_another_format_is_refused_even_with_the_right_sum(
    tmp_path: Path, saved: tuple[ModelCard, Path], data: bytes
) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(data)
    card = replace(saved[0], sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(WeightsError, match="not in the safetensors format|does not fit"):
        load_network(card, path)


def test_weights_of_another_shape_name_what_differs(saved: tuple[ModelCard, Path]) -> None:
    card = replace(saved[0], labels=saved[0].labels[:6])
    with pytest.raises(WeightsError, match=r"fc\.weight has shape \(7, 1280\), expected \(6, 1280\)"):
        load_network(card, saved[1])


def test_weights_of_another_architecture_list_a_few_keys(saved: tuple[ModelCard, Path]) -> None:
    with pytest.raises(WeightsError, match=r"is missing; .* and \d+ more") as caught:
        load_network(replace(saved[0], architecture="vgg16"), saved[1])
    assert len(str(caught.value)) < 600


def test_an_unknown_architecture_is_named(saved: tuple[ModelCard, Path]) -> None:
    with pytest.raises(UnknownNameError, match="Unknown architecture 'transformer'"):
        load_network(replace(saved[0], architecture="transformer"), saved[1])
