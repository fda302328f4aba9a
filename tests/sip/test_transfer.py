"""Transfers by REFER on the wire: what the transferor is told, who talks to whom, who leaves."""

import asyncio
from typing import NamedTuple

import httpx
import pytest

from tests.peer.call import Call
from tests.peer.ladder import PATIENCE_S
from tests.peer.peer import Peer
from tests.peer.talk import hear_each_other
from tests.peer.webapp import WebApp
from tests.peer.wire import Message
from tests.sip.node_process import NodeProcess

pytestmark = [pytest.mark.sip, pytest.mark.measured]


class Talk(NamedTuple):
    """Ann has called Bob through the node; they hear each other."""

    ann: Call
    bob: Call


class Desk:
    """Sets up the call of each test."""

    def __init__(self, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer) -> None:
        self.node, self.app, self.ann, self.bob = node, app, ann, bob

    async def talk(self, *, keep: bool = False, refer: str = 'referUrl="/refer"') -> Talk:
        bridge = ' answerOnBridge="true"' if keep else ""
        self.app.reply(
            "/voice",
            f'<Response><Dial {refer}{bridge} action="/after"><Sip>{self.bob.uri()}</Sip></Dial></Response>',
        )
        call = await self.ann.invite(self.node.uri("100"))
        incoming = await self.bob.expect_invite()
        await incoming.answer()
        await incoming.expect("ACK")
        if keep:
            await call.expect_response(200)
        talk = Talk(call, incoming)
        await hear_each_other(*talk)
        return talk

    def refers_to(self, peer: Peer, attributes: str = "") -> None:
        self.app.reply("/refer", f"<Response><Dial {attributes}><Sip>{peer.uri()}</Sip></Dial></Response>")


@pytest.fixture
def desk(node: NodeProcess, app: WebApp, ann: Peer, bob: Peer) -> Desk:
    return Desk(node, app, ann, bob)


async def nobody_busy(node: NodeProcess) -> None:
    """All workers have seen the end of their sessions."""
    async with httpx.AsyncClient() as web:
        for _ in range(int(PATIENCE_S / 0.05)):
            text = (await web.get(f"{node.http}/metrics")).text
            if 'b2bua_workers{state="busy"} 0' in text:
                return
            await asyncio.sleep(0.05)
    raise AssertionError(text)


async def refer(call: Call, to: str = "sip:carol@example.com", *headers: tuple[str, str]) -> int:
    response = await call.refer(to, headers)
    assert response is not None
    return response.status


async def told(call: Call) -> str:
    """The status line of the next NOTIFY."""
    notify = await call.expect("NOTIFY")
    assert (notify.get("event") or "").startswith("refer")
    return notify.body.decode().strip()


async def last_word(call: Call) -> tuple[str, Message]:
    """The final NOTIFY, with the preceding ones."""
    while True:
        notify = await call.expect("NOTIFY")
        if "terminated" in (notify.get("subscription-state") or ""):
            return notify.body.decode().strip(), notify


async def test_a_transferor_is_let_go_and_the_caller_talks_to_the_target(desk: Desk, carol: Peer) -> None:
    talk = await desk.talk()
    desk.refers_to(carol)
    assert await refer(talk.bob, carol.uri()) == 202
    assert await told(talk.bob) == "SIP/2.0 100 Trying"
    asked = await desk.app.expect("/refer")
    assert asked["ReferTransferTarget"] == f"<{carol.uri()}>"
    assert asked["CallSid"] == desk.app.of("/voice")[-1]["CallSid"]
    assert "bob" in asked["ReferredBy"]
    word, _ = await last_word(talk.bob)
    assert word == "SIP/2.0 200 OK"
    await talk.bob.expect("BYE")
    third = await carol.expect_invite()
    await third.answer()
    await hear_each_other(talk.ann, third)
    before = len(desk.app.of("/after"))
    await third.bye()
    await talk.ann.expect("BYE")
    assert len(desk.app.of("/after")) == before


