"""What the workers' library can read, so that it never meets what it cannot.

pjsip drops a message in silence when one header of those it knows is malformed, even one that nobody needs:
the caller hears nothing, and the worker it would have had is lost to the pool for a while. So the edge reads
first: of a message for a worker, what is malformed and not needed is left out or mended, and what is needed
is named, for a 400. RFC 3261 §25.1 is the grammar; where the library takes more, so do we. Tried with 2.15.1
on some 1,600 malformed INVITEs: none that passes here stays without an answer.

All patterns are possessive: none takes more time than the value's length.
"""

import re
from typing import Final

from b2bua.sip.answers import Refusal
from b2bua.sip.message import Header, Message, Request
from b2bua.sip.values import split_values

__all__ = ["refine", "unfit"]

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
_TEL_URI: Final = r"[tT][eE][lL]:[^;\s<>\"]++(?:;[A-Za-z0-9\-_.!~*'()%\[\]/:&+$]++(?:=[^;\s<>\"]++)?+)*+"
_URI: Final = rf"(?:{_SIP_URI}|{_TEL_URI})"
_BARE: Final = r"[A-Za-z][A-Za-z0-9+.\-]*+:[^<>\"?;,\s]++"
_IN_BRACKETS: Final = rf"<[ \t]*+{_URI}[ \t]*+>"
_NAME_ADDR: Final = rf"(?:(?:{_QUOTED}[ \t]*+|[^<\"]*+){_IN_BRACKETS}|{_BARE}){_PARAMS}"
_LISTED: Final = rf"(?:(?:{_QUOTED}[ \t]*+|[^<\",]*+){_IN_BRACKETS}|{_BARE})"
"""Of a list: a comma in its display name needs quotes."""
_SENT_BY: Final = rf"{_HOST}(?:[ \t]*+:[ \t]*+{_PORT})?"
_NO_NUMBER: Final = (
    r"(?i:ttl)[ \t]*+=[ \t]*+(?!(?:25[0-5]|2[0-4]\d|[01]?\d\d?)(?!\d))|(?i:rport)[ \t]*+=[ \t]*+[^\d]"
)
_NO_Q: Final = r"[qQ][ \t]*+=[ \t]*+[^\d.;,\s]"


def _whole(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode(), re.DOTALL)


def _list_of(pattern: str) -> re.Pattern[bytes]:
    return _whole(rf"[ \t]*+{pattern}(?:[ \t]*+,[ \t]*+{pattern})*+[ \t]*+")


_VALUED: Final = rf"{_TOKEN}++{_PARAMS}"
_SECONDS: Final = _whole(rf"[0-9]{{1,10}}{_PARAMS}")
_PAIR: Final = rf"{_TOKEN}++[ \t]*+=[ \t]*+(?:{_QUOTED}|[^\s\",]++)"
_DIGEST: Final = _whole(rf"[dD][iI][gG][eE][sS][tT][ \t]++{_PAIR}(?:[ \t]*+,[ \t]*+{_PAIR})*+")

_NEEDED: Final = {
    "from": _whole(_NAME_ADDR),
    "to": _whole(_NAME_ADDR),
    "contact": _list_of(rf"(?:\*|{_LISTED}{_params(_NO_Q)})"),
    "route": _list_of(_LISTED + _PARAMS),
    "record-route": _list_of(_LISTED + _PARAMS),
    "via": _list_of(
        rf"SIP[ \t]*+/[ \t]*+2\.0[ \t]*+/[ \t]*+{_TOKEN}++[ \t]++{_SENT_BY}{_params(_NO_NUMBER)}"
    ),
    "content-type": _whole(rf"{_TOKEN}++[ \t]*+/[ \t]*+{_TOKEN}++{_PARAMS}"),
    "replaces": _whole(rf"[^;\s\"]++{_PARAMS}"),
}
"""Without these a message is not what its sender meant."""

_OPTIONAL: Final = {
    "expires": _whole(r"[0-9]{1,10}"),
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

_LISTS: Final = frozenset(("accept", "allow", "require", "supported", "unsupported"))
_EMPTY_ITEM: Final = re.compile(rb"(?:^|,)[ \t]*+(?:,|$)")

_CREDENTIALS: Final = frozenset(("authorization", "proxy-authorization"))
"""Of a caller: the edge's business, never a worker's."""

_READ: Final = _NEEDED.keys() | _OPTIONAL.keys() | _LISTS | _CREDENTIALS
_URI_PATTERN: Final = re.compile(_URI, re.ASCII)


def unfit(request: Request) -> Refusal | None:
    """Make a request fit for a worker; why it is refused where that cannot be done, else None."""
    if _URI_PATTERN.fullmatch(request.uri) is None:
        return Refusal(400, "Bad Request-URI")
    wrong = refine(request)
    return None if wrong is None else Refusal(400, f"Bad {wrong.title()}")


def refine(message: Message) -> str | None:
    """Make a message from outside fit for a worker.

    Returns:
        The name of a needed header that is malformed, in lower case; None when the worker can read it all.
    """
    left_out: list[Header] = []
    for header in message.headers:
        name = header.name
        if b"\0" in header.value:
            # pjsip's scanner ends there, also where the grammar allows one.
            if name in _NEEDED or name == "call-id":
                return name
            left_out.append(header)
            continue
        if name not in _READ:
            continue
        if name in _NEEDED:
            if _NEEDED[name].fullmatch(header.value) is None:
                return name
        elif name in _LISTS:
            if header.value and _EMPTY_ITEM.search(header.value):
                header.change(", ".join(split_values(header.text)).encode())
        elif name in _CREDENTIALS or _OPTIONAL[name].fullmatch(header.value) is None:
            left_out.append(header)
    if left_out:
        message.headers = [header for header in message.headers if header not in left_out]
    return None
