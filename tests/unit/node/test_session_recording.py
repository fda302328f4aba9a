"""A session whose recording the relay makes, and a worker that takes it over."""

import asyncio
from collections.abc import Awaitable, Callable
from unittest import mock

import pytest

from b2bua.calls.recording_placement import HostPart
from b2bua.core.commands import HostCommand, RecordLegs, StartRecording, StopRecording
from b2bua.core.events import LegConfirmed
from b2bua.core.ids import LegId
from b2bua.node import session_audio, session_facts, session_work
from b2bua.relay.control import LegDescribed, LegKey, RecordTaps, StopTaps, Tap
from tests.unit.node.scene import A, Clock, JumpingLoop, Story, World, incoming

pytestmark = pytest.mark.unit

PAGES = {
    "http://app.test/voice": """<Response><Dial record="record-from-answer-dual">
        <Sip>sip:bob@192.0.2.9</Sip></Dial></Response>""",
}
CALLER, CALLEE = LegKey("call-1", "w1"), LegKey("id1", "w1")
SIDES = Tap(CALLER), Tap(CALLEE)


class Recorded(Story):
    """A call that is recorded once it is answered; notes what worker and relay are told of recordings."""

    told: list[HostCommand | RecordTaps | StopTaps]

    @classmethod
    async def begins(cls, world: World) -> "Recorded":
        told: list[HostCommand | RecordTaps | StopTaps] = []
        to_worker, to_relay = world.send, world.relay.send

        def worker(*orders: HostCommand) -> None:
            told.extend(
                each for each in orders if isinstance(each, StartRecording | RecordLegs | StopRecording)
            )
            to_worker(*orders)

        def relay(*messages: object) -> None:
            for message in messages:
                if isinstance(message, RecordTaps | StopTaps):
                    assert message.recording in world.noted
                    told.append(message)
            to_relay(*messages)  # type: ignore[arg-type]

        world.send = worker  # type: ignore[method-assign, assignment]
        world.relay.send = relay  # type: ignore[method-assign, assignment]
        story = cls(world, incoming())
        story.told = told
        await story.moment()
        await story.answers("b1")
        await story.says(A, LegConfirmed)
        return story

    async def described(self, leg: LegKey, recordable: bool) -> None:
        self.world.relay.report(leg, LegDescribed(leg=leg, recordable=recordable, keys=True))
        await self.moment()


def play(tell: Callable[[Recorded], Awaitable[None]]) -> None:
    """Let a recorded call happen, in no time."""

    async def run() -> None:
        world = World(PAGES)
        story = await Recorded.begins(world)
        await tell(story)
        if not world.over:
            await story.ends("b1")
            await story.ends(A)
        await story.moment(10)
        assert (world.over, world.ends) == (1, 1)
        assert not world.relay.sinks
        assert not world.relay.recording
        assert list(world.kept.values()) == [0]

    clocks = [mock.patch.object(each, "time", Clock) for each in (session_audio, session_facts, session_work)]
    with clocks[0], clocks[1], clocks[2], asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(run())


def test_the_relay_records_from_the_note_to_the_end() -> None:
    async def tell(story: Recorded) -> None:
        (order,) = story.told
        assert isinstance(order, RecordTaps)
        assert (order.parent, order.child) == SIDES
        assert order.path == f"/raw/{order.recording}.rtp"
        await story.ends("b1")
        assert story.told[1:] == [StopTaps(recording=order.recording)]
        assert not story.world.host_parts

    play(tell)


def test_a_worker_takes_over_and_its_place_is_noted() -> None:
    async def tell(story: Recorded) -> None:
        (begun,) = story.told
        assert isinstance(begun, RecordTaps)
        await story.moment(2.0)
        await story.described(CALLEE, recordable=True)
        assert len(story.told) == 1
        await story.described(CALLEE, recordable=False)
        sid = begun.recording
        assert story.told[1:] == [
            StartRecording(recording=sid, stem=f"/raw/{sid}.worker", parent=A, child=LegId("b1")),
            StopTaps(recording=sid),
        ]
        (part,) = story.world.host_parts
        assert part == HostPart(recording=part.recording, at_s=pytest.approx(2.0, abs=0.2))
        await story.ends("b1")
        assert story.told[3:] == [StopRecording(recording=sid)]

    play(tell)


def test_a_relay_that_does_not_answer_does_not_hold_up_the_end() -> None:
    async def tell(story: Recorded) -> None:
        story.world.relay.is_deaf = True
        await story.ends("b1")
        await story.ends(A)

    play(tell)
