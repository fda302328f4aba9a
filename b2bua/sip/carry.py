"""Values that the workers' library cannot read, carried past it.

A worker is given an address of ours in the place of such a value, with the value within; what a worker sends
gets the value back. So ACK, BYE and re-INVITE go to the very Contact, by the very Record-Routes that the peer
has named, and responses have the peer's own Via, From and To. Nothing is remembered: all of it is in the
address, as in a Record-Route of ours (RFC 5626 §5.2).

A value from outside that looks like ours is carried too, so what is restored is always what came.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from b2bua.sip.message import Message, Request, Response, parse_message

__all__ = [
    "carry_tag",
    "carry_uri",
    "carry_value",
    "carry_via",
    "looks_carried",
    "may_be_carried",
    "read_message",
    "restore",
]

_HOST: Final = "carried.invalid"
_PARAM: Final = "b2bua-carried"
_TAG: Final = "b2bua-"

_TOKEN: Final = rb"([A-Za-z0-9_\-]{1,8000})"
_URI = re.compile(rb"sip:carried\.invalid;b2bua-carried=" + _TOKEN)
_VALUE = re.compile(rb"<sip:carried\.invalid;lr;b2bua-carried=" + _TOKEN + rb">")
_VIA = re.compile(
    rb"SIP/2\.0/UDP carried\.invalid(?::5060)?;branch=z9hG4bKcarried;b2bua-carried=" + _TOKEN, re.IGNORECASE
)
_TAGS = re.compile(rb"(tag[ \t]*=[ \t]*)b2bua-([0-9a-f]{2,1000})", re.IGNORECASE)
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_BLANK = re.compile(rb"[\x00-\x20\x7f]")
_PATTERNS: Final = {
    "from": _URI, "to": _URI, "contact": _URI, "route": _VALUE, "record-route": _VALUE, "via": _VIA,
}  # fmt: skip


def carry_uri(uri: str) -> str:
    """The URI that stands for a Contact's, or a From's or To's."""
    return f"sip:{_HOST};{_PARAM}={_packed(uri)}"


def carry_value(value: str) -> str:
    """What stands for a value of Record-Route, and comes back as one of Route.

    It is ``lr`` whatever the value is: the library sends to the first route, which is the edge's.
    """
    return f"<sip:{_HOST};lr;{_PARAM}={_packed(value)}>"


def carry_via(value: str) -> str:
    """What stands for one of the lower Vias."""
    return f"SIP/2.0/UDP {_HOST};branch=z9hG4bKcarried;{_PARAM}={_packed(value)}"


def carry_tag(tag: str) -> str:
    """What stands for a tag."""
    return _TAG + tag.encode("utf-8", "surrogateescape").hex()


def may_be_carried(text: str, *, blanks: bool = False) -> bool:
    """Whether what is carried may be written into a message again; ``blanks``: not into its first line."""
    return (_CONTROL if blanks else _BLANK).search(text.encode("utf-8", "surrogateescape")) is None


def looks_carried(value: bytes | str) -> bool:
    """Whether a value has a mark of ours, be it somebody's imitation."""
    return _TAG in value.lower() if isinstance(value, str) else _TAG.encode() in value.lower()


def restore(message: Message) -> None:
    """Put back what was carried, in a message that a worker sends or has got."""
    if isinstance(message, Request) and _PARAM in message.uri:
        uri = message.uri.encode("utf-8", "surrogateescape")
        message.uri = _URI.sub(_unpack_uri, uri).decode("utf-8", "surrogateescape")
    for header in message.headers:
        if b"b2bua-" not in header.value:
            continue
        pattern = _PATTERNS.get(header.name)
        value = header.value
        if header.name in ("from", "to", "replaces"):
            value = _TAGS.sub(_unpack_tag, value)
        if pattern is not None:
            value = pattern.sub(_unpack, value)
        if value != header.value:
            header.change(value)


def read_message(data: bytes) -> Request | Response:
    """``parse_message`` of what a worker was given.

    Raises:
        PeerError: it is malformed.
    """
    message = parse_message(data)
    restore(message)
    return message


def _packed(text: str) -> str:
    return urlsafe_b64encode(text.encode("utf-8", "surrogateescape")).rstrip(b"=").decode()


def _unpack(match: re.Match[bytes], unfit: re.Pattern[bytes] = _CONTROL) -> bytes:
    token = match[1]
    try:
        value = urlsafe_b64decode(token + b"=" * (-len(token) % 4))
    except ValueError:
        return match[0]
    # An application may write such an address by itself: it begins no line either.
    return match[0] if unfit.search(value) else value


def _unpack_uri(match: re.Match[bytes]) -> bytes:
    return _unpack(match, _BLANK)


def _unpack_tag(match: re.Match[bytes]) -> bytes:
    try:
        tag = bytes.fromhex(match[2].decode())
    except ValueError:
        return match[0]
    return match[0] if _CONTROL.search(tag) else match[1] + tag
