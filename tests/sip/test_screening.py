"""Child calls before the bridge, on the wire: keys, screening, and the reports about each."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.talk import hear_each_other
from tests.peer.webapp import Request, WebApp
from tests.sip.node_process import NodeProcess

pytestmark = pytest.mark.sip

STAGES = "initiated ringing answered completed"


@pytest.fixture(scope="module")
async def pbx() -> AsyncIterator[Peer]:
    async with Peer.start("pbx") as peer:
        yield peer


@pytest.fixture(scope="module")
def sections() -> dict[str, dict[str, Any]]:
    return {"dial": {"timeout_buffer_s": 0, "screening_limit_s": 7, "trunk": "pbx"}}


@pytest.fixture(scope="module")
def extra_config(pbx: Peer) -> str:
    return f'[[trunks]]\nname = "pbx"\nuri = "sip:127.0.0.1:{pbx.port}"\nkeepalive_s = 0\n'


def document(app: WebApp, *callees: Peer, noun: str = 'url="/screen"', dial: str = "") -> None:
    nouns = "".join(f"<Sip {noun}>{callee.uri()}</Sip>" for callee in callees)
    app.reply(
        "/voice",
        f'<Response><Dial answerOnBridge="true" action="/after" {dial}>{nouns}</Dial></Response>',
    )


async def picks_up(callee: Peer, *, ring: bool = False) -> Call:
    incoming = await callee.expect_invite()
    if ring:
        await incoming.ring()
    await incoming.answer()
    await incoming.expect("ACK")
    return incoming


class TestScreening:
    async def test_who_falls_off_the_end_is_connected_and_the_caller_heard_ringing_till_then(
        self, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
    ) -> None:
        document(app, bob, dial='ringTone="us"')
        app.reply("/screen", '<Response><Pause length="1"/></Response>')
        call = await ann.invite(node.uri("100"))
        await call.expect_response(183)
        incoming = await picks_up(bob)
        asked = await app.expect("/screen")
        parent = app.of("/voice")[0]["CallSid"]
        assert (asked["ParentCallSid"], asked["Direction"]) == (parent, "outbound-dial")
        assert asked["CallSid"] != parent
        await call.media.expect_tone(440)  # ringback, while Bob is asked
        assert call.state == "early"
        await call.expect_response(200)
        await hear_each_other(call, incoming)
        await call.bye()
        assert (await app.expect("/after"))["DialCallStatus"] == "completed"

    @pytest.mark.parametrize("refusal", ["<Hangup/>", "<Reject/>", "<Dial>+14155550100</Dial>"])
    async def test_who_refuses_is_hung_up_and_it_is_no_answer(
        self, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer, refusal: str
    ) -> None:
        document(app, bob)
        app.reply("/screen", f"<Response>{refusal}</Response>")
        call = await ann.invite(node.uri("100"))
        incoming = await picks_up(bob)
        await incoming.expect("BYE")
        assert (await app.expect("/after"))["DialCallStatus"] == "no-answer"
        await call.expect_response(480)
        if "Dial" in refusal:
            await node.expect_log("twiml", number=13201)

    async def test_a_caller_who_gives_up_ends_it(
        self, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
    ) -> None:
        document(app, bob)
        app.reply("/screen", '<Response><Pause length="20"/></Response>')
        call = await ann.invite(node.uri("100"))
        incoming = await picks_up(bob)
        await app.expect("/screen")
        await call.cancel()
        await incoming.expect("BYE")
        await app.expect("/after")

    async def test_the_ring_timer_ends_with_the_pick_up(
        self, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
    ) -> None:
        document(app, bob, dial='timeout="5"')
        app.reply("/screen", '<Response><Pause length="6"/></Response>')
        call = await ann.invite(node.uri("100"))
        incoming = await picks_up(bob)
        await call.expect_response(200)
        await call.bye()
        await incoming.expect("BYE")
        await app.expect("/after")

    async def test_a_question_has_a_limit_of_its_own(
        self, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
    ) -> None:
        document(app, bob)
        app.reply("/screen", '<Response><Pause length="60"/></Response>')
        call = await ann.invite(node.uri("100"))
        incoming = await picks_up(bob)
        await incoming.expect("BYE")
        assert (await app.expect("/after"))["DialCallStatus"] == "no-answer"
        await call.expect_response(480)

    async def test_the_first_to_pick_up_has_won(
        self, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer, carol: Peer
    ) -> None:
        document(app, bob, carol)
        app.reply("/screen", "<Response><Hangup/></Response>")
        call = await ann.invite(node.uri("100"))
        rings = await carol.expect_invite()
        await rings.ring()
        incoming = await picks_up(bob)
        cancel = await rings.expect("CANCEL")
        assert "Call completed elsewhere" in (cancel.get("reason") or "")
        await incoming.expect("BYE")
        assert (await app.expect("/after"))["DialCallStatus"] == "no-answer"
        await call.expect_response(480)

    async def test_or_the_first_to_accept_of_all_that_pick_up(
        self, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer, carol: Peer
    ) -> None:
        document(app, bob, carol, dial='firstTo="accept"')
        app.reply(
            "/screen",
            '<Response><Gather action="/pressed" numDigits="1" timeout="10"/><Hangup/></Response>',
        )
        app.reply("/pressed", "<Response/>")
        call = await ann.invite(node.uri("100"))
        first, second = await picks_up(bob), await picks_up(carol)
        await app.expect("/screen")
        await app.expect("/screen")
        await second.media.expect_heard(0.2)
        await second.media.send_digit("1")
        await call.expect_response(200)
        await first.expect("BYE")
        await hear_each_other(call, second)
        await call.bye()
        await second.expect("BYE")
        await app.expect("/after")


async def test_keys_are_sent_before_the_question_and_the_bridge(
    node: NodeProcess, app: WebApp, ann: Peer, pbx: Peer
) -> None:
    app.reply(
        "/voice",
        '<Response><Dial answerOnBridge="true"><Number sendDigits="1w2#" url="/screen">+14155550100</Number>'
        "</Dial></Response>",
    )
    app.reply("/screen", "<Response/>")
    call = await ann.invite(node.uri("100"))
    incoming = await picks_up(pbx)
    for digit in "12#":
        assert not app.of("/screen")
        await incoming.media.expect_digit(digit)
    await call.expect_response(200)
    assert app.of("/screen")
    await call.bye()
    await incoming.expect("BYE")


async def test_an_extension_is_dialled_on_the_answer(
    node: NodeProcess, app: WebApp, ann: Peer, pbx: Peer
) -> None:
    number = "<Number>(415) 555-0100 ext. 12</Number>"
    app.reply("/voice", f'<Response><Dial answerOnBridge="true">{number}</Dial></Response>')
    call = await ann.invite(node.uri("100"))
    incoming = await picks_up(pbx)
    assert incoming.to_user == "+14155550100"
    for digit in "12":
        await incoming.media.expect_digit(digit)
    await call.expect_response(200)
    await call.bye()
    await incoming.expect("BYE")


class TestStatusCallbacks:
    async def test_every_stage_is_told_in_order_of_child_and_parent(
        self, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
    ) -> None:
        document(app, bob, noun=f'statusCallback="/child" statusCallbackEvent="{STAGES}"')
        call = await ann.invite(node.uri("100"))
        incoming = await picks_up(bob, ring=True)
        await call.expect_response(200)
        await hear_each_other(call, incoming)
        await call.bye()
        told = [await app.expect("/child") for _ in range(4)]
        assert [each["CallStatus"] for each in told] == ["initiated", "ringing", "in-progress", "completed"]
        assert [each["SequenceNumber"] for each in told] == ["0", "1", "2", "3"]
        parent = app.of("/voice")[0]["CallSid"]
        assert {each["ParentCallSid"] for each in told} == {parent}
        assert {each["CallbackSource"] for each in told} == {"call-progress-events"}
        assert told[-1]["CallDuration"] == "1" or told[-1]["CallDuration"] == "0"
        assert all(each["Timestamp"].endswith("+0000") for each in told)
        while (over := await app.expect("/status"))["CallSid"] != parent:
            pass  # of the test before
        assert over["CallStatus"] == "completed"

    async def test_those_who_lose_are_told_as_well(
        self, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer, carol: Peer
    ) -> None:
        document(app, bob, carol, noun='statusCallback="/child"')
        call = await ann.invite(node.uri("100"))
        rings = await carol.expect_invite()
        await rings.ring()
        await picks_up(bob)
        await call.expect_response(200)
        await call.bye()
        told = [await app.expect("/child") for _ in range(2)]
        assert sorted(each["CallStatus"] for each in told) == ["canceled", "completed"]

    async def test_one_that_is_never_answered_delays_no_other_call(
        self, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
    ) -> None:
        gate = app.hold("/slow")
        document(app, bob, noun=f'statusCallback="/slow" statusCallbackEvent="{STAGES}"')
        call = await ann.invite(node.uri("100"))
        await picks_up(bob, ring=True)
        await call.expect_response(200)
        await call.bye()
        document(app, bob, noun=f'statusCallback="/child" statusCallbackEvent="{STAGES}"')
        call = await ann.invite(node.uri("100"))
        await picks_up(bob, ring=True)
        await call.expect_response(200)
        await call.bye()
        told: list[Request] = [await app.expect("/child") for _ in range(4)]
        assert told[-1]["CallStatus"] == "completed"
        assert len(app.of("/slow")) == 1
        gate.set()


class TestMovedCallees:
    async def test_the_call_follows_to_where_the_callee_is_now(
        self, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
    ) -> None:
        document(app, bob, noun='statusCallback="/child" statusCallbackEvent="initiated answered completed"')
        call = await ann.invite(node.uri("100"))
        first = await bob.expect_invite()
        contacts = f"<sip:+19005550100@203.0.113.9>, <{bob.uri('desk')}>;q=0.5"
        await first.reject(302, headers=[("Contact", contacts)])
        second = await picks_up(bob)
        assert second.to_user == "desk"
        assert second.invite["X-Twilio-CallSid"] == first.invite["X-Twilio-CallSid"]
        await call.expect_response(200)
        await hear_each_other(call, second)
        await second.bye()
        assert (await app.expect("/after"))["DialCallStatus"] == "completed"
        told = [await app.expect("/child") for _ in range(3)]
        assert [each["CallStatus"] for each in told] == ["initiated", "in-progress", "completed"]

    async def test_callees_who_send_it_in_circles_have_failed(
        self, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
    ) -> None:
        document(app, bob, noun="")
        call = await ann.invite(node.uri("100"))
        for n in range(6):
            incoming = await bob.expect_invite()
            await incoming.reject(302, headers=[("Contact", f"<{bob.uri(f'round{n}')}>")])
        assert (await app.expect("/after"))["DialCallStatus"] == "failed"
        await call.expect_response(range(400, 600))
