"""Headers that the workers' library cannot read are carried around it, and the peer gets them back."""

from base64 import urlsafe_b64encode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from b2bua.core.errors import PeerError
from b2bua.sip.carry import read_message
from b2bua.sip.mend import refine
from b2bua.sip.message import Response, parse_message
from b2bua.sip.values import split_name_addr
from tests.unit.sip.edge_scene import CALLEE, PUBLIC, W1, Scene, answer, invite, only, worker_invite

pytestmark = pytest.mark.unit

CONTACTS = [
    ("<sip:192.0.2.77:5062;HostName=cmFkaGE=;x=0>", "sip:192.0.2.77:5062;HostName=cmFkaGE=;x=0"),
    ("<sip:bob@192.0.2.77:5062;vsf=AA=>;q=high", "sip:bob@192.0.2.77:5062;vsf=AA="),
    ('"unknown" sip:bob@192.0.2.77:5062', "sip:bob@192.0.2.77:5062"),
    ('sip:bob@192.0.2.77:5062;+sip.instance="<urn:gsma:imei:1>";audio', "sip:bob@192.0.2.77:5062"),
    ("<sip:bob@192.0.2.77:5062>;", "sip:bob@192.0.2.77:5062"),
    ("<sip:bob@192.0.2.77:5062;>", "sip:bob@192.0.2.77:5062;"),
    ("<sip:{bob}@192.0.2.77:5062>", "sip:{bob}@192.0.2.77:5062"),
    ("<sip:bob@192.0.2.77:5062;b2bua-carried=YQ>", "sip:bob@192.0.2.77:5062;b2bua-carried=YQ"),
    ("<sip:bob@192.0.2.77:5062;a=b c>", "sip:bob@192.0.2.77:5062"),
    ("<sip:bob@192.0.2.77:5062", "sip:bob@192.0.2.77:5062"),
    ('"a <sip:bob@192.0.2.77:5062>', "sip:bob@192.0.2.77:5062"),
]
"""Contact of a 200, and the destination of the ACK."""


def accepted(scene: Scene, *, contact: str, routes: str = "", to: str = "") -> Response:
    """The 200 that a worker receives for its INVITE."""
    request, _ = scene.request(worker_invite(), W1)
    response = parse_message(answer(request, 200, contact=contact))
    if routes:
        response.prepend("Record-Route", routes)
    if to:
        response.replace_first("to", to)
    found, to_flow = scene.response(response.to_bytes(), CALLEE)
    assert to_flow == W1
    return found


def ack(scene: Scene, response: Response) -> bytes:
    """How the library reads that 200 (RFC 3261 §12.2.1.1)."""
    contact = response.get("contact")
    assert contact is not None
    routes = ", ".join(reversed(response.all("record-route")))
    return worker_invite(
        split_name_addr(contact)[1],
        method="ACK",
        To=response.get("to"),
        Route=routes,
        Via="SIP/2.0/UDP 127.0.0.1:10001;rport;branch=z9hG4bKack",
    )


class TestACalleesContact:
    @pytest.mark.parametrize(("contact", "uri"), CONTACTS)
    def test_gets_the_ack(self, contact: str, uri: str) -> None:
        scene = Scene()
        request, to = scene.request(ack(scene, accepted(scene, contact=contact)), W1)
        assert (request.uri, to.host, to.port) == (uri, "192.0.2.77", 5062)

    @pytest.mark.parametrize("contact", ["nonsense", "<>", "<mailto:bob@example.com>", "<sip:>"])
    def test_that_names_no_address_is_left_out(self, contact: str) -> None:
        """The library then continues with the URI of its INVITE."""
        assert accepted(Scene(), contact=contact).get("contact") is None

    def test_of_ours_is_no_phones(self) -> None:
        """Only a worker names the phone of a user that is meant."""
        scene = Scene()
        contact = "<sip:bob@192.0.2.77:5062;b2bua-binding=01>"
        request, to = scene.request(ack(scene, accepted(scene, contact=contact)), W1)
        assert (request.uri, to.host) == ("sip:bob@192.0.2.77:5062;b2bua-binding=01", "192.0.2.77")

    def test_of_a_302_is_told_as_it_came(self) -> None:
        scene = Scene()
        request, _ = scene.request(worker_invite(), W1)
        contact = '"unknown" sip:x@192.0.2.77, <sip:y@192.0.2.77;a=b=>;q=0.5'
        moved, _ = only(scene.give(answer(request, 302, contact=contact), CALLEE))
        told = read_message(moved.to_bytes())
        assert told.get("contact") == '"unknown" <sip:x@192.0.2.77>, <sip:y@192.0.2.77;a=b=>;q=0.5'