async def test_a_callee_may_refer_as_soon_as_it_has_the_ack(desk: Desk, carol: Peer) -> None:
    desk.app.reply(
        "/voice", f'<Response><Dial referUrl="/refer"><Sip>{desk.bob.uri()}</Sip></Dial></Response>'
    )
    desk.refers_to(carol)
    for _ in range(5):
        call = await desk.ann.invite(desk.node.uri("100"))
        incoming = await desk.bob.expect_invite()
        await incoming.answer()
        await incoming.expect("ACK")
        assert await refer(incoming, carol.uri()) == 202
        await incoming.expect("BYE")
        third = await carol.expect_invite()
        await third.answer()
        await third.expect("ACK")
        await call.bye()
        await third.expect("BYE")


async def test_a_transferor_that_waits_goes_when_the_target_has_answered(desk: Desk, carol: Peer) -> None:
    talk = await desk.talk(keep=True)
    desk.refers_to(carol)
    assert await refer(talk.bob, carol.uri()) == 202
    assert await told(talk.bob) == "SIP/2.0 100 Trying"
    third = await carol.expect_invite()
    await third.ring()
    assert await told(talk.bob) == "SIP/2.0 180 Ringing"
    assert talk.bob.state == "confirmed"
    await third.answer()
    word, _ = await last_word(talk.bob)
    assert word == "SIP/2.0 200 OK"
    await talk.bob.expect("BYE")
    await hear_each_other(talk.ann, third)
    await talk.ann.bye()
    await third.expect("BYE")


async def test_a_target_that_is_busy_gives_the_caller_back(desk: Desk, carol: Peer) -> None:
    talk = await desk.talk(keep=True)
    desk.refers_to(carol)
    assert await refer(talk.bob, carol.uri()) == 202
    third = await carol.expect_invite()
    await third.reject(486)
    word, _ = await last_word(talk.bob)
    assert word.startswith("SIP/2.0 486")
    await hear_each_other(*talk)
    await talk.bob.bye()
    await talk.ann.expect("BYE")
    assert desk.app.of("/after")[-1]["DialCallStatus"] == "completed"


@pytest.mark.parametrize("keep", [False, True])
async def test_a_document_that_cannot_be_had_leaves_the_two_together(desk: Desk, keep: bool) -> None:
    talk = await desk.talk(keep=keep, refer='referUrl="/nowhere"')
    assert await refer(talk.bob) == 202
    word, _ = await last_word(talk.bob)
    assert word.startswith("SIP/2.0 503")
    await hear_each_other(*talk)
    await talk.ann.bye()
    await talk.bob.expect("BYE")


async def test_without_a_refer_url_it_is_declined_and_nobody_is_called(desk: Desk, carol: Peer) -> None:
    talk = await desk.talk(refer="")
    assert await refer(talk.bob, carol.uri()) == 603
    await desk.node.expect_log("twiml", number=13802)
    await hear_each_other(*talk)
    assert not carol.invites.items
    await talk.ann.bye()
    await talk.bob.expect("BYE")


async def test_the_callers_is_declined(desk: Desk, carol: Peer) -> None:
    talk = await desk.talk()
    assert await refer(talk.ann, carol.uri()) == 603
    await hear_each_other(*talk)
    await talk.ann.bye()
    await talk.bob.expect("BYE")


async def test_a_second_one_during_the_first_is_declined(desk: Desk, carol: Peer) -> None:
    talk = await desk.talk(keep=True)
    desk.refers_to(carol)
    assert await refer(talk.bob, carol.uri()) == 202
    third = await carol.expect_invite()
    assert await refer(talk.bob, carol.uri()) == 491
    await third.reject(486)
    await last_word(talk.bob)
    assert await refer(talk.bob, carol.uri()) == 202
    third = await carol.expect_invite()
    await third.answer()
    word, _ = await last_word(talk.bob)
    assert word == "SIP/2.0 200 OK"
    await talk.bob.expect("BYE")
    await talk.ann.bye()
    await third.expect("BYE")


