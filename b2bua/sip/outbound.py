"""Requests from workers: their destination, and their form on the outer side.

A next hop that is an IP address or this edge is known at once. A name is resolved by the process while the
request waits here and its retransmissions are absorbed. The destination of a transaction is remembered by its
branch, so that a retransmission, a CANCEL or an ACK goes there too, whatever DNS says by then (RFC 3263 §4).
"""

import re
from dataclasses import dataclass
from typing import Final

from b2bua.core.ids import WorkerId
from b2bua.sip.addresses import Addresses, is_address, next_hop, transport_of
from b2bua.sip.admission import Leases
from b2bua.sip.answers import Answers, Refusal, decrement_hops, hops_left, set_hops
from b2bua.sip.edge_control import Binding
from b2bua.sip.flow import Find, Flow, Output, Send, Transport, read_source
from b2bua.sip.location import BINDING_PARAM, Locations
from b2bua.sip.message import Header, Request
from b2bua.sip.sips import restore
from b2bua.sip.soft_state import SoftState
from b2bua.sip.uri import Uri, default_port, parse_uri
from b2bua.sip.values import parse_name_addr

__all__ = ["Outbound", "Target", "known_target"]

ROUTE_TTL_S: Final = 900.0
MAX_ROUTES: Final = 20_000
MAX_WAITING: Final = 2000
MAX_TARGETS: Final = 4

_BINDING_PARAM = re.compile(rb";%b=[0-9a-f]*" % BINDING_PARAM.encode())


@dataclass(frozen=True, slots=True)
class Target:
    """A resolved next hop."""

    transport: Transport
    host: str
    """IP address without brackets."""
    port: int
    name: str = ""
    """TLS: the requested domain or address, which the certificate must name (RFC 5922 §4)."""
    listener: int | None = None
    """Index of our listening point to send from; None: any that fits."""


@dataclass(frozen=True, slots=True)
class _Leaving:
    """A request on its way out."""

    request: Request
    worker: WorkerId
    came_from: Flow
    branch: str
    """The branch of our Via."""
    to_phone: bool = False
    """Whether its dialog stays on the flow that the request takes."""