@pytest.mark.parametrize(
    "value",
    [
        "<sip:192.0.2.66;lr;vsf=AA=>",
        '"a=" <sip:192.0.2.66;lr;did=x|y>;z=1=2',
        "<sip:192.0.2.66;lr>;",
        "<sip:192.0.2.66;lr;ftag=b2bua-1>",
    ],
)
def test_a_record_route_comes_back_as_a_route(value: str) -> None:
    scene = Scene()
    response = accepted(scene, contact="<sip:bob@192.0.2.77>", routes=f"<sip:192.0.2.65;lr>, {value}")
    request, to = scene.request(ack(scene, response), W1)
    assert to.host == "192.0.2.66"
    assert request.all("route") == [value, "<sip:192.0.2.65;lr>"]


@pytest.mark.parametrize(
    ("to", "tag"),
    [("<sip:bob@h>;tag=x;", "x"), ("<sip:bob@h>;tag=a=b", "a=b"), ("<<>>;tag=x;y", "x"), ("b@h;tag=x", "x")],
)
def test_a_callees_tag_comes_back(to: str, tag: str) -> None:
    scene = Scene()
    response = accepted(scene, contact="<sip:bob@192.0.2.77>", to=to)
    request, _ = scene.request(ack(scene, response), W1)
    assert request.to_tag == tag


class TestACallersHeaders:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("From", "<sip:ann@192.0.2.1;x=AA=>;tag=fa"),
            ("From", "<sip:ann@192.0.2.1>;tag=a=b"),
            ("From", "<sip:änn@192.0.2.1>;tag=fa"),
            ("To", "<urn:service:sos>"),
            ("To", "<sip:+1 415@sip.example.com>"),
            ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa, SIP/2.0/TCP h;received=2001:db8::9"),
            ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa, SIP/2.0/UDP h;rport=x;branch=b=, nonsense"),
            ("Record-Route", "<sip:192.0.2.66;lr;vsf=AA=>, <sip:192.0.2.65;lr>"),
        ],
    )
    def test_are_in_the_response(self, name: str, value: str) -> None:
        scene = Scene()
        request, to = scene.request(invite(**{name.replace("-", "_"): value}))
        assert to == W1
        response, back = scene.response(answer(request, 200, contact="<sip:w1@127.0.0.1:10001>"), W1)
        assert back.host == "192.0.2.1"
        given = parse_message(invite(**{name.replace("-", "_"): value})).all(name.lower())
        found = response.all(name.lower())
        kept = found[-len(given) :] if name == "Record-Route" else found
        if name == "Via":
            given, kept = given[1:], kept[1:]
        assert [each.partition(";tag=tt")[0] for each in kept] == given

    def test_a_dialog_is_known_by_a_tag_that_is_carried(self) -> None:
        scene = Scene()
        request, _ = scene.request(invite(From="<sip:ann@192.0.2.1>;tag=a=b"))
        assert request.from_tag == "b2bua-613d62"
        own = {"From": "<sip:100@h>;tag=tt", "To": "<sip:ann@192.0.2.1>;tag=b2bua-613d62"}
        bye, to = scene.request(worker_invite("sip:ann@192.0.2.1", method="BYE", Call_ID="call-1", **own), W1)
        assert (bye.to_tag, to.host) == ("a=b", "192.0.2.1")
        theirs = {"From": "<sip:ann@192.0.2.1>;tag=a=b", "To": "<sip:100@h>;tag=tt"}
        bye, to = scene.request(invite(f"sip:x@{PUBLIC}", method="BYE", **theirs))
        assert (bye.from_tag, to) == ("b2bua-613d62", W1)

    def test_what_a_worker_reads_is_what_came(self) -> None:
        sent = '"A" "B" <sip:ann@192.0.2.1;x=AA=>;tag=a=b'
        request, _ = Scene().request(invite(From=sent))
        assert read_message(request.to_bytes()).get("from") == '"A \\"B\\"" <sip:ann@192.0.2.1;x=AA=>;tag=a=b'

    def test_a_refusal_has_them_too(self) -> None:
        scene = Scene(max_calls=0)
        response, _ = scene.response(invite(From="<sip:ann@192.0.2.1;x=AA=>;tag=fa"))
        assert (response.status, response.get("from")) == (503, "<sip:ann@192.0.2.1;x=AA=>;tag=fa")

    def test_a_route_is_the_edges_business(self) -> None:
        request, to = Scene().request(invite(Route=f"<sip:{PUBLIC};lr>, <sip:h;lr;vsf=AA=>"))
        assert (request.get("route"), to) == (None, W1)


