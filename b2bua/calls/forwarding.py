"""Determines from the INVITE which party has forwarded a call on its way to us.

Diversion names the diverting party itself. History-Info lists all targets that the call has had, the present
one last: a target that replaced another (``mp``, or a ``cause`` of call diversion in its URI) was set by the
target before it. If no entry says so, the last target that sent a response (``Reason`` in its URI, RFC 4244)
forwarded the call. A registrar's mapping from a user to its phone (``rc``) is not a forwarding.
Source: RFC 5806, RFC 7044 §5 and §10, RFC 4458 §2.1, RFC 7544 (which of the causes are diversions).
"""

from urllib.parse import unquote

from b2bua.core.errors import PeerError
from b2bua.core.events import Headers
from b2bua.sip.uri import Uri, parse_uri
from b2bua.sip.values import NameAddr, parse_name_addr, split_values

__all__ = ["forwarded_by", "readable", "readable_uri"]

_DIVERTED = frozenset({"302", "404", "408", "480", "486", "487", "503"})
_SERVICE = "380"
"""RFC 4458's cause for the translation of a service number: no party was called before."""

MAX_ENTRIES = 64
"""How many History-Info entries are examined, counted from the latest."""


def forwarded_by(headers: Headers) -> Uri | None:
    """Return the latest party that has forwarded the call; None if the headers name none."""
    diversions = _values(headers, "diversion")
    return readable(diversions[0]).uri if diversions else _by_history(headers)


def readable(text: str) -> NameAddr:
    """Parse a name-addr; text that cannot be parsed becomes the user part of a URI with an invalid host."""
    try:
        return parse_name_addr(text)
    except PeerError:
        return NameAddr(display="", uri=readable_uri(text))


def readable_uri(text: str) -> Uri:
    """Parse a URI; text that cannot be parsed becomes the user part of a URI with an invalid host."""
    try:
        return parse_uri(text)
    except PeerError:
        return Uri(scheme="sip", user=text[:64], host="invalid")


def _by_history(headers: Headers) -> Uri | None:
    entries = []
    for value in _values(headers, "history-info")[-MAX_ENTRIES:]:
        try:
            entries.append(parse_name_addr(value))
        except PeerError:
            continue  # the other entries are still usable
    for place in range(len(entries) - 1, 0, -1):
        entry = entries[place]
        mapped, cause = entry.param("mp"), entry.uri.param("cause")
        if (mapped is not None and cause != _SERVICE) or cause in _DIVERTED:
            before = (each for each in entries[:place] if mapped and each.param("index") == mapped)
            return next(before, entries[place - 1]).uri
    for entry in reversed(entries[:-1]):
        if entry.param("rc") is None and _has_reason(entry.uri):
            return entry.uri
    return None


def _has_reason(uri: Uri) -> bool:
    names = (field.partition("=")[0] for field in uri.headers.split("&"))
    return any(unquote(name).lower() == "reason" for name in names)


def _values(headers: Headers, wanted: str) -> list[str]:
    return [value for name, text in headers if name.lower() == wanted for value in split_values(text)]
