"""REGISTER at the proxy: who may register, its effect, where requests to a phone go (RFC 3261 §10)."""

from typing import Any, cast

import pytest

from b2bua.sip.digest import hash_a1, parse_digest
from b2bua.sip.edge_control import Binding, BindingsChanged, UserSpec
from b2bua.sip.flow import Flow, Output, Send
from b2bua.sip.location import BINDING_PARAM, MAX_CONTACTS
from b2bua.sip.message import Header, Request, Response
from tests.peer.digest import credentials
from tests.peer.wire import parse
from tests.unit.sip.edge_scene import (
    CALLER,
    STRANGER,
    W1,
    Scene,
    answer,
    config,
    invite,
    only,
    origin,
    text,
    worker_invite,
)

pytestmark = pytest.mark.unit

ACK_VIA = "SIP/2.0/UDP 127.0.0.1:10001;rport;branch=z9hG4bKack"
REALM = "sip.example.com"
AOR = "<sip:alice@sip.example.com>"
PHONE = Flow("outer", "udp", "198.51.100.9", 40000)
PHONE_TCP = Flow("outer", "tcp", "198.51.100.9", 41000, 1)
USERS = tuple(
    UserSpec(
        name=name,
        md5=hash_a1("MD5", name, REALM, f"{name}pw"),
        sha256=hash_a1("SHA-256", name, REALM, f"{name}pw"),
    )
    for name in ("alice", "bob")
)


class Phone:
    """A user's phone at the proxy; it answers challenges."""

    def __init__(self, scene: Scene, flow: Flow = PHONE, user: str = "alice") -> None:
        self.scene, self.flow, self.user = scene, flow, user
        self.password = f"{user}pw"
        self.cseq = 0
        self.told: list[BindingsChanged] = []

    def register(self, contact: str | None = "<sip:alice@10.0.0.5:5060>", **headers: str | None) -> Response:
        """Send REGISTER, and again with credentials."""
        refused = self.send(contact, **headers)
        assert refused.status == 401
        return self.send(contact, refused, **headers)

    def guess(self) -> None:
        """Send wrong passwords until the source is silenced."""
        for n in range(100):
            asked = self.scene.give(self.request("<sip:a@h>", CSeq=f"{n} REGISTER"), self.flow)
            if not asked:
                return
            refused, _ = only(asked)
            assert isinstance(refused, Response)
            again = self.request("<sip:a@h>", CSeq=f"{n + 1} REGISTER")
            self.scene.give(proving(again, refused, self.user, "guess"), self.flow)
        raise AssertionError("never silent")

    def send(self, contact: str | None, refused: Response | None = None, **headers: str | None) -> Response:
        self.cseq += 1
        data = self.request(contact, **{"CSeq": f"{self.cseq} REGISTER", **headers})
        if refused is not None:
            data = proving(data, refused, self.user, self.password)
        outputs = self.scene.give(data, self.flow)
        self.told += [each for each in outputs if isinstance(each, BindingsChanged)]
        response, to = only(outputs)
        assert isinstance(response, Response)
        assert to == self.flow
        return response

    def request(self, contact: str | None, **headers: str | None) -> bytes:
        transport = self.flow.transport.upper()
        given: dict[str, str | None] = {
            "Via": f"SIP/2.0/{transport} 10.0.0.5:5060;rport;branch=z9hG4bKr{self.cseq}",
            "Max-Forwards": "70",
            "From": f"<sip:{self.user}@sip.example.com>;tag=r",
            "To": f"<sip:{self.user}@sip.example.com>",
            "Call-ID": f"reg-{self.user}",
            "Contact": contact,
            "User-Agent": "phone/1 " + "x" * 100,
        }
        given.update({name.replace("_", "-"): value for name, value in headers.items()})
        return text("REGISTER", "sip:sip.example.com", given)

    @property
    def bindings(self) -> tuple[Binding, ...]:
        return self.scene.proxy.locations.of(self.user, self.scene.now)


