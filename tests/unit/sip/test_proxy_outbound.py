"""Requests of workers: next hops, what the outside sees, and what waits for a name."""

import pytest

from b2bua.core.errors import PeerError
from b2bua.sip.flow import Flow, Send
from b2bua.sip.message import Response, parse_message
from b2bua.sip.outbound import Target
from b2bua.sip.values import parse_via
from tests.unit.sip.edge_scene import (
    CALLEE,
    INNER,
    INSIDE,
    PUBLIC,
    W1,
    Scene,
    answer,
    finds,
    invite,
    only,
    worker_invite,
)

pytestmark = pytest.mark.unit

NAME = "sip:bob@carrier.example"


@pytest.fixture
def scene() -> Scene:
    return Scene()


class TestInvite:
    def test_goes_to_the_address_in_its_request_uri(self, scene: Scene) -> None:
        request, to = scene.request(worker_invite(), W1)
        assert to == CALLEE
        assert request.uri == "sip:bob@192.0.2.99:5070"
        assert request.get("route") is None

    def test_goes_to_the_next_route_and_keeps_it(self, scene: Scene) -> None:
        route = f"{INSIDE}, <sip:192.0.2.50;lr>"
        request, to = scene.request(worker_invite(Route=route), W1)
        assert (to.host, to.port) == ("192.0.2.50", 5060)
        assert request.all("route") == ["<sip:192.0.2.50;lr>"]

    def test_shows_our_public_address_only(self, scene: Scene) -> None:
        request, _ = scene.request(worker_invite(), W1)
        assert request.top_via.host == PUBLIC
        assert request.all("record-route") == [f"<sip:{PUBLIC}:5060;transport=udp;lr>"]
        assert request.get("contact") == f"<sip:w1@{PUBLIC}:5060;ob>"

    def test_names_the_transport_it_leaves_by(self, scene: Scene) -> None:
        data = worker_invite("sip:bob@192.0.2.99:5070;transport=tcp")
        request, to = scene.request(data, W1)
        assert (to.transport, to.listener) == ("tcp", 1)
        assert request.top_via.transport == "TCP"
        assert request.all("record-route") == [f"<sip:{PUBLIC}:5060;transport=tcp;lr>"]
        assert request.get("contact") == f"<sip:w1@{PUBLIC}:5060;transport=tcp;ob>"

    def test_that_finds_no_connection_becomes_a_503_to_the_worker(self, scene: Scene) -> None:
        (sent,) = scene.give(worker_invite("sip:bob@192.0.2.99;transport=tcp"), W1)
        assert isinstance(sent, Send) and sent.otherwise is not None
        assert sent.otherwise.to == W1
        assert b"SIP/2.0 503 Next Hop Not Reachable\r\n" in sent.otherwise.data
        refused = parse_message(sent.otherwise.data)
        ack = worker_invite(method="ACK", To=refused.get("to"))
        assert scene.give(ack, W1) == []

    def test_that_no_datagram_can_carry_becomes_a_503_to_the_worker(self, scene: Scene) -> None:
        sent, _ = scene.request(worker_invite(), W1)
        response, to = only(scene.proxy.not_sent(sent.to_bytes()))
        assert isinstance(response, Response)
        assert (response.status, response.reason, to) == (503, "Next Hop Not Reachable", W1)
        assert [parse_via(value).branch for value in response.all("via")] == ["z9hG4bKworker1"]

    def test_an_ack_or_a_response_that_no_datagram_can_carry_is_forgotten(self, scene: Scene) -> None:
        ack = worker_invite(method="ACK", To="<sip:bob@192.0.2.99>;tag=x")
        sent, _ = scene.request(ack, W1)
        assert scene.proxy.not_sent(sent.to_bytes()) == []
        incoming, to = scene.request(invite())
        back, _ = scene.response(answer(incoming, 180, contact="<sip:w1@127.0.0.1:10001>"), to)
        assert scene.proxy.not_sent(back.to_bytes()) == []

    def test_has_no_more_hops_left_than_the_call_it_is_made_for(self, scene: Scene) -> None:
        scene.request(invite(Max_Forwards="5"))
        assert scene.request(worker_invite(Max_Forwards="70"), W1)[0].get("max-forwards") == "3"
        assert scene.request(worker_invite(Max_Forwards="2"), W1)[0].get("max-forwards") == "1"
        assert scene.request(worker_invite(Max_Forwards=None), W1)[0].get("max-forwards") == "3"
        again = worker_invite(method="UPDATE", Max_Forwards="70", To="<sip:bob@192.0.2.99>;tag=x")
        assert scene.request(again, W1)[0].get("max-forwards") == "69"

    def test_of_a_call_that_has_no_hops_left_is_483(self, scene: Scene) -> None:
        scene.request(invite(Max_Forwards="1"))
        response, to = scene.response(worker_invite(Max_Forwards="70"), W1)
        assert (response.status, to) == (483, W1)

    def test_of_a_worker_with_another_session_has_its_own_hops(self, scene: Scene) -> None:
        scene.request(invite(Max_Forwards="1"))
        scene.grant("w1", 10001)
        assert scene.request(worker_invite(Max_Forwards="70"), W1)[0].get("max-forwards") == "69"

    def test_to_our_own_address_comes_back_by_our_own_socket(self, scene: Scene) -> None:
        assert scene.request(worker_invite(f"sip:100@{PUBLIC}"), W1)[1] == Flow(
            "outer", "udp", "127.0.0.1", 5060
        )

    def test_to_another_port_of_our_address_does_not(self, scene: Scene) -> None:
        assert scene.request(worker_invite(f"sip:100@{PUBLIC}:5080"), W1)[1].host == PUBLIC

    def test_by_a_number_alone_has_no_next_hop(self, scene: Scene) -> None:
        assert scene.status(worker_invite("tel:+1555"), W1) == 416

    def test_by_tls_without_a_listening_point_for_it_is_503(self, scene: Scene) -> None:
        assert scene.status(worker_invite("sip:bob@192.0.2.99;transport=tls"), W1) == 503

    def test_by_an_address_family_without_a_listening_point_is_503(self, scene: Scene) -> None:
        assert scene.status(worker_invite("sip:bob@[2001:db8::1]"), W1) == 503

    def test_from_a_port_that_is_no_workers_is_refused(self, scene: Scene) -> None:
        nobody = Flow("inner", "udp", "127.0.0.1", 9)
        assert scene.status(worker_invite(), nobody) == 403

    def test_over_tcp_is_known_by_its_via(self, scene: Scene) -> None:
        data = worker_invite(Via="SIP/2.0/TCP 127.0.0.1:10001;rport;branch=z9hG4bKw")
        request, _ = scene.request(data, Flow("inner", "tcp", "127.0.0.1", 45000))
        assert "w1@" in (request.get("contact") or "")

    def test_over_tcp_is_known_by_its_contact_and_then_by_its_connection(self, scene: Scene) -> None:
        connection = Flow("inner", "tcp", "127.0.0.1", 45000)
        via = "SIP/2.0/TCP 127.0.0.1:45999;rport;branch=z9hG4bKw"
        cancel = worker_invite(method="CANCEL", Via=via, Contact=None)
        assert scene.status(cancel, connection) == 403
        request, _ = scene.request(worker_invite(Via=via), connection)
        assert scene.request(cancel, connection)[0].top_via.branch == request.top_via.branch


