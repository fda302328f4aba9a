"""Telephone numbers: what a document's text dials, and which trunk takes it.

Source: TwiML ``<Number>``; E.164; the ``phonenumbers`` metadata for national formats.
"""

import re
from collections.abc import Sequence

import phonenumbers

from b2bua.settings import TrunkSettings

__all__ = ["dialled_number", "trunks_for"]

_SEPARATORS = re.compile(r"[\s().\-/]")
_AS_IT_IS = re.compile(r"[*#]?[0-9*#]{1,6}")
"""Extensions, short and service codes: not ours to translate."""

_MAX_TEXT = 64


def dialled_number(text: str, country: str) -> str | None:
    """Return what to dial for ``text``, or None where it is no number.

    Args:
        text: as in the document, any usual punctuation: ``415-123-4567``, ``+44 20 7946 0000``.
        country: region of national numbers, e.g. ``US``.

    Returns: E.164 with its ``+``; emergency, short and service numbers as they are.
    """
    compact = _SEPARATORS.sub("", text)
    if not compact or len(text) > _MAX_TEXT:
        return None
    if _AS_IT_IS.fullmatch(compact) or phonenumbers.is_emergency_number(compact, country):
        return compact
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    match phonenumbers.is_possible_number_with_reason(number):
        case phonenumbers.ValidationResult.IS_POSSIBLE:
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        case phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
            return compact  # seven digits in the US: the PBX knows which area it is in
        case _:
            return None


def trunks_for(
    number: str, trunks: Sequence[TrunkSettings], default: str, wanted: str = ""
) -> list[TrunkSettings]:
    """Return the trunks that take ``number``, in the order to try them.

    The longest matching prefix comes first, among equals the order of the configuration; the default is the
    last resort. A trunk that is asked for by name stands alone.

    Args:
        number: as ``dialled_number`` returns it.
        trunks: of the configuration.
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
