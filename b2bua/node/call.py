"""One call in the running node: carries out what its session orders, and brings it what has happened.

Nothing is decided here. Thread: the controller's loop.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from typing import Literal, Protocol

from msgspec import structs

from b2bua.calls.orders import (
    CallCanceled,
    CallChanged,
    CallOver,
    FetchDocument,
    FetchFailed,
    FinishRecording,
    FollowRecording,
    KeepRecording,
    NoteFinding,
    Output,
    PreparePrompt,
    RecordCall,
    ReportStatus,
    SessionInput,
)
from b2bua.calls.owed import Owed
from b2bua.calls.placement import Placement
from b2bua.calls.session import Session
from b2bua.core.commands import EndSession, LegCommand
from b2bua.core.dial_report import BranchReport, Bridged
from b2bua.core.errors import LocalStateError
from b2bua.core.events import LegEnded, MediaMeasured, RecordingStopped, SessionEvent
from b2bua.core.ids import HostId, LegId, WorkerId
from b2bua.core.leg import Role
from b2bua.engine.pool import WorkerHandle
from b2bua.node.call_log import log_end, log_order
from b2bua.node.documents import Documents
from b2bua.node.ledger import Ledger
from b2bua.node.prompts import Prompts
from b2bua.node.recorder_orders import RecorderOrders
from b2bua.node.recordings import Recordings
from b2bua.store.records import LegRow
from b2bua.twiml.findings import Finding
from b2bua.web.metrics import Metrics
from b2bua.web.outbox import Outbox
from b2bua.web.webhooks import CallWebhooks, WebhookRequest

__all__ = ["Call", "Surroundings"]

log = logging.getLogger(__name__)

_FAULT = Finding(
    number=12400, severity="error", text="an error of the node's has ended the call", line=0, column=0
)
_FAIL_LIMIT_S = 40.0
"""For a session that has failed to end in order: a leg may take 35 s, one that does not answer our BYE."""
_WORDS_LIMIT_S = 5.0
"""Likewise when its legs have ended: what is left are words, and a recording to be made."""

_OwnOrder = (
    FetchDocument
    | PreparePrompt
    | ReportStatus
    | KeepRecording
    | FollowRecording
    | FinishRecording
    | NoteFinding
    | BranchReport
    | Bridged
    | CallChanged
    | CallOver
)
"""What is not the worker's to do."""


