"""SIP messages that keep their bytes: an unchanged header leaves exactly as it arrived.

Parsing is strict about the parts that routing and matching depend on (start line, Via, From, To, Call-ID,
CSeq, lengths) and leaves all other headers to the code that uses them. Every size is bounded.
Source: RFC 3261 §7, §8.1.1, §18.3, §20, §25.1.
"""

import re
from functools import lru_cache
from typing import Final

from msgspec import Struct

from b2bua.core.errors import PeerError
from b2bua.core.events import Headers
from b2bua.sip.values import Via, parse_via, split_values

__all__ = [
    "Header",
    "Message",
    "Request",
    "Response",
    "frame_length",
    "header_tuples",
    "make_compact",
    "make_response",
    "parse_message",
]

MAX_MESSAGE: Final = 65535
MAX_HEADERS: Final = 200
MAX_LINE: Final = 8192
_MAX_NAME: Final = 64
_KEPT_LINES: Final = 4096
_KEPT_LINE: Final = 256
"""Bytes of a line that is kept: at most 1 MiB of lines in all."""

_COMPACT: Final = {
    "a": "accept-contact", "b": "referred-by", "c": "content-type", "e": "content-encoding",
    "f": "from", "i": "call-id", "k": "supported", "l": "content-length", "m": "contact",
    "o": "event", "r": "refer-to", "s": "subject", "t": "to", "u": "allow-events", "v": "via",
    "x": "session-expires", "y": "identity", "d": "request-disposition", "j": "reject-contact",
}  # fmt: skip
"""Compact forms: RFC 3261 §7.3.3 and the registry of header fields."""

_ONCE: Final = ("from", "to", "call-id", "cseq")
_OF_BODY: Final = ("content-type", "content-length")
_TOKEN = re.compile(rb"[A-Za-z0-9\-.!%*_+`'~]{1,64}")
_REQUEST_LINE = re.compile(rb"([A-Za-z0-9\-.!%*_+`'~]{1,64}) ([^\s\x00-\x1f]{1,2048}) SIP/2\.0")
_STATUS_LINE = re.compile(rb"SIP/2\.0 ([1-6][0-9]{2})(?: ([^\r\n]*))?")
_CSEQ = re.compile(rb"(\d{1,10})\s+([A-Za-z0-9\-.!%*_+`'~]{1,64})")
_TAG = re.compile(r";\s*tag\s*=\s*([^;,\s>]+)", re.IGNORECASE)
_FORBIDDEN = re.compile(rb"[\r\n]|(?<!\\)\0")
"""Bytes that a value must not have. A NUL may occur as a quoted pair (RFC 3261 §25.1)."""
_FOLD = re.compile(rb"\r\n[ \t]+")
_LINE_END = re.compile(rb"\r\n(?![ \t])")
_LENGTH = re.compile(
    rb"\r\n(?:content-length|l)[ \t]*:[ \t]*(?:\r\n[ \t]+)?(\d{1,7})[ \t]*\r\n", re.IGNORECASE
)

_REASONS: Final = {
    100: "Trying", 180: "Ringing", 200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 407: "Proxy Authentication Required",
    408: "Request Timeout", 413: "Request Entity Too Large",
    414: "Request-URI Too Long", 416: "Unsupported URI Scheme", 420: "Bad Extension",
    423: "Interval Too Brief", 480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 483: "Too Many Hops",
    487: "Request Terminated", 500: "Server Internal Error", 501: "Not Implemented",
    503: "Service Unavailable",
}  # fmt: skip


class Header(Struct):
    """One header line."""

    name: str
    """Canonical name: long form, lower case."""
    sent: bytes
    """Name as received."""
    value: bytes
    """Value, unfolded and without surrounding blanks; set through ``change`` only."""
    line: bytes = b""
    """The whole line as received, with folds and blanks; empty once the header has been changed."""
    shown: bytes = b""
    """Stand-in shown to a worker whose library cannot read the value; empty: the value itself."""

    def change(self, value: bytes) -> None:
        """Set another value."""
        self.value = value
        self.line = self.shown = b""

    @property
    def text(self) -> str:
        """The value as text; bytes that are not UTF-8 are replaced."""
        return self.value.decode("utf-8", "replace")


