"""Many pictures at once: every face in every file, classified by every model, as rows of one table."""

import logging
import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_models.analyzer import Analyzer
from fer_models.batch.table import Cell, Row, column
from fer_models.errors import BatchError, FerError, ImageError
from fer_models.expressions import in_display_order
from fer_models.faces.alignment import CROP_SIZE
from fer_models.faces.quality import face_quality
from fer_models.media.sources import PictureFile
from fer_models.results import Face, FaceAnalysis, FaceCrops, Prediction

_log = logging.getLogger(__name__)

#: Faces, or files, that the models are given at once.
BATCH: Final = 32
#: Reasons in the table that are no failure.
NO_FACE: Final = "No face was found."
READ_WHOLE: Final = "No face was found; the whole picture was read as one face."
UNEXPECTED: Final = "It could not be read, for an unexpected reason."


@dataclass(frozen=True, eq=False)
class FileResult:
    """What came of one file.

    Attributes:
        file: the file.
        rows: one per face, numbered from 1 in the detector's order, the largest first; or the one that says why there
            is none, whose "face" is empty.
        crops: of each face, (S, S, 3) uint8 RGB with S at most `CROP_SIZE`.
    """

    file: PictureFile
    rows: tuple[Row, ...]
    crops: tuple[NDArray[np.uint8], ...]


def unreadable(row: Row) -> bool:
    """Whether a row stands for a file that could not be read, rather than for a face or a picture without one."""
    return row.get("face") is None and row.get("reason") != NO_FACE


@dataclass(frozen=True)
class Counts:
    """What the rows of a finished batch hold.

    Attributes:
        faces: rows of faces.
        without: pictures without a face.
        unreadable: names of the files that could not be read, in their order.
        frames: analysed frames of videos.
        empty_frames: those of them without a face.
    """

    faces: int
    without: int
    unreadable: tuple[str, ...]
    frames: int = 0
    empty_frames: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        """The counts of further rows."""
        return Counts(
            self.faces + other.faces,
            self.without + other.without,
            tuple(dict.fromkeys(self.unreadable + other.unreadable)),
            self.frames + other.frames,
            self.empty_frames + other.empty_frames,
        )


def count_rows(rows: Iterable[Row]) -> Counts:
    """Count rows, of which the columns file, time_s, face and reason are enough."""
    faces = without = frames = empty = 0
    failed: dict[str, None] = {}  # several segments of a video may have failed
    for row in rows:
        of_video, face = row.get("time_s") is not None, row.get("face")
        if unreadable(row):
            failed[str(row["file"])] = None
            continue
        faces += face is not None
        frames += of_video and face in (None, 1)
        empty += of_video and face is None
        without += not of_video and face is None
    return Counts(faces, without, tuple(failed), frames, empty)


def disagreement(predictions: Mapping[str, Prediction]) -> float:
    """How far the models differ about one face: the mean Jensen-Shannon divergence of their pairs, in bits, in [0, 1].

    Distributions are joined by the expressions' names; an expression a model does not know has probability 0 in its
    own. 0 means that all predict the same probabilities, 1 that no two share any expression; 0 for one model (Lin, IEEE
    Trans. Inf. Theory 1991, for two distributions of equal weight).
    """
    if len(predictions) < 2:
        return 0.0
    names = in_display_order({label for prediction in predictions.values() for label in prediction.labels})
    values = np.array(
        [[p.probability(name) if name in p.labels else 0.0 for name in names] for p in predictions.values()]
    )
    entropies = _entropy(values)
    first, second = np.triu_indices(len(values), 1)
    divergences = _entropy((values[first] + values[second]) / 2) - (entropies[first] + entropies[second]) / 2
    return float(np.clip(divergences.mean(), 0, 1))