class TestNames:
    def test_are_asked_for_once_and_the_request_sent_when_found(self, scene: Scene) -> None:
        (find,) = finds(scene.give(worker_invite(NAME), W1))
        assert str(find.uri) == NAME
        assert scene.give(worker_invite(NAME), W1) == []
        request, to = only(scene.proxy.found(find.branch, (Target("udp", "192.0.2.99", 5070),), scene.now))
        assert to == CALLEE
        assert request.top_via.branch == find.branch

    def test_a_cancel_that_overtakes_the_name_follows_its_invite(self, scene: Scene) -> None:
        (find,) = finds(scene.give(worker_invite(NAME), W1))
        assert scene.give(worker_invite(NAME, method="CANCEL"), W1) == []
        sent = scene.proxy.found(find.branch, (Target("udp", "192.0.2.99", 5070),), scene.now)
        assert [parse_message(out.data).cseq_method for out in sent if isinstance(out, Send)] == [
            "INVITE",
            "CANCEL",
        ]

    def test_the_whole_transaction_goes_where_its_invite_went(self, scene: Scene) -> None:
        (find,) = finds(scene.give(worker_invite(NAME), W1))
        scene.proxy.found(find.branch, (Target("udp", "192.0.2.99", 5070),), scene.now)
        for method in ("INVITE", "CANCEL", "ACK"):
            assert scene.request(worker_invite(NAME, method=method), W1)[1] == CALLEE
        other = worker_invite(NAME, Via="SIP/2.0/UDP 127.0.0.1:10001;rport;branch=z9hG4bKworker2")
        assert finds(scene.give(other, W1))

    def test_that_do_not_exist_become_a_503_with_the_reason(self, scene: Scene) -> None:
        (find,) = finds(scene.give(worker_invite(NAME), W1))
        response, to = only(scene.proxy.not_found(find.branch, "Next Hop Has No Address"))
        assert b"503 Next Hop Has No Address" in response.start_line()
        assert to == W1

    def test_an_ack_that_cannot_be_sent_is_not_answered(self, scene: Scene) -> None:
        (find,) = finds(scene.give(worker_invite(NAME, method="ACK"), W1))
        assert scene.proxy.not_found(find.branch, "x") == []

    def test_targets_are_tried_in_order_until_one_that_cannot_fail(self, scene: Scene) -> None:
        (find,) = finds(scene.give(worker_invite(NAME), W1))
        targets = (
            Target("tcp", "192.0.2.1", 1),
            Target("tcp", "192.0.2.2", 2),
            Target("udp", "192.0.2.3", 3),
            Target("udp", "192.0.2.4", 4),
        )
        (sent,) = scene.proxy.found(find.branch, targets, scene.now)
        tried = []
        while isinstance(sent, Send):
            tried.append((sent.to.transport, sent.to.host, parse_message(sent.data).top_via.transport))
            sent = sent.otherwise  # type: ignore[assignment]
        assert tried == [
            ("tcp", "192.0.2.1", "TCP"),
            ("tcp", "192.0.2.2", "TCP"),
            ("udp", "192.0.2.3", "UDP"),
        ]


