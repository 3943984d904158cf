"""What is kept of a camera between its frames: smoothing, the rolling window, stage times, stable numbers."""

import math
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fer_models.analyzer import Analyzer
from fer_models.registry import MODELS
from fer_models.video.live import (
    MAX_HISTORIES,
    SPACING_S,
    WINDOW_S,
    LiveFrame,
    LiveSession,
    Meter,
    Series,
    Smoother,
    Stopwatch,
)


def array(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def test_one_time_constant_after_a_step_63_percent_are_covered() -> None:
    smoother = Smoother()
    assert smoother.update(1, "m", array(1, 0), 10.0, 0.5).tolist() == [1, 0]
    after = smoother.update(1, "m", array(0, 1), 10.5, 0.5)
    np.testing.assert_allclose(after, [math.exp(-1), 1 - math.exp(-1)], rtol=1e-6)


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=20), st.floats(0.1, 3.0))
def test_the_frame_rate_does_not_change_how_fast_it_follows(steps: list[float], constant: float) -> None:
    smoother = Smoother()
    smoother.update(1, "m", array(1, 0), 0.0, constant)
    now, value = 0.0, array(1, 0)
    for step in steps:
        now += step
        value = smoother.update(1, "m", array(0, 1), now, constant)
    assert value[0] == pytest.approx(math.exp(-now / constant), abs=1e-5)
    assert value.sum() == pytest.approx(1, abs=1e-5)


def test_off_gives_the_readings_themselves_and_leaves_no_tail() -> None:
    smoother = Smoother()
    smoother.update(1, "m", array(1, 0), 0.0, 2.0)
    assert smoother.update(1, "m", array(0.25, 0.75), 0.01, 0).tolist() == [0.25, 0.75]
    # Switched on again, it starts from there and not from before.
    assert smoother.update(1, "m", array(0.25, 0.75), 0.02, 2.0).tolist() == [0.25, 0.75]


def test_faces_and_models_are_smoothed_apart() -> None:
    smoother = Smoother()
    smoother.update(1, "a", array(1, 0), 0.0, 1.0)
    assert smoother.update(2, "a", array(0, 1), 0.1, 1.0).tolist() == [0, 1]
    assert smoother.update(1, "b", array(0, 1), 0.1, 1.0).tolist() == [0, 1]
    assert smoother.update(1, "a", array(0, 1), 0.1, 1.0)[0] == pytest.approx(math.exp(-0.1))


def test_a_face_that_comes_back_late_is_read_anew_and_a_forgotten_one_too() -> None:
    smoother = Smoother()
    smoother.update(1, "m", array(1, 0), 0.0, 0.5)
    np.testing.assert_allclose(smoother.update(1, "m", array(0, 1), 10.0, 0.5), [0, 1], atol=1e-6)
    smoother.forget([1])
    assert smoother.update(1, "m", array(1, 0), 10.1, 0.5).tolist() == [1, 0]


def test_time_that_stands_still_or_goes_back_moves_nothing() -> None:
    smoother = Smoother()
    smoother.update(1, "m", array(1, 0), 5.0, 0.5)
    assert smoother.update(1, "m", array(0, 1), 5.0, 0.5).tolist() == [1, 0]
    assert smoother.update(1, "m", array(0, 1), 4.0, 0.5).tolist() == [1, 0]


@given(st.lists(st.floats(0, 5), max_size=400))
def test_the_window_is_bounded_in_time_and_in_number(steps: list[float]) -> None:
    series = Series(("anger", "fear"))
    now = 0.0
    for step in steps:
        now += step
        series.add(now, array(0.5, 0.5))
        times = [time_s for time_s, _ in series.points("fear")]
        assert times == sorted(times) and times[0] >= now - WINDOW_S
        assert all(after - before >= SPACING_S for before, after in zip(times, times[1:], strict=False))
    assert len(series) <= WINDOW_S / SPACING_S + 1


def test_points_go_by_the_expressions_name() -> None:
    series = Series(("fear", "anger"))
    series.add(1.0, array(0.25, 0.75))
    series.add(1.1, array(0.5, 0.5))  # too soon to be kept
    series.add(2.0, array(1, 0))
    assert series.points("anger") == [(1.0, 0.75), (2.0, 0.0)]
    assert series.points("contempt") == []


def test_stages_add_up() -> None:
    ticks = iter([10.0, 10.002, 10.05, 10.06])
    watch = Stopwatch(lambda: next(ticks))
    assert watch.lap("decode") == pytest.approx(2)
    watch.lap("analyze")
    watch.lap("draw")
    assert watch.laps == pytest.approx({"decode": 2, "analyze": 48, "draw": 10})
    assert watch.total == pytest.approx(60) == sum(watch.laps.values())


def test_the_meter_counts_the_last_two_seconds() -> None:
    meter = Meter()
    assert meter.fps == 0 and meter.means == {}
    meter.add(0.0, {"total": 1000})
    assert meter.fps == 0
    meter.add(5.0, {"total": 1000})
    assert meter.fps == pytest.approx(0.2)  # slow, but not none
    for index in range(1, 12):
        meter.add(100 + index / 5, {"total": 50, **({"delay": 90.0} if index == 10 else {})})
    assert meter.fps == pytest.approx(5)
    assert meter.means == pytest.approx({"total": 50, "delay": 90})


