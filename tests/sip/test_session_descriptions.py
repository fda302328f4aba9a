"""Session descriptions as phones and trunks write them: in offers and answers, in both directions."""

import re
from collections.abc import Callable

import pytest

from tests.peer.call import SDP_TYPE, Call
from tests.peer.peer import Peer
from tests.peer.rtp import MediaOptions
from tests.peer.talk import hear_each_other
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess

pytestmark = pytest.mark.sip

Spell = Callable[[str], str]


def changed(pattern: str, by: str) -> Spell:
    def spell(sdp: str) -> str:
        text, count = re.subn(pattern, by, sdp, flags=re.MULTILINE)
        assert count, sdp
        return text

    return spell


def behind(*lines: str) -> Spell:
    return lambda sdp: sdp + "".join(f"{line}\r\n" for line in lines)


def without_address(sdp: str) -> str:
    """The address only at the audio, and another medium that is refused."""
    connection = re.search(r"^c=.*\r\n", sdp, re.MULTILINE)
    assert connection is not None
    head, media = sdp.replace(connection[0], "").split("m=", 1)
    line, rest = media.split("\r\n", 1)
    return f"{head}m={line}\r\n{connection[0]}{rest}m=video 0 RTP/AVP 31\r\n"


SPELLINGS: dict[str, Spell] = {
    "a name that is empty": changed("^s=-", "s="),
    "no name": changed("^s=-\r\n", ""),
    "blanks in the user's name": changed("^o=peer", "o=John Q. Public"),
    "no user's name": changed("^o=peer ", "o="),
    "a version beyond 64 bits": changed("^o=peer [0-9]+", "o=peer 18446744073709551616"),
    "a type without a name": changed("^m=(.*)\r", "m=\\1 115\r"),
    "a type beyond seven bits": changed("^m=(.*)\r", "m=\\1 128\r"),
    "a type that is no number": changed("^m=(.*)\r", "m=\\1 null\r"),
    "two blanks": changed("^m=audio ([0-9]+)", r"m=audio  \1 "),
    "an address with a time to live": changed("^c=(.*)\r", "c=\\1/127\r"),
    "an address of the one medium that is used": without_address,
    "a medium of another world": behind("m=application 9 DTLS/SCTP 5000", "c=IN IP4 0.0.0.0"),
    "an attribute without a name": behind("a=", "a=:x", "a= y"),
    "a bandwidth that is none": behind("b=AS"),
    "lines that are none": changed("^t=", "X-Vendor: yes\r\n\r\nt="),
    "more attributes than there is room for": changed(
        "^a=rtpmap:([0-9]+) tel", "a=candidate:1 1 UDP 1 192.0.2.1 9 typ host\r\n" * 90 + "a=rtpmap:\\1 tel"
    ),
}  # fmt: skip
TWO_NAMES = changed("^m=(.*) ([0-9]+)\r\n", "m=\\1 \\2 \\2\r\na=rtpmap:\\2 telephone-event/16000\r\n")


def dials(app: WebApp, callee: Peer) -> None:
    app.reply(
        "/voice",
        f'<Response><Dial answerOnBridge="true"><Sip>{callee.uri()}</Sip></Dial></Response>',
    )


async def connect(
    node: NodeProcess, app: WebApp, ann: Peer, bob: Peer, *, offers: bool = True
) -> tuple[Call, Call]:
    dials(app, bob)
    call = await ann.invite(node.uri("100"), sdp=offers)
    incoming = await bob.expect_invite()
    await incoming.answer()
    await call.expect_response(200)
    await hear_each_other(call, incoming)
    return call, incoming


async def end(call: Call, other: Call) -> None:
    await call.bye()
    await other.expect("BYE")


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
class TestSpellings:
    """RFC 8866, and common deviations."""

    async def test_in_an_offer(self, node: NodeProcess, app: WebApp, bob: Peer, spell: Spell) -> None:
        async with Peer.start("ann", media=MediaOptions(spell=spell)) as ann:
            call, incoming = await connect(node, app, ann, bob)
            for change in (await call.hold(), await call.resume()):
                assert change is not None
                assert change.status == 200
            updated = await call.final(call.request("UPDATE", [SDP_TYPE], await call.media.offer()))
            assert updated.status == 200
            await hear_each_other(call, incoming)
            await end(call, incoming)

    async def test_in_an_answer(self, node: NodeProcess, app: WebApp, ann: Peer, spell: Spell) -> None:
        async with Peer.start("bob", media=MediaOptions(spell=spell)) as bob:
            call, incoming = await connect(node, app, ann, bob)
            await end(call, incoming)

    async def test_in_an_answer_to_our_offer(
        self, node: NodeProcess, app: WebApp, bob: Peer, spell: Spell
    ) -> None:
        async with Peer.start("ann", media=MediaOptions(spell=spell)) as ann:
            call, incoming = await connect(node, app, ann, bob, offers=False)
            await end(call, incoming)


