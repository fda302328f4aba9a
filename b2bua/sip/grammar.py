"""What the workers' library can read, so that it never meets what it cannot.

pjsip drops a message in silence when one header of those it knows is malformed, even one that nobody needs:
the caller hears nothing, and the worker it would have had is lost to the pool for a while. So the edge reads
first. RFC 3261 §25.1 is the grammar; where the library takes more, so do we. Tried with 2.15.1 on some 1,600
malformed INVITEs: none that passes here stays without an answer. What to do with the rest is ``mend``'s.

All patterns are possessive: none takes more time than the value's length.
"""

import re
from typing import Final

__all__ = ["NEEDED", "OPTIONAL", "REQUEST_URI", "TAG", "URIS", "readable", "readable_params", "split_params"]

_TOKEN: Final = r"[A-Za-z0-9\-.!%*_+`'~]"
_QUOTED: Final = r'"(?:[^"\\]|\\.)*+"'
_PORT: Final = r"(?:6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|0*+\d{1,4})(?!\d)"


def _params(but: str = "") -> str:
    """Header parameters; ``but``: how none of them may begin."""
    value = rf"[ \t]*+=[ \t]*+(?:{_QUOTED}|\[[0-9A-Fa-f:.]++\]|{_TOKEN}*+)"
    return rf"(?:[ \t]*+;[ \t]*+(?!{but or '$.'}){_TOKEN}++(?:{value})?+)*+[ \t]*+"


_PARAMS: Final = _params()
_USER: Final = r"[A-Za-z0-9\-_.!~*'()%&=+$,;?/#]"
_URI_CHAR: Final = r"[A-Za-z0-9\-_.!~*'()%\[\]/:&+$]"
_HOST: Final = r"(?:\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9\-_.]++)"
_URI_PARAMS: Final = rf"(?:;(?!ttl=[^0-9]){_URI_CHAR}++(?:={_URI_CHAR}*+)?+)*+"
_FIELD: Final = r"[A-Za-z0-9\-_.!~*'()%\[\]/?:+$]"
_FIELDS: Final = rf"(?:\?{_FIELD}++(?:={_FIELD}*+)?+(?:&{_FIELD}++(?:={_FIELD}*+)?+)*+)?+"
_SIP_URI: Final = (
    rf"[sS][iI][pP][sS]?:(?:{_USER}++(?::[A-Za-z0-9\-_.!~*'()%&=+$,]++)?@)?{_HOST}(?::{_PORT})?"
    rf"{_URI_PARAMS}{_FIELDS}"
)
_TEL_URI: Final = rf"[tT][eE][lL]:[0-9A-Fa-f+*#\-.()]++(?:;{_URI_CHAR}++(?:={_URI_CHAR}++)?+)*+"
_URI: Final = rf"(?:{_SIP_URI}|{_TEL_URI})"
_BARE: Final = rf"[sS][iI][pP][sS]?:(?:[A-Za-z0-9\-_.!~*'()%&=+$/#]++@)?{_HOST}(?::{_PORT})?"
"""Without its parameters. Of other schemes the library takes the header's, a tag too, for the URI's."""


def _name_addr(uri: str, before: str = "") -> str:
    display = rf"(?:{_QUOTED}[ \t]*+|[^<\"{before}]*+)"
    return rf"(?:{display}<[ \t]*+{uri}[ \t]*+>|{_BARE})"


_LISTED: Final = _name_addr(_SIP_URI, ",")
"""Of a list: a comma in its display name needs quotes."""
_NO_TAG: Final = r"(?i:tag)[ \t]*+=[ \t]*+[\"\[]"
"""The library would send it escaped."""
_SENT_BY: Final = rf"{_HOST}(?:[ \t]*+:[ \t]*+{_PORT})?"
_NO_NUMBER: Final = (
    r"(?i:ttl)[ \t]*+=[ \t]*+(?!(?:25[0-5]|2[0-4]\d|[01]?\d\d?)(?!\d))|(?i:rport)[ \t]*+=[ \t]*+[^\d]"
)
_NO_Q: Final = r"[qQ][ \t]*+=[ \t]*+[^\d.;,\s]"


