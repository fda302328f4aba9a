"""A user agent server that answers what it is told to, and has no media: where transfers are acted out.

The SIP library answers a REFER with 202 only if it may call the target itself, and reports how that call
goes. That call comes here; whatever this server answers, the transferor is told. Sans I/O: ``handle`` takes
a datagram and returns datagrams. Loopback only, so that a lost answer is the library's to ask for again.
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
    """The last one; repeated when the INVITE is."""
    final: bool = False


class TransferSink:
    """See the module's docstring.

    Args:
        contact: our own URI.
    """

    def __init__(self, contact: str) -> None:
        self._contact = contact
        self._calls: dict[str, _Call] = {}
        """By Call-ID."""
        self._names: dict[str, str] = {}
        """Call-IDs by the name that a call was sent here under: the user part of its Route."""
        self._early: dict[str, list[int]] = {}
        """What is to be answered to calls that have not come yet."""

    def answer(self, name: str, status: int) -> Datagrams:
        """Answer a call; nothing once it has had its final answer.

        Args:
            name: the user part of the Route that it comes with, or will come with.
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
        """The call is over, or will not come."""
        self._calls.pop(self._names.pop(name, ""), None)
        self._early.pop(name, None)

    def handle(self, data: bytes, source: Address) -> Datagrams:
        """Take a datagram; what is no request for us gets nothing."""
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
    """An answer that takes none of the offer's streams (RFC 3264 §6: port zero)."""
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"]
    for line in offer.decode("utf-8", "replace").splitlines():
        parts = line.split(" ", 2)
        if line.startswith("m=") and len(parts) == 3:
            lines.append(f"{parts[0]} 0 {parts[2]}")
    return "".join(f"{line}\r\n" for line in lines).encode()
