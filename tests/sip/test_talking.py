"""Events in a bridged call: keys, star, limits, hold, changed addresses."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest

from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.rtp import MediaOptions
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess
from tests.unit.media.dtmf_sounds import key_sound, pause

pytestmark = pytest.mark.sip

Dial = Callable[..., None]


@asynccontextmanager
async def bridged(node: NodeProcess, caller: Peer, callee: Peer) -> AsyncIterator[tuple[Call, Call]]:
    """A bridged call in which each end sends its tone; hung up at the end."""
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.answer()
    await call.expect_response(200)
    await incoming.expect("ACK")
    await both_hear(call, incoming)
    yield call, incoming
    if call.state == "confirmed":
        await call.bye()


async def both_hear(call: Call, incoming: Call) -> None:
    call.media.play_tone(440)
    incoming.media.play_tone(660)
    await call.media.expect_tone(660)
    await incoming.media.expect_tone(440)


async def test_the_callers_star_ends_the_callee(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, hangupOnStar="true")
    async with bridged(node, caller, callee) as (call, incoming):
        await call.media.send_digit("*")
        await incoming.expect("BYE")
        after = await app.expect("/after")
        assert after["DialCallStatus"] == "completed"
        assert after["DialHangupBy"] == "caller"
        assert incoming.media.digits == ""


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("dtmf-relay", "Signal=*\r\nDuration=160\r\n"),
        ("dtmf-relay", "Signal=*"),  # a worker that reads it unprepared aborts
        ("dtmf-relay", "Signal=10\n"),
        ("dtmf", "*"),
    ],
)
async def test_a_star_by_info_counts_too(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial, kind: str, body: str
) -> None:
    dial(callee, hangupOnStar="true")
    async with bridged(node, caller, callee) as (call, incoming):
        answer = await call.info(body, f"application/{kind}")
        assert answer is not None
        assert answer.status == 200
        await incoming.expect("BYE")


async def test_a_star_as_a_tone_counts_where_there_is_nothing_better(
    node: NodeProcess, callee: Peer, dial: Dial
) -> None:
    dial(callee, hangupOnStar="true")
    async with Peer.start("caller", media=MediaOptions(telephone_event=None)) as caller:
        async with bridged(node, caller, callee) as (call, incoming):
            call.media.play(np.concatenate([key_sound("5", 80), pause(80), key_sound("*", 80)]))
            await incoming.expect("BYE")
            assert incoming.media.digits == ""


async def test_the_callees_star_does_nothing_but_be_heard(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, hangupOnStar="true")
    async with bridged(node, caller, callee) as (call, incoming):
        await incoming.media.send_digit("*")
        await call.media.expect_digit("*")
        assert incoming.state == "confirmed"


async def test_keys_are_relayed_both_ways_once_each(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee)
    async with bridged(node, caller, callee) as (call, incoming):
        for digit in "12#":
            await call.media.send_digit(digit)
            await incoming.media.expect_digit(digit)
        await incoming.media.send_digit("9")
        await call.media.expect_digit("9")
        assert incoming.media.digits == "12#"
        assert call.media.digits == "9"


async def test_a_key_sent_by_rfc4733_and_info_arrives_once(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee)
    async with bridged(node, caller, callee) as (call, incoming):
        await call.media.send_digit("5")
        await call.info_dtmf("5")
        await call.media.send_digit("6")
        await incoming.media.expect_digit("5")
        await incoming.media.expect_digit("6")
        assert incoming.media.digits == "56"


async def test_the_time_limit_ends_the_callee_only(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, timeLimit="1")
    app.reply("/after", "<Response><Pause length='60'/></Response>")
    async with bridged(node, caller, callee) as (call, incoming):
        await incoming.expect("BYE")
        after = await app.expect("/after")
        assert after["DialHangupBy"] == "node"
        assert after["DialCallDuration"] == "1"
        assert call.state == "confirmed"


@pytest.mark.parametrize("who", ["caller", "callee"])
@pytest.mark.parametrize("how", ["sendonly", "inactive", "c0000"])
async def test_hold_and_resume_keep_the_media_right(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial, who: str, how: str
) -> None:
    dial(callee)
    async with bridged(node, caller, callee) as (call, incoming):
        holder, other = (call, incoming) if who == "caller" else (incoming, call)
        answer = await (holder.reinvite(c0000=True) if how == "c0000" else holder.reinvite(how))
        assert answer is not None
        assert answer.status == 200
        await holder.media.expect_silence()
        assert other.state == "confirmed"
        answer = await holder.resume()
        assert answer is not None
        assert answer.status == 200
        await both_hear(call, incoming)


async def test_a_new_rtp_port_is_followed(node: NodeProcess, caller: Peer, callee: Peer, dial: Dial) -> None:
    dial(callee)
    async with bridged(node, caller, callee) as (call, incoming):
        answer = await call.reinvite(new_port=True)
        assert answer is not None
        assert answer.status == 200
        await both_hear(call, incoming)


async def test_an_invite_without_sdp_is_offered_and_talks(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    call = await caller.invite(node.uri("100"), sdp=False)
    incoming = await callee.expect_invite()
    await incoming.answer()
    await call.expect_response(200)
    await both_hear(call, incoming)
    await call.bye()


async def test_messages_larger_than_the_librarys_buffer_make_a_call(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    candidates = "a=candidate:1 1 UDP 2130706431 192.0.2.1 40000 typ host generation 0\r\n" * 80
    call = await caller.invite(node.uri("100"), headers=[("Identity", "x" * 1200)], sdp=False)
    incoming = await callee.expect_invite()
    await incoming.answer(sdp=await incoming.media.answer(incoming.invite.text) + candidates)
    accepted = await call.expect_response(200)
    assert accepted.has_sdp
    await both_hear(call, incoming)
    answer = await call.reinvite(sdp=await call.media.offer() + candidates)
    assert answer is not None
    assert answer.status == 200
    await both_hear(call, incoming)
    await call.bye()
