from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling

from fer_models.errors import ImageError
from fer_models.models.preprocessing import InputSpec

HALF = (0.5, 0.5, 0.5)
PLAIN = InputSpec(size=2, mode="rgb", mean=HALF, std=HALF, source_size=None)


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def test_colours_keep_their_channel_and_are_normalised() -> None:
    crop = np.zeros((2, 2, 3), np.uint8)
    crop[0, 1] = (255, 0, 51)
    tensor = PLAIN.transform([crop])
    assert tensor.shape == (1, 3, 2, 2) and tensor.dtype == torch.float32
    torch.testing.assert_close(tensor[0, :, 0, 1], torch.tensor([1.0, -1.0, -0.6]))
    torch.testing.assert_close(tensor[0, :, 0, 0], torch.full((3,), -1.0))


@pytest.mark.parametrize(
    ("colour", "luma"), [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29), ((9, 9, 9), 9)], ids=str
)
def test_grey_is_whole_bt601_levels_on_three_channels(colour: tuple[int, int, int], luma: int) -> None:
    spec = InputSpec(size=2, mode="grey", mean=HALF, std=HALF, source_size=None)
    tensor = spec.transform([np.full((2, 2, 3), colour, np.uint8)])
    torch.testing.assert_close(tensor, torch.full((1, 3, 2, 2), luma / 127.5 - 1))


def test_a_grey_crop_equals_the_same_crop_as_rgb() -> None:
    crop = noise(64, 64)
    for mode in ("grey", "rgb"):
        spec = InputSpec(mode=mode)
        assert torch.equal(spec.transform([crop]), spec.transform([crop[:, :, None].repeat(3, 2)]))


def test_a_large_crop_equals_its_reduction_to_the_source_size() -> None:
    crop = noise(24, 24).repeat(4, 0).repeat(4, 1)
    spec = InputSpec(size=112, source_size=48)
    pixels = spec.colour(torch.from_numpy(crop)[None, None])
    assert pixels.shape == (1, 1, 48, 48)
    assert torch.equal(pixels, pixels.round())
    as_file = pixels[0, 0].to(torch.uint8).numpy()
    assert torch.equal(spec.transform([crop]), spec.transform([as_file]))


def test_a_crop_at_or_below_the_source_size_is_not_blurred() -> None:
    spec = InputSpec(source_size=48)
    for side in (48, 20):
        crop = noise(side, side)
        assert torch.equal(spec.colour(torch.from_numpy(crop)[None, None])[0, 0], torch.from_numpy(crop).float())


def test_crops_of_several_sizes_share_a_batch_and_do_not_touch_each_other() -> None:
    spec = InputSpec()
    crops = [noise(48, 48), noise(112, 112, 3), noise(1, 1, 3)]
    batch = spec.transform(crops)
    assert batch.shape == (3, 3, 112, 112)
    for index, crop in enumerate(crops):
        assert torch.equal(batch[index : index + 1], spec.transform([crop]))


def test_a_batched_tensor_equals_single_crops() -> None:
    faces = noise(5, 48, 48)
    spec = InputSpec()
    torch.testing.assert_close(spec.prepare(torch.from_numpy(faces)[:, None]), spec.transform(list(faces)))


@pytest.mark.parametrize("mode", ["grey", "rgb"])
def test_training_and_the_app_prepare_colours_alike(mode: Literal["grey", "rgb"]) -> None:
    crops = noise(3, 112, 112, 3)
    spec = InputSpec(mode=mode)
    assert torch.equal(spec.prepare(torch.from_numpy(crops).permute(0, 3, 1, 2)), spec.transform(list(crops)))


def test_read_only_and_strided_crops_are_fine_and_stay_unchanged() -> None:
    crop = noise(50, 50)
    crop.flags.writeable = False
    before = crop.copy()
    InputSpec().transform([crop, crop[::-1, ::-1]])
    np.testing.assert_array_equal(crop, before)


@pytest.mark.parametrize("size", [150, 40])
@pytest.mark.parametrize(("name", "method"), [("bicubic", Resampling.BICUBIC), ("lanczos", Resampling.LANCZOS)])
def test_crops_are_resized_as_pillow_does(size: int, name: Any, method: Resampling) -> None:
    crop = noise(24, 24, 3).repeat(4, 0).repeat(4, 1)  # steep edges, at which these overshoot
    levels = InputSpec(size, "rgb", (0, 0, 0), (1 / 255,) * 3, None, name).transform([crop])
    theirs = np.asarray(Image.fromarray(crop).resize((size, size), method), np.float32)
    difference = np.abs(levels[0].permute(1, 2, 0).numpy() - theirs)
    assert difference.max() < 2.01 and difference.mean() < 0.02
    plain = InputSpec(size, "rgb", (0, 0, 0), (1 / 255,) * 3, None).transform([crop])
    assert (levels - plain).abs().max() > 10


@pytest.mark.parametrize(
    "crop",
    [np.zeros((4, 5, 3), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4), np.float32)]
    + [np.zeros((0, 0, 3), np.uint8), np.zeros(4, np.uint8), np.zeros((1, 4, 4, 3), np.uint8)],
    ids=lambda crop: f"{crop.shape} {crop.dtype}",
)
def test_other_crops_are_refused(crop: NDArray[np.uint8]) -> None:
    with pytest.raises(ImageError, match=r"Expected a crop of shape \(S, S, 3\)"):
        InputSpec().transform([crop])
