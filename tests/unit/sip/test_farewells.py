"""What the edge says to the parties of a worker that is gone."""

import pytest

from b2bua.core.ids import WorkerId
from b2bua.sip.edge_control import WorkerGone
from b2bua.sip.flow import Flow, Output, Send
from b2bua.sip.message import Request, Response, make_response, parse_message
from tests.unit.sip.edge_scene import (
    CALLEE,
    CALLER,
    PUBLIC,
    W1,
    Scene,
    answer,
    invite,
    worker_invite,
)

pytestmark = pytest.mark.unit

AT_W1 = "<sip:w1@127.0.0.1:10001>"
AT_BOB = "<sip:bob@192.0.2.99:5071;x=1>"


@pytest.fixture
def scene() -> Scene:
    return Scene()


def gone(scene: Scene) -> list[tuple[Request | Response, Flow]]:
    return said(scene.proxy.obey(WorkerGone(worker=WorkerId("w1")), scene.now))


def later(scene: Scene, seconds: float) -> list[tuple[Request | Response, Flow]]:
    scene.now += seconds
    return said(scene.proxy.tick(scene.now))


def said(outputs: list[Output]) -> list[tuple[Request | Response, Flow]]:
    return [(parse_message(each.data), each.to) for each in outputs if isinstance(each, Send)]


def only(found: list[tuple[Request | Response, Flow]]) -> Request:
    ((message, to),) = found
    assert isinstance(message, Request), message.to_bytes().decode()
    assert to.host in ("192.0.2.1", "192.0.2.99")
    return message


def reply(
    scene: Scene, request: Request, status: int, came_from: Flow
) -> list[tuple[Request | Response, Flow]]:
    response = make_response(request, status, to_tag="tb", headers=(("Contact", AT_BOB),))
    return said(scene.give(response.to_bytes(), came_from))


def answered(scene: Scene, status: int = 200) -> None:
    """A call to w1 that w1 has answered, or rung."""
    request, _ = scene.request(invite(Record_Route="<sip:192.0.2.8;lr>"))
    scene.give(answer(request, status, contact=AT_W1), W1)


def called(scene: Scene, *statuses: int) -> Request:
    """A call of w1's, with these responses of the callee."""
    request, to = scene.request(worker_invite(), W1)
    assert to == CALLEE
    for status in statuses:
        reply(scene, request, status, CALLEE)
    return request


class TestCaller:
    def test_that_was_answered_gets_bye_in_its_dialog(self, scene: Scene) -> None:
        answered(scene)
        ((bye, to),) = gone(scene)
        assert isinstance(bye, Request) and bye.method == "BYE"
        assert to.host == "192.0.2.8", "its proxy is in the route set"
        assert bye.uri == "sip:ann@192.0.2.1:5060"
        assert (bye.get("from"), bye.get("to")) == (
            "<sip:100@sip.example.com>;tag=tt",
            '"Ann" <sip:ann@192.0.2.1>;tag=fa',
        )
        assert (bye.call_id, bye.get("cseq")) == ("call-1", "1 BYE")
        assert bye.all("route") == ["<sip:192.0.2.8;lr>"]

    def test_that_has_heard_a_phone_ring_gets_480_until_it_acknowledges(self, scene: Scene) -> None:
        answered(scene, 180)
        ((refusal, to),) = gone(scene)
        assert isinstance(refusal, Response) and (refusal.status, to) == (480, CALLER)
        assert refusal.all("via") == [
            "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKcaller1;rport=5060;received=192.0.2.1"
        ]
        assert [message.to_bytes() for message, _ in later(scene, 1.0)] == [refusal.to_bytes()]
        assert scene.status(invite()) == 480
        scene.give(invite(method="ACK", To=refusal.get("to")))
        assert later(scene, 1.0) == later(scene, 2.0) == []

    def test_that_has_refreshed_its_contact_is_found_there(self, scene: Scene) -> None:
        answered(scene)
        again = invite(
            f"sip:w1@{PUBLIC}:5060",
            To="<sip:100@sip.example.com>;tag=tt",
            CSeq="2 INVITE",
            Via="SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bKsecond",
            Contact="<sip:ann@192.0.2.1:5099>",
        )
        scene.request(again)
        assert only_uri(gone(scene)) == "sip:ann@192.0.2.1:5099"

    def test_that_has_hung_up_hears_nothing(self, scene: Scene) -> None:
        answered(scene)
        bye = invite(
            f"sip:w1@{PUBLIC}:5060",
            method="BYE",
            To="<sip:100@sip.example.com>;tag=tt",
            CSeq="2 BYE",
            Via="SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bKsecond",
        )
        request, _ = scene.request(bye)
        scene.give(make_response(request, 200).to_bytes(), W1)
        assert gone(scene) == []

    def test_that_was_refused_hears_nothing(self, scene: Scene) -> None:
        answered(scene, 486)
        assert gone(scene) == []


