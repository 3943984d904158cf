"""Train/test duplicates: faces of one split whose photo is in another, as in FER2013's public splits.

Results on PrivateTest are therefore given twice: for the whole split, as in the literature, and without duplicates.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Correlation of grey levels above which two pictures show the same photo.
THRESHOLD: Final = 0.99
_ROWS: Final = 2048  # of the larger set compared at a time; bounds the memory


def find_duplicates(
    faces: NDArray[np.uint8], others: NDArray[np.uint8], threshold: float = THRESHOLD
) -> NDArray[np.bool_]:
    """Which faces have a near duplicate among the others.

    Args:
        faces: (N, S, S) uint8.
        others: (M, S, S) uint8.
        threshold: Pearson correlation of the pixels above which two faces are duplicates. Blank ones correlate with
            nothing.

    Returns:
        (N,) bool.
    """
    standard = _standardised(faces)
    duplicates = np.zeros(len(faces), bool)
    for start in range(0, len(others), _ROWS):
        duplicates |= (standard @ _standardised(others[start : start + _ROWS]).T > threshold).any(1)
    return duplicates


def _standardised(faces: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, S * S) float32 rows of mean 0 and length 1, so that their products are correlations."""
    rows = faces.reshape(len(faces), -1).astype(np.float32)
    rows -= rows.mean(1, keepdims=True)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    standard: NDArray[np.float32] = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return standard
