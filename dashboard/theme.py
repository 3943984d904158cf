"""Fonts, hues and the style sheet. Nothing is fetched from outside: system fonts only. No Gradio here."""

from pathlib import Path
from typing import Any, Final

_FONTS: Final = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "Liberation Sans", "sans-serif")
#: As a CSS font-family value.
FONT_STACK: Final = ", ".join(f"'{name}'" if " " in name else name for name in _FONTS)

#: Keyword arguments of the Gradio theme; its own default fonts are downloaded or bundled ones.
THEME: Final[dict[str, Any]] = {
    "primary_hue": "indigo",
    "secondary_hue": "indigo",
    "neutral_hue": "zinc",
    "font": list(_FONTS),
    "font_mono": ["ui-monospace", "Menlo", "Consolas", "Liberation Mono", "monospace"],
}

#: What `set` changes of that theme: fewer boxes and shadows than its own.
THEME_VALUES: Final[dict[str, str]] = {
    "body_background_fill": "#fafafa",
    "body_background_fill_dark": "#131316",
    "block_background_fill_dark": "#1c1c20",
    "block_border_color_dark": "#3a3a42",
    "block_radius": "14px",
    "block_padding": "16px",
    "block_title_text_weight": "600",
    "block_title_text_color": "#18181b",
    "block_title_text_color_dark": "#f4f4f5",
    "block_info_text_color": "#5b5b66",
    "block_info_text_color_dark": "#a9a9b4",
    "checkbox_label_padding": "7px 12px",
    "button_large_padding": "9px 18px",
    "button_large_text_size": "15px",
    "button_large_radius": "10px",
}

_STATIC: Final = Path(__file__).parent / "static"
_SHEETS: Final = ("style.css", "attention.css", "live.css", "video.css", "batch.css", "leaderboard.css")
#: The page's style sheet: what every tab shares, then what only one has.
CSS: Final = "\n".join((_STATIC / name).read_text(encoding="utf-8") for name in _SHEETS)

TITLE: Final = "Facial expressions: models compared"
HEADER: Final = """
<header class="fer-header"><h1>How do different models read the same face?</h1>
<p>Give it a photo: every face in it is found, aligned and read by several facial expression recognition models, side by
side. You see what each one says, how sure it is, and which parts of the face it relied on.</p></header>
"""
FOOTER: Final = """
<footer class="fer-footer"><p><strong>What this can and cannot tell.</strong> The models name the expression a face
shows in one picture. An expression is not an emotion: it does not tell what a person feels, intends or is like. The
models err, and more often for some groups of people than for others. Do not use them for decisions about people.</p>
<p>Pictures are read on the machine that runs this page and are deleted a few minutes later; videos and what was made of
them when you try another one, or after an hour without a change.</p></footer>
"""
