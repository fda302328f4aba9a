"""Draining a node: responses to new calls, calls in progress, pending webhooks."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from tests.peer.ladder import PATIENCE_S
from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess, config_text, run_node

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


async def health(node: NodeProcess, status: int) -> None:
    """Wait until ``/healthz`` reports this."""
    async with aiohttp.ClientSession() as session:
        for _ in range(1000):
            async with session.get(f"{node.http}/healthz") as answer:
                if answer.status == status:
                    return
            await asyncio.sleep(0.02)
    raise AssertionError(f"/healthz never was {status}")
