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
