import os
import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fer_models.errors import ImageError
from fer_models.media.images import MAX_PIXELS, MIN_SIDE, as_image, read_image

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
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert read_image(data)[10, 10].tolist() == [255, 0, 0]

    @pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.jpg")), ids=lambda path: path.name)
    def test_examples(self, path: Path) -> None:
        assert read_image(path).shape[2] == 3


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("data", "says"),
        [
            (b"", "empty"),
            (encoded(corners())[:-40], "damaged or incomplete"),
            (encoded(corners())[:10], "damaged or incomplete"),
            (encoded(corners(), "JPEG")[:-200], "damaged or incomplete"),
            (encoded(corners(), "JPEG")[:30], "damaged or incomplete"),
            (encoded(corners(), "GIF")[:60], "damaged or incomplete"),
            (encoded(corners(), "TIFF")[:300], "damaged or incomplete"),
            (encoded(corners(), "WEBP")[:40], "damaged or incomplete"),
            (b"just a text file\n" * 20, "not a picture"),
            (b"%PDF-1.7\n" + b"x" * 300, "not a picture"),
            (b"PK\x03\x04" + bytes(300), "not a picture"),
            (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "export it as PNG"),
            (b"\0\0\0\x18ftypheic" + bytes(300), "export it as JPEG"),
            (encoded(Image.new("RGB", (1, 1))), "at least 16 x 16"),
            (encoded(Image.new("RGB", (500, MIN_SIDE - 1))), "500 x 15"),
            (png_claiming(20_000, 20_000), "too large"),
            (png_claiming(10_000, 10_000), "too large"),
            (png_claiming(8_001, 8_000), "8001 x 8000"),
            (png_claiming(2_000_000_000, 2_000_000_000), "too large"),
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