def only_uri(found: list[tuple[Request | Response, Flow]]) -> str:
    ((message, _),) = found
    assert isinstance(message, Request)
    return message.uri


class TestCallee:
    def test_that_rings_gets_cancel_and_its_487_an_ack(self, scene: Scene) -> None:
        request = called(scene, 180)
        cancel = only(gone(scene))
        assert (cancel.method, cancel.uri, cancel.get("cseq")) == ("CANCEL", request.uri, "1 CANCEL")
        assert cancel.top_via.branch == request.top_via.branch
        assert only(later(scene, 1.0)).to_bytes() == cancel.to_bytes()
        assert reply(scene, cancel, 200, CALLEE) == []
        ack = only(reply(scene, request, 487, CALLEE))
        assert (ack.method, ack.top_via.branch, ack.to_tag) == ("ACK", request.top_via.branch, "tb")
        assert later(scene, 40.0) == []

    def test_that_has_not_said_anything_is_canceled_when_it_does(self, scene: Scene) -> None:
        request = called(scene)
        assert gone(scene) == [] == later(scene, 60.0)
        assert only(reply(scene, request, 180, CALLEE)).method == "CANCEL"

    def test_that_answers_while_it_is_canceled_gets_ack_and_bye(self, scene: Scene) -> None:
        request = called(scene, 180)
        gone(scene)
        ack, bye = (message for message, _ in reply(scene, request, 200, CALLEE))
        assert isinstance(ack, Request) and isinstance(bye, Request)
        assert [ack.get("cseq"), bye.get("cseq")] == ["1 ACK", "2 BYE"]
        assert ack.uri == bye.uri == "sip:bob@192.0.2.99:5071;x=1"
        again = reply(scene, request, 200, CALLEE)
        assert [message.get("cseq") for message, _ in again] == ["1 ACK"], "a repeated 2xx needs its ACK"

    def test_that_was_acknowledged_gets_bye_until_it_answers(self, scene: Scene) -> None:
        called(scene, 200)
        ack = worker_invite("sip:bob@192.0.2.99:5071;x=1", method="ACK", To="<sip:bob@192.0.2.99>;tag=tb")
        scene.give(ack, W1)
        bye = only(gone(scene))
        assert (bye.method, bye.get("from"), bye.get("to")) == (
            "BYE",
            "<sip:+1555@sip.example.com>;tag=fw",
            "<sip:bob@192.0.2.99>;tag=tb",
        )
        assert only(later(scene, 1.0)).to_bytes() == bye.to_bytes()
        assert reply(scene, bye, 200, CALLEE) == []
        assert later(scene, 1.0) == later(scene, 5.0) == []

    def test_that_was_not_acknowledged_gets_ack_and_bye(self, scene: Scene) -> None:
        called(scene, 200)
        assert [message.get("cseq") for message, _ in gone(scene)] == ["1 ACK", "2 BYE"]

    def test_that_was_put_on_hold_gets_a_bye_with_a_higher_cseq(self, scene: Scene) -> None:
        called(scene, 200)
        held = worker_invite(
            "sip:bob@192.0.2.99:5071;x=1",
            To="<sip:bob@192.0.2.99>;tag=tb",
            CSeq="7 INVITE",
            Via="SIP/2.0/UDP 127.0.0.1:10001;rport;branch=z9hG4bKworker2",
        )
        scene.give(held, W1)
        assert [message.get("cseq") for message, _ in gone(scene)][-1] == "8 BYE"

    def test_that_never_answers_the_bye_is_given_up(self, scene: Scene) -> None:
        called(scene, 200)
        gone(scene)
        assert len([1 for _ in range(60) if later(scene, 1.0)]) == 9


def test_a_session_that_is_over_leaves_nothing_to_say(scene: Scene) -> None:
    answered(scene)
    called(scene, 200)
    scene.grant("w1", 10001)
    assert gone(scene) == []


def test_the_sender_of_a_bye_answer_is_not_asked_again(scene: Scene) -> None:
    """It is heard even if the worker's port has been taken by another one."""
    called(scene, 200)
    *_, (bye, _) = gone(scene)
    scene.grant("w9", 10001)
    assert isinstance(bye, Request)
    assert reply(scene, bye, 481, CALLEE) == []
    assert later(scene, 1.0) == []
