"""Interlaced frames, two moments in alternate lines, made progressive."""

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from itertools import count
from typing import Final, TypeAlias

import av
from av.filter import Graph

_TICK: Final = Fraction(1, 25)  # any will do: the frames' times are kept here

#: Seconds since the video's start, and the frame.
Timed: TypeAlias = tuple[float, av.VideoFrame]


class Deinterlacer:
    """FFmpeg's bwdif on the frames flagged as interlaced; one frame comes out for each that goes in, in their order.

    Until the first interlaced frame, frames pass at once; from then on, each comes out when the next one goes in.

    Attributes:
        active: whether there was an interlaced frame.
    """

    def __init__(self) -> None:
        """Nothing seen yet."""
        self.active = False
        self._graph: Graph | None = None
        self._shape: tuple[int, int, str] | None = None
        self._times: deque[float] = deque()
        self._number = count()

    def add(self, time_s: float, frame: av.VideoFrame) -> Iterator[Timed]:
        """Take the next frame; gives those that are ready.

        Raises:
            av.FFmpegError: it cannot be filtered.
        """
        self.active = self.active or frame.interlaced_frame
        if not self.active:
            yield time_s, frame
            return
        shape = (frame.width, frame.height, frame.format.name)
        if self._graph is None or self._shape != shape:
            yield from self.finish()
            self._graph, self._shape = _graph(*shape), shape
        frame.pts, frame.time_base = next(self._number), _TICK
        self._times.append(time_s)
        self._graph.vpush(frame)
        yield from self._ready(self._graph)

    def finish(self) -> Iterator[Timed]:
        """Give the frames that are still held back.

        Raises:
            av.FFmpegError: they cannot be filtered.
        """
        graph, self._graph = self._graph, None
        if graph is not None:
            graph.vpush(None)
            yield from self._ready(graph)
        self._times.clear()

    def _ready(self, graph: Graph) -> Iterator[Timed]:
        while self._times:
            try:
                frame = graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return
            yield self._times.popleft(), frame


def _graph(width: int, height: int, form: str) -> Graph:
    graph = Graph()
    source = graph.add_buffer(width=width, height=height, format=av.VideoFormat(form), time_base=_TICK)
    graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
    graph.configure()
    return graph
