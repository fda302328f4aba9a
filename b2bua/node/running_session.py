"""A session in the running node: carries out the orders of its state machine and feeds it events.

This module makes no decisions and neither counts nor stores anything: facts go to the journal. Each input is
noted in the session's log before it is handled. A session that is made again is given the inputs of its log
(``recall``); its orders are not carried out until ``resume``.

Thread: the controller's loop.
"""

import asyncio
import logging
import time
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
from b2bua.calls.orders import (
    CallCanceled,
    CallChanged,
    CallOver,
    FinishRecording,
    KeepRecording,
    NoteFinding,
    Order,
    Output,
    SessionInput,
)
from b2bua.calls.owed import Owed
from b2bua.calls.placement import Placement
from b2bua.calls.session import Session
from b2bua.core.commands import EndSession, HostCommand, InviteLeg, LegCommand, SendDtmf
from b2bua.core.dial_report import BranchReport, Bridged
from b2bua.core.events import DtmfReceived, LegEnded, MediaMeasured, SessionEvent
from b2bua.core.ids import HostId, LegId, WorkerId
from b2bua.core.leg import Role
from b2bua.core.relay_orders import AudioEvent, AudioOrder, JoinAudio
from b2bua.engine.pool import WorkerHandle
from b2bua.node.deadline_timer import DeadlineTimer
from b2bua.node.facts import ForeignMedia, JournalFact, SessionEnded, WorkersShort, session_begun
from b2bua.node.helpers import TOO_FEW, Helpers
from b2bua.node.journal import Entry
from b2bua.node.recalled_work import FoundHost, Host, RecalledHost, RecalledWork
from b2bua.node.recorder_orders import RecorderOrders
from b2bua.node.session_audio import SessionAudio
from b2bua.node.session_facts import SessionFacts
from b2bua.node.session_guard import SessionGuard, do_all
from b2bua.node.session_log import SessionLog
from b2bua.node.session_services import SessionServices
from b2bua.node.session_work import SessionWork
from b2bua.relay.control import ForeignPackets, KeyPressed, LegLost, LegSilent, RelayEvent
from b2bua.twiml.findings import Finding
from b2bua.web.webhooks import CallWebhooks

__all__ = ["RunningSession"]

log = logging.getLogger(__name__)


_NOWHERE = HostId("")


