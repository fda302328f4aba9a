"""Stateless answers of the edge itself.

The To tag is computed from the request (RFC 3261 §8.2.7), so the same request gets the same answer, and the
To tag of an ACK shows whether it acknowledges an answer of ours. Via branches are computed in the same way
(§16.11): a CANCEL, an ACK for a failure and a retransmission get the branch of their INVITE, and the branch
of a response proves that its request went through this edge.
"""

import hmac
import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2s
from ipaddress import ip_address
from typing import Final

from b2bua.core.commands import Srtp
from b2bua.core.errors import PeerError
from b2bua.core.events import Headers
from b2bua.sip.flow import Flow, Output, Send, Transport
from b2bua.sip.message import Message, Request, make_response
from b2bua.sip.uri import parse_uri
from b2bua.sip.values import Via, split_name_addr

__all__ = [
    "ALLOW",
    "METHODS",
    "OPTIONS_HEADERS",
    "Answers",
    "Refusal",
    "reply_flow",
    "screen",
    "screen_invite",
    "screen_media",
]

ALLOW: Final = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY, REGISTER"
METHODS: Final = frozenset(
    "INVITE ACK CANCEL BYE OPTIONS PRACK UPDATE INFO REFER NOTIFY REGISTER SUBSCRIBE PUBLISH MESSAGE".split()
)
"""Known methods: IANA's registry of SIP methods."""
OPTIONS_HEADERS: Final = (
    ("Allow", ALLOW),
    ("Accept", "application/sdp"),
    ("Supported", "100rel, timer, replaces"),
)
"""Headers of the answer to OPTIONS (RFC 3261 §11.2)."""
_UNDERSTOOD: Final = frozenset(("100rel", "timer", "replaces", "norefersub"))
"""Option tags in Require that the workers' library supports."""
_UNDERSTOOD_BY_REGISTRAR: Final = frozenset(("path", "outbound"))

