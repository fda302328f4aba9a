"""The number that a document's text dials, and the trunk."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2bua.calls.numbers import Dialled, dialled_number, is_dialable, read_dialled, trunks_for
from b2bua.settings import TrunkSettings

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "country", "dialled"),
    [
        ("+14155550100", "US", "+14155550100"),
        ("415-555-0100", "US", "+14155550100"),
        ("(415) 555.0100", "US", "+14155550100"),
        ("1-415-555-0100", "US", "+14155550100"),
        ("+44 20 7946 0000", "US", "+442079460000"),
        ("020 7946 0000", "GB", "+442079460000"),
        ("030 901820", "DE", "+4930901820"),
        ("911", "US", "911"),
        ("112", "DE", "112"),
        ("1000", "US", "1000"),
        ("*98", "US", "*98"),
        ("555-0100", "US", "5550100"),
        ("hello", "US", None),
        ("", "US", None),
        ("   ", "US", None),
        ("+1", "US", None),
        ("+999999999999999999", "US", None),
        ("1" * 100, "US", None),
    ],
)
def test_what_is_dialled(text: str, country: str, dialled: str | None) -> None:
    assert dialled_number(text, country) == dialled


@pytest.mark.parametrize(
    ("text", "number", "keys"),
    [
        ("18005551212x123", "+18005551212", "123"),
        ("1-800-555-1212 X 123", "+18005551212", "123"),
        ("(415) 555-0100 ext. 12", "+14155550100", "12"),
        ("415-555-0100 ext12#", "+14155550100", "12#"),
        ("+44 20 7946 0000 extension 4-4", "+442079460000", "44"),
        ("4155550100, ext 12", "+14155550100", "12"),
        ("4155550100,12", "+14155550100", "WW12"),
        ("4155550100,,12", "+14155550100", "WWWW12"),
        ("+14155550100;ext=12", "+14155550100", "12"),
        ("tel:+1-415-555-0100;ext=12", "+14155550100", "12"),
        ("TEL:+14155550100", "+14155550100", ""),
        ("1000x5", "1000", "5"),
        ("1-800-FLOWERS", "+18003569377", ""),
        ("+1 800 CALL NOW", "+18002255669", ""),
        ("\u202a+1\u00a0415\u2011555\u20110100\u202c", "+14155550100", ""),
        ("\uff0b\uff11\uff14\uff11\uff15\uff15\uff15\uff15\uff10\uff11\uff10\uff10", "+14155550100", ""),
        ("+44 (0)20 7946 0000", "+442079460000", ""),
    ],
)
def test_an_extension_is_for_after_the_answer(text: str, number: str, keys: str) -> None:
    assert read_dialled(text, "US") == Dialled(number, keys)
    assert dialled_number(text, "US") == (None if keys else number)


@pytest.mark.parametrize(
    "text",
    [
        "client:4155550100",
        "sip:4155550100@example.com",
        "call 4155550100",
        "4155550 pls",
        "1-800-FLOWERSHOPS-NOW",
        "4155550100 please call",
        "4155550100 or 4155550101",
        "4155550100; 4155550101",
        "4155550100x",
        "4155550100 ext",
        "4155550100x12x13",
        "4155550100xtwelve",
        "4155550100;npdi;rn=1",
        "tel:4155550100;phone-context=+44",
        "+1415+5550100",
        "4155550100&12",
        "x123",
        "FLOWERS",
        "alice",
        "4155550100<b/>",
        "$4155550100",
        "415 555 0100\u00b2",
        "",
    ],
)
def test_no_text_is_dialled_in_part(text: str) -> None:
    assert (is_dialable(text), read_dialled(text, "US")) == (False, None)


@pytest.mark.parametrize("text", ["+1", "415-555-0100 415-555-0101", "+1 415 555 0100#12"])
def test_what_is_written_as_a_number_need_not_be_one(text: str) -> None:
    assert (is_dialable(text), read_dialled(text, "US")) == (True, None)


@given(
    st.sampled_from(["4155550100", "14155550100", "+14155550100", "+442079460000", "5550100", "911"]),
    st.lists(st.sampled_from(["", " ", "-", "(", ")", ".", "/"]), min_size=14, max_size=14),
    st.text(st.sampled_from("0123456789+-(). x,;=ext#*abc:/"), max_size=8),
)
def test_every_digit_that_is_written_is_dialled(number: str, between: list[str], rest: str) -> None:
    text = "".join(digit + separator for digit, separator in zip(number, between, strict=False)) + rest
    dialled = read_dialled(text, "US")
    if dialled is not None:
        written, sent = (re.sub(r"[^0-9*#]", "", each) for each in (text, dialled.number + dialled.keys))
        assert sent.endswith(written)  # a country's code comes to it


TRUNKS = tuple(
    TrunkSettings.model_validate({"name": name, "uri": "sip:192.0.2.10", "prefixes": prefixes})
    for name, prefixes in (("us", ["+1"]), ("bay", ["+1415", "+1510"]), ("rest", []))
)


@pytest.mark.parametrize(
    ("number", "default", "wanted", "names"),
    [
        ("+14155550100", "rest", "", "bay us rest"),
        ("+12125550100", "rest", "", "us rest"),
        ("+12125550100", "us", "", "us"),
        ("+442079460000", "rest", "", "rest"),
        ("+442079460000", "", "", ""),
        ("+14155550100", "rest", "us", "us"),
        ("+14155550100", "rest", "nobody", ""),
    ],
)
def test_the_longest_prefix_comes_first_and_the_default_last(
    number: str, default: str, wanted: str, names: str
) -> None:
    assert " ".join(trunk.name for trunk in trunks_for(number, TRUNKS, default, wanted)) == names
