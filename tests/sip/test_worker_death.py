"""``kill -9`` of a worker in a call: other calls go on, the pool recovers, the application is notified."""

import asyncio
import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess

pytestmark = pytest.mark.sip

Dial = Callable[..., None]


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
