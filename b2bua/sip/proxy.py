"""A record-routing, transaction-stateless proxy between the outside and the workers, without its sockets.

``handle`` takes a message and its source, and returns the messages to send. The proxy holds no transactions
(RFC 3261 §16.11): our branch and our Via in the message contain what a response or a retransmission needs.
The few entries that are remembered expire.
"""

import math
from typing import Final

from b2bua.core.errors import PeerError
from b2bua.core.ids import WorkerId
from b2bua.relay import control
from b2bua.sip.addresses import LOOPBACK, Addresses
from b2bua.sip.admission import Leases
from b2bua.sip.amplification import Amplification
from b2bua.sip.answers import Answers, Refusal, read_flow
from b2bua.sip.bodies import mend_answer
from b2bua.sip.carry import restore
from b2bua.sip.edge_control import (
    BindingsChanged,
    EdgeConfig,
    GrantLease,
    SetDraining,
    ToEdge,
    WorkerGone,
    WorkerKnown,
    WorkerTaken,
)
from b2bua.sip.farewells import Farewells
from b2bua.sip.fit import fit_response
from b2bua.sip.flow import Flow, Output, Send
from b2bua.sip.inbound import NO_MEDIA_PORT, Inbound, call_key
from b2bua.sip.leg_keeper import LegKeeper
from b2bua.sip.link_legs import LinkLegs
from b2bua.sip.links import Links
from b2bua.sip.location import BINDING_PARAM, Locations
from b2bua.sip.media_paths import MediaPaths
from b2bua.sip.mend import refine
from b2bua.sip.message import Request, Response, make_response, parse_message
from b2bua.sip.outbound import Outbound, Target
from b2bua.sip.phones import Phones
from b2bua.sip.port_queue import PortQueue, Waiting
from b2bua.sip.salvage import salvage, salvage_response
from b2bua.sip.sips import mark_message
from b2bua.sip.soft_state import SoftState
from b2bua.sip.trunks import Trunks
from b2bua.sip.uri import default_port
from b2bua.sip.values import Via, parse_name_addr, parse_via

__all__ = ["Proxy"]

SWEEP_INTERVAL_S: Final = 10.0
MAX_CONNECTIONS_KNOWN: Final = 4000


