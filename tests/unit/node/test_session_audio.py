"""A session and the relay: who is joined, whose keys count, what is measured, when the facts are told."""

import asyncio
from collections.abc import Awaitable, Callable
from unittest import mock

import pytest

from b2bua.calls.orders import CallOver
from b2bua.core.commands import HostCommand, RestClock, SendDtmf
from b2bua.core.events import DtmfReceived, LegConfirmed, MediaMeasured
from b2bua.core.ids import LegId
from b2bua.node import session_audio, session_facts, session_work
from b2bua.node.facts import SessionEnded
from b2bua.relay.control import (
    CloseLeg,
    ForeignPackets,
    HoldKeys,
    JoinLegs,
    KeyPressed,
    LegDescribed,
    LegKey,
    LegLost,
    LegSilent,
    LegsParted,
    PartLegs,
    SendKeys,
)
from tests.unit.node.scene import A, Clock, JumpingLoop, Story, World, incoming

pytestmark = pytest.mark.unit

PAGES = {
    "http://app.test/voice": """<Response><Dial answerOnBridge="true" hangupOnStar="true">
        <Sip>sip:bob@192.0.2.9</Sip></Dial></Response>""",
}
CALLER, CALLEE = LegKey("call-1", "w1"), LegKey("id1", "w1")


class Bridge(Story):
    """A call whose parties are joined; notes what its worker is told."""

    commands: list[HostCommand]

    @classmethod
    async def joined(cls, world: World) -> "Bridge":
        told: list[HostCommand] = []
        send = world.send

        def noting(*orders: HostCommand) -> None:
            told.extend(orders)
            send(*orders)

        world.send = noting  # type: ignore[method-assign, assignment]
        story = cls(world, incoming())
        story.commands = told
        await story.moment()
        for key in (CALLER, CALLEE):
            world.relay.report(key, LegDescribed(leg=key, recordable=True, keys=True))
        await story.answers("b1")
        await story.says(A, LegConfirmed)
        return story

    def rests(self) -> list[bool]:
        return [order.resting for order in self.commands if isinstance(order, RestClock)]

    async def key(self, digit: str, *, passed: bool, leg: LegKey = CALLER) -> None:
        now = self.world.loop.time()
        pressed = KeyPressed(leg=leg, at=now, digit=digit, duration_ms=120, passed=passed)
        self.world.relay.report(leg, pressed)
        await self.moment()

    def seen(self, kind: type) -> list[object]:
        return [entry.fact for entry in self.world.entries if isinstance(entry.fact, kind)]


def play(tell: Callable[[Bridge], Awaitable[None]]) -> None:
    """Let a joined call happen, in no time."""

    async def run() -> None:
        world = World(PAGES)
        story = await Bridge.joined(world)
        await tell(story)
        if not world.over:
            await story.ends("b1")
            await story.ends(A)
        await story.moment(1)
        assert (world.over, world.ends) == (1, 1)
        assert not world.relay.sinks and not world.relay.joined
        assert story.seen(SessionEnded) and not world.lost_facts

    clocks = [mock.patch.object(each, "time", Clock) for each in (session_audio, session_facts, session_work)]
    with clocks[0], clocks[1], clocks[2], asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(run())


def test_the_worker_of_a_joined_call_rests() -> None:
    async def tell(story: Bridge) -> None:
        assert JoinLegs(one=CALLER, other=CALLEE) in story.world.relay.told
        assert HoldKeys(leg=CALLER, digits="*") in story.world.relay.told
        assert story.rests() == [True]
        story.world.relay.report(CALLER, LegsParted(one=CALLER, other=CALLEE))
        await story.moment()
        assert story.rests() == [True, False]

    play(tell)


def test_legs_are_parted_and_closed_when_one_ends() -> None:
    async def tell(story: Bridge) -> None:
        before = len(story.world.relay.told)
        await story.ends("b1")
        told = story.world.relay.told[before:]
        assert told[:2] == [PartLegs(one=CALLER, other=CALLEE), CloseLeg(leg=CALLEE)]

    play(tell)


