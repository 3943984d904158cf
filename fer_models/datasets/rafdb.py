"""RAF-DB (Li et al., CVPR 2017) in the layout its authors hand out, with the noise files of the EAC authors."""

from pathlib import Path
from typing import Final

import numpy as np

from fer_models.datasets.dataset import FaceData, in_split, split_name
from fer_models.errors import DatasetError
from fer_models.expressions import EXPRESSIONS
from fer_models.media.images import read_image

LABELS: Final = "list_patition_label.txt"
#: Native labels 1 to 7.
NATIVE: Final = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")


def load_rafdb(
    root: Path, split: str, *, labels_file: str | None = None, seed: int = 0, **_options: object
) -> FaceData:
    """RAF-DB's aligned faces, 100x100 RGB.

    Args:
        root: the folder with EmoLabel/ and Image/aligned/.
        split: "train", "validation" (a seeded tenth of the training list) or "test".
        labels_file: another list in EmoLabel/; "noise01.txt" and its like hold flipped training labels.
        seed: of the held-out tenth.

    Raises:
        DatasetError: a list or a picture is missing or malformed.
        UnknownNameError: no such split.
    """
    split = split_name(split)
    path = root / "EmoLabel" / (labels_file or LABELS)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise DatasetError(f"There is no {path}. RAF-DB's folder holds EmoLabel/ and Image/aligned/.") from None
    entries = [_entry(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    prefix = "test" if split == "test" else "train"
    listed = [(row, name, label) for row, (name, label) in enumerate(entries) if name.startswith(prefix)]
    if split != "test":
        listed = [listed[index] for index in np.flatnonzero(in_split(len(listed), split, seed))] if listed else []
    if not listed:
        raise DatasetError(f"{path}: no picture of the {split} split is listed (names start with {prefix}_).")
    aligned = root / "Image" / "aligned"
    faces = []
    for row, name, _ in listed:
        file = aligned / f"{Path(name).stem}_aligned.jpg"
        if not file.is_file():
            raise DatasetError(f"{path}, line {row + 1}: there is no {file}.")
        faces.append(read_image(file))
    shapes = {face.shape for face in faces}
    if any(height != width for height, width, _ in shapes):
        raise DatasetError(f"{aligned}: expected square aligned faces (100, 100, 3), got {sorted(shapes)}.")
    targets = np.array([EXPRESSIONS.index(NATIVE[label - 1]) for _, _, label in listed])
    rows = np.array([row for row, _, _ in listed])
    names = tuple(name for _, name, _ in listed)
    return FaceData("rafdb", split, np.stack(faces) if len(shapes) == 1 else faces, targets, rows, names=names)


def _entry(path: Path, number: int, line: str) -> tuple[str, int]:
    words = line.split()
    if len(words) != 2 or words[1] not in {"1", "2", "3", "4", "5", "6", "7"}:
        raise DatasetError(f"{path}, line {number}: expected 'NAME.jpg LABEL' with a label in 1..7, got {line!r}.")
    return words[0], int(words[1])
