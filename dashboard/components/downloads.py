"""Charts to keep: buttons that save one as PNG and SVG in the browser. No Gradio here."""

from pathlib import Path
from typing import Final

from dashboard.components.templates import macro

#: Makes the buttons work: in `js_on_load` of the HTML around them, or as a script.
SAVE_SCRIPT: Final = (Path(__file__).parents[1] / "static" / "downloads.js").read_text(encoding="utf-8")


def save_buttons(name: str, chart: str) -> str:
    """Buttons that save a chart as PNG and SVG; "" where there is none.

    Args:
        name: of the files, without suffix.
        chart: key of a chart of the leaderboard, or the id of the element that holds another one.
    """
    return str(macro("save_buttons", name, chart))
