"""Calls from outside: forwarded to a worker, followed, or refused."""

from typing import Any

import pytest

from b2bua.core.admission import Origin
from b2bua.core.ids import WorkerId
from b2bua.sip.amplification import LARGER_PER_S
from b2bua.sip.edge_control import (
    CallRefused,
    GrantLease,
    SetDraining,
    TrunkSpec,
    WorkerGone,
    WorkerKnown,
    WorkerTaken,
)
from b2bua.sip.flow import Flow, Send
from b2bua.sip.inbound import HOLD_S, MAX_HELD
from b2bua.sip.message import Response, parse_message
from tests.unit.sip.edge_scene import (
    CALLER,
    CALLER_TCP,
    INNER,
    INSIDE,
    PUBLIC,
    SDP,
    STRANGER,
    W1,
    W2,
    Scene,
    answer,
    config,
    invite,
    leases,
    only,
    origin,
    text,
)

pytestmark = pytest.mark.unit


@pytest.fixture
def scene() -> Scene:
    return Scene()


class TestForwardedInvite:
    def test_goes_to_the_worker_that_is_idle_longest_and_takes_its_lease(self, scene: Scene) -> None:
        outputs = scene.give(invite())
        assert only(outputs)[1] == W1
        assert leases(outputs) == ["w1"]
        assert leases(scene.give(invite(Call_ID="call-2"))) == ["w2"]

    def test_has_our_via_above_the_callers_with_received_and_rport(self, scene: Scene) -> None:
        request, _ = scene.request(invite(), Flow("outer", "udp", "192.0.2.8", 1234))
        ours, callers = request.all("via")
        assert ours.startswith(f"SIP/2.0/UDP 127.0.0.1:{INNER};branch=z9hG4bK")
        assert "received=192.0.2.8" in callers and "rport=1234" in callers

    def test_has_a_record_route_that_the_worker_can_reach(self, scene: Scene) -> None:
        request, _ = scene.request(invite(Record_Route="<sip:192.0.2.1;lr>"))
        assert request.all("record-route") == [INSIDE, "<sip:192.0.2.1;lr>"]

    def test_has_one_hop_less(self, scene: Scene) -> None:
        assert scene.request(invite())[0].get("max-forwards") == "68"

    def test_gets_seventy_hops_where_none_are_said(self, scene: Scene) -> None:
        assert scene.request(invite(Max_Forwards=None))[0].get("max-forwards") == "70"

    def test_says_its_source_and_nobody_else_can(self, scene: Scene) -> None:
        outputs = scene.give(invite(X_B2bua_Source="udp:1.1.1.1:1", X_B2bua_Trunk="x", x_b2bua_y="1"))
        assert origin(outputs) == Origin(source="udp:192.0.2.1:5060")
        request, _ = only(outputs)
        assert request.all("x-b2bua-source") == []
        assert request.get("x-b2bua-trunk") is None
        assert request.get("x-b2bua-y") is None

    def test_names_the_trunk_of_its_source(self, scene: Scene) -> None:
        assert origin(scene.give(invite(), Flow("outer", "udp", "198.51.100.77", 5060))).trunk == "carrier"

    def test_loses_the_route_to_us_and_keeps_its_body(self, scene: Scene) -> None:
        request, _ = scene.request(invite(Route=f"<sip:{PUBLIC};lr>"))
        assert request.get("route") is None
        assert request.body.decode() == SDP

    def test_keeps_its_request_uri(self, scene: Scene) -> None:
        assert (
            scene.request(invite("sip:+1555;x=1@sip.example.com"))[0].uri == "sip:+1555;x=1@sip.example.com"
        )

    def test_from_our_own_public_socket_is_allowed(self, scene: Scene) -> None:
        scene = Scene(allow=("192.0.2.0/24",))
        assert scene.request(invite(), Flow("outer", "udp", "127.0.0.1", 5060))[1] == W1
        assert scene.status(invite(Call_ID="2"), Flow("outer", "udp", "127.0.0.1", 5061)) == 401


