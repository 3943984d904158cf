"""The whole page, built and not served: what it keeps, and which events end what others compute."""

import asyncio
from pathlib import Path

import gradio as gr
import pytest
from gradio.state_holder import StateHolder

from dashboard.compare import tab as compare
from dashboard.page import build_page
from fer_models.analyzer import Analyzer


def test_the_page_keeps_nothing_that_it_shows(analyzer: Analyzer, tmp_path: Path) -> None:
    page = build_page(analyzer, tmp_path, tmp_path).blocks
    page.state_holder = StateHolder()  # type: ignore[no-untyped-call]
    page.state_holder.set_blocks(page)
    function, at = next(
        (function, index)
        for function in page.fns.values()
        for index, part in enumerate(function.outputs)
        if isinstance(part, gr.HTML)
    )
    values = [gr.skip() for _ in function.outputs]
    values[at] = gr.update(value="whom a photo shows")
    session = page.state_holder["a"]
    shown = asyncio.run(page.postprocess_data(function, values, session))
    assert "whom a photo shows" in repr(shown)
    kept = [session.config_values, session.state_data, *map(vars, session.blocks_config.blocks.values())]
    assert "whom a photo shows" not in repr(kept)


@pytest.mark.parametrize("replaced_by", ["upload", "example", "whole", "clear", "another tab"])
def test_another_picture_on_compare_ends_what_is_computed_of_two_faces(
    analyzer: Analyzer, tmp_path: Path, replaced_by: str
) -> None:
    """Else an answer about the former picture could come last, and stay beside the new one."""
    page: gr.Blocks
    with gr.Blocks(analytics_enabled=False) as page:
        row = gr.HTML()
        tab = compare.build(analyzer, tmp_path, weights=tmp_path)
        tab.opened_from([row], gr.State(), lambda *_: pytest.fail("nothing is opened"), {})
    given, second = tab.picture_input, tab.second
    trigger = {
        "upload": (given.image, "upload"),
        "example": (given.gallery, "select"),
        "whole": (given.whole, "click"),
        "clear": (given.clear, "click"),
        "another tab": (row, "submit"),
    }[replaced_by]
    of_two = {
        number: function
        for number, function in page.fns.items()
        if second.pair in function.outputs and function.fn != second.fresh
    }
    begins = {target for function in of_two.values() for target in function.targets}
    assert {(part._id, name) for part, name in [(second.upload, "upload"), (second.other, "click")]} <= begins
    assert len(of_two) == 5
    ended = {
        number
        for function in page.fns.values()
        if (trigger[0]._id, trigger[1]) in function.targets
        for number in function.cancels
    }
    assert set(of_two) <= ended
