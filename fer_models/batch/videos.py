"""Videos in a batch: a row for every face of every analysed frame, segment by segment.

Segments can be analysed in any order and by several processes: their rows do not depend on one another. What does is
the number of a face's track; rows keep what `Tracker` needs for it until all segments are there.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

import numpy as np

from fer_models.analyzer import Analyzer
from fer_models.batch.run import NO_FACE, UNEXPECTED, face_row, joined, unreadable
from fer_models.batch.table import Row
from fer_models.errors import FerError, VideoError
from fer_models.faces.tracking import SIDE, Tracker, thumbnail
from fer_models.media.video_files import Limits, VideoFile
from fer_models.media.video_segments import WHOLE, Segment, open_segment, split
from fer_models.results import Face, FaceAnalysis
from fer_models.video.analysis import FrameAnalysis, analyze_video

_log = logging.getLogger(__name__)

#: A column of rows that have no track yet: the frame's exact time, the face's box and thumbnail, in hexadecimal.
SEEN: Final = "seen"
#: Files of one's own may be long: their segments are read one by one.
_LIMITS: Final = Limits(minutes=24 * 60, megabytes=1_000_000)
_SEEN: Final = np.dtype([("time_s", "<f8"), ("box", "<f4", 4), ("crop", "u1", (SIDE, SIDE))])


@dataclass(frozen=True)
class VideoPart:
    """A segment of one of a batch's videos.

    Attributes:
        video: the file.
        segment: which part of it.
        name: of this part alone.
    """

    video: VideoFile
    segment: Segment
    name: str = field(init=False)

    def __post_init__(self) -> None:
        """Name it: no file's name has such a character."""
        object.__setattr__(self, "name", f"{self.video.name}\0{self.segment.first}")

    @property
    def stamp(self) -> str:
        """The video's."""
        return self.video.stamp


def video_parts(video: VideoFile, rate: float) -> list[VideoPart]:
    """The parts of a video, in their order; of one that cannot be opened, the one that says so."""
    try:
        segments = split(video.path(), rate, _LIMITS)
    except VideoError:
        segments = (WHOLE,)
    return [VideoPart(video, segment) for segment in segments]


def analyze_segment(analyzer: Analyzer, part: VideoPart, rate: float) -> list[Row]:
    """The rows of a segment: one per face; one of a frame without any; one with the reason if it cannot be read.

    Args:
        analyzer: the loaded models.
        part: the segment.
        rate: frames per second to analyse, with which the segments were made.

    Raises:
        WeightsError: the face detector cannot be loaded.
    """
    name, segment = part.video.name, part.segment
    try:
        path = part.video.path()
        with open_segment(path, segment, rate, _LIMITS) as reader:
            frames = analyze_video(analyzer, reader, rate=rate, segment=segment)
            rows = [row for frame in frames for row in _rows(name, frame)]
            notes = joined(reader.notes)
    except VideoError as error:
        reason = str(error)
    except FerError:  # would meet every file
        raise
    except Exception as error:  # whatever it is, one file does not lose the others
        _log.warning("A video of a batch could not be read: %s", type(error).__name__)
        reason = UNEXPECTED
    else:
        return [row | {"file_notes": notes} for row in rows] if notes else rows
    return [{"file": name, "time_s": round(segment.first / rate, 4), "reason": reason}]


def _rows(file: str, frame: FrameAnalysis) -> list[Row]:
    time: Row = {"time_s": round(frame.time_s, 4)}
    rows = [
        face_row(file, number, face, time | {SEEN: seen_text(frame.time_s, face)})
        for number, face in enumerate(frame.faces, 1)
    ]
    return rows or [time | {"file": file, "reason": NO_FACE}]


def seen_text(time_s: float, face: FaceAnalysis) -> str:
    """A face as the column `SEEN` has it."""
    return np.array((time_s, face.face.box, thumbnail(face.crop)), _SEEN).tobytes().hex()


@dataclass(frozen=True, eq=False)
class _Seen:
    face: Face
    crop: Any


def with_tracks(rows: Sequence[Row]) -> list[Row]:
    """The rows of all segments of one video, in their order, with the numbers that its faces have from frame to frame.

    They are those of `analyze_video` on the whole video.
    """
    tracker = Tracker()
    result: list[Row] = []
    for time_s, group in groupby(rows, key=lambda row: row.get("time_s")):
        frame = [dict(row) for row in group]
        texts = [str(row.pop(SEEN, None) or "") for row in frame]
        seen = [np.frombuffer(bytes.fromhex(text), _SEEN)[0] for text in texts if text]
        if not unreadable(frame[0]):
            exact = float(seen[0]["time_s"]) if seen else float(time_s or 0)
            numbers = tracker.update([_Seen(Face(each["box"], None, 0.0), each["crop"]) for each in seen], exact)
            for row, number in zip(frame, numbers, strict=False):  # a frame without a face has a row and no number
                row["track"] = number
        result += frame
    return result
