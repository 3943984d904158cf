"""What a session keeps of a video: files in a folder of its own, and small numbers for the charts. No Gradio here."""

import os
import shutil
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dashboard.components.uploads import SESSION_FOLDER_PREFIX
from fer_models.errors import VideoError
from fer_models.expressions import in_display_order
from fer_models.media.video_files import Limits
from fer_models.media.video_reader import VideoInfo, VideoReader
from fer_models.models.card import ModelCard
from fer_models.results import FaceAnalysis, Prediction, is_tied
from fer_models.results import agreement as share_of_models
from fer_models.video.analysis import FrameAnalysis

#: What the page takes: a minute of video takes about as long on a laptop's CPU.
LIMITS: Final = Limits(minutes=5, megabytes=200)
#: Rows of a face in a frame that the charts keep, 10 MB; the files have all.
MAX_ROWS: Final = 40_000
#: Tracks with a thumbnail, 3 MB; of those beyond, the ones seen in most frames have one.
MAX_THUMBNAILS: Final = 256
_THUMBNAIL: Final = 64


class Span(NamedTuple):
    """From when to when, in seconds of the video; the end is not part of it."""

    start_s: float
    end_s: float


def agreement(probabilities: NDArray[np.float32], expressions: Sequence[str]) -> NDArray[np.float64]:
    """As `FaceAnalysis.agreement`, of each point in time; (T,), NaN where there is no face.

    Args:
        probabilities: (T, models, expressions), NaN for what is not known.
        expressions: names along the last axis.
    """
    seen = ~np.isnan(probabilities).all((1, 2))
    shares = np.full(len(probabilities), np.nan)
    for index in np.flatnonzero(seen):
        models = [[float(value) for value in model] for model in np.nan_to_num(probabilities[index], nan=-1)]
        shares[index] = share_of_models(
            [
                [name for name, value in zip(expressions, model, strict=True) if is_tied(value, max(model))]
                for model in models
            ]
        )
    return shares


class Timeline:
    """Probabilities of each face over time, for the charts, and what it looks like.

    Attributes:
        expressions: all that any of the models knows, in display order.
        labels: each model's, by name.
        full: whether rows were left out because there were more than `MAX_ROWS`.
    """

    def __init__(self, cards: Mapping[str, ModelCard], names: Sequence[str]) -> None:
        """Nothing seen yet; `names` are the models in the order of the charts."""
        self.labels = {name: tuple(in_display_order(cards[name].labels)) for name in names}
        self.expressions = tuple(in_display_order({label for labels in self.labels.values() for label in labels}))
        self.full = False
        self._times: list[float] = []
        self._rows: dict[int, dict[int, NDArray[np.float32]]] = {}
        self._thumbnails: dict[int, tuple[float, NDArray[np.uint8]]] = {}
        self._count = 0

    def add(self, frame: FrameAnalysis) -> None:
        """Take the next analysed frame."""
        self.full = self.full or self._count + len(frame.faces) > MAX_ROWS
        if self.full:
            return
        self._count += len(frame.faces)
        for number, face in zip(frame.numbers, frame.faces, strict=True):
            row = np.full((len(self.labels), len(self.expressions)), np.nan, np.float32)
            for index, (name, labels) in enumerate(self.labels.items()):
                for label in labels:
                    row[index, self.expressions.index(label)] = face.predictions[name].probability(label)
            self._rows.setdefault(number, {})[len(self._times)] = row
            self._picture(number, face)
        self._times.append(frame.time_s)

    def thumbnail(self, face: int) -> NDArray[np.uint8] | None:
        """(64, 64, 3) uint8 RGB: the face where it is large and the detector most certain; None if none was kept."""
        kept = self._thumbnails.get(face)
        return None if kept is None else kept[1]

    def _picture(self, number: int, face: FaceAnalysis) -> None:
        quality = face.face.score * float(np.sqrt(np.prod(face.face.box[2:] - face.face.box[:2])))
        if number in self._thumbnails and quality <= self._thumbnails[number][0]:
            return
        small = cv2.resize(face.crop, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
        self._thumbnails[number] = quality, np.asarray(small, np.uint8)
        if len(self._thumbnails) > MAX_THUMBNAILS:
            del self._thumbnails[min(self._thumbnails, key=lambda kept: len(self._rows[kept]))]

    @property
    def times(self) -> NDArray[np.float64]:
        """(T,) seconds of the analysed frames."""
        return np.array(self._times)

    def probabilities(self, face: int) -> NDArray[np.float32]:
        """(T, models, expressions) float32 of one face; NaN where it was not seen or a model does not know."""
        values = np.full((len(self._times), len(self.labels), len(self.expressions)), np.nan, np.float32)
        for index, row in self._rows.get(face, {}).items():
            values[index] = row
        return values

    def disagreements(self, face: int, end_s: float) -> list[Span]:
        """When not all models agree about a face, in order; each analysed frame stands for the time until the next one.

        Args:
            face: its number.
            end_s: when the last analysed frame's time ends.
        """
        ends = [*self._times[1:], end_s]
        shares = agreement(self.probabilities(face), self.expressions)
        spans: list[Span] = []
        for start_s, stop_s, share in zip(self._times, ends, shares, strict=True):
            if not share < 1:  # NaN: not there
                continue
            if spans and spans[-1].end_s == start_s:
                spans[-1] = Span(spans[-1].start_s, stop_s)
            else:
                spans.append(Span(start_s, stop_s))
        return spans

    def first(self, face: int) -> float | None:
        """Seconds of the first analysed frame with a face; None if the charts have none."""
        rows = self._rows.get(face)
        return self._times[min(rows)] if rows else None

    def predictions(self, face: int) -> list[dict[str, Prediction] | None]:
        """What the models predict for a face in each analysed frame, by name; None where it is not there."""
        rows = self._rows.get(face, {})
        return [self._predictions(rows[index]) if index in rows else None for index in range(len(self._times))]

    def _predictions(self, row: NDArray[np.float32]) -> dict[str, Prediction]:
        predictions = {}
        for values, (name, labels) in zip(row, self.labels.items(), strict=True):
            known = np.array([values[self.expressions.index(label)] for label in labels], np.float32)
            predictions[name] = Prediction(name, labels, np.log(np.maximum(known, 1e-12)), known, 1.0, 0.0)
        return predictions


class VideoSession:
    """One video of one session. Its folder goes when the session forgets it, or at the latest when the app ends.

    Attributes:
        folder: of the upload, whose frames can be compared, and of the results.
        info: what the video is.
        stop: set to end the analysis and keep what is done.
        timeline: for the charts; None before the analysis.
        summary: as `fer_models.video.run` writes it; None until the analysis has ended.
    """

    def __init__(self, upload: Path, parent: Path) -> None:
        """Take an upload over, so that it stays as long as it is needed, and open it.

        Args:
            upload: where the upload lies.
            parent: the folder for the session's own.

        Raises:
            VideoError: it is no video that can be read, or it exceeds `LIMITS`.
        """
        self.folder = Path(mkdtemp(prefix=f"{SESSION_FOLDER_PREFIX}video-", dir=parent))
        self.close = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.source = self.folder / "source"
        self.stop = threading.Event()
        self.timeline: Timeline | None = None
        self.summary: Mapping[str, Any] | None = None
        try:
            _link(upload, self.source)
            with VideoReader(self.source, LIMITS) as reader:
                self.info: VideoInfo = reader.info
                self.first = next(reader.frames()).image
        except VideoError as error:
            self.close()
            raise VideoError(str(error).replace("'source'", "The file")) from None
        except BaseException:
            self.close()
            raise


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
