"""The Live tab's views: boxes, panel, charts, with no, one and many faces."""

import re

import numpy as np
import pytest
from numpy.typing import NDArray

from dashboard.components.display import ModelDisplay, model_display
from dashboard.components.templates import render
from dashboard.live import view as live_view
from dashboard.live.session import ViewerSession
from fer_models.analyzer import Analyzer
from fer_models.expressions import COLOURS, EXPRESSIONS
from fer_models.registry import MODELS
from fer_models.video.live import Series

PICTURE = "data:image/jpeg;base64,AA=="


@pytest.fixture
def known(analyzer: Analyzer) -> ModelDisplay:
    return model_display({name: model.card for name, model in analyzer.classifiers.items()})


def analyze(analyzer: Analyzer, picture: NDArray[np.uint8], faces: int) -> ViewerSession:
    session = ViewerSession()
    session.analyze(analyzer, np.tile(picture, (1, 5, 1))[:, : max(90, 100 * faces)].copy(), 0.0)
    return session


@pytest.mark.parametrize("faces", [0, 1, 5])
def test_every_face_has_a_box(analyzer: Analyzer, picture: NDArray[np.uint8], faces: int) -> None:
    session = analyze(analyzer, picture, faces)
    frame = live_view.frame_view(PICTURE, (500, 100), session.faces, session)
    assert [box.number for box in frame.boxes if box.chosen] == [1] * min(faces, 1)
    html = render("live/frame.html", number=7, frame=frame)
    assert re.findall(r'data-face="(\d+)"', html) == [str(number) for number in range(1, faces + 1)]
    assert html.count('aria-pressed="true"') == min(faces, 1)
    assert 'data-frame="7"' in html and ("No face in the picture" in html) == (faces == 0)
    if faces:
        assert "left:0.00%;top:0.00%;width:20.00%;height:100.00%" in html


@pytest.mark.parametrize(("faces", "buttons"), [(0, 0), (1, 0), (5, 5)])
def test_the_panel_shows_one_face_and_offers_the_others(
    analyzer: Analyzer, picture: NDArray[np.uint8], known: ModelDisplay, faces: int, buttons: int
) -> None:
    panel = live_view.panel(analyze(analyzer, picture, faces), MODELS, known)
    assert panel.choices == tuple(range(1, buttons + 1))
    html = render("live/panel.html", panel=panel)
    assert html.count("data-face=") == buttons
    assert re.findall(r'data-model="(\w+)"', html) == list(MODELS)
    assert html.count("data-empty") == (0 if faces else len(MODELS)), "rows wait for the first face"
    assert ("No face yet" in html) == (faces == 0)


def test_the_panel_says_who_has_left(analyzer: Analyzer, picture: NDArray[np.uint8], known: ModelDisplay) -> None:
    session = analyze(analyzer, picture, 2)
    session.choose(2)
    session.analyze(analyzer, picture[:, :100].copy(), 0.1)
    panel = live_view.panel(session, MODELS, known)
    assert "Face 2" in panel.sentence and {answer.prediction for answer in panel.answers} == {None}
    assert panel.choices == (1,), "another one to look at"


def test_lines_have_the_expressions_colours_and_the_right_places(known: ModelDisplay) -> None:
    series = Series(("fear", "neutral"))
    for time_s, fear in ((70.0, 1.0), (71.0, 0.5), (85.0, 0.0), (100.0, 0.25)):
        series.add(time_s, np.array([fear, 1 - fear], np.float32))
    html = render("live/history.html", history=live_view.history({"vgg16": series}, MODELS, 100.0, known))
    paths = dict(re.findall(r'<path d="([^"]+)" data-expression="(\w+)"', html))
    lines = {name: path for path, name in paths.items()}
    # 100 % is at y 1, 0 % at 79; 30 s ago at x 0, now at 300; a long absence interrupts the line.
    assert lines["fear"] == "M0 1h0L0 1L10 40M150 79h0L150 79M300 60h0L300 60"
    assert f'data-expression="neutral" stroke="{COLOURS["neutral"]}"' in html
    assert all(
        f'stroke="{COLOURS[name]}"' in html and f"</svg>{name.capitalize()}</li>" in html for name in EXPRESSIONS
    )
    assert html.count("<figure") == len(MODELS) and html.count("<path") == 2


def test_expressions_of_one_dash_differ_in_more_than_hue() -> None:
    """Grey and orange, green and blue, pink and light blue: no pair of one dash is confused without colour vision."""
    by_dash: dict[str, set[str]] = {}
    for name in EXPRESSIONS:
        by_dash.setdefault(live_view.DASHES.get(name, ""), set()).add(name)
    assert sorted(map(sorted, by_dash.values())) == [
        ["anger"],
        ["disgust", "sadness"],
        ["fear", "surprise"],
        ["happiness", "neutral"],
    ]


def test_without_a_past_the_charts_are_empty(known: ModelDisplay) -> None:
    html = render("live/history.html", history=live_view.history({}, MODELS, 0.0, known))
    assert html.count("<figure") == len(MODELS) and "<path" not in html
    assert render("live/history.html", history=live_view.history({}, [], 0.0, known)) == ""


def test_speed_shows_every_stage(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    session = ViewerSession()
    for index in range(5):
        stages = dict.fromkeys(live_view.STAGES, 10.0 + index)
        session.meter.add(index / 4, {**stages, "delay": 123.0})
    speed = live_view.speed(session.meter)
    assert (speed.fps, speed.delay_ms) == (4, 123) and [stage.ms for stage in speed.stages] == [12] * 5
    html = render("live/frame.html", number=0, frame=live_view.frame_view(PICTURE, (500, 100), session.faces, session))
    assert '<b data-stage="fps">4.0</b>' in html and "123&nbsp;ms" in html
    assert re.findall(r'data-stage="(\w+)">12<', html) == list(live_view.STAGES)