def _frame(session: LiveSession, *arguments: Any, **settings: Any) -> LiveFrame:
    """The results of a frame that no other overtook."""
    result = session.analyze(*arguments, **settings)
    assert result is not None
    return result


def test_faces_keep_their_numbers_and_their_own_readings(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    session = LiveSession()
    first = _frame(session, analyzer, picture, 0.0)
    again = _frame(session, analyzer, picture, 0.5)
    assert [face.number for face in first.faces] == [face.number for face in again.faces] == [1, 2]
    assert list(first.faces[0].predictions) == list(MODELS)
    raw = analyzer.analyze([picture])
    for face, analysis in zip(again.faces, raw, strict=True):
        for name, prediction in face.predictions.items():
            np.testing.assert_allclose(prediction.probabilities, analysis.predictions[name].probabilities, atol=1e-5)
    assert first.models_ms > 0 and first.detect_ms >= 0


def test_smoothing_joins_two_frames_and_off_is_raw(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    other = np.ascontiguousarray(np.clip(picture.astype(int) // 2 + 60, 0, 255).astype(np.uint8))
    raw = [analyzer.analyze([frame])[0].predictions["vgg16"].probabilities for frame in (picture, other)]
    assert np.abs(raw[0] - raw[1]).max() > 0.01
    for constant, share in ((0.0, 1.0), (0.5, 1 - math.exp(-1))):
        session = LiveSession()
        session.analyze(analyzer, picture, 0.0, smoothing_s=constant)
        face = _frame(session, analyzer, other, 0.5, smoothing_s=constant).faces[0]
        expected = raw[0] + share * (raw[1] - raw[0])
        assert face.number == 1
        np.testing.assert_allclose(face.predictions["vgg16"].probabilities, expected, atol=1e-5)


def test_models_can_be_switched_off_and_on(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    session = LiveSession()
    session.analyze(analyzer, picture, 0.0)
    frame = _frame(session, analyzer, picture, 1.0, models=["vgg16"])
    assert list(frame.faces[0].predictions) == ["vgg16"]
    assert [len(session.history()[name]) for name in MODELS] == [1, 2, 1, 1]
    assert _frame(session, analyzer, picture, 2.0, models=[]).faces[0].predictions == {}
    assert list(_frame(session, analyzer, picture, 3.0).faces[0].predictions) == list(MODELS)


def test_a_frame_that_a_later_one_overtook_changes_nothing(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    session = LiveSession()
    session.analyze(analyzer, picture, 1.0)
    before = session.faces
    assert session.analyze(analyzer, picture[:, :90], 0.9) is None
    assert session.faces is before and session.time_s == 1.0


def test_no_features_stay(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    session = LiveSession()
    frame = _frame(session, analyzer, picture, 0.0, features=True)
    assert frame.faces[0].predictions["vgg16"].features is not None
    assert all(p.features is None for face in session.faces for p in face.predictions.values())


def test_two_sessions_share_nothing(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    one, two = LiveSession(), LiveSession()
    one.analyze(analyzer, picture, 0.0)
    one.choose(2)
    two.analyze(analyzer, picture[:, 100:200], 0.0)
    assert [face.number for face in two.faces] == [1] and two.chosen == 1 and one.chosen == 2
    one.clear()
    assert one.faces == () and one.chosen is None and one.history() == {} and one.remembered() == 0
    assert two.remembered() == 1 and len(two.history()["vgg16"]) == 1


def test_the_chosen_face_is_followed(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    nobody = picture[:, :90]
    session = LiveSession()
    assert _frame(session, analyzer, nobody, 0.0).faces == () and session.chosen is None
    session.analyze(analyzer, picture, 1.0)
    assert session.chosen == 1  # the detector's first, until the viewer picks one
    session.choose(99)
    assert session.chosen == 1
    session.choose(2)
    session.analyze(analyzer, np.ascontiguousarray(picture[:, :100]), 1.1)
    assert session.chosen == 2 and session.face() is None  # picked: its past stays on the screen while it is away
    session.analyze(analyzer, picture, 1.2)
    assert session.face() is not None
    session.analyze(analyzer, nobody, 2 + WINDOW_S)
    assert session.chosen is None and session.remembered() == 0 and session.history() == {}


def test_faces_that_come_and_go_for_hours_do_not_pile_up(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    session = LiveSession()
    generator = np.random.default_rng(1)
    for index in range(MAX_HISTORIES + 10):
        face = generator.integers(0, 256, (10, 10, 3), np.uint8).repeat(10, 0).repeat(10, 1)
        session.analyze(analyzer, face, index / 10, models=["vgg16"])
    assert session.remembered() <= MAX_HISTORIES
    assert len(session._smoother._last) <= MAX_HISTORIES and set(session._histories) == set(session._seen)


def test_pasts_are_read_only(analyzer: Analyzer, picture: NDArray[np.uint8]) -> None:
    session = LiveSession()
    session.analyze(analyzer, picture, 0.0)
    assert isinstance(session.history(), MappingProxyType)