async def test_whoever_wants_no_notify_gets_none(desk: Desk, carol: Peer) -> None:
    talk = await desk.talk()
    desk.refers_to(carol)
    assert await refer(talk.bob, carol.uri(), ("Refer-Sub", "false"), ("Supported", "norefersub")) == 202
    await talk.bob.expect("BYE")
    third = await carol.expect_invite()
    await third.answer()
    await hear_each_other(talk.ann, third)
    assert not [message for message in talk.bob.requests.items if message.method == "NOTIFY"]
    await talk.ann.bye()
    await third.expect("BYE")


async def test_a_transferor_that_hangs_up_at_once_has_handed_over(desk: Desk, carol: Peer) -> None:
    talk = await desk.talk()
    desk.refers_to(carol)
    gate = desk.app.hold("/refer")
    assert await refer(talk.bob, carol.uri()) == 202
    await desk.app.expect("/refer")
    await talk.bob.bye()
    gate.set()
    third = await carol.expect_invite()
    await third.answer()
    await hear_each_other(talk.ann, third)
    await talk.ann.bye()
    await third.expect("BYE")


async def test_a_transferor_on_hold_hands_over(desk: Desk, carol: Peer) -> None:
    talk = await desk.talk(keep=True)
    desk.refers_to(carol)
    await talk.bob.hold()
    assert await refer(talk.bob, carol.uri()) == 202
    third = await carol.expect_invite()
    await third.answer()
    await talk.bob.expect("BYE")
    await hear_each_other(talk.ann, third)
    await talk.ann.bye()
    await third.expect("BYE")


async def test_the_caller_who_hangs_up_ends_it_all(desk: Desk, carol: Peer) -> None:
    talk = await desk.talk(keep=True)
    desk.refers_to(carol)
    assert await refer(talk.bob, carol.uri()) == 202
    third = await carol.expect_invite()
    await third.ring()
    await talk.ann.bye()
    word, _ = await last_word(talk.bob)
    assert word.startswith("SIP/2.0 487")
    await talk.bob.expect("BYE")
    await third.expect("CANCEL")


class TestReferVerb:
    async def test_the_callers_phone_is_sent_elsewhere_and_what_it_says_is_told(
        self, node: NodeProcess, app: WebApp, ann: Peer
    ) -> None:
        app.reply(
            "/voice", '<Response><Refer action="/referred"><Sip>sip:dora@192.0.2.8</Sip></Refer></Response>'
        )
        app.reply("/referred", "<Response/>")
        call = await ann.invite(node.uri("100"))
        request = await call.expect("REFER")
        assert "sip:dora@192.0.2.8" in (request.get("refer-to") or "")
        headers = [("Event", "refer"), ("Subscription-State", "active;expires=60")]
        headers += [("Content-Type", "message/sipfrag;version=2.0")]
        await call.final(call.request("NOTIFY", headers, "SIP/2.0 100 Trying\r\n"))
        headers[1] = ("Subscription-State", "terminated;reason=noresource")
        await call.final(call.request("NOTIFY", headers, "SIP/2.0 200 OK\r\n"))
        told = await app.expect("/referred")
        assert (told["ReferCallStatus"], told["ReferSipResponseCode"]) == ("completed", "202")
        assert told["NotifySipResponseCode"] == "200"
        await call.expect("BYE")

    async def test_a_phone_that_declines(self, node: NodeProcess, app: WebApp, ann: Peer) -> None:
        app.reply(
            "/voice", '<Response><Refer action="/declined"><Sip>sip:dora@192.0.2.8</Sip></Refer></Response>'
        )
        app.reply("/declined", "<Response/>")
        call = await ann.invite(node.uri("100"))
        call.manual.add("REFER")
        call.respond(await call.expect("REFER"), 603)
        told = await app.expect("/declined")
        assert (told["ReferCallStatus"], told["ReferSipResponseCode"]) == ("failed", "603")
        await call.expect("BYE")


async def test_forty_transfers_leave_nothing_behind(desk: Desk, carol: Peer) -> None:
    """No leg, slot of the library or file descriptor of any process is left."""
    desk.refers_to(carol)
    for round_ in range(40):
        if round_ == 10:
            before = desk.node.descriptors()
        talk = await desk.talk(keep=bool(round_ % 2))
        assert await refer(talk.bob, carol.uri()) == 202
        third = await carol.expect_invite()
        await third.answer()
        await talk.bob.expect("BYE")
        await talk.ann.bye()
        await third.expect("BYE")
    after = desk.node.descriptors()
    assert after <= before + 4
    faults = (
        "a worker died",
        "a worker hangs",
        "a pj callback failed",
        "the library refused a command",
        "ended a leg whose end",
        "ended a transfer call whose end",
    )
    assert not [line for line in desk.node.log() if str(line.get("event")).startswith(faults)]