class TestWhatAnApplicationWrites:
    @pytest.mark.parametrize("token", ["DQpYOiB5", "YSBi", "%%%", "A", ""])
    def test_begins_no_line_and_no_other_request(self, token: str) -> None:
        uri = f"sip:carried.invalid;b2bua-carried={token}"
        outputs = Scene().give(worker_invite(uri), W1)
        assert b"\r\nX: y" not in repr(outputs).encode()
        assert "sip:a b" not in repr(outputs)


DAMAGED = [
    (b"Contact:", b"no header at all\r\nContact:"),
    (b"Contact:", b"P-Odd Name: 1\r\nContact:"),
    (b"Contact:", b"X-Null: \0\r\nContact:"),
    (b"Content-Length: 0", b"Content-Length: none"),
    (b"Content-Length: 0", b"Content-Length: 0\r\nContent-Length: 0"),
    (b"Call-ID:", b"i: leg-1\r\nCall-ID:"),
]


@pytest.mark.parametrize("status", [183, 200, 302, 486])
@pytest.mark.parametrize(("place", "damage"), DAMAGED)
def test_a_response_survives_its_damage(status: int, place: bytes, damage: bytes) -> None:
    scene = Scene()
    request, _ = scene.request(worker_invite(), W1)
    sent = answer(request, status, contact="<sip:bob@192.0.2.99>")
    response, to = scene.response(sent.replace(place, damage, 1), CALLEE)
    assert (response.status, response.get("contact"), to) == (status, "<sip:bob@192.0.2.99>", W1)


def test_a_response_that_was_cut_off_is_discarded() -> None:
    """RFC 3261 §18.3: the peer will retransmit it."""
    scene = Scene()
    request, _ = scene.request(worker_invite(), W1)
    sent = answer(request, 200, contact="<sip:bob@192.0.2.99>")
    with pytest.raises(PeerError):
        scene.give(sent.replace(b"Content-Length: 0", b"Content-Length: 10"), CALLEE)


@given(st.text(st.characters(blacklist_characters="\r\n\0", blacklist_categories=("Cs",)), max_size=60))
@example(";a==")
@example("?<>")
def test_any_parameters_of_a_contact_come_back(text: str) -> None:
    """Characters that a Request-URI can contain at all."""
    scene = Scene()
    uri = f"sip:bob@192.0.2.77:5062;x={text}"
    response = accepted(scene, contact=f"<{uri}>")
    request, to = scene.request(ack(scene, response), W1)
    writable = not any(char in '<>"?,' or char.isspace() or char < "!" or char == "\x7f" for char in text)
    assert (to.host, to.port) == ("192.0.2.77", 5062)
    assert request.uri == uri if writable else request.uri.startswith("sip:bob@192.0.2.77:5062")


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126, blacklist_characters=';<>",\\'), min_size=1)
)
def test_any_tag_comes_back(tag: str) -> None:
    scene = Scene()
    request, _ = scene.request(worker_invite(), W1)
    response = parse_message(answer(request, 200, contact="<sip:bob@192.0.2.99>"))
    response.replace_first("to", f"<sip:bob@192.0.2.99>;tag={tag}")
    refine(response)
    shown = parse_message(response.to_bytes())
    assert all(char not in shown.to_tag for char in '=@"[]{}')
    assert read_message(response.to_bytes()).to_tag == tag


FORGED = b'x" <sip:ceo@bank.example>;z="'
STAND_IN = "sip:carried.invalid;b2bua-carried=" + urlsafe_b64encode(FORGED).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "party",
    [
        f'"{STAND_IN}" <sip:mallory@node.test>;tag=1',
        f'"tag=b2bua-{FORGED.hex()}" <sip:mallory@node.test>;tag=1',
        f"<sip:tag=b2bua-{b'ceo'.hex()}@node.test>;tag=1",
        f"{STAND_IN} <sip:mallory@node.test>;tag=1",
    ],
)
def test_a_stand_in_among_a_peers_own_words_stays_what_it_is(party: str) -> None:
    """A caller's display name and user go unchanged into the From of our INVITE."""
    request, _ = Scene().request(worker_invite(From=party), W1)
    assert request.get("from") == party
    assert b"bank.example" not in request.to_bytes()
