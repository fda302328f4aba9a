"""One stream from many sources: numbers, times, losses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2bua.relay.packet import Packet
from b2bua.relay.stream import Stream
from tests.unit.relay.relay_scene import Rtp, parse

pytestmark = pytest.mark.unit


class Listener:
    """Hears a stream."""

    def __init__(self) -> None:
        self.packet = Packet()
        self.packet.data[0] = 0x80
        self.stream = Stream(self.packet, 0xABCD, 65_530, 0xFFFFFF00)
        self.now = 10.0
        self.heard: list[Rtp] = []

    def source(self, seq: int, ts: int, ssrc: int = 1, *, after: float = 0.02) -> bool:
        self.now += after
        passed = self.stream.carry(8, seq & 0xFFFF, ts & 0xFFFFFFFF, ssrc, self.now)
        if passed:
            self.heard.append(parse(bytes(self.packet.data[:12])))
        return passed

    @property
    def steps(self) -> list[tuple[int, int]]:
        """Of number and time, from each packet to the next, in signed numbers."""
        pairs = zip(self.heard, self.heard[1:], strict=False)
        return [
            ((b.seq - a.seq + 32768) % 65536 - 32768, (b.ts - a.ts + 2**31) % 2**32 - 2**31) for a, b in pairs
        ]


def test_numbers_and_times_run_over_their_ends() -> None:
    listener = Listener()
    for n in range(20):
        listener.source(65_520 + n, 2**32 - 800 + 160 * n)
    assert listener.steps == [(1, 160)] * 19
    assert [packet.marker for packet in listener.heard] == [True] + [False] * 19


def test_losses_and_late_packets_stay_as_they_are() -> None:
    listener = Listener()
    for seq in (1, 2, 5, 4, 3, 6):
        listener.source(seq, 160 * seq)
    assert listener.steps == [(1, 160), (3, 480), (-1, -160), (-1, -160), (3, 480)]


def test_what_comes_twice_goes_once() -> None:
    listener = Listener()
    assert [listener.source(seq, 160 * seq) for seq in (1, 2, 2, 4, 3, 3, 4, 5)] == [
        True,
        True,
        False,
        True,
        True,
        False,
        False,
        True,
    ]


def test_a_source_that_counts_anew_is_heard_again_soon() -> None:
    listener = Listener()
    for seq in range(500, 510):
        listener.source(seq, 160 * seq)
    assert [listener.source(seq, 160 * seq) for seq in range(1, 8)] == [False] * 4 + [True] * 3
    assert [seq for seq, _ in listener.steps] == [1] * 12


def test_a_stream_that_comes_twice_is_not_taken_for_one_that_counts_anew() -> None:
    listener = Listener()
    for seq in range(10, 60):
        assert listener.source(seq, 160 * seq, after=0.01)
        if seq >= 20:
            assert not listener.source(seq - 5, 160 * (seq - 5), after=0.01)


def test_a_late_packet_of_a_former_source_does_not_take_a_number_twice() -> None:
    listener = Listener()
    listener.source(100, 0, ssrc=1)
    listener.source(500, 0, ssrc=2)
    assert not listener.source(499, -160, ssrc=2)
    assert listener.source(501, 160, ssrc=2)
    assert listener.steps == [(1, 160)] * 2


def test_a_late_packet_does_not_fill_a_hole_that_another_source_has_left() -> None:
    listener = Listener()
    listener.source(1, 160)
    listener.source(5, 800)
    listener.source(100, 0, ssrc=2)
    assert not listener.source(98, -320, ssrc=2)


@pytest.mark.parametrize(("seq", "ts"), [(5000, 480), (3, 2**31), (3, -8000), (30_000, 0)])
def test_a_source_that_jumps_is_a_new_source(seq: int, ts: int) -> None:
    listener = Listener()
    listener.source(1, 160)
    listener.source(2, 320)
    listener.source(seq, ts)
    listener.source(seq + 1, ts + 160)
    assert listener.steps == [(1, 160)] * 3
    assert listener.heard[2].marker


def test_a_pause_of_one_source_is_as_long_as_it_says() -> None:
    listener = Listener()
    listener.source(1, 0)
    listener.source(2, 80_000, after=10.0)
    assert listener.steps == [(1, 80_000)]


def test_a_turn_after_a_pause_goes_on_by_the_clock() -> None:
    listener = Listener()
    listener.source(1, 0)
    listener.source(1, 0, ssrc=2, after=3.0)
    assert listener.steps == [(1, 24_000)]


def test_turns_do_not_move_the_stream_away_from_the_clock() -> None:
    listener = Listener()
    listener.source(0, 0)
    began, first = listener.now, listener.heard[0].ts
    for n in range(400):  # a turn that comes 5 ms after the latest packet takes 20 ms of the stream
        listener.source(7 * n, 0, ssrc=n + 2, after=0.005 if n % 10 else 0.3)
    ahead = ((listener.heard[-1].ts - first) % 2**32) / 8000 - (listener.now - began)
    assert -0.02 <= ahead <= 0.2


def test_packets_left_out_leave_no_hole() -> None:
    listener = Listener()
    listener.source(1, 160)
    for seq in (2, 3):
        listener.stream.skip(seq, 1)
    listener.stream.skip(9, 2)  # of a source that is not carried
    listener.source(4, 640)
    assert listener.steps == [(1, 480)]


def test_a_late_packet_left_out_changes_nothing() -> None:
    listener = Listener()
    listener.source(5, 160)
    listener.stream.skip(4, 1)
    listener.source(6, 320)
    assert listener.steps == [(1, 160)]


def test_packets_of_our_own_take_their_place() -> None:
    listener = Listener()
    listener.source(1, 160)
    listener.stream.insert(8, listener.stream.next_ts(listener.now + 0.02), listener.now + 0.02)
    listener.heard.append(parse(bytes(listener.packet.data[:12])))
    listener.source(2, 480, after=0.04)
    assert listener.steps == [(1, 160), (1, 160)]


def test_a_key_keeps_its_time_while_audio_goes_on() -> None:
    listener = Listener()
    listener.source(1, 160)
    listener.source(2, 320)
    assert listener.stream.carry_event(101, 3, 160, 1, listener.now)
    listener.heard.append(parse(bytes(listener.packet.data[:12])))
    listener.source(4, 480)
    assert listener.steps == [(1, 160), (1, -160), (1, 320)]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 0xFFFF),
            st.integers(0, 0xFFFFFFFF),
            st.integers(0, 3),
            st.floats(0, 2, allow_nan=False),
        ),
        max_size=60,
    )
)
def test_hostile_sources_never_move_time_back_but_for_late_packets(
    packets: list[tuple[int, int, int, float]],
) -> None:
    listener = Listener()
    numbers: set[int] = set()
    for seq, ts, ssrc, after in packets:
        if listener.source(seq, ts, ssrc, after=after):
            assert listener.heard[-1].seq not in numbers
            numbers.add(listener.heard[-1].seq)
    assert all(ts >= 0 for seq, ts in listener.steps if seq > 0 or not listener.steps)
