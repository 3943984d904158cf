"""The macros that all features share."""

import numpy as np

from dashboard.components.templates import busy, macro, message
from fer_models.registry import style_at

STYLE = style_at(1)
EVIL = '<script>"'


def test_texts_are_escaped_and_no_text_is_no_message() -> None:
    for html in (message(EVIL), busy(EVIL), macro("key", [(STYLE, EVIL)])):
        assert "<script" not in html and "&lt;script&gt;&#34;" in html
    assert message("") == ""


def test_a_bar_is_as_long_as_its_share() -> None:
    assert (
        macro("bar", 0.123456, "#123456") == '<div class="fer-bar"><i style="width:12.3%;background:#123456"></i></div>'
    )
    assert macro("bar", 1, "red", 0.4, "span").endswith(';background:red;opacity:0.4"></i></span>')


def test_a_face_has_a_picture_and_its_attributes() -> None:
    html = macro("face", np.zeros((4, 4, 3), np.uint8), "Face 1", "All agree.", {"data-face-shown": 0})
    assert 'data-face-shown="0"' in html and 'src="data:image/jpeg;base64,' in html


def test_no_chart_no_buttons() -> None:
    assert macro("save_buttons", "name", "") == ""
    assert macro("save_buttons", "name", "chart").count('data-name="name"') == 2