def proving(data: bytes, refused: Response, user: str, password: str) -> bytes:
    """A request with the answer to a challenge."""
    request = parse(data)
    name, value = credentials(request, parse(refused.to_bytes()), user, password)
    head, _, body = data.partition(b"\r\n\r\n")
    return head + f"\r\n{name}: {value}\r\n\r\n".encode() + body


@pytest.fixture
def scene() -> Scene:
    return Scene(users=USERS)


@pytest.fixture
def phone(scene: Scene) -> Phone:
    return Phone(scene)


def contacts(response: Response) -> list[str]:
    return response.all("contact")


class TestChallenge:
    def test_everybody_is_challenged_also_who_is_allowed_to_call(self, scene: Scene) -> None:
        response = Phone(scene, CALLER).send("<sip:alice@192.0.2.1>")
        assert response.status == 401
        assert [h.name for h in response.headers].count("www-authenticate") == 2

    def test_a_wrong_password_is_challenged_again(self, phone: Phone) -> None:
        phone.password = "guess"
        assert phone.register().status == 401
        assert phone.bindings == ()

    def test_nobody_registers_for_another(self, phone: Phone) -> None:
        assert phone.register(To="<sip:bob@sip.example.com>").status == 403
        assert phone.scene.proxy.locations.of("bob", phone.scene.now) == ()

    def test_an_answer_to_an_old_challenge_is_told_to_be_stale(self, phone: Phone) -> None:
        refused = phone.send("<sip:alice@10.0.0.5>")
        phone.scene.now += 1000
        again = phone.send("<sip:alice@10.0.0.5>", refused)
        assert again.status == 401
        assert "stale=true" in (again.get("www-authenticate") or "")

    @pytest.mark.parametrize("padding", [None, *range(0, 600, 30)])
    def test_whatever_its_size_a_request_gets_both_challenges_the_stronger_first(
        self, phone: Phone, padding: int | None
    ) -> None:
        agent = None if padding is None else "x" * padding
        data = phone.request("<sip:a@b>", CSeq="1 REGISTER", User_Agent=agent)
        (send,) = phone.scene.give(data, PHONE)
        assert isinstance(send, Send)
        assert len(send.data) <= 3 * len(data)
        response, _ = only([send])
        algorithms = [parse_digest(each.text)["algorithm"] for each in challenges(response)]
        assert algorithms == ["SHA-256", "MD5"]

    def test_a_compact_challenge_can_be_answered(self, phone: Phone) -> None:
        data = phone.request("<sip:a@10.0.0.5>", CSeq="1 REGISTER", Max_Forwards=None)
        refused, _ = phone.scene.response(data, PHONE)
        assert b"\r\nv: " in refused.to_bytes()
        assert phone.scene.status(proving(data, refused, "alice", "alicepw"), PHONE) == 200

    @pytest.mark.parametrize("realm", [REALM, "a-long-name." * 8 + "example.com"])
    def test_a_tiny_request_gets_the_stronger_one_at_least(self, realm: str) -> None:
        headers = {
            "v": "SIP/2.0/UDP h;branch=z9hG4bKx",
            "f": "<sip:a@b>;tag=1",
            "t": "<sip:a@b>",
            "i": "1",
            "CSeq": "1 REGISTER",
        }
        response, _ = Scene(domain=realm, users=USERS).response(text("REGISTER", "sip:a", headers), STRANGER)
        assert parse_digest(challenges(response)[0].text)["algorithm"] == "SHA-256"


def challenges(response: Request | Response) -> list[Header]:
    return [header for header in response.headers if header.name == "www-authenticate"]


