"""Structured header values: name-addr, Via, Replaces, and lists of values.

Source: RFC 3261 §20, §25.1; RFC 3581 (rport).
"""

import re
from dataclasses import dataclass

from msgspec import Struct

from b2bua.core.errors import PeerError
from b2bua.sip.kept import kept
from b2bua.sip.uri import Params, Uri, parse_params, parse_uri

__all__ = ["NameAddr", "Replaces", "Via", "parse_name_addr", "parse_via", "split_name_addr", "split_values"]

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.S)
_BARE = re.compile(r'([A-Za-z][A-Za-z0-9+.\-]*:[^\s<>";]*)\s*(?:;|\Z)')
_VIA = re.compile(
    r"\s*SIP\s*/\s*2\.0\s*/\s*(?P<transport>[A-Za-z0-9\-]+)\s+"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-_.]+)(?:\s*:\s*(?P<port>\d{1,5}))?\s*(?P<params>(?:;.*)?)",
    re.S | re.IGNORECASE,
)
_QUOTED_PAIR = re.compile(r"\\(.)", re.S)


class NameAddr(Struct, frozen=True):
    """A name-addr, such as ``"Ann" <sip:ann@example.com>;tag=1``."""

    display: str
    """Display name without quotes and escapes; empty if there is none."""
    uri: Uri
    params: Params = ()
    """Parameters of the header, not of the URI."""

    def param(self, name: str) -> str | None:
        """Return a header parameter's value as received; empty for a bare one, None if there is none."""
        return next((value or "" for key, value in self.params if key == name), None)


class Via(Struct, frozen=True):
    """One Via value; ``str`` returns its text."""

    transport: str
    """``UDP``, ``TCP``, ``TLS``."""
    host: str
    port: int | None
    params: Params

    def _param(self, name: str) -> str | None:
        for key, value in self.params:
            if key == name:
                return value or ""
        return None

    @property
    def branch(self) -> str:
        """The branch; empty if there is none (RFC 2543)."""
        return self._param("branch") or ""

    @property
    def received(self) -> str | None:
        """The source address that a server before us saw."""
        return self._param("received")

    @property
    def rport(self) -> str | None:
        """None: not requested; empty: requested; else the port that a server saw."""
        return self._param("rport")

    def seen_from(self, host: str, port: int) -> "Via":
        """Return this Via with the source of its request (RFC 3581 §4; RFC 3261 §18.2.1)."""
        params = tuple((n, v) for n, v in self.params if n not in ("received", "rport"))
        if self.rport is not None:
            params = (*params, ("rport", str(port)), ("received", host))
        elif host != self.host:
            params = (*params, ("received", host))
        return Via(self.transport, self.host, self.port, params)

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        params = "".join(f";{n}" if v is None else f";{n}={v}" for n, v in self.params)
        return f"SIP/2.0/{self.transport} {self.host}{port}{params}"


def split_name_addr(text: str) -> tuple[str, str, str]:
    """Split a name-addr or addr-spec into display name, URI and header parameters, all unparsed.

    A display name before a URI without angle brackets is accepted: many servers write ``"unknown" sip:x@h``.

    Raises:
        PeerError: the text is neither.
    """
    # No single regular expression: its backtracking over blanks let a hostile value take minutes.
    rest = text.strip()
    display = ""
    quoted = _QUOTED.match(rest)
    if quoted:
        display, rest = _QUOTED_PAIR.sub(r"\1", quoted[1]), rest[quoted.end() :].lstrip()
    if bare := _BARE.match(rest):
        # RFC 3261 §20: without angle brackets, parameters belong to the header, not to the URI.
        return display, bare[1], rest[bare.end(1) :].lstrip()
    words, bracket, rest = rest.partition("<")
    uri, closed, params = rest.partition(">")
    unbalanced = words.count('"') % 2 or (not quoted and '"' in words)
    if unbalanced or not bracket or not closed or "<" in uri:
        raise PeerError("bad name-addr")
    return " ".join(filter(None, (display, words.strip()))), uri.strip(), params


@kept
def parse_name_addr(text: str) -> NameAddr:
    """Parse a name-addr or addr-spec.

    Raises:
        PeerError: the text is neither, or its URI is malformed.
    """
    display, uri, params = split_name_addr(text)
    return NameAddr(display, parse_uri(uri), parse_params(params))


@dataclass(frozen=True, slots=True)
class Replaces:
    """The dialog to be replaced, as the recipient of the Replaces sees it (RFC 3891 §6.1)."""

    call_id: str
    to_tag: str
    """The recipient's tag."""
    from_tag: str
    """The tag of the recipient's peer."""


def parse_replaces(text: str) -> Replaces:
    """Parse a Replaces value.

    Raises:
        PeerError: the value names no dialog.
    """
    call_id, semicolon, params = text.partition(";")
    tags = dict(parse_params(semicolon + params))
    to_tag, from_tag = tags.get("to-tag"), tags.get("from-tag")
    if not (call_id.strip() and to_tag and from_tag):
        raise PeerError("bad Replaces")
    return Replaces(call_id.strip(), to_tag, from_tag)


@kept
def parse_via(text: str) -> Via:
    """Parse one Via value.

    Raises:
        PeerError: the text is no Via value.
    """
    match = _VIA.fullmatch(text)
    if match is None or (match["port"] and not 0 < int(match["port"]) < 65536):
        raise PeerError("bad Via")
    port = match["port"]
    return Via(
        match["transport"].upper(),
        match["host"],
        None if port is None else int(port),
        parse_params(match["params"]),
    )


def split_values(text: str) -> list[str]:
    """Split a header value at its commas, except those in quotes or angle brackets."""
    if "," not in text:
        return [text.strip()]
    values: list[str] = []
    start = 0
    quoted = bracketed = escaped = False
    for place, char in enumerate(text):
        if escaped:
            escaped = False
        elif quoted:
            escaped = char == "\\"
            quoted = char != '"'
        elif char == '"':
            quoted = True
        elif char in "<>":
            bracketed = char == "<"
        elif char == "," and not bracketed:
            values.append(text[start:place].strip())
            start = place + 1
    values.append(text[start:].strip())
    return [value for value in values if value]