class Message:
    """Common part of requests and responses."""

    __slots__ = ("_via", "body", "cseq_method", "cseq_number", "headers")

    def __init__(self, headers: list[Header], body: bytes) -> None:
        self.headers = headers
        self.body = body
        self.cseq_number = 0
        self.cseq_method = ""
        self._via: Via | None = None

    def get(self, name: str) -> str | None:
        """Return the value of a header's first line, or None."""
        value = self._first(name)
        return None if value is None else value.decode("utf-8", "replace")

    def _first(self, name: str) -> bytes | None:
        for header in self.headers:
            if header.name == name:
                return header.value
        return None

    def all(self, name: str) -> list[str]:
        """Return all values of a header in order, with comma-separated lists split."""
        return [v for header in self.headers if header.name == name for v in split_values(header.text)]

    @property
    def call_id(self) -> str:
        """The Call-ID, or empty."""
        return _text(self._first("call-id") or b"")

    @property
    def from_tag(self) -> str:
        """The From header's tag, or empty."""
        return _tag(self._first("from") or b"")

    @property
    def to_tag(self) -> str:
        """The To header's tag, or empty."""
        return _tag(self._first("to") or b"")

    @property
    def top_via(self) -> Via:
        """The first Via value, parsed once.

        Raises:
            PeerError: it is missing or malformed.
        """
        if self._via is None:
            values = self.all("via")
            if not values:
                raise PeerError("no via")
            self._via = parse_via(values[0])
        return self._via

    def prepend(self, name: str, value: str) -> None:
        """Insert a header line before the first of its name, or before all others."""
        self._via = None
        at = next((i for i, header in enumerate(self.headers) if header.name == name), 0)
        self.headers.insert(at, _header(name, value))

    def append(self, name: str, value: str) -> None:
        """Add a header line at the end."""
        self.headers.append(_header(name, value))

    def replace_first(self, name: str, value: str) -> None:
        """Replace the first value of a header (in a comma-separated list, its first element)."""
        self._via = None
        for header in self.headers:
            if header.name == name:
                rest = split_values(header.text)[1:]
                header.change(", ".join([value, *rest]).encode())
                return

    def remove_first_value(self, name: str) -> None:
        """Remove the first value of a header, and its line if no value is left."""
        self._via = None
        for at, header in enumerate(self.headers):
            if header.name == name:
                rest = split_values(header.text)[1:]
                if rest:
                    header.change(", ".join(rest).encode())
                else:
                    del self.headers[at]
                return

    def remove(self, name: str) -> None:
        """Remove all lines of a header."""
        self._via = None
        self.headers = [header for header in self.headers if header.name != name]

    def set_body(self, body: bytes, content_type: str) -> None:
        """Replace the body, its type and its length."""
        self.body = body
        self.headers = [header for header in self.headers if header.name not in _OF_BODY]
        self.append("content-type", content_type)
        self.append("content-length", str(len(body)))

    def remove_body(self) -> None:
        """Remove the body and the headers that describe one."""
        self.body = b""
        for name in ("content-type", "content-length", "content-encoding", "content-disposition"):
            self.remove(name)
        self.append("content-length", "0")

    def start_line(self) -> bytes:
        """Return the first line without its line end."""
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """Return the message as sent on the wire."""
        lines = [
            header.line
            if header.line and not header.shown
            else b"%b: %b" % (header.sent, header.shown or header.value)
            for header in self.headers
        ]
        return b"\r\n".join((self.start_line(), *lines, b"", self.body))


class Request(Message):
    """A request; ``uri`` may be assigned."""

    __slots__ = ("method", "uri")

    def __init__(self, method: str, uri: str, headers: list[Header], body: bytes) -> None:
        super().__init__(headers, body)
        self.method = method
        self.uri = uri

    def start_line(self) -> bytes:
        """Return the Request-Line."""
        return f"{self.method} {self.uri} SIP/2.0".encode("utf-8", "surrogateescape")


