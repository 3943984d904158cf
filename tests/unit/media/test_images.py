import os
import re
import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from fer_models.errors import ImageError
from fer_models.media.image_formats import jxl_size
from fer_models.media.images import (
    MAX_JPEG_PIXELS,
    MAX_PIXELS,
    MIN_SIDE,
    as_image,
    begins_like_a_picture,
    read_image,
    read_picture,
)
from tests.helpers.texts import assert_states

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def corners() -> Image.Image:
    """40 x 24: red, green, blue and white quarters, so that every orientation is told apart."""
    pixels = np.zeros((24, 40, 3), np.uint8)
    pixels[:12, :20] = 255, 0, 0
    pixels[:12, 20:] = 0, 255, 0
    pixels[12:, :20] = 0, 0, 255
    pixels[12:, 20:] = 255
    return Image.fromarray(pixels)


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes whose header claims any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


class TestWhatIsRead:
    @pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "PPM"])
    def test_lossless_formats_are_exact_from_path_and_bytes(self, kind: str, tmp_path: Path) -> None:
        path = tmp_path / "a.bin"
        path.write_bytes(encoded(corners(), kind))
        for source in (path, str(path), path.read_bytes()):
            image = read_image(source)
            assert image.dtype == np.uint8 and image.shape == (24, 40, 3) and image.flags.writeable
            np.testing.assert_array_equal(image, np.asarray(corners()))

    @pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
    def test_lossy_formats_are_close(self, kind: str) -> None:
        image = read_image(encoded(corners(), kind, quality=95)).astype(int)
        np.testing.assert_allclose(image[6, 10], [255, 0, 0], atol=12)
        np.testing.assert_allclose(image[18, 10], [0, 0, 255], atol=12)

    def test_multi_picture_jpeg_of_phones(self) -> None:
        data = encoded(corners(), "MPO", save_all=True, append_images=[corners().rotate(180)])
        assert read_image(data).shape == (24, 40, 3)

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_orientation_is_undone(self, kind: str, orientation: int) -> None:
        how_cameras_store_it = {
            2: Image.Transpose.FLIP_LEFT_RIGHT,
            3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_90,
            7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270,
        }
        stored = corners()
        if orientation > 1:
            stored = stored.transpose(how_cameras_store_it[orientation])
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = read_image(encoded(stored, kind, exif=exif)).astype(int)
        assert image.shape == (24, 40, 3)
        for y, x in ((6, 10), (6, 30), (18, 10), (18, 30)):
            np.testing.assert_allclose(image[y, x], np.asarray(corners())[y, x], atol=30)  # JPEG halves colours

    def test_damaged_exif_does_not_lose_the_picture(self) -> None:
        data = encoded(corners(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert read_image(data).shape == (24, 40, 3)

    @pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
    def test_16_bit_is_scaled_not_clipped(self, kind: str) -> None:
        ramp = np.linspace(0, 65535, 32 * 32).astype(np.uint16).reshape(32, 32)
        image = read_image(encoded(Image.fromarray(ramp), kind))
        np.testing.assert_array_equal(image[..., 0], np.rint(ramp / 257).astype(np.uint8))
        assert image.shape == (32, 32, 3) and image.min() == 0 and image.max() == 255

    def test_16_bit_big_endian(self) -> None:
        ramp = np.linspace(0, 65535, 32 * 32).astype(">u2").reshape(32, 32)
        picture = Image.frombytes("I;16B", (32, 32), ramp.tobytes())
        np.testing.assert_array_equal(
            read_image(encoded(picture, "TIFF"))[..., 1], np.rint(ramp / 257).astype(np.uint8)
        )

    @pytest.mark.parametrize(
        ("low", "high", "dtype", "black", "white"),
        [
            (0, 255, np.int32, 0, 255),
            (0, 100, np.int32, 0, 100),
            (0, 65535, np.int32, 0, 255),
            (-1000, 3000, np.int32, 0, 255),
            (0, 2_000_000, np.int32, 0, 255),
            (0, 1, np.float32, 0, 255),
            (0, 0.5, np.float32, 0, 128),
            (0, 255, np.float32, 0, 255),
            (-3, 3, np.float32, 0, 255),
        ],
    )
    def test_32_bit_scales(self, low: float, high: float, dtype: Any, black: int, white: int) -> None:
        values = np.linspace(low, high, 400).astype(dtype).reshape(20, 20)
        image = read_image(encoded(Image.fromarray(values), "TIFF"))
        assert (image.min(), image.max()) == (black, white)
        assert (np.diff(image[..., 0].ravel().astype(int)) >= 0).all()

    def test_floats_that_are_no_numbers(self) -> None:
        values = np.full((20, 20), 0.5, np.float32)
        values[0, 0], values[0, 1] = np.nan, np.inf
        image = read_image(encoded(Image.fromarray(values), "TIFF"))
        assert image[0, 0].tolist() == [0, 0, 0] and image[5, 5].tolist() == [128, 128, 128]

    def test_cmyk(self) -> None:
        image = read_image(encoded(corners().convert("CMYK"), "JPEG", quality=95)).astype(int)
        np.testing.assert_allclose(image[6, 10], [255, 0, 0], atol=12)
        np.testing.assert_allclose(image[18, 30], [255, 255, 255], atol=12)

    @pytest.mark.parametrize("mode", ["1", "L", "P"])
    def test_grey_bilevel_and_palette(self, mode: str) -> None:
        picture = corners().convert(mode)
        np.testing.assert_array_equal(read_image(encoded(picture)), np.asarray(picture.convert("RGB")))

    def test_alpha_lies_on_white(self) -> None:
        picture = Image.new("RGBA", (20, 20), (200, 0, 0, 0))
        picture.paste((200, 0, 0, 255), (0, 0, 10, 20))
        picture.putpixel((15, 15), (0, 0, 0, 128))
        image = read_image(encoded(picture))
        assert image[5, 5].tolist() == [200, 0, 0]
        assert image[5, 15].tolist() == [255, 255, 255]
        assert image[15, 15].tolist() == [127, 127, 127]

    def test_grey_with_alpha_lies_on_white(self) -> None:
        assert (read_image(encoded(Image.new("LA", (20, 20), (0, 0)))) == 255).all()

    def test_transparent_palette_lies_on_white(self) -> None:
        picture = Image.new("P", (20, 20), 1)
        picture.putpalette([0, 0, 0, 0, 0, 255])
        for kind in ("GIF", "PNG"):
            assert (read_image(encoded(picture, kind, transparency=1)) == 255).all()
        assert (read_image(encoded(picture, "PNG", transparency=bytes([255, 0]))) == 255).all()

    @pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
    def test_first_frame_of_an_animation(self, kind: str) -> None:
        frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
        options = {"lossless": True} if kind == "WEBP" else {}
        picture = read_picture(encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options))
        assert picture.pixels[10, 10].tolist() == [255, 0, 0]
        (note,) = picture.notes
        assert_states(note, "2 pictures", "the first")
        assert read_picture(encoded(frames[0], kind)).notes == ()

    def test_damage_behind_the_first_frame_does_not_lose_it(self) -> None:
        frames = [Image.effect_noise((64, 64), sigma) for sigma in (40, 50, 60)]
        data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
        np.testing.assert_array_equal(read_image(data[: len(data) // 2]), read_image(data))

    @pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.jpg")), ids=lambda path: path.name)
    def test_examples(self, path: Path) -> None:
        assert read_image(path).shape[2] == 3


def grey_levels() -> NDArray[np.uint8]:
    """64 x 64 with every level from 0 to 255."""
    return np.arange(64 * 64, dtype=np.int64).reshape(64, 64).astype(np.uint8)


def png_16(samples: NDArray[np.uint16], declared: int | None = None) -> bytes:
    """A PNG of 16 bits a sample, (H, W) or (H, W, 3), with an sBIT chunk or without."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    header = struct.pack(">IIBBBBB", width, height, 16, 2 if channels == 3 else 0, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    depth = b"" if declared is None else chunk(b"sBIT", bytes([declared] * channels))
    data = chunk(b"IHDR", header) + depth + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def tiff_16(
    samples: NDArray[np.uint16], interpretation: int, orientation: int = 1, planes: int = 1, kind: int = 0
) -> bytes:
    """A TIFF of 16 bits a sample, (H, W) or (H, W, 3), with tags as TIFF 6.0 numbers their values."""
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    tags = {256: width, 257: height, 258: 16, 259: 1, 262: interpretation, 273: 0, 274: orientation, 277: channels}
    tags |= {254: kind, 278: height, 279: samples.nbytes, 284: planes}
    tags[273] = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, 1, tags[tag]) for tag in sorted(tags))
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + samples.astype("<u2").tobytes()


class TestDeepSamples:
    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_a_deep_tiffs_orientation_is_undone_once(self, channels: int, orientation: int) -> None:
        upright = np.arange(24 * 40, dtype=np.uint16).reshape(24, 40) * 68
        stored = {  # where the stored rows and columns begin (TIFF 6.0, Orientation)
            1: upright,
            2: upright[:, ::-1],
            3: upright[::-1, ::-1],
            4: upright[::-1],
            5: upright.T,
            6: np.rot90(upright),
            7: upright[::-1, ::-1].T,
            8: np.rot90(upright, -1),
        }[orientation]
        samples = stored if channels == 1 else np.dstack([stored] * 3)
        image = read_image(tiff_16(samples, 1 if channels == 1 else 2, orientation))
        np.testing.assert_array_equal(image[..., 1], np.rint(upright / 257).astype(np.uint8))

    def test_grey_from_white_to_black(self) -> None:
        levels = grey_levels().astype(np.uint16) * 257
        np.testing.assert_array_equal(read_image(tiff_16(65535 - levels, 0))[..., 0], grey_levels())

    def test_that_a_raw_files_preview_was_read_is_noted(self) -> None:
        (note,) = read_picture(tiff_16(grey_levels().astype(np.uint16) * 257, 1, kind=1)).notes
        assert_states(note, "preview of 64 x 64")

    def test_deep_planes_are_refused_and_not_read_as_noise(self) -> None:
        with pytest.raises(ImageError, match="separate planes"):
            read_image(tiff_16(np.dstack([grey_levels().astype(np.uint16) * 257] * 3), 2, planes=2))

    @pytest.mark.parametrize("bits", [10, 12, 14])
    @pytest.mark.parametrize("kind", ["PNG", "TIFF"])
    def test_grey_of_fewer_bits_than_its_file_has_room_for(self, bits: int, kind: str) -> None:
        levels = grey_levels()
        deep = (levels.astype(np.float64) * (2**bits - 1) / 255).round().astype(np.uint16)
        picture = read_picture(encoded(Image.fromarray(deep), kind))
        np.testing.assert_allclose(picture.pixels[..., 0].astype(int), levels, atol=1)
        assert f"{bits}-bit" in picture.notes[0]

    @pytest.mark.parametrize("bits", [10, 12])
    def test_colours_of_fewer_bits(self, bits: int) -> None:
        levels = np.dstack([grey_levels(), grey_levels()[::-1], grey_levels().T])
        deep = (levels.astype(np.float64) * (2**bits - 1) / 255).round().astype(np.uint16)
        picture = read_picture(png_16(deep))
        np.testing.assert_allclose(picture.pixels.astype(int), levels, atol=1)
        assert f"{bits}-bit" in picture.notes[0]

    def test_a_declared_depth_counts_for_a_dark_picture(self) -> None:
        dark = (grey_levels() // 8).astype(np.uint16) * 16  # at most 496 of 4,095
        picture = read_picture(png_16(dark, declared=12))
        np.testing.assert_allclose(picture.pixels[..., 0].astype(int), grey_levels() // 8, atol=1)
        assert "12-bit" in picture.notes[0]

    def test_a_tiffs_declared_greatest_value_counts(self) -> None:
        dark = (grey_levels() // 8).astype(np.uint16) * 16
        picture = read_picture(encoded(Image.fromarray(dark), "TIFF", tiffinfo={281: 4095}))
        np.testing.assert_allclose(picture.pixels[..., 0].astype(int), grey_levels() // 8, atol=1)

    def test_full_16_bit_colours_have_no_note_even_if_fewer_are_declared(self) -> None:
        deep = np.dstack([grey_levels()] * 3).astype(np.uint16) * 257
        picture = read_picture(png_16(deep, declared=12))
        np.testing.assert_array_equal(picture.pixels[..., 1], grey_levels())
        assert not picture.notes

    @pytest.mark.parametrize("top", [1.0, 255.0])
    def test_floating_point_colours(self, top: float, tmp_path: Path) -> None:
        levels = np.dstack([grey_levels(), grey_levels()[::-1], grey_levels().T])
        cv2.imwrite(str(tmp_path / "a.tiff"), (levels[..., ::-1] * (top / 255)).astype(np.float32))
        picture = read_picture(tmp_path / "a.tiff")
        np.testing.assert_allclose(picture.pixels.astype(int), levels, atol=1)
        assert not picture.notes


class TestPhones:
    @pytest.mark.parametrize("missing", [2, 200])
    def test_a_jpeg_that_is_cut_off_is_read_as_far_as_it_goes(self, missing: int, tmp_path: Path) -> None:
        whole = np.asarray(Image.open(EXAMPLES / "astronaut.jpg").convert("RGB"))
        path = tmp_path / "cut.jpg"
        path.write_bytes((EXAMPLES / "astronaut.jpg").read_bytes()[:-missing])
        for source in (path, path.read_bytes()):
            picture = read_picture(source)
            rows = len(whole) - 64
            np.testing.assert_allclose(picture.pixels[:rows].astype(int), whole[:rows], atol=2)
            assert "cut off" in picture.notes[0]

    def test_how_much_of_a_jpeg_is_missing_is_said(self) -> None:
        noise = np.random.default_rng(0).integers(0, 255, (160, 160, 3)).astype(np.uint8)
        content = encoded(Image.fromarray(noise), "JPEG")
        note = read_picture(content[: len(content) // 2]).notes[0]
        assert 40 <= int(re.findall(r"(\d+) %", note)[0]) <= 60

    def test_a_jpeg_without_any_rows_is_damaged(self) -> None:
        noise = np.random.default_rng(0).integers(0, 255, (640, 640, 3)).astype(np.uint8)
        content = encoded(Image.fromarray(noise), "JPEG")
        with pytest.raises(ImageError, match="damaged"):
            read_picture(content[: content.index(b"\xff\xda") + 20])

    def test_108_megapixels_are_read_at_a_reduced_size(self, recwarn: pytest.WarningsRecorder) -> None:
        large = Image.new("RGB", (12000, 9000), (10, 200, 30))
        picture = read_picture(encoded(large, "JPEG", quality=20))
        assert picture.pixels.shape == (4500, 6000, 3)
        np.testing.assert_allclose(picture.pixels[100, 100], [10, 200, 30], atol=6)
        assert "12000 x 9000" in picture.notes[0]
        assert not recwarn.list

    def test_a_jpegs_size_is_bounded_too(self) -> None:
        content = bytearray(encoded(corners(), "JPEG"))
        at = content.index(b"\xff\xc0")
        content[at + 5 : at + 9] = struct.pack(">HH", 20_000, 20_000)
        with pytest.raises(ImageError, match=f"{MAX_JPEG_PIXELS // 10**6} megapixels"):
            read_picture(bytes(content))

    def test_heic_upright_and_close(self) -> None:
        pillow_heif.register_heif_opener()
        levels = np.asarray(Image.open(EXAMPLES / "astronaut.jpg").convert("RGB"))
        try:
            content = encoded(Image.fromarray(levels), "HEIF", quality=90)
        except Exception:  # a build of the library without an encoder
            pytest.skip("this build of libheif writes no HEIC")
        assert abs(read_image(content).astype(int) - levels).mean() < 4
        turned = encoded(Image.fromarray(levels).rotate(90, expand=True), "HEIF", quality=90, exif=turned_by(6))
        assert abs(read_image(turned).astype(int) - levels).mean() < 4

    @pytest.mark.parametrize("lossless", [False, True])
    def test_jpeg_xl(self, lossless: bool) -> None:
        levels = np.asarray(Image.open(EXAMPLES / "astronaut.jpg").convert("RGB"))
        content = encoded_jxl(levels, lossless=lossless)
        assert abs(read_image(content).astype(int) - levels).mean() < (0.1 if lossless else 4)

    @pytest.mark.parametrize(("width", "height"), [(40, 24), (64, 64), (1000, 37), (300, 200), (2000, 1500)])
    def test_the_size_of_a_jpeg_xl_stands_in_its_header(self, width: int, height: int) -> None:
        content = encoded_jxl(np.zeros((height, width, 3), np.uint8), lossless=True)
        assert jxl_size(content) == (width, height)

    def test_a_jpeg_xl_bomb_is_refused_from_its_header(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fer_models.media.image_formats._jxl_opener", lambda: pytest.fail("decoded"))
        # Not small; both sides with 30 bits.
        bits = 0 | 3 << 1 | (99_999 << 3) | 0 << 33 | 3 << 36 | (99_999 << 38)
        with pytest.raises(ImageError, match="100000 x 100000"):
            read_picture(b"\xff\x0a" + bits.to_bytes(16, "little"))

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "AVIF", "PPM"])
    def test_first_bytes_tell_a_picture(self, kind: str) -> None:
        assert begins_like_a_picture(encoded(corners(), kind)[:32])

    @pytest.mark.parametrize("start", [b"", b"BMW and other cars", b"%PDF-1.7", b"PK\3\4", b"RIFF\0\0\0\0AVI ", b"P5x"])
    def test_first_bytes_of_other_files(self, start: bytes) -> None:
        assert not begins_like_a_picture(start.ljust(32, b"\1"))


def turned_by(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def encoded_jxl(pixels: NDArray[np.uint8], *, lossless: bool) -> bytes:
    import pillow_jxl  # noqa: F401

    return encoded(Image.fromarray(pixels), "JXL", lossless=lossless)


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("data", "says"),
        [
            (b"", "empty"),
            (encoded(corners())[:-40], "damaged or incomplete"),
            (encoded(corners())[:10], "damaged or incomplete"),
            (encoded(corners(), "JPEG")[:30], "damaged or incomplete"),
            (encoded(corners(), "GIF")[:60], "damaged or incomplete"),
            (encoded(corners(), "TIFF")[:300], "damaged or incomplete"),
            (encoded(corners(), "WEBP")[:40], "damaged or incomplete"),
            (b"just a text file\n" * 20, "not a picture"),
            (b"%PDF-1.7\n" + b"x" * 300, "not a picture"),
            (b"PK\x03\x04" + bytes(300), "not a picture"),
            (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "export it as PNG"),
            (b"\0\0\0\x18ftypheic" + bytes(300), "damaged or incomplete"),
            (b"\xff\x0a" + b"\x45" * 20, "damaged or incomplete"),
            (encoded(Image.new("RGB", (1, 1))), "at least 16 x 16"),
            (encoded(Image.new("RGB", (500, MIN_SIDE - 1))), "500 x 15"),
            (png_claiming(20_000, 20_000), "too large"),
            (png_claiming(10_000, 10_000), "too large"),
            (png_claiming(8_001, 8_000), "8001 x 8000"),
            (png_claiming(2_000_000_000, 2_000_000_000), "too large"),
            (b"\n<!DOCTYPE html><html><body>404</body></html>", "web page"),
            (b"%PDF-1.7\n", "PDF"),
            (b"\0\0\0\x18ftypcrx " + bytes(400), "raw file"),
            (b"\0\0\0\x18ftypmp42" + bytes(400), "Video tab"),
        ],
    )
    def test_message_says_what_to_do(self, data: bytes, says: str, tmp_path: Path) -> None:
        path = tmp_path / "holiday.png"
        path.write_bytes(data)
        for source in (path, data):
            with pytest.raises(ImageError, match=says) as caught:
                read_image(source)
            assert str(tmp_path) not in str(caught.value)
        with pytest.raises(ImageError, match="holiday.png"):
            read_image(path)

    def test_corrupt_in_the_middle(self) -> None:
        data = bytearray(encoded(Image.effect_noise((64, 64), 50)))
        data[200:260] = bytes(60)
        with pytest.raises(ImageError, match="damaged or incomplete"):
            read_image(bytes(data))

    def test_a_bomb_is_refused_from_the_header(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
        with pytest.raises(ImageError, match=f"{MAX_PIXELS // 10**6} megapixels"):
            read_image(png_claiming(20_000, 20_000))

    def test_limits_are_below_those_of_pillow(self) -> None:
        assert Image.MAX_IMAGE_PIXELS is not None and Image.MAX_IMAGE_PIXELS > MAX_PIXELS

    def test_missing_folder_and_pipe(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match=r"no file 'gone\.jpg'"):
            read_image(tmp_path / "gone.jpg")
        with pytest.raises(ImageError, match="no file"):
            read_image("a\0b")
        with pytest.raises(ImageError, match="not a file"):
            read_image(tmp_path)
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ImageError, match="not a file"):
            read_image(tmp_path / "pipe")

    def test_unused_formats_are_not_even_tried(self) -> None:
        with pytest.raises(ImageError, match="not a picture"):
            read_image(encoded(corners(), "TGA"))
        with pytest.raises(ImageError, match="not a picture"):
            read_image(encoded(corners(), "EPS"))

    @settings(max_examples=150, deadline=None)
    @given(
        kind=st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]),
        edits=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=8),
        cut=st.integers(0, 10_000),
    )
    def test_any_damage_gives_a_picture_or_an_image_error(
        self, kind: str, edits: list[tuple[int, int]], cut: int
    ) -> None:
        data = bytearray(encoded(corners(), kind))
        for at, byte in edits:
            data[at % len(data)] = byte
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                image = read_image(bytes(data[: cut % len(data) + 1]))
            except ImageError:
                return
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3


class TestAsImage:
    def test_hands_on_what_is_right(self) -> None:
        image = np.zeros((20, 30, 3), np.uint8)
        assert as_image(image) is image

    @pytest.mark.parametrize(
        ("array", "says"),
        [
            (np.zeros((20, 30), np.uint8), r"\(H, W, 3\), uint8 RGB; got \(20, 30\), uint8"),
            (np.zeros((20, 30, 4), np.uint8), r"got \(20, 30, 4\)"),
            (np.zeros((20, 30, 3), np.float32), "float32"),
            (np.zeros((0, 30, 3), np.uint8), "30 x 0"),
            (np.zeros((1, 1, 3), np.uint8), "1 x 1"),
            (np.broadcast_to(np.uint8(0), (20_000, 20_000, 3)), "too large"),
            (None, "NoneType"),
            ([[1, 2], [3, 4]], "list"),
        ],
    )
    def test_names_expected_and_actual(self, array: Any, says: str) -> None:
        with pytest.raises(ImageError, match=says):
            as_image(array)
