"""SIP messages as the tests see them: a small strict parser and serialiser, independent of b2bua.

Never imports b2bua's SIP code: an error there must not hide here. Source: RFC 3261 §7, §20, §25.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field

COMPACT = {
    "v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length",
    "c": "content-type", "e": "content-encoding", "k": "supported", "s": "subject", "r": "refer-to",
    "b": "referred-by", "o": "event", "u": "allow-events", "x": "session-expires",
}  # fmt: skip
LISTS = {"via", "route", "record-route", "contact", "supported", "require", "allow", "diversion"}
MANDATORY = ("via", "from", "to", "call-id", "cseq")
REASONS = {
    100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 183: "Session Progress", 200: "OK",
    202: "Accepted", 302: "Moved Temporarily", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 407: "Proxy Authentication Required",
    408: "Request Timeout", 480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist",
    486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here", 491: "Request Pending",
    500: "Server Internal Error", 503: "Service Unavailable", 600: "Busy Everywhere", 603: "Decline",
}  # fmt: skip
_START = re.compile(r"(?P<method>[A-Z]+) (?P<uri>\S+) SIP/2\.0|SIP/2\.0 (?P<status>\d{3}) (?P<reason>.*)")
_NAME_ADDR = re.compile(
    r'\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<token>[^<"]*))\s*<(?P<uri>[^>]*)>(?P<rest>.*)'
)
_URI = re.compile(
    r"(?P<scheme>sips?|tel):(?:(?P<user>[^@;?]*)@)?(?P<host>\[[^]]+\]|[^:;?>]*)(?::(?P<port>\d+))?"
    r"(?P<params>(?:;[^?]*)?)(?:\?(?P<headers>.*))?"
)

Headers = list[tuple[str, str]] | tuple[tuple[str, str], ...]


class WireError(ValueError):
    """The data is not a SIP message by RFC 3261."""


def canonical(name: str) -> str:
    """Lower-case full form of a header name."""
    lower = name.strip().lower()
    return COMPACT.get(lower, lower)


def split_commas(value: str) -> list[str]:
    """Split a header at its top-level commas (not those in quotes or angle brackets)."""
    parts, start, quoted, depth = [], 0, False, 0
    for index, char in enumerate(value):
        if char == '"' and (index == 0 or value[index - 1] != "\\"):
            quoted = not quoted
        elif not quoted and char in "<>":
            depth += 1 if char == "<" else -1
        elif char == "," and not quoted and depth == 0:
            parts.append(value[start:index].strip())
            start = index + 1
    parts.append(value[start:].strip())
    return [part for part in parts if part]


def parse_params(text: str) -> dict[str, str]:
    """Parameters `;name=value;flag` as a dict with lower-case names; a flag's value is empty."""
    found = {}
    for part in text.split(";"):
        name, _, value = part.strip().partition("=")
        if name:
            found[name.strip().lower()] = value.strip()
    return found


@dataclass(frozen=True)
class Uri:
    """A SIP URI and its parts."""

    scheme: str
    user: str
    host: str
    port: int | None
    params: dict[str, str]
    headers: str

    @classmethod
    def parse(cls, text: str) -> Uri:
        match = _URI.fullmatch(text.strip())
        if match is None:
            raise WireError(f"not a SIP URI: {text!r}")
        port = int(match["port"]) if match["port"] else None
        return cls(
            match["scheme"], match["user"] or "", match["host"], port, parse_params(match["params"]),
            match["headers"] or "",
        )  # fmt: skip

    @property
    def address(self) -> tuple[str, int]:
        """Destination of a request to this URI (maddr and default port included; no DNS)."""
        host = self.params.get("maddr", self.host)
        return ("127.0.0.1" if host == "localhost" else host, self.port or 5060)


@dataclass(frozen=True)
class NameAddr:
    """From, To, Contact, Route and the like: display name, URI and header parameters."""

    display: str
    uri: str
    params: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> NameAddr:
        match = _NAME_ADDR.fullmatch(text)
        if match is not None:
            display = match["quoted"] if match["quoted"] is not None else match["token"].strip()
            return cls(display, match["uri"], parse_params(match["rest"]))
        # RFC 3261 §20: without angle brackets every parameter belongs to the header, not to the URI.
        uri, _, rest = text.strip().partition(";")
        return cls("", uri, parse_params(rest))

    @property
    def tag(self) -> str:
        return self.params.get("tag", "")


@dataclass(frozen=True)
class Via:
    """One Via value."""

    transport: str
    host: str
    port: int | None
    params: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> Via:
        match = re.fullmatch(r"SIP\s*/\s*2\.0\s*/\s*(\w+)\s+([^;:\s]+)(?::(\d+))?\s*(;.*)?", text.strip())
        if match is None:
            raise WireError(f"not a Via: {text!r}")
        return cls(
            match[1].upper(), match[2], int(match[3]) if match[3] else None, parse_params(match[4] or "")
        )