async def test_in_early_media(node: NodeProcess, app: WebApp, ann: Peer) -> None:
    async with Peer.start("bob", media=MediaOptions(spell=SPELLINGS["a name that is empty"])) as bob:
        dials(app, bob)
        call = await ann.invite(node.uri("100"))
        incoming = await bob.expect_invite()
        await incoming.progress(reliable=True)
        await incoming.expect("PRACK")
        await call.expect_response(183)
        incoming.media.play_tone(660)
        await call.media.expect_tone(660)
        await incoming.answer(sdp=False)
        await call.expect_response(200)
        await hear_each_other(call, incoming)
        await end(call, incoming)


async def test_in_a_prack(node: NodeProcess, app: WebApp, bob: Peer) -> None:
    async with Peer.start("ann", media=MediaOptions(spell=SPELLINGS["a name that is empty"])) as ann:
        dials(app, bob)
        call = await ann.invite(node.uri("100"), sdp=False, headers=[("Require", "100rel")], auto=False)
        incoming = await bob.expect_invite()
        ringing = await call.expect_response(183)
        rack = ("RAck", f"{ringing['RSeq']} {ringing.cseq} INVITE")
        answer = await call.media.answer(ringing.text)
        assert (await call.final(call.request("PRACK", [rack, SDP_TYPE], answer))).status == 200
        call.auto = True
        await incoming.answer()
        await call.expect_response(200)
        await hear_each_other(call, incoming)
        await end(call, incoming)


@pytest.mark.parametrize("who", ["ann", "bob"])
async def test_keys_of_a_type_with_two_clocks_are_heard(node: NodeProcess, app: WebApp, who: str) -> None:
    odd, plain = MediaOptions(spell=TWO_NAMES), MediaOptions()
    async with (
        Peer.start("ann", media=odd if who == "ann" else plain) as ann,
        Peer.start("bob", media=odd if who == "bob" else plain) as bob,
    ):
        call, incoming = await connect(node, app, ann, bob)
        await call.rfc4733("7")
        await incoming.media.expect_digit("7")
        await incoming.rfc4733("8")
        await call.media.expect_digit("8")
        await end(call, incoming)


G729 = changed(r"^m=audio ([0-9]+) RTP/AVP .*\r\n(a=(rtpmap|fmtp).*\r\n)*", "m=audio \\1 RTP/AVP 18\r\n")
FAX = changed(r"^m=audio (.|\r\n)*", "m=image 4002 udptl t38\r\na=T38FaxVersion:0\r\n")
NOTHING_IN_COMMON: dict[str, Spell] = {
    "another codec": G729,
    "a fax": FAX,
    "sixty-four media": lambda sdp: sdp + "m=video 4002 RTP/AVP 31\r\n" * 63,
    "keys only": changed("^m=audio ([0-9]+) .*\r", "m=audio \\1 RTP/AVP 101\r"),
    "no address": changed("^c=.*\r\n", ""),
    "no session description": lambda sdp: "this is none",
    "no media": lambda sdp: sdp.partition("m=")[0],
}


@pytest.mark.parametrize("spell", NOTHING_IN_COMMON.values(), ids=NOTHING_IN_COMMON)
class TestOffersThatCannotBeTaken:
    """RFC 3261 §13.3.1.3, §14.2; RFC 3311 §5.2: 488, and the existing media go on."""

    async def test_a_call(self, node: NodeProcess, app: WebApp, bob: Peer, spell: Spell) -> None:
        async with Peer.start("ann", media=MediaOptions(spell=spell)) as ann:
            dials(app, bob)
            call = await ann.invite(node.uri("100"))
            await call.expect_response(488)
            assert not app.of("/voice")

    @pytest.mark.parametrize("who", ["ann", "bob"])
    @pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
    async def test_a_change(
        self, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer, spell: Spell, who: str, method: str
    ) -> None:
        call, incoming = await connect(node, app, ann, bob)
        one = call if who == "ann" else incoming
        offer = spell(await one.media.offer())
        if method == "INVITE":
            refusal = await one.reinvite(sdp=offer)
        else:
            refusal = await one.final(one.request("UPDATE", [SDP_TYPE], offer))
        assert refusal is not None
        assert refusal.status == 488
        await hear_each_other(call, incoming)
        again = await one.reinvite()
        assert again is not None
        assert again.status == 200
        await hear_each_other(call, incoming)
        await end(call, incoming)


