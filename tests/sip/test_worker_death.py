"""``kill -9`` of a worker in a call: both far ends are told, and nobody else notices.

Other calls go on, the pool recovers, the application is notified, the recording is finished.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess
from tests.sip.test_helper_winners import kill_helper

pytestmark = [pytest.mark.sip, pytest.mark.measured]

Dial = Callable[..., None]
LIMIT_S = 3.0
"""For both far ends to hear of it."""


async def test_a_killed_worker_costs_its_call_only(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    calls = []
    for user in ("1", "2"):
        call = await caller.invite(node.uri(user))
        incoming = await callee.expect_invite()
        await incoming.answer()
        await call.expect_response(200)
        await incoming.expect("ACK")
        calls.append((call, incoming))
    busy = [
        node.worker_pid((await node.expect_log("call", sip_call_id=call.call_id))["worker"])
        for call, _ in calls
    ]
    idle = node.worker_pids() - set(busy)
    victims = {busy[0], *idle}

    killed_at = time.monotonic()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    after = await app.expect("/after")
    assert after["DialHangupBy"] == "node"

    survivor, other = calls[1]
    survivor.media.play_tone(440)
    await other.media.expect_tone(440)

    # One busy worker is left, and as many idle ones as are configured have been made anew.
    while len(node.warm_pids() - victims) < 1 + 2 or victims & node.worker_pids():
        assert time.monotonic() - killed_at < 2.0, "the pool is not whole after 2 s"
        await asyncio.sleep(0.02)
    third = await caller.invite(node.uri("3"))
    incoming = await callee.expect_invite()
    await incoming.answer()
    await third.expect_response(200)
    await asyncio.gather(third.bye(), survivor.bye())


async def talk(node: NodeProcess, caller: Peer, callee: Peer) -> tuple[Call, Call]:
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.answer()
    await call.expect_response(200)
    await incoming.expect("ACK")
    return call, incoming


async def kill_worker(node: NodeProcess, call: Call) -> None:
    line = await node.expect_log("call", sip_call_id=call.call_id)
    os.kill(node.worker_pid(line["worker"]), signal.SIGKILL)


async def both_hear_bye(*calls: Call) -> None:
    async with asyncio.timeout(LIMIT_S):
        for call in calls:
            await call.expect("BYE")


async def told_once(app: WebApp, status: str) -> None:
    """The application has been asked once, with this outcome, and told that both legs are over."""
    assert (await app.expect("/after"))["DialCallStatus"] == status
    await app.expect("/status")
    assert len(app.of("/after")) == 1


async def test_both_parties_of_a_bridged_call_get_bye(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    call, incoming = await talk(node, caller, callee)
    await kill_worker(node, call)
    await both_hear_bye(call, incoming)
    await told_once(app, "completed")


async def test_a_caller_that_heard_ringing_is_refused_and_the_phone_stops(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.ring()
    await call.expect_response(180)
    await kill_worker(node, call)
    async with asyncio.timeout(LIMIT_S):
        await call.expect_response(480)
        await incoming.expect("CANCEL")
        await incoming.expect("ACK")  # of its 487
    await told_once(app, "failed")


async def test_a_recorded_call_ends_with_its_recording(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    app.reply("/recorded", "", status=204)
    dial(
        callee,
        answerOnBridge="true",
        record="record-from-answer-dual",
        recordingStatusCallback=app.url("/recorded"),
    )
    call, incoming = await talk(node, caller, callee)
    call.media.play_tone(440)
    await incoming.media.expect_tone(440)
    await incoming.media.expect_heard(len(incoming.media.heard()) / 8000 + 1.2)
    await kill_worker(node, call)
    await both_hear_bye(call, incoming)
    told = await app.expect("/recorded")
    assert told["RecordingStatus"] == "completed"
    assert int(told["RecordingDuration"]) >= 1
    await told_once(app, "completed")


async def test_a_held_call_ends_for_both(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    call, incoming = await talk(node, caller, callee)
    await call.hold()
    await incoming.media.expect_silence()
    await kill_worker(node, call)
    await both_hear_bye(call, incoming)
    await told_once(app, "completed")


async def test_a_phone_that_rings_in_a_helper_stops_and_the_others_go_on(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer
) -> None:
    users = ["t0", "t1", "t2", "t3"]
    nouns = "".join(f"<Sip>{callee.uri(user)}</Sip>" for user in users)
    app.reply("/voice", f'<Response><Dial action="{app.url("/after")}">{nouns}</Dial></Response>')
    call = await caller.invite(node.uri("100"))
    calls = {}
    for _ in users:
        each = await callee.expect_invite()
        await each.ring()
        calls[each.to_user] = each
    await kill_helper(node, call)
    deadline = time.monotonic() + LIMIT_S
    while len(stopped := [each for each in calls.values() if each.cancelled]) < 2:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    left = next(each for each in calls.values() if each not in stopped)
    await left.answer()
    await call.expect_response(200)
    await call.bye()
    await left.expect("BYE")
    await told_once(app, "completed")
