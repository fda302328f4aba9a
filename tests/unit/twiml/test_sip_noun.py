"""The text of a Sip: address and headers, and what may not be sent."""

import pytest

from b2bua.twiml.sip_noun import MAX_HEADERS, MAX_URI, parse_sip_target

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("sip:alice@example.com", "sip:alice@example.com"),
        ("  sip:alice@example.com\n", "sip:alice@example.com"),
        ("alice@example.com", "sip:alice@example.com"),
        ("SIP:Alice@Example.com", "sip:Alice@Example.com"),
        ("sips:alice@example.com", "sips:alice@example.com"),
        ("example.com", "sip:example.com"),
        ("example.com:5060", "sip:example.com:5060"),
        ("sip:192.0.2.1:5061;transport=tls", "sip:192.0.2.1:5061;transport=tls"),
        ("sip:a@h;transport=UDP", "sip:a@h;transport=UDP"),
        ("sip:a@h;user=phone;transport=tcp;lr", "sip:a@h;user=phone;transport=tcp;lr"),
        ("sip:+14155550123;phone-context=x@h", "sip:+14155550123;phone-context=x@h"),
        ("sip:a%20b@h", "sip:a%20b@h"),
        ("sip:*72%23@h", "sip:*72%23@h"),
        ("sip:a@[2001:db8::1]:5060", "sip:a@[2001:db8::1]:5060"),
        ("sip:a@my_container", "sip:a@my_container"),
        ("sip:a@example.com.", "sip:a@example.com."),
        ("sip:" + "a" * (MAX_URI - 6) + "@h", "sip:" + "a" * (MAX_URI - 6) + "@h"),
    ],
)
def test_an_address_is_taken_with_its_scheme(text, uri):
    target = parse_sip_target(text)

    assert (target.uri, target.headers, target.findings) == (uri, (), ())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip:",
        "sip:@h",
        "sip:a@",
        "sip:a b@h",
        "sip:a@h h",
        "sip:alice:secret@h",
        "tel:+14155550123",
        "http://example.com/",
        "<sip:alice@example.com>",
        '"Ann" <sip:alice@example.com>',
        "sip:é@h",
        "sip:a@münchen.example",
        "sip:a%2@h",
        "sip:a#b@h",
        "sip:a@h:0",
        "sip:a@h:65536",
        "sip:a@h:123456",
        "sip:a@h;",
        "sip:a@h;x=",
        "sip:a@-h",
        "sip:a@h;transport=ws",
        "sip:a@h;TRANSPORT=sctp",
        "sip:a@h;transport=udp;transport=x",
        "sip:a@h\r\nX-Evil: 1",
        "sip:" + "a" * (MAX_URI - 5) + "@h",
    ],
)
def test_what_is_no_address_is_an_error_where_it_stands(text):
    target = parse_sip_target(text + "?x-a=1", line=3, column=7)

    assert (target.uri, target.headers) == ("", ())
    (finding,) = target.findings
    assert (finding.number, finding.severity, finding.line, finding.column) == (13243, "error", 3, 7)


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("", ()),
        ("&&", ()),
        ("x-a=1", (("x-a", "1"),)),
        ("X-A=1&X-B=2", (("X-A", "1"), ("X-B", "2"))),
        ("x-a=1&x-a=2", (("x-a", "1"), ("x-a", "2"))),
        ("x-a", (("x-a", ""),)),
        ("x-a=", (("x-a", ""),)),
        ("x-a=b=c?d", (("x-a", "b=c?d"),)),
        ("x-a=1+2%2B3%20%26%3D", (("x-a", "1+2+3 &="),)),
        ("x-a=caf%C3%A9", (("x-a", "café"),)),
        ("x-a=%FF", (("x-a", "\ufffd"),)),
        ("%78-a=1", (("x-a", "1"),)),
        ("User-to-User=0A1B%3Bencoding%3Dhex", (("User-to-User", "0A1B;encoding=hex"),)),
        ("Remote-Party-ID=%3Csip%3Aa%40b%3E", (("Remote-Party-ID", "<sip:a@b>"),)),
        (
            "p-preferred-identity=a&P-Called-Party-ID=b",
            (("p-preferred-identity", "a"), ("P-Called-Party-ID", "b")),
        ),
        ("x-a=b%0D%0AX-Evil%3A%201", (("x-a", "bX-Evil: 1"),)),
        ("x-a=%00%09%7F1%20", (("x-a", "1"),)),
        ("x-a=" + "v" * (MAX_HEADERS - 4), (("x-a", "v" * (MAX_HEADERS - 4)),)),
    ],
)
def test_allowed_headers_are_taken_in_order_unescaped_and_on_one_line(query, headers):
    target = parse_sip_target(f"sip:a@h;transport=tcp?{query}")

    assert (target.uri, target.headers, target.findings) == ("sip:a@h;transport=tcp", headers, ())


@pytest.mark.parametrize(
    "name",
    [
        "Route",
        "From",
        "Contact",
        "Subject",
        "P-Asserted-Identity",
        "customheader",
        "x-",
        "x",
        "",
        "x-a%20b",
        "x-a%3A",
        "x-a%0D%0AVia",
        "x-caf%C3%A9",
        "X-B2BUA-Worker",
        "x-b2bua-",
        "X-Twilio-CallSid",
        "x-twilio-accountsid",
    ],
)
def test_any_other_header_is_dropped_with_a_warning_and_the_rest_stays(name):
    target = parse_sip_target(f"sip:a@h?x-a=1&{name}=evil&x-b=2")

    assert target.uri == "sip:a@h"
    assert target.headers == (("x-a", "1"), ("x-b", "2"))
    (finding,) = target.findings
    assert (finding.number, finding.severity) == (13252, "warning")
    assert "\r" not in finding.text
    assert "\n" not in finding.text
    assert "evil" not in finding.text


def test_too_long_headers_are_all_dropped():
    target = parse_sip_target("sip:a@h?x-a=" + "v" * (MAX_HEADERS - 3))

    assert (target.uri, target.headers) == ("sip:a@h", ())
    assert [finding.number for finding in target.findings] == [13253]
