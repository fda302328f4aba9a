"""Requests within a dialog, in both directions, and a call that leaves and comes back."""

import pytest

from b2bua.core.errors import PeerError
from b2bua.core.ids import WorkerId
from b2bua.sip.dialogs import OVER_S
from b2bua.sip.edge_control import WorkerGone
from b2bua.sip.flow import Flow, Send
from b2bua.sip.inside import is_from_edge, shown
from tests.unit.sip.edge_scene import (
    CALLER,
    CALLER_TCP,
    INSIDE,
    PUBLIC,
    SECRET,
    STRANGER,
    W1,
    W2,
    Scene,
    answer,
    invite,
    leases,
    text,
    worker_invite,
)

pytestmark = pytest.mark.unit

OURS = f"<sip:{PUBLIC}:5060;transport=udp;lr>"


@pytest.fixture
def scene() -> Scene:
    return Scene()


def in_dialog(method: str, uri: str, **changes: str | None) -> bytes:
    given: dict[str, str | None] = {
        "To": "<sip:100@sip.example.com>;tag=tt",
        "CSeq": f"2 {method}",
        "Via": "SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bKsecond",
        "Route": OURS,
    }
    return invite(uri, method=method, **{**given, **changes})


class TestAnswerOfAWorker:
    def answered(self, scene: Scene, came_from: Flow = CALLER, status: int = 200) -> Send:
        request, _ = scene.request(invite(), came_from)
        reply = answer(request, status, contact="<sip:w1@127.0.0.1:10001>")
        (sent,) = scene.give(reply, W1)
        assert isinstance(sent, Send)
        return sent

    def test_goes_to_where_the_invite_came_from(self, scene: Scene) -> None:
        source = Flow("outer", "udp", "192.0.2.1", 61234)
        assert self.answered(scene, source).to == source

    def test_shows_our_public_address_only(self, scene: Scene) -> None:
        text = self.answered(scene).data.decode()
        assert f"Contact: <sip:w1@{PUBLIC}:5060>\r\n" in text
        assert f"Record-Route: {OURS}\r\n" in text
        assert "127.0.0.1" not in text
        assert text.count("Via:") == 1

    def test_over_tcp_names_tcp_and_may_need_a_new_connection(self, scene: Scene) -> None:
        sent = self.answered(scene, CALLER_TCP)
        assert (sent.to, sent.connect) == (CALLER_TCP, False)
        assert f"Contact: <sip:w1@{PUBLIC}:5060;transport=tcp>\r\n".encode() in sent.data
        assert f"Record-Route: <sip:{PUBLIC}:5060;transport=tcp;lr>\r\n".encode() in sent.data
        assert sent.otherwise is not None
        assert sent.otherwise.to == Flow("outer", "tcp", "192.0.2.1", 5060, 1)

    def test_from_a_stranger_on_loopback_is_dropped(self, scene: Scene) -> None:
        request, _ = scene.request(invite())
        with pytest.raises(PeerError):
            scene.give(answer(request, 200, contact="<sip:x@y>"), Flow("inner", "udp", "127.0.0.1", 9))


