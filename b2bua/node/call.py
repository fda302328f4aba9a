"""One call in the running node: carries out what its session orders, and brings it what has happened.

Nothing is decided here. Thread: the controller's loop.
"""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Literal, Protocol

from msgspec import structs

from b2bua.core.commands import EndSession, LegCommand
from b2bua.core.dial_report import BranchReport, Bridged
from b2bua.core.events import LegEnded, MediaMeasured, RecordingStopped, SessionEvent
from b2bua.core.ids import CallSid
from b2bua.engine.pool import WorkerHandle
from b2bua.flow.orders import (
    CallCanceled,
    CallChanged,
    CallOver,
    FetchDocument,
    FetchFailed,
    FinishRecording,
    FollowRecording,
    KeepRecording,
    NoteFinding,
    PreparePrompt,
    RecordCall,
    ReportStatus,
    SessionInput,
    SessionOrder,
)
from b2bua.flow.session import Session
from b2bua.node.documents import Documents
from b2bua.node.ledger import Ledger
from b2bua.node.prompts import Prompts
from b2bua.node.recordings import Recordings
from b2bua.store.records import LegRow
from b2bua.web.metrics import Metrics
from b2bua.web.outbox import Outbox
from b2bua.web.webhooks import CallWebhooks, WebhookRequest

__all__ = ["Call", "Surroundings"]

