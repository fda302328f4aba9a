"""A session in the running node: carries out the orders of its state machine and feeds it events.

This module makes no decisions and neither counts nor stores anything: facts go to the journal. Thread: the
controller's loop.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from typing import Literal, Protocol, assert_never

from msgspec import structs

from b2bua.calls.orders import (
    CallCanceled,
    CallChanged,
    CallOver,
    FetchDocument,
    FinishRecording,
    FollowRecording,
    KeepRecording,
    NoteFinding,
    Order,
    Output,
    PreparePrompt,
    RecordCall,
    ReportStatus,
    SessionInput,
    ToQueue,
    ToRoom,
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
from b2bua.node.documents import Documents
from b2bua.node.facts import (
    ForeignMedia,
    JournalFact,
    SessionBegun,
    SessionEnded,
    WorkersShort,
    request_made,
)
from b2bua.node.helpers import TOO_FEW, Helpers, WorkerSource
from b2bua.node.ids import RandomIds
from b2bua.node.journal import Entry, Journal
from b2bua.node.meetings import Meetings
from b2bua.node.prompt_maker import PromptMaker
from b2bua.node.queues import Queues
from b2bua.node.recorder_orders import RecorderOrders
from b2bua.node.recordings import Recordings
from b2bua.node.rooms import Rooms
from b2bua.node.session_audio import RelayPort, SessionAudio
from b2bua.node.session_facts import SessionFacts
from b2bua.node.session_guard import SessionGuard, do_all
from b2bua.relay.control import ForeignPackets, LegLost, LegSilent, RelayEvent
from b2bua.twiml.findings import Finding
from b2bua.web.outbox import Outbox
from b2bua.web.webhooks import CallWebhooks, WebhookRequest

__all__ = ["RunningSession", "SessionServices"]

log = logging.getLogger(__name__)


class SessionServices(Protocol):
    """The services that a session uses in its node."""

    @property
    def documents(self) -> Documents:
        """Fetches documents."""

    @property
    def prompts(self) -> PromptMaker:
        """Makes prompts."""

    @property
    def recordings(self) -> Recordings:
        """Makes and keeps recordings."""

    @property
    def outbox(self) -> Outbox:
        """Sends status callbacks."""

    @property
    def journal(self) -> Journal:
        """Publishes facts."""

    @property
    def relay(self) -> RelayPort:
        """Carries the audio."""

    @property
    def pool(self) -> WorkerSource:
        """Gives further workers."""

    @property
    def relay_records(self) -> bool:
        """Whether the relay records at the clock rate of the workers."""

    @property
    def queues(self) -> Queues:
        """Lets calls wait and be bridged."""

    @property
    def rooms(self) -> Rooms:
        """Lets calls confer."""

    @property
    def meetings(self) -> Meetings:
        """Joins legs of different sessions."""

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run ``work`` as a task that the node waits for when it closes."""