def _whole(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode(), re.DOTALL)


_VALUED: Final = rf"{_TOKEN}++{_PARAMS}"
_SECONDS: Final = _whole(rf"[0-9]{{1,10}}{_PARAMS}")
_PAIR: Final = rf"{_TOKEN}++[ \t]*+=[ \t]*+(?:{_QUOTED}|{_TOKEN}++)"
_DIGEST: Final = _whole(rf"[dD][iI][gG][eE][sS][tT][ \t]++{_PAIR}(?:[ \t]*+,[ \t]*+{_PAIR})*+")

_PARTY: Final = _whole(_name_addr(_URI) + _params(_NO_TAG))
_ROUTE: Final = _whole(_LISTED + _PARAMS)

NEEDED: Final = {
    "from": _PARTY,
    "to": _PARTY,
    "contact": _whole(rf"(?:\*|{_LISTED}{_params(_NO_Q)})"),
    "record-route": _ROUTE,
    "via": _whole(rf"SIP[ \t]*+/[ \t]*+2\.0[ \t]*+/[ \t]*+{_TOKEN}++[ \t]++{_SENT_BY}{_params(_NO_NUMBER)}"),
    "content-type": _whole(rf"{_TOKEN}++[ \t]*+/[ \t]*+{_TOKEN}++{_PARAMS}"),
    "replaces": _whole(rf"[^;\s\"]++{_PARAMS}"),
}
"""Without these a message is not what its sender meant. One value each, as ``split_values`` gives it."""

OPTIONAL: Final = {
    "expires": _whole(r"[0-9]{1,10}"),
    "max-forwards": _whole(r"[0-9]{1,10}"),
    "min-expires": _whole(r"[0-9]{1,10}"),
    "session-expires": _SECONDS,
    "min-se": _SECONDS,
    "retry-after": _whole(rf"[0-9]{{1,9}}[ \t]*+(?:\([^()]*+\))?{_PARAMS}"),
    "event": _whole(_VALUED),
    "subscription-state": _whole(_VALUED),
    "www-authenticate": _DIGEST,
    "proxy-authenticate": _DIGEST,
}
"""Left out when malformed."""

URIS: Final = {
    "contact": _whole(_SIP_URI),
    "from": _whole(_URI),
    "to": _whole(_URI),
}
"""What the library can read in angle brackets there."""

TAG: Final = _whole(rf"{_TOKEN}++")
REQUEST_URI: Final = re.compile(_URI, re.ASCII)
_PIECE: Final = re.compile(r'(?:[^";]|"(?:[^"\\]|\\.)*+")*+', re.DOTALL)
_PARAM: Final = {"contact": _whole(_params(_NO_Q)), "via": _whole(_params(_NO_NUMBER))}
_ANY_PARAM: Final = _whole(_PARAMS)


def split_params(text: str) -> list[str]:
    """A header's parameters; what is before the first semicolon or after an open quote is none."""
    pieces: list[str] = []
    at = 0
    while at <= len(text) and (found := _PIECE.match(text, at)):
        pieces.append(found[0].strip())
        at = found.end() + 1
        if text[found.end() : at] != ";":
            break
    return [piece for piece in pieces[1:] if piece]


def readable_params(text: str, name: str) -> list[str]:
    """Those of a header's parameters that the library can read."""
    pattern = _PARAM.get(name, _ANY_PARAM)
    return [piece for piece in split_params(text) if readable(pattern, f";{piece}")]


def readable(pattern: re.Pattern[bytes], text: str) -> bool:
    """Whether ``text`` is what ``pattern`` describes.

    pjsip's scanner ends at a NUL, also where the grammar allows one.
    """
    return "\0" not in text and pattern.fullmatch(text.encode("utf-8", "surrogateescape")) is not None
