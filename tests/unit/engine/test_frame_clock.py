"""When the bridge's frames are due."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2bua.engine.frame_clock import FRAME_S, FrameClock

pytestmark = pytest.mark.unit


def running(now: float = 10.0) -> FrameClock:
    clock = FrameClock()
    clock.set(has_media=True, has_work=False, now=now)
    return clock


def frames(clock: FrameClock, now: float) -> int:
    count = 0
    while clock.take(now):
        count += 1
    return count


def test_it_stands_without_media() -> None:
    clock = FrameClock()
    clock.set(has_media=False, has_work=False, now=10.0)
    assert not clock.runs
    assert frames(clock, 20.0) == 0


def test_frames_are_on_the_grid_of_all_workers() -> None:
    clock = running(10.013)
    assert clock.next_frame == pytest.approx(10.02)
    assert frames(clock, 10.0999) == 4


def test_a_process_that_was_stopped_makes_up_for_nothing() -> None:
    clock = running(10.005)
    assert frames(clock, 10.19) == 9
    assert frames(clock, 15.0) == 1


def test_it_rests_a_moment_after_it_may() -> None:
    clock = running(10.0)
    clock.rest(10.0)
    clock.set(has_media=True, has_work=False, now=10.05)
    assert clock.runs
    clock.set(has_media=True, has_work=False, now=10.061)
    assert not clock.runs
    clock.stay()
    clock.set(has_media=True, has_work=False, now=10.1)
    assert clock.runs


def test_it_says_when_it_may_stop() -> None:
    clock = running(10.0)
    assert not clock.may_stop(20.0)
    clock.rest(20.0)
    clock.set(has_media=True, has_work=False, now=20.0)
    assert not clock.may_stop(20.05)
    assert clock.may_stop(20.061)
    clock.set(has_media=True, has_work=True, now=20.061)  # a prompt: it would not stop
    assert not clock.may_stop(30.0)


def test_a_change_of_media_needs_a_frame_even_at_rest() -> None:
    clock = running(10.0)
    clock.rest(10.0)
    clock.media_changed(20.0)
    clock.set(has_media=True, has_work=False, now=20.0)
    assert clock.runs
    clock.set(has_media=True, has_work=False, now=20.061)
    assert not clock.runs
    clock.stay()
    clock.media_changed(30.0)
    assert not clock.may_rest


@settings(database=None)
@given(st.booleans(), st.booleans(), st.floats(0, 100))
def test_what_has_work_runs_it_at_rest_too(has_media: bool, has_work: bool, since: float) -> None:
    clock = running(10.0)
    clock.rest(10.0)
    clock.set(has_media=has_media, has_work=has_work, now=10.0 + since)
    assert clock.runs == (has_work or (has_media and since < 0.06))


@settings(database=None)
@given(st.lists(st.floats(0.0, 0.19), max_size=50))
def test_no_frame_is_lost_while_it_is_asked_often_enough(pauses: list[float]) -> None:
    clock, now, count = running(10.0), 10.0, 0
    for pause in pauses:
        now += pause
        count += frames(clock, now)
    assert abs(count - (now - 10.0) / FRAME_S) <= 1.001
