"""Messages that the edge passes to a worker, read by the library's own parser."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from b2bua.core.errors import PeerError
from b2bua.sip.mend import refine
from b2bua.sip.message import Response, parse_message
from tests.effort import examples
from tests.sip.library_reader import LibraryReader

pytestmark = pytest.mark.sip

USUAL = {
    "Via": "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKx",
    "From": "<sip:a@b>;tag=1",
    "To": "<sip:c@d>;tag=2",
    "Call-ID": "x",
    "CSeq": "1 INVITE",
    "Contact": "<sip:a@b>",
}
START = {"response": "SIP/2.0 200 OK", "request": "INVITE sip:a@b SIP/2.0"}

SEEN = [
    "Contact: <sip:h:5060;HostName=cmFkaGE=;x=0>",
    'Contact: "unknown" sip:x@h',
    'Contact: sip:x@h;+sip.instance="<urn:gsma:imei:1>";audio',
    "Contact: <sip:x@h>;",
    "Contact: <sip:x@h;>",
    "Contact: <sip:x@h>,",
    "Contact: <sip:x@h>;expires=60;q=high",
    "Contact: <sip:x@2001:db8::9>",
    "Contact: <sip:x@h:99999>",
    "Contact: <sip:x@h:>",
    "Contact: <sip:x y@h>",
    "Contact: <sip:a@b@h>",
    "Contact: <sips:x@h;=>",
    "Contact: <tel:+1555>",
    "Contact: <urn:service:sos>",
    "Contact: sip:x@h?X=1",
    'Contact: "a <sip:x@h>',
    "Contact: <sip:x@h",
    "Contact: nonsense",
    "Contact: ",
    "Record-Route: <sip:h;lr;vsf=AA=>",
    "Record-Route: <sip:h;lr>, <sip:i;lr;ftag=a=b>",
    "Record-Route: <sip:h;lr>;",
    "Record-Route: <sip:h;lr>,,<sip:i;lr>",
    "Record-Route: <sip:h;lr;did=x.y|z>",
    "Record-Route: nonsense",
    "Route: <sip:h;lr;vsf=AA=>",
    "Route: ",
    "To: <sip:c@d>;tag=x;",
    "To: <sip:c@d>;tag=a=b",
    'To: <sip:c@d>;tag="a b"',
    "To: <urn:service:sos>",
    "To: urn:service:sos;tag=1",
    "To: <<>>;tag=x",
    "To: c@d;tag=x",
    'From: "A" "B" <sip:a@b>;tag=x',
    'From: "x" <sip:unknown@>;tag=x',
    "From: <sip:a@b>;tag=x;;",
    "From: <sip:+1 415@d>;tag=x",
    "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKx;received=2001:db8::9",
    "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKx;;rport",
    "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK=x==",
    "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKx, SIP/2.0/UDP 2001:db8::9",
    "Reason: ;;;",
    "Session-Expires: 1800;refresher=uas;",
    "Session-Expires: abc",
    "Min-SE: 90;",
    "RSeq: abc",
    "Content-Type: application/sdp;",
    "Content-Type: application/sdp, text/plain",
    "Content-Type: application",
    "Allow: INVITE,,BYE",
    "Supported: timer,",
    "Accept: ,",
    "Retry-After: soon",
    "Retry-After: 120;",
    "Refer-To: <sip:x@h>;a;",
    "Replaces: a;to-tag=b=;from-tag=c",
    "Referred-By: <",
    "P-Asserted-Identity: x<",
    "Warning: x y z",
    'WWW-Authenticate: Digest realm="a", nonce="b",',
    "WWW-Authenticate: NTLM",
    'Proxy-Authenticate: Digest realm="a" nonce="b"',
    "Event: refer;",
    "Subscription-State: active;",
    "Expires: 60;x",
    "Max-Forwards: 70",
    "Max-Forwards: seventy",
    "Max-Forwards: 70;x",
    "Max-Forwards: 99999999999",
    "Max-Forwards: -1",
    "Max-Forwards: ",
]


@pytest.fixture(scope="module")
def library() -> Iterator[LibraryReader]:
    reader = LibraryReader()
    yield reader
    reader.close()


def message(start: str, name: str, value: str) -> bytes:
    lines = [start, *(f"{key}: {text}" for key, text in USUAL.items() if key != name)]
    return ("\r\n".join([*lines, f"{name}: {value}", "Content-Length: 0"]) + "\r\n\r\n").encode()


def passed(data: bytes) -> bytes | None:
    """The message that a worker receives; None: the request is refused."""
    parsed = parse_message(data)
    wrong = refine(parsed)
    assert wrong is None or not isinstance(parsed, Response), "a response is never refused"
    return None if wrong is not None else parsed.to_bytes()


@pytest.mark.parametrize("kind", START)
@pytest.mark.parametrize("line", SEEN)
def test_the_library_reads_what_it_is_given(library: LibraryReader, kind: str, line: str) -> None:
    name, _, value = line.partition(": ")
    try:
        given = passed(message(START[kind], name, value))
    except PeerError:
        assert not value  # From, To and Via have to be there
        return
    assert given is None or library.refused(given) == "-"


PIECES = [
    *(
        "sip:",
        "sips:",
        "tel:+1",
        "urn:x:y",
        "a",
        "+1",
        "@",
        "h",
        "[::1]",
        "::1",
        ":5060",
        ":",
        ";",
        "a=b",
        "=",
    ),
    *(
        "lr",
        "tag=x",
        "q=1",
        "ttl=1",
        "rport=",
        ">",
        "<",
        '"',
        '"x"',
        "\\",
        ",",
        " ",
        "\t",
        "?",
        "&",
        "é",
        "%41",
    ),
    *("%", "\x01", "\x7f", "{", "|", "^", "*", "b2bua-", ";b2bua-carried=YQ", "SIP/2.0/UDP ", "/", "1800"),
    *("Digest ", 'realm="a"', 'nonce="b"', "application/sdp", ".", "#", "'", "(", "$"),
]
NAMES = [
    *("Contact", "Record-Route", "Route", "From", "To", "Via", "Session-Expires", "Min-SE", "Content-Type"),
    *("Allow", "Supported", "Accept", "Require", "Retry-After", "Replaces", "WWW-Authenticate", "Event"),
    *("Proxy-Authenticate", "Subscription-State", "Expires", "Min-Expires", "Call-ID", "CSeq", "RSeq"),
]
BEGINNINGS = {
    "Via": "SIP/2.0/UDP h",
    "CSeq": "1 INVITE",
    "WWW-Authenticate": "Digest ",
    "Content-Type": "a/b",
}


@settings(
    max_examples=examples(300), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    st.sampled_from(list(START)),
    st.sampled_from(NAMES),
    st.sampled_from(["", "<sip:a@h>", "<sip:a@h", "sip:a@h", '"x" ', "begin"]),
    st.lists(st.sampled_from(PIECES), max_size=8).map("".join),
)
def test_the_library_reads_whatever_passes(
    library: LibraryReader, kind: str, name: str, beginning: str, rest: str
) -> None:
    value = (BEGINNINGS.get(name, "") if beginning == "begin" else beginning) + rest
    try:
        given = passed(message(START[kind], name, value))
    except PeerError:
        return  # it could not even be read here
    assert given is None or library.refused(given) == "-", given