class TestFollowers:
    @pytest.mark.parametrize("status", [200, 486])
    def test_one_that_comes_after_the_final_response_goes_nowhere(self, scene: Scene, status: int) -> None:
        request, worker = scene.request(invite())
        scene.give(answer(request, 180, contact="<sip:w1@127.0.0.1:10001>"), worker)
        assert scene.request(invite())[1] == worker
        scene.give(answer(request, status, contact="<sip:w1@127.0.0.1:10001>"), worker)
        assert scene.give(invite()) == []

    def test_a_retransmission_goes_to_the_same_worker_with_the_same_branch(self, scene: Scene) -> None:
        first, _ = scene.request(invite())
        outputs = scene.give(invite())
        again, to = only(outputs)
        assert to == W1
        assert leases(outputs) == []
        assert again.to_bytes() == first.to_bytes()

    def test_a_cancel_gets_the_branch_of_its_invite(self, scene: Scene) -> None:
        first, _ = scene.request(invite())
        scene.request(invite(Call_ID="call-2"))
        cancel, to = scene.request(invite(method="CANCEL"))
        assert to == W1
        assert cancel.top_via.branch == first.top_via.branch

    def test_the_ack_of_a_failure_goes_to_the_worker(self, scene: Scene) -> None:
        first, _ = scene.request(invite())
        ack, to = scene.request(invite(method="ACK", To="<sip:100@sip.example.com>;tag=of-worker"))
        assert (to, ack.top_via.branch) == (W1, first.top_via.branch)

    def test_a_cancel_is_found_after_minutes_of_ringing_and_not_long_after_the_end(
        self, scene: Scene
    ) -> None:
        request, _ = scene.request(invite())
        scene.now += 600
        assert scene.request(invite(method="CANCEL"))[1] == W1
        scene.give(answer(request, 487, contact="<sip:w1@127.0.0.1:10001>"), W1)
        scene.now += 100
        assert scene.status(invite(method="CANCEL")) == 481

    def test_a_cancel_of_nothing_is_481(self, scene: Scene) -> None:
        assert scene.status(invite(method="CANCEL")) == 481

    def test_a_call_whose_worker_died_is_refused(self, scene: Scene) -> None:
        scene.request(invite())
        scene.proxy.obey(WorkerGone(worker=WorkerId("w1")), scene.now)
        assert scene.status(invite()) == 503
        assert scene.status(invite(method="CANCEL")) == 481

    def test_the_same_request_by_another_way_is_482(self, scene: Scene) -> None:
        scene.request(invite())
        merged = invite(Via="SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bKother")
        assert scene.status(merged) == 482

    def test_a_refused_request_may_come_again_by_another_way(self, scene: Scene) -> None:
        scene.proxy.obey(SetDraining(draining=True), 0.0)
        assert scene.status(invite()) == 503
        scene.proxy.obey(SetDraining(draining=False), 0.0)
        assert scene.request(invite(Via="SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bKother"))[1] == W1

    def test_a_new_attempt_with_the_same_call_id_is_a_new_call(self, scene: Scene) -> None:
        scene.request(invite())
        again = invite(CSeq="2 INVITE", Via="SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bKother")
        assert leases(scene.give(again)) == ["w2"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "status", "reason"),
        [
            ({"Contact": None}, 400, "Not One Contact"),
            ({"Contact": "<nonsense"}, 400, "Bad Contact"),
            ({"From": "<sip:ann@192.0.2.1>"}, 400, "From Without Tag"),
            ({"To": "<<>>"}, 400, "Bad To"),
            ({"Via": "SIP/2.0/UDP 192.0.2.1;rport"}, 400, "Via Without Branch"),
            ({"Max_Forwards": "many"}, 400, "Bad Max-Forwards"),
            ({"Max_Forwards": "256"}, 400, "Bad Max-Forwards"),
            ({"Max_Forwards": "0"}, 483, "Too Many Hops"),
            ({"Content_Length": "9999"}, 400, "Body shorter than its Content-Length"),
            ({"CSeq": "1 BYE"}, 400, "CSeq is of another method"),
        ],
    )
    def test_of_what_is_malformed(
        self, scene: Scene, changes: dict[str, str | None], status: int, reason: str
    ) -> None:
        response, to = scene.response(invite(**changes))
        assert (response.status, response.reason) == (status, reason)
        assert response.to_tag
        assert to == CALLER

    def test_a_body_without_type_is_400(self, scene: Scene) -> None:
        headers = {
            "Via": "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKb",
            "From": "<sip:a@b>;tag=1",
            "To": "<sip:c@d>",
            "Call-ID": "x",
            "CSeq": "1 INVITE",
            "Contact": "<sip:a@b>",
        }
        assert scene.status(text("INVITE", "sip:1@h", headers, SDP)) == 400

    @pytest.mark.parametrize("uri", ["http://example.com/", "sips:100@sip.example.com"])
    def test_another_scheme_is_416(self, scene: Scene, uri: str) -> None:
        assert scene.status(invite(uri)) == 416

    def test_an_extension_that_we_do_not_know_is_420_and_named(self, scene: Scene) -> None:
        response, _ = scene.response(invite(Require="foo, 100rel, bar"))
        assert (response.status, response.get("unsupported")) == (420, "foo, bar")

    @pytest.mark.parametrize(
        ("method", "changes", "status"),
        [
            ("OPTIONS", {"Require": "foo"}, 420),
            ("REGISTER", {"Require": "gruu"}, 420),
            ("REGISTER", {"Require": "path, outbound"}, 401),
            ("OPTIONS", {"Proxy_Require": "privacy"}, 200),
            ("OPTIONS", {"Max_Forwards": "0"}, 200),
            ("BYE", {"Max_Forwards": "0", "Proxy_Require": "sec-agree"}, 481),
        ],
    )
    def test_what_is_required_of_user_agents(
        self, scene: Scene, method: str, changes: dict[str, Any], status: int
    ) -> None:
        assert scene.status(invite(method=method, **changes)) == status

    @pytest.mark.parametrize(
        "changes", [{"Proxy_Require": "privacy"}, {"Require": "100rel, Timer"}, {"Require": "replaces"}]
    )
    def test_what_is_asked_of_proxies_and_what_we_can_do_stop_no_call(
        self, scene: Scene, changes: dict[str, Any]
    ) -> None:
        assert scene.request(invite(**changes))[1] == W1

    def test_a_request_of_a_dialog_needs_no_hops(self, scene: Scene) -> None:
        scene.give(invite())
        bye = invite("sip:w1@203.0.113.7", method="BYE", To="<sip:100@h>;tag=tt", Max_Forwards="0")
        assert scene.request(bye)[1] == W1

    def test_what_fits_no_datagram_any_more_is_513(self, scene: Scene) -> None:
        padding: dict[str, str | None] = {f"X_{n}": "x" * 8000 for n in range(8)}
        assert scene.status(invite(**padding)) == 513
        assert leases(scene.give(invite())) == ["w1"]

    def test_strangers_are_challenged_and_take_no_lease(self, scene: Scene) -> None:
        outputs = scene.give(invite(), STRANGER)
        response, to = only(outputs)
        assert response.status == 401  # type: ignore[union-attr]
        assert to == STRANGER
        assert leases(outputs) == []

    def test_the_ack_of_our_own_answer_ends_here(self, scene: Scene) -> None:
        response, _ = scene.response(invite(Max_Forwards="0"))
        assert scene.give(invite(method="ACK", To=response.get("to"))) == []

    def test_a_refused_invite_stays_refused_when_it_is_repeated(self, scene: Scene) -> None:
        scene.proxy.obey(SetDraining(draining=True), 0.0)
        assert scene.status(invite()) == 503
        scene.proxy.obey(SetDraining(draining=False), 0.0)
        assert scene.status(invite()) == 503
        assert scene.status(invite(method="CANCEL")) == 481
        assert scene.request(invite(Call_ID="2"))[1] == W1

    def test_max_calls_counts_until_the_worker_is_idle_again(self) -> None:
        scene = Scene(max_calls=1)
        scene.request(invite())
        assert scene.status(invite(Call_ID="2")) == 503
        scene.grant("w1", 10001)
        assert scene.request(invite(Call_ID="3"))[1] == W2

    def test_a_lease_that_is_taken_back_too_late_keeps_its_call(self) -> None:
        scene = Scene(max_calls=1)
        for worker, port in ((WorkerId("w2"), 10002), (WorkerId("w1"), 10001)):
            if worker == "w1":
                scene.request(invite())  # goes to it
            known = scene.proxy.obey(WorkerTaken(worker=worker, sip_port=port, leased=True), scene.now)
            assert known == [WorkerKnown(worker=worker)]
        assert scene.status(invite(Call_ID="2")) == 503  # it counts
        scene.grant("w2", 10002)
        scene.proxy.obey(WorkerTaken(worker=WorkerId("w1"), sip_port=10001), scene.now)
        assert scene.request(invite(Call_ID="3"))[1] == W2

    def test_beyond_the_rate_it_is_503_once_and_then_silence(self) -> None:
        scene = Scene(invite_rate_per_s=1.0)
        scene.request(invite())
        assert scene.status(invite(Call_ID="2")) == 503
        assert scene.give(invite(Call_ID="3")) == []
        scene.now += 1
        assert scene.request(invite(Call_ID="4"))[1] == W2

    def test_are_told_at_most_once_a_second(self, scene: Scene) -> None:
        for n in range(3):
            scene.give(invite(Call_ID=str(n)), STRANGER)
        refused = CallRefused(reason="challenged", source=STRANGER.source, count=3)
        assert scene.proxy.tick(scene.now) == [refused]
        scene.give(invite(), STRANGER)
        assert scene.proxy.tick(scene.now + 0.5) == []
        assert [report.count for report in scene.proxy.tick(scene.now + 1)] == [1]

    def test_a_stranger_gets_an_answer_of_bounded_size_so_many_times_a_second(self, scene: Scene) -> None:
        headers = {
            "v": "SIP/2.0/UDP h;rport;branch=z9hG4bKx",
            "f": "<sip:a@b>;tag=1",
            "t": "<sip:c@d>",
            "i": "x",
            "CSeq": "1 OPTIONS",
        }
        small = text("OPTIONS", "sip:h", headers)
        answers = [scene.give(small, STRANGER) for _ in range(30)]
        sent = [each for outputs in answers for each in outputs if isinstance(each, Send)]
        assert len(sent) == LARGER_PER_S
        assert all(len(small) < len(each.data) <= 3 * len(small) for each in sent)
        assert scene.status(small, CALLER) == 200
        scene.now += 1
        assert scene.status(small, STRANGER) == 200
        padded = text("OPTIONS", "sip:h", {**headers, "X-Pad": "x" * 300})
        assert scene.status(padded, STRANGER) == 200

    def test_another_configuration_of_admission_is_used_at_once(self, scene: Scene) -> None:
        assert scene.status(invite(), STRANGER) == 401
        scene.proxy.obey(config(allow=("198.51.100.0/24",)), 0.0)
        assert scene.request(invite(), STRANGER)[1] == W1
        assert scene.status(invite(Call_ID="2"), CALLER) == 401