def instead_of(call: Call) -> tuple[str, str]:
    """The Replaces header that names a peer's dialog with the node, as the node sees it."""
    dialog = call.dialog
    return "Replaces", f"{dialog.call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag}"


class TestReplaces:
    """RFC 3891: a call that takes another one's place."""

    @pytest.mark.parametrize("who", ["ann", "bob"])
    async def test_whoever_is_replaced_goes_and_the_other_stays(
        self, desk: Desk, carol: Peer, who: str
    ) -> None:
        talk = await desk.talk()
        left, stays = (talk.ann, talk.bob) if who == "ann" else (talk.bob, talk.ann)
        third = await carol.invite(desk.node.uri("anybody"), headers=[instead_of(left)])
        await third.expect_response(200)
        await left.expect("BYE")
        await hear_each_other(stays, third)
        await third.hold()
        await third.resume()
        await hear_each_other(stays, third)
        await third.bye()
        await stays.expect("BYE")
        after = await desk.app.expect("/after")
        assert (after["DialCallStatus"], after["DialHangupBy"]) == (
            "completed",
            "caller" if who == "ann" else "callee",
        )

    async def test_what_is_not_there_cannot_be_replaced(self, desk: Desk, carol: Peer) -> None:
        for replaces in ("nobody;to-tag=1;from-tag=2", "nobody"):
            third = await carol.invite(desk.node.uri("100"), headers=[("Replaces", replaces)])
            await third.expect_response(481 if ";" in replaces else 400)

    async def test_a_phone_that_rings_is_not_to_be_had(self, desk: Desk, carol: Peer) -> None:
        desk.app.reply("/voice", f"<Response><Dial><Sip>{desk.bob.uri()}</Sip></Dial></Response>")
        call = await desk.ann.invite(desk.node.uri("100"))
        incoming = await desk.bob.expect_invite()
        await incoming.ring()
        third = await carol.invite(desk.node.uri("100"), headers=[instead_of(incoming)])
        await third.expect_response(range(400, 500))
        await incoming.answer()
        await hear_each_other(call, incoming)
        await call.bye()
        await incoming.expect("BYE")


class TestAttended:
    """Bob talks to Ann, consults Carol in a second call, and transfers Ann to her."""

    @pytest.mark.parametrize("asked_by", ["bob", "carol"])
    async def test_the_two_others_are_joined(self, desk: Desk, carol: Peer, asked_by: str) -> None:
        talk = await desk.talk()
        first, second = (desk.bob, carol) if asked_by == "bob" else (carol, desk.bob)
        desk.app.reply("/voice", f"<Response><Dial><Sip>{second.uri()}</Sip></Dial></Response>")
        outgoing = await first.invite(desk.node.uri("200"))
        incoming = await second.expect_invite()
        await incoming.answer()
        await hear_each_other(outgoing, incoming)
        bobs, carols = (outgoing, incoming) if asked_by == "bob" else (incoming, outgoing)
        desk.refers_to(carol)
        response = await talk.bob.refer(bobs)
        assert response is not None
        assert response.status == 202
        asked = await desk.app.expect("/refer")
        assert asked["ReferReplaces"].startswith(f"{bobs.call_id};")
        word, _ = await last_word(talk.bob)
        assert word == "SIP/2.0 200 OK"
        await talk.bob.expect("BYE")
        await bobs.expect("BYE")
        await hear_each_other(talk.ann, carols)
        assert not carol.invites.items
        await talk.ann.bye()
        await carols.expect("BYE")

    async def test_a_party_that_has_just_gone_gives_the_caller_back(self, desk: Desk, carol: Peer) -> None:
        talk = await desk.talk()
        desk.app.reply("/voice", f"<Response><Dial><Sip>{carol.uri()}</Sip></Dial></Response>")
        bobs = await desk.bob.invite(desk.node.uri("200"))
        carols = await carol.expect_invite()
        await carols.answer()
        await hear_each_other(bobs, carols)
        desk.refers_to(carol)
        gate = desk.app.hold("/refer")
        response = await talk.bob.refer(bobs)
        assert response is not None
        await desk.app.expect("/refer")
        await carols.bye()
        await bobs.expect("BYE")
        gate.set()
        word, _ = await last_word(talk.bob)
        assert not word.startswith("SIP/2.0 200")
        await hear_each_other(*talk)
        await talk.ann.bye()
        await talk.bob.expect("BYE")


