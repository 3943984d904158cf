"""The whole leaderboard as one HTML file that asks nothing of any server."""

from dataclasses import dataclass

import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from dashboard.components.events import SAVE_SCRIPT
from dashboard.components.templates import render
from dashboard.leaderboard.board import LABEL_SETS, Board
from dashboard.leaderboard.sections import INTRO, SECTIONS, TITLE, Section
from dashboard.theme import CSS, FONT_STACK
from fer_models import __version__


@dataclass(frozen=True)
class Piece:
    """A part of a chapter.

    Attributes:
        chart: key of the chart; "" for HTML.
        content: the HTML, or the chart as JSON. No text in the JSON can leave its element: Plotly writes angle brackets
            as escapes.
    """

    chart: str
    content: Markup


@dataclass(frozen=True)
class Chapter:
    """A section of the leaderboard, for one label set if it depends on it.

    Attributes:
        anchor: its id in the file.
        title: what people read.
        pieces: in their order.
    """

    anchor: str
    title: str
    pieces: tuple[Piece, ...]


def report(board: Board) -> str:
    """The page: sections that depend on the label set once for each, the others once."""
    first = next(iter(LABEL_SETS))
    return render(
        "leaderboard/report.html",
        title=TITLE,
        intro=INTRO,
        version=__version__,
        chapters=[
            _chapter(board, section, name)
            for section in SECTIONS
            for name in (LABEL_SETS if section.by_labels else [first])
        ],
        css=Markup(CSS),
        font_stack=Markup(FONT_STACK),
        plotly=Markup(get_plotlyjs()),
        script=Markup(SAVE_SCRIPT),
    )


def _chapter(board: Board, section: Section, name: str) -> Chapter:
    pieces = tuple(
        Piece(chart, Markup(part.to_json()) if isinstance(part, go.Figure) else part)
        for chart, part in zip(section.charts, section.parts(board, name), strict=True)
        if isinstance(part, go.Figure) or part
    )
    title = f"{section.title}, {LABEL_SETS[name].title}" if section.by_labels else section.title
    return Chapter(f"{section.key}-{LABEL_SETS[name].labels}", title, pieces)
