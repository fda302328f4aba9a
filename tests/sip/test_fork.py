"""Forks: which branch wins, what the others receive, and what happens when messages cross."""

import asyncio
from collections.abc import Callable

import pytest

from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess

pytestmark = pytest.mark.sip

Dial = Callable[..., None]
ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'


async def ringing(callees: list[Peer]) -> list[Call]:
    incoming = [await callee.expect_invite() for callee in callees]
    for each in incoming:
        await each.ring()
    return incoming


async def test_the_first_to_answer_wins_and_the_others_are_told_why(
    node: NodeProcess, app: WebApp, caller: Peer, callees: list[Peer], dial: Dial
) -> None:
    dial(*callees, answerOnBridge="true")
    call = await caller.invite(node.uri("100"))
    ann, ben, cem = await ringing(callees)
    await ben.answer()
    await call.expect_response(200)
    for loser in (ann, cem):
        cancel = await loser.expect("CANCEL")
        assert cancel["Reason"] == ELSEWHERE
        await loser.expect_end()
    call.media.play_tone(440)
    ben.media.play_tone(660)
    await call.media.expect_tone(660)
    await ben.media.expect_tone(440)
    await call.bye()
    after = await app.expect("/after")
    assert after["DialCallSid"] == ben.invite["X-Twilio-CallSid"]
    sids = {each.invite["X-Twilio-CallSid"] for each in (ann, ben, cem)}
    assert len(sids) == 3
    assert len(app.of("/after")) == 1


async def test_a_200_that_crosses_our_cancel_gets_ack_and_bye(
    node: NodeProcess, caller: Peer, callees: list[Peer], dial: Dial
) -> None:
    dial(*callees[:2], answerOnBridge="true")
    call = await caller.invite(node.uri("100"))
    ann, ben = await ringing(callees[:2])
    ben.manual.add("CANCEL")
    await ann.answer()
    await call.expect_response(200)
    cancel = await ben.expect("CANCEL")
    ben.respond(cancel, 200)
    await ben.answer()  # as if sent before the CANCEL came
    await ben.expect("ACK")
    await ben.expect("BYE")
    call.media.play_tone(440)
    await ann.media.expect_tone(440)
    assert not ben.media.has_tone(440)
    await call.bye()


async def test_two_answers_at_once_make_one_bridge(
    node: NodeProcess, app: WebApp, caller: Peer, callees: list[Peer], dial: Dial
) -> None:
    dial(*callees[:2], answerOnBridge="true")
    call = await caller.invite(node.uri("100"))
    ann, ben = await ringing(callees[:2])
    await asyncio.gather(ann.answer(), ben.answer())
    await call.expect_response(200)
    done, pending = await asyncio.wait(
        [asyncio.ensure_future(each.ended.wait()) for each in (ann, ben)],
        return_when=asyncio.FIRST_COMPLETED,
        timeout=5,
    )
    for wait in pending:
        wait.cancel()
    assert len(done) == 1
    winner = ben if ann.state == "ended" else ann
    call.media.play_tone(440)
    await winner.media.expect_tone(440)
    await call.bye()
    after = await app.expect("/after")
    assert after["DialCallSid"] == winner.invite["X-Twilio-CallSid"]


async def test_one_failure_ends_its_branch_only(
    node: NodeProcess, caller: Peer, callees: list[Peer], dial: Dial
) -> None:
    dial(*callees, answerOnBridge="true")
    call = await caller.invite(node.uri("100"))
    ann, ben, cem = await ringing(callees)
    await ann.reject(603)
    await ben.reject(500)
    await cem.answer()
    await call.expect_response(200)
    await call.bye()
    await cem.expect_end()


@pytest.mark.parametrize(
    ("codes", "status", "passed_back"),
    [
        ((486, 404, 480), "busy", 486),
        ((480, 404, 404), "no-answer", 480),
        ((404, 404, 500), "failed", range(400, 600)),
    ],
)
async def test_when_all_fail_the_most_informative_outcome_is_told(
    node: NodeProcess,
    app: WebApp,
    caller: Peer,
    callees: list[Peer],
    dial: Dial,
    codes: tuple[int, ...],
    status: str,
    passed_back: int | range,
) -> None:
    dial(*callees, answerOnBridge="true")
    call = await caller.invite(node.uri("100"))
    for incoming, code in zip(await ringing(callees), codes, strict=True):
        await incoming.reject(code)
    after = await app.expect("/after")
    assert after["DialCallStatus"] == status
    assert after["DialBridged"] == "false"
    await call.expect_response(passed_back)
    assert len(app.of("/after")) == 1


async def test_a_caller_who_gives_up_stops_every_phone(
    node: NodeProcess, app: WebApp, caller: Peer, callees: list[Peer], dial: Dial
) -> None:
    dial(*callees, answerOnBridge="true")
    call = await caller.invite(node.uri("100"))
    incoming = await ringing(callees)
    await call.cancel()
    await call.expect_response(487)
    for each in incoming:
        cancel = await each.expect("CANCEL")
        assert cancel.get("Reason") != ELSEWHERE
    after = await app.expect("/after")
    assert after["DialHangupBy"] == "caller"
    assert after["CallStatus"] == "canceled"


async def test_why_the_caller_gives_up_reaches_every_phone(
    node: NodeProcess, app: WebApp, caller: Peer, callees: list[Peer], dial: Dial
) -> None:
    dial(*callees, answerOnBridge="true")
    call = await caller.invite(node.uri("100"))
    incoming = await ringing(callees)
    await call.cancel([("Reason", f"{ELSEWHERE}, Q.850;cause=26"), ("X-Other", "ours alone")])
    await call.expect_response(487)
    for each in incoming:
        cancel = await each.expect("CANCEL")
        assert cancel.all("Reason") == [ELSEWHERE, "Q.850;cause=26"]
        assert cancel.get("X-Other") is None
    after = await app.expect("/after")
    assert after["CallStatus"] == "canceled"


async def test_why_an_answered_caller_leaves_reaches_who_rings_and_who_talks(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee)
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.ring()
    await call.expect_response(200)
    await call.bye([("Reason", ELSEWHERE)])
    assert (await incoming.expect("CANCEL"))["Reason"] == ELSEWHERE
    await incoming.expect_end()

    again = await caller.invite(node.uri("100"))
    talking = await callee.expect_invite()
    await talking.answer()
    await again.expect_response(200)
    await talking.expect("ACK")
    await again.bye([("Reason", 'Q.850;cause=16;text="Normal call clearing"')])
    assert (await talking.expect("BYE"))["Reason"] == 'Q.850;cause=16;text="Normal call clearing"'


async def test_sequential_targets_ring_one_after_another(
    node: NodeProcess, app: WebApp, caller: Peer, callees: list[Peer], dial: Dial
) -> None:
    dial(*callees, answerOnBridge="true", sequential="true")
    call = await caller.invite(node.uri("100"))
    first = await callees[0].expect_invite()
    await first.reject(486)
    second = await callees[1].expect_invite()
    await second.answer()
    await call.expect_response(200)
    assert not callees[2].calls
    await call.bye()


async def test_a_client_without_phones_is_480_at_once(node: NodeProcess, app: WebApp, caller: Peer) -> None:
    app.reply("/voice", '<Response><Dial action="/after"><Client>nobody</Client></Dial></Response>')
    call = await caller.invite(node.uri("100"))
    after = await app.expect("/after")
    assert (after["DialCallStatus"], after["DialSipResponseCode"]) == ("no-answer", "480")
    assert after.get("DialSipCallId") is None
    await call.expect_response(200)
    await call.expect("BYE")
