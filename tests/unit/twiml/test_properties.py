"""For any input: a document or a TwimlError, soon, with nothing in it that is unfit for the wire."""

import re
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from b2bua.core.errors import TwimlError
from b2bua.twiml.attributes import ATTRIBUTES
from b2bua.twiml.document import MAX_BYTES
from b2bua.twiml.findings import STANDING_TEXT
from b2bua.twiml.parse import not_yet, parse
from b2bua.twiml.sip_noun import parse_sip_target
from b2bua.twiml.urls import resolve_url
from tests.effort import examples

pytestmark = [pytest.mark.unit, pytest.mark.no_cover]

BOUND_S = 0.5
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")

quick = settings(max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow])

NAMES = [*ATTRIBUTES, "Uri", "p", "prosody", "dial", "t:Say", "Response"]
ATTRIBUTE_NAMES = sorted(
    {name for rows in ATTRIBUTES.values() for name in rows} | {"colour", "xml:lang", "xmlns"}
)
WORDS = st.sampled_from(
    [
        "",
        " ",
        "true",
        "POST",
        "0",
        "-1",
        "9" * 18,
        "us",
        "/x",
        "http://h/",
        "1s",
        "sip:a@h?x-b=1",
        "415 123",
        "\x85",
    ]
)
TEXTS = WORDS | st.text(max_size=12)


def _escaped(text: str) -> str:
    return "".join(f"&#{ord(each)};" if each in "<>&\"'\r\n\t" else each for each in text)


@st.composite
def elements(draw, depth=0):
    name = draw(st.sampled_from(NAMES))
    attributes = draw(st.dictionaries(st.sampled_from(ATTRIBUTE_NAMES), TEXTS, max_size=4))
    inside = st.lists(elements(depth + 1) | TEXTS.map(_escaped), max_size=3) if depth < 4 else st.just([])
    written = "".join(f' {key}="{_escaped(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>{''.join(draw(inside))}</{name}>"


def _result(body):
    try:
        return parse(body)
    except TwimlError as error:
        return str(error), error.line, error.column


def _check(body) -> None:
    began = time.process_time()
    try:
        document = parse(body)
    except TwimlError as error:
        assert error.number in (11750, 11770, 12100, 12101, 12102)
        assert error.line >= 0
        assert error.column >= 0
        return
    findings = document.findings + not_yet(document)
    assert time.process_time() - began < BOUND_S
    for finding in findings:
        assert finding.number in STANDING_TEXT
        assert finding.line > 0
        assert finding.column > 0
        assert not CONTROLS.search(finding.text)
    hash(document.response)  # frozen, all the way down
    types = {type(verb).__name__ for verb in document.response.verbs}
    assert types <= ATTRIBUTES.keys()


@quick
@given(st.binary(max_size=400))
@example(b'<?xml version="1.0" encoding="\xff"?><Response/>')
@example(b"\xfe\xff\x00<\xd8\x00")
@example(b"\xef\xbb\xbf<Response/>")
def test_any_bytes_are_a_document_or_a_twiml_error(body):
    _check(body)


@quick
@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_bytes_within_a_response_likewise(before, after):
    _check(b"<Response><Dial " + before + b">" + after + b"</Dial></Response>")


@quick
@given(st.text(max_size=200))
def test_any_text_likewise(body):
    _check(body)


@settings(quick, max_examples=examples(60))
@given(st.lists(elements(), max_size=4))
def test_any_elements_anywhere_likewise_and_alike_as_bytes_and_text(inside):
    body = "<Response>" + "".join(inside) + "</Response>"

    _check(body)

    assert _result(body) == _result(body.encode())


@pytest.mark.parametrize(
    "body",
    [
        "<Response>"
        + "<Dial "
        + " ".join(f'a{n}=""' for n in range(9000))[:64_000].rpartition(" ")[0]
        + "/></Response>",
        "<Response><Say>" + "a<!---->" * 8000 + "</Say></Response>",
        "<Response><Say>" + "&#10;" * 13_000 + "</Say></Response>",
        "<Response><Dial><Sip>" + "a" * 60_000 + "</Sip></Dial></Response>",
        "<Response><Dial><Sip>a@h" + ";a" * 30_000 + "</Sip></Dial></Response>",
        '<Response><Dial timeout="' + "9" * 60_000 + '"/></Response>',
        '<Response><Dial statusCallbackEvent="' + "a " * 30_000 + '"/></Response>',
        '<?xml version="1.0"' + " version" * 8000 + "?><Response/>",
        '<?xml version="1.0"' + " " * 60_000 + "?><Response/>",
        " " * 60_000 + "<Response/>",
        "<Response>" + ("<Dial>" + "<Number/>" * 9 + "</Dial>") * 49 + "</Response>",
        "<Response>" + "<Say><p><p><p>" * 70 + "</p></p></p></Say>" * 70 + "</Response>",
        "<" * MAX_BYTES,
    ],
)
def test_hostile_documents_take_no_time(body):
    assert len(body) <= MAX_BYTES

    _check(body)


@quick
@given(TEXTS | st.text(max_size=300))
@example("sip:" + "a." * 120)
@example("a@h" + ";a=b" * 62)
@example("a@" + "-" * 250)
def test_any_sip_target_is_fit_for_a_message(text):
    began = time.process_time()

    target = parse_sip_target(text)

    assert time.process_time() - began < BOUND_S
    assert bool(target.uri) != any(finding.severity == "error" for finding in target.findings)
    assert re.fullmatch(r"(sips?:[!-~]+)?", target.uri)
    for name, value in target.headers:
        assert re.fullmatch(r"[!-~]+", name)
        assert ":" not in name
        assert not CONTROLS.search(value)


@quick
@given(st.none() | st.just("https://h.example/a/b") | st.text(max_size=30), TEXTS | st.text(max_size=100))
@example("https://h.example/", "w." * 2000)
@example("https://h.example/", "a-" * 2000 + ".")
def test_any_url_is_absolute_or_an_error(base, value):
    began = time.process_time()

    url, finding = resolve_url(base, value)

    assert time.process_time() - began < BOUND_S
    assert url.lower().startswith(("http://", "https://")) or (url == "" and finding.severity == "error")
    assert not CONTROLS.search(value.strip()) or url == ""
