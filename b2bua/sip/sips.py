"""SIPS URIs in messages from and to workers.

TLS ends at the edge, and the workers' library refuses messages with a SIPS URI on a loopback without TLS. So
workers see ``sip:`` with a mark, and their requests to a marked URI leave as ``sips:`` again, over TLS only.
Source: RFC 3261 §19.1, §26.2.2; RFC 5630.
"""

import re
from typing import Final

from b2bua.sip.message import Message, Request, Response

__all__ = ["is_secure", "mark", "mark_message", "restore"]

_MARK: Final = ";x-b2bua-sips"
_SIPS = re.compile(r"\s*sips:([^?>\s]*)", re.IGNORECASE)
_CONTACT = re.compile(rb"(<\s*|^)sips:([^?>\s,]*)", re.IGNORECASE)
_MARKED = re.compile(rb"sip:([^?>\s,]*);x-b2bua-sips(?![A-Za-z0-9\-])", re.IGNORECASE)


def mark(uri: str) -> str:
    """Return the form of a URI that workers see; a URI that is not SIPS is unchanged."""
    return _SIPS.sub(rf"sip:\1{_MARK}", uri, count=1) if _SIPS.match(uri) else uri


def mark_message(message: Message) -> None:
    """Mark the SIPS URIs that a worker would send to, in a message for it."""
    if isinstance(message, Request):
        message.uri = mark(message.uri)
    for header in message.headers:
        if header.name == "contact" and not header.shown and b"sips:" in header.value.lower():
            header.change(_CONTACT.sub(rb"\1sip:\2" + _MARK.encode(), header.value))


def restore(request: Request) -> None:
    """Turn the marked URIs in a worker's request back into SIPS URIs."""
    if _MARK not in request.uri:
        return
    request.uri = _MARKED.sub(rb"sips:\1", request.uri.encode()).decode()
    for header in request.headers:
        if header.name == "to":
            header.change(_MARKED.sub(rb"sips:\1", header.value))


def is_secure(message: Message) -> bool:
    """Whether our Contact in a message must be a SIPS URI (RFC 3261 §8.1.1.8, §12.1.1)."""
    if isinstance(message, Response):
        return "sips:" in (message.get("to") or "").lower()
    return isinstance(message, Request) and message.uri.lower().startswith("sips:")
