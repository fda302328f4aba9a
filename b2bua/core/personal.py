"""Removal of personal data from text: addresses, numbers and names of people.

It is meant for free text from other sources, such as the message of a library or an exception. Data that we
know to be personal is put in log fields of its own (``b2bua.logs``), not in a text.
"""

import re
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Final

__all__ = ["without_addresses", "without_personal"]

_HIDDEN: Final = "…"
_PASSES: Final = 8
"""Passes over a text at most, so that the time for it remains proportional to its length."""
_QUERY: Final = re.compile(r"(?i)(https?://[^\s?\"'<>]*+\?)[^\s\"'<>]++")
"""A URL with a query: a GET request carries all its parameters to the application there."""
_URI: Final = re.compile(r"(?i)\b(sips?|tel|client):(?=[^\s:])[^\s\"'<>,]++")
_NUMBER: Final = re.compile(r"(?<!\w)\+?\d(?:[-.() ]{0,2}\d){6,}(?!\w)")
_IPV4: Final = re.compile(r"(?<![\w./])\d{1,3}(?:\.\d{1,3}){3}(?!\.?\w)(?::\d{1,5})?")
"""An IPv4 address that does not follow ``//``: one that does is an application's, or the node's own."""
_MAYBE_IPV6: Final = re.compile(r"(?<![\w:/])(?=[0-9A-Fa-f]*:[0-9A-Fa-f]*:)[0-9A-Fa-f:.]{3,45}(?![\w:])")


def without_personal(text: str) -> str:
    """Return ``text`` without SIP and telephone addresses, numbers, queries of URLs, and IP addresses.

    A text that has been through it is returned as it is.
    """
    return _settled(text, _hide_personal)


def without_addresses(text: str) -> str:
    """Return ``text`` without IP addresses and their ports; see ``without_personal``."""
    return _settled(text, _hide_addresses)


def _settled(text: str, hide: Callable[[str], str]) -> str:
    """Repeat ``hide`` until it finds nothing: what it hides may be all that kept its neighbour from view."""
    for _ in range(_PASSES):
        before, text = text, hide(text)
        if text == before:
            return text
    return _HIDDEN  # made on purpose: no library says that


def _hide_personal(text: str) -> str:
    text = _QUERY.sub(rf"\1{_HIDDEN}", text)
    text = _URI.sub(rf"\1:{_HIDDEN}", text)
    return _NUMBER.sub(_HIDDEN, _hide_addresses(text))


def _hide_addresses(text: str) -> str:
    return _MAYBE_IPV6.sub(_hide_ipv6, _IPV4.sub(_HIDDEN, text))


def _hide_ipv6(found: re.Match[str]) -> str:
    try:
        IPv6Address(found[0].rstrip("."))
    except ValueError:  # a time of day
        return found[0]
    return _HIDDEN