REFER_TO: dict[str, tuple[str, str]] = {
    "a header parameter": ("Refer-To", "<sip:carol@192.0.2.1>;x=y"),
    "a blank before the bracket": ("Refer-To", "<sip:carol@192.0.2.1 >"),
    "compact": ("r", "<sip:carol@192.0.2.1>"),
    "no brackets": ("Refer-To", "sip:carol@192.0.2.1"),
    "no brackets, and a parameter": ("refer-to", "sip:carol@192.0.2.1;x=y"),
    "no brackets, and a dialog": (
        "Refer-To",
        "sip:carol@192.0.2.1?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2",
    ),
    "a quoted name": ("Refer-To", '"Carol <sip:x@y>, \\"C\\"" <sip:carol@192.0.2.1>'),
    "a plain name": ("Refer-To", "Carol Danvers <sip:carol@192.0.2.1>"),
    "a number": ("Refer-To", "<tel:+19005550100;ext=1>"),
    "secure": ("Refer-To", "<sips:carol@192.0.2.1>"),
    "a method": ("Refer-To", "<sip:carol@192.0.2.1;method=INVITE>"),
    "other headers": (
        "Refer-To",
        "<sip:carol@192.0.2.1?Subject=a%20b&Accept-Contact=*%3Bmobility%3D%22fixed%22>",
    ),
    "IPv6": ("Refer-To", "<sip:carol@[2001:db8::1]:5070;transport=tcp>"),
    "a long one": ("Refer-To", f"<sip:{'c' * 700}@192.0.2.1>"),
    "folded": ("Refer-To", "<sip:carol@192.0.2.1>\r\n ;x=y"),
}


class TestReferTo:
    """RFC 3515 §2.1: the application is asked with the Refer-To as received, whatever its form."""

    @pytest.mark.parametrize("said", REFER_TO.values(), ids=REFER_TO)
    async def test_forms(self, desk: Desk, carol: Peer, said: tuple[str, str]) -> None:
        talk = await desk.talk()
        desk.refers_to(carol)
        response = await talk.bob.final(talk.bob.request("REFER", [said]))
        assert response.status == 202
        asked = await desk.app.expect("/refer")
        assert asked["ReferTransferTarget"] == said[1].replace("\r\n", "")
        word, _ = await last_word(talk.bob)
        assert word == "SIP/2.0 200 OK"
        await talk.bob.expect("BYE")
        third = await carol.expect_invite()
        await third.answer()
        await hear_each_other(talk.ann, third)
        await talk.ann.bye()
        await third.expect("BYE")

    async def test_a_plus_is_one(self, desk: Desk, carol: Peer) -> None:
        talk = await desk.talk()
        desk.refers_to(carol)
        replaces = "%52eplaces=a+b%2Bc%40d%3Bto-tag%3D1+2%3Bfrom-tag%3D3"
        refer_to = f"<sip:carol@192.0.2.1?Subject=a+b&{replaces}>"
        response = await talk.bob.final(talk.bob.request("REFER", [("Refer-To", refer_to)]))
        assert response.status == 202
        asked = await desk.app.expect("/refer")
        assert asked["ReferReplaces"] == "a+b+c@d;to-tag=1+2;from-tag=3"
        await talk.bob.expect("BYE")
        await (await carol.expect_invite()).reject(486)
        await talk.ann.expect("BYE")

    async def test_nobody_names_it_for_us(self, desk: Desk, carol: Peer) -> None:
        talk = await desk.talk()
        desk.refers_to(carol)
        headers = [("X-B2bua-Refer-To", "<sip:evil@192.0.2.9>"), ("Refer-To", "<sip:carol@192.0.2.1>")]
        assert (await talk.bob.final(talk.bob.request("REFER", headers))).status == 202
        assert (await desk.app.expect("/refer"))["ReferTransferTarget"] == "<sip:carol@192.0.2.1>"
        await talk.ann.bye()
        await talk.bob.expect("BYE")