class Surroundings(Protocol):
    """What a call needs of its node."""

    @property
    def documents(self) -> Documents:
        """Where documents come from."""

    @property
    def prompts(self) -> Prompts:
        """Where what is to be heard is made."""

    @property
    def recordings(self) -> Recordings:
        """Where recordings are made and kept."""

    @property
    def outbox(self) -> Outbox:
        """Where status callbacks go."""

    @property
    def ledger(self) -> Ledger:
        """Where what happens is kept."""

    @property
    def metrics(self) -> Metrics:
        """What is counted."""

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run ``work`` as a task that the node waits for when it closes."""


class Call:
    """See the module's docstring.

    Args:
        session: the machine.
        worker: where its legs are.
        webhooks: the call's own (cookies).
        node: its surroundings.
        on_over: called once, at the end.
        record: what is to be recorded of it from its answer on (REST).
    """

    def __init__(
        self,
        session: Session,
        worker: WorkerHandle,
        webhooks: CallWebhooks,
        node: Surroundings,
        on_over: Callable[["Call"], None],
        record: RecordCall | None = None,
    ) -> None:
        self.session = session
        self.sid = session.call_sid
        """What the application knows it by."""
        self._hosts = {HostId(worker.worker): worker}
        leg = session.a_leg
        called_us = leg.id if leg.role is Role.UAS else None
        self._placement = Placement(HostId(worker.worker), worker.capacity, called_us)
        self._recorder_orders = RecorderOrders()
        self._webhooks = webhooks
        self._node = node
        self._on_over = on_over
        self._record_on_answer = record
        self._legs: dict[str, LegRow] = {}
        """Of all calls of the session: what has happened on each."""
        self._media: list[MediaMeasured] = []
        """Of all legs of the session that have ended."""
        self._owed = Owed(called_us)
        self._timer: asyncio.TimerHandle | None = None
        self._fail_until: float | None = None
        """When a session that has failed must have ended; None: all is well."""
        self._is_over = False
        self._fetching_s = 0.0
        self._setup_ms: float | None = None
        """INVITE received to INVITE sent, without the application's part."""

    def start(self) -> None:
        """The INVITE is there; ask for the document."""
        self._step(self.session.start)

    def handle(self, event: SessionEvent) -> None:
        """See ``engine.pool.SessionSink``."""
        self.bring(event)

    def measured(self, media: MediaMeasured) -> None:
        """See ``engine.pool.SessionSink``."""
        self._media.append(media)
        with self._guarded():
            self._node.metrics.leg_ended(media.lost / max(1, media.lost + media.received), media.jitter_ms)

    def worker_lost(self, worker: WorkerId) -> None:
        """See ``engine.pool.SessionSink``: nothing in it will ever report its end, so it is done here."""
        self._step(lambda now: self._lose_host(HostId(worker), now))

    def has_dialog(self, call_id: str) -> bool:
        """Whether a leg of it has this Call-ID."""
        return any(leg.sip_call_id == call_id for leg in self._legs.values())

    def cancel(self, by: Literal["api", "node"]) -> None:
        """End the call from above."""
        self.bring(CallCanceled(by=by))

    def bring(self, event: SessionInput) -> None:
        """Give the session a fact, the answer to what it has asked for, or an order from above."""
        if isinstance(event, LegEnded):
            self._owed.leg_ended(event.leg)
        self._step(lambda now: self._take(event, now))

    def note(self, findings: Iterable[Finding]) -> None:
        """Keep with the call what was found when it was made."""
        with self._guarded() as now:
            for finding in findings:
                self._do(NoteFinding(call_sid=self.sid, finding=finding), now)

    # -- the guard ----------------------------------------------------------------------------------

    def _step(self, act: Callable[[float], list[Output]]) -> None:
        """The one way into the session: do what it orders. Nothing is told to one that is over."""
        if self._is_over:
            return
        with self._guarded() as now:
            self._carry_out(act(now), now)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[float]:
        """What goes wrong in here ends this call, and is nobody else's; the clock goes on in any case."""
        try:
            yield time.monotonic()
        except Exception:
            self._fail(time.monotonic())
        finally:
            self._set_timer(time.monotonic())

    def _fail(self, now: float) -> None:
        """An exception is being handled: end the call in order, and when it is not the first, without."""
        log.exception("a session failed", extra={"call_sid": self.sid})
        is_first, self._fail_until = self._fail_until is None, now + _FAIL_LIMIT_S
        self._owed.step_failed()
        try:
            self._node.metrics.session_failed()
            if is_first:
                self._do(NoteFinding(call_sid=self.sid, finding=_FAULT), now)
            if self._is_over:
                return
            if not is_first:
                self._give_up(now)
                return
            self._carry_out(self.session.fail(now), now)
            self._carry_out([*self._owed.hang_up()], now)
            for leg in self._unknown_legs():
                self._carry_out(self.session.handle(_lost(leg, now), now), now)
        except Exception:
            log.exception("a session could not be ended in order", extra={"call_sid": self.sid})
            self._give_up(now)

    def _unknown_legs(self) -> list[LegId]:
        """Those that the session believes in, and the worker has never heard of."""
        if self._is_over:
            return []
        return [leg for leg in self.session.live_legs() if not self._owed.has_leg(leg)]

    def _give_up(self, now: float) -> None:
        """End the call without its session."""
        if self._is_over:
            return
        try:
            _do_all(partial(self._settle, now), self._end)
        except Exception:
            log.exception("something that a session owed is lost", extra={"call_sid": self.sid})

    def _settle(self, now: float) -> None:
        """Do and say what a session that has failed did not."""
        _do_all(*(partial(self._pay, debt, now) for debt in self._owed.settle(now)))

    def _pay(self, debt: Callable[[], list[Output]], now: float) -> None:
        for order in debt():
            if isinstance(order, _OwnOrder):
                self._do(order, now)

    def _end(self) -> None:
        """Nothing more will come of it. Each host is told to end all legs: others than its own it ignores."""
        if self._is_over:
            return
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        last: list[LegCommand] = [*self._owed.hang_up(), EndSession()]
        _do_all(
            *(partial(self._recorder_orders.send, host.send, last) for host in self._hosts.values()),
            partial(self._on_over, self),
        )

    def _set_timer(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = None
        if not self._is_over:
            try:
                due = self.session.next_deadline()
            except Exception:
                self._fail(now)
        if self._is_over:
            return
        if self._fail_until is not None and self._owed.nothing_is_open:
            self._fail_until = min(self._fail_until, now + _WORDS_LIMIT_S)
        deadlines = [at for at in (due, self._fail_until) if at is not None]
        if deadlines:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, min(deadlines) - now), self._tick)

    # -- steps --------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._step(self._do_due)

    def _do_due(self, now: float) -> list[Output]:
        if self._fail_until is not None and now >= self._fail_until:
            raise LocalStateError("a session that has failed does not end")
        return self.session.tick(now)

    def _take(self, event: SessionInput, now: float) -> list[Output]:
        if isinstance(event, LegEnded | RecordingStopped):
            self._placement.notice(event)
        orders = self.session.handle(event, now)
        if self._record_on_answer is not None and self.session.a_leg.answered_at is not None:
            wanted, self._record_on_answer = self._record_on_answer, None
            orders += self.session.handle(structs.replace(wanted, call_sid=self.sid), now)
        return orders

    def _lose_host(self, host: HostId, now: float) -> list[Output]:
        lost = self._placement.lost(host, now)
        for event in lost:
            if isinstance(event, LegEnded):
                self._owed.leg_ended(event.leg)
        return [order for event in lost for order in self.session.handle(event, now)]

    # -- orders -------------------------------------------------------------------------------------

    def _carry_out(self, orders: list[Output], now: float) -> None:
        """Do all of them, whatever becomes of one.

        Raises:
            Exception: of what was wrong with some.
        """
        is_end = EndSession() in orders
        _do_all(
            *(partial(self._keep, order) for order in orders if isinstance(order, KeepRecording)),
            # Then this: somebody waits for it, and for nothing of the rest.
            partial(self._send, [o for o in orders if not isinstance(o, _OwnOrder | EndSession)]),
            partial(self._owed.carried_out, orders, self.session, now),
            *(partial(self._do, order, now) for order in orders if isinstance(order, _OwnOrder)),
            partial(self._settle, now) if is_end and self._fail_until is not None else None,
            self._end if is_end else None,
        )

    def _send(self, orders: list[LegCommand]) -> None:
        for host, commands in self._placement.place(orders).items():
            self._recorder_orders.send(self._hosts[host].send, commands)
        self._owed.sent(orders)

    def _do(self, order: _OwnOrder, now: float) -> None:
        match order:
            case FetchDocument():
                self._node.spawn(self._read(order) if order.file else self._fetch(order))
            case ReportStatus():
                request = WebhookRequest(
                    url=order.url,
                    method=order.method,
                    params=(*order.params, ("Timestamp", format_datetime(datetime.now(UTC)))),
                    idempotency_token=secrets.token_hex(16),
                    expects_document=False,
                )
                self._node.outbox.post(order.call_sid, request, self._webhooks)
            case NoteFinding():
                self._node.metrics.finding(order.finding.number)
                self._node.ledger.note(order.call_sid, order.finding)
                log_order(order, self.sid)
            case BranchReport() | Bridged():
                self._count(order, now)
                log_order(order, self.sid)
            case PreparePrompt():
                self._node.spawn(self._prepare(order))
            case KeepRecording():
                pass  # see _carry_out: before the worker hears of it
            case FollowRecording():
                self._node.recordings.follow(order, self._webhooks)
            case FinishRecording():
                self._recorder_orders.drop(order.recording)
                self._node.recordings.finish(order, self.bring, self._webhooks)
            case CallChanged():
                self._legs[order.call_sid] = self._node.ledger.changed(order, self._host_of(order))
            case CallOver():
                log_end(order, self.session.caller.sip_call_id, self._legs.values(), self._media)
                self._node.metrics.call_ended(order.status, self._setup_ms)

    def _keep(self, order: KeepRecording) -> None:
        self._recorder_orders.hold(order.recording, self._node.recordings.keep(order))

    async def _read(self, order: FetchDocument) -> None:
        with self._guarded():
            self.bring(await self._node.documents.read(order))

    async def _fetch(self, order: FetchDocument) -> None:
        token = secrets.token_hex(16) if order.once else None
        begun = time.monotonic()
        with self._guarded():
            fetched = await self._node.documents.fetch(order, self._webhooks, token)
            answer = fetched.answer
            took_s = time.monotonic() - begun
            self._node.ledger.asked(order, fetched, took_s)
            self._fetching_s += took_s
            self._node.metrics.webhook(took_s, answer.number if isinstance(answer, FetchFailed) else None)
            self.bring(answer)

    async def _prepare(self, order: PreparePrompt) -> None:
        with self._guarded():
            prepared = await self._node.prompts.prepare(order, self._webhooks)
            for finding in prepared.findings:
                self._do(NoteFinding(call_sid=self.sid, finding=finding), time.monotonic())
            self.bring(prepared.answer)

    def _host_of(self, change: CallChanged) -> HostId:
        """Where a call's leg is; of one that never had a leg, where the session has begun."""
        host = None if change.leg is None else self._placement.host_of(change.leg)
        return next(iter(self._hosts)) if host is None else host

    def _count(self, order: BranchReport | Bridged, now: float) -> None:
        if not isinstance(order, BranchReport):
            return
        if order.stage == "initiated":
            self._node.metrics.call_started("outbound-dial")
            if self._setup_ms is None:
                self._setup_ms = max(0.0, now - self.session.a_leg.invited_at - self._fetching_s) * 1000
        elif order.stage == "completed" and order.outcome is not None:
            self._node.metrics.dial_ended(order.outcome.status)


def _do_all(*jobs: Callable[[], None] | None) -> None:
    """Do each of them, whatever becomes of the others.

    Raises:
        ExceptionGroup: what has gone wrong.
    """
    errors: list[Exception] = []
    for job in jobs:
        try:
            if job is not None:
                job()
        except Exception as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup("not all was done", errors)


def _lost(leg: LegId, now: float) -> LegEnded:
    """The end of a leg that its worker will not report."""
    return LegEnded(leg=leg, at=now, cause="worker", sip_code=503, reason="worker died", headers=())
