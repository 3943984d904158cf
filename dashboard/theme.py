"""Fonts, hues, the style sheet and the title. Nothing is fetched: the sheet holds the font. No Gradio here."""

import base64
from pathlib import Path
from typing import Any, Final

from fer_models.registry import dark_colours

_FONTS: Final = ("Inter", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
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
    # Of hints, placeholders and the ends of sliders.
    "body_text_color_subdued": "#5b5b66",
    "body_text_color_subdued_dark": "#a9a9b4",
    "block_radius": "12px",
    "block_padding": "16px",
    "block_label_text_size": "14px",
    "block_title_text_size": "14px",
    "block_info_text_size": "12px",
    "input_text_size": "14px",
    "checkbox_label_text_size": "14px",
    "section_header_text_size": "14px",
    "block_title_text_weight": "600",
    "block_title_text_color": "#18181b",
    "block_title_text_color_dark": "#f4f4f5",
    "block_info_text_color": "#5b5b66",
    "block_info_text_color_dark": "#a9a9b4",
    "checkbox_label_padding": "7px 12px",
    **{
        f"button_{size}_{what}": value
        for size in ("large", "medium", "small")
        for what, value in {"padding": "0 14px", "text_size": "14px", "radius": "8px", "text_weight": "600"}.items()
    },
    # A contrast of 6.3 with its white text; Gradio's own has 4.47.
    **{f"button_primary_background_fill{dark}": "#4f46e5" for dark in ("", "_dark")},
    **{f"button_primary_background_fill_hover{dark}": "#4338ca" for dark in ("", "_dark")},
    **{f"button_primary_text_color{dark}": "#ffffff" for dark in ("", "_dark")},
}

_STATIC: Final = Path(__file__).parent / "static"
_SHEETS: Final = ("style.css", "compare.css", "attention.css", "live.css", "video.css", "batch.css", "leaderboard.css")


def _font() -> str:
    """Inter (SIL Open Font License 1.1, inter-OFL.txt), reduced to Western European letters and weights 400 to 700."""
    font = base64.b64encode((_STATIC / "inter-latin.woff2").read_bytes()).decode("ascii")
    return (
        '@font-face { font-family: "Inter"; font-weight: 400 700; font-display: swap; '
        f'src: url("data:font/woff2;base64,{font}") format("woff2"); }}'
    )


def _dark_charts() -> str:
    """Rules that give charts on dark surfaces the models' dark colours: Plotly writes the light ones inline."""
    rules = []
    for light, dark in dark_colours().items():
        written = f"rgb({', '.join(str(int(light[i : i + 2], 16)) for i in (1, 3, 5))})"
        # A pattern's ground has an attribute instead of a style.
        rules += [
            f'.dark .js-plotly-plot :is([style*="{kind}: {written}"], [{kind}="{written}"])'
            f" {{ {kind}: {dark} !important; }}"
            for kind in ("fill", "stroke")
        ]
    return "\n".join(rules)


#: The page's style sheet: what every tab shares, then what only one has.
CSS: Final = "\n".join([_font(), *((_STATIC / name).read_text(encoding="utf-8") for name in _SHEETS), _dark_charts()])

TITLE: Final = "Facial expressions: models compared"
#: In the bar at the top of the page.
NAME: Final = "Facial expressions"
