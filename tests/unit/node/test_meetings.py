"""Legs of two sessions are joined while both sessions want it."""

import asyncio

import msgspec
import pytest

from b2bua.core.commands import away
from b2bua.core.ids import LegId
from b2bua.node.meetings import Meetings
from b2bua.relay.control import JoinLegs, LegKey, LegsJoined, LegsParted, PartLegs, RelayEvent

pytestmark = pytest.mark.unit

A, B = LegKey("a", "w1"), LegKey("b", "w2")


class Sink:
    def __init__(self) -> None:
        self.told: list[RelayEvent] = []
        self.keys: list[tuple[LegId, str]] = []

    def relayed(self, event: RelayEvent) -> None:
        self.told.append(event)

    def send_keys(self, leg: LegId, digits: str) -> None:
        self.keys.append((leg, digits))


class Relay:
    def __init__(self) -> None:
        self.told: list[msgspec.Struct] = []

    def send(self, *messages: msgspec.Struct) -> None:
        self.told += messages


class Scene:
    def __init__(self) -> None:
        self.relay, self.one, self.other = Relay(), Sink(), Sink()
        self.meetings = Meetings(self.relay)
        self.meetings.name(LegId("one"), A, self.one)
        self.meetings.name(LegId("other"), B, self.other)


async def test_joined_once_both_want_it() -> None:
    scene = Scene()
    scene.meetings.want(A, B)
    assert scene.relay.told == []
    scene.meetings.want(B, A)
    assert scene.relay.told == [JoinLegs(one=B, other=A)]


async def test_the_other_session_is_told_when_one_parts_them() -> None:
    scene = Scene()
    scene.meetings.want(A, B)
    scene.meetings.want(B, A)
    scene.meetings.part(A, B)
    assert scene.relay.told[-1] == PartLegs(one=A, other=B)
    assert scene.other.told == []  # not within the step of a session
    await asyncio.sleep(0)
    assert scene.other.told == [LegsParted(one=B, other=A)]
    assert scene.one.told == []
    scene.meetings.part(B, A)
    assert len(scene.relay.told) == 2
    scene.meetings.want(A, B)
    assert len(scene.relay.told) == 2


async def test_a_report_that_crossed_the_order_to_part_is_not_for_the_other_session() -> None:
    scene = Scene()
    scene.meetings.want(A, B)
    scene.meetings.want(B, A)
    joined = LegsJoined(one=B, other=A)
    assert scene.meetings.leg_of(B, A, joined) == away(LegId("one"))
    scene.meetings.part(A, B)
    assert scene.meetings.leg_of(B, A, joined) is None
    assert scene.meetings.leg_of(B, A, LegsParted(one=B, other=A)) == away(LegId("one"))


async def test_a_leg_whose_session_is_over_is_parted_and_unknown() -> None:
    scene = Scene()
    scene.meetings.want(A, B)
    scene.meetings.want(B, A)
    scene.meetings.forget(A)
    assert scene.relay.told[-1] == PartLegs(one=A, other=B)
    assert scene.meetings.key_of(away(LegId("one"))) is None
    assert scene.meetings.key_of(away(LegId("other"))) == B


async def test_keys_go_to_the_session_of_the_other_leg() -> None:
    scene = Scene()
    scene.meetings.send_keys(away(LegId("other")), "5")
    assert scene.other.keys == []  # not within the step of a session
    await asyncio.sleep(0)
    assert (scene.one.keys, scene.other.keys) == ([], [("other", "5")])
    scene.meetings.forget(B)
    scene.meetings.send_keys(away(LegId("other")), "6")
    await asyncio.sleep(0)
    assert scene.other.keys == [("other", "5")]


K = LegKey("link", "w1")


async def test_a_leg_is_joined_by_its_link_leg() -> None:
    scene = Scene()
    scene.meetings.want(A, B)
    scene.meetings.want(B, A)
    scene.meetings.part(A, B)
    scene.meetings.want(A, B, K)
    assert scene.relay.told[1:] == [PartLegs(one=A, other=B), JoinLegs(one=K, other=B)]
    assert scene.meetings.face_of(LegId("one")) == K
    assert scene.meetings.is_link(K) and not scene.meetings.is_link(A)
    assert scene.meetings.leg_of(B, K, LegsJoined(one=K, other=B)) == away(LegId("one"))
    late = LegsJoined(one=A, other=B)
    assert scene.meetings.leg_of(B, A, late) is None


async def test_the_other_ones_wish_is_for_the_link_leg_too() -> None:
    scene = Scene()
    scene.meetings.want(A, B, K)
    scene.meetings.want(B, A)
    scene.meetings.part(B, A)
    assert scene.relay.told == [JoinLegs(one=B, other=K), PartLegs(one=B, other=K)]
    await asyncio.sleep(0)
    assert scene.one.told == [LegsParted(one=A, other=B)]
    scene.meetings.part(A, B)
    assert scene.meetings.face_of(LegId("one")) == A


async def test_a_room_is_attended_by_a_link_leg() -> None:
    scene = Scene()
    told: list[tuple[LegKey, bool]] = []
    scene.meetings.on_room = lambda key, attends: told.append((key, attends))
    scene.meetings.attend(A, True, K)
    assert scene.meetings.face_of(LegId("one")) == K
    scene.meetings.attend(A, False)
    scene.meetings.attend(A, True)
    scene.meetings.forget(A)
    assert told == [(K, True), (K, False), (A, True), (A, False)]
    assert scene.meetings.face_of(LegId("one")) is None


async def test_a_leg_that_is_over_takes_its_link_leg_along() -> None:
    scene = Scene()
    scene.meetings.want(A, B, K)
    scene.meetings.want(B, A)
    scene.meetings.forget(A)
    assert scene.relay.told[-1] == PartLegs(one=K, other=B)
    assert not scene.meetings.is_link(K)
