"""Forwards requests from outside to a worker, or refuses those that it could not read.

Source: RFC 3261 §16.6.
"""

from b2bua.core.admission import Origin
from b2bua.core.commands import Srtp
from b2bua.core.ids import WorkerId
from b2bua.sip.addresses import LOOPBACK, Addresses
from b2bua.sip.admission import Leases
from b2bua.sip.answers import Answers, Refusal, decrement_hops, flow_text, reply_flow
from b2bua.sip.bodies import mend_offer, ring_unreliably
from b2bua.sip.edge_control import EdgeConfig
from b2bua.sip.fit import too_large
from b2bua.sip.flow import Flow, Output, Send
from b2bua.sip.inside import prove
from b2bua.sip.media_paths import MediaPaths
from b2bua.sip.mend import unfit
from b2bua.sip.message import Request
from b2bua.sip.refer import carry_refer_to
from b2bua.sip.sips import mark_message

__all__ = ["WorkerForwarder"]


class WorkerForwarder:
    """Repairs, addresses and forwards requests to workers.

    Args:
        config: codecs, the node's secret, and the media encryption of trunks and users.
        addresses: the edge's own addresses.
        answers: makes branches and replies.
        leases: the known workers.
        media: the ways of the calls' media.
    """

    def __init__(
        self, config: EdgeConfig, addresses: Addresses, answers: Answers, leases: Leases, media: MediaPaths
    ) -> None:
        self._addresses = addresses
        self._answers = answers
        self._leases = leases
        self._media = media
        self._secret = config.secret
        self._codecs = config.codecs
        self.configure(config)

    def configure(self, config: EdgeConfig) -> None:
        """Apply another configuration of media encryption."""
        self._srtp = config.srtp
        self._srtp_of_trunks = {trunk.name: trunk.srtp for trunk in config.trunks}
        self._srtp_of_users = {user.name: user.srtp for user in config.users}

    def srtp_of(self, origin: Origin) -> Srtp:
        """Return the media encryption of a call."""
        own = self._srtp_of_trunks.get(origin.trunk) or self._srtp_of_users.get(origin.user)
        return own or self._srtp

    def mend_offer(self, request: Request) -> Refusal | None:
        """Repair an offer for the workers; return a refusal if that is impossible, else None."""
        return mend_offer(request, self._codecs, self._media.family)

    def screened(
        self, request: Request, worker: WorkerId, came_from: Flow, origin: Origin | None = None
    ) -> list[Output]:
        """Forward a request that the worker can read, and refuse any other."""
        refusal = unfit(request) or self.mend_offer(request) or too_large(request)
        if refusal is not None:
            return self._answers.reply(request, came_from, refusal)
        return self.forward(request, worker, came_from, origin)

    def forward(
        self, request: Request, worker: WorkerId, came_from: Flow, origin: Origin | None
    ) -> list[Output]:
        """Forward a request to a worker; ``origin`` is None except for a new call."""
        port = self._leases.ports.get(worker)
        if port is None:
            return self._answers.reply(request, came_from, Refusal(481))
        via = request.top_via
        to = Flow("inner", "udp", LOOPBACK, port)
        self._media.inward(request, worker)
        mark_message(request)
        left = decrement_hops(request)
        if origin is not None:
            self._leases.hops[worker] = left
        # These headers are ours alone: none from outside may reach a worker.
        request.headers = [h for h in request.headers if not h.name.startswith("x-b2bua-")]
        if origin is not None:
            ring_unreliably(request)
        if request.method == "REFER":
            carry_refer_to(request)
        encrypt = origin is not None and self.srtp_of(origin) == "required"
        prove(request, self._secret, encrypt=encrypt)
        if request.method == "INVITE":
            # A phone is reached over the flow that it called from; other peers by their Contact.
            phone = origin is not None and origin.user and len(request.all("via")) == 1
            token = self._answers.flow_token(came_from) if phone else ""
            request.prepend("Record-Route", self._addresses.record_route(to, token))
        branch = self._answers.branch(via, request)
        request.prepend("Via", self._addresses.via(to, branch, flow_text(reply_flow(via, came_from))))
        return [Send(request.to_bytes(), to)]
