"""What a relay that was restarted is told."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2bua.node.standing_orders import StandingOrders
from b2bua.relay.control import (
    CloseLeg,
    HoldKeys,
    JoinLegs,
    LegKey,
    PartLegs,
    RecordRoom,
    RecordTaps,
    RoomMember,
    SendKeys,
    SetRoom,
    StopTaps,
    TapsEnded,
)

pytestmark = pytest.mark.unit

A, B, C = LegKey("a", "w1"), LegKey("b", "w1"), LegKey("c", "w2")


def told(*messages: object) -> list[object]:
    standing = StandingOrders()
    for message in messages:
        standing.note(message, 5.0)  # type: ignore[arg-type]
    return list(standing.again())


def taps(recording: str) -> RecordTaps:
    return RecordTaps(recording=recording, path="/x", parent=None, child=None)


def test_a_wish_stands_until_it_is_withdrawn_in_either_order() -> None:
    assert told(JoinLegs(one=A, other=B)) == [JoinLegs(one=A, other=B)]
    assert told(JoinLegs(one=A, other=B), PartLegs(one=B, other=A)) == []


def test_a_leg_that_is_closed_has_no_wishes_and_no_held_keys() -> None:
    held = HoldKeys(leg=C, digits="*")
    assert told(JoinLegs(one=A, other=B), HoldKeys(leg=A, digits="*"), held, CloseLeg(leg=A)) == [held]


def test_the_last_held_keys_count() -> None:
    assert told(HoldKeys(leg=A, digits="*"), HoldKeys(leg=A, digits="#")) == [HoldKeys(leg=A, digits="#")]
    assert told(HoldKeys(leg=A, digits="*"), HoldKeys(leg=A, digits="")) == []


def test_a_recording_stands_until_it_is_to_be_stopped() -> None:
    assert told(taps("RE1")) == [taps("RE1")]
    assert told(taps("RE1"), StopTaps(recording="RE1")) == []
    assert told(taps("RE1"), StopTaps(recording="RE1"), TapsEnded(recording="RE1", at=1.0)) == []
    assert told(StopTaps(recording="RE9")) == []


def test_a_recording_that_no_relay_can_end_any_more_ends_when_it_was_to_be_stopped() -> None:
    standing = StandingOrders()
    stop = [StopTaps(recording=recording) for recording in ("RE1", "RE2", "RE3", "RE9")]
    for n, message in enumerate([taps("RE1"), taps("RE2"), taps("RE3"), *stop]):
        standing.note(message, float(n))
    standing.note(TapsEnded(recording="RE2", at=7.0), 8.0)
    standing.note(taps("RE3"), 9.0)
    assert standing.cut_off() == [TapsEnded(recording="RE1", at=3.0)]
    assert standing.cut_off() == []
    assert standing.again() == [taps("RE3")]


def test_keys_are_sent_once() -> None:
    assert told(SendKeys(leg=A, digits="1")) == []


LEGS = st.sampled_from([A, B, C])
PAIRS = st.tuples(LEGS, LEGS).filter(lambda pair: pair[0] != pair[1])
MESSAGES = st.one_of(
    PAIRS.map(lambda pair: JoinLegs(one=pair[0], other=pair[1])),
    PAIRS.map(lambda pair: PartLegs(one=pair[0], other=pair[1])),
    st.builds(HoldKeys, leg=LEGS, digits=st.sampled_from(["", "*", "#"])),
    st.builds(CloseLeg, leg=LEGS),
    st.sampled_from(["RE1", "RE2"]).map(taps),
    st.sampled_from(["RE1", "RE2"]).map(lambda recording: StopTaps(recording=recording)),
    st.sampled_from(["RE1", "RE2"]).map(lambda recording: TapsEnded(recording=recording, at=1.0)),
)


@settings(database=None)
@given(st.lists(MESSAGES, max_size=30))
def test_saying_it_again_changes_nothing(messages: list[object]) -> None:
    again = told(*messages)
    assert told(*again) == again
    assert told(*messages, *again) == again or sorted(map(repr, told(*messages, *again))) == sorted(
        map(repr, again)
    )


def test_a_room_stands_as_it_was_last_set_until_it_is_empty() -> None:
    one = SetRoom(room="CF1", members=(RoomMember(leg=A),))
    both = SetRoom(room="CF1", members=(RoomMember(leg=A), RoomMember(leg=B)))
    record = RecordRoom(room="CF1", recording="RE1", path="/x")
    assert told(record, one, both) == [both, record]  # a recording needs its room
    assert told(both, SetRoom(room="CF1", members=())) == []