class TestWhoIsAWorker:
    """Any local process can send to our inner side, with any Via and Contact."""

    @pytest.mark.parametrize(
        "route", [None, f"<sip:127.0.0.1:{INNER};lr>", INSIDE.replace("5ec7e7", "5ec7e8"), "<sip:h;lr>"]
    )
    @pytest.mark.parametrize("method", ["INVITE", "BYE", "REFER"])
    @pytest.mark.parametrize("flow", [W1, Flow("inner", "tcp", "127.0.0.1", 45999)])
    def test_who_does_not_know_the_secret_is_none(
        self, scene: Scene, route: str | None, method: str, flow: Flow
    ) -> None:
        assert scene.status(worker_invite(method=method, Route=route), flow) == 403

    def test_a_callee_gets_no_worker_to_send_there_first(self, scene: Scene) -> None:
        request, _ = scene.request(worker_invite(), W1)
        request.append("Record-Route", "<sip:127.0.0.1:6666;lr>, <sip:127.0.0.1:6667;lr>")
        response, _ = scene.response(answer(request, 200, contact="<sip:b@192.0.2.9>"), CALLEE)
        assert response.all("record-route") == [INSIDE]


class TestResponses:
    def test_go_to_the_worker_with_our_record_route_in_its_form(self, scene: Scene) -> None:
        request, _ = scene.request(worker_invite(), W1)
        reply = answer(request, 180, contact="<sip:bob@192.0.2.99:5070>")
        response, to = scene.response(reply, CALLEE)
        assert to == W1
        assert len(response.all("via")) == 1
        assert response.all("record-route") == [INSIDE]
        assert response.get("contact") == "<sip:bob@192.0.2.99:5070>"

    def test_keep_the_record_routes_of_others(self, scene: Scene) -> None:
        request, _ = scene.request(worker_invite(), W1)
        request.prepend("Record-Route", "<sip:proxy.example;lr>")
        response, _ = scene.response(answer(request, 200, contact="<sip:b@192.0.2.9>"), CALLEE)
        assert response.all("record-route") == ["<sip:proxy.example;lr>", INSIDE]

    @pytest.mark.parametrize("old", ["z9hG4bKb2", "branch=z9hG4bKworker1", "leg-1"])
    def test_to_what_was_never_sent_are_dropped(self, scene: Scene, old: str) -> None:
        request, _ = scene.request(worker_invite(), W1)
        forged = answer(request, 200, contact="<sip:b@192.0.2.9>").replace(old.encode(), old.encode() + b"0")
        with pytest.raises(PeerError):
            scene.give(forged, CALLEE)

    def test_never_reach_a_loopback_port_that_is_no_workers(self, scene: Scene) -> None:
        request, _ = scene.request(worker_invite(), W1)
        forged = answer(request, 200, contact="<sip:b@192.0.2.9>").replace(b"rport=10001", b"rport=22")
        with pytest.raises(PeerError):
            scene.give(forged, CALLEE)

    def test_to_a_request_over_tcp_go_to_its_connection(self, scene: Scene) -> None:
        data = worker_invite(Via="SIP/2.0/TCP 127.0.0.1:10001;rport;branch=z9hG4bKw")
        connection = Flow("inner", "tcp", "127.0.0.1", 45000)
        request, _ = scene.request(data, connection)
        reply = answer(request, 200, contact="<sip:b@192.0.2.9>").replace(b"Content-Length: 0\r\n", b"")
        response, to = scene.response(reply, CALLEE)
        assert to == connection
        assert response.get("content-length") == "0"
