"""What the relay notices about a call's media, and what follows from it."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from tests.peer.peer import Peer
from tests.sip.node_process import NodeProcess
from tests.sip.test_talking import both_hear, bridged

pytestmark = pytest.mark.sip

Dial = Callable[..., None]

TIMEOUT_S = 1.5


@pytest.fixture(scope="module")
def sections() -> dict[str, dict[str, Any]]:
    return {"relay": {"rtp_timeout_s": TIMEOUT_S}}


async def foreign_packets(node: NodeProcess) -> float:
    async with aiohttp.ClientSession(node.http) as session, session.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    values = [line.split()[-1] for line in lines if line.startswith("b2bua_rtp_foreign_packets_total ")]
    return float(values[0])


async def test_a_call_whose_parties_have_both_disappeared_is_ended(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    async with bridged(node, caller, callee) as (call, incoming):
        call.media.stop()
        incoming.media.stop()
        await call.expect("BYE")
        await incoming.expect("BYE")


async def test_one_party_that_is_heard_is_enough(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    async with bridged(node, caller, callee) as (call, incoming):
        call.media.stop()
        await incoming.media.expect_heard(len(incoming.media.heard()) / 8000 + 2 * TIMEOUT_S)
        assert call.state == incoming.state == "confirmed"


async def test_a_call_on_hold_is_not_ended(node: NodeProcess, caller: Peer, callee: Peer, dial: Dial) -> None:
    dial(callee, answerOnBridge="true")
    async with bridged(node, caller, callee) as (call, incoming):
        await call.reinvite("inactive")
        call.media.stop()
        incoming.media.stop()
        await asyncio.sleep(2 * TIMEOUT_S)  # nothing is to happen
        assert call.state == incoming.state == "confirmed"
        await call.resume()
        await both_hear(call, incoming)


async def test_packets_from_elsewhere_are_dropped_counted_and_logged_once(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    before = await foreign_packets(node)
    async with bridged(node, caller, callee) as (call, incoming):
        call.media.stop()
        await call.reinvite(new_port=True)
        assert call.media.remote is not None
        target = (call.media.remote.host, call.media.remote.port)
        await call.media.expect_followed()  # until then the kernel drops strangers, and nobody counts them
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            # No two in a row: it is no stream that could be learned. A socket holds some 40 packets.
            for number in range(0, 150, 5):
                header = bytes((0x80, 0, 0, number)) + (160 * number).to_bytes(4, "big") + b"ABCD"
                stranger.sendto(header + b"\x00" * 160, target)
        await node.expect_log("packets from elsewhere dropped")
        await both_hear(call, incoming)
        await incoming.media.expect_heard(len(incoming.media.heard()) / 8000 + 1.5)  # to the next report
        assert await incoming.media.expect_tone(440) > -25
    assert [each["event"] for each in node.log()].count("packets from elsewhere dropped") == 1
    assert await foreign_packets(node) == before + 30
