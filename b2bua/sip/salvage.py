"""What can still be read of a malformed request, so that it can be told that it is malformed."""

import re
from typing import Final

from b2bua.core.errors import PeerError
from b2bua.sip.message import Header, Request
from b2bua.sip.values import parse_via

__all__ = ["salvage"]

MAX_SALVAGED: Final = 4096
_REQUEST_LINE = re.compile(rb"([A-Za-z0-9\-.!%*_+`'~]{1,64}) ([^\r\n\0]{1,1024}) SIP/2\.0\r\n")
_LINE = re.compile(rb"(via|v|from|f|to|t|call-id|i|cseq)[ \t]*:[ \t]*([^\r\n\0]{1,1024})", re.IGNORECASE)
_NAMES: Final = {b"v": "via", b"f": "from", b"t": "to", b"i": "call-id"}
_NEEDED: Final = {"via", "from", "to", "call-id", "cseq"}
_CSEQ = re.compile(rb"(\d{1,64})\s+([A-Za-z0-9\-.!%*_+`'~]{1,64})")


def salvage(data: bytes) -> Request | None:
    """The request with nothing but the headers a response copies (RFC 3261 §8.2.6.2), or None where one of
    them cannot be read or no response may be sent."""
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
