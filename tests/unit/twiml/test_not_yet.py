"""A feature without effect gives one warning, and nothing else gives any."""

import msgspec
import pytest

from b2bua.twiml import verbs
from b2bua.twiml.attributes import ATTRIBUTES
from b2bua.twiml.parse import NOT_YET, not_yet, parse

pytestmark = pytest.mark.unit


def _said(inner: str) -> list[str]:
    findings = not_yet(parse(f"<Response>{inner}</Response>"))
    assert all((finding.number, finding.severity) == (12200, "warning") for finding in findings)
    return [finding.text.removesuffix(" has no effect yet") for finding in findings]


@pytest.mark.parametrize("element", sorted(element for element, attribute in NOT_YET if not attribute))
def test_a_verb_or_noun_without_effect_is_said_and_its_attributes_are_not(element):
    if element in ("Client", "Conference", "Queue"):
        inner = f'<Dial><{element} url="/x" statusCallback="/s">a</{element}></Dial>'
    elif element == "Refer":
        inner = '<Refer action="/x"><Sip>sip:a@b</Sip></Refer>'
    else:
        inner = f'<{element} action="/x">a</{element}>'

    assert _said(inner) == [element]


ATTRIBUTES_NOT_YET = sorted(pair for pair in NOT_YET if pair[1])

VALUES = {
    "firstTo": "accept",
    "sendDigits": "1",
    "statusCallbackEvent": "ringing",
}


def _inner(element: str, attribute: str, value: str) -> str:
    if element == "Dial":
        return f'<Dial {attribute}="{value}">1</Dial>'
    return f'<Dial><{element} {attribute}="{value}">sip:1@b</{element}></Dial>'


@pytest.mark.parametrize(("element", "attribute"), ATTRIBUTES_NOT_YET)
def test_an_attribute_without_effect_is_said(element, attribute):
    if attribute.endswith("Method") or attribute == "method":
        value = "GET"
    else:
        value = VALUES.get(attribute, "/url")

    assert _said(_inner(element, attribute, value)) == [f"{element} {attribute}"]


@pytest.mark.parametrize(
    "inner",
    [
        '<Dial record="record-from-ringing-dual" trim="trim-silence" recordingTrack="inbound">1</Dial>',
        '<Dial><Number statusCallbackEvent="completed" method="POST" sendDigits="">1</Number></Dial>',
        '<Dial record="nonsense">1</Dial>',
        '<Dial sequential="true" callReason="x" answerOnBridge="true" timeLimit="9" events="x">1</Dial>',
        '<Dial action="/a" method="GET" callerId="1" hangupOnStar="true" ringTone="at" timeout="9">1</Dial>',
        '<Dial><Sip username="u" password="p">sip:a@b?x-c=1</Sip><Number byoc="t">1</Number></Dial>',
        '<Dial><Number machineDetection="Enable" amdStatusCallback="/amd">1</Number></Dial>',
        '<Pause length="2"/><Redirect method="GET">/x</Redirect><Reject reason="busy"/><Hangup/>',
        "",
    ],
)
def test_what_has_its_effect_or_changes_nothing_is_not_said(inner):
    assert _said(inner) == []


def test_each_is_said_once_where_it_first_stands():
    body = (
        "<Response>\n<Dial>"
        '<Conference eventCallbackUrl="/e">one</Conference></Dial>'
        '\n<Dial><Conference eventCallbackUrl="/f">other</Conference></Dial></Response>'
    )

    findings = not_yet(parse(body))

    assert [(finding.text.split(" has")[0], finding.line, finding.column) for finding in findings] == [
        ("Conference eventCallbackUrl", 2, 7),
    ]


def test_the_table_names_only_what_exists():
    assert {element for element, _ in NOT_YET} <= ATTRIBUTES.keys()
    assert all(attribute in ATTRIBUTES[element] for element, attribute in NOT_YET if attribute)
    assert all(issubclass(getattr(verbs, element), msgspec.Struct) for element, _ in NOT_YET)
