"""3xx: which contacts are called, in which order, and which never."""

import pytest

from b2bua.calls.orders import FetchDocument
from b2bua.core.commands import InviteLeg
from b2bua.core.events import LegEnded
from b2bua.core.ids import LegId
from tests.unit.calls.scene import Scene

pytestmark = pytest.mark.unit

TRUNK = {
    "name": "pbx",
    "uri": "sip:pbx.test:5070",
    "match": ["192.0.2.0/28"],
    "username": "u",
    "password": "s",
}
USERS = [{"name": "alice", "password": "secret-word"}, {"name": "bob", "password": "secret-word"}]
SETTINGS = {"trunks": [TRUNK], "dial": {"trunk": "pbx"}, "users": USERS}
OPENING = '<Response><Dial action="/after" answerOnBridge="true">'


def dialled(noun: str) -> Scene:
    scene = Scene(settings=SETTINGS).document(f"{OPENING}{noun}</Dial></Response>")
    scene.take()
    return scene


def redirects(scene: Scene, contact: str, leg: str = "b1", code: int = 302) -> list[str]:
    """URIs that are called at once after this end of a leg."""
    headers = (("Via", "x"), ("Contact", contact))
    ended = LegEnded(leg=LegId(leg), at=scene.now, cause="peer", sip_code=code, reason="", headers=headers)
    scene.bring(ended)
    return [order.uri for order in scene.all(InviteLeg)]


def test_the_same_call_goes_to_the_contact() -> None:
    scene = dialled("<Sip>sip:bob@far.test</Sip>")
    assert redirects(scene, "<sip:bob2@far.test;transport=tcp>") == ["sip:bob2@far.test;transport=tcp"]
    invite = scene.all(InviteLeg)[0]
    assert invite.leg != "b1"
    assert dict(invite.headers)["X-Twilio-CallSid"] == "CA2"
    scene.answers(invite.leg)
    scene.ends(invite.leg)
    assert dict(scene.all(FetchDocument)[-1].params)["DialCallStatus"] == "completed"


@pytest.mark.parametrize(
    "contact",
    [
        "<sip:bob@elsewhere.test>",
        "<sip:+19005550100@node.test>",
        "<sip:bob@far.test>",
        "<tel:+19005550100>",
        "<sip:bob@far.test",
        "",
        "*",
    ],
)
def test_what_is_never_called(contact: str) -> None:
    scene = dialled("<Sip>sip:bob@far.test</Sip>")
    assert redirects(scene, contact) == []
    assert dict(scene.all(FetchDocument)[-1].params)["DialCallStatus"] == "failed"


@pytest.mark.parametrize("code", [305, 380, 404])
def test_other_answers_lead_nowhere(code: int) -> None:
    scene = dialled("<Sip>sip:bob@far.test</Sip>")
    assert redirects(scene, "<sip:bob2@far.test>", code=code) == []


def test_nothing_of_a_contact_counts_but_where_it_is() -> None:
    scene = dialled("<Sip>sip:bob@far.test</Sip>")
    contact = "<sip:x@far.test:5099;b2bua-binding=1;maddr=192.0.2.99?Route=%3Csip:evil%3E>"
    assert redirects(scene, contact) == ["sip:x@far.test:5099"]


def test_the_favourite_is_first_and_the_others_follow_when_it_fails() -> None:
    scene = dialled("<Sip>sip:bob@far.test</Sip>")
    contacts = "<sip:low@far.test>;q=0.1, <sip:odd@far.test>;q=high, <sip:high@far.test>;q=0.9"
    assert redirects(scene, contacts) == ["sip:odd@far.test"]
    scene.ends("b2", 503)
    assert scene.all(InviteLeg)[-1].uri == "sip:high@far.test"


def test_two_who_send_us_to_each_other_do_it_in_vain() -> None:
    scene = dialled("<Sip>sip:bob@far.test</Sip>")
    assert redirects(scene, "<sip:ann@far.test>") == ["sip:ann@far.test"]
    assert redirects(scene, "<sip:bob@far.test>", leg="b2") == ["sip:ann@far.test"]
    assert dict(scene.all(FetchDocument)[-1].params)["DialCallStatus"] == "failed"


def test_five_are_enough() -> None:
    scene = dialled("<Sip>sip:bob@far.test</Sip>")
    leg = "b1"
    for n in range(9):
        called = redirects(scene, f"<sip:n{n}@far.test>", leg=leg)
        leg = scene.all(InviteLeg)[-1].leg
    assert called == [f"sip:n{n}@far.test" for n in range(5)]


def test_a_trunk_may_name_its_other_addresses() -> None:
    scene = dialled("<Number>+14155550199</Number>")
    assert redirects(scene, "<sip:+14155550199@192.0.2.7>") == ["sip:+14155550199@192.0.2.7"]
    invite = scene.all(InviteLeg)[0]
    assert (invite.username, invite.password) == ("u", "s")
    assert redirects(dialled("<Number>+14155550199</Number>"), "<sip:1@192.0.2.99>") == []


def test_what_was_to_be_encrypted_stays_so() -> None:
    scene = dialled("<Sip>sips:bob@far.test</Sip>")
    assert redirects(scene, "<sip:bob2@far.test>") == []
    scene = dialled("<Sip>sips:bob@far.test</Sip>")
    assert redirects(scene, "<sips:bob2@far.test>") == ["sips:bob2@far.test"]


def test_a_phone_may_forward_to_another_user() -> None:
    phones = {
        user: (f"sip:{user}@node.test;b2bua-binding={n}",) for n, user in enumerate(("alice", "bob"), 1)
    }
    scene = Scene(settings=SETTINGS, phones=phones)
    scene.document(f"{OPENING}<Client>alice</Client></Dial></Response>").take()
    assert redirects(scene, "<sip:bob@node.test>") == ["sip:bob@node.test;b2bua-binding=2"]
