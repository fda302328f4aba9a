"""Carries header values that the workers' library cannot read past it.

In a message for a worker, a stand-in address of ours replaces such a value and contains it; in messages from
the worker, the value replaces the stand-in. So ACK, BYE and re-INVITE go to the exact Contact, through the
exact Record-Routes that the peer has named, and responses have the peer's own Via, From and To. The edge
remembers nothing: the stand-in contains everything, like our Record-Route (RFC 5626 §5.2).

A value from outside that looks like a stand-in is carried too, so a restored value is always as received.
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
_PARTY = re.compile(rb'((?:"(?:[^"\\]|\\.)*+"|[^"<])*+<)([^>]*+)(>.*)', re.DOTALL)
"""Display name and opening bracket, address, and the rest of a From or To."""
_TAGS = re.compile(rb"(tag[ \t]*=[ \t]*)b2bua-([0-9a-f]{2,1000})", re.IGNORECASE)
_TAG_PARAM = re.compile(rb"(;[ \t]*tag[ \t]*=[ \t]*)b2bua-([0-9a-f]{2,1000})", re.IGNORECASE)
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_BLANK = re.compile(rb"[\x00-\x20\x7f]")
_PATTERNS: Final = {
    "from": _URI, "to": _URI, "contact": _URI, "route": _VALUE, "record-route": _VALUE, "via": _VIA,
}  # fmt: skip


def carry_uri(uri: str) -> str:
    """Return the stand-in for the URI of a Contact, From or To."""
    return f"sip:{_HOST};{_PARAM}={_packed(uri)}"


def carry_value(value: str) -> str:
    """Return the stand-in for a Record-Route value, which comes back as a Route value.

    It always has ``lr``, whatever the value has: the library sends to the first route, which is the edge's.
    """
    return f"<sip:{_HOST};lr;{_PARAM}={_packed(value)}>"


def carry_via(value: str) -> str:
    """Return the stand-in for a Via below the topmost."""
    return f"SIP/2.0/UDP {_HOST};branch=z9hG4bKcarried;{_PARAM}={_packed(value)}"


def carry_tag(tag: str) -> str:
    """Return the stand-in for a tag."""
    return _TAG + tag.encode("utf-8", "surrogateescape").hex()


def may_be_carried(text: str, *, blanks: bool = False) -> bool:
    """Whether a value may be written back into a message.

    ``blanks`` allows blanks, for a value that does not go into the first line.
    """
    return (_CONTROL if blanks else _BLANK).search(text.encode("utf-8", "surrogateescape")) is None


def looks_carried(value: bytes | str) -> bool:
    """Whether a value has our mark, genuine or imitated."""
    return _TAG in value.lower() if isinstance(value, str) else _TAG.encode() in value.lower()


def _restore_party(value: bytes) -> bytes:
    """Restore the address and the tag of a From or To, and nothing else of it.

    Its display name and its user part are a peer's words: a stand-in within them is a forgery.
    """
    parts = _PARTY.fullmatch(value)
    if parts is None:
        return value
    stand_in = _URI.fullmatch(parts[2])
    address = parts[2] if stand_in is None else _unpack(stand_in)
    return parts[1] + address + _TAG_PARAM.sub(_unpack_tag, parts[3])


def restore(message: Message) -> None:
    """Put the original values back into a message that a worker sends or has received."""
    if isinstance(message, Request) and _PARAM in message.uri:
        uri = message.uri.encode("utf-8", "surrogateescape")
        message.uri = _URI.sub(_unpack_uri, uri).decode("utf-8", "surrogateescape")
    for header in message.headers:
        if b"b2bua-" not in header.value:
            continue
        pattern = _PATTERNS.get(header.name)
        value = header.value
        if header.name in ("from", "to"):
            value = _restore_party(value)
        elif header.name == "replaces":
            value = _TAGS.sub(_unpack_tag, value)
        elif pattern is not None:
            value = pattern.sub(_unpack, value)
        if value != header.value:
            header.change(value)


def read_message(data: bytes) -> Request | Response:
    """Parse a message that a worker has received, with the original values restored.

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
    # An application may write such an address itself: it must not start a new line either.
    return match[0] if unfit.search(value) else value


def _unpack_uri(match: re.Match[bytes]) -> bytes:
    return _unpack(match, _BLANK)


def _unpack_tag(match: re.Match[bytes]) -> bytes:
    try:
        tag = bytes.fromhex(match[2].decode())
    except ValueError:
        return match[0]
    return match[0] if _CONTROL.search(tag) else match[1] + tag
