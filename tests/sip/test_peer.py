"""Two test peers call each other: the judge of b2bua must itself be right."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import numpy as np
import pytest

from tests.peer import Call, MediaOptions, Peer, PeerTimeout, WebApp
from tests.peer.digest import proves
from tests.peer.wire import Message

pytestmark = pytest.mark.sip


@asynccontextmanager
async def two_peers(**bob: object) -> AsyncIterator[tuple[Peer, Peer]]:
    async with Peer.start("alice") as alice, Peer.start("bob", **bob) as peer:  # type: ignore[arg-type]
        yield alice, peer


async def connect(alice: Peer, bob: Peer) -> tuple[Call, Call]:
    """A call in which both sides have sent and received the ACK."""
    outgoing = await alice.invite(bob.uri("bob"))
    incoming = await bob.expect_invite()
    await incoming.ring()
    await incoming.answer()
    await outgoing.expect_response(200)
    await incoming.expect("ACK")
    return outgoing, incoming


def count(peer: Peer, direction: str, *, method: str = "", status: int = 0, of: str = "") -> int:
    def counts(message: Message) -> bool:
        if message.is_request:
            return message.method == method and not status
        return message.status == status and not method and (not of or message.cseq_method == of)

    return sum(entry.direction == direction and counts(entry.message) for entry in peer.log)


async def test_tones_arrive_both_ways_at_the_level_they_were_sent() -> None:
    async with two_peers() as (alice, bob):
        outgoing, incoming = await connect(alice, bob)
        outgoing.media.play_tone(440, level_dbfs=-15)
        incoming.media.play_tone(660, level_dbfs=-20)
        assert await incoming.media.expect_tone(440) == pytest.approx(-15, abs=0.2)
        assert await outgoing.media.expect_tone(660) == pytest.approx(-20, abs=0.2)
        assert not incoming.media.has_tone(660)
        assert not incoming.media.has_tone(440, min_dbfs=-14)
        assert incoming.media.counts.lost == incoming.media.counts.duplicate == 0
        assert (await outgoing.bye()).status == 200  # type: ignore[union-attr]
        await incoming.expect_end()


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
async def test_the_answer_picks_the_codec(codec: str) -> None:
    async with two_peers(media=MediaOptions(codecs=(codec,))) as (alice, bob):
        outgoing, incoming = await connect(alice, bob)
        outgoing.media.play_tone(440)
        await incoming.media.expect_tone(440)
        assert outgoing.media.codec == incoming.media.hearing.codec == codec


async def test_digits_pass_both_ways_with_the_payload_type_of_the_offer() -> None:
    async with two_peers(media=MediaOptions(telephone_event=96)) as (alice, bob):
        outgoing, incoming = await connect(alice, bob)
        await asyncio.gather(outgoing.media.send_digit("5"), incoming.media.send_digit("#", duration_ms=60))
        assert (await incoming.media.expect_digit("5")).duration_ms == 120
        assert (await outgoing.media.expect_digit("#")).duration_ms == 60
        await outgoing.media.send_digit("5")
        await incoming.media.expect_digit("5")
        assert (incoming.media.digits, outgoing.media.digits) == ("55", "#")
        assert incoming.media.remote is not None and incoming.media.local is not None
        assert incoming.media.local.payload_type("telephone-event") == 101


async def test_digits_go_by_info() -> None:
    async with two_peers() as (alice, bob):
        outgoing, incoming = await connect(alice, bob)
        assert (await outgoing.info_dtmf("5")).status == 200  # type: ignore[union-attr]
        info = await incoming.expect("INFO")
        assert (info["Content-Type"], info.text) == ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n")


async def test_hold_with_sendonly_silences_one_way_and_resume_brings_it_back() -> None:
    async with two_peers() as (alice, bob):
        outgoing, incoming = await connect(alice, bob)
        outgoing.media.play_tone(440)
        incoming.media.play_tone(660)
        await outgoing.media.expect_tone(660)
        answer = await outgoing.hold()
        assert answer is not None and "a=recvonly" in answer.text
        await outgoing.media.expect_silence()
        await incoming.media.expect_tone(440)
        await outgoing.resume()
        await outgoing.media.expect_tone(660)


async def test_hold_with_address_zero_stops_what_we_send() -> None:
    async with two_peers() as (alice, bob):
        outgoing, incoming = await connect(alice, bob)
        incoming.media.play_tone(660)
        await outgoing.media.expect_tone(660)
        await outgoing.reinvite(c0000=True)
        assert "c=IN IP4 0.0.0.0" in (await incoming.expect("INVITE")).text
        await outgoing.media.expect_silence()


async def test_a_new_port_takes_the_audio_over() -> None:
    async with two_peers() as (alice, bob):
        outgoing, incoming = await connect(alice, bob)
        before = outgoing.media.port
        await outgoing.reinvite(new_port=True)
        incoming.media.play_tone(660)
        await outgoing.media.expect_tone(660)
        assert incoming.media.remote is not None
        assert incoming.media.remote.port == outgoing.media.port != before


async def test_progress_brings_early_media() -> None:
    async with two_peers() as (alice, bob):
        outgoing = await alice.invite(bob.uri())
        incoming = await bob.expect_invite()
        incoming.media.play_tone(425)
        await incoming.progress()
        await outgoing.expect_response(183)
        await outgoing.media.expect_tone(425)
        await incoming.answer()
        assert (await outgoing.expect_response(200)).has_sdp


async def test_an_invite_without_offer_is_answered_in_the_ack() -> None:
    async with two_peers() as (alice, bob):
        outgoing = await alice.invite(bob.uri(), sdp=False)
        incoming = await bob.expect_invite()
        await incoming.answer()
        assert (await incoming.expect("ACK")).has_sdp
        outgoing.media.play_tone(440)
        await incoming.media.expect_tone(440)


async def test_cancel_ends_a_ringing_call_with_487() -> None:
    async with two_peers() as (alice, bob):
        outgoing = await alice.invite(bob.uri())
        incoming = await bob.expect_invite()
        await incoming.ring()
        assert (await outgoing.cancel()).status == 200  # type: ignore[union-attr]
        await outgoing.expect_response(487)
        await incoming.expect("ACK")
        assert incoming.cancelled and incoming.state == outgoing.state == "ended"


async def test_a_200_that_crosses_cancel_is_acknowledged_and_ended() -> None:
    async with two_peers() as (alice, bob):
        outgoing = await alice.invite(bob.uri())
        incoming = await bob.expect_invite(auto=False)
        await incoming.ring()
        await outgoing.cancel(wait=False)
        incoming.respond(await incoming.expect("CANCEL"), 200)
        await incoming.answer()
        await outgoing.expect_response(200)
        await incoming.expect("ACK")
        incoming.respond(await incoming.expect("BYE"), 200)
        await outgoing.expect_response(200, method="BYE")


async def test_reject_is_acknowledged_within_its_transaction() -> None:
    async with two_peers() as (alice, bob):
        outgoing = await alice.invite(bob.uri())
        await (await bob.expect_invite()).reject(486, headers=[("Retry-After", "5")])
        busy = await outgoing.expect_response(range(400, 700))
        assert (busy.status, busy.reason, busy["Retry-After"]) == (486, "Busy Here", "5")
        ack = await bob.calls[0].expect("ACK")
        assert ack.branch == outgoing.invite.branch and ack.to.tag == busy.to.tag


async def test_a_lost_invite_is_sent_again_after_t1() -> None:
    async with Peer.start("alice", t1_s=0.1) as alice, Peer.start("bob") as bob:
        bob.drop_next(1)
        call = await alice.invite(bob.uri())
        await bob.expect_invite()
        await call.expect_response(100)
        first, second = (entry.at for entry in alice.log if entry.direction == "out")
        assert 0.09 < second - first < 0.2


async def test_a_200_is_repeated_until_the_ack() -> None:
    async with Peer.start("alice") as alice, Peer.start("bob", t1_s=0.1) as bob:
        outgoing = await alice.invite(bob.uri(), auto_ack=False)
        incoming = await bob.expect_invite()
        await incoming.answer()
        await outgoing.expect_response(200)
        await alice.log.expect(3, lambda m: m.status == 200)
        await outgoing.ack()
        await incoming.expect("ACK")
        repeated = count(bob, "out", status=200)
        await outgoing.bye()
        assert 3 <= count(bob, "out", status=200, of="INVITE") == repeated


async def test_a_repeated_200_gets_its_ack_again_and_a_repeated_request_its_response() -> None:
    async with two_peers() as (alice, bob):
        outgoing, incoming = await connect(alice, bob)
        ok = next(e.message for e in bob.log if e.direction == "out" and e.message.status == 200)
        bob.retransmit(ok)
        alice.retransmit(outgoing.invite)
        await outgoing.bye()
        assert count(bob, "in", method="ACK") >= 2
        assert count(bob, "out", status=200, of="INVITE") == 3
        assert incoming.state == "ended"


async def test_requests_in_the_dialog_follow_the_recorded_route() -> None:
    async with two_peers() as (alice, bob), Peer.start("proxy", strict=False) as proxy:
        route = f"<sip:{proxy.host}:{proxy.port};lr>"
        outgoing = await alice.invite(bob.uri())
        incoming = await bob.expect_invite()
        incoming.invite.add("Record-Route", route)
        bye_of_bob = incoming.dialog.of_uas(incoming.invite, "x", "<sip:b@c>").request("BYE")
        await incoming.answer()
        await outgoing.expect_response(200)
        await outgoing.bye(wait=False)
        bye = await proxy.expect("BYE")
        assert bye["Route"] == bye_of_bob[0]["Route"] == route
        assert bye.uri == bob.uri("peer").replace("peer", "bob")
        assert bye_of_bob[1] == proxy.address


async def test_a_reinvite_that_meets_ours_is_refused_with_491() -> None:
    async with two_peers() as (alice, bob):
        outgoing, incoming = await connect(alice, bob)
        alice.delay_next(0.2, matches=lambda m: m.method == "INVITE")
        holding = asyncio.create_task(outgoing.hold())
        await asyncio.sleep(0)
        bob.drop_next(1, matches=lambda m: m.method == "INVITE")
        answer = await incoming.reinvite()
        assert answer is not None and answer.status == 491
        first = await holding
        assert first is not None and first.status == 200


async def test_refer_with_replaces_names_the_other_dialog() -> None:
    async with two_peers() as (alice, bob):
        one, _ = await connect(alice, bob)
        two, far_two = await connect(alice, bob)
        assert (await one.refer(two)).status == 202  # type: ignore[union-attr]
        refer = next(e.message for e in bob.log if e.message.method == "REFER")
        tags = f"%3Bto-tag%3D{far_two.dialog.local_tag}%3Bfrom-tag%3D{far_two.dialog.remote_tag}"
        assert refer["Refer-To"] == f"<{bob.uri('bob')}?Replaces={two.call_id}{tags}>"


async def test_a_wait_in_vain_shows_the_ladder() -> None:
    async with two_peers() as (alice, bob):
        call = await alice.invite(bob.uri())
        await call.expect_response(100)
        with pytest.raises(PeerTimeout, match=r"no 200 to INVITE within 0\.05 s\n.*--> .*INVITE sip:bob"):
            await call.expect_response(200, timeout=0.05)
        with pytest.raises(PeerTimeout, match=r"no a tone of 440 Hz"):
            await call.media.expect_tone(440, within_s=0.05)


async def test_faulty_messages_fail_the_test_at_its_end() -> None:
    with pytest.raises(AssertionError, match="no Max-Forwards"):
        async with two_peers() as (alice, bob):
            call = await alice.invite(bob.uri())
            await bob.expect_invite()
            call.invite.headers = [h for h in call.invite.headers if h[0] != "Max-Forwards"]
            alice.send_raw(call.invite.to_bytes(), bob.address)
            await call.request("OPTIONS").answered.wait()


async def test_challenges_are_answered_with_digest() -> None:
    async with two_peers() as (alice, bob):
        alice.credentials = ("alice", "secret")
        outgoing = await alice.invite(bob.uri())
        await (await bob.expect_invite()).challenge()
        incoming = await bob.expect_invite()
        assert proves(incoming.invite, "alice", "secret") and not proves(incoming.invite, "alice", "wrong")
        await incoming.answer()
        await outgoing.expect_response(200)
        assert (await outgoing.bye()).status == 200  # type: ignore[union-attr]


async def test_registering_gives_the_binding_back() -> None:
    async with two_peers() as (alice, bob):
        answer = await alice.request("REGISTER", bob.uri(), to_uri="sip:alice@example.test")
        assert answer["Contact"].endswith(";expires=3600")
        assert (await bob.expect("REGISTER")).from_.uri == "sip:alice@example.test"


async def test_lost_packets_are_counted_and_heard_as_zeros() -> None:
    async with two_peers() as (alice, bob):
        outgoing, incoming = await connect(alice, bob)
        outgoing.media.play_tone(440)
        await incoming.media.expect_tone(440)
        incoming.media.hearing.reset_counts()
        outgoing.media._sender.sequence += 3
        outgoing.media._sender.timestamp += 3 * 160
        await incoming.media.expect_tone(440)
        assert incoming.media.counts.lost in (0, 3)
        heard = incoming.media.heard(0.5)
        assert heard.dtype == np.int16


async def test_the_web_application_records_requests_and_serves_replies_in_turn() -> None:
    async with WebApp.start() as app, aiohttp.ClientSession() as session:
        app.reply("/voice", "<Response/>", "<Response><Hangup/></Response>")
        texts = []
        for _ in range(3):
            async with session.post(app.url("/voice?n=1"), data={"CallSid": "CA1"}) as response:
                texts.append(await response.text())
                assert response.content_type == "text/xml"
        assert texts == ["<Response/>", *["<Response><Hangup/></Response>"] * 2]
        request = await app.expect("voice")
        assert request.params == [("n", "1"), ("CallSid", "CA1")] and request["CallSid"] == "CA1"
        async with session.get(app.url("/other")) as response:
            assert response.status == 404
        with pytest.raises(PeerTimeout, match="no request for /nowhere"):
            await app.expect("/nowhere", timeout=0.05)


async def test_a_call_over_tcp_uses_the_callers_connection_and_repeats_nothing() -> None:
    async with (
        Peer.start("alice", transport="tcp", t1_s=0.05) as alice,
        Peer.start("bob", transport="tcp", t1_s=0.05) as bob,
    ):
        outgoing = await alice.invite(bob.uri("bob"))
        incoming = await bob.expect_invite()
        assert incoming.invite.via.transport == "TCP"
        await incoming.ring()
        await incoming.answer()
        await outgoing.expect_response(200)
        await incoming.expect("ACK")
        outgoing.media.play_tone(440)
        await incoming.media.expect_tone(440)
        assert (await incoming.bye()).status == 200  # type: ignore[union-attr]
        await outgoing.expect_end()
        assert alice.streams is not None and bob.streams is not None
        assert len(alice.streams.connections) == 2  # ours to bob, and his BYE's to our Contact
        assert count(bob, "in", method="INVITE") == 1


async def test_over_tcp_a_refusal_is_sent_once_and_a_200_until_its_ack() -> None:
    async with (
        Peer.start("alice", transport="tcp") as alice,
        Peer.start("bob", transport="tcp", t1_s=0.02) as bob,
    ):
        await alice.invite(bob.uri("bob"), auto_ack=False)
        await (await bob.expect_invite()).reject(486)
        accepted = await alice.invite(bob.uri("bob"), auto_ack=False)
        await (await bob.expect_invite()).answer()
        await alice.log.expect(3, lambda message: message.status == 200)
        assert count(alice, "in", status=486) == 1
        await accepted.ack()


async def test_a_tone_that_should_not_be_there_is_told() -> None:
    async with two_peers() as (alice, bob):
        outgoing, incoming = await connect(alice, bob)
        outgoing.media.play_tone(440)
        await incoming.media.expect_tone(440)
        await incoming.media.expect_no_tone(660, for_s=0.3)
        with pytest.raises(AssertionError, match="should not be there"):
            await incoming.media.expect_no_tone(440)


async def test_digits_in_a_row_are_heard_in_their_order() -> None:
    async with two_peers() as (alice, bob):
        outgoing, incoming = await connect(alice, bob)
        await outgoing.rfc4733("12*")
        for digit in "12*":
            await incoming.media.expect_digit(digit)
