"""Repairs messages for a worker that have headers its library cannot read (``grammar``).

A malformed header that is not needed is removed. A needed one is carried past the library, which is shown a
stand-in (``carry``). So a request is refused only if it names no address that a message could be sent to, and
a response never is: a callee's 200 needs its ACK, whatever else it contains.
"""

import re
from ipaddress import IPv6Address
from typing import Final

from b2bua.core.errors import PeerError
from b2bua.sip.answers import Refusal
from b2bua.sip.carry import carry_tag, carry_uri, carry_value, carry_via, looks_carried, may_be_carried
from b2bua.sip.grammar import (
    NEEDED,
    OPTIONAL,
    REQUEST_URI,
    TAG,
    URIS,
    readable,
    readable_params,
    split_params,
)
from b2bua.sip.message import Header, Message, Request
from b2bua.sip.uri import parse_uri
from b2bua.sip.values import parse_name_addr, parse_replaces, parse_via, split_name_addr, split_values

__all__ = ["refine", "unfit"]

_LISTS: Final = frozenset(("accept", "allow", "require", "supported", "unsupported"))
_EMPTY_ITEM: Final = re.compile(rb"(?:^|,)[ \t]*+(?:,|$)")
_MANY: Final = frozenset(("contact", "record-route", "via"))
_CREDENTIALS: Final = frozenset(("authorization", "proxy-authorization"))
"""A caller's credentials: checked by the edge, never shown to a worker."""
_ROUTE: Final = "route"
"""Evaluated by the edge; of no use to the worker."""
_READ: Final = NEEDED.keys() | OPTIONAL.keys() | _LISTS | _CREDENTIALS | {_ROUTE}

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s]")
_SOME_ADDRESS: Final = re.compile(
    r"(sips?):(?:([A-Za-z0-9\-_.!~*'()%&=+$,;?/]{1,256})@)?(\[?[A-Za-z0-9\-_.:]+\]?)", re.IGNORECASE
)
_HOST_AND_PORT: Final = re.compile(r"(\[[^\]]*\]|[^:]+)(?::(\d{1,5}))?")
_MEDIA_TYPE: Final = re.compile(r"\s*([A-Za-z0-9\-.!%*_+`'~]+)\s*/\s*([A-Za-z0-9\-.!%*_+`'~]+)")
_UNQUOTED: Final = re.compile(r"(nonce\s*=\s*|opaque\s*=\s*|realm\s*=\s*)([^\s\",\\]+)", re.IGNORECASE)
_SESSION: Final = re.compile(r"(\d{1,10})\s*(;.*)", re.DOTALL)


class _UnreadableError(Exception):
    """No stand-in can be shown for a value."""


def unfit(request: Request) -> Refusal | None:
    """Repair a request for a worker; return a refusal if that is impossible, else None."""
    if REQUEST_URI.fullmatch(request.uri) is None:
        return Refusal(400, "Bad Request-URI")
    wrong = refine(request)
    return None if wrong is None else Refusal(400, f"Bad {wrong.title()}")


def refine(message: Message) -> str | None:
    """Repair a message from outside for a worker.

    Returns:
        The lower-case name of a request's header that is needed and cannot be repaired; None if the worker
        can read the whole message.
    """
    left_out: list[Header] = []
    for header in message.headers:
        name = header.name
        if b"\0" in header.value and (isinstance(message, Request) or name not in NEEDED):
            # pjsip's scanner ends at a NUL, even where the grammar allows one.
            if name in NEEDED or name == "call-id":
                return name
            left_out.append(header)
            continue
        if name not in _READ:
            continue
        if name in NEEDED:
            if not _is_readable(header) and not _show(header, message):
                if isinstance(message, Request):
                    return name
                left_out.append(header)
        elif name in _LISTS:
            if header.value and _EMPTY_ITEM.search(header.value):
                items = (item.strip() for item in header.value.split(b","))
                header.change(b", ".join(item for item in items if item))
        elif name in _CREDENTIALS or name == _ROUTE or not _mend_optional(header):
            left_out.append(header)
    if left_out:
        message.headers = [header for header in message.headers if all(header is not out for out in left_out)]
    if isinstance(message, Request) or message.get("content-type") is not None or not message.body:
        return None
    message.set_body(message.body if message.body.startswith(b"v=0") else b"", "application/sdp")
    return None


def _is_readable(header: Header) -> bool:
    if looks_carried(header.value) or b"\0" in header.value:
        return False
    pattern = NEEDED[header.name]
    if header.name in _MANY and b"," in header.value:
        return all(pattern.fullmatch(each) for each in _pieces(header.value))
    return pattern.fullmatch(header.value) is not None


def _pieces(value: bytes) -> list[bytes]:
    """Return the values of a list; one empty value if the library could not read the list."""
    text = value.decode("utf-8", "surrogateescape")
    if _EMPTY_ITEM.search(value):
        return [b""]
    return [each.encode("utf-8", "surrogateescape") for each in split_values(text)]


def _show(header: Header, message: Message) -> bool:
    """Give the library a stand-in that it can read; return False if there is none."""
    text = header.value.decode("utf-8", "surrogateescape")
    try:
        match header.name:
            case "content-type":
                return _mend_content_type(header, message)
            case "from" | "to":
                shown = _party(text, header.name, message)
            case "replaces":
                shown = _replaces(text)
            case _:
                shown = _list(text, header.name, message)
    except (PeerError, _UnreadableError):
        return False
    header.shown = shown.encode("utf-8", "surrogateescape")
    return True


