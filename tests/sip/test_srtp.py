"""Encrypted media (SDES) of a real node on the wire, between a phone with encryption and one without."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.peer import g711
from tests.peer.peer import Peer
from tests.peer.rtp import Media, MediaOptions
from tests.peer.talk import hear_each_other
from tests.peer.tones import holds_tone
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess, config_text, run_node
from tests.sip.test_helper_winners import two_sides
from tests.sip.test_many_targets import busy, ringing
from tests.sip.test_many_targets import dial as dial_many
from tests.sip.test_transfer import instead_of, last_word, refer

pytestmark = [pytest.mark.sip, pytest.mark.measured]

Dial = Callable[..., None]


@pytest.fixture(scope="module")
def sections(request: pytest.FixtureRequest) -> dict[str, dict[str, Any]]:
    return {"rtp": {"srtp": getattr(request, "param", "required")}}


def srtp(name: str) -> Any:
    """Set the node's ``rtp.srtp`` for a test."""
    return pytest.mark.parametrize("sections", [name], indirect=True)


def phone(name: str, wanted: Any) -> Any:
    return Peer.start(name, media=MediaOptions(srtp=wanted))


async def tone_on_the_wire(media: Media, hz: float) -> bool:
    """Whether somebody who sees the packets hears the tone that the peer hears."""
    # The peer hears a tone that lacks a packet, and so it may have fewer than are looked at.
    await media.expect_heard(len(media.heard()) / 8000 + 0.2)
    packets = list(media.wire)[-10:]
    assert len(packets) == 10
    samples = np.concatenate([g711.decode("PCMU", packet[12:172]) for packet in packets])
    return holds_tone(samples, hz, -25)


def trunk_text(uri: str, srtp: str) -> str:
    return f'[[trunks]]\nname = "pbx"\nuri = "{uri}"\nsrtp = "{srtp}"\nkeepalive_s = 0\n'


@srtp("required")
async def test_required_is_encrypted_on_the_wire_and_heard_by_both(
    node: NodeProcess, app: WebApp, dial: Dial
) -> None:
    async with phone("caller", "required") as caller, phone("callee", "required") as callee:
        dial(callee, answerOnBridge="true")
        call = await caller.invite(node.uri("100"))
        incoming = await callee.expect_invite()
        assert "RTP/SAVP" in incoming.invite.text
        await incoming.answer()
        await call.expect_response(200)
        await incoming.expect("ACK")
        call.media.play_tone(440)
        incoming.media.play_tone(660)
        assert await call.media.expect_tone(660) > -25
        assert await incoming.media.expect_tone(440) > -25
        for media, hz in ((call.media, 660), (incoming.media, 440)):
            assert media.encrypted and not media.unopened
            assert not await tone_on_the_wire(media, hz)
        await call.bye()
        await incoming.expect("BYE")


@srtp("required")
async def test_required_has_nothing_to_do_with_plain_phones(
    node: NodeProcess, app: WebApp, dial: Dial
) -> None:
    async with phone("plain", "off") as plain, phone("callee", "off") as callee:
        dial(callee)
        call = await plain.invite(node.uri("100"))
        await call.expect_response(488)
        async with phone("caller", "required") as caller:
            good = await caller.invite(node.uri("100"))
            await good.expect_response(200)
            incoming = await callee.expect_invite(auto=False)
            assert "RTP/SAVP" in incoming.invite.text
            await incoming.reject(488)
            after = await app.expect("/after")
            assert (after["DialCallStatus"], after["DialSipResponseCode"]) == ("failed", "488")
            await good.expect("BYE")


@srtp("required")
@pytest.mark.parametrize(
    ("profile", "crypto"), [("RTP/AVP", ""), ("RTP/SAVP", "a=crypto:1 NONE inline:AAAA\r\n")]
)
async def test_an_answer_without_a_key_gets_one_ack_and_then_one_bye(
    profile: str, crypto: str, node: NodeProcess, app: WebApp, dial: Dial
) -> None:
    async with phone("caller", "required") as caller, phone("callee", "off") as callee:
        dial(callee, answerOnBridge="true")
        call = await caller.invite(node.uri("100"))
        incoming = await callee.expect_invite()
        answer = await incoming.media.answer(incoming.invite.text)
        await incoming.answer(sdp=answer.replace("RTP/SAVP", "RTP/AVP").replace("RTP/AVP", profile) + crypto)
        await call.expect_response(488)
        again = await caller.invite(node.uri("100"))
        await (await callee.expect_invite()).reject(486)
        await again.expect_response(486)
        came = callee.log.found(lambda m: m.is_request and m.call_id == incoming.call_id)
        assert sorted(entry.message.method for entry in came) == ["ACK", "BYE", "INVITE"]


@srtp("optional")
@pytest.mark.parametrize("caller_has", ["off", "optional", "required"])
async def test_optional_takes_what_comes(caller_has: str, node: NodeProcess, app: WebApp, dial: Dial) -> None:
    async with phone("caller", caller_has) as caller, phone("callee", "off") as callee:
        dial(callee, answerOnBridge="true")
        call = await caller.invite(node.uri("100"))
        incoming = await callee.expect_invite()
        # The key would be there for all to read: this INVITE goes by UDP.
        assert "a=crypto" not in incoming.invite.text
        await incoming.answer()
        await call.expect_response(200)
        await incoming.expect("ACK")
        call.media.play_tone(440)
        incoming.media.play_tone(660)
        assert await call.media.expect_tone(660) > -25
        assert await incoming.media.expect_tone(440) > -25
        assert call.media.encrypted == (caller_has != "off")
        assert await tone_on_the_wire(call.media, 660) == (caller_has == "off")
        await call.bye()
        await incoming.expect("BYE")


