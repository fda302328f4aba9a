"""``kill -9`` of the edge with calls up: they go on, end, hold and transfer by the next edge."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from tests.bench.processes import sockets
from tests.peer.call import Call
from tests.peer.ladder import PATIENCE_S
from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess, config_text, run_node
from tests.sip.test_registrar import USERS, register
from tests.sip.test_registrar import talk as phones_talk

pytestmark = pytest.mark.sip

Dial = Callable[..., None]
_GRANTED_MOST = 3 * 48 + 8
"""Sockets of the relay without a leg: those of granted pairs, its own and its clients'."""


@pytest.fixture
async def node(app: WebApp, tmp_path: Path) -> AsyncIterator[NodeProcess]:
    """A node for each test: five deaths within a minute would be its end."""
    number = {"voice_url": app.url("/voice"), "status_callback": app.url("/status")}
    async with run_node(tmp_path, config_text({"*": number})) as node:
        yield node


async def talk(node: NodeProcess, caller: Peer, callee: Peer) -> tuple[Call, Call]:
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.answer()
    await call.expect_response(200)
    await incoming.expect("ACK")
    return call, incoming


async def kill_edge(node: NodeProcess) -> None:
    """Kill the edge; returns when the next one serves the controller."""
    backs = _backs(node)
    os.kill(node.pid_named("b2bua-edge"), signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_S
    while _backs(node) == backs:
        assert time.monotonic() < deadline, node.log_path.read_text()[-3000:]
        await asyncio.sleep(0.02)


def _backs(node: NodeProcess) -> int:
    return sum(line.get("event") == "the edge is back" for line in node.log())


async def test_calls_go_on_and_either_side_ends_them(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    first, first_far = await talk(node, caller, callee)
    second, second_far = await talk(node, caller, callee)
    await kill_edge(node)
    first.media.play_tone(440)
    await first_far.media.expect_tone(440)
    await first.bye()
    await first_far.expect("BYE")
    assert (await app.expect("/after"))["DialCallStatus"] == "completed"
    await second_far.bye()
    await second.expect("BYE")
    assert (await app.expect("/after"))["DialHangupBy"] == "callee"


async def test_an_invite_that_comes_meanwhile_is_answered_late(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    os.kill(node.pid_named("b2bua-edge"), signal.SIGKILL)
    call, incoming = await talk(node, caller, callee)
    call.media.play_tone(440)
    await incoming.media.expect_tone(440)
    await call.bye()
    await incoming.expect("BYE")


async def test_a_phone_that_rang_is_answered_or_canceled(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    calls = []
    for _ in range(2):
        call = await caller.invite(node.uri("100"))
        incoming = await callee.expect_invite()
        await incoming.ring()
        await call.expect_response(180)
        calls.append((call, incoming))
    await kill_edge(node)
    (answered, far), (given_up, ringing) = calls
    await far.answer()
    await answered.expect_response(200)
    answered.media.play_tone(440)
    await far.media.expect_tone(440)
    await given_up.cancel()
    await given_up.expect_response(487)
    await ringing.expect("CANCEL")
    await answered.bye()
    await far.expect("BYE")


async def test_hold_transfer_and_rest_work_as_ever(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, ann: Peer, dial: Dial
) -> None:
    app.reply("/refer", f"<Response><Dial><Sip>{ann.uri()}</Sip></Dial></Response>")
    dial(callee, answerOnBridge="true", referUrl="/refer")
    call, incoming = await talk(node, caller, callee)
    sid = (await app.expect("/voice"))["CallSid"]
    await kill_edge(node)
    await call.hold()
    await incoming.media.expect_silence()
    await call.resume()
    call.media.play_tone(440)
    await incoming.media.expect_tone(440)
    await incoming.refer(ann.uri())
    target = await ann.expect_invite()
    await target.answer()
    await target.expect("ACK")
    target.media.play_tone(660)
    await call.media.expect_tone(660)
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)}
    url = f"{node.http}/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{sid}.json"
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(url, data={"Status": "completed"}) as answer,
    ):
        assert answer.status == 200
    await call.expect("BYE")
    await target.expect("BYE")


async def test_a_worker_that_dies_after_the_edge_leaves_nobody_in_silence(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    call, incoming = await talk(node, caller, callee)
    await kill_edge(node)
    line = await node.expect_log("call", sip_call_id=call.call_id)
    os.kill(node.worker_pid(line["worker"]), signal.SIGKILL)
    await call.expect("BYE")
    await incoming.expect("BYE")


async def test_all_ports_and_workers_come_back(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    """What the edge before had given away is free again when the calls are over."""
    dial(callee, answerOnBridge="true")
    for _ in range(2):
        call, incoming = await talk(node, caller, callee)
        await kill_edge(node)
        await call.bye()
        await incoming.expect("BYE")
    await node.quiet()
    relay = node.pid_named("b2bua-relay")
    deadline = time.monotonic() + PATIENCE_S
    while (count := len(sockets(relay))) > _GRANTED_MOST:
        assert time.monotonic() < deadline, f"{count} sockets are open without a call"
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_phones_stay_registered(tmp_path: Path, transport: str) -> None:
    """Over TCP a phone connects again and registers on the new connection, as RFC 5626 has it."""
    async with (
        run_node(tmp_path, config_text({}, extra=USERS)) as node,
        Peer.start("alice", transport=transport) as alice,
        Peer.start("bob", transport=transport) as bob,
    ):
        await register(alice, node)
        await register(bob, node)
        await kill_edge(node)
        if transport == "tcp":
            await register(bob, node)
        await phones_talk(node, alice, bob)