def _party(text: str, name: str, message: Message) -> str:
    """Return a readable From or To. In a response only the tag matters: the rest echoes our own request."""
    try:
        display, uri, params = split_name_addr(text)
        if _SCHEME.match(uri) is None or not may_be_carried(uri, blanks=True):
            raise PeerError("no URI")
    except PeerError:
        if isinstance(message, Request):
            raise
        display, uri, params = "", "sip:unreadable.invalid", text[text.rfind(">") + 1 :]
    if looks_carried(uri) or not readable(URIS[name], uri):
        uri = carry_uri(uri)
    return f"{_display(display)}<{uri}>{_party_params(params)}"


def _display(name: str) -> str:
    name = "".join(char for char in name if char >= " " and char != "\x7f")
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" ' if name else ""


def _party_params(text: str) -> str:
    kept: dict[str, str] = {}
    for param in split_params(text):
        key, _, value = (part.strip() for part in param.partition("="))
        if key.lower() == "tag" and value and may_be_carried(value, blanks=True):
            kept.setdefault("tag", f";tag={_tag(value)}")
        elif key.lower() != "tag" and readable_params(f";{param}", "to"):
            kept.setdefault(key, f";{param}")
    return "".join(kept.values())


def _tag(tag: str) -> str:
    return tag if readable(TAG, tag) and not looks_carried(tag) else carry_tag(tag)


def _replaces(text: str) -> str:
    named = parse_replaces(text)
    early = ";early-only" if re.search(r";\s*early-only\b", text, re.IGNORECASE) else ""
    return f"{named.call_id};to-tag={_tag(named.to_tag)};from-tag={_tag(named.from_tag)}{early}"


def _list(text: str, name: str, message: Message) -> str:
    shown: list[str] = []
    for value in split_values(text):
        if readable(NEEDED[name], value) and not looks_carried(value):
            shown.append(value)
            continue
        try:
            shown.append(_listed(value, name, message))
        except (PeerError, _UnreadableError):
            if isinstance(message, Request):
                raise
    if not shown:
        raise _UnreadableError
    return ", ".join(shown)


def _listed(value: str, name: str, message: Message) -> str:
    match name:
        case "contact":
            return _contact(value)
        case "record-route":
            if parse_name_addr(value).uri.scheme == "tel" or not may_be_carried(value, blanks=True):
                raise _UnreadableError
            return carry_value(value)
    if isinstance(message, Request):
        if not may_be_carried(value, blanks=True):
            raise _UnreadableError
        return carry_via(value)
    via = parse_via(value)  # in a response this is the worker's own Via, which identifies the request
    port = "" if via.port is None else f":{via.port}"
    params = "".join(f";{n}" if v is None else f";{n}={v}" for n, v in via.params)
    kept = "".join(f";{param}" for param in readable_params(params, "via"))
    return f"SIP/2.0/{via.transport} {via.host}{port}{kept}"


def _contact(value: str) -> str:
    display, uri, params = "", "", ""
    try:
        display, uri, params = split_name_addr(value)
        parse_uri(uri)
        if not may_be_carried(uri):
            raise PeerError("no URI")
    except PeerError:
        uri = _some_address(value)
    kept = "".join(f";{param}" for param in readable_params(params, "contact"))
    secure = uri[:5].lower() == "sips:"  # a readable SIPS URI is marked for a worker instead (``sips``)
    if secure or looks_carried(uri) or not readable(URIS["contact"], uri):
        uri = carry_uri(uri)
    return f"{_display(display)}<{uri}>{kept}"


def _some_address(value: str) -> str:
    """Return a URI of the scheme, user, host and port found anywhere in a malformed Contact.

    Raises:
        PeerError: it contains no address.
    """
    found = _SOME_ADDRESS.search(value)
    if found is None:
        raise PeerError("no address")
    scheme, user, place = found[1].lower(), found[2], found[3]
    try:
        place = f"[{IPv6Address(place)}]"
    except ValueError:
        parts = _HOST_AND_PORT.match(place)
        host, port = (parts[1], parts[2]) if parts is not None else ("", None)
        place = f"{host}:{port}" if port is not None and 0 < int(port) < 65_536 else host
    uri = f"{scheme}:{user}@{place}" if user else f"{scheme}:{place}"
    parse_uri(uri)
    return uri


def _mend_content_type(header: Header, message: Message) -> bool:
    found = _MEDIA_TYPE.match(header.text)
    if found is None:
        return False
    kept = "".join(f";{param}" for param in readable_params(header.text[found.end() :], "content-type"))
    header.change(f"{found[1]}/{found[2]}{kept}".encode())
    return True


def _mend_optional(header: Header) -> bool:
    """Repair a header that is not needed; return whether it is readable then."""
    pattern = OPTIONAL[header.name]
    if pattern.fullmatch(header.value) is not None:
        return True
    if header.name.endswith("-authenticate"):
        mended = ", ".join(_UNQUOTED.sub(r'\1"\2"', value) for value in split_values(header.text))
    elif header.name == "session-expires" and (found := _SESSION.fullmatch(header.text)):
        # Without this header the refresher would be unknown, and the other side would hang up eventually.
        mended = "".join([found[1], *(f";{param}" for param in readable_params(found[2], header.name))])
    else:
        return False
    if pattern.fullmatch(mended.encode()) is None:
        return False
    header.change(mended.encode())
    return True