class TestFromOutside:
    @pytest.mark.parametrize("method", ["ACK", "BYE", "INVITE", "UPDATE", "PRACK"])
    def test_goes_to_the_worker_in_the_request_uri(self, scene: Scene, method: str) -> None:
        outputs = scene.give(in_dialog(method, f"sip:w2@{PUBLIC}:5060"))
        assert isinstance(outputs[0], Send)
        assert outputs[0].to == W2
        assert b"Route: <sip:203" not in outputs[0].data
        assert leases(outputs) == []

    def test_what_begins_something_there_proves_that_it_is_ours(self, scene: Scene) -> None:
        forged = {"X_B2bua_Secret": "guess", "X_B2bua_Trunk": "carrier"}
        for request in (
            scene.request(invite(**forged))[0],
            scene.request(in_dialog("INVITE", f"sip:w1@{PUBLIC}", **forged))[0],
            scene.request(in_dialog("REFER", f"sip:w1@{PUBLIC}", Refer_To="<sip:x@h>", **forged))[0],
        ):
            assert is_from_edge(request, SECRET)
            assert not is_from_edge(request, SECRET[1:])
            assert request.get("x-b2bua-trunk") is None
            assert SECRET not in str(shown(request))

    def test_needs_no_admission_of_who_knows_the_call(self, scene: Scene) -> None:
        scene.request(invite())
        scene.request(worker_invite(), W1)
        assert scene.request(in_dialog("BYE", f"sip:w1@{PUBLIC}"), STRANGER)[1] == W1
        callee = in_dialog(
            "BYE", f"sip:w1@{PUBLIC}", Call_ID="leg-1", From="<sip:b@c>;tag=x", To="<sip:a@b>;tag=fw"
        )
        assert scene.request(callee, STRANGER)[1] == W1

    def test_of_a_stranger_who_does_not_goes_to_no_worker(self, scene: Scene) -> None:
        scene.request(invite())
        request = in_dialog("BYE", f"sip:w1@{PUBLIC}", Call_ID="another")
        assert scene.status(request, STRANGER) == 481
        assert scene.give(in_dialog("ACK", f"sip:w1@{PUBLIC}", Call_ID="another"), STRANGER) == []
        scanner = in_dialog("BYE", f"sip:w1@{PUBLIC}", Call_ID="another", User_Agent="friendly-scanner")
        assert scene.give(scanner, STRANGER) == []

    def test_a_dialog_is_forgotten_soon_after_its_session(self, scene: Scene) -> None:
        scene.request(invite())
        scene.grant("w1", 10001)
        assert scene.request(in_dialog("BYE", f"sip:w1@{PUBLIC}"), STRANGER)[1] == W1
        assert scene.request(in_dialog("OPTIONS", f"sip:w1@{PUBLIC}"), STRANGER)[1] == W1  # for its 481
        scene.now += OVER_S
        scene.proxy.tick(scene.now)
        assert scene.status(in_dialog("BYE", f"sip:w1@{PUBLIC}"), STRANGER) == 481

    @pytest.mark.parametrize(
        ("method", "event", "status"),
        [
            ("OPTIONS", None, 200),
            ("SUBSCRIBE", "refer", 489),
            ("NOTIFY", "talk", 489),
            ("REGISTER", None, 405),
            ("PUBLISH", "presence", 405),
            ("FOO", None, 501),
        ],
    )
    def test_what_the_library_does_not_know_within_a_call_is_answered(
        self, scene: Scene, method: str, event: str | None, status: int
    ) -> None:
        scene.request(invite())
        assert scene.status(in_dialog(method, f"sip:w1@{PUBLIC}", Event=event)) == status

    def test_a_notify_of_a_transfer_goes_to_the_worker(self, scene: Scene) -> None:
        scene.request(invite())
        assert scene.request(in_dialog("NOTIFY", f"sip:w1@{PUBLIC}", Event="refer;id=1"))[1] == W1

    def test_for_an_unknown_worker_is_481_but_for_an_ack(self, scene: Scene) -> None:
        scene.proxy.obey(WorkerGone(worker=WorkerId("w2")), 0.0)
        assert scene.status(in_dialog("BYE", f"sip:w2@{PUBLIC}")) == 481
        assert scene.give(in_dialog("ACK", f"sip:w2@{PUBLIC}")) == []

    @pytest.mark.parametrize(
        ("kind", "body", "signal"),
        [
            ("application/dtmf", "5", "5"),
            ("application/dtmf", " *\r\n", "*"),
            ("application/dtmf", "11", "#"),
            ("application/dtmf", "d", "D"),
            ("application/dtmf-relay", "Signal=5\r\nDuration=100\r\n", "5"),
            ("application/dtmf-relay", "Signal=*", "*"),  # pjsip would abort, as with the next one
            ("application/dtmf-relay", "Signal=5\n", "5"),
            ("Application / DTMF-Relay;x=y", "duration=100\r\nsignal= 10", "*"),
        ],
    )
    def test_a_key_becomes_what_the_library_understands(
        self, scene: Scene, kind: str, body: str, signal: str
    ) -> None:
        request = in_dialog("INFO", f"sip:w1@{PUBLIC}", Content_Type=kind, Content_Length=None)
        forwarded, _ = scene.request(request + body.encode())
        assert forwarded.get("content-type") == "application/dtmf-relay"
        assert forwarded.body == f"Signal={signal}\r\nDuration=160\r\n".encode()
        assert forwarded.get("content-length") == str(len(forwarded.body))

    @pytest.mark.parametrize(
        ("kind", "body", "status"),
        [
            ("application/dtmf", "", 200),
            ("application/dtmf", "55", 400),
            ("application/dtmf-relay", "5", 400),
            ("application/dtmf-relay", "Signal=99\r\n", 400),
            ("application/dtmf-relay", "Signal=", 400),
            ("application/x", "5", 415),
        ],
    )
    def test_an_info_that_is_no_key_is_answered(
        self, scene: Scene, kind: str, body: str, status: int
    ) -> None:
        request = in_dialog("INFO", f"sip:w1@{PUBLIC}", Content_Type=kind, Content_Length=None)
        assert scene.status(request + body.encode()) == status

    def test_an_info_of_a_package_is_469(self, scene: Scene) -> None:
        request = in_dialog("INFO", f"sip:w1@{PUBLIC}", Info_Package="x", Content_Length=None)
        assert scene.status(request + b"x") == 469


class TestFromAWorker:
    def test_goes_to_the_remote_target(self, scene: Scene) -> None:
        bye = worker_invite("sip:ann@192.0.2.1:5062", method="BYE", To="<sip:ann@h>;tag=fa", Route=INSIDE)
        request, to = scene.request(bye, W1)
        assert to == Flow("outer", "udp", "192.0.2.1", 5062)
        assert (request.get("route"), request.get("record-route")) == (None, None)

    def test_goes_by_the_proxies_of_its_route_set(self, scene: Scene) -> None:
        routes = f"{INSIDE}, <sip:192.0.2.40:5090;lr>, <sip:192.0.2.41;lr>"
        bye = worker_invite("sip:ann@192.0.2.1", method="BYE", To="<sip:ann@h>;tag=fa", Route=routes)
        request, to = scene.request(bye, W1)
        assert (to.host, to.port) == ("192.0.2.40", 5090)
        assert request.all("route") == ["<sip:192.0.2.40:5090;lr>", "<sip:192.0.2.41;lr>"]


