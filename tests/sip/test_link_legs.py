"""Parties whose audio the relay cannot read, in queues and conferences: they come by link legs."""

import os
import signal
from collections.abc import AsyncIterator

import numpy as np
import pytest

from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.rtp import MediaOptions
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess, config_text, run_node
from tests.sip.queue_scene import answered, enqueues, takes, talk
from tests.sip.room_scene import NUMBERS, Room
from tests.sip.test_conference_audio import HIGH, LOW, MIDDLE, beeps, hears, started, tone, tone_document
from tests.sip.test_controller_death import lose_the_controller
from tests.sip.test_helper_winners import two_sides
from tests.unit.media.dtmf_sounds import key_sound, pause

pytestmark = pytest.mark.sip

WIDE_DBFS = -21.0
"""The workers' library takes G.722 for 6 dB louder than the phone does."""
STAR = "hangupOnStar='true'"


@pytest.fixture(scope="module")
async def module_node(
    module_app: WebApp, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[NodeProcess]:
    app = module_app
    numbers = {each: {"voice_url": app.url(f"/{each}")} for each in NUMBERS}
    numbers |= {"7*": {"voice_url": app.url("/agent")}, "*": {"voice_url": app.url("/caller")}}
    codecs = ["PCMU", "PCMA", "G722"]
    text = config_text(numbers, sections={"rtp": {"srtp": "optional", "codecs": codecs}})
    async with run_node(tmp_path_factory.mktemp("node"), text) as node:
        yield node


@pytest.fixture
async def secure() -> AsyncIterator[Peer]:
    """A phone with encrypted media only."""
    async with Peer.start("secure", media=MediaOptions(srtp="required")) as peer:
        yield peer


@pytest.fixture
async def wide() -> AsyncIterator[Peer]:
    """A phone with G.722 only."""
    async with Peer.start("wide", media=MediaOptions(codecs=("G722",))) as peer:
        yield peer


async def kill_worker(node: NodeProcess, call: Call) -> None:
    """``kill -9`` of the worker of a call."""
    worker = (await node.expect_log("call", sip_call_id=call.call_id))["worker"]
    os.kill(node.worker_pid(worker), signal.SIGKILL)


async def bridged(node: NodeProcess, app: WebApp, name: str, *phones: Peer, **dial: str) -> tuple[Call, Call]:
    """A caller and the agent who has taken it out of the queue, who talk."""
    enqueues(app, name, wait=None)
    takes(app, name, **dial)
    caller = await answered(node, phones[0], "500")
    agent = await answered(node, phones[1], "700")
    await talk(caller, agent)
    return caller, agent


class TestQueue:
    async def test_an_encrypted_agent_talks_with_a_plain_caller(
        self, node: NodeProcess, app: WebApp, ann: Peer, secure: Peer
    ) -> None:
        caller, agent = await bridged(node, app, "encrypted agent", ann, secure)
        assert agent.media.encrypted and not agent.media.unopened
        await agent.media.send_digit("5")
        await caller.media.expect_digit("5")
        await caller.media.send_digit("6")
        await agent.media.expect_digit("6")
        await agent.bye()
        assert (await app.expect("/left"))["QueueResult"] == "bridged"
        assert (await app.expect("/done"))["DialCallStatus"] == "completed"
        await caller.bye()

    async def test_two_that_the_relay_cannot_read_talk(
        self, node: NodeProcess, app: WebApp, secure: Peer, wide: Peer
    ) -> None:
        caller, agent = await bridged(node, app, "nobody can be read", secure, wide, hangupOnStar="true")
        assert (caller.media.encrypted, agent.media.codec) == (True, "G722")
        await agent.media.send_digit("*")
        assert (await app.expect("/left"))["QueueResult"] == "bridged"
        assert (await app.expect("/done"))["DialCallStatus"] == "completed"
        assert not caller.media.hearing.digits
        await caller.bye()
        await agent.bye()

    async def test_hold_and_resume_of_either(
        self, node: NodeProcess, app: WebApp, ann: Peer, secure: Peer
    ) -> None:
        caller, agent = await bridged(node, app, "held", ann, secure)
        for holds, other, music in ((agent, caller, 660), (caller, agent, 440)):
            await holds.hold()
            await holds.media.expect_silence()
            await other.media.expect_tone(music)  # music on hold
            await holds.resume()
            await talk(caller, agent)
        await caller.bye()
        assert (await app.expect("/left"))["QueueResult"] == "bridged"
        await agent.bye()

    async def test_both_sides_are_recorded(
        self, node: NodeProcess, app: WebApp, ann: Peer, secure: Peer
    ) -> None:
        app.reply("/recorded", "", status=204)
        record = {"record": "record-from-answer-dual", "recordingStatusCallback": app.url("/recorded")}
        caller, agent = await bridged(node, app, "recorded", ann, secure, **record)
        await agent.media.expect_sent(1.0)
        agent.media.play_tone(440)  # as ``two_sides`` wants them
        caller.media.play_tone(660)
        await caller.media.expect_tone(440)
        await agent.media.expect_tone(660)
        await agent.media.expect_sent(1.0)
        await agent.bye()
        await two_sides(node, (await app.expect("/recorded"))["RecordingUrl"])
        await caller.bye()

    async def test_keys_in_the_audio_of_a_plain_agent(
        self, node: NodeProcess, app: WebApp, ann: Peer
    ) -> None:
        """Its worker has to listen, so that the relay cannot join it."""
        async with Peer.start("tones", media=MediaOptions(telephone_event=None)) as old:
            caller, agent = await bridged(node, app, "in the audio", ann, old, hangupOnStar="true")
            agent.media.play(np.concatenate([pause(200), key_sound("*", 80), pause(80)]))
            assert (await app.expect("/left"))["QueueResult"] == "bridged"
            await caller.bye()
            await agent.bye()

    async def test_a_killed_worker_ends_the_bridge_once(
        self, node: NodeProcess, app: WebApp, ann: Peer, secure: Peer
    ) -> None:
        caller, agent = await bridged(node, app, "killed", ann, secure)
        await kill_worker(node, agent)
        await agent.expect("BYE")
        assert (await app.expect("/left"))["QueueResult"] == "bridged"
        await caller.media.expect_silence()
        await caller.bye()

    async def test_the_death_of_the_relay_is_a_moment_of_silence(
        self, node: NodeProcess, app: WebApp, ann: Peer, secure: Peer
    ) -> None:
        caller, agent = await bridged(node, app, "without relay", ann, secure)
        os.kill(node.pid_named("b2bua-relay"), signal.SIGKILL)
        caller.media.play_tone(500)  # only another relay can pass it on
        agent.media.play_tone(700)
        await caller.media.expect_tone(700)
        await agent.media.expect_tone(500)
        await talk(caller, agent)
        await agent.bye()
        assert (await app.expect("/left"))["QueueResult"] == "bridged"
        await caller.bye()

    async def test_the_next_controller_goes_on_with_it(
        self, node: NodeProcess, app: WebApp, ann: Peer, secure: Peer
    ) -> None:
        caller, agent = await bridged(node, app, "without controller", ann, secure)
        await lose_the_controller(node)
        await talk(caller, agent)
        await agent.hold()
        await agent.resume()
        await talk(caller, agent)
        await agent.bye()
        assert (await app.expect("/left"))["QueueResult"] == "bridged"
        await caller.bye()


class TestRoom:
    @pytest.fixture
    def room(self, node: NodeProcess, app: WebApp) -> Room:
        return Room(node, app)

    async def test_those_that_cannot_be_read_hear_the_others_and_are_heard(
        self, room: Room, ann: Peer, wide: Peer, secure: Peer
    ) -> None:
        calls = await started(room, (ann, "100", {}), (wide, "200", {}), (secure, "300", {}))
        calls[1].media.play_tone(MIDDLE, WIDE_DBFS)
        await hears(calls[2], LOW, MIDDLE, not_=(HIGH,))
        await hears(calls[1], LOW, HIGH, not_=(MIDDLE,))
        await hears(calls[0], MIDDLE, HIGH, not_=(LOW,))
        for call in calls:
            await call.bye()

    async def test_muted_and_held_by_rest(self, room: Room, app: WebApp, ann: Peer, secure: Peer) -> None:
        first, second = await started(room, (ann, "100", {}), (secure, "200", {"muted": "true"}))
        await hears(second, LOW)
        await hears(first, not_=(MIDDLE,))
        sid = room.sid("200")
        await room.sdk(lambda c: c.conferences(room.name).participants(sid).update(muted=False))
        await hears(first, MIDDLE)
        hold_url = app.url("/silence")
        await room.sdk(
            lambda c: c.conferences(room.name).participants(sid).update(hold=True, hold_url=hold_url)
        )
        await first.media.expect_silence()
        await second.media.expect_silence()
        await room.sdk(lambda c: c.conferences(room.name).participants(sid).update(hold=False))
        await hears(first, MIDDLE)
        await hears(second, LOW)
        await first.bye()
        await second.bye()

    async def test_music_of_one_that_holds_is_not_heard(self, room: Room, ann: Peer, secure: Peer) -> None:
        first, second = await started(room, (ann, "100", {}), (secure, "200", {}))
        await hears(first, MIDDLE)
        await second.hold()
        await first.media.expect_silence()
        await second.resume()
        await hears(first, MIDDLE)
        await hears(second, LOW)
        await first.bye()
        await second.bye()

    async def test_it_coaches_and_is_coached(self, room: Room, ann: Peer, secure: Peer, wide: Peer) -> None:
        agent, customer = await started(room, (secure, "100", {}), (ann, "200", {}))
        coach = await room.join(wide, "300", coach=room.sid("100"))
        coach.media.play_tone(HIGH, WIDE_DBFS)
        await hears(agent, MIDDLE, HIGH)
        await hears(coach, LOW, MIDDLE)
        await hears(customer, LOW, not_=(HIGH,))
        for call in (agent, customer, coach):
            await call.bye()

    async def test_beeps_announcements_and_keys(
        self, room: Room, app: WebApp, ann: Peer, secure: Peer, wide: Peer
    ) -> None:
        app.reply("/tone", tone_document(app))
        app.reply("/tone.wav", tone(2000), content_type="audio/wav")
        first, second = await started(room, (ann, "100", {}), (secure, "200", {"dial": STAR}))
        first.media.play_tone(LOW, -120)
        second.media.play_tone(MIDDLE, -120)
        third = await room.join(wide, "300", beep="onEnter")
        await second.media.expect_heard(len(second.media.heard()) / 8000 + 1.0)
        assert beeps(second) == [660, 880]
        url, sid = app.url("/tone"), room.sid("200")
        await room.sdk(lambda c: c.conferences(room.name).participants(sid).update(announce_url=url))
        await hears(second, 2000)
        assert first.media.tone_dbfs(2000) < -40
        await second.media.send_digit("5")
        await second.media.send_digit("*")
        assert (await app.expect("/done"))["DialCallStatus"] == "answered"
        assert not first.media.hearing.digits
        for call in (first, second, third):
            await call.bye()

    async def test_what_it_says_and_hears_is_recorded(
        self, room: Room, node: NodeProcess, app: WebApp, ann: Peer, secure: Peer
    ) -> None:
        app.reply("/recorded", "", status=204)
        record = f"record='record-from-answer-dual' recordingStatusCallback='{app.url('/recorded')}'"
        first = await room.join(ann, "100")
        second = await room.join(secure, "200", dial=record)
        first.media.play_tone(660)
        second.media.play_tone(440)
        await hears(first, 440)
        await hears(second, 660)
        await second.media.expect_sent(1.0)
        await second.bye()
        await two_sides(node, (await app.expect("/recorded"))["RecordingUrl"])
        await first.bye()

    async def test_a_killed_worker_leaves_the_room(
        self, room: Room, node: NodeProcess, ann: Peer, bob: Peer, secure: Peer
    ) -> None:
        calls = await started(room, (ann, "100", {}), (bob, "200", {}), (secure, "300", {}))
        await hears(calls[0], MIDDLE, HIGH)
        await room.event("participant-join")
        await kill_worker(node, calls[2])
        await calls[2].expect("BYE")
        left = await room.event("participant-leave")
        assert (left["CallSid"], left["ParticipantCallStatus"]) == (room.sid("300"), "failed")
        await calls[0].media.expect_heard(len(calls[0].media.heard()) / 8000 + 0.3)
        await hears(calls[0], MIDDLE, not_=(HIGH,))
        await calls[0].bye()
        await calls[1].bye()
