"""Reads the usable parts of malformed messages.

This lets the edge answer a malformed request, and lets a callee's 200 get its ACK, whatever else it contains.
"""

import re
from typing import Final

from b2bua.core.errors import PeerError
from b2bua.sip.message import MAX_HEADERS, Header, Request, Response, parse_message
from b2bua.sip.values import parse_via

__all__ = ["salvage", "salvage_response"]

MAX_SALVAGED: Final = 4096
_REQUEST_LINE = re.compile(rb"([A-Za-z0-9\-.!%*_+`'~]{1,64}) ([^\r\n\0]{1,1024}) SIP/2\.0\r\n")
_LINE = re.compile(rb"(via|v|from|f|to|t|call-id|i|cseq)[ \t]*:[ \t]*([^\r\n\0]{1,1024})", re.IGNORECASE)
_NAMES: Final = {b"v": "via", b"f": "from", b"t": "to", b"i": "call-id"}
_HEADER = re.compile(rb"([A-Za-z0-9\-.!%*_+`'~]{1,64})[ \t]*:([^\r\n\0]|\r\n[ \t])*+")
_LINE_END = re.compile(rb"\r\n(?![ \t])")
_LENGTH: Final = (b"content-length", b"l")
_ONCE: Final = {b"from": b"f", b"to": b"t", b"call-id": b"i", b"cseq": b"cseq"}
_NEEDED: Final = {"via", "from", "to", "call-id", "cseq"}
_CSEQ = re.compile(rb"(\d{1,64})\s+([A-Za-z0-9\-.!%*_+`'~]{1,64})")


def salvage(data: bytes) -> Request | None:
    """Read a request with only the headers that a response copies (RFC 3261 §8.2.6.2).

    Returns:
        The request; None if one of these headers cannot be read, or if no response may be sent.
    """
    line = _REQUEST_LINE.match(data)
    if line is None or line[1] == b"ACK":
        return None
    head = data[line.end() : MAX_SALVAGED].partition(b"\r\n\r\n")[0]
    headers: list[Header] = []
    seen: dict[str, bytes] = {}
    for text in head.split(b"\r\n"):
        match = _LINE.fullmatch(text)
        if match is None:
            continue
        key = match[1].lower()
        name = _NAMES.get(key, key.decode())
        if name == "via" or name not in seen:
            seen.setdefault(name, match[2])
            headers.append(Header(name, match[1], match[2].strip()))
    cseq = _CSEQ.fullmatch(seen.get("cseq", b"").strip())
    if seen.keys() != _NEEDED or cseq is None:
        return None
    request = Request(line[1].decode(), line[2].decode("utf-8", "surrogateescape"), headers, b"")
    request.cseq_number, request.cseq_method = int(cseq[1]), cseq[2].decode()
    try:
        parse_via(request.all("via")[0])
    except (PeerError, IndexError):
        return None
    return request


def salvage_response(data: bytes) -> Response | None:
    """Read a response without lines that are not headers, repeated headers, and its Content-Length.

    Returns:
        The response; None if it is still malformed, or if a part of it is missing (RFC 3261 §18.3).
    """
    if not data.startswith(b"SIP/2.0 "):
        return None
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = _LINE_END.split(head)
    kept: list[bytes] = [first]
    seen: set[bytes] = set()
    for line in lines:
        match = _HEADER.fullmatch(line)
        name = match[1].lower() if match is not None else b""
        name = _ONCE.get(name, name)
        if name in _LENGTH:
            length = line.partition(b":")[2].strip()
            if length.isdigit() and int(length[:10]) > len(body):
                return None
        elif name and name not in seen:
            kept.append(line)
            seen.update({name} & set(_ONCE.values()))
    try:
        message = parse_message(b"\r\n".join(kept[: MAX_HEADERS + 1]) + b"\r\n\r\n" + body)
    except PeerError:
        return None
    return message if isinstance(message, Response) else None
