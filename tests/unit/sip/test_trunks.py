"""Registration and keep-alive of trunks: requests, their timing, and how responses are read."""

from typing import Any

import pytest

from b2bua.sip.edge_control import ListenSpec, SetDraining, TrunkSpec, TrunkState
from b2bua.sip.flow import Find, Flow, Output, Send
from b2bua.sip.message import Request, Response, make_response, parse_message
from b2bua.sip.outbound import Target
from tests.peer import digest
from tests.peer.wire import Message
from tests.unit.sip.edge_scene import PUBLIC, Scene, config, invite, origin

pytestmark = pytest.mark.unit

PBX = Flow("outer", "udp", "198.51.100.7", 5060)
CHALLENGE = 'Digest realm="pbx", nonce="{}", algorithm=SHA-256, qop="auth"'


def spec(**changes: Any) -> TrunkSpec:
    given: dict[str, Any] = {
        "name": "pbx",
        "match": (),
        "uri": "sip:198.51.100.7",
        "username": "node",
        "password": "secret",
        "registers": True,
        "keepalive_s": 0,
    }
    return TrunkSpec(**{**given, **changes})


class TrunkScene(Scene):
    """A proxy with one trunk, and the trunk's side."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(trunks=(spec(**changes),))
        self.states: list[TrunkState] = []

    def after(self, seconds: float) -> list[Request]:
        """Let this much time pass, second by second; returns what the trunk was sent."""
        came: list[Request] = []
        for _ in range(int(seconds)):
            self.now += 1
            came += self.requests(self.proxy.tick(self.now))
        return came

    def requests(self, outputs: list[Output]) -> list[Request]:
        self.states += [each for each in outputs if isinstance(each, TrunkState)]
        sent = [each for each in outputs if isinstance(each, Send)]
        assert all(each.to == PBX for each in sent)
        messages = [parse_message(each.data) for each in sent]
        return [message for message in messages if isinstance(message, Request)]

    def answer(self, request: Request, status: int, *headers: tuple[str, str]) -> list[Request]:
        """The trunk's response; returns what the trunk is sent at once."""
        response = make_response(request, status, to_tag="pbx", headers=headers)
        return self.requests(self.give(response.to_bytes(), PBX))

    def registered(self, expires: str = "600") -> Request:
        """Register; returns the request that was accepted."""
        (first,) = self.after(1)
        (second,) = self.answer(first, 401, ("WWW-Authenticate", CHALLENGE.format("n1")))
        assert self.answer(second, 200, ("Expires", expires)) == []
        return second

    def trusts(self, flow: Flow) -> bool:
        """Whether a call from there counts as the trunk's, without a password."""
        self.grant("w1", 10001)
        outputs = self.give(invite(Call_ID=f"{self.now} {flow.host} {len(self.states)}"), flow)
        (message,) = [parse_message(each.data) for each in outputs if isinstance(each, Send)]
        if isinstance(message, Request):
            return origin(outputs).trunk == "pbx"
        assert message.status == 401
        return False

    @property
    def state(self) -> TrunkState:
        return self.states[-1]


def proves(request: Request, password: str = "secret") -> bool:
    headers = [(h.name.title(), h.text) for h in request.headers]
    return digest.proves(Message.request(request.method, request.uri, headers), "node", password)


