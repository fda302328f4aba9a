"""Our signature against the official validator."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict
from twilio.request_validator import RequestValidator

from b2bua.web.signature import Params, sign

pytestmark = pytest.mark.unit

TOKEN = "12345678901234567890123456789012"

URLS = [
    "https://app.example.com/voice",
    "https://app.example.com:8443/voice",
    "https://app.example.com:443/voice",
    "http://127.0.0.1:8080/voice?tenant=7&x=%2Fa+b",
    "http://app.example.com/",
    "https://xn--bcher-kva.example/%C3%BC?name=%E2%98%8E",
]
PARAMS: list[Params] = [
    (),
    (("CallSid", "CA1"), ("From", "+14155550100"), ("Digits", "12*#")),
    (("To", "sip:bob@example.com"), ("CallerName", "Zoë ☎ 京")),
    (("Empty", ""), ("Other", "")),
    (("Tag", "b"), ("Tag", "a"), ("Tag", "b"), ("A", "1")),
    (("a", "1"), ("B", "2"), ("Ab", "3"), ("_", "4")),
    (("Text", "line one\r\nline two & = ?"),),
]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("params", PARAMS)
def test_validator_accepts_a_post(url: str, params: Params) -> None:
    assert RequestValidator(TOKEN).validate(url, MultiDict(params), sign(TOKEN, url, params))


@pytest.mark.parametrize("url", URLS)
def test_validator_accepts_a_get(url: str) -> None:
    assert RequestValidator(TOKEN).validate(url, {}, sign(TOKEN, url))


def test_signature_is_the_one_of_the_documented_example() -> None:
    params = (
        ("CallSid", "CA1234567890ABCDE"),
        ("Caller", "+12349013030"),
        ("Digits", "1234"),
        ("From", "+12349013030"),
        ("To", "+18005551212"),
    )
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert sign("12345", url, params) == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="


@pytest.mark.parametrize(
    ("token", "url", "params"),
    [
        ("other", URLS[0], PARAMS[1]),
        (TOKEN, URLS[0] + "?", PARAMS[1]),
        (TOKEN, URLS[0], PARAMS[1][:-1]),
        (TOKEN, URLS[0], (*PARAMS[1][:-1], ("Digits", "12*"))),
    ],
)
def test_anything_changed_changes_the_signature(token: str, url: str, params: Params) -> None:
    assert not RequestValidator(TOKEN).validate(URLS[0], MultiDict(PARAMS[1]), sign(token, url, params))


@given(st.lists(st.tuples(st.text("AZaz_", min_size=1, max_size=4), st.text(max_size=8)), max_size=8))
def test_any_form_is_accepted_in_any_order(pairs: list[tuple[str, str]]) -> None:
    signature = sign(TOKEN, URLS[0], pairs)
    assert RequestValidator(TOKEN).validate(URLS[0], MultiDict(reversed(pairs)), signature)
