"""What a document's text dials, and by which trunk."""

import pytest

from b2bua.flow.numbers import dialled_number, trunks_for
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
