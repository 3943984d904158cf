"""`python -m fer_models report`: the whole leaderboard as one HTML file that asks nothing of any server."""

import argparse
from html import escape
from pathlib import Path
from typing import Final

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from dashboard.components.downloads import SAVE_SCRIPT
from dashboard.leaderboard.board import LABEL_SETS, Board, read_board
from dashboard.leaderboard.sections import INTRO, SECTIONS, TITLE, Section
from dashboard.theme import CSS, FONT_STACK
from fer_models import __version__
from fer_models.cli.common import add_flags, weights_folder
from fer_models.errors import FerError
from fer_models.media.files import open_text

_PAGE_CSS: Final = f"""
body {{ margin: 0; background: #fafafa; font-family: {FONT_STACK}; }}
.dark body {{ background: #131316; }}
main {{ max-width: 1100px; margin: 0 auto; padding: 0 20px 40px; }}
nav {{ display: flex; flex-wrap: wrap; gap: 8px 16px; margin: 14px 0; font-size: 14px; }}
nav a {{ color: var(--fer-accent); }}
h2 {{ margin: 40px 0 10px; padding-top: 18px; border-top: 1px solid var(--fer-line); font-size: 20px;
  color: var(--fer-text); }}
"""
_DARK: Final = """
const dark = window.matchMedia('(prefers-color-scheme: dark)');
const follow = () => document.documentElement.classList.toggle('dark', dark.matches);
dark.addEventListener('change', follow);
follow();
"""
#: A chart's data stand in a JSON element, which no text in them can leave: Plotly writes its angle brackets as escapes.
_DRAW: Final = """
for (const data of document.querySelectorAll('script[data-figure]')) {
  const figure = JSON.parse(data.textContent);
  Plotly.newPlot(data.previousElementSibling, figure.data, figure.layout, {responsive: true, displayModeBar: false});
}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.html", help="the file to write")
    add_flags(parser, "weights")


def run(args: argparse.Namespace) -> int:
    """Write the report.

    Raises:
        FerError: there are no cards, or the file cannot be written.
    """
    weights = weights_folder(args)
    board = read_board(weights)
    if not board.cards:
        raise FerError(f"There are no model cards in {weights}. Name another folder with --weights.")
    with open_text(args.out) as file:
        file.write(report(board))
    print(f"wrote {args.out}, {args.out.stat().st_size / 1e6:.1f} MB")
    return 0


def report(board: Board) -> str:
    """The page: sections that depend on the label set once for each, the others once."""
    chapters = []
    for section in SECTIONS:
        for name in LABEL_SETS if section.by_labels else [next(iter(LABEL_SETS))]:
            chapters.append((section, name))
    links = "".join(
        f'<a href="#{_anchor(section, name)}">{escape(_title(section, name))}</a>' for section, name in chapters
    )
    body = "".join(_chapter(board, section, name) for section, name in chapters)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(TITLE)}</title><style>{CSS}{_PAGE_CSS}</style><script>{_DARK}</script>"
        f'<script>{get_plotlyjs()}</script></head><body><main><header class="fer-header"><h1>{escape(TITLE)}</h1>'
        f"<p>{escape(INTRO)}</p><p>Version {escape(__version__)} of this project.</p></header><nav>{links}</nav>{body}"
        f"</main><script>(function (element) {{ {SAVE_SCRIPT} }})(document.body);{_DRAW}</script></body></html>\n"
    )


def _chapter(board: Board, section: Section, name: str) -> str:
    parts = []
    for chart, part in zip(section.charts, section.parts(board, name), strict=True):
        if isinstance(part, go.Figure):
            data = part.to_json()
            parts.append(
                f'<div data-drawn="{chart}" class="fer-chart"><div></div>'
                f'<script type="application/json" data-figure>{data}</script></div>'
            )
        elif part:
            parts.append(part)
    head = f'<section data-report id="{_anchor(section, name)}"><h2>{escape(_title(section, name))}</h2>'
    return f"{head}{''.join(parts)}</section>"


def _anchor(section: Section, name: str) -> str:
    return f"{section.key}-{LABEL_SETS[name].labels}"


def _title(section: Section, name: str) -> str:
    return f"{section.title}, {LABEL_SETS[name].title}" if section.by_labels else section.title
