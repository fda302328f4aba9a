"""Bad input of all kinds: each gets a clear response, and the next call succeeds."""

from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess

pytestmark = pytest.mark.sip

Dial = Callable[..., None]

BAD_SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"


async def a_good_call(node: NodeProcess, caller: Peer, callee: Peer) -> None:
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.answer()
    await call.expect_response(200)
    await call.bye()
    await incoming.expect_end()


async def test_malformed_messages_are_refused_or_dropped_and_the_node_goes_on(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    for raw in (
        b"\x00" * 100,
        b"INVITE sip:x SIP/2.0\r\n\r\n",
        b"INVITE sip:100@127.0.0.1 SIP/2.0\r\nVia: nonsense\r\n\r\n",
        b"SIP/2.0 200 OK\r\n\r\n",
        b"INVITE " + b"a" * 60000,
        b"ACK sip:100@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 1.2.3.4;branch=z9hG4bKx\r\n"
        b"From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 1 ACK\r\n\r\n",
    ):
        caller.send_raw(raw, node.udp)
    await a_good_call(node, caller, callee)


async def test_a_call_that_the_edge_refuses_is_counted_and_logged_once(
    node: NodeProcess, caller: Peer
) -> None:
    nobody = ("Replaces", "nobody;to-tag=1;from-tag=2")
    call = await caller.invite(node.uri("100"), headers=[nobody])
    await call.expect_response(481)
    line = await node.expect_log("calls refused", reason="replaces nothing")
    assert (line["level"], line["count"], line["pii_source"]) == ("warning", 1, "…")
    async with aiohttp.ClientSession() as session, session.get(f"{node.http}/metrics") as answer:
        assert 'b2bua_calls_refused_total{reason="replaces nothing"} 1.0' in await answer.text()
    assert [each.get("reason") for each in node.log() if each.get("event") == "calls refused"].count(
        "replaces nothing"
    ) == 1


async def test_a_long_offer_and_answer_with_video_make_a_call(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    video = "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n" + "a=fmtp:96 x=1\r\n" * 300
    call = await caller.invite(node.uri("100"), sdp=BAD_SDP + "m=audio 4000 RTP/AVP 0\r\n" + video)
    incoming = await callee.expect_invite()
    await incoming.answer(sdp=await incoming.media.answer(incoming.invite.text) + video)
    await call.expect_response(200)
    await call.bye()
    await incoming.expect_end()


@pytest.mark.parametrize("sdp", ["this is no SDP", BAD_SDP, BAD_SDP + "m=video 4000 RTP/AVP 96\r\n"])
async def test_sdp_without_usable_audio_is_refused(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial, sdp: str
) -> None:
    dial(callee, answerOnBridge="true")
    call = await caller.invite(node.uri("100"), sdp=sdp)
    response = await call.expect_response(range(400, 700))
    assert response.status in (400, 415, 488, 500, 603)
    await a_good_call(node, caller, callee)


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("sdp", ["no SDP at all", BAD_SDP + "m=audio 4000 RTP/AVP 18\r\n", False])
async def test_a_callees_unusable_sdp_fails_its_branch(
    node: NodeProcess,
    app: WebApp,
    caller: Peer,
    callees: list[Peer],
    dial: Dial,
    sdp: str | bool,
    early: bool,
) -> None:
    dial(*callees[:2], answerOnBridge="true")
    call = await caller.invite(node.uri("100"))
    bad, good = [await callee.expect_invite() for callee in callees[:2]]
    if early and isinstance(sdp, str):
        bad.respond(bad.invite, 183, sdp=sdp)
    else:
        await bad.answer(sdp=sdp)
    await bad.expect_end()
    await good.reject(404)
    await call.expect_response(488)
    after = await app.expect("/after")
    assert (after["DialCallStatus"], after["DialSipResponseCode"]) == ("failed", "488")


async def test_a_callee_that_answers_on_hold_is_bridged(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    held = (await incoming.media.answer(incoming.invite.text)).replace("a=sendrecv", "a=inactive")
    await incoming.answer(sdp=held)
    await call.expect_response(200)
    await call.bye()


@pytest.mark.parametrize(
    ("twiml", "number"),
    [("<Response><Dial>", 12100), ("<Wrong/>", 12102), ("", 11770), ("<!DOCTYPE x><Response/>", 12100)],
)
async def test_a_document_that_cannot_be_run_is_announced_and_logged(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial, twiml: str, number: int
) -> None:
    app.reply("/voice", twiml)
    call = await caller.invite(node.uri("100"))
    await node.expect_log("twiml", number=number)
    await call.expect_end()
    dial(callee, answerOnBridge="true")
    await a_good_call(node, caller, callee)


async def test_a_header_cannot_be_injected_through_the_document(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer
) -> None:
    app.reply(
        "/voice",
        f'<Response><Dial answerOnBridge="true" callReason="a&#13;&#10;X-Evil: 1"><Sip>{callee.uri()}'
        "?x-a=b%0d%0aX-Evil2:%201</Sip></Dial></Response>",
    )
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    assert "X-Evil" not in incoming.invite
    assert "X-Evil2" not in incoming.invite
    await call.cancel()


def test_a_configuration_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    import subprocess
    import sys

    config = tmp_path / "b.toml"
    config.write_text('[sip]\nlisten = ["udp://127.0.0.1:0"]\ndomian = "x"\n')
    done = subprocess.run(
        [sys.executable, "-m", "b2bua", "serve", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 2
    assert "domian" in done.stderr
    assert "domain" in done.stderr
