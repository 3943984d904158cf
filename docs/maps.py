"""Draw the evidence maps that docs/attention.md shows: python -m docs.maps.

They show `examples/astronaut.jpg` (public domain) with the models in weights/. Run it again after training.
"""

import argparse
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from explain.drawing.overlay import difference, draw_cells, draw_difference, draw_map, shared_peak
from explain.flip_consistency import compared
from explain.maps import attention
from fer_models.analyzer import Analyzer, load_analyzer
from fer_models.formatting import percent
from fer_models.media.images import read_image

ROOT: Final = Path(__file__).resolve().parents[1]
IMAGES: Final = ROOT / "docs" / "images"
#: Two networks with the same architecture: trained without EAC and with it.
_PAIR: Final = ("resnet50", "eac_resnet50")
_SIDE: Final = 200  # px of a picture
_GAP: Final = 14
_TEXT: Final = 48
_INK: Final = "#27272a"

Cell = tuple[NDArray[np.uint8], str]


def main() -> None:
    """Write maps.jpg and flip.jpg into docs/images/."""
    argparse.ArgumentParser("python -m docs.maps", description="Draw evidence maps of an example.").parse_args()
    analyzer = load_analyzer(device="cpu")
    crop = analyzer.analyze([read_image(ROOT / "examples" / "astronaut.jpg")])[0].crop
    _save(IMAGES / "maps.jpg", maps(analyzer, crop))
    _save(IMAGES / "flip.jpg", flip(analyzer, crop))


def maps(analyzer: Analyzer, crop: NDArray[np.uint8]) -> list[list[Cell]]:
    """The evidence map of each model's predicted class, smooth on the face and as the cells it consists of."""
    rows: list[list[Cell]] = [[], []]
    for classifier in analyzer.classifiers.values():
        (prediction,) = classifier.predict([crop], features=True)
        explanations = attention(prediction, classifier.class_weights)
        if not explanations:
            continue  # a graph without feature maps
        explanation, peak = explanations[prediction.label], shared_peak(explanations.values())
        text = f"{classifier.card.title}\n{prediction.label}, {percent(prediction.confidence, ' ')}"
        rows[0].append((draw_map(crop, explanation, peak=peak, side=_SIDE), text))
        height, width = explanation.heat.shape
        rows[1].append((draw_cells(explanation, _SIDE, peak=peak), f"{height} x {width} cells"))
    return rows


def flip(analyzer: Analyzer, crop: NDArray[np.uint8]) -> list[list[Cell]]:
    """For each model a row: the map of the face, that of its mirror image flipped back, and their difference."""
    rows = []
    for classifier in (analyzer.classifiers[name] for name in _PAIR):
        prediction, flipped = classifier.predict([crop, crop[:, ::-1]], features=True)
        weights = classifier.class_weights
        assert weights is not None  # `_PAIR` names models of this project
        pair = compared(prediction, flipped, weights)
        own = attention(prediction, weights)[prediction.label]
        row = pair.labels.index(prediction.label)
        other = type(own)(own.model, own.method, own.expression, pair.mirrored[row])
        peak = shared_peak([own, other])
        rows.append(
            [
                (draw_map(crop, own, peak=peak, side=_SIDE), f"{classifier.card.title}\noriginal"),
                (draw_map(crop, other, peak=peak, side=_SIDE), "mirrored,\nflipped back"),
                (
                    draw_difference(crop, difference(own, other, peak, peak), side=_SIDE),
                    f"difference\ncorrelation {pair.correlation:.2f}",
                ),
            ]
        )
    return rows


def _save(path: Path, rows: list[list[Cell]]) -> None:
    """Lay pictures and the texts below them out in rows."""
    width = max(len(row) for row in rows) * (_SIDE + _GAP) + _GAP
    sheet = Image.new("RGB", (width, len(rows) * (_SIDE + _TEXT + _GAP) + _GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for number, row in enumerate(rows):
        top = _GAP + number * (_SIDE + _TEXT + _GAP)
        for column, (picture, text) in enumerate(row):
            left = _GAP + column * (_SIDE + _GAP)
            sheet.paste(Image.fromarray(picture), (left, top))
            pen.multiline_text((left, top + _SIDE + 5), text, fill=_INK, font=font, spacing=3)
    path.parent.mkdir(exist_ok=True)
    sheet.save(path, quality=88, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    main()
