"""Addresses in a document: which cannot be requested, by which number, and which never will be."""

import pytest

from b2bua.twiml.addresses import address_findings
from b2bua.twiml.parse import parse

pytestmark = pytest.mark.unit


def _found(inner: str) -> list[tuple[int, str, int]]:
    document = parse(f"<Response>{inner}</Response>")
    assert document.findings == ()
    found = address_findings(document.response, "https://app.example/start")
    return [(finding.number, finding.severity, finding.column) for finding in found]


@pytest.mark.parametrize(
    ("inner", "number", "severity", "column"),
    [
        ('<Dial><Conference waitUrl="ftp://x/">r</Conference></Dial>', 13233, "warning", 17),
        ('<Dial><Queue url="ftp://x/">q</Queue></Dial>', 14211, "error", 17),
        ('<Enqueue action="ftp://x/">q</Enqueue>', 14203, "warning", 11),
        ('<Enqueue waitUrl="ftp://x/">q</Enqueue>', 14202, "warning", 11),
        ('<Dial action="ftp://x/">1</Dial>', 11100, "error", 11),
        ('<Dial><Queue url="www.example.com">q</Queue></Dial>', 11100, "warning", 17),
    ],
)
def test_an_unusable_url_is_found_by_the_number_of_its_attribute(inner, number, severity, column):
    assert _found(inner) == [(number, severity, column)]


@pytest.mark.parametrize(
    "inner",
    [
        '<Dial><Conference waitUrl="">r</Conference></Dial>',
        '<Enqueue waitUrl="">q</Enqueue>',
        '<Dial><Conference statusCallback="/s" statusCallbackEvent="join">r</Conference></Dial>',
        '<Dial><Queue url="/about">q</Queue></Dial>',
    ],
)
def test_usable_urls_and_silence_are_no_findings(inner):
    assert _found(inner) == []


def test_a_callback_of_a_room_without_events_is_never_requested():
    assert _found('<Dial><Conference statusCallback="/s">r</Conference></Dial>') == [(12200, "warning", 17)]
