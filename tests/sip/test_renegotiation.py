"""Requests of peers beyond plain calls: session timers, reliable provisionals, crossing changes."""

from collections.abc import AsyncIterator

import pytest

from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.rtp import MediaOptions
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess

pytestmark = pytest.mark.sip


@pytest.fixture
async def bob(app: WebApp) -> AsyncIterator[Peer]:
    async with Peer.start("bob") as peer:
        dials(app, peer)
        yield peer


def dials(app: WebApp, callee: Peer) -> None:
    app.forget()
    app.reply("/voice", f'<Response><Dial answerOnBridge="true"><Sip>{callee.uri()}</Sip></Dial></Response>')


async def hear(one: Call, other: Call) -> None:
    one.media.play_tone(440)
    other.media.play_tone(660)
    await one.media.expect_tone(660)
    await other.media.expect_tone(440)


async def end(call: Call, other: Call) -> None:
    await call.bye()
    await other.expect("BYE")


class TestSessionTimers:
    """RFC 4028."""

    async def test_a_caller_that_asks_for_one_gets_it_and_may_refresh(
        self, node: NodeProcess, ann: Peer, bob: Peer
    ) -> None:
        wanted = [("Supported", "timer"), ("Session-Expires", "90;refresher=uac"), ("Min-SE", "90")]
        call = await ann.invite(node.uri("100"), headers=wanted)
        incoming = await bob.expect_invite()
        await incoming.answer()
        answer = await call.expect_response(200)
        assert answer["Session-Expires"] == "90;refresher=uac"
        assert "timer" in answer["Require"]
        refreshed = await call.final(call.request("UPDATE", wanted))
        assert (refreshed.status, refreshed["Session-Expires"]) == (200, "90;refresher=uac")
        await hear(call, incoming)
        await end(call, incoming)

    async def test_one_that_is_too_short_is_refused(self, node: NodeProcess, ann: Peer, bob: Peer) -> None:
        call = await ann.invite(node.uri("100"), headers=[("Supported", "timer"), ("Session-Expires", "10")])
        refusal = await call.expect_response(422)
        assert int(refusal["Min-SE"]) >= 90

    async def test_a_callee_may_ask_us_to_refresh(self, node: NodeProcess, ann: Peer, bob: Peer) -> None:
        call = await ann.invite(node.uri("100"))
        incoming = await bob.expect_invite()
        assert "timer" in incoming.invite["Supported"]
        await incoming.answer(headers=[("Require", "timer"), ("Session-Expires", "1800;refresher=uac")])
        await call.expect_response(200)
        await hear(call, incoming)
        await end(call, incoming)


class TestReliableProvisionals:
    """RFC 3262."""

    async def test_a_caller_that_needs_them_gets_them(
        self, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
    ) -> None:
        call = await ann.invite(node.uri("100"), headers=[("Require", "100rel")])
        incoming = await bob.expect_invite()
        await incoming.ring()
        ringing = await call.expect_response(180)
        assert "100rel" in ringing["Require"]
        assert int(ringing["RSeq"]) >= 1
        await incoming.answer()
        await call.expect_response(200)
        await hear(call, incoming)
        await end(call, incoming)

    async def test_a_caller_that_needs_them_and_makes_no_offer_gets_ours_with_the_first(
        self, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
    ) -> None:
        """§5; the answer is in the PRACK."""
        call = await ann.invite(node.uri("100"), sdp=False, headers=[("Require", "100rel")], auto=False)
        incoming = await bob.expect_invite()
        ringing = await call.expect_response(183)
        rack = ("RAck", f"{ringing['RSeq']} {ringing.cseq} INVITE")
        answer = await call.media.answer(ringing.text)
        acknowledged = call.request("PRACK", [rack, ("Content-Type", "application/sdp")], answer)
        assert (await call.final(acknowledged)).status == 200
        await call.media.expect_tone(440)  # US ringback
        call.auto = True
        await incoming.answer()
        await call.expect_response(200)
        await hear(call, incoming)
        await end(call, incoming)

    async def test_one_that_can_do_without_them_and_makes_no_offer_gets_none(
        self, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
    ) -> None:
        call = await ann.invite(node.uri("100"), sdp=False, headers=[("Supported", "timer, 100rel")])
        incoming = await bob.expect_invite()
        assert "Require" not in await call.expect_response(180)
        await incoming.answer()
        await call.expect_response(200)
        await hear(call, incoming)
        await end(call, incoming)

    async def test_a_callees_early_media_are_acknowledged_and_go_on_after_the_answer(
        self, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
    ) -> None:
        call = await ann.invite(node.uri("100"))
        incoming = await bob.expect_invite()
        assert "100rel" in incoming.invite["Supported"]
        await incoming.progress(reliable=True)
        await incoming.expect("PRACK")
        incoming.media.play_tone(660)
        await call.expect_response(183)
        await call.media.expect_tone(660)
        await incoming.answer(sdp=False)
        await call.expect_response(200)
        await hear(call, incoming)
        await end(call, incoming)


