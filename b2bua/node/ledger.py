"""What is kept of calls while they go on: rows of calls, legs, warnings and requests to the application.

Everything is put behind (the store writes it down in some hundredths of a second), in the order in which it
happened; a call's row is put before the call asks for anything. No address keeps its credentials.

Thread: the controller's loop.
"""

import logging
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from msgspec import structs

from b2bua.calls.orders import CallChanged, FetchDocument
from b2bua.core.credentials import without_userinfo
from b2bua.core.errors import WebhookError
from b2bua.core.ids import CallSid
from b2bua.node.documents import Fetched
from b2bua.store.records import CallRow, EventRow, LegRow, NotificationRow, Record
from b2bua.twiml.findings import Finding
from b2bua.web.signature import Params
from b2bua.web.webhooks import WebhookRequest

__all__ = ["Ledger"]

log = logging.getLogger(__name__)

_MAX_BODY: Final = 16_384
"""Characters of an answer, kept with its request."""


class Keeper(Protocol):
    """What is needed of the store."""

    def put(self, record: Record) -> None:
        """Keep it; soon."""


@dataclass(slots=True)
class _Open:
    """A call that has not ended."""

    row: CallRow
    leg: LegRow
    began_at: float
    """Monotonic seconds."""
    asked: tuple[str, str] = ("", "")
    """URL and method of the request that is under way or was the last."""
    timeline: dict[str, float] = field(default_factory=dict)


class Ledger:
    """See the module's docstring.

    Args:
        store: where rows go.
        account_sid: whose they are.
    """

    def __init__(self, store: Keeper, account_sid: str) -> None:
        self._store = store
        self._account_sid = account_sid
        self._open: dict[str, _Open] = {}
        self._sequence = 0

    def row(self, call_sid: str) -> CallRow | None:
        """Of a call that has not ended."""
        found = self._open.get(call_sid)
        return found.row if found is not None else None

    def statuses(self) -> Counter[str]:
        """How many calls have which CallStatus now, children as well."""
        return Counter(found.row.status for found in self._open.values())

    def calls_by_worker(self) -> dict[str, list[CallSid]]:
        """The calls that have not ended, by the worker that carries them, the oldest first."""
        calls: dict[str, list[CallSid]] = {}
        for found in self._open.values():
            calls.setdefault(found.leg.worker, []).append(CallSid(found.row.sid))
        return calls

    # -- calls --------------------------------------------------------------------------------------

    def changed(self, change: CallChanged, worker: str) -> LegRow:
        """Keep what has become of a call; returns its leg, with all that has happened on it."""
        at = datetime.now(UTC)
        found = self._open.get(change.call_sid)
        if found is None:
            found = self._open[change.call_sid] = self._begin(change, worker, at)
        found.timeline.setdefault(change.status, round(time.monotonic() - found.began_at, 4))
        found.leg = structs.replace(found.leg, timeline=dict(found.timeline))
        row = structs.replace(found.row, status=change.status, updated_at=at)
        if change.status == "ringing" and row.started_at is None:
            row = structs.replace(row, started_at=at)
        if change.status == "in-progress" and row.answered_at is None:
            row = structs.replace(row, answered_at=at, started_at=at)
        if change.ended:
            row = _ended(row, change, at)
            del self._open[change.call_sid]
        found.row = row
        self._store.put(row)
        self._store.put(found.leg)
        return found.leg

    def _begin(self, change: CallChanged, worker: str, at: datetime) -> _Open:
        row = CallRow(
            sid=change.call_sid,
            parent_sid=change.parent_sid,
            from_=change.from_,
            to=change.to,
            direction=change.direction,
            status=change.status,
            created_at=at,
            updated_at=at,
            forwarded_from=change.forwarded_from,
            caller_name=change.caller_name,
            sip_call_id=change.sip_call_id or None,
            account_sid=self._account_sid,
        )
        leg = LegRow(
            call_sid=change.call_sid,
            leg=change.leg or "",
            role="callee" if change.parent_sid else "caller",
            sip_call_id=change.sip_call_id,
            worker=worker,
            created_at=at,
        )
        return _Open(row, leg, time.monotonic())

    def end_unfinished(self, rows: tuple[CallRow, ...]) -> None:
        """Calls of a node that is no more, or was killed: nobody knows how they ended."""
        at = datetime.now(UTC)
        for row in rows:
            status = "completed" if row.answered_at is not None else "failed"
            self._store.put(structs.replace(row, status=status, ended_at=at, updated_at=at, hangup_by="node"))
        if rows:
            log.warning("calls of a node that was killed have ended", extra={"count": len(rows)})

    # -- what happened on the way -------------------------------------------------------------------

    def note(self, call_sid: CallSid, finding: Finding) -> None:
        """Keep a warning or an error with its call."""
        found = self._open.get(call_sid)
        url, method = found.asked if found is not None else ("", "")
        self._store.put(
            NotificationRow(
                sid=f"NO{secrets.token_hex(16)}",
                call_sid=call_sid,
                severity=finding.severity,
                number=finding.number,
                text=without_userinfo(finding.text),
                created_at=datetime.now(UTC),
                request_url=url,
                request_method=method,
                line=finding.line,
                column=finding.column,
            )
        )

    def asked(self, order: FetchDocument, fetched: Fetched, took_s: float) -> None:
        """Keep a request for a document, and its answer."""
        http = fetched.http
        url, params = without_userinfo(order.url), _shown(order.params)
        call_sid = params.get("CallSid", "")
        if (found := self._open.get(call_sid)) is not None:
            found.asked = (url, order.method)
        self._store.put(
            EventRow(
                call_sid=call_sid,
                sequence=self._next_sequence(),
                kind="action" if order.once else "document",
                created_at=datetime.now(UTC),
                method=order.method,
                url=url,
                params=params,
                status=http.status if http is not None else fetched.failure_status or None,
                elapsed_ms=round(took_s * 1000),
                content_type=http.content_type if http is not None else "",
                body=without_userinfo(http.text)[:_MAX_BODY] if http is not None else "",
            )
        )

    def called_back(self, call: CallSid, request: WebhookRequest, error: WebhookError | None) -> None:
        """Keep a status callback that was delivered, or given up (``web.outbox.Report``)."""
        self._store.put(
            EventRow(
                call_sid=call,
                sequence=self._next_sequence(),
                kind="status",
                created_at=datetime.now(UTC),
                method=request.method,
                url=without_userinfo(request.url),
                params=_shown(request.params),
                status=200 if error is None else error.status or None,
                body="" if error is None else without_userinfo(f"{error.number} {error.text}"),
            )
        )

    def _next_sequence(self) -> int:
        """Grows, also across restarts: of several requests of a call the order is kept."""
        self._sequence = max(self._sequence + 1, time.time_ns() // 1000)
        return self._sequence


def _shown(params: Params) -> dict[str, str]:
    return {name: without_userinfo(value) for name, value in params}


def _ended(row: CallRow, change: CallChanged, at: datetime) -> CallRow:
    outcome = change.outcome
    return structs.replace(
        row,
        ended_at=at,
        duration_s=round(change.duration_s) if row.answered_at is not None else None,
        hangup_by=outcome.hangup_by if outcome is not None else None,
        q850=outcome.q850_cause if outcome is not None else None,
        sip_code=outcome.sip_code if outcome is not None else None,
    )