class TestRegistration:
    def test_is_asked_for_with_our_address(self) -> None:
        (request,) = TrunkScene().after(1)
        assert (request.method, request.uri) == ("REGISTER", "sip:198.51.100.7")
        assert request.get("contact") == f"<sip:node@{PUBLIC}:5060>"
        assert request.get("expires") == "600"
        assert (request.get("to") or "") == "<sip:node@198.51.100.7>"
        assert request.get("authorization") is None

    def test_answers_a_challenge_and_holds(self) -> None:
        scene = TrunkScene()
        request = scene.registered()
        assert proves(request)
        assert scene.state == TrunkState(trunk="pbx", registration="registered", reachable=None, sip_code=0)

    def test_is_renewed_in_time_without_being_asked_again_for_the_password(self) -> None:
        scene = TrunkScene()
        first = scene.registered(expires="100")
        assert scene.after(79) == []
        (again,) = scene.after(1)
        assert proves(again)
        assert again.call_id == first.call_id and again.cseq_number > first.cseq_number
        assert "nc=00000002" in (again.get("authorization") or "")

    def test_a_nonce_that_is_too_old_is_replaced(self) -> None:
        scene = TrunkScene()
        scene.registered(expires="100")
        (again,) = scene.after(80)
        # Not all servers say that it is stale.
        (third,) = scene.answer(again, 401, ("WWW-Authenticate", CHALLENGE.format("n2")))
        assert 'nonce="n2"' in (third.get("authorization") or "")
        scene.answer(third, 200)
        assert scene.state.registration == "registered"

    def test_lasts_as_long_as_the_other_side_says_of_our_contact(self) -> None:
        scene = TrunkScene()
        (request,) = scene.after(1)
        contacts = "<sip:other@192.0.2.50>;expires=1000, <sip:node@203.0.113.7>;expires=50"
        scene.answer(request, 200, ("Contact", contacts), ("Expires", "300"))
        assert scene.after(39) == []
        assert len(scene.after(1)) == 1

    def test_a_wrong_password_is_not_tried_again_soon(self) -> None:
        scene = TrunkScene()
        (first,) = scene.after(1)
        (second,) = scene.answer(first, 401, ("WWW-Authenticate", CHALLENGE.format("n1")))
        assert scene.answer(second, 401, ("WWW-Authenticate", CHALLENGE.format("n2"))) == []
        assert (scene.state.registration, scene.state.sip_code) == ("failed", 401)
        assert scene.after(299) == []
        assert len(scene.after(1)) == 1

    def test_no_server_makes_us_ask_for_ever(self) -> None:
        scene = TrunkScene()
        (request,) = scene.after(1)
        for n in range(2):
            stale = CHALLENGE.format(n) + ", stale=true"
            (request,) = scene.answer(request, 401, ("WWW-Authenticate", stale))
        assert scene.answer(request, 401, ("WWW-Authenticate", CHALLENGE.format(9) + ", stale=true")) == []

    def test_a_failure_is_tried_again_after_longer_and_longer_pauses(self) -> None:
        scene = TrunkScene()
        (request,) = scene.after(1)
        for pause in (4, 8, 16):
            scene.answer(request, 500)
            assert scene.after(pause - 1) == []
            (request,) = scene.after(1)
        scene.answer(request, 200)
        (request,) = scene.after(480)
        scene.answer(request, 500)
        assert len(scene.after(4)) == 1

    def test_a_pause_that_is_asked_for_is_kept(self) -> None:
        scene = TrunkScene()
        (request,) = scene.after(1)
        scene.answer(request, 503, ("Retry-After", "60 (later)"))
        assert scene.after(59) == []
        assert len(scene.after(1)) == 1

    def test_silence_is_answered_with_repetition_and_then_given_up(self) -> None:
        scene = TrunkScene()
        requests = scene.after(9)
        assert len(requests) == 4 and len({each.top_via.branch for each in requests}) == 1
        assert (scene.state.registration, scene.state.sip_code) == ("failed", 0)
        late = scene.answer(requests[0], 200)
        assert (late, scene.state.registration) == ([], "failed")

    def test_is_asked_for_longer_where_that_is_wanted(self) -> None:
        scene = TrunkScene()
        (request,) = scene.after(1)
        (again,) = scene.answer(request, 423, ("Min-Expires", "1800"))
        assert again.get("expires") == "1800"
        assert scene.answer(again, 423, ("Min-Expires", "900")) == []
        assert scene.state.registration == "failed"

    def test_ends_with_the_node(self) -> None:
        scene = TrunkScene()
        scene.registered()
        scene.proxy.obey(SetDraining(draining=True), 0.0)
        (last,) = scene.after(1)
        assert last.get("expires") == "0" and proves(last)
        scene.answer(last, 200)
        assert scene.state.registration == "off"
        assert scene.after(1000) == []

    def test_stays_over_a_reload_that_changes_nothing(self) -> None:
        scene = TrunkScene()
        scene.registered()
        scene.proxy.obey(config(trunks=(spec(),)), 0.0)
        assert scene.after(100) == []

    @pytest.mark.parametrize("trunks", [(), (spec(password="other"),)])
    def test_ends_with_a_trunk_that_is_no_more_or_another(self, trunks: tuple[TrunkSpec, ...]) -> None:
        scene = TrunkScene()
        scene.registered()
        scene.proxy.obey(config(trunks=trunks), 0.0)
        requests = scene.after(1)
        assert "0" in [request.get("expires") for request in requests]
        assert len(requests) == 1 + len(trunks)

    def test_makes_calls_from_there_the_trunks(self) -> None:
        scene = TrunkScene()
        data = invite()
        stranger = Flow("outer", "udp", PBX.host, 5080)
        assert scene.status(data, stranger) == 401
        scene.registered()
        assert origin(scene.give(invite(Call_ID="2"), stranger)).trunk == "pbx"
        scene.proxy.obey(config(trunks=()), 0.0)
        scene.answer(scene.after(1)[0], 200)
        assert scene.status(invite(Call_ID="3"), stranger) == 401

    def test_gives_no_trust_once_it_is_refused(self) -> None:
        scene = TrunkScene()
        scene.registered(expires="100")
        assert scene.trusts(PBX)
        (again,) = scene.after(80)
        assert scene.trusts(PBX)  # it has not ended
        scene.answer(again, 403)
        assert not scene.trusts(PBX)
        (again,) = scene.after(300)
        scene.answer(again, 200)
        assert scene.trusts(PBX)

    def test_gives_no_trust_once_it_is_not_renewed(self) -> None:
        scene = TrunkScene()
        scene.registered(expires="100")
        scene.after(80 + 7)
        assert scene.trusts(PBX)
        scene.after(1)
        assert (scene.state.registration, scene.trusts(PBX)) == ("failed", False)

    def test_gives_no_trust_beyond_its_time(self) -> None:
        scene = TrunkScene()
        scene.registered(expires="10")
        (again,) = scene.after(8)
        scene.after(2)
        assert (scene.state.registration, scene.trusts(PBX)) == ("failed", False)
        scene.answer(again, 200)
        assert (scene.state.registration, scene.trusts(PBX)) == ("registered", True)

    @pytest.mark.parametrize("trunks", [(), (spec(password="other"),)])
    def test_gives_no_trust_from_a_reload_on_that_ends_it(self, trunks: tuple[TrunkSpec, ...]) -> None:
        scene = TrunkScene()
        scene.registered()
        scene.proxy.obey(config(trunks=trunks), 0.0)
        assert not scene.trusts(PBX)

    def test_gives_no_trust_to_where_it_was_before(self) -> None:
        scene = TrunkScene()
        scene.registered(expires="100")
        (again,) = scene.after(80)
        elsewhere = Flow("outer", "udp", "198.51.100.8", 5060)
        scene.give(make_response(again, 200, to_tag="pbx").to_bytes(), elsewhere)
        assert (scene.trusts(PBX), scene.trusts(elsewhere)) == (False, True)


