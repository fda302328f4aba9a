"""The main job: a call arrives, the application is asked, a callee rings, both talk, the result is sent."""

import asyncio
from collections.abc import Callable

import pytest
from twilio.request_validator import RequestValidator

from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.peer.wire import Uri
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess

pytestmark = pytest.mark.sip

Dial = Callable[..., None]


async def test_a_call_is_bridged_and_the_outcome_told(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    call = await caller.invite(node.uri("+14155550199"), from_user="+14155550123", display="Ann")
    voice = await app.expect("/voice")
    incoming = await callee.expect_invite()
    await call.expect_response(180)
    await incoming.ring()
    await incoming.answer()
    await call.expect_response(200)
    await incoming.expect("ACK")

    call.media.play_tone(440)
    incoming.media.play_tone(660)
    assert await call.media.expect_tone(660) > -25
    assert await incoming.media.expect_tone(440) > -25

    await call.bye()
    await incoming.expect("BYE")
    after = await app.expect("/after")
    status = await app.expect("/status")

    assert voice["From"] == "+14155550123"
    assert voice["To"] == "+14155550199"
    assert voice["AccountSid"] == ACCOUNT_SID
    assert voice["CallStatus"] == "ringing"
    assert voice["CallerName"] == "Ann"
    assert after["DialCallStatus"] == "completed"
    assert after["DialBridged"] == "true"
    assert after["DialHangupBy"] == "caller"
    assert after["DialCallSid"] == incoming.invite["X-Twilio-CallSid"]
    assert after["DialSipCallId"] == incoming.call_id
    assert status["CallStatus"] == "completed"
    assert len(app.of("/after")) == 1

    validator = RequestValidator(AUTH_TOKEN)
    for request in (voice, after, status):
        assert validator.validate(request.url, dict(request.params), request.headers["X-Twilio-Signature"])


async def test_the_callee_sees_the_caller_and_nothing_of_loopback_workers(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true", callReason="Your parcel")
    call = await caller.invite(node.uri("100"), from_user="+14155550123", display="Ann")
    incoming = await callee.expect_invite()
    invite = incoming.invite
    assert '"Ann" <sip:+14155550123@' in invite["From"]
    assert invite["X-Twilio-AccountSid"] == ACCOUNT_SID
    assert invite["Subject"] == "Your parcel"
    assert 'call-reason="Your parcel"' in invite["Call-Info"]
    assert invite.contact is not None
    assert Uri.parse(invite.contact.uri).address == node.udp
    assert not [name for name, _ in invite.headers if name.lower().startswith("x-b2bua")]
    await call.cancel()
    await call.expect_response(487)
    await incoming.expect_end()


async def test_a_callees_bye_is_told_and_the_caller_goes_on(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee)
    app.reply("/after", "<Response><Pause length='60'/></Response>")
    call = await caller.invite(node.uri("100"))
    await call.expect_response(200)  # at once: no answerOnBridge
    incoming = await callee.expect_invite()
    await incoming.answer()
    await incoming.expect("ACK")
    await incoming.bye(headers=[("X-Score", "7")])
    after = await app.expect("/after")
    assert after["DialHangupBy"] == "callee"
    assert after["DialSipHeader_X-Score"] == "7"
    assert call.state == "confirmed"
    await call.bye()


async def test_an_unknown_number_is_404(app: WebApp, caller: Peer, tmp_path: object) -> None:
    from pathlib import Path

    from tests.sip.node_process import config_text, run_node

    assert isinstance(tmp_path, Path)
    async with run_node(tmp_path, config_text({"100": {"voice_url": app.url("/voice")}})) as node:
        call = await caller.invite(node.uri("999"))
        await call.expect_response(404)


async def test_a_loaded_webhook_does_not_keep_the_next_call_waiting(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    released = app.hold("/voice")
    dial(callee, answerOnBridge="true")
    first = await caller.invite(node.uri("1"))
    second = await caller.invite(node.uri("2"))
    await app.expect("/voice")
    await app.expect("/voice")
    released.set()
    for _ in range(2):
        incoming = await callee.expect_invite()
        await incoming.answer()
    for call in (first, second):
        await call.expect_response(200)
    await asyncio.gather(first.bye(), second.bye())
