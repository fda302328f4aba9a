"""URIs, name-addrs, Vias and lists of values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2bua.core.errors import PeerError
from b2bua.sip.uri import parse_uri
from b2bua.sip.values import parse_name_addr, parse_via, split_values

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "user", "host", "port"),
    [
        ("sip:bob@biloxi.test", "bob", "biloxi.test", None),
        ("sip:biloxi.test:5070", "", "biloxi.test", 5070),
        ("sips:bob:secret@biloxi.test;transport=TCP;lr", "bob", "biloxi.test", None),
        ("sip:+1-212-555-1212@[2001:db8::1]:5061", "+1-212-555-1212", "[2001:db8::1]", 5061),
        ("tel:+12125551212;phone-context=x", "+12125551212", "", None),
        ("SIP:bob@biloxi.test?Replaces=a%3Bb", "bob", "biloxi.test", None),
        ("sip:1;phone-context=a@biloxi.test", "1;phone-context=a", "biloxi.test", None),
    ],
)
def test_uris(text: str, user: str, host: str, port: int | None) -> None:
    uri = parse_uri(text)
    assert (uri.user, uri.host, uri.port) == (user, host, port)


def test_uri_parameters() -> None:
    uri = parse_uri("sip:a@b;transport=TCP;lr;x=")
    assert uri.param("transport") == "tcp"
    assert uri.param("lr") == ""
    assert uri.param("maddr") is None
    assert str(uri) == "sip:a@b;transport=TCP;lr;x="
    assert str(parse_uri("sip:a@b:5?h=1")) == "sip:a@b:5?h=1"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("http://x", 416),
        ("urn:service:sos", 416),
        ("sip:", 400),
        ("sip:a b@c", 400),
        ("sip:a@b:99999", 400),
        ("nothing", 400),
        ("", 400),
        ("sip:" + "a" * 2000 + "@b", 414),
    ],
)
def test_what_is_no_uri(text: str, status: int) -> None:
    with pytest.raises(PeerError) as caught:
        parse_uri(text)
    assert caught.value.sip_status_hint == status


@pytest.mark.parametrize(
    ("text", "display", "user", "tag"),
    [
        ("<sip:a@b>", "", "a", None),
        ('"A. B, \\"C\\"" <sip:a@b;x=1>;tag=7', 'A. B, "C"', "a", "7"),
        ("Bob  <sip:a@b>", "Bob", "a", None),
        ("sip:a@b;tag=7", "", "a", "7"),
    ],
)
def test_name_addrs(text: str, display: str, user: str, tag: str | None) -> None:
    value = parse_name_addr(text)
    assert (value.display, value.uri.user, value.param("tag")) == (display, user, tag)


@pytest.mark.parametrize("text", ["", "<", '"open <sip:a@b>', "<http://x>", 'Bob "x" <sip:a@b'])
def test_what_is_no_name_addr(text: str) -> None:
    with pytest.raises(PeerError):
        parse_name_addr(text)


def test_a_via_and_where_it_was_seen_from() -> None:
    via = parse_via("SIP / 2.0 / UDP first.test: 4000;ttl=16;branch=z9hG4bKa;rport")
    assert (via.transport, via.host, via.port, via.branch, via.rport) == (
        "UDP",
        "first.test",
        4000,
        "z9hG4bKa",
        "",
    )
    seen = via.seen_from("192.0.2.1", 9)
    assert (seen.received, seen.rport) == ("192.0.2.1", "9")
    assert parse_via(str(seen)) == seen
    plain = parse_via("SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKa")
    assert plain.seen_from("192.0.2.1", 5060) == plain
    assert plain.seen_from("192.0.2.2", 5060).received == "192.0.2.2"
    assert plain.rport is None


@pytest.mark.parametrize("text", ["", "SIP/2.0/UDP", "SIP/3.0/UDP a", "SIP/2.0/UDP a:0", "SIP/2.0/UDP a b"])
def test_what_is_no_via(text: str) -> None:
    with pytest.raises(PeerError):
        parse_via(text)


def test_values_are_split_outside_quotes_and_brackets() -> None:
    assert split_values('"a, \\", b" <sip:a,b@c>, <sip:d>,, e') == ['"a, \\", b" <sip:a,b@c>', "<sip:d>", "e"]
    assert split_values(" one ") == ["one"]


@given(st.text(max_size=80))
def test_any_text_is_a_value_or_an_error(text: str) -> None:
    for parse in (parse_uri, parse_name_addr, parse_via):
        try:
            parse(text)
        except PeerError:
            continue
    split_values(text)
