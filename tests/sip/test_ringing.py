"""What the caller receives and hears before an answer."""

from collections.abc import Callable

import pytest

from b2bua.resources import config_file
from media.measure import on_off_ms
from media.tones import load_tone_plans
from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess

pytestmark = pytest.mark.sip

Dial = Callable[..., None]
PLANS = load_tone_plans(config_file("ringtones.csv"))


async def test_answer_on_bridge_rings_with_180_and_answers_after_the_callee(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    call = await caller.invite(node.uri("100"))
    ringing = await call.expect_response(180)
    assert not ringing.has_sdp
    incoming = await callee.expect_invite()
    await incoming.ring()
    assert call.state == "early"
    await incoming.answer()
    await call.expect_response(200)
    await call.bye()


@pytest.mark.parametrize("code", ["uk", "de", "in"])
async def test_a_ring_tone_is_heard_as_early_media(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial, code: str
) -> None:
    dial(callee, answerOnBridge="true", ringTone=code)
    call = await caller.invite(node.uri("100"))
    progress = await call.expect_response(183)
    assert progress.has_sdp
    await (await callee.expect_invite()).ring()
    plan = PLANS[code]
    for hz in plan.frequencies_hz:
        await call.media.expect_tone(hz, min_dbfs=-28)
    rounds_s = 2 * sum(plan.cadence_ms) / 1000
    await call.media.expect_heard(rounds_s + 1.0)
    measured = on_off_ms(call.media.heard(), 8000)
    wanted = plan.cadence_ms
    inner = measured[1:-1]
    best = min(
        max(abs(have - want) for have, want in zip(inner[start : start + len(wanted)], wanted, strict=True))
        for start in range(len(inner) - len(wanted) + 1)
    )
    assert best <= 25, (measured, wanted)
    await call.cancel()


async def test_without_answer_on_bridge_the_caller_is_answered_and_hears_ringback(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee)
    call = await caller.invite(node.uri("100"))
    await call.expect_response(200)
    incoming = await callee.expect_invite()
    await incoming.ring()
    for hz in PLANS["us"].frequencies_hz:
        await call.media.expect_tone(hz, min_dbfs=-28)
    await incoming.answer()
    incoming.media.play_tone(660)
    await call.media.expect_tone(660)
    assert not call.media.has_tone(440, min_dbfs=-35)
    await call.bye()


async def test_early_media_of_a_single_callee_reaches_the_caller(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.progress()
    incoming.media.play_tone(500)
    await call.expect_response(183)
    await call.media.expect_tone(500)
    await incoming.answer()
    await call.expect_response(200)
    call.media.play_tone(440)
    await incoming.media.expect_tone(440)
    await call.media.expect_tone(500)
    await call.bye()


async def test_early_media_is_not_passed_when_several_ring(
    node: NodeProcess, caller: Peer, callees: list[Peer], dial: Dial
) -> None:
    dial(*callees[:2])
    call = await caller.invite(node.uri("100"))
    await call.expect_response(200)
    first = await callees[0].expect_invite()
    second = await callees[1].expect_invite()
    await first.progress()
    first.media.play_tone(1000)
    await second.ring()
    await call.media.expect_tone(480, min_dbfs=-28)
    assert not call.media.has_tone(1000, min_dbfs=-40)
    await call.bye()


async def test_nobody_answers_in_time(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true", timeout="5")
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.ring()
    await incoming.expect("CANCEL")
    after = await app.expect("/after")
    assert after["DialCallStatus"] == "no-answer"
    assert 9_500 < int(after["DialRingDuration"]) < 11_000  # the attribute's 5 s and the buffer's 5 s
    await call.expect_response(480)
