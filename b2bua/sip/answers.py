"""What the edge answers by itself, without any memory of it.

A stateless server's To tag is computed from the request (RFC 3261 §8.2.7), so the same request gets the same
answer, and an ACK tells by its To tag whether it is for one of ours. Via branches are computed likewise
(§16.11): a CANCEL, an ACK for a failure and a retransmission get their INVITE's, and a response that comes
back proves by its branch that the request went through here.
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
"""Known ones: IANA's registry of SIP methods."""
OPTIONS_HEADERS: Final = (
    ("Allow", ALLOW),
    ("Accept", "application/sdp"),
    ("Supported", "100rel, timer, replaces"),
)
"""Of the answer to OPTIONS (RFC 3261 §11.2)."""
_UNDERSTOOD: Final = frozenset(("100rel", "timer", "replaces", "norefersub"))
"""What the workers' library can do when it is required to."""
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
    """A final response that a request gets instead of a worker."""

    status: int
    reason: str | None = None
    """None: the usual phrase."""
    headers: Headers = ()


class Answers:
    """Tags, branches and responses of one edge.

    Args:
        secret: random, of this process.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def _hash(self, *parts: str) -> str:
        text = "\n".join(parts).encode("utf-8", "surrogateescape")
        return blake2s(text, key=self._secret, digest_size=9).hexdigest()

    def token(self, *parts: str) -> str:
        """A word for ``parts`` that nobody else can compute."""
        return self._hash("token", *parts)

    def own_branch(self, number: int) -> str:
        """The branch of a request that the edge makes itself."""
        return _COOKIE + self.token("branch", str(number))

    def tag(self, message: Message) -> str:
        """The To tag of our answers to a request, and to its ACK's transaction."""
        return self._hash("tag", message.call_id, message.from_tag)

    def branch(self, via: Via, message: Message) -> str:
        """The branch of the Via that we put above ``via``."""
        port = via.port or 5060
        return _COOKIE + self._hash(
            via.branch, f"{via.host.lower()}:{port}", message.call_id, str(message.cseq_number)
        )

    def flow_token(self, flow: Flow) -> str:
        """An outer flow as the user part of a Record-Route of ours (RFC 5626 §5.2).

        What a dialog sends to a phone goes where its INVITE came from or went, whatever private address the
        phone gives as its Contact.
        """
        text = _flow_text(flow)
        return f"{text}.{self._hash('flow', text)}"

    def token_flow(self, token: str) -> Flow | None:
        """The flow of a token, None where it is none of ours."""
        text, _, mac = token.rpartition(".")
        if not hmac.compare_digest(self._hash("flow", text).encode(), mac.encode("utf-8", "replace")):
            return None
        return _flow(text)

    def reply(self, request: Request, came_from: Flow, refusal: Refusal) -> list[Output]:
        """Our answer to ``request``, whose Via has its source; none to an ACK."""
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
    """Where responses to a request go (RFC 3261 §18.2.2, RFC 3581 §4)."""
    if came_from.transport == "udp" and via.rport is None:
        return Flow(came_from.side, "udp", came_from.host, via.port or 5060, came_from.listener)
    return came_from


def flow_text(flow: Flow) -> str:
    """An outer flow as a Via parameter of ours, for the response to find its way."""
    return f"b2={_flow_text(flow)}"


def _flow_text(flow: Flow) -> str:
    return f"{flow.listener}.{flow.transport}.{_packed(flow.host)}.{flow.port}"


def read_flow(via: Via) -> Flow:
    """The flow that ``flow_text`` wrote.

    Raises:
        PeerError: there is none.
    """
    text = next((value for name, value in via.params if name == "b2"), None) or ""
    try:
        return _flow(text)
    except (KeyError, ValueError):
        raise PeerError("a response without our flow") from None


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
    """Why a request from outside is refused whatever it is about (RFC 3261 §8.2); None when it is not.

    To those outside we are a user agent: what is asked of proxies only (Proxy-Require, and Max-Forwards where
    nothing is forwarded) is none of our business.
    """
    try:
        uri = parse_uri(request.uri)
    except PeerError as error:
        return Refusal(error.sip_status_hint, None if error.sip_status_hint == 416 else "Bad Request-URI")
    if uri.scheme == "sips" and came_from.transport != "tls":
        return Refusal(416)  # RFC 3261 §26.2.2: TLS all the way
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
    """RFC 3261 §8.2.2.3. Within a dialog it is the library that knows."""
    required = request.all("require")
    if not required or request.to_tag or request.method in ("ACK", "CANCEL"):
        return None
    understood = _UNDERSTOOD_BY_REGISTRAR if request.method == "REGISTER" else _UNDERSTOOD
    unknown = [option for option in required if option.lower() not in understood]
    return Refusal(420, headers=(("Unsupported", ", ".join(unknown)),)) if unknown else None


def screen_invite(request: Request) -> Refusal | None:
    """Why an INVITE from outside could not be understood by anybody; None when it could."""
    for name in ("from", "to"):
        try:
            _, uri, _ = split_name_addr(request.get(name) or "")
        except PeerError:
            uri = ""
        if _SCHEME.match(uri) is None:  # whatever it is: urn:service:sos
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
    """Why what an INVITE offers is refused for how it is, or is not, encrypted; None when it is not.

    One without an offer is offered what is wanted.
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
    """Max-Forwards one less, or 70 where there is none (RFC 3261 §16.6 step 3); returns what is left."""
    left = hops_left(request)
    left = DEFAULT_HOPS if left is None else max(left - 1, 0)
    set_hops(request, left)
    return left


def hops_left(request: Request) -> int | None:
    """Max-Forwards; None where it says nothing."""
    header = next((header for header in request.headers if header.name == "max-forwards"), None)
    return int(header.value) if header is not None and header.value.isdigit() else None


def set_hops(request: Request, hops: int) -> None:
    """Put ``hops`` into Max-Forwards."""
    for header in request.headers:
        if header.name == "max-forwards":
            header.change(b"%d" % hops)
            return
    request.append("Max-Forwards", str(hops))
