"""From nouns to INVITEs: routes, caller ids, headers, and refusals."""

import re
from typing import Any, ClassVar

import pytest

from b2bua.calls.orders import NoteFinding
from b2bua.calls.outbound import OutboundCall
from b2bua.calls.targets import plan_dial
from b2bua.core.commands import HangupLeg, InviteLeg
from b2bua.core.dial_plan import BranchPlan
from b2bua.core.ids import CallSid
from b2bua.twiml.parse import parse
from b2bua.twiml.verbs import Dial, Number
from tests.unit.calls.scene import Scene

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


def by_rest(text: str = "+14155550199") -> Dial:
    """The Dial that carries the parameters of a call by REST."""
    return Dial(line=0, column=0, children=(Number(line=0, column=0, text=text),))


def numbers(scene: Scene) -> list[int]:
    return [note.finding.number for note in scene.all(NoteFinding)]


def test_a_number_goes_by_the_trunk_with_its_credentials() -> None:
    order = invite(dialled("<Number>415-555-0199</Number>"))
    assert order.uri == "sip:+14155550199@192.0.2.10:5070;transport=tcp"
    assert (order.username, order.password) == ("u", "secret")


@pytest.mark.parametrize(
    ("text", "keys"), [("+14155550199", ""), ("+14155550199,x12", "12"), ("*98;ext=4#", "4#")]
)
def test_a_call_by_rest_keeps_the_keys_of_its_extension(text: str, keys: str) -> None:
    call, findings = OutboundCall.routed(by_rest(text), "+14155550100", Scene(settings=SETTINGS).context)
    assert call is not None and not findings
    assert call.keys == keys and call.caller.called == re.match(r"[+*0-9]+", text)[0]  # type: ignore[index]


@pytest.mark.parametrize("from_", ["sip:ann@192.0.2.7:5070", "client:ann", "ann@192.0.2.7", "ann"])
def test_the_document_of_a_call_by_rest_dials_as_its_user(from_: str) -> None:
    call, _ = OutboundCall.routed(by_rest(), from_, Scene(settings=SETTINGS).context)
    assert call is not None and (call.caller.number, call.caller.user) == (from_, "ann")


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
        ("<Number>+14155550177</Number>", "+14155550123", "+14155550123", None),  # the caller's own
        ("<Number>+14155550177</Number>", "+14155550199", "+14155550199", None),  # the number called
        ("<Sip>sip:bob@192.0.2.9</Sip>", "front-desk_1.a", "front-desk_1.a", None),
        ("<Sip>sip:bob@192.0.2.9</Sip>", "front desk", None, 13214),
        ("<Sip>sip:bob@192.0.2.9</Sip>", "", None, 13214),
        ("<Sip>sip:bob@192.0.2.9</Sip>", "x" * 65, None, 13248),
    ],
)
def test_caller_ids(noun: str, caller_id: str, user: str | None, finding: int | None) -> None:
    scene = dialled(noun, f'callerId="{caller_id}"')
    if user is not None:
        assert f"<sip:{user}@node.test>" in invite(scene).from_header
    else:
        assert not scene.all(InviteLeg)
        assert numbers(scene) == [finding]
        assert scene.all(HangupLeg)


@pytest.mark.parametrize("caller_id", ["+14155550123", "+14155550199"])
def test_a_users_call_shows_only_numbers_that_are_ours(caller_id: str) -> None:
    attribute, noun = f'callerId="{caller_id}"', "<Number>+14155550177</Number>"
    scene = dialled(noun, attribute, user="alice")
    assert not scene.all(InviteLeg)
    (note,) = scene.all(NoteFinding)
    assert note.finding.number == 13214
    assert caller_id in note.finding.text and "[[numbers]]" in note.finding.text
    scene = dialled(noun, attribute, user="alice", owned={caller_id})
    assert f"<sip:{caller_id}@node.test>" in invite(scene).from_header


