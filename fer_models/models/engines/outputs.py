"""What every engine gives."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Outputs(NamedTuple):
    """What one pass gives.

    Attributes:
        logits: (N, C) float32.
        features: (N, K, h, w) float32, the last feature maps, or None where they were not asked for or the engine has
            none to give.
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32] | None
