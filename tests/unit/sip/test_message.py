"""Messages: what is accepted, refused, and passed on unchanged. The cases follow RFC 4475's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2bua.core.errors import PeerError
from b2bua.sip.message import (
    Request,
    Response,
    frame_length,
    header_tuples,
    make_response,
    parse_message,
)

pytestmark = pytest.mark.unit

LINES = (
    "INVITE sip:bob@biloxi.test SIP/2.0",
    "Via: SIP/2.0/UDP 192.0.2.4:5061;branch=z9hG4bK776asdhds;rport",
    "Via: SIP/2.0/TCP 192.0.2.3;branch=z9hG4bK1",
    "Max-Forwards: 70",
    "To: Bob <sip:bob@biloxi.test>",
    "From: Alice <sip:alice@atlanta.test>;tag=1928301774",
    "Call-ID: a84b4c76e66710",
    "CSeq: 314159 INVITE",
    "Content-Length: 4",
)


def message(*changed: str, body: str = "v=0\n", drop: str = "") -> bytes:
    """An INVITE in which ``changed`` replaces lines of the same name; others are added."""
    lines = list(LINES)
    for line in changed:
        name = line.split(":", 1)[0].strip().lower()
        places = [i for i, old in enumerate(lines) if old.split(":", 1)[0].lower() == name]
        if places:
            lines[places[0]] = line
        else:
            lines.append(line)
    lines = [line for line in lines if not drop or not line.startswith(drop)]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def parsed(*changed: str, **kw: str) -> Request:
    result = parse_message(message(*changed, **kw))
    assert isinstance(result, Request)
    return result


class TestTaken:
    def test_an_untouched_message_leaves_byte_for_byte(self) -> None:
        data = message()
        assert parse_message(data).to_bytes() == data

    def test_the_parts_that_routing_needs(self) -> None:
        request = parsed()
        assert (request.method, request.uri) == ("INVITE", "sip:bob@biloxi.test")
        assert (request.call_id, request.from_tag, request.to_tag) == ("a84b4c76e66710", "1928301774", "")
        assert (request.cseq_number, request.cseq_method) == (314159, "INVITE")
        assert request.top_via.branch == "z9hG4bK776asdhds"
        assert request.top_via.rport == ""

    def test_compact_names(self) -> None:
        data = message(drop="Call-ID").replace(b"CSeq", b"i: short\r\nCSeq")
        assert parse_message(data).call_id == "short"

    def test_folded_lines(self) -> None:
        request = parsed("To: Bob\r\n <sip:bob@biloxi.test>\r\n\t;tag=9")
        assert request.to_tag == "9"

    def test_blanks_around_the_colon(self) -> None:
        assert parsed("Call-ID  :   spaced").call_id == "spaced"

    def test_a_tag_in_a_quoted_name_is_no_tag(self) -> None:
        assert parsed('To: ";tag=fake" <sip:bob@biloxi.test;tag=no>').to_tag == ""

    def test_bytes_beyond_the_content_length_are_dropped(self) -> None:
        assert parse_message(message(body="v=0\nrubbish")).body == b"v=0\n"

    def test_a_response(self) -> None:
        data = message().replace(LINES[0].encode(), b"SIP/2.0 180 Ringing")
        response = parse_message(data)
        assert isinstance(response, Response)
        assert (response.status, response.reason) == (180, "Ringing")

    def test_a_response_without_a_phrase(self) -> None:
        response = parse_message(message().replace(LINES[0].encode(), b"SIP/2.0 200 "))
        assert isinstance(response, Response)
        assert response.reason == ""

    def test_bytes_that_are_no_utf8_survive(self) -> None:
        data = message().replace(b"Alice", b"Al\xe9ce")
        request = parse_message(data)
        assert request.to_bytes() == data
        assert dict(header_tuples(request))["From"].startswith("Al\ufffdce")


class TestRefused:
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\r\n\r\n",
            b"hello",
            message(drop="Via"),
            message(drop="From"),
            message(drop="To"),
            message(drop="Call-ID"),
            message(drop="CSeq"),
            message("CSeq: 1 BYE"),
            message("CSeq: 99999999999 INVITE"),
            message("CSeq: one INVITE"),
            message("Content-Length: -4"),
            message("Content-Length: 40"),
            message("Content-Length: four"),
            message().replace(b"Max-Forwards: 70", b"Call-ID: another"),
            message().replace(b"SIP/2.0\r\n", b"SIP/7.0\r\n", 1),
            message().replace(b"INVITE sip:bob@biloxi.test ", b"INVITE  sip:bob@biloxi.test  "),
            message().replace(b"Max-Forwards: 70", b"Max Forwards: 70"),
            message().replace(b"Max-Forwards: 70", b"no colon"),
            message().replace(b"Max-Forwards: 70", b"X: a\nInjected: 1"),
            message("X-Long: " + "a" * 9000),
            message(*[f"X-{n}: 1" for n in range(250)]),
            b"A" * 70000,
        ],
    )
    def test_what_is_malformed(self, data: bytes) -> None:
        with pytest.raises(PeerError):
            parse_message(data)

    @given(st.binary(max_size=400))
    def test_any_bytes_are_a_message_or_an_error(self, data: bytes) -> None:
        try:
            parse_message(data)
        except PeerError as error:
            assert 400 <= error.sip_status_hint < 500

    @given(st.integers(0, len(message())), st.binary(max_size=8))
    def test_a_damaged_message_is_a_message_or_an_error(self, place: int, damage: bytes) -> None:
        data = message()
        try:
            result = parse_message(data[:place] + damage + data[place + len(damage) :])
        except PeerError:
            return
        header_tuples(result)
        parse_message(result.to_bytes())


class TestEdited:
    def test_a_via_is_put_on_top_and_taken_away(self) -> None:
        request = parsed()
        request.prepend("via", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKnew")
        assert request.top_via.branch == "z9hG4bKnew"
        assert len(request.all("via")) == 3
        request.remove_first_value("via")
        assert request.to_bytes() == message()

    def test_the_first_of_a_comma_list_is_taken_alone(self) -> None:
        request = parsed("Route: <sip:a;lr>, <sip:b;lr>")
        request.remove_first_value("route")
        assert request.all("route") == ["<sip:b;lr>"]
        request.remove_first_value("route")
        assert request.get("route") is None

    def test_the_first_of_a_comma_list_is_replaced_alone(self) -> None:
        request = parsed('Contact: "a, b" <sip:a@x>, <sip:b@x>')
        request.replace_first("contact", "<sip:c@x>")
        assert request.all("contact") == ["<sip:c@x>", "<sip:b@x>"]

    def test_another_body_has_its_length(self) -> None:
        request = parsed()
        request.set_body(b"abc", "text/plain")
        again = parse_message(request.to_bytes())
        assert (again.body, again.get("content-type")) == (b"abc", "text/plain")

    def test_a_response_copies_what_it_must(self) -> None:
        request = parsed("Record-Route: <sip:p;lr>")
        response = make_response(request, 404, to_tag="t", headers=(("X-A", "1"),))
        text = response.to_bytes().decode()
        assert text.startswith("SIP/2.0 404 Not Found\r\n")
        assert response.to_tag == "t"
        assert response.all("via") == request.all("via")
        assert response.get("record-route") is None
        assert make_response(request, 200).get("record-route") == "<sip:p;lr>"
        assert request.to_tag == ""


class TestFraming:
    def test_a_message_is_found_at_the_start_of_a_stream(self) -> None:
        data = message()
        for end in range(len(data)):
            assert frame_length(data[:end]) is None
        assert frame_length(data + b"INVITE") == len(data)

    def test_a_stream_needs_a_content_length(self) -> None:
        with pytest.raises(PeerError):
            frame_length(message(drop="Content-Length"))

    def test_a_stream_that_never_ends_its_headers_is_given_up(self) -> None:
        with pytest.raises(PeerError):
            frame_length(b"A" * 70000)

    def test_a_message_that_would_be_too_large_is_given_up(self) -> None:
        with pytest.raises(PeerError):
            frame_length(message("Content-Length: 900000"))