class TestBindings:
    def test_a_contact_is_kept_told_and_given_back(self, phone: Phone) -> None:
        response = phone.register(Expires="600")
        assert response.status == 200
        assert contacts(response) == ["<sip:alice@10.0.0.5:5060>;expires=600"]
        (told,) = phone.told
        assert told.user == "alice"
        (binding,) = told.bindings
        assert (binding.contact, binding.source) == ("sip:alice@10.0.0.5:5060", "udp:198.51.100.9:40000")
        assert binding.expires_at == phone.scene.now + 600

    @pytest.mark.parametrize(
        ("contact", "expires", "granted"),
        [
            ("<sip:a@h>;expires=120", "600", 120),
            ("<sip:a@h>", None, 3600),
            ("<sip:a@h>", "99999", 3600),
            ("<sip:a@h>", "soon", 3600),
            ("<sip:a@h>;expires=60", None, 60),
        ],
    )
    def test_how_long_it_counts(self, phone: Phone, contact: str, expires: str | None, granted: int) -> None:
        assert f"expires={granted}" in contacts(phone.register(contact, Expires=expires))[0]

    def test_less_than_a_minute_is_too_brief(self, phone: Phone) -> None:
        response = phone.register(Expires="59")
        assert (response.status, response.reason, response.get("min-expires")) == (
            423,
            "Interval Too Brief",
            "60",
        )
        assert phone.bindings == ()

    def test_one_ends_by_time_and_that_is_told(self, phone: Phone) -> None:
        phone.register(Expires="60")
        phone.scene.now += 61
        assert phone.bindings == ()
        assert BindingsChanged(user="alice", bindings=()) in phone.scene.proxy.tick(phone.scene.now)

    def test_zero_takes_it_away(self, phone: Phone) -> None:
        phone.register()
        response = phone.register(Expires="0")
        assert (response.status, contacts(response)) == (200, [])
        assert phone.told[-1] == BindingsChanged(user="alice", bindings=())

    def test_without_a_contact_it_only_asks(self, phone: Phone) -> None:
        phone.register()
        assert len(contacts(phone.register(None))) == 1
        assert len(phone.told) == 1

    def test_a_star_takes_all_away(self, phone: Phone) -> None:
        phone.register()
        phone.register("<sip:alice@10.0.0.6>")
        assert contacts(phone.register("*", Expires="0")) == []

    @pytest.mark.parametrize(("contact", "expires"), [("*", "60"), ("*", None), ("*, <sip:a@h>", "0")])
    def test_a_star_stands_alone_with_zero(self, phone: Phone, contact: str, expires: str | None) -> None:
        phone.register()
        assert phone.register(contact, Expires=expires).status == 400
        assert len(phone.bindings) == 1

    def test_several_phones_are_kept_the_preferred_first(self, phone: Phone) -> None:
        phone.register("<sip:alice@10.0.0.5>;q=0.3")
        response = phone.register("<sip:alice@10.0.0.6>;q=0.8")
        assert [each.partition(";expires")[0] for each in contacts(response)] == [
            "<sip:alice@10.0.0.6>",
            "<sip:alice@10.0.0.5>",
        ]
        assert "q=0.8" in contacts(response)[0]

    def test_of_too_many_the_first_to_end_goes(self, phone: Phone) -> None:
        for n in range(MAX_CONTACTS + 2):
            phone.scene.now += 1
            phone.register(f"<sip:alice@10.0.0.{n}>")
        hosts = {each.contact for each in phone.bindings}
        assert len(hosts) == MAX_CONTACTS
        assert "sip:alice@10.0.0.0" not in hosts

    def test_too_many_at_once_are_refused(self, phone: Phone) -> None:
        many = ", ".join(f"<sip:alice@10.0.0.{n}>" for n in range(MAX_CONTACTS + 1))
        assert phone.register(many).status == 403

    @pytest.mark.parametrize(
        "contact", ["<tel:+1555>", "nonsense", f"<sip:a@h>;x={'y' * 600}", "<mailto:a@b>"]
    )
    def test_a_contact_that_nobody_can_call_is_refused(self, phone: Phone, contact: str) -> None:
        assert phone.register(contact).status in (400, 416)

    def test_the_same_contact_is_one_however_it_is_written(self, phone: Phone) -> None:
        phone.register("<sip:alice@Host.example:5070>")
        assert len(contacts(phone.register("sip:alice@host.EXAMPLE:5070"))) == 1

    def test_an_old_request_changes_nothing(self, phone: Phone) -> None:
        phone.cseq = 10
        phone.register()
        phone.cseq = 3
        assert phone.register(Expires="0").status == 500
        assert len(phone.bindings) == 1

    def test_a_repeated_request_gets_the_same_answer_and_changes_nothing(self, phone: Phone) -> None:
        refused = phone.send("<sip:alice@10.0.0.5>")
        phone.send("<sip:alice@10.0.0.5>", refused)
        phone.cseq -= 1
        told = len(phone.told)
        data_again = phone.send("<sip:alice@10.0.0.5>", phone.send("<sip:alice@10.0.0.5>"))
        assert data_again.status == 200
        assert len(phone.told) in (told, told + 1)

    def test_a_restarted_phone_may_begin_to_count_again(self, phone: Phone) -> None:
        phone.cseq = 10
        phone.register()
        phone.cseq = 0
        assert phone.register(Call_ID="another").status == 200
        assert len(phone.bindings) == 1

    def test_users_that_are_no_more_lose_their_phones(self, phone: Phone) -> None:
        phone.register()
        phone.scene.proxy.obey(config(users=USERS[1:]), 0.0)
        assert phone.bindings == ()
        assert BindingsChanged(user="alice", bindings=()) in phone.scene.proxy.tick(phone.scene.now)

    def test_an_instance_with_a_flow_takes_its_own_place(self, phone: Phone) -> None:
        params = ';+sip.instance="<urn:uuid:1>";reg-id=1'
        first = phone.register(f"<sip:alice@10.0.0.5>{params}", Supported="path, outbound")
        assert first.get("require") == "outbound"
        assert first.get("flow-timer")
        again = phone.register(f"<sip:alice@10.9.9.9>{params}", Supported="path, outbound")
        assert len(contacts(again)) == 1
        assert "reg-id=1" in contacts(again)[0]

    def test_flows_of_one_contact_are_apart_and_each_can_end(self, scene: Scene) -> None:
        phone = Phone(scene)
        contact = '<sip:alice@10.0.0.5>;+sip.instance="<urn:uuid:1>";reg-id='
        for number in (1, 2):
            phone.register(f"{contact}{number}", Supported="path, outbound")
        (changed,) = phone.told[-1:]
        assert sorted(each.reg_id for each in changed.bindings) == [1, 2]
        for number in (1, 2):
            phone.register(f"{contact}{number}", Supported="path, outbound", Expires="0")
        assert phone.told[-1].bindings == ()

    def test_path_is_kept_and_given_back(self, phone: Phone) -> None:
        path = "<sip:proxy.example.com;lr>"
        response = phone.register(Path=path, Supported="path")
        assert response.get("path") == path
        assert phone.bindings[0].path == (path,)

    @pytest.mark.parametrize("path", ["nonsense<", ", ".join(["<sip:p;lr>"] * 9)])
    def test_a_bad_path_is_refused(self, phone: Phone, path: str) -> None:
        assert phone.register(Path=path).status == 400


