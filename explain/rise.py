"""RISE: what a model answers for a face seen through many random masks. It needs nothing but the model's outputs."""

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from explain.occlusion import Fill, Predictor, filled, target_probabilities

#: Masks by default. The authors take 4,000 to 8,000 for photos of any object; faces are aligned and fill the picture.
MASKS: Final = 1000
#: Cells per side of the grid that masks are drawn on, the authors' choice.
GRID: Final = 7
_BATCH: Final = 32


def random_masks(
    generator: np.random.Generator, count: int, side: int, grid: int = GRID, keep: float = 0.5
) -> NDArray[np.float32]:
    """Masks with soft edges: random grids, enlarged bilinearly, at random shifts of up to one cell.

    Args:
        generator: of the random numbers.
        count: N, how many.
        side: S, of a mask in px.
        grid: cells per side.
        keep: the probability that a cell is seen.

    Returns:
        (N, S, S) float32 in [0, 1], 1 where the picture is seen.
    """
    cell = -(-side // grid)
    enlarged = (grid + 1) * cell
    cells = (generator.random((count, grid, grid)) < keep).astype(np.float32)
    shifts = generator.integers(0, cell, (count, 2))
    masks = np.empty((count, side, side), np.float32)
    for mask, each, (down, right) in zip(masks, cells, shifts, strict=True):
        large = cv2.resize(each, (enlarged, enlarged), interpolation=cv2.INTER_LINEAR)
        mask[:] = large[down : down + side, right : right + side]
    return masks


def rise(
    classifier: Predictor,
    crop: NDArray[np.uint8],
    target: str,
    *,
    masks: int = MASKS,
    grid: int = GRID,
    keep: float = 0.5,
    fill: Fill = "mean",
    seed: int = 0,
    centred: bool = False,
    progress: Callable[[float], None] | None = None,
) -> NDArray[np.float32]:
    """How probable an expression is while each place is seen: RISE (Petsiuk et al., BMVC 2018, equation 6).

    Args:
        classifier: the model.
        crop: (S, S, 3) RGB or (S, S) grey, uint8.
        target: the expression.
        masks: N, how many random masks.
        grid: cells per side of a mask before it is enlarged.
        keep: p, the probability that a cell is seen.
        fill: what masked pixels fade to. The authors mask normalised pictures, which is the training data's mean.
        seed: of the masks.
        centred: subtract the mean probability over all masks. What is left is how much more probable the expression is
            while a place is seen. It is signed, and freed of the noise of places that were seen more often than others.
        progress: called with the share done, in [0, 1]; an error that it raises stops the computation.

    Returns:
        (S, S) float32: the sum over masks of probability times mask, divided by N p.

    Raises:
        ValueError: fewer than one mask or cell, or a probability that is not in (0, 1].
        ImageError: the crop is not a square uint8 picture.
        UnknownNameError: the model does not know the expression, or no such fill.
    """
    if masks < 1 or grid < 1 or not 0 < keep <= 1:
        raise ValueError(f"Expected at least one mask and cell, and p in (0, 1]; got {masks}, {grid} and {keep}.")
    side, generator = crop.shape[0], np.random.default_rng(seed)
    cover, picture = filled(crop, fill).astype(np.float32), crop.astype(np.float32)
    weighted, seen, total = np.zeros((side, side)), np.zeros((side, side)), 0.0
    for start in range(0, masks, _BATCH):
        if progress is not None:
            progress(start / masks)
        batch = random_masks(generator, min(_BATCH, masks - start), side, grid, keep)
        shares = batch if crop.ndim == 2 else batch[..., None]
        views = np.rint(cover + shares * (picture - cover)).astype(np.uint8)
        scores = target_probabilities(classifier, list(views), target)
        weighted += np.tensordot(scores, batch, 1)
        seen += batch.sum(0)
        total += scores.sum()
    if centred:
        weighted -= total / masks * seen
    return np.asarray(weighted / (masks * keep), np.float32)