class TestThingsThatCross:
    async def test_our_change_gives_way_to_theirs(self, node: NodeProcess, ann: Peer, bob: Peer) -> None:
        """RFC 3261 §14: two offers at once; ours follows an answer with more than one codec."""
        call = await ann.invite(node.uri("100"))
        incoming = await bob.expect_invite()
        incoming.manual |= {"UPDATE", "INVITE"}
        answer = await incoming.media.answer(incoming.invite.text)
        both = answer.replace("RTP/AVP 0 ", "RTP/AVP 0 8 ")
        assert both != answer
        await incoming.answer(sdp=both)
        await call.expect_response(200)
        ours = await incoming.requests.take(lambda r: r.method in ("UPDATE", "INVITE"), 3.0, "offer of ours")
        theirs = await incoming.reinvite()
        assert theirs is not None
        assert theirs.status in (491, 500)
        incoming.respond(ours, 491)
        incoming.manual.clear()
        again = await incoming.reinvite()
        assert again is not None
        await hear(call, incoming)
        await end(call, incoming)

    async def test_a_bye_during_a_change_ends_it_once(self, node: NodeProcess, ann: Peer, bob: Peer) -> None:
        call = await ann.invite(node.uri("100"))
        incoming = await bob.expect_invite()
        await incoming.answer()
        await call.expect_response(200)
        await hear(call, incoming)
        await incoming.reinvite("sendonly", wait=False)
        change = incoming.client
        assert change is not None
        await incoming.bye()
        assert (await incoming.final(change)).status in (200, 487)
        await call.expect("BYE")
        ended = await node.expect_log("call_ended", sip_call_id=call.call_id)
        assert ended["status"] == "completed"


async def test_an_invite_that_comes_again_and_again_makes_one_call(
    node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
) -> None:
    call = await ann.invite(node.uri("100"))
    ann.retransmit(call.invite)
    incoming = await bob.expect_invite()
    ann.retransmit(call.invite)
    await incoming.answer()
    await call.expect_response(200)
    await hear(call, incoming)
    await end(call, incoming)
    ann.retransmit(call.invite)  # RFC 6026 §7.1: late, and no new one either
    after = await ann.invite(node.uri("100"))
    incoming = await bob.expect_invite()
    await incoming.answer()
    await after.expect_response(200)
    await end(after, incoming)
    assert not bob.invites.items
    assert len(app.of("/voice")) == 2


async def test_two_who_share_no_codec_hear_each_other(node: NodeProcess, app: WebApp) -> None:
    mu, a = MediaOptions(codecs=("PCMU",)), MediaOptions(codecs=("PCMA",))
    async with Peer.start("mu", media=mu) as ann, Peer.start("a", media=a) as bob:
        dials(app, bob)
        call = await ann.invite(node.uri("100"))
        incoming = await bob.expect_invite()
        await incoming.answer()
        await call.expect_response(200)
        await hear(call, incoming)
        await end(call, incoming)
