"""What a viewer's session keeps: the table of the last seconds, a bounded recording, and the game's points."""

import csv
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import dashboard.live.session
from dashboard.components.display import model_display
from dashboard.components.templates import render
from dashboard.live import view as live_view
from dashboard.live.game import HOLD_S, ROUND_S, Game
from dashboard.live.game_view import HINTS, game_view
from dashboard.live.session import FrameLog, ViewerSession
from fer_models.analyzer import Analyzer
from fer_models.expressions import EXPRESSIONS
from fer_models.results import Face, Prediction
from fer_models.video.live import WINDOW_S, LiveFace
from tests.helpers.texts import assert_states

SIZE = (4, 3)


def predicts(label: str, share: float = 0.75, labels: tuple[str, ...] = EXPRESSIONS) -> Prediction:
    values = np.full(len(labels), (1 - share) / (len(labels) - 1), np.float32)
    values[labels.index(label)] = share
    return Prediction("model", labels, np.log(values), values, 1.0, 1.0)


def face(number: int, predictions: Mapping[str, Prediction] | None = None) -> LiveFace:
    box = np.array([0, 0, 2, 2], np.float32)
    return LiveFace(number, Face(box, None, 1.0), predictions or {"one": predicts("fear")})


def test_the_table_has_a_row_per_frame_face_and_model() -> None:
    log = FrameLog()
    both = {"one": predicts("fear"), "two": predicts("neutral", 0.5, ("neutral", "fear", "contempt"))}
    log.add(100.0, [face(1, both), face(3, both)])
    log.add(100.25, [])
    log.add(100.5, [face(3, {"one": predicts("anger")})])
    rows = list(csv.DictReader(io.StringIO(log.csv())))
    assert [(row["time_s"], row["face"], row["model"], row["expression"]) for row in rows] == [
        ("0.000", "1", "one", "fear"),
        ("0.000", "1", "two", "neutral"),
        ("0.000", "3", "one", "fear"),
        ("0.000", "3", "two", "neutral"),
        ("0.500", "3", "one", "anger"),
    ]
    first, second = rows[:2]
    assert list(first)[5:] == [*EXPRESSIONS, "contempt"]
    assert (first["confidence"], first["fear"], first["anger"], first["contempt"]) == ("0.7500", "0.7500", "0.0417", "")
    assert (second["neutral"], second["contempt"], second["anger"]) == ("0.5000", "0.2500", "")


def test_the_table_covers_the_last_seconds_and_counts_from_the_start() -> None:
    log = FrameLog()
    for second in range(50):
        log.add(float(second), [face(1)])
    assert [frame.time_s for frame in log.frames] == [float(second) for second in range(19, 50)]
    assert log.seconds == WINDOW_S and log.rows()[1][0] == "19.000"


def test_the_table_is_bounded_by_faces_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard.live.session, "MAX_LOGGED", 7)
    log = FrameLog()
    for index in range(5):
        log.add(index / 10, [face(number) for number in range(3)])
    assert [frame.time_s for frame in log.frames] == [0.3, 0.4] and len(log.rows()) == 1 + 6


def take(session: ViewerSession, time_s: float, recording: int = 0, picture: str = "data:x") -> None:
    session.take(time_s, [face(1)], picture, SIZE, recording)


def test_only_frames_sent_for_the_recording_are_recorded() -> None:
    session = ViewerSession()
    for time_s, recording in ((1, 0), (2, 1), (3, 1), (4, 0), (5, 1)):
        take(session, time_s, recording)
    take(session, 3.5, 1)  # overtaken by a later one
    assert [frame.time_s for frame in session.recording.frames] == [2, 3, 5]
    session.discard(2)
    take(session, 6, 1)  # was under way
    assert session.recording.frames == []
    take(session, 7, 2)
    assert [frame.time_s for frame in session.recording.frames] == [7]


@pytest.mark.parametrize(("frames", "megabytes", "kept"), [(3, 24, 3), (600, 0.0075, 1), (600, 0.0081, 2)])
def test_a_recording_is_bounded_and_says_when_it_is_full(
    monkeypatch: pytest.MonkeyPatch, frames: int, megabytes: float, kept: int
) -> None:
    """A frame counts as its 1,000 characters and 3,000 for its face."""
    monkeypatch.setattr(dashboard.live.session, "MAX_RECORDED", frames)
    monkeypatch.setattr(dashboard.live.session, "MAX_RECORDED_MB", megabytes)
    session = ViewerSession()
    for index in range(kept):
        take(session, index, 1, "x" * 1000)
        assert not session.recording.full
    take(session, 9, 1, "x" * 1000)
    assert session.recording.full and len(session.recording.frames) == kept
    assert session.recording.megabytes == pytest.approx(0.004 * kept)
    take(session, 10, 1, "")  # there would be room for it, but a recording has no holes
    assert len(session.recording.frames) == kept


