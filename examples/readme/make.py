"""The pictures of the README's section on the attention lab: python -m examples.readme.make, from the root.

They show `examples/astronaut.jpg` (public domain) under the models in weights/; make them anew after training.
"""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from explain.drawing.overlay import difference, draw_cells, draw_difference, draw_map, shared_peak
from explain.flip_consistency import compared
from explain.maps import attention
from fer_models.analyzer import Analyzer, load_analyzer
from fer_models.media.images import read_image

FOLDER: Final = Path(__file__).resolve().parent
#: Two networks of one architecture: without and with EAC.
_MIRRORED: Final = ("resnet50", "eac_resnet50")
_SIDE: Final = 200  # px of a picture
_GAP: Final = 14
_TEXT: Final = 48
_INK: Final = "#27272a"

Cell = tuple[NDArray[np.uint8], str]


def main() -> None:
    """Write maps.jpg and mirror.jpg beside this file."""
    analyzer = load_analyzer(device="cpu")
    _, crop = analyzer.find(read_image(FOLDER.parent / "astronaut.jpg"))[0]
    _save(FOLDER / "maps.jpg", maps(analyzer, crop))
    _save(FOLDER / "mirror.jpg", mirror(analyzer, crop))


def maps(analyzer: Analyzer, crop: NDArray[np.uint8]) -> list[list[Cell]]:
    """Every model's answer: its map on the face, and the cells it is made of."""
    rows: list[list[Cell]] = [[], []]
    for classifier in analyzer.classifiers.values():
        (prediction,) = classifier.predict([crop], features=True)
        found = attention(prediction, classifier.class_weights)
        one, peak = found[prediction.label], shared_peak(found.values())
        text = f"{classifier.card.title}\n{prediction.label}, {100 * prediction.confidence:.0f} %"
        rows[0].append((draw_map(crop, one, peak=peak, side=_SIDE), text))
        height, width = one.heat.shape
        rows[1].append((draw_cells(one, _SIDE, peak=peak), f"{height} x {width} cells"))
    return rows


def mirror(analyzer: Analyzer, crop: NDArray[np.uint8]) -> list[list[Cell]]:
    """A row a model: the map of the face, that of its mirror image flipped back, and their difference."""
    rows = []
    for classifier in (analyzer.classifiers[name] for name in _MIRRORED):
        prediction, flipped = classifier.predict([crop, crop[:, ::-1]], features=True)
        both = compared(prediction, flipped, classifier.class_weights)
        own = attention(prediction, classifier.class_weights)[prediction.label]
        row = both.labels.index(prediction.label)
        other = type(own)(own.model, own.method, own.expression, both.mirrored[row])
        peak = shared_peak([own, other])
        rows.append(
            [
                (draw_map(crop, own, peak=peak, side=_SIDE), f"{classifier.card.title}\nthe face"),
                (draw_map(crop, other, peak=peak, side=_SIDE), "its mirror image,\nflipped back"),
                (
                    draw_difference(crop, difference(own, other, peak, peak), side=_SIDE),
                    f"difference\ncorrelation {both.correlation:.2f}",
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
    sheet.save(path, quality=88, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    main()