class Response(Message):
    """A response."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str, headers: list[Header], body: bytes) -> None:
        super().__init__(headers, body)
        self.status = status
        self.reason = reason

    def start_line(self) -> bytes:
        """Return the Status-Line."""
        return f"SIP/2.0 {self.status} {self.reason}".encode("utf-8", "surrogateescape")


def parse_message(data: bytes) -> Request | Response:
    """Parse one message.

    Args:
        data: a datagram, or a message cut from a stream by ``frame_length``. Bytes beyond Content-Length are
            dropped (RFC 3261 §18.3).

    Raises:
        PeerError: the message is malformed; ``sip_status_hint`` is the status for the answer to a request.
    """
    if len(data) > MAX_MESSAGE:
        raise PeerError("message too large", sip_status_hint=413)
    head, blank, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not blank:
        raise PeerError("no end of headers")
    folded = b"\r\n " in head or b"\r\n\t" in head
    first, *lines = _LINE_END.split(head) if folded else head.split(b"\r\n")
    if len(lines) > MAX_HEADERS:
        raise PeerError("too many headers")
    ends = len(lines)
    plain = not folded and head.count(b"\n") == head.count(b"\r") == ends and b"\0" not in head
    headers = [_kept_header(line) if plain else Header(*_parse_header(line), line) for line in lines]
    message = _start(first, headers)
    _check(message, body)
    return message


def _start(line: bytes, headers: list[Header]) -> Request | Response:
    if match := _STATUS_LINE.fullmatch(line):
        return Response(int(match[1]), (match[2] or b"").decode("utf-8", "surrogateescape"), headers, b"")
    if match := _REQUEST_LINE.fullmatch(line):
        return Request(match[1].decode(), match[2].decode("utf-8", "surrogateescape"), headers, b"")
    raise PeerError("bad start line")


def _kept_header(line: bytes) -> Header:
    """Parse a line of a message that has no folds, and no bytes that a value must not have."""
    split = _split_again if len(line) <= _KEPT_LINE else _parse_header
    return Header(*split(line, plain=True), line)


def _parse_header(line: bytes, *, plain: bool = False) -> tuple[str, bytes, bytes]:
    """Return name, name as received and value of a line; ``plain``: see ``_kept_header``."""
    if len(line) > MAX_LINE:
        raise PeerError("header line too long")
    sent, colon, value = line.partition(b":")
    sent = sent.rstrip(b" \t")
    if b"\r\n" in value:
        value = _FOLD.sub(b" ", value)
    name = _name(sent) if colon and len(sent) <= _MAX_NAME else ""
    if not name or not (plain or _FORBIDDEN.search(value) is None):
        raise PeerError("bad header line")
    return name, sent, value.strip(b" \t")


_split_again = lru_cache(_KEPT_LINES)(_parse_header)
"""``_parse_header`` for the lines that the messages of a call repeat."""


@lru_cache(maxsize=1024)
def _name(sent: bytes) -> str:
    """Return the canonical name of a header; empty if it is no token."""
    if not _TOKEN.fullmatch(sent):
        return ""
    name = sent.decode().lower()
    return _COMPACT.get(name, name)


def _check(message: Request | Response, body: bytes) -> None:
    seen: dict[str, bytes] = {}
    for header in message.headers:
        if header.name in seen and (header.name in _ONCE or header.name == "content-length"):
            raise PeerError(f"more than one {header.name}")
        seen.setdefault(header.name, header.value)
    for name in (*_ONCE, "via"):
        if not seen.get(name):
            raise PeerError(f"no {name}")
    cseq = _CSEQ.fullmatch(seen["cseq"])
    if cseq is None or int(cseq[1]) >= 2**31:  # RFC 3261 §8.1.1.5
        raise PeerError("bad CSeq")
    message.cseq_number, message.cseq_method = int(cseq[1]), cseq[2].decode()
    if isinstance(message, Request) and message.cseq_method != message.method:
        raise PeerError("CSeq is of another method")
    length = seen.get("content-length")
    if length is None:
        message.body = body
        return
    if not length.isdigit() or len(length) > 7:
        raise PeerError("bad Content-Length")
    if int(length) > len(body):
        raise PeerError("body shorter than its Content-Length")
    message.body = body[: int(length)]


def frame_length(buffer: bytes | bytearray) -> int | None:
    """Return the length in bytes of the first message in a stream's buffer, or None while it is incomplete.

    Raises:
        PeerError: it can never be complete: it has no Content-Length, or is too large (RFC 3261 §18.3).
    """
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > MAX_MESSAGE:
            raise PeerError("headers too large", sip_status_hint=413)
        return None
    match = _LENGTH.search(buffer, 0, end + 2)
    if match is None:
        raise PeerError("no Content-Length in a stream")
    length = end + 4 + int(match[1])
    if length > MAX_MESSAGE:
        raise PeerError("message too large", sip_status_hint=413)
    return length if len(buffer) >= length else None


def make_response(
    request: Request,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str = "",
    headers: Headers = (),
) -> Response:
    """Return a response to ``request`` without a body (RFC 3261 §8.2.6).

    Args:
        request: the request to answer.
        status: status code.
        reason: reason phrase; None for the usual one.
        to_tag: tag for the To header, unless it has one.
        headers: headers in addition to the copied ones.
    """
    copied = ["via", "from", "to", "call-id", "cseq"]
    if status < 300:
        copied.append("record-route")
    lines = [Header(h.name, h.sent, h.value, h.line) for h in request.headers if h.name in copied]
    if to_tag and not request.to_tag:
        for header in lines:
            if header.name == "to":
                header.change(header.value + f";tag={to_tag}".encode())
    lines += [_header(name, value) for name, value in headers]
    lines.append(_header("Content-Length", "0"))
    return Response(status, _REASONS.get(status, "Error") if reason is None else reason, lines, b"")


def make_compact(response: Response) -> None:
    """Remove what is optional in a datagram, and use compact header names (§7.3.3, §18.3)."""
    short = {name: letter.encode() for letter, name in _COMPACT.items()}
    response.reason = ""
    response.remove("content-length")
    for header in response.headers:
        header.sent = short.get(header.name, header.sent)
        header.change(header.value)


def header_tuples(message: Message) -> Headers:
    """Return all headers as text; compact names are expanded (``Call-ID``), others stay as received."""
    return tuple((_usual_name(header), header.text) for header in message.headers)


def _usual_name(header: Header) -> str:
    if len(header.sent) == 1:
        return _USUAL.get(header.name) or header.name.title()
    return header.sent.decode()


_USUAL: Final = {"call-id": "Call-ID", "cseq": "CSeq"}


def _header(name: str, value: str) -> Header:
    sent = _USUAL.get(name) or (name.title() if name.islower() else name)
    return Header(name.lower(), sent.encode(), value.encode("utf-8", "surrogateescape"))


@lru_cache(1024)
def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


@lru_cache(1024)
def _tag(value: bytes) -> str:
    text = _text(value)
    match = _TAG.search(text.rpartition(">")[2] if ">" in text else text)
    return match[1] if match else ""