class TestKeepAlive:
    def test_any_answer_but_of_one_out_of_order_shows_that_it_is_there(self) -> None:
        scene = TrunkScene(registers=False, keepalive_s=30)
        (request,) = scene.after(1)
        assert request.method == "OPTIONS"
        scene.answer(request, 404)
        assert (scene.state.reachable, scene.state.down) == (True, False)
        assert scene.after(29) == []
        (request,) = scene.after(1)
        scene.answer(request, 503)
        assert (scene.state.reachable, scene.state.sip_code) == (False, 503)
        assert scene.state.down

    def test_silence_is_down_and_the_next_answer_is_up(self) -> None:
        scene = TrunkScene(registers=False, keepalive_s=10)
        assert len(scene.after(9)) == 4
        assert scene.state.reachable is False
        (request,) = scene.after(10)
        scene.answer(request, 200)
        assert scene.state.reachable is True

    def test_nobody_is_asked_who_is_not_to_be(self) -> None:
        scene = TrunkScene(registers=False)
        assert scene.after(100) == []
        assert scene.states == []


class TestNames:
    def test_are_resolved_each_time(self) -> None:
        scene = TrunkScene(registers=False, keepalive_s=10, uri="sip:pbx.example;transport=udp")
        (find,) = scene.proxy.tick(scene.now)
        assert isinstance(find, Find) and str(find.uri) == "sip:pbx.example;transport=udp"
        target = Target("udp", PBX.host, PBX.port)
        (request,) = scene.requests(scene.proxy.found(find.branch, (target,), scene.now))
        assert request.uri == "sip:pbx.example;transport=udp"
        assert scene.proxy.found("gone", (target,), scene.now) == []

    def test_that_lead_nowhere_are_down(self) -> None:
        scene = TrunkScene(registers=False, keepalive_s=10, uri="sip:pbx.example")
        (find,) = scene.proxy.tick(scene.now)
        assert isinstance(find, Find)
        assert scene.proxy.not_found(find.branch, "No") == []
        scene.after(8)
        assert scene.state.down

    def test_by_a_transport_that_we_do_not_have_are_down(self) -> None:
        scene = TrunkScene(registers=False, keepalive_s=10, uri="sip:198.51.100.7;transport=tls")
        assert scene.after(9) == []
        assert scene.state.down

    def test_over_tls_are_registered_with_a_tls_contact(self) -> None:
        listen = (ListenSpec("udp", "0.0.0.0", 5060), ListenSpec("tls", "0.0.0.0", 5061))
        trunk = spec(uri="sip:198.51.100.7;transport=tls")
        scene = Scene(listen=listen, trunks=(trunk,))
        (sent,) = [each for each in scene.proxy.tick(scene.now) if isinstance(each, Send)]
        request = parse_message(sent.data)
        assert sent.to == Flow("outer", "tls", "198.51.100.7", 5061, 1, "198.51.100.7")
        assert request.get("contact") == f"<sip:node@{PUBLIC}:5061;transport=tls>"


def test_a_response_to_nothing_of_ours_is_ignored() -> None:
    scene = TrunkScene()
    (request,) = scene.after(1)
    response = make_response(request, 200)
    response.replace_first("via", "SIP/2.0/UDP h;branch=z9hG4bKguess")
    assert scene.give(response.to_bytes(), PBX) == []
    assert isinstance(response, Response)
    provisional = make_response(request, 100)
    assert scene.give(provisional.to_bytes(), PBX) == []


def test_no_password_is_in_what_can_be_printed() -> None:
    assert "secret" not in repr(spec())