log = logging.getLogger(__name__)


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
        self._worker = worker
        self._webhooks = webhooks
        self._node = node
        self._on_over = on_over
        self._record_on_answer = record
        self._legs: dict[str, LegRow] = {}
        """Of all calls of the session: what has happened on each."""
        self._media: list[MediaMeasured] = []
        """Of all legs of the session that have ended."""
        self._timer: asyncio.TimerHandle | None = None
        self._fetching_s = 0.0
        self._setup_ms: float | None = None
        """INVITE received to INVITE sent, without the application's part."""

    @property
    def sid(self) -> CallSid:
        """What the application knows it by."""
        return self.session.call_sid

    def start(self) -> None:
        """The INVITE is there; ask for the document."""
        now = time.monotonic()
        self._carry_out(self.session.start(now), now)

    def handle(self, event: SessionEvent) -> None:
        """See ``engine.pool.SessionSink``."""
        self._bring(event)

    def measured(self, media: MediaMeasured) -> None:
        """See ``engine.pool.SessionSink``."""
        self._media.append(media)
        self._node.metrics.leg_ended(media.lost / max(1, media.lost + media.received), media.jitter_ms)

    def worker_lost(self) -> None:
        """See ``engine.pool.SessionSink``: nothing in it will ever report its end, so it is done here."""
        for recording in self.session.recordings.open:
            self._bring(
                RecordingStopped(
                    recording=recording, at=time.monotonic(), files=(), duration_s=0.0, reason="worker died"
                )
            )
        for leg in self.session.live_legs():
            self._bring(
                LegEnded(
                    leg=leg,
                    at=time.monotonic(),
                    cause="worker",
                    sip_code=503,
                    reason="worker died",
                    headers=(),
                )
            )

    def has_dialog(self, call_id: str) -> bool:
        """Whether a leg of it has this Call-ID."""
        return any(leg.sip_call_id == call_id for leg in self._legs.values())

    def cancel(self, by: Literal["api", "node"]) -> None:
        """End the call from above."""
        self._bring(CallCanceled(by=by))

    def bring(self, event: SessionInput) -> None:
        """Give the session an order from above."""
        self._bring(event)

    def _bring(self, event: SessionInput) -> None:
        now = time.monotonic()
        self._carry_out(self.session.handle(event, now), now)
        if self._record_on_answer is not None and self.session.a_leg.answered_at is not None:
            wanted, self._record_on_answer = self._record_on_answer, None
            order = structs.replace(wanted, call_sid=self.sid)
            self._carry_out(self.session.handle(order, now), now)

    def _tick(self) -> None:
        now = time.monotonic()
        self._carry_out(self.session.tick(now), now)

    def _carry_out(self, orders: list[SessionOrder], now: float) -> None:
        for_worker: list[LegCommand] = []
        ours: list[_OwnOrder] = []
        todo = deque(orders)
        while todo:
            order = todo.popleft()
            if isinstance(order, FetchDocument) and order.file:
                todo.extend(self.session.handle(self._node.documents.read(order), now))
            elif isinstance(order, _OwnOrder):
                ours.append(order)
            else:
                for_worker.append(order)
        if for_worker:  # first: somebody waits for it, and for nothing of the rest
            self._worker.send(*for_worker)
        for own in ours:
            self._do(own, now)
        self._set_timer(now)
        if EndSession() in for_worker:
            self._on_over(self)

    def _do(self, order: _OwnOrder, now: float) -> None:
        match order:
            case FetchDocument():
                self._node.spawn(self._fetch(order))
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
                self._log(order)
            case BranchReport() | Bridged():
                self._count(order, now)
                self._log(order)
            case PreparePrompt():
                self._node.spawn(self._prepare(order))
            case KeepRecording() | FollowRecording() | FinishRecording():
                self._record(order)
            case CallChanged():
                self._legs[order.call_sid] = self._node.ledger.changed(order, self._worker.worker)
            case CallOver():
                self._over(order)

    async def _fetch(self, order: FetchDocument) -> None:
        token = secrets.token_hex(16) if order.once else None
        begun = time.monotonic()
        fetched = await self._node.documents.fetch(order, self._webhooks, token)
        answer = fetched.answer
        took_s = time.monotonic() - begun
        self._node.ledger.asked(order, fetched, took_s)
        self._fetching_s += took_s
        self._node.metrics.webhook(took_s, answer.number if isinstance(answer, FetchFailed) else None)
        self._bring(answer)

    async def _prepare(self, order: PreparePrompt) -> None:
        prepared = await self._node.prompts.prepare(order, self._webhooks)
        notes = [NoteFinding(call_sid=self.sid, finding=finding) for finding in prepared.findings]
        self._carry_out([*notes], time.monotonic())
        self._bring(prepared.answer)

    def _record(self, order: KeepRecording | FollowRecording | FinishRecording) -> None:
        recordings = self._node.recordings
        match order:
            case KeepRecording():
                recordings.keep(order)
            case FollowRecording():
                recordings.follow(order, self._webhooks)
            case FinishRecording():
                recordings.finish(order, self._bring, self._webhooks)

    def _set_timer(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.session.next_deadline()
        if deadline is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, deadline - now), self._tick)

    def _count(self, order: BranchReport | Bridged, now: float) -> None:
        if not isinstance(order, BranchReport):
            return
        if order.stage == "initiated":
            self._node.metrics.call_started("outbound-dial")
            if self._setup_ms is None:
                self._setup_ms = max(0.0, now - self.session.a_leg.invited_at - self._fetching_s) * 1000
        elif order.stage == "completed" and order.outcome is not None:
            self._node.metrics.dial_ended(order.outcome.status)

    # -- the log ------------------------------------------------------------------------------------

    def _log(self, order: NoteFinding | BranchReport | Bridged) -> None:
        call_sid = order.call_sid if isinstance(order, NoteFinding) else self.sid
        facts: dict[str, object] = {"call_sid": call_sid}
        match order:
            case NoteFinding():
                finding = order.finding
                level = logging.ERROR if finding.severity == "error" else logging.WARNING
                facts |= {"number": finding.number, "text": finding.text, "line": finding.line}
                log.log(level, "twiml", extra=facts)
            case BranchReport():
                facts |= {"leg_id": order.leg, "child_sid": order.child, "stage": order.stage}
                if order.outcome is not None:
                    facts |= {"outcome": order.outcome.status, "sip_code": order.outcome.sip_code}
                log.log(logging.INFO if order.stage == "completed" else logging.DEBUG, "branch", extra=facts)
            case Bridged():
                log.debug("bridged", extra=facts | {"leg_id": order.leg})

    def _over(self, over: CallOver) -> None:
        facts = {
            "call_sid": over.call_sid,
            "sip_call_id": self.session.caller.sip_call_id,
            "status": over.status,
            "duration_s": round(over.duration_s, 3),
            "timeline": over.timeline,
            "legs": [
                {"call_sid": leg.call_sid, "sip_call_id": leg.sip_call_id, "timeline": leg.timeline}
                for leg in self._legs.values()
                if leg.call_sid != over.call_sid
            ],
        }
        facts["media"] = [
            {"leg_id": each.leg, "received": each.received, "lost": each.lost, "jitter_ms": each.jitter_ms}
            for each in self._media
        ]
        log.info("call_ended", extra=facts)
        self._node.metrics.call_ended(over.status, self._setup_ms)
