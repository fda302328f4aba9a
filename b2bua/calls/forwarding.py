"""Who has forwarded a call on its way to us, by what the INVITE says of it.

Diversion names the diverting party itself. History-Info lists all targets that the call has had, the present
one last: a target that took the place of another (``mp``, or a ``cause`` of call diversion in its URI) was
put there by the one before; where nothing of that is told, the last target that gave an answer (``Reason`` in
its URI, RFC 4244) was left for another. A registrar's way from a user to its phone (``rc``) is no forwarding.
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
"""RFC 4458's cause of a service number that was translated: nobody was called before."""

MAX_ENTRIES = 64
"""Of History-Info that are looked at, the latest."""


def forwarded_by(headers: Headers) -> Uri | None:
    """The latest party that has forwarded the call; None where nothing is told."""
    diversions = _values(headers, "diversion")
    return readable(diversions[0]).uri if diversions else _by_history(headers)


def readable(text: str) -> NameAddr:
    """A name-addr; what is none stands as the user of an invalid host."""
    try:
        return parse_name_addr(text)
    except PeerError:
        return NameAddr(display="", uri=readable_uri(text))


def readable_uri(text: str) -> Uri:
    """Likewise, of a URI."""
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
            continue  # the others say what they say
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