def _entropy(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shannon's entropy in bits of distributions (N, C)."""
    from scipy.special import entr  # slow to import

    return np.asarray(entr(values).sum(-1) / np.log(2))


def analyze_files(
    analyzer: Analyzer,
    files: Sequence[PictureFile],
    *,
    models: Sequence[str] | None = None,
    batch: int = BATCH,
    whole_if_none: bool = False,
    workers: int | None = None,
) -> Generator[FileResult]:
    """Read many files; the rows are those of reading them one by one, within the rounding of float32.

    A few threads decode pictures and look for faces while the models classify the faces found before, in batches across
    files. At most `batch` files and as many workers are ahead of the models, so the memory is bounded however many
    files there are. A file that cannot be read has one row with its reason. Close the iterator to stop early.

    Args:
        analyzer: the loaded models.
        files: as `sources` lists them.
        models: only these; None means all that are loaded.
        batch: faces or files, whichever are more, that the models are given at once.
        whole_if_none: read a picture in which no face is found as one face.
        workers: threads that decode and look for faces; None means one per core, and no more than four.

    Returns:
        One result per file, in the files' order.

    Raises:
        BatchError: `batch` is below 1.
        UnknownNameError: a model that is not loaded.
        WeightsError: the face detector cannot be loaded.
    """
    if batch < 1:
        raise BatchError(f"A batch of {batch} holds nothing. Use 1 or more.")
    analyzer.predict([], models=models)  # an unknown name is an error now and not at the first result
    return _results(analyzer, files, models, batch, whole_if_none, workers or min(4, os.cpu_count() or 1))


@dataclass(frozen=True, eq=False)
class _FileFaces:
    """What a worker hands over: faces to classify, the analyses of a picture taken whole, or neither and a reason.

    And, whichever it is, notes on the file.
    """

    file: PictureFile
    faces: Sequence[tuple[Face, FaceCrops]] = ()
    analyses: Sequence[FaceAnalysis] = ()
    reason: str | None = None
    notes: tuple[str, ...] = ()


def _results(
    analyzer: Analyzer,
    files: Sequence[PictureFile],
    models: Sequence[str] | None,
    batch: int,
    whole_if_none: bool,
    workers: int,
) -> Generator[FileResult]:
    coming = iter(files)
    ahead: deque[Future[_FileFaces]] = deque()
    found: list[_FileFaces] = []
    pool = ThreadPoolExecutor(workers, thread_name_prefix="batch")
    try:
        while True:
            while len(ahead) < batch + workers and (file := next(coming, None)) is not None:
                ahead.append(pool.submit(_detect, analyzer, file, models, whole_if_none))
            if not ahead:
                break
            found.append(ahead.popleft().result())
            if max(len(found), sum(len(item.faces) for item in found)) >= batch:
                yield from _predict(analyzer, found, models)
                found = []
        yield from _predict(analyzer, found, models)
    finally:
        pool.shutdown(cancel_futures=True)


def _detect(analyzer: Analyzer, file: PictureFile, models: Sequence[str] | None, whole_if_none: bool) -> _FileFaces:
    try:
        picture = file.read()
        image = picture.pixels
        faces = analyzer.detect(image)
        if faces:
            return _FileFaces(file, faces, notes=picture.notes)
        if not whole_if_none:
            return _FileFaces(file, reason=NO_FACE, notes=picture.notes)
        # Read here and not in a batch: a whole picture's crop has all its pixels, and a queue of such fills the memory.
        analyses = [_small(analysis) for analysis in analyzer.analyze([image], whole=True, models=models)]
        return _FileFaces(file, analyses=analyses, reason=READ_WHOLE, notes=picture.notes)
    except ImageError as error:
        return _FileFaces(file, reason=str(error))
    except FerError:  # would meet every file
        raise
    except Exception as error:  # whatever it is, one file does not lose the others
        _log.warning("A file of a batch could not be read: %s", type(error).__name__)
        return _FileFaces(file, reason=UNEXPECTED)


def _predict(analyzer: Analyzer, found: Sequence[_FileFaces], models: Sequence[str] | None) -> Iterator[FileResult]:
    faces = [(index, face, crop) for index, item in enumerate(found) for face, crop in item.faces]
    read: dict[int, list[FaceAnalysis]] = {index: list(item.analyses) for index, item in enumerate(found)}
    for analysis in analyzer.predict(faces, models=models):
        read[analysis.image].append(analysis)
    for index, item in enumerate(found):
        notes = {"reason": item.reason, "file_notes": joined(item.notes)}
        rows = [face_row(item.file.name, number, analysis, notes) for number, analysis in enumerate(read[index], 1)]
        crops = tuple(analysis.crop for analysis in read[index])
        without: Row = {"file": item.file.name, "reason": item.reason}
        if item.notes:
            without["file_notes"] = joined(item.notes)
        yield FileResult(item.file, tuple(rows) or (without,), crops)


def face_row(file: str, number: int, analysis: FaceAnalysis, notes: Mapping[str, Cell]) -> Row:
    """The row of a face.

    Args:
        file: its name.
        number: of the face in the picture, from 1.
        analysis: of the face.
        notes: the reason, and notes on the file.
    """
    row: Row = {"file": file, "face": number}
    row |= {name: round(float(side), 2) for name, side in zip(("x1", "y1", "x2", "y2"), analysis.face.box, strict=True)}
    row |= {
        "score": round(float(analysis.face.score), 6),
        "agreement": round(analysis.agreement, 6),
        "disagreement": round(disagreement(analysis.predictions), 6),
        "face_notes": joined(face_quality(analysis.face, analysis.crop).notes),
        **notes,
    }
    for name, prediction in analysis.predictions.items():
        row[column(name, "label")] = prediction.label
        row[column(name, "confidence")] = round(prediction.confidence, 6)
        for label in in_display_order(prediction.labels):
            row[column(name, label)] = round(prediction.probability(label), 6)
    return row


def joined(notes: Sequence[str]) -> str | None:
    """Sentences as the cell of a table; None if there are none."""
    return " ".join(notes) or None


def _small(analysis: FaceAnalysis) -> FaceAnalysis:
    """The same with a crop of at most `CROP_SIZE`."""
    if max(analysis.crop.shape) <= CROP_SIZE:
        return analysis
    crop = cv2.resize(analysis.crop, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_AREA)
    return FaceAnalysis(analysis.image, analysis.face, np.asarray(crop, np.uint8), analysis.predictions)