@dataclass
class Message:
    """A request (method, uri) or a response (status, reason), with headers in their order on the wire."""

    method: str = ""
    uri: str = ""
    status: int = 0
    reason: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    @classmethod
    def request(cls, method: str, uri: str, headers: Headers = (), body: str | bytes = b"") -> Message:
        return cls(method=method, uri=uri, headers=list(headers), body=_bytes(body))

    @classmethod
    def response(cls, status: int, reason: str | None = None, headers: Headers = ()) -> Message:
        return cls(status=status, reason=reason or REASONS.get(status, "Unknown"), headers=list(headers))

    @property
    def is_request(self) -> bool:
        return not self.status

    def get(self, name: str) -> str | None:
        """First value of a header (whole line), or None."""
        wanted = canonical(name)
        return next((value for key, value in self.headers if canonical(key) == wanted), None)

    def all(self, name: str) -> list[str]:
        """All values of a header; list headers are split at their commas."""
        wanted = canonical(name)
        lines = [value for key, value in self.headers if canonical(key) == wanted]
        if wanted in LISTS:
            return [part for line in lines for part in split_commas(line)]
        return lines

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(f"{self.summary} has no {name} header")
        return value

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def add(self, name: str, value: str) -> None:
        self.headers.append((name, value))

    def set(self, name: str, value: str) -> None:
        """Replace every line of a header by one."""
        wanted = canonical(name)
        at = next(
            (i for i, (key, _) in enumerate(self.headers) if canonical(key) == wanted), len(self.headers)
        )
        kept = [(key, old) for key, old in self.headers if canonical(key) != wanted]
        kept.insert(min(at, len(kept)), (name, value))
        self.headers = kept

    @property
    def call_id(self) -> str:
        return self["Call-ID"].strip()

    @property
    def cseq(self) -> int:
        return int(self["CSeq"].split()[0])

    @property
    def cseq_method(self) -> str:
        return self["CSeq"].split()[1]

    @property
    def from_(self) -> NameAddr:
        return NameAddr.parse(self["From"])

    @property
    def to(self) -> NameAddr:
        return NameAddr.parse(self["To"])

    @property
    def contact(self) -> NameAddr | None:
        values = self.all("Contact")
        return NameAddr.parse(values[0]) if values else None

    @property
    def via(self) -> Via:
        return Via.parse(self.all("Via")[0])

    @property
    def branch(self) -> str:
        return self.via.params.get("branch", "")

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def has_sdp(self) -> bool:
        return bool(self.body) and (self.get("Content-Type") or "").lower().startswith("application/sdp")

    @property
    def start_line(self) -> str:
        return (
            f"{self.method} {self.uri} SIP/2.0" if self.is_request else f"SIP/2.0 {self.status} {self.reason}"
        )

    @property
    def summary(self) -> str:
        """One line for people: kind of message, CSeq, and whether it carries SDP."""
        head = f"{self.method} {self.uri}" if self.is_request else f"{self.status} {self.reason}"
        return f"{head} ({self.get('CSeq') or 'no CSeq'}){' +SDP' if self.has_sdp else ''}"

    def to_bytes(self) -> bytes:
        """The serialised message; Content-Length is always correct unless the test has set one."""
        lines = [self.start_line, *(f"{name}: {value}" for name, value in self.headers)]
        if "Content-Length" not in self:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


def _bytes(body: str | bytes) -> bytes:
    return body.encode() if isinstance(body, str) else body


def parse(data: bytes) -> Message:
    """Parse one datagram. Raises WireError if RFC 3261 does not accept it as a message."""
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        raise WireError("no empty line after the headers")
    try:
        lines = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8")).split("\r\n")
    except UnicodeDecodeError as err:
        raise WireError("headers are not UTF-8") from err
    start = _START.fullmatch(lines[0])
    if start is None:
        raise WireError(f"bad start line {lines[0]!r}")
    message = Message(
        start["method"] or "", start["uri"] or "", int(start["status"] or 0), start["reason"] or ""
    )
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not re.fullmatch(r"[A-Za-z0-9.!%*_+`'~-]+[ \t]*", name):
            raise WireError(f"bad header line {line!r}")
        message.add(name.strip(), value.strip())
    length = message.get("Content-Length")
    if length is not None:
        if not length.isdigit() or int(length) > len(body):
            raise WireError(f"Content-Length {length} but {len(body)} bytes of body")
        body = body[: int(length)]
    message.body = body
    return message


def faults(message: Message) -> list[str]:
    """What RFC 3261 §8.1.1 and §20 require and this message lacks; empty if it is valid."""
    found = [f"no {name}" for name in MANDATORY if name not in message]
    found += [f"{name} more than once" for name in MANDATORY[1:] if len(message.all(name)) > 1]
    if found:
        return found
    if not re.fullmatch(r"\d+\s+[A-Z]+", message["CSeq"].strip()):
        return [f"bad CSeq {message['CSeq']!r}"]
    if not message.branch.startswith("z9hG4bK"):
        found.append(f"branch {message.branch!r} without the magic cookie")
    if not message.from_.tag:
        found.append("From without tag")
    if message.is_request:
        found += [] if "Max-Forwards" in message else ["no Max-Forwards"]
        found += [] if message.cseq_method == message.method else ["CSeq method is not the request's"]
        if message.method in ("INVITE", "SUBSCRIBE", "REFER") and message.contact is None:
            found.append(f"{message.method} without Contact")
    elif message.status > 100 and not message.to.tag:
        found.append("response without To tag")
    elif message.cseq_method == "INVITE" and 200 <= message.status < 300 and message.contact is None:
        found.append("2xx to INVITE without Contact")
    if message.body and "Content-Type" not in message:
        found.append("body without Content-Type")
    return found


def token(length: int = 8) -> str:
    """A random tag or Call-ID."""
    return secrets.token_hex(length)


def new_branch() -> str:
    """A branch with the magic cookie of RFC 3261 §8.1.1.7."""
    return "z9hG4bK" + token()
