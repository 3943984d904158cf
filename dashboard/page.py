"""All tabs of the page, in the order they are shown, and what leads from one to another."""

from pathlib import Path

import gradio as gr

from dashboard.attention import tab as attention
from dashboard.batch import tab as batch
from dashboard.compare import tab as compare
from dashboard.components.sessions import SessionValues
from dashboard.leaderboard import tab as leaderboard
from dashboard.live import tab as live
from dashboard.video import tab as video
from fer_models.analyzer import Analyzer


def build(analyzer: Analyzer, page: gr.Blocks, weights: Path, uploads: Path, sessions: SessionValues) -> None:
    """Build the tabs inside the current `gr.Blocks`.

    Args:
        analyzer: shared by all tabs and sessions.
        page: the Blocks they are built in.
        weights: folder of the cards; results/ and noise/ below it are shown, too.
        uploads: folder where Gradio puts uploads.
        sessions: what is kept of each session between calls.
    """
    with gr.Tabs(elem_classes="fer-page-tabs") as tabs:
        with gr.Tab("Compare", id="compare"):
            first = compare.build(analyzer, uploads, weights=weights)
        with gr.Tab("Attention", id=attention.TAB):
            lab = attention.build(analyzer, uploads, weights=weights)
        with gr.Tab("Live", id="live"):
            live.build(analyzer, page, sessions)
        with gr.Tab("Video", id="video"):
            video.build(analyzer, uploads)
        with gr.Tab("Batch", id="batch"):
            batch.build(analyzer, uploads)
        with gr.Tab("Leaderboard", id="leaderboard") as opened:
            leaderboard.build(analyzer, opened, weights)
    lab.opened_from(first.lab, first.analyzed, first.index, tabs)
