"""The crops of a face: aligned by its landmarks, or around its box.

Coordinates here are continuous: pixel i covers [i, i + 1), its centre is at i + 0.5, and the whole picture is the box
(0, 0, W, H). So a point scales with its picture, and mirroring is x -> W - x.
"""

import math
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_models.errors import ImageError
from fer_models.media.images import as_image
from fer_models.results import CropSpec, Face

#: Side in pixels of an aligned crop; what the networks are fed.
CROP_SIZE: Final = 112

#: Where FER2013's training faces have their landmarks, as fractions of the side, in the order of `Face.landmarks`: the
#: median over 4,000 faces and their mirror images. Written to weights/results/landmark_template.json by
#: python -m benchmarks.landmark_template --data runs/data --faces 4000
TEMPLATE: Final[NDArray[np.float32]] = np.array(
    [[0.3121, 0.4014], [0.6879, 0.4014], [0.5, 0.6022], [0.3497, 0.7575], [0.6503, 0.7575]], np.float32
)
TEMPLATE.setflags(write=False)
_MOST_SIDE: Final = 1024  # of a crop that is not resampled: networks are fed less, and a larger one costs gigabytes


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
    return _sampled(image, crop_transform(face.landmarks, size), size)


def cut_out(image: NDArray[np.uint8], face: Face, spec: CropSpec) -> NDArray[np.uint8]:
    """Cut a face out as a model wants it.

    A box is made square around its middle, in whole pixels, and is not resampled unless it is turned or has a side of
    more than 1,024 px. Beyond the picture its border pixels are repeated.

    Args:
        image: (H, W, 3) uint8 RGB, the picture the face was found in.
        face: in pixels of that picture. Without landmarks it is a picture read whole: then all crops are the same, the
            largest centred square of its box.
        spec: which crop.

    Returns:
        (S, S, 3) uint8 RGB.

    Raises:
        ImageError: as for `align`.
    """
    if spec.kind == "landmarks" or face.landmarks is None:
        return align(image, face)
    as_image(image)
    x, y, side = _box_square(face, spec.margin)
    if spec.aligned:
        size = min(side, _MOST_SIDE)
        return _sampled(image, spec_transform(face, spec, size), size)
    height, width = image.shape[:2]
    if side > _MOST_SIDE:  # what is seen is shrunk before its border is repeated: a large margin would cost gigabytes
        left, top, right, bottom = max(x, 0), max(y, 0), min(x + side, width), min(y + side, height)
        if left >= right or top >= bottom:
            raise ImageError(
                f"The face's box {face.box.tolist()} holds no pixel of this picture of {width} x {height}."
            )
        share = _MOST_SIDE / side
        width, height = (max(1, round(length * share)) for length in (right - left, bottom - top))
        image = np.asarray(cv2.resize(image[top:bottom, left:right], (width, height), interpolation=cv2.INTER_AREA))
        x, y, side = round((x - left) * share), round((y - top) * share), _MOST_SIDE
    columns, rows = (np.arange(first, first + side).clip(0, limit - 1) for first, limit in ((x, width), (y, height)))
    return np.ascontiguousarray(image[rows[:, None], columns])


def spec_transform(face: Face, spec: CropSpec, size: int) -> NDArray[np.float64]:
    """The transform by which `cut_out` brings a picture's points to a crop's.

    Args:
        face: with landmarks.
        spec: which crop.
        size: side of the crop in pixels.

    Returns:
        (2, 3) float64, to be multiplied with (x, y, 1).

    Raises:
        ImageError: the landmarks all coincide.
    """
    assert face.landmarks is not None
    if spec.kind == "landmarks":
        return crop_transform(face.landmarks, size)
    x, y, side = _box_square(face, spec.margin)
    turn = np.eye(2)
    if spec.aligned:
        across = (face.landmarks[1] - face.landmarks[0]).astype(np.float64)
        if not (length := float(np.linalg.norm(across))) > 0:
            raise ImageError("The eyes of this face coincide, so it cannot be turned upright.")
        cosine, sine = across / length
        turn = np.array([[cosine, sine], [-sine, cosine]])
    turn *= size / side
    middle = np.array([x + side / 2, y + side / 2])
    return np.column_stack([turn, size / 2 - turn @ middle])


def _box_square(face: Face, margin: float) -> tuple[int, int, int]:
    """Left, top and side of a square around a box's middle, in whole pixels.

    Raises:
        ImageError: the box holds no pixel.
    """
    x1, y1, x2, y2 = map(float, face.box)
    side = round(max(x2 - x1, y2 - y1) * (1 + 2 * margin))
    if side <= 0:
        raise ImageError(f"The face's box {face.box.tolist()} holds no pixel.")
    return round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2), side


def _sampled(image: NDArray[np.uint8], to_crop: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """The crop (size, size, 3) of a picture by a similarity transform (2, 3) from its points to the crop's."""
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
