"""Telephone numbers: which number the text in a document dials, and which trunks take it.

The text must be a number as a whole: ``phonenumbers`` would find one anywhere in it, and the wrong party
would be called. An extension that follows the number is dialled when the call is answered.
Source: TwiML ``<Number>``; E.164; RFC 3966 §3 (``tel:``, ``ext``); the ``phonenumbers`` metadata for national
formats.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final, NamedTuple

import phonenumbers

from b2bua.settings import TrunkSettings

__all__ = ["Dialled", "dialled_number", "is_dialable", "read_dialled", "trunks_for"]

_SEPARATORS: Final = re.compile(r"[\s().\-/]")
_AS_IT_IS: Final = re.compile(r"[*#]?[0-9*#]{1,6}")
"""Extensions, short codes and service codes, which are dialled without translation."""

_MAX_TEXT: Final = 64
_UNSEEN: Final = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
"""Invisible characters that come with a number copied from elsewhere."""
_DASHES: Final = re.compile("[\u2010-\u2015\u2212\uff0d]")
_DIGITS: Final = r"(?:tel:)?(?P<number>[*#]?\+?[0-9*#\s().\-/]*[0-9*#])[\s).]*"
_EXTENSION: Final = (
    r"(?:(?:;\s*ext\s*=|[,;]?\s*(?:extension|extn|ext|x)[.:]?|(?P<pauses>,[,\s]*))\s*"
    r"(?P<extension>[0-9*#](?:[0-9*#\-\s]{0,18}[0-9*#])?))?"
)
_NUMBER: Final = re.compile(_DIGITS + _EXTENSION, re.IGNORECASE)
_VANITY: Final = re.compile(r"(?!.*EXT\W*\Z)(?P<number>\+?[0-9][0-9\s().\-/]*[A-Z]{3}[A-Z0-9\s.\-]*)")
"""1-800-FLOWERS: every letter stands for a key. Only capitals: lower case is more likely a remark."""
_KEYS: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999")
_PAUSE: Final = "WW"
"""The pause for a comma: two seconds, as on phones."""


class Dialled(NamedTuple):
    """The result of reading a text as a number."""

    number: str
    """E.164 with its ``+``; emergency, short and service numbers as written."""
    keys: str = ""
    """The extension, sent after the answer, in the format of ``sendDigits``."""


def is_dialable(text: str) -> bool:
    """Return whether the whole text is a number with an optional extension; the number need not exist."""
    match = _match(text)
    return match is not None and match.re is _NUMBER


def read_dialled(text: str, country: str) -> Dialled | None:
    """Return what to dial for ``text``, or None if it is not a number.

    Args:
        text: as in the document, with any usual punctuation: ``415-123-4567``, ``+44 20 7946 0000 ext. 12``.
        country: region of national numbers, e.g. ``US``.
    """
    match = _match(text)
    if match is None:
        return None
    written = match["number"]
    if match.re is _VANITY:
        number = _number(written.translate(_KEYS), country)
        return Dialled(number) if number is not None and number.startswith("+") else None
    number = _number(written, country)
    if number is None:
        return None
    pauses = _PAUSE * (match["pauses"] or "").count(",")
    return Dialled(number, pauses + re.sub(r"[\s\-]", "", match["extension"] or ""))


def dialled_number(text: str, country: str) -> str | None:
    """Return the number that ``text`` dials, or None if it is not a number or has an extension."""
    dialled = read_dialled(text, country)
    return dialled.number if dialled is not None and not dialled.keys else None


def _match(text: str) -> re.Match[str] | None:
    if len(text) > _MAX_TEXT:
        return None
    plain = _DASHES.sub("-", _UNSEEN.sub("", text))
    plain = "".join(str(unicodedata.decimal(char, char)) for char in plain).replace("\uff0b", "+").strip()
    return _NUMBER.fullmatch(plain) or _VANITY.fullmatch(plain)


def _number(text: str, country: str) -> str | None:
    compact = _SEPARATORS.sub("", text)
    if _AS_IT_IS.fullmatch(compact) or phonenumbers.is_emergency_number(compact, country):
        return compact
    if re.fullmatch(r"\+?[0-9]+", compact) is None:
        return None
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    match phonenumbers.is_possible_number_with_reason(number):
        case phonenumbers.ValidationResult.IS_POSSIBLE:
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        case phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
            return compact  # e.g. seven digits in the US: the PBX knows its own area code
        case _:
            return None


def trunks_for(
    number: str, trunks: Sequence[TrunkSettings], default: str, wanted: str = ""
) -> list[TrunkSettings]:
    """Return the trunks that take ``number``, in the order to try them.

    Trunks with the longest matching prefix come first, equal ones in the order of the configuration; the
    default trunk is the last resort. If a trunk is requested by name, only that one is returned.

    Args:
        number: as ``dialled_number`` returns it.
        trunks: the configured trunks.
        default: ``dial.trunk``.
        wanted: the noun's ``byoc``, a trunk's name; empty: any.
    """
    if wanted:
        return [trunk for trunk in trunks if trunk.name == wanted]
    lengths = {
        trunk.name: max((len(prefix) for prefix in trunk.prefixes if number.startswith(prefix)), default=-1)
        for trunk in trunks
    }
    matching = [trunk for trunk in trunks if lengths[trunk.name] >= 0]
    matching.sort(key=lambda trunk: -lengths[trunk.name])  # stable
    last = [trunk for trunk in trunks if trunk.name == default and trunk not in matching]
    return matching + last
