"""What every model predicts for every face of a video, and for how long."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from fer_models.analyzer import Analyzer
from fer_models.expressions import in_display_order
from fer_models.faces.following import FaceFollower
from fer_models.faces.tracking import Tracker
from fer_models.media.video_reader import VideoReader
from fer_models.media.video_segments import WHOLE, Segment, segment_of
from fer_models.results import FaceAnalysis

#: Frames analysed together: a batch of faces costs less per face; more frames would cost memory.
BATCH: Final = 4
#: Pixels of the frames analysed together, so that large ones do not add up: four of 1080p, one of 4K.
_BATCH_PIXELS: Final = 4 * 1920 * 1080


@dataclass(frozen=True, eq=False)
class FrameAnalysis:
    """One analysed frame.

    Attributes:
        time_s: seconds since the video's start.
        numbers: of the faces, the same person's the same through the video as far as `Tracker` can tell.
        faces: in the same order, boxes in px of this frame; `image` means nothing here.
        size: width and height of this frame in px; None if they are the video's.
    """

    time_s: float
    numbers: tuple[int, ...]
    faces: tuple[FaceAnalysis, ...]
    size: tuple[int, int] | None = None


def analyze_video(
    analyzer: Analyzer,
    reader: VideoReader,
    *,
    rate: float | None = 5.0,
    models: Sequence[str] | None = None,
    batch: int = BATCH,
    tracker: Tracker | None = None,
    segment: Segment = WHOLE,
) -> Iterator[FrameAnalysis]:
    """Read the frames of a video in order, a few at a time, in constant memory.

    Where a segment begins, all of a frame is searched for faces as if it were the first. So the faces of a segment do
    not depend on those before, except for their numbers.

    Args:
        analyzer: detects and classifies the faces.
        reader: from which nothing was taken yet.
        rate: frames per second to analyse; None means all.
        models: only these; None means all that are loaded.
        batch: frames handed to the analyzer together; fewer if they are larger than 1080p.
        tracker: numbers the faces; None means a new one.
        segment: only its frames, of a reader that `open_segment` gave.

    Raises:
        UnknownNameError: a model that is not loaded.
        ValueError: the rate or the batch is not positive.
    """
    if batch < 1 or not (rate is None or rate > 0):
        raise ValueError(f"Expected a positive rate and batch; got {rate} and {batch}.")
    tracker = tracker or Tracker()
    batch = max(1, min(batch, _BATCH_PIXELS // (reader.info.width * reader.info.height)))
    usual = (reader.info.width, reader.info.height)
    frames, follower, number = reader.frames(rate, segment.first, segment.end), FaceFollower(), -1
    while taken := list(islice(frames, batch)):
        while taken:
            numbers = [segment_of(frame.time_s, rate) for frame in taken]
            if numbers[0] != number:
                follower, number = FaceFollower(), numbers[0]
            part, taken = taken[: numbers.count(number)], taken[numbers.count(number) :]
            found: list[list[FaceAnalysis]] = [[] for _ in part]
            times = [frame.time_s for frame in part]
            images = [frame.image for frame in part]
            for face in analyzer.analyze(images, models=models, follower=follower, times_s=times):
                found[face.image].append(face)
            sizes = [(frame.image.shape[1], frame.image.shape[0]) for frame in part]
            images.clear()
            part.clear()  # whoever handles a record must not keep the pictures alive
            for time_s, size, faces in zip(times, sizes, found, strict=True):
                tracks = tuple(tracker.update(faces, time_s))
                yield FrameAnalysis(time_s, tracks, tuple(faces), None if size == usual else size)


@dataclass
class _Shares:
    """Of one face: seconds seen, seconds not all models agreed, seconds of each expression by model."""

    first_s: float
    last_s: float = 0.0
    seconds: float = 0.0
    split_s: float = 0.0
    labels: dict[str, dict[str, float]] = field(default_factory=dict)


class Summary:
    """For how long each face showed which expression according to each model.

    Each analysed frame stands for the time until the next one. Memory grows with the number of faces only.
    """

    def __init__(self) -> None:
        """Nothing seen yet."""
        self.frames = 0
        self.analysed_s = 0.0
        self._faces: dict[int, _Shares] = {}
        self._last: tuple[float, list[tuple[int, dict[str, str], bool]]] | None = None

    def add(self, frame: FrameAnalysis) -> None:
        """Take the next frame."""
        self.finish(frame.time_s)
        self.frames += 1
        labels = [{name: prediction.label for name, prediction in face.predictions.items()} for face in frame.faces]
        split = [face.agreement < 1 for face in frame.faces]
        self._last = (frame.time_s, list(zip(frame.numbers, labels, split, strict=True)))

    def finish(self, end_s: float) -> None:
        """Let the last frame stand until `end_s`."""
        if self._last is None:
            return
        start_s, faces = self._last
        self._last = None
        seconds = max(end_s - start_s, 0.0)
        self.analysed_s += seconds
        for number, labels, split in faces:
            shares = self._faces.setdefault(number, _Shares(start_s))
            shares.last_s = start_s + seconds
            shares.seconds += seconds
            shares.split_s += seconds * split
            for name, label in labels.items():
                model = shares.labels.setdefault(name, {})
                model[label] = model.get(label, 0.0) + seconds

    def faces(self) -> list[dict[str, Any]]:
        """One entry a face in the order of their numbers, ready for `json.dumps`.

            {"face": NUMBER, "first_s", "last_s", "seconds", "disagreement",
             "models": {NAME: {EXPRESSION: share of the face's time}}}

        `disagreement` is the share of the face's time in which not all models predicted the same, as
        `FaceAnalysis.agreement` counts it. Expressions that a model never predicted are left out; its shares sum to 1.
        """
        return [
            {
                "face": number,
                "first_s": round(shares.first_s, 3),
                "last_s": round(shares.last_s, 3),
                "seconds": round(shares.seconds, 3),
                "disagreement": _share(shares.split_s, shares.seconds),
                "models": {name: _ordered(labels, shares.seconds) for name, labels in shares.labels.items()},
            }
            for number, shares in sorted(self._faces.items())
        ]


def _ordered(labels: Mapping[str, float], seconds: float) -> dict[str, float]:
    return {label: _share(labels[label], seconds) for label in in_display_order(labels)}


def _share(part: float, whole: float) -> float:
    return round(part / whole, 4) if whole > 0 else 0.0


def total_disagreement(faces: Sequence[Mapping[str, Any]]) -> float | None:
    """Share of the time of all faces of `Summary.faces` in which not all models agreed; None without a face."""
    seconds = sum(face["seconds"] for face in faces)
    return _share(sum(face["disagreement"] * face["seconds"] for face in faces), seconds) if seconds else None
