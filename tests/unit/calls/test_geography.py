"""Country, city and state of a number, with and without the tables of places."""

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from b2bua.calls import geography

pytestmark = pytest.mark.unit


@pytest.fixture
def without_tables(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setitem(sys.modules, "phonenumbers.geocoder", None)
    import phonenumbers

    monkeypatch.delattr(phonenumbers, "geocoder", raising=False)
    yield importlib.reload(geography)
    monkeypatch.undo()
    importlib.reload(geography)


@pytest.mark.parametrize(
    ("party", "country"),
    [
        ("+14155550100", "US"),
        ("+16045550100", "CA"),
        ("+442079460000", "GB"),
        ("+4930123456", "DE"),
        ("+80012345678", ""),  # international freephone
        ("+999123456", ""),
        ("+1", ""),
        ("4155550100", ""),
        ("sip:+14155550100@example.com", ""),
        ("client:ann", ""),
        ("anonymous", ""),
        ("", ""),
    ],
)
def test_the_country_is_derived_from_the_number(party: str, country: str, without_tables: ModuleType) -> None:
    assert without_tables.place_of(party) == ("", "", country)


@pytest.mark.parametrize(
    ("party", "place"),
    [
        ("+16502530000", ("Mountain View", "CA", "US")),
        ("+12124567890", ("New York", "NY", "US")),
        ("+442079460000", ("London", "", "GB")),
        ("+4930123456", ("Berlin", "", "DE")),
        ("+18002345678", ("", "", "US")),  # no place
        ("+447400123456", ("", "", "GB")),  # a mobile
    ],
)
def test_the_tables_tell_city_and_state(party: str, place: tuple[str, str, str]) -> None:
    assert geography.place_of(party) == place
