"""FER2013 (Goodfellow et al., 2013) in Kaggle's layout, and FER+ (Barsoum et al., ICMI 2016) labels for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from fer_models.datasets.dataset import SPLITS, FaceData, split_name
from fer_models.errors import DatasetError
from fer_models.expressions import EXPRESSIONS
from fer_models.media.files import read_csv

#: Kaggle's names of the file with the faces; the second has the columns in another order.
FILES: Final = ("fer2013.csv", "icml_face_data.csv")
VOTES_FILE: Final = "fer2013new.csv"
SIDE: Final = 48
USAGES: Final = ("Training", "PublicTest", "PrivateTest")
#: Native labels 0 to 6 of fer2013.csv.
NATIVE: Final = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
#: Vote columns of fer2013new.csv; the last three are no expression of the vocabulary.
VOTES: Final = (
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear"),
    *("contempt", "unknown", "NF"),
)


@dataclass(frozen=True, eq=False)
class _Table:
    faces: NDArray[np.uint8]  # (N, 48, 48)
    labels: NDArray[np.int64]  # (N,) native
    usage: NDArray[np.str_]  # (N,) as in the file


def load_fer2013(root: Path, split: str, **_options: object) -> FaceData:
    """FER2013's own labels: 28,709 / 3,589 / 3,589 faces.

    Raises:
        DatasetError: both of `FILES` are missing, or the one that is read is malformed.
        UnknownNameError: no such split.
    """
    split = split_name(split)
    table = _read_cached(_faces_file(root))
    to_vocabulary = np.array([EXPRESSIONS.index(name) for name in NATIVE])
    rows = np.flatnonzero(_splits(table.usage) == split)
    return FaceData("fer2013", split, table.faces[rows], to_vocabulary[table.labels[rows]], rows)


def load_ferplus(root: Path, split: str, **_options: object) -> FaceData:
    """FER+ majority labels on the seven basic expressions: 24,941 / 3,186 / 3,137 faces, with soft labels.

    A face counts when, single votes dropped, one expression of the seven holds more than half of what is left, as in
    the majority mode of the authors' public code. The soft label is the distribution of those votes over the seven.

    Raises:
        DatasetError: a file is missing or malformed, or the two do not belong together.
        UnknownNameError: no such split.
    """
    split = split_name(split)
    path = _faces_file(root)
    table = _read_cached(path)
    votes, usage = _read_votes(root / VOTES_FILE)
    if len(votes) != len(table.labels) or (usage != table.usage).any():
        raise DatasetError(
            f"{root / VOTES_FILE}: expected {len(table.labels)} rows whose Usage is row for row that of {path.name}, "
            f"got {len(votes)} rows. The two files do not belong together."
        )
    votes = np.where(votes > 1, votes, 0)
    top = votes.argmax(1)
    majority = votes.max(1) > 0.5 * votes.sum(1)
    known = np.array([name in EXPRESSIONS for name in VOTES])
    rows = np.flatnonzero(majority & known[top] & (_splits(table.usage) == split))
    to_vocabulary = np.array([EXPRESSIONS.index(name) if name in EXPRESSIONS else -1 for name in VOTES])
    order = [VOTES.index(name) for name in EXPRESSIONS]
    soft = votes[rows][:, order].astype(np.float32)
    soft /= soft.sum(1, keepdims=True)
    return FaceData("ferplus", split, table.faces[rows], to_vocabulary[top[rows]], rows, soft)


def _splits(usage: NDArray[np.str_]) -> NDArray[np.str_]:
    return np.array([SPLITS[name.lower()] for name in usage])


def _faces_file(root: Path) -> Path:
    """The first of `FILES` that is there."""
    path = next((root / name for name in FILES if (root / name).is_file()), None)
    if path is None:
        raise DatasetError(
            f"There is no {root / FILES[0]}, and no {FILES[1]}. They are the files of Kaggle's 'Challenges in "
            "Representation Learning' (columns emotion,pixels,Usage)."
        )
    return path


def _read_csv(path: Path) -> _Table:
    faces, labels, usage = [], [], []
    for number, row in read_csv(path, ("emotion", "pixels", "Usage"), str(path)):
        where = f"{path}, line {number}"
        try:
            face = np.array(row["pixels"].split(), dtype=np.int64)
        except ValueError as error:
            raise DatasetError(f"{where}: the pixels are not whole numbers: {error}") from None
        if face.size != SIDE * SIDE or not (face.min() >= 0 and face.max() <= 255):
            raise DatasetError(f"{where}: expected {SIDE * SIDE} grey levels in 0..255 (48 x 48), got {face.size}.")
        if row["emotion"] not in "0123456" or len(row["emotion"]) != 1:
            raise DatasetError(f"{where}: expected an emotion in 0..6, got {row['emotion']!r}.")
        if row["Usage"] not in USAGES:
            raise DatasetError(f"{where}: expected Usage Training, PublicTest or PrivateTest, got {row['Usage']!r}.")
        faces.append(face.astype(np.uint8).reshape(SIDE, SIDE))
        labels.append(int(row["emotion"]))
        usage.append(row["Usage"])
    if not faces:
        raise DatasetError(f"{path}: there are no rows below the header.")
    return _Table(np.stack(faces), np.array(labels), np.array(usage))


def _read_cached(path: Path) -> _Table:
    """The table, from a uint8 cache beside the file when that is up to date: seconds instead of half a minute."""
    cache = path.with_name(".fer2013.npz")
    stat = path.stat()
    stamp = np.array([stat.st_size, stat.st_mtime_ns])
    try:
        with cache.open("rb") as handle, np.load(handle, allow_pickle=False) as stored:
            if (stored["stamp"] == stamp).all():
                return _Table(stored["faces"], stored["labels"], stored["usage"])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        pass  # no cache yet, or one that was cut short: read the file again
    table = _read_csv(path)
    temporary = cache.with_name(".fer2013.partial.npz")
    try:
        np.savez(temporary, faces=table.faces, labels=table.labels, usage=table.usage, stamp=stamp)
        temporary.replace(cache)
    except OSError:
        temporary.unlink(missing_ok=True)  # a read-only or full folder only costs the speed
    return table


def _read_votes(path: Path) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    votes, usage = [], []
    if not path.is_file():
        raise DatasetError(
            f"There is no {path}. It is the label file of Microsoft's FER+ (columns Usage,Image name and ten vote "
            "columns)."
        )
    for number, row in read_csv(path, ("Usage", *VOTES), str(path)):
        try:
            votes.append([int(row[name]) for name in VOTES])
        except ValueError:
            raise DatasetError(f"{path}, line {number}: expected ten whole numbers of votes.") from None
        usage.append(row["Usage"])
    return np.array(votes, dtype=np.int64).reshape(-1, len(VOTES)), np.array(usage)
