"""Shrinks messages for a worker to fit into the buffer of its library.

pjsip reads a datagram into 4000 bytes and truncates the rest (``PJSIP_MAX_PKT_LEN``); it closes a connection
that delivers a larger message. Offers with candidates, certificates and video are larger, and so are calls
with a PASSporT in ``Identity``. Only parts that nothing behind the edge reads are removed: the only medium is
audio over RTP, without ICE.
Source: RFC 8866 (SDP), RFC 3264 §6 (each medium of an offer has its line in the answer).
"""

from typing import Final

from b2bua.core.errors import PeerError
from b2bua.sip.answers import Refusal
from b2bua.sip.message import Message, Request, Response

__all__ = ["fit_response", "too_large"]

ROOM: Final = 4000 - 700
"""Bytes: the buffer minus the headers that the edge adds to a request."""
_KEPT_LINES: Final = (b"v=", b"o=", b"s=", b"t=", b"c=", b"m=")
_KEPT_ATTRIBUTES: Final = frozenset(
    (b"rtpmap", b"fmtp", b"ptime", b"maxptime", b"sendrecv", b"sendonly", b"recvonly", b"inactive", b"rtcp",
     b"rtcp-mux", b"crypto")
)  # fmt: skip
_UNREAD_HEADERS: Final = frozenset(
    ("identity", "geolocation", "history-info", "accept-contact", "reject-contact", "call-info", "alert-info",
     "user-agent", "server", "organization", "date", "accept", "accept-language", "accept-encoding",
     "p-access-network-info", "p-charging-vector", "p-visited-network-id", "session-id", "feature-caps")
)  # fmt: skip
_TRANSACTION: Final = frozenset(("via", "from", "to", "call-id", "cseq", "content-length"))
_DIALOG: Final = _TRANSACTION | {
    "contact", "record-route", "session-expires", "require", "rseq", "www-authenticate", "proxy-authenticate",
}  # fmt: skip


def too_large(request: Request) -> Refusal | None:
    """Shrink a request if needed; return a refusal if it does not fit without indispensable parts."""
    return None if _fits(request) else Refusal(513, "Message Too Large")


def fit_response(response: Response) -> None:
    """Shrink a response, in the worst case to the headers that its transaction and dialog need.

    Raises:
        PeerError: these headers alone do not fit.
    """
    if _fits(response):
        return
    response.set_body(b"", "application/sdp")
    for needed in (_DIALOG, _TRANSACTION if response.status >= 300 else _DIALOG):
        if not _fits(response):
            response.headers = [header for header in response.headers if header.name in needed]
    if not _fits(response):
        raise PeerError("response too large")


def _fits(message: Message) -> bool:
    """Shrink the message as far as necessary; return whether it fits."""
    if _size(message) <= ROOM:
        return True
    if (message.get("content-type") or "").partition(";")[0].strip().lower() == "application/sdp":
        message.set_body(_slim(message.body), "application/sdp")
    if _size(message) > ROOM:
        message.headers = [header for header in message.headers if header.name not in _UNREAD_HEADERS]
    return _size(message) <= ROOM


def _size(message: Message) -> int:
    lines = sum([len(header.sent) + len(header.shown or header.value) + 4 for header in message.headers])
    return len(message.start_line()) + lines + len(message.body)


def _slim(sdp: bytes) -> bytes:
    """Return a description with the lines that audio needs; of other media it keeps only ``rtpmap``.

    The library refuses a description with an unnamed payload type above 95, whatever the medium.
    """
    lines: list[bytes] = []
    audio = True
    for line in sdp.splitlines():
        if line.startswith(b"m="):
            audio = line.startswith(b"m=audio ")
        attribute = line[2:].partition(b":")[0] if line.startswith(b"a=") else b""
        if line.startswith(_KEPT_LINES) or attribute in (_KEPT_ATTRIBUTES if audio else (b"rtpmap",)):
            lines.append(line)
    return b"".join(line + b"\r\n" for line in lines)