def test_a_users_call_is_a_sip_call() -> None:
    told = dict(Scene(user="alice", from_header="<sip:mallory@elsewhere.test>;tag=1").last_fetch().params)
    assert (told["From"], told["SipUsername"]) == ("sip:alice@node.test", "alice")
    assert (told["To"], told["SipDomain"]) == ("sip:+14155550199@node.test", "node.test")


@pytest.mark.parametrize(
    ("most", "wanted", "limit", "findings"),
    [
        (14_400, "14400", 14_400, []),
        (14_400, "14401", 14_400, [13216]),
        (86_400, "86400", 86_400, []),
        (86_400, "", 14_400, []),
    ],
)
def test_a_time_limit_is_as_long_as_the_configuration_allows(
    most: int, wanted: str, limit: int, findings: list[int]
) -> None:
    attribute = f'timeLimit="{wanted}"' if wanted else ""
    document = parse(f"<Response><Dial {attribute}>+14155550199</Dial></Response>")
    dial = document.response.verbs[0]
    assert isinstance(dial, Dial)
    scene = Scene(settings={**SETTINGS, "dial": {"trunk": "pbx", "max_time_limit_s": most}})
    planned = plan_dial(dial, CallSid("CA1"), scene.session.caller, scene.context)
    assert planned.plan.time_limit_s == limit
    assert [finding.number for finding in planned.findings] == findings


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


@pytest.mark.parametrize(("name", "findings"), [("carol", [12200]), ("ann", [])])
def test_a_client_that_is_no_user_gives_a_warning(name: str, findings: list[int]) -> None:
    settings = {"users": [{"name": "ann", "password": "x"}]}  # Ann has no phone that is registered
    scene = dialled(f"<Client>{name}</Client>", settings=settings)
    assert numbers(scene) == findings
    assert scene.all(HangupLeg)[0].sip_code == 480


def test_sip_credentials_are_the_targets_own() -> None:
    order = invite(dialled('<Sip username="bob" password="pw">sip:bob@192.0.2.9?x-a=1</Sip>'))
    assert (order.username, order.password) == ("bob", "pw")
    assert ("x-a", "1") in [(name.lower(), value) for name, value in order.headers]
    assert "pw" not in repr(order.uri)


class TestTrunks:
    SETTINGS: ClassVar = {
        "trunks": [
            {"name": "us", "uri": "sip:192.0.2.20", "prefixes": ["+1"]},
            {"name": "bay", "uri": "sip:192.0.2.21", "prefixes": ["+1415"], "srtp": "required"},
            {"name": "rest", "uri": "sips:192.0.2.22"},
        ],
        "dial": {"trunk": "rest"},
    }

    def plan(self, inner: str, **more: Any) -> tuple[BranchPlan, ...]:
        scene = Scene(settings={**self.SETTINGS, **more.pop("settings", {})}, **more)
        (dial,) = parse(f"<Response><Dial>{inner}</Dial></Response>").response.verbs
        assert isinstance(dial, Dial)
        return plan_dial(dial, CallSid("CA1"), scene.session.caller, scene.context).plan.branches

    def ways(self, inner: str, **more: Any) -> list[str]:
        (branch,) = self.plan(inner, **more)
        assert branch.invite is not None
        return [each.uri.partition("@")[2] for each in (branch.invite, *branch.alternatives)]

    def test_are_tried_from_the_longest_prefix_to_the_default(self) -> None:
        assert self.ways("+14155550100") == ["192.0.2.21", "192.0.2.20", "192.0.2.22"]

    def test_each_way_is_a_leg_of_its_own(self) -> None:
        (branch,) = self.plan("+14155550100")
        assert branch.invite is not None
        every = (branch.invite, *branch.alternatives)
        assert len({each.leg for each in every}) == len({each.sip_call_id for each in every}) == 3

    def test_by_name_there_is_one_way(self) -> None:
        assert self.ways('<Number byoc="us">+14155550100</Number>') == ["192.0.2.20"]

    def test_what_does_not_answer_is_left_out(self) -> None:
        assert self.ways("+14155550100", down={"bay"}) == ["192.0.2.20", "192.0.2.22"]

    def test_what_does_not_answer_is_tried_when_there_is_nothing_else(self) -> None:
        ways = self.ways("+14155550100", down={"bay", "us", "rest"})
        assert ways == ["192.0.2.21", "192.0.2.20", "192.0.2.22"]

    @pytest.mark.parametrize(
        ("general", "expected"),
        [
            ("off", ["required", "off", "off"]),
            ("optional", ["required", "off", "optional"]),
            ("required", ["required", "required", "required"]),
        ],
    )
    def test_media_is_encrypted_as_configured(self, general: str, expected: list[str]) -> None:
        (branch,) = self.plan("+14155550100", settings={"rtp": {"srtp": general}})
        assert branch.invite is not None
        assert [each.srtp for each in (branch.invite, *branch.alternatives)] == expected