def dialled(binding: Binding, *, method: str = "INVITE", **changes: str | None) -> bytes:
    """A worker's INVITE to a phone."""
    uri = f"sip:alice@{REALM};{BINDING_PARAM}={binding.id}"
    return worker_invite(uri, method=method, To=f"<{uri}>", **changes)


class TestCallsToPhones:
    def test_an_invite_goes_where_the_phone_registered_from(self, phone: Phone) -> None:
        phone.register()
        request, to = phone.scene.request(dialled(phone.bindings[0]), W1)
        assert to == PHONE
        assert request.uri == "sip:alice@10.0.0.5:5060"
        assert request.get("to") == f"<sip:alice@{REALM}>"
        assert BINDING_PARAM not in request.to_bytes().decode()
        assert request.get("route") is None

    def test_what_follows_in_the_dialog_does_not_name_it_either(self, phone: Phone) -> None:
        phone.register()
        to = f"sip:alice@{REALM};{BINDING_PARAM}={phone.bindings[0].id};tag=9"
        bye = worker_invite("sip:alice@192.0.2.99:5070", method="BYE", To=to)
        request, _ = phone.scene.request(bye, W1)
        assert request.get("to") == f"sip:alice@{REALM};tag=9"

    def test_over_tcp_it_takes_the_phones_connection(self, scene: Scene) -> None:
        phone = Phone(scene, PHONE_TCP)
        phone.register()
        outputs = scene.give(dialled(phone.bindings[0]), W1)
        assert isinstance(outputs[0], Send)
        assert outputs[0].to == PHONE_TCP
        assert outputs[0].otherwise is not None
        assert b"480" in outputs[0].otherwise.data.partition(b"\r\n")[0]

    def test_the_cancel_follows_even_when_the_phone_has_left(self, phone: Phone) -> None:
        phone.register()
        binding = phone.bindings[0]
        phone.scene.give(dialled(binding), W1)
        phone.register(Expires="0")
        request, to = phone.scene.request(dialled(binding, method="CANCEL"), W1)
        assert (request.uri, to) == ("sip:alice@10.0.0.5:5060", PHONE)

    def test_a_phone_that_is_not_there_any_more_is_480(self, phone: Phone) -> None:
        phone.register(Expires="60")
        binding = phone.bindings[0]
        phone.scene.now += 61
        assert phone.scene.status(dialled(binding), W1) == 480

    def test_what_follows_in_the_dialog_goes_to_the_phone_too(self, phone: Phone) -> None:
        phone.register()
        request, _ = phone.scene.request(dialled(phone.bindings[0]), W1)
        ok = answer(request, 200, contact="<sip:alice@10.0.0.5:5060>")
        response, to = phone.scene.response(ok, PHONE)
        assert to == W1
        route = response.get("record-route") or ""
        ack = worker_invite(
            "sip:alice@10.0.0.5:5060",
            method="ACK",
            Route=route,
            To=f"{AOR};tag=tt",
            Via=ACK_VIA,
        )
        sent, to = phone.scene.request(ack, W1)
        assert (sent.uri, to) == ("sip:alice@10.0.0.5:5060", PHONE)

    def test_a_changed_route_leads_nowhere_new(self, phone: Phone) -> None:
        phone.register()
        request, _ = phone.scene.request(dialled(phone.bindings[0]), W1)
        response, _ = phone.scene.response(answer(request, 200, contact="<sip:alice@192.0.2.50>"), PHONE)
        route = (response.get("record-route") or "").replace("c6336409", "c6336401")
        ack = worker_invite("sip:alice@192.0.2.50", method="ACK", Route=route, To=f"{AOR};tag=tt")
        assert phone.scene.request(ack, W1)[1] == Flow("outer", "udp", "192.0.2.50", 5060)

    def test_through_a_path_it_goes_to_the_proxy(self, phone: Phone) -> None:
        phone.register(Path="<sip:192.0.2.200:5080;lr>", Supported="path")
        request, to = phone.scene.request(dialled(phone.bindings[0]), W1)
        assert (to.host, to.port) == ("192.0.2.200", 5080)
        assert request.all("route") == ["<sip:192.0.2.200:5080;lr>"]


