"""Class folders: FER2013's Kaggle image folders, or anybody's own labelled photos."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_models.datasets.dataset import SPLITS, FaceData, in_split
from fer_models.errors import DatasetError, ImageError
from fer_models.expressions import EXPRESSIONS, ClassNames
from fer_models.formatting import examples, printable
from fer_models.media.images import SUFFIXES, read_image
from fer_models.media.sources import is_picture_file

_log = logging.getLogger(__name__)


def load_folder(
    root: Path, split: str, *, seed: int = 0, class_names: Mapping[str, str] | None = None, **_options: object
) -> FaceData:
    """Pictures below ROOT/SPLIT/CLASS/, or ROOT/CLASS/ where there is no folder of one of the split's names (`SPLITS`).

    The pictures are returned as they are, not cropped; a square one can be taken as a face. Where there is no
    folder for validation, "train" and "validation" share the training pictures, or those of ROOT/CLASS/, by a seed.

    A class folder has the name of an expression, or one that `class_names` says the expression of. What is left out is
    logged: other folders, and files that are no pictures or in no class folder.

    Raises:
        DatasetError: there is no class folder, no folder's name is an expression, or none of them holds a picture.
        ImageError: a picture cannot be read.
    """
    ours = SPLITS.get(split.lower(), split)
    entries = {entry.name: entry for entry in _visible(root) if entry.is_dir()}
    folders = {SPLITS.get(name.lower(), name): entry for name, entry in entries.items()} | entries
    shared = ours in ("train", "validation") and "validation" not in folders
    base = folders.get(split) or folders.get("train" if shared else ours, root)
    files = _labelled(root, base, class_names or {})
    if shared:
        files = [files[index] for index in np.flatnonzero(in_split(len(files), ours, seed))]
        if not files:
            raise DatasetError(f"{base}: one picture is too few to hold some out for validation.")
    faces = [_read(path, root) for path, _ in files]
    alike = len({face.shape for face in faces}) == 1
    return FaceData(
        "folder",
        ours,
        np.stack(faces) if alike else faces,
        np.array([target for _, target in files]),
        np.arange(len(files)),
        names=tuple(str(path.relative_to(root)) for path, _ in files),
    )


def _read(path: Path, root: Path) -> NDArray[np.uint8]:
    try:
        return read_image(path)
    except ImageError as error:  # it names the file alone, and every class may have one of that name
        raise ImageError(f"In {printable(path.parent.relative_to(root).as_posix())}: {error}") from error


def _labelled(root: Path, base: Path, class_names: Mapping[str, str]) -> list[tuple[Path, int]]:
    """The pictures of the class folders in `base`, each with the index of its expression."""
    entries = _visible(base)
    folders = [entry for entry in entries if entry.is_dir()]
    if not folders:
        raise DatasetError(f"{base}: expected one folder per expression ({', '.join(EXPRESSIONS)}), found none.")
    classes = ClassNames(class_names)
    files: list[tuple[Path, int]] = []
    left_out = [entry for entry in entries if not entry.is_dir()]
    known = 0
    for folder in folders:
        contents = _visible(folder)
        pictures = [path for path in contents if path.is_file() and is_picture_file(path)]
        word = classes.expression(folder.name, len(pictures))
        if word:
            known += 1
            files += [(path, EXPRESSIONS.index(word)) for path in pictures]
            left_out += sorted(set(contents) - set(pictures))
    if not known:
        found = examples([printable(name) for name in classes.unknown])
        raise DatasetError(
            f"{base}: no folder's name is an expression ({', '.join(EXPRESSIONS)}); found: {found}. {classes.advice()}"
        )
    if not files:
        raise DatasetError(f"{base}: the class folders hold no picture ({', '.join(sorted(SUFFIXES))}).")
    notes = classes.notes()
    if left_out:
        names = [printable(path.relative_to(root).as_posix()) for path in left_out]
        notes.append(f"{len(names)} other files and folders are left out: {examples(names)}.")
    for note in notes:
        _log.warning("%s: %s", base, note)
    return files


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
