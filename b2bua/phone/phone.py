"""The signalling of a small SIP phone: one call, over UDP, as much of RFC 3261 as a demonstration needs.

It honours Record-Route and Contact, retransmits requests until they are answered, and reports every message
with its time for a ladder diagram. It is not meant for use as a real phone.

Thread: loop.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from b2bua.core.errors import PeerError
from b2bua.phone.audio import TELEPHONE_EVENT, Audio
from b2bua.sip.message import Request, Response, make_response, parse_message
from b2bua.sip.values import parse_name_addr

__all__ = ["Exchange", "Phone"]

_T1_S: Final = 0.5
_TRIES: Final = 6


@dataclass(frozen=True, slots=True)
class Exchange:
    """One message of the ladder diagram."""

    at: float
    phone: str
    sent: bool
    """Whether the phone sent it; else it was received."""
    text: str
    """``INVITE`` or ``183 Session Progress``."""


class Phone(asyncio.DatagramProtocol):
    """A SIP phone for one call; created by ``open``.

    Args:
        name: for the ladder and as user part of its URI.
        note: called with each message as it is sent or received.
    """

    def __init__(self, name: str, note: Callable[[Exchange], None]) -> None:
        self.name = name
        self.audio: Audio
        self.answered = asyncio.Event()
        self.ended = asyncio.Event()
        self.rang = asyncio.Event()
        self.answers_after_s: float | None = None
        """How long an incoming call rings here before it is answered; None: for ever."""
        self._note = note
        self._transport: asyncio.DatagramTransport | None = None
        self._host = ""
        self._dialog: _Dialog | None = None
        self._unanswered: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._answering: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, name: str, host: str, note: Callable[[Exchange], None]) -> "Phone":
        """Bind the SIP and the RTP socket on ``host``."""
        loop = asyncio.get_running_loop()
        _, phone = await loop.create_datagram_endpoint(lambda: cls(name, note), local_addr=(host, 0))
        phone._host = host
        phone.audio = await Audio.open(host)
        return phone

    @property
    def port(self) -> int:
        """Port of the SIP socket."""
        assert self._transport is not None
        port: int = self._transport.get_extra_info("sockname")[1]
        return port

    @property
    def uri(self) -> str:
        """The SIP URI at which the phone can be called."""
        return f"sip:{self.name}@{self._host}:{self.port}"

    def close(self) -> None:
        """Close the sockets and cancel the tasks."""
        for task in [*self._unanswered.values(), self._answering]:
            if task is not None:
                task.cancel()
        self.audio.close()
        if self._transport is not None:
            self._transport.close()

    # -- the user's actions -------------------------------------------------------------------------

    def call(self, user: str, host: str, port: int) -> None:
        """Send an INVITE for ``user`` to a node."""
        uri = f"sip:{user}@{host}:{port}"
        self._dialog = _Dialog(
            call_id=secrets.token_hex(12),
            local=f"<{self.uri}>;tag={secrets.token_hex(4)}",
            remote=f"<{uri}>",
            target=uri,
            hop=(host, port),
        )
        self._request("INVITE", self._sdp())

    def hang_up(self) -> None:
        """Send BYE."""
        if self._dialog is not None and not self.ended.is_set():
            self._request("BYE")
            self.ended.set()

    # -- sending ------------------------------------------------------------------------------------

    def _request(self, method: str, body: str = "", *, cseq: int | None = None) -> None:
        dialog = self._dialog
        assert dialog is not None
        if cseq is None:
            dialog.cseq += 1
            cseq = dialog.cseq
        branch = f"z9hG4bK{secrets.token_hex(8)}"
        lines = [
            f"{method} {dialog.target} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._host}:{self.port};rport;branch={branch}",
            *(f"Route: {route}" for route in dialog.routes),
            "Max-Forwards: 70",
            f"From: {dialog.local}",
            f"To: {dialog.remote}",
            f"Call-ID: {dialog.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <{self.uri}>",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
            "",
            body,
        ]
        data = "\r\n".join(lines).encode()
        self._send(data, dialog.hop, method)
        if method != "ACK":
            repeat = asyncio.get_running_loop().create_task(self._repeat(data, dialog.hop, method))
            self._unanswered[method, cseq] = repeat

    async def _repeat(self, data: bytes, hop: tuple[str, int], method: str) -> None:
        """Retransmit a request until a response arrives (RFC 3261 §17.1)."""
        for n in range(_TRIES):
            await asyncio.sleep(_T1_S * 2**n)
            self._send(data, hop, f"{method} again")

    def _respond(self, request: Request, status: int, body: str = "") -> None:
        assert self._dialog is not None
        response = make_response(request, status, to_tag=self._dialog.tag)
        if status < 300 and request.method == "INVITE":
            response.append("Contact", f"<{self.uri}>")
        if body:
            response.set_body(body.encode(), "application/sdp")
        via = request.top_via
        to = (via.received or via.host, int(via.rport or via.port or 5060))
        self._send(response.to_bytes(), to, f"{status} {response.reason}")

    def _send(self, data: bytes, to: tuple[str, int], text: str) -> None:
        assert self._transport is not None
        self._transport.sendto(data, to)
        self._note(Exchange(time.monotonic(), self.name, True, text))

    def _sdp(self) -> str:
        lines = [
            "v=0",
            f"o=- 1 1 IN IP4 {self._host}",
            "s=-",
            f"c=IN IP4 {self._host}",
            "t=0 0",
            f"m=audio {self.audio.port} RTP/AVP 0 {TELEPHONE_EVENT}",
            f"a=rtpmap:{TELEPHONE_EVENT} telephone-event/8000",
            "",
        ]
        return "\r\n".join(lines)

    # -- receiving ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio``."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """See ``asyncio``."""
        try:
            message = parse_message(data)
            is_request = isinstance(message, Request)
            text = message.method if isinstance(message, Request) else f"{message.status} {message.reason}"
            self._note(Exchange(time.monotonic(), self.name, False, text))
            if is_request:
                self._on_request(message, addr)  # type: ignore[arg-type]
            else:
                self._on_response(message)  # type: ignore[arg-type]
        except PeerError:
            return

    def _on_request(self, request: Request, addr: tuple[str, int]) -> None:
        match request.method:
            case "INVITE" if self._dialog is None:
                self._on_invite(request, addr)
            case "INVITE":  # a re-INVITE, answered with the same SDP as before
                self._listen_to(request.body)
                self._respond(request, 200, self._sdp())
            case "CANCEL" if self._dialog is not None and self._dialog.invite is not None:
                self._respond(request, 200)
                self._respond(self._dialog.invite, 487)
                self._over()
            case "BYE" if self._dialog is not None:
                self._respond(request, 200)
                self._over()
            case "ACK":
                self.answered.set()
            case _ if self._dialog is not None:
                self._respond(request, 200)

    def _on_invite(self, request: Request, addr: tuple[str, int]) -> None:
        tag = secrets.token_hex(4)
        contact = request.get("contact") or ""
        self._dialog = _Dialog(
            call_id=request.call_id,
            local=f"{request.get('to')};tag={tag}",
            remote=request.get("from") or "",
            target=str(parse_name_addr(contact).uri),
            hop=addr,
            tag=tag,
            invite=request,
            routes=tuple(request.all("record-route")),
        )
        self.rang.set()
        self._respond(request, 180)
        self._answering = asyncio.get_running_loop().create_task(self._answer(request))

    async def _answer(self, request: Request) -> None:
        if self.answers_after_s is not None:
            await asyncio.sleep(self.answers_after_s)
            self._listen_to(request.body)
            self._respond(request, 200, self._sdp())

    def _over(self) -> None:
        if self._answering is not None:
            self._answering.cancel()
        self.ended.set()

    def _on_response(self, response: Response) -> None:
        dialog = self._dialog
        if dialog is None:
            return
        repeat = self._unanswered.pop((response.cseq_method, response.cseq_number), None)
        if repeat is not None:
            repeat.cancel()
        if response.cseq_method != "INVITE" or response.status == 100:
            return
        dialog.remote = response.get("to") or dialog.remote
        if response.status < 300:
            self._listen_to(response.body)
            if contact := response.get("contact"):
                dialog.target = str(parse_name_addr(contact).uri)
            dialog.routes = tuple(reversed(response.all("record-route")))
        if response.status >= 200:
            self._request("ACK", cseq=response.cseq_number)
            (self.answered if response.status < 300 else self.ended).set()

    def _listen_to(self, sdp: bytes) -> None:
        lines = sdp.decode("ascii", "replace").splitlines()
        host = next((line.split()[-1] for line in lines if line.startswith("c=")), "")
        port = next((line.split()[1] for line in lines if line.startswith("m=audio ")), "0")
        if host and port.isdigit() and int(port):
            self.audio.connect(host, int(port))


@dataclass(slots=True)
class _Dialog:
    call_id: str
    local: str
    remote: str
    target: str
    hop: tuple[str, int]
    tag: str = ""
    """Our tag, if we are the callee."""
    invite: Request | None = None
    routes: tuple[str, ...] = ()
    cseq: int = 0
