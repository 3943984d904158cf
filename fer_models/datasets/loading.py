"""Labelled faces from the public layouts, every label mapped to the one vocabulary by name.

| source  | files below the folder                                                            |
|---------|-----------------------------------------------------------------------------------|
| fer2013 | fer2013.csv (Kaggle: emotion,pixels,Usage)                                         |
| ferplus | fer2013.csv and fer2013new.csv (the FER+ votes, row for row)                       |
| rafdb   | EmoLabel/list_patition_label.txt or a noise file, Image/aligned/*_aligned.jpg      |
| folder  | SPLIT/CLASS/picture or CLASS/picture                                               |
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from fer_models.datasets import fer2013, folders, rafdb
from fer_models.datasets.dataset import FaceData, split_name
from fer_models.errors import DatasetError, UnknownNameError

SOURCES: Final = ("fer2013", "ferplus", "rafdb", "folder")


def load_data(source: str, root: Path, split: str, *, labels_file: str | None = None, seed: int = 0) -> FaceData:
    """The labelled faces of one split.

    Args:
        source: one of `SOURCES`.
        root: the folder that holds the dataset's files.
        split: "train", "validation" or "test", or as the dataset calls it (such as "PrivateTest").
        labels_file: for RAF-DB, another label list in EmoLabel/, such as "noise01.txt".
        seed: of the seeded validation split where the dataset has none of its own.

    Raises:
        DatasetError: a file is missing or malformed; the message names file, row and the expected shape.
        UnknownNameError: no such source or split.
    """
    loaders: dict[str, Callable[[], FaceData]] = {
        "fer2013": lambda: fer2013.load_fer2013(root, split_name(split)),
        "ferplus": lambda: fer2013.load_ferplus(root, split_name(split)),
        "rafdb": lambda: rafdb.load_rafdb(root, split_name(split), labels_file or rafdb.LABELS, seed),
        "folder": lambda: folders.load_folder(root, split, seed),
    }
    if source not in loaders:
        raise UnknownNameError("label set", source, loaders)
    if not root.is_dir():
        raise DatasetError(f"There is no folder {root}. Give the folder that holds the dataset's files.")
    return loaders[source]()