class TestCallsOfPhones:
    def call(self, phone: Phone, *, from_: str = "alice", **headers: Any) -> list[Output]:
        data = self.data(phone, from_=from_, **headers)
        refused, _ = phone.scene.response(data, phone.flow)
        assert refused.status == 401
        changed = data.replace(b"CSeq: 1 ", b"CSeq: 2 ").replace(
            b"branch=z9hG4bKcall", b"branch=z9hG4bKagain"
        )
        return phone.scene.give(proving(changed, refused, phone.user, phone.password), phone.flow)

    def data(self, phone: Phone, *, from_: str = "alice", **headers: Any) -> bytes:
        return invite(
            f"sip:bob@{REALM}",
            **{
                "Via": "SIP/2.0/UDP 10.0.0.5:5060;rport;branch=z9hG4bKcall",
                "From": f"<sip:{from_}@{REALM}>;tag=p",
                "Contact": "<sip:alice@10.0.0.5:5060>",
                **headers,
            },
        )

    def test_a_proven_user_is_told_to_the_controller(self, phone: Phone) -> None:
        outputs = self.call(phone)
        request, to = only(outputs)
        assert isinstance(request, Request)
        assert to == W1
        assert origin(outputs).user == "alice"
        assert request.get("authorization") is None

    def test_the_worker_reaches_it_where_it_called_from(self, phone: Phone) -> None:
        request, _ = only(self.call(phone))
        route = request.get("record-route") or ""
        bye = worker_invite("sip:alice@10.0.0.5:5060", method="BYE", Route=route, To=f"{AOR};tag=p")
        assert phone.scene.request(bye, W1)[1] == PHONE

    def test_another_users_name_in_from_is_forbidden(self, phone: Phone) -> None:
        response, _ = only(self.call(phone, from_="bob"))
        assert isinstance(response, Response)
        assert response.status == 403

    def test_no_name_in_from_is_its_right(self, phone: Phone) -> None:
        assert only(self.call(phone, from_="anonymous"))[1] == W1

    def test_nobody_outside_may_say_who_the_user_is(self, scene: Scene) -> None:
        outputs = scene.give(invite(X_B2bua_User="alice"))
        assert origin(outputs).user == ""
        assert cast(Request, only(outputs)[0]).get("x-b2bua-user") is None

    def test_where_no_digest_is_needed_the_registered_source_tells_the_user(self, scene: Scene) -> None:
        phone = Phone(scene, CALLER)
        phone.register("<sip:alice@192.0.2.1>")
        assert origin(scene.give(self.data(phone), CALLER)).user == "alice"

    def test_a_retransmission_is_not_challenged_again(self, phone: Phone) -> None:
        first, data = only(self.call(phone))[0], self.data(phone)
        assert isinstance(first, Request)
        again = data.replace(b"CSeq: 1 ", b"CSeq: 2 ").replace(b"branch=z9hG4bKcall", b"branch=z9hG4bKagain")
        request, to = phone.scene.request(again, phone.flow)
        assert (request.method, to) == ("INVITE", W1)