class TestLimits:
    """Concurrent calls of a source, a trunk, a user."""

    def test_a_source_has_so_many_and_gets_room_when_one_ends(self) -> None:
        scene = Scene(max_calls_per_source=1)
        scene.request(invite())
        response, _ = scene.response(invite(Call_ID="2"))
        assert (response.status, response.get("retry-after")) == (503, "2")
        assert scene.request(invite(Call_ID="3"), Flow("outer", "udp", "192.0.2.77", 5060))[1] == W2
        scene.grant("w1", 10001)
        assert scene.request(invite(Call_ID="4"))[1] == W1

    def test_a_trunk_has_its_own(self) -> None:
        spec = TrunkSpec(name="pbx", match=("192.0.2.0/24",), max_calls=2)
        scene = Scene(max_calls_per_source=1, trunks=(spec,))
        scene.grant("w3", 10003)
        scene.request(invite())
        scene.request(invite(Call_ID="2"))
        assert scene.status(invite(Call_ID="3")) == 503
        assert [each.reason for each in scene.proxy.tick(scene.now)] == ["max_calls of the trunk"]


class TestUnwanted:
    @pytest.mark.parametrize(
        "agent", ["friendly-scanner", "sipvicious 0.3", "SIPCLI/v1.8", "VaxSIPUserAgent/3"]
    )
    def test_a_scanner_gets_no_answer(self, scene: Scene, agent: str) -> None:
        for method in ("INVITE", "OPTIONS", "REGISTER"):
            assert scene.give(invite(method=method, User_Agent=agent), STRANGER) == []
        assert [(each.reason, each.count) for each in scene.proxy.tick(scene.now)] == [("scanner", 3)]

    def test_whoever_is_allowed_may_call_itself_as_it_likes(self, scene: Scene) -> None:
        assert scene.request(invite(User_Agent="sipcli/1"))[1] == W1

    def test_other_requests_have_a_rate_of_their_own(self) -> None:
        scene = Scene(invite_rate_per_s=2.0)
        answers = [scene.give(invite(method="OPTIONS", Call_ID=f"o{n}")) for n in range(5)]
        statuses = [only(each)[0].status for each in answers if each]  # type: ignore[union-attr]
        assert statuses == [200, 200, 503]
        assert scene.request(invite(Call_ID="call"))[1] == W1


