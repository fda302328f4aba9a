"""Transactions by RFC 3261 §17: who retransmits what over UDP and over TCP, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .ladder import Address
from .wire import Message, NameAddr, Uri

T2_S = 4.0
Send = Callable[[Message, Address], None]


class Repeater:
    """Retransmits a message at T1, 2·T1, 4·T1… until stopped; for at most 64·T1."""

    def __init__(self, send: Callable[[], None], t1_s: float, cap_s: float) -> None:
        self._send, self._cap_s = send, cap_s
        self._wait_s, self._left_s = t1_s, 64 * t1_s
        self._timer: asyncio.TimerHandle | None = None
        self.times = 0
        """Number of retransmissions."""
        self._arm()

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._wait_s, self._due)

    def _due(self) -> None:
        self._left_s -= self._wait_s
        self._wait_s = min(2 * self._wait_s, self._cap_s)
        if self._left_s <= 0:
            return
        self.times += 1
        self._send()
        self._arm()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class ClientTransaction:
    """A request of ours and its responses."""

    def __init__(self, request: Message, address: Address, send: Send, t1_s: float) -> None:
        self.request, self.address = request, address
        self.responses: list[Message] = []
        self.final: Message | None = None
        self.answered = asyncio.Event()
        """Set by the final response."""
        self.provisional = asyncio.Event()
        """Set by any response."""
        self.auto_ack = True
        self._send, self._t1_s = send, t1_s
        self._repeater: Repeater | None = None

    @property
    def is_invite(self) -> bool:
        return self.request.method == "INVITE"

    def start(self) -> None:
        """Send, and retransmit until a response arrives."""
        self._send(self.request, self.address)
        if self.request.via.transport != "UDP":
            return  # RFC 3261 §17.1.1.2: a reliable transport repeats by itself
        # RFC 3261 §17.1.1.2: timer A of INVITE doubles without cap; §17.1.2.2: timer E stops at T2.
        cap = 64 * self._t1_s if self.is_invite else T2_S
        self._repeater = Repeater(lambda: self._send(self.request, self.address), self._t1_s, cap)

    def receive(self, response: Message) -> bool:
        """Process a response. Returns False if it only repeats the final one."""
        self.provisional.set()
        repeated = self.final is not None and response.status == self.final.status
        repeated = repeated and response.to.tag == (self.final.to.tag if self.final else "")
        if self.is_invite or response.status >= 200:
            self.stop()
        if response.status >= 200:
            self.final = self.final or response
            self.answered.set()
            if self.is_invite and response.status >= 300 and self.auto_ack:
                self.ack_failure(response)
        if not repeated:
            self.responses.append(response)
        return not repeated

    def ack_failure(self, response: Message) -> None:
        """RFC 3261 §17.1.1.3: the ACK to a 3xx–6xx belongs to this transaction: same URI, Via and Route."""
        self._send(self.sibling("ACK", response["To"]), self.address)

    def sibling(self, method: str, to: str | None = None) -> Message:
        """ACK or CANCEL of this INVITE (RFC 3261 §17.1.1.3, §9.1)."""
        request = self.request
        kept = [(k, v) for k, v in request.headers if k in ("Route", "From", "Call-ID", "Max-Forwards")]
        via, cseq = request.all("Via")[0], f"{request.cseq} {method}"
        headers = [("Via", via), *kept, ("To", to or request["To"]), ("CSeq", cseq)]
        return Message.request(method, request.uri, headers)

    def stop(self) -> None:
        if self._repeater is not None:
            self._repeater.stop()


class ServerTransaction:
    """A request of the far end and our responses to it."""

    def __init__(self, request: Message, source: Address, send: Send, t1_s: float) -> None:
        self.request, self.source = request, source
        self.last: Message | None = None
        self.final: Message | None = None
        self.acked = False
        self._send, self._t1_s = send, t1_s
        self._repeater: Repeater | None = None

    def respond(self, response: Message) -> None:
        """Send a response; a final one to INVITE is retransmitted until the ACK."""
        self.last = response
        self.send_again()
        if response.status >= 200:
            self.final = response
            # RFC 3261 §13.3.1.4: a 2xx is repeated over every transport, for the hops behind may lose it.
            if self.request.method == "INVITE" and (response.status < 300 or self._lossy):
                self._repeater = Repeater(self.send_again, self._t1_s, T2_S)

    @property
    def _lossy(self) -> bool:
        return self.request.via.transport == "UDP"

    def send_again(self) -> None:
        """Retransmit the last response."""
        if self.last is not None:
            self._send(self.last, response_address(self.request, self.source))

    def ack(self) -> None:
        """The ACK has arrived."""
        self.acked = True
        self.stop()

    def stop(self) -> None:
        if self._repeater is not None:
            self._repeater.stop()


def response_address(request: Message, source: Address) -> Address:
    """RFC 3261 §18.2.2 and RFC 3581 §4: destination of the response to a request."""
    via = request.via
    if via.transport != "UDP":
        return source  # the connection that brought the request
    if "maddr" in via.params:
        return via.params["maddr"], via.port or 5060
    return (source[0], source[1]) if "rport" in via.params else (source[0], via.port or 5060)


def response_to(request: Message, status: int, reason: str | None, source: Address, tag: str) -> Message:
    """RFC 3261 §8.2.6: a response with the headers that it copies from the request."""
    response = Message.response(status, reason)
    for index, via in enumerate(request.all("Via")):
        if index == 0:
            via = _marked(via, source)
        response.add("Via", via)
    response.add("From", request["From"])
    to = request["To"]
    response.add("To", to if request.to.tag or status == 100 else f"{to};tag={tag}")
    response.add("Call-ID", request.call_id)
    response.add("CSeq", request["CSeq"])
    return response


def _marked(via: str, source: Address) -> str:
    """Via with received and rport filled in (RFC 3261 §18.2.1, RFC 3581 §4)."""
    parts = [part for part in via.split(";") if not part.strip().startswith("received=")]
    filled = [f"rport={source[1]}" if part.strip() == "rport" else part for part in parts]
    return ";".join([*filled, f"received={source[0]}"])


def next_hop(request: Message) -> Address:
    """Destination of a request by its first Route or its URI (RFC 3261 §8.1.2)."""
    routes = request.all("Route")
    return Uri.parse(NameAddr.parse(routes[0]).uri if routes else request.uri).address
