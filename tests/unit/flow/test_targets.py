"""From nouns to INVITEs: routes, caller ids, headers, and what is refused."""

import pytest

from b2bua.core.commands import HangupLeg, InviteLeg
from b2bua.flow.orders import NoteFinding
from tests.unit.flow.scene import Scene

pytestmark = pytest.mark.unit

TRUNK = {
    "name": "pbx",
    "uri": "sip:192.0.2.10:5070;transport=tcp",
    "username": "u",
    "password": "secret",
    "caller_ids": ["+14155550100"],
}
SETTINGS = {"trunks": [TRUNK], "dial": {"trunk": "pbx"}}


def dialled(inner: str, attributes: str = "", **scene: object) -> Scene:
    settings = scene.pop("settings", SETTINGS)
    made = Scene(settings=settings, **scene)  # type: ignore[arg-type]
    return made.document(f'<Response><Dial answerOnBridge="true" {attributes}>{inner}</Dial></Response>')


def invite(scene: Scene) -> InviteLeg:
    return scene.all(InviteLeg)[0]


def headers(scene: Scene) -> dict[str, str]:
    return dict(invite(scene).headers)


def numbers(scene: Scene) -> list[int]:
    return [note.finding.number for note in scene.all(NoteFinding)]


def test_a_number_goes_by_the_trunk_with_its_credentials() -> None:
    order = invite(dialled("<Number>415-555-0199</Number>"))
    assert order.uri == "sip:+14155550199@192.0.2.10:5070;transport=tcp"
    assert (order.username, order.password) == ("u", "secret")


def test_plain_text_is_a_number() -> None:
    assert invite(dialled("+442079460000")).uri.startswith("sip:+442079460000@192.0.2.10")


def test_the_callers_own_number_is_passed_on_and_asserted_to_the_trunk() -> None:
    scene = dialled("<Number>+14155550199</Number>")
    assert invite(scene).from_header == '"Ann" <sip:+14155550123@node.test>'
    assert headers(scene)["P-Asserted-Identity"] == "<sip:+14155550123@node.test>"
    assert headers(scene)["X-Twilio-CallSid"] == "CA2"


def test_a_sip_target_gets_no_asserted_identity() -> None:
    assert "P-Asserted-Identity" not in headers(dialled("<Sip>sip:bob@192.0.2.9</Sip>"))


def test_an_anonymous_caller_stays_anonymous() -> None:
    scene = dialled("<Number>+14155550199</Number>", from_header="<sip:anonymous@anonymous.invalid>;tag=1")
    assert invite(scene).from_header == '"Anonymous" <sip:anonymous@anonymous.invalid>'
    assert "P-Asserted-Identity" not in headers(scene)


@pytest.mark.parametrize(
    ("noun", "caller_id", "user", "finding"),
    [
        ("<Number>+14155550199</Number>", "+14155550100", "+14155550100", None),
        ("<Number>+14155550199</Number>", "415-555-0100", "+14155550100", None),
        ("<Number>+14155550199</Number>", "+14155550111", None, 13214),
        ("<Number>+14155550199</Number>", "+14155550123", None, 13214),
        ("<Sip>sip:bob@192.0.2.9</Sip>", "front-desk_1.a", "front-desk_1.a", None),
        ("<Sip>sip:bob@192.0.2.9</Sip>", "front desk", None, 13214),
        ("<Sip>sip:bob@192.0.2.9</Sip>", "x" * 65, None, 13248),
    ],
)
def test_caller_ids(noun: str, caller_id: str, user: str | None, finding: int | None) -> None:
    scene = dialled(noun, f'callerId="{caller_id}"')
    if user is not None:
        assert f"<sip:{user}@node.test>" in invite(scene).from_header
    else:
        assert not scene.all(InviteLeg)
        assert finding in numbers(scene)
        assert scene.all(HangupLeg)


def test_any_caller_id_when_the_policy_says_so() -> None:
    settings = {"trunks": [TRUNK], "dial": {"trunk": "pbx", "caller_id_policy": "any"}}
    scene = dialled("<Number>+14155550199</Number>", 'callerId="+14155550111"', settings=settings)
    assert "+14155550111" in invite(scene).from_header


def test_a_call_reason_is_told_in_two_ways() -> None:
    told = headers(dialled("<Sip>sip:bob@192.0.2.9</Sip>", "callReason='A \"parcel\"'"))
    assert told["Subject"] == 'A "parcel"'
    assert told["Call-Info"] == '<data:>;purpose=jcard;call-reason="A \\"parcel\\""'


def test_a_quote_in_the_callers_name_cannot_end_it() -> None:
    scene = dialled(
        "<Sip>sip:bob@192.0.2.9</Sip>", from_header='"A\\" <sip:evil@x>" <sip:+14155550123@pbx.test>'
    )
    assert invite(scene).from_header.count('"') == 2
    assert invite(scene).from_header.endswith("<sip:+14155550123@node.test>")


@pytest.mark.parametrize(
    ("noun", "code"),
    [
        ("<Number>nonsense</Number>", 484),
        ("<Client>alice</Client>", 480),
        ('<Number byoc="nobody">+14155550199</Number>', 404),
    ],
)
def test_what_cannot_be_rung_fails_without_ringing_the_caller(noun: str, code: int) -> None:
    scene = dialled(noun)
    assert scene.kinds().count("RingLeg") == 0
    assert scene.all(HangupLeg)[0].sip_code == code


def test_sip_credentials_are_the_targets_own() -> None:
    order = invite(dialled('<Sip username="bob" password="pw">sip:bob@192.0.2.9?x-a=1</Sip>'))
    assert (order.username, order.password) == ("bob", "pw")
    assert ("x-a", "1") in [(name.lower(), value) for name, value in order.headers]
    assert "pw" not in repr(order.uri)