class TestBursts:
    """More concurrent calls than idle workers."""

    @pytest.fixture
    def full(self, scene: Scene) -> Scene:
        scene.give(invite(Call_ID="1"))
        scene.give(invite(Call_ID="2"))
        return scene

    def test_they_wait_for_the_next_workers_in_their_order(self, full: Scene) -> None:
        assert full.give(invite(Call_ID="3")) == []
        assert full.give(invite(Call_ID="4")) == []
        for worker, port, call_id in (("w3", 10003, "3"), ("w4", 10004, "4")):
            grant = GrantLease(worker=WorkerId(worker), sip_port=port)
            outputs = full.proxy.obey(grant, full.now)
            request, to = only(outputs)
            assert (request.call_id, to.port) == (call_id, port)
            assert leases(outputs) == [worker]

    def test_what_is_repeated_meanwhile_waits_as_well(self, full: Scene) -> None:
        full.give(invite(Call_ID="3"))
        assert full.give(invite(Call_ID="3")) == []
        full.proxy.obey(GrantLease(worker=WorkerId("w3"), sip_port=10003), full.now)
        assert full.request(invite(Call_ID="3"))[1].port == 10003

    def test_who_waits_too_long_is_refused_and_may_try_again(self, full: Scene) -> None:
        full.give(invite(Call_ID="3"))
        assert full.proxy.tick(full.now + 1.0) == []
        full.now += HOLD_S
        response, to = only(full.proxy.tick(full.now)[:1])
        assert isinstance(response, Response)
        assert (response.status, response.get("retry-after"), to) == (503, "2", CALLER)
        assert full.status(invite(Call_ID="3")) == 503

    def test_a_cancel_ends_the_waiting(self, full: Scene) -> None:
        full.give(invite(Call_ID="3"))
        outputs = full.give(invite(method="CANCEL", Call_ID="3"))
        answers = [parse_message(output.data) for output in outputs if isinstance(output, Send)]
        assert [(a.status, a.cseq_method) for a in answers if isinstance(a, Response)] == [
            (200, "CANCEL"),
            (487, "INVITE"),
        ]
        assert full.status(invite(Call_ID="3")) == 487
        assert leases(full.proxy.obey(GrantLease(worker=WorkerId("w3"), sip_port=10003), full.now)) == []

    def test_a_drain_refuses_who_waits(self, full: Scene) -> None:
        full.give(invite(Call_ID="3"))
        response, _ = only(full.proxy.obey(SetDraining(draining=True), full.now))
        assert isinstance(response, Response)
        assert response.status == 503

    def test_only_so_many_wait(self) -> None:
        full = Scene(invite_rate_per_s=1000.0)
        full.give(invite(Call_ID="1"))
        full.give(invite(Call_ID="2"))
        for n in range(MAX_HELD):
            assert full.give(invite(Call_ID=f"h{n}")) == []
        assert full.status(invite(Call_ID="last")) == 503


