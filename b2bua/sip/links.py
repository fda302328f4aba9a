"""Calls between two workers of one session (``calls.links``): the edge forwards their INVITEs only.

Such an INVITE names its worker in the Request-URI and proves that a worker has sent it. It is no call of the
node: it takes no lease, counts against no limit, gets no media ports, and never leaves by a public socket.
There is no Record-Route, so the two workers send ACK and BYE to each other.
"""

from typing import Final

from b2bua.core.ids import WorkerId
from b2bua.sip.addresses import LOOPBACK, Addresses
from b2bua.sip.admission import Leases
from b2bua.sip.answers import Answers, Refusal, flow_text, reply_flow
from b2bua.sip.flow import Flow, Output, Send
from b2bua.sip.inside import link_target, prove_link
from b2bua.sip.message import Request
from b2bua.sip.soft_state import SoftState

__all__ = ["Links"]

_TTL_S: Final = 40.0
"""An INVITE is answered at once; 64*T1 (RFC 3261 §17.1.1.2) and a margin otherwise."""
_MOST: Final = 4000


class Links:
    """Forwards the INVITEs of links, their CANCELs, and the ACKs for failures.

    Args:
        addresses: the edge's own addresses.
        answers: makes branches and replies.
        leases: the known workers.
        secret: shared by the node's edge and workers.
    """

    def __init__(self, addresses: Addresses, answers: Answers, leases: Leases, secret: str) -> None:
        self._addresses = addresses
        self._answers = answers
        self._leases = leases
        self._secret = secret
        self._sent: SoftState[str, WorkerId] = SoftState(_MOST)
        """Workers that INVITEs went to, by our branch."""

    def sweep(self, now: float) -> None:
        """Forget transactions that are over."""
        self._sent.sweep(now)

    def knows(self, branch: str, now: float) -> bool:
        """Whether a branch of ours is that of a link's INVITE."""
        return self._sent.get(branch, now) is not None

    def request(self, request: Request, came_from: Flow, now: float) -> list[Output] | None:
        """Forward a request of a worker's, whose Via already has its source, if it is about a link.

        Returns:
            What is to be sent; None: it is about something else.

        Raises:
            PeerError: the request cannot be read.
        """
        if request.to_tag and request.method != "ACK":
            return None
        branch = self._answers.branch(request.top_via, request)
        if request.method in ("ACK", "CANCEL"):
            worker = self._sent.get(branch, now)
            return None if worker is None else self._forward(request, worker, branch, came_from)
        name = link_target(request, self._secret) if request.method == "INVITE" else None
        if name is None:
            return None
        worker = WorkerId(name)
        if worker not in self._leases.ports or self._leases.is_idle(worker):
            return self._answers.reply(request, came_from, Refusal(481))
        self._sent.put(branch, worker, now + _TTL_S)
        prove_link(request, self._secret)
        return self._forward(request, worker, branch, came_from)

    def _forward(self, request: Request, worker: WorkerId, branch: str, came_from: Flow) -> list[Output]:
        port = self._leases.ports.get(worker)
        if port is None:
            return self._answers.reply(request, came_from, Refusal(481))
        to = Flow("inner", "udp", LOOPBACK, port)
        self._addresses.strip_routes(request)
        back = flow_text(reply_flow(request.top_via, came_from))
        request.prepend("Via", self._addresses.via(to, branch, back))
        return [Send(request.to_bytes(), to)]
