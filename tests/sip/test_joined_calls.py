"""Calls whose parties hear each other by the relay, without their worker."""

import asyncio
import os
import signal
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest

from tests.peer.ladder import PATIENCE_S
from tests.peer.peer import Peer
from tests.peer.rtp import Media, MediaOptions
from tests.peer.webapp import WebApp
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess
from tests.sip.test_talking import both_hear, bridged

pytestmark = pytest.mark.sip

Dial = Callable[..., None]

_HEADER = struct.Struct(">BBHII")


@dataclass
class Wire:
    """Every packet that reaches a party, and when."""

    packets: list[tuple[float, int, int, int]] = field(default_factory=list)
    """Arrival, sequence number, timestamp, SSRC."""

    @classmethod
    def of(cls, media: Media) -> "Wire":
        wire, receive = cls(), media.hearing.receive

        def received(data: bytes, at: float) -> bool:
            _, _, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
            wire.packets.append((at, sequence, timestamp, ssrc))
            return receive(data, at)

        media.hearing.receive = received  # type: ignore[method-assign]
        return wire

    def longest_gap_s(self, since: float) -> float:
        times = [since, *(packet[0] for packet in self.packets if packet[0] > since)]
        return max(after - before for before, after in pairwise(times))


async def worker_of(node: NodeProcess) -> int:
    """Pid of the worker that has a call."""
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)}
    async with (
        aiohttp.ClientSession(node.http, headers=headers) as session,
        session.get("/b2bua/v1/processes") as answer,
    ):
        processes = (await answer.json())["processes"]
    return next(int(each["pid"]) for each in processes if each["kind"] == "worker" and each["calls"])


