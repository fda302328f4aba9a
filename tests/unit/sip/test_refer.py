"""REFER at the edge: forms of Refer-To, refusals, what the worker receives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2bua.core.errors import PeerError
from b2bua.sip.message import Request, parse_message
from b2bua.sip.refer import replaces_of, screen_refer, the_refer_to
from b2bua.sip.values import parse_name_addr
from tests.unit.sip.edge_scene import Scene, invite
from tests.unit.sip.test_proxy_dialogs import in_dialog

pytestmark = pytest.mark.unit

US = "sip:w1@203.0.113.7"


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.give(invite())
    return scene


def refer(*lines: str) -> bytes:
    """A REFER with these lines."""
    head, blank, body = in_dialog("REFER", US).partition(b"\r\n\r\n")
    return b"".join((head, *(b"\r\n" + line.encode() for line in lines), blank, body))


TAKEN = [
    "<sip:bob@h>",
    "<sip:bob@h>;x=y",
    "<sip:bob@h >",
    "sip:bob@h",
    "sip:bob@h;x=y",
    "sip:bob@h?Replaces=a",
    '"B, <x> \\"y\\"" <sip:bob@h;user=phone>',
    "Bob B <sips:bob@h:5061>",
    "<tel:+1-555;ext=2>",
    "<sip:bob@h;method=INVITE>",
    "<SIP:bob@[2001:db8::1];Method=invite?Subject=x>",
]


@pytest.mark.parametrize("name", ["Refer-To", "r", "REFER-TO "])
@pytest.mark.parametrize("value", TAKEN)
def test_the_library_is_given_one_that_it_can_read(scene: Scene, name: str, value: str) -> None:
    request, _ = scene.request(refer(f"{name}: {value}", "X-B2bua-Refer-To: <sip:evil@h>"))
    assert request.get("refer-to") == "<sip:target@127.0.0.1>"
    assert b"\r\nRefer-To: <sip:target" in request.to_bytes()
    again = parse_message(request.to_bytes())
    assert again.all("x-b2bua-refer-to") == [value]
    assert the_refer_to(again) == value


def test_a_worker_without_an_edge_reads_what_there_is() -> None:
    assert the_refer_to(parse_message(refer("Refer-To: <sip:a@h>"))) == "<sip:a@h>"
    assert the_refer_to(parse_message(refer())) == ""


REFUSED: list[tuple[list[str], int]] = [
    ([], 400),
    (["Refer-To:"], 400),
    (["Refer-To: nowhere"], 400),
    (["Refer-To: <sip:bob@h"], 400),
    (["Refer-To: <sip:a@h>", "r: <sip:b@h>"], 400),
    (["Refer-To: <sip:a@h>, <sip:b@h>"], 400),
    (["Refer-To: <http://h/>"], 416),
    (["Refer-To: <urn:service:sos>"], 416),
    ([f"Refer-To: <sip:{'a' * 1024}@h>"], 414),
    (["Refer-To: <sip:a@h;method=BYE>"], 603),
]


@pytest.mark.parametrize(("lines", "status"), REFUSED)
def test_refused_without_a_worker(scene: Scene, lines: list[str], status: int) -> None:
    assert scene.status(refer(*lines)) == status


@pytest.mark.parametrize(
    ("target", "replaces"),
    [
        ("<sip:h?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2>", "a@b;to-tag=1;from-tag=2"),
        ("<sip:h?replaces=a+b%2Bc>", "a+b+c"),
        ("<sip:h?%52eplaces=a>", "a"),
        ("<sip:h?Subject=x&Replaces=a=b&Replaces=c>", "a=b"),
        ("<sip:h?Subject=Replaces&x>", ""),
        ("<sip:h>", ""),
        ("<tel:+1>", ""),
    ],
)
def test_replaces_within_a_target(target: str, replaces: str) -> None:
    assert replaces_of(parse_name_addr(target)) == replaces


@given(st.text(max_size=60))
def test_any_value_is_taken_or_refused(value: str) -> None:
    try:
        request = parse_message(refer(f"Refer-To: {value}"))
    except PeerError:
        return
    assert isinstance(request, Request)
    refusal = screen_refer(request)
    if refusal is None:
        replaces_of(parse_name_addr(the_refer_to(request)))
    else:
        assert refusal.status in (400, 414, 416, 603)
