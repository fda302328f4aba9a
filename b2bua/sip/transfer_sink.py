"""A user agent server without media that answers as instructed: the target of the library's transfer calls.

The SIP library answers a REFER with 202 only if it may call the target itself, and then reports the progress
of that call to the transferor. That call is sent here, so the transferor is notified of whatever this server
answers. Sans I/O: ``handle`` takes a datagram and returns datagrams. Loopback only, so the server does not
retransmit: if an answer is lost, the library repeats its request.
Source: RFC 3261 §8.2, §9.2, §13.3, §15.1.2; RFC 3264 §6 (every stream refused).
"""

from dataclasses import dataclass

from b2bua.core.errors import PeerError
from b2bua.sip.message import Request, make_response, parse_message
from b2bua.sip.values import parse_name_addr

__all__ = ["TransferSink"]

Address = tuple[str, int]
Datagrams = list[tuple[bytes, Address]]

_TAG = "sink"


@dataclass
class _Call:
    invite: Request
    source: Address
    answer: bytes
    """The last answer, repeated when the INVITE is repeated."""
    final: bool = False


class TransferSink:
    """Answers the library's transfer calls as instructed.

    Args:
        contact: the server's own URI.
    """

    def __init__(self, contact: str) -> None:
        self._contact = contact
        self._calls: dict[str, _Call] = {}
        """Calls by Call-ID."""
        self._names: dict[str, str] = {}
        """Call-IDs by the name of the call: the user part of its Route."""
        self._early: dict[str, list[int]] = {}
        """Statuses to answer to calls that have not arrived yet, by name."""

    def answer(self, name: str, status: int) -> Datagrams:
        """Answer a call; do nothing after its final response.

        Args:
            name: the user part of the Route that the call has, or will have.
            status: 101..699.
        """
        call = self._calls.get(self._names.get(name, ""))
        if call is None:
            self._early.setdefault(name, []).append(status)
            return []
        if call.final:
            return []
        call.answer = self._response(call.invite, status)
        call.final = status >= 200
        return [(call.answer, call.source)]

    def forget(self, name: str) -> None:
        """Forget a call that is over or will not arrive."""
        self._calls.pop(self._names.pop(name, ""), None)
        self._early.pop(name, None)

    def receive(self, data: bytes, source: Address) -> Datagrams:
        """Handle a datagram; anything but a request for this server gets no answer."""
        try:
            request = parse_message(data)
            if not isinstance(request, Request):
                return []
            match request.method:
                case "INVITE":
                    return self._invite(request, source)
                case "CANCEL":
                    return self._cancel(request, source)
                case "BYE":
                    return [(make_response(request, 200).to_bytes(), source)]
        except PeerError:
            pass
        return []

    def _invite(self, request: Request, source: Address) -> Datagrams:
        call = self._calls.get(request.call_id)
        if call is not None:
            return [(call.answer, source)]
        name = parse_name_addr(request.get("route") or "").uri.user
        trying = make_response(request, 100).to_bytes()
        self._calls[request.call_id] = _Call(request, source, trying)
        self._names[name] = request.call_id
        datagrams: Datagrams = [(trying, source)]
        for status in self._early.pop(name, ()):
            datagrams += self.answer(name, status)
        return datagrams

    def _cancel(self, request: Request, source: Address) -> Datagrams:
        call = self._calls.get(request.call_id)
        if call is None:
            return [(make_response(request, 481, to_tag=_TAG).to_bytes(), source)]
        datagrams: Datagrams = [(make_response(request, 200, to_tag=_TAG).to_bytes(), source)]
        if not call.final:
            call.answer, call.final = self._response(call.invite, 487), True
            datagrams.append((call.answer, call.source))
        return datagrams

    def _response(self, invite: Request, status: int) -> bytes:
        headers = () if status >= 300 else (("Contact", f"<{self._contact}>"),)
        response = make_response(invite, status, to_tag=_TAG, headers=headers)
        if 200 <= status < 300:
            response.set_body(_refuse_media(invite.body), "application/sdp")
        return response.to_bytes()


def _refuse_media(offer: bytes) -> bytes:
    """Return an answer that refuses all streams of the offer (RFC 3264 §6: port zero)."""
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"]
    for line in offer.decode("utf-8", "replace").splitlines():
        parts = line.split(" ", 2)
        if line.startswith("m=") and len(parts) == 3:
            lines.append(f"{parts[0]} 0 {parts[2]}")
    return "".join(f"{line}\r\n" for line in lines).encode()
