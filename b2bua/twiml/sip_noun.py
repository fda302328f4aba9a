"""The text of a ``<Sip>``: an address to call and headers to send with the INVITE.

The parser decides what may be sent: a document can neither begin a new header line, nor name a header of
ours, nor choose a transport we do not support. It must not look anything up.
Source: TwiML ``<Sip>`` (read November 2026); RFC 3261 §19.1.1 (URI), §25.1 (grammar).
"""

import re
from typing import Final
from urllib.parse import unquote

import msgspec

from b2bua.core.events import Headers
from b2bua.twiml.findings import Finding, Severity, make_finding

__all__ = ["MAX_HEADERS", "MAX_URI", "SipTarget", "parse_sip_target"]

MAX_URI: Final = 254
"""Characters of a URI, including the scheme and excluding the headers."""

MAX_HEADERS: Final = 1023
"""Characters after the ``?``, counted as written, with escapes."""

ALLOWED_HEADERS: Final = frozenset(
    ("user-to-user", "remote-party-id", "p-preferred-identity", "p-called-party-id")
)
"""Header names that are allowed in addition to those that begin with ``x-``."""

RESERVED_HEADERS: Final = re.compile(r"x-b2bua-.*|x-twilio-(callsid|accountsid)")
"""Headers that only we may set, towards our own processes and the far end; a document may not."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

# RFC 3261 §25.1: user-unreserved without "?", which in practice always begins the headers.
_USER: Final = r"(?:[A-Za-z0-9\-_.!~*'()&=+$,;/]|%[0-9A-Fa-f]{2})+"
# RFC 1123 allows no "_" in a host name, but many container networks use it.
_HOST: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]+\]"
_PARAMETER_CHARACTERS: Final = r"(?:[A-Za-z0-9\-_.!~*'()\[\]/:&+$]|%[0-9A-Fa-f]{2})+"
_PARAMETER: Final = rf";{_PARAMETER_CHARACTERS}(?:={_PARAMETER_CHARACTERS})?"
_URI: Final = re.compile(rf"(?:{_USER}@)?(?:{_HOST})(?::([0-9]{{1,5}}))?((?:{_PARAMETER})*)")
_TRANSPORT: Final = re.compile(r";transport=([^;]*)", re.IGNORECASE)


class SipTarget(msgspec.Struct, frozen=True, kw_only=True):
    """The target of a ``<Sip>``."""

    uri: str
    """Begins with ``sip:`` or ``sips:``; empty if the text is no SIP URI (``findings`` has the error)."""
    headers: Headers = ()
    """Headers that may be sent in the INVITE."""
    findings: tuple[Finding, ...] = ()


def parse_sip_target(text: str, *, line: int = 0, column: int = 0) -> SipTarget:
    """Parse the text of a ``<Sip>``.

    Args:
        text: ``[sip:][user@]host[:port][;parameters][?headers]``.
        line: line of the element, for the findings.
        column: column of the element, for the findings.
    """
    written, _, query = text.strip().partition("?")
    uri, complaint = _uri(written)
    headers, refused = _headers(query)
    notes: list[tuple[int, str, Severity]] = [(number, detail, "warning") for number, detail in refused]
    if complaint:
        headers, notes = (), [(13243, complaint, "error")]
    return SipTarget(
        uri=uri,
        headers=headers,
        findings=tuple(
            make_finding(number, detail, line=line, column=column, severity=severity)
            for number, detail, severity in notes
        ),
    )


def _uri(written: str) -> tuple[str, str]:
    """Return the URI and an empty complaint, or an empty URI and a complaint."""
    scheme, colon, rest = written.partition(":")
    if not colon or scheme.lower() not in ("sip", "sips"):
        scheme, rest = "sip", written
    uri = f"{scheme.lower()}:{rest}"
    if len(uri) > MAX_URI:
        return "", f"longer than {MAX_URI} characters"
    found = _URI.fullmatch(rest)
    if found is None:
        return "", "not a SIP URI; write special characters as %HH"
    if found[1] is not None and not 0 < int(found[1]) < 65_536:
        return "", "port out of range"
    if any(each.lower() not in ("udp", "tcp", "tls") for each in _TRANSPORT.findall(found[2])):
        return "", "transport is not udp, tcp or tls"
    return uri, ""


def _headers(query: str) -> tuple[Headers, list[tuple[int, str]]]:
    """Return the headers that may be sent, and number and text of a finding for each that may not."""
    if len(query) > MAX_HEADERS:
        return (), [(13253, f"more than {MAX_HEADERS} characters; all headers are dropped")]
    headers: list[tuple[str, str]] = []
    refused: list[tuple[int, str]] = []
    for field in query.split("&"):
        if not field:
            continue
        escaped_name, _, escaped_value = field.partition("=")
        name = unquote(escaped_name)
        if _is_allowed(name):
            # A line break would begin another header (RFC 3261 §7.3.1).
            headers.append((name, _CONTROLS.sub("", unquote(escaped_value)).strip()))
        else:
            refused.append((13252, f"{_CONTROLS.sub('', name)[:40]} is dropped"))
    return tuple(headers), refused


def _is_allowed(name: str) -> bool:
    folded = name.lower()
    if not _TOKEN.fullmatch(name) or RESERVED_HEADERS.fullmatch(folded):
        return False
    return folded in ALLOWED_HEADERS or (folded.startswith("x-") and len(folded) > 2)
