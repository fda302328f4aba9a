"""What of a text is about people: their addresses, numbers and names.

For free text that others had a part in, such as a library's message or an exception's. What we know to be
personal stands in log fields of its own (``b2bua.logs``), not in a text.
"""

import re
from ipaddress import IPv6Address
from typing import Final

__all__ = ["without_addresses", "without_personal"]

_HIDDEN: Final = "…"
_QUERY: Final = re.compile(r"(?i)(https?://[^\s?\"'<>]*+\?)[^\s\"'<>]++")
"""Of a request by GET: all that the application is told stands there."""
_URI: Final = re.compile(r"(?i)\b(sips?|tel|client):(?=[^\s:])[^\s\"'<>,]++")
_NUMBER: Final = re.compile(r"(?<!\w)\+?\d(?:[-.() ]{0,2}\d){6,}(?!\w)")
_IPV4: Final = re.compile(r"(?<![\w./])\d{1,3}(?:\.\d{1,3}){3}(?!\.?\w)(?::\d{1,5})?")
"""Not behind ``//``: that is an application's, or the node's own."""
_MAYBE_IPV6: Final = re.compile(r"(?<![\w:/])(?=[0-9A-Fa-f]*:[0-9A-Fa-f]*:)[0-9A-Fa-f:.]{3,45}(?![\w:])")


def without_personal(text: str) -> str:
    """Return ``text`` without SIP and telephone addresses, numbers, queries of URLs, and IP addresses."""
    text = _QUERY.sub(rf"\1{_HIDDEN}", text)
    text = _URI.sub(rf"\1:{_HIDDEN}", text)
    return _NUMBER.sub(_HIDDEN, without_addresses(text))


def without_addresses(text: str) -> str:
    """Return ``text`` without IP addresses and their ports."""
    return _MAYBE_IPV6.sub(_hide_ipv6, _IPV4.sub(_HIDDEN, text))


def _hide_ipv6(found: re.Match[str]) -> str:
    try:
        IPv6Address(found[0].rstrip("."))
    except ValueError:  # a time of the day
        return found[0]
    return _HIDDEN
