"""A heat map of a crop, laid back onto the picture the face was cut from. NumPy and OpenCV only."""

import cv2
import numpy as np
from numpy.typing import NDArray

from explain.drawing.overlay import scaled
from explain.maps import Explanation
from fer_models.faces.alignment import spec_transform
from fer_models.results import SHARED_CROP, CropSpec, Face


def paste_map(
    image: NDArray[np.uint8],
    face: Face,
    explanation: Explanation,
    *,
    peak: float | None = None,
    opacity: float = 0.75,
    spec: CropSpec = SHARED_CROP,
) -> NDArray[np.uint8]:
    """Draw positive evidence over a face in its picture: styled as by `draw_map`, back through the crop's transform.

    Inside the crop's turned square the picture becomes grey, so that no colour of the face can be taken for evidence.

    Args:
        image: (H, W, 3) uint8 RGB; it is not changed.
        face: in pixels of that picture; without landmarks nothing is drawn.
        explanation: with heat (h, w), made from the face's crop.
        peak: the raw value drawn strongest; None means this map's own largest value.
        opacity: of the strongest evidence, in [0, 1].
        spec: how that crop was cut out.

    Returns:
        (H, W, 3) uint8 RGB, a copy.
    """
    picture = image.copy()
    if face.landmarks is None:
        return picture
    height, width = explanation.heat.shape
    # From picture to cells of the map: cell (column, row) covers [column, column + 1) x [row, row + 1).
    to_map = spec_transform(face, spec, 1) * [[width], [height]]
    turn = np.linalg.inv(to_map[:, :2])
    corners = (np.array([[0, 0], [width, 0], [width, height], [0, height]]) - to_map[:, 2]) @ turn.T
    limit = np.array(image.shape[1::-1])
    x1, y1 = np.floor(corners.min(0)).astype(int).clip(0, limit)
    x2, y2 = np.ceil(corners.max(0)).astype(int).clip(0, limit)
    if x2 <= x1 or y2 <= y1:
        return picture
    # cv2 counts from pixel centres, in the region as in the map.
    shift = to_map[:, :2] @ np.array([x1 + 0.5, y1 + 0.5]) + to_map[:, 2] - 0.5
    matrix = np.column_stack([to_map[:, :2], shift])
    size = (int(x2 - x1), int(y2 - y1))
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    heat = cv2.warpAffine(scaled(explanation, peak), matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    heat = np.clip(heat, 0, 1)
    square = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillConvexPoly(square, np.rint(corners - [x1, y1]).astype(np.int32), (255,), cv2.LINE_AA)
    inside = (square.astype(np.float32) / 255)[..., None]
    region = picture[y1:y2, x1:x2]
    grey = cv2.cvtColor(np.ascontiguousarray(region), cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    colours = cv2.applyColorMap(np.rint(heat * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)[..., ::-1]
    alpha = (opacity * np.sqrt(heat))[..., None]
    drawn = grey * (1 - alpha) + colours * alpha
    region[:] = np.rint(region * (1 - inside) + drawn * inside).astype(np.uint8)
    return picture
