"""The Leaderboard tab's callbacks without a browser."""

from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from dashboard.leaderboard import tab as leaderboard
from dashboard.leaderboard.sections import GROUPS, SECTIONS
from fer_models.analyzer import Analyzer


def test_tabs_have_the_ids_that_addresses_name(analyzer: Analyzer, weights_dir: Path) -> None:
    placed: list[Any] = []
    with gr.Blocks(analytics_enabled=False) as page, gr.Tab("Leaderboard") as opened:
        leaderboard.build(analyzer, opened, weights_dir, eac=lambda: placed.append(gr.HTML()))
    tabs = [block for block in page.blocks.values() if isinstance(block, gr.Tab) and block is not opened]
    assert [tab.id for tab in tabs] == [group.key for group in GROUPS]
    (around,) = placed  # what is shown of EAC on a face stands on its tab
    while not isinstance(around, gr.Tab):
        around = around.parent
    assert around.id == "eac"


def test_an_unexpected_error_becomes_a_message_in_every_section(
    analyzer: Analyzer, weights_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with gr.Blocks(analytics_enabled=False), gr.Tab("Leaderboard") as opened:
        tab = leaderboard.build(analyzer, opened, weights_dir)
    components = [*(component for parts in tab.parts.values() for component in parts), tab.least, tab.above]
    assert set(tab.show("ferplus")) == set(components)

    def broken(*_: Any) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(leaderboard, "read_board", broken)
    updates = tab.show("ferplus")
    assert set(updates) == set(components), "a component without an update would still be waiting for the results"
    for section in SECTIONS:
        first, *below = (updates[component] for component in tab.parts[section.key])
        assert "fer-message" in first and "secret detail" not in first
        for chart, update in zip(section.charts[1:], below, strict=True):
            assert update == (gr.update(value=None, visible=False) if chart else "")
    assert "secret detail" in caplog.text