class TestGuessing:
    def test_wrong_passwords_lead_to_silence_that_grows(self, phone: Phone) -> None:
        phone.guess()
        data = phone.request("<sip:a@h>", CSeq="99 REGISTER")
        assert phone.scene.give(data, PHONE) == []
        phone.scene.now += 2.1
        assert phone.scene.status(data, PHONE) == 401
        phone.guess()
        phone.scene.now += 2.1
        assert phone.scene.give(data, PHONE) == []
        phone.scene.now += 2.1
        assert phone.scene.status(data, PHONE) == 401
        refused = [
            each for each in phone.scene.proxy.tick(phone.scene.now) if not isinstance(each, BindingsChanged)
        ]
        assert [each.reason for each in refused] == ["guessing"]

    def test_registered_phones_at_that_address_are_still_served(self, phone: Phone) -> None:
        phone.register()
        guesser = Phone(phone.scene, Flow("outer", "udp", PHONE.host, 50000), "bob")
        guesser.guess()
        assert guesser.scene.give(guesser.request("<sip:b@h>", CSeq="99 REGISTER"), guesser.flow) == []
        assert phone.register().status == 200

    def test_strangers_who_only_try_are_silenced_too(self, scene: Scene) -> None:
        answers = [scene.give(invite(Call_ID=str(n)), STRANGER) for n in range(50)]
        assert answers[0] and not answers[-1]
        assert scene.request(invite(Call_ID="good"))[1] == W1
