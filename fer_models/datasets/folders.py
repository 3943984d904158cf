"""Class folders: FER2013's Kaggle image folders, or anybody's own labelled photos."""

from pathlib import Path

import numpy as np

from fer_models.datasets.dataset import SPLITS, FaceData, in_split
from fer_models.errors import DatasetError, UnknownNameError
from fer_models.expressions import EXPRESSIONS, expression
from fer_models.media.images import SUFFIXES, read_image


def load_folder(root: Path, split: str, seed: int = 0) -> FaceData:
    """Pictures below ROOT/SPLIT/CLASS/, or ROOT/CLASS/ where there is no folder of the split's name.

    The pictures are returned as they are, not cropped; a square one can be taken as a face. Where there is no
    folder for validation, "train" and "validation" share the training pictures, or those of ROOT/CLASS/, by a seed.

    Raises:
        DatasetError: there is no class folder, a folder's name is no expression, or a picture cannot be read.
    """
    ours = SPLITS.get(split.lower(), split)
    shared = ours in ("train", "validation") and not (root / "validation").is_dir()
    names = [split, split.lower(), *(["train"] if shared else [])]
    base = next((root / name for name in names if (root / name).is_dir()), root)
    folders = sorted(folder for folder in base.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    if not folders:
        raise DatasetError(f"{base}: expected one folder per expression ({', '.join(EXPRESSIONS)}), found none.")
    files: list[tuple[Path, int]] = []
    for folder in folders:
        try:
            target = EXPRESSIONS.index(expression(folder.name))
        except UnknownNameError as error:
            raise DatasetError(f"{folder}: the folder's name is no expression. {error}") from None
        pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
        files += [(path, target) for path in pictures]
    if not files:
        raise DatasetError(f"{base}: the class folders hold no picture ({', '.join(sorted(SUFFIXES))}).")
    if shared:
        files = [files[index] for index in np.flatnonzero(in_split(len(files), ours, seed))]
        if not files:
            raise DatasetError(f"{base}: one picture is too few to hold some out for validation.")
    faces = [read_image(path) for path, _ in files]
    alike = len({face.shape for face in faces}) == 1
    return FaceData(
        "folder",
        ours,
        np.stack(faces) if alike else faces,
        np.array([target for _, target in files]),
        np.arange(len(files)),
        names=tuple(str(path.relative_to(root)) for path, _ in files),
    )
