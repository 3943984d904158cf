"""How a stored video frame is turned and mirrored when it is shown."""

from typing import Any

import av
import numpy as np
from numpy.typing import NDArray


def display_matrix(frame: av.VideoFrame) -> NDArray[np.int32] | None:
    """(2, 2) int32: x' y' of the shown picture from x y of the stored one; None if it is shown as stored."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    return np.frombuffer(bytes(data), np.int32).reshape(3, 3)[:2, :2].T


def swaps_sides(matrix: NDArray[np.int32] | None) -> bool:
    """Whether width and height change places."""
    return matrix is not None and abs(int(matrix[0, 1])) > abs(int(matrix[0, 0]))


def upright(image: NDArray[np.uint8], matrix: NDArray[np.int32] | None) -> NDArray[np.uint8]:
    """Turn and mirror by multiples of 90 degrees, the nearest where it says something in between."""
    if matrix is None:
        return image
    if swaps_sides(matrix):
        image, along_x, along_y = image.swapaxes(0, 1), matrix[0, 1], matrix[1, 0]
    else:
        along_x, along_y = matrix[0, 0], matrix[1, 1]
    return image[:: -1 if along_y < 0 else 1, :: -1 if along_x < 0 else 1]
