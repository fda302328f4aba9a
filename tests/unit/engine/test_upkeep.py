"""When a worker does its upkeep."""

import pytest

from b2bua.engine.upkeep import Pace, Upkeep

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("pace", "pause_s"), [("early", 0.04), ("often", 0.1), ("seldom", 1), ("resting", 30)]
)
def test_the_pace_says_when_it_is_due_again(pace: Pace, pause_s: float) -> None:
    upkeep = Upkeep()
    assert upkeep.is_due(10.0)
    upkeep.done(pace, 10.0)
    assert upkeep.pause_s(10.0) == pytest.approx(pause_s)
    assert not upkeep.is_due(10.0 + pause_s * 0.99)
    assert upkeep.is_due(10.0 + pause_s * 1.01)


def test_what_happens_brings_it_forward() -> None:
    upkeep = Upkeep()
    upkeep.done("resting", 10.0)
    upkeep.stir(12.0)
    assert upkeep.pause_s(12.0) == pytest.approx(0.1)
    assert upkeep.pause_s(13.0) == 0.0


def test_what_happens_does_not_put_it_off() -> None:
    upkeep = Upkeep()
    upkeep.done("early", 10.0)
    upkeep.stir(10.03)
    assert upkeep.is_due(10.05)


def test_it_is_calm_a_second_after_the_last_event() -> None:
    upkeep = Upkeep()
    upkeep.stir(10.0)
    assert not upkeep.calm(10.9)
    assert upkeep.calm(11.1)
