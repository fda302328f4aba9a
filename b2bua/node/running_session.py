"""A session in the running node: takes everything that comes in, and feeds its state machine.

This module makes no decisions and neither counts nor stores anything. Each input is noted in the session's
log before it is handled; what follows from it is carried out by ``SessionOutputs``. A session that is made
again is given the inputs of its log (``recall``); its orders are not carried out until ``resume``.

Thread: the controller's loop.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Literal

from msgspec import structs

from b2bua.calls.context import SessionIds
from b2bua.calls.input_log import (
    AudioDue,
    Due,
    Faulted,
    HostAdded,
    HostLost,
    HostMissing,
    LoggedStep,
    LogInput,
)
from b2bua.calls.orders import CallCanceled, Output, SessionInput
from b2bua.calls.owed import Owed
from b2bua.calls.placement import Placement
from b2bua.calls.session import Session
from b2bua.core.commands import SendDtmf
from b2bua.core.events import DtmfReceived, LegEnded, MediaMeasured, SessionEvent
from b2bua.core.ids import HostId, LegId, WorkerId
from b2bua.core.leg import Role
from b2bua.core.relay_orders import AudioEvent
from b2bua.engine.pool import WorkerHandle
from b2bua.node.facts import ForeignMedia, session_begun
from b2bua.node.helpers import Helpers
from b2bua.node.recalled_work import FoundHost, Host, RecalledHost
from b2bua.node.session_audio import SessionAudio
from b2bua.node.session_facts import SessionFacts
from b2bua.node.session_guard import SessionGuard
from b2bua.node.session_hosts import SessionHosts
from b2bua.node.session_log import SessionLog
from b2bua.node.session_outputs import SessionOutputs
from b2bua.node.session_services import SessionServices
from b2bua.node.session_work import SessionWork
from b2bua.relay.control import ForeignPackets, KeyPressed, LegLost, LegSilent, RelayEvent
from b2bua.twiml.findings import Finding
from b2bua.web.webhooks import CallWebhooks

__all__ = ["RunningSession"]

log = logging.getLogger(__name__)

_NOWHERE = HostId("")


class RunningSession:
    """Connects a session's state machine to its workers and to the services of the node.

    Args:
        session: the state machine.
        worker: the worker with its legs.
        webhooks: the session's own webhooks, which keep its cookies.
        services: services of the node.
        on_over: called once, at the end.
        log: notes the session's inputs.
        ids: of the session.
    """

    def __init__(
        self,
        session: Session,
        worker: Host,
        webhooks: CallWebhooks,
        services: SessionServices,
        on_over: Callable[["RunningSession"], None],
        log: SessionLog,
        ids: SessionIds,
    ) -> None:
        self.session = session
        self.sid = session.call_sid
        first = HostId(worker.worker)
        leg = session.a_leg
        called_us = leg.id if leg.role is Role.UAS else None
        self._placement = Placement(
            first,
            worker.capacity,
            called_us,
            session.caller.sip_call_id,
            ids.sip_call_id,
            relay_records=log.header.relay_records,
        )
        due = partial(self._enter, AudioDue())
        self._audio = SessionAudio(services.relay, self._placement, self, services.meetings, due)
        self._facts = SessionFacts(services.journal, log, self._placement, first, self.sid)
        self._has_no_audio = False  # nothing comes from the parties any more
        self._services = services
        self._on_over = on_over
        self._log = log
        self._record_on_answer = log.header.record
        self._owed = Owed(called_us)
        helpers = Helpers(services.pool, services.spawn, self)
        self._hosts = SessionHosts(worker, self._placement, self._audio, helpers)
        work = SessionWork(self, self._facts, services, webhooks, ids.token)
        self._outputs = SessionOutputs(
            self, session, self._placement, self._hosts, self._facts, work, self._owed, log
        )
        self._guard = SessionGuard(session, self._owed, self._outputs, log, partial(self._enter, Due()))
        self.hosts: Mapping[HostId, Host] = self._hosts.present
        self.recalled = self._outputs.recalled
        """What it has ordered in an earlier run."""
        if called_us is not None:
            self._audio.add(called_us)

    def start(self) -> None:
        """Start the session: its INVITE has arrived or is to be sent; request the document."""
        self._log.begin()
        if not self._log.is_recalling:
            self._facts.hold()
            asyncio.get_running_loop().call_soon(self._facts.release)  # a fresh document is run before
        self._facts.publish(session_begun(self._log.header, self.session), self._log.now)
        self._guard.step(self.session.start)

    def deliver(self, event: SessionEvent, worker: WorkerId) -> None:
        """Handle an event from a worker (``engine.pool.SessionSink``)."""
        self._enter(event, HostId(worker))

    def relayed(self, event: RelayEvent) -> None:
        """Handle a report of the relay (``RelaySink``)."""
        match event:
            case LegSilent() | LegLost():  # each is reported of both legs
                if not self._has_no_audio:
                    self._has_no_audio = True
                    log.warning("call without audio", extra={"call_sid": self.sid})
                    self.cancel("node")
            case ForeignPackets():
                self._facts.happened(ForeignMedia(source=event.source, packets=event.count))
            case KeyPressed():
                self._enter(event)
            case _:
                match report := self._audio.translate(event):
                    case None | DtmfReceived():
                        pass
                    case MediaMeasured():
                        self._facts.measured(report.leg, report)
                    case _:
                        self._enter(report)

    def send_keys(self, leg: LegId, digits: str) -> None:
        """Send keys that another session's leg has pressed to one of ours (``meetings.MeetingSink``)."""
        self._guard.step(lambda now: [SendDtmf(leg=leg, digits=digits)])

    def worker_lost(self, worker: WorkerId) -> None:
        """End everything that a lost worker held, since it reports no ends (``engine.pool.SessionSink``)."""
        self._enter(HostLost(host=HostId(worker)))

    def helped(self, worker: WorkerHandle) -> None:
        """Use a further worker (``HelpedSession``)."""
        self._hosts.add(worker)
        self._enter(HostAdded(host=HostId(worker.worker), capacity=worker.capacity, session=worker.session))

    def not_helped(self) -> None:
        """Give up the legs for which there is no worker (``HelpedSession``)."""
        self._enter(HostMissing())

    def has_dialog(self, call_id: str) -> bool:
        """Return whether a leg of the session has this Call-ID."""
        return self._hosts.has_dialog(call_id)

    def cancel(self, by: Literal["api", "node"]) -> None:
        """End the session by request of the API or the node."""
        self.bring(CallCanceled(by=by))

    def bring(self, event: SessionInput) -> None:
        """Give the session an event, the answer to one of its requests, or an order of the API or node."""
        self._enter(event)

    def guarded(self) -> AbstractContextManager[None]:
        """See ``WorkOwner``."""
        return self._guard.guarded()

    # -- inputs -------------------------------------------------------------------------------------

    def _enter(self, given: LogInput, host: HostId = _NOWHERE) -> None:
        """Take an input from outside: every input comes here, and nothing else changes the session."""
        if self._log.is_recalling:
            self.recalled.early.append((given, host))
        elif not self._guard.is_over:
            self._handle(given, self._log.take(given, host))

    def _handle(self, given: LogInput, now: float) -> None:
        match given:
            case DtmfReceived(method="info") if self._placement.is_joined(given.leg):
                self._audio.keys.take_info(given, now)
                self._guard.step(lambda now: [])
            case KeyPressed():
                pressed = self._audio.translate(given)
                self._step(pressed) if isinstance(pressed, DtmfReceived) else self._guard.step(lambda now: [])
            case HostAdded():
                self._placement.add(given.host, given.capacity)
                self._guard.step(lambda now: [])
            case HostMissing():
                self._placement.refuse()
                self._guard.step(lambda now: [])
            case HostLost():
                self._guard.step(lambda now: self._lose_host(given.host, now))
            case Due():
                self._guard.come_due()
            case AudioDue():
                for key in self._audio.keys.due(now):
                    self._step(key)
                self._guard.step(lambda now: [])
            case Faulted():
                self._guard.fail(now)
            case _ if isinstance(given, AudioEvent):
                self._guard.step(lambda now: self._told(self._placement.relayed(given), now))
            case _:
                self._step(given)

    def _step(self, event: SessionInput) -> None:
        if isinstance(event, LegEnded):
            self._owed.leg_ended(event.leg)
        self._guard.step(lambda now: self._take(event, now))

    # -- a session that is made again ---------------------------------------------------------------

    def recall(self, step: LoggedStep) -> None:
        """Take an input of the log again; what follows from it was done before the node was started."""
        assert step.given is not None
        self._log.recall(step)
        self.recalled.answered(step.given)
        if isinstance(step.given, HostAdded):
            self._hosts.add(RecalledHost(step.given.host, step.given.capacity, step.given.session))
        if not self._guard.is_over:
            self._handle(step.given, self._log.take(step.given, step.host))

    def resume(self, size: int, hosts: Mapping[HostId, FoundHost]) -> None:
        """Go on: do what was not done, and carry out orders from now on.

        Args:
            size: bytes of the log.
            hosts: those that still have the session; the others have died meanwhile.
        """
        until = self._log.now
        self._log.resume(size)
        lost = self._hosts.find(hosts)
        if self._guard.is_over:
            self._outputs.end()
            return
        self._outputs.do_left_over(until)
        for host in lost:
            self._enter(HostLost(host=host))
        for given, host in self.recalled.early:
            self._enter(given, host)

    def abandon(self) -> None:
        """Do nothing any more."""
        self._guard.cancel()
        self._audio.close()

    def note(self, findings: Iterable[Finding]) -> None:
        """Publish findings about how the call or one of its prompts was made."""
        self._facts.note(findings)

    def over(self) -> None:
        """Take no more reports; the owner can forget the session (``OutputOwner``)."""
        self._log.close()
        self._services.queues.left(self)
        self._services.rooms.left(self)
        self._audio.close()
        self._on_over(self)

    # -- steps --------------------------------------------------------------------------------------

    def _take(self, event: SessionInput, now: float) -> list[Output]:
        if isinstance(event, SessionEvent):
            orders = self._told(self._placement.notice(event), now)
        else:
            orders = self.session.handle(event, now)
        if self._record_on_answer is not None and self.session.a_leg.answered_at is not None:
            wanted, self._record_on_answer = self._record_on_answer, None
            orders += self.session.handle(structs.replace(wanted, call_sid=self.sid), now)
        return orders

    def _told(self, events: Iterable[SessionEvent], now: float) -> list[Output]:
        """Let the session handle what follows from a report for it."""
        for event in (events := list(events)):
            if self._log.is_recalling or not isinstance(event, LegEnded):
                continue
            if self._placement.name_of(event.leg) is not None:
                self._facts.leg_ended(event.leg)
        return [order for event in events for order in self.session.handle(event, now)]

    def _lose_host(self, host: HostId, now: float) -> list[Output]:
        lost = self._placement.lost(host, now)
        for event in lost:
            if isinstance(event, LegEnded):
                self._owed.leg_ended(event.leg)
        return self._told(lost, now)
