"""View model of EAC's idea on one face: erase, mirror, compare maps. No Gradio here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from dashboard.attention.pair_view import FlipResults
from dashboard.components.analyzed_image import AnalyzedFace
from explain.occlusion import occlude

_SIDE: Final = 260  # px
#: Left, top, right and bottom of the part that is erased, as shares of the side.
_ERASED: Final = (0.1, 0.3, 0.45, 0.62)


@dataclass(frozen=True, eq=False)
class Step:
    """One step of EAC's training.

    Attributes:
        title: what is done.
        text: why.
        pictures: (S, S, 3) uint8 RGB with their captions.
    """

    title: str
    text: str
    pictures: Sequence[tuple[NDArray[np.uint8], str]]


def eac_steps(face: AnalyzedFace, flips: FlipResults) -> list[Step]:
    """EAC's three steps on one face; the maps are those of the first model that was trained with EAC and has some.

    Args:
        face: the face.
        flips: maps of the face and of its mirror image.
    """
    whole = np.asarray(cv2.resize(face.crop, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)
    left, top, right, bottom = (round(share * _SIDE) for share in _ERASED)
    mask = np.zeros((_SIDE, _SIDE), bool)
    mask[top:bottom, left:right] = True
    erased = occlude(whole, mask, "mean")
    steps = [
        Step(
            "1. Erase",
            "A random part of the face is erased in every step of the training, so that no single spot can decide.",
            [(whole, "The face"), (erased, "A part erased")],
        ),
        Step(
            "2. Mirror",
            "The mirror image shows the same expression. The network sees both.",
            [(np.ascontiguousarray(erased[:, ::-1]), "Mirrored")],
        ),
    ]
    shown = next((one for one in flips.models if one.model.startswith("eac_") and one.panels), None)
    if shown is not None:
        text = (
            "The map of the mirror image, flipped back, must equal the map of the face. What differs is a loss beside "
            f"the classification. Shown on the whole face: {shown.title}."
        )
        steps.append(Step("3. Compare the maps", text, [(panel.drawn, panel.caption) for panel in shown.panels]))
    return steps