class Proxy:
    """Forwards or answers each message.

    Args:
        config: admission; the listening points are in ``addresses``.
        addresses: the edge's own addresses.
        secret: random, 16 bytes or more, of this node's edge.
        number: the edge's own requests are numbered from here; higher than those of an edge before it.

    Thread: the edge's loop.
    """

    def __init__(self, config: EdgeConfig, addresses: Addresses, secret: bytes, number: int = 0) -> None:
        self._addresses = addresses
        self._codecs = config.codecs
        self._answers = Answers(secret)
        self.leases = Leases()
        self.locations = Locations()
        phones = Phones(config, self.locations, self._answers, secret)
        self.media = MediaPaths(config)
        self._inbound = Inbound(config, addresses, self._answers, self.leases, phones, self.media)
        self._outbound = Outbound(addresses, self._answers, self.leases, self.locations)
        self._farewells = Farewells(self._answers, self._outbound, addresses.inner_port)
        self.legs = LegKeeper(self._inbound, self.leases, self.media, self._farewells)
        self._links = Links(addresses, self._answers, self.leases, config.secret)
        self._link_legs = LinkLegs(addresses, self._answers, self.media, config.secret)
        self._trunks = Trunks(addresses, self._answers, number)
        self._trunks.configure(config.trunks)
        self._inbound.admission.trunk_at = self._trunks.trunk_at
        self._port_queue = PortQueue()
        self._news: list[BindingsChanged] = []
        self._connections: SoftState[int, WorkerId] = SoftState(MAX_CONNECTIONS_KNOWN)
        self._amplification = Amplification()
        self._next_sweep = 0.0

    # -- orders of the controller -------------------------------------------------------------------

    def obey(self, order: ToEdge, now: float) -> list[Output]:
        """Carry out an order of the controller; waiting calls may get a worker now."""
        match order:
            case EdgeConfig():
                self._inbound.configure(order)
                self._trunks.configure(order.trunks)
                gone = self.locations.keep_users(user.name for user in order.users)
                self._news += [BindingsChanged(user=user, bindings=()) for user in gone]
            case BindingsChanged():
                self.locations.put(order.user, order.bindings)
            case GrantLease():
                self._session_over(order.worker, now)
                self.leases.grant(order.worker, order.sip_port)
            case WorkerTaken():
                if not (order.leased and self.leases.has_call(order.worker)):
                    self.leases.taken(order.worker, order.sip_port)
                return [WorkerKnown(worker=order.worker)]
            case WorkerGone():
                outputs = self.legs.farewell(order.worker, now)
                self._session_over(order.worker, now)
                self.leases.gone(order.worker)
                return [*self._serve(now), *outputs]
            case SetDraining():
                self._inbound.draining = order.draining
                self._trunks.drain()
        return self._serve(now)

    def adopt(self, config: EdgeConfig, now: float) -> list[Output]:
        """Serve a controller that has just connected with this configuration."""
        self._inbound.draining = False
        self._trunks.report_again()
        return [*self.obey(config, now), *self._trunks.tick(now)]

    def _session_over(self, worker: WorkerId, now: float) -> None:
        self.legs.over(worker, now)
        self._port_queue.over(worker)
        self.media.over(worker)

    def relay(self, message: control.ToEdge, now: float) -> list[Output]:
        """Take a message of the relay's; waiting calls may get a port now."""
        self.media.obey(message)
        return self._serve(now)

    def _told(self, outputs: list[Output]) -> list[Output]:
        """Return ``outputs`` and what the relay has to hear."""
        return [*self.media.take_news(), *outputs]

    def tick(self, now: float) -> list[Output]:
        """Run once a second: upkeep, requests to trunks, and reports to the controller."""
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_INTERVAL_S
            self._inbound.sweep(now)
            self._outbound.tick(now)
            self._links.sweep(now)
            self._news += [
                BindingsChanged(user=user, bindings=self.locations.of(user, now))
                for user in self.locations.expire(now)
            ]
        news, self._news = self._news, []
        served = self._serve(now)
        repeated = self._farewells.tick(now)
        return [*served, *repeated, *news, *self._inbound.refusals.due(now), *self._trunks.tick(now)]

    # -- messages -----------------------------------------------------------------------------------

    def receive(self, data: bytes, came_from: Flow, now: float) -> list[Output]:
        """Handle a message; return what is to be sent.

        Raises:
            PeerError: the message must be dropped, for this reason.
        """
        if came_from.side == "outer" and self._inbound.silent(data, came_from, now):
            return []
        outputs = self._receive(data, came_from, now)
        if self._may_be_forged(data, came_from, now):
            outputs = self._amplification.bound(outputs, len(data), came_from.host, now)
        return self._told(outputs)

    def _may_be_forged(self, data: bytes, came_from: Flow, now: float) -> bool:
        """Whether the source of a message may be another one than its sender."""
        if came_from.side == "inner" or came_from.transport != "udp":
            return False
        if data.startswith(b"SIP/2.0 "):
            return False  # it has our branch: its sender got our request
        return not self._inbound.trusted(came_from, now)

    def _receive(self, data: bytes, came_from: Flow, now: float) -> list[Output]:
        try:
            message = parse_message(data)
        except PeerError as error:
            response = salvage_response(data) if came_from.side == "outer" else None
            if response is not None:
                return self._response(response, came_from, now, damage=str(error))
            request = salvage(data) if came_from.side == "outer" else None
            if request is None:
                raise
            self._mark_source(request, came_from)
            return self._answers.reply(request, came_from, Refusal(error.sip_status_hint, _phrase(error)))
        if isinstance(message, Response):
            return self._response(message, came_from, now)
        self._mark_source(message, came_from)
        try:
            if came_from.side == "outer":
                if message.method == "ACK":
                    self._farewells.acknowledged(message)
                return self._inbound.request(message, came_from, len(data), now)
            to_phone = BINDING_PARAM in message.uri  # put there by us: carried URIs are not restored yet
            restore(message)
            worker = self._worker(message, came_from)
            linked = self._link_legs.request(message, worker, came_from)
            if linked is None:
                linked = self._links.request(message, came_from, now)
            if linked is not None:
                return linked
            if message.method == "INVITE" and not message.to_tag:
                return self._dial(Waiting(message, worker, came_from, to_phone), now)
            self.media.outward(message, worker)
            self._inbound.records.asks(message, worker)
            return self._outbound.request(message, worker, came_from, now, to_phone=to_phone)
        except PeerError as error:
            return self._answers.reply(message, came_from, Refusal(error.sip_status_hint, _phrase(error)))

    def _dial(self, call: Waiting, now: float) -> list[Output]:
        """Send a worker's initial INVITE once there are ports for its leg.

        Raises:
            PeerError: it cannot be sent.
        """
        if not self.media.open(call.invite, call.worker, "near"):
            return [] if self._port_queue.add(call, now) else self._no_ports(call)
        self._inbound.dialogs.begin(call.invite, call.worker)
        self._inbound.records.calls(call.invite, call.worker, to_phone=call.to_phone)
        self.media.outward(call.invite, call.worker)
        return self._outbound.request(call.invite, call.worker, call.came_from, now, to_phone=call.to_phone)

    def _no_ports(self, call: Waiting) -> list[Output]:
        self._inbound.refusals.note(NO_MEDIA_PORT, call.came_from.source)
        return self._answers.reply(call.invite, call.came_from, Refusal(503))

    def _serve(self, now: float) -> list[Output]:
        """Serve the calls that wait for ports or for a worker."""
        outputs: list[Output] = []
        while (call := self._port_queue.take(now, free=self.media.free)) is not None:
            try:
                outputs += self._dial(call, now) if self.media.free else self._no_ports(call)
            except PeerError as error:
                refusal = Refusal(error.sip_status_hint, _phrase(error))
                outputs += self._answers.reply(call.invite, call.came_from, refusal)
        return self._told([*outputs, *self._inbound.serve_held(now)])

    def found(self, branch: str, targets: tuple[Target, ...], now: float) -> list[Output]:
        """Continue after a successful ``Find``; ``targets`` are in order of preference."""
        if self._trunks.waits_for(branch):
            return self._trunks.found(branch, targets, now)
        return self._outbound.found(branch, targets, now)

    def not_found(self, branch: str, reason: str) -> list[Output]:
        """Continue after a failed ``Find``; ``reason`` is the phrase of the 503 to the worker."""
        return self._outbound.not_found(branch, reason)

    def not_sent(self, data: bytes) -> list[Output]:
        """Handle a datagram to the outside that could not be sent: answer the worker's request (§16.9)."""
        request = parse_message(data)
        if isinstance(request, Response) or request.method == "ACK":
            return []
        request.remove_first_value("via")
        response = make_response(request, 503, "Next Hop Not Reachable", to_tag=self._answers.tag(request))
        return self._to_inner(response, request.top_via)

    def _mark_source(self, request: Request, came_from: Flow) -> None:
        host = f"[{came_from.host}]" if ":" in came_from.host else came_from.host
        request.replace_first("via", str(request.top_via.seen_from(host, came_from.port)))

    def _worker(self, request: Request, came_from: Flow) -> WorkerId:
        """Return the worker that a request is from.

        A worker's TCP connections come from any port. The Via has the worker's own port if the worker listens
        there for both UDP and TCP. Otherwise a Contact identifies the worker, also for later requests on the
        connection that have none (the CANCEL of a large INVITE).

        Raises:
            PeerError: the request is from no known worker.
        """
        worker = None
        if came_from.host == LOOPBACK and came_from.transport == "udp":
            worker = self.leases.workers.get(came_from.port)
        elif came_from.host == LOOPBACK:
            worker = self.leases.workers.get(request.top_via.port or 0)
            contact = request.get("contact")
            if worker is None and contact is not None:
                worker = WorkerId(parse_name_addr(contact).uri.user)
                if worker in self.leases.ports:
                    self._connections.put(came_from.port, worker, math.inf)
            worker = worker or self._connections.get(came_from.port, 0.0)
        if worker not in self.leases.ports or not self._addresses.is_from_worker(request):
            raise PeerError("not one of our workers", sip_status_hint=403)
        return worker

    # -- responses ----------------------------------------------------------------------------------

    def _response(self, response: Response, came_from: Flow, now: float, damage: str = "") -> list[Output]:
        """Remove our Via and forward the response by the next one (RFC 3261 §16.7, §16.11).

        ``damage``: why parts of the response were unreadable and have been removed; empty if none were.
        """
        if came_from.side == "inner":
            restore(response)
        vias = response.all("via")
        if len(vias) == 1 and came_from.side == "outer":
            return self._trunks.response(response, came_from, now)
        if len(vias) < 2:
            raise PeerError("response without a Via of ours")
        ours, via = parse_via(vias[0]), parse_via(vias[1])
        if ours.branch != self._answers.branch(via, response):
            raise PeerError("response to a request that we did not send")
        response.remove_first_value("via")
        if came_from.side == "inner" and self._links.knows(ours.branch, now):
            return self._to_inner(response, via)
        if came_from.side == "inner":
            return self._response_out(response, ours, via, came_from, now)
        said = self._farewells.response(response, via, now)
        if said is not None:
            return said
        if damage:
            self._inbound.oddities.report("", damage, came_from, now)
        refine(response)
        self._inbound.oddities.report_carried(response, came_from, now)
        mark_message(response)
        mend_answer(response, self._codecs, self.media.family)
        return self._to_inner(response, via)

    def _response_out(
        self, response: Response, ours: Via, via: Via, came_from: Flow, now: float
    ) -> list[Output]:
        worker = self.leases.workers.get(came_from.port) if came_from.host == LOOPBACK else None
        if worker is None:
            raise PeerError("not one of our workers")
        to = read_flow(ours)
        self.media.outward(response, worker)
        self._inbound.records.answers(response, worker)
        self._addresses.turn_record_route(response, to)
        self._addresses.show_contact(response, worker, to)
        if response.cseq_method == "INVITE":
            self._inbound.answered(call_key(response), response.status, now)
        data = response.to_bytes()
        if to.transport == "udp":
            return [Send(data, to)]
        # RFC 3261 §18.2.2: the connection that the request came on, else one to the address in its Via.
        port = via.port or default_port(to.transport)
        name = via.host if to.transport == "tls" else ""
        back = Flow("outer", to.transport, to.host, port, to.listener, name)
        return [Send(data, to, connect=False, otherwise=Send(data, back))]

    def _worker_at(self, port: int, via: Via) -> WorkerId | None:
        """Return the worker that a request came from, by the source port and its Via; see ``_worker``."""
        of_port = self.leases.workers.get(port) or self.leases.workers.get(via.port or 0)
        return of_port or self._connections.get(port, 0.0)

    def _to_inner(self, response: Response, via: Via) -> list[Output]:
        """Send a response to the worker named in ``via``."""
        try:
            port = int(via.rport or via.port or 0)
        except ValueError:
            raise PeerError("bad Via") from None
        to = Flow("inner", "tcp" if via.transport == "TCP" else "udp", LOOPBACK, port)
        if to.transport == "udp" and port not in self.leases.workers:
            raise PeerError("response for an unknown worker")
        worker = self._worker_at(port, via)
        if worker is not None:
            self.media.inward(response, worker)
        self._addresses.turn_record_route(response, to)
        if worker is not None:
            self._inbound.records.answered(response, worker)
        if to.transport == "tcp" and response.get("content-length") is None:
            response.append("Content-Length", str(len(response.body)))
        fit_response(response)
        return [Send(response.to_bytes(), to, connect=False)]


def _phrase(error: PeerError) -> str:
    return str(error)[:1].upper() + str(error)[1:]
