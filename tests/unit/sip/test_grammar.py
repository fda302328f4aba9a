"""Headers that a worker's library cannot read never reach it; others are unchanged."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2bua.sip.mend import refine
from b2bua.sip.message import Request, make_response
from tests.unit.sip.edge_scene import CALLEE, PUBLIC, W1, Scene, invite, leases, worker_invite

pytestmark = pytest.mark.unit


class TestWhatIsNotNeeded:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("Expires", "abc"),
            ("Expires", "-1"),
            ("Min-Expires", ""),
            ("Session-Expires", "abc"),
            ("Session-Expires", "1800 x"),
            ("Min-SE", "90;;"),
            ("Retry-After", "soon"),
            ("Event", ""),
            ("Subscription-State", "active;"),
            ("WWW-Authenticate", 'Bearer authz_server="https://auth.example.com"'),
            ("Proxy-Authenticate", 'Digest realm="unbalanced'),
            ("Authorization", "Bearer eyJhbGciOiJSUzI1NiJ9"),
            ("Proxy-Authorization", 'Digest username="ann", realm="x"'),
        ],
    )
    def test_is_left_out(self, name: str, value: str) -> None:
        request, to = Scene().request(invite(**{name.replace("-", "_"): value}))
        assert (request.get(name.lower()), to.side) == (None, "inner")

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("Expires", "180"),
            ("Session-Expires", "1800;refresher=uac"),
            ("Session-Expires", "1800 ; refresher = uas"),
            ("Retry-After", "18000 (in a meeting);duration=3600"),
            ("Event", "refer;id=93809824"),
            ("Subscription-State", "terminated;reason=noresource"),
            ("Allow", "INVITE, ACK,BYE"),
            ("Allow", ""),
            ("Diversion", '"Bob" <sip:bob@example.com>;reason=unconditional'),
            ("X-Odd", ',,;;"<'),
        ],
    )
    def test_is_left_alone_where_it_is_well_formed_or_unknown(self, name: str, value: str) -> None:
        request, _ = Scene().request(invite(**{name.replace("-", "_"): value}))
        assert request.get(name.lower()) == value

    @pytest.mark.parametrize(
        ("value", "mended"), [("a,,b", "a, b"), (",,", ""), ("a,", "a"), (" , a", "a"), ("a , b", "a , b")]
    )
    def test_lists_lose_their_empty_items(self, value: str, mended: str) -> None:
        request, _ = Scene().request(invite(Supported=value))
        assert request.get("supported") == mended

    def test_a_challenge_that_can_be_met_stays_beside_one_that_cannot(self) -> None:
        scene = Scene()
        request, _ = scene.request(worker_invite(), W1)
        digest = 'Digest realm="a, b", nonce="1\\"2", qop="auth,auth-int", algorithm=MD5, stale=FALSE'
        headers = (("WWW-Authenticate", "Negotiate"), ("WWW-Authenticate", digest))
        response, _ = scene.response(
            make_response(request, 401, to_tag="x", headers=headers).to_bytes(), CALLEE
        )
        assert [h.text for h in response.headers if h.name == "www-authenticate"] == [digest]


BEYOND_HELP = [
    ("From", "<<sip:ann@192.0.2.1>>;tag=1"),
    ("To", "c@d"),
    ("Contact", "nonsense"),
    ("Contact", "<mailto:ann@example.com>"),
    ("Record-Route", "proxy.example.com"),
    ("Record-Route", "<sip:proxy.example.com:99999;lr>"),
    ("Content-Type", "application"),
    ("Replaces", ";;"),
]

READABLE = [
    ("From", "sip:ann@192.0.2.1;tag=1"),
    ("From", "Bell, Alexander <sip:ann@192.0.2.1>;tag=1"),
    ("From", '"a \\" <b>, c" <sip:ann@192.0.2.1>;tag=1'),
    ("From", 'Änn <sip:ann@192.0.2.1>;tag=1;x=;y=[::1];z="a;b"'),
    ("From", "<sip:+1555;phone-context=x@192.0.2.1;user=phone>;tag=1"),
    ("From", "<sip:a#%23&=+$,?/@192.0.2.1>;tag=1"),
    ("From", "<sip:ann:secret@[2001:db8::1]:5060;transport=tcp>;tag=1"),
    ("From", "<tel:+1-555-0100;phone-context=example.com>;tag=1"),
    ("From", "<sip:anonymous@anonymous.invalid>;tag=1"),
    ("Contact", '<sip:ann@192.0.2.1:5060;transport=udp;ob>;+sip.instance="<urn:uuid:1>";q=0.5;expires=60'),
    ("Contact", "sip:ann@192.0.2.1"),
    ("Contact", "<sip:ann@192.0.2.1?Subject=x>"),
    ("Record-Route", "<sip:p1.example.com;lr>,<sip:p2.example.com:5061;transport=tls;lr=on;ftag=a>"),
    ("Record-Route", "<sip:192.0.2.9;lr;nat=yes;did=9c8.8f3>"),
    (
        "Via",
        "SIP/2.0/UDP 192.0.2.1 : 5060;branch=z9hG4bKa , SIP/2.0/TLS [2001:db8::9]:5061;received=192.0.2.7",
    ),
    ("Content-Type", 'multipart/mixed; boundary="a b"'),
    ("Content-Type", "application/sdp"),
]


class TestWhatIsNeeded:
    @pytest.mark.parametrize(("name", "value"), BEYOND_HELP)
    def test_is_a_400_that_takes_no_lease(self, name: str, value: str) -> None:
        scene = Scene()
        outputs = scene.give(invite(**{name.replace("-", "_"): value}))
        assert leases(outputs) == []
        assert scene.request(invite(Call_ID="next"))[1] == W1

    @pytest.mark.parametrize(("name", "value"), [each for each in BEYOND_HELP[:-1] if "Type" not in each[0]])
    def test_is_named_in_the_400(self, name: str, value: str) -> None:
        response, _ = Scene().response(invite(**{name.replace("-", "_"): value}))
        assert (response.status, response.reason) == (400, f"Bad {name}")

    @pytest.mark.parametrize(("name", "value"), READABLE)
    def test_passes_as_it_is(self, name: str, value: str) -> None:
        request, to = Scene().request(invite(**{name.replace("-", "_"): value}))
        values = [header.text for header in request.headers if header.name == name.lower()]
        assert (to, name == "Via" or value in values) == (W1, True)

    @pytest.mark.parametrize("uri", ["sip:100@h;;", "sip:{1}@h", "sip:é@h", "sip:@h", "tel:+1;;", "sip:1@h?"])
    def test_an_unreadable_request_uri_is_400(self, uri: str) -> None:
        assert Scene().status(invite(uri)) == 400

    def test_in_a_dialog_it_is_400_too(self) -> None:
        scene = Scene()
        bye = invite(f"sip:w1@{PUBLIC}", method="BYE", To="<<>>;tag=tt")
        assert scene.status(bye) == 400


@given(st.sampled_from(["from", "contact", "via", "record-route", "www-authenticate"]), st.text(max_size=60))
def test_any_value_is_judged(name: str, value: str) -> None:
    scene = Scene()
    request, _ = scene.request(invite())
    request.append(name, value)
    assert refine(request) in (None, name)


def _took_s(request: Request) -> float:
    began = time.process_time()
    refine(request)
    return time.process_time() - began


@pytest.mark.parametrize("piece", [";a=b", '"a\\"', "<sip:a@b>,", " ", ";a ", "sip:a", "a&b=", ",", 'a="b",'])
@pytest.mark.parametrize(
    "name", ["from", "contact", "via", "record-route", "proxy-authenticate", "content-type"]
)
def test_time_grows_with_the_length_only(name: str, piece: str) -> None:
    scene = Scene()
    request, _ = scene.request(invite())
    for start in ("", "<sip:a@b>", "Digest ", "SIP/2.0/UDP h", "a/b", "<sip:a@b?"):
        request.remove(name)
        request.append(name, (start + piece * 8000)[:8000] + "\x01")
        assert min(_took_s(request) for _ in range(3)) < 0.25  # a time that grows with the square is seconds