def test_a_key_that_was_passed_on_is_not_sent_again() -> None:
    async def tell(story: Bridge) -> None:
        await story.key("5", passed=True)
        await story.key("6", passed=True, leg=CALLEE)
        assert not any(isinstance(order, SendDtmf) for order in story.commands)
        assert not any(isinstance(order, SendKeys) for order in story.world.relay.told)

    play(tell)


def test_a_key_that_was_withheld_is_sent_if_it_is_not_ours() -> None:
    async def tell(story: Bridge) -> None:
        await story.key("5", passed=False)
        assert SendKeys(leg=CALLEE, digits="5") in story.world.relay.told

    play(tell)


def test_a_star_ends_the_callee() -> None:
    async def tell(story: Bridge) -> None:
        await story.key("*", passed=False)
        await story.moment(0.1)
        assert story.world.legs[LegId("b1")] == "ended"

    play(tell)


def test_a_key_by_info_is_sent_to_the_joined_leg_a_moment_later() -> None:
    async def tell(story: Bridge) -> None:
        await story.says(A, DtmfReceived, digit="7", method="info")
        assert not any(isinstance(order, SendKeys) for order in story.world.relay.told)
        await story.moment(0.3)
        assert SendKeys(leg=CALLEE, digits="7") in story.world.relay.told

    play(tell)


def test_a_key_by_info_and_rfc4733_counts_once() -> None:
    async def tell(story: Bridge) -> None:
        await story.says(A, DtmfReceived, digit="7", method="info")
        await story.key("7", passed=True)
        await story.moment(0.3)
        assert not any(isinstance(order, SendKeys) for order in story.world.relay.told)

    play(tell)


def test_a_call_from_which_nothing_comes_is_ended() -> None:
    async def tell(story: Bridge) -> None:
        story.world.relay.report(CALLER, LegSilent(leg=CALLER))
        await story.moment(0.2)
        assert story.world.over == 1

    play(tell)


def test_a_call_one_of_whose_legs_is_lost_is_ended_once(caplog: pytest.LogCaptureFixture) -> None:
    async def tell(story: Bridge) -> None:
        for leg in (CALLEE, CALLER):
            story.world.relay.report(leg, LegLost(leg=leg))
        await story.moment(0.2)
        assert story.world.over == 1

    play(tell)
    assert [record.message for record in caplog.records].count("call without audio") == 1


def test_packets_from_elsewhere_are_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def tell(story: Bridge) -> None:
        for count in (3, 4):
            foreign = ForeignPackets(leg=CALLER, source="192.0.2.66:4000", count=count)
            story.world.relay.report(CALLER, foreign)
            await story.moment()
        assert b"b2bua_rtp_foreign_packets_total 7.0" in story.world.metrics.text()

    play(tell)
    assert [record.message for record in caplog.records].count("packets from elsewhere dropped") == 1


def test_the_last_facts_of_a_call_wait_for_its_measurements() -> None:
    async def tell(story: Bridge) -> None:
        await story.ends("b1")
        await story.ends(A)
        await story.moment(0.1)
        kinds = [type(entry.fact) for entry in story.world.entries]
        assert kinds.count(MediaMeasured) == 2
        assert kinds.index(CallOver) > max(i for i, kind in enumerate(kinds) if kind is MediaMeasured)

    play(tell)


def test_they_do_not_wait_for_a_relay_that_has_died() -> None:
    async def tell(story: Bridge) -> None:
        story.world.relay.is_deaf = True
        await story.ends("b1")
        await story.ends(A)
        await story.moment(0.1)
        assert not story.seen(CallOver) and not story.world.over
        await story.moment(0.25)
        assert story.seen(CallOver) and story.world.over

    play(tell)
