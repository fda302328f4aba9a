"""When packets count as incoming media, and when they have stopped."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2bua.core.packet_watch import GAP_S, PacketWatch

pytestmark = pytest.mark.unit

LOOK_S = 0.04
LONG = GAP_S + LOOK_S


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        # Each look: seconds since the one before, and the count.
        ([(0.04, 0), (0.04, 0), (30.0, 0)], []),
        ([(0.04, 2)], [True]),
        ([(0.04, 1), (0.04, 1), (0.04, 2)], [True]),
        ([(0.04, 1), (LONG, 2), (LONG, 3), (LONG, 4)], []),
        ([(0.04, 2), (0.5, 2), (0.4, 2)], [True]),
        ([(0.04, 2), (LONG, 2)], [True, False]),
        ([(0.04, 2), (LONG, 2), (30.0, 3), (0.04, 4)], [True, False, True]),
        ([(0.04, 2), (0.9, 3), (0.9, 4), (0.9, 5)], [True]),
        # Another stream takes its place, and counts from nothing.
        ([(0.04, 50), (0.04, 0), (0.04, 1)], [True]),
        ([(0.04, 50), (LONG, 0), (0.04, 1), (0.04, 2)], [True, False, True]),
        # A first look long after the machine has started.
        ([(1e6, 1), (0.04, 1)], []),
    ],
)
def test_media_come_and_cease(looks: list[tuple[float, int]], told: list[bool]) -> None:
    watch, now, heard = PacketWatch(), 0.0, []
    for after, packets in looks:
        now += after
        if watch.look(packets, now):
            heard.append(watch.coming)
    assert heard == told


@settings(database=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=120))
def test_what_comes_is_told_in_turns_and_ends_when_nothing_comes(news: list[int]) -> None:
    watch, now, packets, told = PacketWatch(), 0.0, 0, []
    quiet_s = GAP_S
    for came in news:
        now, packets = now + LOOK_S, packets + came
        quiet_s = 0.0 if came else quiet_s + LOOK_S
        if watch.look(packets, now):
            told.append(watch.coming)
        assert not (watch.coming and quiet_s > LONG)
        assert watch.coming or came < 2
    assert told == [number % 2 == 0 for number in range(len(told))]