def test_a_recorded_frame_shows_with_its_faces_until_the_camera_goes_on(analyzer: Analyzer) -> None:
    display = model_display({name: model.card for name, model in analyzer.classifiers.items()})
    session = ViewerSession()
    assert session.replay(0) is None
    take(session, 1, 1, "data:first")
    session.take(2.5, [face(1), face(2)], "data:second", SIZE, 1)
    frame = session.replay(1)
    assert frame is not None and session.replay(99) is frame
    html = render("live/frame.html", number=0, frame=live_view.recorded_view(frame, session))
    assert 'data-replayed="2"' in html and "data-frame" not in html and "data:second" in html
    assert_states(html, "Recorded frame 2 of 2, 1.5 s")
    assert live_view.panel(session, ["vgg16"], display).choices == (1, 2)
    take(session, 3)
    assert session.replayed is None and live_view.panel(session, ["vgg16"], display).choices == ()


def test_stopping_forgets_table_recording_and_game() -> None:
    session = ViewerSession()
    take(session, 1, 1)
    session.game = Game({"one": EXPRESSIONS})
    session.replay(0)
    session.end()
    take(session, 2, 1)  # was still being analysed
    assert not session.log.frames and not session.recording.frames
    assert session.replayed is None and session.game is None


def play(game: Game, *frames: tuple[float, dict[str, str]]) -> None:
    for time_s, answers in frames:
        game.judge(time_s, {name: predicts(label) for name, label in answers.items()})


def test_a_model_that_holds_the_target_gets_a_point() -> None:
    game = Game({"one": EXPRESSIONS, "two": EXPRESSIONS}, seed=1)
    target, other = game.targets[:2]
    play(game, (10, {"one": target, "two": other}), (10.25, {"one": target, "two": target}))
    assert game.scores == {"one": 0, "two": 0} and game.shares["one"] == 0.75
    play(game, (10.5, {"one": target, "two": other}))
    assert game.scores == {"one": 1, "two": 0} and game.recognised == {"one": 0.5}
    play(game, (10.75, {"one": other, "two": target}), (11, {"one": target, "two": target}))
    assert game.target == target, "a break starts the time anew"
    play(game, (11.25, {"one": target, "two": target}))
    assert game.scores == {"one": 1, "two": 1} and game.target == other, "the next target once all have it"
    assert game.rounds[0].recognised == {"one": 0.5, "two": 1.25} and game.recognised == {}


def test_a_round_ends_when_its_time_is_up_and_pauses_do_not_count() -> None:
    game = Game({"one": EXPRESSIONS}, seed=2)
    first = game.target
    play(game, (0, {}), (1, {}), (1001, {}))
    assert game.elapsed_s == 2 and game.target == first
    for second in range(1002, 1002 + round(ROUND_S) - 3):
        play(game, (second, {}))
        assert game.target == first
    play(game, (1100, {}))
    assert game.target == game.targets[1] and game.scores == {"one": 0}


def test_each_expression_that_all_know_is_a_target_once_and_then_it_is_over() -> None:
    labels: Any = {"one": EXPRESSIONS, "two": ("contempt", *EXPRESSIONS[2:])}
    game = Game(labels)
    assert sorted(game.targets) == sorted(EXPRESSIONS[2:])
    for target in game.targets:
        assert game.target == target
        game.next()
    game.next()
    play(game, (1, {"one": "fear", "two": "fear"}))
    assert game.target is None and len(game.rounds) == len(game.targets)
    assert Game({"one": ("fear",), "two": ("anger",)}).target is None


def test_the_game_shows_target_judges_and_who_won(analyzer: Analyzer) -> None:
    display = model_display({name: model.card for name, model in analyzer.classifiers.items()})
    game = Game({name: EXPRESSIONS for name in ("resnet50", "vgg16")}, seed=3)
    start = game_view(game, display)
    assert (start.number, start.rounds, start.left, start.sentence) == (1, 7, 1, "")
    assert start.hint == HINTS[start.target] and set(HINTS) == set(EXPRESSIONS)
    for time_s in (0, HOLD_S):
        play(
            game, (time_s, {"resnet50": start.target, "vgg16": "happiness" if start.target != "happiness" else "fear"})
        )
    shown = game_view(game, display)
    assert [(judge.recognised, judge.score) for judge in shown.judges] == [(True, 1), (False, 0)]
    for _ in game.targets:
        game.next()
    over = game_view(game, display)
    assert over.target == "" and display.titles["resnet50"] in over.sentence and "1 of 7" in over.sentence
    session = ViewerSession()
    session.game = game
    html = render("live/panel.html", panel=live_view.panel(session, ["vgg16"], display))
    assert 'data-target=""' in html and over.sentence in html