class TestSpiral:
    """w1 calls our own public address; the call comes in again and goes to another worker."""

    SELF = Flow("outer", "udp", "127.0.0.1", 5060)

    def test_each_record_route_is_turned_by_the_hop_that_put_it_there(self, scene: Scene) -> None:
        scene.give(invite(Call_ID="takes-w1"))
        (out,) = scene.give(worker_invite(f"sip:100@{PUBLIC}"), W1)
        assert isinstance(out, Send)
        request, to = scene.request(out.data, self.SELF)
        assert to == W2
        assert request.all("record-route") == [INSIDE, OURS]

        reply = answer(request, 200, contact="<sip:w2@127.0.0.1:10002>")
        (back,) = scene.give(reply, W2)
        assert isinstance(back, Send)
        assert back.to == self.SELF
        response, to = scene.response(back.data, self.SELF)
        assert to == W1
        assert response.all("record-route") == [OURS, INSIDE]
        assert response.get("contact") == f"<sip:w2@{PUBLIC}:5060>"

    def test_the_dialog_works_both_ways(self, scene: Scene) -> None:
        headers: dict[str, str | None] = {
            "Route": f"{INSIDE}, {OURS}",
            "Via": "SIP/2.0/UDP 127.0.0.1:10001;rport;branch=z9hG4bKbye",
            "From": "<sip:a@h>;tag=1",
            "To": "<sip:b@h>;tag=2",
            "Call-ID": "x",
            "CSeq": "2 BYE",
        }
        (out,) = scene.give(text("BYE", f"sip:w2@{PUBLIC}:5060", headers), W1)
        assert isinstance(out, Send)
        assert out.to == self.SELF
        request, to = scene.request(out.data, self.SELF)
        assert to == W2
        assert request.get("route") is None


class TestReplaces:
    """RFC 3891: a new INVITE that refers to an existing dialog."""

    def taking(self, dialog: str) -> bytes:
        return invite(Call_ID="third", Via="SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bKthird", Replaces=dialog)

    @pytest.mark.parametrize(
        "dialog", ["call-1;to-tag=tt;from-tag=fa", "call-1;from-tag=fa;to-tag=tt;early-only"]
    )
    def test_goes_to_the_worker_of_a_call_that_came(self, scene: Scene, dialog: str) -> None:
        scene.request(invite())
        outputs = scene.give(self.taking(dialog))
        assert leases(outputs) == []
        (sent,) = outputs
        assert isinstance(sent, Send)
        assert sent.to == W1
        assert scene.request(self.taking(dialog))[1] == W1  # its retransmission

    def test_goes_to_the_worker_of_a_call_that_was_made(self, scene: Scene) -> None:
        scene.request(worker_invite(), W1)
        assert scene.request(self.taking("leg-1;to-tag=fw;from-tag=bob"))[1] == W1

    def test_needs_no_idle_worker(self) -> None:
        scene = Scene(max_calls=1)
        scene.request(invite())
        assert scene.request(self.taking("call-1;to-tag=tt;from-tag=fa"))[1] == W1

    @pytest.mark.parametrize(
        ("dialog", "status"),
        [
            ("call-1;to-tag=fa;from-tag=tt", None),
            ("call-1;to-tag=x;from-tag=y", 481),
            ("other;to-tag=tt;from-tag=fa", 481),
            ("call-1;to-tag=tt", 400),
            (";to-tag=tt;from-tag=fa", 400),
        ],
    )
    def test_of_nothing_is_refused(self, scene: Scene, dialog: str, status: int | None) -> None:
        scene.request(invite())
        if status is None:  # tags are the worker's to compare
            assert scene.request(self.taking(dialog))[1] == W1
        else:
            assert scene.status(self.taking(dialog)) == status
            assert scene.status(self.taking(dialog)) == status

    def test_a_worker_of_the_past_has_nothing(self, scene: Scene) -> None:
        scene.request(invite())
        scene.proxy.obey(WorkerGone(worker=WorkerId("w1")), scene.now)
        assert scene.status(self.taking("call-1;to-tag=tt;from-tag=fa")) == 481

    def test_a_workers_own_goes_out_to_come_in_again(self, scene: Scene) -> None:
        scene.request(invite())
        dialog = "call-1;to-tag=tt;from-tag=fa"
        request, to = scene.request(worker_invite("sip:anybody@192.0.2.99:5070", Replaces=dialog), W2)
        assert to == Flow("outer", "udp", "127.0.0.1", 5060)
        assert request.get("replaces") == dialog
        cancel = worker_invite("sip:anybody@192.0.2.99:5070", method="CANCEL")
        assert scene.request(cancel, W2)[1] == to
        request, to = scene.request(request.to_bytes(), Flow("outer", "udp", "127.0.0.1", 5060))
        assert to == W1