class RunningSession:
    """Connects a session's state machine to its worker and to the services of the node.

    Args:
        session: the state machine.
        worker: the worker with its legs.
        webhooks: the session's own webhooks, which keep its cookies.
        services: services of the node.
        on_over: called once, at the end.
        record: the recording to start when the call is answered (REST).
    """

    def __init__(
        self,
        session: Session,
        worker: WorkerHandle,
        webhooks: CallWebhooks,
        services: SessionServices,
        on_over: Callable[["RunningSession"], None],
        record: RecordCall | None = None,
    ) -> None:
        self.session = session
        self.sid = session.call_sid
        """The CallSid of the session's first call."""
        self._hosts = {HostId(worker.worker): worker}
        leg = session.a_leg
        called_us = leg.id if leg.role is Role.UAS else None
        self._placement = Placement(
            HostId(worker.worker),
            worker.capacity,
            called_us,
            session.caller.sip_call_id,
            RandomIds().sip_call_id,
            relay_records=services.relay_records,
        )
        self._audio = SessionAudio(services.relay, self._placement, self, services.meetings)
        self._facts = SessionFacts(services.journal)
        self._has_no_audio = False
        """Nothing comes from the parties any more."""
        self._timer = DeadlineTimer(self._on_timer)
        """For keys that wait, or are being sent."""
        self._recorder_orders = RecorderOrders()
        self._webhooks = webhooks
        self._services = services
        self._on_over = on_over
        self._record_on_answer = record
        self._dialogs: set[str] = set()
        """Call-IDs of the session's legs."""
        self._owed = Owed(called_us)
        self._guard = SessionGuard(session, self._owed, self)
        self._helpers = Helpers(services.pool, services.spawn, self)
        if called_us is not None:
            self._audio.add(called_us)

    def start(self, begun: SessionBegun) -> None:
        """Start the session: its INVITE has arrived or is to be sent; request the document."""
        self._facts.hold()
        self.publish(begun, time.monotonic())
        self._guard.step(self.session.start)
        asyncio.get_running_loop().call_soon(self._facts.release)  # a fresh document is run before

    def deliver(self, event: SessionEvent) -> None:
        """Handle an event from a worker (``engine.pool.SessionSink``)."""
        by_info = isinstance(event, DtmfReceived) and event.method == "info"
        if isinstance(event, DtmfReceived) and by_info and self._placement.is_joined(event.leg):
            self._audio.keys.take_info(event, time.monotonic())
            self._set_timer()
        else:
            self.bring(event)

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
            case _:
                self._take_report(self._audio.translate(event))

    def send_keys(self, leg: LegId, digits: str) -> None:
        """Send keys that another session's leg has pressed to one of ours (``meetings.MeetingSink``)."""
        self._guard.step(lambda now: [SendDtmf(leg=leg, digits=digits)])

    def worker_lost(self, worker: WorkerId) -> None:
        """End everything that a lost worker held, since it reports no ends (``engine.pool.SessionSink``)."""
        self._guard.step(lambda now: self._lose_host(HostId(worker), now))

    def helped(self, worker: WorkerHandle) -> None:
        """Use a further worker (``HelpedSession``)."""
        host = HostId(worker.worker)
        self._hosts[host] = worker
        self._placement.add(host, worker.capacity)
        self._guard.step(lambda now: [])

    def not_helped(self) -> None:
        """Give up the legs for which there is no worker (``HelpedSession``)."""
        self._placement.refuse()
        self._guard.step(lambda now: [])

    def has_dialog(self, call_id: str) -> bool:
        """Return whether a leg of the session has this Call-ID."""
        return call_id in self._dialogs

    def cancel(self, by: Literal["api", "node"]) -> None:
        """End the session by request of the API or the node."""
        self.bring(CallCanceled(by=by))

    def bring(self, event: SessionInput) -> None:
        """Give the session an event, the answer to one of its requests, or an order of the API or node."""
        if isinstance(event, LegEnded):
            self._owed.leg_ended(event.leg)
        self._guard.step(lambda now: self._take(event, now))

    def note(self, findings: Iterable[Finding]) -> None:
        """Publish findings about how the call or one of its prompts was made."""
        for finding in findings:
            self.publish(NoteFinding(call_sid=self.sid, finding=finding), time.monotonic())

    def publish(self, fact: JournalFact, now: float) -> None:
        """Put a fact into the journal (``OrderExecutor``)."""
        self._facts.publish(self._entry(fact, now))

    def _entry(self, fact: JournalFact, now: float) -> Entry:
        host = self._host_of(fact) if isinstance(fact, CallChanged) else None
        return Entry(at=now, session=self.sid, host=host, fact=fact)

    # -- audio --------------------------------------------------------------------------------------

    def _take_report(self, report: AudioEvent | DtmfReceived | MediaMeasured | None) -> None:
        match report:
            case None:
                pass
            case MediaMeasured():
                self._facts.measured(report.leg, self._entry(report, report.at))
            case DtmfReceived():
                self.bring(report)
            case _:
                self._guard.step(lambda now: self._told(self._placement.relayed(report), now))

    def _set_timer(self) -> None:
        """Come back when keys have waited for long enough, or have been sent."""
        self._timer.set((self._audio.keys.next_deadline(), self._placement.next_deadline()))

    def _on_timer(self) -> None:
        for event in self._audio.keys.due(time.monotonic()):
            self.bring(event)
        self._guard.step(lambda now: [])

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
            if isinstance(event, LegEnded) and self._placement.name_of(event.leg) is not None:
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
            self._recorder_orders.send(self._hosts[host].send, (e for e in its_commands if e not in last))
            if last:  # only a helper ends here, and nothing is held back for it
                self._hosts.pop(host).send(*last)
        self._recorder_orders.send(self._tell_relay, audio[early:])
        for part in self._placement.take_host_parts():
            self._services.recordings.take_over(part)
        self._owed.sent(commands)
        self._helpers.want(self._placement.take_wanted())
        if targets := self._placement.take_short():
            self.publish(WorkersShort(call_sid=self.sid, targets=targets), now)
            self.note([TOO_FEW])
        for ended in self._placement.take_ended():
            asyncio.get_running_loop().call_soon(self.bring, ended)
        self._set_timer()

    def _tell_relay(self, *orders: AudioOrder) -> None:
        self._audio.tell(orders)

    def execute(self, order: Order, now: float) -> None:
        """Carry out an order that is not for a worker (``OrderExecutor``)."""
        match order:
            case FetchDocument():
                self._fetch(order)
            case PreparePrompt():
                self._services.spawn(self._prepare(order))
            case ReportStatus():
                self._report(order)
            case KeepRecording():
                pass  # done in ``carry_out``, before the worker gets its commands
            case FollowRecording():
                self._services.recordings.follow(order, self._webhooks)
            case FinishRecording():
                self._recorder_orders.drop(order.recording)
                self._services.recordings.finish(order, self.bring, self._webhooks)
            case ToQueue():
                self._services.queues.take(order, self)
            case ToRoom():
                self._services.rooms.take(order, self)
            case CallChanged():
                self._dialogs.add(order.sip_call_id)
                self.publish(order, now)
            case NoteFinding() | BranchReport() | Bridged() | CallOver():
                self.publish(order, now)
            case _:
                assert_never(order)

    def end(self) -> None:
        """Tell each host to end all legs; a host ignores the legs of others (``OrderExecutor``)."""
        legs: list[HostCommand] = [*self._owed.hang_up()]
        last = {host: [*legs, *self._placement.last_words(host), EndSession()] for host in self._hosts}
        self._helpers.close()
        do_all(
            *(partial(self._recorder_orders.send, self._hosts[host].send, last[host]) for host in last),
            partial(self._audio.tell, self._placement.end_recordings()),
            partial(self.publish, SessionEnded(), time.monotonic()),
            partial(self._facts.then, self._over),
        )

    def _over(self) -> None:
        """Take no more reports; the owner can forget the session."""
        self._timer.cancel()
        self._services.queues.left(self)
        self._services.rooms.left(self)
        self._audio.close()
        self._on_over(self)

    def _report(self, order: ReportStatus) -> None:
        request = WebhookRequest(
            url=order.url,
            method=order.method,
            params=(*order.params, ("Timestamp", format_datetime(datetime.now(UTC)))),
            idempotency_token=secrets.token_hex(16),
            expects_document=False,
        )
        self._services.outbox.post(order.call_sid, request, self._webhooks)

    def _keep(self, order: KeepRecording) -> None:
        self._recorder_orders.hold(order.recording, self._services.recordings.keep(order))

    def _fetch(self, order: FetchDocument) -> None:
        if not order.file:
            self._services.spawn(self._request(order))
        elif (fetched := self._services.documents.fresh(order)) is not None:
            asyncio.get_running_loop().call_soon(self.bring, fetched)
        else:
            self._services.spawn(self._read(order))

    async def _read(self, order: FetchDocument) -> None:
        with self._guard.guarded():
            self.bring(await self._services.documents.read(order))

    async def _request(self, order: FetchDocument) -> None:
        token = secrets.token_hex(16) if order.once else None
        begun = time.monotonic()
        with self._guard.guarded():
            fetched = await self._services.documents.fetch(order, self._webhooks, token)
            now = time.monotonic()
            self.publish(request_made(order, fetched, now - begun), now)
            self.bring(fetched.answer)

    async def _prepare(self, order: PreparePrompt) -> None:
        with self._guard.guarded():
            prepared = await self._services.prompts.prepare(order, self._webhooks)
            self.note(prepared.findings)
            self.bring(prepared.answer)

    def _host_of(self, change: CallChanged) -> HostId:
        """Return the host of a call's leg; for a call that never had a leg, the host of the first leg."""
        host = None if change.leg is None else self._placement.host_of(change.leg)
        return next(iter(self._hosts)) if host is None else host
