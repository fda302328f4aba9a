"""Draining a node: responses to new calls, calls in progress, pending webhooks."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from tests.peer.ladder import PATIENCE_S
from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess, config_text, run_node
from tests.sip.room_scene import Room
from tests.sip.test_conference_audio import LOW, MIDDLE, hears, started

pytestmark = pytest.mark.sip

Dial = Callable[..., None]


@pytest.fixture
async def node(app: WebApp, tmp_path: Path) -> AsyncIterator[NodeProcess]:
    """A node for each test, since the test ends it."""
    number = {"voice_url": app.url("/voice"), "status_callback": app.url("/status")}
    async with run_node(tmp_path, config_text({"*": number}, sections={"node": {"drain_s": 20}})) as node:
        yield node


async def test_a_draining_node_lets_calls_end_and_takes_no_new_ones(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.answer()
    await call.expect_response(200)
    await incoming.expect("ACK")

    node.process.send_signal(signal.SIGTERM)
    await health(node, 503)
    refused = await caller.invite(node.uri("101"))
    response = await refused.expect_response(503)
    assert int(response["Retry-After"]) > 0

    call.media.play_tone(440)
    await incoming.media.expect_tone(440)
    await call.bye()
    await app.expect("/after")
    await app.expect("/status")
    assert await asyncio.wait_for(node.process.wait(), PATIENCE_S) == 0


async def test_a_second_signal_hangs_up_at_once_and_still_tells_the_application(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.answer()
    await call.expect_response(200)
    await incoming.expect("ACK")
    node.process.send_signal(signal.SIGTERM)
    await health(node, 503)
    node.process.send_signal(signal.SIGTERM)
    await call.expect("BYE")
    await incoming.expect("BYE")
    after = await app.expect("/after")
    assert after["DialHangupBy"] == "node"
    assert await asyncio.wait_for(node.process.wait(), PATIENCE_S) == 0


async def test_a_signal_to_the_whole_group_ends_no_part_before_the_calls(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    """As ^C in a terminal, or a service manager that signals every process."""
    dial(callee, answerOnBridge="true")
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.answer()
    await call.expect_response(200)
    await incoming.expect("ACK")
    parts = node.lasting_pids()
    for number in (signal.SIGINT, signal.SIGTERM):
        for pid in parts:
            if pid != node.process.pid or number == signal.SIGTERM:
                os.kill(pid, number)
    await health(node, 503)
    call.media.play_tone(440)
    await incoming.media.expect_tone(440)
    assert set(node.lasting_pids()) == set(parts)
    await call.bye()
    await incoming.expect("BYE")
    assert await asyncio.wait_for(node.process.wait(), PATIENCE_S) == 0


async def health(node: NodeProcess, status: int) -> None:
    """Wait until ``/healthz`` reports this."""
    async with aiohttp.ClientSession() as session:
        for _ in range(1000):
            async with session.get(f"{node.http}/healthz") as answer:
                if answer.status == status:
                    return
            await asyncio.sleep(0.02)
    raise AssertionError(f"/healthz never was {status}")


async def test_rooms_and_queues_go_on_and_end_with_the_node(
    app: WebApp, tmp_path: Path, ann: Peer, bob: Peer, carol: Peer, caller: Peer
) -> None:
    """While the node drains no new room begins; what the application hears of the others is not lost."""
    numbers = {each: {"voice_url": app.url(f"/{each}")} for each in ("100", "200", "300", "400")}
    async with run_node(tmp_path, config_text(numbers, sections={"node": {"drain_s": 60}})) as node:
        room = Room(node, app)
        app.reply("/left", "<Response/>")
        app.reply(
            "/300", f"<Response><Enqueue waitUrl='' action='{app.url('/left')}'>drains</Enqueue></Response>"
        )
        app.reply("/400", "<Response><Enqueue waitUrl=''>goes elsewhere</Enqueue></Response>")
        talkers = await started(room, (ann, "100", {}), (bob, "200", {}))
        for user, peer in (("300", carol), ("400", caller)):
            call = await peer.invite(node.uri(user))
            await call.expect_response(200)
        node.process.send_signal(signal.SIGTERM)
        await health(node, 503)

        await asyncio.gather(hears(talkers[0], MIDDLE), hears(talkers[1], LOW))
        late = (
            f"<Response><Dial action='{app.url('/refused')}'><Conference>new</Conference></Dial></Response>"
        )
        app.reply("/refused", "<Response><Pause length='60'/></Response>")
        sid = app.of("/400")[-1]["CallSid"]
        await room.sdk(lambda c: c.calls(sid).update(twiml=late))
        assert (await app.expect("/refused"))["DialCallStatus"] == "failed"
        assert app.of("/left") == []

        node.process.send_signal(signal.SIGTERM)  # instead of the rest of the time
        assert (await app.expect("/left"))["QueueResult"] == "system-error"
        for _ in range(2):
            left = await room.event("participant-leave")
            assert left["ReasonParticipantLeft"] == "conference_ended_via_api"
        ended = await room.event("conference-end")
        assert ended["ReasonConferenceEnded"] == "conference-ended-via-api"
        assert await asyncio.wait_for(node.process.wait(), PATIENCE_S) == 0
