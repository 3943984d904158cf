"""Videos in a batch on a cluster: segments that workers analyse in any order, then numbered and written as parts.

A segment's rows without tracks are a file of their own, which readers of the folder leave out. Once all of a video's
are there, a worker numbers the faces through the video and writes its parts. Both steps give the same files however
often they are done, so whatever is killed, no row is lost or there twice.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cluster.batch_output import Output
from fer_models.batch.table import Row, to_frame
from fer_models.batch.videos import SEEN, VideoPart, with_tracks

_NAME: Final = re.compile(r"video-(\d+)-(\d+)-of-(\d+)-([0-9a-f]+)\.parquet")


@dataclass(frozen=True)
class VideoTask:
    """A segment to be analysed.

    Attributes:
        video: number of the video in the batch.
        index: of the segment.
        of: how many segments the video has.
        part: the segment.
    """

    video: int
    index: int
    of: int
    part: VideoPart


def part_name(output: Output, video: int, index: int, of: int) -> str:
    """The name of a segment's part. It comes after those of the pictures."""
    return f"video-{video:06}-{index:05}-of-{of:05}-{output.digest}.parquet"


def finished_videos(output: Output) -> dict[int, list[str]]:
    """Numbers of the videos all of whose parts are written, with these in their order."""
    parts: dict[int, list[str]] = {}
    of: dict[int, int] = {}
    for name in sorted(output.names()):
        match = _NAME.fullmatch(name)
        if match and match[4] == output.digest:
            parts.setdefault(int(match[1]), []).append(name)
            of[int(match[1])] = int(match[3])
    return {video: names for video, names in parts.items() if len(names) == of[video]}


def missing_segments(output: Output, videos: Mapping[int, Sequence[VideoPart]]) -> list[VideoTask]:
    """The segments that are to be analysed still.

    Args:
        output: of the batch.
        videos: the parts of those that are not finished, by number.
    """
    names = set(output.names())
    tasks = [
        VideoTask(video, index, len(parts), part) for video, parts in videos.items() for index, part in enumerate(parts)
    ]
    return [task for task in tasks if _unnumbered(output, task.video, task.index, task.of) not in names]


def write_segment(output: Output, task: VideoTask, rows: Sequence[Row], columns: Mapping[str, str]) -> None:
    """Keep the rows of a segment until they have tracks.

    Raises:
        BatchError: they cannot be written.
    """
    name = _unnumbered(output, task.video, task.index, task.of)
    output.write(name, to_frame(rows, {**columns, SEEN: "string"}))


def write_video(output: Output, video: int, of: int, columns: Mapping[str, str]) -> None:
    """Write the parts of a video all of whose segments are analysed; the segments stay, so that it can be done again.

    Raises:
        BatchError: they cannot be written.
    """
    segments = [output.read(_unnumbered(output, video, index, of)) for index in range(of)]
    rows = with_tracks([row for segment in segments for row in segment])
    start = 0
    for index, segment in enumerate(segments):
        part = rows[start : start + len(segment)]
        start += len(segment)
        output.write(part_name(output, video, index, of), to_frame(part, columns))


def _unnumbered(output: Output, video: int, index: int, of: int) -> str:
    return f"_{part_name(output, video, index, of)}"