class Outbound:
    """Routes the requests of workers."""

    def __init__(self, addresses: Addresses, answers: Answers, leases: Leases, locations: Locations) -> None:
        self._addresses = addresses
        self._answers = answers
        self._leases = leases
        self._locations = locations
        self._phones: SoftState[str, Binding] = SoftState(MAX_ROUTES)
        """By branch: the binding it went to, so that a CANCEL follows even if the binding is gone."""
        self._routes: SoftState[str, tuple[Target, ...]] = SoftState(MAX_ROUTES)
        self._waiting: dict[str, list[_Leaving]] = {}
        """By branch: requests whose next hop is being resolved."""

    def tick(self, now: float) -> None:
        """Forget expired routes and bindings of branches."""
        self._routes.sweep(now)
        self._phones.sweep(now)

    def request(
        self, request: Request, worker: WorkerId, came_from: Flow, now: float, *, to_phone: bool
    ) -> list[Output]:
        """Handle a worker's request; its Via already has its source.

        ``to_phone``: whether it goes to a registered phone by its binding.
        """
        if request.method == "ACK" and request.to_tag == self._answers.tag(request):
            return []
        if request.method == "INVITE" and not request.to_tag and not self._limit_hops(request, worker):
            return self._answers.reply(request, came_from, Refusal(483))
        restore(request)
        branch = self._answers.branch(request.top_via, request)
        for header in request.headers:
            # A phone's dialogs are with its user's address, without our binding parameter.
            if header.name == "to" and _BINDING_PARAM.search(header.value):
                header.change(_BINDING_PARAM.sub(b"", header.value))
        if request.method == "INVITE" and request.get("replaces") is not None:
            # Replaces always names a dialog of our own: the inbound side finds its worker.
            transport, host, port = self._addresses.ourselves
            ourselves = Target(transport, host, port, self._addresses.domain if transport == "tls" else "")
            self._routes.put(branch, (ourselves,), now + ROUTE_TTL_S)
        if to_phone:
            return self._to_phone(_Leaving(request, worker, came_from, branch, to_phone=True), now)
        tokens: list[str] = []
        route = self._addresses.strip_routes(request, tokens)
        flow = self._answers.token_flow(tokens[-1]) if tokens and route is None else None
        leaving = _Leaving(request, worker, came_from, branch)
        if flow is not None:
            return self._send(leaving, (_target(flow),))
        return self._resolved(leaving, next_hop(request, route), now)

    def _to_phone(self, leaving: _Leaving, now: float) -> list[Output]:
        """Send to the contact of a binding, over the flow that it was registered on (RFC 5626 §5.3)."""
        request = leaving.request
        binding = self._phones.get(leaving.branch, now)
        if binding is None:
            binding = self._locations.find(parse_uri(request.uri).param(BINDING_PARAM) or "", now)
        if binding is None:
            return self._answers.reply(request, leaving.came_from, Refusal(480))
        self._phones.put(leaving.branch, binding, now + ROUTE_TTL_S)
        self._addresses.strip_routes(request)
        request.uri = binding.contact
        if binding.path:
            for value in reversed(binding.path):  # RFC 3327 §5.4
                request.prepend("Route", value)
            return self._resolved(leaving, parse_name_addr(binding.path[0]).uri, now)
        return self._send(leaving, (_target(read_source(binding.source, binding.listener)),))

    def _resolved(self, leaving: _Leaving, hop: Uri, now: float) -> list[Output]:
        """Send to the targets of ``hop``, or start its resolution."""
        request, branch = leaving.request, leaving.branch
        waiting = self._waiting.get(branch)
        if waiting is not None:
            if all(other.request.method != request.method for other in waiting):
                waiting.append(leaving)
            return []
        targets = self._routes.get(branch, now) or known_target(hop, self._addresses)
        if targets is not None:
            return self._send(leaving, targets)
        if len(self._waiting) >= MAX_WAITING:
            refusal = Refusal(503, "Too Many Names To Resolve")
            return self._answers.reply(request, leaving.came_from, refusal)
        self._waiting[branch] = [leaving]
        return [Find(branch, hop)]

    def found(self, branch: str, targets: tuple[Target, ...], now: float) -> list[Output]:
        """Send the requests that wait under ``branch``: their next hop is known."""
        self._routes.put(branch, targets, now + ROUTE_TTL_S)
        outputs: list[Output] = []
        for leaving in self._waiting.pop(branch, ()):
            outputs += self._send(leaving, targets)
        return outputs

    def not_found(self, branch: str, reason: str) -> list[Output]:
        """Answer the requests that wait under ``branch``: their next hop cannot be resolved."""
        outputs: list[Output] = []
        for leaving in self._waiting.pop(branch, ()):
            refusal = Refusal(481) if leaving.request.method == "CANCEL" else Refusal(503, reason)
            outputs += self._answers.reply(leaving.request, leaving.came_from, refusal)
        return outputs

    def _limit_hops(self, request: Request, worker: WorkerId) -> bool:
        """Limit the hops of a call to those left for the call it is made for; return False if none are left.

        Without this limit, a number that dials itself loops until no worker is left (RFC 7332 §4.1).
        """
        limit, left = self._leases.hops.get(worker), hops_left(request)
        if limit is not None and (left is None or limit < left):
            set_hops(request, limit)
        return limit != 0

    def _send(self, leaving: _Leaving, targets: tuple[Target, ...]) -> list[Output]:
        """Send the request to the first target that accepts it; a UDP target counts as accepting."""
        flows: list[Flow] = []
        for target in targets[:MAX_TARGETS]:
            listener = target.listener
            if listener is None or not self._addresses.fits(listener, target.transport):
                listener = self._addresses.listener(target.transport, target.host)
            if listener is not None:
                flows.append(Flow("outer", target.transport, target.host, target.port, listener, target.name))
                if target.transport == "udp":
                    break
        otherwise: Send | None = None
        if not flows or flows[-1].transport != "udp":
            refusal = Refusal(480) if leaving.to_phone else Refusal(503, "Next Hop Not Reachable")
            failure = self._answers.reply(leaving.request, leaving.came_from, refusal)
            otherwise = failure[0] if failure and isinstance(failure[0], Send) else None
        for to in reversed(flows):
            request = _copy(leaving.request) if len(flows) > 1 else leaving.request
            otherwise = Send(self._build(request, leaving, to), to, otherwise=otherwise)
        return [] if otherwise is None else [otherwise]

    def _build(self, request: Request, leaving: _Leaving, to: Flow) -> bytes:
        """Return the bytes of ``request``, that of ``leaving`` or a copy, for ``to``; it is changed."""
        decrement_hops(request)
        self._addresses.show_contact(request, leaving.worker, to)
        if request.method == "INVITE" or not request.to_tag:
            token = self._answers.flow_token(to) if leaving.to_phone else ""
            request.prepend("Record-Route", self._addresses.record_route(to, token))
        request.prepend("Via", self._addresses.via(to, leaving.branch))
        if to.transport != "udp" and request.get("content-length") is None:
            request.append("Content-Length", str(len(request.body)))
        return request.to_bytes()


def _target(flow: Flow) -> Target:
    return Target(flow.transport, flow.host, flow.port, listener=flow.listener)


def _copy(request: Request) -> Request:
    headers = [Header(header.name, header.sent, header.value, header.line) for header in request.headers]
    copied = Request(request.method, request.uri, headers, request.body)
    copied.cseq_number, copied.cseq_method = request.cseq_number, request.cseq_method
    return copied


def known_target(hop: Uri, addresses: Addresses) -> tuple[Target, ...] | None:
    """Return the target of a next hop that needs no DNS; None for other next hops."""
    transport = transport_of(hop)
    local = addresses.local(hop)
    if local is not None:
        return (Target(transport, *local, hop.host if transport == "tls" else ""),)
    if is_address(hop.host):
        host = hop.host.strip("[]")
        port = hop.port or default_port(transport)
        return (Target(transport, host, port, host if transport == "tls" else ""),)
    return None