class TestOtherRequests:
    def test_options_are_answered_here(self, scene: Scene) -> None:
        response, to = scene.response(invite(method="OPTIONS"))
        assert (response.status, to) == (200, CALLER)
        assert "INVITE" in (response.get("allow") or "")
        assert response.get("accept") == "application/sdp"
        assert response.get("supported")

    def test_options_say_503_when_no_call_could_be_taken(self, scene: Scene) -> None:
        scene.proxy.obey(SetDraining(draining=True), 0.0)
        response, _ = scene.response(invite(method="OPTIONS"))
        assert (response.status, response.get("retry-after")) == (503, "2")

    @pytest.mark.parametrize(
        ("method", "status"),
        [("MESSAGE", 405), ("SUBSCRIBE", 405), ("BYE", 481), ("INFO", 481), ("FLY", 501)],
    )
    def test_other_methods_out_of_dialog(self, scene: Scene, method: str, status: int) -> None:
        response, _ = scene.response(invite(method=method))
        assert response.status == status
        assert (response.get("allow") is not None) == (status == 405)

    def test_an_answer_goes_to_the_vias_port_where_rport_is_not_asked_for(self, scene: Scene) -> None:
        request = invite(method="OPTIONS", Via="SIP/2.0/UDP 192.0.2.1:5099;branch=z9hG4bKx")
        assert scene.response(request)[1] == Flow("outer", "udp", "192.0.2.1", 5099)

    def test_an_answer_over_tcp_goes_back_on_its_connection(self, scene: Scene) -> None:
        request = invite(method="OPTIONS", Via="SIP/2.0/TCP 192.0.2.1:5099;branch=z9hG4bKx")
        outputs = scene.give(request, CALLER_TCP)
        assert isinstance(outputs[0], Send)
        assert (outputs[0].to, outputs[0].connect) == (CALLER_TCP, False)
