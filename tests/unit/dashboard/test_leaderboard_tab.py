"""The Leaderboard tab's callbacks without a browser."""

from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from dashboard.leaderboard import tab as leaderboard
from dashboard.leaderboard.sections import SECTIONS
from fer_models.analyzer import Analyzer


def test_an_unexpected_error_becomes_a_message_in_every_section(
    analyzer: Analyzer, weights_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with gr.Blocks(analytics_enabled=False), gr.Tab("Leaderboard") as opened:
        tab = leaderboard.build(analyzer, opened, weights_dir)
    components = [component for parts in tab.parts.values() for component in parts]
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