ANSWERS_OUT_OF_PLACE: dict[str, Spell | None] = {
    **NOTHING_IN_COMMON,
    "audio in another place": changed("^m=audio (.*)\r", "m=video 0 RTP/AVP 31\r\nm=audio \\1\r"),
    "audio refused": changed("^m=audio [0-9]+", "m=audio 0"),
    "nothing at all": None,
}


@pytest.mark.parametrize("spell", ANSWERS_OUT_OF_PLACE.values(), ids=ANSWERS_OUT_OF_PLACE)
class TestAnswersThatCannotBeTaken:
    """RFC 3261 §13.2.2.4: the 2xx is acknowledged and its dialog ended; each once."""

    async def test_the_only_branch(
        self, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer, spell: Spell | None
    ) -> None:
        dials(app, bob)
        call = await ann.invite(node.uri("100"))
        incoming = await bob.expect_invite()
        await answer_badly(incoming, spell)
        await call.expect_response(488)
        await app.expect("/voice")
        await end(*await connect(node, app, ann, bob))
        assert requests_of(incoming) == ["INVITE", "ACK", "BYE"]

    async def test_a_branch_beside_one_that_wins(
        self, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer, carol: Peer, spell: Spell | None
    ) -> None:
        app.reply(
            "/voice",
            f'<Response><Dial answerOnBridge="true"><Sip>{bob.uri()}</Sip><Sip>{carol.uri()}</Sip></Dial>'
            "</Response>",
        )
        call = await ann.invite(node.uri("100"))
        bad, good = await bob.expect_invite(), await carol.expect_invite()
        await answer_badly(bad, spell)
        await bad.expect("BYE")
        await good.answer()
        await call.expect_response(200)
        await hear_each_other(call, good)
        await end(call, good)
        assert requests_of(bad) == ["INVITE", "ACK", "BYE"]

    async def test_a_change_of_ours(
        self, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer, spell: Spell | None
    ) -> None:
        dials(app, bob)
        call = await ann.invite(node.uri("100"))
        incoming = await bob.expect_invite()
        incoming.manual.add("INVITE")
        # Of a phone that takes more than one codec and no UPDATE, one is asked for by a re-INVITE.
        extra = [*(("Record-Route", route) for route in incoming.invite.all("Record-Route"))]
        extra += [("Contact", incoming.dialog.contact), ("Allow", "INVITE, ACK, CANCEL, BYE"), SDP_TYPE]
        answer = await incoming.media.answer(incoming.invite.text)
        bob.respond(incoming.invite, 200, headers=extra, body=answer, tag=incoming.dialog.local_tag)
        again = await incoming.expect("INVITE")
        incoming.respond(again, 200, sdp=spell(await incoming.media.answer(again.text)) if spell else None)
        await call.expect_response(200)
        await hear_each_other(call, incoming)
        await end(call, incoming)
        assert requests_of(incoming) == ["INVITE", "ACK", "INVITE", "ACK", "BYE"]


async def answer_badly(incoming: Call, spell: Spell | None) -> None:
    await incoming.answer(sdp=spell(await incoming.media.answer(incoming.invite.text)) if spell else False)


def requests_of(incoming: Call) -> list[str]:
    """Return the methods of the requests of a call in order, each ACK as often as it came.

    Other requests are counted once: while the machine is busy, a request is repeated before its response.
    """
    came = incoming.peer.log.found(lambda message: message.is_request and message.call_id == incoming.call_id)
    seen: set[tuple[str, int]] = set()
    methods = []
    for message in (entry.message for entry in came):
        key = (message.method, message.cseq)
        if message.method == "ACK" or key not in seen:
            seen.add(key)
            methods.append(message.method)
    return methods