class TestTheLastWord:
    """RFC 5589 §6.1: the transferor learns of the success before its call ends."""

    async def test_the_call_ends_when_the_transferor_has_answered(self, desk: Desk, carol: Peer) -> None:
        talk = await desk.talk()
        desk.refers_to(carol)
        talk.bob.manual.add("NOTIFY")
        assert await refer(talk.bob, carol.uri()) == 202
        while True:
            notify = await talk.bob.expect("NOTIFY")
            if "terminated" in notify["Subscription-State"]:
                break
            talk.bob.respond(notify, 200)
        third = await carol.expect_invite()  # nobody waits for it
        await third.answer()
        await hear_each_other(talk.ann, third)
        assert not [request for request in talk.bob.requests.items if request.method == "BYE"]
        assert talk.bob.state == "confirmed"
        talk.bob.respond(notify, 200)
        await talk.bob.expect("BYE", 0.5)
        await talk.ann.bye()
        await third.expect("BYE")

    async def test_or_has_had_the_time_to(self, desk: Desk, carol: Peer) -> None:
        talk = await desk.talk()
        desk.refers_to(carol)
        talk.bob.manual.add("NOTIFY")
        assert await refer(talk.bob, carol.uri()) == 202
        word, _ = await last_word(talk.bob)
        assert word == "SIP/2.0 200 OK"
        await talk.bob.expect("BYE")
        third = await carol.expect_invite()
        await third.answer()
        await hear_each_other(talk.ann, third)
        await talk.ann.bye()
        await third.expect("BYE")

    async def test_a_transferor_that_does_not_wait_for_it_may_go(self, desk: Desk, carol: Peer) -> None:
        talk = await desk.talk()
        desk.refers_to(carol)
        talk.bob.manual.add("NOTIFY")
        assert await refer(talk.bob, carol.uri()) == 202
        await last_word(talk.bob)
        await talk.bob.bye()
        third = await carol.expect_invite()
        await third.answer()
        await hear_each_other(talk.ann, third)
        await talk.ann.bye()
        await third.expect("BYE")
        await nobody_busy(desk.node)


BAD_REFERS: list[list[tuple[str, str]]] = [
    [],
    [("Refer-To", "nowhere")],
    [("Refer-To", "<sip:carol@192.0.2.1"), ("Referred-By", "<")],
    [("Refer-To", "<sip:a@192.0.2.1>"), ("Refer-To", "<sip:b@192.0.2.1>")],
    [("Refer-To", "<tel:+19005550100>")],
    [("Refer-To", f"<sip:{'a' * 1200}@192.0.2.1>")],
    [("Refer-To", "<sip:a@192.0.2.1;method=BYE?Replaces=%0d%0aX:%201%3Bto-tag%3D&&=%ff>")],
    [("Refer-To", "<http://192.0.2.1/>")],
    [("Refer-To", "<sip:a@192.0.2.1>, <sip:b@192.0.2.1>")],
]


async def test_bad_refers_end_neither_the_call_nor_the_worker(desk: Desk) -> None:
    talk = await desk.talk(refer='referUrl="/nowhere"')
    for headers in BAD_REFERS:
        response = await talk.bob.final(talk.bob.request("REFER", headers))
        if response.status == 202:
            word, _ = await last_word(talk.bob)
            assert not word.startswith("SIP/2.0 200")
    await hear_each_other(*talk)
    await talk.ann.bye()
    await talk.bob.expect("BYE")
    await nobody_busy(desk.node)
    assert not [line for line in desk.node.log() if line.get("event") == "a pj callback failed"]