DEFAULT_HOPS: Final = 70
KEPT_ADDRESSES: Final = 4096
_TRANSPORTS: Final[dict[str, Transport]] = {"udp": "udp", "tcp": "tcp", "tls": "tls"}
_COOKIE: Final = "z9hG4bKb2"
_HOPS = re.compile(r"[0-9]{1,10}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s]")
_BODY_TYPE = re.compile(r"\s*(application|multipart|message|text)/", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A final response that the edge sends instead of giving the request to a worker."""

    status: int
    reason: str | None = None
    """None: the usual reason phrase."""
    headers: Headers = ()


class Answers:
    """Tags, branches and responses of one edge.

    Args:
        secret: random bytes of this process.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def _hash(self, *parts: str) -> str:
        text = "\n".join(parts).encode("utf-8", "surrogateescape")
        return blake2s(text, key=self._secret, digest_size=9).hexdigest()

    def token(self, *parts: str) -> str:
        """Return a token for ``parts`` that no other process can compute."""
        return self._hash("token", *parts)

    def own_branch(self, number: int) -> str:
        """Return the branch of a request that the edge itself originates."""
        return _COOKIE + self.token("branch", str(number))

    def tag(self, message: Message) -> str:
        """Return the To tag of our answers to a request, which its ACK repeats."""
        return self._hash("tag", message.call_id, message.from_tag)

    def branch(self, via: Via, message: Message) -> str:
        """Return the branch of the Via that we put above ``via``."""
        port = via.port or 5060
        return _COOKIE + self._hash(
            via.branch, f"{via.host.lower()}:{port}", message.call_id, str(message.cseq_number)
        )

    def flow_token(self, flow: Flow) -> str:
        """Return an outer flow as the user part of our Record-Route (RFC 5626 §5.2).

        Requests of a dialog to a phone follow the flow of its INVITE, whatever private address the phone
        gives as its Contact.
        """
        text = _flow_text(flow)
        return f"{text}.{self._hash('flow', text)}"

    def token_flow(self, token: str) -> Flow | None:
        """Return the flow of a token; None if the token is not ours."""
        text, _, mac = token.rpartition(".")
        if not hmac.compare_digest(self._hash("flow", text).encode(), mac.encode("utf-8", "replace")):
            return None
        return _flow(text)

    def reply(self, request: Request, came_from: Flow, refusal: Refusal) -> list[Output]:
        """Return our answer to ``request``, whose Via already has its source; an ACK gets none."""
        if request.method == "ACK":
            return []
        response = make_response(
            request,
            refusal.status,
            refusal.reason,
            to_tag="" if refusal.status == 100 else self.tag(request),
            headers=refusal.headers,
        )
        to = reply_flow(request.top_via, came_from)
        return [Send(response.to_bytes(), to, connect=False)]


def reply_flow(via: Via, came_from: Flow) -> Flow:
    """Return the flow that responses to a request take (RFC 3261 §18.2.2, RFC 3581 §4)."""
    if came_from.transport == "udp" and via.rport is None:
        return Flow(came_from.side, "udp", came_from.host, via.port or 5060, came_from.listener)
    return came_from


def flow_text(flow: Flow) -> str:
    """Return an outer flow as a parameter of our Via, which routes the response back."""
    return f"b2={_flow_text(flow)}"


def _flow_text(flow: Flow) -> str:
    return f"{flow.listener}.{flow.transport}.{_packed(flow.host)}.{flow.port}"


def read_flow(via: Via) -> Flow:
    """Read the flow that ``flow_text`` wrote.

    Raises:
        PeerError: the Via has no such flow.
    """
    text = next((value for name, value in via.params if name == "b2"), None) or ""
    try:
        return _flow(text)
    except (KeyError, ValueError):
        raise PeerError("response without a flow of ours") from None


def _flow(text: str) -> Flow:
    listener, transport, host, port = text.split(".")
    return Flow("outer", _TRANSPORTS[transport], _unpacked(host), int(port), int(listener))


@lru_cache(KEPT_ADDRESSES)
def _packed(host: str) -> str:
    return ip_address(host).packed.hex()


@lru_cache(KEPT_ADDRESSES)
def _unpacked(text: str) -> str:
    return str(ip_address(bytes.fromhex(text)))


def screen(request: Request, came_from: Flow) -> Refusal | None:
    """Return why a request from outside is refused whatever its method (RFC 3261 §8.2); None if it is not.

    To the outside the edge is a user agent: it ignores what concerns proxies only (Proxy-Require, and
    Max-Forwards where nothing is forwarded).
    """
    try:
        uri = parse_uri(request.uri)
    except PeerError as error:
        return Refusal(error.sip_status_hint, None if error.sip_status_hint == 416 else "Bad Request-URI")
    if uri.scheme == "sips" and came_from.transport != "tls":
        return Refusal(416)  # RFC 3261 §26.2.2: TLS on every hop
    hops = request.get("max-forwards")
    if hops is not None:
        if not _HOPS.fullmatch(hops) or int(hops) > 255:
            return Refusal(400, "Bad Max-Forwards")
        if int(hops) == 0 and request.method == "INVITE" and not request.to_tag:
            return Refusal(483)  # RFC 7332 §4: a call may lead to another one
    if not request.top_via.branch:
        return Refusal(400, "Via Without Branch")
    return _screen_required(request)


def _screen_required(request: Request) -> Refusal | None:
    """Check Require (RFC 3261 §8.2.2.3); within a dialog the library checks it."""
    required = request.all("require")
    if not required or request.to_tag or request.method in ("ACK", "CANCEL"):
        return None
    understood = _UNDERSTOOD_BY_REGISTRAR if request.method == "REGISTER" else _UNDERSTOOD
    unknown = [option for option in required if option.lower() not in understood]
    return Refusal(420, headers=(("Unsupported", ", ".join(unknown)),)) if unknown else None


def screen_invite(request: Request) -> Refusal | None:
    """Return why an INVITE from outside is malformed for any recipient; None if it is not."""
    for name in ("from", "to"):
        try:
            _, uri, _ = split_name_addr(request.get(name) or "")
        except PeerError:
            uri = ""
        if _SCHEME.match(uri) is None:  # any scheme is accepted: urn:service:sos
            return Refusal(400, f"Bad {name.title()}")
    if not request.from_tag:
        return Refusal(400, "From Without Tag")
    contacts = request.all("contact")
    if len(contacts) != 1:
        return Refusal(400, "Not One Contact")  # RFC 3261 §8.1.1.8
    if request.body and not _BODY_TYPE.match(request.get("content-type") or ""):
        return Refusal(400, "Body Without Type")  # §20.15
    return None


def screen_media(body: bytes, srtp: Srtp) -> Refusal | None:
    """Return why the encryption of an INVITE's offer is not acceptable; None if it is.

    An INVITE without an offer passes: the offer is then ours, with the wanted encryption.
    """
    lines = [line.split() for line in body.splitlines() if line.startswith(b"m=audio ")]
    profiles = [words[2] for words in lines if len(words) > 3 and words[1] != b"0"]
    secure = [b"SAVP" in profile for profile in profiles]
    if srtp == "required" and profiles and not any(secure):
        return Refusal(488, "Encrypted Media Required")
    if srtp == "off" and profiles and all(secure):
        return Refusal(488, "Encrypted Media Not Supported")
    return None


def decrement_hops(request: Request) -> int:
    """Decrement Max-Forwards, or set 70 if it is missing (RFC 3261 §16.6 step 3); return the new value."""
    left = hops_left(request)
    left = DEFAULT_HOPS if left is None else max(left - 1, 0)
    set_hops(request, left)
    return left


def hops_left(request: Request) -> int | None:
    """Return Max-Forwards; None if it is missing or not a number."""
    header = next((header for header in request.headers if header.name == "max-forwards"), None)
    return int(header.value) if header is not None and header.value.isdigit() else None


def set_hops(request: Request, hops: int) -> None:
    """Set Max-Forwards to ``hops``."""
    for header in request.headers:
        if header.name == "max-forwards":
            header.change(b"%d" % hops)
            return
    request.append("Max-Forwards", str(hops))