@srtp("off")
async def test_off_knows_no_keys(node: NodeProcess, app: WebApp, dial: Dial) -> None:
    async with phone("caller", "required") as caller:
        call = await caller.invite(node.uri("100"))
        await call.expect_response(488)


@pytest.mark.parametrize("callee_has", ["off", "optional"])
async def test_a_trunk_may_be_offered_it_and_need_not_take_it(
    callee_has: str, app: WebApp, tmp_path: Path
) -> None:
    app.reply("/voice", "<Response><Dial answerOnBridge='true'>+14155550199</Dial></Response>")
    async with phone("caller", "off") as caller, phone("pbx", callee_has) as pbx:
        trunk = trunk_text(f"sip:127.0.0.1:{pbx.port}", "optional")
        text = config_text(
            {"*": {"voice_url": app.url("/voice")}}, sections={"dial": {"trunk": "pbx"}}, extra=trunk
        )
        async with run_node(tmp_path, text) as node:
            call = await caller.invite(node.uri("100"))
            incoming = await pbx.expect_invite()
            assert "RTP/AVP" in incoming.invite.text and "a=crypto" in incoming.invite.text
            await incoming.answer()
            await call.expect_response(200)
            await incoming.expect("ACK")
            call.media.play_tone(440)
            assert await incoming.media.expect_tone(440) > -25
            assert incoming.media.encrypted == (callee_has == "optional")
            assert await tone_on_the_wire(incoming.media, 440) == (callee_has == "off")
            await call.bye()
            await incoming.expect("BYE")


async def test_a_trunk_of_its_own_may_have_to_have_it(app: WebApp, tmp_path: Path) -> None:
    app.reply("/voice", "<Response><Pause length='60'/></Response>")
    trunk = trunk_text("sip:127.0.7.1", "required") + 'match = ["127.0.7.1"]\n'
    text = config_text({"*": {"voice_url": app.url("/voice")}}, extra=trunk)
    async with run_node(tmp_path, text) as node:
        async with Peer.start("pbx", host="127.0.7.1") as pbx, phone("phone", "off") as other:
            call = await pbx.invite(node.uri("100"))
            await call.expect_response(488)
            call = await other.invite(node.uri("100"))
            await app.expect("/voice")
            await call.cancel()
            await call.expect_response(487)


@srtp("required")
async def test_a_callee_in_another_worker_is_reached_by_a_link(node: NodeProcess, app: WebApp) -> None:
    """The relay cannot join encrypted legs, and the call between the two workers is not encrypted."""
    async with phone("caller", "required") as caller, phone("callee", "required") as callee:
        targets = [f"t{number}" for number in range(5)]
        app.reply("/recorded", "", status=204)
        recording = {"record": "record-from-answer-dual", "recordingStatusCallback": "/recorded"}
        dial_many(app, *(callee.uri(user) for user in targets), **recording)
        call = await caller.invite(node.uri("100"))
        calls = await ringing(callee, targets)
        await calls[4].answer()
        await call.expect_response(200)
        for loser in calls[:4]:
            await loser.expect_end()
        await hear_each_other(call, calls[4])
        for media in (call.media, calls[4].media):
            assert media.encrypted and not media.unopened
        await call.media.send_digit("5")
        await calls[4].media.expect_digit("5")
        await call.media.expect_sent(1.0)
        await call.bye()
        await calls[4].expect("BYE")
        await two_sides(node, (await app.expect("/recorded"))["RecordingUrl"])
        await busy(node, 0)


@pytest.mark.parametrize(
    ("sections", "others_have", "third_has", "credentials"),
    [
        ("off", "off", "off", 'username="u" password="p"'),
        ("optional", "off", "off", ""),
        ("optional", "off", "required", ""),
        ("required", "required", "required", ""),
    ],
    indirect=["sections"],
)
async def test_a_callee_whose_leg_has_an_account_of_its_own_is_replaced(
    others_have: str, third_has: str, credentials: str, node: NodeProcess, app: WebApp
) -> None:
    """The library has calls that arrive on another account; afterwards the leg can still refer."""
    async with (
        phone("caller", others_have) as caller,
        phone("callee", others_have) as callee,
        phone("third", third_has) as third,
        phone("target", others_have) as target,
    ):
        sip = f"<Sip {credentials}>{callee.uri()}</Sip>"
        app.reply("/voice", f'<Response><Dial referUrl="/refer">{sip}</Dial></Response>')
        app.reply("/refer", f"<Response><Dial><Sip>{target.uri()}</Sip></Dial></Response>")
        call = await caller.invite(node.uri("100"))
        left = await callee.expect_invite()
        await left.answer()
        await left.expect("ACK")
        await hear_each_other(call, left)
        comes = await third.invite(node.uri("anybody"), headers=[instead_of(left)])
        await comes.expect_response(200)
        await left.expect("BYE")
        await hear_each_other(call, comes)
        assert comes.media.encrypted == (third_has == "required") and not comes.media.unopened
        await comes.hold()
        await comes.resume()
        await hear_each_other(call, comes)
        assert await refer(comes, target.uri()) == 202
        assert (await last_word(comes))[0] == "SIP/2.0 200 OK"
        await comes.expect("BYE")
        answers = await target.expect_invite()
        await answers.answer()
        await hear_each_other(call, answers)
        await call.bye()
        await answers.expect("BYE")
