"""Country, city and state of a telephone number, as far as its digits tell.

The country is derived from every international number. City and state come from the tables of the full
``phonenumbers`` package, which the extra ``geo`` installs; without it they are empty.
Source: the hosted service's "TwiML for Programmable Voice", geographic request parameters (read November
2026).
"""

import functools
import re
from typing import Final, NamedTuple

import phonenumbers

try:
    from phonenumbers import geocoder
except ImportError:  # the small package has no tables of places
    geocoder = None  # type: ignore[assignment]

__all__ = ["Place", "place_of"]

_NUMBER: Final = re.compile(r"\+[1-9][0-9]{1,14}")
_STATE: Final = re.compile(r"[A-Z]{2}")
_NOT_A_COUNTRY: Final = frozenset({"ZZ", "001"})
"""Regions that the numbering plan's metadata use for unknown and for international numbers."""


class Place(NamedTuple):
    """Where a number belongs; an empty string is sent for what is unknown."""

    city: str = ""
    state: str = ""
    country: str = ""
    """ISO 3166, two letters."""


@functools.lru_cache(4096)
def place_of(party: str) -> Place:
    """Return the place of a party as webhooks name it; only a number in E.164 has one."""
    if not _NUMBER.fullmatch(party):
        return Place()
    try:
        number = phonenumbers.parse(party)
    except phonenumbers.NumberParseException:
        return Place()
    country = phonenumbers.region_code_for_number(number) or phonenumbers.region_code_for_country_code(
        number.country_code or 0
    )
    if country in _NOT_A_COUNTRY:
        return Place()
    city, state = _city_and_state(number, country)
    return Place(city, state, country)


def _city_and_state(number: phonenumbers.PhoneNumber, country: str) -> tuple[str, str]:
    if geocoder is None:
        return "", ""
    described = geocoder.description_for_valid_number(number, "en")
    city, _, state = described.rpartition(", ")
    if city and _STATE.fullmatch(state):
        return city, state
    # A description of a whole country or state is no city.
    whole = geocoder.country_name_for_number(number, "en")
    if described == whole or (country in ("US", "CA") and "," not in described):
        return "", ""
    return described, ""
