"""The macros that all features share."""

import numpy as np

from dashboard.components.templates import busy, macro, message
from fer_models.registry import ModelStyle, style_at

STYLE = style_at(1)
EVIL = '<script>"'


def test_texts_are_escaped_and_no_text_is_no_message() -> None:
    for html in (message(EVIL), busy(EVIL), macro("key", [(STYLE, EVIL)])):
        assert "<script" not in html and "&lt;script&gt;&#34;" in html
    assert message("") == ""


def test_a_bar_is_as_long_as_its_share() -> None:
    hue = f"--fer-hue:{STYLE.colour};--fer-hue-dark:{STYLE.dark}"
    bar = f'<div class="fer-bar"><i class="fer-hue" style="width:12.3%;{hue}"></i></div>'
    assert macro("bar", 0.123456, STYLE) == bar
    assert macro("bar", 1, STYLE, 0.4, "span").endswith(f';{hue};opacity:0.4"></i></span>')
    assert macro("bar", 1, ModelStyle("#123456")).count("#123456") == 2  # one colour for both surfaces


def test_a_face_has_a_picture_and_its_attributes() -> None:
    html = macro("face", np.zeros((4, 4, 3), np.uint8), "Face 1", "All agree.", {"data-face-shown": 0})
    assert 'data-face-shown="0"' in html and 'src="data:image/jpeg;base64,' in html


def test_no_chart_no_buttons() -> None:
    assert macro("save_buttons", "name", "") == ""
    assert macro("save_buttons", "name", "chart").count('data-name="name"') == 2