class RunningSession:
    """Connects a session's state machine to its worker and to the services of the node.

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
        self.hosts: dict[HostId, Host] = {HostId(worker.worker): worker}
        """Read by other classes, changed only here."""
        leg = session.a_leg
        called_us = leg.id if leg.role is Role.UAS else None
        self._placement = Placement(
            HostId(worker.worker),
            worker.capacity,
            called_us,
            session.caller.sip_call_id,
            ids.sip_call_id,
            relay_records=log.header.relay_records,
        )
        self._audio = SessionAudio(services.relay, self._placement, self, services.meetings)
        self._facts = SessionFacts(services.journal)
        self._has_no_audio = False  # nothing comes from the parties any more
        self._timer = DeadlineTimer(lambda: self._enter(AudioDue()))
        """For keys that wait, or are being sent."""
        self._recorder_orders = RecorderOrders()
        self._services = services
        self._on_over = on_over
        self._log = log
        self._record_on_answer = log.header.record
        self._dialogs: set[str] = set()  # Call-IDs of the session's legs
        self._owed = Owed(called_us)
        self._guard = SessionGuard(session, self._owed, self, log)
        self._work = SessionWork(self, services, webhooks, ids.token)
        self.recalled = RecalledWork()
        """What it has ordered in an earlier run."""
        self._helpers = Helpers(services.pool, services.spawn, self)
        if called_us is not None:
            self._audio.add(called_us)

    def start(self) -> None:
        """Start the session: its INVITE has arrived or is to be sent; request the document."""
        self._log.begin()
        if not self._log.is_recalling:
            self._facts.hold()
            asyncio.get_running_loop().call_soon(self._facts.release)  # a fresh document is run before
        self.publish(session_begun(self._log.header, self.session), self._log.now)
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
                self.publish(ForeignMedia(source=event.source, packets=event.count), time.monotonic())
            case KeyPressed():
                self._enter(event)
            case _:
                match report := self._audio.translate(event):
                    case None | DtmfReceived():
                        pass
                    case MediaMeasured():
                        self._facts.measured(report.leg, self._entry(report, report.at))
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
        host = HostId(worker.worker)
        self.hosts[host] = worker
        self._enter(HostAdded(host=host, capacity=worker.capacity, session=worker.session))

    def not_helped(self) -> None:
        """Give up the legs for which there is no worker (``HelpedSession``)."""
        self._enter(HostMissing())

    def has_dialog(self, call_id: str) -> bool:
        """Return whether a leg of the session has this Call-ID."""
        return call_id in self._dialogs

    def cancel(self, by: Literal["api", "node"]) -> None:
        """End the session by request of the API or the node."""
        self.bring(CallCanceled(by=by))

    def bring(self, event: SessionInput) -> None:
        """Give the session an event, the answer to one of its requests, or an order of the API or node."""
        self._enter(event)

    def wake(self) -> None:
        """Act on deadlines that have passed (``OrderExecutor``)."""
        self._enter(Due())

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
            added = RecalledHost(step.given.host, step.given.capacity, step.given.session)
            self.hosts[step.given.host] = added
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
        lost = [host for host in self.hosts if host not in hosts]
        for host in [host for host in self.hosts if host in hosts]:
            before, found = self.hosts[host], hosts[host]
            assert isinstance(before, RecalledHost)
            self.hosts[host] = found.host
            found.host.send(*before.missing(found.orders, found.recordings))
        if self._guard.is_over:
            self.end()
            return
        for kept in self.recalled.recordings():
            self._services.recordings.adopt(kept)
        for report, may_be_lost in self.recalled.reports(until):
            self._work.report_again(report, is_sent=not may_be_lost)
        for order in self.recalled.left_over():
            self._work.do(order)
        self._helpers.want(self.recalled.hosts_wanted)
        for ended in self.recalled.ended:
            self.bring(ended)
        for host in lost:
            self._enter(HostLost(host=host))
        for given, host in self.recalled.early:
            self._enter(given, host)

    def abandon(self) -> None:
        """Do nothing any more."""
        self._guard.cancel()
        self._timer.cancel()
        self._audio.close()

    def note(self, findings: Iterable[Finding]) -> None:
        """Publish findings about how the call or one of its prompts was made."""
        for finding in findings:
            self.publish(NoteFinding(call_sid=self.sid, finding=finding), time.monotonic())

    def publish(self, fact: JournalFact, now: float) -> None:
        """Put a fact into the journal (``OrderExecutor``)."""
        entry = self._entry(fact, now)
        if self._log.is_recalling:
            self._services.journal.recall(entry)
        else:
            self._facts.publish(entry)

    def _entry(self, fact: JournalFact, now: float) -> Entry:
        host = self._host_of(fact) if isinstance(fact, CallChanged) else None
        return Entry(at=now, session=self.sid, host=host, fact=fact)

    def _set_timer(self) -> None:
        """Come back when keys have waited for long enough, or have been sent."""
        self._timer.set((self._audio.keys.next_deadline(), self._placement.next_deadline()))

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

    # -- orders -------------------------------------------------------------------------------------

    def carry_out(self, orders: Iterable[Output], now: float) -> None:
        """Carry out all orders (``OrderExecutor``)."""
        orders = list(orders)
        self._log.settle(orders)
        commands: list[LegCommand] = [each for each in orders if not isinstance(each, Order)]
        do_all(
            *(partial(self._keep, each) for each in orders if isinstance(each, KeepRecording)),
            # Commands to workers come before the rest: a peer waits for them, and for nothing else.
            partial(self._send, [each for each in commands if not isinstance(each, EndSession)], now),
            partial(self._owed.carried_out, orders, self.session, now),
            *(partial(self.execute, each, now) for each in orders if isinstance(each, Order)),
            partial(self._guard.conclude, now) if EndSession() in orders else None,
        )

    def _send(self, commands: list[LegCommand], now: float) -> None:
        placed = self._placement.place(commands, now)
        for its_commands in placed.values():
            for command in its_commands:
                if isinstance(command, InviteLeg) and not command.link_to:
                    self._audio.add(command.leg)
                    self._dialogs.add(command.sip_call_id)
        audio = self._placement.take_audio()
        # What hosts take over has to be withdrawn from the relay first; what it takes over can wait.
        early = next((n for n, each in enumerate(audio) if isinstance(each, JoinAudio)), len(audio))
        self._recorder_orders.send(self._tell_relay, audio[:early])
        for host, its_commands in placed.items():
            last = [each for each in its_commands if isinstance(each, EndSession)]
            self._recorder_orders.send(self.hosts[host].send, (e for e in its_commands if e not in last))
            if last:  # only a helper ends here, and nothing is held back for it
                self.hosts.pop(host).send(*last)
        self._recorder_orders.send(self._tell_relay, audio[early:])
        for part in self._placement.take_host_parts():
            if self._log.is_recalling:
                self.recalled.taken_over(part)
            else:
                self._services.recordings.take_over(part)
        self._owed.sent(commands)
        wanted = self._placement.take_wanted()
        if self._log.is_recalling:
            self.recalled.hosts_wanted += wanted
        else:
            self._helpers.want(wanted)
        if targets := self._placement.take_short():
            self.publish(WorkersShort(call_sid=self.sid, targets=targets), now)
            self.note([TOO_FEW])
        for ended in self._placement.take_ended():
            if self._log.is_recalling:
                self.recalled.ended.append(ended)
            else:
                asyncio.get_running_loop().call_soon(self.bring, ended)
        self._set_timer()

    def _tell_relay(self, *orders: AudioOrder) -> None:
        self._audio.tell(orders)

    def execute(self, order: Order, now: float) -> None:
        """Carry out an order that is not for a worker (``OrderExecutor``)."""
        match order:
            case CallChanged():
                self._dialogs.add(order.sip_call_id)
                self.publish(order, now)
            case NoteFinding() | BranchReport() | Bridged() | CallOver():
                self.publish(order, now)
            case _ if self._log.is_recalling:
                self.recalled.note(order, now)
            case _:
                if isinstance(order, FinishRecording):
                    self._recorder_orders.drop(order.recording)
                self._work.do(order)

    def end(self) -> None:
        """Tell each host to end all legs; a host ignores the legs of others (``OrderExecutor``)."""
        if self._log.is_recalling:
            return  # ``resume`` comes back
        legs: list[HostCommand] = [*self._owed.hang_up()]
        last = {host: [*legs, *self._placement.last_words(host), EndSession()] for host in self.hosts}
        self._helpers.close()
        do_all(
            *(partial(self._recorder_orders.send, self.hosts[host].send, last[host]) for host in last),
            partial(self._audio.tell, self._placement.end_recordings()),
            partial(self.publish, SessionEnded(), time.monotonic()),
            partial(self._facts.then, self._over),
        )

    def _over(self) -> None:
        """Take no more reports; the owner can forget the session."""
        self._timer.cancel()
        self._log.close()
        self._services.queues.left(self)
        self._services.rooms.left(self)
        self._audio.close()
        self._on_over(self)

    def _keep(self, order: KeepRecording) -> None:
        if not self._log.is_recalling:
            self._recorder_orders.hold(order.recording, self._work.keep(order))

    def _host_of(self, change: CallChanged) -> HostId:
        """Return the host of a call's leg; for a call that never had a leg, the host of the first leg."""
        host = None if change.leg is None else self._placement.host_of(change.leg)
        return next(iter(self.hosts)) if host is None else host
