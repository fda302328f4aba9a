"""The forwarding party of a call, as given by the INVITE."""

import pytest

from b2bua.calls.caller import Caller
from tests.unit.calls.scene import Scene

pytestmark = pytest.mark.unit

BOB = "+14155550111"
HISTORY = "History-Info"


def forwarded(*headers: tuple[str, str]) -> str | None:
    scene = Scene(headers=headers)
    caller: Caller = scene.session.caller
    return caller.forwarded_from


@pytest.mark.parametrize(
    "headers",
    [
        (("Diversion", "<sip:+14155550111@x>;reason=unconditional"),),
        (("diversion", '"B, C" <sip:+14155550111@x>;reason=x, <sip:+14155550112@x>'),),
        (("Diversion", "<sip:+14155550111@x>"), ("Diversion", "<sip:+14155550112@x>")),
        # The latest of all is the first.
        (("Diversion", "<tel:+14155550111>"), (HISTORY, "<sip:a@x>;index=1, <sip:b@x>;index=1.1;mp=1")),
    ],
)
def test_diversion_names_the_party(headers: tuple[tuple[str, str], ...]) -> None:
    assert forwarded(*headers) == BOB


@pytest.mark.parametrize(
    "values",
    [
        # RFC 7044: another user's target, mapped from the one of that index.
        ("<sip:+14155550111@x>;index=1", "<sip:carol@x>;index=1.1;mp=1"),
        ("<sip:+14155550111@x>;index=1, <sip:phone@192.0.2.4?Reason=SIP%3Bcause%3D302>;index=1.1;rc=1",
         "<sip:carol@x>;index=1.2;mp=1, <sip:carol@192.0.2.5>;index=1.2.1;rc=1.2"),
        # Forwarded twice: the latest.
        ("<sip:ann@x>;index=1, <sip:+14155550111@x>;index=1.1;mp=1, <sip:carol@x>;index=1.1.1;mp=1.1",),
        # What it was mapped from is not there, or not told: the one before.
        ("<sip:+14155550111@x>;index=1, <sip:carol@x>;index=1.1;mp=7",),
        ("<sip:+14155550111@x>;index=1, <sip:carol@x>;index=1.1;mp",),
        # RFC 4458 and RFC 7544: a cause of diversion.
        ("<sip:+14155550111@x>;index=1, <sip:carol@x;cause=486>;index=1.1",),
        # RFC 4244: it answered, and the call went elsewhere.
        ("<sip:ann@x>;index=1", "<sip:+14155550111@x?Privacy=none&reason=SIP%3Bcause%3D302>;index=1.1",
         '"Carol" <sip:carol@x>;index=1.2'),
        # What cannot be read is passed over.
        ("<sip:+14155550111@x>;index=1, nobody, <sip:carol@x>;index=1.1;mp=1",),
    ],
)  # fmt: skip
def test_history_tells_who_forwarded_where_there_is_no_diversion(values: tuple[str, ...]) -> None:
    assert forwarded(*((HISTORY, value) for value in values)) == BOB


@pytest.mark.parametrize(
    "value",
    [
        "<sip:+14155550199@node.test>;index=1",
        "<sip:+14155550199@node.test>;index=1;mp=1",
        # A registrar's contact, and a phone that did not answer before the next was tried.
        "<sip:bob@x>;index=1, <sip:phone@192.0.2.4>;index=1.1;rc=1",
        "<sip:bob@x>;index=1, <sip:p@192.0.2.4?Reason=SIP%3Bcause%3D480>;index=1.1;rc=1, <sip:q@y>;index=1.2",
        # A service number that was translated.
        "<sip:0800@x>;index=1, <sip:desk@x;cause=380>;index=1.1;mp=1",
        "<sip:bob@x>;index=1, <sip:carol@x?Reason=SIP%3Bcause%3D486>;index=1.1",
        "nothing",
        "",
    ],
)
def test_a_history_without_a_forwarding_tells_nobody(value: str) -> None:
    assert forwarded((HISTORY, value)) is None


def test_nothing_told_is_nobody() -> None:
    assert forwarded() is None


def test_a_long_history_is_read_from_its_end() -> None:
    entries = [f"<sip:{number}@x>;index=1.{number};mp=1.{number - 1}" for number in range(900)]
    assert forwarded((HISTORY, ", ".join(entries))) == "sip:898@x"


def test_a_diversion_that_is_no_address_stands_as_it_came() -> None:
    assert forwarded(("Diversion", "unknown")) == "sip:unknown@invalid"