class TestIdentity:
    FROM_TRUNK: ClassVar = {"trunk": "pbx", "from_header": '"PBX" <sip:pbx@pbx.test>;tag=1'}
    PAI = ("P-Asserted-Identity", '"Bea" <sip:+14155550777@pbx.test>, <tel:+14155550777>')

    def test_that_a_trunk_asserts_is_the_callers(self) -> None:
        scene = dialled("<Number>+14155550199</Number>", headers=(self.PAI,), **self.FROM_TRUNK)
        assert invite(scene).from_header == '"Bea" <sip:+14155550777@node.test>'
        assert headers(scene)["P-Asserted-Identity"] == "<sip:+14155550777@node.test>"
        assert scene.session.caller.number == "+14155550777"

    def test_of_the_older_kind_counts_too(self) -> None:
        older = ("Remote-Party-ID", '"Bea" <sip:+14155550777@pbx.test>;party=calling;screen=yes;privacy=off')
        scene = dialled("<Number>+14155550199</Number>", headers=(older,), **self.FROM_TRUNK)
        assert invite(scene).from_header == '"Bea" <sip:+14155550777@node.test>'

    def test_of_the_called_party_is_not_the_callers(self) -> None:
        other = ("Remote-Party-ID", "<sip:+14155550777@pbx.test>;party=called")
        scene = dialled("<Number>+14155550199</Number>", headers=(other,), **self.FROM_TRUNK)
        assert "pbx@" in invite(scene).from_header

    @pytest.mark.parametrize(
        "hidden",
        [
            (PAI, ("Privacy", "id")),
            (("Remote-Party-ID", "<sip:+14155550777@pbx.test>;privacy=full"),),
        ],
    )
    def test_that_is_hidden_goes_to_trunks_only(self, hidden: tuple[tuple[str, str], ...]) -> None:
        anonymous = {"trunk": "pbx", "from_header": "<sip:anonymous@anonymous.invalid>;tag=1"}
        scene = dialled("<Number>+14155550199</Number>", headers=hidden, **anonymous)
        assert invite(scene).from_header == '"Anonymous" <sip:anonymous@anonymous.invalid>'
        assert headers(scene)["P-Asserted-Identity"] == "<sip:+14155550777@node.test>"
        assert headers(scene)["Privacy"] == "id"
        assert "5550777" not in scene.session.caller.number
        other = dialled("<Sip>sip:bob@192.0.2.9</Sip>", headers=hidden, **anonymous)
        assert "5550777" not in repr(invite(other))

    def test_that_a_stranger_asserts_is_nothing(self) -> None:
        scene = dialled("<Number>+14155550199</Number>", headers=(self.PAI,))
        assert invite(scene).from_header == '"Ann" <sip:+14155550123@node.test>'
        assert "5550777" not in repr(invite(scene))

    def test_that_cannot_be_read_is_nothing(self) -> None:
        bad = ("P-Asserted-Identity", '"Bea <sip:x')
        scene = dialled("<Number>+14155550199</Number>", headers=(bad,), **self.FROM_TRUNK)
        assert "pbx@" in invite(scene).from_header