def wake_ups(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def cpu_s(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


async def rests(pid: int) -> None:
    """Wait until a worker sleeps for half a second."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        before = wake_ups(pid)
        await asyncio.sleep(0.5)
        if wake_ups(pid) - before <= 1:
            return
    raise AssertionError(f"worker {pid} does not rest")


async def test_a_call_that_talks_costs_its_worker_nothing(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true", hangupOnStar="true")
    async with bridged(node, caller, callee) as (call, incoming):
        pid = await worker_of(node)
        await rests(pid)
        before = cpu_s(pid)
        call.media.play_tone(500)
        incoming.media.play_tone(700)
        for _ in range(3):
            await incoming.media.expect_heard(len(incoming.media.heard()) / 8000 + 1.0)
        assert cpu_s(pid) - before < 3 * 100e-6
        assert await call.media.expect_tone(700) > -25
        assert await incoming.media.expect_tone(500) > -25


@pytest.mark.parametrize("how", ["sendonly", "inactive", "c0000"])
async def test_hold_wakes_the_worker_and_resume_lets_it_rest(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial, how: str
) -> None:
    dial(callee, answerOnBridge="true")
    async with bridged(node, caller, callee) as (call, incoming):
        pid = await worker_of(node)
        await rests(pid)
        await (call.reinvite(c0000=True) if how == "c0000" else call.reinvite(how))
        await call.media.expect_silence()
        before = wake_ups(pid)
        await incoming.media.expect_heard(len(incoming.media.heard()) / 8000 + 0.5)
        assert wake_ups(pid) - before > 10
        await call.resume()
        await both_hear(call, incoming)
        await rests(pid)


async def test_a_law_and_mu_law_understand_each_other(node: NodeProcess, app: WebApp, dial: Dial) -> None:
    european, american = MediaOptions(codecs=("PCMA",)), MediaOptions(codecs=("PCMU",))
    async with Peer.start("caller", media=european) as caller, Peer.start("callee", media=american) as callee:
        dial(callee, answerOnBridge="true")
        async with bridged(node, caller, callee) as (call, incoming):
            await rests(await worker_of(node))
            assert (call.media.codec, incoming.media.codec) == ("PCMA", "PCMU")
            await both_hear(call, incoming)
            assert -16 < call.media.tone_dbfs(660) < -14
            assert -16 < incoming.media.tone_dbfs(440) < -14


async def test_two_wideband_phones_are_joined(node: NodeProcess, app: WebApp, dial: Dial) -> None:
    wide = MediaOptions(codecs=("G722",))
    async with Peer.start("ann", media=wide) as ann, Peer.start("bob", media=wide) as bob:
        dial(bob, answerOnBridge="true")
        async with bridged(node, ann, bob) as (call, incoming):
            await rests(await worker_of(node))
            await both_hear(call, incoming)
            assert (call.media.hearing.codec, incoming.media.hearing.codec) == ("G722", "G722")


async def test_a_wideband_phone_and_one_of_g711_stay_with_their_worker(
    node: NodeProcess, app: WebApp, dial: Dial
) -> None:
    wide, narrow = MediaOptions(codecs=("G722",)), MediaOptions(codecs=("PCMU",))
    async with Peer.start("ann", media=wide) as ann, Peer.start("bob", media=narrow) as bob:
        dial(bob, answerOnBridge="true")
        async with bridged(node, ann, bob) as (call, incoming):
            pid = await worker_of(node)
            await both_hear(call, incoming)
            before = wake_ups(pid)
            await call.media.expect_heard(len(call.media.heard()) / 8000 + 1.0)
            assert wake_ups(pid) - before > 10  # it transcodes: 50 times a second on a machine with time
            assert (call.media.hearing.codec, incoming.media.hearing.codec) == ("G722", "PCMU")


async def test_a_new_port_is_followed_while_joined(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    async with bridged(node, caller, callee) as (call, incoming):
        pid = await worker_of(node)
        await rests(pid)
        await call.reinvite(new_port=True)
        call.media.play_tone(500)
        incoming.media.play_tone(700)
        await call.media.expect_tone(700)
        await incoming.media.expect_tone(500)
        await rests(pid)


async def test_a_party_hears_one_stream_whoever_speaks(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    """Ringback, joined, hold, joined, Say: one SSRC, no packet lost or doubled, times that fit the clock."""
    dial(callee, answerOnBridge="true", ringTone="uk", action="", after="<Say>Good bye</Say>")
    call = await caller.invite(node.uri("100"))
    await call.expect_response(183)
    wire = Wire.of(call.media)
    incoming = await callee.expect_invite()
    await incoming.ring()
    await call.media.expect_tone(400, min_dbfs=-28)
    await incoming.answer()
    await call.expect_response(200)
    await incoming.expect("ACK")
    await both_hear(call, incoming)
    pid = await worker_of(node)
    await rests(pid)
    await incoming.reinvite("sendonly")
    await call.media.expect_heard(len(call.media.heard()) / 8000 + 0.5)
    await incoming.resume()
    await both_hear(call, incoming)
    await rests(pid)
    await call.media.expect_heard(len(call.media.heard()) / 8000 + 2.0)
    await incoming.bye()
    await call.expect("BYE")  # after the announcement
    packets = wire.packets
    assert len(packets) > 200
    assert len({ssrc for _, _, _, ssrc in packets}) == 1
    for (at, sequence, timestamp, _), (next_at, next_sequence, next_timestamp, _) in pairwise(packets):
        assert next_sequence == (sequence + 1) & 0xFFFF
        step_s = ((next_timestamp - timestamp) & 0xFFFFFFFF) / 8000
        assert step_s == 0.02 or abs(step_s - (next_at - at)) < 0.1, (at, step_s, next_at - at)
    assert wire.longest_gap_s(packets[0][0]) < 0.4


async def test_a_relay_that_is_killed_is_replaced_within_two_seconds(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    async with bridged(node, caller, callee) as (call, incoming):
        pid = await worker_of(node)
        await rests(pid)
        wires = Wire.of(call.media), Wire.of(incoming.media)
        killed_at = time.monotonic()
        os.kill(node.pid_named("b2bua-relay"), signal.SIGKILL)
        call.media.play_tone(500)
        incoming.media.play_tone(700)
        await call.media.expect_tone(700)
        await incoming.media.expect_tone(500)
        assert max(wire.longest_gap_s(killed_at) for wire in wires) < 2.0
        await rests(pid)
        assert call.state == incoming.state == "confirmed"
    async with bridged(node, caller, callee):
        pass


async def test_keys_of_joined_parties_arrive_once(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true", hangupOnStar="true")
    async with bridged(node, caller, callee) as (call, incoming):
        await rests(await worker_of(node))
        await call.media.send_digits("12")
        await incoming.media.expect_digit("1")
        await incoming.media.expect_digit("2")
        await incoming.media.send_digits("*3")
        await call.media.expect_digit("*")
        await call.media.expect_digit("3")
        await call.media.send_digit("*")
        await incoming.expect("BYE")
        assert (incoming.media.digits, call.media.digits) == ("12", "*3")
        assert (await app.expect("/after"))["DialHangupBy"] == "caller"


async def test_what_was_received_is_measured(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    async with bridged(node, caller, callee) as (call, incoming):
        await rests(await worker_of(node))
        line_of = call.call_id
        sent = call.media.sent, incoming.media.sent
    line = await node.expect_log("call_ended", sip_call_id=line_of)
    received = sorted(leg["received"] for leg in line["media"])
    assert len(received) == 2
    assert all(count >= min(sent) for count in received)
    assert all(leg["lost"] == 0 for leg in line["media"])
