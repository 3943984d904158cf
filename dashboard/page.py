"""The page: all tabs in the order they are shown, what leads from one to another, and how it is launched."""

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

import gradio as gr
from starlette.routing import Route

from dashboard.add_model import tab as add_model
from dashboard.attention import tab as attention
from dashboard.batch import tab as batch
from dashboard.compare import tab as compare
from dashboard.components.events import HIDDEN, PAGE_SCRIPT
from dashboard.components.templates import render
from dashboard.leaderboard import tab as leaderboard
from dashboard.live import tab as live
from dashboard.server.gradio_internals import StoredSessions, chart_module, keep_nothing_shown
from dashboard.theme import CSS, NAME, THEME, THEME_VALUES, TITLE
from dashboard.video import tab as video
from fer_models.analyzer import WEIGHTS, Analyzer

#: Every 60 s, uploads older than 300 s are deleted; what is left goes when the server stops.
_DELETE_CACHE: Final = (60, 300)
#: Once the page is idle, the script that draws charts is loaded, so that the first chart comes with its answer.
_FETCH_CHARTS: Final = """
const charts = %s;
const load = () => import(new URL(charts, document.baseURI));
if (charts !== null) (window.requestIdleCallback ?? setTimeout)(load);
"""
#: Of one file; zips are the largest.
_MAX_UPLOAD: Final = "256mb"


class Page(NamedTuple):
    """The page, and what must be served beside it.

    Attributes:
        blocks: the page itself.
        routes: of its own, beside those that Gradio makes.
    """

    blocks: gr.Blocks
    routes: tuple[Route, ...]


def build_page(
    analyzer: Analyzer,
    uploads: Path,
    weights: Path = WEIGHTS,
    concurrency: int | None = None,
    *,
    adds_models: bool = False,
    has_backend: bool = False,
) -> Page:
    """The page around an analyzer. Launch it with `launch_settings()`.

    Args:
        analyzer: shared by all tabs and sessions.
        uploads: folder where Gradio puts uploads.
        weights: folder of the cards; results/ and noise/ below it are shown, too.
        concurrency: no more frames of cameras are analysed at the same time; None: as the Live tab says.
        adds_models: with the tab that saves models in that folder: for a page of one's own alone.
        has_backend: whether the models run on other machines, which the page then says.
    """
    page: gr.Blocks
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=_DELETE_CACHE) as page:
        scripts = _FETCH_CHARTS % json.dumps(chart_module()) + PAGE_SCRIPT
        gr.HTML(render("header.html", title=NAME), js_on_load=scripts, elem_id="page-bar")
        frames = _build_tabs(analyzer, page, uploads, weights, concurrency, adds_models=adds_models)
        gr.HTML(render("footer.html", has_backend=has_backend))
    keep_nothing_shown(page)
    return Page(page, (frames,))


def launch_settings() -> dict[str, Any]:
    """What every launch needs: the looks, and nothing kept, counted or shown that need not be."""
    return {
        "theme": gr.themes.Default(**THEME).set(**THEME_VALUES),
        "css": CSS,
        "footer_links": ["api"],  # else ?view=api, to which the bar links, shows nothing; the footer itself is hidden
        "run_history": False,
        "enable_monitoring": False,
        "max_file_size": _MAX_UPLOAD,
        "state_session_capacity": 500,
        "ssr_mode": False,
        "pwa": False,
        "show_error": False,
        "quiet": True,
    }


def _build_tabs(
    analyzer: Analyzer, page: gr.Blocks, uploads: Path, weights: Path, concurrency: int | None, *, adds_models: bool
) -> Route:
    """Lay out the tabs; returns the route of the camera's frames."""
    with gr.Tabs(elem_classes="fer-page-tabs", overflow_behavior="wrap") as tabs:
        with _tab("Compare"):
            first = compare.build(analyzer, uploads, weights=weights)
        with _tab("Attention"):
            lab = attention.build(analyzer, uploads, weights=weights)
        with _tab("Live"):
            camera = live.build(analyzer, page, StoredSessions(page), concurrency)
        with _tab("Video"):
            video.build(analyzer, uploads)
        with _tab("Batch"):
            many = batch.build(analyzer, uploads)
        with _tab("Leaderboard") as opened:
            board = leaderboard.build(analyzer, opened, weights, eac=lab.lay_out_eac)
        if adds_models:
            with _tab("Add a model"):
                add_model.build(analyzer, uploads, weights)
    first.opened_from(many.opens, many.analyzed, many.opened_face, {tabs: "compare"})
    lab.opened_from(first.lab, first.analyzed, first.index, {tabs: attention.TAB})
    flips = lab.opened_from(first.flips, first.analyzed, first.index, {tabs: "leaderboard", board.groups: "eac"})
    flips.then(board.show, board.labels, board.outputs, **HIDDEN)
    return camera.frames.route


def _tab(title: str) -> gr.Tab:
    """A tab whose id, the title in lower case with hyphens, is its name in the page's address."""
    name = title.lower().replace(" ", "-")
    return gr.Tab(title, id=name, elem_id=f"tab-{name}")
