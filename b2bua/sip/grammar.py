"""Grammar of the header values that the workers' library can read.

pjsip silently drops a message if one of the headers it knows is malformed, even one that is not needed: the
caller gets no answer, and the worker chosen for the call is lost to the pool for a while. So the edge checks
messages first. The grammar is RFC 3261 §25.1, extended where the library accepts more. Tested with 2.15.1 on
some 1,600 malformed INVITEs: every one that passes here gets an answer. ``mend`` deals with the others.

All patterns are possessive: matching takes time linear in the value's length.
"""

import re
from typing import Final

__all__ = ["NEEDED", "OPTIONAL", "REQUEST_URI", "TAG", "URIS", "readable", "readable_params", "split_params"]

_TOKEN: Final = r"[A-Za-z0-9\-.!%*_+`'~]"
_QUOTED: Final = r'"(?:[^"\\]|\\.)*+"'
_PORT: Final = r"(?:6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|0*+\d{1,4})(?!\d)"


def _params(but: str = "") -> str:
    """Return a pattern of header parameters, none of which may begin with ``but``."""
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
"""A URI without angle brackets or parameters. With other schemes, the library reads the header's parameters,
even a tag, as the URI's."""


def _name_addr(uri: str, before: str = "") -> str:
    display = rf"(?:{_QUOTED}[ \t]*+|[^<\"{before}]*+)"
    return rf"(?:{display}<[ \t]*+{uri}[ \t]*+>|{_BARE})"


_LISTED: Final = _name_addr(_SIP_URI, ",")
"""One value of a list: a comma in its display name needs quotes."""
_NO_TAG: Final = r"(?i:tag)[ \t]*+=[ \t]*+[\"\[]"
"""A tag that the library would send escaped."""
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
"""Headers that are essential to the meaning of a message; each pattern matches one value, as returned by
``split_values``."""

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
"""Headers that are removed when malformed."""

URIS: Final = {
    "contact": _whole(_SIP_URI),
    "from": _whole(_URI),
    "to": _whole(_URI),
}
"""By header: the URIs that the library can read in angle brackets."""

TAG: Final = _whole(rf"{_TOKEN}++")
REQUEST_URI: Final = re.compile(_URI, re.ASCII)
_PIECE: Final = re.compile(r'(?:[^";]|"(?:[^"\\]|\\.)*+")*+', re.DOTALL)
_PARAM: Final = {"contact": _whole(_params(_NO_Q)), "via": _whole(_params(_NO_NUMBER))}
_ANY_PARAM: Final = _whole(_PARAMS)


def split_params(text: str) -> list[str]:
    """Return a header's parameters; text before the first semicolon or after an unclosed quote is not one."""
    pieces: list[str] = []
    at = 0
    while at <= len(text) and (found := _PIECE.match(text, at)):
        pieces.append(found[0].strip())
        at = found.end() + 1
        if text[found.end() : at] != ";":
            break
    return [piece for piece in pieces[1:] if piece]


def readable_params(text: str, name: str) -> list[str]:
    """Return those of a header's parameters that the library can read."""
    pattern = _PARAM.get(name, _ANY_PARAM)
    return [piece for piece in split_params(text) if readable(pattern, f";{piece}")]


def readable(pattern: re.Pattern[bytes], text: str) -> bool:
    """Whether ``text`` matches ``pattern`` and has no NUL.

    pjsip's scanner ends at a NUL, even where the grammar allows one.
    """
    return "\0" not in text and pattern.fullmatch(text.encode("utf-8", "surrogateescape")) is not None
